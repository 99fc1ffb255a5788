"""What a plan does to each model, what it costs, and what would happen anyway."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from bytez_provider.review import Live, Review, assess, markdown
from bytez_provider.service.schemas import Instance
from tests.review.plans import (
    ACCOUNT,
    CREATED,
    FLEET,
    GPT2,
    GPT2_GB,
    PHI,
    READINESS,
    UNKNOWN,
    UNPRICED,
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

OPT, OPT_GB = "facebook/opt-1.3b", 8.06
NOW = datetime(2024, 5, 28, 0, 0, tzinfo=timezone.utc)
AN_HOUR = GPT2_GB * 3600 * 0.0000166667
A_MONTH = AN_HOUR * 730


def live(*instances: Instance) -> Live:
    return Live(
        {one.model_id: one for one in instances}, NOW, ACCOUNT["endpoint"], ACCOUNT["account"]
    )


def running(model_id: str = GPT2, **given: Any) -> Instance:
    told = {"model_id": model_id, "status": "RUNNING", "concurrency": 1, "created": CREATED}
    return Instance.model_validate({**told, **given})


class TestActions:
    def test_new_is_loaded(self) -> None:
        model = only(reviewed(loaded("chat", inputs())))
        assert (model.action, model.is_anyway, model.before) == ("load", False, None)
        assert model.unavailable_minutes is None

    def test_replacement_is_an_outage_of_one_boot(self) -> None:
        model = only(reviewed(replaced("chat", inputs(), inputs(concurrency=3.0))))
        assert (model.action, model.unavailable_minutes) == ("replace", 15)
        assert model.reasons == ["concurrency 1 to 3"]

    def test_boot_minutes_are_the_users(self) -> None:
        review = reviewed(replaced("chat", inputs(), inputs(concurrency=2)), boot_minutes=7)
        assert only(review).unavailable_minutes == 7
        assert review.minutes_to_apply == 7

    def test_removed_is_unloaded(self) -> None:
        model = only(reviewed(unloaded("chat", inputs())))
        assert (model.action, model.after, model.is_anyway) == ("unload", None, False)

    def test_update_sends_nothing(self) -> None:
        new = inputs(onExpiry="accept", expectedHoursPerDay=8)
        model = only(reviewed(step("update", "chat", state(inputs()), state(new))))
        assert model.action == "update"
        assert model.reasons == ["on expiry reload to accept", "expected hours a day unset to 8"]

    @pytest.mark.parametrize(
        ("status", "action"), [("DEPLOYING", "wait"), ("FAILED", "load"), ("NOT_LOADED", "load")]
    )
    def test_update_of_what_does_not_run(self, status: str, action: str) -> None:
        there = state(inputs(), status=status)
        model = only(reviewed(step("update", "chat", there, there)))
        assert (model.action, model.is_anyway) == (action, True)

    def test_a_model_that_is_only_read_is_none_of_ours(self) -> None:
        there = state(inputs(), external=True)
        assert reviewed(step("read", "chat", None, there)).models == []

    def test_what_an_earlier_replacement_left_is_no_unload(self) -> None:
        left = step("delete", "chat", state(inputs(), delete=True), None)
        assert only(reviewed(kept("chat", inputs()), left)).action == "keep"

    def test_other_resources_are_counted(self) -> None:
        other = {"type": "random:index:RandomPet", "inputs": {}}
        review = reviewed(
            step("create", "pet", None, other, "random:index:RandomPet"),
            step("create", "chat", None, {"type": FLEET}, FLEET),
            step("create", "chat-ready", None, {"type": READINESS}, READINESS),
        )
        assert (review.other_changes, review.models) == (1, [])


class TestAnyway:
    def test_expired_is_loaded_again_whatever_is_merged(self) -> None:
        review = reviewed(*gone("chat", inputs()), loaded("new", inputs(PHI)))
        model = named(review, "chat")
        assert (model.action, model.is_anyway) == ("load", True)
        assert model.drift == "was unloaded since the last up"
        assert (review.counts.loads, review.counts.anyway) == (1, 1)
        # It was paid for before, and will be: the change costs what is new alone.
        assert named(review, "new").after is not None
        assert review.increase.ceiling == pytest.approx(9.16 / GPT2_GB * A_MONTH, abs=0.01)

    def test_expired_and_changed_is_of_the_change(self) -> None:
        review = reviewed(refreshed("chat", state(inputs())), loaded("chat", inputs(concurrency=2)))
        model = only(review)
        assert (model.action, model.is_anyway) == ("load", False)
        assert model.reasons == ["concurrency 1 to 2"]
        assert review.increase_per_hour == pytest.approx(AN_HOUR, abs=1e-6)

    def test_expired_and_removed_is_no_unload_of_the_change(self) -> None:
        plan = digest(refreshed("chat", state(inputs())), changeSummary={"update": 1})
        model = only(assess(plan, setting()))
        assert (model.action, model.is_anyway) == ("forget", True)

    def test_drift_is_replaced_whatever_is_merged(self) -> None:
        drifted = state(inputs(concurrency=2))
        review = reviewed(
            refreshed("chat", state(inputs()), drifted),
            step("replace", "chat", drifted, state(inputs(), status=None)),
        )
        model = only(review)
        assert (model.action, model.is_anyway, model.unavailable_minutes) == ("replace", True, 15)
        assert model.drift == "was changed behind Pulumi's back: concurrency 1 to 2"
        assert review.counts.replacements == 0
        assert review.increase.ceiling == 0

    def test_accepted_expiry_is_asleep_and_in_no_sum(self) -> None:
        review = reviewed(kept("chat", inputs(onExpiry="accept"), status="NOT_LOADED"))
        assert only(review).is_asleep
        assert (review.before.models, review.after.dollars_per_hour) == (0, 0)


class TestCost:
    def test_hour_and_month(self) -> None:
        review = reviewed(replaced("chat", inputs(), inputs(concurrency=3)))
        assert review.before.dollars_per_hour == pytest.approx(AN_HOUR, abs=1e-6)
        assert review.after.dollars_per_hour == pytest.approx(3 * AN_HOUR, abs=1e-6)
        assert review.after.dollars_per_month.ceiling == pytest.approx(3 * A_MONTH, abs=1e-6)
        # One boot of 403 s and an idle period of 1800 s, billed as 37 minutes.
        assert review.before.dollars_per_month.floor == pytest.approx(AN_HOUR * 37 / 60, abs=1e-6)

    def test_expected_only_where_hours_are_declared(self) -> None:
        review = reviewed(
            kept("a", inputs(expectedHoursPerDay=12)), kept("b", inputs(PHI)), loaded("c", inputs())
        )
        assert review.before.dollars_per_month.expected == pytest.approx(A_MONTH / 2, abs=0.001)
        assert (review.after.expected_models, review.after.models) == (1, 3)
        none = reviewed(kept("b", inputs(PHI)))
        assert none.after.dollars_per_month.expected is None
        assert none.increase.expected is None

    def test_unknown_ram_is_named_and_never_nothing(self) -> None:
        review = reviewed(loaded("chat", inputs(UNPRICED)))
        model = only(review)
        assert model.after is not None
        assert model.after.dollars_per_month is None
        assert review.unknown_cost == ["chat"]

    def test_ram_of_a_model_outside_the_catalogue_is_in_its_state(self) -> None:
        there = state(inputs("me/mine"))
        there["outputs"]["requiredRamGb"] = 4.0
        review = reviewed(step("same", "mine", there, there))
        assert review.after.required_ram_gb == 4.0
        assert review.unknown_cost == []

    @pytest.mark.parametrize("value", [UNKNOWN, "[secret]", 2.5, -1, True, None, [], float("nan")])
    def test_concurrency_that_no_preview_knows_costs_nobody_knows_what(self, value: object) -> None:
        review = reviewed(loaded("chat", inputs(concurrency=value)))
        assert only(review).after.concurrency is None  # type: ignore[union-attr]
        assert review.unknown_cost == ["chat"]

    @pytest.mark.parametrize("hidden", [UNKNOWN, "[secret]"])
    def test_a_hidden_idle_period_is_not_the_services_own(self, hidden: str) -> None:
        review = reviewed(kept("chat", inputs(expirationPeriodSeconds=hidden)))
        declared = only(review).after
        assert declared is not None
        assert declared.unreadable == ["expirationPeriodSeconds"]
        assert (declared.dollars_per_hour, declared.dollars_per_month) == (None, None)
        assert review.unknown_cost == ["chat"]

    @pytest.mark.parametrize("hidden", [UNKNOWN, "[secret]"])
    def test_hidden_hours_are_not_undeclared_ones(self, hidden: str) -> None:
        review = reviewed(kept("chat", inputs(expectedHoursPerDay=hidden)))
        declared = only(review).after
        assert declared is not None
        assert declared.unreadable == ["expectedHoursPerDay"]
        assert (review.after.expected_models, review.unknown_cost) == (0, [])
        hours = "- Hidden, as a secret or a value not known yet: `chat` (expectedHoursPerDay)."
        assert hours in markdown(review)

    def test_model_that_no_preview_knows(self) -> None:
        model = only(reviewed(loaded("chat", inputs(UNKNOWN))))
        assert model.after is not None
        assert model.after.model_id is None

    def test_peak_is_that_of_what_goes_last(self) -> None:
        review = reviewed(
            loaded("new", inputs(PHI)),
            unloaded("old", inputs(OPT)),
            replaced("chat", inputs(concurrency=4), inputs(concurrency=1)),
        )
        assert review.peak_ram_gb == pytest.approx(9.16 + OPT_GB + 4 * GPT2_GB)
        assert review.after.required_ram_gb == pytest.approx(9.16 + GPT2_GB)


def chained(*links: tuple[str, list[str]], type_: str = "replace") -> list[Step]:
    """Return steps that depend on one another."""
    steps = []
    for name, needs in links:
        old, new = inputs(), inputs(concurrency=2)
        deps = {"dependencies": [urn(one) for one in needs]}
        steps.append(
            replaced(name, old, new, **deps) if type_ == "replace" else loaded(name, old, **deps)
        )
    return steps


class TestOrder:
    def test_dependents_of_a_replacement_are_named_through_others(self) -> None:
        review = reviewed(*chained(("a", []), ("b", ["a"]), ("c", ["b"])))
        assert named(review, "a").dependents == ["b", "c"]
        assert named(review, "c").dependents == []

    def test_boots_side_by_side_take_one_boot(self) -> None:
        assert reviewed(*chained(("a", []), ("b", []))).minutes_to_apply == 15

    def test_boots_in_a_row_add_up(self) -> None:
        assert reviewed(*chained(("a", []), ("b", ["a"]), ("c", ["b"]))).minutes_to_apply == 45

    def test_a_long_chain(self) -> None:
        links = [("m0", list[str]()), *((f"m{n}", [f"m{n - 1}"]) for n in range(1, 1200))]
        assert reviewed(*chained(*links[::-1])).minutes_to_apply == 1200 * 15

    def test_a_circle_ends(self) -> None:
        assert reviewed(*chained(("a", ["b"]), ("b", ["a"]))).minutes_to_apply >= 15

    def test_a_fleet_takes_one_boot_and_what_waits_for_it_another(self) -> None:
        members = [
            loaded(name, inputs(readiness="fleet"))
            for name in ("chat-one", "chat-two", "chat-three")
        ]
        waits = {"dependencies": [one["urn"] for one in members]}
        ready = step("create", "chat-ready", None, {"type": READINESS, **waits}, READINESS)
        after = loaded("after", inputs(PHI), dependencies=[ready["urn"]])
        assert reviewed(*members, ready).minutes_to_apply == 15
        review = reviewed(*members, ready, after)
        assert review.minutes_to_apply == 30

    def test_nothing_that_boots_takes_no_time(self) -> None:
        assert reviewed(unloaded("chat", inputs()), kept("a", inputs(PHI))).minutes_to_apply == 0


class TestFailures:
    @pytest.mark.parametrize(
        ("one", "sentence"),
        [
            (
                replaced("chat", inputs(), inputs(concurrency=2), protect=True),
                "chat: it is protected, and would be replaced",
            ),
            (
                unloaded("chat", inputs(), protect=True),
                "chat: it is protected, and would be removed",
            ),
        ],
    )
    def test_protected(self, one: Step, sentence: str) -> None:
        assert reviewed(one).failures == [sentence]

    def test_protected_and_kept_is_none(self) -> None:
        assert reviewed(kept("chat", inputs(), protect=True)).failures == []

    def test_errors_of_the_preview(self) -> None:
        plan = digest(
            loaded("chat", inputs()),
            diagnostics=[
                {"severity": "error", "urn": urn("chat"), "message": "error: no\nsuch model\n"},
                {"severity": "error", "message": "error: preview failed\n"},
                {"severity": "warning", "message": "warning: well\n"},
            ],
        )
        assert assess(plan, setting()).failures == ["chat: no such model"]

    def test_a_failure_without_a_reason_is_one(self) -> None:
        plan = digest(diagnostics=[{"severity": "error", "message": "error: preview failed\n"}])
        assert assess(plan, setting()).failures == [
            "the preview failed, and the plan does not tell why"
        ]

    def test_a_new_model_that_somebody_else_has_loaded(self) -> None:
        (failure,) = reviewed(loaded("chat", inputs()), live=live(running())).failures
        assert failure.startswith("chat: it is loaded already, not by this stack")

    def test_a_new_model_that_is_adopted_is_none(self) -> None:
        review = reviewed(loaded("chat", inputs(adopt=True)), live=live(running()))
        assert review.failures == []
        assert (only(review).action, review.counts.adoptions) == ("adopt", 1)
        assert review.minutes_to_apply == 0

    def test_adopted_at_another_concurrency_goes_down_and_is_loaded_again(self) -> None:
        adopted = loaded("chat", inputs(adopt=True, concurrency=2))
        model = only(reviewed(adopted, live=live(running())))
        assert (model.action, model.unavailable_minutes) == ("replace", 15)

    def test_expired_and_loaded_by_somebody_else(self) -> None:
        other = running(created="2024-05-27T23:50:00Z")
        model = only(reviewed(*gone("chat", inputs()), live=live(other)))
        assert model.drift == "was unloaded since the last up, and loaded by somebody else"


class TestLive:
    def test_what_runs_stands_beside_what_is_declared(self) -> None:
        expires = NOW + timedelta(minutes=10)
        instance = running(expires_at=expires)
        model = only(reviewed(kept("chat", inputs()), live=live(instance)))
        assert model.live is not None
        assert (model.live.status, model.live.idle_seconds_left) == ("RUNNING", 600)
        assert model.live.age_seconds == 1464
        assert (model.live.is_declared_load, model.drift) == (True, None)

    def test_not_loaded_is_drift_also_where_the_plan_did_not_refresh(self) -> None:
        model = only(reviewed(kept("chat", inputs()), live=live()))
        assert model.drift == "was unloaded since the last up"

    def test_failed_is_drift(self) -> None:
        model = only(reviewed(kept("chat", inputs()), live=live(running(status="FAILED"))))
        assert model.drift == "has FAILED since the last up"

    def test_another_account_is_not_compared(self) -> None:
        there = state(inputs())
        there["outputs"]["account"] = "ba9876543210"
        model = only(reviewed(step("same", "chat", there, there), live=live()))
        assert (model.live, model.drift) == (None, None)


def test_the_same_plan_gives_the_same_bytes() -> None:
    def told() -> Review:
        return reviewed(
            *gone("b", inputs()), replaced("a", inputs(PHI), inputs(PHI, concurrency=2))
        )

    assert told().model_dump_json() == told().model_dump_json()
    assert [one.name for one in told().models] == ["a", "b"]
