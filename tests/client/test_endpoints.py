"""What each endpoint is asked, what becomes of its answer, and the server's time."""

from __future__ import annotations

import json
import socket
import threading
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from bytez_provider import __version__
from bytez_provider.base.errors import ApiError, MissingKeyError, NotLoadedError
from bytez_provider.emulator import Emulator
from bytez_provider.service.client import BytezClient
from bytez_provider.service.schemas import Asked, LoadAnswer, LoadOutcome, Phase, iso
from bytez_provider.service.settings import ApiVersion, Settings
from tests.asking import shown
from tests.client.conftest import Wary, calls_of, of_2024
from tests.client.hostile import GPT2, KEY, Form, HostileServer, by_ask, says

PROMPT = "Once upon a time there was a"
LENGTHS = {"min_length": 30, "max_length": 256}
RUN = {"app": False, "text": PROMPT, "params": LENGTHS, "stream": True}
ON_CLUSTER = f"/models/v2/{GPT2}"
REQUESTS: dict[ApiVersion, list[tuple[str, object]]] = {
    # The vendor's own requests of May 2024, with a key, and the comma that its delete lacks.
    "2024-05": [
        ("POST /model/list", {}),
        ("POST /model/load", {"modelId": GPT2, "concurrency": 1}),
        ("POST /model/status", {"modelId": GPT2}),
        ("POST /model/run", {**RUN, "modelId": GPT2}),
        ("POST /model/instances", {}),
        ("POST /model/delete", {"modelId": GPT2}),
    ],
    "2024-06": [
        ("GET /model/list", None),
        ("POST /model/load", {"model": GPT2, "concurrency": 1}),
        ("POST /model/status", {"model": GPT2}),
        ("POST /model/run", {**RUN, "model": GPT2}),
        ("GET /model/instances", None),
        ("POST /model/delete", {"model": GPT2}),
    ],
    "2025-04": [
        ("GET /models/v2/list/models", None),
        (
            f"PUT {ON_CLUSTER}",
            {"timeout": 10, "capacity": {"min": 1, "desired": 1, "max": 1}},
        ),
        (f"GET {ON_CLUSTER}", None),
        (
            f"PATCH {ON_CLUSTER}",
            {"timeout": 10, "capacity": {"min": 2, "desired": 2, "max": 2}},
        ),
        # A run would make a cluster, so its status is read first.
        (f"GET {ON_CLUSTER}", None),
        (f"POST {ON_CLUSTER}", {"text": PROMPT, "params": LENGTHS, "stream": True}),
        ("GET /models/v2/list/clusters", None),
        (f"DELETE {ON_CLUSTER}", None),
    ],
}
"""Each request and its body, without the key."""


def ask_everything(wary: Wary, form: Form) -> None:
    wary.server.answers(
        by_ask(
            {
                "models": [form.says([])],
                "load": [form.started],
                "status": [form.shows()],
                "rescale": [form.shows(concurrency=2)],
                "run": [says(200, "text")],
                "instances": [form.says([])],
                "delete": [says(200)],
            }
        )
    )
    wary.models()
    wary.load(GPT2, Asked(1))
    wary.status(GPT2)
    if wary.api.rescales:
        wary.rescale(GPT2, Asked(2))
    list(wary.run(GPT2, PROMPT, LENGTHS))
    wary.instances()
    wary.delete(GPT2)


def test_each_version_sends_the_requests_of_the_vendors_document(wary: Wary, form: Form) -> None:
    ask_everything(wary, form)
    for request, (line, fields) in zip(wary.server.requests, REQUESTS[form.api], strict=True):
        head, _, body = request.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        assert lines[0] == f"{line} HTTP/1.1"
        assert f"User-Agent: bytez-provider/{__version__}" in lines
        assert ("Content-Type: application/json" in lines) is (fields is not None)
        assert (json.loads(body) if body else None) == with_key(form.api, fields)
        if form.api == "2024-05":
            assert "authorization" not in head.decode().lower()
        else:
            assert f"Authorization: Key {KEY}" in lines


def with_key(api: ApiVersion, fields: Any) -> Any:
    """Return the body of a request: of May 2024, the key is in it."""
    return {**fields, "key": KEY} if api == "2024-05" else fields


def test_a_load_boots_then_runs_until_it_is_deleted(
    client: BytezClient, emulator: Emulator, api: ApiVersion
) -> None:
    assert client.status(GPT2) is None
    before = emulator.now()
    assert client.load(GPT2, Asked(3, 600)) == LoadAnswer(LoadOutcome.ACCEPTED, answer_lost=False)
    # A cluster exists as soon as it is asked for.
    in_mid_boot = LoadOutcome.ALREADY_LOADED if api == "2025-04" else LoadOutcome.IN_PROGRESS
    assert client.load(GPT2, Asked(2)).outcome is in_mid_boot

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


def test_instances_show_as_much_as_the_list_does(wary: Wary, form: Form) -> None:
    rows = [
        shown(form.api, "a/whole", "RUNNING", concurrency=2),
        {"modelId": "a/name-only"},
        {"model": "a/2024-06"},
        {**shown(form.api, "a/odd", "?", concurrency="many", created="yesterday"), "status": 7},
        {"modelId": "a/gone", "status": "stopped"},
        *({"status": "RUNNING"}, {"modelId": 7}, "a/string", None),
    ]
    wary.server.answers(form.says(rows))
    found = {one.model_id: (one.status, one.concurrency) for one in wary.instances()}
    unknown = dict.fromkeys(["a/name-only", "a/2024-06", "a/odd"], ("UNKNOWN", None))
    assert found == {"a/whole": ("RUNNING", 2), **unknown}


def test_without_a_key_nothing_is_sent(hostile: HostileServer, api: ApiVersion) -> None:
    client = BytezClient(Settings(hostile.url, api, key=None))
    for call in calls_of(api).values():
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


def test_a_run_of_a_model_that_is_not_loaded_is_refused(
    client: BytezClient, emulator: Emulator
) -> None:
    with pytest.raises(NotLoadedError):
        list(client.run(GPT2, PROMPT))
    assert emulator.instances() == []


@of_2024  # In 2025-04 a run waits for the boot.
def test_a_run_of_a_model_that_is_not_running_is_refused(client: BytezClient) -> None:
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

    wary.meets("run", handle)
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
def test_server_time_follows_the_date_header(wary: Wary, form: Form, date: str) -> None:
    wary.server.answers(form.says([], headers={"Date": date}))
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
def test_a_date_that_is_missing_or_impossible_changes_nothing(
    wary: Wary, form: Form, date: str | None
) -> None:
    """At the ends of the calendar the first sum would raise an exception of Python's."""
    bad = form.says([], headers={"Date": date} if date else {})
    good = form.says([], headers={"Date": "Mon, 27 May 2024 12:00:00 GMT"})
    wary.server.answers(bad, good, bad)
    wary.instances()
    assert wary.server_now() == wary.clock.now()
    assert iso(wary.server_now() - timedelta(days=1))
    wary.instances()
    wary.instances()
    assert wary.server_now() == NOON
