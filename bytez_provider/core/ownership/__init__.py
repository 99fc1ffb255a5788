"""Whose a load is: one journal of records, and one judgement that all parts use."""

from __future__ import annotations

from bytez_provider.core.ownership._bucket import Bucket
from bytez_provider.core.ownership._hold import HeldError, Hold
from bytez_provider.core.ownership._identity import (
    Presence,
    StackIdentity,
    project_file,
    stack_identity,
)
from bytez_provider.core.ownership._judgement import Judgement, Named, Verdict, judge
from bytez_provider.core.ownership._ledger import Ledger
from bytez_provider.core.ownership._record import (
    ANSWER_WINDOW,
    CLOCK_TOLERANCE,
    Claim,
    Holder,
    Owner,
    Phase,
    Record,
)
from bytez_provider.core.ownership._stores import ChangedError, Folder, Store, open_store

__all__ = [
    "ANSWER_WINDOW",
    "CLOCK_TOLERANCE",
    "Bucket",
    "ChangedError",
    "Claim",
    "Folder",
    "HeldError",
    "Hold",
    "Holder",
    "Judgement",
    "Ledger",
    "Named",
    "Owner",
    "Phase",
    "Presence",
    "Record",
    "StackIdentity",
    "Store",
    "Verdict",
    "judge",
    "open_store",
    "project_file",
    "stack_identity",
]
