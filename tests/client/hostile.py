"""A server that answers as the emulator would not."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from bytez_provider.service.settings import ApiVersion
from tests.asking import Ask, ask_of, body_of, shown

MEBIBYTE = 1 << 20
KEY = "bytez-key-8f\"1/<d>&'c0%7a"
"""Has what JSON, HTML and addresses escape, so that an escaped echo differs from the key."""
GPT2 = "openai-community/gpt2"

Handler = Callable[[socket.socket, bytes], None]


class HostileServer:
    """A socket that answers each request with the next of its handlers, the last one for ever."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self._handlers: list[Handler] = [cut_off]
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def answers(self, *handlers: Handler) -> None:
        self._handlers = list(handlers)

    def asked(self) -> list[str]:
        """Return what each request so far asked for, as `asked_by` does."""
        return [asked_by(request) for request in self.requests]

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()

    def _start(self, work: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=work, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            request = _request_from(connection)
            if not request:
                return
            self.requests.append(request)
            handler = self._handlers.pop(0) if len(self._handlers) > 1 else self._handlers[0]
            try:
                handler(connection, request)
                connection.shutdown(socket.SHUT_WR)
                # Read to the other side's end: closing with bytes unread would reset it.
                while connection.recv(65536):
                    pass
            except OSError:
                return


def _request_from(connection: socket.socket) -> bytes:
    request = b""
    while b"\r\n\r\n" not in request:
        received = connection.recv(65536)
        if not received:
            return b""
        request += received
        if request.startswith(b"\x16"):  # A TLS client's hello has no end that we could see.
            return request
    head, _, body = request.partition(b"\r\n\r\n")
    lines = [line.lower() for line in head.split(b"\r\n")]
    length = next((int(line[16:]) for line in lines if line.startswith(b"content-length: ")), 0)
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def says(status: int, body: str | bytes = b"", headers: Mapping[str, str] | None = None) -> Handler:
    """Answer properly, and close."""
    raw = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(raw)}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return sends("\r\n".join(lines).encode() + b"\r\n\r\n" + raw)


def sends(raw: bytes) -> Handler:
    """Send these bytes as they are, and close."""
    return lambda connection, _request: connection.sendall(raw)


def cut_off(connection: socket.socket, _request: bytes) -> None:
    """Close without a word."""
    connection.shutdown(socket.SHUT_RDWR)


def is_silent(connection: socket.socket, _request: bytes) -> None:
    """Say nothing until the other side has had enough."""
    while connection.recv(65536):
        pass


def drips(head: bytes, drop: bytes) -> Handler:
    """Send a drop now and then until the other side has had enough."""

    def handle(connection: socket.socket, _request: bytes) -> None:
        connection.sendall(head)
        pause = threading.Event()
        while True:
            connection.sendall(drop)
            pause.wait(0.005)

    return handle


def pours(head: bytes, wave: bytes, total_bytes: float) -> Handler:
    """Send so many bytes in waves, as fast as they are taken."""

    def handle(connection: socket.socket, _request: bytes) -> None:
        connection.sendall(head)
        sent = 0
        while sent < total_bytes:
            connection.sendall(wave)
            sent += len(wave)

    return handle


OK_HEAD = b"HTTP/1.1 200 OK\r\n"
PAGE = "<!DOCTYPE html><html><head><title>Sign in &amp; go on</title></head></html>"
ESCAPES = "\x1b[2J\x1b]0;owned\x07one\r\ntwo\u2028three\u202e\u200f\u061c\x9b31m" + "x" * 5000
"""What would clear a terminal, name its window, turn its text around and fill it."""

REFUSED: Mapping[str, Handler] = {
    "a body that never ends": pours(OK_HEAD + b"\r\n[", b'"x",' * 4096, float("inf")),
    "100 MB of JSON": pours(
        OK_HEAD + b"Content-Type: application/json\r\n\r\n[", b'{"":0},' * 4096, 100_000_000
    ),
    "a page that says it is JSON": says(200, PAGE, {"Content-Type": "application/json"}),
    "JSON cut short": says(200, '{"modelId": "openai-community/gpt2", "status": "RUNN'),
    "a null": says(200, "null"),
    "NaN": says(200, '{"status": "RUNNING", "concurrency": NaN}'),
    "a redirect to another host": says(307, headers={"Location": "https://evil.example/"}),
    "a redirect to itself": says(302, headers={"Location": "/again"}),
    "a redirect to nowhere": says(301),
    "an error inside a success": says(200, '{"error": "database on fire"}'),
    "escapes in an error": says(400, json.dumps({"error": ESCAPES})),
    "escapes in a page's title": says(400, f"<title>{ESCAPES}</title>"),
    "escapes instead of JSON": says(400, ESCAPES),
    "names nobody would use": says(
        400, json.dumps({"error": {"\u202eü\U0001f600\x00": [KEY, {KEY: 1}]}})
    ),
    "a 404 without a word": says(404),
    "a gateway's 404": says(404, '{"message": "no Route matched with those values"}'),
    "a framework's 404": says(404, '{"detail": "Not Found"}'),
    "the 404 of a route": says(404, '{"error": "Cannot POST /model/delete"}'),
    "the 404 of another model": says(404, '{"error": "model \'acme/other\' is not loaded"}'),
    "a status of another model": says(200, '{"modelId": "acme/other", "status": "stopped"}'),
    "the 404 of a cluster's route": says(404, '{"error": "Cannot PATCH /models/v2/a/b"}'),
    "an error in an envelope": says(200, '{"error": "database on fire", "output": null}'),
    "no HTTP": sends(b"\x16\x03\x01\x00\x01"),
}
"""Answers that no operation can use; asking again would not help."""


class _Line(NamedTuple):
    method: str
    path: str


def asked_by(request: bytes) -> str:
    """Return what a request asks for; its path if that is none of the API's."""
    method, path = request.decode("latin-1").split(" ", 2)[:2]
    try:
        return ask_of(_Line(method, path.partition("?")[0]))
    except KeyError:
        return path


def by_ask(handlers: Mapping[Ask | str, Sequence[Handler]]) -> Handler:
    """Answer each request, by what it asks for, with the next of its handlers, the last for ever.

    A path that is none of the API's stands for itself.
    """
    left = {ask: list(queue) for ask, queue in handlers.items()}

    def handle(connection: socket.socket, request: bytes) -> None:
        queue = left[asked_by(request)]
        (queue.pop(0) if len(queue) > 1 else queue[0])(connection, request)

    return handle


@dataclass(frozen=True)
class Form:
    """What the service says, in the form of a version of its API."""

    api: ApiVersion

    def says(
        self,
        content: Any = None,
        error: object = None,
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> Handler:
        """Answer with a content, an error or both."""
        return says(status, json.dumps(body_of(self.api, content, error)), headers)

    def shows(
        self,
        status: str = "RUNNING",
        error: object = None,
        *,
        model_id: str = GPT2,
        **more: object,
    ) -> Handler:
        """Answer with what there is of a model; `status` is the word of 2024."""
        return self.says(shown(self.api, model_id, status, **more), error)

    @property
    def started(self) -> Handler:
        """Accept a load."""
        if self.api == "2025-04":
            return self.says("Loading", status=202)
        return self.shows("started", concurrency=1)

    @property
    def not_loaded(self) -> Handler:
        """Say that there is no load."""
        is_cluster = self.api == "2025-04"
        return self.says(
            None, "Cluster not found" if is_cluster else "model is not loaded", status=404
        )

    @property
    def already_loaded(self) -> Handler:
        """Refuse a load because there is one."""
        if self.api == "2025-04":
            return self.says(None, "Cluster already exists", status=409)
        return self.says(None, "model is already loaded", status=209)
