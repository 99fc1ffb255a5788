"""A workspace like that of a runner: a checkout and a home, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.stack import pulumi_path
from tests.workflows.workflow import ROOT


class Runner:
    """A machine that runs steps in `workspace`, with the environment `env`."""

    def __init__(self, folder: Path) -> None:
        self.workspace = folder / "workspace"
        self.workspace.mkdir()
        temporary = folder / "runner-temp"
        temporary.mkdir()
        self._summary = folder / "summary.md"
        self.env = {
            "PATH": pulumi_path(),
            "HOME": str(folder),
            # The CLI goes by the account, not by HOME: a login would change that of the user.
            "PULUMI_HOME": str(folder / "pulumi"),
            "RUNNER_TEMP": str(temporary),
            "GITHUB_STEP_SUMMARY": str(self._summary),
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        }

    @property
    def summary(self) -> str:
        """The summary of the job so far."""
        return self._summary.read_text(encoding="utf-8")

    def install(self, *checkouts: str) -> None:
        """Do the work of the steps called "Install" without a registry."""
        for checkout in checkouts:
            (self.workspace / checkout / ".venv").symlink_to(sys.prefix)


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    """A machine with nothing on it."""
    return Runner(tmp_path)


class Repository:
    """A repository with the example of a fleet."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.git("init", "--quiet", "--initial-branch=main")
        for path in (ROOT / "examples" / "fleet").glob("*.*"):
            text = path.read_text(encoding="utf-8").replace("../../.venv", ".venv")
            (folder / path.name).write_text(text, encoding="utf-8")
        self.commit("The fleet")

    def git(self, *arguments: str) -> str:
        """Run git in it."""
        who = ["-c", "user.name=nobody", "-c", "user.email=nobody@example.org"]
        done = subprocess.run(
            ["git", *who, *arguments], cwd=self.folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def read(self, name: str) -> str:
        """Return the content of a file."""
        return (self.folder / name).read_text(encoding="utf-8")

    def write(self, name: str, text: str) -> None:
        """Write a file."""
        (self.folder / name).write_text(text, encoding="utf-8")

    def commit(self, message: str) -> None:
        """Commit everything."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """A repository whose main branch has the fleet."""
    return Repository(tmp_path / "repository")
