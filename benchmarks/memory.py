"""The peak memory of Pulumi's provider process, as the kernel counts it."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PROC = Path("/proc")
_SAMPLE_SECONDS = 0.1
_PROVIDER = b"\0pulumi.dynamic\0"


class Peak:
    """The highest VmHWM seen, in MB; None without a /proc."""

    def __init__(self) -> None:
        self.mb: float | None = None

    def take(self, status: str) -> None:
        """Take the `/proc/<pid>/status` of a process into account."""
        found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
        if found is not None:
            self.mb = max(self.mb or 0.0, int(found[1]) / 1024)


@contextmanager
def provider_memory(mark: str) -> Iterator[Peak]:
    """Watch the provider processes that have a text in their environment."""
    peak = Peak()
    done = threading.Event()
    watcher = threading.Thread(target=_watch, args=(mark.encode(), peak, done), daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        done.set()
        watcher.join()


def _watch(mark: bytes, peak: Peak, done: threading.Event) -> None:
    strangers: set[Path] = set()
    while not done.wait(_SAMPLE_SECONDS):
        for process in set(_PROC.glob("[0-9]*")) - strangers:
            with contextlib.suppress(OSError):
                command = (process / "cmdline").read_bytes()
                if _PROVIDER in command:
                    if mark in (process / "environ").read_bytes():
                        peak.take((process / "status").read_text(encoding="utf-8"))
                elif b"pulumi" not in command:
                    # Not a process that Pulumi is about to turn into a provider.
                    strangers.add(process)
