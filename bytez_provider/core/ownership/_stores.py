"""Where records are kept: a folder of this machine, or a bucket that machines share.

Both do the same three things. A write succeeds only if the record is still the one that was read,
so that of two deployments that act on one load, one is refused.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import urlsplit
from urllib.request import url2pathname

from bytez_provider.base.clock import Clock, SystemClock
from bytez_provider.base.errors import ConfigError, JournalError, printable
from bytez_provider.base.files import replace_file

if TYPE_CHECKING:
    from obstore.store import BackoffConfig, ObjectStore

_BUCKETS: Final = {"s3": "AWS_", "gs": "GOOGLE_", "az": "AZURE_"}
"""The kinds of buckets, and how the names of their variables begin; `file` is a folder."""

_SHARDS = 16
_READERS = 16
_TIMEOUT_SECONDS = 10.0
"""How long one answer of a bucket may take."""
_RETRY_SECONDS = 15.0
"""For how long a bucket that fails is asked again; the last answer may take its whole time too."""
_BACKOFF: Final[BackoffConfig] = {
    "init_backoff": timedelta(seconds=0.5),
    "max_backoff": timedelta(seconds=4),
    "base": 2,
}
_DOWN_SECONDS = 5.0
"""A bucket that was asked in vain for this long is down."""
_REST_SECONDS = 30.0
"""For how long one that is down is not asked again: one deployment asks many times."""


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

    def __init__(self, url: str, clock: Clock | None = None) -> None:
        self._url = url
        self._clock = clock or SystemClock()
        self._store = self._open()
        self._rests_until = 0.0
        self._last_failure: JournalError | None = None

    @property
    def place(self) -> str:
        """The address, without what may be a secret in it."""
        parts = urlsplit(self._url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    def read(self, name: str) -> Stored:
        """Return what is kept under a name."""
        import obstore

        with self._asking("read"):
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
        with self._asking("write"):
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

        with self._asking("read"):
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
        parts = urlsplit(self._url)
        if "@" in parts.netloc or parts.query or parts.fragment:
            # obstore passes over them: another server would be asked than the one that is meant.
            raise self._unusable(
                "it may have no user, `?` or `#`",
                "Name the bucket and a folder in it, and give the rest in the environment, such as "
                "AWS_REGION and AWS_ENDPOINT_URL",
            )
        # What is given here stands for all of these options, also for what the environment says.
        may_be_plain = os.environ.get(_BUCKETS[parts.scheme] + "ALLOW_HTTP", "").lower() == "true"
        timeout, retry = timedelta(seconds=_TIMEOUT_SECONDS), timedelta(seconds=_RETRY_SECONDS)
        try:
            return from_url(
                self._url,
                client_options={"timeout": timeout, "allow_http": may_be_plain},
                retry_config={"backoff": _BACKOFF, "retry_timeout": retry},
            )
        except (BaseError, ValueError, TypeError) as error:
            raise self._unusable(
                f"it {_reason(error)}",
                "Name a bucket such as s3://bucket/folder (for az:// set AZURE_STORAGE_ACCOUNT_NAME"
                " too), or an absolute folder",
            ) from None

    def _unusable(self, why: str, action: str) -> ConfigError:
        return ConfigError(
            verb="read the configuration",
            observed=f"BYTEZ_JOURNAL is '{printable(self.place, limit=100)}', which cannot be "
            f"used: {why}",
            action=action,
        )

    @contextlib.contextmanager
    def _asking(self, verb: str) -> Iterator[None]:
        from obstore.exceptions import BaseError

        start = self._clock.monotonic()
        if self._last_failure is not None and start < self._rests_until:
            raise self._last_failure.restated(verb=f"{verb} the journal")
        try:
            yield
        except (BaseError, OSError) as error:
            failure = JournalError(
                verb=f"{verb} the journal",
                observed=f"{self.place}, the bucket of BYTEZ_JOURNAL, {_reason(error)}",
                action="Mend the access to it (its address and credentials), or set "
                "BYTEZ_ACCEPT_NO_JOURNAL=1 to go on without it",
            )
            now = self._clock.monotonic()
            if now - start >= _DOWN_SECONDS:
                self._last_failure, self._rests_until = failure, now + _REST_SECONDS
            raise failure from None


_STATUS = re.compile(r"status code: (\d{3}(?: [A-Z][A-Za-z-]*)*)")
_CODE = re.compile(r"<Code>(\w{1,60})</Code>")
_ATTEMPT = re.compile(r"Error performing [A-Z]+ \S+ in .*? - ")
_ADDRESS = re.compile(r"[a-z]+://[^\s\"']+")


def _version(told: Mapping[str, object]) -> dict[str, object]:
    return {name: told[name] for name in ("e_tag", "version") if told.get(name)}


def _reason(error: Exception) -> str:
    """Return what an object store says, for people.

    Its own text is long, and may hold secrets: an address with a signature in it, or what of a
    request was signed.
    """
    text, _, detail = str(error).partition("\n\nDebug source")
    status, code = _STATUS.search(text), _CODE.search(text)
    if status is not None:
        return f"answered HTTP {status[1]}" + (f" ({code[1]})" if code else "")
    if "kind: Timeout" in detail:
        return f"did not answer within {_TIMEOUT_SECONDS:.0f} s"
    if "kind: Connect" in detail:
        return "could not be reached"
    return f"failed: {printable(_ADDRESS.sub('its address', _ATTEMPT.sub('', text)), limit=200)}"


# ------------------------------------------------------------------------------------ which one


def open_store(environ: Mapping[str, str], warn: Callable[[str], None]) -> Store:
    """Return the place that BYTEZ_JOURNAL names, or the platform's folder for a program's state.

    A folder that fails is a warning. A bucket that fails is an error, because who named it relies
    on it, unless BYTEZ_ACCEPT_NO_JOURNAL is 1.

    Raises:
        ConfigError: It names neither an absolute folder nor a bucket.
    """
    chosen = environ.get("BYTEZ_JOURNAL", "").strip()
    scheme, is_address, _ = chosen.partition("://")
    if is_address and scheme in _BUCKETS:
        bucket = Bucket(chosen)
        return Tolerant(bucket, warn) if environ.get("BYTEZ_ACCEPT_NO_JOURNAL") == "1" else bucket
    return Tolerant(Folder(_folder(chosen)), warn)


def _folder(chosen: str) -> Path:
    if not chosen:
        from platformdirs import user_state_path

        return user_state_path("bytez-provider", appauthor=False)
    name = url2pathname(chosen.removeprefix("file://")) if chosen[:7] == "file://" else chosen
    folder = Path(name)
    with contextlib.suppress(RuntimeError):  # There is no such user.
        folder = folder.expanduser()
    if "://" in name or not folder.is_absolute():
        kind = "is an address of an unknown kind" if "://" in name else "is a relative folder"
        raise ConfigError(
            verb="read the configuration",
            observed=f"BYTEZ_JOURNAL is '{printable(chosen, limit=100)}', which {kind}",
            action="Set it to an absolute folder, which is the same wherever a program or command "
            "runs, or to a bucket such as s3://bucket/prefix",
        )
    return folder
