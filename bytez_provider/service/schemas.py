"""What the API answers, read tolerantly; statuses and moments."""

from __future__ import annotations

import enum
import math
import re
from dataclasses import dataclass
from datetime import datetime, timezone
from decimal import Decimal
from typing import Final

from bytez_provider.base.errors import printable
from bytez_provider.base.properties import Properties, optional, prop, text

# ------------------------------------------------------------------------------- statuses

RUNNING: Final = "RUNNING"
DEPLOYING: Final = "DEPLOYING"
"""In state also: the load was accepted, and nobody waited until it was RUNNING."""
FAILED: Final = "FAILED"
OFF: Final = "OFF"
NOT_LOADED: Final = "NOT_LOADED"
"""Our own word, in state and in what commands print; the service has none."""


class Phase(enum.Enum):
    """Where an instance is, whatever word the service uses for it."""

    BOOTING = "booting"
    RUNNING = "running"
    FAILED = "failed"
    STOPPED = "stopped"
    OFF = "off"
    """It is loaded and no instance runs: it costs nothing, and boots when it is run."""


_PHASES = {
    "STARTED": Phase.BOOTING,  # vendor doc, the answer to /model/load
    DEPLOYING: Phase.BOOTING,  # client
    RUNNING: Phase.RUNNING,  # vendor doc
    FAILED: Phase.FAILED,  # client
    "STOPPED": Phase.STOPPED,  # vendor doc, in prose
    OFF: Phase.OFF,  # client of 2025
}


def phase_of(status: str) -> Phase:
    """Return the phase that a raw status stands for; an unknown word counts as booting."""
    return _PHASES.get(status.strip().upper(), Phase.BOOTING)


# ---------------------------------------------------------------------------------- times

_YEARS = range(1970, 9000)
"""An earlier or later moment is the end of somebody's calendar: it says nothing, and sums with it
overflow."""


def iso(moment: datetime) -> str:
    """Return a moment as the API writes it: ISO 8601 in UTC, with milliseconds and a Z."""
    moment = moment.astimezone(timezone.utc)
    # An exact copy matters more than a short one: `created` is compared for equality.
    timespec = "microseconds" if moment.microsecond % 1000 else "milliseconds"
    return moment.isoformat(timespec=timespec).replace("+00:00", "Z")


def in_utc(moment: datetime) -> datetime | None:
    """Return a moment in UTC, the zone of one that has none; None if it is out of range."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    try:
        moment = moment.astimezone(timezone.utc)
    except OverflowError:
        return None
    return moment if moment.year in _YEARS else None


def moment_of(text: object) -> datetime | None:
    """Return the moment that an ISO 8601 text names, as `in_utc` does; None if it is not one."""
    if not isinstance(text, str):
        return None
    try:
        # Python 3.10 reads neither a Z nor a fraction of other than 3 or 6 digits.
        whole = re.sub(r"\.(\d+)", lambda m: "." + m[1][:6].ljust(6, "0"), text.strip(), count=1)
        return in_utc(datetime.fromisoformat(re.sub(r"[zZ]\Z", "+00:00", whole)))
    except ValueError:
        return None


def seconds_between(start: datetime | None, end: datetime | None) -> int | None:
    """Return whole seconds; 0 if `end` comes first, None if a moment is unknown."""
    if start is None or end is None:
        return None
    return max(0, round((end - start).total_seconds()))


# ------------------------------------------------------------------- what the API answers
# A wrong or missing detail reads as None.

_MOST = 2.0**53
"""Up to here a double, which is what Pulumi keeps, is exact for whole numbers."""


def _number(value: object) -> float | None:
    try:
        number = float(value) if isinstance(value, (int, float, str)) else math.nan
    except (ValueError, OverflowError):
        return None
    return number if abs(number) <= _MOST and not isinstance(value, bool) else None


def _size(value: object) -> float | None:
    # Zero GB means "not measured". As a figure it would make a model that costs nothing.
    number = _number(value)
    return number if number is not None and number > 0 else None


def count(value: object) -> int | None:
    """Return a whole number of at least 0; None for anything else."""
    number = _number(value)
    return int(number) if number is not None and number >= 0 else None


def _moment(value: object) -> datetime | None:
    return value if isinstance(value, datetime) else moment_of(value)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _price(value: object) -> Decimal | None:
    # "0.0006478333 / sec" (vendor doc of 2025)
    found = re.match(r"\s*(\d+(?:\.\d+)?)\s*(?:/\s*s|\Z)", str(value)[:100])
    return Decimal(found[1]) if found else None


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


@dataclass(frozen=True)
class Asked:
    """The settings of a load, as they are asked for."""

    concurrency: int
    """Instances; with `max_concurrency` the least number of them."""
    expiration_period_seconds: int | None = None
    """None for the service's own."""
    max_concurrency: int | None = None
    """The most instances; None for as many as `concurrency`, and at least 1."""

    @property
    def most(self) -> int:
        """The most instances, whether they are given or not."""
        return self.max_concurrency or max(self.concurrency, 1)


@dataclass(frozen=True, kw_only=True)
class Scale(Properties):
    """How a model scales, in an API with a range (vendor doc of 2025)."""

    max_concurrency: int | None = prop(count, None)
    """The most instances."""
    instances: int | None = prop(count, None)
    """Instances that there are now, those that boot included."""


@dataclass(frozen=True, kw_only=True)
class Instance(Properties):
    """A loaded model, as `/model/status` shows it (vendor doc); a list may show less."""

    model_id: str = prop(text)
    status: str = prop(text)
    """The raw word of the service."""
    concurrency: int | None = prop(count, None)
    """Instances of the model behind one address, or the least number of them."""
    scale: Scale | None = prop(optional(Scale.of), None)
    """None where the API has no range."""
    inferences: int | None = prop(count, None)
    """Runs since it was loaded."""
    expiration_period_seconds: int | None = prop(count, None)
    """Idle seconds after which the service unloads it."""
    expires_at: datetime | None = prop(_moment, None)
    created: datetime | None = prop(_moment, None)
    """Server time at which the load was accepted. Identifies the load (choice)."""
    modified: datetime | None = prop(_moment, None)
    error: str | None = prop(_text, None)
    """Why it failed, if the service says so."""

    @property
    def max_concurrency(self) -> int | None:
        """The most instances; None where the API has no range."""
        return self.scale.max_concurrency if self.scale else None

    @property
    def instances(self) -> int | None:
        """Instances that there are now; None if the API does not say."""
        return self.scale.instances if self.scale else None

    @property
    def phase(self) -> Phase:
        """Where the instance is."""
        return phase_of(self.status)

    @property
    def serves(self) -> bool:
        """Whether it answers requests: it runs, or boots when it is asked, as declared."""
        return self.phase is Phase.RUNNING or (self.phase is Phase.OFF and self.concurrency == 0)

    @property
    def word(self) -> str:
        """The status as it is shown and kept in state: one line, at most 40 characters."""
        return printable(self.status.strip().upper(), limit=40)


@dataclass(frozen=True, kw_only=True)
class CatalogueEntry(Properties):
    """A model that can be loaded."""

    model_id: str = prop(text)
    required_ram_gb: float | None = prop(_size, None)
    """GPU RAM of one instance in GB; None if the service does not know (vendor doc: null)."""
    benchmarked: bool | None = prop(_flag, None)
    dollars_per_second: Decimal | None = prop(_price, None)
    """Price of one instance, if the catalogue has prices."""


class LoadOutcome(enum.Enum):
    """What the service did with a request to load."""

    ACCEPTED = "accepted"
    ALREADY_LOADED = "already loaded"
    IN_PROGRESS = "a load is in progress"


@dataclass(frozen=True)
class LoadAnswer:
    """The answer to a request to load, in every version of the API."""

    outcome: LoadOutcome
    answer_lost: bool
    """Whether an earlier try of the same call was sent and got no answer. If so, this call itself
    may be the reason for an "already loaded"."""
