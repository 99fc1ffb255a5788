"""The log of requests: one bounded line each, and never the key."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest

from bytez_provider.base.errors import BytezError
from bytez_provider.emulator import Emulator
from bytez_provider.service.client import BytezClient
from bytez_provider.service.settings import ApiVersion, Key, Settings
from tests.asking import Ask, body_of, for_api
from tests.client.conftest import CALLS, every_call
from tests.clocks import FakeClock

SECRET = "log-key-0123456789"


def logged(
    url: str, ask: Callable[[BytezClient], Any], version: Any, *, on: bool = True
) -> list[str]:
    """Return the lines about a call, whatever comes of it."""
    lines: list[str] = []
    settings = Settings(url, version, Key(SECRET), is_logged=on)
    client = BytezClient(settings, clock=FakeClock(), log=lines.append)
    with contextlib.suppress(BytezError):
        ask(client)
    client.close()
    return lines


@pytest.fixture(scope="module")
def emulator() -> Any:
    with Emulator(keys=(SECRET,), clock="manual", boot_seconds=0) as running:
        yield running


@every_call
def test_each_request_is_one_line_without_the_key(
    emulator: Emulator, api: ApiVersion, ask: Ask
) -> None:
    asked = len(emulator.requests())
    lines = logged(emulator.url, CALLS[ask], api)
    assert len(lines) == len(emulator.requests()) - asked >= 1
    for line, request in zip(lines, emulator.requests()[asked:], strict=True):
        assert line.startswith(f"{request.method} {request.path}")
        assert f"-> HTTP {request.status}" in line
        assert line.isprintable()
        assert len(line) <= 1200
        assert SECRET not in line


def test_without_the_setting_nothing_is_logged(emulator: Emulator) -> None:
    assert logged(emulator.url, CALLS["status"], "2024-05", on=False) == []


def test_a_request_without_an_answer_is_logged_for_each_try() -> None:
    lines = logged("http://127.0.0.1:9", CALLS["status"], "2024-06")
    assert len(lines) == 5
    assert all("-> no answer: " in line for line in lines)


def test_an_answer_that_echoes_the_key_at_its_cut_shows_no_part_of_it(
    emulator: Emulator, api: ApiVersion
) -> None:
    for length in range(470, 520):
        body = body_of(api, None, "x" * length + SECRET)
        respond = {"status": 400, "body": body}
        emulator.set_faults(for_api(api, [{"asks": "status", "do": {"respond": respond}}]))
        (line,) = logged(emulator.url, CALLS["status"], api)
        assert SECRET[:6] not in line
    emulator.set_faults([])
