"""`tools/versions.json` says what was really run, and everything that names a version agrees."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.e2e.stack import TOOLS, pulumi_path
from tests.workflows.workflow import ROOT

RUN: dict[str, Any] = json.loads((ROOT / "tools" / "versions.json").read_text(encoding="utf-8"))


def text(name: str) -> str:
    """Return the text of a file of the repository."""
    return (ROOT / name).read_text(encoding="utf-8")


def required(go_mod: str, module: str) -> str:
    """Return the version of a module that a go.mod requires."""
    found = re.search(rf"^\s*(?:require )?{re.escape(module)} v(\S+)", text(go_mod), re.MULTILINE)
    assert found
    return found[1]


def test_the_cli_that_was_run_is_the_one_that_is_built() -> None:
    assert required("tools/pulumi/go.mod", "github.com/pulumi/pulumi/pkg/v3") == RUN["pulumi"]
    assert (
        required("tools/pulumi/yaml/go.mod", "github.com/pulumi/pulumi-yaml")
        == (RUN["pulumi_yaml"])
    )


def test_the_cli_of_this_run_is_that_one() -> None:
    """Unless the user has put another one on PATH."""
    used = shutil.which("pulumi", path=pulumi_path())
    assert used
    said = subprocess.run([used, "version"], capture_output=True, text=True, check=True).stdout
    if Path(used).parent == TOOLS and "built" in (TOOLS.parent / "installed").read_text():
        assert said.strip() == f"v{RUN['pulumi']}"
    assert re.fullmatch(r"v\d+\.\d+\.\d+\S*", said.strip())


def test_the_sdk_that_was_run_is_the_pinned_one() -> None:
    assert f"\npulumi=={RUN['pulumi_sdk']}\n" in text("constraints.txt")


def test_the_sdk_of_this_run_is_that_one_or_the_oldest_allowed() -> None:
    (oldest,) = re.findall(r'"pulumi>=([\d.]+),', text("pyproject.toml"))
    assert version("pulumi") == RUN["pulumi_sdk"] or version("pulumi").startswith(oldest)


@pytest.mark.parametrize("name", ["README.md", "docs/native.md"])
def test_docs_name_the_cli_that_was_run(name: str) -> None:
    assert set(re.findall(r"Pulumi (3\.\d+\.\d+)", text(name))) == {RUN["pulumi"]}


def test_readme_names_the_sdk_and_the_pythons_that_were_run() -> None:
    (said,) = re.findall(r"SDK ([\d.]+) and Python ([\d.]+) \(([^)]+)\)", text("README.md"))
    sdk, python, others = said
    assert (sdk, [python]) == (RUN["pulumi_sdk"], RUN["python"])
    assert re.findall(r"3\.\d+", others) == RUN["python_without_engine"]


def test_python_versions_are_those_of_the_workflow_and_the_classifiers() -> None:
    """The workflow also has versions that were never run here."""
    pythons = set(RUN["python"]) | set(RUN["python_without_engine"])
    workflow = YAML(typ="safe", pure=True).load(text(".github/workflows/ci.yml"))
    matrix = set(workflow["jobs"]["test"]["strategy"]["matrix"]["python"])
    named = set(re.findall(r'"Programming Language :: Python :: (3\.\d+)"', text("pyproject.toml")))
    assert pythons <= named <= matrix
    assert f"{sys.version_info.major}.{sys.version_info.minor}" in matrix
