"""What check, diff, create, read, update and delete do, free of Pulumi."""

from __future__ import annotations

from bytez_provider.lifecycle._compare import (
    DEPLOYING,
    NOT_LOADED,
    Change,
    diff,
    drift_of,
)
from bytez_provider.lifecycle._consent import Consent
from bytez_provider.lifecycle._lifecycle import Checked, Lifecycle
from bytez_provider.lifecycle._loading import BOOT_LIMIT_SECONDS
from bytez_provider.lifecycle._told import OUTAGE, named, of_state

__all__ = [
    "BOOT_LIMIT_SECONDS",
    "DEPLOYING",
    "NOT_LOADED",
    "OUTAGE",
    "Change",
    "Checked",
    "Consent",
    "Lifecycle",
    "diff",
    "drift_of",
    "named",
    "of_state",
]
