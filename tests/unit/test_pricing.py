"""What loads cost; unknown is never nothing."""

from __future__ import annotations

from decimal import Decimal

import pytest
import requests

from bytez_provider.emulator import Emulator
from bytez_provider.service.pricing import Cost, billed_seconds, dollars, hourly, monthly
from bytez_provider.service.settings import DEFAULT_PRICE_PER_GB_SECOND

PRICE = DEFAULT_PRICE_PER_GB_SECOND


@pytest.mark.parametrize(
    ("seconds", "billed"),
    [(0, 60), (1, 60), (60, 60), (60.001, 120), (61, 120), (120, 120), (403, 420), (3600, 3600)],
)
def test_whole_minutes_are_charged_and_at_least_one(seconds: float, billed: int) -> None:
    assert billed_seconds(seconds) == billed


def test_a_cost_is_ram_times_instances_times_time() -> None:
    assert dollars(9.16, 2, 403, PRICE) == Decimal("9.16") * 2 * 420 * Decimal("0.0000166667")
    assert hourly(9.16, 2, PRICE) == Decimal("9.16") * 2 * 3600 * Decimal("0.0000166667")


def test_a_cost_is_exact() -> None:
    # As floats these have remainders.
    assert dollars(0.1, 3, 60, Decimal("0.1")) == Decimal("1.8")


def test_a_cost_without_ram_is_unknown() -> None:
    assert dollars(None, 1, 60, PRICE) is None
    assert hourly(None, 1, PRICE) is None
    assert monthly(
        None, 1, PRICE, expiration_period_seconds=None, expected_hours_per_day=8
    ) == Cost(None, None, None)


def test_floor_expected_and_ceiling_of_a_month() -> None:
    cost = monthly(1.0, 1, Decimal(1), expiration_period_seconds=None, expected_hours_per_day=8)
    assert cost.floor == 403 + 1800 + 17  # rounded up to the minute
    assert cost.expected == 730 * 3600 // 3
    assert cost.ceiling == 730 * 3600


def test_the_idle_period_is_a_part_of_the_floor() -> None:
    cost = monthly(1.0, 2, Decimal(1), expiration_period_seconds=60, expected_hours_per_day=None)
    assert cost.floor == 2 * 480
    assert cost.expected is None


def test_nothing_is_expected_below_the_floor() -> None:
    cost = monthly(1.0, 1, Decimal(1), expiration_period_seconds=None, expected_hours_per_day=0)
    assert cost.expected == cost.floor


def test_expected_all_day_is_the_ceiling() -> None:
    cost = monthly(1.0, 1, Decimal(1), expiration_period_seconds=None, expected_hours_per_day=24)
    assert cost.expected == cost.ceiling


def test_the_ledger_of_the_emulator_agrees() -> None:
    with Emulator(clock="manual") as emulator:
        model_id = "microsoft/phi-1"

        def post(path: str, **body: object) -> None:
            named = {"key": "k", "modelId": model_id, **body}
            requests.post(emulator.url + path, json=named, timeout=10).raise_for_status()

        post("/model/load", concurrency=3)
        emulator.advance(1000)
        post("/model/delete")
        charged = emulator.ledger()[model_id]["dollars"]
    expected = dollars(9.16, 3, 1000, PRICE)
    assert expected is not None
    assert charged == pytest.approx(float(expected))
