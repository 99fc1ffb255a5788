"""The key is where it must be, and nowhere else."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from bytez_provider.emulator import Emulator
from tests.e2e.conftest import KEY
from tests.e2e.stack import Stack
from tests.e2e.test_interruption import mid_boot, until
from tests.e2e.test_model import ONE


def process_arguments() -> list[str]:
    """Return the command line of every process of this machine."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            lines.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return lines


@pytest.mark.parametrize("source", ["environment", "stack config"])
@pytest.mark.parametrize("emulator", [400], indirect=True)
def test_key_is_in_nothing_that_is_kept_or_shown(
    stack: Stack, emulator: Emulator, source: str
) -> None:
    """Plain state, backend, event log, preview, debug output, journal, arguments."""
    if source == "stack config":
        stack.env.pop("BYTEZ_KEY")
        stack.run("config", "set", "--secret", "bytez:key", KEY).ok()
    stack.env["PULUMI_DEBUG_COMMANDS"] = "true"
    stack.program(ONE.format(concurrency=1))
    outputs = [stack.run("preview", "--json").ok().output]
    deployment = stack.start(
        "up", "--yes", "--skip-preview", "--event-log", "events.json", "--debug", "--logflow"
    )
    until(lambda: mid_boot(emulator))
    arguments = process_arguments()
    journal = [path for path in (stack.folder / "journal").iterdir() if path.is_file()]
    kept = [path.read_text() for path in journal]
    emulator.advance(400)
    outputs.append(deployment.finish().ok().output)
    emulator.set_faults([{"do": {"respond": {"status": 400, "body": {"error": f"bad {KEY}"}}}}])
    outputs.append(stack.destroy().failed().output)
    outputs.append(stack.run("stack", "export").ok().output)
    files = [stack.project / "events.json", *stack.folder.glob("backend/**/*.json")]
    kept += [path.read_text() for path in files]

    assert any("pulumi.dynamic" in line for line in arguments)
    assert "/model/load" not in outputs[0]
    assert len(journal) == 1
    assert len(files) >= 2
    assert [text for text in arguments + outputs + kept if KEY in text] == []


def test_provider_in_state_is_a_short_reference(stack: Stack, emulator: Emulator) -> None:
    """A class pickled by reference, not encrypted, not by value."""
    stack.program(ONE.format(concurrency=1))
    stack.up().ok()
    pickled = stack.models()["gpt2"]["__provider"]
    assert isinstance(pickled, str)
    assert len(pickled) <= 80
    assert len(emulator.instances()) == 1
