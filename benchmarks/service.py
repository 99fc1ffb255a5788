"""The emulated service in its own process, so that it does not share our interpreter."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, build_opener

KEY = "benchmark-key"
BOOT_SECONDS = 5
_RAM_GB = 7.5


@dataclass(frozen=True)
class Requests:
    """Requests by path, and the seconds from the first to the last."""

    by_path: Counter[str]
    span_seconds: float


class Service:
    """A running emulator."""

    def __init__(self, url: str) -> None:
        self.url = url
        # Never use a proxy for loopback.
        self._opener = build_opener(ProxyHandler({}))
        self._counted = 0

    def new_requests(self) -> Requests:
        """Return the requests since the last call."""
        log = self._get("requests")[self._counted :]
        self._counted += len(log)
        times = [datetime.fromisoformat(one["time"].replace("Z", "+00:00")) for one in log]
        span = (max(times) - min(times)).total_seconds() if times else 0.0
        return Requests(Counter(one["path"] for one in log), span)

    def running(self) -> int:
        """Return how many models are RUNNING."""
        return sum(one["status"] == "RUNNING" for one in self._get("instances"))

    def _get(self, what: str) -> list[dict[str, Any]]:
        with self._opener.open(f"{self.url}/_emulator/{what}") as answer:
            found: list[dict[str, Any]] = json.load(answer)
            return found


def model_ids(count: int) -> list[str]:
    """Return so many model ids; the bundled catalogue has fewer."""
    return [f"benchmark/model-{number}" for number in range(count)]


@contextmanager
def serving(folder: Path, models: Sequence[str]) -> Iterator[Service]:
    """Run an emulator that knows these models, each with a boot of 5 s."""
    catalogue = folder / "catalogue.json"
    rows = [{"name": name, "requiredRAM": _RAM_GB, "benchmarked": True} for name in models]
    catalogue.write_text(json.dumps(rows), encoding="utf-8")
    command = [sys.executable, "-m", "bytez_provider.emulator", "--models", str(catalogue)]
    with subprocess.Popen(
        [*command, "--boot-seconds", str(BOOT_SECONDS)], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            yield Service(line.removeprefix("listening on ").strip())
        finally:
            process.terminate()
