"""The real `python -m pulumi.dynamic` with our providers, and an emulator."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from bytez_provider.dynamic.providers import ModelProvider
from bytez_provider.emulator import Emulator
from bytez_provider.service.settings import ApiVersion
from tests.host.dynamic_host import DynamicHost

KEY = "wire-key-0123456789"

StartHost = Callable[..., DynamicHost]


@pytest.fixture(scope="module")
def service(request: pytest.FixtureRequest) -> Iterator[Emulator]:
    """An emulator with a stopped clock; a boot ends at once unless a test gives its seconds."""
    boot_seconds = getattr(request, "param", 0)
    with Emulator(keys=[KEY], clock="manual", boot_seconds=boot_seconds) as running:
        yield running


@pytest.fixture
def emulator(service: Emulator) -> Emulator:
    """The emulator in its initial state."""
    service.reset()
    return service


@pytest.fixture(scope="module")
def shared(service: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DynamicHost]:
    """A host with a key, shared because its start takes longer than most tests."""
    with started(service, tmp_path_factory.mktemp("journal")) as host:
        yield host


@pytest.fixture
def host(shared: DynamicHost, emulator: Emulator) -> DynamicHost:
    """The shared host, for tests that do not stop it."""
    assert emulator.requests() == []
    return shared


@pytest.fixture
def start(emulator: Emulator, tmp_path: Path) -> Iterator[StartHost]:
    """Start hosts that share one journal."""
    with ExitStack() as hosts:
        yield lambda **env: hosts.enter_context(started(emulator, tmp_path / "journal", **env))


@contextmanager
def started(
    emulator: Emulator, journal: Path, api: ApiVersion = "2024-05", **env: str
) -> Iterator[DynamicHost]:
    """Run a host, which must not print anything: the CLI shows it under the user's stack."""
    given = {
        "BYTEZ_KEY": KEY,
        "BYTEZ_ENDPOINT": emulator.url,
        "BYTEZ_JOURNAL": str(journal),
        "CI": "",
        **env,
    }
    with DynamicHost(ModelProvider(), env=given, config={"bytez:apiVersion": api}) as host:
        yield host
        assert host.stderr == ""
        assert stdout_of(host) == b""


def stdout_of(host: DynamicHost) -> bytes:
    """Return what a host has written to stdout after its port."""
    stdout = host._process.stdout
    assert stdout is not None
    os.set_blocking(stdout.fileno(), False)
    return stdout.read() or b""
