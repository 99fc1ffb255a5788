"""A line for each finding, and none without being asked for."""

from __future__ import annotations

import pytest

from bytez_provider.review import Thresholds, assess, findings, from_digest, from_events
from tests.review.plans import (
    UNPRICED,
    digest,
    gone,
    inputs,
    kept,
    loaded,
    replaced,
    reviewed,
    setting,
    urn,
)

ALL = frozenset({"replace", "drift", "violation", "unknown-cost"})
# 0.5 GB loaded all month at the price of June 2024.
GPT2_MONTH = 21.90


def test_nothing_is_found_without_being_asked_for() -> None:
    review = reviewed(replaced("a", inputs(), inputs(concurrency=9)), loaded("b", inputs(UNPRICED)))
    assert findings(review, Thresholds()) == []


def test_each_kind_has_its_line() -> None:
    review = reviewed(
        replaced("a", inputs(), inputs(concurrency=2)),
        *gone("b", inputs()),
        loaded("c", inputs(UNPRICED)),
    )
    assert findings(review, Thresholds(max_increase=0, max_monthly=0, fail_on=ALL)) == [
        "increase: $21.90 a month more when always loaded, at most $0.00",
        "monthly: $65.70 a month when always loaded, at most $0.00",
        "replace: a is unavailable about 15 minutes (concurrency 1 to 2)",
        "drift: b was unloaded since the last up",
        "unknown-cost: c has an unknown cost, which is in no sum",
    ]


def test_violations() -> None:
    event = {
        "policyEvent": {
            "resourceUrn": urn("a"),
            "message": "too many\ninstances",
            "policyName": "cap",
            "enforcementLevel": "advisory",
        }
    }
    review = assess(from_events([event]), setting())
    assert findings(review, Thresholds(fail_on=ALL)) == ["violation: a: too many instances (cap)"]


@pytest.mark.parametrize(("limit", "number"), [(21.89, 1), (GPT2_MONTH, 0), (100, 0)])
def test_a_limit_is_broken_from_the_first_cent_too_much(limit: float, number: int) -> None:
    review = reviewed(loaded("a", inputs()))
    assert len(findings(review, Thresholds(max_increase=limit))) == number
    assert len(findings(review, Thresholds(max_monthly=limit))) == number


def test_a_plan_of_what_changes_alone_passes_no_monthly_limit() -> None:
    plan = from_digest({"steps": [loaded("a", inputs())], "changeSummary": {"same": 4}})
    review = assess(plan, setting())
    assert review.counts.unchanged is None
    (finding,) = findings(review, Thresholds(max_monthly=1e6, max_increase=1e6))
    assert finding.startswith("monthly: not known, because the plan leaves out what stays as it is")


def test_a_plan_that_is_cut_off_passes_no_limit() -> None:
    review = assess(from_events([]), setting())
    told = findings(review, Thresholds(max_monthly=1e6, max_increase=1e6))
    assert [one.partition(",")[0] for one in told] == ["increase: not known", "monthly: not known"]


def test_a_failed_preview_is_a_failure_and_no_finding() -> None:
    plan = digest(loaded("a", inputs()), diagnostics=[{"severity": "error", "message": "boom"}])
    review = assess(plan, setting())
    assert findings(review, Thresholds(max_monthly=1e6, max_increase=1e6)) == []
    assert review.failures == ["boom"]


def test_a_decrease_may_be_asked_for() -> None:
    review = reviewed(kept("a", inputs()))
    assert len(findings(review, Thresholds(max_increase=-1))) == 1
