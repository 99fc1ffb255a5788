"""Which models are known, which name was meant, and when the service is asked."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from bytez_provider.emulator import Emulator
from bytez_provider.service.catalogue import Catalogue, CatalogueSource, bundled_catalogue
from bytez_provider.service.client import BytezClient
from bytez_provider.service.schemas import CatalogueEntry
from bytez_provider.service.settings import ApiVersion, CatalogueMode, Key, Settings
from tests.clocks import EmulatorClock

GPT2 = "openai-community/gpt2"
KEY = "emulator-key-5f0c2d"
BUNDLED = bundled_catalogue()


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(keys=(KEY,), clock="manual") as emulator:
        yield emulator


def source(
    emulator: Emulator,
    mode: CatalogueMode = "live",
    key: str | None = KEY,
    api_version: ApiVersion = "2024-05",
) -> CatalogueSource:
    settings = Settings(emulator.url, api_version, Key(key) if key else None, catalogue=mode)
    return CatalogueSource(settings, BytezClient(settings, clock=EmulatorClock(emulator)))


def entry(model_id: str, ram: float | None = None, **more: Any) -> CatalogueEntry:
    return CatalogueEntry(model_id=model_id, required_ram_gb=ram, **more)


# -------------------------------------------------------------------------------- lookup


def test_the_bundled_copy_is_the_vendors_table_without_its_duplicate() -> None:
    assert not BUNDLED.is_live
    assert len(BUNDLED.entries()) == 61
    pythia = "EleutherAI/pythia-1b"
    assert BUNDLED.find(GPT2) == entry(GPT2, 0.5, benchmarked=True)
    assert BUNDLED.find(pythia) == entry(pythia, None, benchmarked=False)
    # Implausible, and passed on as the vendor has it.
    falcon = BUNDLED.find("vilsonrodrigues/falcon-7b-instruct-sharded")
    assert falcon is not None
    assert falcon.required_ram_gb == 0.44


@pytest.mark.parametrize("order", [1, -1])
def test_of_two_entries_the_one_with_a_figure_is_kept(order: int) -> None:
    pair = [entry("a/b", 2.0), entry("a/b")][::order]
    assert Catalogue(pair, is_live=True).entries() == [entry("a/b", 2.0)]


def test_a_name_is_found_exactly() -> None:
    assert [BUNDLED.find(name) for name in (GPT2.upper(), "gpt2", "")] == [None] * 3


@pytest.mark.parametrize(
    ("meant", "first"),
    [
        ("OpenAI-Community/GPT2", GPT2),
        ("openai/gpt2", GPT2),
        ("gpt2", GPT2),
        ("openai-comunity/gpt2", GPT2),
        ("microsoft/phi-2", "microsoft/phi-1"),
        ("meta/Meta-Llama-3-8B-Instruct", "NousResearch/Meta-Llama-3-8B-Instruct"),
        # Another owner's twin comes after the name in another case, before similar spellings.
        ("codellama/codellama-34b-instruct-hf", "codellama/CodeLlama-34b-Instruct-hf"),
    ],
)
def test_the_nearest_name_comes_first(meant: str, first: str) -> None:
    nearest = BUNDLED.nearest(meant)
    assert nearest[0] == first
    assert len(nearest) <= 3
    assert BUNDLED.nearest(meant, 1) == nearest[:1]


@pytest.mark.parametrize("meant", ["", "zzzzzzzz/qqqqqqqq", "?", "x" * 1_000_000])
def test_nothing_is_near_to_nonsense(meant: str) -> None:
    assert BUNDLED.nearest(meant) == []


def test_an_unknown_model_is_named_with_what_may_be_meant() -> None:
    live = Catalogue([entry("a/chat\x1b[2J"), entry("a/chap")], is_live=True)
    assert live.unknown("a/chap") is None
    unknown = live.unknown("a/char")
    assert unknown is not None
    assert unknown.is_certain
    assert str(unknown) == (
        "'a/char' is not in the Bytez catalogue; did you mean 'a/chap' or 'a/chat'?"
    )
    unknown = BUNDLED.unknown("a/b")
    assert unknown is not None
    assert not unknown.is_certain
    assert str(unknown) == (
        "'a/b' is not in the catalogue that came with this package; `bytez-fleet models` lists it"
    )
    assert str(live.unknown("a/chat")).isprintable()


def test_a_catalogue_that_is_off_calls_no_model_unknown() -> None:
    assert Catalogue([], is_live=False).unknown("a/b") is None


# ---------------------------------------------------------------------------------- source


def test_the_service_is_asked_once_for_all_threads(emulator: Emulator) -> None:
    once = source(emulator)
    assert emulator.requests() == []
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda _: once.get(), range(16)))
    assert {id(one) for one in found} == {id(found[0])}
    assert [one.path for one in emulator.requests()] == ["/model/list"]
    assert found[0].is_live
    assert found[0].entries() == BUNDLED.entries()


@pytest.mark.parametrize(
    ("mode", "key", "count"),
    [("live", None, 61), ("bundled", KEY, 61), ("bundled", None, 61), ("off", KEY, 0)],
)
def test_without_a_key_or_if_settings_say_so_nothing_is_asked(
    emulator: Emulator, mode: CatalogueMode, key: str | None, count: int
) -> None:
    catalogue = source(emulator, mode, key).get()
    assert not catalogue.is_live
    assert len(catalogue.entries()) == count
    assert emulator.requests() == []


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 401, "body": {"error": "bad key"}},
        {"status": 503, "body": ""},
        {"status": 404, "body": "<html>"},
        {"status": 200, "body": []},
        {"status": 200, "body": [{"modelId": "of/another-api-version"}]},
    ],
)
def test_the_bundled_copy_is_used_if_the_service_has_none(
    emulator: Emulator, answer: dict[str, object]
) -> None:
    emulator.set_faults([{"endpoint": "/model/list", "do": {"respond": answer}}])
    catalogue = source(emulator).get()
    assert not catalogue.is_live
    assert catalogue.find(GPT2) is not None


# ------------------------------------------------------------------------------ one model


def asked(emulator: Emulator) -> list[str]:
    return [one.path for one in emulator.requests()]


def test_the_api_of_2025_is_asked_for_one_model_once(emulator: Emulator) -> None:
    models = source(emulator, api_version="2025-04")
    for _ in range(2):
        found = models.about(GPT2).find(GPT2)
        assert found is not None
        assert found.dollars_per_second is not None
    assert asked(emulator) == ["/models/v2/list/models"]


def test_a_model_that_it_does_not_have_is_refused_with_the_nearest(emulator: Emulator) -> None:
    models = source(emulator, api_version="2025-04")
    unknown = models.about("openai/gpt2").unknown("openai/gpt2")
    assert unknown is not None
    assert (unknown.is_certain, unknown.meant[0]) == (True, GPT2)


def test_without_an_answer_about_one_model_the_bundled_copy_counts(emulator: Emulator) -> None:
    respond = {"status": 404, "body": "no"}
    emulator.set_faults([{"endpoint": "/models/v2/list/models", "do": {"respond": respond}}])
    models = source(emulator, api_version="2025-04")
    assert models.about(GPT2).find(GPT2) == entry(GPT2, 0.5, benchmarked=True)
    assert not models.about("a/b").is_live


@pytest.mark.parametrize(
    ("mode", "key", "api_version"),
    [("bundled", KEY, "2025-04"), ("live", None, "2025-04"), ("live", KEY, "2024-06")],
)
def test_nothing_is_asked_about_one_model_where_the_whole_list_serves(
    emulator: Emulator, mode: CatalogueMode, key: str | None, api_version: ApiVersion
) -> None:
    assert source(emulator, mode, key, api_version).about(GPT2).find(GPT2) is not None
    assert "/models/v2/list/models" not in asked(emulator)
