"""The inputs of a model, each declared once.

`Model`, `ModelArgs`, the provider's check and diff, the fleet file, its JSON Schema and the
reference in the docs come from this table, or a test holds them against it. It needs no library,
because every program imports it.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

EXPIRY_MIN_SECONDS = 60
"""Shortest idle period that is accepted (our choice: the API documents no bounds)."""
EXPIRY_MAX_SECONDS = 7 * 24 * 3600
"""Longest idle period that is accepted (our choice)."""

MODEL_ID_PATTERN: Final = "[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*"
_MODEL_ID = re.compile(MODEL_ID_PATTERN + r"\Z")


class Change(enum.Enum):
    """What a change of an input does to a model that is loaded."""

    REPLACE = "replace"
    """Unload, then load: an outage of one boot."""
    UPDATE = "update"
    """An update in place that sends no request."""


@dataclass(frozen=True)
class Input:
    """One input of a model.

    Attributes:
        name: Its name in Python.
        default: Its value when it is left out; `REQUIRED` when it must be given.
        change: What a change of it does.
        help: What it is, in one sentence.
        check: Returns the value as it is kept, or raises `UnfitError`.
        schema: Its type and bounds, as JSON Schema says them.
    """

    name: str
    default: Any
    change: Change
    help: str
    check: Callable[[object], Any]
    schema: Mapping[str, Any] = field(default_factory=dict)

    @property
    def in_state(self) -> str:
        """Its name in state, plans, policies and fleet files: camelCase."""
        head, *rest = self.name.split("_")
        return head + "".join(map(str.capitalize, rest))


REQUIRED: Final = object()
"""The default of an input that must be given."""


class UnfitError(ValueError):
    """A value that an input cannot have; `must_be` says what it takes."""

    def __init__(self, must_be: str, *, but_is: str = "") -> None:
        super().__init__(f"must be {must_be}" + (f", not {but_is}" if but_is else ""))
        self.must_be = must_be


def is_model_id(text: str) -> bool:
    """Return whether a text has the form of a model id, `owner/name`."""
    return _MODEL_ID.match(text) is not None


def _model_id(value: object) -> str:
    if not isinstance(value, str) or not is_model_id(value):
        raise UnfitError("a model id of the form 'owner/name', as 'openai-community/gpt2'")
    return value


def _whole(value: object, *, least: int, most: int | None, what: str) -> int:
    # A dynamic provider gets numbers as floats: 2.0 is 2, and 2.5 is a mistake.
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value // 1:
        raise UnfitError(what, but_is=repr(value))
    number = int(value)
    if number < least or (most is not None and number > most):
        raise UnfitError(what, but_is=str(number))
    return number


def _concurrency(value: object) -> int:
    return _whole(value, least=1, most=None, what="a whole number of at least 1")


def _expiry(value: object) -> int | None:
    if value is None:
        return None
    return _whole(
        value,
        least=EXPIRY_MIN_SECONDS,
        most=EXPIRY_MAX_SECONDS,
        what=f"a whole number of seconds from {EXPIRY_MIN_SECONDS} to {EXPIRY_MAX_SECONDS}",
    )


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise UnfitError("true or false", but_is=repr(value))
    return value


def _on_expiry(value: object) -> object:
    if value not in ("reload", "accept"):
        raise UnfitError("'reload' or 'accept'", but_is=repr(value))
    return value


def _hours(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 24:
        raise UnfitError("a number of hours from 0 to 24", but_is=repr(value))
    return float(value)


INPUTS: Final[Mapping[str, Input]] = {
    one.name: one
    for one in (
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
            Change.REPLACE,
            "Instances behind the model's address, at least 1; each is paid for.",
            _concurrency,
            {"type": "integer", "minimum": 1},
        ),
        Input(
            "expiration_period_seconds",
            None,
            Change.REPLACE,
            "Idle seconds after which the service unloads the model, "
            f"{EXPIRY_MIN_SECONDS} to {EXPIRY_MAX_SECONDS}; 1800, the service's own, if left out.",
            _expiry,
            {
                "type": "integer",
                "minimum": EXPIRY_MIN_SECONDS,
                "maximum": EXPIRY_MAX_SECONDS,
            },
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
}
"""The inputs by their names in Python, in the order in which they are listed."""
