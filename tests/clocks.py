"""Clocks that tests move."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta, timezone

from bytez_provider.emulator import Emulator


class FakeClock:
    """A clock that moves only by being waited for; `waits` are the seconds asked for."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        self._elapsed = 0.0
        self._lock = threading.Lock()

    def monotonic(self) -> float:
        """Seconds waited for so far."""
        return self._elapsed

    def now(self) -> datetime:
        """A day in 2030, and what was waited for: nothing that a server would say."""
        return datetime(2030, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=self._elapsed)

    def wait(self, seconds: float, wake: threading.Event | None = None) -> None:
        """Let the time pass at once, or not at all when `wake` is set."""
        if wake is not None and wake.is_set():
            return
        with self._lock:
            self.waits.append(seconds)
            self._elapsed += seconds


class EmulatorClock:
    """The clock of an emulator with a manual clock: waiting advances the emulated time."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator

    def monotonic(self) -> float:
        """Emulated seconds, since the epoch."""
        return self._emulator.now().timestamp()

    def now(self) -> datetime:
        """The emulated moment."""
        return self._emulator.now()

    def wait(self, seconds: float, wake: threading.Event | None = None) -> None:
        """Advance the emulator and return at once; stay where it is when `wake` is set."""
        if seconds > 0 and not (wake is not None and wake.is_set()):
            self._emulator.advance(seconds)
