"""What each endpoint is asked, what becomes of its answer, and the server's time."""

from __future__ import annotations

import json
import socket
import threading
from datetime import datetime, timedelta, timezone

import pytest

from bytez_provider import __version__
from bytez_provider.base.errors import ApiError, MissingKeyError, NotLoadedError
from bytez_provider.emulator import Emulator
from bytez_provider.service.client import BytezClient
from bytez_provider.service.schemas import Asked, LoadAnswer, LoadOutcome, Phase, iso
from bytez_provider.service.settings import ApiVersion, Key, Settings
from tests.client.conftest import CALLS, Wary
from tests.client.hostile import GPT2, KEY, HostileServer, says
from tests.clocks import FakeClock

PROMPT = "Once upon a time there was a"
BODIES: dict[str, dict[str, object]] = {
    # The vendor's own requests of May 2024, with a key, and the comma that its delete lacks.
    "/model/list": {},
    "/model/load": {"modelId": GPT2, "concurrency": 1},
    "/model/status": {"modelId": GPT2},
    "/model/run": {
        "app": False,
        "modelId": GPT2,
        "text": PROMPT,
        "params": {"min_length": 30, "max_length": 256},
        "stream": True,
    },
    "/model/instances": {},
    "/model/delete": {"modelId": GPT2},
}


def requests_of_every_endpoint(hostile: HostileServer, api: ApiVersion) -> list[tuple[str, bytes]]:
    """Ask everything; return head and body of each request."""
    hostile.answers(
        says(200, "[]"),
        says(200, f'{{"modelId": "{GPT2}", "status": "started", "concurrency": 1}}'),
        says(200, f'{{"modelId": "{GPT2}", "status": "RUNNING"}}'),
        says(200, "text"),
        says(200, "[]"),
        says(200, ""),
    )
    client = BytezClient(Settings(hostile.url, api, Key(KEY)), clock=FakeClock())
    client.models()
    client.load(GPT2, Asked(1))
    client.status(GPT2)
    list(client.run(GPT2, PROMPT, {"min_length": 30, "max_length": 256}))
    client.instances()
    client.delete(GPT2)
    parts = [request.partition(b"\r\n\r\n") for request in hostile.requests]
    return [(head.decode() + "\r\n", body) for head, _, body in parts]


def test_version_2024_05_sends_the_requests_of_the_vendors_document(hostile: HostileServer) -> None:
    requests = requests_of_every_endpoint(hostile, "2024-05")
    for (head, body), path in zip(requests, BODIES, strict=True):
        assert head.startswith(f"POST {path} HTTP/1.1")
        assert "authorization" not in head.lower()
        assert "Content-Type: application/json\r\n" in head
        assert f"User-Agent: bytez-provider/{__version__}\r\n" in head
        assert json.loads(body) == {"key": KEY, **BODIES[path]}


def test_version_2024_06_has_the_key_in_a_header_and_gets_lists(hostile: HostileServer) -> None:
    requests = requests_of_every_endpoint(hostile, "2024-06")
    for (head, body), (path, fields) in zip(requests, BODIES.items(), strict=True):
        assert f"Authorization: Key {KEY}\r\n" in head
        assert head.startswith(f"{'POST' if fields else 'GET'} {path} HTTP/1.1")
        assert ("Content-Type: application/json\r\n" in head) is bool(fields)
        renamed = {"model" if name == "modelId" else name: fields[name] for name in fields}
        assert (json.loads(body) if body else {}) == renamed


def test_a_load_boots_then_runs_until_it_is_deleted(
    client: BytezClient, emulator: Emulator
) -> None:
    assert client.status(GPT2) is None
    before = emulator.now()
    assert client.load(GPT2, Asked(3, 600)) == LoadAnswer(LoadOutcome.ACCEPTED, answer_lost=False)
    assert client.load(GPT2, Asked(2)).outcome is LoadOutcome.IN_PROGRESS

    booting = client.status(GPT2)
    assert booting is not None
    assert booting.phase is Phase.BOOTING
    assert booting.created is not None
    assert abs(booting.created - before) < timedelta(milliseconds=1)

    emulator.advance(500)
    running = client.status(GPT2)
    assert running is not None
    assert (running.phase, running.created) == (Phase.RUNNING, booting.created)
    assert (running.concurrency, running.expiration_period_seconds) == (3, 600)
    assert client.load(GPT2, Asked(2)).outcome is LoadOutcome.ALREADY_LOADED
    assert client.instances() == [running]

    client.delete(GPT2)
    assert client.status(GPT2) is None
    client.delete(GPT2)


def test_instances_show_as_much_as_the_list_does(wary: Wary) -> None:
    rows = [
        {"modelId": "a/whole", "status": "RUNNING", "concurrency": 2},
        {"modelId": "a/name-only"},
        {"model": "a/2024-06"},
        {"modelId": "a/odd", "status": 7, "created": "yesterday", "concurrency": "many"},
        {"modelId": "a/gone", "status": "stopped"},
        *({"status": "RUNNING"}, {"modelId": 7}, "a/string", None),
    ]
    wary.server.answers(says(200, json.dumps(rows)))
    found = {one.model_id: (one.status, one.concurrency) for one in wary.instances()}
    unknown = dict.fromkeys(["a/name-only", "a/2024-06", "a/odd"], ("UNKNOWN", None))
    assert found == {"a/whole": ("RUNNING", 2), **unknown}


def test_without_a_key_nothing_is_sent(hostile: HostileServer, api: ApiVersion) -> None:
    client = BytezClient(Settings(hostile.url, api, key=None))
    for call in CALLS.values():
        with pytest.raises(MissingKeyError):
            call(client)
    assert hostile.requests == []


# ------------------------------------------------------------------------------------- runs


@pytest.mark.parametrize("stream", [True, False])
def test_a_run_yields_the_text(client: BytezClient, emulator: Emulator, stream: bool) -> None:
    client.load(GPT2, Asked(1))
    emulator.advance(500)
    pieces = list(client.run(GPT2, PROMPT, {"max_length": 50}, stream=stream))
    assert "".join(pieces).startswith(PROMPT)
    assert client.instances()[0].inferences == 1


def test_a_run_of_a_model_that_is_not_running_is_refused(client: BytezClient) -> None:
    with pytest.raises(NotLoadedError):
        list(client.run(GPT2, PROMPT))
    client.load(GPT2, Asked(1))
    with pytest.raises(ApiError, match=r"is DEPLOYING, not RUNNING.*Wait until it is RUNNING"):
        list(client.run(GPT2, PROMPT))


def test_a_run_yields_text_before_the_answer_is_whole(wary: Wary) -> None:
    """Letters that arrive in two pieces are put together."""
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    letter = "ü".encode()
    is_first_seen = threading.Event()

    def handle(connection: socket.socket, _request: bytes) -> None:
        connection.sendall(head + b"6\r\nThe gr\r\n")
        assert is_first_seen.wait(10)
        connection.sendall(b"1\r\n%b\r\n2\r\n%bn\r\n0\r\n\r\n" % (letter[:1], letter[1:]))

    wary.server.answers(handle)
    text = wary.run(GPT2, PROMPT)
    first = next(text)
    is_first_seen.set()
    assert first == "The gr"
    assert "".join([first, *text]) == "The grün"


# ------------------------------------------------------------------------------ server time

NOON = datetime(2024, 5, 27, 12, 0, 0, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    "date",
    [
        "Mon, 27 May 2024 12:00:00 GMT",
        "Mon, 27 May 2024 14:00:00 +0200",
        "Mon, 27 May 2024 12:00:00 -0000",
        "Mon, 27 May 2024 12:00:00",
        "Monday, 27-May-24 12:00:00 GMT",
        "Mon May 27 12:00:00 2024",
    ],
)
def test_server_time_follows_the_date_header(wary: Wary, date: str) -> None:
    wary.server.answers(says(200, "[]", {"Date": date}))
    wary.instances()
    assert wary.server_now() == NOON
    wary.clock.wait(90)
    assert wary.server_now() == NOON + timedelta(seconds=90)


@pytest.mark.parametrize(
    "date",
    [
        None,
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "Fri, 31 Dec 9999 23:59:59 -2359",
        "Thu, 01 Jan 1969 00:00:00 GMT",
        "yesterday",
    ],
)
def test_a_date_that_is_missing_or_impossible_changes_nothing(wary: Wary, date: str | None) -> None:
    """At the ends of the calendar the first sum would raise an exception of Python's."""
    bad = says(200, "[]", {"Date": date} if date else {})
    wary.server.answers(bad, says(200, "[]", {"Date": "Mon, 27 May 2024 12:00:00 GMT"}), bad)
    wary.instances()
    assert wary.server_now() == wary.clock.now()
    assert iso(wary.server_now() - timedelta(days=1))
    wary.instances()
    wary.instances()
    assert wary.server_now() == NOON
