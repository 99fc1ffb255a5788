"""Both forms of a saved plan say the same, and what is not a plan is refused in one sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bytez_provider.base.errors import ErrorCode, InvalidFileError
from bytez_provider.review import Review, assess, from_digest, markdown, read_plan
from tests.review.plans import (
    PHI,
    SECRET,
    Step,
    events,
    gone,
    inputs,
    kept,
    loaded,
    named,
    native,
    policy,
    refreshed,
    replaced,
    saved,
    setting,
    skipped,
    state,
    step,
    unloaded,
    urn,
)

STACK = "pulumi:pulumi:Stack"
ROOT: dict[str, Any] = {"type": STACK, "inputs": {}}
STEPS = [
    refreshed("stays", state(inputs(PHI))),
    *gone("expired", inputs("me/expired")),
    replaced("scaled", inputs(), inputs(concurrency=3)),
    unloaded("removed", inputs("me/removed")),
    loaded("new", inputs("me/new")),
]
ERROR = {"severity": "error", "message": "an unhandled error occurred"}


def from_file(folder: Path, text: str) -> Review:
    return assess(read_plan(saved(folder, text)), setting())


def gaps(review: Review) -> list[tuple[str, list[str]]]:
    return [(one.code, one.models) for one in review.gaps]


def test_both_forms_give_the_same_review(tmp_path: Path) -> None:
    one = from_file(tmp_path, "\ufeff" + json.dumps({"steps": STEPS}))
    other = from_file(tmp_path, events([*STEPS, kept("stays", inputs(PHI))]))
    # Only the digest says what depends on what; only the events have policy results and times.
    differing: Any = {"models": {"__all__": {"dependents"}}, "planned_at": True, "notes": True}
    differing |= {"note_codes": True, "has_policy_results": True, "has_order": True}
    assert one.model_dump(exclude=differing) == other.model_dump(exclude=differing)
    assert {model.name: model.action for model in one.models}["stays"] == "keep"
    assert (one.planned_at, other.planned_at) == (None, "2024-05-27T23:36:40.000Z")
    assert (one.has_policy_results, other.has_policy_results) == (False, True)
    assert "noPolicyResults" in one.note_codes


def test_the_parts_of_a_replacement_are_one_step(tmp_path: Path) -> None:
    old, new = state(inputs()), state(inputs(concurrency=2), status=None)
    parts = [
        step("delete-replaced", "chat", old, None),
        step("replace", "chat", old, new),
        step("create-replacement", "chat", None, new),
    ]
    review = from_file(tmp_path, events(parts))
    assert [(one.action, one.reason_codes) for one in review.models] == [("replace", ["changed"])]


def test_events_of_a_refresh_show_what_is_gone(tmp_path: Path) -> None:
    before = {"op": "refresh", "urn": urn("chat"), "old": state(inputs()), "new": state(inputs())}
    after = {name: value for name, value in before.items() if name != "new"}
    lines = [
        json.dumps({"resourcePreEvent": {"metadata": before}}),
        json.dumps({"resOutputsEvent": {"metadata": after}}),
    ]
    model = named(from_file(tmp_path, events([]) + "\n".join(lines)), "chat")
    assert (model.drift_code, model.is_anyway) == ("unloaded", True)


def test_a_digest_may_show_an_expired_model_as_deleted_and_created(tmp_path: Path) -> None:
    steps = [unloaded("chat", inputs()), loaded("chat", inputs())]
    review = from_file(tmp_path, json.dumps({"steps": steps}))
    assert [one.action for one in review.models] == ["load"]


def test_policy_results(tmp_path: Path) -> None:
    stack = policy(policyName="budget", resourceUrn=urn("fleet-dev", STACK))
    advisory = policy(enforcementLevel="advisory")
    review = from_file(tmp_path, events(STEPS, policy(), policy(), advisory, stack))
    assert [(one.name, one.is_mandatory) for one in review.broken_rules] == [
        ("scaled", True),
        ("scaled", False),
        (None, True),
    ]
    assert [one.policy for one in named(review, "scaled").broken_rules] == ["concurrency-cap"] * 2
    assert review.failure_codes == ["mandatoryPolicy"]


def test_a_message_that_may_quote_a_secret_is_withheld(tmp_path: Path) -> None:
    hidden = inputs("me/hidden", concurrency={**SECRET, "ciphertext": "x"})
    stack = policy(resourceUrn=urn("fleet-dev", STACK), message="7 in all")
    steps = [*STEPS, loaded("hidden", hidden)]
    review = from_file(tmp_path, events(steps, policy(), policy("hidden", message="7"), stack))
    assert [one.is_withheld for one in review.broken_rules] == [False, True, True]
    assert "7" not in "".join(one.message for one in review.broken_rules)


def test_a_secret_is_masked_in_both_forms(tmp_path: Path) -> None:
    found = []
    for hidden in ("[secret]", {**SECRET, "ciphertext": "x"}, {**SECRET, "plaintext": '"laid"'}):
        one = inputs(concurrency=hidden, onExpiry=hidden)
        change = replaced("a", {**one, "adopt": hidden}, one)
        for text in (json.dumps({"steps": [change]}), events([change])):
            review = from_file(tmp_path, text)
            assert "laid" not in review.model_dump_json() + markdown(review)
            found.append((review.models[0].reasons, review.models[0].after))
    assert all(one == found[0] for one in found)


class TestPartial:
    """What a plan leaves out is named, and not called unchanged."""

    def both(self, folder: Path, steps: list[Step]) -> list[Review]:
        """Return the review of a digest and that of the same steps as events."""
        digest = json.dumps({"steps": steps, "changeSummary": {"same": 3}})
        return [from_file(folder, digest), from_file(folder, events(steps))]

    def test_what_target_skips(self, tmp_path: Path) -> None:
        steps = [
            replaced("scaled", inputs(), inputs(concurrency=3)),
            skipped("old", inputs(PHI)),
            skipped("new", inputs("me/new"), is_new=True),
            step("same", "fleet-dev", ROOT, ROOT, STACK),
        ]
        for review in self.both(tmp_path, steps):
            assert gaps(review) == [("targeted", ["new", "old"])]
            assert [one.name for one in review.models] == ["scaled"]
            assert (review.counts.unchanged, review.is_complete) == (None, False)

    def test_what_a_failed_preview_did_not_reach(self, tmp_path: Path) -> None:
        steps = [refreshed("later", state(inputs(PHI))), *gone("expired", inputs())]
        digest = {"steps": steps, "diagnostics": [ERROR], "changeSummary": {"create": 1}}
        for text in (json.dumps(digest), events(steps, {"diagnosticEvent": ERROR})):
            review = from_file(tmp_path, text)
            assert gaps(review) == [("failed", ["later"])]
            assert [one.name for one in review.models] == ["expired"]
            assert review.is_refreshed

    def test_a_mandatory_policy_fails_a_preview_that_is_complete(self, tmp_path: Path) -> None:
        error = {"diagnosticEvent": {"severity": "error", "message": "preview failed\n"}}
        end = {"policyAnalyzeStackSummaryEvent": {"policyPackName": "bytez"}}
        steps = [loaded("scaled", inputs())]
        review = from_file(tmp_path, events(steps, policy(), end, error))
        assert (review.gaps, review.failure_codes) == ([], ["mandatoryPolicy"])
        # Without proof that the program has run to its end, that may have failed too.
        assert gaps(from_file(tmp_path, events(steps, policy(), error))) == [("failed", [])]

    @pytest.mark.parametrize("cut", [None, -40])
    def test_events_that_end_too_early(self, tmp_path: Path, cut: int | None) -> None:
        text = events([refreshed("later", state(inputs(PHI))), *gone("expired", inputs())])
        *lines, summary = text.splitlines(keepends=True)
        review = from_file(tmp_path, "".join(lines) + (summary[:cut] if cut else ""))
        assert gaps(review) == [("cutOff", ["later"])]
        assert [one.name for one in review.models] == ["expired"]

    def test_a_refresh_that_leaves_models_out(self, tmp_path: Path) -> None:
        steps = [refreshed("a", state(inputs())), kept("a", inputs()), kept("b", inputs(PHI))]
        for review in self.both(tmp_path, [*steps, step("same", "fleet-dev", ROOT, ROOT, STACK)]):
            assert gaps(review) == [("notRefreshed", ["b"])]
            assert (review.is_complete, review.counts.unchanged) == (True, 2)

    @pytest.mark.parametrize(
        ("same", "expected", "actions"),
        [
            # The stack is shown. How many of the two models stay, the digest does not show.
            (3, [], {"a": "keep", "b": "keep"}),
            (2, [("goneUnclear", ["a", "b"])], {}),
            (1, [], {"a": "forget", "b": "forget"}),
            (5, [("samesLeftOut", []), ("notRefreshed", [])], {"a": "keep", "b": "keep"}),
        ],
    )
    def test_the_number_of_unchanged_resources_says_what_is_gone(
        self, same: int, expected: list[Any], actions: dict[str, str]
    ) -> None:
        steps = [
            step("refresh", "fleet-dev", ROOT, ROOT, STACK),
            refreshed("a", state(inputs())),
            refreshed("b", state(inputs(PHI))),
            step("same", "fleet-dev", ROOT, ROOT, STACK),
        ]
        plan = from_digest({"steps": steps, "changeSummary": {"same": same}})
        review = assess(plan, setting())
        assert gaps(review) == expected
        assert {one.name: one.action for one in review.models} == actions

    @pytest.mark.parametrize(
        ("same", "expected", "actions"),
        [
            # The stack, a fleet and its readiness may be unchanged too, and are not refreshed.
            (2, [("goneUnclear", ["a", "b"])], {}),
            (3, [("samesLeftOut", []), ("goneUnclear", ["a", "b"])], {}),
            (0, [], {"a": "forget", "b": "forget"}),
        ],
    )
    def test_what_only_native_models_were_refreshed_for_is_not_counted(
        self, same: int, expected: list[Any], actions: dict[str, str]
    ) -> None:
        steps = native([refreshed("a", state(inputs())), refreshed("b", state(inputs(PHI)))])
        plan = from_digest({"steps": steps, "changeSummary": {"same": same, "update": 1}})
        review = assess(plan, setting())
        assert gaps(review) == expected
        assert {one.name: one.action for one in review.models} == actions
        assert "withoutRefresh" not in review.note_codes


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("  \n ", "it is empty"),
        ("{}", "it has no `steps`"),
        ('{"steps": 1}', "it has no `steps`"),
        ("[]", "line 1 is neither a plan nor an event of one"),
        ("Previewing update (dev):", "line 1 is neither a plan nor an event of one"),
        ('{"summaryEvent": {}}\nwarning: x', "line 2 is neither a plan nor an event of one"),
        ('{"steps": [', "line 1 is neither a plan nor an event of one"),
        ("[" * 100_000, "line 1 is neither a plan nor an event of one"),
        (b"\xff\xfe\x00{", "it is not UTF-8"),
        (None, "No such file or directory"),
    ],
)
def test_what_is_not_a_plan_is_refused(tmp_path: Path, text: str | bytes | None, why: str) -> None:
    path = tmp_path / "plan.json"
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InvalidFileError) as caught:
        read_plan(path)
    assert (caught.value.code, caught.value.observed) == (ErrorCode.INVALID_FILE, why)


@pytest.mark.parametrize(
    "odd",
    [
        {},
        {"op": "create"},
        {"op": 1, "urn": []},
        {"op": "create", "urn": "chat", "newState": 5},
        {"op": "update", "urn": urn("x"), "newState": {"type": 5, "inputs": [], "outputs": "a"}},
        {"op": "refresh", "urn": urn("x")},
        {"op": "create", "urn": urn("x"), "newState": {"dependencies": 5}},
        {"op": "create", "urn": urn("x"), "newState": {"propertyDependencies": [1]}},
        {
            "op": "create",
            "urn": urn("x"),
            "newState": {"type": "pulumi-python:dynamic/bytez:Model"},
        },
    ],
)
def test_odd_parts_of_a_plan_are_skipped(tmp_path: Path, odd: Step) -> None:
    new = loaded("new", inputs())
    assert named(from_file(tmp_path, json.dumps({"steps": [odd, new]})), "new").action == "load"
    lines: list[dict[str, Any]] = [
        {"resourcePreEvent": {"metadata": odd}},
        {"resourcePreEvent": {"metadata": 5}},
        {"diagnosticEvent": 5},
        {"policyEvent": []},
        {"timestamp": True, "summaryEvent": None},
        {"timestamp": 1e300, "summaryEvent": None},
    ]
    assert named(from_file(tmp_path, events([new], *lines)), "new").action == "load"
