"""Waiting for what another process does, within bounds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from bytez_provider.emulator import Emulator

PATIENCE_SECONDS = 60.0


def until(condition: Callable[[], object]) -> None:
    """Return as soon as a condition holds; that it never does is a failure."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        threading.Event().wait(0.01)


def until_asked(emulator: Emulator, path: str, times: int) -> None:
    """Return as soon as there were so many requests of one kind."""
    until(lambda: len(emulator.requests(path)) >= times)
