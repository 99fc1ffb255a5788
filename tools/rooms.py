"""Read coverage's JSON report; fail if the tests ran too little of a room that must not fail."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

ROOMS = (
    "core/lifecycle/",
    "core/ownership/",
    "core/readiness/",
    "core/waiting/",
    "dynamic/host.py",
    "dynamic/providers.py",
    "service/client/",
)
"""Where a mistake loses a load, or leaves one running."""
LEAST_PERCENT = 95.0
"""Of the lines of each room, and of its branches."""


def percents(report: Mapping[str, Any], room: str) -> tuple[float, float]:
    """Return how much of a room's lines, and of its branches, ran.

    Raises:
        ValueError: The report has no file of the room.
    """
    files = report["files"].items()
    found = [one["summary"] for path, one in files if path.startswith(f"bytez_provider/{room}")]
    if not found:
        raise ValueError(f"no file of {room} was measured")

    def share(run: str, of: str) -> float:
        total = sum(one[of] for one in found)
        return 100 * sum(one[run] for one in found) / total if total else 100.0

    return share("covered_lines", "num_statements"), share("covered_branches", "num_branches")


def main(report: Mapping[str, Any]) -> int:
    """Print a line for each room; return 1 if one has too little."""
    least = 100.0
    for room in ROOMS:
        lines, branches = percents(report, room)
        print(f"{room:22}{lines:7.1f} % of lines{branches:7.1f} % of branches")
        least = min(least, lines, branches)
    return 0 if least >= LEAST_PERCENT else 1


if __name__ == "__main__":
    sys.exit(main(json.load(sys.stdin)))
