"""Values that are read from JSON and kept as JSON: snake_case in Python, camelCase outside.

Without a library: an unchanged `pulumi up` reads nothing else, and would wait for its import longer
than for all the rest of the provider.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from bytez_provider.base.errors import printable

if TYPE_CHECKING:
    from typing_extensions import Self

_T = TypeVar("_T")
Check = Callable[[Any], Any]
"""Returns a value as it is kept, or raises `ValueError` with what it must be."""


class PropertiesError(ValueError):
    """Properties that cannot be read.

    `problems` has a name and a reason for each, on one line, whatever was given.
    """

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{name} {reason}" for name, reason in problems))
        self.problems = problems


def prop(check: Check, default: Any = MISSING) -> Any:
    """Return a field of `Properties`; without a default it must be given."""
    return field(default=default, metadata={"check": check})


def camel(name: str) -> str:
    """Return a name in Python as it is outside."""
    head, *rest = name.split("_")
    return head + "".join(map(str.capitalize, rest))


@dataclass(frozen=True, kw_only=True)
class Properties:
    """Base of frozen dataclasses whose fields are each made by `prop`.

    Raises:
        PropertiesError: A value is not what its field takes.
    """

    only_known: ClassVar[bool] = False
    """Whether a property that is no field is a problem; else it is ignored."""

    def __post_init__(self) -> None:
        vars(self).update(_checked(type(self), vars(self)))

    @classmethod
    def of(cls, given: object) -> Self:
        """Read properties under either of their names; those that were read are returned.

        Raises:
            PropertiesError: All that is wrong with them.
        """
        if isinstance(given, cls):
            return given
        if not isinstance(given, Mapping):
            raise PropertiesError([("", "must be an object")])
        new = object.__new__(cls)
        vars(new).update(_checked(cls, given))
        return new

    def bag(self) -> dict[str, Any]:
        """Return the properties as JSON has them, without those that are None."""
        return {
            alias: _plain(vars(self)[name])
            for name, (alias, _, _) in _table(type(self)).items()
            if vars(self)[name] is not None
        }

    def but(self, **changes: Any) -> Self:
        """Return a copy with other values, which are not checked."""
        new = object.__new__(type(self))
        vars(new).update({**vars(self), **changes})
        return new


_Table = Mapping[str, tuple[str, Check, Any]]
_TABLES: dict[type[Properties], _Table] = {}


def _table(kind: type[Properties]) -> _Table:
    """Return the name outside, the check and the default of each field."""
    if kind not in _TABLES:
        _TABLES[kind] = {
            one.name: (camel(one.name), one.metadata["check"], one.default) for one in fields(kind)
        }
    return _TABLES[kind]


def _checked(kind: type[Properties], given: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    problems = []
    table = _table(kind)
    for name, (alias, check, default) in table.items():
        value = given.get(alias, given.get(name, MISSING))
        if value is MISSING:
            value = default
        if value is MISSING:
            problems.append((alias, "is missing"))
        elif value is default:
            found[name] = value
        else:
            try:
                found[name] = check(value)
            except PropertiesError as error:
                problems += [(f"{alias}.{inner}".strip("."), why) for inner, why in error.problems]
            except ValueError as error:
                problems.append((alias, str(error)))
    if kind.only_known:
        aliases = [alias for alias, _, _ in table.values()]
        reason = f"is not an argument; the arguments are {', '.join(aliases)}"
        problems += [(str(one), reason) for one in given if one not in table and one not in aliases]
    if problems:
        raise PropertiesError(
            [(printable(name, limit=100), printable(why)) for name, why in problems]
        )
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, Properties):
        return value.bag()
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return value


# --------------------------------------------------------------------------------- checks


def optional(check: Callable[[Any], _T]) -> Callable[[Any], _T | None]:
    """Return a check that lets None pass."""
    return lambda value: None if value is None else check(value)


def text(value: Any) -> str:
    """Check a text."""
    if not isinstance(value, str):
        raise ValueError("must be a text")
    return value


def flag(value: Any) -> bool:
    """Check a truth value."""
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def number(value: Any) -> float:
    """Check a number."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise ValueError("must be a number")
    return value


def whole(value: Any) -> int:
    """Check a whole number."""
    if number(value) % 1:
        raise ValueError("must be a whole number")
    return int(value)


def mapping_of(check: Callable[[Any], _T]) -> Callable[[Any], dict[str, _T]]:
    """Return a check of an object whose values are checked."""

    def checked(value: Any) -> dict[str, _T]:
        if not isinstance(value, Mapping):
            raise ValueError("must be an object")
        found, problems = {}, []
        for key, inner in value.items():
            try:
                found[str(key)] = check(inner)
            except PropertiesError as error:
                problems += [(f"{key}.{name}".strip("."), why) for name, why in error.problems]
            except ValueError as error:
                problems.append((str(key), str(error)))
        if problems:
            raise PropertiesError(problems)
        return found

    return checked
