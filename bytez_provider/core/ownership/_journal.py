"""The records of one account in a store: read, written, and found under earlier names."""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from bytez_provider.core.ownership._earlier import carried_over
from bytez_provider.core.ownership._record import Record
from bytez_provider.core.ownership._stores import ChangedError, Store
from bytez_provider.service.schemas import Instance


@dataclass(frozen=True)
class Entry:
    """A record as it was read, and the version that a write must give to replace it."""

    record: Record | None
    version: object


@dataclass
class Scan:
    """Everything that a store held at one moment, by model."""

    own: dict[str, Record] = field(default_factory=dict)
    other_keys: dict[str, list[Record]] = field(default_factory=dict)
    """Records of other API keys of the same endpoint."""
    earlier: dict[str, Record] = field(default_factory=dict)
    """Records of the earlier format."""

    @property
    def known(self) -> dict[str, Record]:
        """The records of this key, of both formats."""
        return {**self.earlier, **self.own}

    def carried_over(self, model_id: str, created: datetime | None) -> Record | None:
        """Return a model's record of the earlier format, or of another key for this very load."""
        record = self.earlier.get(model_id)
        if record is None and created is not None:
            others = self.other_keys.get(model_id, ())
            record = next((one for one in others if one.created == created), None)
        return record


class Journal:
    """The records of one account at one endpoint; for any number of threads.

    Every method raises JournalError if a store that must work does not.
    """

    def __init__(
        self, store: Store, *, endpoint: str, account: str, warn: Callable[[str], None] | None
    ) -> None:
        self.store = store
        self._warn = warn
        self._account = {"endpoint": endpoint, "account": account}
        self._lock = threading.Lock()
        self._first_scan: Scan | None = None

    def records(self, live: Iterable[Instance] = ()) -> list[Record]:
        """Return all records, oldest first.

        Args:
            live: What runs: a record of one of these loads counts under another key too.
        """
        scan = self._read_all()
        known = scan.known
        for one in live:
            record = scan.carried_over(one.model_id, one.created)
            if record is not None:
                known.setdefault(one.model_id, record)
        return sorted(known.values(), key=lambda one: (one.began, one.model_id))

    def entry(self, model_id: str, created: datetime | None = None) -> Entry:
        """Read the record of a model.

        Args:
            model_id: The model.
            created: The load that runs: without a record of its own, one under another key counts.
        """
        stored = self.store.read(self._name(model_id))
        if stored.content is None:
            return Entry(self.scan().carried_over(model_id, created), stored.version)
        record = _parsed(stored.content, self._account)
        if record is None and self._warn is not None:
            self._warn(
                f"The record of '{model_id}' in the journal {self.store.place} cannot be read: a "
                "load that a killed deployment left is no longer known"
            )
            self._warn = None
        return Entry(record, stored.version)

    def put(
        self, model_id: str, record: Record | None, entry: Entry, *, durable: bool = False
    ) -> Entry:
        """Replace the record that was read, or remove it.

        Raises:
            ChangedError: Somebody else has written it since.
        """
        version: object = None
        if record is not None or entry.version is not None:
            content = None if record is None else _written(record, self._account)
            name = self._name(model_id)
            version = self.store.write(name, content, entry.version, durable=durable).version
        self._drop_earlier(model_id)
        return Entry(record, version)

    def scan(self) -> Scan:
        """Return what the store held when this process first looked, and has confirmed since."""
        with self._lock:
            if self._first_scan is None:
                self._first_scan = self._read_all()
            return self._first_scan

    def _name(self, model_id: str) -> str:
        parts = "\n".join((*self._account.values(), model_id))
        return f"record-{hashlib.sha256(parts.encode()).hexdigest()[:32]}.json"

    def _drop_earlier(self, model_id: str) -> None:
        """Remove a model's files of the earlier format, which a new record replaces."""
        scan = self._first_scan
        if scan is not None and scan.earlier.pop(model_id, None) is not None:
            for name, stored in self.store.read_all().items():
                if model_id in carried_over({name: stored.content}, self._account):
                    with contextlib.suppress(ChangedError):
                        self.store.write(name, None, stored.version, durable=False)

    def _read_all(self) -> Scan:
        scan = Scan()
        contents = {name: one.content for name, one in self.store.read_all().items()}
        for name, content in contents.items():
            if not name.startswith("record-") or content is None:
                continue
            if (record := _parsed(content, self._account)) is not None:
                scan.own[record.model_id] = record
            elif (other := _parsed(content, {"endpoint": self._account["endpoint"]})) is not None:
                scan.other_keys.setdefault(other.model_id, []).append(other)
        scan.earlier = carried_over(contents, self._account)
        for model_id in scan.own:
            scan.earlier.pop(model_id, None)
        return scan


def _written(record: Record, account: Mapping[str, str]) -> bytes:
    return json.dumps({**account, **record.bag()}).encode()


def _parsed(content: bytes, account: Mapping[str, str]) -> Record | None:
    """Return the record of an account; None if it is another's, or no record."""
    try:
        kept = json.loads(content)
        if not isinstance(kept, dict) or any(kept.get(k) != v for k, v in account.items()):
            return None
        return Record.of(kept)
    except (ValueError, RecursionError):
        return None
