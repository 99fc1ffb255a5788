"""Emulated time: it runs at any speed, or stands still until it is advanced."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from datetime import datetime, timedelta


class EmulatedClock:
    """A clock that starts at a given moment and runs at a given speed.

    Args:
        start: The emulated moment at which it starts, with a time zone.
        speed: Emulated seconds in one real second; 0 makes a manual clock, which stands still
            until it is advanced.
    """

    def __init__(self, start: datetime, speed: float) -> None:
        self._start = start
        self._speed = speed
        self._began = time.monotonic()
        self._advanced = timedelta()
        self._sleepers: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """Return the emulated moment."""
        elapsed = (time.monotonic() - self._began) * self._speed
        return self._start + self._advanced + timedelta(seconds=elapsed)

    def advance(self, seconds: float) -> None:
        """Move the clock forward and wake the sleepers whose moment has come. From any thread.

        Raises:
            ValueError: the number is negative, or reaches past the end of the calendar.
        """
        try:
            if not seconds >= 0:
                raise ValueError(f"the clock moves forward only, not by {seconds} seconds")
            with self._lock:
                # Try the sum first: a refused advance must not change the clock.
                _ = self.now() + timedelta(seconds=seconds) + timedelta(days=3650)
                self._advanced += timedelta(seconds=seconds)
                sleepers = list(self._sleepers)
        except OverflowError:
            raise ValueError(f"{seconds} seconds are too many to move the clock by") from None
        for loop, woken in sleepers:
            # A loop that has just closed has no sleeper to wake.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(woken.set)

    async def sleep_until(self, until: datetime) -> None:
        """Return when emulated time reaches `until`, by itself or by `advance`."""
        woken = asyncio.Event()
        sleeper = (asyncio.get_running_loop(), woken)
        with self._lock:
            self._sleepers.add(sleeper)
        try:
            while (left := (until - self.now()).total_seconds()) > 0:
                real = left / self._speed if self._speed else None
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(woken.wait(), real)
                woken.clear()
        finally:
            with self._lock:
                self._sleepers.discard(sleeper)
