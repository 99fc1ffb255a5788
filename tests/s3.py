"""An S3 server in a process of its own, and a proxy in front of it that fails on demand."""

from __future__ import annotations

import http.client
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit
from xml.etree import ElementTree

_RUNNING = re.compile(r"Running on (http://127\.0\.0\.1:\d+)")
_ANYBODY = (
    "AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, "
    "Signature=y"
)
_NAMESPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"

Act = Callable[[str, str], object]
"""Decides what a proxy does with a request, given its method and path.

None: forward it. A number: answer with that status. "lose": forward it and answer nothing. "hang":
answer nothing as long as the proxy runs.
"""


class S3Server:
    """Moto's server on loopback; it listens at `url`."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.url = self._address()
        # Its log of requests would otherwise fill the pipe.
        threading.Thread(target=self._drain, daemon=True).start()

    def _address(self) -> str:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            found = _RUNNING.search(line)
            if found:
                return found[1]
        raise RuntimeError("the S3 server ended before it listened")

    def _drain(self) -> None:
        assert self._process.stderr is not None
        for _ in self._process.stderr:
            pass

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(timeout=30)
        if self._process.stderr is not None:
            self._process.stderr.close()

    def make(self, bucket: str) -> str:
        """Make a bucket and return its name."""
        assert self.ask("PUT", f"/{bucket}")[0] == 200
        return bucket

    def objects(self, bucket: str) -> dict[str, bytes]:
        """Return the content of a bucket, by key."""
        listed = ElementTree.fromstring(self.ask("GET", f"/{bucket}?list-type=2")[1])  # noqa: S314
        keys = [one.text or "" for one in listed.iter(f"{_NAMESPACE}Key")]
        return {key: self.ask("GET", f"/{bucket}/{key}")[1] for key in keys}

    def ask(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        """Send a request with all rights."""
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=30)
        try:
            connection.request(method, path, body, {"Authorization": _ANYBODY})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


class Proxy:
    """A server at `url` that forwards requests, unless `act` decides otherwise.

    Attributes:
        act: Decides for each request; may wait.
        seen: The method and path of each request.
    """

    def __init__(self, behind: str) -> None:
        self.act: Act = lambda _method, _path: None
        self.seen: list[tuple[str, str]] = []
        self.closing = threading.Event()
        self._server = _Server(self, urlsplit(behind).netloc)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    def __init__(self, proxy: Proxy, behind: str) -> None:
        self.proxy = proxy
        self.behind = behind
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def parse_request(self) -> bool:
        """Read a request; all methods have one handler."""
        is_read = super().parse_request()
        setattr(self, f"do_{self.command}", self._handle)
        return is_read

    def _handle(self) -> None:
        assert isinstance(self.server, _Server)
        proxy = self.server.proxy
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        proxy.seen.append((self.command, self.path))
        todo = proxy.act(self.command, self.path)
        if isinstance(todo, int):
            self._give(todo, {}, f"<Error><Code>Code{todo}</Code></Error>".encode())
        elif todo == "hang":
            proxy.closing.wait()
            self.close_connection = True
        else:
            answer = self._forwarded(self.server.behind, body)
            if todo == "lose":
                self.close_connection = True
            else:
                self._give(*answer)

    def _forwarded(self, behind: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(behind, timeout=30)
        try:
            connection.request(self.command, self.path, body, dict(self.headers.items()))
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    def _give(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in ("connection", "content-length", "date", "server"):
                self.send_header(name, value)
        length = headers.get("Content-Length") if self.command == "HEAD" else None
        self.send_header("Content-Length", length or str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""
