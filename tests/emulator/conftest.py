"""The emulator's own fixture, and somebody who talks to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bytez_provider.emulator import Emulator
from bytez_provider.emulator.fixtures import bytez_emulator
from tests.emulator.talk import Talker

__all__ = ["bytez_emulator", "talk"]


@pytest.fixture
def talk(bytez_emulator: Emulator) -> Iterator[Talker]:
    """A client that knows the key."""
    with Talker(bytez_emulator.url, bytez_emulator.keys[0]) as talker:
        yield talker
