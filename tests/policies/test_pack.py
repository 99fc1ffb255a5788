"""The rules as policies: their settings, their levels, and what they read of a resource."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pulumi
import pytest
from inline_snapshot import snapshot
from pulumi_policy import EnforcementLevel
from pydantic.alias_generators import to_snake

import bytez_provider as bytez
from bytez_provider.base.errors import InvalidInputError
from bytez_provider.policies import policies, rules
from bytez_provider.policies.pack import _OF_ALL, _OF_EACH
from bytez_provider.policies.testing import Later, Pack, Resource, fleet, model

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "policy-pack"
PHI = "microsoft/phi-1"
NO_RAM = "Gustavosta/MagicPrompt-Stable-Diffusion.onnx.8-bit"
# A config for each policy that `all_wrong` breaks.
STRICT: dict[str, dict[str, Any]] = {
    "bytez-model-concurrency": {"maxConcurrency": 1},
    "bytez-model-ram": {"maxRamGb": 1},
    "bytez-model-cost": {"maxDollarsPerHour": 0.01},
    "bytez-allowed-models": {"deny": ["*"]},
    "bytez-benchmarked-only": {"require": ["*"]},
    "bytez-known-ram": {"require": ["*"]},
    "bytez-idle-expiry": {"maxSeconds": 60},
    "bytez-no-adopt": {"stacks": ["*"]},
    "bytez-protect": {"require": ["*"]},
    "bytez-stack-concurrency": {"maxConcurrency": 1},
    "bytez-stack-ram": {"maxRamGb": 1},
    "bytez-stack-cost": {"maxDollarsPerMonth": 0.01},
}
ALWAYS_ON = "bytez-no-duplicates"
EACH = pytest.mark.parametrize("policy", STRICT)


def all_wrong(name: str) -> Resource:
    """Return a model that breaks every rule that one of its kind can break."""
    return model(name, model_id=NO_RAM, concurrency=2, adopt=True)


@pytest.fixture(scope="module")
def pack() -> Pack:
    """The example's pack."""
    return Pack.from_folder(EXAMPLE)


def found(
    pack: Pack, resources: list[Resource], config: Mapping[str, Any] | None = None
) -> list[str]:
    """Return the names of the policies that are broken, in preview and update alike."""
    previewed = pack.preview(resources, config=config)
    assert pack.up(resources, config=config) == previewed
    return [violation.policy for violation in previewed]


# ------------------------------------------------------------------------------- settings


def test_every_rule_has_its_policy() -> None:
    names = [policy.name for policy in policies()]
    assert sorted(names) == sorted([*STRICT, ALWAYS_ON])
    assert len({policy.description for policy in policies()}) == len(names)
    functions = {
        name
        for name, one in vars(rules).items()
        if isinstance(one, partial)
        or (inspect.isfunction(one) and one.__module__ == rules.__name__ and name[0] != "_")
    }
    assert {rule.function for rule in (*_OF_EACH, *_OF_ALL)} == functions


def test_a_setting_is_an_argument_of_the_rule_with_the_same_default() -> None:
    for rule in (*_OF_EACH, *_OF_ALL):
        arguments = inspect.signature(rule.check).parameters
        settings = [name for name in arguments if name not in ("models", "of_stack")]
        assert [to_snake(name) for name in rule.settings] == settings, rule.name
        for name, schema in rule.settings.items():
            assert "description" in schema
            if "default" in schema:
                default = arguments[to_snake(name)].default
                assert schema["default"] == type(schema["default"])(default)
            else:
                assert arguments[to_snake(name)].default in (None, ()), "off until it is set"


def test_without_a_config_only_duplicates_are_found(pack: Pack) -> None:
    wrong = [all_wrong("a"), model("b", model_id=PHI, concurrency=1000)]
    assert found(pack, wrong) == []
    assert found(pack, [*wrong, all_wrong("c")]) == [ALWAYS_ON]


@EACH
def test_a_setting_switches_a_policy_on(pack: Pack, policy: str) -> None:
    models = [all_wrong("a"), model("b", model_id=PHI, concurrency=2)]
    config = {policy: STRICT[policy]}
    assert set(found(pack, models, config)) == {policy}
    assert found(pack, models, {policy: {**STRICT[policy], "enforcementLevel": "disabled"}}) == []
    assert found(pack, [], config) == []


def test_an_unknown_setting_is_reported(pack: Pack) -> None:
    config = {"bytez-model-ram": {"maxx\x1b[31m": 1}}
    (wrong,) = pack.preview([model("m", model_id=PHI)], config=config)
    assert wrong.policy == "bytez-model-ram"
    assert wrong.message == snapshot(
        "The policy config sets 'maxx', and 'bytez-model-ram' has no such setting: correct "
        "the name (its settings: `maxRamGb`, `unknownRam`)."
    )


@pytest.fixture
def is_of_clusters() -> Iterator[None]:
    """The stack's config names API version 2025-04; the engine passes it to the pack."""
    pulumi.runtime.set_config("bytez:apiVersion", "2025-04")
    yield
    pulumi.runtime.set_config("bytez:apiVersion", "")


@pytest.mark.usefixtures("is_of_clusters")
def test_the_stack_says_which_prices_hold(pack: Pack) -> None:
    config = {"bytez-model-cost": {"maxDollarsPerHour": 1.57}}
    assert found(pack, [model("m", model_id=PHI, max_concurrency=5)], config) == []
    assert found(pack, [model("m", model_id=PHI, max_concurrency=6)], config) == [
        "bytez-model-cost"
    ]


def test_the_version_of_its_own_provider_comes_first(pack: Pack) -> None:
    clusters = Resource("pulumi:providers:bytez", "clusters", {"apiVersion": "2025-04"})
    later = Resource("pulumi:providers:bytez", "later", {"apiVersion": Later("2025-04")})
    config = {"bytez-idle-expiry": {"maxSeconds": 600}}
    one = model("m", model_id=PHI, native=True)
    assert found(pack, [replace(one, provider=clusters)], config) == []
    assert found(pack, [one], config) == ["bytez-idle-expiry"]
    assert pack.up([replace(one, provider=later)], config=config) == []
    assert pack.preview([replace(one, provider=later)], config=config) != []


def test_a_version_of_2024_has_no_range(pack: Pack) -> None:
    """The provider refuses it, so no rule judges it."""
    config = {"bytez-model-concurrency": {"maxConcurrency": 1}}
    assert found(pack, [model("m", model_id=PHI, max_concurrency=5)], config) == []
    assert found(pack, [model("m", model_id=PHI, concurrency=0)], config) == []


@pytest.mark.parametrize(
    ("policy", "settings"),
    [
        ("bytez-model-concurrency", {"maxConcurrency": 1.5}),
        ("bytez-stack-ram", {"maxRamGb": -1}),
        ("bytez-stack-ram", {"maxRamGb": 1, "unknownRam": "ignore"}),
        ("bytez-stack-cost", {"maxDollarsPerMonth": 1, "monthlyBasis": "floor"}),
        ("bytez-allowed-models", {"allow": "microsoft/*"}),
        ("bytez-protect", {"require": [""]}),
        ("bytez-idle-expiry", {"maxSeconds": 59}),
        ("bytez-idle-expiry", {"minSeconds": 604801}),
        ("bytez-no-adopt", {"stacks": None}),
    ],
)
def test_an_invalid_setting_is_refused(pack: Pack, policy: str, settings: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError) as caught:
        pack.preview([], config={policy: settings})
    assert policy in caught.value.observed


def test_the_pack_accepts_the_example_config(pack: Pack) -> None:
    config = EXAMPLE / "policies.json"
    assert set(json.loads(config.read_text())) == set(STRICT), "one example of each"
    coder = model("m", model_id="deepseek-ai/deepseek-coder-1.3b-instruct", protect=True)
    assert pack.preview([coder], config=config) == []
    assert pack.preview([all_wrong("w")], config=config) != []


def test_the_price_can_be_set(pack: Pack) -> None:
    phi = model("m", model_id=PHI)
    settings = {"maxDollarsPerHour": 1}
    assert found(pack, [phi], {"bytez-model-cost": settings}) == []
    dearer = {"bytez-model-cost": {**settings, "pricePerGbSecond": 0.0001}}
    assert found(pack, [phi], dearer) == ["bytez-model-cost"]


# --------------------------------------------------------------------------- what is read


def test_a_fleet_s_models_are_models(pack: Pack) -> None:
    whole = fleet("chat", {"phi": bytez.ModelArgs(model_id=PHI, concurrency=3)})
    config = {"bytez-model-concurrency": {"maxConcurrency": 2}}
    (violation,) = pack.preview(whole, config=config)
    assert violation.urn.endswith("bytez:index:Fleet$pulumi-python:dynamic/bytez:Model::chat-phi")
    assert "'chat-phi' (microsoft/phi-1) has 3 instances" in violation.message
    assert violation.enforcement_level is EnforcementLevel.MANDATORY


def test_native_models_are_models(pack: Pack) -> None:
    """A program in YAML sets no option by which a declared model could be known."""
    phi = model("m", model_id=PHI, concurrency=3, native=True)
    chat = fleet("chat", {"phi": bytez.ModelArgs(model_id=PHI)}, native=True)
    assert found(pack, [phi], {"bytez-model-concurrency": {"maxConcurrency": 2}}) == [
        "bytez-model-concurrency"
    ]
    assert found(pack, [phi, *chat], {"bytez-stack-concurrency": {"maxConcurrency": 3}}) == [
        ALWAYS_ON,
        "bytez-stack-concurrency",
    ]


def test_a_model_in_two_accounts_is_no_duplicate(pack: Pack) -> None:
    here, there = (model(name, model_id=PHI, native=True) for name in ("here", "there"))
    other = Resource("pulumi:providers:bytez", "other")
    assert found(pack, [here, replace(there, provider=other)]) == []
    assert found(pack, [here, there]) == [ALWAYS_ON]


def test_resources_of_other_packages_are_ignored(pack: Pack) -> None:
    other = Resource("pulumi-python:dynamic/other:Model", "m", {"modelId": PHI, "concurrency": 9})
    assert found(pack, [other], STRICT) == []


def test_a_model_that_is_only_read_does_not_count(pack: Pack) -> None:
    """After a refresh, policies of the stack get it with these inputs."""
    read = replace(all_wrong("read"), delete_before_replace=None, inputs={"modelId": PHI})
    of_all = {rule.name: STRICT[rule.name] for rule in _OF_ALL if rule.settings}
    assert found(pack, [read], of_all) == []
    assert found(pack, [read, model("m", model_id=PHI)]) == []
    # The engine does not run policies of single models on it, and it has no inputs there.
    assert found(pack, [replace(read, inputs={})], STRICT) == []


@EACH
def test_unknown_inputs_break_nothing_in_a_preview(pack: Pack, policy: str) -> None:
    late = model(
        "late",
        model_id=Later(NO_RAM),
        concurrency=Later(9),
        expiration_period_seconds=Later(9000),
        adopt=Later(value=True),
        expected_hours_per_day=Later(24),
        protect=policy != "bytez-protect",
    )
    config = {policy: STRICT[policy]}
    assert pack.preview([late], config=config) == []
    assert policy in {violation.policy for violation in pack.up([late], config=config)}


def test_inputs_of_a_wrong_type_break_nothing(pack: Pack) -> None:
    """The provider's check refuses them. A policy must not fail."""
    good = model("m", model_id=PHI, protect=True)
    for value in (True, "3", [1], {"a": 1}, 1.5, -0.5):
        odd = {name: value for name in good.inputs if name != "modelId"}
        pack.preview([replace(good, inputs={**good.inputs, **odd})], config=STRICT)
        pack.preview([replace(good, inputs={**odd, "modelId": value})], config=STRICT)


def test_the_order_of_violations_does_not_depend_on_the_engine(pack: Pack) -> None:
    models = [model(f"m{n}", model_id=PHI) for n in range(9)]
    config = {"bytez-stack-concurrency": {"maxConcurrency": 1}}
    assert pack.preview(models, config=config) == pack.preview(models[::-1], config=config)


def calls_for(pack: Pack, models: int) -> int:
    """Return the number of function calls for so many models that break every rule."""
    resources = [
        replace(all_wrong(f"m{n}"), inputs={**all_wrong("m").inputs, "modelId": f"o/m{n // 2}"})
        for n in range(models)
    ]
    count = 0

    def called(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(called)
    try:
        violations = pack.preview(resources, config=STRICT)
    finally:
        sys.setprofile(before)
    assert len(violations) > 8 * models
    return count


def test_the_work_grows_linearly_with_the_models(pack: Pack) -> None:
    assert calls_for(pack, 256) < 2.2 * calls_for(pack, 128)


def test_the_rules_need_no_pulumi() -> None:
    code = (
        "import sys, bytez_provider.policies.rules;"
        "sys.exit(bool({'pulumi', 'pulumi_policy'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
