"""When a call is tried again, for how long, and what is known of a lost answer."""

from __future__ import annotations

import itertools
import socket
import threading
from collections.abc import Callable
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from bytez_provider.base.clock import SystemClock
from bytez_provider.base.errors import (
    ApiError,
    AuthenticationError,
    CreditsError,
    MalformedAnswerError,
    RateLimitedError,
    UnknownModelError,
    UnreachableError,
)
from bytez_provider.emulator import Emulator
from bytez_provider.service.client import BytezClient
from bytez_provider.service.schemas import LoadOutcome
from bytez_provider.service.settings import ApiVersion, Key, Settings
from tests.client.hostile import GPT2, KEY, HostileServer, cut_off, says, sends
from tests.clocks import EmulatorClock, FakeClock

STARTED = says(200, '{"modelId": "openai-community/gpt2", "status": "started", "concurrency": 1}')
ALREADY = says(209, '{"error": "model is already loaded"}')
HALF = sends(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"modelId":')


def requests_of(emulator: Emulator, path: str) -> list[int | None]:
    return [record.status for record in emulator.requests() if record.path == path]


def fault(endpoint: str, do: dict[str, Any], first: int = 1) -> dict[str, Any]:
    return {"endpoint": endpoint, "first": first, "do": do}


def refusal(status: int, error: str = "no", **headers: str) -> dict[str, Any]:
    dashed = {name.replace("_", "-"): value for name, value in headers.items()}
    return {"respond": {"status": status, "body": {"error": error}, "headers": dashed}}


# ------------------------------------------------------------------------------ what passes


@pytest.mark.parametrize(
    "trouble",
    [
        refusal(502),
        refusal(503),
        refusal(504),
        refusal(522),
        refusal(429),
        {"respond": {"status": 502, "body": "<html><title>Bad Gateway</title></html>"}},
        {"reset": "before"},
        {"reset": "after"},
    ],
)
@pytest.mark.parametrize(
    ("endpoint", "call"),
    [
        ("/model/list", lambda client: client.models()),
        ("/model/instances", lambda client: client.instances()),
        ("/model/status", lambda client: client.status("microsoft/phi-1")),
        ("/model/load", lambda client: client.load(GPT2, 1)),
        ("/model/run", lambda client: list(client.run("microsoft/phi-1", "x"))),
        ("/model/delete", lambda client: client.delete("microsoft/phi-1")),
    ],
)
def test_every_call_outlives_what_passes(
    client: BytezClient,
    emulator: Emulator,
    endpoint: str,
    call: Callable[[BytezClient], object],
    trouble: dict[str, Any],
) -> None:
    client.load("microsoft/phi-1", 1)
    emulator.advance(500)
    emulator.set_faults([fault(endpoint, trouble, first=2)])
    call(client)
    tries = requests_of(emulator, endpoint)
    assert len(tries) == 3 + (endpoint == "/model/load")


@pytest.mark.parametrize("status", [400, 402, 403, 404, 409, 422, 500, 501])
def test_a_proper_refusal_is_not_tried_again(
    client: BytezClient, emulator: Emulator, status: int
) -> None:
    emulator.set_faults([fault("/model/load", refusal(status), first=9)])
    with pytest.raises((ApiError, UnknownModelError)):
        client.load(GPT2, 1)
    assert requests_of(emulator, "/model/load") == [status]


@pytest.mark.parametrize(
    ("endpoint", "call"),
    [
        ("/model/list", lambda client: client.models()),
        ("/model/instances", lambda client: client.instances()),
        ("/model/status", lambda client: client.status(GPT2)),
        ("/model/delete", lambda client: client.delete(GPT2)),
    ],
)
def test_a_service_that_broke_down_is_asked_again_where_that_does_no_harm(
    client: BytezClient,
    emulator: Emulator,
    endpoint: str,
    call: Callable[[BytezClient], object],
) -> None:
    client.load(GPT2, 1)
    emulator.set_faults([fault(endpoint, refusal(500, "no such model"), first=2)])
    call(client)
    assert requests_of(emulator, endpoint) == [500, 500, 200]


def test_patience_ends_after_five_tries(
    wary: BytezClient, hostile: HostileServer, fake_clock: FakeClock
) -> None:
    hostile.answers(says(503, '{"error": "busy"}'))
    with pytest.raises(UnreachableError) as caught:
        wary.status(GPT2)
    assert len(hostile.requests) == 5
    assert str(caught.value) == (
        "could not read the status of 'openai-community/gpt2': the service answered HTTP 503:"
        " busy (5 tries). Nothing was changed. Try again in a few minutes."
    )
    for pause, least, most in zip(fake_clock.waits, (0.5, 1, 2, 4), (1, 2, 4, 8), strict=True):
        assert least <= pause <= most


def test_who_asks_again_anyway_asks_once(
    wary: BytezClient, hostile: HostileServer, fake_clock: FakeClock
) -> None:
    for answer in (says(503), says(429), cut_off):
        hostile.answers(answer)
        with pytest.raises((UnreachableError, RateLimitedError)):
            wary.status(GPT2, tries=1)
        with pytest.raises((UnreachableError, RateLimitedError)):
            wary.instances(tries=1)
    assert len(hostile.requests) == 6
    assert fake_clock.waits == []


def test_nobody_listens(api: ApiVersion, fake_clock: FakeClock) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    client = BytezClient(Settings(f"http://127.0.0.1:{port}", api, Key(KEY)), clock=fake_clock)
    with pytest.raises(UnreachableError) as caught:
        client.load(GPT2, 1)
    assert str(caught.value) == (
        "could not load 'openai-community/gpt2': no answer from"
        f" http://127.0.0.1:{port}: the connection was refused (5 tries). Nothing was changed."
        " Check the network and bytez:endpoint, then try again."
    )
    assert not caught.value.maybe_done
    assert len(fake_clock.waits) == 4


def test_a_name_without_an_address(
    api: ApiVersion, fake_clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def finds_none(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", finds_none)
    client = BytezClient(Settings("https://bytez.invalid", api, Key(KEY)), clock=fake_clock)
    with pytest.raises(UnreachableError) as caught:
        client.load(GPT2, 1)
    assert "https://bytez.invalid: its host name has no address (5 tries)" in str(caught.value)
    assert not caught.value.maybe_done


# --------------------------------------------------------------------------------- the stop


def test_a_stop_ends_the_waits(wary: BytezClient, hostile: HostileServer) -> None:
    stop = threading.Event()
    stop.set()
    hostile.answers(says(503))
    for call in (
        lambda: wary.load(GPT2, 1, stop=stop),
        lambda: wary.status(GPT2, stop=stop),
        lambda: wary.delete(GPT2, stop=stop),
    ):
        with pytest.raises(UnreachableError):
            call()
    assert len(hostile.requests) == 3


def test_a_stop_wakes_a_wait_that_is_under_way(hostile: HostileServer, api: ApiVersion) -> None:
    stop = threading.Event()

    def busy(connection: socket.socket, request: bytes) -> None:
        says(503, headers={"Retry-After": "59"})(connection, request)
        stop.set()

    hostile.answers(busy)
    client = BytezClient(Settings(hostile.url, api, Key(KEY)), clock=SystemClock())
    with pytest.raises(UnreachableError):
        client.status(GPT2, stop=stop)
    assert len(hostile.requests) == 1


def test_a_stop_does_not_keep_a_call_from_being_made(client: BytezClient) -> None:
    stop = threading.Event()
    stop.set()
    client.load(GPT2, 1)
    client.delete(GPT2, stop=stop)
    assert client.status(GPT2) is None


# ------------------------------------------------------------------------------ rate limits


def test_retry_after_in_seconds_is_waited_for(
    wary: BytezClient, hostile: HostileServer, fake_clock: FakeClock
) -> None:
    hostile.answers(says(429, headers={"Retry-After": "40"}), says(200, "[]"))
    assert wary.instances() == []
    assert 40 <= fake_clock.waits[0] <= 41


def test_retry_after_as_a_date_is_waited_for_in_server_time(
    wary: BytezClient, hostile: HostileServer, fake_clock: FakeClock
) -> None:
    # The machine's clock is a day off; what counts is the difference to the server's `Date`.
    server = fake_clock.now() - timedelta(days=1)
    dates = {
        "Date": format_datetime(server, usegmt=True),
        "Retry-After": format_datetime(server + timedelta(seconds=50), usegmt=True),
    }
    hostile.answers(says(429, headers=dates), says(200, "[]"))
    assert wary.instances() == []
    assert 50 <= fake_clock.waits[0] <= 51


@pytest.mark.parametrize("value", ["", "soon", "-5", "1.5", "Wed, 99 Foo 2024", "١٢", "0"])
def test_a_retry_after_that_is_none_is_ignored(
    wary: BytezClient, hostile: HostileServer, fake_clock: FakeClock, value: str
) -> None:
    hostile.answers(
        sends(f"HTTP/1.1 429 No\r\nContent-Length: 0\r\nRetry-After: {value}\r\n\r\n".encode()),
        says(200, "[]"),
    )
    assert wary.instances() == []
    assert fake_clock.waits[0] <= 1


@pytest.mark.parametrize("seconds", ["181", "999999999999999999999"])
def test_a_longer_wait_than_patience_is_an_error_at_once(
    wary: BytezClient, hostile: HostileServer, fake_clock: FakeClock, seconds: str
) -> None:
    hostile.answers(says(429, '{"error": "slow down"}', {"Retry-After": seconds}))
    with pytest.raises(RateLimitedError) as caught:
        wary.status(GPT2)
    assert fake_clock.waits == []
    assert "HTTP 429: slow down. Nothing was changed. Try again in " in str(caught.value)
    assert caught.value.status == 429


def test_waiting_at_a_rate_limit_is_bounded(
    wary: BytezClient, hostile: HostileServer, fake_clock: FakeClock
) -> None:
    hostile.answers(says(429, headers={"Retry-After": "20"}))
    with pytest.raises(RateLimitedError):
        wary.status(GPT2)
    assert 140 <= sum(fake_clock.waits) <= 180


def test_a_fleet_queues_at_a_rate_limit(emulator: Emulator, api: ApiVersion) -> None:
    emulator.set_faults([{"do": {"rateLimitPerSecond": 4}}])
    clock = EmulatorClock(emulator)
    client = BytezClient(Settings(emulator.url, api, Key(KEY)), clock=clock)
    found: list[object] = []

    def ask() -> None:
        found.append(client.status(GPT2))

    threads = [threading.Thread(target=ask) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [None] * 32


# ----------------------------------------------------------------------------- what 429 means


def test_429_on_a_load_may_speak_of_credits(client: BytezClient, emulator: Emulator) -> None:
    emulator.set_faults([fault("/model/load", refusal(429, "You are out of credits"))])
    with pytest.raises(CreditsError) as caught:
        client.load(GPT2, 1)
    assert "HTTP 429: You are out of credits. Nothing was changed. Add credits" in str(caught.value)
    assert requests_of(emulator, "/model/load") == [429]


@pytest.mark.parametrize(
    "words", ["Model is loading", "load in progress", "DEPLOYING already, be patient"]
)
def test_429_on_a_load_may_speak_of_a_load_in_progress(
    client: BytezClient, emulator: Emulator, words: str
) -> None:
    emulator.set_faults([fault("/model/load", refusal(429, words))])
    assert client.load(GPT2, 1).outcome is LoadOutcome.IN_PROGRESS
    assert requests_of(emulator, "/model/load") == [429]


def test_429_on_a_load_is_a_rate_limit_otherwise(client: BytezClient, emulator: Emulator) -> None:
    emulator.set_faults([fault("/model/load", refusal(429, "too many requests"))])
    assert client.load(GPT2, 1).outcome is LoadOutcome.ACCEPTED
    assert requests_of(emulator, "/model/load") == [429, 200]


# ------------------------------------------------------------------------------ lost answers


@pytest.mark.parametrize("lost", [{"reset": "after"}, refusal(502), refusal(504)])
def test_a_load_whose_answer_was_lost_says_so(
    client: BytezClient, emulator: Emulator, lost: dict[str, Any]
) -> None:
    emulator.set_faults([fault("/model/load", lost)])
    assert client.load(GPT2, 1).answer_lost


def test_a_lost_answer_explains_an_already_loaded(client: BytezClient, emulator: Emulator) -> None:
    assert client.status(GPT2) is None
    emulator.set_faults([fault("/model/load", {"reset": "after"})])
    answer = client.load(GPT2, 1)
    assert answer.outcome is not LoadOutcome.ACCEPTED
    assert answer.answer_lost


@pytest.mark.parametrize("known", [refusal(503), refusal(429), refusal(521)])
def test_a_load_that_nobody_took_was_not_lost(
    client: BytezClient, emulator: Emulator, known: dict[str, Any]
) -> None:
    emulator.set_faults([fault("/model/load", known, first=3)])
    assert not client.load(GPT2, 1).answer_lost


def test_a_refused_connection_is_no_lost_answer(emulator: Emulator, api: ApiVersion) -> None:
    client = BytezClient(Settings(emulator.url, api, Key(KEY)), clock=_Reviving(emulator))
    client.instances()
    emulator.stop()
    answer = client.load(GPT2, 1)
    assert answer.outcome is LoadOutcome.ACCEPTED
    assert not answer.answer_lost


class _Reviving(EmulatorClock):
    """Starts the emulator again when somebody waits."""

    def __init__(self, emulator: Emulator) -> None:
        super().__init__(emulator)
        self._stopped = emulator

    def wait(self, seconds: float, wake: threading.Event | None = None) -> None:
        super().wait(seconds, wake)
        self._stopped.start()


def test_the_last_lost_answer_is_not_an_earlier_one(
    wary: BytezClient, hostile: HostileServer
) -> None:
    hostile.answers(ALREADY)
    assert not wary.load(GPT2, 1).answer_lost


@pytest.mark.parametrize("lost", [cut_off, HALF, says(504)])
def test_an_answer_that_breaks_off_is_lost(
    wary: BytezClient, hostile: HostileServer, lost: Callable[[socket.socket, bytes], None]
) -> None:
    hostile.answers(lost, ALREADY)
    answer = wary.load(GPT2, 1)
    assert answer.outcome is LoadOutcome.ALREADY_LOADED
    assert answer.answer_lost


@pytest.mark.parametrize(
    "lost", [cut_off, HALF, says(502), says(504), says(500, '{"error": "no"}'), says(500)]
)
def test_the_error_knows_that_a_load_may_be_on(
    wary: BytezClient, hostile: HostileServer, lost: Callable[[socket.socket, bytes], None]
) -> None:
    """Also after a 500: a service may break down after the load is on its way."""
    hostile.answers(lost)
    with pytest.raises(ApiError) as caught:
        wary.load(GPT2, 1)
    assert caught.value.maybe_done
    assert caught.value.state == "It may be loading all the same"


def test_a_loss_is_remembered_whatever_the_last_answer_was(
    wary: BytezClient, hostile: HostileServer
) -> None:
    hostile.answers(cut_off, says(401, '{"error": "bad key"}'))
    with pytest.raises(AuthenticationError) as caught:
        wary.load(GPT2, 1)
    assert caught.value.maybe_done


@pytest.mark.parametrize("answer", [says(503), says(429), says(400, '{"error": "no"}')])
def test_an_answered_load_is_known_not_to_be_on(
    wary: BytezClient, hostile: HostileServer, answer: Callable[[socket.socket, bytes], None]
) -> None:
    hostile.answers(answer)
    with pytest.raises(ApiError) as caught:
        wary.load(GPT2, 1)
    assert not caught.value.maybe_done
    assert caught.value.state == "Nothing was changed"


@pytest.mark.parametrize("body", ["<html>all is well</html>", "", "[]", "yes", '{"status": NaN}'])
def test_a_load_that_was_answered_with_rubbish_may_be_on(
    wary: BytezClient, hostile: HostileServer, body: str
) -> None:
    hostile.answers(says(200, body))
    with pytest.raises(MalformedAnswerError) as caught:
        wary.load(GPT2, 1)
    assert caught.value.maybe_done
    assert len(hostile.requests) == 1


def test_a_delete_whose_answer_was_lost_did_delete(client: BytezClient, emulator: Emulator) -> None:
    client.load(GPT2, 1)
    emulator.set_faults([fault("/model/delete", {"reset": "after"})])
    client.delete(GPT2)
    assert requests_of(emulator, "/model/delete") == [None, 404]
    assert client.status(GPT2) is None


# ------------------------------------------------------------------------------------- runs


def test_a_text_that_breaks_off_is_not_begun_again(
    wary: BytezClient, hostile: HostileServer
) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    hostile.answers(sends(head + b"4\r\nOnce\r\n"))
    text = wary.run(GPT2, "x")
    assert next(text) == "Once"
    with pytest.raises(UnreachableError) as caught:
        next(text)
    assert str(caught.value) == (
        "could not run 'openai-community/gpt2': the text broke off: the connection broke off."
        " What came so far is not the whole text. Run it again."
    )
    assert len(hostile.requests) == 1


def test_a_text_that_breaks_off_before_its_first_word_is_begun_again(
    wary: BytezClient, hostile: HostileServer
) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    hostile.answers(sends(head), says(200, "Once upon"))
    assert "".join(wary.run(GPT2, "x")) == "Once upon"


def test_a_text_that_nobody_reads_to_its_end_is_let_go(
    wary: BytezClient, hostile: HostileServer
) -> None:
    is_gone = threading.Event()

    def talks(connection: socket.socket, _request: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\nOnce")
        try:
            for _ in itertools.count():
                connection.sendall(b" and again" * 1000)
        except OSError:
            is_gone.set()

    hostile.answers(talks)
    text = wary.run(GPT2, "x")
    assert next(text).startswith("Once")
    text.close()  # type: ignore[attr-defined]
    assert is_gone.wait(10)
