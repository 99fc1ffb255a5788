"""Everything that one account has loaded, through any API, as a function of time.

Nothing here reads a clock: every call gets the moment. Reading changes nothing: a boot, a failure
and an idle expiry happen because time has passed, not because somebody looked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TypeAlias

from bytez_provider.emulator.billing import Charge, Totals, charge_of
from bytez_provider.emulator.cluster import Cluster, Power, Settings
from bytez_provider.emulator.load import Fate, Load

DEFAULT_EXPIRATION_SECONDS = 1800
"""Idle seconds until a model is unloaded, if the load does not say (vendor doc)."""
_MILLISECOND = timedelta(milliseconds=1)
_NO_FATE = Fate()

AnyLoad: TypeAlias = Load | Cluster


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


@dataclass
class World:
    """All loads of one account. A model has one load at a time, whatever API made it (choice)."""

    ram: Mapping[str, float | None]
    """GB of one instance of each model that exists; None if unknown."""
    boot_seconds: float
    """Of a load of the 2024 APIs."""
    loads: dict[str, AnyLoad] = field(default_factory=dict)
    """The newest load of each model, ended or not."""
    settled: dict[str, Totals] = field(default_factory=dict)
    """The loads before the newest."""
    cluster_boot_seconds: float = 40
    """Of an instance of a cluster."""
    stops_when_idle: bool = False
    """Whether an idle cluster is switched off and stays, instead of being deleted."""

    # -------------------------------------------------------------------- the 2024 APIs

    def load(
        self,
        model_id: str,
        now: datetime,
        *,
        concurrency: int,
        expiration_seconds: int = DEFAULT_EXPIRATION_SECONDS,
        fate: Fate = _NO_FATE,
    ) -> Load:
        """Accept a load.

        Raises:
            UnknownModelError, AlreadyLoadedError, LoadInProgressError: nothing was changed.
        """
        before = self._newest(model_id)
        if before is not None and before.is_listed(now):
            if before.phase(now) in ("loading", "booting") and before.deleted is None:
                raise LoadInProgressError(f"a load of model '{model_id}' is in progress")
            raise AlreadyLoadedError(f"model '{model_id}' is already loaded")
        created = self._created(before, now)
        # The boot begins now: on such a clock a boot of 0 seconds must also end.
        boot_seconds = self.boot_seconds - max((created - now).total_seconds(), 0)
        load = Load(model_id, concurrency, expiration_seconds, created, boot_seconds, fate)
        self._replace(before, load, now)
        return load

    def status(self, model_id: str, now: datetime, *, lag_seconds: float = 0) -> AnyLoad:
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

    def instances(self, now: datetime, *, lag_seconds: float = 0) -> list[AnyLoad]:
        """Return the loads that the service shows, in the order of their acceptance."""
        return [
            load
            for load in self._in_order()
            if load.is_listed(now) and _is_shown(load, now, lag_seconds)
        ]

    def run(self, model_id: str, now: datetime) -> AnyLoad:
        """Count a run, which postpones the idle expiry.

        Raises:
            UnknownModelError, NotLoadedError: nothing was changed.
            NotRunningError: a cluster without instances has begun to boot one.
        """
        load = self._listed(model_id, now)
        if load.deleted is not None:
            raise NotRunningError(f"model '{model_id}' is shutting down")
        load.begin(now, _NO_FATE)
        up = load.up(now)
        is_up = load.refusal(now) is None and up is not None and up <= now
        load.finish(now, is_answered=is_up)
        if not is_up:
            status = "FAILED" if load.phase(now) == "failed" else "DEPLOYING"
            raise NotRunningError(f"model '{model_id}' is {status}, not RUNNING")
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
        _delete(self._listed(model_id, now), now, shutdown_seconds)

    # ------------------------------------------------------------------ the 2025-04 API

    def create(self, model_id: str, now: datetime, settings: Settings, fate: Fate) -> Cluster:
        """Accept a cluster.

        Raises:
            UnknownModelError, AlreadyLoadedError: nothing was changed.
        """
        before = self._newest(model_id)
        if before is not None and before.exists(now):
            raise AlreadyLoadedError("Cluster already exists")
        cluster = Cluster(
            model_id,
            settings,
            self._created(before, now),
            self.cluster_boot_seconds,
            fate,
            self.stops_when_idle,
            began=now,
            active=now,
        )
        cluster.start(now, fate)
        self._replace(before, cluster, now)
        return cluster

    def cluster(self, model_id: str, now: datetime, *, lag_seconds: float = 0) -> AnyLoad:
        """Return the cluster that the service shows.

        Raises:
            NotLoadedError: there is none; the catalogue does not matter (choice).
        """
        load = self._existing(model_id, now)
        if not _is_shown(load, now, lag_seconds):
            raise NotLoadedError("Cluster not found")
        return load

    def clusters(self, now: datetime, *, lag_seconds: float = 0) -> list[AnyLoad]:
        """Return the clusters that the service shows, in the order of their acceptance."""
        return [
            load
            for load in self._in_order()
            if load.exists(now) and _is_shown(load, now, lag_seconds)
        ]

    def update(
        self,
        model_id: str,
        now: datetime,
        change: Callable[[Settings], Settings],
        power: Power | None,
        fate: Fate,
    ) -> Cluster:
        """Change a cluster in place; a load of the 2024 APIs becomes one (choice).

        Args:
            model_id: The model.
            now: The moment.
            change: Returns the new settings for the old ones; what it raises changes nothing.
            power: As in `Cluster.update`.
            fate: As in `Cluster.update`.

        Raises:
            NotLoadedError, NotRunningError: nothing was changed.
        """
        cluster = self._existing(model_id, now)
        if cluster.deleted is not None:
            raise NotRunningError("Cluster is shutting down")
        settings = change(Settings(cluster.timeout_minutes, cluster.capacity))
        if isinstance(cluster, Load):
            load = cluster
            cluster = Cluster.of_load(load, now, stops_when_idle=self.stops_when_idle)
            self._replace(load, cluster, now)
            # It is still one load, which the cluster counts.
            self.settled[model_id].loads -= 1
        cluster.update(now, settings, power, fate)
        return cluster

    def begin_run(self, model_id: str, now: datetime, defaults: Settings, fate: Fate) -> AnyLoad:
        """Begin a run, which creates or wakes the cluster. Call `finish` on the result.

        Raises:
            UnknownModelError, NotRunningError: nothing was changed.
        """
        load = self._newest(model_id)
        if load is None or not load.exists(now):
            load = self.create(model_id, now, defaults, fate)
        if load.deleted is not None:
            raise NotRunningError("Cluster is shutting down")
        load.begin(now, fate)
        return load

    def remove(self, model_id: str, now: datetime, *, shutdown_seconds: float = 0) -> None:
        """Delete a cluster, which ends its cost. The arguments are those of `unload`.

        Raises:
            NotLoadedError: nothing was changed.
        """
        _delete(self._existing(model_id, now), now, shutdown_seconds)

    # -------------------------------------------------------------------------- any API

    def loaded(self, now: datetime) -> list[AnyLoad]:
        """Return the loads that really exist, whatever faults make the service show."""
        return [load for load in self._in_order() if load.exists(now) and load.deleted is None]

    def ledger(self, now: datetime) -> list[Charge]:
        """Return the cost of each model that was ever loaded, with open loads up to `now`."""
        charges = []
        for model_id in sorted(self.loads):
            total = replace(self.settled.get(model_id, Totals()))
            total.add(self.loads[model_id], now)
            charges.append(charge_of(model_id, total, self.ram[model_id]))
        return charges

    def _in_order(self) -> list[AnyLoad]:
        return sorted(self.loads.values(), key=lambda load: load.created)

    def _newest(self, model_id: str) -> AnyLoad | None:
        if model_id not in self.ram:
            raise UnknownModelError(f"model '{model_id}' not found")
        return self.loads.get(model_id)

    def _listed(self, model_id: str, now: datetime) -> AnyLoad:
        load = self._newest(model_id)
        if load is None or not load.is_listed(now):
            raise NotLoadedError(f"model '{model_id}' is not loaded")
        return load

    def _existing(self, model_id: str, now: datetime) -> AnyLoad:
        load = self.loads.get(model_id)
        if load is None or not load.exists(now):
            raise NotLoadedError("Cluster not found")
        return load

    def _created(self, before: AnyLoad | None, now: datetime) -> datetime:
        """Return `created` of a new load: in milliseconds, and new with every load (choice)."""
        created = now.replace(microsecond=now.microsecond // 1000 * 1000)
        # Also on a clock that stands still.
        return max(created, before.created + _MILLISECOND) if before is not None else created

    def _replace(self, before: AnyLoad | None, load: AnyLoad, now: datetime) -> None:
        if before is not None:
            self.settled.setdefault(load.model_id, Totals()).add(before, now)
        self.loads[load.model_id] = load


def _delete(load: AnyLoad, now: datetime, shutdown_seconds: float) -> None:
    if load.deleted is None:
        load.deleted = now
        load.gone = now + timedelta(seconds=shutdown_seconds)


def _is_shown(load: AnyLoad, now: datetime, lag_seconds: float) -> bool:
    lag = max(lag_seconds, load.fate.status_lag_seconds)
    return lag == 0 or now >= load.created + timedelta(seconds=lag)
