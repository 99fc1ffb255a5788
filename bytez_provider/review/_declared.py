"""Inputs in a plan, made into a declaration with its cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from bytez_provider.review._document import DeclaredModel, Month
from bytez_provider.review._plan import ResourceState, model_id_of
from bytez_provider.service.catalogue import Catalogue
from bytez_provider.service.pricing import Cost, hourly, monthly
from bytez_provider.stack.marks import UNKNOWN, is_hidden

REPLACING = ("modelId", "concurrency", "expirationPeriodSeconds")
"""The inputs of which a change replaces."""

COMPARED = {
    "modelId": "model",
    "concurrency": "concurrency",
    "expirationPeriodSeconds": "idle period",
    "adopt": "adopt",
    "onExpiry": "on expiry",
    "expectedHoursPerDay": "expected hours a day",
}
"""The inputs, and how people call them."""

_IN_FLEET = "readiness"
"""Set of a fleet's models, by the fleet."""


@dataclass(frozen=True)
class Prices:
    """What costs are made of."""

    catalogue: Catalogue
    dollars_per_gb_second: Decimal


@dataclass(frozen=True)
class Declared:
    """A model as declared, with what it costs; each amount None where it is unknown."""

    model_id: str | None
    concurrency: int | None
    expiration_period_seconds: int | None
    expected_hours_per_day: float | None
    ram_gb: float | None
    hour: Decimal | None
    month: Cost | None
    unreadable: tuple[str, ...] = ()

    @property
    def total_ram_gb(self) -> float | None:
        """RAM of all instances."""
        if self.ram_gb is None or self.concurrency is None:
            return None
        return self.ram_gb * self.concurrency

    def document(self) -> DeclaredModel:
        """Return it as the document has it."""
        return DeclaredModel(
            model_id=self.model_id,
            concurrency=self.concurrency,
            expiration_period_seconds=self.expiration_period_seconds,
            expected_hours_per_day=self.expected_hours_per_day,
            unreadable=list(self.unreadable),
            required_ram_gb=self.ram_gb,
            dollars_per_hour=None if self.hour is None else money(self.hour),
            dollars_per_month=None if self.month is None else month(self.month),
        )


def money(amount: Decimal) -> float:
    """Return an amount as the document has it."""
    return round(float(amount), 6)


def month(cost: Cost) -> Month | None:
    """Return a known cost as the document has it."""
    if cost.floor is None or cost.ceiling is None:
        return None
    return Month(
        floor=money(cost.floor),
        expected=None if cost.expected is None else money(cost.expected),
        ceiling=money(cost.ceiling),
    )


def declared_of(
    state: ResourceState, prices: Prices, *, outputs: Mapping[str, Any] | None = None
) -> Declared:
    """Return what a program declares of a model.

    A value that is not known before the `up`, or that is a secret, is unknown here.

    Args:
        state: The resource.
        prices: What costs are made of.
        outputs: The outputs of the resource, which may know the RAM where the catalogue does not.
    """
    inputs = state.inputs
    model_id = model_id_of(state)
    concurrency = _whole(inputs.get("concurrency", 1))
    expiry = _whole(inputs.get("expirationPeriodSeconds"))
    hours = _number(inputs.get("expectedHoursPerDay"))
    entry = prices.catalogue.find(model_id) if model_id else None
    ram = entry.required_ram_gb if entry else None
    if ram is None and outputs is not None and outputs.get("modelId") == model_id:
        ram = _number(outputs.get("requiredRamGb"))
    unreadable = hidden_of(state)
    if concurrency is None or ram is None or "expirationPeriodSeconds" in unreadable:
        return Declared(model_id, concurrency, expiry, hours, ram, None, None, unreadable)
    price = prices.dollars_per_gb_second
    cost = monthly(
        ram,
        concurrency,
        price,
        expiration_period_seconds=expiry,
        expected_hours_per_day=hours,
    )
    hour = hourly(ram, concurrency, price)
    return Declared(model_id, concurrency, expiry, hours, ram, hour, cost, unreadable)


def hidden_of(state: ResourceState) -> tuple[str, ...]:
    """Return the inputs of a model that are secrets, or not known before the `up`."""
    return tuple(name for name in COMPARED if is_hidden(state.inputs.get(name)))


def same(one: ResourceState, other: ResourceState) -> bool:
    """Tell whether two states declare the same."""
    return _inputs(one) == _inputs(other)


def changes(old: ResourceState, new: ResourceState) -> list[str]:
    """Say what changes between two declarations, as "concurrency 1 to 3"."""
    before, after = _inputs(old), _inputs(new)
    told = [
        f"{name} {_shown(before.get(key))} to {_shown(after.get(key))}"
        for key, name in COMPARED.items()
        if before.get(key) != after.get(key)
    ]
    if before.get(_IN_FLEET) != after.get(_IN_FLEET):
        told.append("moved into a fleet" if after.get(_IN_FLEET) else "moved out of its fleet")
    return told


def _inputs(state: ResourceState) -> dict[str, Any]:
    return {
        name: value
        for name, value in state.inputs.items()
        if (name in COMPARED or name == _IN_FLEET) and value is not None
    }


def _shown(value: object) -> str:
    if value is None:
        return "unset"
    if is_hidden(value):
        return "a value not known yet" if value == UNKNOWN else "a secret"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _whole(value: object) -> int | None:
    number = _number(value)
    return int(number) if number is not None and number.is_integer() and number > 0 else None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if 0 <= value < 1e12 else None
