"""What is loaded, as a function of time.

Nothing here reads a clock: every call gets the moment. Reading changes nothing: a boot, a failure
and an idle expiry happen because time has passed, not because somebody looked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal

DEFAULT_EXPIRATION_SECONDS = 1800
"""Idle seconds until a model is unloaded, if the load does not say (vendor doc)."""
PRICE_PER_GB_SECOND = Decimal("0.0000166667")
"""US dollars (vendor doc of 2024-06)."""
BILLED_STEP_SECONDS = 60
"""The minimum that is billed, and the step to which costs are rounded up (2024-06 doc)."""

Status = Literal["DEPLOYING", "RUNNING", "FAILED"]
_MILLISECOND = timedelta(milliseconds=1)


class WorldError(Exception):
    """The request cannot be carried out; nothing was changed."""


class UnknownModelError(WorldError):
    """The catalogue has no such model."""


class NotLoadedError(WorldError):
    """The model is not loaded."""


class NotRunningError(WorldError):
    """The model is loaded but cannot run now."""


class AlreadyLoadedError(WorldError):
    """The model is RUNNING, FAILED or still shutting down."""


class LoadInProgressError(WorldError):
    """The model is DEPLOYING."""


@dataclass(frozen=True)
class Fate:
    """How a load develops; a fault script may change it."""

    boot: Literal["running", "failed", "never"] = "running"
    error: str | None = None
    """Why the boot fails."""
    status_lag_seconds: float = 0
    """How long after acceptance the service does not show the load."""


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


@dataclass
class Totals:
    """The sums of one model's earlier loads."""

    loads: int = 0
    instance_seconds: int = 0
    """Billed seconds times concurrency."""

    def add(self, load: Load, now: datetime) -> None:
        """Add a load, up to `now`."""
        self.loads += 1
        self.instance_seconds += load.billed_seconds(now) * load.concurrency


@dataclass(frozen=True)
class Charge:
    """What one model has cost."""

    model_id: str
    loads: int
    gb_seconds: Decimal | None
    """None if the catalogue does not know the model's RAM."""
    dollars: Decimal | None


@dataclass
class World:
    """All loads of one account."""

    ram: Mapping[str, float | None]
    """GB of one instance of each model that exists; None if unknown."""
    boot_seconds: float
    loads: dict[str, Load] = field(default_factory=dict)
    """The newest load of each model, ended or not."""
    settled: dict[str, Totals] = field(default_factory=dict)
    """The loads before the newest."""

    def load(
        self,
        model_id: str,
        now: datetime,
        *,
        concurrency: int,
        expiration_seconds: int = DEFAULT_EXPIRATION_SECONDS,
        fate: Fate | None = None,
    ) -> Load:
        """Accept a load.

        Raises:
            UnknownModelError, AlreadyLoadedError, LoadInProgressError: nothing was changed.
        """
        before = self._newest(model_id)
        if before is not None and before.is_listed(now):
            if before.status(now) == "DEPLOYING" and before.deleted is None:
                raise LoadInProgressError(f"a load of model '{model_id}' is in progress")
            raise AlreadyLoadedError(f"model '{model_id}' is already loaded")
        created = now.replace(microsecond=now.microsecond // 1000 * 1000)
        if before is not None:
            self.settled.setdefault(model_id, Totals()).add(before, now)
            # `created` is new with every load (choice), also on a clock that stands still.
            created = max(created, before.created + _MILLISECOND)
        # The boot begins now: on such a clock a boot of 0 seconds must also end.
        boot_seconds = self.boot_seconds - max((created - now).total_seconds(), 0)
        load = Load(
            model_id, concurrency, expiration_seconds, created, boot_seconds, fate or Fate()
        )
        self.loads[model_id] = load
        return load

    def status(self, model_id: str, now: datetime, *, lag_seconds: float = 0) -> Load:
        """Return the load that the service shows.

        Args:
            model_id: The model.
            now: The moment.
            lag_seconds: How long after acceptance the load is not shown, if longer than its own.

        Raises:
            UnknownModelError, NotLoadedError: there is none.
        """
        load = self._listed(model_id, now)
        if not _is_shown(load, now, lag_seconds):
            raise NotLoadedError(f"model '{model_id}' is not loaded")
        return load

    def instances(self, now: datetime, *, lag_seconds: float = 0) -> list[Load]:
        """Return the loads that the service shows, in the order of their acceptance."""
        shown = [
            load
            for load in self.loads.values()
            if load.is_listed(now) and _is_shown(load, now, lag_seconds)
        ]
        return sorted(shown, key=lambda load: load.created)

    def loaded(self, now: datetime) -> list[Load]:
        """Return the loads that really exist, whatever faults make the service show."""
        return sorted(
            (load for load in self.loads.values() if load.is_listed(now) and load.deleted is None),
            key=lambda load: load.created,
        )

    def run(self, model_id: str, now: datetime) -> Load:
        """Count a run, which postpones the idle expiry.

        Raises:
            UnknownModelError, NotLoadedError, NotRunningError: nothing was changed.
        """
        load = self._listed(model_id, now)
        if load.deleted is not None:
            raise NotRunningError(f"model '{model_id}' is shutting down")
        if load.status(now) != "RUNNING":
            raise NotRunningError(f"model '{model_id}' is {load.status(now)}, not RUNNING")
        load.inferences += 1
        load.last_run = now
        return load

    def unload(self, model_id: str, now: datetime, *, shutdown_seconds: float = 0) -> None:
        """Unload a model, which ends its cost.

        Args:
            model_id: The model.
            now: The moment.
            shutdown_seconds: How long the service continues to answer as before.

        Raises:
            UnknownModelError, NotLoadedError: nothing was changed.
        """
        load = self._listed(model_id, now)
        if load.deleted is None:
            load.deleted = now
            load.gone = now + timedelta(seconds=shutdown_seconds)

    def ledger(self, now: datetime) -> list[Charge]:
        """Return the cost of each model that was ever loaded, with open loads up to `now`."""
        charges = []
        for model_id in sorted(self.loads):
            past = self.settled.get(model_id, Totals())
            total = Totals(past.loads, past.instance_seconds)
            total.add(self.loads[model_id], now)
            ram = self.ram[model_id]
            gb_seconds = None if ram is None else Decimal(str(ram)) * total.instance_seconds
            dollars = None if gb_seconds is None else gb_seconds * PRICE_PER_GB_SECOND
            charges.append(Charge(model_id, total.loads, gb_seconds, dollars))
        return charges

    def _newest(self, model_id: str) -> Load | None:
        if model_id not in self.ram:
            raise UnknownModelError(f"model '{model_id}' not found")
        return self.loads.get(model_id)

    def _listed(self, model_id: str, now: datetime) -> Load:
        load = self._newest(model_id)
        if load is None or not load.is_listed(now):
            raise NotLoadedError(f"model '{model_id}' is not loaded")
        return load


def _is_shown(load: Load, now: datetime, lag_seconds: float) -> bool:
    lag = max(lag_seconds, load.fate.status_lag_seconds)
    return lag == 0 or now >= load.created + timedelta(seconds=lag)
