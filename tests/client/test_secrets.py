"""The key is in no message, no log and no repr, whatever a server does with it."""

from __future__ import annotations

import html
import json
import logging
import pickle
import traceback
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest

from bytez_provider.base.errors import BytezError
from bytez_provider.emulator import Emulator
from bytez_provider.service.client import BytezClient
from bytez_provider.service.settings import ApiVersion, Key, Settings
from bytez_provider.service.wire import APIS
from tests.client.hostile import GPT2, KEY, Handler, HostileServer, cut_off, says, sends

ECHOES = {
    "plain": KEY,
    "upper case": KEY.upper(),
    "URL": quote(KEY, safe=""),
    "URL, lower case": quote(KEY, safe="").lower(),
    "form": quote_plus(KEY),
    "every letter": "".join(f"%{ord(letter):02X}" for letter in KEY),
    "JSON": json.dumps(KEY)[1:-1],
    "JSON, slashes too": json.dumps(KEY)[1:-1].replace("/", "\\/"),
    "JSON, every letter": "".join(f"\\u{ord(letter):04X}" for letter in KEY),
    "HTML": html.escape(KEY),
    "HTML, numbers": "".join(f"&#{ord(letter)};" for letter in KEY),
    "HTML, hexadecimal": "".join(f"&#x{ord(letter):X};" for letter in KEY),
    "HTML, without semicolons": "".join(f"&#{ord(letter)}" for letter in KEY),
}
MARK = "8f"
"""A part of the key that is in nothing else."""

CALLS: list[Callable[[BytezClient], object]] = [
    lambda client: client.models(),
    lambda client: client.instances(),
    lambda client: client.load(GPT2, 1),
    lambda client: client.status(GPT2),
    lambda client: client.delete(GPT2),
    lambda client: list(client.run(GPT2, "x")),
]


def everything_said(error: BaseException) -> str:
    """Return all of an error that a log or report could show, variables of our frames included."""
    parts = [str(error), repr(error), repr(error.args), repr(vars(error))]
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    parts += [repr(frame.f_locals) for frame in frames[1:]]
    assert len(frames) > 1
    return "\n".join(parts)


def assert_hidden(text: str) -> None:
    for form, echo in ECHOES.items():
        assert echo.lower() not in text.lower(), form
    assert "bytez-key" not in text


@pytest.mark.parametrize("echo", ECHOES.values(), ids=ECHOES.keys())
def test_an_echo_is_hidden(wary: BytezClient, hostile: HostileServer, echo: str) -> None:
    bodies = (json.dumps({"error": f"bad key {echo}"}), f"bad key {echo}", f"<title>{echo}")
    for status, body in [(401, bodies[0]), (404, bodies[1]), (500, bodies[2])]:
        hostile.answers(says(status, body))
        for call in (CALLS[3], CALLS[5]):
            with pytest.raises(BytezError) as caught:
                call(wary)
            assert_hidden(everything_said(caught.value))


@pytest.mark.parametrize("echo", [KEY, quote(KEY, safe="")])
def test_an_echo_in_a_success_is_hidden(
    wary: BytezClient, hostile: HostileServer, echo: str
) -> None:
    row = {"modelId": echo, "status": f"FAILED {echo}", "error": echo, "name": echo}
    hostile.answers(says(200, json.dumps({**row, "modelId": GPT2})))
    assert_hidden(repr(wary.status(GPT2)))
    hostile.answers(says(200, json.dumps([row])))
    assert_hidden(repr(wary.instances()))
    assert_hidden(repr(wary.models()))


def test_an_echo_in_the_name_of_a_property_is_hidden(
    wary: BytezClient, hostile: HostileServer
) -> None:
    """An error that is an object is shown as JSON, with its names."""
    hostile.answers(says(400, json.dumps({"error": {KEY: {"seen": [KEY]}}})))
    with pytest.raises(BytezError) as caught:
        wary.status(GPT2)
    assert 'HTTP 400: {"***": {"seen": ["***"]}}' in str(caught.value)
    assert_hidden(everything_said(caught.value))


def test_an_echo_is_not_cut_in_two(wary: BytezClient, hostile: HostileServer) -> None:
    for at in range(2340, 2420):
        hostile.answers(says(400, json.dumps({"error": " " * at + KEY})))
        with pytest.raises(BytezError) as caught:
            wary.status(GPT2)
        assert MARK not in str(caught.value)


HANDLERS: dict[str, Handler] = {
    "no answer": cut_off,
    "no HTTP": sends(KEY.encode()),
    "half": sends(b"HTTP/1.1 500 No\r\nContent-Length: 99\r\n\r\n" + KEY.encode()),
    "no JSON": says(200, KEY),
    "a page": says(200, f"<html>{KEY}</html>"),
    "a broken header": sends(
        b"HTTP/1.1 500 No\r\n" + KEY.encode() + b"\r\nContent-Length: 0\r\n\r\n"
    ),
    "a header": says(500, headers={"X-Echo": KEY}),
    "a redirect": says(307, headers={"Location": f"/x?{KEY}"}),
    "a redirect away": says(307, headers={"Location": f"http://evil.example/{quote(KEY)}"}),
    "a retry": says(429, headers={"Retry-After": KEY}),
    "a date": says(500, headers={"Date": KEY}),
}


@pytest.mark.parametrize("handler", HANDLERS.values(), ids=HANDLERS.keys())
def test_nothing_shows_the_key(
    wary: BytezClient,
    hostile: HostileServer,
    handler: Handler,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    hostile.answers(handler)
    with caplog.at_level(logging.DEBUG):
        for call in CALLS:
            try:
                call(wary)
            except BytezError as error:
                assert_hidden(everything_said(error))
    assert_hidden(caplog.text)
    assert any(record.name.startswith("urllib3") for record in caplog.records)
    out, err = capfd.readouterr()
    assert out == ""
    assert "bytez-key" not in err


def test_a_whole_life_shows_no_key(
    client: BytezClient,
    emulator: Emulator,
    api: ApiVersion,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    with caplog.at_level(logging.DEBUG):
        client.load(GPT2, 1)
        emulator.advance(500)
        for call in (CALLS[0], CALLS[3], CALLS[5], CALLS[4]):
            call(client)
    assert "/model/load" in caplog.text
    assert_hidden(caplog.text)
    assert capfd.readouterr() == ("", "")
    settings = Settings("https://bytez.invalid", api, Key(KEY))
    request = APIS[api].request("read the status of", Key(KEY), GPT2)
    for holder in (client, settings, request, settings.key):
        assert_hidden(f"{holder} {holder!r}")
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(settings)


def test_without_logging_set_up_nothing_is_printed(
    wary: BytezClient, hostile: HostileServer, capfd: pytest.CaptureFixture[str]
) -> None:
    for handler in HANDLERS.values():
        hostile.answers(handler)
        with pytest.raises(BytezError):
            wary.status(GPT2)
    assert capfd.readouterr() == ("", "")
