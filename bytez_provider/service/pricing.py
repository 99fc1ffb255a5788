"""What loads cost: the vendor's prices, one model of them for each version of the API.

US dollars as `Decimal`. An instance whose price is unknown has an unknown cost, None, and never $0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from bytez_provider.service.apis import APIS
from bytez_provider.service.schemas import CatalogueEntry, Instance, Phase
from bytez_provider.service.settings import DEFAULT_PRICE_PER_GB_SECOND, ApiVersion, Settings

MONTH_HOURS: Final = 730
"""Hours of a month: 8,760 a year over 12."""


@dataclass(frozen=True)
class Cost:
    """What a model costs in a month; each amount is None if the price is unknown."""

    floor: Decimal | None
    """One boot and one idle period: loaded once, never used."""
    expected: Decimal | None
    """The declared hours a day; None also if none are declared."""
    ceiling: Decimal | None
    """Loaded all month."""


@dataclass(frozen=True)
class Prices:
    """What loads cost in one version of the API."""

    date: str
    """When the vendor's price was read."""
    boot_seconds: int
    """How long a boot takes, for costs."""
    boot_minutes: int
    """How long a boot takes, for outages: rather too long."""
    idle_seconds: int
    """Idle seconds until a model is unloaded if nothing else is asked for."""
    step_seconds: int | None = None
    """Seconds that are charged as a whole, at least once; None: each fraction is charged."""
    per_gb_second: Decimal | None = None
    """Price of a second of one GB of GPU RAM; None: an instance has the price of its size."""
    sizes: tuple[tuple[int, Decimal], ...] = ()
    """GB of GPU RAM of each size of an instance, and its price per second; the smallest first."""

    def at(self, per_gb_second: Decimal) -> Prices:
        """Return these prices with another price of a GB-second, where RAM has a price."""
        return self if self.per_gb_second is None else replace(self, per_gb_second=per_gb_second)

    def per_second(self, ram_gb: float | None, meter: Decimal | None = None) -> Decimal | None:
        """Return what a second of one instance costs; None if that is unknown.

        Args:
            ram_gb: GPU RAM of one instance in GB; None if it is unknown.
            meter: The price in the catalogue; None if it has none.
        """
        if self.per_gb_second is not None:
            return None if ram_gb is None else Decimal(str(ram_gb)) * self.per_gb_second
        if meter or ram_gb is None:
            return meter or None
        return next((price for size, price in self.sizes if ram_gb <= size), None)

    def of(self, entry: CatalogueEntry | None) -> Decimal | None:
        """Return what a second of one instance of a model costs, as `per_second`."""
        if entry is None:
            return None
        return self.per_second(entry.required_ram_gb, entry.dollars_per_second)

    def billed_seconds(self, seconds: float) -> Decimal:
        """Return the seconds that are charged for a load of `seconds`."""
        if self.step_seconds is None:
            return Decimal(str(max(0, seconds)))
        return Decimal(max(1, math.ceil(seconds / self.step_seconds)) * self.step_seconds)

    def dollars(self, per_second: Decimal | None, instances: int, seconds: float) -> Decimal | None:
        """Return what one load costs; None if the price is unknown.

        Args:
            per_second: The price of one instance: see `per_second` and `of`.
            instances: How many there are all the time.
            seconds: From acceptance to unload; we assume that the boot is billed (undocumented).
        """
        if per_second is None:
            return None
        return per_second * instances * self.billed_seconds(seconds)

    def hourly(self, per_second: Decimal | None, instances: int) -> Decimal | None:
        """Return what an hour of some instances costs; None if the price is unknown."""
        return self.dollars(per_second, instances, 3600)

    def monthly(
        self,
        per_second: Decimal | None,
        instances: int,
        *,
        expiration_period_seconds: int | None,
        expected_hours_per_day: float | None,
    ) -> Cost:
        """Return floor, expected cost and ceiling of a month.

        The arguments are those of `dollars`; the idle period is the service's own if it is None,
        and the hours a day that the model is loaded include its idle periods.
        """

        def cost(seconds: float) -> Decimal | None:
            return self.dollars(per_second, instances, seconds)

        given = expiration_period_seconds
        least = self.boot_seconds + (self.idle_seconds if given is None else given)
        expected = None
        if expected_hours_per_day is not None:
            # However little use is expected, a load costs its boot and its idle period.
            expected = cost(max(least, expected_hours_per_day / 24 * MONTH_HOURS * 3600))
        return Cost(cost(least), expected, cost(MONTH_HOURS * 3600))


_2024: Final = Prices(
    date="June 2024",
    # Of the vendor's example; its text says 12 to 15 minutes (vendor doc).
    boot_seconds=403,
    boot_minutes=15,
    idle_seconds=APIS["2024-05"].idle_seconds,
    step_seconds=60,
    per_gb_second=DEFAULT_PRICE_PER_GB_SECOND,
)
_2025: Final = Prices(
    date="April 2025",
    # 20 to 60 seconds (vendor doc).
    boot_seconds=60,
    boot_minutes=1,
    idle_seconds=APIS["2025-04"].idle_seconds,
    # The column for language models: other models cost more, and their price is in the catalogue.
    sizes=tuple(
        (gb, Decimal(price))
        for gb, price in (
            (16, "0.0000872083"),
            (24, "0.0001475035"),
            (64, "0.0006478333"),
            (96, "0.0008433876"),
            (128, "0.0012956667"),
            (192, "0.0024468774"),
            (320, "0.0047912685"),
            (640, "0.0059890856"),
        )
    ),
)
PRICES: Final[Mapping[ApiVersion, Prices]] = {
    "2024-05": _2024,
    "2024-06": _2024,
    "2025-04": _2025,
}
"""The vendor's prices of each version (vendor doc)."""


def prices_of(settings: Settings) -> Prices:
    """Return the prices of the version that settings name."""
    return PRICES[settings.api_version].at(settings.price_per_gb_second)


def paid_instances(live: Instance) -> int | None:
    """Return how many instances of a load are paid for now; None if that is unknown."""
    if live.phase in (Phase.OFF, Phase.FAILED):
        return 0
    if live.scale is None:
        # No load of 2024 has 0 instances: it would cost nothing.
        return live.concurrency or None
    if live.instances is None and live.concurrency == live.max_concurrency:
        return live.concurrency
    return live.instances
