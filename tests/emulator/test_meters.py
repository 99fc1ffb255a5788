"""The sizes of instances."""

from __future__ import annotations

import pytest

from bytez_provider.emulator.meters import meter_of


@pytest.mark.parametrize(
    ("ram", "name"),
    [
        (None, "micro-lm"),
        (0, "micro-lm"),
        (16, "micro-lm"),
        (16.01, "xs-lm"),
        (29, "sm-lm"),
        (64.5, "md-lm"),
        (128, "lg-lm"),
        (182.21, "xl-lm"),
        (193, "xxl-lm"),
        (640, "super-lm"),
        (1000, "super-lm"),
    ],
)
def test_the_meter_is_the_smallest_size_with_enough_ram(ram: float | None, name: str) -> None:
    assert meter_of(ram).name == name
