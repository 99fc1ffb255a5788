"""The client against the emulator, and against servers that the emulator cannot play."""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from urllib.parse import quote

import pytest

from bytez_provider.emulator import Emulator
from bytez_provider.service.client import BytezClient
from bytez_provider.service.schemas import Asked
from bytez_provider.service.settings import ApiVersion, Key, Settings
from tests.client.hostile import GPT2, KEY, HostileServer
from tests.clocks import EmulatorClock, FakeClock

IN_BOTH_VERSIONS = {"test_endpoints", "test_secrets", "test_surroundings"}
"""What depends on the form of a request, or on where the key is in it."""

CALLS: Mapping[str, Callable[[BytezClient], object]] = {
    "/model/list": lambda client: client.models(),
    "/model/instances": lambda client: client.instances(),
    "/model/load": lambda client: client.load(GPT2, Asked(1)),
    "/model/status": lambda client: client.status(GPT2),
    "/model/run": lambda client: list(client.run(GPT2, "x")),
    "/model/delete": lambda client: client.delete(GPT2),
}
"""A call of each endpoint."""

ECHOES = [KEY, KEY.upper(), quote(KEY, safe=""), json.dumps(KEY)[1:-1], html.escape(KEY)]
"""Forms of the key in an answer; tests/unit/test_config.py has every form."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give a test that asks for `api` one version, or both."""
    if "api" in metafunc.fixturenames:
        is_in_both = metafunc.module.__name__.rpartition(".")[2] in IN_BOTH_VERSIONS
        metafunc.parametrize("api", ["2024-05", "2024-06"] if is_in_both else ["2024-05"])


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(keys=(KEY,), clock="manual") as emulator:
        yield emulator


@pytest.fixture
def clock(emulator: Emulator) -> EmulatorClock:
    return EmulatorClock(emulator)


@pytest.fixture
def client(emulator: Emulator, clock: EmulatorClock, api: ApiVersion) -> Iterator[BytezClient]:
    with closing(BytezClient(Settings(emulator.url, api, Key(KEY)), clock=clock)) as client:
        yield client


@pytest.fixture
def hostile() -> Iterator[HostileServer]:
    with closing(HostileServer()) as server:
        yield server


@pytest.fixture
def elsewhere() -> Iterator[HostileServer]:
    """Another server, which is to be asked nothing."""
    with closing(HostileServer()) as server:
        yield server


@pytest.fixture
def fake_clock() -> FakeClock:
    return FakeClock()


class Wary(BytezClient):
    """A client of a hostile server."""

    def __init__(self, server: HostileServer, clock: FakeClock, api: ApiVersion) -> None:
        super().__init__(Settings(server.url, api, Key(KEY)), clock=clock)
        self.server = server
        self.clock = clock


@pytest.fixture
def wary(hostile: HostileServer, fake_clock: FakeClock, api: ApiVersion) -> Iterator[Wary]:
    with closing(Wary(hostile, fake_clock, api)) as client:
        yield client
