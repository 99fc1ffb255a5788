"""The log of requests: one bounded line each, and never the key."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest

from bytez_provider.base.errors import BytezError
from bytez_provider.emulator import Emulator
from bytez_provider.service.client import BytezClient
from bytez_provider.service.schemas import Asked
from bytez_provider.service.settings import Key, Settings
from tests.clocks import FakeClock

GPT2 = "openai-community/gpt2"
SECRET = "log-key-0123456789"
ASKED: dict[str, Callable[[BytezClient], Any]] = {
    "load": lambda client: client.load(GPT2, Asked(1)),
    "status": lambda client: client.status(GPT2),
    "instances": lambda client: client.instances(),
    "models": lambda client: client.models(),
    "run": lambda client: list(client.run(GPT2, "Hello")),
    "delete": lambda client: client.delete(GPT2),
}


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


@pytest.mark.parametrize("version", ["2024-05", "2024-06", "2025-04"])
@pytest.mark.parametrize("name", ASKED)
def test_each_request_is_one_line_without_the_key(
    emulator: Emulator, name: str, version: str
) -> None:
    asked = len(emulator.requests())
    lines = logged(emulator.url, ASKED[name], version)
    assert len(lines) == len(emulator.requests()) - asked >= 1
    for line, request in zip(lines, emulator.requests()[asked:], strict=True):
        assert line.startswith(f"{request.method} {request.path}")
        assert f"-> HTTP {request.status}" in line
        assert line.isprintable()
        assert len(line) <= 1200
        assert SECRET not in line


def test_without_the_setting_nothing_is_logged(emulator: Emulator) -> None:
    assert logged(emulator.url, ASKED["status"], "2024-05", on=False) == []


def test_a_request_without_an_answer_is_logged_for_each_try() -> None:
    lines = logged("http://127.0.0.1:9", ASKED["status"], "2024-06")
    assert len(lines) == 5
    assert all("-> no answer: " in line for line in lines)


def test_an_answer_that_echoes_the_key_at_its_cut_shows_no_part_of_it(emulator: Emulator) -> None:
    for length in range(470, 520):
        body = {"error": "x" * length + SECRET}
        respond = {"status": 400, "body": body}
        emulator.set_faults([{"endpoint": "/model/status", "do": {"respond": respond}}])
        (line,) = logged(emulator.url, ASKED["status"], "2024-05")
        assert SECRET[:6] not in line
    emulator.set_faults([])
