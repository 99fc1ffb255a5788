"""The rules: plain functions of what is declared, free of Pulumi.

Each takes the models of a stack, or one of them, and its settings, and yields violations. A value
that is not known yet is not judged. Without its limit or its list a rule has nothing to say: it is
off. RAM is that of the catalogue in this package, the same for everybody who runs the rule.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, TypeAlias

from bytez_provider.base.errors import printable
from bytez_provider.base.words import counted
from bytez_provider.service.pricing import IDLE_SECONDS, hourly, monthly
from bytez_provider.service.settings import DEFAULT_PRICE_PER_GB_SECOND
from bytez_provider.stack.declared import UNKNOWN, DeclaredModel, Unknown

UnknownRam: TypeAlias = Literal["report", "leaveOut"]
MonthlyBasis: TypeAlias = Literal["ceiling", "expected"]
_Amount: TypeAlias = Decimal | Literal[Unknown.UNKNOWN] | None

_MOST_NAMES = 5
_LARGEST = 3
_TEXT_LIMIT = 100


@dataclass(frozen=True)
class Violation:
    """A broken rule.

    Attributes:
        message: One sentence: what was found, and what to change.
        urn: The resource that breaks it; None for the stack as a whole.
    """

    message: str
    urn: str | None = None


# -------------------------------------------------------------------------------- budgets


@dataclass(frozen=True)
class _Budget:
    """A limit for each model or for all together.

    Attributes:
        limit: The most there may be.
        of: What a model takes of it; None where nobody knows.
        told: The words for an amount, to so many decimal places.
        takes: The verb, of one model and of many.
        smaller: What to do to one model that takes too much.
    """

    limit: Decimal
    of: Callable[[DeclaredModel], _Amount]
    told: Callable[[Decimal, int], str]
    takes: tuple[str, str]
    smaller: str

    def told_apart(self, amount: Decimal) -> tuple[str, str]:
        """Return the words for an amount over the limit and for the limit, which differ."""
        for places in (2, 4):
            told, limit = self.told(amount, places), self.told(self.limit, places)
            if told != limit:
                return told, limit
        return self.told(amount, 10), self.told(self.limit, 10)


def model_concurrency(
    models: Iterable[DeclaredModel], *, max_concurrency: float | None = None
) -> Iterator[Violation]:
    """Yield each model of a higher concurrency."""
    for budget in _concurrency(max_concurrency):
        yield from _hold_each(models, budget, "leaveOut")


def stack_concurrency(
    models: Iterable[DeclaredModel], *, max_concurrency: float | None = None
) -> Iterator[Violation]:
    """Yield a violation where all models together have more instances."""
    for budget in _concurrency(max_concurrency):
        yield from _hold_all(models, budget, "leaveOut")


def model_ram(
    models: Iterable[DeclaredModel],
    *,
    max_ram_gb: float | None = None,
    unknown_ram: UnknownRam = "report",
) -> Iterator[Violation]:
    """Yield each model that takes more GB of GPU RAM with all its instances."""
    for budget in _ram(max_ram_gb):
        yield from _hold_each(models, budget, unknown_ram)


def stack_ram(
    models: Iterable[DeclaredModel],
    *,
    max_ram_gb: float | None = None,
    unknown_ram: UnknownRam = "report",
) -> Iterator[Violation]:
    """Yield a violation where all models together take more GB of GPU RAM."""
    for budget in _ram(max_ram_gb):
        yield from _hold_all(models, budget, unknown_ram)


def model_cost(
    models: Iterable[DeclaredModel],
    *,
    max_dollars_per_hour: float | None = None,
    max_dollars_per_month: float | None = None,
    monthly_basis: MonthlyBasis = "ceiling",
    price_per_gb_second: float | Decimal = DEFAULT_PRICE_PER_GB_SECOND,
    unknown_ram: UnknownRam = "report",
) -> Iterator[Violation]:
    """Yield each model that costs more.

    Args:
        models: What is declared.
        max_dollars_per_hour: US dollars for an hour while it is loaded.
        max_dollars_per_month: US dollars for a month.
        monthly_basis: "ceiling": loaded all month; "expected": for the hours that are declared,
            and all month where none are.
        price_per_gb_second: US dollars.
        unknown_ram: "report": a model of unknown RAM, so of unknown cost, is a violation;
            "leaveOut": it is not held to the budget.
    """
    models = list(models)
    price = Decimal(str(price_per_gb_second))
    for budget in _cost(max_dollars_per_hour, max_dollars_per_month, monthly_basis, price):
        yield from _hold_each(models, budget, unknown_ram)


def stack_cost(
    models: Iterable[DeclaredModel],
    *,
    max_dollars_per_hour: float | None = None,
    max_dollars_per_month: float | None = None,
    monthly_basis: MonthlyBasis = "ceiling",
    price_per_gb_second: float | Decimal = DEFAULT_PRICE_PER_GB_SECOND,
    unknown_ram: UnknownRam = "report",
) -> Iterator[Violation]:
    """Yield a violation where all models together cost more; arguments as for `model_cost`."""
    models = list(models)
    price = Decimal(str(price_per_gb_second))
    for budget in _cost(max_dollars_per_hour, max_dollars_per_month, monthly_basis, price):
        yield from _hold_all(models, budget, unknown_ram)


def _concurrency(limit: float | None) -> Iterator[_Budget]:
    def of(model: DeclaredModel) -> _Amount:
        return UNKNOWN if model.concurrency is UNKNOWN else Decimal(model.concurrency)

    def told(amount: Decimal, _places: int) -> str:
        return counted(int(amount), "instance")

    if limit is not None:
        yield _Budget(Decimal(str(limit)), of, told, ("has", "have"), "lower its concurrency")


_SMALLER = "lower its concurrency, or declare a smaller model"


def _ram(limit: float | None) -> Iterator[_Budget]:
    def of(model: DeclaredModel) -> _Amount:
        if model.ram_gb is None:
            return None
        if model.ram_gb is UNKNOWN or model.concurrency is UNKNOWN:
            return UNKNOWN
        # Three times 1.1 GB are 3.3 GB, and within a limit of 3.3: not so among floats.
        return Decimal(str(model.ram_gb)) * model.concurrency

    def told(amount: Decimal, places: int) -> str:
        return f"{amount:,.{places}f} GB of GPU RAM"

    if limit is not None:
        yield _Budget(Decimal(str(limit)), of, told, ("takes", "take"), _SMALLER)


def _cost(
    hourly_limit: float | None, monthly_limit: float | None, basis: MonthlyBasis, price: Decimal
) -> Iterator[_Budget]:
    def hour(model: DeclaredModel) -> _Amount:
        if model.ram_gb is UNKNOWN or model.concurrency is UNKNOWN:
            return UNKNOWN
        return hourly(model.ram_gb, model.concurrency, price)

    def month(model: DeclaredModel) -> _Amount:
        return _of_a_month(model, basis, price)

    def an_hour(amount: Decimal, places: int) -> str:
        return f"${amount:,.{places}f} an hour"

    def a_month(amount: Decimal, places: int) -> str:
        return f"${amount:,.{places}f} a month"

    takes = ("costs", "cost")
    if hourly_limit is not None:
        yield _Budget(Decimal(str(hourly_limit)), hour, an_hour, takes, _SMALLER)
    if monthly_limit is not None:
        yield _Budget(Decimal(str(monthly_limit)), month, a_month, takes, _SMALLER)


def _of_a_month(model: DeclaredModel, basis: MonthlyBasis, price: Decimal) -> _Amount:
    if model.ram_gb is UNKNOWN or model.concurrency is UNKNOWN:
        return UNKNOWN
    hours, idle = model.expected_hours_per_day, model.expiration_period_seconds
    if basis == "ceiling":
        # Loaded all month, whatever its idle period and its expected hours are.
        hours = idle = None
    if hours is UNKNOWN or idle is UNKNOWN:
        return UNKNOWN
    cost = monthly(
        model.ram_gb,
        model.concurrency,
        price,
        expiration_period_seconds=idle,
        expected_hours_per_day=hours,
    )
    return cost.ceiling if hours is None else cost.expected


def _hold_each(
    models: Iterable[DeclaredModel], budget: _Budget, unknown_ram: UnknownRam
) -> Iterator[Violation]:
    one, many = budget.takes
    for model in models:
        amount = budget.of(model)
        if amount is None and unknown_ram == "report":
            limit = budget.told(budget.limit, 2)
            yield Violation(
                f"{model} may {many} at most {limit}, and its RAM is unknown, so that what it "
                "takes cannot be said: declare a model of known RAM, or set `unknownRam` to "
                '"leaveOut".',
                model.urn,
            )
        elif isinstance(amount, Decimal) and amount > budget.limit:
            told, limit = budget.told_apart(amount)
            yield Violation(
                f"{model} {one} {told}, and a model may {many} at most {limit}: {budget.smaller}.",
                model.urn,
            )


def _hold_all(
    models: Iterable[DeclaredModel], budget: _Budget, unknown_ram: UnknownRam
) -> Iterator[Violation]:
    amounts = [(model, budget.of(model)) for model in models]
    known = [(model, amount) for model, amount in amounts if isinstance(amount, Decimal)]
    unsized = [model for model, amount in amounts if amount is None]
    total = sum((amount for _, amount in known), Decimal(0))
    _, many = budget.takes
    if total > budget.limit:
        told, limit = budget.told_apart(total)
        apart = f", not counting {_names(unsized)} of unknown RAM" if unsized else ""
        largest = sorted(known, key=lambda pair: -pair[1])[:_LARGEST]
        yield Violation(
            f"The stack's models {many} {told} together{apart}, and may {many} at most {limit}: "
            f"lower the concurrency of some, or remove some, as {_names(m for m, _ in largest)}."
        )
    elif unsized and unknown_ram == "report":
        yield Violation(
            f"The stack's models may {many} at most {budget.told(budget.limit, 2)}, and what they "
            f"take cannot be said, as the RAM of {_names(unsized)} is unknown: declare models of "
            'known RAM, or set `unknownRam` to "leaveOut".'
        )


def _names(models: Iterable[DeclaredModel]) -> str:
    models = list(models)
    told = [str(model) for model in models[:_MOST_NAMES]]
    if len(models) > _MOST_NAMES:
        told.append(counted(len(models) - _MOST_NAMES, "more model"))
    return " and ".join(filter(None, [", ".join(told[:-1]), told[-1]]))


# ------------------------------------------------------------------- which models, and how


def allowed_models(
    models: Iterable[DeclaredModel],
    *,
    allow: Sequence[str] | None = None,
    deny: Sequence[str] = (),
) -> Iterator[Violation]:
    """Yield each model whose id no glob of `allow` matches, or one of `deny` does.

    A glob is `owner/*` and the like: `*`, `?` and `[abc]`, in which a `*` takes a "/" too and
    upper and lower case are the same.
    """
    allowed, denied = _matcher(allow or ()), _matcher(deny)
    for model in models:
        if model.model_id is UNKNOWN:
            continue
        by = denied(model.model_id)
        if by is not None:
            yield Violation(
                f"{model} is denied by '{printable(by, limit=_TEXT_LIMIT)}': "
                "declare another model.",
                model.urn,
            )
        elif allow is not None and allowed(model.model_id) is None:
            yield Violation(
                f"{model} is not among the models allowed ({_globs(allow)}): "
                "declare one of those, or have it added to `allow`.",
                model.urn,
            )


def benchmarked_only(
    models: Iterable[DeclaredModel],
    *,
    require: Sequence[str] = (),
    exempt: Sequence[str] = (),
) -> Iterator[Violation]:
    """Yield each model that `require` matches, `exempt` does not, and is not benchmarked."""
    for model in _required(models, require, exempt):
        if not model.benchmarked:
            yield Violation(
                f"{model} is not benchmarked, by the catalogue of this package: "
                "declare a benchmarked model, or have it added to `exempt`.",
                model.urn,
            )


def known_ram(
    models: Iterable[DeclaredModel],
    *,
    require: Sequence[str] = (),
    exempt: Sequence[str] = (),
) -> Iterator[Violation]:
    """Yield each model that `require` matches, `exempt` does not, and whose RAM is unknown."""
    for model in _required(models, require, exempt):
        if model.ram_gb is None:
            yield Violation(
                f"The RAM of {model} is unknown, and so is its cost: "
                "declare a model of known RAM, or have it added to `exempt`.",
                model.urn,
            )


def protect(
    models: Iterable[DeclaredModel],
    *,
    require: Sequence[str] = (),
    exempt: Sequence[str] = (),
) -> Iterator[Violation]:
    """Yield each model that `require` matches, `exempt` does not, and that is not protected."""
    for model in _required(models, require, exempt):
        if not model.protect:
            yield Violation(
                f"{model} is not protected, and a change could unload it: "
                "set `protect` in its resource options, or in those of its fleet.",
                model.urn,
            )


def idle_expiry(
    models: Iterable[DeclaredModel],
    *,
    min_seconds: float | None = None,
    max_seconds: float | None = None,
) -> Iterator[Violation]:
    """Yield each model whose idle period is out of bounds; an unset one is the service's own."""
    for model in models:
        declared = model.expiration_period_seconds
        if declared is UNKNOWN:
            continue
        seconds = IDLE_SECONDS if declared is None else declared
        whose = "the service's own " if declared is None else ""
        if min_seconds is not None and seconds < min_seconds:
            bound = f"{min_seconds:.0f} or more"
        elif max_seconds is not None and seconds > max_seconds:
            bound = f"{max_seconds:.0f} or less"
        else:
            continue
        yield Violation(
            f"{model} is unloaded after {whose}{seconds} idle seconds, which is out of bounds: "
            f"set its `expirationPeriodSeconds` to {bound}.",
            model.urn,
        )


def no_adopt(models: Iterable[DeclaredModel], *, stacks: Sequence[str] = ()) -> Iterator[Violation]:
    """Yield each model that may be taken over, in a stack whose name a glob matches."""
    named = _matcher(stacks)
    for model in models:
        if model.adopt is True and named(model.stack) is not None:
            yield Violation(
                f"{model} may take over somebody else's load, which is not allowed in the stack "
                f"'{printable(model.stack, limit=_TEXT_LIMIT)}': leave `adopt` out, and have what "
                "is in the way unloaded by those who loaded it.",
                model.urn,
            )


def no_duplicates(models: Iterable[DeclaredModel]) -> Iterator[Violation]:
    """Yield a violation for each model that several resources declare."""
    by_id: dict[str, list[DeclaredModel]] = {}
    for model in models:
        if model.model_id is not UNKNOWN:
            by_id.setdefault(model.model_id, []).append(model)
    for same in by_id.values():
        if len(same) > 1:
            yield Violation(
                f"{_names(same)} are one and the same model, of which the service holds one load: "
                "keep one of them, and raise its concurrency instead.",
                same[1].urn,
            )


def _required(
    models: Iterable[DeclaredModel], require: Sequence[str], exempt: Sequence[str]
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
    told = [f"'{printable(glob, limit=_TEXT_LIMIT)}'" for glob in globs[:_MOST_NAMES]]
    if len(globs) > _MOST_NAMES:
        told.append(f"{len(globs) - _MOST_NAMES} more")
    return ", ".join(told) or "none"
