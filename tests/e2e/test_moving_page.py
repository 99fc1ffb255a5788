"""docs/moving.md, typed as it is written."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bytez_provider.emulator import Emulator
from tests.e2e.conftest import KEY
from tests.e2e.helpers import ROOT, Log, running
from tests.e2e.stack import COMMAND_SECONDS, Stack

PAGE = (ROOT / "docs" / "moving.md").read_text(encoding="utf-8")
ALL = {"openai-community/gpt2": 2, "microsoft/phi-1": 1, "facebook/opt-1.3b": 1}


def section(title: str) -> str:
    """Return a section of the page."""
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def blocks(text: str) -> Iterator[tuple[str, str]]:
    """Yield the blocks of code in a text, with their languages."""
    for indent, language, code in re.findall(
        r"^( *)```(\w+)\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL
    ):
        yield language, re.sub(f"^{indent}", "", code, flags=re.MULTILINE)


@pytest.fixture
def project(tmp_path: Path, emulator: Emulator) -> Iterator[Stack]:
    """A project in Python named `models`, with `.venv`, whose commands are on PATH."""
    env = {"BYTEZ_KEY": KEY, "BYTEZ_ENDPOINT": emulator.url}
    project = Stack(tmp_path, env, refresh=True)
    project.env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{project.env['PATH']}"
    (project.project / ".venv").symlink_to(sys.prefix)
    project.run("stack", "rm", "--yes", "dev").ok()
    settings = next(
        text for kind, text in blocks(section("From native to dynamic")) if kind == "yaml"
    )
    (project.project / "Pulumi.yaml").write_text(settings)
    project.run("stack", "init", "dev").ok()
    yield project
    project.end()


def follow(project: Stack, title: str) -> None:
    """Write the files and type the commands of a section."""
    for language, text in blocks(section(title)):
        if language == "python":
            (project.project / "__main__.py").write_text(text)
        elif language == "yaml":
            (project.project / "Pulumi.yaml").write_text(text)
        else:
            for line in text.splitlines():
                type_in(project, line.removeprefix("$ "))


def type_in(project: Stack, line: str) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", line],
        cwd=project.project,
        env=project.env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"


def test_every_step(project: Stack, emulator: Emulator) -> None:
    follow(project, "From dynamic to native")
    assert running(emulator) == ALL
    log = Log(emulator)
    follow(project, "From native to dynamic")
    assert (log.new(), running(emulator)) == ([], ALL)
    assert sum(one["loads"] for one in emulator.ledger().values()) == len(ALL)
    project.destroy().ok()
    assert running(emulator) == {}
