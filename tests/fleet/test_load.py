"""Two hundred models that wait at the same time: their requests per second.

Time is the emulator's, and moves when all of them wait: see `CrowdClock`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bytez_provider.base.errors import BytezError, RateLimitedError
from bytez_provider.core.declared import ModelState
from bytez_provider.emulator import Emulator
from bytez_provider.emulator.catalogue import Row
from bytez_provider.emulator.fixtures import START
from bytez_provider.service.schemas import moment_of
from tests.clocks import CrowdClock
from tests.fleet.crew import LISTS, STATUSES
from tests.lifecycle.caller import FakeCaller
from tests.lifecycle.machine import KEY, Machine, always, inputs

CROWD = 200
BOOT_SECONDS = 400.0
LOADS = "/model/load"
IDS = [f"many/model-{number:03}" for number in range(CROWD)]
TOO_MANY = 429


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    rows = [Row(model_id, 1.0, benchmarked=False) for model_id in IDS]
    with Emulator(
        keys=[KEY], models=rows, clock="manual", boot_seconds=BOOT_SECONDS, start=START
    ) as running:
        yield running


class Crowd:
    """One process that creates all models at the same time, each in its own thread."""

    def __init__(self, emulator: Emulator, folder: Path) -> None:
        self.machine = Machine(emulator, folder)
        self.clock = CrowdClock(emulator, CROWD)
        self._process = self.machine.process(clock=self.clock)

    def create(self) -> list[ModelState | BytezError]:
        """Create all; return the result of each."""
        with ThreadPoolExecutor(CROWD) as pool:
            results = list(pool.map(self._create, IDS))
        self.machine.close()
        return results

    def _create(self, model_id: str) -> ModelState | BytezError:
        try:
            return self._process.create(inputs(model_id), FakeCaller(f"urn::{model_id}"))
        except BytezError as error:
            return error
        finally:
            self.clock.leave()

    def asked(self, path: str, status: int | None = None) -> Counter[int]:
        """Return the number of requests in each second."""
        return Counter(
            int((moment - START).total_seconds())
            for record in self.machine.emulator.requests(path)
            if status in (None, record.status) and (moment := moment_of(record.time))
        )


@pytest.fixture
def crowd(emulator: Emulator, tmp_path: Path) -> Crowd:
    return Crowd(emulator, tmp_path / "journal")


def statuses_of(results: list[ModelState | BytezError]) -> Counter[str | None]:
    return Counter(
        one.status if isinstance(one, ModelState) else type(one).__name__ for one in results
    )


def test_two_hundred_wait_with_two_lists_a_second_and_few_statuses(crowd: Crowd) -> None:
    """If they were in step, there would be 200 status requests within 4 s, each minute."""
    assert statuses_of(crowd.create()) == {"RUNNING": CROWD}
    # At most a tenth of the boot too late, as for one model.
    assert crowd.clock.monotonic() <= 1.1 * BOOT_SECONDS
    assert crowd.asked(LOADS).total() == CROWD
    assert max(crowd.asked(LISTS).values()) <= 2
    # At first there is one before each load, and one for its identity after it.
    asked = crowd.asked(STATUSES)
    begun = sum(count for second, count in asked.items() if second < 2)
    assert begun == 2 * CROWD
    later = {second: count for second, count in asked.items() if second >= 2}
    assert max(later.values()) <= 20
    # For each model, one in 150 to 250 s.
    assert sum(later.values()) <= CROWD * BOOT_SECONDS / 150


def test_at_a_rate_limit_they_queue_and_all_come_up(crowd: Crowd, emulator: Emulator) -> None:
    """Ten per second, while 600 requests are needed at once: all succeed in the end."""
    emulator.set_faults([always(rateLimitPerSecond=10)])
    assert statuses_of(crowd.create()) == {"RUNNING": CROWD}
    assert crowd.clock.monotonic() <= BOOT_SECONDS + 180
    assert max(crowd.asked(LISTS).values()) <= 2
    refused = crowd.asked(STATUSES, TOO_MANY) + crowd.asked(LOADS, TOO_MANY)
    # All came in the same second, but do not come back in the same second.
    assert max(count for second, count in refused.items() if second > 0) <= 80
    for begin, most in ((1, 40), (15, 25), (60, 10), (120, 5)):
        seconds = range(begin, begin + 15)
        assert sum(refused[second] for second in seconds) / 15 <= most
    assert refused.total() <= 7 * CROWD


def test_at_a_limit_that_is_too_low_some_fail(crowd: Crowd, emulator: Emulator) -> None:
    """Each waits for at most three minutes. A model that fails has changed nothing."""
    emulator.set_faults([always(rateLimitPerSecond=2)])
    results = crowd.create()
    refused = [one for one in results if isinstance(one, BytezError)]
    assert refused
    assert {type(one) for one in refused} == {RateLimitedError}
    for one in refused:
        assert "HTTP 429: rate limit exceeded" in str(one)
        assert one.state == "Nothing was changed"
    running = {one["modelId"] for one in emulator.instances()}
    up = {one.model_id for one in results if isinstance(one, ModelState)}
    assert running == up
