"""Where code in the host's process and the test meet, so that no test has to sleep.

The probe says that it has come to a point and stands there until the test lets it go on. A test
that has met N probes, and let none of them go, knows that N calls are in flight at once.
"""

from __future__ import annotations

import socket
from types import TracebackType
from typing import final

_PATIENCE_SECONDS = 60.0


class Guest:
    """One end of a meeting."""

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(_PATIENCE_SECONDS)
        self._connection = connection
        self._lines = connection.makefile("r", encoding="utf-8")

    def say(self, word: str) -> None:
        """Tell the other end one line."""
        self._connection.sendall(f"{word}\n".encode())

    def hear(self) -> str:
        """Wait for one line from the other end; "" when it has gone."""
        return self._lines.readline().rstrip("\n")

    def close(self) -> None:
        """End the meeting."""
        self._lines.close()
        self._connection.close()


def meet(address: str) -> Guest:
    """Come to the rendezvous at "host:port", from the probe's side."""
    host, _, port = address.rpartition(":")
    return Guest(socket.create_connection((host, int(port)), timeout=_PATIENCE_SECONDS))


@final
class Rendezvous:
    """The test's side: waits for probes to come."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=512)
        self._socket.settimeout(_PATIENCE_SECONDS)
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self._guests: list[Guest] = []

    def __enter__(self) -> Rendezvous:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for guest in self._guests:
            guest.close()
        self._socket.close()

    def await_guests(self, count: int) -> list[Guest]:
        """Return when `count` probes have come; all of them stand there until told to go on."""
        came = [Guest(self._socket.accept()[0]) for _ in range(count)]
        self._guests += came
        return came
