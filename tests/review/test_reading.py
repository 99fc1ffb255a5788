"""Both forms of a saved plan say the same, and what is no plan is refused in one sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bytez_provider.errors import InvalidFileError
from bytez_provider.review import Review, assess, from_digest, read_plan
from tests.review.plans import (
    PHI,
    Step,
    events,
    gone,
    inputs,
    kept,
    loaded,
    named,
    refreshed,
    replaced,
    saved,
    setting,
    state,
    step,
    unloaded,
    urn,
)

STEPS = [
    refreshed("stays", state(inputs(PHI))),
    *gone("expired", inputs("me/expired")),
    replaced("scaled", inputs(), inputs(concurrency=3)),
    unloaded("removed", inputs("me/removed")),
    loaded("new", inputs("me/new")),
]


def policy(name: str = "concurrency-cap", **given: Any) -> dict[str, Any]:
    told = {
        "resourceUrn": urn("scaled"),
        "message": "concurrency 3 is more than 2\n",
        "policyName": name,
        "policyPackName": "bytez",
        "enforcementLevel": "mandatory",
    }
    return {"policyEvent": {**told, **given}}


def from_file(folder: Path, text: str) -> Review:
    return assess(read_plan(saved(folder, text)), setting())


def refused(folder: Path, text: str) -> str:
    with pytest.raises(InvalidFileError) as caught:
        read_plan(saved(folder, text))
    return caught.value.observed


def test_both_forms_give_the_same_review(tmp_path: Path) -> None:
    same = kept("stays", inputs(PHI))
    one = from_file(tmp_path, json.dumps({"steps": STEPS}))
    other = from_file(tmp_path, events([*STEPS, same]))
    # The digest says what depends on what, the events what the policies found and when.
    told = {"models": {"__all__": {"dependents"}}, "planned_at": True, "notes": True}
    told |= {"has_policy_results": True, "has_order": True}
    assert one.model_dump(exclude=told) == other.model_dump(exclude=told)  # type: ignore[arg-type]
    assert named(one, "stays").action == named(other, "stays").action == "keep"


def test_events_carry_a_time_and_the_digest_none(tmp_path: Path) -> None:
    assert from_file(tmp_path, events(STEPS)).planned_at == "2024-05-27T23:36:40.000Z"
    assert from_file(tmp_path, json.dumps({"steps": STEPS})).planned_at is None


def test_the_parts_of_a_replacement_are_one_step(tmp_path: Path) -> None:
    old, new = state(inputs()), state(inputs(concurrency=2), status=None)
    parts = [
        step("delete-replaced", "chat", old, None),
        step("replace", "chat", old, new),
        step("create-replacement", "chat", None, new),
    ]
    review = from_file(tmp_path, events(parts))
    assert [one.action for one in review.models] == ["replace"]
    assert review.models[0].reasons == ["concurrency 1 to 2"]


def test_events_of_a_refresh_that_finds_it_gone(tmp_path: Path) -> None:
    text = events([])
    old = {"op": "refresh", "urn": urn("chat"), "old": state(inputs())}
    before = {**old, "new": state(inputs())}
    lines = [
        json.dumps({"resourcePreEvent": {"metadata": before}}),
        json.dumps({"resOutputsEvent": {"metadata": old}}),
    ]
    review = from_file(tmp_path, text + "\n".join(lines))
    assert named(review, "chat").drift == "was unloaded since the last up"
    assert named(review, "chat").is_anyway


def test_a_digest_that_tells_a_lost_model_as_deleted_and_created(tmp_path: Path) -> None:
    text = json.dumps(
        {"steps": [step("delete", "chat", state(inputs()), None), loaded("chat", inputs())]}
    )
    assert [one.action for one in from_file(tmp_path, text).models] == ["load"]


def test_policy_results(tmp_path: Path) -> None:
    stack = policy(name="budget", resourceUrn=urn("fleet-dev", "pulumi:pulumi:Stack"))
    advisory = policy(enforcementLevel="advisory")
    review = from_file(tmp_path, events(STEPS, policy(), policy(), advisory, stack))
    assert review.has_policy_results
    assert [(one.name, one.is_mandatory) for one in review.broken_rules] == [
        ("scaled", True),
        ("scaled", False),
        (None, True),
    ]
    assert [one.policy for one in named(review, "scaled").broken_rules] == ["concurrency-cap"] * 2
    assert review.failures == ["a mandatory policy is broken"]


def test_a_plan_without_policies_says_so(tmp_path: Path) -> None:
    review = from_file(tmp_path, json.dumps({"steps": STEPS}))
    assert not review.has_policy_results
    assert "This form of a plan carries no policy results." in review.notes


def test_a_digest_that_leaves_out_what_stays_says_so() -> None:
    plan = from_digest({"steps": [loaded("new", inputs())], "changeSummary": {"same": 4}})
    (gap,) = assess(plan, setting()).gaps
    assert (gap.code, gap.models) == ("samesLeftOut", [])
    assert "--show-sames" in gap.text


def test_a_byte_order_mark_is_no_hindrance(tmp_path: Path) -> None:
    review = from_file(tmp_path, "\ufeff" + json.dumps({"steps": STEPS}))
    assert review.counts.loads == 1


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "it is empty"),
        ("  \n ", "it is empty"),
        ("{}", "it has no `steps`"),
        ('{"steps": 1}', "it has no `steps`"),
        ("[]", "line 1 is neither a plan nor an event of one"),
        ("Previewing update (dev):", "line 1 is neither a plan nor an event of one"),
        ('{"summaryEvent": {}}\nwarning: x', "line 2 is neither a plan nor an event of one"),
        ('{"steps": [', "line 1 is neither a plan nor an event of one"),
        ("[" * 100_000, "line 1 is neither a plan nor an event of one"),
    ],
)
def test_what_is_no_plan_is_refused(tmp_path: Path, text: str, why: str) -> None:
    assert refused(tmp_path, text) == why


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InvalidFileError, match=r"could not read the plan '.*': No such file"):
        read_plan(tmp_path / "none.json")


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_bytes(b"\xff\xfe\x00{")
    with pytest.raises(InvalidFileError, match="it is not UTF-8"):
        read_plan(path)


ODD: list[Step] = [
    {},
    {"op": "create"},
    {"op": 1, "urn": []},
    {"op": "create", "urn": "chat", "newState": 5},
    {"op": "update", "urn": urn("x"), "newState": {"type": 5, "inputs": [], "outputs": "a"}},
    {"op": "refresh", "urn": urn("x")},
    {"op": "create", "urn": urn("x"), "newState": {"dependencies": 5, "propertyDependencies": [1]}},
    {"op": "create", "urn": urn("x"), "newState": {"type": "pulumi-python:dynamic/bytez:Model"}},
]


@pytest.mark.parametrize("odd", ODD)
def test_what_is_odd_in_a_plan_is_passed_over(tmp_path: Path, odd: Step) -> None:
    review = from_file(tmp_path, json.dumps({"steps": [odd, loaded("new", inputs())]}))
    assert named(review, "new").action == "load"
    lines: list[dict[str, Any]] = [
        {"resourcePreEvent": {"metadata": odd}},
        {"diagnosticEvent": 5},
        {"policyEvent": []},
    ]
    text = events([loaded("new", inputs())], *lines, {"timestamp": "x", "summaryEvent": None})
    assert named(from_file(tmp_path, text), "new").action == "load"
