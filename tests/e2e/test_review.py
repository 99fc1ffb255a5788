"""A branch that adds, scales and removes a model and breaks a rule, reviewed in every way.

The golden files are what a reviewer reads. To rewrite them, set BYTEZ_WRITE_GOLDEN=1, and look at
what changed.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from bytez_provider.emulator import Emulator
from tests.e2e.conftest import KEY
from tests.e2e.stack import COMMAND_SECONDS, MODEL_TYPE, Stack

REPOSITORY = Path(__file__).resolve().parents[2]
PACK = REPOSITORY / "examples" / "policy-pack"
GOLDEN = Path(__file__).parent / "golden"

MAIN = """
bytez.Model("stays", model_id="microsoft/phi-1", expected_hours_per_day=8)
scaled = bytez.Model("scaled", model_id="openai-community/gpt2")
bytez.Model("expired", model_id="facebook/opt-1.3b", expiration_period_seconds=600)
bytez.Model("removed", model_id="databricks/dolly-v2-3b")
bytez.Model("after", model_id="bigscience/bloom-560m",
    opts=pulumi.ResourceOptions(depends_on=[scaled]))
"""
BRANCH = """
bytez.Model("stays", model_id="microsoft/phi-1", expected_hours_per_day=8)
scaled = bytez.Model("scaled", model_id="openai-community/gpt2", concurrency=3)
bytez.Model("expired", model_id="facebook/opt-1.3b", expiration_period_seconds=600)
bytez.Model("after", model_id="bigscience/bloom-560m",
    opts=pulumi.ResourceOptions(depends_on=[scaled]))
bytez.Model("added", model_id="EleutherAI/pythia-1b")
"""


@dataclass(frozen=True)
class Finished:
    """What `bytez-fleet review` printed."""

    code: int
    out: str
    err: str


class Reviewer:
    """Reviews the branch of a stack, in the folder of its project."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack

    def review(self, *arguments: str, **env: str) -> Finished:
        done = subprocess.run(
            [sys.executable, "-m", "bytez_provider.cli", "review", *arguments],
            cwd=self.stack.project,
            env={**self.stack.env, "PYTHONPATH": str(REPOSITORY), **env},
            capture_output=True,
            encoding="utf-8",
            timeout=COMMAND_SECONDS,
            check=False,
        )
        return Finished(done.returncode, done.stdout, done.stderr)

    def saved(self, name: str, *arguments: str, **env: str) -> str:
        """Save what `pulumi preview --json` prints, as CI does."""
        self.stack.env |= env
        done = self.stack.run("preview", "--json", *arguments)
        for key in env:
            del self.stack.env[key]
        (self.stack.project / name).write_text(done.stdout, encoding="utf-8")
        return name


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """An emulator that starts at a whole second, like its `Date`: ages are always the same."""
    start = datetime.now(timezone.utc).replace(microsecond=0)
    with Emulator(keys=(KEY,), clock="manual", boot_seconds=0, start=start) as running:
        yield running


@pytest.fixture
def policies(tmp_path: Path) -> list[str]:
    """The arguments that run the pack of the examples."""
    config = tmp_path / "policies.json"
    config.write_text(json.dumps({"bytez-model-concurrency": {"maxConcurrency": 2}}))
    return ["--policy-pack", str(PACK), "--policy-pack-config", str(config)]


@pytest.fixture
def reviewer(stack: Stack, emulator: Emulator) -> Reviewer:
    """A stack of `main` in which one model has expired since, and the program of the branch."""
    stack.program(MAIN)
    stack.up().ok()
    emulator.advance(700)
    stack.program(BRANCH)
    return Reviewer(stack)


@pytest.fixture
def unchanged(reviewer: Reviewer, emulator: Emulator) -> Iterator[None]:
    """Check that a review sends no request that changes anything."""
    assert reviewer.stack.models()  # It is up: the requests from here on are the review's.
    before = len(emulator.requests())
    yield
    asked = {one.path for one in emulator.requests()[before:]}
    assert asked.isdisjoint({"/model/load", "/model/delete", "/model/run"})


def check_golden(name: str, text: str) -> None:
    """Compare a comment with its golden file; only the time of the plan differs in each run."""
    text = re.sub(r"planned at \d{4}-\S+Z", "planned at <time>", text)
    path = GOLDEN / f"{name}.md"
    if os.environ.get("BYTEZ_WRITE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


MARKDOWN = ("--format", "md", "--commit", "0a1b2c3")
STREAMING = {"PULUMI_ENABLE_STREAMING_JSON_PREVIEW": "true"}


@pytest.mark.usefixtures("unchanged")
def test_a_saved_digest(reviewer: Reviewer) -> None:
    plan = reviewer.saved("plan.json")
    done = reviewer.review("--plan", plan, *MARKDOWN)
    assert done.code == 0, done.err
    check_golden("digest", done.out)
    done = reviewer.review("--plan", plan, "--max-monthly", "1", "--fail-on", "violation")
    # The digest carries no policy results, and a limit is a limit.
    assert (done.code, done.err.splitlines()[-1][:9]) == (3, "monthly: ")


@pytest.mark.usefixtures("unchanged")
def test_saved_events_carry_the_policies(reviewer: Reviewer, policies: list[str]) -> None:
    plan = reviewer.saved("plan.jsonl", *policies, **STREAMING)
    done = reviewer.review("--plan", plan, *MARKDOWN)
    assert done.code == 1  # A mandatory policy is broken: the `up` would fail.
    check_golden("events", done.out)
    done = reviewer.review("--plan", plan, "--fail-on", "violation", "--fail-on", "replace")
    assert done.code == 3
    findings = [line for line in done.err.splitlines() if line.startswith(("viol", "repl"))]
    assert len(findings) == 2
    assert "scaled" in findings[0]


@pytest.mark.usefixtures("unchanged")
def test_a_preview_by_the_automation_api(reviewer: Reviewer, policies: list[str]) -> None:
    done = reviewer.review("--stack", "dev", *policies, *MARKDOWN)
    assert done.code == 1, done.err
    check_golden("preview", done.out)
    done = reviewer.review("--stack", "dev", *policies, "--fail-on", "violation", "--json")
    assert done.code == 3
    document: dict[str, Any] = json.loads(done.out)
    models = {one["name"]: one for one in document["models"]}
    assert {name: one["action"] for name, one in models.items()} == {
        "added": "load",
        "after": "keep",
        "expired": "load",
        "removed": "unload",
        "scaled": "replace",
        "stays": "keep",
    }
    assert [name for name, one in models.items() if one["isAnyway"]] == ["expired"]
    assert models["scaled"]["dependents"] == ["after"]
    assert [one["policy"] for one in models["scaled"]["brokenRules"]] == ["bytez-model-concurrency"]
    assert KEY not in done.out + done.err


def gaps(reviewer: Reviewer, plan: str) -> dict[str, list[str]]:
    """Return the models that a review reports as left out of a saved plan, by the reason."""
    document = json.loads(reviewer.review("--plan", plan, "--json").out)
    reviewed = {one["name"] for one in document["models"]}
    found = {one["code"]: one["models"] for one in document["gaps"]}
    assert all(reviewed.isdisjoint(models) for models in found.values())
    assert (document["counts"]["unchanged"] is None) == bool(found)
    return found


@pytest.mark.parametrize("form", [{}, STREAMING])
@pytest.mark.parametrize("flag", ["--target", "--exclude", "--target-replace"])
def test_models_skipped_by_target_are_reported(
    reviewer: Reviewer, flag: str, form: dict[str, str]
) -> None:
    urn = f"urn:pulumi:dev::fleet::{MODEL_TYPE}::scaled"
    plan = reviewer.saved("plan.json", "--show-sames", flag, urn, **form)
    others = ["added", "after", "expired", "removed", "stays"]
    assert gaps(reviewer, plan) == {"targeted": ["scaled"] if flag == "--exclude" else others}


@pytest.mark.parametrize("form", [{}, STREAMING])
def test_models_that_a_failed_preview_did_not_reach_are_reported(
    reviewer: Reviewer, form: dict[str, str]
) -> None:
    reviewer.stack.program(BRANCH + "\nraise SystemExit('boom')")
    plan = reviewer.saved("plan.json", "--show-sames", **form)
    assert gaps(reviewer, plan) == {"failed": ["removed"]}


def test_an_expired_model_that_is_no_longer_declared(reviewer: Reviewer) -> None:
    """A digest shows neither what a refresh found nor, unless it is asked to, what stays."""
    reviewer.stack.program("\n".join(one for one in BRANCH.split("\n") if "expired" not in one))
    plan = reviewer.saved("plan.json")
    assert gaps(reviewer, plan) == {"goneUnclear": ["after", "expired", "stays"]}
    for plan in (
        reviewer.saved("sames.json", "--show-sames"),
        reviewer.saved("events.json", **STREAMING),
    ):
        assert gaps(reviewer, plan) == {}
        document = json.loads(reviewer.review("--plan", plan, "--json").out)
        actions = {one["name"]: (one["action"], one["isAnyway"]) for one in document["models"]}
        assert actions["expired"] == ("forget", True)
        assert actions["stays"] == ("keep", False)


def test_without_a_key_nothing_is_refreshed(reviewer: Reviewer, emulator: Emulator) -> None:
    asked = len(emulator.requests())
    done = reviewer.review("--stack", "dev", *MARKDOWN, BYTEZ_KEY="")
    assert done.code == 0, done.err
    check_golden("without-a-key", done.out)
    assert len(emulator.requests()) == asked


def test_the_selected_stack_remains_selected(reviewer: Reviewer) -> None:
    reviewer.stack.run("stack", "init", "other").ok()
    assert reviewer.review("--stack", "dev").code == 0
    listed = json.loads(reviewer.stack.run("stack", "ls", "--json").ok().stdout)
    assert [one["name"] for one in listed if one["current"]] == ["other"]


def test_a_protected_model_that_is_replaced_fails_the_up(reviewer: Reviewer) -> None:
    protected = ", opts=pulumi.ResourceOptions(protect=True))"
    reviewer.stack.program(MAIN.replace('gpt2")', f'gpt2"{protected}'))
    reviewer.stack.up().ok()
    reviewer.stack.program(BRANCH.replace("concurrency=3)", f"concurrency=3{protected}"))
    done = reviewer.review("--stack", "dev", "--format", "md")
    assert done.code == 1
    assert "**This `up` will fail:** `scaled: it is protected, and would be replaced`" in done.out


def test_a_program_that_fails_is_reported_in_one_line(reviewer: Reviewer) -> None:
    reviewer.stack.program('bytez.Model("a", model_id="openai-community/gpt3")')
    done = reviewer.review("--stack", "dev", "--format", "md")
    assert done.code == 1
    assert "**This `up` will fail:** `a: " in done.out
    assert "gpt2" in done.out


def test_ctrl_c_ends_a_preview_silently_and_leaves_no_files(reviewer: Reviewer) -> None:
    reached = reviewer.stack.folder / "reached"
    reviewer.stack.program(f"import time\nopen({str(reached)!r}, 'w').close()\ntime.sleep(600)")
    temporary = reviewer.stack.folder / "tmp"
    temporary.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "bytez_provider.cli", "review", "--stack", "dev"],
        cwd=reviewer.stack.project,
        env={**reviewer.stack.env, "PYTHONPATH": str(REPOSITORY), "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        start_new_session=True,
    )
    deadline = time.monotonic() + COMMAND_SECONDS
    while not reached.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    done = process.communicate(timeout=COMMAND_SECONDS)
    assert (process.returncode, done) == (130, ("", ""))
    assert not list(temporary.glob("**/events.jsonl"))


def test_a_stack_that_is_not_there_is_an_error(reviewer: Reviewer) -> None:
    done = reviewer.review("--stack", "none")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("could not read the configuration of stack 'none': ")
