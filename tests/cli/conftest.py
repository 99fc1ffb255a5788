"""`bytez-fleet` in a process of its own, and an emulator whose time stands still."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest

from bytez_provider.emulator import Emulator
from tests.cli.fleet import KEY, Fleet

BOOT_SECONDS = 403


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    # At a whole second, as the `Date` header has it.
    start = datetime.now(timezone.utc).replace(microsecond=0)
    with Emulator(keys=[KEY], clock="manual", boot_seconds=BOOT_SECONDS, start=start) as emulator:
        yield emulator


@pytest.fixture
def fleet(tmp_path: Path, emulator: Emulator) -> Fleet:
    return Fleet(tmp_path, emulator.url)


@pytest.fixture
def running(emulator: Emulator) -> Callable[..., str]:
    """Have a model loaded and booted; the `created` of the load is returned."""

    def load(model_id: str, concurrency: int = 1) -> str:
        created = emulator.load_by_somebody_else(model_id, concurrency)
        emulator.advance(BOOT_SECONDS)
        return created

    return load
