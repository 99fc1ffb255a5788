"""Reviews for API version 2025-04: rescales in place, ranges of instances, models that are OFF."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from inline_snapshot import snapshot

from bytez_provider.review import Review, ReviewedModel, Thresholds, assess, compared, markdown
from bytez_provider.service.catalogue import Catalogue
from bytez_provider.service.schemas import CatalogueEntry
from tests.review.plans import (
    CLUSTERS,
    GPT2,
    OTHER,
    PHI,
    UNKNOWN,
    UNPRICED,
    Step,
    digest,
    inputs,
    kept,
    loaded,
    named,
    only,
    recorded,
    refreshed,
    replaced,
    reviewed,
    running,
    setting,
    state,
    step,
    unloaded,
)
from tests.review.test_fate import fate

AN_HOUR = 3600 * 0.0000872083
"""Of the smallest instance, which is large enough for gpt2 and phi-1."""
A_MONTH = 730 * AN_HOUR


def updated(old: dict[str, Any], new: dict[str, Any], **more: Any) -> Step:
    """Return the step of an update in place."""
    return step("update", "a", state(old, **more), state(new, status=None))


def at(concurrency: int, most: int | None = None, **more: Any) -> dict[str, Any]:
    """Return what is declared of a model with so many instances."""
    scale: dict[str, Any] = {} if most is None else {"maxConcurrency": most}
    return inputs(concurrency=concurrency, **scale, **more)


def of_clusters(*steps: Step, **given: Any) -> Review:
    return reviewed(*steps, settings=CLUSTERS, **given)


def runs(least: int = 1, most: int = 1, now: int | None = 1, **more: Any) -> Any:
    """Return what runs: one load with a range."""
    scale = {"maxConcurrency": most, "instances": now}
    return running(concurrency=least, scale=scale, **more)


ADOPTED = loaded("a", at(1, 5, adopt=True))
FATES: dict[str, tuple[list[Step], str] | tuple[list[Step], str, Any]] = {
    "concurrency": ([updated(at(1), at(2))], "rescale: changed"),
    "the maximum": ([updated(at(1), at(1, 5))], "rescale: changed"),
    "the expiry": ([updated(at(1), at(1, expirationPeriodSeconds=600))], "rescale: changed"),
    "with another input": ([updated(at(1), at(2, adopt=True))], "rescale: changed changed"),
    "a value that is not known yet": (
        [updated(at(1), inputs(concurrency=UNKNOWN))],
        "rescale: changed",
    ),
    "a secret that changes": (
        [{**updated(at(1), at(1)), "diffReasons": ["concurrency"]}],
        "rescale",
    ),
    "other inputs": ([updated(at(1), at(1, onExpiry="accept"))], "update: changed"),
    "another model": ([replaced("a", inputs(), inputs(PHI))], "replace, 1 min: changed"),
    "a model that is not known yet": (
        [updated(at(1), inputs(UNKNOWN))],
        "replace, 1 min: changed unknownValue",
    ),
    "while it boots": (
        [updated(at(1), at(2), status="DEPLOYING")],
        "rescale: changed stillBooting",
    ),
    "changed outside Pulumi": (
        [
            refreshed("a", state(at(1)), state(at(3))),
            step("update", "a", state(at(3)), state(at(1), status=None)),
        ],
        "rescale anyway: changedOutside (drift: changedOutside)",
    ),
    # Scaled to zero, or stopped after an idle period: it is loaded.
    "off": ([updated(at(1), at(1), status="OFF")], "rescale anyway: switchedOff"),
    "off and rescaled": (
        [updated(at(0, 2), at(1, 2), status="OFF")],
        "rescale: changed switchedOff",
    ),
    "off, as it may be": ([kept("a", at(0, 2), status="OFF")], "keep"),
    "off, and that is accepted": (
        [updated(at(1, onExpiry="accept"), at(1, onExpiry="accept", adopt=True), status="OFF")],
        "update: changed",
    ),
    "off and removed": ([unloaded("a", at(0, 2), status="OFF")], "unload"),
    "off, by the service": ([kept("a", at(1))], "keep", runs(now=0, status="OFF")),
    # A load that exists before one is asked for.
    "adopted as it runs": ([ADOPTED], "adopt: adopted", runs(1, 5, 3)),
    "adopted with another maximum": ([ADOPTED], "adopt: adopted rescaled", runs(1, 3)),
    "adopted with another least number": ([ADOPTED], "adopt: adopted rescaled", runs(0, 5)),
    "adopted with a maximum that it does not declare": (
        [loaded("a", at(2, adopt=True))],
        "adopt: adopted rescaled",
        runs(2, 5),
    ),
    "adopted without a maximum": ([loaded("a", at(2, adopt=True))], "adopt: adopted", runs(2, 2)),
    "adopted with an expiry that the service rounds": (
        [loaded("a", at(1, adopt=True, expirationPeriodSeconds=90))],
        "adopt: adopted",
        runs(expirationPeriodSeconds=120),
    ),
    "adopted with another expiry": (
        [loaded("a", at(1, adopt=True, expirationPeriodSeconds=60))],
        "adopt: adopted rescaled",
        runs(expirationPeriodSeconds=120),
    ),
    "adopted, and its concurrency is hidden": (
        [loaded("a", inputs(concurrency=UNKNOWN, adopt=True))],
        "adopt: adopted rescaled",
        runs(),
    ),
    "adopted, and its concurrency is no number": (
        [loaded("a", inputs(concurrency=float("nan"), adopt=True))],
        "adopt: adopted rescaled",
        runs(),
    ),
    "an interrupted up has started it with another concurrency": (
        [loaded("a", at(2))],
        "wait: interrupted rescaled",
        runs(created=OTHER, record=recorded("a")),
    ),
}


@pytest.mark.parametrize("case", FATES)
def test_fate(case: str) -> None:
    steps, expected, *lives = FATES[case]
    assert fate(named(of_clusters(*steps, live=lives[0] if lives else None), "a")) == expected


def test_a_rescale_is_no_outage() -> None:
    review = of_clusters(
        updated(at(1), at(2, 5)), thresholds=Thresholds(fail_on={"replace", "drift"})
    )
    model = only(review)
    assert (model.unavailable_minutes, model.dependents) == (0, None)
    assert (review.counts.rescales, review.counts.updates, review.minutes_to_apply) == (1, 0, 0)
    assert review.findings == []


def test_a_model_that_is_started_again_boots() -> None:
    review = of_clusters(updated(at(1), at(1), status="OFF"))
    assert (only(review).unavailable_minutes, review.minutes_to_apply) == (None, 1)


def test_a_version_of_2024_replaces() -> None:
    """There an unknown value may become an outage, as before."""
    model = only(reviewed(updated(at(1), inputs(concurrency=UNKNOWN))))
    assert fate(model) == "replace, 15 min: changed unknownValue"


def test_a_load_of_another_version_is_not_compared() -> None:
    there = state(at(1))
    there["outputs"]["apiVersion"] = "2025-04"
    step_of_it = step("same", "a", there, there)
    gone = replace(running(PHI), api_version="2025-04")
    assert only(of_clusters(step_of_it, live=gone)).drift_code == "unloaded"
    assert only(of_clusters(kept("a", at(1)), live=gone)).drift_code is None
    assert only(reviewed(step_of_it, live=running(PHI))).live is None


def test_branches() -> None:
    base, head = digest(loaded("a", at(1))), digest(loaded("a", at(1, 5)))
    plan = compared(head, base, rescales=True)
    assert fate(only(assess(plan, setting(CLUSTERS)))) == "rescale: changed"
    assert fate(only(assess(compared(head, base), setting()))) == "replace, 15 min: changed"


# ----------------------------------------------------------------------------------- costs


def costs(model: ReviewedModel) -> tuple[float | None, float | None]:
    assert model.after is not None
    return model.after.always_loaded


def test_costs_are_a_range() -> None:
    review = of_clusters(updated(at(1), at(1, 5, expectedHoursPerDay=12)))
    model = only(review)
    assert model.before is not None
    assert model.before.at_least is None
    assert costs(model) == pytest.approx((A_MONTH, 5 * A_MONTH), abs=1e-4)
    assert review.after.an_hour == pytest.approx((AN_HOUR, 5 * AN_HOUR), abs=1e-5)
    assert review.after.expected == pytest.approx((A_MONTH / 2, 5 * A_MONTH / 2), abs=1e-4)
    # A boot of 60 s and an idle period of 600 s, to the second, of one instance.
    month = review.after.dollars_per_month
    assert month.floor == pytest.approx(AN_HOUR * 660 / 3600, abs=1e-6)
    assert review.increase.ceiling == pytest.approx(4 * A_MONTH, abs=1e-4)
    assert review.peak_ram_gb == 2.5


def test_no_instance_costs_nothing() -> None:
    review = of_clusters(loaded("a", at(0)))
    assert costs(only(review)) == pytest.approx((0, A_MONTH), abs=1e-4)
    assert review.after.dollars_per_month.floor == 0
    assert review.after.required_ram_gb == 0.5


def test_totals_of_models_with_and_without_a_range() -> None:
    review = of_clusters(kept("a", at(0, 2)), kept("b", inputs(PHI)), kept("c", inputs(UNPRICED)))
    assert review.after.an_hour == pytest.approx((AN_HOUR, 3 * AN_HOUR), abs=1e-5)
    assert review.unknown_cost == ["c"]


@pytest.mark.parametrize("value", [UNKNOWN, 0, 2.5, "[secret]"])
def test_an_unreadable_maximum_has_an_unknown_cost(value: object) -> None:
    review = of_clusters(loaded("a", inputs(maxConcurrency=value)))
    assert costs(only(review)) == (None, None)
    assert review.unknown_cost == ["a"]


@pytest.mark.parametrize(("concurrency", "most"), [(3, 2), (0, 0)])
def test_settings_that_are_refused_have_an_unknown_cost(concurrency: int, most: int) -> None:
    assert of_clusters(loaded("a", at(concurrency, most))).unknown_cost == ["a"]


def test_limits_hold_for_the_upper_end() -> None:
    steps = [updated(at(1), at(1, 5))]
    within = Thresholds(max_monthly=5 * A_MONTH + 0.01, max_increase=4 * A_MONTH + 0.01)
    assert of_clusters(*steps, thresholds=within).findings == []
    beyond = Thresholds(max_monthly=4 * A_MONTH, max_increase=3 * A_MONTH)
    found = of_clusters(*steps, thresholds=beyond).findings
    assert [one.code for one in found] == ["increase", "monthly"]


def test_the_price_of_the_catalogue_comes_first() -> None:
    entry = CatalogueEntry.of(
        {"modelId": GPT2, "requiredRamGb": 0.5, "dollarsPerSecond": "0.00053440 / sec"}
    )
    priced = replace(setting(CLUSTERS), catalogue=Catalogue([entry], is_live=True))
    review = assess(digest(loaded("a", at(1))), priced)
    assert review.after.dollars_per_hour == pytest.approx(3600 * 0.0005344, abs=1e-6)
    assert review.dollars_per_gb_second is None


# ----------------------------------------------------------------------------------- shown


def test_the_documents_of_2024_have_no_range() -> None:
    text = str(reviewed(loaded("a", inputs()), live=running(status="OFF")).printed())
    assert not any(name in text for name in ("axConcurrency", "atLeast", "instances", "rescales"))


def test_a_comment() -> None:
    review = of_clusters(
        updated(at(0, 2), at(1, 5)), loaded("b", inputs(PHI, maxConcurrency=2)), live=runs(0, 2, 1)
    )
    comment = markdown(review)
    assert comment.partition("\n\n")[2].partition("### Notes")[0] == snapshot("""\
**1 load, 1 in-place rescale**, 0 unchanged.

### Cost

|  | before | after | difference |
| --- | ---: | ---: | ---: |
| an hour, all loaded | $0.00-$0.63 | $0.63-$2.20 | +$1.57 |
| a month at least: loaded once | $0.00 | $0.12 | +$0.12 |
| a month at most: always loaded | $0.00-$458.37 | $458.37-$1,604.28 | +$1,145.92 |
| GB RAM | 1.00 | 20.82 | +19.82 |

During the `up`, at most 20.82 GB RAM are in use at one time. It takes about 1 minute.

### Loaded

| model | what | GB RAM | $ a month, at most |
| --- | --- | ---: | ---: |
| `b` `microsoft/phi-1` | concurrency 1-2 | 18.32 | $229.18-$458.37 |

### Rescaled in place: no downtime

| model | what | GB RAM | $ a month, at most |
| --- | --- | ---: | ---: |
| `a` `openai-community/gpt2` | `concurrency 0 to 1`, `maxConcurrency 2 to 5` | 2.50 | $0.00-$458.37 → $229.18-$1,145.92 |

### What runs now

| model | declared | now | age | idle time left |
| --- | --- | --- | --- | --- |
| `a` `openai-community/gpt2` | concurrency 0-2 | `RUNNING`, concurrency 1 of 0-2 | 24m24s | - |
| `b` `microsoft/phi-1` | - | not loaded | - | - |

""")  # noqa: E501 - as it is printed
    assert comment.splitlines()[-1].partition(" Price: ")[2] == snapshot(
        "that of an instance in the catalogue, or else of the smallest one with enough RAM "
        "(vendor price list of April 2025). A month has 730 hours, a boot takes 1 minute. Every "
        "instance is billed, also while it boots."
    )
