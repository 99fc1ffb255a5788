"""A model as a program declares it, read from a plan, a state or a policy's resource."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Literal, TypeAlias, TypeVar

from bytez_provider.base.errors import printable
from bytez_provider.base.urns import stack_of
from bytez_provider.service.apis import APIS
from bytez_provider.service.catalogue import Catalogue
from bytez_provider.service.schemas import Asked
from bytez_provider.service.settings import ApiVersion

_NAME_LIMIT = 100
_LARGEST = 1e12
_EXPIRY = "expirationPeriodSeconds"
_T = TypeVar("_T")


class Unknown(enum.Enum):
    """The type of `UNKNOWN`."""

    UNKNOWN = "unknown"


UNKNOWN: Final = Unknown.UNKNOWN
"""A value that is set but cannot be read: a secret, an output not known before the `up`, or a value
that the provider's check refuses. No rule judges it, and no cost is made of it."""
_Unknown: TypeAlias = Literal[Unknown.UNKNOWN]


@dataclass(frozen=True, kw_only=True)
class DeclaredModel:
    """A model as a program declares it.

    Attributes:
        name: The resource's name.
        urn: The resource's URN.
        model_id: The model, as `owner/name`.
        concurrency: Instances; with `max_concurrency` the least number of them.
        max_concurrency: The most instances; None for as many as `concurrency`, and at least 1.
        expiration_period_seconds: Idle seconds until it is unloaded; None for the service's own.
        adopt: Whether somebody else's load may be taken over.
        expected_hours_per_day: Hours a day that it is expected to be loaded; None: not declared.
        protect: Whether Pulumi refuses to delete it.
        provider: The URN of its explicit provider, which may have its own account; "" for none.
        api_version: The version of the API that loads it.
        ram_gb: GPU RAM of one instance in GB; None if the catalogue has no figure.
        dollars_per_second: Price of one instance; None if the catalogue has none.
        benchmarked: Whether the catalogue calls it benchmarked; None if it does not say.
    """

    name: str
    urn: str
    model_id: str | _Unknown
    concurrency: int | _Unknown = 1
    max_concurrency: int | _Unknown | None = None
    expiration_period_seconds: int | _Unknown | None = None
    adopt: bool | _Unknown = False
    expected_hours_per_day: float | _Unknown | None = None
    protect: bool = False
    provider: str = ""
    api_version: ApiVersion = "2024-05"
    ram_gb: float | _Unknown | None = None
    dollars_per_second: Decimal | None = None
    benchmarked: bool | _Unknown | None = None

    @property
    def most(self) -> int | _Unknown:
        """The most instances that it may have."""
        if self.concurrency is UNKNOWN or self.max_concurrency is UNKNOWN:
            return UNKNOWN
        return Asked(self.concurrency, max_concurrency=self.max_concurrency).most

    @property
    def stack(self) -> str:
        """The stack that the URN names; "" if it is not a URN."""
        return stack_of(self.urn) if self.urn.startswith("urn:pulumi:") else ""

    def __str__(self) -> str:
        name = f"'{printable(self.name, limit=_NAME_LIMIT)}'"
        if self.model_id is UNKNOWN:
            return name
        return f"{name} ({printable(self.model_id, limit=_NAME_LIMIT)})"


def declared_model(
    name: str,
    urn: str,
    *,
    read: Callable[[str], Any],
    catalogue: Catalogue,
    api_version: ApiVersion,
    protect: bool = False,
    provider: str = "",
) -> DeclaredModel:
    """Return the model that a resource declares.

    Args:
        name: The resource's name.
        urn: The resource's URN.
        read: Returns an input by its name in state; None if it is not set, UNKNOWN if it cannot be
            read. Numbers may be floats, as Pulumi hands them over.
        catalogue: Where RAM, benchmarks and the price of an instance come from.
        api_version: The version of the API that loads it.
        protect: Whether Pulumi refuses to delete it.
        provider: The URN of its explicit provider; "" for none.
    """
    model_id = _of(str, read("modelId")) or UNKNOWN
    entry = None if model_id is UNKNOWN else catalogue.find(model_id)
    settings = _settings(read, api_version)
    return DeclaredModel(
        name=name,
        urn=urn,
        model_id=model_id,
        concurrency=1 if settings["concurrency"] is None else settings["concurrency"],
        max_concurrency=settings["maxConcurrency"],
        expiration_period_seconds=settings[_EXPIRY],
        adopt=_of(bool, read("adopt")) or False,
        expected_hours_per_day=number(read("expectedHoursPerDay")),
        protect=protect,
        provider=provider,
        api_version=api_version,
        ram_gb=UNKNOWN if model_id is UNKNOWN else entry.required_ram_gb if entry else None,
        dollars_per_second=entry.dollars_per_second if entry else None,
        benchmarked=UNKNOWN if model_id is UNKNOWN else entry.benchmarked if entry else None,
    )


def number(value: object) -> float | _Unknown | None:
    """Return a number from 0; UNKNOWN for anything else, None for None."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = float(value) if abs(value) < _LARGEST else UNKNOWN
    found = _of(float, value)
    return found if not isinstance(found, float) or 0 <= found < _LARGEST else UNKNOWN


def _settings(
    read: Callable[[str], Any], api_version: ApiVersion
) -> dict[str, int | _Unknown | None]:
    """Return the settings of a load; UNKNOWN for one that the version of the API cannot have."""
    found = {
        name: _whole(read(name), least)
        for name, least in (("concurrency", 0), ("maxConcurrency", 1), (_EXPIRY, 1))
    }
    known = {name: value for name, value in found.items() if isinstance(value, int)}
    asked = Asked(known.get("concurrency", 1), known.get(_EXPIRY), known.get("maxConcurrency"))
    return found | dict.fromkeys((name for name, _ in APIS[api_version].problems(asked)), UNKNOWN)


def _whole(value: object, least: int) -> int | _Unknown | None:
    found = number(value)
    if not isinstance(found, float):
        return found
    return int(found) if found.is_integer() and found >= least else UNKNOWN


def _of(kind: type[_T], value: object) -> _T | _Unknown | None:
    if value is None:
        return None
    return value if isinstance(value, kind) else UNKNOWN
