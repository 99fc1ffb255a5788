"""`bytez-fleet` in a process of its own, and an emulator whose time stands still."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest

from bytez_provider.emulator import Emulator
from tests.cli.fleet import BOOT_SECONDS, KEY, Fleet
from tests.client.hostile import HostileServer


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    # At a whole second, as the `Date` header has it.
    start = datetime.now(timezone.utc).replace(microsecond=0)
    with Emulator(keys=[KEY], clock="manual", boot_seconds=BOOT_SECONDS, start=start) as emulator:
        yield emulator


@pytest.fixture
def fleet(tmp_path: Path, emulator: Emulator) -> Fleet:
    return Fleet(tmp_path, emulator)


@pytest.fixture
def hostile() -> Iterator[HostileServer]:
    server = HostileServer()
    yield server
    server.close()
