"""The vendor's own client of 2025, `bytez` 1.0.4 from PyPI, with the emulator and with ours."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import bytez  # type: ignore[import-untyped]
import pytest

from bytez_provider.emulator import Emulator
from bytez_provider.emulator.rules import ClusterRules
from bytez_provider.service.client import BytezClient
from bytez_provider.service.schemas import Asked, LoadOutcome, Phase
from bytez_provider.service.settings import Key, Settings

GPT2, PHI = "openai-community/gpt2", "microsoft/phi-1"
KEY = "official-key-0123456789"


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """A service whose boots end at once."""
    with Emulator(keys=(KEY,), clock="manual", boot_seconds=0) as running:
        yield running


def official(emulator: Emulator, key: str = KEY) -> Any:
    """Return the vendor's client; its address is fixed in it."""
    client = bytez.Bytez(key)
    client._client.host = f"{emulator.url}/models/v2/"
    return client


@pytest.fixture
def model(emulator: Emulator) -> Any:
    return official(emulator).model(GPT2)


def test_the_life_of_a_cluster(emulator: Emulator, model: Any) -> None:
    assert model.create() == ["Loading", None]
    assert model.create() == [None, "Cluster already exists"]
    cluster, error = model.read()
    assert error is None
    assert (cluster["modelId"], cluster["status"], cluster["timeout"]) == (GPT2, "on", 10)
    assert cluster["capacity"] == {"min": 0, "desired": 1, "max": 1}

    updated, error = model.update({"timeout": 5, "capacity": {"min": 2, "max": 2}})
    assert error is None
    assert (updated["timeout"], updated["created"]) == (5, cluster["created"])
    assert (updated["capacity"]["min"], updated["capacity"]["max"]) == (2, 2)
    assert [one["modelId"] for one in official(emulator).list.clusters()[0]] == [GPT2]

    assert model.delete() == [None, None]
    assert official(emulator).list.clusters() == [[], None]


def test_a_run_makes_a_cluster_if_there_is_none(model: Any) -> None:
    output, error = model.run("Once upon a time", {"max_length": 12})
    assert error is None
    assert output.startswith("Once upon a time")
    assert model.read()[0]["inferences"] == 1
    assert "".join(model.run("Once", stream=True)).startswith("Once")


def test_the_catalogue_by_id_and_by_task(emulator: Emulator) -> None:
    lists = official(emulator).list
    ((found,), error) = lists.models({"modelId": GPT2})
    assert error is None
    assert found.keys() == {"modelId", "task", "params", "ramRequired", "meter", "meterPrice"}
    assert lists.models({"modelId": "no/such"}) == [[], None]
    assert len(lists.models({"task": found["task"]})[0]) == 61
    assert found["task"] in lists.tasks()[0]


def test_a_wrong_key_is_an_error_and_nothing_else(emulator: Emulator) -> None:
    other = official(emulator, "another-key")
    assert other.model(GPT2).create() == [None, "Unauthorized"]
    assert emulator.instances() == []


@pytest.mark.parametrize("missing", ["404", "400", "null"])
def test_a_model_without_a_cluster(missing: Any) -> None:
    rules = ClusterRules(missing=missing)
    with Emulator(keys=(KEY,), clock="manual", clusters=rules) as emulator:
        output, error = official(emulator).model(GPT2).read()
        assert output is None
        assert (error is None) is (missing == "null")


def test_our_client_and_the_vendors_see_the_same_cluster(emulator: Emulator, model: Any) -> None:
    ours = BytezClient(Settings(emulator.url, "2025-04", Key(KEY)))
    model.create({"timeout": 5, "capacity": {"min": 1, "max": 3}})
    live = ours.status(GPT2)
    assert live is not None
    assert (live.phase, live.concurrency, live.max_concurrency) == (Phase.RUNNING, 1, 3)
    assert live.expiration_period_seconds == 300
    assert ours.load(GPT2, Asked(1)).outcome is LoadOutcome.ALREADY_LOADED

    ours.rescale(GPT2, Asked(2, 600, 4), instances=live.instances)
    cluster, _ = model.read()
    assert (cluster["timeout"], cluster["capacity"]["min"], cluster["capacity"]["max"]) == (
        10,
        2,
        4,
    )

    ours.load(PHI, Asked(1))
    assert official(emulator).model(PHI).delete() == [None, None]
    assert ours.status(PHI) is None
    ours.close()
