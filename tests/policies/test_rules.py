"""The rules as plain functions: what breaks them, and what does not.

docs/policies.md shows the message of each, and test_docs.py compares.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from hypothesis import given, strategies
from inline_snapshot import snapshot

from bytez_provider.policies import rules
from bytez_provider.policies.rules import Violation
from bytez_provider.service.pricing import PRICES
from bytez_provider.stack.declared import UNKNOWN, DeclaredModel

Rule = Callable[..., Iterator[Violation]]
HOSTILE = "x`|<b>**[y](z)\x1b[2J\x1b]0;t\x07\nnext\u202e"


def one(name: str = "m", **given: Any) -> DeclaredModel:
    """Return a model of 4 GB, benchmarked."""
    urn = f"urn:pulumi:dev::fleet::pulumi-python:dynamic/bytez:Model::{name}"
    facts: dict[str, Any] = {"model_id": f"owner/{name}", "ram_gb": 4.0, "benchmarked": True}
    return DeclaredModel(name=name, urn=urn, **{**facts, **given})


def clustered(**given: Any) -> DeclaredModel:
    """Return a model that is loaded through API version 2025-04."""
    return one(api_version="2025-04", **given)


def broken_by(rule: Rule, *models: DeclaredModel, **settings: Any) -> list[str | None]:
    """Return the names of the resources that break a rule; None for the stack."""
    violations = rule(list(models), **settings)
    return [one.urn and one.urn.rpartition("::")[2] for one in violations]


def said(rule: Rule, *models: DeclaredModel, **settings: Any) -> str:
    """Return the message of a rule that is broken once."""
    (violation,) = rule(list(models), **settings)
    return violation.message


# -------------------------------------------------------------------------------- budgets

BUDGETS = pytest.mark.parametrize(
    ("each", "whole", "settings"),
    [
        (rules.model_concurrency, rules.stack_concurrency, {"max_concurrency": 3}),
        # As floats, 3 * 1.1 is more than 3.3.
        (rules.model_ram, rules.stack_ram, {"max_ram_gb": 3.3}),
        (
            rules.model_cost,
            rules.stack_cost,
            {"max_dollars_per_hour": 11.88, "price_per_gb_second": 0.001},
        ),
        (
            rules.model_cost,
            rules.stack_cost,
            {"max_dollars_per_month": 8672.4, "price_per_gb_second": 0.001},
        ),
    ],
)


@BUDGETS
def test_a_budget_may_be_used_up(each: Rule, whole: Rule, settings: dict[str, Any]) -> None:
    model = one(ram_gb=1.1, concurrency=3)
    assert broken_by(each, model, **settings) == []
    assert broken_by(whole, model, **settings) == []
    assert broken_by(each, model, one("more", concurrency=4), **settings) == ["more"]
    assert broken_by(whole, model, one("more"), **settings) == [None]


def test_cost_is_that_of_pricing() -> None:
    prices = PRICES["2024-05"]
    price = prices.per_second(4.0)
    month = prices.monthly(price, 2, expiration_period_seconds=None, expected_hours_per_day=None)
    for limit, name in ((prices.hourly(price, 2), "hour"), (month.ceiling, "month")):
        assert limit is not None
        within = {f"max_dollars_per_{name}": limit}
        beyond = {f"max_dollars_per_{name}": limit - Decimal("0.000001")}
        assert broken_by(rules.model_cost, one(concurrency=2), **within) == []
        assert broken_by(rules.model_cost, one(concurrency=2), **beyond) == ["m"]
    both = {"max_dollars_per_hour": 0.1, "max_dollars_per_month": 100}
    assert broken_by(rules.stack_cost, one(concurrency=2), **both) == [None, None]


class TestClusters:
    """Models of API version 2025-04: a range of instances, each with the price of its size."""

    def test_budgets_hold_for_the_most_instances(self) -> None:
        model = clustered(concurrency=0, max_concurrency=5)
        assert broken_by(rules.model_concurrency, model, max_concurrency=5) == []
        assert said(rules.model_concurrency, model, max_concurrency=4) == snapshot(
            "'m' (owner/m) has 5 instances, more than the limit of 4 instances for a model: lower "
            "its maxConcurrency."
        )
        assert broken_by(rules.stack_concurrency, model, max_concurrency=4) == [None]
        assert broken_by(rules.model_ram, model, max_ram_gb=20) == []
        assert broken_by(rules.model_ram, model, max_ram_gb=19.9) == ["m"]
        assert said(rules.model_cost, model, max_dollars_per_hour=1) == snapshot(
            "'m' (owner/m) costs $1.57 an hour, more than the limit of $1.00 an hour for a model: "
            "lower its maxConcurrency, or declare a smaller model."
        )

    def test_a_model_that_may_have_no_instance_may_have_one(self) -> None:
        assert broken_by(rules.stack_ram, clustered(concurrency=0), max_ram_gb=3) == [None]

    def test_a_gb_second_has_no_price(self) -> None:
        dear = {"max_dollars_per_month": 250, "price_per_gb_second": 1}
        assert broken_by(rules.model_cost, clustered(), **dear) == []
        assert broken_by(rules.model_cost, one(), **dear) == ["m"]

    def test_a_price_of_the_catalogue_comes_first(self) -> None:
        model = clustered(dollars_per_second=Decimal("0.001"), ram_gb=None)
        assert "costs $3.60 an hour" in said(rules.model_cost, model, max_dollars_per_hour=1)

    def test_no_instance_is_large_enough(self) -> None:
        model = clustered(ram_gb=700.0)
        assert said(rules.model_cost, model, max_dollars_per_hour=1) == snapshot(
            "The cost of 'm' (owner/m) is unknown, so the limit of $1.00 an hour for a model "
            'cannot be checked: declare a model of known cost, or set `unknownRam` to "leaveOut".'
        )

    def test_the_services_own_idle_period(self) -> None:
        assert broken_by(rules.idle_expiry, clustered(), max_seconds=600) == []
        assert "after 600 idle seconds" in said(rules.idle_expiry, clustered(), max_seconds=60)

    def test_unknown_settings_are_not_judged(self) -> None:
        for name in ("concurrency", "max_concurrency"):
            model = clustered(**{name: UNKNOWN})
            assert broken_by(rules.model_cost, model, max_dollars_per_hour=0.01) == []
            assert broken_by(rules.model_concurrency, model, max_concurrency=1) == []


@pytest.mark.parametrize(
    ("limit", "amounts"),
    [
        (0.2395, ("$0.2400 an hour", "$0.2395 an hour")),
        (0.239999999, ("$0.2400000000 an hour", "$0.2399999990 an hour")),
    ],
)
def test_equal_looking_amounts_get_more_places(limit: float, amounts: tuple[str, str]) -> None:
    price = Decimal("0.24") / 4 / 3600
    message = said(rules.model_cost, one(), max_dollars_per_hour=limit, price_per_gb_second=price)
    assert all(amount in message for amount in amounts)


@pytest.mark.parametrize(
    ("given", "costs"),
    [
        ({"expected_hours_per_day": 8}, "$58.40 a month"),
        # At least a boot and an idle period.
        ({"expected_hours_per_day": 0}, "$0.15 a month"),
        ({}, "$175.20 a month"),
    ],
)
def test_a_month_by_expected_hours(given: dict[str, Any], costs: str) -> None:
    rule = partial(rules.model_cost, max_dollars_per_month=0.01)
    assert costs in said(rule, one(**given), monthly_basis="expected")
    assert "$175.20 a month" in said(rule, one(**given))


@pytest.mark.parametrize(
    ("each", "whole", "limit"),
    [
        (rules.model_ram, rules.stack_ram, "max_ram_gb"),
        (rules.model_cost, rules.stack_cost, "max_dollars_per_hour"),
        (rules.model_cost, rules.stack_cost, "max_dollars_per_month"),
    ],
)
def test_unknown_ram_is_never_zero(each: Rule, whole: Rule, limit: str) -> None:
    unsized = one("n", ram_gb=None)
    within, over = {limit: 1e6}, {limit: 0.01}
    assert broken_by(each, one(), unsized, **within) == ["n"]
    assert broken_by(whole, one(), unsized, **within) == [None]
    assert "'n' (owner/n)" in said(whole, one(), unsized, **within)
    assert "not counting 'n' (owner/n)" in said(whole, one(), unsized, **over)
    tolerant = {"unknown_ram": "leaveOut"}
    assert broken_by(each, one(), unsized, **within, **tolerant) == []
    assert broken_by(whole, one(), unsized, **within, **tolerant) == []
    assert broken_by(whole, one(), unsized, **over, **tolerant) == [None]


def test_messages_of_unknown_ram() -> None:
    models = [one(f"m{n}", ram_gb=None) for n in range(300)]
    assert said(rules.model_ram, models[0], max_ram_gb=1) == snapshot(
        "The RAM of 'm0' (owner/m0) is unknown, so the limit of 1.00 GB of GPU RAM for a "
        "model cannot be checked: declare a model of known RAM, or set `unknownRam` to "
        '"leaveOut".'
    )
    assert said(rules.stack_ram, *models, max_ram_gb=1) == snapshot(
        "The RAM of 'm0' (owner/m0), 'm1' (owner/m1), 'm2' (owner/m2), 'm3' (owner/m3), 'm4' "
        "(owner/m4) and 295 more models is unknown, so the stack's limit of 1.00 GB of GPU "
        "RAM cannot be checked: declare models of known RAM, or set `unknownRam` to "
        '"leaveOut".'
    )
    assert said(rules.stack_ram, one(), models[0], max_ram_gb=1) == snapshot(
        "The stack's models take 4.00 GB of GPU RAM in total (not counting 'm0' (owner/m0), "
        "of unknown RAM), more than the limit of 1.00 GB of GPU RAM: lower the concurrency of "
        "some, or remove some, such as 'm' (owner/m)."
    )


CENTS = strategies.integers(1, 9999)
SIZES = strategies.tuples(strategies.none() | CENTS, strategies.integers(1, 50))


@given(strategies.lists(SIZES, max_size=20), CENTS)
def test_a_stack_is_over_its_budget_exactly_if_the_sum_is(
    sizes: list[tuple[int | None, int]], limit: int
) -> None:
    models = [
        one(f"m{n}", ram_gb=None if cents is None else cents / 100, concurrency=instances)
        for n, (cents, instances) in enumerate(sizes)
    ]
    total = sum(cents * instances for cents, instances in sizes if cents is not None)
    found = list(rules.stack_ram(models, max_ram_gb=limit / 100))
    assert len(found) == (total > limit or None in dict(sizes))
    is_shown = any(f"take {total / 100:,.2f} GB" in violation.message for violation in found)
    assert is_shown is (total > limit)
    beyond = [f"m{n}" for n, (cents, count) in enumerate(sizes) if cents and cents * count > limit]
    settings = {"max_ram_gb": limit / 100, "unknown_ram": "leaveOut"}
    assert broken_by(rules.model_ram, *models, **settings) == beyond


# ------------------------------------------------------------------- which models, and how


@pytest.mark.parametrize(
    ("model_id", "allow", "deny", "is_allowed"),
    [
        ("microsoft/phi-1", None, (), True),
        ("microsoft/phi-1", [], (), False),
        ("microsoft/phi-1", ["Microsoft/PHI-?"], (), True),
        ("microsoft/phi-1", ["openai-community/*", "*phi*"], (), True),
        ("microsoft/phi-1", ["phi-1"], (), False),
        ("microsoft/phi-1", ["microsoft/*"], ["*/phi-[0-9]"], False),
        ("microsoft/phi-1", None, ["MICROSOFT/*"], False),
        ("notmicrosoft/phi-1", ["microsoft/*"], (), False),
    ],
)
def test_allowed_models(
    model_id: str, allow: list[str] | None, deny: list[str], is_allowed: bool
) -> None:
    found = broken_by(rules.allowed_models, one(model_id=model_id), allow=allow, deny=deny)
    assert found == ([] if is_allowed else ["m"])


def test_why_a_model_is_not_allowed() -> None:
    many = [f"owner{n}/*" for n in range(7)]
    assert said(rules.allowed_models, one("a"), allow=many) == snapshot(
        "'a' (owner/a) is not one of the allowed models ('owner0/*', 'owner1/*', 'owner2/*', "
        "'owner3/*', 'owner4/*', 2 more): declare one of those, or ask for it to be added to "
        "`allow`."
    )
    assert said(rules.allowed_models, one("b"), allow=many, deny=["*/b"]) == snapshot(
        "'b' (owner/b) is denied by '*/b': declare another model."
    )


@pytest.mark.parametrize(
    ("rule", "bad"),
    [
        (rules.benchmarked_only, {"benchmarked": False}),
        (rules.benchmarked_only, {"benchmarked": None}),
        (rules.known_ram, {"ram_gb": None}),
        (rules.protect, {"protect": False}),
    ],
)
def test_rules_for_required_models(rule: Rule, bad: dict[str, Any]) -> None:
    models = [one("a", protect=True), one("b", **bad), one("exempt", **bad)]
    assert broken_by(rule, *models, require=["*"], exempt=["owner/e*"]) == ["b"]
    assert broken_by(rule, *models, require=["others/*"]) == []


def test_idle_expiry() -> None:
    rule = partial(rules.idle_expiry, min_seconds=300.0, max_seconds=900.0)
    models = [one(f"m{n}", expiration_period_seconds=n) for n in (299, 300, 900, 901)]
    assert broken_by(rule, *models, one("unset")) == ["m299", "m901", "unset"]
    assert "300 or more" in said(rule, models[0])
    assert "after 1800 idle seconds (the service's default)" in said(rule, one())


@pytest.mark.parametrize(
    ("stacks", "is_allowed"), [([], True), (["prod*"], True), (["d?v"], False), (["*"], False)]
)
def test_no_adopt_in_named_stacks(stacks: list[str], is_allowed: bool) -> None:
    found = broken_by(rules.no_adopt, one("a"), one("b", adopt=True), stacks=stacks)
    assert found == ([] if is_allowed else ["b"])


def test_no_duplicates() -> None:
    same = [one(name, model_id="a/b") for name in ("x", "y", "z")]
    assert broken_by(rules.no_duplicates, one("a"), *same, one("c")) == ["y"]
    assert "'x' (a/b), 'y' (a/b) and 'z' (a/b)" in said(rules.no_duplicates, *same)


# ------------------------------------------------------------------------------ all of them

# Each rule with settings and facts that break it.
BROKEN: dict[str, tuple[Rule, dict[str, Any]]] = {
    "model_concurrency": (partial(rules.model_concurrency, max_concurrency=0), {}),
    "stack_concurrency": (partial(rules.stack_concurrency, max_concurrency=0), {}),
    "model_ram": (partial(rules.model_ram, max_ram_gb=1), {}),
    "model_ram_unknown": (partial(rules.model_ram, max_ram_gb=1), {"ram_gb": None}),
    "stack_ram": (partial(rules.stack_ram, max_ram_gb=1), {}),
    "stack_ram_unknown": (partial(rules.stack_ram, max_ram_gb=1), {"ram_gb": None}),
    "model_cost_hour": (partial(rules.model_cost, max_dollars_per_hour=0), {}),
    "stack_cost_month": (partial(rules.stack_cost, max_dollars_per_month=0), {}),
    "allow": (partial(rules.allowed_models, allow=[HOSTILE]), {}),
    "deny": (partial(rules.allowed_models, deny=["*", HOSTILE]), {}),
    "benchmarked_only": (partial(rules.benchmarked_only, require=["*"]), {"benchmarked": False}),
    "known_ram": (partial(rules.known_ram, require=["*"]), {"ram_gb": None}),
    "protect": (partial(rules.protect, require=["*"]), {}),
    "idle_expiry": (partial(rules.idle_expiry, max_seconds=60), {}),
    "no_adopt": (partial(rules.no_adopt, stacks=["*"]), {"adopt": True}),
    "no_duplicates": (lambda models: rules.no_duplicates([*models, *models]), {}),
}
UNKNOWNS: dict[str, Any] = dict.fromkeys(
    (
        "model_id",
        "concurrency",
        "expiration_period_seconds",
        "adopt",
        "expected_hours_per_day",
        "ram_gb",
        "benchmarked",
    ),
    UNKNOWN,
)


@pytest.mark.parametrize("name", BROKEN)
def test_every_message(name: str) -> None:
    """One sentence that says what to change; no name can move the cursor or fill the screen."""
    rule, given = BROKEN[name]
    message = said(rule, one(**given))
    assert re.fullmatch(r"[A-Z'].*: [a-z][^:]*\.", message), message
    assert ". " not in message
    hostile = one(HOSTILE * 100, **{**given, "model_id": f"a/{HOSTILE}" + "x" * 10_000})
    message = said(rule, hostile)
    assert message.isprintable()
    assert len(message) < 1000


@pytest.mark.parametrize("name", BROKEN)
def test_unknown_values_are_not_judged(name: str) -> None:
    assert broken_by(BROKEN[name][0], one(**UNKNOWNS)) == []


def test_known_values_count_beside_unknown_ones() -> None:
    rule = partial(rules.stack_concurrency, max_concurrency=4)
    late = one("late", concurrency=UNKNOWN)
    assert broken_by(rule, late, one(concurrency=4)) == []
    assert "have 5 instances" in said(rule, late, one(concurrency=5))
