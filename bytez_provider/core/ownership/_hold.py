"""Records that this process holds while it works on their loads."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from datetime import datetime

from bytez_provider.base.errors import JournalError
from bytez_provider.core.ownership._journal import Entry, Journal
from bytez_provider.core.ownership._record import Phase, Record
from bytez_provider.core.ownership._stores import ChangedError

_BEAT_SECONDS = 5.0
"""How often a process shows other machines that it still works on a load."""


class HeldError(Exception):
    """Another deployment works on the load, or has just requested it; `record` is what it wrote."""

    def __init__(self, record: Record) -> None:
        super().__init__(record.model_id)
        self.record = record


class Hold:
    """A record that this process holds until it releases it.

    A write that fails is no error: the record names the load already, and others see when its
    holder is gone.

    Attributes:
        record: The record.
        earlier: The record that it replaced.
    """

    def __init__(self, journal: Journal, record: Record, earlier: Record | None = None) -> None:
        self.record = record
        self.earlier = earlier
        self._journal = journal
        self._version: object = None
        self._lock = threading.Lock()
        self._is_open = False

    def open(self, entry: Entry, *, durable: bool) -> None:
        """Write the record.

        Raises:
            ChangedError: Somebody else has written it since.
        """
        model_id = self.record.model_id
        self._version = self._journal.put(model_id, self.record, entry, durable=durable).version
        self._is_open = True

    def accepted(self) -> None:
        """Release the record of a request that the service accepted."""
        self.release(self.record.but(phase=Phase.ACCEPTED, before=None))

    def refused(self) -> None:
        """Put the replaced record back: the request has changed nothing."""
        self.release(self.earlier)

    def release(self, record: Record | None) -> None:
        """Write what is known of the load now, without a holder; only the first release counts."""
        with self._lock:
            if self._is_open:
                self._is_open = False
                self._write(record.but(holder=None) if record else None)

    def identify(self, created: datetime) -> None:
        """Enter what identifies the load, and keep the record held."""
        with self._lock:
            if self._is_open and self.record.created is None:
                self._keep(self.record.identified(created))

    def beat(self) -> None:
        """Show that this process still works on the load."""
        with self._lock:
            if self._is_open and self.record.holder is not None:
                holder = self.record.holder.but(beat=self.record.holder.beat + 1)
                self._keep(self.record.but(holder=holder))

    def _keep(self, record: Record) -> None:
        self._write(record)
        self.record = record

    def _write(self, record: Record | None) -> None:
        with contextlib.suppress(ChangedError, JournalError):
            model_id = self.record.model_id
            try:
                entry = self._journal.put(model_id, record, Entry(self.record, self._version))
            except ChangedError:
                # An earlier write of this process may be stored, and its answer lost. If anybody
                # else has written, the record is theirs.
                now = self._journal.entry(model_id)
                own, kept = self.record.holder, now.record.holder if now.record else None
                if own is None or kept is None or own.token != kept.token:
                    return
                entry = self._journal.put(model_id, record, now)
            self._version = entry.version


class Heart:
    """Makes the holds of this process beat, for machines that cannot see the process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holds: list[Hold] = []
        self._timer: threading.Timer | None = None

    @contextlib.contextmanager
    def beating(self, hold: Hold) -> Iterator[None]:
        """Let a hold beat."""
        with self._lock:
            self._holds.append(hold)
            if self._timer is None:
                self._start_timer()
        try:
            yield
        finally:
            with self._lock:
                self._holds.remove(hold)
                if not self._holds and self._timer is not None:
                    self._timer.cancel()
                    self._timer = None

    def _start_timer(self) -> None:
        self._timer = threading.Timer(_BEAT_SECONDS, self._beat)
        self._timer.daemon = True
        self._timer.start()

    def _beat(self) -> None:
        with self._lock:
            holds = list(self._holds)
            self._timer = None
            if holds:
                self._start_timer()
        for hold in holds:
            hold.beat()
