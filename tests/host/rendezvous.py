"""Where the test meets code in the host's process, so that no test has to sleep.

A probe connects and waits until the test lets it go on. If N probes have connected and none has
gone on, N calls are in flight.
"""

from __future__ import annotations

import socket
from typing import final

_PATIENCE_SECONDS = 60.0


class Guest:
    """One end of a meeting."""

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(_PATIENCE_SECONDS)
        self._connection = connection
        self._lines = connection.makefile("r", encoding="utf-8")

    def say(self, word: str) -> None:
        """Send one line."""
        self._connection.sendall(f"{word}\n".encode())

    def hear(self) -> str:
        """Wait for one line; "" if the other end is gone."""
        return self._lines.readline().rstrip("\n")

    def close(self) -> None:
        """Close the connection."""
        self._lines.close()
        self._connection.close()


def meet(address: str) -> Guest:
    """Connect to the test at "host:port"."""
    host, _, port = address.rpartition(":")
    return Guest(socket.create_connection((host, int(port)), timeout=_PATIENCE_SECONDS))


@final
class Rendezvous:
    """The test's side."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=512)
        self._socket.settimeout(_PATIENCE_SECONDS)
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self._guests: list[Guest] = []

    def __enter__(self) -> Rendezvous:
        return self

    def __exit__(self, *_exception: object) -> None:
        for guest in self._guests:
            guest.close()
        self._socket.close()

    def await_guests(self, count: int) -> list[Guest]:
        """Wait until `count` probes have connected."""
        came = [Guest(self._socket.accept()[0]) for _ in range(count)]
        self._guests += came
        return came
