"""Time, passed in wherever it is used, so that tests move it instead of waiting."""

from __future__ import annotations

import threading
import time
from datetime import datetime, timezone
from typing import Protocol


class Clock(Protocol):
    """What the package asks of time."""

    def monotonic(self) -> float:
        """Seconds since an arbitrary start; never jumps. Every deadline is measured with it."""

    def now(self) -> datetime:
        """The wall clock, in UTC: only for people, and for a server that sends no `Date`."""

    def wait(self, seconds: float, wake: threading.Event | None = None) -> None:
        """Return after `seconds`, or as soon as `wake` is set."""


class SystemClock:
    """The machine's own clock."""

    def monotonic(self) -> float:
        """Seconds of `time.monotonic`."""
        return time.monotonic()

    def now(self) -> datetime:
        """The current time in UTC."""
        return datetime.now(timezone.utc)

    def wait(self, seconds: float, wake: threading.Event | None = None) -> None:
        """Sleep, or wait for the event."""
        if seconds > 0:
            (wake or threading.Event()).wait(seconds)
