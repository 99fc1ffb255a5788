"""Two hundred creates at once in one provider process."""

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


def status_of(pid: int, field: str) -> int:
    """Return a number of a process: `Threads` now, `VmHWM` in KiB at most."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return next(int(line.split()[1]) for line in status.splitlines() if field in line)


def test_threads_memory_and_requests_are_bounded(tmp_path: Path) -> None:
    """By the real clock; `tests/fleet` has the request rates of a whole boot."""
    rows = [Row(model_id, 1.0, benchmarked=False) for model_id in IDS]
    with (
        Emulator(keys=[KEY], models=rows, boot_seconds=BOOT_SECONDS) as emulator,
        started(emulator, tmp_path / "journal") as host,
    ):
        host.check({}, inputs(IDS[0]))  # As the engine does first.
        pid = host._process.pid
        idle = status_of(pid, "Threads")
        waiting = [host.create_async(inputs(model_id), name=model_id) for model_id in IDS]
        most = 0
        while not all(one.done() for one in waiting):
            most = max(most, status_of(pid, "Threads"))
            threading.Event().wait(0.05)
        assert {one.result().outputs["status"] for one in waiting} == {"RUNNING"}
        # One for each call, and one for each request in flight that watches its time.
        assert most <= idle + 2 * CROWD + 16
        assert status_of(pid, "VmHWM") <= 256 * 1024
        assert len(emulator.requests(LOAD)) == CROWD
        assert len(emulator.requests(STATUS)) <= 4 * CROWD
        moments = [moment_of(record.time) for record in emulator.requests(LISTS)]
        lists = Counter(int(moment.timestamp()) for moment in moments if moment)
        # Two a second by the clock of the host; one may arrive in the next second.
        assert max(lists.values()) <= 3
