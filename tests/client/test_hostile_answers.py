"""Answers that are not of this API, or without end: bounded, told, and never taken for "gone"."""

from __future__ import annotations

import gzip
import itertools
import json
import socket
import threading
import zlib
from collections.abc import Callable

import pytest

from bytez_provider.base.clock import SystemClock
from bytez_provider.base.errors import (
    ApiError,
    AuthenticationError,
    BytezError,
    CreditsError,
    MalformedAnswerError,
    NotLoadedError,
    UnknownModelError,
    UnreachableError,
)
from bytez_provider.service.client import BytezClient
from bytez_provider.service.client._answers import Kind, Reading, Verb, kind_of
from bytez_provider.service.client._mishaps import NoAnswer
from bytez_provider.service.client._transport import Answer, BadAnswer, Limits, Opened, Transport
from bytez_provider.service.settings import ApiVersion, Key, Settings
from bytez_provider.service.wire import APIS, status_request
from tests.client.hostile import GPT2, KEY, Handler, HostileServer, drips, floods, says, sends

PAGE = "<!DOCTYPE html><html><head><title>Sign in &amp; go on</title></head></html>"
OK = b"HTTP/1.1 200 OK\r\n"
VERBS: tuple[Verb, ...] = ("list the instances", "load", "read the status of", "unload", "run")

CALLS: list[Callable[[BytezClient], object]] = [
    lambda client: client.models(),
    lambda client: client.instances(),
    lambda client: client.load(GPT2, 1),
    lambda client: client.status(GPT2),
    lambda client: client.delete(GPT2),
]
every_call = pytest.mark.parametrize("call", CALLS)


def short(hostile: HostileServer, **limits: float) -> Transport:
    """Talk to the hostile server with little patience."""
    settings = Settings(hostile.url, key=Key(KEY))
    return Transport(settings, SystemClock(), Limits(**limits))  # type: ignore[arg-type]


def ask(transport: Transport) -> Answer | NoAnswer | BadAnswer:
    return transport.exchange(status_request(APIS["2024-05"], GPT2).with_key(Key(KEY)))


# ---------------------------------------------------------------------------- not of this API


@every_call
@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 405])
def test_a_page_is_no_answer_of_this_api(
    wary: BytezClient,
    hostile: HostileServer,
    call: Callable[[BytezClient], object],
    status: int,
) -> None:
    hostile.answers(says(status, PAGE, {"Content-Type": "application/json"}))
    with pytest.raises(MalformedAnswerError) as caught:
        call(wary)
    message = str(caught.value)
    assert f"HTTP {status} with an HTML page ('Sign in & go on')" in message
    assert f"Check bytez:endpoint (the endpoint is {hostile.url})" in message
    assert caught.value.status == status
    assert len(hostile.requests) == 1


def test_a_page_of_a_service_that_broke_down_is_as_good_as_any_other_500(
    wary: BytezClient, hostile: HostileServer
) -> None:
    hostile.answers(says(500, PAGE), says(200, '{"status": "RUNNING"}'))
    assert wary.status(GPT2) is not None
    hostile.answers(says(500, PAGE))
    with pytest.raises(ApiError) as caught:
        wary.status(GPT2)
    assert type(caught.value) is ApiError
    assert "HTTP 500 with an HTML page ('Sign in & go on') (5 tries)" in str(caught.value)


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_page_of_a_gateway_in_trouble(
    wary: BytezClient, hostile: HostileServer, status: int
) -> None:
    hostile.answers(says(status, "<html><title>\nBad\nGateway</title>"))
    with pytest.raises(UnreachableError) as caught:
        wary.load(GPT2, 1)
    assert f"HTTP {status} with an HTML page ('Bad Gateway') (5 tries)" in str(caught.value)


@every_call
@pytest.mark.parametrize("body", ["Not Found", "no such page\n"])
def test_the_404_of_a_wrong_address_is_not_taken_for_gone(
    wary: BytezClient,
    hostile: HostileServer,
    call: Callable[[BytezClient], object],
    body: str,
) -> None:
    hostile.answers(says(404, body))
    with pytest.raises(MalformedAnswerError) as caught:
        call(wary)
    assert "Check bytez:endpoint" in str(caught.value)


@pytest.mark.parametrize("call", CALLS[:2])
def test_a_list_cannot_be_not_found(
    wary: BytezClient, hostile: HostileServer, call: Callable[[BytezClient], object]
) -> None:
    hostile.answers(says(404, '{"error": "not found"}'))
    with pytest.raises(MalformedAnswerError):
        call(wary)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "null",
        "[]",
        "{}",
        "7",
        '"RUNNING"',
        '{"modelId": "openai-community/gpt2"}',
        '{"status": null}',
        '{"status": ""}',
        '{"status": " "}',
        '{"status": 7}',
        '{"status": "RUNNING"',
        '{"status": "RUNNING", "inferences": NaN}',
        '{"status": "RUNNING", "inferences": -Infinity}',
        "\x00\xff",
        '{"a":' * 100_000,
        "[" * 5000 + "]" * 5000,
        "9" * 10_000,
    ],
)
def test_what_holds_no_status_is_neither_loaded_nor_gone(
    wary: BytezClient, hostile: HostileServer, body: str
) -> None:
    hostile.answers(says(200, body))
    with pytest.raises(MalformedAnswerError) as caught:
        wary.status(GPT2)
    assert len(str(caught.value)) < 700
    assert "\x00" not in str(caught.value)


@pytest.mark.parametrize("body", ['{"models": []}', '[{"foo": 1}]', "[null]", "null", "7"])
def test_what_holds_no_catalogue_is_no_empty_one(
    wary: BytezClient, hostile: HostileServer, api: ApiVersion, body: str
) -> None:
    hostile.answers(says(200, body))
    with pytest.raises(MalformedAnswerError) as caught:
        wary.models()
    assert f"which is no catalogue of the {api} api" in str(caught.value)
    assert "Check bytez:apiVersion" in str(caught.value)


def test_the_other_versions_catalogue_is_no_catalogue(
    wary: BytezClient, hostile: HostileServer, api: ApiVersion
) -> None:
    other = {"2024-05": '[{"modelId": "a/b", "ramRequired": 1}]', "2024-06": '[{"name": "a/b"}]'}
    hostile.answers(says(200, other[api]))
    with pytest.raises(MalformedAnswerError):
        wary.models()


def test_instances_tell_as_much_as_they_tell(wary: BytezClient, hostile: HostileServer) -> None:
    rows = [
        {"modelId": "a/whole", "status": "RUNNING", "concurrency": 2},
        {"modelId": "a/name-only"},
        {"model": "a/june"},
        {"modelId": "a/odd", "status": 7, "created": "yesterday", "concurrency": "many"},
        {"modelId": "a/gone", "status": "stopped"},
        {"status": "RUNNING"},
        {"modelId": 7},
        "a/string",
        None,
    ]
    hostile.answers(says(200, json.dumps(rows)))
    found = {one.model_id: (one.status, one.concurrency) for one in wary.instances()}
    assert found == {
        "a/whole": ("RUNNING", 2),
        "a/name-only": ("UNKNOWN", None),
        "a/june": ("UNKNOWN", None),
        "a/odd": ("UNKNOWN", None),
    }


# -------------------------------------------------------------------------- what "no" may mean


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, '{"error": "unknown model \'openai-community/gpt2\'"}'),
        (404, '{"error": "Model \\"openai-community/gpt2\\" could not be found."}'),
        (404, '{"error": "model with id openai-community/gpt2 was not found"}'),
        (404, '{"error": "the model does not exist"}'),
        (404, '{"error": "OpenAI-Community/GPT2: nothing there"}'),
        (404, '{"error": "Not found", "modelId": "openai-community/gpt2"}'),
        (404, '{"error": "Model is not loaded. Load it with the /model/load endpoint."}'),
        (400, '{"error": "model is not loaded"}'),
        (
            400,
            '{"error": "no instance of openai-community/gpt2, like \'openai-community/gpt2-xl\'"}',
        ),
        (409, '{"error": "The model isn\'t loaded"}'),
        (410, '{"error": "No such instance"}'),
        (200, '{"error": "Model openai-community/gpt2 is not currently running"}'),
        (200, '{"modelId": "openai-community/gpt2", "status": "stopped"}'),
        (200, '{"status": "STOPPED", "error": "expired"}'),
    ],
)
def test_not_loaded_has_many_faces(
    wary: BytezClient, hostile: HostileServer, status: int, body: str
) -> None:
    hostile.answers(says(status, body))
    assert wary.status(GPT2) is None
    if '"status"' not in body:
        wary.delete(GPT2)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        # A gateway's, a framework's, a proxy's: none of them is of this API.
        (404, ""),
        (404, "null"),
        (404, "{}"),
        (404, "[]"),
        (404, '"model is not loaded"'),
        (404, "model is not loaded"),
        (404, '{"detail": "Not Found"}'),
        (404, '{"detail": "model is not loaded"}'),
        (404, '{"message": "Not Found"}'),
        (404, '{"message": "no Route matched with those values"}'),
        (404, '{"message": "model is not loaded"}'),
        (404, '{"statusCode": 404, "message": "No such model", "error": "Not Found"}'),
        (404, '{"timestamp": 1, "status": 404, "error": "Not Found", "path": "/model/status"}'),
        (404, '{"error": {"code": 404, "message": "Requested model was not found."}}'),
        (404, '{"error": ["model is not loaded"]}'),
        (400, '{"detail": "model is not loaded"}'),
        (200, '{"message": "model is not loaded"}'),
        # A form of this API that speaks of the address, or of nothing.
        (404, '{"error": ""}'),
        (404, '{"error": "Not Found"}'),
        (404, '{"error": "Cannot POST /model/delete"}'),
        (404, '{"error": "Cannot POST /model/delete for openai-community/gpt2"}'),
        (404, '{"error": "no such endpoint"}'),
        (404, '{"error": "route not found"}'),
        (404, '{"error": "model route not found"}'),
        (404, '{"error": "there is no /model/status"}'),
        (404, '{"error": "Not found: POST http://127.0.0.1/model/delete"}'),
        # Of another model, or of something of a model.
        (404, '{"error": "model \'openai-community/gpt2-xl\' is not loaded"}'),
        (404, '{"error": "unknown model acme/gpt2"}'),
        (404, '{"error": "model is not loaded", "modelId": "acme/gpt2"}'),
        (400, '{"error": "model status: unknown error"}'),
        (400, '{"error": "unknown model type"}'),
        (400, '{"error": "the inference server is not running"}'),
        (200, '{"error": "Cluster isn\'t deployed"}'),
        (400, '{"error": "no model specified"}'),
        (400, '{"error": "model failed: CUDA device not found"}'),
        (409, '{"error": "model is DEPLOYING, not running"}'),
        (409, '{"error": "not loaded yet: a load is in progress"}'),
        # A success about nothing, or about another model.
        (200, '{"error": "model acme/gpt2 is not loaded"}'),
        (200, '{"modelId": "acme/gpt2", "status": "stopped"}'),
        (200, '{"model": "acme/gpt2", "status": "RUNNING"}'),
        # Redirects and the like.
        (300, '{"error": "model is not loaded"}'),
        (304, ""),
    ],
)
def test_without_evidence_it_is_never_not_loaded(
    wary: BytezClient, hostile: HostileServer, status: int, body: str
) -> None:
    hostile.answers(says(status, body))
    with pytest.raises(ApiError) as caught:
        wary.status(GPT2)
    assert caught.value.status == status
    assert "Nothing was changed. " in str(caught.value)
    if status != 200:
        # Any success of a delete about this model will do: a status follows.
        for call in (wary.delete, lambda model_id: list(wary.run(model_id, "x"))):
            with pytest.raises(ApiError):
                call(GPT2)
        with pytest.raises(ApiError):
            wary.load(GPT2, 1)


TROUBLES = {500, 501, 502, 503, 504, 505, 507, 520, 522, 599}
EVIL_WORDS = [
    "model is not loaded",
    "No such instance",
    f"unknown model '{GPT2}'",
    "could not read the model's status: unknown error",
    "model is already loaded",
    "a load is in progress",
    "out of credits",
    "invalid api key",
]


@pytest.mark.parametrize("words", EVIL_WORDS)
def test_a_service_in_trouble_says_neither_yes_nor_no(
    wary: BytezClient, hostile: HostileServer, words: str
) -> None:
    """Whatever its words are: they are of something that broke."""
    hostile.answers(says(500, json.dumps({"error": words, "status": "stopped"})))
    for call in (
        wary.status,
        wary.delete,
        lambda model_id: wary.load(model_id, 1),
        lambda model_id: list(wary.run(model_id, "x")),
        lambda _: wary.instances(),
    ):
        with pytest.raises(ApiError) as caught:
            call(GPT2)
        assert type(caught.value) is ApiError
        assert caught.value.is_passing


@pytest.mark.parametrize("words", EVIL_WORDS)
def test_nor_does_any_other_trouble(words: str) -> None:
    no_answer = {Kind.GATEWAY_LOST, Kind.GATEWAY_BUSY, Kind.SERVER_ERROR}
    for status, body in itertools.product(TROUBLES, (f'{{"error": "{words}"}}', words, "")):
        reading = Reading.of(Answer(status, {}, body.encode()), Key(KEY))
        for verb in VERBS:
            assert kind_of(reading, verb, GPT2) in no_answer


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, '{"error": "model is not loaded"}', AuthenticationError),
        (403, "", AuthenticationError),
        (403, '{"message": "Forbidden"}', AuthenticationError),
        (403, "error code: 1020", MalformedAnswerError),
        (401, "Unauthorized", AuthenticationError),
        (404, '{"error": "API key not found"}', AuthenticationError),
        (200, '{"error": "Unauthorized"}', AuthenticationError),
        (402, "", CreditsError),
        (404, '{"error": "no credits left"}', CreditsError),
        (403, '{"error": "Credit exhausted"}', CreditsError),
        (400, '{"error": "modelId is required"}', ApiError),
        (200, '{"error": "database on fire"}', ApiError),
        (200, '{"error": {"message": "database on fire"}}', ApiError),
        (500, '{"error": "database on fire"}', ApiError),
        (304, "", ApiError),
        (418, '{"detail": "teapot"}', ApiError),
    ],
)
def test_another_error_is_never_not_loaded(
    wary: BytezClient, hostile: HostileServer, status: int, body: str, kind: type[ApiError]
) -> None:
    hostile.answers(says(status, body))
    for call in (wary.status, wary.delete):
        with pytest.raises(kind) as caught:
            call(GPT2)
        assert type(caught.value) is kind
        assert caught.value.status == status


def test_the_name_of_a_model_is_no_word_of_the_service(
    wary: BytezClient, hostile: HostileServer
) -> None:
    name = "acme/credit-scorer-api-key"
    hostile.answers(says(404, json.dumps({"error": f"unknown model '{name}'"})))
    assert wary.status(name) is None
    with pytest.raises(UnknownModelError):
        wary.load(name, 1)


def test_an_error_beside_a_status_is_a_part_of_it(
    wary: BytezClient, hostile: HostileServer
) -> None:
    hostile.answers(says(200, '{"status": "FAILED", "error": "out of memory"}'))
    live = wary.status(GPT2)
    assert live is not None
    assert (live.status, live.error) == ("FAILED", "out of memory")


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (209, ""),
        (209, PAGE),
        (400, '{"error": "Model already loaded"}'),
        (200, '{"error": "already loaded", "status": "RUNNING"}'),
    ],
)
def test_already_loaded_has_many_faces(
    wary: BytezClient, hostile: HostileServer, status: int, body: str
) -> None:
    hostile.answers(says(status, body))
    assert wary.load(GPT2, 1).outcome.value == "already loaded"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, '{"message": "Model already loaded"}'),
        (409, '{"detail": "already loaded"}'),
        (400, '{"error": "model acme/gpt2 is already loaded"}'),
        (400, "already loaded"),
        (200, '{"modelId": "acme/gpt2", "status": "started"}'),
        (429, '{"message": "a load is in progress"}'),
    ],
)
def test_without_evidence_it_is_never_already_loaded(
    wary: BytezClient, hostile: HostileServer, status: int, body: str
) -> None:
    hostile.answers(says(status, body))
    with pytest.raises(ApiError):
        wary.load(GPT2, 1)


@pytest.mark.parametrize(("status", "body"), [(204, ""), (200, ""), (200, "OK"), (202, "{}")])
def test_any_success_deletes(
    wary: BytezClient, hostile: HostileServer, status: int, body: str
) -> None:
    hostile.answers(says(status, body))
    wary.delete(GPT2)
    assert len(hostile.requests) == 1


def test_an_error_in_a_success_is_no_text(wary: BytezClient, hostile: HostileServer) -> None:
    hostile.answers(says(200, '{ "error":\n "model is not loaded"}'))
    with pytest.raises(NotLoadedError):
        list(wary.run(GPT2, "x"))


@pytest.mark.parametrize(
    "text",
    [
        '{"error": "x"} is what an error looks like',
        '{"errors": []}',
        '{"error": 1, "b": 2}',
        "  {",
        '{"error',
        "",
        " \n",
        "<html>",
        '{"error":' + "x" * 40_000,
    ],
)
def test_a_text_may_look_like_json(wary: BytezClient, hostile: HostileServer, text: str) -> None:
    hostile.answers(says(200, text))
    assert "".join(wary.run(GPT2, "x")) == text


# ----------------------------------------------------------------------------------- too much


def test_an_endless_answer_is_cut(hostile: HostileServer) -> None:
    hostile.answers(floods(OK + b"\r\n[", b'"x",' * 4096))
    got = ask(short(hostile, body_bytes=100_000))
    assert got == BadAnswer("answers with more than 100000 bytes", 200)


def test_an_endless_answer_is_an_error(wary: BytezClient, hostile: HostileServer) -> None:
    hostile.answers(floods(OK + b"\r\n[", b'"x",' * 100_000))
    with pytest.raises(MalformedAnswerError) as caught:
        wary.models()
    assert str(caught.value) == (
        f"could not list the models: {hostile.url} answers with more than 4194304 bytes"
        " (HTTP 200). Nothing was changed. Check bytez:endpoint."
    )


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_small_answer_that_unpacks_to_a_large_one_is_cut(
    hostile: HostileServer, coding: str
) -> None:
    plain = b" " * 10_000_000
    packed = gzip.compress(plain) if coding == "gzip" else zlib.compress(plain)
    assert len(packed) < 10_000
    hostile.answers(says(200, packed, {"Content-Encoding": coding}))
    assert isinstance(ask(short(hostile, body_bytes=1_000_000)), BadAnswer)


def test_a_compressed_answer_is_read(wary: BytezClient, hostile: HostileServer) -> None:
    hostile.answers(
        says(200, gzip.compress(b'{"status": "RUNNING"}'), {"Content-Encoding": "gzip"})
    )
    assert wary.status(GPT2) is not None


def test_broken_compression_is_told(wary: BytezClient, hostile: HostileServer) -> None:
    hostile.answers(says(200, b"no gzip", {"Content-Encoding": "gzip"}))
    with pytest.raises(MalformedAnswerError) as caught:
        wary.status(GPT2)
    assert "answers with broken compression" in str(caught.value)


# ---------------------------------------------------------------------------------- too slow


def test_an_answer_that_drips_is_cut(hostile: HostileServer) -> None:
    hostile.answers(drips(OK + b"\r\n", b" "))
    got = ask(short(hostile, whole_seconds=0.2))
    assert got == NoAnswer("the answer was not whole within 0.2 s", sent=True, silent=True)


def test_headers_that_drip_are_cut(hostile: HostileServer) -> None:
    hostile.answers(drips(OK + b"X-Slow: ", b"x"))
    got = ask(short(hostile, whole_seconds=0.2))
    assert got == NoAnswer("the answer was not whole within 0.2 s", sent=True, silent=True)


@pytest.mark.parametrize("head", [b"", OK, OK + b"Content-Length: 9\r\n\r\n1234"])
def test_silence_is_cut(hostile: HostileServer, head: bytes) -> None:
    def is_silent(connection: socket.socket, _request: bytes) -> None:
        connection.sendall(head)
        while connection.recv(65536):
            pass

    hostile.answers(is_silent)
    got = ask(short(hostile, read_seconds=0.1))
    assert got == NoAnswer("nothing came for 0.1 s", sent=True, silent=True)


def test_a_text_may_take_longer_than_other_answers(hostile: HostileServer) -> None:
    may_go_on = threading.Event()

    def thinks(connection: socket.socket, _request: bytes) -> None:
        connection.sendall(OK + b"\r\n")
        assert may_go_on.wait(10)
        connection.sendall(b"Once")

    hostile.answers(thinks)
    transport = short(hostile, read_seconds=0.05, whole_seconds=0.05)
    request = status_request(APIS["2024-05"], GPT2).with_key(Key(KEY))
    opened = transport.open(request, streamed=True)
    assert isinstance(opened, Opened)
    # Longer than any other answer may take.
    threading.Event().wait(0.1)
    may_go_on.set()
    assert list(opened.pieces()) == [b"Once"]


def test_who_was_silent_before_a_text_is_not_asked_again(
    hostile: HostileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "bytez_provider.service.client._client.Transport",
        lambda settings, clock: Transport(settings, clock, Limits(run_seconds=0.1)),
    )

    def is_silent(connection: socket.socket, _request: bytes) -> None:
        while connection.recv(65536):
            pass

    hostile.answers(is_silent)
    client = BytezClient(Settings(hostile.url, key=Key(KEY)))
    with pytest.raises(UnreachableError) as caught:
        list(client.run(GPT2, "x"))
    assert len(hostile.requests) == 1
    assert caught.value.maybe_done


# ----------------------------------------------------------------------------------- rubbish


@pytest.mark.parametrize(
    "rubbish",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\x16\x03\x01\x00\x01",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{\r\n",
        OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n{}",
    ],
)
def test_what_is_no_http_is_an_error_of_ours(
    wary: BytezClient, hostile: HostileServer, rubbish: bytes
) -> None:
    hostile.answers(sends(rubbish))
    with pytest.raises(BytezError) as caught:
        wary.status(GPT2)
    assert isinstance(caught.value, (UnreachableError, MalformedAnswerError))
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_a_servers_words_cannot_take_over_the_terminal(
    wary: BytezClient, hostile: HostileServer
) -> None:
    words = "\x1b[2J\x1b]0;owned\x07line\r\nnext\u202e" + "x" * 100_000
    hostile.answers(says(500, json.dumps({"error": words})))
    with pytest.raises(ApiError) as caught:
        wary.status(GPT2)
    message = str(caught.value)
    assert message.isprintable()
    assert len(message) < 500


def test_half_a_surrogate_pair_can_be_printed(wary: BytezClient, hostile: HostileServer) -> None:
    hostile.answers(says(200, r'{"status": "FAILED \ud800", "error": "\udfff"}'))
    live = wary.status(GPT2)
    assert live is not None
    assert (live.status, live.error) == ("FAILED ?", "?")


HANDLERS: list[Handler] = [sends(b""), says(200, PAGE)]


@pytest.mark.parametrize("handler", HANDLERS)
def test_no_error_carries_an_exception_of_the_libraries(
    wary: BytezClient, hostile: HostileServer, handler: Handler
) -> None:
    hostile.answers(handler)
    for call in CALLS:
        with pytest.raises(BytezError) as caught:
            call(wary)
        assert caught.value.__cause__ is None
        assert caught.value.__context__ is None
