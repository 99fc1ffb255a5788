"""The rules: plain functions from what is declared to violations, without Pulumi.

Each takes the models of a stack, or one of them, and its settings. A rule is off until its limit
or its list is set. It does not judge values that are not known yet. RAM is that of the catalogue
in this package, so that a rule gives the same result to everybody.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Literal, TypeAlias

from bytez_provider.base.errors import printable
from bytez_provider.base.words import counted
from bytez_provider.service.pricing import PRICES, Prices
from bytez_provider.service.settings import DEFAULT_PRICE_PER_GB_SECOND
from bytez_provider.stack.declared import UNKNOWN, DeclaredModel, Unknown

UnknownRam: TypeAlias = Literal["report", "leaveOut"]
MonthlyBasis: TypeAlias = Literal["ceiling", "expected"]
_Models: TypeAlias = Iterable[DeclaredModel]
_Amount: TypeAlias = Decimal | Literal[Unknown.UNKNOWN] | None

_MOST_NAMES = 5
_LARGEST = 3
_TEXT_LIMIT = 100
_LEAVE_OUT = 'or set `unknownRam` to "leaveOut"'


@dataclass(frozen=True)
class Violation:
    """A broken rule."""

    message: str
    """One sentence: what is wrong, and what to change."""
    urn: str | None = None
    """The resource that breaks it; None for the whole stack."""


# -------------------------------------------------------------------------------- budgets


@dataclass(frozen=True)
class _Budget:
    """A limit for each model, or for all together."""

    limit: float | Decimal | None
    of: Callable[[DeclaredModel], _Amount]
    """How much of it a model takes; None if nobody knows."""
    words: Callable[[Decimal, int], str]
    """An amount in words, to so many decimal places."""
    takes: tuple[str, str]
    """The verb, for one model and for several."""
    fix: str = "lower its {scale}, or declare a smaller model"
    """`{scale}` is the input that gives the most instances."""
    unknown_ram: UnknownRam = "leaveOut"

    def compared(self, amount: Decimal, limit: Decimal) -> tuple[str, str]:
        """Return the words for an amount and for the limit, with enough places to differ."""
        for places in (2, 4, 10):
            words = self.words(amount, places), self.words(limit, places)
            if words[0] != words[1]:
                break
        return words


def _concurrency(
    models: _Models, *, of_stack: bool, max_concurrency: float | None = None
) -> Iterator[Violation]:
    def of(model: DeclaredModel) -> _Amount:
        return UNKNOWN if model.most is UNKNOWN else Decimal(model.most)

    def words(amount: Decimal, _places: int) -> str:
        return counted(int(amount), "instance")

    budget = _Budget(max_concurrency, of, words, ("has", "have"), "lower its {scale}")
    return _hold(models, of_stack, budget)


def _ram(
    models: _Models,
    *,
    of_stack: bool,
    max_ram_gb: float | None = None,
    unknown_ram: UnknownRam = "report",
) -> Iterator[Violation]:
    def of(model: DeclaredModel) -> _Amount:
        if model.ram_gb is UNKNOWN or model.most is UNKNOWN:
            return UNKNOWN
        # As decimals: 3 times 1.1 GB is within a limit of 3.3 GB, which is not so with floats.
        return None if model.ram_gb is None else Decimal(str(model.ram_gb)) * model.most

    def words(amount: Decimal, places: int) -> str:
        return f"{amount:,.{places}f} GB of GPU RAM"

    budget = _Budget(max_ram_gb, of, words, ("takes", "take"), unknown_ram=unknown_ram)
    return _hold(models, of_stack, budget)


def _cost(
    models: _Models,
    *,
    of_stack: bool,
    max_dollars_per_hour: float | None = None,
    max_dollars_per_month: float | None = None,
    monthly_basis: MonthlyBasis = "ceiling",
    price_per_gb_second: float | Decimal = DEFAULT_PRICE_PER_GB_SECOND,
    unknown_ram: UnknownRam = "report",
) -> Iterator[Violation]:
    price = Decimal(str(price_per_gb_second))

    def prices_of(model: DeclaredModel) -> Prices:
        return PRICES[model.api_version].at(price)

    def hour(model: DeclaredModel) -> _Amount:
        if model.ram_gb is UNKNOWN or model.most is UNKNOWN:
            return UNKNOWN
        prices = prices_of(model)
        return prices.hourly(prices.per_second(model.ram_gb, model.dollars_per_second), model.most)

    def month(model: DeclaredModel) -> _Amount:
        if model.ram_gb is UNKNOWN or model.most is UNKNOWN:
            return UNKNOWN
        hours, idle = model.expected_hours_per_day, model.expiration_period_seconds
        if monthly_basis == "ceiling":
            hours = idle = None
        if hours is UNKNOWN or idle is UNKNOWN:
            return UNKNOWN
        prices = prices_of(model)
        cost = prices.monthly(
            *(prices.per_second(model.ram_gb, model.dollars_per_second), model.most),
            expiration_period_seconds=idle,
            expected_hours_per_day=hours,
        )
        return cost.ceiling if hours is None else cost.expected

    def words(period: str) -> Callable[[Decimal, int], str]:
        return lambda amount, places: f"${amount:,.{places}f} {period}"

    budgets = [
        _Budget(limit, of, words(period), ("costs", "cost"), unknown_ram=unknown_ram)
        for limit, of, period in (
            (max_dollars_per_hour, hour, "an hour"),
            (max_dollars_per_month, month, "a month"),
        )
    ]
    return _hold(models, of_stack, *budgets)


model_concurrency = partial(_concurrency, of_stack=False)
"""Yield each model with more instances than `max_concurrency`."""
stack_concurrency = partial(_concurrency, of_stack=True)
"""Yield a violation if all models together have more instances than `max_concurrency`."""
model_ram = partial(_ram, of_stack=False)
"""Yield each model whose instances together take more than `max_ram_gb` GB of GPU RAM."""
stack_ram = partial(_ram, of_stack=True)
"""Yield a violation if all models together take more than `max_ram_gb` GB of GPU RAM."""
model_cost = partial(_cost, of_stack=False)
"""Yield each model that costs more than a limit.

Args:
    models: What is declared.
    max_dollars_per_hour: US dollars per hour of being loaded.
    max_dollars_per_month: US dollars per month.
    monthly_basis: "ceiling": loaded all month; "expected": for the declared hours, or all month if
        none are declared.
    price_per_gb_second: US dollars; not for API version 2025-04, where instances have a price.
    unknown_ram: "report": a model of unknown RAM, so of unknown cost, is a violation; "leaveOut":
        the limit does not apply to it.
"""
stack_cost = partial(_cost, of_stack=True)
"""Yield a violation if all models together cost more; arguments as for `model_cost`."""


def _hold(models: _Models, of_stack: bool, *budgets: _Budget) -> Iterator[Violation]:
    models = list(models)
    for budget in budgets:
        if budget.limit is not None:
            hold = _hold_all if of_stack else _hold_each
            yield from hold(models, budget, Decimal(str(budget.limit)))


def _hold_each(
    models: Sequence[DeclaredModel], budget: _Budget, limit: Decimal
) -> Iterator[Violation]:
    for model in models:
        amount = budget.of(model)
        if amount is None and budget.unknown_ram == "report":
            yield Violation(
                f"The {_lacking([model])} of {model} is unknown, so the limit of "
                f"{budget.words(limit, 2)} for a model cannot be checked: declare a model of known "
                f"{_lacking([model])}, {_LEAVE_OUT}.",
                model.urn,
            )
        elif isinstance(amount, Decimal) and amount > limit:
            found, allowed = budget.compared(amount, limit)
            yield Violation(
                f"{model} {budget.takes[0]} {found}, more than the limit of {allowed} for a "
                f"model: {budget.fix.format(scale=_scale(model))}.",
                model.urn,
            )


def _lacking(models: Sequence[DeclaredModel]) -> str:
    # No size of an instance is large enough for some models whose RAM is known.
    return "RAM" if all(model.ram_gb is None for model in models) else "cost"


def _scale(model: DeclaredModel) -> str:
    return "concurrency" if model.max_concurrency is None else "maxConcurrency"


def _hold_all(
    models: Sequence[DeclaredModel], budget: _Budget, limit: Decimal
) -> Iterator[Violation]:
    amounts = [(model, budget.of(model)) for model in models]
    known = [(model, amount) for model, amount in amounts if isinstance(amount, Decimal)]
    unsized = [model for model, amount in amounts if amount is None]
    total = sum((amount for _, amount in known), Decimal(0))
    if total > limit:
        found, allowed = budget.compared(total, limit)
        without = ""
        if unsized:
            without = f" (not counting {_names(unsized)}, of unknown {_lacking(unsized)})"
        largest = sorted(known, key=lambda pair: -pair[1])[:_LARGEST]
        yield Violation(
            f"The stack's models {budget.takes[1]} {found} in total{without}, more than the "
            f"limit of {allowed}: lower the concurrency of some, or remove some, such as "
            f"{_names([model for model, _ in largest])}."
        )
    elif unsized and budget.unknown_ram == "report":
        yield Violation(
            f"The {_lacking(unsized)} of {_names(unsized)} is unknown, so the stack's limit of "
            f"{budget.words(limit, 2)} cannot be checked: declare models of known "
            f"{_lacking(unsized)}, {_LEAVE_OUT}."
        )


def _names(models: Sequence[DeclaredModel]) -> str:
    names = [str(model) for model in models[:_MOST_NAMES]]
    if len(models) > _MOST_NAMES:
        names.append(counted(len(models) - _MOST_NAMES, "more model"))
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


# ------------------------------------------------------------------- which models, and how


def allowed_models(
    models: _Models, *, allow: Sequence[str] | None = None, deny: Sequence[str] = ()
) -> Iterator[Violation]:
    """Yield each model whose id matches no glob of `allow`, or one of `deny`.

    In a glob, for example `owner/*`, `*` matches any text, "/" included, `?` one character and
    `[abc]` one of these. Case does not matter.
    """
    allowed, denied = _matcher(allow or ()), _matcher(deny)
    for model in models:
        if model.model_id is UNKNOWN:
            continue
        by = denied(model.model_id)
        if by is not None:
            glob = printable(by, limit=_TEXT_LIMIT)
            yield Violation(f"{model} is denied by '{glob}': declare another model.", model.urn)
        elif allow is not None and allowed(model.model_id) is None:
            yield Violation(
                f"{model} is not one of the allowed models ({_globs(allow)}): declare one of "
                "those, or ask for it to be added to `allow`.",
                model.urn,
            )


def benchmarked_only(
    models: _Models, *, require: Sequence[str] = (), exempt: Sequence[str] = ()
) -> Iterator[Violation]:
    """Yield each model that `require` matches, `exempt` does not, and is not benchmarked."""
    for model in _required(models, require, exempt):
        if not model.benchmarked:
            yield Violation(
                f"{model} is not benchmarked, according to the catalogue of this package: declare "
                "a benchmarked model, or ask for it to be added to `exempt`.",
                model.urn,
            )


def known_ram(
    models: _Models, *, require: Sequence[str] = (), exempt: Sequence[str] = ()
) -> Iterator[Violation]:
    """Yield each model that `require` matches, `exempt` does not, and whose RAM is unknown."""
    for model in _required(models, require, exempt):
        if model.ram_gb is None:
            yield Violation(
                f"The RAM of {model} is unknown, and so is its cost: declare a model of known "
                "RAM, or ask for it to be added to `exempt`.",
                model.urn,
            )


def protect(
    models: _Models, *, require: Sequence[str] = (), exempt: Sequence[str] = ()
) -> Iterator[Violation]:
    """Yield each model that `require` matches, `exempt` does not, and is not protected."""
    for model in _required(models, require, exempt):
        if not model.protect:
            yield Violation(
                f"{model} is not protected, so a change could unload it: set `protect` in its "
                "resource options, or in those of its fleet.",
                model.urn,
            )


def idle_expiry(
    models: _Models, *, min_seconds: float | None = None, max_seconds: float | None = None
) -> Iterator[Violation]:
    """Yield each model whose idle period is out of bounds; unset, it is the service's own."""
    for model in models:
        declared = model.expiration_period_seconds
        if declared is UNKNOWN:
            continue
        seconds = PRICES[model.api_version].idle_seconds if declared is None else declared
        if min_seconds is not None and seconds < min_seconds:
            bound = f"{min_seconds:.0f} or more"
        elif max_seconds is not None and seconds > max_seconds:
            bound = f"{max_seconds:.0f} or less"
        else:
            continue
        default = " (the service's default)" if declared is None else ""
        yield Violation(
            f"{model} is unloaded after {seconds} idle seconds{default}, which is out of bounds: "
            f"set its `expirationPeriodSeconds` to {bound}.",
            model.urn,
        )


def no_adopt(models: _Models, *, stacks: Sequence[str] = ()) -> Iterator[Violation]:
    """Yield each model with `adopt` in a stack whose name matches a glob."""
    named = _matcher(stacks)
    for model in models:
        if model.adopt is True and named(model.stack) is not None:
            stack = printable(model.stack, limit=_TEXT_LIMIT)
            yield Violation(
                f"{model} may take over somebody else's load, which the stack '{stack}' does not "
                "allow: remove `adopt`, and ask those who loaded the model to unload it.",
                model.urn,
            )


def no_duplicates(models: _Models) -> Iterator[Violation]:
    """Yield a violation for each model that several resources declare."""
    by_id: dict[tuple[str, str], list[DeclaredModel]] = {}
    for model in models:
        if model.model_id is not UNKNOWN:
            by_id.setdefault((model.provider, model.model_id), []).append(model)
    for same in by_id.values():
        if len(same) > 1:
            yield Violation(
                f"{_names(same)} are the same model, which the service loads only once: keep one "
                "of them, and raise its concurrency instead.",
                same[1].urn,
            )


def _required(
    models: _Models, require: Sequence[str], exempt: Sequence[str]
) -> Iterator[DeclaredModel]:
    required, exempted = _matcher(require), _matcher(exempt)
    for model in models:
        if model.model_id is UNKNOWN:
            continue
        if required(model.model_id) is not None and exempted(model.model_id) is None:
            yield model


def _matcher(globs: Sequence[str]) -> Callable[[str], str | None]:
    """Return a function that returns the first glob that matches a text, or None."""
    compiled = [(glob, re.compile(fnmatch.translate(glob), re.IGNORECASE)) for glob in globs]
    return lambda text: next((glob for glob, it in compiled if it.match(text)), None)


def _globs(globs: Sequence[str]) -> str:
    shown = [f"'{printable(glob, limit=_TEXT_LIMIT)}'" for glob in globs[:_MOST_NAMES]]
    if len(globs) > _MOST_NAMES:
        shown.append(f"{len(globs) - _MOST_NAMES} more")
    return ", ".join(shown) or "none"
