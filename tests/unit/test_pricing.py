"""What loads cost; unknown is never nothing."""

from __future__ import annotations

from decimal import Decimal

import pytest

from bytez_provider.service.pricing import PRICES, Cost, paid_instances, prices_of
from bytez_provider.service.schemas import CatalogueEntry, Instance
from bytez_provider.service.settings import DEFAULT_PRICE_PER_GB_SECOND, Settings

PRICE = DEFAULT_PRICE_PER_GB_SECOND
OLD, NEW = PRICES["2024-05"], PRICES["2025-04"]
MICRO = Decimal("0.0000872083")


def test_each_version_has_its_prices() -> None:
    assert PRICES["2024-06"] == OLD
    dear = Settings(price_per_gb_second=Decimal(1))
    assert prices_of(dear).per_gb_second == 1
    assert prices_of(Settings(api_version="2025-04", price_per_gb_second=Decimal(1))) == NEW


@pytest.mark.parametrize(
    ("seconds", "billed"), [(0, 60), (60, 60), (60.001, 120), (403, 420), (3600, 3600)]
)
def test_whole_minutes_are_charged_in_2024_and_at_least_one(seconds: float, billed: int) -> None:
    assert OLD.billed_seconds(seconds) == billed


@pytest.mark.parametrize("seconds", [0, 0.5, 60, 403])
def test_each_second_is_charged_in_2025(seconds: float) -> None:
    assert NEW.billed_seconds(seconds) == Decimal(str(seconds))


def test_a_cost_is_ram_times_instances_times_time_exactly() -> None:
    phi = OLD.per_second(9.16)
    assert OLD.dollars(phi, 2, 403) == Decimal("9.16") * 2 * 420 * PRICE
    assert OLD.hourly(phi, 2) == Decimal("9.16") * 2 * 3600 * PRICE
    # As floats these have remainders.
    dear = OLD.at(Decimal("0.1"))
    assert dear.dollars(dear.per_second(0.1), 3, 60) == Decimal("1.8")


@pytest.mark.parametrize(
    ("ram", "meter", "price"),
    [
        (0.5, None, MICRO),
        (16, None, MICRO),
        (16.01, None, Decimal("0.0001475035")),
        (640, None, Decimal("0.0059890856")),
        (640.01, None, None),
        (None, None, None),
        # The catalogue knows better, whatever the RAM is.
        (0.5, Decimal("0.00053440"), Decimal("0.00053440")),
        (None, Decimal("0.00053440"), Decimal("0.00053440")),
        # It costs something, but the catalogue does not say what.
        (None, Decimal(0), None),
    ],
)
def test_an_instance_of_2025_has_the_price_of_its_size(
    ram: float | None, meter: Decimal | None, price: Decimal | None
) -> None:
    assert NEW.per_second(ram, meter) == price
    entry = {"modelId": "a/b", "requiredRamGb": ram, "dollarsPerSecond": meter}
    assert NEW.of(CatalogueEntry.of(entry)) == price
    assert NEW.of(None) is None
    hour = None if price is None else 3 * 3600 * price
    assert NEW.hourly(price, 3) == hour


def test_no_instance_costs_nothing_but_an_unknown_one_is_unknown() -> None:
    assert NEW.hourly(MICRO, 0) == 0
    assert NEW.hourly(None, 0) is None


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
    def month(per_second: Decimal | None) -> Cost:
        return OLD.monthly(
            per_second,
            instances,
            expiration_period_seconds=idle,
            expected_hours_per_day=hours,
        )

    ceiling = Decimal(instances * 730 * 3600)
    assert month(Decimal(1)) == Cost(
        Decimal(floor), None if expected is None else Decimal(expected), ceiling
    )
    assert month(None) == Cost(None, None, None)


def test_a_month_of_2025_is_not_rounded() -> None:
    given = {"expiration_period_seconds": None, "expected_hours_per_day": None}
    assert NEW.monthly(Decimal(1), 2, **given) == Cost(
        Decimal(2 * (60 + 600)), None, Decimal(2 * 730 * 3600)
    )


@pytest.mark.parametrize(
    ("status", "concurrency", "scale", "paid"),
    [
        ("RUNNING", 2, None, 2),
        ("RUNNING", None, None, None),
        ("RUNNING", 0, None, None),
        ("FAILED", 2, None, 0),
        ("RUNNING", 1, (5, 3), 3),
        ("BOOTING INSTANCE", 1, (5, 1), 1),
        ("OFF", 1, (5, 3), 0),
        ("OFF", 0, (5, None), 0),
        # It does not say how many there are.
        ("RUNNING", 1, (5, None), None),
        ("RUNNING", 2, (2, None), 2),
    ],
)
def test_what_runs_is_paid_for(
    status: str, concurrency: int | None, scale: tuple[int, int | None] | None, paid: int | None
) -> None:
    shown = scale and {"maxConcurrency": scale[0], "instances": scale[1]}
    seen = {"modelId": "a/b", "status": status, "concurrency": concurrency, "scale": shown}
    assert paid_instances(Instance.of(seen)) == paid
