"""The instance sizes of the 2025-04 API and their prices."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple


class Meter(NamedTuple):
    """A size of instance."""

    name: str
    ram: int
    """GB of GPU RAM."""
    price: Decimal
    """US dollars for a second of one instance."""


_METERS = tuple(
    # Sizes and prices of language models: vendor doc. The suffix of the names: vendor client.
    Meter(f"{size}-lm", ram, Decimal(price))
    for size, ram, price in (
        ("micro", 16, "0.0000872083"),
        ("xs", 24, "0.0001475035"),
        ("sm", 64, "0.0006478333"),
        ("md", 96, "0.0008433876"),
        ("lg", 128, "0.0012956667"),
        ("xl", 192, "0.0024468774"),
        ("xxl", 320, "0.0047912685"),
        ("super", 640, "0.0059890856"),
    )
)


def meter_of(ram: float | None) -> Meter:
    """Return the smallest size with enough RAM.

    Args:
        ram: GB that the model needs. None, which is unknown, has the smallest size; more than the
            largest size has the largest (choices: the vendor doc requires a meter of every model).
    """
    return next((meter for meter in _METERS if meter.ram >= (ram or 0)), _METERS[-1])
