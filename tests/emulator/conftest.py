"""The emulator's own fixture, and a client for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bytez_provider.emulator import Emulator
from bytez_provider.emulator.fixtures import bytez_emulator
from tests.emulator.client import Client

__all__ = ["bytez_emulator", "client"]


@pytest.fixture
def client(bytez_emulator: Emulator) -> Iterator[Client]:
    """A client that has the key."""
    with Client(bytez_emulator.url, bytez_emulator.keys[0]) as one:
        yield one
