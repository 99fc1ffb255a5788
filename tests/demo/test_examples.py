"""Every example with the real CLI: up, up again, a change, a refresh, destroy."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bytez_provider.emulator import Emulator
from tests.demo.conftest import KEY
from tests.e2e.stack import Stack

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted(path.parent.name for path in ROOT.glob("examples/*/Pulumi.yaml"))
CHANGING = ("/model/load", "/model/delete")


@pytest.fixture
def checkout(tmp_path: Path, emulator: Emulator) -> Iterator[Stack]:
    """The projects of the repository in a folder with a virtualenv, as `make setup` makes one."""
    stack = Stack(tmp_path, {"BYTEZ_KEY": KEY, "BYTEZ_ENDPOINT": emulator.url}, refresh=True)
    copy = tmp_path / "checkout"
    shutil.copytree(ROOT / "examples", copy / "examples")
    for name in ("Pulumi.yaml", "__main__.py"):
        shutil.copy(ROOT / name, copy / name)
    (copy / ".venv").symlink_to(sys.prefix)
    stack.project = copy
    yield stack
    stack.end()


def loaded(emulator: Emulator) -> dict[str, int]:
    """Return what runs, and at what concurrency."""
    return {one["modelId"]: one["concurrency"] for one in emulator.instances()}


def changes(emulator: Emulator) -> int:
    """Return how many requests there were that change anything."""
    return sum(record.path in CHANGING for record in emulator.requests())


# Where an example says the concurrency of one model, when it is not in its program.
ONE_MORE = {"fleet": ("fleet.yaml", "expectedHoursPerDay: 8", "concurrency: 2")}


def test_there_are_examples() -> None:
    assert "quickstart" in EXAMPLES


@pytest.mark.parametrize("example", EXAMPLES)
def test_life_of_an_example(checkout: Stack, emulator: Emulator, example: str) -> None:
    checkout.project = checkout.project / "examples" / example
    checkout.run("stack", "init", "dev").ok()
    checkout.up().ok()
    before = loaded(emulator)
    assert before == {
        model["modelId"]: model["concurrency"] for model in checkout.models().values()
    }
    sent = changes(emulator)
    checkout.up().ok()
    checkout.refresh().ok()
    assert changes(emulator) == sent, "up again and refresh change nothing"

    name, now, then = ONE_MORE.get(example, ("__main__.py", "concurrency=", "concurrency=1 + "))
    source = checkout.project / name
    text = source.read_text(encoding="utf-8")
    assert text.count(now) == 1
    source.write_text(text.replace(now, then), encoding="utf-8")
    checkout.up().ok()
    assert sum(loaded(emulator).values()) == sum(before.values()) + 1
    assert changes(emulator) == sent + 2, "one unload and one load"

    checkout.destroy().ok()
    assert loaded(emulator) == {}


def test_root_project_runs_as_it_is(checkout: Stack, emulator: Emulator) -> None:
    """`pulumi up` in a fresh checkout, once a key is set."""
    checkout.run("stack", "init", "dev").ok()
    checkout.up().ok()
    assert len(loaded(emulator)) == 3
    emulator.advance(31 * 60)
    assert loaded(emulator) == {}
    checkout.up().ok()
    assert len(loaded(emulator)) == 3, "it refreshes, and so heals idle expiry"
    checkout.destroy().ok()
    assert loaded(emulator) == {}
