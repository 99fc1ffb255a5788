"""The real command line and engine, the real provider process, and the emulator."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bytez_provider.emulator import Emulator
from tests.e2e.stack import Stack

KEY = "e2e-key-0123456789"


@pytest.fixture
def emulator(request: pytest.FixtureRequest) -> Iterator[Emulator]:
    """An emulator whose time stands still; a boot ends at once unless a test gives its seconds."""
    boot_seconds = getattr(request, "param", 0)
    with Emulator(keys=(KEY,), clock="manual", boot_seconds=boot_seconds) as running:
        yield running


@pytest.fixture
def stack(tmp_path: Path, emulator: Emulator) -> Iterator[Stack]:
    """A stack whose `up` refreshes first, as the README says to set it."""
    yield from _stack(tmp_path, emulator, refresh=True)


@pytest.fixture
def plain_stack(tmp_path: Path, emulator: Emulator) -> Iterator[Stack]:
    """A stack whose `up` never reads, as Pulumi's default is."""
    yield from _stack(tmp_path, emulator, refresh=False)


def _stack(folder: Path, emulator: Emulator, *, refresh: bool) -> Iterator[Stack]:
    env = {"BYTEZ_KEY": KEY, "BYTEZ_ENDPOINT": emulator.url}
    stack = Stack(folder, env, refresh=refresh)
    yield stack
    stack.end()
