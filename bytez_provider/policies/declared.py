"""A model as a program declares it, with what the catalogue of this package knows of it."""

from __future__ import annotations

import enum
import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, TypeVar

from bytez_provider.base.errors import printable
from bytez_provider.service.catalogue import Catalogue, bundled_catalogue

_NAME_LIMIT = 100
_T = TypeVar("_T")


class Unknown(enum.Enum):
    """The one value of what is not known yet, as an output of another resource in a preview."""

    UNKNOWN = "unknown"


UNKNOWN: Final = Unknown.UNKNOWN
"""A value that is not known yet. No rule judges it."""
_Unknown: TypeAlias = Literal[Unknown.UNKNOWN]


@dataclass(frozen=True, kw_only=True)
class DeclaredModel:
    """A model as a program declares it.

    Attributes:
        name: The resource's name.
        urn: The resource's URN.
        model_id: The model, as `owner/name`.
        concurrency: Instances.
        expiration_period_seconds: Idle seconds until it is unloaded; None for the service's own.
        adopt: Whether somebody else's load may be taken over.
        expected_hours_per_day: Hours a day that it is expected to be loaded; None: not declared.
        protect: Whether Pulumi refuses to delete it.
        ram_gb: GPU RAM of one instance in GB; None where the catalogue has no figure.
        benchmarked: Whether the catalogue calls it benchmarked; None where it does not say.
    """

    name: str
    urn: str
    model_id: str | _Unknown
    concurrency: int | _Unknown = 1
    expiration_period_seconds: int | _Unknown | None = None
    adopt: bool | _Unknown = False
    expected_hours_per_day: float | _Unknown | None = None
    protect: bool = False
    ram_gb: float | _Unknown | None = None
    benchmarked: bool | _Unknown | None = None

    @property
    def stack(self) -> str:
        """The stack that the URN names; "" where it is none."""
        parts = self.urn.split(":")
        return parts[2] if len(parts) > 2 else ""

    def __str__(self) -> str:
        name = f"'{printable(self.name, limit=_NAME_LIMIT)}'"
        if self.model_id is UNKNOWN:
            return name
        return f"{name} ({printable(self.model_id, limit=_NAME_LIMIT)})"


def declared_model(
    name: str, urn: str, *, protect: bool, read: Callable[[str], Any]
) -> DeclaredModel | None:
    """Return the model that a resource declares; None where it only reads one (`Model.get`).

    Args:
        name: The resource's name.
        urn: The resource's URN.
        protect: Whether Pulumi refuses to delete it.
        read: Returns a property by its name in state; None where it is not set, UNKNOWN where it
            is not known yet. Numbers are floats, as Pulumi hands them over.
    """
    model_id = read("modelId")
    if model_id is None:
        return None
    known = _known_text(model_id)
    entry = None if known is UNKNOWN else _catalogue().find(known)
    concurrency = _whole(read("concurrency"))
    return DeclaredModel(
        name=name,
        urn=urn,
        model_id=known,
        concurrency=1 if concurrency is None else concurrency,
        expiration_period_seconds=_whole(read("expirationPeriodSeconds")),
        adopt=_of(bool, read("adopt")) or False,
        expected_hours_per_day=_number(read("expectedHoursPerDay")),
        protect=protect,
        ram_gb=UNKNOWN if known is UNKNOWN else entry.required_ram_gb if entry else None,
        benchmarked=UNKNOWN if known is UNKNOWN else entry.benchmarked if entry else None,
    )


@functools.cache
def _catalogue() -> Catalogue:
    return bundled_catalogue()


# What is of another kind than it should be is refused by the provider's check. A rule that meets
# it all the same has nothing to say of it.


def _of(kind: type[_T], value: object) -> _T | _Unknown | None:
    if value is None:
        return None
    return value if isinstance(value, kind) else UNKNOWN


def _known_text(value: object) -> str | _Unknown:
    return _of(str, value) or UNKNOWN


def _number(value: object) -> float | _Unknown | None:
    if isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    return _of(float, value)


def _whole(value: object) -> int | _Unknown | None:
    number = _number(value)
    if isinstance(number, float):
        return int(number) if number.is_integer() else UNKNOWN
    return number
