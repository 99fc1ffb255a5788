"""The machine's clock, and the one that tests move."""

from __future__ import annotations

import threading
from datetime import timedelta, timezone

from bytez_provider.base.clock import Clock, SystemClock
from bytez_provider.emulator import Emulator
from tests.clocks import EmulatorClock, FakeClock


def test_the_time_is_in_utc() -> None:
    assert SystemClock().now().tzinfo is timezone.utc


def test_time_does_not_go_back() -> None:
    clock = SystemClock()
    assert clock.monotonic() <= clock.monotonic()


def test_a_wait_ends_when_it_is_woken() -> None:
    wake = threading.Event()
    waiting = threading.Thread(target=SystemClock().wait, args=(3600, wake), daemon=True)
    waiting.start()
    wake.set()
    waiting.join(timeout=10)
    assert not waiting.is_alive()


def test_there_is_no_wait_into_the_past() -> None:
    SystemClock().wait(0)
    SystemClock().wait(-3600)
    SystemClock().wait(-3600, threading.Event())


def test_a_wait_takes_its_time() -> None:
    clock = SystemClock()
    before = clock.monotonic()
    clock.wait(0.01)
    clock.wait(0.01, threading.Event())
    assert clock.monotonic() - before >= 0.02


def test_a_fake_clock_moves_by_being_waited_for() -> None:
    clock = FakeClock()
    began = clock.now()
    clock.wait(5)
    woken = threading.Event()
    woken.set()
    clock.wait(7, woken)
    assert clock.waits == [5]
    assert clock.monotonic() == 5
    assert clock.now() - began == timedelta(seconds=5)


def test_the_emulators_clock_moves_the_emulator() -> None:
    with Emulator(clock="manual") as emulator:
        clock: Clock = EmulatorClock(emulator)
        began, ticks = emulator.now(), clock.monotonic()
        clock.wait(403)
        assert clock.now() - began == timedelta(seconds=403)
        assert round(clock.monotonic() - ticks, 3) == 403
        woken = threading.Event()
        woken.set()
        clock.wait(403, woken)
        clock.wait(-1)
        assert clock.now() - began == timedelta(seconds=403)
