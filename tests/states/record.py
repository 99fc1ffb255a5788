"""Record states of this version: `make states`, once for each release."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from bytez_provider import __version__
from tests.states.cases import CASES, HERE, SERVICE, STATE, Case, emulator, recorded


def record(case: Case, into: Path) -> None:
    """Deploy a case, and keep what Pulumi and the service know of it."""
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        service = Path(temporary, SERVICE)
        with emulator(service) as running:
            stack = case.stack(Path(temporary, "stack"), running)
            try:
                stack.program(case.program(concurrency=1))
                stack.up().ok()
                exported = stack.run("stack", "export").ok().stdout
            finally:
                stack.end()
            (into / STATE).write_text(recorded(exported, running.url), encoding="utf-8")
        (into / SERVICE).write_bytes(service.read_bytes() + b"\n")


def main() -> None:
    """Record every case under the version of the package."""
    for name, case in CASES.items():
        record(case, HERE / __version__ / name)
        sys.stdout.write(f"recorded tests/states/{__version__}/{name}\n")


if __name__ == "__main__":
    main()
