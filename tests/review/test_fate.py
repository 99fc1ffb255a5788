"""What the provider would really do: what a plan alone, read word by word, tells wrongly."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from bytez_provider.core.ownership import Owner, Phase, Record
from bytez_provider.review import Live, assess, markdown
from bytez_provider.service.schemas import Instance
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


FLEETS = inputs(readiness="fleet")
HERE, THERE = "here", "there"
"""Where the state of the plan's stack is kept, and where that of another one is."""


def live(model_id: str = GPT2, *, record: Record | None = None, **given: Any) -> Live:
    told = {"model_id": model_id, "status": "RUNNING", "concurrency": 1, "created": OTHER}
    instance = Instance.model_validate({**told, **given})
    now = datetime(2024, 5, 28, tzinfo=timezone.utc)
    records = {model_id: record} if record else {}
    account = ACCOUNT["endpoint"], ACCOUNT["account"]
    return Live({model_id: instance}, now, *account, records, HERE)


def kept_record(
    name: str, model_id: str = GPT2, created: str = OTHER, *, stack: str = HERE, **given: Any
) -> Record:
    """Return what the journal has of a load; unfinished, unless a test says otherwise."""
    told = {
        "owner": Owner(urn=urn(name), stack=stack, place=f"file:///{stack}"),
        "phase": Phase.ACCEPTED,
        "began": created,
        "concurrency": 1,
        "created": created,
    }
    return Record.model_validate({"model_id": model_id, **told, **given})


class TestRenamed:
    def test_with_neither_refresh_nor_journal_the_up_fails_and_it_is_one_model(self) -> None:
        review = reviewed(loaded("new", inputs()), unloaded("old", inputs()))
        assert only(review).failure == (
            "the stack has this model loaded as old: name that in `aliases`"
        )
        # There is one load of it at any time.
        assert (review.peak_ram_gb, review.increase.ceiling) == (0.5, 0)

    def test_a_key_of_a_fleet_is_told_what_a_fleet_has(self) -> None:
        new, old = loaded("chat-tiny", FLEETS), unloaded("chat-small", FLEETS)
        assert only(reviewed(new, old)).failure == (
            "the stack has this model loaded as chat-small: set `adopt=True` on it for one up, or "
            "use `pulumi state rename`"
        )

    def test_the_provider_takes_it_over_where_a_refresh_or_the_journal_shows_it(self) -> None:
        new, old = loaded("new", inputs()), unloaded("old", inputs())
        there = live(created=CREATED)
        noted = live(created=CREATED, record=kept_record("old", created=CREATED))
        for review in (
            reviewed(refreshed("old", state(inputs())), new, old),
            reviewed(refreshed("old", state(inputs())), new, old, live=there),
            reviewed(new, old, live=noted),
        ):
            model = only(review)
            assert (model.action, model.failure) == ("adopt", None)
            assert model.reasons[-1] == "taken over from 'old', without a load"
        # The journal of another stack of that name says nothing of this one.
        foreign = kept_record("old", created=CREATED, stack=THERE)
        failure = only(reviewed(new, old, live=live(created=CREATED, record=foreign))).failure
        assert failure is not None

    def test_with_other_settings_it_is_taken_over_and_loaded_again(self) -> None:
        new = loaded("new", inputs(concurrency=2))
        old = unloaded("old", inputs())
        model = only(reviewed(refreshed("old", state(inputs())), new, old))
        assert (model.action, model.failure, model.unavailable_minutes) == ("replace", None, 15)
        assert model.reasons[-1] == (
            "taken over from 'old', and loaded again for another concurrency"
        )

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


class TestGivenUp:
    """A key takes the model of another one, which lets go of it in the same change."""

    def test_one_that_goes_gives_its_load(self) -> None:
        review = reviewed(
            *(refreshed("a", state(inputs())), refreshed("b", state(inputs(PHI)))),
            *(replaced("a", inputs(), inputs(PHI)), unloaded("b", inputs(PHI))),
        )
        assert review.failures == []
        taker, giver = named(review, "a"), named(review, "b")
        assert (taker.action, taker.unavailable_minutes) == ("adopt", None)
        assert taker.reasons[-1] == "taken over from 'b', without a load"
        assert (giver.action, giver.reasons) == ("forget", ["'a' takes its load over"])
        assert "Left running" not in markdown(review)

    def test_one_that_takes_another_model_may_unload_it_first(self) -> None:
        opt = "facebook/opt-1.3b"
        review = reviewed(
            *(refreshed("prod", state(inputs())), refreshed("canary", state(inputs(PHI)))),
            *(
                replaced("prod", inputs(), inputs(PHI)),
                replaced("canary", inputs(PHI), inputs(opt)),
            ),
        )
        assert review.failures == []
        prod = named(review, "prod")
        assert (prod.action, prod.unavailable_minutes) == ("replace", 15)
        assert prod.reasons[-1] == "taken over from 'canary', unless that is unloaded first"

    def test_with_neither_refresh_nor_journal_the_up_fails(self) -> None:
        review = reviewed(replaced("a", inputs(), inputs(PHI)), unloaded("b", inputs(PHI)))
        (failure,) = review.failures
        assert failure == (
            f"a: the stack has {PHI} as b, which goes later: set `adopt=True` on it for one up, or "
            "run `pulumi up --refresh`"
        )


class TestOwner:
    def test_a_load_that_another_stack_took_over_is_not_ours_to_unload(self) -> None:
        taken = "2024-05-28T00:00:00.000Z"
        record = kept_record(
            "theirs", created=CREATED, stack=THERE, adopted_at=taken, phase=Phase.CONFIRMED
        )
        review = reviewed(unloaded("a", inputs()), live=live(created=CREATED, record=record))
        model = only(review)
        owner = "'theirs' of stack 'dev', kept in file:///there"
        assert model.action == "forget"
        assert model.reasons == [f"its load is that of {owner}, by the journal"]
        review = reviewed(
            replaced("a", inputs(), inputs(concurrency=2)),
            live=live(created=CREATED, record=record),
        )
        assert review.failures == [
            f"a: it is loaded already, by {owner}: adopt it, or unload it first"
        ]

    def test_a_state_that_was_put_back_is_not_called_a_stranger_to_its_later_load(self) -> None:
        record = kept_record("a", phase=Phase.CONFIRMED)
        model = only(reviewed(kept("a", inputs()), live=live(record=record)))
        assert model.live is not None
        assert model.live.is_declared_load
        assert model.drift == "was loaded again by its own resource, after this state was saved"
        removed = only(reviewed(unloaded("a", inputs()), live=live(record=record)))
        assert removed.action == "unload"

    def test_a_state_that_does_not_say_which_load_is_its_own_unloads_none(self) -> None:
        old = state(inputs())
        old["outputs"]["created"] = None
        model = only(reviewed(step("delete", "a", old, None), live=live()))
        assert (model.action, model.live and model.live.is_declared_load) == ("forget", None)

    def test_a_failed_load_of_its_own_is_loaded_again(self) -> None:
        old = state(inputs(), status="FAILED")
        new = state(inputs(), status=None)
        there = live(created=CREATED, status="FAILED")
        model = only(reviewed(step("update", "a", old, new), live=there))
        assert (model.action, model.failure) == ("load", None)


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
        begun = live(record=kept_record("a"))
        model = only(reviewed(loaded("a", inputs()), live=begun))
        assert (model.action, model.failure) == ("wait", None)
        # One of other settings is unloaded, and loaded again.
        model = only(reviewed(loaded("a", inputs(concurrency=2)), live=begun))
        assert (model.action, model.failure) == ("replace", None)


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
