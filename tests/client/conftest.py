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
from tests.asking import API_VERSIONS, Ask, endpoints
from tests.client.hostile import GPT2, KEY, Form, Handler, HostileServer, by_ask
from tests.clocks import EmulatorClock, FakeClock

CALLS: Mapping[Ask, Callable[[BytezClient], object]] = {
    "models": lambda client: client.models(),
    "instances": lambda client: client.instances(),
    # In every version so long that it is still loaded after the other calls.
    "load": lambda client: client.load(GPT2, Asked(1, 1800)),
    "status": lambda client: client.status(GPT2),
    "rescale": lambda client: client.rescale(GPT2, Asked(2, 1800)),
    "run": lambda client: list(client.run(GPT2, "x")),
    "delete": lambda client: client.delete(GPT2),
}
"""A call of each endpoint, in an order that the service accepts."""

EVERY_CALL = [(api, ask) for api in API_VERSIONS for ask in CALLS if ask in endpoints(api)]
every_call = pytest.mark.parametrize(("api", "ask"), EVERY_CALL)
of_2024 = pytest.mark.parametrize("api", ["2024-05", "2024-06"])
"""For what the API of 2025 does not have; the test says why."""

ECHOES = [KEY, KEY.upper(), quote(KEY, safe=""), json.dumps(KEY)[1:-1], html.escape(KEY)]
"""Forms of the key in an answer; tests/unit/test_config.py has every form."""


def calls_of(api: ApiVersion) -> Mapping[Ask, Callable[[BytezClient], object]]:
    """Return a call of each endpoint that a version has."""
    return {ask: CALLS[ask] for version, ask in EVERY_CALL if version == api}


@pytest.fixture(params=API_VERSIONS)
def api(request: pytest.FixtureRequest) -> ApiVersion:
    """Each version of the API."""
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def form(api: ApiVersion) -> Form:
    """The form of the service's answers."""
    return Form(api)


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

    def meets(self, ask: Ask, *handlers: Handler) -> None:
        """Let a request be answered so; before a run of 2025-04, the model's status is read."""
        if ask == "run":
            loaded = Form(self._settings.api_version).shows()
            handlers = (by_ask({"status": [loaded], "run": handlers}),)
        self.server.answers(*handlers)


@pytest.fixture
def wary(hostile: HostileServer, fake_clock: FakeClock, api: ApiVersion) -> Iterator[Wary]:
    with closing(Wary(hostile, fake_clock, api)) as client:
        yield client
