"""A machine that deploys, and the emulator that it deploys to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bytez_provider.emulator import Emulator
from bytez_provider.emulator.fixtures import START
from bytez_provider.service.settings import ApiVersion
from tests.asking import API_VERSIONS
from tests.client.hostile import HostileServer
from tests.lifecycle.machine import BOOT_SECONDS, KEY, OTHER_KEY, Machine, Process


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """An emulator whose time stands still until somebody waits."""
    with Emulator(
        keys=[KEY, OTHER_KEY], clock="manual", boot_seconds=BOOT_SECONDS, start=START
    ) as running:
        yield running


@pytest.fixture
def machine(emulator: Emulator, tmp_path: Path) -> Iterator[Machine]:
    """A machine without a trace of an earlier deployment."""
    machine = Machine(emulator, tmp_path / "journal")
    yield machine
    machine.close()


@pytest.fixture
def process(machine: Machine) -> Process:
    """The process of one deployment."""
    return machine.process()


@pytest.fixture(params=API_VERSIONS)
def api(request: pytest.FixtureRequest) -> ApiVersion:
    """Each version of the API, for a test that asks for it."""
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def hostile() -> Iterator[HostileServer]:
    """A server that answers as the emulator would not, and without a `Date`."""
    server = HostileServer()
    yield server
    server.close()
