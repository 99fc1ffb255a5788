"""The live rows of a fleet that boots."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bytez_provider.base.clock import Clock
from bytez_provider.base.words import duration
from bytez_provider.core.readiness._members import End, FleetCaller, Member
from bytez_provider.core.waiter import progress

_ROW_SECONDS = 3.0
_QUIET_ROW_SECONDS = 60.0


class Rows:
    """The live rows of a fleet: one a model, and the count in the fleet's own."""

    def __init__(self, fleet: str, caller: FleetCaller, clock: Clock, *, quiet: bool) -> None:
        self._urns = Urns(fleet, caller.urn)
        self._caller = caller
        self._clock = clock
        self._quiet = quiet
        self._stages: dict[str, str] = {}
        self._count = ""
        self._due_at = float("-inf")

    def show(
        self, members: Sequence[Member], limit: float, age_of: Callable[[Member], float]
    ) -> None:
        """Show what has changed, and every few seconds how old it all is.

        Where each line is kept the ages are not shown again, only the count, once a minute.
        """
        now = self._clock.monotonic()
        is_due = now >= self._due_at
        if is_due:
            self._due_at = now + (_QUIET_ROW_SECONDS if self._quiet else _ROW_SECONDS)
        for member in members:
            self._show_member(member, limit, age_of(member), is_due=is_due and not self._quiet)
        self._show_count(members, age_of, is_due=is_due)

    def _show_member(self, member: Member, limit: float, age: float, *, is_due: bool) -> None:
        last = self._stages.get(member.key)
        urn = self._urns.of(member.key)
        if urn is None or (last is None and member.end in (End.RUNNING, End.IDLE)):
            return  # It was so before this wait: a line would say that something has happened.
        stage = member.status if member.seen or member.end else "accepted"
        if stage == last and (member.end or not is_due):
            return
        self._stages[member.key] = stage
        text = stage if member.end else progress(stage, age, limit)
        if member.end is End.RUNNING:
            text = f"{stage} after {duration(age)}"
        self._caller.report(text, urn=urn)

    def _show_count(
        self, members: Sequence[Member], age_of: Callable[[Member], float], *, is_due: bool
    ) -> None:
        running = sum(member.end is End.RUNNING for member in members)
        pending = [age_of(member) for member in members if member.end is None]
        count = f"{running} of {len(members)} running"
        if count == self._count and not is_due:
            return
        self._count = count
        text = f"{count}, oldest {duration(max(pending))}" if pending else count
        fleet = self._urns.of(None)
        if fleet is not None:
            self._caller.report(text, urn=fleet)
        if fleet is None or not self._quiet:
            self._caller.report(text)


class Urns:
    """The URNs of a fleet and its models, built from that of its readiness.

    They cannot be inputs: what takes its parent's `urn` output never gets it.
    """

    def __init__(self, fleet: str, readiness: str | None) -> None:
        self._fleet = fleet
        self._readiness = readiness

    def of(self, key: str | None) -> str | None:
        """Return the URN of a model, or of the fleet; None where it cannot be known."""
        if self._readiness is None:
            return None
        stack, project, types, _ = self._readiness.split("::", 3)
        fleet, _, own = types.rpartition("$")
        if not fleet:
            return None
        if key is None:
            return f"{stack}::{project}::{fleet}::{self._fleet}"
        model = f"{own.rpartition(':')[0]}:Model"
        return f"{stack}::{project}::{fleet}${model}::{self._fleet}-{key}"
