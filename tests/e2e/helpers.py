"""Programs, and what the service was asked, for the tests with the real command line."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bytez_provider.emulator import Emulator
from tests.e2e.stack import COMMAND_SECONDS, Run, Stack

ROOT = Path(__file__).resolve().parents[2]
GPT2, PHI, OPT = "openai-community/gpt2", "microsoft/phi-1", "facebook/opt-1.3b"
LOAD, DELETE, STATUS, LISTS = "/model/load", "/model/delete", "/model/status", "/model/instances"
CHANGING = (LOAD, DELETE)
UP = ("up", "--yes", "--skip-preview")
BOOT_SECONDS = 400
SLOW = pytest.mark.parametrize("emulator", [BOOT_SECONDS], indirect=True)
"""Boots take emulated time, so that a test can act in the middle of one."""

ERROR = re.compile(r"error: could not [a-z ]+( '[^']+')?: .+\. .+\. .+\.$")
FLEET = """\
fleet = bytez.Fleet("chat", models={{
{models}
}}{more})
pulumi.export("statuses", fleet.statuses)
pulumi.export("ram", fleet.total_required_ram_gb)
"""


def one(concurrency: object = 1) -> str:
    """Return a program with one model."""
    return f'bytez.Model("gpt2", model_id="{GPT2}", concurrency={concurrency})'


def fleet(more: str = "", **models: str) -> str:
    """Return a program with one fleet; a model is given as its id and its other arguments."""
    lines = []
    for key, text in models.items():
        model_id, _, given = text.partition(", ")
        lines.append(f'    "{key}": bytez.ModelArgs(model_id="{model_id}", {given}),')
    return FLEET.format(models="\n".join(lines), more=more)


class Log:
    """The requests that change something, since the last look."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._seen = len(emulator.requests())

    def new(self) -> list[tuple[str, str | None]]:
        """Return path and model of each change since the last call, in order."""
        fresh = self._emulator.requests()[self._seen :]
        self._seen += len(fresh)
        return [(record.path, record.model) for record in fresh if record.path in CHANGING]


def loads(emulator: Emulator, model_id: str = GPT2) -> int:
    """Return how many loads of the model the ledger of the emulator has."""
    return int(emulator.ledger()[model_id]["loads"])


def running(emulator: Emulator) -> dict[str, int]:
    """Return the concurrency of each loaded model."""
    return {one["modelId"]: one["concurrency"] for one in emulator.instances()}


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that another process does."""
    deadline = time.monotonic() + COMMAND_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.05)


def mid_boot(emulator: Emulator) -> bool:
    """Return whether the provider has read a status since the load was accepted."""
    paths = [record.path for record in emulator.requests()]
    return LOAD in paths and STATUS in paths[paths.index(LOAD) :]


def sentence(run: Run) -> str:
    """Return the only error line under Diagnostics, after the checks that hold for every error."""
    run.failed()
    diagnostics = run.stdout.split("Diagnostics:")[1]
    ours = [line.strip() for line in diagnostics.splitlines() if "could not" in line]
    assert len(ours) == 1, diagnostics
    assert "bytez_provider" not in run.output, "a frame of ours is shown"
    assert "Traceback" not in "".join(run.lines("bytez")), run.output
    assert ERROR.match(ours[0]), ours[0]
    return ours[0].removeprefix("error: ")


def bytez_fleet(stack: Stack, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `bytez-fleet` in the folder of the project."""
    return subprocess.run(
        [sys.executable, "-m", "bytez_provider.cli", *arguments],
        cwd=stack.project,
        env={**stack.env, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        encoding="utf-8",
        timeout=COMMAND_SECONDS,
        check=False,
    )


def process_arguments(stack: Stack) -> list[str]:
    """Return the command line of every process that runs for a stack."""
    marker = f"PULUMI_HOME={stack.env['PULUMI_HOME']}\0".encode()
    lines = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if marker in (path / "environ").read_bytes():
                line = (path / "cmdline").read_bytes()
                lines.append(line.replace(b"\0", b" ").decode(errors="replace"))
    return lines
