"""The emulator as a server in a thread of its own."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, final

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from bytez_provider.emulator.app import App
from bytez_provider.emulator.catalogue import Row
from bytez_provider.emulator.service import Service

_KEEP_ALIVE_SECONDS = 75


@final
class Emulator(Service):
    """A Bytez server on a loopback port, with its controls as methods.

    A context manager. Started again after `stop`, it listens on the same port, and what was
    loaded still is.

    Args:
        keys: The keys that pass; with none given any key does.
        models: Models that there are beside those of the seed's catalogue.
        boot_seconds: Emulated seconds from acceptance to RUNNING (seed: 403).
        speed: Emulated seconds in one real second, on the real clock.
        clock: A manual clock stands still until `advance`.
        state: File that keeps the loads over a restart.
        faults: A fault script, see `bytez_provider/emulator/README.md`.
        not_loaded: What `/model/status` answers for a model that is not loaded: 404, or 200
            with status "stopped".
        port: Loopback port; 0 takes a free one.
        start: Emulated moment of the start; the present when left out.

    Raises:
        ValueError: an argument, the fault script or the state file cannot be used.
    """

    def __init__(  # noqa: PLR0913 - each is an option of the command too
        self,
        *,
        keys: Sequence[str] = (),
        models: Sequence[Row] = (),
        boot_seconds: float = 403,
        speed: float = 1,
        clock: Literal["real", "manual"] = "real",
        state: Path | None = None,
        faults: Sequence[Mapping[str, Any]] = (),
        not_loaded: Literal["404", "stopped"] = "404",
        port: int = 0,
        start: datetime | None = None,
    ) -> None:
        super().__init__(
            keys=keys,
            models=models,
            boot_seconds=boot_seconds,
            speed=speed,
            clock=clock,
            state=state,
            faults=faults,
            not_loaded=not_loaded,
            start=start,
        )
        self._port = port
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """The base address, known once it has been started."""
        if not self._port:
            raise RuntimeError("the emulator has not been started")
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Listen, and return when requests are answered.

        Raises:
            OSError: the port cannot be had.
        """
        if self._thread is not None:
            raise RuntimeError("the emulator has already been started")
        # Bound here, so that a port that is taken is the caller's error and not the thread's.
        # The protocol is named because asyncio switches Nagle's delay off only where it is: 40 ms a
        # request.
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
        """Cut every connection and stop listening. Does nothing when it is not running."""
        server, thread = self._server, self._thread
        self._server = self._thread = None
        if server is not None and thread is not None:
            server.end()
            thread.join()
            # Where it runs fast, emulated time is far from that of the last change.
            self.save()

    def __enter__(self) -> Emulator:
        """Start."""
        self.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        """Stop."""
        self.stop()


class _Protocol(H11Protocol):
    """HTTP/1.1 that lets the application cut its connection off."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}


class _Server(uvicorn.Server):
    """uvicorn without its polling: it stops at once, and does not wait for anybody."""

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
        """Let the server's thread come to its end. From another thread."""
        if self._loop is not None and self._end is not None:
            self._loop.call_soon_threadsafe(self._end.set)

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until told to end; whoever waits for it to be ready is never left waiting."""
        try:
            super().run(sockets)
        finally:
            self.ready.set()

    async def main_loop(self) -> None:
        """Serve until told to end."""
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
        # A delayed request may wait for a clock that nobody will move any more.
        tasks = list(self.server_state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
