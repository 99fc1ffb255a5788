"""How often and how long a call is tried again."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from bytez_provider.service.client._transport import http_date

TRIES: Final = 5
"""Tries of one call that gets no answer."""

_RATE_LIMIT_SHARE = 3
"""Retries at a rate limit for each retry at a lost answer: a fleet has to queue there."""
_WAITING_SECONDS = 60.0
_RATE_LIMIT_WAITING_SECONDS = 180.0
_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 16.0
_RETURNS_PER_SECOND = 10.0
"""So many come back in a second, of many calls that were refused in one moment."""


@dataclass(frozen=True)
class Trouble:
    """Why a try came to nothing, where another may fare better."""

    is_rate_limit: bool = False
    retry_after_seconds: float = 0.0
    """The least wait that the service asks for."""


class Patience:
    """The pauses between the tries of one call: growing, spread, and bounded in sum.

    Attributes:
        tried: How many tries there were, the one under way included.
    """

    def __init__(self, tries: int) -> None:
        self.tried = 1
        self._retries = tries - 1
        self._waited = 0.0

    def next_pause(self, trouble: Trouble, queue: int = 0) -> float | None:
        """Return the seconds to wait before the next try; None when it is time to give up.

        Args:
            trouble: Why there is to be another.
            queue: How many other calls of this process wait at the rate limit.
        """
        retries, budget = self._retries, _WAITING_SECONDS
        if trouble.is_rate_limit:
            retries, budget = retries * _RATE_LIMIT_SHARE, _RATE_LIMIT_WAITING_SECONDS
        longest = min(_FIRST_PAUSE_SECONDS * 2.0 ** (self.tried - 1), _LONGEST_PAUSE_SECONDS)
        # Spread, so that a fleet refused in one moment does not come back in one moment.
        widest = max(longest / 2, queue / _RETURNS_PER_SECOND)
        spread = random.uniform(0, widest)  # noqa: S311  (spreads load, guards nothing)
        pause = max(longest / 2, trouble.retry_after_seconds) + spread
        if self.tried > retries or self._waited + pause > budget:
            return None
        self.tried += 1
        self._waited += pause
        return pause


def retry_after_seconds(headers: Mapping[str, str], server_now: datetime) -> float:
    """Return the wait that `Retry-After` asks for, in seconds or as a date; 0 when it does not."""
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    moment = http_date(value)
    return 0.0 if moment is None else max(0.0, (moment - server_now).total_seconds())
