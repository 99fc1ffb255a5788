"""One exchange: one request out, one bounded answer back.

Nothing here raises for what the network or the server does. It is returned instead, so that no
error of ours is raised where an exception of requests, which knows the key, is being handled.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urldefrag, urljoin, urlsplit

import requests
import urllib3
from requests.utils import get_environ_proxies
from urllib3.exceptions import DecodeError

from bytez_provider import __version__
from bytez_provider.base.clock import Clock
from bytez_provider.base.errors import printable
from bytez_provider.service.client._mishaps import MISHAPS, NoAnswer, no_answer, out_of_time
from bytez_provider.service.client._watch import Watch, WatchedAdapter
from bytez_provider.service.schemas import in_utc
from bytez_provider.service.settings import Settings
from bytez_provider.service.wire import SignedRequest


@dataclass(frozen=True)
class Limits:
    """Where patience with a server ends. Times are real seconds: sockets know no other."""

    connect_seconds: float = 10
    read_seconds: float = 30
    """Silence of the server."""
    whole_seconds: float = 120
    """A whole answer, however steadily it drips."""
    run_seconds: float = 300
    """Silence before and within generated text."""
    body_bytes: int = 256 * 1024
    """An answer about one model, of which there may be hundreds at once; a real one has half a
    kilobyte. Counted decoded, so that a small answer that unpacks to a large one is caught too."""
    list_bytes: int = 4 * 1024 * 1024
    """An answer about all models: some 30,000 of them. Read, it takes up to fifty times that."""
    redirects: int = 3


LIMITS: Final = Limits()

_PIECE_BYTES = 16 * 1024
_POOL_SIZE = 1024
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_CHECK_ENDPOINT = "Check bytez:endpoint"


@dataclass(frozen=True)
class Answer:
    """A whole answer."""

    status: int
    headers: Mapping[str, str]
    """Names as compared by requests: in any case."""
    body: bytes


@dataclass(frozen=True)
class BadAnswer:
    """An answer that is not taken."""

    reason: str
    status: int
    action: str = _CHECK_ENDPOINT


class Transport:
    """Exchanges with one endpoint, from any number of threads.

    On an adapter of requests rather than a session: no cookies, no `.netrc`, no redirects but ours.
    """

    def __init__(self, settings: Settings, clock: Clock, limits: Limits = LIMITS) -> None:
        self._settings = settings
        self._clock = clock
        self._limits = limits
        self._adapter = WatchedAdapter(pool_maxsize=_POOL_SIZE)
        # A proxy is another machine, and plain http is for this one only.
        self._proxies = {} if settings.on_loopback else get_environ_proxies(settings.endpoint)
        self._verify: str | bool = (
            os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True
        )
        self._dated: tuple[datetime, float] | None = None

    def server_now(self) -> datetime:
        """Return the time by the last `Date` header; by the wall clock before there was one."""
        if self._dated is None:
            return self._clock.now()
        date, seen = self._dated
        return date + timedelta(seconds=self._clock.monotonic() - seen)

    def exchange(self, request: SignedRequest) -> Answer | NoAnswer | BadAnswer:
        """Send a request and read its answer."""
        opened = self.open(request, streamed=False)
        return opened.whole() if isinstance(opened, Opened) else opened

    def open(self, request: SignedRequest, *, streamed: bool) -> Opened | NoAnswer | BadAnswer:
        """Send a request, follow redirects on the same origin, and return the answer to read.

        Args:
            request: The request; method and body stay the same at a redirect.
            streamed: For generated text, which takes its time and has no known end.
        """
        url = self._settings.endpoint + request.path
        redirects = 0
        while True:
            opened = self._send(url, request, streamed)
            if not isinstance(opened, Opened) or opened.status not in _REDIRECTS:
                return opened
            opened.close()
            if redirects == self._limits.redirects:
                return BadAnswer(f"redirects more than {redirects} times", opened.status)
            target = self._redirect_target(url, opened)
            if isinstance(target, BadAnswer):
                return target
            url = target
            redirects += 1

    def close(self) -> None:
        """Close the connections that are not in use."""
        self._adapter.close()

    def _send(
        self, url: str, request: SignedRequest, streamed: bool
    ) -> Opened | NoAnswer | BadAnswer:
        limits = self._limits
        silence = limits.run_seconds if streamed else limits.read_seconds
        watch = Watch(limits.run_seconds if streamed else limits.whole_seconds)
        headers = {
            "Accept": "*/*",
            # A server may compress all the same, and is understood; but text should not be held
            # back to fill a block.
            "Accept-Encoding": "identity",
            "User-Agent": f"bytez-provider/{__version__}",
            **request.headers,
        }
        try:
            with watch.watching():
                response = self._adapter.send(
                    requests.Request(request.method, url, headers, data=request.data).prepare(),
                    stream=True,
                    timeout=(limits.connect_seconds, silence),
                    verify=self._verify,
                    proxies=self._proxies,
                )
        except MISHAPS as error:
            watch.end()
            return no_answer(error, watch, silence)
        if streamed and 200 <= response.status_code < 300:
            watch.end()  # From here on silence is what counts: text takes as long as it takes.
        self._note_date(response.headers.get("Date"))
        most_bytes = limits.list_bytes if request.is_of_many else limits.body_bytes
        return Opened(response, watch, most_bytes, silence)

    def _note_date(self, date: str | None) -> None:
        moment = http_date(date or "")
        if moment is not None:
            self._dated = (moment, self._clock.monotonic())

    def _redirect_target(self, url: str, opened: Opened) -> str | BadAnswer:
        location = opened.headers.get("Location", "")
        key = self._settings.key
        if not location or (key is not None and key.appears_in(location)):
            return BadAnswer("redirects, and does not say where to", opened.status)
        try:
            target = urldefrag(urljoin(url, location)).url
            if _origin(target) == _origin(url):
                return target
            scheme, host, port = _origin(target)
        except ValueError:
            return BadAnswer("redirects to what is no address", opened.status)
        where = printable(f"{scheme}://{host}:{port}", limit=100)
        return BadAnswer(
            f"redirects to {where}, and the key is not sent to another host",
            opened.status,
            "If that is the service, set bytez:endpoint to its address",
        )


class Opened:
    """An answer of which status and headers are read, and the body is not."""

    def __init__(
        self, response: requests.Response, watch: Watch, most_bytes: int, silence: float
    ) -> None:
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers
        self._response = response
        self._watch = watch
        self._most_bytes = most_bytes
        self._silence = silence

    def pieces(self) -> Iterator[bytes | NoAnswer | BadAnswer]:
        """Yield the body as it comes; the last item says so when it ended before its time."""
        try:
            while piece := self._piece():
                yield piece
                if not isinstance(piece, bytes):
                    return
        finally:
            self.close()

    def whole(self) -> Answer | NoAnswer | BadAnswer:
        """Read the whole body."""
        body = bytearray()
        for piece in self.pieces():
            if not isinstance(piece, bytes):
                return piece
            body += piece
            if len(body) > self._most_bytes:
                self.close()
                return BadAnswer(f"answers with more than {self._most_bytes} bytes", self.status)
        return Answer(self.status, self.headers, bytes(body))

    def close(self) -> None:
        """Let go of the connection; one that is not read to its end is closed."""
        self._watch.end()
        self._response.close()

    def _piece(self) -> bytes | NoAnswer | BadAnswer:
        raw: urllib3.HTTPResponse = self._response.raw
        try:
            # read1, because read would wait for a whole piece, for as long as any byte comes.
            piece = raw.read1(_PIECE_BYTES, decode_content=True)
        except DecodeError:
            return BadAnswer("answers with broken compression", self.status)
        except MISHAPS as error:
            return no_answer(error, self._watch, self._silence)
        if not piece and self._watch.fired:
            return out_of_time(self._watch)
        return piece


def http_date(text: str) -> datetime | None:
    """Read a date as HTTP writes them; None when it is not one."""
    with contextlib.suppress(ValueError, TypeError, OverflowError):
        # A zone of "-0000" reads as none; HTTP knows GMT only.
        return in_utc(parsedate_to_datetime(text))
    return None


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    if parts.username is not None or parts.password is not None:
        raise ValueError("an address with a user in it")
    default = {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, parts.hostname or "", parts.port or default
