"""Both forms of a saved plan say the same, and what is no plan is refused in one sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bytez_provider.base.errors import InvalidFileError
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


def test_what_may_quote_a_secret_is_not_shown(tmp_path: Path) -> None:
    hidden = inputs("me/hidden", concurrency={**SECRET, "ciphertext": "x"})
    stack = policy(name="budget", resourceUrn=urn("fleet-dev", STACK), message="7 in all")
    rule = policy(resourceUrn=urn("hidden"), message="7 instances")
    told = from_file(tmp_path, events([*STEPS, loaded("hidden", hidden)], policy(), rule, stack))
    withheld = "not shown, because it may quote a secret; the output of the preview has it"
    assert [one.message for one in told.broken_rules] == [
        "concurrency 3 is more than 2",
        withheld,
        withheld,
    ]


def test_a_plan_without_policies_says_so(tmp_path: Path) -> None:
    review = from_file(tmp_path, json.dumps({"steps": STEPS}))
    assert not review.has_policy_results
    assert "This form of a plan carries no policy results." in review.notes


def test_a_digest_that_leaves_out_what_stays_says_so() -> None:
    plan = from_digest({"steps": [loaded("new", inputs())], "changeSummary": {"same": 4}})
    (gap,) = assess(plan, setting()).gaps
    assert (gap.code, gap.models) == ("samesLeftOut", [])
    assert "--show-sames" in gap.text


ROOT: dict[str, Any] = {"type": STACK, "inputs": {}}


class TestPartial:
    """What a plan leaves out is named, and nobody says that it stays as it is."""

    def both(self, folder: Path, steps: list[Step], *more: dict[str, Any]) -> list[Review]:
        """Return the review of a digest and that of the same as events."""
        digest = {"steps": steps, "changeSummary": {"same": 3}}
        return [
            from_file(folder, json.dumps(digest)),
            from_file(folder, events(steps, *more)),
        ]

    def test_what_target_leaves_alone(self, tmp_path: Path) -> None:
        steps = [
            replaced("scaled", inputs(), inputs(concurrency=3)),
            skipped("old", inputs(PHI)),
            skipped("new", inputs("me/new"), is_new=True),
            step("same", "fleet-dev", ROOT, ROOT, STACK),
        ]
        for review in self.both(tmp_path, steps):
            (gap,) = review.gaps
            assert (gap.code, gap.models) == ("targeted", ["new", "old"])
            assert [one.name for one in review.models] == ["scaled"]
            assert (review.counts.unchanged, review.is_complete) == (None, False)

    def test_what_a_failed_preview_did_not_get_to(self, tmp_path: Path) -> None:
        error = {"severity": "error", "message": "an unhandled error occurred"}
        steps = [refreshed("later", state(inputs(PHI))), *gone("expired", inputs())]
        digest = {"steps": steps, "diagnostics": [error], "changeSummary": {"create": 1}}
        for text in (json.dumps(digest), events(steps, {"diagnosticEvent": error})):
            review = from_file(tmp_path, text)
            assert [(one.code, one.models) for one in review.gaps] == [("failed", ["later"])]
            assert [one.name for one in review.models] == ["expired"]
            assert review.is_refreshed

    def test_a_mandatory_policy_fails_a_preview_that_is_whole(self, tmp_path: Path) -> None:
        error = {"diagnosticEvent": {"severity": "error", "message": "preview failed\n"}}
        asked = {"policyAnalyzeStackSummaryEvent": {"policyPackName": "bytez"}}
        steps = [loaded("scaled", inputs())]
        review = from_file(tmp_path, events(steps, policy(), asked, error))
        assert review.gaps == []
        assert review.failures == ["a mandatory policy is broken"]
        # Without proof that the program has run to its end, it may be about that as well.
        review = from_file(tmp_path, events(steps, policy(), error))
        assert [one.code for one in review.gaps] == ["failed"]

    @pytest.mark.parametrize("cut", [1, 40])
    def test_events_that_end_too_early(self, tmp_path: Path, cut: int) -> None:
        text = events([refreshed("later", state(inputs(PHI))), *gone("expired", inputs())])
        *lines, summary = text.splitlines(keepends=True)
        review = from_file(tmp_path, "".join(lines) + summary[:-cut] if cut > 1 else "".join(lines))
        assert [(one.code, one.models) for one in review.gaps] == [("cutOff", ["later"])]
        assert [one.name for one in review.models] == ["expired"]

    def test_a_refresh_that_leaves_models_out(self, tmp_path: Path) -> None:
        steps = [refreshed("a", state(inputs())), kept("a", inputs()), kept("b", inputs(PHI))]
        steps.append(step("same", "fleet-dev", ROOT, ROOT, STACK))
        for review in self.both(tmp_path, steps):
            assert [(one.code, one.models) for one in review.gaps] == [("notRefreshed", ["b"])]
            # They are in the plan all the same.
            assert (review.is_complete, review.counts.unchanged) == (True, 2)

    @pytest.mark.parametrize(
        ("same", "gaps", "actions"),
        [
            # The stack is shown; of the two models so many stay, which a digest does not show.
            (3, [], {"a": "keep", "b": "keep"}),
            (2, [("goneUnclear", ["a", "b"])], {}),
            (1, [], {"a": "forget", "b": "forget"}),
            (5, [("samesLeftOut", []), ("notRefreshed", [])], {"a": "keep", "b": "keep"}),
        ],
    )
    def test_a_digest_counts_what_stays_and_that_says_what_is_gone(
        self, same: int, gaps: list[Any], actions: dict[str, str]
    ) -> None:
        steps = [
            step("refresh", "fleet-dev", ROOT, ROOT, STACK),
            refreshed("a", state(inputs())),
            refreshed("b", state(inputs(PHI))),
            step("same", "fleet-dev", ROOT, ROOT, STACK),
        ]
        plan = from_digest({"steps": steps, "changeSummary": {"same": same}})
        review = assess(plan, setting())
        assert [(one.code, one.models) for one in review.gaps] == gaps
        assert {one.name: one.action for one in review.models} == actions

    def test_the_comment_says_so_in_one_line_of_its_head(self, tmp_path: Path) -> None:
        steps = [loaded("new", inputs()), *(skipped(f"m{n:02}", inputs()) for n in range(12))]
        (line,) = [
            line
            for line in markdown(from_file(tmp_path, events(steps))).splitlines()
            if line.startswith("> **This review is partial:** ")
        ]
        assert "--target" in line
        assert line.endswith("`m09` and 2 more.")


def test_a_secret_is_masked_in_either_form(tmp_path: Path) -> None:
    told = []
    for hidden in ("[secret]", {**SECRET, "ciphertext": "x"}, {**SECRET, "plaintext": '"laid"'}):
        one = inputs(concurrency=hidden, onExpiry=hidden)
        change = replaced("a", {**one, "adopt": hidden}, one)
        for text in (json.dumps({"steps": [change]}), events([change])):
            review = from_file(tmp_path, text)
            assert "laid" not in review.model_dump_json() + markdown(review)
            told.append((review.models[0].reasons, review.models[0].after))
    assert all(one == told[0] for one in told)


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
