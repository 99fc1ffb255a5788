"""A provider as the dynamic host makes it, over an emulator whose boots end at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from pulumi.dynamic import Config, ConfigureRequest

from bytez_provider.dynamic.providers import ModelProvider
from bytez_provider.emulator import Emulator
from tests.programs import engine

__all__ = ["engine"]

KEY = "provider-key-0123456789"

MakeProvider = Callable[[Mapping[str, str]], ModelProvider]


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """Nothing here waits, so the provider's own clock may be the machine's."""
    with Emulator(keys=[KEY], clock="manual", boot_seconds=0) as running:
        yield running


@pytest.fixture
def configured(
    emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[MakeProvider]:
    """Make a provider, configured by a stack's config and this environment."""
    for name in ("BYTEZ_KEY", "BYTEZ_ADOPT", "BYTEZ_ACCEPT_ACCOUNT_CHANGE", "CI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("BYTEZ_ENDPOINT", emulator.url)
    monkeypatch.setenv("BYTEZ_JOURNAL", str(tmp_path / "journal"))
    made: list[ModelProvider] = []

    def make(config: Mapping[str, str]) -> ModelProvider:
        provider = ModelProvider()
        provider.configure(ConfigureRequest(config=Config(dict(config), "fleet")))
        made.append(provider)
        return provider

    yield make
    for provider in made:
        provider._lifecycle._account.client.close()


@pytest.fixture
def provider(configured: MakeProvider) -> ModelProvider:
    """A provider with a key."""
    return configured({"bytez:key": KEY})
