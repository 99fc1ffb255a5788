"""What comes after what in a plan."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from bytez_provider.base.errors import printable
from bytez_provider.base.urns import (
    FLEET_TYPE,
    MODEL_TYPE,
    READINESS_TYPE,
    STACK_TYPE,
    name_of,
    type_of,
)
from bytez_provider.review._plan import Plan

_SILENT = (FLEET_TYPE, READINESS_TYPE, STACK_TYPE)
"""Types of resources that nothing serves: not told as dependents."""


class Order:
    """What depends on what in one plan."""

    def __init__(self, plan: Plan) -> None:
        self._needs = plan.depends_on
        self._needed_by: dict[str, list[str]] = {}
        for urn, needed in (plan.depends_on or {}).items():
            for one in needed:
                self._needed_by.setdefault(one, []).append(urn)
        # Of a long chain each is told many times.
        self._names = {
            urn: printable(name_of(urn), limit=100)
            for urn in plan.depends_on or ()
            if type_of(urn) not in _SILENT
        }
        # A fleet's models do not wait for their boot: its readiness does, for all at once.
        self._members = {
            step.urn
            for step in plan.steps
            if step.type == MODEL_TYPE and step.new is not None and "readiness" in step.new.inputs
        }

    def dependents(self, urn: str) -> list[str] | None:
        """Return the names of all that depends on a resource; None where the plan does not tell."""
        if self._needs is None:
            return None
        found = {urn}
        waiting = [urn]
        while waiting:
            for other in self._needed_by.get(waiting.pop(), ()):
                if other not in found:
                    found.add(other)
                    waiting.append(other)
        found.remove(urn)
        return sorted(self._names[other] for other in found if other in self._names)

    def boots_in_a_row(self, booting: AbstractSet[str]) -> int:
        """Return how many boots come one after the other, where the longest chain is."""
        needs = self._needs or {}
        rows: dict[str, int] = {}
        # Without recursion: a chain may be as long as the stack is large.
        for start in needs:
            waiting = [start]
            while waiting:
                urn = waiting[-1]
                needed = needs.get(urn, frozenset())
                missing = [one for one in needed if one not in rows and one != urn]
                if missing and urn not in rows:
                    rows[urn] = 0  # A circle, which no plan of Pulumi's has, would end here.
                    waiting += missing
                    continue
                waiting.pop()
                before = max((rows.get(one, 0) for one in needed), default=0)
                rows[urn] = before + self._own_boots(urn, needed, booting)
        return max([*rows.values(), 1 if booting else 0])

    def _own_boots(self, urn: str, needed: AbstractSet[str], booting: AbstractSet[str]) -> int:
        if urn in self._members:
            return 0
        waits = type_of(urn) == READINESS_TYPE and not booting.isdisjoint(needed)
        return int(urn in booting or waits)
