"""pytest fixtures: `pytest_plugins = ["bytez_provider.emulator.fixtures"]`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone

import pytest

from bytez_provider.emulator.server import Emulator

KEY = "emulator-key-5f0c2d"
"""The one key that passes."""
START = datetime(2024, 5, 27, 23, 35, 35, 863000, tzinfo=timezone.utc)
"""When emulated time begins: the moment of the load in the vendor doc."""


@pytest.fixture
def bytez_emulator() -> Iterator[Emulator]:
    """A fresh emulator on a manual clock that starts at `START`; only `KEY` passes."""
    with Emulator(keys=[KEY], clock="manual", start=START) as emulator:
        yield emulator
