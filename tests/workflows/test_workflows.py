"""The workflow files: linted, pinned, with commands that exist, and safe for forks."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.workflows.workflow import (
    BASH,
    BIN,
    EXAMPLE,
    EXPRESSION,
    FOLDER,
    NAMES,
    ROOT,
    Step,
    help_of,
    options_in,
    read,
)
from tests.workflows.workflow import steps as steps_of

STEPS = [step for name in NAMES for step in steps_of(name)]
PINNED = re.compile(r"uses: ([a-z-]+/[a-z-]+)@([0-9a-f]{40}) # v(\d+\.\d+\.\d+)$", re.MULTILINE)


def lint(folder: Path) -> list[dict[str, object]]:
    """Return the findings of zizmor's pedantic persona, without the ignored ones."""
    command = [str(BIN / "zizmor"), "--offline", "--no-config", "--persona=pedantic"]
    done = subprocess.run(
        [*command, "--strict-collection", "--format=json", "--quiet", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    found: list[dict[str, object]] = json.loads(done.stdout)
    assert (done.returncode == 0) is (found == []), done.stderr
    return found


def fits_the_schema(path: Path) -> bool:
    """Return whether a workflow fits the schema that comes with check-jsonschema."""
    command = [str(BIN / "check-jsonschema"), "--builtin-schema", "vendor.github-workflows"]
    return subprocess.run([*command, str(path)], capture_output=True, check=False).returncode == 0


def test_zizmor_finds_nothing() -> None:
    assert lint(EXAMPLE) == []


def test_zizmor_would_find_a_checkout_that_keeps_its_credentials(tmp_path: Path) -> None:
    """The tests below hold triggers, permissions, pins and expressions by themselves."""
    folder = tmp_path / ".github" / "workflows"
    shutil.copytree(FOLDER, folder)
    up = folder / "fleet-up.yml"
    text = up.read_text(encoding="utf-8")
    up.write_text(text.replace("persist-credentials: false", "clean: true"), encoding="utf-8")
    assert {one["ident"] for one in lint(tmp_path)} == {"artipacked"}


@pytest.mark.parametrize("name", NAMES)
def test_fits_the_schema_of_workflows(name: str, tmp_path: Path) -> None:
    assert fits_the_schema(FOLDER / name)
    wrong = tmp_path / name
    text = (FOLDER / name).read_text(encoding="utf-8")
    wrong.write_text(text.replace("timeout-minutes:", "timeout-minute:"), encoding="utf-8")
    assert not fits_the_schema(wrong)


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.where)
def test_the_shell_can_read_it(step: Step) -> None:
    done = subprocess.run(
        [*BASH, "-n"], input=step.script, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_actions_are_pinned_and_few() -> None:
    text = "".join((FOLDER / name).read_text(encoding="utf-8") for name in NAMES)
    pins = PINNED.findall(text)
    assert len(pins) == text.count("uses:")
    assert {name for name, _, _ in pins} == {
        "actions/checkout",
        "actions/setup-python",
        "actions/upload-artifact",
        "aws-actions/configure-aws-credentials",
    }
    assert len(set(pins)) == 4, "one version of each"


def commands(script: str) -> Iterator[tuple[str, list[str], set[str]]]:
    """Yield program, subcommand and options of each command of ours and of Pulumi's."""
    for line in script.replace("\\\n", " ").splitlines():
        if not re.search(r"(^|[ /])(bytez-fleet|pulumi) ", line):
            continue
        # `;` and others are separate words.
        words = list(shlex.shlex(line, posix=True, punctuation_chars=True))
        for start, word in enumerate(words):
            program = word.rsplit("/", 1)[-1]
            if program not in ("bytez-fleet", "pulumi") or "=" in word:
                continue
            rest = words[start + 1 :]
            end = next((at for at, one in enumerate(rest) if re.match(r"[;|&<>]", one)), len(rest))
            given = rest[:end]
            options = next((at for at, one in enumerate(given) if "-" in one[:2]), len(given))
            verb = [one for one in given[:options] if re.fullmatch("[a-z]+", one)]
            flags = {one.split("=")[0] for one in given if one.startswith("--")}
            yield program, verb, flags


def test_commands_and_their_options_exist() -> None:
    found: dict[tuple[str, ...], set[str]] = {}
    for step in STEPS:
        for program, verb, flags in commands(step.script):
            found.setdefault((program, *verb), set()).update(flags)
    assert set(found) == {
        ("bytez-fleet", "audit"),
        ("bytez-fleet", "review"),
        ("pulumi", "login"),
        ("pulumi", "preview"),
        ("pulumi", "stack", "init"),
        ("pulumi", "up"),
    }
    for (program, *verb), flags in found.items():
        assert flags <= options_in(help_of(program, *verb)), f"{program} {' '.join(verb)}"


def test_the_marker_names_the_project_and_the_stack_of_the_example() -> None:
    project = (ROOT / "examples" / "fleet" / "Pulumi.yaml").read_text(encoding="utf-8")
    name = re.findall(r"^name: (.+)$", project, re.MULTILINE)[0]
    (stack,) = {step.env["STACK"] for step in STEPS if "$STACK" in step.script}
    (marker,) = {step.env["MARKER"] for step in STEPS if "MARKER" in step.env}
    assert marker == f"<!-- bytez-fleet review of {name}/{stack} -->"


def test_the_comment_follows_the_review() -> None:
    comment = read("fleet-comment.yml")["on"]["workflow_run"]
    assert comment == {"workflows": [read("fleet-review.yml")["name"]], "types": ["completed"]}


def test_no_expression_is_part_of_a_script() -> None:
    assert [step.where for step in STEPS if EXPRESSION.search(step.script)] == []


def test_no_code_of_a_pull_request_runs_with_the_rights_of_the_target() -> None:
    triggers = {name: set(read(name)["on"]) for name in NAMES}
    assert not any("pull_request_target" in those for those in triggers.values())
    assert [name for name in NAMES if "pull_request" in triggers[name]] == ["fleet-review.yml"]
    assert [name for name in NAMES if "workflow_run" in triggers[name]] == ["fleet-comment.yml"]
    comment = (FOLDER / "fleet-comment.yml").read_text(encoding="utf-8")
    assert "uses:" not in comment, "it checks nothing out"
    assert "secrets." not in comment


def test_the_job_that_runs_code_of_a_fork_has_no_secret() -> None:
    jobs = read("fleet-review.yml")["jobs"]
    same = "github.event.pull_request.head.repo.full_name {} github.repository"
    assert jobs["branch"]["if"] == same.format("==")
    fork = jobs["fork"]
    assert fork["if"] == same.format("!=")
    assert set(EXPRESSION.findall(json.dumps(fork))) == {"!cancelled()"}
    assert fork["permissions"] == {"contents": "read"}
    assert "environment" not in fork
    assert set(read("fleet-review.yml")["env"]) == {"STACK", "COMMIT", "LINK"}


def test_each_job_has_only_the_permissions_that_it_needs() -> None:
    jobs = {
        (name, job): (document["permissions"], content["permissions"])
        for name in NAMES
        for document in [read(name)]
        for job, content in document["jobs"].items()
    }
    assert {at: may for at, (by_default, may) in jobs.items() if by_default == {}} == {
        ("fleet-audit.yml", "audit"): {"contents": "read", "id-token": "write"},
        ("fleet-comment.yml", "comment"): {"actions": "read", "pull-requests": "write"},
        ("fleet-review.yml", "branch"): {"contents": "read", "id-token": "write"},
        ("fleet-review.yml", "fork"): {"contents": "read"},
        ("fleet-up.yml", "up"): {"contents": "read", "id-token": "write"},
    }


def test_a_key_is_given_only_to_the_step_that_needs_it() -> None:
    for name in NAMES:
        for job in read(name)["jobs"].values():
            with_secrets = [one["name"] for one in job["steps"] if "secrets." in json.dumps(one)]
            assert with_secrets in ([], ["Review"], ["Up"], ["Audit"])
            elsewhere = {key: value for key, value in job.items() if key != "steps"}
            assert "secrets." not in json.dumps(elsewhere)


def test_only_the_step_that_needs_the_bucket_runs_after_the_sign_in() -> None:
    """The credentials are in the environment of each later step."""
    signed_in = []
    for name in NAMES:
        for job in read(name)["jobs"].values():
            steps = job["steps"]
            at = next(
                (n for n, one in enumerate(steps) if "aws-actions/" in one.get("uses", "")), None
            )
            assert (at is not None) is ("id-token" in job["permissions"])
            assert (at is not None) is ("BYTEZ_JOURNAL" in json.dumps(job))
            if at is None:
                continue
            signed_in.append(name)
            assert "environment" in job, "only this job can get the role"
            assert steps[at]["with"] == {
                "role-to-assume": "${{ vars.AWS_ROLE }}",
                "aws-region": "${{ vars.AWS_REGION }}",
            }
            assert steps[at]["if"] == "startsWith(vars.BYTEZ_JOURNAL, 's3://')"
            assert "BYTEZ_JOURNAL" in steps[at + 1]["env"]
            later = [one.get("uses", "").partition("@")[0] for one in steps[at + 2 :]]
            assert later in ([], ["actions/upload-artifact"])
    assert signed_in == ["fleet-audit.yml", "fleet-review.yml", "fleet-up.yml"]


def test_ups_run_one_at_a_time_and_are_never_cancelled() -> None:
    up, audit = read("fleet-up.yml"), read("fleet-audit.yml")
    assert up["concurrency"] == {"group": "fleet-up-prod", "cancel-in-progress": False}
    assert audit["concurrency"]["group"] != up["concurrency"]["group"]
    assert up["jobs"]["up"]["timeout-minutes"] >= 2 + 30 + 15
