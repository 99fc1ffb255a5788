"""What each endpoint is asked, and what becomes of its answer."""

from __future__ import annotations

import json
import socket
import threading
from datetime import timedelta

import pytest

from bytez_provider import __version__
from bytez_provider.base.errors import ApiError, MissingKeyError, NotLoadedError, UnknownModelError
from bytez_provider.emulator import Emulator
from bytez_provider.service.client import BytezClient
from bytez_provider.service.schemas import CatalogueEntry, LoadAnswer, LoadOutcome, Phase
from bytez_provider.service.settings import ApiVersion, Key, Settings
from tests.client.hostile import GPT2, KEY, HostileServer, says
from tests.clocks import EmulatorClock, FakeClock

PROMPT = "Once upon a time there was a"
SEED_REQUESTS: dict[str, dict[str, object]] = {
    # The seed's own, its key and the comma that its delete lacks put in.
    "/model/list": {"key": KEY},
    "/model/load": {"key": KEY, "modelId": GPT2, "concurrency": 1},
    "/model/status": {"key": KEY, "modelId": GPT2},
    "/model/run": {
        "key": KEY,
        "app": False,
        "modelId": GPT2,
        "text": PROMPT,
        "params": {"min_length": 30, "max_length": 256},
        "stream": True,
    },
    "/model/instances": {"key": KEY},
    "/model/delete": {"key": KEY, "modelId": GPT2},
}


def ask_everything(client: BytezClient) -> None:
    client.models()
    client.load(GPT2, 1)
    client.status(GPT2)
    list(client.run(GPT2, PROMPT, {"min_length": 30, "max_length": 256}))
    client.instances()
    client.delete(GPT2)


def obliging(hostile: HostileServer) -> None:
    hostile.answers(
        says(200, "[]"),
        says(200, f'{{"modelId": "{GPT2}", "status": "started", "concurrency": 1}}'),
        says(200, f'{{"modelId": "{GPT2}", "status": "RUNNING"}}'),
        says(200, "text"),
        says(200, "[]"),
        says(200, ""),
    )


def test_the_api_of_may_sends_the_requests_of_the_seed_document(
    hostile: HostileServer, fake_clock: FakeClock
) -> None:
    obliging(hostile)
    ask_everything(BytezClient(Settings(hostile.url, "2024-05", Key(KEY)), clock=fake_clock))

    sent = {}
    for request in hostile.requests:
        head, body = request.split(b"\r\n\r\n")
        assert b"authorization" not in head.lower()
        assert b"Content-Type: application/json" in head
        method, path, _ = head.decode().split(" ", 2)
        assert method == "POST"
        sent[path] = json.loads(body)
    assert sent == SEED_REQUESTS


def test_the_api_of_june_has_the_key_in_a_header_and_asks_for_lists_with_get(
    hostile: HostileServer, fake_clock: FakeClock
) -> None:
    obliging(hostile)
    ask_everything(BytezClient(Settings(hostile.url, "2024-06", Key(KEY)), clock=fake_clock))

    for request, (path, seed) in zip(hostile.requests, _in_order(), strict=True):
        head, body = request.split(b"\r\n\r\n")
        assert f"Authorization: Key {KEY}\r\n".encode() in head + b"\r\n"
        if path in ("/model/list", "/model/instances"):
            assert head.startswith(f"GET {path} HTTP/1.1".encode())
            assert body == b""
        else:
            assert head.startswith(f"POST {path} HTTP/1.1".encode())
            june = {"model" if name == "modelId" else name: seed[name] for name in seed}
            del june["key"]
            assert json.loads(body) == june


def _in_order() -> list[tuple[str, dict[str, object]]]:
    order = ("list", "load", "status", "run", "instances", "delete")
    return [(f"/model/{name}", SEED_REQUESTS[f"/model/{name}"]) for name in order]


def test_every_request_says_who_asks(wary: BytezClient, hostile: HostileServer) -> None:
    hostile.answers(says(200, "[]"))
    wary.models()
    assert f"User-Agent: bytez-provider/{__version__}\r\n".encode() in hostile.requests[0]


def test_the_catalogue_is_the_table_of_the_seed(client: BytezClient, api: ApiVersion) -> None:
    entries = client.models()
    is_benchmarked = True if api == "2024-05" else None
    assert (
        CatalogueEntry(model_id="microsoft/phi-1", required_ram_gb=9.16, benchmarked=is_benchmarked)
        in entries
    )
    doubles = [entry.required_ram_gb for entry in entries if entry.model_id == GPT2]
    assert sorted(doubles, key=str) == [0.5, None]


def test_a_load_boots_then_runs(client: BytezClient, emulator: Emulator) -> None:
    assert client.status(GPT2) is None
    before = emulator.now()

    answer = client.load(GPT2, 3, 600)

    assert answer == LoadAnswer(LoadOutcome.ACCEPTED, answer_lost=False)

    booting = client.status(GPT2)
    assert booting is not None
    assert booting.phase is Phase.BOOTING
    assert booting.created is not None
    assert abs(booting.created - before) < timedelta(milliseconds=1)

    emulator.advance(500)
    running = client.status(GPT2)
    assert running is not None
    assert running.phase is Phase.RUNNING
    assert running.created == booting.created
    assert (running.concurrency, running.expiration_period_seconds) == (3, 600)


def test_a_loaded_model_is_not_loaded_again(client: BytezClient) -> None:
    client.load(GPT2, 1)
    answer = client.load(GPT2, 2)
    assert answer.outcome is not LoadOutcome.ACCEPTED
    assert not answer.answer_lost


def test_loading_what_runs_is_already_loaded(client: BytezClient, emulator: Emulator) -> None:
    client.load(GPT2, 1)
    emulator.advance(500)
    assert client.load(GPT2, 2).outcome is LoadOutcome.ALREADY_LOADED


def test_loading_what_boots_is_in_progress(client: BytezClient) -> None:
    client.load(GPT2, 1)
    assert client.load(GPT2, 2).outcome is LoadOutcome.IN_PROGRESS


def test_instances_are_what_is_loaded(client: BytezClient, emulator: Emulator) -> None:
    assert client.instances() == []
    client.load(GPT2, 1)
    client.load("microsoft/phi-1", 2)
    emulator.advance(500)
    assert {one.model_id: one.concurrency for one in client.instances()} == {
        GPT2: 1,
        "microsoft/phi-1": 2,
    }


def test_deleting_what_is_not_loaded_is_no_error(client: BytezClient) -> None:
    client.load(GPT2, 1)
    client.delete(GPT2)
    assert client.status(GPT2) is None
    client.delete(GPT2)


def test_stopped_is_not_loaded(api: ApiVersion) -> None:
    with Emulator(keys=(KEY,), clock="manual", not_loaded="stopped") as emulator:
        client = BytezClient(Settings(emulator.url, api, Key(KEY)), clock=EmulatorClock(emulator))
        assert client.status(GPT2) is None


@pytest.mark.parametrize("stream", [True, False])
def test_a_run_yields_the_text(client: BytezClient, emulator: Emulator, stream: bool) -> None:
    client.load(GPT2, 1)
    emulator.advance(500)
    pieces = list(client.run(GPT2, PROMPT, {"max_length": 50}, stream=stream))
    assert "".join(pieces).startswith(PROMPT)
    assert client.instances()[0].inferences == 1


def test_a_run_of_what_is_not_loaded_says_so(client: BytezClient) -> None:
    with pytest.raises(NotLoadedError) as caught:
        list(client.run(GPT2, PROMPT))
    assert str(caught.value) == (
        "could not run 'openai-community/gpt2': the service answered HTTP 404: model"
        " 'openai-community/gpt2' is not loaded. Nothing was changed. Load it first:"
        " `bytez-fleet load` or `pulumi up`."
    )


def test_a_run_of_what_boots_says_to_wait(client: BytezClient) -> None:
    client.load(GPT2, 1)
    with pytest.raises(ApiError) as caught:
        list(client.run(GPT2, PROMPT))
    assert "is DEPLOYING, not RUNNING. Nothing was changed. Wait until it" in str(caught.value)


def test_a_run_yields_text_before_the_answer_is_whole(
    wary: BytezClient, hostile: HostileServer
) -> None:
    # Letters that are cut apart by the pieces they come in are put together again.
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    letter = "ü".encode()
    is_first_seen = threading.Event()

    def handle(connection: socket.socket, _request: bytes) -> None:
        connection.sendall(head + b"6\r\nThe gr\r\n")
        assert is_first_seen.wait(10)
        connection.sendall(b"1\r\n%b\r\n2\r\n%bn\r\n0\r\n\r\n" % (letter[:1], letter[1:]))

    hostile.answers(handle)
    text = wary.run(GPT2, PROMPT)
    first = next(text)
    is_first_seen.set()
    assert first == "The gr"
    assert "".join([first, *text]) == "The grün"


def test_an_unknown_model_is_told_with_the_words_of_the_service(client: BytezClient) -> None:
    with pytest.raises(UnknownModelError) as caught:
        client.load("openai-community/gpt3", 1)
    assert "model 'openai-community/gpt3' not found" in str(caught.value)


def test_without_a_key_nothing_is_sent(hostile: HostileServer, api: ApiVersion) -> None:
    client = BytezClient(Settings(hostile.url, api, key=None))
    for call in (
        client.models,
        client.instances,
        lambda: client.load(GPT2, 1),
        lambda: client.status(GPT2),
        lambda: client.delete(GPT2),
        lambda: list(client.run(GPT2, PROMPT)),
    ):
        with pytest.raises(MissingKeyError) as caught:
            call()
        assert "`pulumi config set --secret bytez:key <key>`" in str(caught.value)
        assert "BYTEZ_KEY" in str(caught.value)
    assert hostile.requests == []


def test_server_time_follows_the_date_header(client: BytezClient, emulator: Emulator) -> None:
    emulator.set_faults([{"do": {"clockSkewSeconds": -7200}}])
    client.instances()
    emulator.advance(30)
    expected = emulator.now() - timedelta(seconds=7200)
    assert timedelta(0) <= expected - client.server_now() < timedelta(seconds=1)


def test_server_time_is_the_clocks_before_any_answer(
    wary: BytezClient, hostile: HostileServer, fake_clock: FakeClock
) -> None:
    assert wary.server_now() == fake_clock.now()
    hostile.answers(says(200, "[]", {"Date": "the day before yesterday"}))
    wary.instances()
    assert wary.server_now() == fake_clock.now()
