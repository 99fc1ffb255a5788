"""What check, diff, create, read, update and delete do, free of Pulumi."""

from __future__ import annotations

from bytez_provider.core.lifecycle._compare import (
    DEPLOYING,
    NOT_LOADED,
    Difference,
    diff,
    drift_of,
)
from bytez_provider.core.lifecycle._lifecycle import Checked, Lifecycle
from bytez_provider.core.lifecycle._loading import BOOT_LIMIT_SECONDS
from bytez_provider.core.lifecycle._told import OUTAGE, named, of_state

__all__ = [
    "BOOT_LIMIT_SECONDS",
    "DEPLOYING",
    "NOT_LOADED",
    "OUTAGE",
    "Checked",
    "Difference",
    "Lifecycle",
    "diff",
    "drift_of",
    "named",
    "of_state",
]
