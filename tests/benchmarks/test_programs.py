"""The two programs that the benchmark compares."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pulumi
import pytest

from bytez_provider.emulator import Emulator
from tests.benchmarks.conftest import Engine

PROGRAMS = Path(__file__).resolve().parents[2] / "benchmarks"
PHI = "microsoft/phi-1"
KEY = "benchmark-key"


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(keys=[KEY], clock="manual", boot_seconds=0) as running:
        yield running


@pytest.fixture
def naive(
    emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, Any]]:
    """The names in the naive program; it declares no model here."""
    (tmp_path / "models.txt").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BYTEZ_KEY", KEY)
    monkeypatch.setenv("BYTEZ_ENDPOINT", emulator.url)
    limit = sys.getrecursionlimit()
    yield runpy.run_path(str(PROGRAMS / "naive" / "__main__.py"))
    sys.setrecursionlimit(limit)


def test_the_naive_provider_does_its_work(naive: dict[str, Any], emulator: Emulator) -> None:
    """It is a fair comparison: it loads, waits, reads, notices what is gone, and unloads."""
    provider = naive["ModelProvider"]()
    made = provider.create({"modelId": PHI, "concurrency": 2.0})
    assert (made.id, made.outs["status"]) == (PHI, "RUNNING")
    assert [one["concurrency"] for one in emulator.instances()] == [2]
    assert provider.read(PHI, made.outs).outs == made.outs
    assert not provider.diff(PHI, made.outs, {"modelId": PHI, "concurrency": 2.0}).changes
    assert provider.diff(PHI, made.outs, {"modelId": PHI, "concurrency": 3.0}).replaces
    provider.delete(PHI, made.outs)
    assert emulator.instances() == []
    assert provider.read(PHI, made.outs).id == ""


def test_ours_is_a_fleet_of_the_same_models(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "models.txt").write_text(f"{PHI}\nopenai-community/gpt2", encoding="utf-8")
    monkeypatch.chdir(tmp_path)

    def program() -> None:
        runpy.run_path(str(PROGRAMS / "ours" / "__main__.py"))

    pulumi.runtime.test(program)()  # type: ignore[no-untyped-call]
    assert sorted(engine.names) == ["fleet", "fleet-model-0", "fleet-model-1", "fleet-ready"]
