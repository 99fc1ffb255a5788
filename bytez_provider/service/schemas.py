"""What the API answers, read tolerantly."""

from __future__ import annotations

import enum
import math
import re
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Annotated, Final

from pydantic import BeforeValidator, ConfigDict

from bytez_provider.base.document import CamelCase
from bytez_provider.base.errors import printable

# ------------------------------------------------------------------------------- statuses

RUNNING: Final = "RUNNING"
DEPLOYING: Final = "DEPLOYING"
"""In state also: the load was accepted, and nobody waited until it was RUNNING."""
FAILED: Final = "FAILED"
NOT_LOADED: Final = "NOT_LOADED"
"""Our own word, in state and in what commands print; the service has none."""


class Phase(enum.Enum):
    """Where an instance is, whatever word the service uses for it."""

    BOOTING = "booting"
    RUNNING = "running"
    FAILED = "failed"
    STOPPED = "stopped"


_PHASES = {
    "STARTED": Phase.BOOTING,  # seed, the answer to /model/load
    DEPLOYING: Phase.BOOTING,  # client
    RUNNING: Phase.RUNNING,  # seed
    FAILED: Phase.FAILED,  # client
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


def seconds_between(start: datetime | None, end: datetime | None) -> int | None:
    """Return whole seconds; 0 if `end` comes first, None if a moment is unknown."""
    if start is None or end is None:
        return None
    return max(0, round((end - start).total_seconds()))


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
Count = Annotated[int | None, BeforeValidator(_count_or_none)]
_Size = Annotated[float | None, BeforeValidator(_size_or_none)]
_Text = Annotated[str | None, BeforeValidator(_text_or_none)]
_Flag = Annotated[bool | None, BeforeValidator(_flag_or_none)]


class _Answer(CamelCase):
    """Wrong or missing detail reads as None; what nobody asked about is ignored."""

    model_config = ConfigDict(extra="ignore")


class Instance(_Answer):
    """A loaded model, as `/model/status` tells it (seed); `/model/instances` may tell less."""

    model_id: str
    status: str
    """The raw word of the service."""
    concurrency: Count = None
    """Instances of the model behind one address."""
    inferences: Count = None
    """Runs since it was loaded."""
    expiration_period_seconds: Count = None
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

    @property
    def word(self) -> str:
        """The status as it is shown and kept in state: one line, at most 40 characters."""
        return printable(self.status.strip().upper(), limit=40)


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
    """The answer to `/model/load`, told in one way for both API versions."""

    outcome: LoadOutcome
    answer_lost: bool
    """True when an earlier attempt of the same call was sent and really got no answer, so that
    an "already loaded" may be this call's own doing."""
