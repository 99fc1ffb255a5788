"""The job of a pull request from a fork, with the real Pulumi and without any secret."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.workflows.conftest import Repository, Runner
from tests.workflows.workflow import VALUES, Done, step, steps

FLEET = """\
defaults: {concurrency: 1}
models:
  coder: {modelId: deepseek-ai/deepseek-coder-1.3b-instruct, expectedHoursPerDay: 8}
  chat: {modelId: openai-community/gpt2}
"""
OVERLAY = "models: {coder: {concurrency: 2}}\n"
CONFIG = """\
encryptionsalt: v1:0SOyZe7eMWU=:v1:nFXzZj5eEJAxZUla:163UStYyg0xjGG7W1iuAyZrl9XJfYA==
config:
  bytez:key:
    secure: v1:0MyCDW8w91YIvgWv:hqZfjpvd7tC5qcGK2rTLh/mBlw==
  bytez:pricePerGbSecond: "0.00002"
"""
"""The stack config, encrypted with a passphrase that the job of the fork does not have."""

MARKER = next(steps("fleet-comment.yml")).env["MARKER"]


@pytest.fixture
def fork(repository: Repository) -> Repository:
    """A branch of a commit that main has moved on from."""
    repository.write("Pulumi.prod.yaml", CONFIG)
    repository.commit("The stack")
    repository.git("checkout", "--quiet", "-b", "fork")
    repository.git("checkout", "--quiet", "main")
    repository.write("fleet.yaml", FLEET)
    repository.write("fleet.prod.yaml", OVERLAY)
    repository.commit("One more model on main")
    repository.git("checkout", "--quiet", "fork")
    return repository


def merged(fork: Repository, runner: Runner) -> None:
    """Merge the branch as GitHub does, and check out the merge and its target."""
    fork.commit("A change")
    fork.git("checkout", "--quiet", "main")
    fork.git("merge", "--quiet", "--no-ff", "--strategy-option=theirs", "--message=Merge", "fork")
    source, head = f"file://{fork.folder}", str(runner.workspace / "head")
    subprocess.run(["git", "clone", "--quiet", "--depth=2", source, head], check=True)
    run(runner, "Check out the target beside it").ok()
    runner.install("head", "base")


def review(fork: Repository, runner: Runner) -> Done:
    """Run the job up to its review."""
    merged(fork, runner)
    run(runner, "Plan both, each for an empty stack").ok()
    return run(runner, "Review")


def run(runner: Runner, title: str) -> Done:
    """Run a step of the fork's job."""
    return step("fleet-review.yml", "fork", title).run(runner.workspace, runner.env, VALUES)


def test_the_merge_is_compared_with_its_target_and_a_limit_fails_the_job(
    fork: Repository, runner: Runner
) -> None:
    """A model that main has gained meanwhile is no unload."""
    fork.write("Pulumi.prod.yaml", CONFIG.replace("0.00002", "0.00001"))
    fork.write("fleet.prod.yaml", OVERLAY.replace("2", "12"))
    done = review(fork, runner)
    assert (done.code, done.err[:10]) == (3, "increase: ")
    text = (runner.workspace / "review.md").read_text(encoding="utf-8")
    assert text.splitlines()[0] == MARKER
    assert "**1 replacement**, 1 unchanged." in text
    assert "| **`batch-coder` `deepseek-ai/deepseek-coder-1.3b-instruct`** |" in text
    assert "`concurrency 2 to 12`" in text
    assert "were made without the stack's state" in text
    assert "Commit `0a1b2c3d4e5f`" in text
    assert runner.summary == text
    plan = json.loads((runner.workspace / "head.json").read_text(encoding="utf-8"))
    assert plan["config"] == {"bytez:pricePerGbSecond": "0.00001"}, "config without the secrets"


def test_a_program_that_fails_gets_a_review(fork: Repository, runner: Runner) -> None:
    fork.write("fleet.prod.yaml", "models: {coder: {concurrency: none}}\n")
    done = review(fork, runner)
    assert done.code == 1
    assert "**This `up` will fail:**" in runner.summary
    assert (runner.workspace / "review.md").exists()


def test_a_target_that_fails_is_an_error(fork: Repository, runner: Runner) -> None:
    fork.write("fleet.prod.yaml", "models: {coder: {concurrency: none}}\n")
    fork.commit("Broken")
    fork.git("checkout", "--quiet", "main")
    fork.git("merge", "--quiet", "--strategy-option=theirs", "--message=Merge", "fork")
    fork.git("checkout", "--quiet", "-B", "fork")
    fork.write("fleet.prod.yaml", OVERLAY)
    merged(fork, runner)
    done = run(runner, "Plan both, each for an empty stack")
    assert done.code == 1
    assert "concurrency" in done.out
    assert "::error::The preview of the target branch fails by itself." in done.out
