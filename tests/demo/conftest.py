"""Fixtures for the demo and the examples."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bytez_provider.emulator import Emulator

KEY = "docs-key-0123456789"


@pytest.fixture
def root() -> Path:
    """The repository."""
    return Path(__file__).resolve().parents[2]


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """An emulator whose boots end at once."""
    with Emulator(keys=(KEY,), boot_seconds=0) as running:
        yield running
