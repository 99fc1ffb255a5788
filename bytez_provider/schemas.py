"""What the API answers, read tolerantly, and what users declare, held strictly."""

from __future__ import annotations

import enum
import math
import re
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from bytez_provider.errors import printable

EXPIRY_MIN_SECONDS = 60
"""Shortest idle period accepted (choice: the API's own bounds are undocumented)."""
EXPIRY_MAX_SECONDS = 7 * 24 * 3600
"""Longest idle period accepted (choice)."""

_MODEL_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*\Z")

# ------------------------------------------------------------------------------- statuses


class Phase(enum.Enum):
    """Where an instance is, whatever word the service uses for it."""

    BOOTING = "booting"
    RUNNING = "running"
    FAILED = "failed"
    STOPPED = "stopped"


_PHASES = {
    "STARTED": Phase.BOOTING,  # seed, the answer to /model/load
    "DEPLOYING": Phase.BOOTING,  # client
    "RUNNING": Phase.RUNNING,  # seed
    "FAILED": Phase.FAILED,  # client
    "STOPPED": Phase.STOPPED,  # seed, in prose
}


def phase_of(status: str) -> Phase:
    """Return the phase that a raw status stands for; an unknown word means "still going"."""
    return _PHASES.get(status.strip().upper(), Phase.BOOTING)


# ---------------------------------------------------------------------------------- times


def iso(moment: datetime) -> str:
    """Return a moment as the API writes them: ISO 8601 in UTC, with milliseconds and a Z."""
    moment = moment.astimezone(timezone.utc)
    # An exact copy matters more than a short one: `created` is compared for equality.
    timespec = "microseconds" if moment.microsecond % 1000 else "milliseconds"
    return moment.isoformat(timespec=timespec).replace("+00:00", "Z")


_YEARS = range(1970, 9000)
"""Before and after, it is the first or the last moment of somebody's calendar: it tells nothing,
and next to it there is none to reckon with."""


def in_utc(moment: datetime) -> datetime | None:
    """Return a moment in UTC (where it is if it has no zone); None when it tells nothing."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    try:
        moment = moment.astimezone(timezone.utc)
    except OverflowError:
        return None
    return moment if moment.year in _YEARS else None


def moment_of(text: object) -> datetime | None:
    """Read an ISO 8601 moment of any zone (UTC where none is given); None when it is not one."""
    if not isinstance(text, str):
        return None
    try:
        # Python 3.10 reads neither a Z nor a fraction of other than 3 or 6 digits.
        whole = re.sub(r"\.(\d+)", lambda m: "." + m[1][:6].ljust(6, "0"), text.strip(), count=1)
        moment = datetime.fromisoformat(re.sub(r"[zZ]\Z", "+00:00", whole))
    except ValueError:
        return None
    return in_utc(moment)


# ------------------------------------------------------------------- what the API answers


_MOST = 2.0**53
"""Up to here a double, which is what Pulumi keeps, counts every one."""


def _number_or_none(value: object) -> float | None:
    try:
        number = float(value) if isinstance(value, (int, float, str)) else math.nan
    except (ValueError, OverflowError):
        return None
    return number if abs(number) <= _MOST and not isinstance(value, bool) else None


def _size_or_none(value: object) -> float | None:
    # Zero GB is "not measured": taken as a figure it would make a model that costs nothing.
    number = _number_or_none(value)
    return number if number is not None and number > 0 else None


def _count_or_none(value: object) -> int | None:
    number = _number_or_none(value)
    return int(number) if number is not None and number >= 0 else None


def _moment_or_none(value: object) -> datetime | None:
    return value if isinstance(value, datetime) else moment_of(value)


def _text_or_none(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _flag_or_none(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


_Moment = Annotated[datetime | None, BeforeValidator(_moment_or_none)]
_Count = Annotated[int | None, BeforeValidator(_count_or_none)]
_Size = Annotated[float | None, BeforeValidator(_size_or_none)]
_Text = Annotated[str | None, BeforeValidator(_text_or_none)]
_Flag = Annotated[bool | None, BeforeValidator(_flag_or_none)]


class _CamelCase(BaseModel):
    """snake_case in Python, camelCase everywhere else."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        frozen=True,
        protected_namespaces=(),
    )


class _Answer(_CamelCase):
    """Wrong or missing detail reads as None; what nobody asked about is ignored."""

    model_config = ConfigDict(extra="ignore")


class Instance(_Answer):
    """A loaded model, as `/model/status` tells it (seed); `/model/instances` may tell less."""

    model_id: str
    status: str
    """The raw word of the service."""
    concurrency: _Count = None
    """Instances of the model behind one address."""
    inferences: _Count = None
    """Runs since it was loaded."""
    expiration_period_seconds: _Count = None
    """Idle seconds after which the service unloads it."""
    expires_at: _Moment = None
    created: _Moment = None
    """When the load was accepted, in server time. Identifies the load (choice)."""
    modified: _Moment = None
    error: _Text = None
    """Why it failed, where the service says."""

    @property
    def phase(self) -> Phase:
        """Where the instance is."""
        return phase_of(self.status)


class CatalogueEntry(_Answer):
    """A model that can be loaded."""

    model_id: str
    required_ram_gb: _Size = None
    """GPU RAM of one instance in GB; None when the service does not know (seed: null)."""
    benchmarked: _Flag = None


class LoadOutcome(enum.Enum):
    """What `/model/load` made of the request."""

    ACCEPTED = "accepted"
    ALREADY_LOADED = "already loaded"
    IN_PROGRESS = "a load is in progress"


@dataclass(frozen=True)
class LoadAnswer:
    """The answer to `/model/load`, told in one way for both dialects."""

    outcome: LoadOutcome
    answer_lost: bool
    """True when an earlier attempt of the same call was sent and really got no answer, so that
    an "already loaded" may be this call's own doing."""


# ------------------------------------------------------------------- what commands print


class Document(_CamelCase):
    """A part of what a command prints for programs; its schema is published."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


# -------------------------------------------------------------------- what users declare


def is_model_id(text: str) -> bool:
    """Tell whether a text has the form of a model id, `owner/name`."""
    return _MODEL_ID.match(text) is not None


def _known_text(value: object) -> str:
    if not isinstance(value, str) or not is_model_id(value):
        raise ValueError("must be a model id of the form 'owner/name', as 'openai-community/gpt2'")
    return value


def _whole(value: object, *, least: int, most: int | None, what: str) -> int:
    # Numbers reach a dynamic provider as floats: 2.0 is 2, and 2.5 is a mistake.
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value // 1:
        raise ValueError(f"must be {what}, not {value!r}")
    number = int(value)
    if number < least or (most is not None and number > most):
        raise ValueError(f"must be {what}, not {number}")
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


def _hours(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 24:
        raise ValueError(f"must be a number of hours from 0 to 24, not {value!r}")
    return float(value)


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"must be true or false, not {value!r}")
    return value


def _on_expiry(value: object) -> object:
    if value not in ("reload", "accept"):
        raise ValueError(f"must be 'reload' or 'accept', not {value!r}")
    return value


class _Bag(_CamelCase):
    """A property bag, as Pulumi keeps it in state."""

    model_config = ConfigDict(extra="forbid")

    def bag(self) -> dict[str, Any]:
        """Return the properties as Pulumi keeps them: camelCase, no Nones."""
        return self.model_dump(by_alias=True, exclude_none=True)


class ModelInputs(_Bag):
    """What a user declares of one model.

    Raises:
        pydantic.ValidationError: see `problems_of`.
    """

    model_id: Annotated[str, BeforeValidator(_known_text)]
    concurrency: Annotated[int, BeforeValidator(_concurrency)] = 1
    expiration_period_seconds: Annotated[int | None, BeforeValidator(_expiry)] = None
    adopt: Annotated[bool, BeforeValidator(_flag)] = False
    on_expiry: Annotated[Literal["reload", "accept"], BeforeValidator(_on_expiry)] = "reload"
    expected_hours_per_day: Annotated[float | None, BeforeValidator(_hours)] = None


class MemberInputs(ModelInputs):
    """What a Fleet declares of one of its models: it waits for all of them at once, elsewhere."""

    readiness: Literal["fleet"] = "fleet"


def declared(bag: dict[str, Any]) -> ModelInputs:
    """Read the inputs of a Model resource, on its own or in a fleet.

    Raises:
        pydantic.ValidationError: see `problems_of`.
    """
    kind = MemberInputs if "readiness" in bag else ModelInputs
    return kind.model_validate(bag)


class Granted(_Bag):
    """What the service made of our load where that differs from what was asked."""

    concurrency: _Count = None
    expiration_period_seconds: _Count = None


class ModelState(ModelInputs):
    """What is kept in Pulumi's state of one model.

    Nothing here changes from minute to minute: every refresh would show it as a change.
    """

    # A state written by a later version must stay readable.
    model_config = ConfigDict(extra="ignore")

    readiness: Literal["fleet"] | None = None
    status: str | None = None
    """RUNNING, DEPLOYING, FAILED, NOT_LOADED, or a word of the service that is none of these.
    Of a fleet's model only what the next `up` acts on: FAILED or NOT_LOADED."""
    created: str | None = None
    """Identifies the load, as the service wrote it."""
    adopted_at: str | None = None
    """Server time of the take-over, where the load was adopted: tells its holders apart."""
    granted: Granted | None = None
    read_only: bool | None = None
    """True where the stack only reads the load of somebody else (`Model.get`)."""
    required_ram_gb: float | None = None
    benchmarked: bool | None = None
    endpoint: str
    account: str
    """First 12 hex digits of a keyed hash of the key: for equality only."""

    def inputs(self) -> ModelInputs:
        """Return the declared half."""
        kind = MemberInputs if self.readiness else ModelInputs
        return kind(**{name: getattr(self, name) for name in kind.model_fields})


class MemberOfFleet(_Bag):
    """One model that a readiness waits for."""

    # As `ModelState`: it is a part of what is kept.
    model_config = ConfigDict(extra="ignore")

    model_id: str
    created: str = ""
    """Identifies the load; "" where the service does not say."""
    accept_idle: bool = False
    """Whether a model that is found unloaded counts as ready."""


class ReadinessInputs(_Bag):
    """What a Fleet's readiness waits for, by the models' keys in the fleet."""

    fleet: str
    members: dict[str, MemberOfFleet]


class ReadinessState(ReadinessInputs):
    """What is kept of a readiness."""

    model_config = ConfigDict(extra="ignore")

    ready: bool
    """False only after an interrupted wait."""
    statuses: dict[str, str]
    """The status of each model when it was last looked at, by its key."""


def problems_of(error: ValidationError) -> list[tuple[str, str]]:
    """Return `(property, reason)` for each thing wrong, the property spelled as in state.

    Both are on one line, whatever a program, a file or a state has in their place.
    """
    problems = []
    for detail in error.errors(include_url=False):
        place = printable(".".join(str(part) for part in detail["loc"]), limit=100)
        if detail["type"] == "extra_forbidden":
            names = ", ".join(to_camel(name) for name in ModelInputs.model_fields)
            problems.append((place, f"is not an argument; the arguments are {names}"))
        elif detail["type"] == "missing":
            problems.append((place, "is missing"))
        else:
            problems.append((place, printable(detail["msg"].removeprefix("Value error, "))))
    return problems
