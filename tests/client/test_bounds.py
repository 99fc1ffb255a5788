"""What a server can cost at most: in memory, measured; in time, by the limits in force."""

from __future__ import annotations

import gzip
import json
import socket
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bytez_provider.base.errors import BytezError, ErrorCode, MalformedAnswerError, UnreachableError
from bytez_provider.service.client._answers import Kind, Reading, kind_of
from bytez_provider.service.client._call import TRIES
from bytez_provider.service.client._results import Answer
from bytez_provider.service.client._transport import LIMITS, Limits, Transport, Watch
from bytez_provider.service.schemas import Asked
from bytez_provider.service.settings import ApiVersion, Key
from tests.asking import body_of, shown
from tests.client.conftest import Wary
from tests.client.hostile import (
    GPT2,
    KEY,
    MEBIBYTE,
    OK_HEAD,
    Form,
    Handler,
    HostileServer,
    drips,
    is_silent,
    pours,
    says,
    sends,
)
from tests.wire.moments import until

ROOT = Path(__file__).resolve().parents[2]
CHILD_SECONDS = 120

# ------------------------------------------------------------------------------------ memory

MEASURED = """
import json, sys
from bytez_provider.service.client import BytezClient
from bytez_provider.service.settings import Key, Settings
from bytez_provider.base.errors import BytezError
from tests.clocks import FakeClock

def peak():
    # Not `ru_maxrss`, which includes what this process was before it ran this program.
    with open("/proc/self/status") as status:
        (line,) = (one for one in status if one.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024

url, key, version, call = sys.argv[1:]
client = BytezClient(Settings(url, version, Key(key)), clock=FakeClock())
calls = {
    "status": lambda: client.status("a/b", tries=1),
    "instances": lambda: client.instances(tries=1),
    "models": client.models,
    "model": lambda: client.model("a/b"),
}
before = peak()
try:
    said = repr(calls[call]())[:100]
except BytezError as error:
    said = str(error)
print(json.dumps([said, peak() - before]))
"""
SMALL_OBJECTS = b'{"":0},'
"""Of all JSON it takes the most memory for its length, once it is parsed."""


def measured(url: str, version: ApiVersion, call: str) -> tuple[str, int]:
    """Make a call in a process of its own; return its result and the bytes it took."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, url, KEY, version, call],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=CHILD_SECONDS,
        check=True,
    )
    assert done.stderr == ""
    said, growth = json.loads(done.stdout)
    return said, growth


# It is cut before it is read, so these calls cost the same in every version.
@pytest.mark.parametrize(
    ("version", "call", "wave", "limit", "most"),
    [
        ("2024-05", "status", SMALL_OBJECTS, LIMITS.body_bytes, 16 * MEBIBYTE),
        ("2024-05", "status", b"x", LIMITS.body_bytes, 16 * MEBIBYTE),
        ("2024-05", "instances", SMALL_OBJECTS, LIMITS.list_bytes, 32 * MEBIBYTE),
        ("2024-05", "models", SMALL_OBJECTS, LIMITS.list_bytes, 32 * MEBIBYTE),
        ("2025-04", "model", SMALL_OBJECTS, LIMITS.body_bytes, 16 * MEBIBYTE),
    ],
)
def test_an_answer_of_100_mb_takes_a_few(
    hostile: HostileServer, version: ApiVersion, call: str, wave: bytes, limit: int, most: int
) -> None:
    hostile.answers(pours(OK_HEAD + b"\r\n[", wave * 4096, 100_000_000))
    said, growth = measured(hostile.url, version, call)
    assert f"answers with more than {limit} bytes" in said
    assert growth < most


@pytest.mark.parametrize(
    ("version", "call", "element"),
    [
        ("2024-05", "instances", b'{"modelId":"a/b"},'),
        ("2025-04", "instances", b'{"modelId":"a/b"},'),
        ("2024-05", "models", b'{"name":"a/b"},'),
        ("2025-04", "models", b'{"modelId":"a/b"},'),
        # Nothing of these is kept, in any version.
        ("2024-05", "models", SMALL_OBJECTS),
        ("2024-05", "models", b"[],"),
    ],
)
def test_the_longest_list_that_is_read_takes_a_third_of_a_gibibyte(
    hostile: HostileServer, version: ApiVersion, call: str, element: bytes
) -> None:
    start, end = (b'{"output":[', b"{}]}") if version == "2025-04" else (b"[", b"{}]")
    most = (LIMITS.list_bytes - len(start)) // len(element) - 1
    hostile.answers(says(200, start + element * most + end))
    said, growth = measured(hostile.url, version, call)
    assert said.startswith(("[", "could not list the models: the service answered HTTP 200"))
    assert growth < 320 * MEBIBYTE


@pytest.mark.parametrize("version", ["2024-05", "2025-04"])
def test_the_longest_status_that_is_read_takes_24_mebibytes(
    hostile: HostileServer, version: ApiVersion
) -> None:
    """Hundreds may be under way."""
    objects = SMALL_OBJECTS * (LIMITS.body_bytes // len(SMALL_OBJECTS) - 10)
    body = b'{"status": "RUNNING", "x": [' + objects + b"{}]}"
    hostile.answers(says(200, b'{"output": ' + body + b"}" if version == "2025-04" else body))
    said, growth = measured(hostile.url, version, "status")
    assert said.startswith("Instance(")
    assert growth < 24 * MEBIBYTE


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
def test_a_small_answer_that_unpacks_to_a_large_one_is_cut(
    wary: Wary, form: Form, pack: Callable[[bytes], bytes]
) -> None:
    coding = {"Content-Encoding": "gzip" if pack is gzip.compress else "deflate"}
    body = json.dumps(body_of(form.api, shown(form.api, GPT2, "RUNNING")))
    wary.server.answers(says(200, pack(body.encode()), coding))
    assert wary.status(GPT2) is not None
    wary.server.answers(says(200, pack(b" " * 10_000_000), coding))
    with pytest.raises(MalformedAnswerError, match="answers with more than 262144 bytes"):
        wary.status(GPT2)
    wary.server.answers(says(200, b"neither", coding))
    with pytest.raises(MalformedAnswerError, match="answers with broken compression"):
        wary.status(GPT2)


# ------------------------------------------------------------------------------------- words


@pytest.mark.parametrize(
    "wave",
    [
        *("model ", "model/", "model.", "model 'a/", "model a/-", "not been ", "'", "a/b ", "/a"),
        *("model of of ", "model is ", "x", "-model", "n't ", "https://", "no model ", GPT2),
    ],
)
def test_words_are_searched_in_one_pass(wave: str) -> None:
    """No pattern goes over a text again and again, and of megabytes only the start is searched."""
    for start in ("", "model "):
        body = json.dumps({"error": start + wave * (512 * 1024 // len(wave))}).encode()
        reading = Reading.of(Answer(404, {}, body), Key(KEY))
        assert len(reading.words) <= 32 * 1024
        began = time.process_time()
        assert kind_of(reading, "read the status of", GPT2) is not Kind.DONE
        assert time.process_time() - began < 0.5


# -------------------------------------------------------------------------------------- time


def half_an_answer(connection: socket.socket, request: bytes) -> None:
    connection.sendall(OK_HEAD + b"Content-Length: 9\r\n\r\n1234")
    is_silent(connection, request)


SLOW: dict[str, Handler] = {
    "bytes that drip": drips(OK_HEAD + b"\r\n", b" "),
    "headers that drip": drips(OK_HEAD + b"X-Slow: ", b"x"),
    "chunks that drip": drips(OK_HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "silence": is_silent,
    "half an answer": half_an_answer,
}


@pytest.fixture
def limited(wary: Wary) -> Callable[..., Wary]:
    """A client whose real seconds are hundredths, so that its whole patience can be seen."""

    def limit(**limits: float) -> Wary:
        short = Limits(read_seconds=0.05, **limits)  # type: ignore[arg-type]
        wary._opened = Transport(wary._settings, wary.clock, short)
        return wary

    return limit


@pytest.mark.parametrize("slow", SLOW.values(), ids=SLOW.keys())
def test_a_slow_server_costs_five_answers_and_a_minute_of_waits(
    limited: Callable[..., Wary], slow: Handler
) -> None:
    client = limited(whole_seconds=0.1)
    client.server.answers(slow)
    with pytest.raises(UnreachableError) as caught:
        client.load(GPT2, Asked(1))
    assert caught.value.maybe_done
    assert "within 0.1 s" in str(caught.value) or "nothing came for 0.05 s" in str(caught.value)
    # The server's thread may see the last request after the client has given it up.
    until(lambda: len(client.server.requests) >= TRIES)
    assert len(client.server.requests) == TRIES
    assert sum(client.clock.waits) <= 60
    # In everyday seconds: a server that does its worst holds a call for eleven minutes.
    assert TRIES * (LIMITS.connect_seconds + LIMITS.whole_seconds) + 60 <= 12 * 60


def test_a_server_that_was_silent_before_a_text_is_not_asked_again(
    limited: Callable[..., Wary],
) -> None:
    client = limited(run_seconds=0.1)
    client.meets("run", is_silent)
    with pytest.raises(UnreachableError) as caught:
        list(client.run(GPT2, "x"))
    assert caught.value.maybe_done
    assert client.server.asked().count("run") == 1


def test_a_text_may_take_longer_than_other_answers(limited: Callable[..., Wary]) -> None:
    def thinks(connection: socket.socket, _request: bytes) -> None:
        connection.sendall(OK_HEAD + b"\r\n")
        threading.Event().wait(0.2)  # Longer than any other answer may take.
        connection.sendall(b"Once")

    client = limited(whole_seconds=0.05)
    client.meets("run", thinks)
    assert list(client.run(GPT2, "x")) == ["Once"]


Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Both ends of a connection; a test that would wait for ever ends."""
    ours, theirs = socket.socketpair()
    theirs.settimeout(60)
    with ours, theirs:
        yield ours, theirs


def test_a_request_that_goes_out_after_the_time_is_over_is_ended(pair: Pair) -> None:
    ours, theirs = pair
    watch = Watch(0)
    with watch.watching():
        until(lambda: watch.fired)
        assert not watch.sent
        Watch.request_is_out(ours)
        assert theirs.recv(1) == b""
    assert watch.sent


def test_a_watch_that_has_ended_or_is_of_another_exchange_shuts_nothing(pair: Pair) -> None:
    ours, theirs = pair
    watch = Watch(3600)
    with watch.watching():
        Watch.request_is_out(ours)
        watch.end()
    Watch.request_is_out(ours)
    ours.sendall(b"x")
    assert theirs.recv(1) == b"x"
    assert not watch.fired


# ----------------------------------------------------------------------------------- no HTTP


@pytest.mark.parametrize(
    "rubbish",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\x16\x03\x01\x00\x01",
        b"HTTP/1.1 abc\r\n\r\n",
        OK_HEAD + b"X: y\r\n" * 200 + b"\r\n",
        OK_HEAD + b"X: " + b"y" * 100_000 + b"\r\n\r\n",
        OK_HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        OK_HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{\r\n",
        OK_HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n{}",
    ],
)
def test_bytes_that_are_not_http_end_in_an_error_of_ours(wary: Wary, rubbish: bytes) -> None:
    wary.server.answers(sends(rubbish))
    with pytest.raises(BytezError) as caught:
        wary.status(GPT2)
    assert caught.value.code in (ErrorCode.UNREACHABLE, ErrorCode.MALFORMED_ANSWER)
    # An exception of the libraries knows the request.
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
