"""Two hundred creates at once in the process that Pulumi runs our provider in."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path

from bytez_provider.emulator import Emulator
from bytez_provider.emulator.catalogue import Row
from bytez_provider.service.schemas import moment_of
from tests.wire.conftest import KEY, started
from tests.wire.test_models import LOAD, STATUS, inputs

CROWD = 200
BOOT_SECONDS = 10
IDS = [f"many/model-{number:03}" for number in range(CROWD)]
LISTS = "/model/instances"


def threads_of(pid: int) -> int:
    """Return how many threads a process has now."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return next(int(line.split()[1]) for line in status.splitlines() if "Threads" in line)


def test_two_hundred_at_once_are_a_thread_each_and_two_lists_a_second(tmp_path: Path) -> None:
    """By the real clock, for a few seconds; the rates of a whole boot are in `tests/fleet`."""
    rows = [Row(model_id, 1.0, benchmarked=False) for model_id in IDS]
    with (
        Emulator(keys=[KEY], models=rows, boot_seconds=BOOT_SECONDS) as emulator,
        started(emulator, tmp_path / "journal") as host,
    ):
        host.check({}, inputs(IDS[0]))  # As the engine does first.
        idle = threads_of(host._process.pid)
        waiting = [host.create_async(inputs(model_id), name=model_id) for model_id in IDS]
        most = 0
        while not all(one.done() for one in waiting):
            most = max(most, threads_of(host._process.pid))
            threading.Event().wait(0.05)
        assert {one.result().outputs["status"] for one in waiting} == {"RUNNING"}
        # One for each call, and for each request under way one more that watches its time.
        assert most <= idle + 2 * CROWD + 16
        assert len(emulator.requests(LOAD)) == CROWD
        assert len(emulator.requests(STATUS)) <= 4 * CROWD
        moments = [moment_of(record.time) for record in emulator.requests(LISTS)]
        lists = Counter(int(moment.timestamp()) for moment in moments if moment)
        # Two a second by the host's clock; on the way one may come late into the next second.
        assert max(lists.values()) <= 3
