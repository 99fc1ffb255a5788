"""docs/policies.md: its pack and its tests run, and its tables match the rules."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bytez_provider.policies import policies
from bytez_provider.policies.testing import Pack, Resource, model

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "policies.md").read_text(encoding="utf-8")
PACK = Pack.from_folder(ROOT / "examples" / "policy-pack")
ROWS = re.findall(r"^\| `(bytez-[a-z-]+)` \| ([^|]+) \| ([^|]+) \|$", TEXT, re.MULTILINE)
PHI = "microsoft/phi-1"
NO_RAM = "Gustavosta/MagicPrompt-Stable-Diffusion.onnx.8-bit"


def blocks(language: str) -> list[str]:
    """Return the code blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def chat(**given: Any) -> list[Resource]:
    """Return the model of the tables."""
    return [model("chat", **{"model_id": PHI, **given})]


# What breaks the rules in the tables.
BROKEN: dict[str, tuple[dict[str, Any], list[Resource]]] = {
    "bytez-model-concurrency": ({"maxConcurrency": 4}, chat(concurrency=8)),
    "bytez-model-ram": ({"maxRamGb": 40}, chat(concurrency=8)),
    "bytez-model-cost": ({"maxDollarsPerHour": 2.5}, chat(concurrency=8)),
    "bytez-allowed-models": ({"allow": ["openai-community/*"]}, chat()),
    "bytez-benchmarked-only": ({"require": ["*"]}, chat(model_id=NO_RAM)),
    "bytez-known-ram": ({"require": ["*"]}, chat(model_id=NO_RAM)),
    "bytez-idle-expiry": ({"maxSeconds": 7200}, chat(expiration_period_seconds=9000)),
    "bytez-no-adopt": ({"stacks": ["prod*"]}, chat(adopt=True)),
    "bytez-protect": ({"require": ["*"]}, chat()),
    "bytez-no-duplicates": ({}, [*chat(), model("bot", model_id=PHI)]),
    "bytez-stack-concurrency": ({"maxConcurrency": 16}, chat(concurrency=20)),
    "bytez-stack-ram": ({"maxRamGb": 120}, chat(concurrency=20)),
    "bytez-stack-cost": ({"maxDollarsPerMonth": 2000}, chat(concurrency=8)),
}


def test_the_tables_have_every_policy_and_its_settings() -> None:
    listed = {name: set(re.findall(r"`([A-Za-z]+)`", settings)) for name, settings, _ in ROWS}
    schemas = {one.name: one.config_schema for one in policies()}
    assert listed == {
        name: set(schema.properties if schema else ()) for name, schema in schemas.items()
    }
    explained = re.findall(r"^\| (`[a-z][^|]*) \|", TEXT.split("| setting |")[1], re.MULTILINE)
    assert set(re.findall(r"`([A-Za-z]+)`", " ".join(explained))) == set().union(*listed.values())


@pytest.mark.parametrize(("policy", "message"), [(name, message) for name, _, message in ROWS])
def test_a_violation_has_the_message_in_the_table(policy: str, message: str) -> None:
    settings, resources = BROKEN[policy]
    (violation,) = PACK.preview(resources, config={policy: settings}, stack="prod")
    assert (violation.policy, violation.message) == (policy, message)


def test_the_config_is_the_example() -> None:
    example = (ROOT / "examples" / "policy-pack" / "policies.json").read_text(encoding="utf-8")
    assert [block.strip() for block in blocks("json")] == [example.strip()]


def test_the_pack_and_its_tests_run(tmp_path: Path) -> None:
    pack, tests = blocks("python")
    (settings,) = blocks("yaml")
    folder = tmp_path / "policy-pack"
    folder.mkdir()
    (folder / "__main__.py").write_text(pack, encoding="utf-8")
    (folder / "PulumiPolicy.yaml").write_text(settings, encoding="utf-8")
    (folder / "policies.json").write_text(blocks("json")[0], encoding="utf-8")
    (tmp_path / "test_policies.py").write_text(tests, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_policies.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{tests.count('def test_')} passed" in done.stdout
