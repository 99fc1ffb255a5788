"""Emulated time."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta, timezone

import pytest

from bytez_provider.emulator.clock import EmulatedClock

START = datetime(2024, 6, 3, tzinfo=timezone.utc)


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf"), 1e300, 1e12])
def test_a_refused_advance_does_not_move_a_manual_clock(seconds: float) -> None:
    clock = EmulatedClock(START, 0)
    clock.advance(1.5)
    with pytest.raises(ValueError, match="the clock"):
        clock.advance(seconds)
    assert clock.now() == clock.now() == START + timedelta(seconds=1.5)


def test_a_fast_clock_runs_and_can_be_advanced() -> None:
    clock = EmulatedClock(START, 1_000_000)
    first = clock.now()
    clock.advance(10**6)
    assert START < first < first + timedelta(seconds=10**6) <= clock.now()


def test_a_sleeper_on_a_manual_clock_wakes_at_its_moment_and_not_before() -> None:
    async def scenario() -> None:
        clock = EmulatedClock(START, 0)
        sleeper = asyncio.create_task(clock.sleep_until(START + timedelta(seconds=10)))
        await asyncio.sleep(0)
        await asyncio.to_thread(clock.advance, 9)
        for _ in range(10):
            await asyncio.sleep(0)
        assert not sleeper.done()
        await asyncio.to_thread(clock.advance, 1)
        await sleeper

    asyncio.run(scenario())


def test_a_sleeper_on_a_running_clock_wakes_by_itself() -> None:
    clock = EmulatedClock(START, 1_000_000)
    asyncio.run(clock.sleep_until(START + timedelta(seconds=5000)))
    assert clock.now() >= START + timedelta(seconds=5000)
