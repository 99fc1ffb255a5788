"""The machine's clock, and the ones that tests move."""

from __future__ import annotations

import threading
from datetime import timedelta, timezone

from bytez_provider.base.clock import Clock, SystemClock
from bytez_provider.emulator import Emulator
from tests.clocks import EmulatorClock, FakeClock


def test_the_machines_clock_is_in_utc_and_waits() -> None:
    clock = SystemClock()
    assert clock.now().tzinfo is timezone.utc
    before = clock.monotonic()
    clock.wait(0.01)
    clock.wait(0.01, threading.Event())
    assert clock.monotonic() - before >= 0.02
    clock.wait(-3600)
    clock.wait(-3600, threading.Event())


def test_a_wait_ends_when_it_is_woken() -> None:
    wake = threading.Event()
    waiting = threading.Thread(target=SystemClock().wait, args=(3600, wake), daemon=True)
    waiting.start()
    wake.set()
    waiting.join(timeout=10)
    assert not waiting.is_alive()


def test_the_clocks_of_tests_move_only_when_somebody_waits() -> None:
    woken = threading.Event()
    woken.set()
    with Emulator(clock="manual") as emulator:
        clocks: list[Clock] = [FakeClock(), EmulatorClock(emulator)]
        for clock in clocks:
            began, ticks = clock.now(), clock.monotonic()
            clock.wait(403)
            clock.wait(403, woken)
            assert clock.now() - began == timedelta(seconds=403)
            assert round(clock.monotonic() - ticks, 3) == 403
