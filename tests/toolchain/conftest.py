"""A language host and a project to run in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.toolchain.engine import Engine, Lifeline

EXECUTOR = """
import json, os, runpy, sys
seen = {"arguments": sys.argv[1:], "environment": dict(os.environ), "python": sys.executable}
with open(os.environ["NOTED"], "w") as file:
    json.dump(seen, file)
runpy.run_path(os.path.join(sys.argv[sys.argv.index("--pwd") + 1], "__main__.py"))
"""
"""Replaces pulumi-language-python-exec: it notes its arguments and runs the program."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The folder of a project."""
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    executor = tmp_path / "executor.py"
    executor.write_text(EXECUTOR)
    with Engine(executor, {"NOTED": str(tmp_path / "noted.json")}) as started:
        yield started


@pytest.fixture
def lifeline(tmp_path: Path) -> Iterator[Lifeline]:
    opened = Lifeline(tmp_path / "lifeline")
    yield opened
    opened.close()
