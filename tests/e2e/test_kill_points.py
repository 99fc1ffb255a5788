"""The provider's process killed under the real engine, and both killed: what the CLI says and does.

Every moment at which it may happen is in `tests/wire/test_kill_points.py`.
"""

from __future__ import annotations

import json

from bytez_provider.emulator import Emulator
from tests.e2e.stack import Run, Stack
from tests.e2e.test_interruption import BOOT, mid_boot, until
from tests.e2e.test_model import GPT2, ONE, loads, running

LOAD, DELETE = "/model/load", "/model/delete"


def died(run: Run) -> None:
    """Assert what the CLI says of a provider that died under it: one line, which is Pulumi's."""
    run.failed()
    diagnostics = run.stdout.split("(gpt2):")[1].split("Resources:")[0].split("\n")
    (said,) = filter(None, map(str.strip, diagnostics))
    assert said.startswith("error: error reading from server")
    assert "Traceback" not in run.output


def phases(stack: Stack) -> list[str]:
    """Return how far the journal says that each load has come."""
    records = (stack.folder / "journal").glob("record-*.json")
    return [json.loads(path.read_bytes())["phase"] for path in records]


@BOOT
def test_the_host_in_mid_boot(stack: Stack, emulator: Emulator) -> None:
    """The CLI ends with Pulumi's error, nothing is pending, and the next `up` goes on."""
    stack.program(ONE.format(concurrency=1))
    deployment = stack.start("up", "--yes", "--skip-preview")
    until(lambda: mid_boot(emulator))
    stack.kill_host()
    died(deployment.finish())
    assert stack.models() == {}
    assert "pending_operations" not in stack.export()
    assert phases(stack) == ["accepted"]

    emulator.advance(400)
    stack.up().ok()
    assert stack.models()["gpt2"]["status"] == "RUNNING"
    assert loads(emulator) == 1
    stack.up().ok()
    assert phases(stack) == ["confirmed"]
    stack.destroy().ok()
    assert running(emulator) == {}


def test_the_host_in_a_delete(stack: Stack, emulator: Emulator) -> None:
    """The resource stays in state, and the next destroy finds its load gone."""
    stack.program(ONE.format(concurrency=1))
    stack.up().ok()
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
    assert [record.path for record in emulator.requests(DELETE)] == [DELETE]


@BOOT
def test_engine_and_host_in_the_boot_of_a_replacement(stack: Stack, emulator: Emulator) -> None:
    """Locked until `pulumi cancel`; then the old one is not unloaded again, the new one goes on."""
    stack.program(ONE.format(concurrency=1))
    first = stack.start("up", "--yes", "--skip-preview")
    until(lambda: mid_boot(emulator))
    emulator.advance(400)
    first.finish().ok()
    stack.program(ONE.format(concurrency=3))
    replacing = stack.start("up", "--yes", "--skip-preview")
    until(lambda: len(emulator.requests(LOAD)) == 2)
    stack.end()
    replacing.finish().failed()

    assert "the stack is currently locked by 1 lock(s)" in stack.up().failed().output
    stack.run("cancel", "--yes").ok()
    emulator.advance(400)
    stack.up().ok()
    assert running(emulator) == {GPT2: 3}
    assert stack.models()["gpt2"]["status"] == "RUNNING"
    assert len(emulator.requests(DELETE)) == 1
    assert loads(emulator) == 2
    stack.run("refresh", "--yes", "--skip-preview", "--clear-pending-creates").ok()
    assert "pending_operations" not in stack.export()
    stack.destroy().ok()
    assert running(emulator) == {}
    assert phases(stack) == []
