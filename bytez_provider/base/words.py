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
