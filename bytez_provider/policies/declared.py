"""A model as a program declares it, with what the catalogue of this package knows about it."""

from __future__ import annotations

import enum
import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from bytez_provider.base.errors import printable
from bytez_provider.base.urns import stack_of
from bytez_provider.service.catalogue import Catalogue, bundled_catalogue

_NAME_LIMIT = 100


class Unknown(enum.Enum):
    """The type of `UNKNOWN`."""

    UNKNOWN = "unknown"


UNKNOWN: Final = Unknown.UNKNOWN
"""A value that a preview does not know yet. No rule judges it."""
_Unknown: TypeAlias = Literal[Unknown.UNKNOWN]


@dataclass(frozen=True, kw_only=True)
class DeclaredModel:
    """A model as a program declares it."""

    name: str
    urn: str
    model_id: str | _Unknown
    concurrency: int | _Unknown = 1
    expiration_period_seconds: int | _Unknown | None = None
    """None: the service's own."""
    adopt: bool | _Unknown = False
    expected_hours_per_day: float | _Unknown | None = None
    protect: bool = False
    ram_gb: float | _Unknown | None = None
    """GPU RAM of one instance in GB; None: the catalogue does not know."""
    benchmarked: bool | _Unknown | None = None
    """None: the catalogue does not know."""

    @property
    def stack(self) -> str:
        """The name of its stack."""
        return stack_of(self.urn)

    def __str__(self) -> str:
        name = f"'{printable(self.name, limit=_NAME_LIMIT)}'"
        if self.model_id is UNKNOWN:
            return name
        return f"{name} ({printable(self.model_id, limit=_NAME_LIMIT)})"


def declared_model(
    name: str, urn: str, *, protect: bool, read: Callable[[str], Any]
) -> DeclaredModel | None:
    """Return the model that a resource declares; None if it only reads one (`Model.get`).

    Args:
        name: The resource's name.
        urn: The resource's URN.
        protect: Whether Pulumi refuses to delete it.
        read: Returns a property by its name in state: None if unset, `UNKNOWN` if not known yet,
            and numbers as floats.
    """
    if read("modelId") is None:
        return None
    model_id = _read(read, "modelId", str)
    entry = None if model_id is UNKNOWN else _catalogue().find(model_id)
    return DeclaredModel(
        name=name,
        urn=urn,
        model_id=model_id,
        concurrency=_whole(read, "concurrency", 1),
        expiration_period_seconds=_whole(read, "expirationPeriodSeconds", None),
        adopt=_read(read, "adopt", bool, default=False),
        expected_hours_per_day=_read(read, "expectedHoursPerDay", (int, float)),
        protect=protect,
        ram_gb=UNKNOWN if model_id is UNKNOWN else entry.required_ram_gb if entry else None,
        benchmarked=UNKNOWN if model_id is UNKNOWN else entry.benchmarked if entry else None,
    )


@functools.cache
def _catalogue() -> Catalogue:
    return bundled_catalogue()


def _read(
    read: Callable[[str], Any],
    name: str,
    kind: type | tuple[type, ...],
    *,
    default: object = None,
) -> Any:
    """Return a property. A value of a wrong kind is for the provider to refuse: UNKNOWN here."""
    value = read(name)
    if value is None:
        return default
    is_flag = isinstance(value, bool) and kind is not bool
    return value if isinstance(value, kind) and not is_flag else UNKNOWN


def _whole(read: Callable[[str], Any], name: str, default: int | None) -> Any:
    value = _read(read, name, (int, float), default=default)
    if value is None or value is UNKNOWN:
        return value
    return int(value) if value == value // 1 else UNKNOWN
