"""What a review may not show, as said on the command line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bytez_provider.base.words import dollars
from bytez_provider.review._document import Review


@dataclass(frozen=True)
class Thresholds:
    """What is a finding.

    Attributes:
        max_increase: US dollars that a month, all of it loaded, may cost more than before.
        max_monthly: US dollars that such a month may cost.
        fail_on: What else is one: "replace", "drift", "violation", "unknown-cost".
    """

    max_increase: float | None = None
    max_monthly: float | None = None
    fail_on: frozenset[str] = frozenset()


def findings(review: Review, thresholds: Thresholds) -> list[str]:
    """Return a line for each finding; a model that several rules speak of has several."""
    found = list(_too_much(review, thresholds))
    for kind, lines in (
        ("replace", _replacements),
        ("drift", _drifts),
        ("violation", _violations),
        ("unknown-cost", _unknown_costs),
    ):
        if kind in thresholds.fail_on:
            found += [f"{kind}: {line}" for line in lines(review)]
    return found


def _too_much(review: Review, thresholds: Thresholds) -> Iterator[str]:
    increase, total = review.increase.ceiling, review.after.dollars_per_month.ceiling
    missing = {gap.code: gap.text for gap in review.gaps}
    if thresholds.max_increase is not None and "cutOff" in missing:
        yield f"increase: not known, because {missing['cutOff']}"
    # From the first cent too much on, as it is shown.
    elif thresholds.max_increase is not None and round(increase, 2) > thresholds.max_increase:
        most = dollars(thresholds.max_increase)
        yield f"increase: {dollars(increase)} a month more when always loaded, at most {most}"
    # Where the preview failed, that is what the review ends with.
    is_known = review.is_complete or "failed" in missing
    if thresholds.max_monthly is not None and not is_known:
        yield f"monthly: not known, because {review.gaps[0].text}"
    elif thresholds.max_monthly is not None and round(total, 2) > thresholds.max_monthly:
        most = dollars(thresholds.max_monthly)
        yield f"monthly: {dollars(total)} a month when always loaded, at most {most}"


def _replacements(review: Review) -> Iterator[str]:
    for model in review.models:
        if model.action == "replace":
            why = ", ".join(model.reasons)
            yield f"{model.name} is unavailable about {model.unavailable_minutes} minutes ({why})"


def _drifts(review: Review) -> Iterator[str]:
    return (f"{one.name} {one.drift}" for one in review.models if one.drift is not None)


def _violations(review: Review) -> Iterator[str]:
    for rule in review.broken_rules:
        yield f"{rule.name or 'the stack'}: {rule.message} ({rule.policy})"


def _unknown_costs(review: Review) -> Iterator[str]:
    return (f"{name} has an unknown cost, which is in no sum" for name in review.unknown_cost)
