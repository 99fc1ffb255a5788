"""What loads cost, by the vendor's price list of June 2024.

US dollars as `Decimal`. A model whose RAM is unknown has an unknown cost, None, and never $0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

PRICE_DATE: Final = "June 2024"
"""When the vendor's price was read."""
MONTH_HOURS: Final = 730
"""Hours of a month: 8,760 a year over 12."""
BOOT_SECONDS: Final = 403
"""How long a boot takes, for estimates: that of the vendor's example (vendor doc)."""
IDLE_SECONDS: Final = 1800
"""Idle seconds until a model is unloaded if nothing else is asked for (vendor doc)."""

_MINUTE = 60


def billed_seconds(seconds: float) -> int:
    """Return the seconds charged for a load of `seconds`: whole minutes, at least one."""
    return max(1, math.ceil(seconds / _MINUTE)) * _MINUTE


def dollars(
    ram_gb: float | None, concurrency: int, seconds: float, price_per_gb_second: Decimal
) -> Decimal | None:
    """Return what one load costs in US dollars; None if the RAM is unknown.

    Args:
        ram_gb: GPU RAM of one instance in GB.
        concurrency: Instances.
        seconds: From acceptance to unload; we assume that the boot is billed (undocumented).
        price_per_gb_second: US dollars.
    """
    if ram_gb is None:
        return None
    return Decimal(str(ram_gb)) * concurrency * billed_seconds(seconds) * price_per_gb_second


def hourly(ram_gb: float | None, concurrency: int, price_per_gb_second: Decimal) -> Decimal | None:
    """Return what an hour costs while loaded; None if the RAM is unknown."""
    return dollars(ram_gb, concurrency, 3600, price_per_gb_second)


@dataclass(frozen=True)
class Cost:
    """What a model costs in a month; each amount is None if the RAM is unknown."""

    floor: Decimal | None
    """One boot and one idle period: loaded once, never used."""
    expected: Decimal | None
    """The declared hours a day; None also if none are declared."""
    ceiling: Decimal | None
    """Loaded all month."""


def monthly(
    ram_gb: float | None,
    concurrency: int,
    price_per_gb_second: Decimal,
    *,
    expiration_period_seconds: int | None,
    expected_hours_per_day: float | None,
) -> Cost:
    """Return floor, expected cost and ceiling of a month.

    The arguments are those of `dollars`; the idle period is the service's own if it is None, and
    the hours a day that the model is loaded include its idle periods.
    """

    def cost(seconds: float) -> Decimal | None:
        return dollars(ram_gb, concurrency, seconds, price_per_gb_second)

    idle = IDLE_SECONDS if expiration_period_seconds is None else expiration_period_seconds
    least = BOOT_SECONDS + idle
    expected = None
    if expected_hours_per_day is not None:
        # However little use is expected, a load costs its boot and its idle period.
        expected = cost(max(least, expected_hours_per_day / 24 * MONTH_HOURS * 3600))
    return Cost(cost(least), expected, cost(MONTH_HOURS * 3600))
