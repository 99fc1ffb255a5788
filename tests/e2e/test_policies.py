"""The policy pack with the real engine: what it reports, when, and what is then not changed."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

import bytez_provider as bytez
from bytez_provider.emulator import Emulator
from bytez_provider.policies.testing import Later, Pack, Resource, fleet, model
from tests.e2e.helpers import CHANGING, GPT2, OPT, PHI, ROOT, running
from tests.e2e.stack import Run, Stack

PACK = ROOT / "examples" / "policy-pack"
PHI3 = "microsoft/Phi-3-mini-4k-instruct"
NO_RAM = "Gustavosta/MagicPrompt-Stable-Diffusion.onnx.8-bit"
HOSTILE = "x`|<b>**[y](z)\x1b[31m"

EVERY_RULE = {
    "bytez-model-concurrency": {"maxConcurrency": 4},
    "bytez-model-ram": {"maxRamGb": 40, "unknownRam": "leaveOut"},
    "bytez-model-cost": {"maxDollarsPerHour": 2, "maxDollarsPerMonth": 1000},
    "bytez-allowed-models": {"allow": ["openai-community/*", "microsoft/*", "Gustavosta/*"]},
    "bytez-benchmarked-only": {"enforcementLevel": "advisory", "require": ["*"]},
    "bytez-known-ram": {"require": ["*"]},
    "bytez-idle-expiry": {"maxSeconds": 7200},
    "bytez-no-adopt": {"stacks": ["d*"]},
    "bytez-protect": {"require": ["microsoft/*"]},
    "bytez-stack-concurrency": {"maxConcurrency": 8},
    "bytez-stack-ram": {"maxRamGb": 50},
    "bytez-stack-cost": {"maxDollarsPerHour": 2.5},
}
BREAKS_EVERY_RULE = f"""
big = bytez.Model("big", model_id="{PHI}", concurrency=8, adopt=True)
bytez.Model({HOSTILE!r}, model_id="{OPT}", expiration_period_seconds=9000)
unknown = big.created.apply(lambda _: 9000)
bytez.Model("late", model_id="{GPT2}", expiration_period_seconds=unknown)
models = {{
    "phi": bytez.ModelArgs(model_id="{PHI3}"),
    "prompt": bytez.ModelArgs(model_id="{NO_RAM}"),
}}
bytez.Fleet("chat", models=models, opts=pulumi.ResourceOptions(protect=True))
"""


def the_same() -> list[Resource]:
    """Return the resources that `BREAKS_EVERY_RULE` declares."""
    models = {"phi": bytez.ModelArgs(model_id=PHI3), "prompt": bytez.ModelArgs(model_id=NO_RAM)}
    return [
        model("big", model_id=PHI, concurrency=8, adopt=True),
        model(HOSTILE, model_id=OPT, expiration_period_seconds=9000),
        model("late", model_id=GPT2, expiration_period_seconds=Later(9000)),
        *fleet("chat", models, protect=True),
    ]


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    """The example in a checkout with a virtualenv, as `make setup` makes it."""
    (tmp_path / "checkout" / ".venv").parent.mkdir()
    (tmp_path / "checkout" / ".venv").symlink_to(sys.prefix)
    return Path(shutil.copytree(PACK, tmp_path / "checkout" / "examples" / "policy-pack"))


def options(pack: Path, config: dict[str, Any]) -> tuple[str, ...]:
    """Return the options of a command that runs the pack."""
    file = pack / "test.json"
    file.write_text(json.dumps(config))
    return ("--policy-pack", str(pack), "--policy-pack-config", str(file))


def changes(emulator: Emulator) -> list[str]:
    """Return the requests that change something."""
    return [record.path for record in emulator.requests() if record.path in CHANGING]


def violations(run: Run) -> set[tuple[str, str, str, str]]:
    """Return policy, level, message and URN of each violation in a streaming preview."""
    events = [json.loads(line) for line in run.stdout.splitlines() if line.startswith("{")]
    found = [event["policyEvent"] for event in events if "policyEvent" in event]
    return {
        (
            one["policyName"],
            one["enforcementLevel"],
            one["message"].partition("\n")[2].strip(),
            one["resourceUrn"],
        )
        for one in found
    }


def test_a_preview_reports_every_broken_rule(stack: Stack, emulator: Emulator, pack: Path) -> None:
    """Before anything is changed; the harness reports the same, word for word."""
    stack.program(BREAKS_EVERY_RULE)
    given = options(pack, EVERY_RULE)
    stack.env["PULUMI_ENABLE_STREAMING_JSON_PREVIEW"] = "true"
    found = violations(stack.preview("--json", *given).failed())
    assert {policy for policy, *_ in found} == {*EVERY_RULE}
    assert "\x1b" not in "".join(message for _, _, message, _ in found)
    harness = Pack.from_folder(PACK).preview(the_same(), config=EVERY_RULE, project="fleet")
    assert {
        (one.policy, one.enforcement_level.value, one.message, one.urn) for one in harness
    } == found

    stack.run("up", "--yes", *given).failed()
    assert changes(emulator) == []
    assert running(emulator) == {}


def test_what_keeps_the_rules_is_deployed(stack: Stack, emulator: Emulator, pack: Path) -> None:
    """Neither an advisory rule, a model that is only read nor a removed one is in the way."""
    rules = {**EVERY_RULE, "bytez-stack-concurrency": {"maxConcurrency": 1}}
    rules["bytez-allowed-models"] = {"enforcementLevel": "advisory", "deny": ["*gpt2"]}
    stack.program(f'bytez.Model("m", model_id="{GPT2}", concurrency=8)')
    failed = stack.up(*options(pack, EVERY_RULE)).failed()
    assert "8 instances" in failed.output
    assert changes(emulator) == []

    given = options(pack, rules)
    stack.program(f'bytez.Model("m", model_id="{GPT2}")')
    up = stack.up(*given).ok()
    assert "[advisory]  bytez-allowed-models" in up.output
    stack.program(f'bytez.Model("m", model_id="{GPT2}")\nbytez.Model.get("same", "{GPT2}")')
    stack.up(*given).ok()
    # One is removed and one is added: there is never more than one.
    stack.program(f'bytez.Model("n", model_id="{OPT}")')
    rules["bytez-allowed-models"] = {"allow": [OPT]}
    stack.run("up", "--yes", *options(pack, rules)).ok()
    assert running(emulator) == {OPT: 1}


def test_a_mistake_in_the_config_and_a_duplicate_are_found_at_preview(
    stack: Stack, pack: Path
) -> None:
    """The duplicate is refused by the provider's check; without an engine the rule reports it."""
    twice = [model("a", model_id=GPT2), model("b", model_id=GPT2)]
    found = Pack.from_folder(PACK).preview(twice, config={}, project="fleet")
    assert {one.policy for one in found} == {"bytez-no-duplicates"}
    stack.program(f'bytez.Model("a", model_id="{GPT2}")\nbytez.Model("b", model_id="{GPT2}")')
    assert "the service holds one load" in stack.preview().failed().output

    failed = stack.preview(*options(pack, {"bytez-model-ram": {"maxRam": 1}})).failed()
    assert "sets 'maxRam', and 'bytez-model-ram' has no" in failed.output
    assert "Traceback" not in failed.output


def test_the_command_in_the_docs_prints_what_they_show(stack: Stack, pack: Path) -> None:
    examples = pack.parent
    shutil.copytree(ROOT / "examples" / "fleet", examples / "fleet")
    stack.project = examples / "fleet"
    stack.run("stack", "init", "docs").ok()
    text = (ROOT / "docs" / "policies.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"^\$ pulumi (.*)$", text, re.MULTILINE)
    (shown,) = re.findall(r"^```text\n(Policies:.*?)^```$", text, re.MULTILINE | re.DOTALL)
    said = stack.run(*line.split()).failed().stdout
    assert shown in said
