"""When a call is tried again, for how long, and what is known of a lost answer."""

from __future__ import annotations

import itertools
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from bytez_provider.base.clock import SystemClock
from bytez_provider.base.errors import (
    ApiError,
    AuthenticationError,
    BytezError,
    RateLimitedError,
    UnreachableError,
)
from bytez_provider.emulator import Emulator
from bytez_provider.service.client import BytezClient
from bytez_provider.service.client._call import Call
from bytez_provider.service.client._results import NoAnswer
from bytez_provider.service.schemas import Asked, LoadAnswer, LoadOutcome
from bytez_provider.service.settings import ApiVersion, Key, Settings
from tests.asking import Ask, ask_of, endpoints, for_api
from tests.client.conftest import CALLS, Wary, calls_of
from tests.client.hostile import GPT2, KEY, Form, Handler, HostileServer, cut_off, says, sends
from tests.clocks import EmulatorClock, FakeClock

HALF = sends(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"modelId":')
CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def requests_of(emulator: Emulator, ask: Ask) -> list[int | None]:
    return [record.status for record in emulator.requests() if ask_of(record) == ask]


def refusal(status: int, error: str = "no") -> dict[str, Any]:
    return {"respond": {"status": status, "body": {"error": error}}}


BROKEN = refusal(500, "no such model")


# ------------------------------------------------------------------------------ what passes


@pytest.mark.parametrize(
    "trouble",
    [
        *(refusal(502), refusal(503), refusal(504), refusal(522), refusal(429)),
        {"respond": {"status": 502, "body": "<html><title>Bad Gateway</title></html>"}},
        *({"reset": "before"}, {"reset": "after"}, BROKEN),
    ],
)
def test_every_call_survives_what_passes(
    client: BytezClient, emulator: Emulator, api: ApiVersion, trouble: dict[str, Any]
) -> None:
    """A load or a run that broke the service is not sent again: it may do so again."""
    for ask, call in calls_of(api).items():
        if trouble == BROKEN and ask in ("load", "run"):
            CALLS["load"](client)
        else:
            emulator.set_faults(for_api(api, [{"asks": ask, "first": 2, "do": trouble}]))
            call(client)
            assert len(requests_of(emulator, ask)) == 3, ask
        emulator.advance(500)


@pytest.mark.parametrize("status", [400, 402, 403, 404, 409, 422, 500, 501])
def test_a_proper_refusal_of_a_load_is_not_tried_again(
    client: BytezClient, emulator: Emulator, api: ApiVersion, status: int
) -> None:
    emulator.set_faults(for_api(api, [{"asks": "load", "do": refusal(status)}]))
    with pytest.raises(BytezError):
        client.load(GPT2, Asked(1))
    assert requests_of(emulator, "load") == [status]


def test_patience_ends_after_five_tries(wary: Wary, form: Form) -> None:
    wary.server.answers(form.says(error="busy", status=503))
    with pytest.raises(UnreachableError) as caught:
        wary.status(GPT2)
    assert len(wary.server.requests) == 5
    assert str(caught.value) == (
        "could not read the status of 'openai-community/gpt2': the service answered HTTP 503:"
        " busy (5 tries). Nothing was changed. Try again in a few minutes."
    )
    for pause, least, most in zip(wary.clock.waits, (0.5, 1, 2, 4), (1, 2, 4, 8), strict=True):
        assert least <= pause <= most


def test_a_caller_who_asks_again_anyway_asks_once(wary: Wary) -> None:
    for answer in (says(503), says(429), cut_off):
        wary.server.answers(answer)
        for call in (lambda: wary.status(GPT2, tries=1), lambda: wary.instances(tries=1)):
            with pytest.raises((UnreachableError, RateLimitedError)):
                call()
    assert len(wary.server.requests) == 6
    assert wary.clock.waits == []


def test_nobody_listens(api: ApiVersion, fake_clock: FakeClock) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    client = BytezClient(Settings(f"http://127.0.0.1:{port}", api, Key(KEY)), clock=fake_clock)
    with pytest.raises(UnreachableError) as caught:
        client.load(GPT2, Asked(1))
    assert str(caught.value) == (
        "could not load 'openai-community/gpt2': no answer from"
        f" http://127.0.0.1:{port}: the connection was refused (5 tries). Nothing was changed."
        " Check the network and bytez:endpoint, then try again."
    )
    assert not caught.value.maybe_done


def test_a_host_name_without_an_address(
    api: ApiVersion, fake_clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def finds_none(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", finds_none)
    client = BytezClient(Settings("https://bytez.invalid", api, Key(KEY)), clock=fake_clock)
    with pytest.raises(UnreachableError, match="its host name has no address") as caught:
        client.load(GPT2, Asked(1))
    assert not caught.value.maybe_done


# --------------------------------------------------------------------------------- the stop


def test_a_stop_ends_the_waits_but_not_the_call(wary: Wary, api: ApiVersion) -> None:
    stop = threading.Event()
    stop.set()
    wary.server.answers(says(503))
    calls: dict[Ask, Callable[[], object]] = {
        "load": lambda: wary.load(GPT2, Asked(1), stop=stop),
        "status": lambda: wary.status(GPT2, stop=stop),
        "delete": lambda: wary.delete(GPT2, stop=stop),
    }
    if "rescale" in endpoints(api):
        calls["rescale"] = lambda: wary.rescale(GPT2, Asked(1), stop=stop)
    for call in calls.values():
        with pytest.raises(UnreachableError):
            call()
    assert wary.server.asked() == list(calls)


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


# ------------------------------------------------------------------------------ rate limits


def test_retry_after_is_waited_for(wary: Wary, form: Form) -> None:
    # The machine's clock is a day off; what counts is the difference to the server's `Date`.
    server = wary.clock.now() - timedelta(days=1)
    dates = {
        "Date": format_datetime(server, usegmt=True),
        "Retry-After": format_datetime(server + timedelta(seconds=50), usegmt=True),
    }
    wary.server.answers(
        says(429, headers={"Retry-After": "40"}), says(429, headers=dates), form.says([])
    )
    assert wary.instances() == []
    assert 40 <= wary.clock.waits[0] <= 41
    assert 50 <= wary.clock.waits[1] <= 52


@pytest.mark.parametrize("value", ["", "soon", "-5", "1.5", "Wed, 99 Foo 2024", "١٢", "0"])
def test_a_retry_after_without_a_time_is_ignored(wary: Wary, form: Form, value: str) -> None:
    wary.server.answers(
        sends(f"HTTP/1.1 429 No\r\nContent-Length: 0\r\nRetry-After: {value}\r\n\r\n".encode()),
        form.says([]),
    )
    assert wary.instances() == []
    assert wary.clock.waits[0] <= 1


@pytest.mark.parametrize("seconds", ["181", "999999999999999999999"])
def test_a_longer_wait_than_patience_is_an_error_at_once(
    wary: Wary, form: Form, seconds: str
) -> None:
    wait = {"Retry-After": seconds}
    wary.server.answers(form.says(error="slow down", status=429, headers=wait))
    with pytest.raises(RateLimitedError) as caught:
        wary.status(GPT2)
    assert wary.clock.waits == []
    assert caught.value.action.startswith("Try again in ")
    assert caught.value.status == 429


def test_waiting_at_a_rate_limit_is_bounded(wary: Wary) -> None:
    wary.server.answers(says(429, headers={"Retry-After": "20"}))
    with pytest.raises(RateLimitedError):
        wary.status(GPT2)
    assert 140 <= sum(wary.clock.waits) <= 180


def test_a_fleet_queues_at_a_rate_limit(emulator: Emulator, api: ApiVersion) -> None:
    emulator.set_faults([{"do": {"rateLimitPerSecond": 4}}])
    client = BytezClient(Settings(emulator.url, api, Key(KEY)), clock=EmulatorClock(emulator))
    with ThreadPoolExecutor(32) as pool:
        assert list(pool.map(client.status, [GPT2] * 32)) == [None] * 32


# ------------------------------------------------------------------------------ lost answers


@pytest.mark.parametrize(
    ("answer", "is_lost"),
    [
        *[(one, True) for one in (cut_off, HALF, says(502), says(504))],
        *[(one, False) for one in (says(503), says(521), says(429))],
    ],
)
def test_already_loaded_after_a_lost_answer_may_be_this_calls_own_doing(
    wary: Wary, form: Form, answer: Handler, is_lost: bool
) -> None:
    wary.server.answers(answer, form.already_loaded)
    assert wary.load(GPT2, Asked(1)) == LoadAnswer(LoadOutcome.ALREADY_LOADED, answer_lost=is_lost)
    assert_error_says_whether_the_load_may_exist(wary, answer, is_lost)


@pytest.mark.parametrize(
    ("answer", "maybe_done"),
    [
        (says(500), True),
        *[(says(200, body), True) for body in ("<html>all is well</html>", "", "yes")],
        (says(400, '{"error": "no"}'), False),
    ],
)
def test_the_error_of_one_try_says_whether_the_load_may_exist(
    wary: Wary, answer: Handler, maybe_done: bool
) -> None:
    """Also after a 500: a service may break down after it has accepted the load."""
    assert_error_says_whether_the_load_may_exist(wary, answer, maybe_done)
    assert len(wary.server.requests) == 1


def assert_error_says_whether_the_load_may_exist(
    wary: Wary, answer: Handler, maybe_done: bool
) -> None:
    wary.server.answers(answer)
    with pytest.raises(ApiError) as caught:
        wary.load(GPT2, Asked(1))
    assert caught.value.maybe_done is maybe_done
    expected = "It may be loading all the same" if maybe_done else "Nothing was changed"
    assert caught.value.state == expected


def test_a_refused_connection_is_no_lost_answer(emulator: Emulator, api: ApiVersion) -> None:
    class Reviving(EmulatorClock):
        """Starts the emulator again when somebody waits."""

        def wait(self, seconds: float, wake: threading.Event | None = None) -> None:
            super().wait(seconds, wake)
            emulator.start()

    client = BytezClient(Settings(emulator.url, api, Key(KEY)), clock=Reviving(emulator))
    client.instances()
    emulator.stop()
    assert client.load(GPT2, Asked(1)) == LoadAnswer(LoadOutcome.ACCEPTED, answer_lost=False)


def test_a_loss_is_remembered_whatever_comes_of_the_last_try(wary: Wary, form: Form) -> None:
    wary.server.answers(cut_off, form.says(error="bad key", status=401))
    with pytest.raises(AuthenticationError) as caught:
        wary.load(GPT2, Asked(1))
    assert caught.value.maybe_done
    call = Call("load", GPT2, wary.server.url, 5)
    for was_sent in (True, False):
        call.unanswered(NoAnswer("the connection broke off", sent=was_sent))
    assert call.lost


# ------------------------------------------------------------------------------------- runs


@pytest.mark.parametrize("begun", ["Once", '{"er'])
def test_a_text_that_breaks_off_is_not_tried_again(wary: Wary, begun: str) -> None:
    wary.meets("run", sends(CHUNKS + f"4\r\n{begun}\r\n".encode()))
    text = wary.run(GPT2, "x")
    assert next(text) == begun
    with pytest.raises(UnreachableError) as caught:
        next(text)
    assert str(caught.value) == (
        "could not run 'openai-community/gpt2': the text broke off: the connection broke off."
        " What came so far is not the whole text. Run it again."
    )
    assert wary.server.asked().count("run") == 1


def test_a_text_that_breaks_off_before_its_first_word_is_tried_again(wary: Wary) -> None:
    half = sends(b"HTTP/1.1 400 No\r\nContent-Length: 9\r\n\r\nno")
    wary.meets("run", sends(CHUNKS), half, says(200, "Once upon"))
    assert "".join(wary.run(GPT2, "x")) == "Once upon"


def test_a_text_that_nobody_reads_to_its_end_is_let_go(wary: Wary) -> None:
    is_gone = threading.Event()

    def talks(connection: socket.socket, _request: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\nOnce")
        try:
            for _ in itertools.count():
                connection.sendall(b" and again" * 1000)
        except OSError:
            is_gone.set()

    wary.meets("run", talks)
    text = wary.run(GPT2, "x")
    assert next(text).startswith("Once")
    text.close()  # type: ignore[attr-defined]
    assert is_gone.wait(10)
