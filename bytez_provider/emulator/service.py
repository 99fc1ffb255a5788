"""The emulated service without its socket: world, clock, faults, request log, state file.

Everything here may be called from any thread: one lock guards it all.
"""

from __future__ import annotations

import hmac
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

from bytez_provider.emulator import answers
from bytez_provider.emulator.calls import Call
from bytez_provider.emulator.catalogue import Row, ram_by_model, vendor_catalogue
from bytez_provider.emulator.clock import EmulatedClock
from bytez_provider.emulator.faults import FaultScript, Verdict
from bytez_provider.emulator.rules import API_VERSIONS, Api, ClusterRules
from bytez_provider.emulator.state import read_state, write_state
from bytez_provider.emulator.world import World

LOG_LENGTH = 100_000
"""Requests that the log keeps; older ones are dropped."""
BOOT_SECONDS = 403
"""From acceptance to RUNNING in the 2024 APIs (vendor doc)."""
CLUSTER_BOOT_SECONDS = 40
"""Boot of an instance in the 2025-04 API (vendor doc: 20 to 60)."""
_WEEK_SECONDS = 7 * 24 * 3600
_DEFAULT_RULES = ClusterRules()


@dataclass
class RequestRecord:
    """One request that reached the service. Never holds a key."""

    method: str
    path: str
    model: str | None
    status: int | None
    """HTTP status of the answer; None before the answer, and forever after a reset."""
    time: str
    """Emulated moment of its arrival, ISO 8601 in UTC with milliseconds."""


class Service:
    """One account of the emulated service. The arguments are those of `Emulator`."""

    def __init__(  # noqa: PLR0913 - each is an option of the command too
        self,
        *,
        keys: Sequence[str] = (),
        models: Sequence[Row] = (),
        boot_seconds: float | None = None,
        cluster_boot_seconds: float | None = None,
        speed: float = 1,
        clock: Literal["real", "manual"] = "real",
        state: Path | None = None,
        faults: Sequence[Mapping[str, Any]] = (),
        not_loaded: Literal["404", "stopped"] = "404",
        clusters: ClusterRules = _DEFAULT_RULES,
        apis: Sequence[Api] = API_VERSIONS,
        port: int = 0,
        start: datetime | None = None,
    ) -> None:
        if cluster_boot_seconds is None:
            cluster_boot_seconds = CLUSTER_BOOT_SECONDS if boot_seconds is None else boot_seconds
        boot_seconds = BOOT_SECONDS if boot_seconds is None else boot_seconds
        for is_valid, rule in (
            (0 <= boot_seconds <= _WEEK_SECONDS, "boot seconds must be from 0 to a week"),
            (
                0 <= cluster_boot_seconds <= _WEEK_SECONDS,
                "cluster boot seconds must be from 0 to a week",
            ),
            (
                apis and all(api in API_VERSIONS for api in apis),
                f"apis must be one or more of {', '.join(API_VERSIONS)}",
            ),
            (0 < speed <= 1_000_000, "speed must be above 0 and at most 1000000"),
            (clock in ("real", "manual"), "clock must be 'real' or 'manual'"),
            (clock != "manual" or speed == 1, "a manual clock has no speed"),
            (not_loaded in ("404", "stopped"), "not loaded must be '404' or 'stopped'"),
            (start is None or start.tzinfo is not None, "start must have a time zone"),
        ):
            if not is_valid:
                raise ValueError(rule)
        self.keys = tuple(keys)
        self.not_loaded = not_loaded
        self.clusters = clusters
        self.apis = tuple(apis)
        self.rows = (*vendor_catalogue(), *models)
        self._port = port
        self.ram = ram_by_model(self.rows)
        self._boot_seconds = boot_seconds
        self._cluster_boot_seconds = cluster_boot_seconds
        self._first_faults = faults
        self._faults = FaultScript(faults)
        self._log: deque[RequestRecord] = deque(maxlen=LOG_LENGTH)
        self._lock = threading.RLock()
        self._state = state
        self._world = self._empty_world()
        written = read_state(state, self._world) if state else None
        began = start or datetime.now(timezone.utc)
        if written is not None:
            # Emulated time never runs backwards; a manual clock continues where it stood.
            began = written if clock == "manual" else max(began, written)
        self.clock = EmulatedClock(
            began.astimezone(timezone.utc), 0 if clock == "manual" else speed
        )
        self.save()

    # ------------------------------------------------------------------------- for tests

    def now(self) -> datetime:
        """Return the emulated moment, in UTC."""
        return self.clock.now()

    def advance(self, seconds: float) -> None:
        """Move emulated time forward, on either kind of clock.

        Raises:
            ValueError: the number is negative, or reaches past the end of the calendar.
        """
        with self._lock:
            self.clock.advance(seconds)
            self.save()

    def requests(self, path: str | None = None) -> list[RequestRecord]:
        """Return the requests in the order of their arrival, only those of one path if given."""
        with self._lock:
            return [replace(record) for record in self._log if path in (None, record.path)]

    def instances(self) -> list[dict[str, Any]]:
        """Return what is really loaded, whatever faults make the service answer.

        A load of the 2024 APIs is as `/model/status` shows it. A cluster is the cluster object,
        whose `instances` counts those that boot too.
        """
        with self._lock:
            now = self.now()
            return [answers.real(load, now) for load in self._world.loaded(now)]

    def ledger(self) -> dict[str, dict[str, Any]]:
        """Return `{model id: {loads, gbSeconds, dollars}}` for each model ever loaded.

        Open loads count up to now. Both sums are None if the model's RAM is unknown. A model that
        had clusters has `instanceSeconds`; it has `gbSeconds` only if it had other loads as well.
        """
        with self._lock:
            charges = self._world.ledger(self.now())
            return {charge.model_id: answers.charge(charge) for charge in charges}

    def set_faults(self, rules: Sequence[Mapping[str, Any]]) -> None:
        """Replace the fault script.

        Raises:
            FaultScriptError: the script is invalid; the previous one remains in force.
        """
        script = FaultScript(rules)
        with self._lock:
            self._faults = script

    def reset(self) -> None:
        """Forget loads, ledger and requests, and start the first fault script again.

        The clock continues: emulated time never runs backwards.
        """
        with self._lock:
            self._world = self._empty_world()
            self._faults = FaultScript(self._first_faults)
            self._log.clear()
            self.save()

    def load_by_somebody_else(self, model_id: str, concurrency: int = 1) -> str:
        """Load a model as another user of the account would, without a logged request.

        Returns:
            The `created` of the load, as `/model/status` writes it.

        Raises:
            WorldError: the model is unknown or loaded.
        """
        with self.changing() as (world, now):
            return answers.iso(world.load(model_id, now, concurrency=concurrency).created)

    def unload_by_somebody_else(self, model_id: str) -> None:
        """Unload a model as another user of the account would, without a logged request.

        Raises:
            WorldError: the model is not loaded.
        """
        with self.changing() as (world, now):
            world.remove(model_id, now)  # Also a cluster that is off.

    # -------------------------------------------------------------------- for the server

    def passes(self, key: str) -> bool:
        """Return whether a key passes."""
        known = [one.encode() for one in self.keys]
        return not known or any(hmac.compare_digest(key.encode(), one) for one in known)

    @contextmanager
    def changing(self) -> Iterator[tuple[World, datetime]]:
        """Give the world and the moment for a change, then write the state file."""
        with self._lock:
            yield self._world, self.now()
            self.save()

    @contextmanager
    def reading(self) -> Iterator[tuple[World, datetime]]:
        """Give the world and the moment for reading."""
        with self._lock:
            yield self._world, self.now()

    def arrive(self, call: Call) -> tuple[RequestRecord, Verdict]:
        """Log a request, and ask the fault script what happens to it."""
        with self._lock:
            now = self.now()
            record = RequestRecord(call.method, call.path, call.model, None, answers.iso(now))
            self._log.append(record)
            return record, self._faults.judge(call.endpoint, call.model, now)

    def save(self) -> None:
        """Write the state file, if there is one.

        Raises:
            StateError: it cannot be written.
        """
        if self._state is not None:
            write_state(self._state, self._world, self.now())

    def _empty_world(self) -> World:
        return World(
            self.ram,
            self._boot_seconds,
            cluster_boot_seconds=self._cluster_boot_seconds,
            stops_when_idle=self.clusters.idle == "stops",
        )
