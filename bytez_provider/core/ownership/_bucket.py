"""A bucket as the store of records."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from bytez_provider.base.clock import Clock, SystemClock
from bytez_provider.base.errors import ConfigError, JournalError, printable
from bytez_provider.core.ownership._stores import NOTHING, ChangedError, Stored

if TYPE_CHECKING:
    from obstore.store import BackoffConfig, ObjectStore

KINDS: Final = {"s3": "AWS_", "gs": "GOOGLE_", "az": "AZURE_"}
"""The schemes of buckets, and how the names of their variables begin."""

_READERS = 16
_TIMEOUT_SECONDS = 10.0
"""How long one answer may take."""
_RETRY_SECONDS = 15.0
"""How long a bucket that fails is retried; the last answer may take its whole time too."""
_BACKOFF: Final[BackoffConfig] = {
    "init_backoff": timedelta(seconds=0.5),
    "max_backoff": timedelta(seconds=4),
    "base": 2,
}
_DOWN_SECONDS = 5.0
"""A bucket that has failed for this long is down."""
_REST_SECONDS = 30.0
"""How long a bucket that is down gets no request: one deployment would send many."""


class Bucket:
    """Records in an object store, with the credentials of obstore's environment variables.

    An object store deletes without a condition, so a removed record is emptied instead. Every
    method raises JournalError if the store does not answer as it must.

    Raises:
        ConfigError: The address cannot be used, or obstore is not installed.
    """

    is_shared = True

    def __init__(self, url: str, clock: Clock | None = None) -> None:
        parts = urlsplit(url)
        # Without anything that may be a secret.
        self.place = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
        if "@" in parts.netloc or parts.query or parts.fragment:
            # obstore ignores them, and would send requests to another server.
            raise self._unusable(
                "it may have no user, `?` or `#`",
                "Name the bucket and a folder in it, and set the rest in the environment, such as "
                "AWS_REGION and AWS_ENDPOINT_URL",
            )
        self._store = self._open(url, KINDS[parts.scheme])
        self._clock = clock or SystemClock()
        self._rests_until = 0.0
        self._last_failure: JournalError | None = None

    def read(self, name: str) -> Stored:
        """Return what is kept under a name."""
        import obstore

        with self._asking("read"):
            try:
                found = obstore.get(self._store, name)
                return Stored(bytes(found.bytes()) or None, _version(found.meta))
            except FileNotFoundError:
                return NOTHING

    def write(self, name: str, content: bytes | None, version: object, *, durable: bool) -> Stored:
        """Replace what was read; None removes it."""
        import obstore
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        new = content or b""
        with self._asking("write"):
            try:
                mode = "create" if version is None else version
                put = obstore.put(self._store, name, new, mode=mode)  # type: ignore[arg-type]
            except (AlreadyExistsError, PreconditionError):
                # It may have been this very write, whose first answer was lost.
                now = self.read(name)
                if (now.content or b"") != new or now.version is None:
                    raise ChangedError(name) from None
                return now
        return Stored(content, _version(put))

    def read_all(self) -> dict[str, Stored]:
        """Return everything that is kept, by name."""
        import obstore

        with self._asking("read"):
            names = [one["path"] for one in obstore.list(self._store).collect() if one["size"]]
        with ThreadPoolExecutor(_READERS) as pool:
            return dict(zip(names, pool.map(self.read, names), strict=True))

    def _open(self, url: str, variables: str) -> ObjectStore:
        try:
            from obstore.exceptions import BaseError
            from obstore.store import from_url
        except ImportError:
            raise ConfigError(
                verb="read the configuration",
                observed="the journal is a bucket, and the package obstore is not installed",
                action="Install it with `pip install 'bytez-provider[bucket]'`",
            ) from None
        # These options replace those of the environment.
        allow_http = os.environ.get(f"{variables}ALLOW_HTTP", "").lower() == "true"
        timeout, retry = timedelta(seconds=_TIMEOUT_SECONDS), timedelta(seconds=_RETRY_SECONDS)
        try:
            return from_url(
                url,
                client_options={"timeout": timeout, "allow_http": allow_http},
                retry_config={"backoff": _BACKOFF, "retry_timeout": retry},
            )
        except (BaseError, ValueError, TypeError) as error:
            raise self._unusable(
                f"it {_reason(error)}",
                "Name a bucket such as s3://bucket/folder (for az:// set AZURE_STORAGE_ACCOUNT_NAME"
                " too), or an absolute folder",
            ) from None

    def _unusable(self, why: str, action: str) -> ConfigError:
        place = printable(self.place, limit=100)
        return ConfigError(
            verb="read the configuration",
            observed=f"the journal is set to '{place}', which cannot be used: {why}",
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
                observed=f"{self.place}, the bucket of the journal, {_reason(error)}",
                action="Check its address and credentials, or set BYTEZ_ACCEPT_NO_JOURNAL=1 to "
                "deploy without it",
            )
            now = self._clock.monotonic()
            if now - start >= _DOWN_SECONDS:
                self._last_failure, self._rests_until = failure, now + _REST_SECONDS
            raise failure from None


_STATUS = re.compile(r"status code: (\d{3}(?: [A-Z][A-Za-z-]*)*)")
_CODE = re.compile(r"<Code>(\w{1,60})</Code>")
_ATTEMPT = re.compile(r"Error performing [A-Z]+ \S+ in .*? - ")
_ADDRESS = re.compile(r"[a-z]+://[^\s\"']+")


def _version(meta: Mapping[str, object]) -> dict[str, object]:
    return {name: meta[name] for name in ("e_tag", "version") if meta.get(name)}


def _reason(error: Exception) -> str:
    """Return an object store's error for people.

    Its own text is long, and may hold secrets: a signed address, or the signed parts of a request.
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
