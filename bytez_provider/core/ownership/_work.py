"""Records that this process works on: held, said to be alive, and let go of."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from bytez_provider.base.errors import JournalError
from bytez_provider.core.ownership._record import Phase, Record
from bytez_provider.core.ownership._records import Entry, Records
from bytez_provider.core.ownership._stores import ChangedError

_BEAT_SECONDS = 5.0
"""How often a process says that it still works on a load, to machines that cannot see it."""


class HeldError(Exception):
    """Another deployment works on the load right now, or has just asked for it.

    Attributes:
        record: What it wrote.
    """

    def __init__(self, record: Record) -> None:
        super().__init__(record.model_id)
        self.record = record


@dataclass(frozen=True)
class Request:
    """A load that is about to be asked for.

    Attributes:
        record: What is kept of it.
        work: Holds the record; None for a nameless resource, of which nothing is kept.
        earlier: The record that stood in its place.
    """

    record: Record
    work: Work | None = None
    earlier: Record | None = None

    def accepted(self) -> None:
        """Keep that the service took the load: whatever stood here is gone."""
        if self.work is not None:
            update = {"phase": Phase.ACCEPTED, "before": None}
            self.work.put(self.record.model_copy(update=update))

    def refused(self) -> None:
        """Put back what stood here: nothing came of the request."""
        if self.work is not None:
            self.work.put(self.earlier)


@dataclass(frozen=True)
class Adoption:
    """A take-over that is entered.

    Attributes:
        adopted_at: Server time of it, as a state names it.
        undo: Puts back what stood before it.
    """

    adopted_at: str
    undo: Callable[[], None]


class Work:
    """A record that this process holds."""

    def __init__(self, records: Records, record: Record, version: object) -> None:
        self._records = records
        self.record = record
        self._version = version
        self._lock = threading.Lock()
        self._is_over = False

    def put(self, record: Record | None) -> None:
        """Let go of the record, as what has become of it."""
        with self._lock:
            if not self._is_over:
                self._is_over = True
                self._write(record.released() if record is not None else None)

    def identify(self, created: datetime) -> None:
        """Enter what identifies the load, and go on holding the record."""
        with self._lock:
            if not self._is_over and self.record.created is None:
                update = {"created": created, "phase": Phase.ACCEPTED, "before": None}
                seen = self.record.model_copy(update=update)
                self._write(seen)
                self.record = seen

    def beat(self) -> None:
        """Say that this process still works on it."""
        with self._lock:
            holder = self.record.holder
            if not self._is_over and holder is not None:
                again = holder.model_copy(update={"beat": holder.beat + 1})
                held = self.record.model_copy(update={"holder": again})
                self._write(held)
                self.record = held

    def _write(self, record: Record | None) -> None:
        model_id = self.record.model_id
        # What cannot be written now is of no harm: the record names the load, and its holder will
        # be seen to be gone.
        with contextlib.suppress(JournalError):
            entry = Entry(self.record, self._version)
            try:
                self._version = self._records._put(model_id, record, entry)
            except ChangedError:
                self._write_over_own(model_id, record)

    def _write_over_own(self, model_id: str, record: Record | None) -> None:
        """Write where an earlier write of this process was stored and its answer was lost.

        Whoever else has written has the say from then on.
        """
        now = self._records._entry(model_id)
        own, kept = self.record.holder, now.record.holder if now.record else None
        if own is not None and kept is not None and own.token == kept.token:
            with contextlib.suppress(ChangedError):
                self._version = self._records._put(model_id, record, now)


class Heart:
    """Says again and again, for machines that cannot see this process, that it lives."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._works: list[Work] = []
        self._timer: threading.Timer | None = None

    @contextlib.contextmanager
    def beating(self, work: Work) -> Iterator[None]:
        """Beat for a record."""
        with self._lock:
            self._works.append(work)
            self._wind()
        try:
            yield
        finally:
            with self._lock:
                self._works.remove(work)
                if not self._works and self._timer is not None:
                    self._timer.cancel()
                    self._timer = None

    def _wind(self) -> None:
        if self._timer is None:
            self._timer = threading.Timer(_BEAT_SECONDS, self._beat)
            self._timer.daemon = True
            self._timer.start()

    def _beat(self) -> None:
        with self._lock:
            works = list(self._works)
            self._timer = None
            if works:
                self._wind()
        for work in works:
            work.beat()
