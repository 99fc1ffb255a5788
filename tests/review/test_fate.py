"""What the provider would really do: what a plan alone, read word by word, tells wrongly."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from bytez_provider.review import Live, assess, markdown
from bytez_provider.schemas import Instance
from tests.review.plans import (
    ACCOUNT,
    CREATED,
    GPT2,
    PHI,
    UNKNOWN,
    Step,
    digest,
    gone,
    inputs,
    kept,
    loaded,
    named,
    only,
    refreshed,
    replaced,
    reviewed,
    setting,
    state,
    step,
    unloaded,
    urn,
)

OTHER = "2024-05-27T23:50:00Z"


def live(model_id: str = GPT2, *, begun: frozenset[str] = frozenset(), **given: Any) -> Live:
    told = {"model_id": model_id, "status": "RUNNING", "concurrency": 1, "created": OTHER}
    instance = Instance.model_validate({**told, **given})
    now = datetime(2024, 5, 28, tzinfo=timezone.utc)
    return Live({model_id: instance}, now, ACCOUNT["endpoint"], ACCOUNT["account"], begun)


class TestRenamed:
    def test_without_aliases_the_up_fails_and_it_is_one_model(self) -> None:
        review = reviewed(loaded("new", inputs()), unloaded("old", inputs()))
        assert only(review).failure == (
            "the stack has this model loaded as old: name that in `aliases`"
        )
        # There is one load of it at any time.
        assert (review.peak_ram_gb, review.increase.ceiling) == (0.5, 0)

    def test_with_adopt_it_goes_on_running(self) -> None:
        model = only(reviewed(loaded("new", inputs(adopt=True)), unloaded("old", inputs())))
        assert (model.action, model.failure) == ("adopt", None)
        assert "renamed from old" in model.reasons

    def test_with_adopt_and_another_concurrency_it_is_an_outage(self) -> None:
        new = loaded("new", inputs(adopt=True, concurrency=2))
        model = only(reviewed(new, unloaded("old", inputs())))
        assert (model.action, model.unavailable_minutes) == ("replace", 15)

    def test_one_that_has_expired_is_loaded_again_anyway(self) -> None:
        (old, _) = gone("old", inputs())
        plan = digest(old, loaded("new", inputs()), changeSummary={"create": 1})
        review = assess(plan, setting())
        model = only(review)
        assert (model.name, model.action, model.is_anyway) == ("new", "load", True)

    def test_with_aliases_a_refresh_by_the_old_name_is_of_the_new_one(self) -> None:
        old = state(inputs(), urn=urn("old"))
        new = state(inputs(onExpiry="accept"), status=None)
        model = only(reviewed(refreshed("old", old), step("update", "new", old, new)))
        assert (model.name, model.action) == ("new", "update")


class TestRefused:
    def test_a_model_declared_twice(self) -> None:
        review = reviewed(kept("a", inputs()), loaded("b", inputs()))
        assert review.failures == [f"b: the stack has {GPT2} as a, and a model can be loaded once"]

    def test_expired_and_loaded_by_somebody_else(self) -> None:
        (failure,) = reviewed(*gone("a", inputs()), live=live()).failures
        assert failure.startswith("a: it is loaded already, not by this stack")

    def test_changed_to_a_model_that_somebody_else_has_loaded(self) -> None:
        review = reviewed(replaced("a", inputs(), inputs(PHI)), live=live(PHI))
        assert review.failures[0].startswith("a: it is loaded already, not by this stack")

    def test_a_replacement_that_retains_its_old_load(self) -> None:
        one = replaced("a", inputs(), inputs(concurrency=2), retainOnDelete=True)
        assert reviewed(one).failures[0].startswith("a: retain_on_delete keeps the old load")

    def test_one_no_longer_protected_may_be_replaced(self) -> None:
        old, new = state(inputs(), protect=True), state(inputs(concurrency=2), status=None)
        assert reviewed(step("replace", "a", old, new)).failures == []

    def test_a_service_that_tells_no_created_makes_nobody_a_stranger(self) -> None:
        model = only(reviewed(kept("a", inputs()), live=live(created=None)))
        assert model.live is not None
        assert (model.live.is_declared_load, model.drift) == (None, None)

    def test_what_an_interrupted_up_has_begun_is_gone_on_with(self) -> None:
        model = only(reviewed(loaded("a", inputs()), live=live(begun=frozenset([urn("a")]))))
        assert (model.action, model.failure) == ("wait", None)


class TestLeft:
    @pytest.mark.parametrize(
        "steps",
        [
            [unloaded("a", inputs(), retainOnDelete=True)],
            [unloaded("a", inputs(), deletedWith=urn("b")), unloaded("b", inputs(PHI))],
        ],
    )
    def test_what_pulumi_drops_without_a_delete_runs_on(self, steps: list[Step]) -> None:
        review = reviewed(*steps)
        assert named(review, "a").action == "forget"
        assert review.counts.forgotten == 1
        assert "**Left running, and paid for, by no stack: `a`.**" in markdown(review)

    def test_what_is_asleep_has_nothing_to_unload_and_saves_nothing(self) -> None:
        review = reviewed(unloaded("a", inputs(onExpiry="accept"), status="NOT_LOADED"))
        assert (only(review).action, review.increase.ceiling) == ("forget", 0)


class TestNoOutage:
    @pytest.mark.parametrize("status", ["NOT_LOADED", "FAILED"])
    def test_where_nothing_served_nothing_goes_down(self, status: str) -> None:
        old = state(inputs(onExpiry="accept"), status=status)
        new = state(inputs(onExpiry="accept", concurrency=2), status=None)
        model = only(reviewed(step("replace", "a", old, new)))
        assert (model.action, model.unavailable_minutes) == ("load", None)

    def test_what_wakes_up_is_a_cost_from_now_on(self) -> None:
        old = state(inputs(onExpiry="accept"), status="NOT_LOADED")
        review = reviewed(step("update", "a", old, state(inputs(), status=None)))
        assert (only(review).action, review.before.dollars_per_hour) == ("load", 0)
        assert review.increase_per_hour == review.after.dollars_per_hour > 0

    def test_a_boot_that_is_waited_for_takes_its_time(self) -> None:
        there = state(inputs(), status="DEPLOYING")
        assert reviewed(step("update", "a", there, there)).minutes_to_apply == 15

    def test_what_the_step_begins_with_is_what_the_refresh_found(self) -> None:
        asleep = state(inputs(onExpiry="accept"), status="NOT_LOADED")
        new = state(inputs(onExpiry="accept", concurrency=2), status=None)
        old = refreshed("a", state(inputs(onExpiry="accept")))
        model = only(reviewed(old, step("replace", "a", asleep, new)))
        assert (model.action, model.unavailable_minutes) == ("load", None)


def test_a_value_not_known_yet_may_be_an_outage_though_pulumi_says_update() -> None:
    new = state(inputs(concurrency=UNKNOWN), status=None)
    model = only(reviewed(step("update", "a", state(inputs()), new)))
    assert (model.action, model.unavailable_minutes) == ("replace", 15)
    assert model.reasons[-1] == "an outage, unless the value turns out the same"


class TestHidden:
    """A secret, or a value not known yet, is neither the default nor what it was."""

    def test_a_secret_that_is_not_known_yet_may_be_an_outage(self) -> None:
        hidden = inputs(concurrency="[secret]")
        one = step("update", "a", state(hidden), state(hidden, status=None))
        assert only(reviewed(one)).action == "update"
        model = only(reviewed({**one, "diffReasons": ["concurrency"]}))
        assert (model.action, model.unavailable_minutes) == ("replace", 15)

    @pytest.mark.parametrize("hidden", ["[secret]", UNKNOWN])
    def test_whether_it_may_be_taken_over(self, hidden: str) -> None:
        model = only(reviewed(loaded("a", inputs(adopt=hidden)), live=live()))
        assert (model.action, model.failure) == ("load", None)
        assert model.reasons == ["it is loaded already, and what adopt says of that is hidden"]

    @pytest.mark.parametrize("hidden", ["[secret]", UNKNOWN])
    def test_whether_a_take_over_is_an_outage(self, hidden: str) -> None:
        model = only(reviewed(loaded("a", inputs(adopt=True, concurrency=hidden)), live=live()))
        assert (model.action, model.unavailable_minutes) == ("replace", 15)
        assert model.reasons == [
            "taken over; an outage, unless the concurrency, which is hidden, is the same"
        ]

    @pytest.mark.parametrize("hidden", ["[secret]", UNKNOWN])
    def test_what_runs_of_a_model_that_is_hidden_is_not_asked(self, hidden: str) -> None:
        model = only(reviewed(kept("a", inputs(hidden)), live=live()))
        assert (model.live, model.drift, model.action) == (None, None, "keep")


class TestOfThisChange:
    def test_a_secret_that_changes(self) -> None:
        hidden = inputs(concurrency="[secret]")
        one = {**replaced("a", hidden, hidden), "replaceReasons": ["concurrency"]}
        model = only(reviewed(one))
        assert (model.is_anyway, model.reasons) == (False, ["concurrency, a secret"])

    def test_a_replacement_that_was_asked_for(self) -> None:
        assert not only(reviewed(replaced("a", inputs(), inputs()))).is_anyway

    def test_a_move_into_a_fleet(self) -> None:
        old, new = state(inputs()), state(inputs(readiness="fleet"), status=None)
        model = only(reviewed(step("update", "a", old, new)))
        assert (model.is_anyway, model.reasons) == (False, ["moved into a fleet"])

    def test_stack_and_provider_are_no_other_resources(self) -> None:
        kinds = ("pulumi:pulumi:Stack", "pulumi:providers:pulumi-python")
        steps = [step("create", "x", None, {"type": kind}, kind) for kind in kinds]
        assert reviewed(*steps).other_changes == 0


def test_a_program_that_raises_is_told_by_its_last_line() -> None:
    message = "Program failed\nTraceback (most recent call last):\n" + "  File x\n" * 99 + "E: no\n"
    plan = digest(diagnostics=[{"severity": "error", "message": message}])
    assert assess(plan, setting()).failures == ["the program failed: E: no"]


def test_a_head_of_many_failures_leaves_room_for_the_rest() -> None:
    steps = [kept("a", inputs()), *(loaded(f"m{n}", inputs()) for n in range(1000))]
    text = markdown(reviewed(*steps))
    assert len(text) <= 65_536
    assert "And for 990 more reasons" in text


def test_created_is_the_same_load() -> None:
    model = only(reviewed(kept("a", inputs()), live=live(created=CREATED)))
    assert model.live is not None
    assert model.live.is_declared_load
