"""The records of one account: read, written if nobody else has, and found under earlier names."""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from bytez_provider.core.ownership._earlier import carried_over
from bytez_provider.core.ownership._record import Record
from bytez_provider.core.ownership._stores import ChangedError, Store
from bytez_provider.service.schemas import Instance


@dataclass(frozen=True)
class Entry:
    """A record as it was read, and what a write must give to replace it."""

    record: Record | None
    version: object


@dataclass
class _Scan:
    """All that was kept when this process first looked."""

    own: dict[str, Record] = field(default_factory=dict)
    elsewhere: dict[str, list[tuple[str, Record]]] = field(default_factory=dict)
    """Of other keys of the same endpoint, with the name it is kept under."""
    earlier: dict[str, Record] = field(default_factory=dict)
    """Of the format before this one."""

    def carried_over(self, model_id: str, created: datetime | None) -> Record | None:
        """Return what is kept of a model in an earlier way.

        Under an earlier key only the record of the very load counts, which `created` tells.
        """
        record = self.earlier.get(model_id)
        if record is None and created is not None:
            others = self.elsewhere.get(model_id, ())
            record = next((one for _, one in others if one.created == created), None)
        return record


class Records:
    """The records of one account at one endpoint; for any number of threads."""

    def __init__(
        self, store: Store, *, endpoint: str, account: str, warn: Callable[[str], None] | None
    ) -> None:
        self.store = store
        self._warn = warn
        self._account = {"endpoint": endpoint, "account": account}
        self._lock = threading.Lock()
        self._scanned: _Scan | None = None

    def records(self, live: Iterable[Instance] = ()) -> list[Record]:
        """Return all records of the account, oldest first.

        Args:
            live: What runs. The record of one of these counts under an earlier key too.
        """
        scan = self._read_all()
        known = {**scan.earlier, **scan.own}
        for one in live:
            record = scan.carried_over(one.model_id, one.created)
            if record is not None:
                known.setdefault(one.model_id, record)
        return sorted(known.values(), key=lambda one: (one.began, one.model_id))

    def _name(self, model_id: str) -> str:
        parts = "\n".join((*self._account.values(), model_id))
        return f"record-{hashlib.sha256(parts.encode()).hexdigest()[:32]}.json"

    def _entry(self, model_id: str, created: datetime | None = None) -> Entry:
        """Read a record; that of an earlier key or format where there is none of its own.

        Args:
            model_id: The model.
            created: The load that runs: under an earlier key only its record is looked for.
        """
        stored = self.store.read(self._name(model_id))
        record = _parsed(stored.content, self._account)
        if record is None and stored.content is not None and self._warn is not None:
            self._warn(
                f"what the journal in {self.store.place} holds of '{model_id}' cannot be read: a "
                "load that a killed deployment left is not known any more"
            )
            self._warn = None
        if record is None and stored.content is None:
            record = self._scan().carried_over(model_id, created)
        return Entry(record, stored.version)

    def _put(
        self, model_id: str, record: Record | None, entry: Entry, *, durable: bool = False
    ) -> object:
        name = self._name(model_id)
        content = None if record is None else _written(record, self._account)
        if content is None and entry.version is None:
            version: object = None
        else:
            version = self.store.write(name, content, entry.version, durable=durable).version
        self._drop_earlier(model_id)
        return version

    def _drop_earlier(self, model_id: str) -> None:
        """Remove what was kept of a model in the earlier format, which is carried over now."""
        scan = self._scanned
        if scan is not None and scan.earlier.pop(model_id, None) is not None:
            for name, stored in self.store.read_all().items():
                if model_id in carried_over({name: stored.content}, self._account):
                    with contextlib.suppress(ChangedError):
                        self.store.write(name, None, stored.version, durable=False)

    def _scan(self) -> _Scan:
        with self._lock:
            if self._scanned is None:
                self._scanned = self._read_all()
            return self._scanned

    def _read_all(self) -> _Scan:
        scan = _Scan()
        contents = {name: one.content for name, one in self.store.read_all().items()}
        for name, content in contents.items():
            if not name.startswith("record-") or content is None:
                continue
            record = _parsed(content, self._account)
            if record is not None:
                scan.own[record.model_id] = record
                continue
            other = _parsed(content, {"endpoint": self._account["endpoint"]})
            if other is not None:
                scan.elsewhere.setdefault(other.model_id, []).append((name, other))
        scan.earlier = {
            model_id: record
            for model_id, record in carried_over(contents, self._account).items()
            if model_id not in scan.own
        }
        return scan


def _written(record: Record, account: Mapping[str, str]) -> bytes:
    kept: dict[str, Any] = record.model_dump(mode="json", by_alias=True, exclude_none=True)
    return json.dumps({**account, **kept}).encode()


def _parsed(content: bytes | None, account: Mapping[str, str]) -> Record | None:
    """Read a record of an account; None for another's, and for what is not a record."""
    if content is None:
        return None
    try:
        kept = json.loads(content)
        if not isinstance(kept, dict) or any(kept.get(k) != v for k, v in account.items()):
            return None
        return Record.model_validate(kept)
    except (ValueError, RecursionError, ValidationError):
        return None
