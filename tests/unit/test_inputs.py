"""The inputs of a model: their bounds, and every place that writes them out once more."""

from __future__ import annotations

import dataclasses
import inspect
import json
from typing import Any

import pytest

from bytez_provider import Model, ModelArgs
from bytez_provider.base.properties import PropertiesError, camel
from bytez_provider.core.declared import Granted, MemberInputs, ModelInputs, ModelState
from bytez_provider.core.inputs import INPUTS, REQUIRED, Change, UnfitError
from bytez_provider.dynamic.fleet import ModelDefaults
from tools.schema.generate import schemas

GPT2 = "openai-community/gpt2"
NAMES = list(INPUTS)
DEFAULTS = {name: one.default for name, one in INPUTS.items() if one.default is not REQUIRED}
NAMES_IN_STATE = [
    *("modelId", "concurrency", "maxConcurrency", "expirationPeriodSeconds"),
    *("adopt", "onExpiry", "expectedHoursPerDay"),
]

# ------------------------------------------------------------------- one table, many readers


def arguments_of(function: Any) -> dict[str, Any]:
    """Return the keyword-only arguments of a constructor, with their defaults."""
    parameters = inspect.signature(function).parameters.values()
    empty = inspect.Parameter.empty
    return {
        one.name: REQUIRED if one.default is empty else one.default
        for one in parameters
        if one.kind is inspect.Parameter.KEYWORD_ONLY and one.name != "opts"
    }


def test_names_in_state_never_change() -> None:
    assert [one.in_state for one in INPUTS.values()] == NAMES_IN_STATE
    names = {kind: [n for n, one in INPUTS.items() if one.change is kind] for kind in Change}
    assert names[Change.REPLACE] == ["model_id"]
    settings = ["concurrency", "max_concurrency", "expiration_period_seconds"]
    assert names[Change.RESCALE] == settings


def test_model_takes_the_inputs_with_their_defaults() -> None:
    assert list(arguments_of(Model.__init__)) == NAMES
    assert arguments_of(Model.__init__) == {"model_id": REQUIRED, **DEFAULTS}
    documented = inspect.getdoc(Model.__init__) or ""
    assert [name for name in NAMES if f"\n    {name}: " not in documented] == []


def test_fleet_arguments_are_the_inputs() -> None:
    """`None` stands for the default there: a fleet's defaults come between."""
    assert set(arguments_of(ModelArgs)) == set(NAMES)
    assert arguments_of(ModelDefaults) == dict.fromkeys(DEFAULTS)


def test_declared_inputs_are_the_inputs_with_their_defaults() -> None:
    found = {one.name: one.default for one in dataclasses.fields(ModelInputs)}
    assert list(found) == NAMES
    assert list(map(camel, found)) == NAMES_IN_STATE
    assert found.pop("model_id") is dataclasses.MISSING
    assert found == DEFAULTS
    assert set(inspect.get_annotations(Model)) >= set(NAMES)


def test_the_schema_of_fleet_files_has_the_inputs_with_their_defaults() -> None:
    properties = json.loads(schemas()["fleet.schema.json"])["$defs"]["model"]["properties"]
    assert list(properties) == NAMES_IN_STATE
    defaults = {INPUTS[name].in_state: default for name, default in DEFAULTS.items()}
    assert {n: p["default"] for n, p in properties.items() if "default" in p} == defaults


# ----------------------------------------------------------------------------------- bounds


def declare(**given: Any) -> ModelInputs:
    return ModelInputs.of({"modelId": GPT2, **given})


def problems(**given: Any) -> list[tuple[str, str]]:
    with pytest.raises(PropertiesError) as caught:
        declare(**given)
    return caught.value.problems


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        *[("modelId", value, value) for value in (GPT2, "a/b", "01-ai/Yi-1.5_x")],
        # A dynamic provider gets numbers as floats.
        *(("concurrency", 1, 1), ("concurrency", 2.0, 2)),
        *(("expirationPeriodSeconds", 60, 60), ("expirationPeriodSeconds", 604800.0, 604800)),
        ("expirationPeriodSeconds", None, None),
        *[("expectedHoursPerDay", hours, float(hours)) for hours in (0, 24, 7.5)],
        *(("onExpiry", "accept", "accept"), ("adopt", True, True)),
    ],
)
def test_an_input_within_its_bounds_is_kept(name: str, value: object, kept: object) -> None:
    found = declare(**{name: value}).bag().get(name)
    assert (found, type(found)) == (kept, type(kept))


NAN, INFINITY = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("name", "values", "reason"),
    [
        (
            "modelId",
            ["gpt2", "a/b/c", "/b", "a/", "a b/c", "a/b\n", "a/.b", "", 7, None, "ä/b", "a\x00/b"],
            "must be a model id of the form 'owner/name', as 'openai-community/gpt2'",
        ),
        (
            "concurrency",
            [True, False, -1, 1.5, "2", None, [], NAN, INFINITY],
            "must be a whole number of at least 0, not ",
        ),
        (
            "maxConcurrency",
            [True, 0, -1, 1.5, "2", [], NAN],
            "must be a whole number of at least 1, not ",
        ),
        (
            "expirationPeriodSeconds",
            [59, 604801, 0, True, "600", 600.5],
            "must be a whole number of seconds from 60 to 604800, not ",
        ),
        (
            "expectedHoursPerDay",
            [-1, 24.1, True, "8", NAN],
            "must be a number of hours from 0 to 24, not ",
        ),
        ("adopt", ["yes", 1, None], "must be true or false, not "),
        ("onExpiry", ["stop", [], None], "must be 'reload' or 'accept', not "),
    ],
)
def test_any_other_value_is_refused(name: str, values: list[object], reason: str) -> None:
    for value in values:
        ((place, said),) = problems(**{name: value})
        assert place == name
        is_shown = reason.endswith("not ") and not isinstance(value, float)
        shown = repr(value) if is_shown else ""
        assert said.startswith(reason + shown)


def test_a_whole_number_is_shown_as_one() -> None:
    assert problems(concurrency=-1.0)[0][1].endswith("not -1")
    assert problems(concurrency=1.5)[0][1].endswith("not 1.5")


def test_what_a_value_must_be_is_a_reason_of_its_own() -> None:
    assert (str(UnfitError("red")), UnfitError("red").must_be) == ("must be red", "red")
    assert str(UnfitError("red", but_is="blue")) == "must be red, not blue"


def test_whole_numbers_and_hours_keep_their_type() -> None:
    found = ModelInputs(model_id="a/b", concurrency=2.0, expected_hours_per_day=8)  # type: ignore[arg-type]
    assert [type(found.concurrency), type(found.expected_hours_per_day)] == [int, float]


def test_everything_that_is_wrong_is_named_on_one_short_line() -> None:
    with pytest.raises(PropertiesError) as caught:
        ModelInputs.of({"concurrency": -1, "adopt": "y" * 10_000, "\x1b[31m\n": 1})
    found = caught.value.problems
    assert [name for name, _ in found] == ["modelId", "concurrency", "adopt", ""]
    assert found[0][1] == "is missing"
    assert found[3][1] == f"is not an argument; the arguments are {', '.join(NAMES_IN_STATE)}"
    for name, reason in found:
        assert (name + reason).isprintable()
        assert len(name) + len(reason) <= 400


# ------------------------------------------------------------------------------------ state


def test_state_holds_the_inputs_and_what_was_learned() -> None:
    inputs = ModelInputs(model_id=GPT2, concurrency=2)
    learned: dict[str, Any] = {
        "status": "RUNNING",
        "created": "2024-05-27T23:35:35.863Z",
        "granted": {"concurrency": 1},
        "requiredRamGb": 0.5,
        "endpoint": "https://api.bytez.com",
        "account": "0123456789ab",
    }
    declared = {"modelId": GPT2, "concurrency": 2, "adopt": False, "onExpiry": "reload"}
    assert inputs.bag() == declared
    state = ModelState.of({**declared, **learned, "of_a_later_version": 1})
    assert state.bag() == {**declared, **learned}
    assert state.granted == Granted(concurrency=1)
    assert state.inputs() == inputs
    member = state.but(readiness="fleet")
    assert member.inputs() == MemberInputs(model_id=GPT2, concurrency=2)
