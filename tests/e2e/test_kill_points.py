"""Ctrl-C, a killed provider process and a killed engine, with the real engine.

`tests/wire/test_kill_points.py` has every moment at which a kill may happen.
"""

from __future__ import annotations

import json

from bytez_provider.emulator import Emulator
from tests.e2e.helpers import (
    BOOT_SECONDS,
    DELETE,
    GPT2,
    LISTS,
    LOAD,
    PHI,
    SLOW,
    UP,
    Log,
    fleet,
    loads,
    mid_boot,
    one,
    running,
    until,
)
from tests.e2e.stack import Run, Stack


def died(run: Run) -> None:
    """Assert that Pulumi reports an error of the resource, and that no line is ours.

    Pulumi may add words of its own, such as the shell's `Killed` or a traceback.
    """
    run.failed()
    assert "error: " in run.stdout.split("(gpt2):\n")[1].split("\n\n")[0]
    assert "bytez_provider" not in run.output
    assert "could not" not in run.output


def phases(stack: Stack) -> list[str]:
    """Return the phase of each record in the journal."""
    records = (stack.folder / "journal").glob("record-*.json")
    return [json.loads(path.read_bytes())["phase"] for path in records]


@SLOW
def test_the_provider_process_is_killed_in_a_boot_and_in_a_delete(
    stack: Stack, emulator: Emulator
) -> None:
    """Nothing is pending; the next command goes on with the load, and with the unload."""
    stack.program(one())
    deployment = stack.start(*UP)
    until(lambda: mid_boot(emulator))
    stack.kill_host()
    died(deployment.finish())
    assert stack.models() == {}
    assert "pending_operations" not in stack.export()
    assert phases(stack) == ["accepted"]

    emulator.advance(BOOT_SECONDS)
    stack.up().ok()
    assert stack.models()["gpt2"]["status"] == "RUNNING"
    assert loads(emulator) == 1

    emulator.set_faults([{"endpoint": DELETE, "do": {"shutdownSeconds": 60}}])
    destroying = stack.start("destroy", "--yes", "--skip-preview")
    until(lambda: bool(emulator.requests(DELETE)))
    stack.kill_host()
    died(destroying.finish())
    assert list(stack.models()) == ["gpt2"]
    assert phases(stack) == ["unloading"]
    emulator.advance(60)
    stack.destroy().ok()
    assert stack.models() == {}
    assert len(emulator.requests(DELETE)) == 1


@SLOW
def test_engine_and_provider_are_killed_in_the_boot_of_a_replacement(
    stack: Stack, emulator: Emulator
) -> None:
    """The stack is locked until `pulumi cancel`; then the `up` waits for the new load."""
    stack.program(one())
    first = stack.start(*UP)
    until(lambda: mid_boot(emulator))
    emulator.advance(BOOT_SECONDS)
    first.finish().ok()
    stack.program(one(3))
    replacing = stack.start(*UP)
    until(lambda: len(emulator.requests(LOAD)) == 2)
    stack.end()
    replacing.finish().failed()

    assert "the stack is currently locked by 1 lock(s)" in stack.up().failed().output
    stack.run("cancel", "--yes").ok()
    emulator.advance(BOOT_SECONDS)
    stack.up().ok()
    assert running(emulator) == {GPT2: 3}
    assert stack.models()["gpt2"]["status"] == "RUNNING"
    assert (len(emulator.requests(DELETE)), loads(emulator)) == (1, 2)
    stack.run("refresh", "--yes", "--skip-preview", "--clear-pending-creates").ok()
    assert "pending_operations" not in stack.export()
    stack.destroy().ok()
    assert (running(emulator), phases(stack)) == ({}, [])


@SLOW
def test_a_fleet_is_interrupted_and_then_its_engine_is_killed(
    stack: Stack, emulator: Emulator
) -> None:
    """Everything is in state after both, and the next `up` waits without a load."""
    log = Log(emulator)
    stack.program(fleet(gpt2=GPT2, phi=PHI))
    deployment = stack.start(*UP)
    until(lambda: len(emulator.requests(LOAD)) == 2 and len(emulator.requests(LISTS)) >= 2)
    deployment.interrupt()
    deployment.finish().failed()
    assert sorted(stack.models()) == ["chat-gpt2", "chat-phi"]
    assert "pending_operations" not in stack.export()

    lists = len(emulator.requests(LISTS))
    deployment = stack.start(*UP)
    until(lambda: len(emulator.requests(LISTS)) >= lists + 2)
    deployment.kill_engine()
    deployment.finish()
    stack.run("cancel", "--yes").ok()
    emulator.advance(BOOT_SECONDS)
    stack.up().ok()
    assert sorted(log.new(), key=str) == [(LOAD, PHI), (LOAD, GPT2)]
    assert stack.outputs()["statuses"] == {"gpt2": "RUNNING", "phi": "RUNNING"}
