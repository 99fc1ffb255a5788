"""Costs, RAM, minutes and findings of a whole plan."""

from __future__ import annotations

import pytest
from inline_snapshot import snapshot

from bytez_provider.review import Thresholds, assess, from_digest, from_events
from tests.review.plans import (
    ACCOUNT,
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
    policy,
    replaced,
    reviewed,
    setting,
    state,
    step,
    unloaded,
    urn,
)

OPT, OPT_GB, PHI_GB = "facebook/opt-1.3b", 8.06, 9.16
AN_HOUR = GPT2_GB * 3600 * 0.0000166667
A_MONTH = AN_HOUR * 730
HIDDEN = [UNKNOWN, "[secret]"]


class TestCost:
    def test_hour_and_month(self) -> None:
        review = reviewed(replaced("chat", inputs(), inputs(concurrency=3)))
        assert review.before.dollars_per_hour == pytest.approx(AN_HOUR, abs=1e-6)
        assert review.increase_per_hour == pytest.approx(2 * AN_HOUR, abs=1e-6)
        assert review.after.dollars_per_month.ceiling == pytest.approx(3 * A_MONTH, abs=1e-5)
        # One boot of 403 s and an idle period of 1800 s, billed as 37 minutes.
        assert review.before.dollars_per_month.floor == pytest.approx(AN_HOUR * 37 / 60, abs=1e-6)

    def test_expected_covers_only_models_with_declared_hours(self) -> None:
        review = reviewed(kept("a", inputs(expectedHoursPerDay=12)), kept("b", inputs(PHI)))
        assert review.after.dollars_per_month.expected == pytest.approx(A_MONTH / 2, abs=0.001)
        assert (review.after.expected_models, review.after.models) == (1, 2)
        assert reviewed(kept("b", inputs(PHI))).increase.expected is None

    def test_unknown_ram_is_named_and_never_zero(self) -> None:
        review = reviewed(loaded("chat", inputs(UNPRICED)))
        after = only(review).after
        assert after is not None
        assert (after.dollars_per_hour, after.dollars_per_month) == (None, None)
        assert (review.unknown_cost, review.after.unknown_models) == (["chat"], 1)

    def test_a_state_knows_ram_that_the_catalogue_does_not(self) -> None:
        there = state(inputs("me/mine"))
        there["outputs"]["requiredRamGb"] = 4.0
        review = reviewed(step("same", "mine", there, there))
        assert (review.after.required_ram_gb, review.unknown_cost) == (4.0, [])

    @pytest.mark.parametrize("value", [*HIDDEN, 2.5, -1, True, [], float("nan")])
    def test_unreadable_concurrency_has_an_unknown_cost(self, value: object) -> None:
        review = reviewed(loaded("chat", inputs(concurrency=value)))
        after = only(review).after
        assert after is not None
        assert (after.concurrency, review.unknown_cost) == (None, ["chat"])

    @pytest.mark.parametrize("hidden", HIDDEN)
    @pytest.mark.parametrize(
        ("name", "unknown"), [("expirationPeriodSeconds", ["chat"]), ("expectedHoursPerDay", [])]
    )
    def test_a_hidden_input_is_not_the_default(
        self, name: str, unknown: list[str], hidden: str
    ) -> None:
        review = reviewed(kept("chat", inputs(**{name: hidden})))
        assert review.unreadable == {"chat": [name]}
        assert (review.unknown_cost, review.after.expected_models) == (unknown, 0)

    def test_a_hidden_model_is_null(self) -> None:
        after = only(reviewed(loaded("chat", inputs(UNKNOWN)))).after
        assert after is not None
        assert after.model_id is None

    def test_peak_counts_what_is_removed_last(self) -> None:
        review = reviewed(
            loaded("new", inputs(PHI)),
            unloaded("old", inputs(OPT)),
            replaced("chat", inputs(concurrency=4), inputs(concurrency=1)),
        )
        assert review.peak_ram_gb == pytest.approx(PHI_GB + OPT_GB + 4 * GPT2_GB)
        assert review.after.required_ram_gb == pytest.approx(PHI_GB + GPT2_GB)

    def test_only_the_change_is_an_increase(self) -> None:
        """An expired model was paid for before, and will be again whatever is merged."""
        review = reviewed(*gone("chat", inputs()), loaded("new", inputs(PHI)))
        assert (review.counts.loads, review.counts.anyway) == (1, 1)
        assert review.increase.ceiling == pytest.approx(PHI_GB / GPT2_GB * A_MONTH, abs=0.01)

    def test_an_accepted_expiry_costs_nothing_until_it_is_loaded(self) -> None:
        asleep = state(inputs(onExpiry="accept"), status="NOT_LOADED")
        review = reviewed(kept("chat", inputs(onExpiry="accept"), status="NOT_LOADED"))
        assert only(review).is_asleep
        assert (review.before.models, review.after.dollars_per_hour) == (0, 0)
        review = reviewed(step("update", "a", asleep, state(inputs(), status=None)))
        assert review.before.dollars_per_hour == 0
        assert review.increase_per_hour == review.after.dollars_per_hour > 0
        removed = unloaded("a", inputs(onExpiry="accept"), status="NOT_LOADED")
        assert reviewed(removed).increase.ceiling == 0


def chained(*links: tuple[str, list[str]]) -> list[Step]:
    """Return replacements that depend on one another."""
    return [
        replaced(name, inputs(), inputs(concurrency=2), dependencies=[urn(one) for one in needs])
        for name, needs in links
    ]


class TestOrder:
    def test_dependents_are_named_through_others(self) -> None:
        review = reviewed(*chained(("a", []), ("b", ["a"]), ("c", ["b"])))
        assert named(review, "a").dependents == ["b", "c"]
        assert named(review, "c").dependents == []

    @pytest.mark.parametrize(
        ("links", "boots"),
        [
            ([("a", []), ("b", [])], 1),
            ([("a", []), ("b", ["a"]), ("c", ["b"])], 3),
            ([("m0", []), *((f"m{n}", [f"m{n - 1}"]) for n in range(1, 1200))][::-1], 1200),
            ([("a", ["b"]), ("b", ["a"])], 1),  # No plan of Pulumi's has a circle.
        ],
    )
    def test_boots_in_a_row_add_up(self, links: list[tuple[str, list[str]]], boots: int) -> None:
        assert reviewed(*chained(*links)).minutes_to_apply == boots * 15
        assert reviewed(*chained(*links), boot_minutes=7).minutes_to_apply == boots * 7

    def test_a_fleet_takes_one_boot_and_what_waits_for_it_another(self) -> None:
        members = [loaded(name, inputs(f"me/{name}", readiness="fleet")) for name in "abc"]
        waits = {"dependencies": [one["urn"] for one in members]}
        ready = step("create", "chat-ready", None, {"type": READINESS, **waits}, READINESS)
        after = loaded("after", inputs(PHI), dependencies=[ready["urn"]])
        assert reviewed(*members, ready).minutes_to_apply == 15
        assert reviewed(*members, ready, after).minutes_to_apply == 30

    def test_a_boot_that_is_waited_for_takes_time_and_no_boot_takes_none(self) -> None:
        booting = state(inputs(), status="DEPLOYING")
        assert reviewed(step("update", "a", booting, booting)).minutes_to_apply == 15
        assert reviewed(unloaded("a", inputs()), kept("b", inputs(PHI))).minutes_to_apply == 0


ALL = frozenset({"replace", "drift", "violation", "unknown-cost"})


class TestFindings:
    def test_nothing_is_a_finding_unless_asked_for(self) -> None:
        steps = [replaced("a", inputs(), inputs(concurrency=9)), loaded("b", inputs(UNPRICED))]
        assert reviewed(*steps).findings == []

    def test_each_kind_has_its_line(self) -> None:
        review = reviewed(
            replaced("a", inputs(), inputs(concurrency=2)),
            *gone("b", inputs()),
            loaded("c", inputs(UNPRICED)),
            thresholds=Thresholds(max_increase=0, max_monthly=0, fail_on=ALL),
        )
        assert [f"{one.code}: {one.text}" for one in review.findings] == snapshot(
            [
                "increase: $21.90 a month more if always loaded, allowed: $0.00",
                "monthly: $65.70 a month if always loaded, allowed: $0.00",
                "replace: a is unavailable for about 15 minutes (concurrency 1 to 2)",
                "drift: b was unloaded since the last up",
                "unknown-cost: c has an unknown cost, which is in no total",
            ]
        )
        assert [one.name for one in review.findings] == [None, None, "a", "b", "c"]

    def test_violations(self) -> None:
        event = policy("a", message="too many\ninstances", enforcementLevel="advisory")
        review = assess(from_events([event]), setting(thresholds=Thresholds(fail_on=ALL)))
        (found,) = review.findings
        assert (found.code, found.name) == ("violation", "a")
        assert found.text == "a: too many instances (concurrency-cap)"

    @pytest.mark.parametrize(("limit", "number"), [(21.89, 1), (21.90, 0), (-1, 1)])
    def test_one_cent_too_much_is_too_much(self, limit: float, number: int) -> None:
        for limits in (Thresholds(max_increase=limit), Thresholds(max_monthly=limit)):
            assert len(reviewed(loaded("a", inputs()), thresholds=limits).findings) == number

    @pytest.mark.parametrize(
        ("given", "codes"),
        [
            # Only what changes is known.
            ({"steps": [loaded("a", inputs())], "changeSummary": {"same": 4}}, ["monthly"]),
            # The failure is reported instead.
            ({"steps": [], "diagnostics": [{"severity": "error", "message": "boom"}]}, []),
            (None, ["increase", "monthly"]),  # Cut off.
        ],
    )
    def test_a_partial_plan_does_not_pass_a_limit(
        self, given: dict[str, object] | None, codes: list[str]
    ) -> None:
        plan = from_events([]) if given is None else from_digest(given)
        limits = Thresholds(max_monthly=1e6, max_increase=1e6)
        review = assess(plan, setting(thresholds=limits))
        assert [one.code for one in review.findings] == codes
        assert all(one.text.startswith("not known, because ") for one in review.findings)


def test_the_same_plan_gives_the_same_bytes() -> None:
    steps = [*gone("b", inputs()), replaced("a", inputs(PHI), inputs(PHI, concurrency=2))]
    one, other = (assess(digest(*steps), setting()) for _ in range(2))
    assert one.model_dump_json() == other.model_dump_json()
    assert [model.name for model in one.models] == ["a", "b"]
    assert ACCOUNT["account"] not in one.model_dump_json()
