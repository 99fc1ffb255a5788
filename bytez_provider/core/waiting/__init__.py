"""Waiting for loads: one poller and one loop, for a single model and for a whole fleet."""

from __future__ import annotations

from bytez_provider.core.caller import Caller, FleetCaller, Stop
from bytez_provider.core.waiting._poller import FRESH_SECONDS, Poller
from bytez_provider.core.waiting._waiter import (
    BOOT_LIMIT_SECONDS,
    NOT_FOUND_GRACE_SECONDS,
    SHOWN_GRACE_SECONDS,
    End,
    Row,
    Waiter,
    Watched,
    pause_seconds,
)

__all__ = [
    "BOOT_LIMIT_SECONDS",
    "FRESH_SECONDS",
    "NOT_FOUND_GRACE_SECONDS",
    "SHOWN_GRACE_SECONDS",
    "Caller",
    "End",
    "FleetCaller",
    "Poller",
    "Row",
    "Stop",
    "Waiter",
    "Watched",
    "pause_seconds",
]
