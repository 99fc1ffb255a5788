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
    """An emulator with a stopped clock; a boot ends at once unless a test gives its seconds."""
    boot_seconds = getattr(request, "param", 0)
    with Emulator(keys=(KEY,), clock="manual", boot_seconds=boot_seconds) as running:
        yield running


@pytest.fixture
def stack(tmp_path: Path, emulator: Emulator) -> Iterator[Stack]:
    """A stack whose `up` refreshes first, as the README recommends."""
    env = {"BYTEZ_KEY": KEY, "BYTEZ_ENDPOINT": emulator.url}
    stack = Stack(tmp_path, env, refresh=True)
    yield stack
    stack.end()


@pytest.fixture
def plain_stack(stack: Stack) -> Stack:
    """A stack whose `up` does not refresh, as is Pulumi's default."""
    settings = stack.project / "Pulumi.yaml"
    settings.write_text(settings.read_text().replace("options: {refresh: always}\n", ""))
    return stack
