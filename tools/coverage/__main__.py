"""`python -m tools.coverage [pytest's arguments]`: how much of the rooms that matter the tests run.

Runs every tier that works on these rooms, but not the one with the real CLI, which is to show that
all fits together. Exit codes: 0, enough of each room; 1, not enough; or that of pytest.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tools.coverage.rooms import rooms_of, table

_ROOT = Path(__file__).resolve().parents[2]
_SETTINGS = Path(__file__).with_name("coveragerc")
_TIERS = ("client", "fleet", "host", "lifecycle", "ownership", "provider", "wire")


def main(arguments: Sequence[str]) -> int:
    """Run the tests, and print the table; return the exit code."""
    with tempfile.TemporaryDirectory(prefix="coverage-") as folder:
        tests = [f"tests/{tier}" for tier in _TIERS]
        code = _coverage(folder, "run", "-m", "pytest", "-q", *arguments, *tests)
        if code:
            return code
        report = Path(folder) / "report.json"
        code = _coverage(folder, "combine", "-q") or _coverage(
            folder, "json", "-q", "-o", str(report)
        )
        if code:
            return code
        rooms = rooms_of(json.loads(report.read_text(encoding="utf-8")))
    print(table(rooms))
    return 0 if all(room.is_enough for room in rooms) else 1


def _coverage(folder: str, command: str, *arguments: str) -> int:
    """Run a command of coverage, which keeps its data in a folder."""
    return subprocess.run(
        [sys.executable, "-m", "coverage", command, f"--rcfile={_SETTINGS}", *arguments],
        cwd=_ROOT,
        env={**os.environ, "COVERAGE_FILE": str(Path(folder) / "data")},
        check=False,
    ).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
