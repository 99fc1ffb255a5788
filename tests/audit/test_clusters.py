"""Audits for API version 2025-04: ranges of instances, models that are OFF, prices of sizes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from inline_snapshot import snapshot
from jsonschema import Draft202012Validator

from bytez_provider.audit import Audit, Facts, assess, markdown, page, plain, rows
from bytez_provider.service.catalogue import Catalogue
from bytez_provider.service.pricing import PRICES
from bytez_provider.service.schemas import CatalogueEntry, Instance
from tests.audit.account import GPT2, PHI, UNPRICED, declared, facts, kinds, live, only
from tests.audit.test_rendering import SCHEMA

AN_HOUR = 3600 * 0.0000872083
"""Of the smallest instance."""


def clusters(running: list[Instance], *state: Any, **more: Any) -> Facts:
    """Return an account of API version 2025-04."""
    return facts(running, state, api_version="2025-04", prices=PRICES["2025-04"], **more)


def cluster(least: int = 1, most: int = 1, now: int | None = 1, **more: Any) -> Instance:
    """Return a load with a range of instances."""
    scale = {"maxConcurrency": most, "instances": now}
    return live(**{"concurrency": least, "scale": scale, "expirationPeriodSeconds": 600, **more})


def state(least: int = 1, most: int | None = None, **more: Any) -> Any:
    """Return what a state has of it."""
    scale = {} if most is None else {"maxConcurrency": float(most)}
    kept = {"concurrency": float(least), "apiVersion": "2025-04", **scale}
    return declared(outputs={**kept, **more})


def model_in(audit: Audit) -> Any:
    (model,) = audit.models
    return model


@pytest.mark.parametrize("now", [1, 3, 5])
def test_instances_within_the_range_are_no_finding(now: int) -> None:
    audit = assess(clusters([cluster(1, 5, now)], state(1, 5)))
    assert audit.findings == []
    model = model_in(audit)
    assert (model.concurrency, model.max_concurrency, model.instances) == (1, 5, now)
    assert model.dollars_per_hour == pytest.approx(now * AN_HOUR, abs=1e-6)
    assert model.ram_gb == now * 0.5
    # How many there were before, nobody knows.
    assert (model.dollars_so_far, audit.totals.unknown_cost) == (None, [GPT2])


def test_a_fixed_number_has_a_cost_so_far_to_the_second() -> None:
    model = model_in(assess(clusters([cluster(2, 2, 2)], state(2))))
    assert model.dollars_so_far == pytest.approx(2 * AN_HOUR, abs=1e-6)


@pytest.mark.parametrize(("least", "most"), [(0, 2), (1, 1)])
def test_off_is_loaded_and_costs_nothing_now(least: int, most: int) -> None:
    off = cluster(least, most, 0, status="OFF", expiresAt=None)
    audit = assess(clusters([off], state(least, most)))
    assert audit.findings == []
    model = model_in(audit)
    assert (model.status, model.dollars_per_hour, model.ram_gb) == ("OFF", 0, 0)
    assert (audit.totals.models, audit.totals.dollars_per_hour) == (1, 0)


def test_off_costs_nothing_whatever_its_price() -> None:
    off = cluster(0, 2, 0, status="OFF", model_id=UNPRICED)
    assert model_in(assess(clusters([off]))).dollars_per_hour == 0
    assert (
        model_in(assess(clusters([cluster(0, 2, 1, model_id=UNPRICED)]))).dollars_per_hour is None
    )


def test_an_undeclared_model_that_is_off_is_not_booting() -> None:
    finding = only(clusters([cluster(0, 2, 0, status="OFF", expiresAt=None)]))
    assert finding.kind == "orphan"
    assert finding.detail.startswith("loaded since ")


def test_a_booting_one_is_not_running() -> None:
    audit = assess(clusters([cluster(status="BOOTING INSTANCE", expiresAt=None)], state()))
    assert kinds(audit) == [("notRunning", GPT2)]


def test_settings_that_differ_are_rescaled() -> None:
    finding = only(clusters([cluster(2, 2, 2)], state(1)))
    assert finding.kind == "drift"
    assert finding.detail.startswith("runs at concurrency 2, not 1")
    assert finding.mends[0].effect == "rescales it as declared, without an outage"


@pytest.mark.parametrize(("most", "declared_most"), [(5, 5), (None, 1)])
def test_a_maximum_that_differs(most: int | None, declared_most: int) -> None:
    finding = only(clusters([cluster(1, 3)], state(1, most)))
    assert finding.detail == f"has at most 3 instances, not {declared_most}"


def test_an_impossible_number_is_unknown() -> None:
    model = model_in(assess(clusters([cluster(1, 10**9, 10**9)])))
    assert (model.max_concurrency, model.instances, model.dollars_per_hour) == (None, None, None)


def test_the_price_of_the_catalogue_comes_first() -> None:
    entry = CatalogueEntry.of({"modelId": GPT2, "dollarsPerSecond": "0.0005 / sec"})
    priced = replace(clusters([cluster()]), catalogue=Catalogue([entry], is_live=True))
    assert model_in(assess(priced)).dollars_per_hour == pytest.approx(1.8)


def test_a_document_has_a_range_only_where_the_api_has_one() -> None:
    of_2024, of_2025 = assess(facts([live()])), assess(clusters([cluster(1, 5, 2)]))
    for audit in (of_2024, of_2025):
        Draft202012Validator(SCHEMA).validate(audit.printed())
    assert "maxConcurrency" not in of_2024.printed()["models"][0]
    document = of_2025.printed()
    assert (document["pricePerGbSecond"], document["priceDate"]) == (None, "April 2025")
    assert [document["models"][0][name] for name in ("maxConcurrency", "instances")] == [5, 2]


def test_every_form_shows_the_range() -> None:
    off = cluster(0, 2, 0, model_id=PHI, status="OFF", expiresAt=None)
    audit = assess(clusters([cluster(1, 5, 2), off], state(1, 5)))
    assert list(rows(audit)) == snapshot(
        [
            ("microsoft/phi-1", "OFF", "0 of 0-2", "0.00", "-", "$0.00", "?"),
            ("  declared by no stack", "", "", "", "", "", ""),
            ("openai-community/gpt2", "RUNNING", "2 of 1-5", "1.00", "29m", "$0.63", "?"),
            ("  dev/chat", "", "", "", "", "", ""),
        ]
    )
    lines = list(plain(audit))
    assert lines[:2] == snapshot(
        [
            "2 models loaded, 1.00 GB RAM, $0.63 an hour, ? so far.",
            "Cost so far unknown, not in the sums: microsoft/phi-1, openai-community/gpt2.",
        ]
    )
    assert lines[2].partition(" Costs: ")[2] == snapshot(
        "the price of an instance in the catalogue, or else of the smallest one with enough RAM "
        "(the vendor's prices of April 2025), per second, including the boot."
    )
    for text in (markdown(audit), page(audit)):
        assert "2 of 1-5" in text
        assert "0 of 0-2" in text
        assert "booting" not in text


def test_a_state_of_another_version_is_left_out() -> None:
    of_2024 = declared("old", PHI)
    audit = assess(clusters([cluster()], state(), of_2024))
    assert audit.findings == []
    assert [(one.model_id, one.differs) for one in audit.left_out] == [(PHI, "apiVersion")]
    assert any("account, endpoint or API version" in line for line in plain(audit))
    audit = assess(facts([live(PHI)], [of_2024, state()]))
    assert [(one.model_id, one.differs) for one in audit.left_out] == [(GPT2, "apiVersion")]


def test_a_state_of_another_account_and_version_is_of_another_account() -> None:
    audit = assess(clusters([], declared("old", PHI, outputs={"account": "another"})))
    assert [one.differs for one in audit.left_out] == ["account"]
