"""The key is in no message, no log and no repr, whatever a server does with it."""

from __future__ import annotations

import json
import logging
import traceback
from urllib.parse import quote

import pytest

from bytez_provider.base.errors import BytezError
from bytez_provider.emulator import Emulator
from bytez_provider.service.apis import APIS
from bytez_provider.service.client import BytezClient
from bytez_provider.service.settings import ApiVersion, Key, Settings
from tests.asking import line_of
from tests.client.conftest import ECHOES, Wary, calls_of
from tests.client.hostile import GPT2, KEY, Form, Handler, cut_off, says, sends

MARK = "8f"
"""A part of the key that is in nothing else."""


def everything_said(error: BaseException) -> str:
    """Return all of an error that a log or report could show, variables of our frames included."""
    parts = [str(error), repr(error), repr(error.args), repr(vars(error))]
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    parts += [repr(frame.f_locals) for frame in frames[1:]]
    assert len(frames) > 1
    return "\n".join(parts)


def assert_hidden(text: str) -> None:
    assert not Key(KEY).appears_in(text)
    assert "bytez-key" not in text


@pytest.mark.parametrize("echo", ECHOES)
def test_an_echo_is_hidden(wary: Wary, api: ApiVersion, echo: str) -> None:
    bodies = (json.dumps({"error": f"bad key {echo}"}), f"bad key {echo}", f"<title>{echo}")
    for status, body in [(401, bodies[0]), (404, bodies[1]), (500, bodies[2])]:
        for ask, call in calls_of(api).items():
            wary.meets(ask, says(status, body))
            with pytest.raises(BytezError) as caught:
                call(wary)
            assert_hidden(everything_said(caught.value))


@pytest.mark.parametrize("echo", ECHOES)
def test_an_echo_in_a_success_is_hidden(wary: Wary, form: Form, echo: str) -> None:
    wary.server.answers(form.shows(f"FAILED {echo}", echo, name=echo))
    assert_hidden(repr(wary.status(GPT2)))
    row = {"modelId": echo, "status": f"FAILED {echo}", "error": echo, "name": echo}
    wary.server.answers(form.says([row]))
    assert_hidden(repr(wary.instances()))
    assert_hidden(repr(wary.models()))


def test_an_echo_in_the_name_of_a_property_is_hidden(wary: Wary, form: Form) -> None:
    """An error that is an object is shown as JSON, with its names."""
    wary.server.answers(form.says(error={KEY: {"seen": [KEY]}}, status=400))
    with pytest.raises(BytezError) as caught:
        wary.status(GPT2)
    assert 'HTTP 400: {"***": {"seen": ["***"]}}' in str(caught.value)
    assert_hidden(everything_said(caught.value))


def test_an_echo_is_not_cut_in_two(wary: Wary, form: Form) -> None:
    for at in range(2340, 2420):
        wary.server.answers(form.says(error=" " * at + KEY, status=400))
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
    wary: Wary,
    api: ApiVersion,
    handler: Handler,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    with caplog.at_level(logging.DEBUG):
        for ask, call in calls_of(api).items():
            wary.meets(ask, handler)
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
        for ask, call in calls_of(api).items():
            call(client)
            emulator.advance(500)
            assert f'"{line_of(api, ask, GPT2)} HTTP/' in caplog.text
    assert_hidden(caplog.text)
    assert capfd.readouterr() == ("", "")
    settings = Settings("https://bytez.invalid", api, Key(KEY))
    request = APIS[api].request("read the status of", Key(KEY), GPT2)
    for holder in (client, settings, request, settings.key):
        assert_hidden(f"{holder} {holder!r}")


def test_without_logging_set_up_nothing_is_printed(
    wary: Wary, capfd: pytest.CaptureFixture[str]
) -> None:
    for handler in HANDLERS.values():
        wary.server.answers(handler)
        with pytest.raises(BytezError):
            wary.status(GPT2)
    assert capfd.readouterr() == ("", "")
