"""Whose a load is: one journal of records, and one judgement that everybody uses."""

from __future__ import annotations

from bytez_provider.core.ownership._judgement import Judgement, Named, Verdict, judge
from bytez_provider.core.ownership._ledger import Ledger
from bytez_provider.core.ownership._machine import Presence
from bytez_provider.core.ownership._record import (
    ANSWER_WINDOW,
    CLOCK_TOLERANCE,
    Claim,
    Holder,
    Owner,
    Phase,
    Record,
)
from bytez_provider.core.ownership._stack import StackIdentity, stack_identity
from bytez_provider.core.ownership._stores import Bucket, ChangedError, Folder, Store, open_store
from bytez_provider.core.ownership._work import Adoption, HeldError, Request

__all__ = [
    "ANSWER_WINDOW",
    "CLOCK_TOLERANCE",
    "Adoption",
    "Bucket",
    "ChangedError",
    "Claim",
    "Folder",
    "HeldError",
    "Holder",
    "Judgement",
    "Ledger",
    "Named",
    "Owner",
    "Phase",
    "Presence",
    "Record",
    "Request",
    "StackIdentity",
    "Store",
    "Verdict",
    "judge",
    "open_store",
    "stack_identity",
]
