"""A branch, its merge and a night: the trusted jobs' own steps, with the real Pulumi."""

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
from tests.workflows.workflow import Done, step, steps

KEY = "workflow-key-0123456789"
CODER = "deepseek-ai/deepseek-coder-1.3b-instruct"


@pytest.fixture
def emulator(request: pytest.FixtureRequest) -> Iterator[Emulator]:
    """An emulator whose time stands still; a boot ends at once unless a test gives its seconds."""
    boot_seconds = getattr(request, "param", 0)
    with Emulator(keys=(KEY,), clock="manual", boot_seconds=boot_seconds) as running:
        yield running


class Fleet:
    """A fleet's repository, checked out on a runner, with a backend of its own."""

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
            # The backend is a folder here, and needs none.
            "secrets.PULUMI_ACCESS_TOKEN": "",
            "vars.BYTEZ_JOURNAL": str(folder / "journal"),
            "github.event.pull_request.head.sha": "0a1b2c3d4e5f",
            "github.server_url": "https://github.com",
            "github.repository": "example/fleet",
            "github.run_id": "42",
        }
        self.pulumi("stack", "init", "prod")

    def pulumi(self, *arguments: str) -> str:
        """Run Pulumi beside the workflows."""
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
        """Run the step of the merge."""
        return self._run("fleet-up.yml", "up", "Up")

    def review(self) -> Done:
        """Run the step of a pull request from a branch."""
        return self._run("fleet-review.yml", "branch", "Review")

    def audit(self) -> Done:
        """Run the step of the night."""
        return self._run("fleet-audit.yml", "audit", "Audit")

    def _run(self, name: str, job: str, title: str) -> Done:
        runner = self.runner
        return step(name, job, title).run(runner.workspace, runner.env, self.values)


@pytest.fixture
def fleet(runner: Runner, repository: Repository, emulator: Emulator, tmp_path: Path) -> Fleet:
    """The fleet of the example, with nothing loaded yet."""
    return Fleet(runner, repository, emulator.url, tmp_path)


def loads(emulator: Emulator) -> int:
    """Return how many loads were asked for."""
    return sum(record.path == "/model/load" for record in emulator.requests())


def test_reviewed_merged_and_audited(fleet: Fleet, emulator: Emulator) -> None:
    fleet.up().ok()
    assert [one["modelId"] for one in emulator.instances()] == [CODER]

    fleet.project.write("fleet.prod.yaml", "models: {coder: {concurrency: 3}}\n")
    told = fleet.review().ok()
    review = (fleet.runner.workspace / "review.md").read_text(encoding="utf-8")
    assert review.splitlines()[0] == next(steps("fleet-comment.yml")).env["MARKER"]
    assert "**1 load, 1 replacement**" in review
    assert "### What runs now" in review
    assert fleet.runner.summary == review
    assert KEY not in review + told.out + told.err
    assert loads(emulator) == 1, "a review changes nothing"

    fleet.up().ok()
    assert {one["modelId"]: one["concurrency"] for one in emulator.instances()} == {
        CODER: 3,
        "roneneldan/TinyStories-8M": 1,
    }

    fleet.audit().ok()
    emulator.advance(31 * 60)
    assert fleet.audit().code == 3
    found = fleet.runner.summary.removeprefix(review)
    assert CODER in found
    assert "`pulumi up" in found, "beside what was found stands what mends it"

    fleet.up().ok()
    assert len(emulator.instances()) == 2, "what has expired is loaded again"


def test_a_limit_that_is_passed_fails_the_review_and_is_commented_all_the_same(
    fleet: Fleet,
) -> None:
    fleet.project.write("fleet.prod.yaml", "models: {coder: {concurrency: 12}}\n")
    told = fleet.review()
    assert told.code == 3
    assert told.err.splitlines()[-1].startswith("increase: ")
    assert (fleet.runner.workspace / "review.md").stat().st_size > 0


def test_without_a_stack_there_is_no_review(fleet: Fleet) -> None:
    fleet.pulumi("stack", "rm", "prod", "--yes")
    assert fleet.review().code == 2
    assert not (fleet.runner.workspace / "review.md").exists()


@pytest.mark.parametrize("emulator", [400], indirect=True)
def test_a_cancelled_up_is_gone_on_with_by_the_next(fleet: Fleet, emulator: Emulator) -> None:
    """A runner interrupts the process that it started, and no other; `exec` makes that Pulumi."""
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
