"""`bytez-fleet` in a process of its own, and an emulator whose time stands still."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from bytez_provider.base.urns import STACK_TYPE
from bytez_provider.emulator import Emulator
from tests.cli.fleet import KEY, Fleet, Load, State, resource_in_state
from tests.client.hostile import HostileServer

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
def hostile() -> Iterator[HostileServer]:
    server = HostileServer()
    yield server
    server.close()


@pytest.fixture
def running(emulator: Emulator) -> Load:
    """Return a function that loads and boots a model and returns its `created`."""

    def load(model_id: str, concurrency: int = 1) -> str:
        created = emulator.load_by_somebody_else(model_id, concurrency)
        emulator.advance(BOOT_SECONDS)
        return created

    return load


@pytest.fixture
def state(fleet: Fleet, emulator: Emulator) -> State:
    """Return a function that writes the state of a stack and returns the name of its file."""

    def written(*models: tuple[str, str], stack: str = "dev", **more: Any) -> str:
        resources = [
            resource_in_state(model_id, emulator.url, stack, created=created, **more)
            for model_id, created in models
        ]
        root = {"urn": f"urn:pulumi:{stack}::fleet::{STACK_TYPE}::fleet-{stack}"}
        document = {"version": 3, "deployment": {"resources": [root, *resources]}}
        (fleet.folder / f"{stack}.json").write_text(json.dumps(document))
        return f"{stack}.json"

    return written
