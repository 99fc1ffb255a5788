"""Who asks for an operation of `lifecycle`, when it is a person at a terminal."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from bytez_provider.cli.screen import Screen
from bytez_provider.core.waiting import Stop


class Person:
    """A `waiter.Caller` that shows things on the screen.

    Args:
        screen: Where.
        timeout_seconds: The limit; None for that of the operation.
        waits: False to end a wait as soon as there is something to wait for.
    """

    def __init__(
        self,
        screen: Screen,
        *,
        timeout_seconds: float | None = None,
        waits: bool = True,
    ) -> None:
        # No stack has a part in what a person asks for.
        self.urn: str | None = None
        self.timeout_seconds = timeout_seconds
        self.wake = threading.Event()
        self.interrupted = False
        self.remarks: list[str] = []
        """What was noted and warned of."""
        self._screen = screen
        self._waits = waits

    def stop(self) -> Stop | None:
        """Say that the wait is to end, once it is."""
        return Stop.CANCELLED if self.wake.is_set() else None

    def report(self, message: str) -> None:
        """Show progress; the first of it comes when the load was accepted."""
        if not self._waits:
            self.wake.set()
            return
        self._screen.progress(message)

    def note(self, message: str) -> None:
        """Show a remark."""
        self.remarks.append(message)
        self._screen.note(message)

    def warn(self, message: str) -> None:
        """Show a warning."""
        self.remarks.append(message)
        self._screen.warn(message)

    def debug(self, message: str) -> None:
        """Show nothing: the command line has no debug log."""


@contextmanager
def ended_by_interrupt(person: Person) -> Iterator[None]:
    """Let the first Ctrl-C end a wait in good order; the second is a KeyboardInterrupt."""

    def first(_signal: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        person.interrupted = True
        person.wake.set()

    before = signal.signal(signal.SIGINT, first)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
