"""Amounts as people read them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from bytez_provider.base.words import counted, dollars, partly


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (None, "?"),
        (0, "$0.00"),
        (Decimal("0.004"), "<$0.01"),
        (0.005, "$0.01"),
        (Decimal("1234.5"), "$1,234.50"),
        (Decimal("-1234.5"), "-$1,234.50"),
        (-0.001, "-<$0.01"),
    ],
)
def test_dollars(amount: Decimal | float | None, text: str) -> None:
    assert dollars(amount) == text


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 models"), (1, "1 model"), (1000, "1,000 models")]
)
def test_counted(number: int, text: str) -> None:
    assert counted(number, "model") == text


@pytest.mark.parametrize(
    ("unknown", "whole", "text"), [(0, 0, "$1"), (0, 2, "$1"), (1, 2, "$1 + ?"), (2, 2, "?")]
)
def test_a_sum_of_which_some_is_unknown(unknown: int, whole: int, text: str) -> None:
    assert partly("$1", unknown, whole) == text
    assert partly("?", unknown, whole) == "?"
