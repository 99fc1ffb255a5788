"""One load of a model through the 2024 APIs, as a function of time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

BILLED_STEP_SECONDS = 60
"""The minimum that is billed, and the step to which costs are rounded up (2024-06 doc)."""

Status = Literal["DEPLOYING", "RUNNING", "FAILED"]
Phase = Literal["loading", "booting", "up", "off", "failed"]
"""Where a load or a cluster is; each API has its own words for it."""

_PHASES: dict[Status, Phase] = {"DEPLOYING": "booting", "RUNNING": "up", "FAILED": "failed"}


@dataclass(frozen=True)
class Fate:
    """How a load develops; a fault script may change it."""

    boot: Literal["running", "failed", "never"] = "running"
    error: str | None = None
    """Why the boot fails."""
    status_lag_seconds: float = 0
    """How long after acceptance the service does not show the load."""


class Capacity(NamedTuple):
    """The numbers of instances of the 2025-04 API."""

    min: int
    desired: int
    """How many there are at the start."""
    max: int

    def clamp(self, number: int) -> int:
        """Return a number of instances within the bounds."""
        return max(self.min, min(number, self.max))


@dataclass
class Load:
    """One load of a model, from acceptance on."""

    model_id: str
    concurrency: int
    expiration_seconds: int
    created: datetime
    boot_seconds: float
    fate: Fate
    inferences: int = 0
    last_run: datetime | None = None
    deleted: datetime | None = None
    gone: datetime | None = None
    """When the service stops showing a deleted load; later than `deleted` with a fault."""

    @property
    def booted(self) -> datetime | None:
        """When the boot ends, in RUNNING or FAILED; None if it never does."""
        if self.fate.boot == "never":
            return None
        return self.created + timedelta(seconds=self.boot_seconds)

    def status(self, now: datetime) -> Status:
        """Return the status; a deleted load keeps the one that it had when it was deleted."""
        at = min(now, self.deleted or now)
        if self.booted is None or at < self.booted:
            return "DEPLOYING"
        return "FAILED" if self.fate.boot == "failed" else "RUNNING"

    def expires(self, now: datetime) -> datetime | None:
        """Return when it is unloaded unless somebody runs it; None if it is not RUNNING."""
        if self.booted is None or self.status(now) != "RUNNING":
            return None
        return (self.last_run or self.booted) + timedelta(seconds=self.expiration_seconds)

    def modified(self, now: datetime) -> datetime:
        """Return when its status or its inferences last changed."""
        if self.last_run is not None:
            return self.last_run
        return self.created if self.status(now) == "DEPLOYING" or not self.booted else self.booted

    def ended(self, now: datetime) -> datetime | None:
        """Return when its cost ended: failed, deleted or expired; None if it costs money."""
        if self.status(now) == "FAILED":
            return self.booted
        end = self.deleted or self.expires(now)
        return end if end is not None and end <= now else None

    def is_listed(self, now: datetime) -> bool:
        """Return whether it counts as loaded. A FAILED load does until it is deleted."""
        if self.gone is not None:
            return now < self.gone
        return self.ended(now) is None or self.status(now) == "FAILED"

    def billed_seconds(self, now: datetime) -> int:
        """Return the seconds billed for one instance until `now`, the boot included (choice)."""
        lasted = max((self.ended(now) or now) - self.created, timedelta())
        steps = -(-lasted // timedelta(seconds=BILLED_STEP_SECONDS))
        return max(steps, 1) * BILLED_STEP_SECONDS

    # ------------------------------------------------- as a cluster of the 2025-04 API

    @property
    def capacity(self) -> Capacity:
        """The fixed number of instances."""
        return Capacity(self.concurrency, self.concurrency, self.concurrency)

    @property
    def timeout_minutes(self) -> int:
        """The expiration, rounded up to the minute."""
        return -(-self.expiration_seconds // 60)

    def exists(self, now: datetime) -> bool:
        """Return whether it is a cluster for the 2025-04 API."""
        return self.is_listed(now)

    def phase(self, now: datetime) -> Phase:
        """Return where it is."""
        return _PHASES[self.status(now)]

    def count(self, now: datetime) -> int:
        """Return how many instances it has, those that boot included."""
        return 0 if self.status(now) == "FAILED" else self.concurrency

    def refusal(self, now: datetime) -> str | None:
        """Return why it cannot answer a run, however long the run waits."""
        if self.deleted is not None or not self.is_listed(now):
            return "Cluster is shutting down"
        return (self.fate.error or "") if self.status(now) == "FAILED" else None

    def up(self, _now: datetime) -> datetime | None:
        """Return when an instance is up; None if never."""
        return self.booted

    def begin(self, now: datetime, fate: Fate) -> None:
        """Begin a run: nothing changes, because a load of the 2024 APIs does not scale."""

    def finish(self, now: datetime, *, is_answered: bool) -> None:
        """End a run, which postpones the idle expiry if it was answered."""
        if is_answered:
            self.inferences += 1
            self.last_run = now
