"""A machine that deploys fleets, and the emulator that it deploys to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bytez_provider.emulator import Emulator
from bytez_provider.emulator.catalogue import Row
from bytez_provider.emulator.fixtures import START
from tests.fleet.crew import MANY, Crew
from tests.lifecycle.conftest import machine
from tests.lifecycle.machine import BOOT_SECONDS, KEY, OTHER_KEY, Machine
from tests.programs import engine

__all__ = ["engine", "machine"]


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """An emulator whose time stands still until somebody waits."""
    rows = [Row(model_id, 1.0, benchmarked=False) for model_id in MANY]
    with Emulator(
        keys=[KEY, OTHER_KEY],
        models=rows,
        clock="manual",
        boot_seconds=BOOT_SECONDS,
        start=START,
    ) as running:
        yield running


@pytest.fixture
def crew(machine: Machine) -> Crew:
    """The process of one deployment."""
    return Crew(machine)
