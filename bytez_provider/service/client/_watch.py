"""The time a whole answer may take, and whether its request went out."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from collections.abc import Iterator
from typing import Any

import urllib3
from requests.adapters import HTTPAdapter


class Watch:
    """Ends an exchange whose time is over, by shutting its socket.

    A read timeout measures silence only: a server that sends one byte now and then, in the
    headers even, would hold a deployment for ever.

    Attributes:
        sent: Whether the request has gone out whole.
        fired: Whether the time was over before the exchange was.
    """

    _of_thread = threading.local()

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.sent = False
        self.fired = False
        self._socket: socket.socket | None = None
        self._timer = threading.Timer(seconds, self._fire)
        self._timer.daemon = True

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Start the time, and be the watch that this thread's connections report to."""
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
                # Of the plain socket: the TLS one would first drop what its reader is using.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


def _is_no_header_echo(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith("Failed to parse headers")


# urllib3 logs a broken header as it came, and a server may have put the key in it.
logging.getLogger("urllib3.connection").addFilter(_is_no_header_echo)


class WatchedAdapter(HTTPAdapter):
    """An adapter whose connections report to the watch of their thread."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the pools of direct connections."""
        super().init_poolmanager(*args, **kwargs)
        _watch_pools(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """Return the pools of connections through a proxy."""
        is_new = proxy not in self.proxy_manager
        manager = super().proxy_manager_for(proxy, **kwargs)
        if is_new:
            _watch_pools(manager)
        return manager


class _Reporting:
    """Put before a connection class: says when the request is out and the answer is awaited."""

    sock: socket.socket

    def getresponse(self) -> Any:
        Watch.request_is_out(self.sock)
        return super().getresponse()  # type: ignore[misc]  # of the class it is put before


def _watch_pools(manager: urllib3.PoolManager) -> None:
    # Made from the classes that are there: those of a SOCKS proxy are others.
    pools: dict[str, Any] = dict(manager.pool_classes_by_scheme)
    for scheme, pool in pools.items():
        connection = type("Connection", (_Reporting, pool.ConnectionCls), {})
        pools[scheme] = type("Pool", (pool,), {"ConnectionCls": connection})
    manager.pool_classes_by_scheme = pools
