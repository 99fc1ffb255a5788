"""Which models are known, which name was meant, and when the service is asked."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from bytez_provider.emulator import Emulator
from bytez_provider.service.catalogue import (
    Catalogue,
    CatalogueSource,
    bundled_catalogue,
    load_catalogue,
)
from bytez_provider.service.client import BytezClient
from bytez_provider.service.schemas import CatalogueEntry
from bytez_provider.service.settings import CatalogueMode, Key, Settings
from tests.clocks import EmulatorClock

GPT2 = "openai-community/gpt2"
KEY = "emulator-key-5f0c2d"


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(keys=(KEY,), clock="manual") as emulator:
        yield emulator


def source(
    emulator: Emulator, mode: CatalogueMode = "live", key: str | None = KEY
) -> CatalogueSource:
    settings = Settings(emulator.url, key=Key(key) if key else None, catalogue=mode)
    return CatalogueSource(settings, BytezClient(settings, clock=EmulatorClock(emulator)))


def entry(model_id: str, ram: float | None = None) -> CatalogueEntry:
    return CatalogueEntry(model_id=model_id, required_ram_gb=ram)


# -------------------------------------------------------------------------------- the copy


def test_the_copy_is_the_seeds_table_without_its_double() -> None:
    catalogue = bundled_catalogue()
    assert not catalogue.is_live
    assert len(catalogue.entries()) == 61
    assert catalogue.find(GPT2) == CatalogueEntry(
        model_id=GPT2, required_ram_gb=0.5, benchmarked=True
    )
    assert catalogue.find("EleutherAI/pythia-1b") == CatalogueEntry(
        model_id="EleutherAI/pythia-1b", required_ram_gb=None, benchmarked=False
    )
    implausible = catalogue.find("vilsonrodrigues/falcon-7b-instruct-sharded")
    assert implausible is not None
    assert implausible.required_ram_gb == 0.44


def test_the_copy_and_the_emulator_tell_the_same(emulator: Emulator) -> None:
    live = source(emulator).get()
    assert live.is_live
    assert live.entries() == bundled_catalogue().entries()


# -------------------------------------------------------------------------------- lookup


@pytest.mark.parametrize("order", [1, -1])
def test_of_two_entries_the_one_with_a_figure_is_kept(order: int) -> None:
    pair = [entry("a/b", 2.0), entry("a/b")][::order]
    catalogue = Catalogue(pair, is_live=True)
    assert catalogue.entries() == [entry("a/b", 2.0)]


def test_a_name_is_found_exactly() -> None:
    catalogue = bundled_catalogue()
    assert catalogue.find(GPT2.upper()) is None
    assert catalogue.find("gpt2") is None
    assert catalogue.find("") is None


@pytest.mark.parametrize(
    ("meant", "first"),
    [
        ("OpenAI-Community/GPT2", GPT2),
        ("openai/gpt2", GPT2),
        ("gpt2", GPT2),
        ("openai-comunity/gpt2", GPT2),
        ("microsoft/phi-2", "microsoft/phi-1"),
        ("microsoft/Phi-3-mini-4k-instuct", "microsoft/Phi-3-mini-4k-instruct"),
        ("meta/Meta-Llama-3-8B-Instruct", "NousResearch/Meta-Llama-3-8B-Instruct"),
        ("codellama/codellama-34b-instruct-hf", "codellama/CodeLlama-34b-Instruct-hf"),
    ],
)
def test_the_nearest_name_comes_first(meant: str, first: str) -> None:
    nearest = bundled_catalogue().nearest(meant)
    assert nearest[0] == first
    assert len(nearest) <= 3


def test_another_owners_twin_comes_before_what_is_spelled_alike() -> None:
    assert bundled_catalogue().nearest("codelama/CodeLlama-34b-Instruct-hf", 2) == [
        "codellama/CodeLlama-34b-Instruct-hf",
        "victor/CodeLlama-34b-Instruct-hf",
    ]


@pytest.mark.parametrize("meant", ["", "zzzzzzzz/qqqqqqqq", "?", "x" * 1_000_000])
def test_nothing_is_near_to_nonsense(meant: str) -> None:
    assert bundled_catalogue().nearest(meant) == []


def test_as_many_names_as_wanted() -> None:
    assert len(bundled_catalogue().nearest("bigscience/bloom-560", 1)) == 1


# ---------------------------------------------------------------------------------- source


def test_the_service_is_asked_once_for_all_threads(emulator: Emulator) -> None:
    once = source(emulator)
    assert emulator.requests() == []
    found: list[Catalogue] = []
    threads = [threading.Thread(target=lambda: found.append(once.get())) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 16
    assert {id(one) for one in found} == {id(found[0])}
    assert [one.path for one in emulator.requests()] == ["/model/list"]


@pytest.mark.parametrize(("mode", "key"), [("live", None), ("bundled", KEY), ("bundled", None)])
def test_the_copy_serves_without_a_request(
    emulator: Emulator, mode: CatalogueMode, key: str | None
) -> None:
    catalogue = source(emulator, mode, key).get()
    assert not catalogue.is_live
    assert catalogue.find(GPT2) is not None
    assert emulator.requests() == []


def test_off_knows_nothing_and_asks_nothing(emulator: Emulator) -> None:
    catalogue = source(emulator, "off").get()
    assert (catalogue.is_live, catalogue.entries()) == (False, [])
    assert catalogue.nearest(GPT2) == []
    assert emulator.requests() == []


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 401, "body": {"error": "bad key"}},
        {"status": 500, "body": {"error": "no"}},
        {"status": 503, "body": ""},
        {"status": 404, "body": "<html>"},
        {"status": 200, "body": []},
        {"status": 200, "body": {"models": []}},
        {"status": 200, "body": [{"modelId": "of/another-api_version"}]},
    ],
)
def test_the_copy_serves_where_the_service_does_not(
    emulator: Emulator, answer: dict[str, object]
) -> None:
    emulator.set_faults([{"endpoint": "/model/list", "do": {"respond": answer}}])
    catalogue = source(emulator).get()
    assert not catalogue.is_live
    assert catalogue.find(GPT2) is not None


def test_the_copy_serves_where_nobody_answers(emulator: Emulator) -> None:
    settings = Settings(emulator.url, key=Key(KEY))
    emulator.stop()
    catalogue = load_catalogue(settings, BytezClient(settings, clock=EmulatorClock(emulator)))
    assert not catalogue.is_live
