"""The workflows and the other files of this repository that GitHub reads."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.workflows.test_workflows import PINNED, fits_the_schema, lint
from tests.workflows.workflow import BASH, BIN, EXAMPLE, EXPRESSION, ROOT

GITHUB = ROOT / ".github"
FLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
FORMS = sorted(
    path for path in (GITHUB / "ISSUE_TEMPLATE").glob("*.yml") if path.name != "config.yml"
)


def load(path: Path) -> dict[str, Any]:
    """Return the document of a file in YAML."""
    document: dict[str, Any] = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    return document


def scripts() -> list[str]:
    """Return the script of every step."""
    jobs = [job for path in FLOWS for job in load(path)["jobs"].values()]
    return [step["run"] for job in jobs for step in job["steps"] if "run" in step]


def test_zizmor_finds_nothing() -> None:
    assert lint(GITHUB) == []


@pytest.mark.parametrize("path", FLOWS, ids=lambda path: path.name)
def test_fits_the_schema_of_workflows(path: Path) -> None:
    assert fits_the_schema(path)


READ_BY_GITHUB = [
    pytest.param("dependabot", GITHUB / "dependabot.yml", id="dependabot"),
    pytest.param("github-issue-config", GITHUB / "ISSUE_TEMPLATE" / "config.yml", id="config"),
    *(pytest.param("github-issue-forms", path, id=path.name) for path in FORMS),
]


@pytest.mark.parametrize(("schema", "path"), READ_BY_GITHUB)
def test_fits_its_schema(schema: str, path: Path) -> None:
    command = [str(BIN / "check-jsonschema"), "--builtin-schema", f"vendor.{schema}", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_dependabot_watches_what_the_repository_pins() -> None:
    watched = {
        folder
        for update in load(GITHUB / "dependabot.yml")["updates"]
        for folder in update.get("directories", [update.get("directory")])
    }
    assert watched == {"/", "/examples/github-actions", "/tools/pulumi", "/tools/pulumi/yaml"}
    assert all((ROOT / folder.strip("/")).is_dir() for folder in watched)


def test_actions_are_pinned_as_in_the_example() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in FLOWS)
    pins = set(PINNED.findall(text))
    assert len(PINNED.findall(text)) == text.count("uses:")
    files = EXAMPLE.glob(".github/workflows/*.yml")
    shown = {pin for path in files for pin in PINNED.findall(path.read_text(encoding="utf-8"))}
    used = {name: commit for name, commit, _ in shown}
    assert all(used.get(name, commit) == commit for name, commit, _ in pins)


def test_no_secret_and_no_expression_in_a_script() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in FLOWS)
    assert "secrets." not in text
    assert not any(EXPRESSION.search(script) for script in scripts())


@pytest.mark.parametrize("script", scripts(), ids=lambda script: script.split("\n")[0][:40])
def test_the_shell_can_read_it(script: str) -> None:
    done = subprocess.run([*BASH, "-n"], input=script, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_targets_of_make_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    asked = set(re.findall(r"\bmake ([a-z]+)", "\n".join(scripts())))
    assert {"setup", "check", "docs", "test", "oldest", "dist"} <= asked <= targets


@pytest.mark.parametrize(
    ("name", "environment", "pushed", "may"),
    [
        ("release.yml", "release", {"tags": ["v*"]}, {"id-token": "write"}),
        (
            "docs.yml",
            "github-pages",
            {"branches": ["main"]},
            {"id-token": "write", "pages": "write"},
        ),
    ],
)
def test_only_the_job_that_publishes_may_identify_itself(
    name: str, environment: str, pushed: dict[str, Any], may: dict[str, str]
) -> None:
    flow = load(GITHUB / "workflows" / name)
    assert flow["on"] == {"push": pushed}
    assert flow["permissions"] == {}
    granted = {job: settings["permissions"] for job, settings in flow["jobs"].items()}
    assert granted == {"build": {"contents": "read"}, "publish": may}
    publish = flow["jobs"]["publish"]
    assert publish["environment"] == environment
    assert not [step for step in publish["steps"] if "run" in step]


def test_the_matrix_has_every_python_with_the_newest_and_the_lowest_versions() -> None:
    jobs = load(GITHUB / "workflows" / "ci.yml")["jobs"]
    pythons = ["3.10", "3.11", "3.12", "3.13", "3.14"]
    assert {name: job["strategy"]["matrix"]["python"] for name, job in jobs.items()} == {
        "test": pythons,
        "oldest": pythons,
    }
