"""Where records are kept: a folder of this machine, or a bucket that machines share.

A write succeeds only if the record is still the one that was read: if two deployments act on one
load, one of them is refused.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, TypeVar
from urllib.request import url2pathname

from bytez_provider.base.errors import ConfigError, JournalError, printable
from bytez_provider.base.files import replace_file
from bytez_provider.service.settings import Settings

_T = TypeVar("_T")


class ChangedError(Exception):
    """The record is not the one that was read: another deployment was quicker."""


@dataclass(frozen=True)
class Stored:
    """The content under a name, None for nothing, and the version that a write must give."""

    content: bytes | None
    version: object = None


NOTHING: Final = Stored(None)


class Store(Protocol):
    """A place for records.

    Attributes:
        place: The folder or the address, for people.
        is_shared: Whether other machines use it too.
    """

    @property
    def place(self) -> str: ...

    @property
    def is_shared(self) -> bool: ...

    def read(self, name: str) -> Stored:
        """Return what is kept under a name."""

    def write(self, name: str, content: bytes | None, version: object, *, durable: bool) -> Stored:
        """Replace what was read; None removes it.

        Args:
            name: The name.
            content: The new content.
            version: The version that was read.
            durable: Whether it must be on disk when this returns.

        Raises:
            ChangedError: Somebody else has written since.
        """

    def read_all(self) -> dict[str, Stored]:
        """Return everything that is kept, by name."""


class Folder:
    """Records in files of this machine."""

    is_shared = False

    def __init__(self, path: Path) -> None:
        self.path = path
        self.place = str(path)
        self._locks = [threading.Lock() for _ in range(16)]

    def read(self, name: str) -> Stored:
        """Return what is kept under a name."""
        with self._trying("read"):
            try:
                return _versioned((self.path / name).read_bytes())
            except FileNotFoundError:
                return NOTHING

    def write(self, name: str, content: bytes | None, version: object, *, durable: bool) -> Stored:
        """Replace what was read; None removes it."""
        with self._trying("write"):
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._locked(name):
                if self.read(name).version != version:
                    raise ChangedError(name)
                if content is None:
                    (self.path / name).unlink(missing_ok=True)
                else:
                    replace_file(self.path / name, content, durable=durable)
        return _versioned(content)

    def read_all(self) -> dict[str, Stored]:
        """Return everything that is kept, by name."""
        with self._trying("read"):
            return {path.name: self.read(path.name) for path in self.path.glob("*.json")}

    @contextlib.contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        """Exclude other threads and other processes of this machine from writing a name."""
        shard = hashlib.sha256(name.encode()).hexdigest()[0]
        with self._locks[int(shard, 16)], _file_lock(self.path / f".lock-{shard}"):
            yield

    @contextlib.contextmanager
    def _trying(self, verb: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise JournalError(
                verb=f"{verb} the journal in",
                subject=self.place,
                observed=printable(error.strerror or str(error)),
                action="Repair the folder, or set BYTEZ_JOURNAL to another one",
            ) from None


@contextlib.contextmanager
def _file_lock(path: Path) -> Iterator[None]:
    try:
        import fcntl
    except ImportError:  # Windows has no such lock; there, one deployment at a time.
        yield
        return
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _versioned(content: bytes | None) -> Stored:
    return Stored(content, None if content is None else hashlib.sha256(content).hexdigest())


class Tolerant:
    """A store that may fail: this process then remembers the records, with one warning."""

    def __init__(self, store: Store, warn: Callable[[str], None]) -> None:
        self.place = store.place
        self.is_shared = store.is_shared
        self._store = store
        self._warn = warn
        self._has_warned = threading.Event()
        self._remembered: dict[str, Stored] = {}

    def read(self, name: str) -> Stored:
        """Return what is kept under a name; nothing if it cannot be read."""
        return self._remembered.get(name) or self._tried(lambda: self._store.read(name), NOTHING)

    def write(self, name: str, content: bytes | None, version: object, *, durable: bool) -> Stored:
        """Replace what was read; None removes it."""
        known = self._remembered.get(name)
        if known is None:
            write = lambda: self._store.write(name, content, version, durable=durable)  # noqa: E731
            written = self._tried(write, None)
            if written is not None:
                return written
        elif known.version != version:
            raise ChangedError(name)
        self._remembered[name] = _versioned(content)
        return self._remembered[name]

    def read_all(self) -> dict[str, Stored]:
        """Return everything that is kept, by name."""
        return {**self._tried(self._store.read_all, {}), **self._remembered}

    def _tried(self, act: Callable[[], _T], otherwise: _T) -> _T:
        try:
            return act()
        except JournalError as error:
            if not self._has_warned.is_set():
                self._has_warned.set()
                risk = "If this deployment is killed, the next one may not find its loads"
                self._warn(str(error.restated(state=risk)))
            return otherwise


def open_store(settings: Settings, warn: Callable[[str], None]) -> Store:
    """Return the store that is configured, by default the platform's folder for state.

    A folder that fails is a warning. A bucket that fails is an error, because the user relies on
    it, unless `accept_no_journal` is set.

    Raises:
        ConfigError: The journal is neither an absolute folder nor a bucket.
    """
    from bytez_provider.core.ownership._bucket import KINDS, Bucket

    chosen = settings.journal
    scheme, is_address, _ = chosen.partition("://")
    if is_address and scheme in KINDS:
        bucket = Bucket(chosen)
        return Tolerant(bucket, warn) if settings.accept_no_journal else bucket
    return Tolerant(Folder(_folder(settings)), warn)


def _folder(settings: Settings) -> Path:
    chosen = settings.journal
    if not chosen:
        from platformdirs import user_state_path

        return user_state_path("bytez-provider", appauthor=False)
    name = url2pathname(chosen.removeprefix("file://")) if chosen[:7] == "file://" else chosen
    folder = Path(name)
    with contextlib.suppress(RuntimeError):  # There is no such user.
        folder = folder.expanduser()
    if "://" not in name and folder.is_absolute():
        return folder
    kind = "not a known kind of address" if "://" in name else "a relative folder"
    # A key that was pasted into the wrong setting is still a key.
    shown = settings.key.hide_in(chosen) if settings.key else chosen
    raise ConfigError(
        verb="read the configuration",
        observed=f"the journal is set to '{printable(shown, limit=100)}', which is {kind}",
        action="Set it to an absolute folder, which does not depend on where a command runs, or to "
        "a bucket such as s3://bucket/folder",
    )
