"""Ctrl-C and a killed engine in mid-boot."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from bytez_provider.emulator import Emulator
from tests.e2e.stack import COMMAND_SECONDS, Stack
from tests.e2e.test_model import ONE, loads, running


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that another process does."""
    deadline = time.monotonic() + COMMAND_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)


def mid_boot(emulator: Emulator) -> bool:
    """Tell whether the load has been accepted and the provider has seen its status since."""
    paths = [record.path for record in emulator.requests()]
    return "/model/load" in paths and "/model/status" in paths[paths.index("/model/load") :]


BOOT = pytest.mark.parametrize("emulator", [400], indirect=True)


@BOOT
def test_ctrl_c_keeps_the_load_and_the_next_up_waits_it_out(
    stack: Stack, emulator: Emulator
) -> None:
    """One load in the books, whatever was interrupted."""
    stack.program(ONE.format(concurrency=1))
    deployment = stack.start("up", "--yes", "--skip-preview")
    until(lambda: mid_boot(emulator))
    deployment.interrupt()
    deployment.finish().failed()
    assert stack.models()["gpt2"]["status"] == "DEPLOYING"
    assert "pending_operations" not in stack.export()

    emulator.advance(400)
    stack.up().ok()
    assert stack.models()["gpt2"]["status"] == "RUNNING"
    assert loads(emulator) == 1


@BOOT
def test_killed_engine_is_resumed_without_a_second_load(stack: Stack, emulator: Emulator) -> None:
    """`kill -9` of the engine, `pulumi cancel`, `up`: the journal knows whose load it is."""
    stack.program(ONE.format(concurrency=1))
    deployment = stack.start("up", "--yes", "--skip-preview")
    until(lambda: mid_boot(emulator))
    deployment.kill_engine()
    deployment.finish()
    stack.run("cancel", "--yes").ok()
    emulator.advance(400)
    stack.up().ok()
    assert stack.models()["gpt2"]["status"] == "RUNNING"
    assert loads(emulator) == 1
    stack.destroy().ok()
    assert running(emulator) == {}
