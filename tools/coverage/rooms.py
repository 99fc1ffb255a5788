"""How much of each room the tests run, by coverage's report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

ROOMS = (
    "client",
    "host",
    "lifecycle",
    "ownership",
    "poller",
    "provider",
    "readiness",
    "waiter",
)
"""Where a mistake loses a load, or leaves one running."""

LEAST_PERCENT = 95.0
"""Of the statements, and of the branches, of each of them."""


@dataclass
class Room:
    """What was run of a module or package.

    Attributes:
        name: Its name within `bytez_provider`.
        missing: The lines and branches that were not, by file; a branch as "from->to".
    """

    name: str
    statements: int = 0
    statements_run: int = 0
    branches: int = 0
    branches_run: int = 0
    missing: dict[str, list[str]] = field(default_factory=dict)

    @property
    def percent(self) -> tuple[float, float]:
        """Of the statements and of the branches; of none of them, all."""
        return (
            100 * self.statements_run / self.statements if self.statements else 100.0,
            100 * self.branches_run / self.branches if self.branches else 100.0,
        )

    @property
    def is_enough(self) -> bool:
        """Whether both are as many as they must be."""
        return min(self.percent) >= LEAST_PERCENT

    def add(self, path: str, told: Mapping[str, Any]) -> None:
        """Add a file, as coverage's JSON report tells of it."""
        summary = told["summary"]
        self.statements += summary["num_statements"]
        self.statements_run += summary["covered_lines"]
        self.branches += summary["num_branches"]
        self.branches_run += summary["covered_branches"]
        lines = [str(line) for line in told["missing_lines"]]
        branches = [f"{start}->{end}" for start, end in told["missing_branches"]]
        if lines or branches:
            self.missing[path] = lines + branches


def rooms_of(report: Mapping[str, Any]) -> list[Room]:
    """Return the rooms by coverage's JSON report, each of `ROOMS`, in its order."""
    rooms = {name: Room(name) for name in ROOMS}
    for path, told in report["files"].items():
        _, _, within = path.partition("bytez_provider/")
        room = rooms.get(within.partition("/")[0].removesuffix(".py"))
        if room is not None:
            room.add(path, told)
    return list(rooms.values())


def table(rooms: Sequence[Room]) -> str:
    """Return a table of the rooms, and what is missing in those that have not enough."""
    lines = [f"{'room':10}  statements  branches"]
    for room in rooms:
        statements, branches = room.percent
        lines.append(f"{room.name:10}  {statements:8.1f} %  {branches:6.1f} %")
    for room in rooms:
        if not room.is_enough:
            lines.append(f"{room.name} has less than {LEAST_PERCENT:g} %; not run:")
            lines += [f"  {path}: {', '.join(missing)}" for path, missing in room.missing.items()]
    return "\n".join(lines)
