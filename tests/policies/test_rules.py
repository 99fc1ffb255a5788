"""The rules as plain functions: what breaks them, what does not, and what they say."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from hypothesis import given, strategies

from bytez_provider.policies import rules
from bytez_provider.policies.rules import Violation
from bytez_provider.service.pricing import hourly, monthly
from bytez_provider.service.settings import DEFAULT_PRICE_PER_GB_SECOND
from bytez_provider.stack.declared import UNKNOWN, DeclaredModel

Rule = Callable[[list[DeclaredModel]], Iterator[Violation]]
HOSTILE = "x`|<b>**[y](z)\x1b[2J\x1b]0;t\x07\nnext\u202e"


def one(name: str = "m", **given: Any) -> DeclaredModel:
    """Return a model of 4 GB, benchmarked."""
    urn = f"urn:pulumi:dev::fleet::pulumi-python:dynamic/bytez:Model::{name}"
    facts: dict[str, Any] = {"model_id": f"owner/{name}", "ram_gb": 4.0, "benchmarked": True}
    return DeclaredModel(name=name, urn=urn, **{**facts, **given})


def said(
    rule: Callable[..., Iterator[Violation]], *models: DeclaredModel, **settings: Any
) -> list[str]:
    """Return the messages of a rule."""
    return [violation.message for violation in rule(list(models), **settings)]


# -------------------------------------------------------------------------------- budgets


@pytest.mark.parametrize(
    ("each", "whole", "settings"),
    [
        (rules.model_concurrency, rules.stack_concurrency, {"max_concurrency": 3}),
        # Among floats 3 * 1.1 is more than 3.3.
        (rules.model_ram, rules.stack_ram, {"max_ram_gb": 3.3}),
        (
            rules.model_cost,
            rules.stack_cost,
            {"max_dollars_per_hour": 11.88, "price_per_gb_second": 0.001},
        ),
    ],
)
def test_a_budget_may_be_used_up(
    each: Callable[..., Any], whole: Callable[..., Any], settings: dict[str, Any]
) -> None:
    model = one(ram_gb=1.1, concurrency=3)
    assert said(each, model, **settings) == []
    assert said(whole, model, **settings) == []
    assert len(said(whole, model, one("more"), **settings)) == 1


def test_concurrency_of_a_model() -> None:
    rule = partial(rules.model_concurrency, max_concurrency=2.0)
    assert said(rule, one("a", concurrency=2), one("b", concurrency=1000)) == [
        (
            "'b' (owner/b) has 1,000 instances, and a model may have at most 2 instances: "
            "lower its concurrency."
        )
    ]


def test_concurrency_in_all() -> None:
    rule = partial(rules.stack_concurrency, max_concurrency=8)
    models = [one(f"m{n}", concurrency=n) for n in range(1, 6)]
    assert said(rule, *models) == [
        (
            "The stack's models have 15 instances together, and may have at most 8 instances: "
            "lower the concurrency of some, or remove some, as 'm5' (owner/m5), 'm4' (owner/m4) "
            "and 'm3' (owner/m3)."
        )
    ]


def test_ram_is_that_of_all_instances() -> None:
    rule = partial(rules.model_ram, max_ram_gb=10)
    assert said(rule, one("a", concurrency=2), one("b", concurrency=3)) == [
        (
            "'b' (owner/b) takes 12.00 GB of GPU RAM, and a model may take at most 10.00 GB of GPU "
            "RAM: lower its concurrency, or declare a smaller model."
        )
    ]


def test_cost_is_that_of_pricing() -> None:
    price = DEFAULT_PRICE_PER_GB_SECOND
    hour = hourly(4.0, 2, price)
    month = monthly(
        4.0, 2, price, expiration_period_seconds=None, expected_hours_per_day=None
    ).ceiling
    assert hour is not None
    assert month is not None
    for limit, name in ((hour, "hour"), (month, "month")):
        least = Decimal("0.000001")
        within = {f"max_dollars_per_{name}": limit}
        beyond = {f"max_dollars_per_{name}": limit - least}
        assert said(rules.model_cost, one(concurrency=2), **within) == []
        assert len(said(rules.model_cost, one(concurrency=2), **beyond)) == 1
    both = partial(rules.stack_cost, max_dollars_per_hour=0.1, max_dollars_per_month=100)
    assert said(both, one(concurrency=2)) == [
        (
            "The stack's models cost $0.48 an hour together, and may cost at most $0.10 an hour: "
            "lower the concurrency of some, or remove some, as 'm' (owner/m)."
        ),
        (
            "The stack's models cost $350.40 a month together, and may cost at most $100.00 a "
            "month: lower the concurrency of some, or remove some, as 'm' (owner/m)."
        ),
    ]


@pytest.mark.parametrize(
    ("limit", "told"),
    [
        (0.2395, ("$0.2400 an hour", "$0.2395 an hour")),
        (0.239999999, ("$0.2400000000 an hour", "$0.2399999990 an hour")),
    ],
)
def test_amounts_that_look_the_same_are_told_to_more_places(
    limit: float, told: tuple[str, str]
) -> None:
    price = Decimal("0.24") / 4 / 3600
    (message,) = said(
        rules.model_cost, one(), max_dollars_per_hour=limit, price_per_gb_second=price
    )
    assert message.startswith(
        f"'m' (owner/m) costs {told[0]}, and a model may cost at most {told[1]}:"
    )


@pytest.mark.parametrize(
    ("given", "costs"),
    [
        ({"expected_hours_per_day": 8}, "$58.40 a month"),
        ({"expected_hours_per_day": 0}, "$0.15 a month"),
        ({}, "$175.20 a month"),
    ],
)
def test_a_month_by_expected_hours(given: dict[str, Any], costs: str) -> None:
    """All month where none are declared; at least a boot and an idle period."""
    rule = partial(rules.model_cost, max_dollars_per_month=0.01, monthly_basis="expected")
    assert costs in said(rule, one(**given))[0]
    ceiling = partial(rules.model_cost, max_dollars_per_month=0.01)
    assert "$175.20 a month" in said(ceiling, one(**given))[0]


@pytest.mark.parametrize(
    ("each", "whole", "limit"),
    [
        (rules.model_ram, rules.stack_ram, "max_ram_gb"),
        (rules.model_cost, rules.stack_cost, "max_dollars_per_hour"),
        (rules.model_cost, rules.stack_cost, "max_dollars_per_month"),
    ],
)
def test_unknown_ram_is_never_nothing(
    each: Callable[..., Any], whole: Callable[..., Any], limit: str
) -> None:
    unsized = one("n", ram_gb=None)
    within, over = {limit: 1e6}, {limit: 0.01}
    assert "'n' (owner/n) may" in said(partial(each, **within), one(), unsized)[0]
    assert "its RAM is unknown" in said(partial(each, **within), unsized)[0]
    alone = said(partial(whole, **within), one(), unsized)
    assert len(alone) == 1
    assert "the RAM of 'n' (owner/n) is unknown" in alone[0]
    both = said(partial(whole, **over), one(), unsized)
    assert len(both) == 1
    assert "together, not counting 'n' (owner/n) of unknown RAM, and may" in both[0]

    tolerant = {"unknown_ram": "leaveOut"}
    assert said(partial(each, **within, **tolerant), one(), unsized) == []
    assert said(partial(whole, **within, **tolerant), one(), unsized) == []
    assert said(partial(whole, **over, **tolerant), one(), unsized) == both


CENTS = strategies.integers(1, 9999)
SIZES = strategies.tuples(strategies.none() | CENTS, strategies.integers(1, 50))


@given(strategies.lists(SIZES, max_size=20), CENTS)
def test_a_stack_is_over_its_budget_exactly_where_the_sum_is(
    sizes: list[tuple[int | None, int]], limit: int
) -> None:
    models = [
        one(f"m{n}", ram_gb=None if cents is None else cents / 100, concurrency=instances)
        for n, (cents, instances) in enumerate(sizes)
    ]
    total = sum(cents * instances for cents, instances in sizes if cents is not None)
    found = said(rules.stack_ram, *models, max_ram_gb=limit / 100)
    is_over = total > limit
    assert len(found) == (is_over or None in dict(sizes))
    assert (f"{total / 100:,.2f} GB of GPU RAM together" in "".join(found)) is is_over
    beyond = [n for n, (cents, count) in enumerate(sizes) if cents and cents * count > limit]
    each = list(rules.model_ram(models, max_ram_gb=limit / 100, unknown_ram="leaveOut"))
    assert [violation.urn for violation in each] == [models[n].urn for n in beyond]


def test_many_names_are_counted() -> None:
    models = [one(f"m{n}", ram_gb=None) for n in range(300)]
    (message,) = said(partial(rules.stack_ram, max_ram_gb=1), *models)
    assert "'m4' (owner/m4) and 295 more models is unknown" in message


# ------------------------------------------------------------------- which models, and how


@pytest.mark.parametrize(
    ("model_id", "allow", "deny", "is_allowed"),
    [
        ("microsoft/phi-1", None, (), True),
        ("microsoft/phi-1", [], (), False),
        ("microsoft/phi-1", ["microsoft/*"], (), True),
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
    rule = partial(rules.allowed_models, allow=allow, deny=deny)
    assert (said(rule, one(model_id=model_id)) == []) is is_allowed


def test_why_a_model_is_not_allowed() -> None:
    many = [f"owner{n}/*" for n in range(7)]
    assert said(partial(rules.allowed_models, allow=many, deny=["*/b"]), one("a"), one("b")) == [
        (
            "'a' (owner/a) is not among the models allowed ('owner0/*', 'owner1/*', 'owner2/*', "
            "'owner3/*', 'owner4/*', 2 more): declare one of those, or have it added to `allow`."
        ),
        "'b' (owner/b) is denied by '*/b': declare another model.",
    ]
    assert "(none)" in said(partial(rules.allowed_models, allow=[]), one())[0]


def test_benchmarked_only() -> None:
    """What the catalogue does not have is not benchmarked either."""
    rule = partial(rules.benchmarked_only, require=["*"], exempt=["owner/e*"])
    models = [one("a"), one("b", benchmarked=False), one("c", benchmarked=None)]
    assert said(rule, *models, one("exempt", benchmarked=False)) == [
        (
            "'b' (owner/b) is not benchmarked, by the catalogue of this package: declare a "
            "benchmarked model, or have it added to `exempt`."
        ),
        (
            "'c' (owner/c) is not benchmarked, by the catalogue of this package: declare a "
            "benchmarked model, or have it added to `exempt`."
        ),
    ]


def test_known_ram() -> None:
    rule = partial(rules.known_ram, require=["*"], exempt=["owner/e*"])
    assert said(rule, one(), one("b", ram_gb=None), one("exempt", ram_gb=None)) == [
        (
            "The RAM of 'b' (owner/b) is unknown, and so is its cost: declare a model of known "
            "RAM, or have it added to `exempt`."
        )
    ]


def test_protect() -> None:
    rule = partial(rules.protect, require=["owner/*"])
    assert said(rule, one("a"), one("b", protect=True), one("c", model_id="others/c")) == [
        (
            "'a' (owner/a) is not protected, and a change could unload it: set `protect` in its "
            "resource options, or in those of its fleet."
        )
    ]


def test_idle_expiry() -> None:
    """Where none is declared it is the service's own."""
    rule = partial(rules.idle_expiry, min_seconds=300.0, max_seconds=900.0)
    models = [
        one("a", expiration_period_seconds=300),
        one("b", expiration_period_seconds=900),
        one("c", expiration_period_seconds=299),
        one("d"),
    ]
    assert said(rule, *models) == [
        (
            "'c' (owner/c) is unloaded after 299 idle seconds, which is out of bounds: set its "
            "`expirationPeriodSeconds` to 300 or more."
        ),
        (
            "'d' (owner/d) is unloaded after the service's own 1800 idle seconds, which is out of "
            "bounds: set its `expirationPeriodSeconds` to 900 or less."
        ),
    ]


@pytest.mark.parametrize(
    ("stacks", "is_allowed"), [([], True), (["prod*"], True), (["d?v"], False), (["*"], False)]
)
def test_no_adopt_in_named_stacks(stacks: list[str], is_allowed: bool) -> None:
    rule = partial(rules.no_adopt, stacks=stacks)
    assert said(rule, one("a")) == []
    found = said(rule, one("b", adopt=True))
    assert (found == []) is is_allowed
    if found:
        assert "load, which is not allowed in the stack 'dev': leave" in found[0]


def test_no_duplicates() -> None:
    same = [one(name, model_id="a/b") for name in ("x", "y", "z")]
    found = list(rules.no_duplicates([one("a"), *same, one("c")]))
    assert [violation.message for violation in found] == [
        (
            "'x' (a/b), 'y' (a/b) and 'z' (a/b) are one and the same model, of which the service "
            "holds one load: keep one of them, and raise its concurrency instead."
        )
    ]
    assert found[0].urn == same[1].urn


# ------------------------------------------------------------------------------ all of them

# Each rule so that it is broken by `one`, or by what is given beside.
BROKEN: dict[str, tuple[Rule, dict[str, Any]]] = {
    "model_concurrency": (partial(rules.model_concurrency, max_concurrency=0), {}),
    "stack_concurrency": (partial(rules.stack_concurrency, max_concurrency=0), {}),
    "model_ram": (partial(rules.model_ram, max_ram_gb=1), {}),
    "stack_ram": (partial(rules.stack_ram, max_ram_gb=1), {}),
    "stack_ram_unknown": (partial(rules.stack_ram, max_ram_gb=1), {"ram_gb": None}),
    "model_cost_hour": (partial(rules.model_cost, max_dollars_per_hour=0), {}),
    "model_cost_month": (partial(rules.model_cost, max_dollars_per_month=0), {}),
    "model_cost_unknown": (partial(rules.model_cost, max_dollars_per_month=0), {"ram_gb": None}),
    "stack_cost": (partial(rules.stack_cost, max_dollars_per_hour=0), {}),
    "allow": (partial(rules.allowed_models, allow=[HOSTILE]), {}),
    "deny": (partial(rules.allowed_models, deny=["*", HOSTILE]), {}),
    "benchmarked_only": (partial(rules.benchmarked_only, require=["*"]), {"benchmarked": False}),
    "known_ram": (partial(rules.known_ram, require=["*"]), {"ram_gb": None}),
    "protect": (partial(rules.protect, require=["*"]), {}),
    "idle_expiry": (partial(rules.idle_expiry, max_seconds=60), {}),
    "no_adopt": (partial(rules.no_adopt, stacks=["*"]), {"adopt": True}),
    "no_duplicates": (lambda models: rules.no_duplicates([*models, *models]), {}),
}
ANY = pytest.mark.parametrize("name", BROKEN)


@ANY
def test_a_message_is_one_sentence_that_says_what_to_change(name: str) -> None:
    rule, given = BROKEN[name]
    (message,) = said(rule, one(**given))
    assert re.fullmatch(r"[A-Z'].*: [a-z][^:]*\.", message), message
    assert ". " not in message


@ANY
def test_no_name_can_move_the_cursor_or_fill_the_screen(name: str) -> None:
    rule, given = BROKEN[name]
    model_id = f"a/{HOSTILE}" + "x" * 10_000
    (message,) = said(rule, one(HOSTILE * 100, **{**given, "model_id": model_id}))
    assert message.isprintable()
    assert len(message) < 1000


@ANY
def test_what_is_not_known_yet_is_not_judged(name: str) -> None:
    rule, _ = BROKEN[name]
    unknown: dict[str, Any] = dict.fromkeys(
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
    assert said(rule, one(**unknown)) == []


@pytest.mark.parametrize(
    "rule",
    [
        rules.model_concurrency,
        rules.stack_concurrency,
        rules.model_ram,
        rules.stack_ram,
        rules.model_cost,
        rules.stack_cost,
        rules.allowed_models,
        rules.benchmarked_only,
        rules.known_ram,
        rules.protect,
        rules.idle_expiry,
        rules.no_adopt,
    ],
)
def test_a_rule_without_its_setting_is_off(rule: Rule) -> None:
    everything = one(ram_gb=None, benchmarked=False, adopt=True, concurrency=10_000)
    assert said(rule, everything, one(concurrency=10_000)) == []


def test_what_is_known_counts_beside_what_is_not() -> None:
    rule = partial(rules.stack_concurrency, max_concurrency=4)
    late = one("late", concurrency=UNKNOWN)
    assert said(rule, late, one(concurrency=4)) == []
    assert "have 5 instances together" in said(rule, late, one(concurrency=5))[0]
