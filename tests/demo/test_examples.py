"""Every example with the real CLI: up, a change, destroy."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bytez_provider.emulator import Emulator
from tests.demo.conftest import KEY
from tests.e2e.helpers import DELETE, LOAD, ROOT, Log, running
from tests.e2e.stack import Stack

EXAMPLES = sorted(path.parent.name for path in ROOT.glob("examples/*/Pulumi.yaml"))


@pytest.fixture
def checkout(tmp_path: Path, emulator: Emulator) -> Iterator[Stack]:
    """The projects of the repository beside a virtualenv, as `make setup` makes it."""
    stack = Stack(tmp_path, {"BYTEZ_KEY": KEY, "BYTEZ_ENDPOINT": emulator.url}, refresh=True)
    copy = tmp_path / "checkout"
    shutil.copytree(ROOT / "examples", copy / "examples")
    for name in ("Pulumi.yaml", "program.py"):
        shutil.copy(ROOT / name, copy / name)
    (copy / ".venv").symlink_to(sys.prefix)
    stack.project = copy
    yield stack
    stack.end()


# The file and the text to change, if the concurrency is not in the program.
ONE_MORE = {
    "fleet": ("fleet.yaml", "expectedHoursPerDay: 8", "concurrency: 2"),
    "yaml": ("Pulumi.yaml", "concurrency: 1", "concurrency: 2"),
}


@pytest.mark.parametrize("example", EXAMPLES)
def test_life_of_an_example(checkout: Stack, emulator: Emulator, example: str) -> None:
    checkout.project = checkout.project / "examples" / example
    checkout.run("stack", "init", "dev").ok()
    checkout.up().ok()
    before = running(emulator)
    assert before == {
        model["modelId"]: model["concurrency"] for model in checkout.models().values()
    }
    log = Log(emulator)

    name, now, then = ONE_MORE.get(example, ("__main__.py", "concurrency=", "concurrency=1 + "))
    source = checkout.project / name
    text = source.read_text(encoding="utf-8")
    assert text.count(now) == 1
    source.write_text(text.replace(now, then), encoding="utf-8")
    checkout.up().ok()
    assert sum(running(emulator).values()) == sum(before.values()) + 1
    assert [path for path, _ in log.new()] == [DELETE, LOAD]

    checkout.destroy().ok()
    assert running(emulator) == {}


def test_the_root_project_runs_as_it_is(checkout: Stack, emulator: Emulator) -> None:
    """`pulumi up` in a fresh checkout, once a key is set."""
    checkout.run("stack", "init", "dev").ok()
    checkout.up().ok()
    assert len(running(emulator)) == 3
    checkout.destroy().ok()
    assert running(emulator) == {}
