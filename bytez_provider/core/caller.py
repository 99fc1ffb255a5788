"""Who asks for an operation: Pulumi's engine, or a person at a terminal."""

from __future__ import annotations

import enum
import threading
from typing import Protocol


class Stop(enum.Enum):
    """Why an operation should end early."""

    CANCELLED = "cancelled"
    """The first Ctrl-C: what is returned now is still written to state."""
    ENGINE_GONE = "engine gone"
    """The second Ctrl-C, or a kill: nobody is left to receive the answer."""


class Log(Protocol):
    """Where messages go that are about no operation."""

    def warn(self, message: str) -> None:
        """Show a permanent warning."""

    def debug(self, message: str) -> None:
        """Show a line in the debug log."""


class Caller(Protocol):
    """Who asks for an operation, and how to reach them while it runs."""

    @property
    def urn(self) -> str | None:
        """The resource; None if it is not known."""

    @property
    def timeout_seconds(self) -> float | None:
        """The `customTimeouts` of this operation."""

    @property
    def wake(self) -> threading.Event:
        """Set as soon as `stop` is not None."""

    def stop(self) -> Stop | None:
        """Return why to end now; None to go on."""

    def report(self, message: str) -> None:
        """Show a line of progress, in place of the last one."""

    def note(self, message: str) -> None:
        """Show a permanent line."""

    def warn(self, message: str) -> None:
        """Show a permanent warning."""

    def debug(self, message: str) -> None:
        """Show a line in the debug log."""


class FleetCaller(Caller, Protocol):
    """A caller that can also show progress in the rows of other resources."""

    def report(self, message: str, *, urn: str | None = None) -> None:
        """Show a line of progress of a resource, in place of its last one."""
