"""Clocks that tests move."""

from __future__ import annotations

import heapq
import threading
from datetime import datetime, timedelta, timezone

from bytez_provider.emulator import Emulator


class FakeClock:
    """A clock that moves only when it is waited for; `waits` are the seconds."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        self._elapsed = 0.0
        self._lock = threading.Lock()

    def monotonic(self) -> float:
        """Seconds waited so far."""
        return self._elapsed

    def now(self) -> datetime:
        """A day in 2030, plus the waited seconds: no server has this time."""
        return datetime(2030, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=self._elapsed)

    def wait(self, seconds: float, wake: threading.Event | None = None) -> None:
        """Let the time pass at once, unless `wake` is set."""
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
        """Advance the emulator and return at once, unless `wake` is set."""
        if seconds > 0 and not (wake is not None and wake.is_set()):
            self._emulator.advance(seconds)


class LaptopClock:
    """The clocks of a laptop: the emulator has the true time, and the machine's own may be wrong.

    Args:
        emulator: On a manual clock.
        wall_ahead_seconds: How far the machine's wall clock is ahead.
    """

    def __init__(self, emulator: Emulator, *, wall_ahead_seconds: float = 0) -> None:
        self._emulator = emulator
        self._ticks = 0.0
        self._wall_ahead = timedelta(seconds=wall_ahead_seconds)

    def monotonic(self) -> float:
        """Seconds awake, and the seconds asleep that the machine counts."""
        return self._ticks

    def now(self) -> datetime:
        """The time of the machine's wall clock."""
        return self._emulator.now() + self._wall_ahead

    def wait(self, seconds: float, wake: threading.Event | None = None) -> None:
        """Let the time pass at once, unless `wake` is set."""
        if seconds > 0 and not (wake is not None and wake.is_set()):
            self._ticks += seconds
            self._emulator.advance(seconds)

    def sleep(self, seconds: float, *, is_counted: bool) -> None:
        """Close the lid for some seconds, which cuts every connection.

        Args:
            seconds: How long.
            is_counted: Whether the monotonic clock runs meanwhile. It does not on Linux and macOS;
                that of a resumed virtual machine may jump.
        """
        self._emulator.advance(seconds)
        self._emulator.stop()
        self._emulator.start()
        if is_counted:
            self._ticks += seconds

    def set_wall(self, ahead_seconds: float) -> None:
        """Set the wall clock: by hand, by NTP, or at the end of summer time."""
        self._wall_ahead = timedelta(seconds=ahead_seconds)


class CrowdClock:
    """One time for many threads: when all of them wait, it jumps to the first that wakes.

    So hundreds wait for minutes in seconds, and their requests per second can be counted.

    Args:
        emulator: On a manual clock.
        crowd: How many threads there are; each must `leave` in the end.
    """

    def __init__(self, emulator: Emulator, crowd: int) -> None:
        self._emulator = emulator
        self._lock = threading.Lock()
        self._busy = crowd
        self._elapsed = 0.0
        self._alarms: list[tuple[float, int, threading.Event]] = []
        self._alarms_set = 0

    def monotonic(self) -> float:
        """Seconds that have passed for the crowd."""
        return self._elapsed

    def now(self) -> datetime:
        """The emulated moment."""
        return self._emulator.now()

    def wait(self, seconds: float, wake: threading.Event | None = None) -> None:
        """Wait until all others wait for longer."""
        if seconds <= 0 or (wake is not None and wake.is_set()):
            return
        rings = threading.Event()
        with self._lock:
            self._alarms_set += 1
            heapq.heappush(self._alarms, (self._elapsed + seconds, self._alarms_set, rings))
            self._one_is_idle()
        rings.wait()

    def leave(self) -> None:
        """Leave the crowd."""
        with self._lock:
            self._one_is_idle()

    def _one_is_idle(self) -> None:
        self._busy -= 1
        if self._busy == 0 and self._alarms:
            until, _, rings = heapq.heappop(self._alarms)
            self._emulator.advance(until - self._elapsed)
            self._elapsed = until
            self._busy = 1
            rings.set()
