"""Amounts, RAM and durations as people read them."""

from __future__ import annotations

from decimal import Decimal

UNKNOWN = "?"


def duration(seconds: float) -> str:
    """Return a duration as people read it: 8s, 3m12s, 1h05m."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s" if whole % 60 else f"{whole // 60}m"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"


def span(seconds: float | None) -> str:
    """Return a duration; "-" if there is none."""
    return "-" if seconds is None else duration(seconds)


def dollars(amount: Decimal | float | None) -> str:
    """Return an amount as $0.03 or -$0.03; "?" if it is unknown. Only zero is $0.00."""
    if amount is None:
        return UNKNOWN
    sign = "-" if amount < 0 else ""
    size = abs(Decimal(amount))
    return f"{sign}<$0.01" if 0 < size < Decimal("0.005") else f"{sign}${size:,.2f}"


def between(least: float | None, most: float | None) -> str:
    """Return a range of amounts, $0.00-$1.57; one amount if both look the same."""
    return _between(dollars(least), dollars(most))


def instances(least: int | None, most: int | None, now: int | None) -> str:
    """Return a number of instances: 2, or 1-5; with those that there are now, 2 of 1-5.

    Args:
        least: The least number; "?" if it is unknown.
        most: The most; None if there is no range.
        now: How many there are; None if that is unknown.
    """
    declared = _between(count(least), count(least if most is None else most))
    return declared if now is None or str(now) == declared else f"{now} of {declared}"


def _between(least: str, most: str) -> str:
    return most if least == most else f"{least}-{most}"


def partly(amount: str, unknown: int, whole: int) -> str:
    """Return a sum of `whole` things, `unknown` of them unknown: "$3.00 + ?", or "?" alone."""
    if not unknown or amount == UNKNOWN:
        return amount
    return UNKNOWN if unknown == whole else f"{amount} + {UNKNOWN}"


def gigabytes(amount: float | None) -> str:
    """Return RAM in GB to two places; "?" if it is unknown."""
    return UNKNOWN if amount is None else f"{amount:.2f}"


def count(number: int | None) -> str:
    """Return a number; "?" if it is unknown."""
    return UNKNOWN if number is None else str(number)


def counted(number: int, thing: str) -> str:
    """Return a number of things: 1 model, 2 models."""
    return f"{number} {thing}" if number == 1 else f"{number:,} {thing}s"


def yes_no(flag: bool | None) -> str:
    """Return a flag; "?" if it is unknown."""
    return UNKNOWN if flag is None else ("yes" if flag else "no")
