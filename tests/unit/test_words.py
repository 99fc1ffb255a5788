"""Amounts as people read them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from bytez_provider.base.words import (
    between,
    count,
    counted,
    dollars,
    duration,
    gigabytes,
    partly,
    scale,
    span,
    yes_no,
)


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
    ("least", "most", "text"),
    [
        (0, 1.569, "$0.00-$1.57"),
        (1.001, 1.002, "$1.00"),
        (None, None, "?"),
    ],
)
def test_between(least: float | None, most: float | None, text: str) -> None:
    assert between(least, most) == text


@pytest.mark.parametrize(
    ("least", "most", "now", "text"),
    [
        (2, None, None, "2"),
        (None, None, None, "?"),
        (1, 5, None, "1-5"),
        (1, 5, 2, "2 of 1-5"),
        (0, 1, 0, "0 of 0-1"),
        (2, 2, 2, "2"),
        (2, 2, 1, "1 of 2"),
        (1, None, 2, "2 of 1"),
    ],
)
def test_scale(least: int | None, most: int | None, now: int | None, text: str) -> None:
    assert scale(least, most, now) == text


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 models"), (1, "1 model"), (1000, "1,000 models")]
)
def test_counted(number: int, text: str) -> None:
    assert counted(number, "model") == text


@pytest.mark.parametrize(
    ("unknown", "whole", "text"), [(0, 0, "$1"), (0, 2, "$1"), (1, 2, "$1 + ?"), (2, 2, "?")]
)
def test_a_sum_with_unknown_parts(unknown: int, whole: int, text: str) -> None:
    assert partly("$1", unknown, whole) == text
    assert partly("?", unknown, whole) == "?"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        *((-1, "0s"), (0.4, "0s"), (8.4, "8s"), (59.4, "59s"), (60, "1m"), (192, "3m12s")),
        *((1800, "30m"), (3599.6, "1h00m"), (3600, "1h00m"), (3900, "1h05m"), (90000, "25h00m")),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == span(seconds) == text


def test_an_unknown_value_is_a_question_mark() -> None:
    assert (count(None), gigabytes(None), yes_no(None), span(None)) == ("?", "?", "?", "-")
    assert (count(7), gigabytes(7.126), yes_no(True), yes_no(False)) == ("7", "7.13", "yes", "no")
