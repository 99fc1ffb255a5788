"""Waiting for what another process does."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from bytez_provider.emulator import Emulator
from tests.asking import Ask, ask_of

PATIENCE_SECONDS = 60.0


def until(condition: Callable[[], object]) -> None:
    """Return when a condition holds, or fail."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "timed out"
        threading.Event().wait(0.01)


def until_asked(emulator: Emulator, ask: Ask, times: int) -> None:
    """Return when something was asked so many times."""
    until(lambda: sum(ask_of(record) == ask for record in emulator.requests()) >= times)
