"""What is loaded, as a function of time.

Nothing here looks at a clock: every call is given the moment. Nothing changes by being read: a
boot, a failure and an idle expiry happen because time has passed, not because somebody looked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal

DEFAULT_EXPIRATION_SECONDS = 1800
"""Idle seconds after which a model is unloaded when the load does not say (seed)."""
PRICE_PER_GB_SECOND = Decimal("0.0000166667")
"""Dollars (June)."""
BILLED_STEP_SECONDS = 60
"""The minimum that is billed, and what is rounded up to (June)."""

Status = Literal["DEPLOYING", "RUNNING", "FAILED"]
_MILLISECOND = timedelta(milliseconds=1)


class WorldError(Exception):
    """The world cannot do what was asked; nothing was changed."""


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
    """What becomes of a load; a fault script may have other plans than the default."""

    boot: Literal["running", "failed", "never"] = "running"
    error: str | None = None
    """Why the boot fails."""
    status_lag_seconds: float = 0
    """How long after acceptance nobody is told of the load."""


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
    """When a deleted load stops being answered for; later than `deleted` under a fault."""

    @property
    def booted(self) -> datetime | None:
        """When the boot ends, well or badly; None when it never does."""
        if self.fate.boot == "never":
            return None
        return self.created + timedelta(seconds=self.boot_seconds)

    def status(self, now: datetime) -> Status:
        """Return the status; that of a deleted load is what it was when it was deleted."""
        at = min(now, self.deleted or now)
        if self.booted is None or at < self.booted:
            return "DEPLOYING"
        return "FAILED" if self.fate.boot == "failed" else "RUNNING"

    def expires(self, now: datetime) -> datetime | None:
        """Return when it is unloaded if nobody runs it; None unless it is RUNNING."""
        if self.booted is None or self.status(now) != "RUNNING":
            return None
        return (self.last_run or self.booted) + timedelta(seconds=self.expiration_seconds)

    def modified(self, now: datetime) -> datetime:
        """Return when its status or its inferences last changed."""
        if self.last_run is not None:
            return self.last_run
        return self.created if self.status(now) == "DEPLOYING" or not self.booted else self.booted

    def ended(self, now: datetime) -> datetime | None:
        """Return when it stopped costing money: failed, deleted or expired; None if it costs."""
        if self.status(now) == "FAILED":
            return self.booted
        end = self.deleted or self.expires(now)
        return end if end is not None and end <= now else None

    def is_answered_for(self, now: datetime) -> bool:
        """Tell whether the service speaks of it as loaded. A FAILED one stays until deleted."""
        if self.gone is not None:
            return now < self.gone
        return self.ended(now) is None or self.status(now) == "FAILED"

    def billed_seconds(self, now: datetime) -> int:
        """Return the seconds billed for one instance until `now`, the boot included (choice)."""
        lasted = max((self.ended(now) or now) - self.created, timedelta())
        steps = -(-lasted // timedelta(seconds=BILLED_STEP_SECONDS))
        return max(steps, 1) * BILLED_STEP_SECONDS


@dataclass
class Account:
    """What the loads of one model that are over have come to."""

    loads: int = 0
    instance_seconds: int = 0
    """Billed seconds times concurrency."""

    def take(self, load: Load, now: datetime) -> None:
        """Add a load, at what it has come to by `now`."""
        self.loads += 1
        self.instance_seconds += load.billed_seconds(now) * load.concurrency


@dataclass(frozen=True)
class Charge:
    """What one model has cost."""

    model_id: str
    loads: int
    gb_seconds: Decimal | None
    """None where the catalogue does not know the model's RAM."""
    dollars: Decimal | None


@dataclass
class World:
    """All loads of one account."""

    ram: Mapping[str, float | None]
    """GB of one instance of each model that exists; None where unknown."""
    boot_seconds: float
    loads: dict[str, Load] = field(default_factory=dict)
    """The newest load of each model, over or not."""
    settled: dict[str, Account] = field(default_factory=dict)
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
        if before is not None and before.is_answered_for(now):
            if before.status(now) == "DEPLOYING" and before.deleted is None:
                raise LoadInProgressError(f"a load of model '{model_id}' is in progress")
            raise AlreadyLoadedError(f"model '{model_id}' is already loaded")
        created = now.replace(microsecond=now.microsecond // 1000 * 1000)
        if before is not None:
            self.settled.setdefault(model_id, Account()).take(before, now)
            # `created` tells one load from the next (choice), also on a clock that stands still.
            created = max(created, before.created + _MILLISECOND)
        # The boot begins now, though: on such a clock one of no time at all must come to its end.
        boot_seconds = self.boot_seconds - max((created - now).total_seconds(), 0)
        load = Load(
            model_id, concurrency, expiration_seconds, created, boot_seconds, fate or Fate()
        )
        self.loads[model_id] = load
        return load

    def status(self, model_id: str, now: datetime, *, lag_seconds: float = 0) -> Load:
        """Return the load that the service tells of.

        Args:
            model_id: The model.
            now: The moment.
            lag_seconds: How long after acceptance nobody is told, if longer than the load's own.

        Raises:
            UnknownModelError, NotLoadedError: there is none.
        """
        load = self._answered_for(model_id, now)
        if not _told_of(load, now, lag_seconds):
            raise NotLoadedError(f"model '{model_id}' is not loaded")
        return load

    def instances(self, now: datetime, *, lag_seconds: float = 0) -> list[Load]:
        """Return the loads that the service tells of, in the order of their acceptance."""
        told = [
            load
            for load in self.loads.values()
            if load.is_answered_for(now) and _told_of(load, now, lag_seconds)
        ]
        return sorted(told, key=lambda load: load.created)

    def loaded(self, now: datetime) -> list[Load]:
        """Return the loads that there really are, whatever faults make the service say."""
        return sorted(
            (
                load
                for load in self.loads.values()
                if load.is_answered_for(now) and load.deleted is None
            ),
            key=lambda load: load.created,
        )

    def run(self, model_id: str, now: datetime) -> Load:
        """Count a run, which puts the idle expiry off.

        Raises:
            UnknownModelError, NotLoadedError, NotRunningError: nothing was changed.
        """
        load = self._answered_for(model_id, now)
        if load.deleted is not None:
            raise NotRunningError(f"model '{model_id}' is shutting down")
        if load.status(now) != "RUNNING":
            raise NotRunningError(f"model '{model_id}' is {load.status(now)}, not RUNNING")
        load.inferences += 1
        load.last_run = now
        return load

    def unload(self, model_id: str, now: datetime, *, shutdown_seconds: float = 0) -> None:
        """Unload a model; the cost ends here.

        Args:
            model_id: The model.
            now: The moment.
            shutdown_seconds: How long the service goes on answering as before.

        Raises:
            UnknownModelError, NotLoadedError: nothing was changed.
        """
        load = self._answered_for(model_id, now)
        if load.deleted is None:
            load.deleted = now
            load.gone = now + timedelta(seconds=shutdown_seconds)

    def ledger(self, now: datetime) -> list[Charge]:
        """Return what each model that was ever loaded has cost, open loads up to `now`."""
        charges = []
        for model_id in sorted(self.loads):
            past = self.settled.get(model_id, Account())
            total = Account(past.loads, past.instance_seconds)
            total.take(self.loads[model_id], now)
            ram = self.ram[model_id]
            gb_seconds = None if ram is None else Decimal(str(ram)) * total.instance_seconds
            dollars = None if gb_seconds is None else gb_seconds * PRICE_PER_GB_SECOND
            charges.append(Charge(model_id, total.loads, gb_seconds, dollars))
        return charges

    def _newest(self, model_id: str) -> Load | None:
        if model_id not in self.ram:
            raise UnknownModelError(f"model '{model_id}' not found")
        return self.loads.get(model_id)

    def _answered_for(self, model_id: str, now: datetime) -> Load:
        load = self._newest(model_id)
        if load is None or not load.is_answered_for(now):
            raise NotLoadedError(f"model '{model_id}' is not loaded")
        return load


def _told_of(load: Load, now: datetime, lag_seconds: float) -> bool:
    lag = max(lag_seconds, load.fate.status_lag_seconds)
    return lag == 0 or now >= load.created + timedelta(seconds=lag)
