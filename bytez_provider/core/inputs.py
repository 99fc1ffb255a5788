"""The inputs of a model, each declared once.

The provider's check and diff, the fleet file, its JSON Schema and the reference in the docs come
from this table. `Model`, `ModelArgs` and `ModelInputs` write the inputs out for type checkers, and
a test compares them with it. It imports no library, because every program imports it.
"""

from __future__ import annotations

import enum
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

EXPIRY_MIN_SECONDS = 60
"""Shortest idle period that is accepted (our choice: the API documents no bounds)."""
EXPIRY_MAX_SECONDS = 7 * 24 * 3600
"""Longest idle period that is accepted (our choice)."""

MODEL_ID_PATTERN: Final = "[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*"
REQUIRED: Final = object()
"""The default of an input that must be given."""


class Change(enum.Enum):
    """What a change of an input does to a model that is loaded."""

    REPLACE = "replace"
    """Unload, then load: an outage of one boot."""
    RESCALE = "rescale"
    """An update in place where the API can do it; else as `REPLACE`."""
    UPDATE = "update"
    """An update in place that sends no request."""

    def replaces(self, *, rescales: bool) -> bool:
        """Return whether it is a replacement, in an API that can rescale or in another."""
        return self is Change.REPLACE or (self is Change.RESCALE and not rescales)


@dataclass(frozen=True)
class Input:
    """One input of a model."""

    name: str
    """Its name in Python."""
    default: Any
    """Its value when it is left out; `REQUIRED` if it must be given."""
    change: Change
    help: str
    """What it is, in one sentence."""
    check: Callable[[Any], Any]
    """Returns the value as it is kept, or raises `UnfitError`."""
    schema: Mapping[str, Any]
    """Its type and bounds, as JSON Schema says them."""

    @property
    def in_state(self) -> str:
        """Its name in state, plans, policies and fleet files: camelCase."""
        head, *rest = self.name.split("_")
        return head + "".join(map(str.capitalize, rest))


class UnfitError(ValueError):
    """A value that an input cannot have; `must_be` says what it takes."""

    def __init__(self, must_be: str, *, but_is: str = "") -> None:
        super().__init__(f"must be {must_be}" + (f", not {but_is}" if but_is else ""))
        self.must_be = must_be


def is_model_id(text: object) -> bool:
    """Return whether a value has the form of a model id, `owner/name`."""
    return isinstance(text, str) and re.fullmatch(MODEL_ID_PATTERN, text) is not None


def _model_id(value: object) -> object:
    if not is_model_id(value):
        raise UnfitError("a model id of the form 'owner/name', as 'openai-community/gpt2'")
    return value


def _number(value: Any, least: float, most: float, what: str) -> Any:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not least <= value <= most:
        raise UnfitError(what, but_is=_shown(value))
    return value


def _whole(value: Any, least: float, most: float, what: str) -> int:
    if _number(value, least, most, what) % 1:
        raise UnfitError(what, but_is=_shown(value))
    # A dynamic provider gets numbers as floats: 2.0 is 2.
    return int(value)


def _shown(value: object) -> str:
    return repr(int(value) if isinstance(value, float) and value.is_integer() else value)


def _concurrency(value: object) -> float:
    return _whole(value, 0, math.inf, "a whole number of at least 0")


def _max_concurrency(value: object) -> float | None:
    return None if value is None else _whole(value, 1, math.inf, "a whole number of at least 1")


def _expiry(value: object) -> float | None:
    what = f"a whole number of seconds from {EXPIRY_MIN_SECONDS} to {EXPIRY_MAX_SECONDS}"
    return None if value is None else _whole(value, EXPIRY_MIN_SECONDS, EXPIRY_MAX_SECONDS, what)


def _hours(value: object) -> float | None:
    what = "a number of hours from 0 to 24"
    return None if value is None else float(_number(value, 0, 24, what))


def _flag(value: object) -> object:
    if not isinstance(value, bool):
        raise UnfitError("true or false", but_is=repr(value))
    return value


def _on_expiry(value: object) -> object:
    if value not in ("reload", "accept"):
        raise UnfitError("'reload' or 'accept'", but_is=repr(value))
    return value


_TABLE = (
    Input(
        "model_id",
        REQUIRED,
        Change.REPLACE,
        "The model, as owner/name.",
        _model_id,
        {
            "type": "string",
            "pattern": f"^{MODEL_ID_PATTERN}$",
            "examples": ["openai-community/gpt2"],
        },
    ),
    Input(
        "concurrency",
        1,
        Change.RESCALE,
        "Instances behind the model's address; each is paid for. With max_concurrency, the least "
        "number of them, which may be 0.",
        _concurrency,
        {"type": "integer", "minimum": 0},
    ),
    Input(
        "max_concurrency",
        None,
        Change.RESCALE,
        "The most instances when many requests come at a time; concurrency if left out. Needs "
        "bytez:apiVersion 2025-04.",
        _max_concurrency,
        {"type": "integer", "minimum": 1},
    ),
    Input(
        "expiration_period_seconds",
        None,
        Change.RESCALE,
        "Idle seconds after which the service unloads the model, "
        f"{EXPIRY_MIN_SECONDS} to {EXPIRY_MAX_SECONDS}; the service's own if left out: 1800, or "
        "600 with bytez:apiVersion 2025-04.",
        _expiry,
        {"type": "integer", "minimum": EXPIRY_MIN_SECONDS, "maximum": EXPIRY_MAX_SECONDS},
    ),
    Input(
        "adopt",
        False,
        Change.UPDATE,
        "Whether to take over a load of the model that already exists, instead of refusing.",
        _flag,
        {"type": "boolean"},
    ),
    Input(
        "on_expiry",
        "reload",
        Change.UPDATE,
        "What the next `pulumi up` does with a model that is no longer loaded: reload it, or "
        "accept it.",
        _on_expiry,
        {"type": "string", "enum": ["reload", "accept"]},
    ),
    Input(
        "expected_hours_per_day",
        None,
        Change.UPDATE,
        "Hours a day that the model is expected to be loaded, 0 to 24; only for the cost in "
        "reviews.",
        _hours,
        {"type": "number", "minimum": 0, "maximum": 24},
    ),
)
INPUTS: Final[Mapping[str, Input]] = {one.name: one for one in _TABLE}
"""The inputs by their names in Python, in the order in which they are listed."""
RESCALING: Final = tuple(one.in_state for one in _TABLE if one.change is Change.RESCALE)
"""The settings of a load, by their names in state."""
DEFAULTS: Final[Mapping[str, Any]] = {one.in_state: one.default for one in _TABLE}
"""Their defaults by their names in state."""


def without_defaults(bag: Mapping[str, Any]) -> dict[str, Any]:
    """Return those inputs of a bag that differ from their defaults."""
    return {
        name: bag[name]
        for name, default in DEFAULTS.items()
        if name in bag and bag[name] != default
    }
