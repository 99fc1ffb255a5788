"""Five hundred models in one stack, by the real command line."""

from __future__ import annotations

import contextlib
import os
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bytez_provider.emulator import Emulator
from bytez_provider.emulator.catalogue import Row
from bytez_provider.service.schemas import moment_of
from tests.e2e.conftest import KEY
from tests.e2e.stack import Stack

MODELS = 500
BOOT_SECONDS = 15
IDS = [f"many/model-{number:03}" for number in range(MODELS)]
PROGRAM = """
ids = [f"many/model-{{number:03}}" for number in range({models})]
fleet = bytez.Fleet(
    "many", models={{f"m{{n:03}}": bytez.ModelArgs(model_id=one) for n, one in enumerate(ids)}}
)
pulumi.export("running", fleet.statuses.apply(lambda all: list(all.values()).count("RUNNING")))
"""
LONGEST_SECONDS = 400
"""It takes three quarters of a minute on two quiet cores; a test that hangs fails."""


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """An emulator on the real clock: what is asked in a second of it can be counted."""
    rows = [Row(model_id, 1.0, benchmarked=False) for model_id in IDS]
    with Emulator(keys=(KEY,), models=rows, boot_seconds=BOOT_SECONDS) as running:
        yield running


def host_of(stack: Stack) -> Path | None:
    """Return the process in which our provider works for a stack, as /proc has it."""
    marker = f"BYTEZ_JOURNAL={stack.env['BYTEZ_JOURNAL']}\0".encode()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            is_host = b"pulumi.dynamic" in (process / "cmdline").read_bytes()
            if is_host and marker in (process / "environ").read_bytes():
                return process
    return None


def seen_of(process: Path) -> tuple[int, int]:
    """Return how many threads a process has, and how many mebibytes it had at most."""
    fields = dict(
        line.split(":", 1) for line in (process / "status").read_text("utf-8").splitlines()
    )
    return int(fields["Threads"]), int(fields["VmHWM"].split()[0]) // 1024


def test_five_hundred_models_in_one_stack(stack: Stack, emulator: Emulator) -> None:
    """Each is loaded once; threads, memory and requests in a second are bounded."""
    stack.program(PROGRAM.format(models=MODELS))
    most_threads = most_mebibytes = 0
    host = None
    with ThreadPoolExecutor(1) as pool:
        # Its output is read meanwhile: a full pipe would stop it.
        done = pool.submit(stack.start("up", "--yes", "--skip-preview").finish, LONGEST_SECONDS)
        while not done.done():
            host = host or host_of(stack)
            with contextlib.suppress(OSError, KeyError):
                threads, mebibytes = seen_of(host) if host else (0, 0)
                most_threads = max(most_threads, threads)
                most_mebibytes = max(most_mebibytes, mebibytes)
            threading.Event().wait(0.1)
        done.result().ok()

    assert stack.outputs() == {"running": MODELS}
    assert len(stack.models()) == len(emulator.instances()) == MODELS
    assert len(emulator.requests("/model/load")) == MODELS
    # Before the load and for its identity; what boots is asked for by the list.
    assert len(emulator.requests("/model/status")) <= 3 * MODELS
    moments = [moment_of(record.time) for record in emulator.requests("/model/instances")]
    lists = Counter(int(moment.timestamp()) for moment in moments if moment)
    assert max(lists.values()) <= 3
    # The engine calls as many at once as its `--parallel`, four for each core, says; each has a
    # thread, and its request another. On two cores it was 21 threads and 81 MiB.
    assert 0 < most_threads <= 8 * (os.cpu_count() or 1) + 32
    assert 0 < most_mebibytes <= 256
