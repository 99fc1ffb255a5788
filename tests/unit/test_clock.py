"""The machine's clock."""

from __future__ import annotations

import threading
from datetime import timezone

from bytez_provider.base.clock import SystemClock


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
