"""One exchange: one request out, one bounded answer back.

Nothing here raises for what the network or the server does; it is returned. So no error of ours
is raised while an exception of requests, which knows the key, is being handled.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urldefrag, urljoin, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.exceptions import ConnectTimeout, InvalidProxyURL, InvalidSchema, ProxyError
from requests.utils import get_environ_proxies
from urllib3.exceptions import DecodeError, HTTPError, NameResolutionError, ReadTimeoutError

from bytez_provider import __version__
from bytez_provider.base.clock import Clock
from bytez_provider.base.errors import printable
from bytez_provider.service.client._results import Answer, BadAnswer, NoAnswer, http_date
from bytez_provider.service.settings import Settings
from bytez_provider.service.wire import Request


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
    """An answer about one model; a real one has half a kilobyte, and hundreds may come at once.
    Counted after decompression."""
    list_bytes: int = 4 * 1024 * 1024
    """An answer about all models: some 30,000 of them. Parsed, it takes up to fifty times that."""
    redirects: int = 3


LIMITS: Final = Limits()

_PIECE_BYTES = 16 * 1024
_POOL_SIZE = 1024
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class Transport:
    """Exchanges with one endpoint, from any number of threads.

    Uses an adapter of requests rather than a session: no cookies, no `.netrc`, no redirects but
    ours.
    """

    def __init__(self, settings: Settings, clock: Clock, limits: Limits = LIMITS) -> None:
        self._settings = settings
        self._clock = clock
        self._limits = limits
        self._adapter = _WatchedAdapter(pool_maxsize=_POOL_SIZE)
        # A proxy is another machine, and plain http is for this one only.
        self._proxies = {} if settings.on_loopback else get_environ_proxies(settings.endpoint)
        self._verify: str | bool = (
            os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True
        )
        self._dated: tuple[datetime, float] | None = None

    def server_now(self) -> datetime:
        """Return the time by the last `Date` header; before there was one, by the wall clock."""
        if self._dated is None:
            return self._clock.now()
        date, seen = self._dated
        return date + timedelta(seconds=self._clock.monotonic() - seen)

    def exchange(self, request: Request) -> Answer | NoAnswer | BadAnswer:
        """Send a request and read its answer."""
        opened = self.open(request, streamed=False)
        return opened.whole() if isinstance(opened, Opened) else opened

    def open(self, request: Request, *, streamed: bool) -> Opened | NoAnswer | BadAnswer:
        """Send a request, follow redirects on the same origin, and return the answer to read.

        Args:
            request: The request; a redirect repeats it with the same method and body.
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

    def _send(self, url: str, request: Request, streamed: bool) -> Opened | NoAnswer | BadAnswer:
        limits = self._limits
        silence = limits.run_seconds if streamed else limits.read_seconds
        watch = Watch(limits.run_seconds if streamed else limits.whole_seconds)
        headers = {
            "Accept": "*/*",
            # A compressed answer is understood all the same; but a server that compresses may
            # hold back text to fill a block.
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
        except _MISHAPS as error:
            watch.end()
            return _no_answer(error, watch, silence)
        if streamed and 200 <= response.status_code < 300:
            watch.end()  # From here on only silence counts: text takes as long as it takes.
        if (date := http_date(response.headers.get("Date", ""))) is not None:
            self._dated = (date, self._clock.monotonic())
        most_bytes = limits.list_bytes if request.is_list else limits.body_bytes
        return Opened(response, watch, most_bytes, silence)

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
            return BadAnswer("redirects to an address that is not valid", opened.status)
        where = printable(f"{scheme}://{host}:{port}", limit=100)
        return BadAnswer(
            f"redirects to {where}, and the key is not sent to another host",
            opened.status,
            "If that is the service, set bytez:endpoint to its address",
        )


class Opened:
    """An answer whose status and headers are read, and whose body is not."""

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
        """Yield the body as it comes; if it ends too early, the last item says so."""
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
        """Release the connection, or close it if it was not read to its end."""
        self._watch.end()
        self._response.close()

    def _piece(self) -> bytes | NoAnswer | BadAnswer:
        raw: urllib3.HTTPResponse = self._response.raw
        try:
            # read1, because read would wait for a whole piece, for as long as any byte comes.
            piece = raw.read1(_PIECE_BYTES, decode_content=True)
        except DecodeError:
            return BadAnswer("answers with broken compression", self.status)
        except _MISHAPS as error:
            return _no_answer(error, self._watch, self._silence)
        if not piece and self._watch.fired:
            return _out_of_time(self._watch)
        return piece


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    if parts.username is not None or parts.password is not None:
        raise ValueError("an address with a user in it")
    default = {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, parts.hostname or "", parts.port or default


# ---------------------------------------------------------------------- why there is no answer
# In our own words: those of the libraries quote addresses and headers.

_MISHAPS: Final = (requests.RequestException, HTTPError, OSError, ValueError)
"""What requests and urllib3 raise between them; some of it is only a ValueError."""
_CERTIFICATE_ACTIONS: Final = {
    # OpenSSL's X509_V_ERR_: not yet valid, expired; another host, another address.
    **dict.fromkeys((9, 10), "Check the date of this machine, then report it to the service"),
    **dict.fromkeys(
        (62, 64), "Check that bytez:endpoint is the address of the service, and what answers there"
    ),
}
_PROXY_REASONS: Final[tuple[tuple[type[Exception], str, bool], ...]] = (
    (ProxyError, "the proxy let no connection through", True),
    (InvalidProxyURL, "the address of the proxy cannot be used", False),
    # This too is about the proxy: an endpoint is known to be http or https.
    (InvalidSchema, "the address of the proxy cannot be used", False),
)
"""The last value: whether another try may succeed."""
_REASONS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (ConnectTimeout, "no connection was made in time"),
    (ReadTimeoutError, "nothing came for {silence:g} s"),
    (NameResolutionError, "its host name has no address"),
    (ConnectionRefusedError, "the connection was refused"),
    (ssl.SSLError, "no TLS connection could be made"),
    (requests.exceptions.ConnectionError, "the connection broke off"),
    (HTTPError, "the connection broke off"),
)
"""The first that occurs in an error is its reason."""


def _no_answer(error: Exception, watch: Watch, silence: float) -> NoAnswer:
    """Return what an exception of the libraries means; `silence` is the seconds it may last."""
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            reason = f"its TLS certificate is not accepted ({printable(cause.verify_message)})"
            action = "Name the right certificate authority with REQUESTS_CA_BUNDLE"
            action = _CERTIFICATE_ACTIONS.get(cause.verify_code, action)
            return NoAnswer(reason, sent=False, passing=False, action=action)
    if watch.fired:
        return _out_of_time(watch)
    for kind, reason, passing in _PROXY_REASONS:
        if isinstance(error, kind):
            action = "Check HTTPS_PROXY and NO_PROXY"
            return NoAnswer(reason, sent=False, passing=passing, action=action)
    for kind, reason in _REASONS:
        if any(isinstance(cause, kind) for cause in causes):
            is_silent = kind is ReadTimeoutError
            return NoAnswer(reason.format(silence=silence), watch.sent, silent=is_silent)
    if type(error) is OSError:  # How requests reports a missing CA bundle.
        action = "Check REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE"
        return NoAnswer("the CA bundle cannot be read", sent=False, passing=False, action=action)
    reason = f"the request could not be made ({type(error).__name__})"
    return NoAnswer(reason, watch.sent, passing=False)


def _out_of_time(watch: Watch) -> NoAnswer:
    return NoAnswer(f"the answer was not whole within {watch.seconds:g} s", watch.sent, silent=True)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and all errors that it was made of."""
    left, seen = [error], set[int]()
    while left:
        one = left.pop(0)
        if id(one) not in seen:
            seen.add(id(one))
            yield one
            inner = [*one.args, getattr(one, "reason", None), one.__cause__, one.__context__]
            left += [part for part in inner if isinstance(part, BaseException)]


# ------------------------------------------------------------- the time of a whole exchange


class Watch:
    """Ends an exchange whose time is over, by shutting its socket.

    A read timeout measures silence only: a server that sends a byte now and then, even in the
    headers, would hold a deployment for ever.
    """

    _of_thread = threading.local()

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.sent = False
        """Whether the whole request has gone out."""
        self.fired = False
        """Whether the time was over before the exchange was."""
        self._socket: socket.socket | None = None
        self._timer = threading.Timer(seconds, self._fire)
        self._timer.daemon = True

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Start the time; the connections of this thread report to this watch."""
        self._of_thread.watch = self
        self._timer.start()
        try:
            yield
        finally:
            self._of_thread.watch = None

    @classmethod
    def request_is_out(cls, connected: socket.socket) -> None:
        """Note that this thread's request has been sent on a socket."""
        watch: Watch | None = getattr(cls._of_thread, "watch", None)
        if watch is not None:
            watch.sent = True
            watch._socket = connected
            if watch.fired:
                watch._fire()

    def end(self) -> None:
        """Stop watching."""
        self._timer.cancel()

    def _fire(self) -> None:
        self.fired = True
        if self._socket is not None:
            with contextlib.suppress(OSError):
                # The plain method: that of a TLS socket first drops what its reader is using.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


class _WatchedAdapter(HTTPAdapter):
    """An adapter whose connections report to the watch of their thread."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        _watch_pools(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        is_new = proxy not in self.proxy_manager
        manager = super().proxy_manager_for(proxy, **kwargs)
        if is_new:
            _watch_pools(manager)
        return manager


class _Reporting:
    """Mixed into a connection class: reports when the request is out."""

    sock: socket.socket

    def getresponse(self) -> Any:
        Watch.request_is_out(self.sock)
        return super().getresponse()  # type: ignore[misc]  # of the connection class


def _watch_pools(manager: urllib3.PoolManager) -> None:
    # Derived from the manager's own classes: those of a SOCKS proxy are others.
    pools: dict[str, Any] = dict(manager.pool_classes_by_scheme)
    for scheme, pool in pools.items():
        connection = type("Connection", (_Reporting, pool.ConnectionCls), {})
        pools[scheme] = type("Pool", (pool,), {"ConnectionCls": connection})
    manager.pool_classes_by_scheme = pools


def _is_no_header_echo(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith("Failed to parse headers")


# urllib3 logs a broken header as it came, and a server may have put the key in it.
logging.getLogger("urllib3.connection").addFilter(_is_no_header_echo)
