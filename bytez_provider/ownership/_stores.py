"""Where records are kept: a folder of this machine, or a bucket that machines share.

Both do the same three things. A write succeeds only if the record is still the one that was read,
so that of two deployments that act on one load, one is refused.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import urlsplit
from urllib.request import url2pathname

from bytez_provider.errors import ConfigError, JournalError, printable
from bytez_provider.files import replace_file

if TYPE_CHECKING:
    from obstore.store import ObjectStore

SCHEMES: Final = ("s3", "gs", "az")
"""Buckets; `file` is a folder."""

_SHARDS = 16
_READERS = 16
_TIMEOUT_SECONDS = 10
_RETRY_TIME = timedelta(seconds=30)


class ChangedError(Exception):
    """What was read is not there any more: another deployment was quicker."""


@dataclass(frozen=True)
class Stored:
    """What is kept under a name, and the version of it.

    Attributes:
        content: The bytes; None where nothing is kept.
        version: What a write must give to replace it.
    """

    content: bytes | None
    version: object = None


NOTHING: Final = Stored(None)


class Store(Protocol):
    """A place for records."""

    @property
    def place(self) -> str:
        """The folder or the address, for people."""

    @property
    def is_shared(self) -> bool:
        """Whether other machines use it too."""

    def read(self, name: str) -> Stored:
        """Return what is kept under a name."""

    def write(self, name: str, content: bytes | None, version: object, *, durable: bool) -> Stored:
        """Replace what was read; None removes it.

        Args:
            name: The name.
            content: What to keep.
            version: That of what was read.
            durable: Whether it must be on disk when this returns.

        Raises:
            ChangedError: Something else is kept there by now.
        """

    def read_all(self) -> dict[str, Stored]:
        """Return all that is kept, by name."""


# ------------------------------------------------------------------------------------ a folder


class Folder:
    """Records in files of this machine."""

    is_shared = False

    def __init__(self, path: Path) -> None:
        self.path = path
        self._locks = [threading.Lock() for _ in range(_SHARDS)]

    @property
    def place(self) -> str:
        """The folder."""
        return str(self.path)

    def read(self, name: str) -> Stored:
        """Return what is kept under a name; see `Store`."""
        try:
            return _versioned((self.path / name).read_bytes())
        except FileNotFoundError:
            return NOTHING
        except OSError as error:
            raise self._error("read", error) from None

    def write(self, name: str, content: bytes | None, version: object, *, durable: bool) -> Stored:
        """Replace what was read; see `Store`."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._locked(name):
                if self.read(name).version != version:
                    raise ChangedError(name)
                if content is None:
                    (self.path / name).unlink(missing_ok=True)
                else:
                    replace_file(self.path / name, content, durable=durable)
        except OSError as error:
            raise self._error("write", error) from None
        return _versioned(content)

    def read_all(self) -> dict[str, Stored]:
        """Return all that is kept, by name; see `Store`."""
        try:
            names = [path.name for path in self.path.glob("*.json")]
        except OSError as error:
            raise self._error("read", error) from None
        return {name: self.read(name) for name in names}

    @contextlib.contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        """Keep other threads, and other processes of this machine, from writing a name."""
        shard = int(hashlib.sha256(name.encode()).hexdigest()[0], 16) % _SHARDS
        with self._locks[shard], _file_lock(self.path / f".lock-{shard:x}"):
            yield

    def _error(self, verb: str, error: OSError) -> JournalError:
        return JournalError(
            verb=f"{verb} the journal in",
            subject=self.place,
            observed=printable(error.strerror or str(error)),
            action="Mend the folder, or name another in BYTEZ_JOURNAL",
        )


class Tolerant:
    """A store that may fail: what it does not take, this process remembers, with one warning."""

    def __init__(self, store: Store, warn: Callable[[str], None]) -> None:
        self._store = store
        self._warn = warn
        self._complained = threading.Event()
        self._remembered: dict[str, bytes | None] = {}

    @property
    def place(self) -> str:
        """The folder or the address, for people."""
        return self._store.place

    @property
    def is_shared(self) -> bool:
        """Whether other machines use it too."""
        return self._store.is_shared

    def read(self, name: str) -> Stored:
        """Return what is kept under a name; nothing where it cannot be read."""
        if name in self._remembered:
            return _versioned(self._remembered[name])
        try:
            return self._store.read(name)
        except JournalError as error:
            self._complain(error)
            return NOTHING

    def write(self, name: str, content: bytes | None, version: object, *, durable: bool) -> Stored:
        """Replace what was read; see `Store`."""
        if name not in self._remembered:
            try:
                return self._store.write(name, content, version, durable=durable)
            except JournalError as error:
                self._complain(error)
        elif self.read(name).version != version:
            raise ChangedError(name)
        self._remembered[name] = content
        return _versioned(content)

    def read_all(self) -> dict[str, Stored]:
        """Return all that is kept, by name."""
        try:
            kept = self._store.read_all()
        except JournalError as error:
            self._complain(error)
            kept = {}
        return {**kept, **{name: _versioned(one) for name, one in self._remembered.items()}}

    def _complain(self, error: JournalError) -> None:
        if not self._complained.is_set():
            self._complained.set()
            risk = "A deployment that is killed now may not be picked up by the next one"
            self._warn(str(error.restated(state=risk)))


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


# ------------------------------------------------------------------------------------ a bucket


class Bucket:
    """Records in an object store, by obstore; credentials are those of its environment variables.

    An object store removes without looking, so what is removed is emptied instead.

    Raises:
        JournalError: By every method, where the store does not do what it is asked for.
    """

    is_shared = True

    def __init__(self, url: str) -> None:
        self._url = url
        self._store = self._open()

    @property
    def place(self) -> str:
        """The address, without what may be a secret in it."""
        parts = urlsplit(self._url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    def read(self, name: str) -> Stored:
        """Return what is kept under a name."""
        import obstore

        with self._telling("read"):
            try:
                found = obstore.get(self._store, name)
                content = bytes(found.bytes())
            except FileNotFoundError:
                return NOTHING
        return Stored(content or None, _version(found.meta))

    def write(self, name: str, content: bytes | None, version: object, *, durable: bool) -> Stored:
        """Replace what was read; see `Store`."""
        import obstore
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        new = content or b""
        with self._telling("write"):
            try:
                mode = "create" if version is None else version
                put = obstore.put(self._store, name, new, mode=mode)  # type: ignore[arg-type]
            except (AlreadyExistsError, PreconditionError):
                # Perhaps by this very write, whose first answer was lost.
                now = self.read(name)
                if (now.content or b"") != new or now.version is None:
                    raise ChangedError(name) from None
                return now
        return Stored(content, _version(put))

    def read_all(self) -> dict[str, Stored]:
        """Return all that is kept, by name."""
        import obstore

        with self._telling("read"):
            names = [one["path"] for one in obstore.list(self._store).collect() if one["size"]]
        with ThreadPoolExecutor(_READERS) as pool:
            return dict(zip(names, pool.map(self.read, names), strict=True))

    def _open(self) -> ObjectStore:
        try:
            from obstore.exceptions import BaseError
            from obstore.store import from_url
        except ImportError:
            raise ConfigError(
                verb="read the configuration",
                observed="BYTEZ_JOURNAL is a bucket, and the package obstore is not installed",
                action="Install it with `pip install 'bytez-provider[bucket]'`",
            ) from None
        try:
            return from_url(
                self._url,
                client_options={"timeout": f"{_TIMEOUT_SECONDS}s"},
                retry_config={"max_retries": 3, "retry_timeout": _RETRY_TIME},
            )
        except (BaseError, ValueError, TypeError) as error:
            raise ConfigError(
                verb="read the configuration",
                observed=f"BYTEZ_JOURNAL, {self.place}, cannot be used: {_reason(error)}",
                action="Name a folder, or an address such as s3://bucket/prefix",
            ) from None

    @contextlib.contextmanager
    def _telling(self, verb: str) -> Iterator[None]:
        from obstore.exceptions import BaseError

        try:
            yield
        except (BaseError, OSError) as error:
            raise JournalError(
                verb=f"{verb} the journal",
                subject=self.place,
                observed=_reason(error),
                action="Mend the access to it (its address and credentials), or set "
                "BYTEZ_ACCEPT_NO_JOURNAL=1 to go on without it",
            ) from None


def _version(told: Mapping[str, object]) -> dict[str, object]:
    return {name: told[name] for name in ("e_tag", "version") if told.get(name)}


def _reason(error: Exception) -> str:
    """Return what an object store says, without what it says for its own developers."""
    return printable(str(error).partition("\n\nDebug source")[0], limit=200)


# ------------------------------------------------------------------------------------ which one


def open_store(environ: Mapping[str, str], warn: Callable[[str], None]) -> Store:
    """Return the place that BYTEZ_JOURNAL names, or the platform's folder for a program's state.

    A folder that fails is a warning. A bucket that fails is an error, because who named it relies
    on it, unless BYTEZ_ACCEPT_NO_JOURNAL is 1.

    Raises:
        ConfigError: It names neither an absolute folder nor a bucket.
    """
    chosen = environ.get("BYTEZ_JOURNAL", "").strip()
    if chosen.partition("://")[0] in SCHEMES and "://" in chosen:
        bucket = Bucket(chosen)
        return Tolerant(bucket, warn) if environ.get("BYTEZ_ACCEPT_NO_JOURNAL") == "1" else bucket
    return Tolerant(Folder(_folder(chosen)), warn)


def _folder(chosen: str) -> Path:
    if not chosen:
        from platformdirs import user_state_path

        return user_state_path("bytez-provider", appauthor=False)
    folder = Path(chosen).expanduser()
    if chosen.startswith("file://"):
        folder = Path(url2pathname(urlsplit(chosen).path))
    elif "://" in chosen or not folder.is_absolute():
        kind = "is an address of an unknown kind" if "://" in chosen else "is a relative folder"
        raise ConfigError(
            verb="read the configuration",
            observed=f"BYTEZ_JOURNAL is '{printable(chosen, limit=100)}', which {kind}",
            action="Set it to an absolute folder, which is the same wherever a program or command "
            "runs, or to a bucket such as s3://bucket/prefix",
        )
    return folder
