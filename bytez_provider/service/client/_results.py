"""What an exchange may end with."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime

from bytez_provider.service.schemas import in_utc


@dataclass(frozen=True)
class Answer:
    """A whole answer."""

    status: int
    headers: Mapping[str, str]
    """Names in any case: requests compares them so."""
    body: bytes


@dataclass(frozen=True)
class BadAnswer:
    """An answer that was not read to its end."""

    reason: str
    status: int
    action: str = "Check bytez:endpoint"


@dataclass(frozen=True)
class NoAnswer:
    """The exchange ended without an answer."""

    reason: str
    sent: bool
    """Whether the whole request had gone out, so that it may have had its effect."""
    passing: bool = True
    """Whether another try may succeed."""
    silent: bool = False
    """Whether the server used up the time it had."""
    action: str = "Check the network and bytez:endpoint, then try again"


def http_date(text: str) -> datetime | None:
    """Return the moment that a date of HTTP names; None if it is not one."""
    with contextlib.suppress(ValueError, TypeError, OverflowError):
        # A zone of "-0000" reads as none; HTTP knows GMT only.
        return in_utc(parsedate_to_datetime(text))
    return None
