"""The rows of a fleet that boots: one for each model, and the count in the fleet's own."""

from __future__ import annotations

import math
from collections.abc import Mapping

from bytez_provider.base.words import duration
from bytez_provider.core.waiting import End, FleetCaller, Row, Waiter, Watched

_ROW_SECONDS = 3.0
_QUIET_COUNT_SECONDS = 60.0


class Rows:
    """Shows what has changed, and every few seconds how old the boots are.

    If every line is kept, as in the log of a CI job, the ages are not shown again, and the count
    is shown once a minute.
    """

    def __init__(self, fleet: str, caller: FleetCaller, waiter: Waiter) -> None:
        self._caller = caller
        self._waiter = waiter
        self._fleet = fleet
        self._rows: dict[str, Row] = {}
        self._last_count = ""
        self._count_due_at = float("-inf")

    def show(self, loads: Mapping[str, Watched], waited: float, limit_seconds: float) -> None:
        """Show the loads, by their models' keys in the fleet."""
        now = self._waiter.clock.monotonic()
        ages = {key: self._waiter.age(one.claim, waited) for key, one in loads.items()}
        for key, one in loads.items():
            urn = urn_of(self._caller.urn, self._fleet, key)
            if urn is None or (key not in self._rows and one.end not in (None, End.FAILED)):
                continue  # If it was so before this wait, a line would look like a change.
            every = math.inf if self._waiter.quiet else _ROW_SECONDS
            row = self._rows.setdefault(key, Row(every))
            line = row.line(one, now, ages[key], limit_seconds)
            if line is not None:
                self._caller.report(line, urn=urn)
        self._show_count(loads, ages, now)

    def _show_count(
        self, loads: Mapping[str, Watched], ages: Mapping[str, float], now: float
    ) -> None:
        running = sum(one.end is End.RUNNING for one in loads.values())
        count = f"{running} of {len(loads)} running"
        if count == self._last_count and now < self._count_due_at:
            return
        quiet = self._waiter.quiet
        self._last_count = count
        self._count_due_at = now + (_QUIET_COUNT_SECONDS if quiet else _ROW_SECONDS)
        pending = [ages[key] for key, one in loads.items() if one.end is None]
        text = f"{count}, oldest {duration(max(pending))}" if pending else count
        fleet = urn_of(self._caller.urn, self._fleet)
        if fleet is not None:
            self._caller.report(text, urn=fleet)
        if fleet is None or not quiet:
            self._caller.report(text)


def urn_of(readiness: str | None, fleet: str, key: str | None = None) -> str | None:
    """Return the URN of a fleet, or of a model of it; None if it cannot be known.

    It is built from the URN of the readiness. It cannot be an input: what takes its parent's `urn`
    output never gets it.
    """
    if readiness is None:
        return None
    stack, project, types, _ = readiness.split("::", 3)
    parent, _, own = types.rpartition("$")
    if not parent:
        return None
    if key is None:
        return f"{stack}::{project}::{parent}::{fleet}"
    return f"{stack}::{project}::{parent}${own.rpartition(':')[0]}:Model::{fleet}-{key}"
