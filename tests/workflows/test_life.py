"""The trusted jobs, review, up and audit, with the real Pulumi."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bytez_provider.emulator import Emulator
from tests.e2e.helpers import mid_boot, until
from tests.e2e.stack import COMMAND_SECONDS
from tests.workflows.conftest import Repository, Runner
from tests.workflows.workflow import VALUES, Done, step, steps

KEY = "workflow-key-0123456789"
CODER = "deepseek-ai/deepseek-coder-1.3b-instruct"


@pytest.fixture
def emulator(request: pytest.FixtureRequest) -> Iterator[Emulator]:
    """An emulator with a stopped clock; a boot ends at once unless a test gives its seconds."""
    boot_seconds = getattr(request, "param", 0)
    with Emulator(keys=(KEY,), clock="manual", boot_seconds=boot_seconds) as running:
        yield running


class Fleet:
    """The repository of a fleet, checked out on a runner, with its own backend."""

    def __init__(self, runner: Runner, repository: Repository, url: str, folder: Path) -> None:
        self.runner = runner
        self.project = repository
        shutil.copytree(repository.folder, runner.workspace, dirs_exist_ok=True)
        repository.folder = runner.workspace
        runner.install(".")
        (folder / "backend").mkdir()
        runner.env |= {
            "BYTEZ_ENDPOINT": url,
            "PULUMI_BACKEND_URL": f"file://{folder / 'backend'}",
            "PULUMI_CONFIG_PASSPHRASE": "only for tests",
        }
        self.values = {
            "secrets.BYTEZ_KEY": KEY,
            # The backend here is a folder and needs none.
            "secrets.PULUMI_ACCESS_TOKEN": "",
            "vars.BYTEZ_JOURNAL": str(folder / "journal"),
            **VALUES,
        }
        self.pulumi("stack", "init", "prod")

    def pulumi(self, *arguments: str) -> str:
        """Run Pulumi outside the workflows."""
        done = subprocess.run(
            ["pulumi", *arguments, "--non-interactive"],
            executable=shutil.which("pulumi", path=self.runner.env["PATH"]),
            cwd=self.runner.workspace,
            env=self.runner.env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def state(self) -> dict[str, Any]:
        """Return the deployment in the state."""
        deployment: dict[str, Any] = json.loads(self.pulumi("stack", "export"))["deployment"]
        return deployment

    def up(self) -> Done:
        """Run the step that follows a merge."""
        return self._run("fleet-up.yml", "up", "Up")

    def review(self) -> Done:
        """Run the step for a pull request from a branch."""
        return self._run("fleet-review.yml", "branch", "Review")

    def audit(self) -> Done:
        """Run the nightly step."""
        return self._run("fleet-audit.yml", "audit", "Audit")

    def _run(self, name: str, job: str, title: str) -> Done:
        runner = self.runner
        return step(name, job, title).run(runner.workspace, runner.env, self.values)


@pytest.fixture
def fleet(runner: Runner, repository: Repository, emulator: Emulator, tmp_path: Path) -> Fleet:
    """The fleet of the example, with nothing loaded yet."""
    return Fleet(runner, repository, emulator.url, tmp_path)


def loads(emulator: Emulator) -> int:
    """Return how many loads were requested."""
    return sum(record.path == "/model/load" for record in emulator.requests())


def test_a_change_is_reviewed_merged_and_audited(fleet: Fleet, emulator: Emulator) -> None:
    fleet.up().ok()
    assert [one["modelId"] for one in emulator.instances()] == [CODER]

    fleet.project.write("fleet.prod.yaml", "models: {coder: {concurrency: 12}}\n")
    over_limit = fleet.review()
    assert over_limit.code == 3
    assert over_limit.err.splitlines()[-1].startswith("increase: ")
    first = fleet.runner.summary
    assert "`concurrency 2 to 12`" in first, "it is commented all the same"

    fleet.project.write("fleet.prod.yaml", "models: {coder: {concurrency: 3}}\n")
    reviewed = fleet.review().ok()
    review = (fleet.runner.workspace / "review.md").read_text(encoding="utf-8")
    assert review.splitlines()[0] == next(steps("fleet-comment.yml")).env["MARKER"]
    assert "**1 load, 1 replacement**" in review
    assert "### What runs now" in review
    assert fleet.runner.summary == first + review
    assert KEY not in review + reviewed.out + reviewed.err
    assert loads(emulator) == 1, "a review changes nothing"

    fleet.up().ok()
    assert {one["modelId"]: one["concurrency"] for one in emulator.instances()} == {
        CODER: 3,
        "roneneldan/TinyStories-8M": 1,
    }

    fleet.audit().ok()
    emulator.advance(31 * 60)
    assert fleet.audit().code == 3
    found = fleet.runner.summary.removeprefix(first + review)
    assert CODER in found
    assert "`pulumi up" in found, "each finding has the command that fixes it"

    fleet.up().ok()
    assert len(emulator.instances()) == 2, "what has expired is loaded again"


def test_without_a_stack_there_is_no_review(fleet: Fleet) -> None:
    fleet.pulumi("stack", "rm", "prod", "--yes")
    assert fleet.review().code == 2
    assert not (fleet.runner.workspace / "review.md").exists()


@pytest.mark.parametrize("emulator", [400], indirect=True)
def test_the_up_after_a_cancelled_one_keeps_its_load(fleet: Fleet, emulator: Emulator) -> None:
    """A runner interrupts only the process that it started; `exec` makes that Pulumi."""
    up = step("fleet-up.yml", "up", "Up")
    process = subprocess.Popen(
        up.command(fleet.runner.workspace),
        cwd=fleet.runner.workspace,
        env={**fleet.runner.env, **up.evaluated(fleet.values)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        until(lambda: mid_boot(emulator))
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=COMMAND_SECONDS)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode != 0, said
    state = fleet.state()
    assert "pending_operations" not in state
    assert [one["id"] for one in state["resources"] if one.get("id") == CODER] == [CODER]

    emulator.advance(400)
    fleet.up().ok()
    assert loads(emulator) == 1
