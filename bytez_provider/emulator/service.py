"""The emulated service without its socket: world, clock, faults, request log, state file.

Everything here may be called from any thread; one lock guards it all.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

from bytez_provider.emulator import answers
from bytez_provider.emulator.catalogue import Row, ram_by_model, seed_catalogue
from bytez_provider.emulator.clock import EmulatedClock
from bytez_provider.emulator.faults import FaultScript, Verdict
from bytez_provider.emulator.state import read_state, write_state
from bytez_provider.emulator.world import World

LOG_LENGTH = 100_000
"""Requests that are remembered; older ones are forgotten."""


@dataclass
class RequestRecord:
    """One request that reached the service. Never holds a key."""

    method: str
    path: str
    model: str | None
    status: int | None
    """HTTP status of the answer; None while there is none, and for ever after a reset."""
    time: str
    """Emulated moment of its arrival, ISO 8601 in UTC with milliseconds."""


class Service:
    """One account of the emulated service."""

    def __init__(  # noqa: PLR0913 - each is an option of the command too
        self,
        *,
        keys: Sequence[str],
        models: Sequence[Row],
        boot_seconds: float,
        speed: float,
        clock: Literal["real", "manual"],
        state: Path | None,
        faults: Sequence[Mapping[str, Any]],
        not_loaded: Literal["404", "stopped"],
        start: datetime | None,
    ) -> None:
        if not 0 <= boot_seconds <= 7 * 24 * 3600:
            raise ValueError("boot seconds must be from 0 to a week")
        if not 0 < speed <= 1_000_000:
            raise ValueError("speed must be above 0 and at most 1000000")
        if clock not in ("real", "manual"):
            raise ValueError("clock must be 'real' or 'manual'")
        if clock == "manual" and speed != 1:
            raise ValueError("a manual clock has no speed")
        if not_loaded not in ("404", "stopped"):
            raise ValueError("not loaded must be '404' or 'stopped'")
        if start is not None and start.tzinfo is None:
            raise ValueError("start must have a time zone")
        self.keys = tuple(keys)
        self.not_loaded = not_loaded
        self.rows = (*seed_catalogue(), *models)
        self._ram = ram_by_model(self.rows)
        self._boot_seconds = boot_seconds
        self._first_faults = faults
        self._faults = FaultScript(faults)
        self._log: deque[RequestRecord] = deque(maxlen=LOG_LENGTH)
        self._lock = threading.RLock()
        self._state = state
        self._world = World(self._ram, boot_seconds)
        written = read_state(state, self._world) if state else None
        began = start or datetime.now(timezone.utc)
        if written is not None:
            # Emulated time never runs backwards; a manual clock goes on where it stood.
            began = written if clock == "manual" else max(began, written)
        self.clock = EmulatedClock(
            began.astimezone(timezone.utc), 0 if clock == "manual" else speed
        )
        self.save()

    # ---------------------------------------------------------------- for those who test

    def now(self) -> datetime:
        """Return the emulated moment, in UTC."""
        return self.clock.now()

    def advance(self, seconds: float) -> None:
        """Move emulated time forward, at once, whatever the clock.

        Raises:
            ValueError: for a negative number or one past the end of the calendar.
        """
        with self._lock:
            self.clock.advance(seconds)
            self.save()

    def requests(self, path: str | None = None) -> list[RequestRecord]:
        """Return the requests in the order of their arrival, those of one path if given."""
        with self._lock:
            return [replace(record) for record in self._log if path in (None, record.path)]

    def instances(self) -> list[dict[str, Any]]:
        """Return what is really loaded, as `/model/status` would tell it without faults."""
        with self._lock:
            now = self.now()
            return [answers.instance(load, now) for load in self._world.loaded(now)]

    def ledger(self) -> dict[str, dict[str, Any]]:
        """Return `{model id: {loads, gbSeconds, dollars}}` for each model ever loaded.

        Open loads count up to now. Where the model's RAM is unknown both sums are None.
        """
        with self._lock:
            charges = self._world.ledger(self.now())
            return {charge.model_id: answers.charge(charge) for charge in charges}

    def set_faults(self, rules: Sequence[Mapping[str, Any]]) -> None:
        """Put a fault script in force, in place of the one before.

        Raises:
            FaultScriptError: the script cannot be read; the one before stays in force.
        """
        script = FaultScript(rules)
        with self._lock:
            self._faults = script

    def reset(self) -> None:
        """Forget loads, ledger and requests; the first fault script starts anew.

        The clock goes on: emulated time never runs backwards.
        """
        with self._lock:
            self._world = World(self._ram, self._boot_seconds)
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
            WorldError: the model is unknown or not loaded.
        """
        with self.changing() as (world, now):
            world.unload(model_id, now)

    # -------------------------------------------------------------------- for the server

    @contextmanager
    def changing(self) -> Iterator[tuple[World, datetime]]:
        """Give the world and the moment for a change; it is kept in the state file after."""
        with self._lock:
            yield self._world, self.now()
            self.save()

    @contextmanager
    def reading(self) -> Iterator[tuple[World, datetime]]:
        """Give the world and the moment for reading."""
        with self._lock:
            yield self._world, self.now()

    def arrive(self, method: str, path: str, model: str | None) -> tuple[RequestRecord, Verdict]:
        """Log a request, and ask the fault script what becomes of it."""
        with self._lock:
            now = self.now()
            record = RequestRecord(method, path, model, None, answers.iso(now))
            self._log.append(record)
            return record, self._faults.judge(path, model, now)

    def save(self) -> None:
        """Write the state file, if there is one.

        Raises:
            StateError: it cannot be written.
        """
        if self._state is not None:
            write_state(self._state, self._world, self.now())
