"""What loads cost; unknown is never nothing."""

from __future__ import annotations

from decimal import Decimal

import pytest

from bytez_provider.service.pricing import Cost, billed_seconds, dollars, hourly, monthly
from bytez_provider.service.settings import DEFAULT_PRICE_PER_GB_SECOND

PRICE = DEFAULT_PRICE_PER_GB_SECOND


@pytest.mark.parametrize(
    ("seconds", "billed"), [(0, 60), (60, 60), (60.001, 120), (403, 420), (3600, 3600)]
)
def test_whole_minutes_are_charged_and_at_least_one(seconds: float, billed: int) -> None:
    assert billed_seconds(seconds) == billed


def test_a_cost_is_ram_times_instances_times_time_exactly() -> None:
    assert dollars(9.16, 2, 403, PRICE) == Decimal("9.16") * 2 * 420 * Decimal("0.0000166667")
    assert hourly(9.16, 2, PRICE) == Decimal("9.16") * 2 * 3600 * Decimal("0.0000166667")
    # As floats these have remainders.
    assert dollars(0.1, 3, 60, Decimal("0.1")) == Decimal("1.8")


@pytest.mark.parametrize(
    ("instances", "idle", "hours", "floor", "expected"),
    [
        (1, None, None, 403 + 1800 + 17, None),  # rounded up to the minute
        (2, 60, None, 2 * 480, None),
        (1, None, 8, 2220, 730 * 3600 // 3),
        (1, None, 0, 2220, 2220),
        (1, None, 24, 2220, 730 * 3600),
    ],
)
def test_floor_expected_and_ceiling_of_a_month(
    instances: int, idle: int | None, hours: float | None, floor: int, expected: int | None
) -> None:
    def month(ram: float | None) -> Cost:
        return monthly(
            ram,
            instances,
            Decimal(1),
            expiration_period_seconds=idle,
            expected_hours_per_day=hours,
        )

    ceiling = Decimal(instances * 730 * 3600)
    assert month(1.0) == Cost(
        Decimal(floor), None if expected is None else Decimal(expected), ceiling
    )
    assert month(None) == Cost(None, None, None)
