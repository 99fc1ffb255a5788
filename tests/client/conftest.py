"""The client against the emulator, and against servers that the emulator cannot play."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bytez_provider.emulator import Emulator
from bytez_provider.service.client import BytezClient
from bytez_provider.service.settings import ApiVersion, Key, Settings
from tests.client.hostile import KEY, HostileServer
from tests.clocks import EmulatorClock, FakeClock

IN_BOTH_VERSIONS = {"test_endpoints", "test_secrets", "test_surroundings"}
"""What depends on the form of a request, or on where the key is in it."""


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
    client = BytezClient(Settings(emulator.url, api, Key(KEY)), clock=clock)
    yield client
    client.close()


@pytest.fixture
def hostile() -> Iterator[HostileServer]:
    server = HostileServer()
    yield server
    server.close()


@pytest.fixture
def elsewhere() -> Iterator[HostileServer]:
    """Another server, which is to be asked nothing."""
    server = HostileServer()
    yield server
    server.close()


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
    client = Wary(hostile, fake_clock, api)
    yield client
    client.close()
