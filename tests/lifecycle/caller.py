"""A caller that remembers each message, and can be stopped at a given moment."""

from __future__ import annotations

import threading
from collections.abc import Callable

from bytez_provider.core.waiting import Stop

URN = "urn:pulumi:dev::fleet::pulumi-python:dynamic/bytez:Model::gpt2"
OTHER_URN = "urn:pulumi:dev::fleet::pulumi-python:dynamic/bytez:Model::chat"


class FakeCaller:
    """Who asks for an operation in a test.

    Attributes:
        reports: Each line of progress; there is one a poll.
        notes: Each remark.
        warnings: Each warning.
        debugs: Each line for the debug log.
    """

    def __init__(self, urn: str | None = URN, *, timeout_seconds: float | None = None) -> None:
        self.urn = urn
        self.timeout_seconds = timeout_seconds
        self.wake = threading.Event()
        self.reports: list[str] = []
        self.notes: list[str] = []
        self.warnings: list[str] = []
        self.debugs: list[str] = []
        self._stop: Stop | None = None
        self._plans: dict[int, Callable[[], object]] = {}

    def end(self, stop: Stop) -> None:
        """Stop now."""
        self._stop = stop
        self.wake.set()

    def at_report(self, number: int, action: Callable[[], object]) -> None:
        """Do something at a line of progress, counted from 1: the world goes on meanwhile."""
        self._plans[number] = action

    def end_at_report(self, number: int, stop: Stop) -> None:
        """Stop at a line of progress, counted from 1."""
        self.at_report(number, lambda: self.end(stop))

    def stop(self) -> Stop | None:
        """Say why to end now."""
        return self._stop

    def report(self, message: str) -> None:
        """Remember a line of progress, and do what was planned for it."""
        self.reports.append(message)
        self._plans.pop(len(self.reports), lambda: None)()

    def note(self, message: str) -> None:
        """Remember a remark."""
        self.notes.append(message)

    def warn(self, message: str) -> None:
        """Remember a warning."""
        self.warnings.append(message)

    def debug(self, message: str) -> None:
        """Remember a line for the debug log."""
        self.debugs.append(message)


def meanwhile(
    report: int, act: Callable[[], object], timeout_seconds: float | None = None
) -> FakeCaller:
    """Return a caller that does something at a line of progress, counted from 1."""
    caller = FakeCaller(timeout_seconds=timeout_seconds)
    caller.at_report(report, act)
    return caller


def stopped_at(
    report: int,
    stop: Stop = Stop.CANCELLED,
    *,
    urn: str | None = URN,
    timeout_seconds: float | None = None,
) -> FakeCaller:
    """Return a caller that stops at a line of progress, counted from 1."""
    caller = FakeCaller(urn, timeout_seconds=timeout_seconds)
    caller.end_at_report(report, stop)
    return caller
