"""The harness passes to a pack what the real engine passes to it, in a preview and an update."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pulumi_policy import Secret

import bytez_provider as bytez
from bytez_provider.policies.testing import Later, Pack, Resource, fleet, model
from tests.e2e.stack import Stack

SPY = Path(__file__).parents[1] / "policies" / "spy"
PROGRAM = """
opts = pulumi.ResourceOptions(
    protect=True,
    custom_timeouts=pulumi.CustomTimeouts(create="5m"),
    additional_secret_outputs=["account"],
)
opt = bytez.Model("opt", model_id="facebook/opt-1.3b", concurrency=2, opts=opts)
late = bytez.Model(
    "late",
    model_id="openai-community/gpt2",
    expiration_period_seconds=opt.created.apply(lambda _: 9000),
    expected_hours_per_day=pulumi.Output.secret(8),
)
models = {
    "phi": bytez.ModelArgs(model_id="microsoft/phi-1", concurrency=3, on_expiry="accept"),
    "coder": bytez.ModelArgs(model_id="deepseek-ai/deepseek-coder-1.3b-instruct", adopt=True),
}
bytez.Fleet("chat", models=models)
"""
# What differs in each run.
VARYING = ("created", "endpoint", "account")


def declared() -> list[Resource]:
    """Return the resources that the program declares."""
    opt = model("opt", model_id="facebook/opt-1.3b", concurrency=2, protect=True)
    opt = replace(
        opt,
        custom_timeouts={"create": 300},
        additional_secret_outputs=["account"],
    )
    late = model(
        "late",
        model_id="openai-community/gpt2",
        expiration_period_seconds=Later(9000),
        expected_hours_per_day=8,
    )
    late = replace(
        late,
        inputs={**late.inputs, "expectedHoursPerDay": Secret(8)},
        dependencies=[opt],
        property_dependencies={"expirationPeriodSeconds": [opt]},
    )
    models = {
        "phi": bytez.ModelArgs(model_id="microsoft/phi-1", concurrency=3, on_expiry="accept"),
        "coder": bytez.ModelArgs(model_id="deepseek-ai/deepseek-coder-1.3b-instruct", adopt=True),
    }
    return [opt, late, *fleet("chat", models)]


def seen(file: Path) -> list[dict[str, Any]]:
    """Return what the spy wrote, sorted, without what differs in each run."""
    lines = file.read_text(encoding="utf-8").splitlines()
    file.unlink()
    facts = [json.loads(line, object_pairs_hook=masked) for line in lines]
    return sorted(facts, key=lambda one: (one["kind"], one["urn"]))


def masked(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object that has of a varying value only whether it is known."""
    return {
        name: "varies" if name in VARYING and "preview" not in value else value
        for name, value in pairs
    }


def test_a_pack_sees_the_same(
    plain_stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = shutil.copytree(SPY, tmp_path / "spy")
    (copy / "PulumiPolicy.yaml").write_text(
        f"name: spy\nruntime: {{name: python, options: {{virtualenv: {sys.prefix}}}}}\n"
    )
    config = tmp_path / "spy.json"
    config.write_text('{"one": {"names": ["a", {"b": [1, 2.5]}]}}')
    options = ("--policy-pack", str(copy), "--policy-pack-config", str(config))
    plain_stack.env["SPY_FILE"] = str(tmp_path / "engine")
    monkeypatch.setenv("SPY_FILE", str(tmp_path / "harness"))
    plain_stack.program(PROGRAM)
    pack = Pack.from_folder(SPY)

    plain_stack.preview(*options).ok()
    assert pack.preview(declared(), config=config, project="fleet") == []
    engine = seen(tmp_path / "engine")
    assert len(engine) == 2 * (6 + 1 + 1), "the program's, their provider and the stack"
    for ours, theirs in zip(seen(tmp_path / "harness"), engine, strict=True):
        assert ours == theirs

    plain_stack.up(*options).ok()
    assert pack.up(declared(), config=config, project="fleet") == []
    engine = seen(tmp_path / "engine")
    for ours, theirs in zip(seen(tmp_path / "harness"), engine, strict=True):
        assert ours == theirs
