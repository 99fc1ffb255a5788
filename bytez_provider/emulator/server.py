"""The emulator as a server in a thread of its own."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from typing import final

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from bytez_provider.emulator.app import App
from bytez_provider.emulator.service import Service

_KEEP_ALIVE_SECONDS = 75


@final
class Emulator(Service):
    """A Bytez server on a loopback port, with its controls as methods.

    A context manager. After `stop`, `start` listens on the same port again, with the same loads.

    Args:
        keys: The keys that pass; without any, every key passes.
        models: Models beside those of the vendor doc's table.
        boot_seconds: Emulated seconds from acceptance to RUNNING (vendor doc: 403).
        cluster_boot_seconds: Emulated seconds that an instance of a cluster takes to boot. The
            default is `boot_seconds` if that is given, else 40 (vendor doc: 20 to 60).
        speed: Emulated seconds in one real second, on the real clock.
        clock: A manual clock stands still until `advance`.
        state: File that keeps the loads across restarts.
        faults: A fault script, see `bytez_provider/emulator/README.md`.
        not_loaded: What `/model/status` answers for a model that is not loaded: 404, or 200
            with status "stopped".
        clusters: How clusters behave where the vendor's documents are silent or disagree.
        apis: The API versions that are answered; requests of any other get 404.
        port: Loopback port; 0 takes a free one.
        start: Emulated moment of the start; the default is now.

    Raises:
        ValueError: an argument, the fault script or the state file cannot be used.
    """

    _server: _Server | None = None
    _thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """The base address; known after the first start."""
        if not self._port:
            raise RuntimeError("the emulator has not been started")
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Listen, and return when requests are answered.

        Raises:
            OSError: the port cannot be used.
        """
        if self._thread is not None:
            raise RuntimeError("the emulator has already been started")
        # Bound here, so that a port in use is the caller's error and not the thread's. asyncio
        # turns off Nagle's delay, 40 ms a request, only if the protocol is named.
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", self._port))
        except OSError:
            listener.close()
            raise
        self._port = listener.getsockname()[1]
        self._server = _Server(App(self))
        self._thread = threading.Thread(
            target=self._server.run, args=([listener],), name="bytez-emulator", daemon=True
        )
        self._thread.start()
        self._server.ready.wait()
        if not self._server.started:
            self.stop()
            raise RuntimeError("the emulator's server did not start")

    def stop(self) -> None:
        """Cut every connection and stop listening. Does nothing if it is not running."""
        server, thread = self._server, self._thread
        self._server = self._thread = None
        if server is not None and thread is not None:
            server.end()
            thread.join()
            # On a fast clock much emulated time has passed since the last change.
            self.save()

    def __enter__(self) -> Emulator:
        """Start."""
        self.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        """Stop."""
        self.stop()


class _Protocol(H11Protocol):
    """HTTP/1.1 that lets the application cut off its connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}


class _Server(uvicorn.Server):
    """uvicorn without its polling: it stops at once, and waits for no client."""

    def __init__(self, app: App) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                loop="asyncio",
                http=_Protocol,
                ws="none",
                lifespan="off",
                log_config=None,
                log_level=logging.CRITICAL,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                date_header=False,
                timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            )
        )
        self.ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._end: asyncio.Event | None = None

    def end(self) -> None:
        """End the server's thread. From another thread."""
        if self._loop is not None and self._end is not None:
            self._loop.call_soon_threadsafe(self._end.set)

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until `end`; set `ready` even if the start fails."""
        try:
            super().run(sockets)
        finally:
            self.ready.set()

    async def main_loop(self) -> None:
        """Serve until `end`."""
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        self.ready.set()
        await self._end.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening and cut every connection."""
        for server in self.servers:
            server.close()
        for sock in sockets or []:
            sock.close()
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        # A delayed request may wait for a clock that nobody advances any more.
        tasks = list(self.server_state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
