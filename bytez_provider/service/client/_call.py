"""One call of the client: how often it is tried, and the error that it ends with."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from bytez_provider.base.errors import (
    NOTHING_CHANGED,
    ApiError,
    AuthenticationError,
    BytezError,
    CreditsError,
    MalformedAnswerError,
    NotLoadedError,
    RateLimitedError,
    UnknownModelError,
    UnreachableError,
)
from bytez_provider.service.client._answers import Kind, Reading
from bytez_provider.service.client._results import BadAnswer, NoAnswer, http_date
from bytez_provider.service.settings import SET_KEY
from bytez_provider.service.wire import Verb

TRIES: Final = 5
"""Tries of one call that gets no answer."""

_RATE_LIMIT_SHARE = 3
"""Retries at a rate limit for each retry after a lost answer: a fleet has to queue there."""
_WAITING_SECONDS = 60.0
_RATE_LIMIT_WAITING_SECONDS = 180.0
_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 16.0
_RETURNS_PER_SECOND = 10.0
"""How many of the calls that were refused in one moment come back in a second."""

_MAYBE_DONE: Final[Mapping[Verb, str]] = {
    "load": "It may be loading all the same",
    "rescale": "It may be rescaled all the same",
    "unload": "It may be unloaded all the same",
    "run": "It may have run all the same",
}
_TRY_LATER = "Try again in a few minutes"


@dataclass(frozen=True)
class _Refusal:
    """What an answer means that is not the one asked for."""

    error: type[ApiError] = ApiError
    action: str = "Correct what the service names"
    passes: bool = False
    """Whether another try may succeed."""
    maybe_done: bool = False
    """Whether the service took the request, and nobody said what became of it."""


_REFUSALS: Final[Mapping[Kind, _Refusal]] = {
    Kind.BAD_KEY: _Refusal(
        AuthenticationError, f"Set a key that is valid with {SET_KEY} or as BYTEZ_KEY"
    ),
    Kind.NO_CREDITS: _Refusal(CreditsError, "Add credits to the Bytez account, then try again"),
    Kind.IN_PROGRESS: _Refusal(
        action="Wait until it is RUNNING: `bytez-fleet status --watch` shows it"
    ),
    Kind.RATE_LIMITED: _Refusal(RateLimitedError, _TRY_LATER, passes=True),
    Kind.GATEWAY_LOST: _Refusal(UnreachableError, _TRY_LATER, passes=True, maybe_done=True),
    Kind.GATEWAY_BUSY: _Refusal(UnreachableError, _TRY_LATER, passes=True),
    Kind.SERVER_ERROR: _Refusal(action=_TRY_LATER, passes=True, maybe_done=True),
}


@dataclass(frozen=True)
class Failed:
    """A try that failed, and whether another may succeed."""

    error: BytezError
    may_retry: bool = False
    is_rate_limit: bool = False
    retry_after_seconds: float = 0.0
    """The least wait that the service asks for."""


class Call:
    """What is asked about which model, how often it was tried, and whether an answer was lost."""

    def __init__(self, verb: Verb, model_id: str, endpoint: str, tries: int) -> None:
        self.verb = verb
        self.model_id = model_id
        self.lost = False
        """Whether a try so far was sent and got no answer of the service."""
        self._endpoint = endpoint
        self._retries = tries - 1
        self._tried = 1
        self._waited = 0.0

    def next_pause(self, failed: Failed, queue: int = 0) -> float | None:
        """Return the seconds to wait before the next try; None if it is time to give up.

        The pauses grow, are spread at random, and are bounded in sum.

        Args:
            failed: The last try.
            queue: How many other calls of this process wait at the rate limit.
        """
        if not failed.may_retry:
            return None
        retries, budget = self._retries, _WAITING_SECONDS
        if failed.is_rate_limit:
            retries, budget = retries * _RATE_LIMIT_SHARE, _RATE_LIMIT_WAITING_SECONDS
        longest = min(_FIRST_PAUSE_SECONDS * 2.0 ** (self._tried - 1), _LONGEST_PAUSE_SECONDS)
        # Spread, so that a fleet refused in one moment does not come back in one moment.
        widest = max(longest / 2, queue / _RETURNS_PER_SECOND)
        spread = random.uniform(0, widest)  # noqa: S311  (spreads load, guards nothing)
        pause = max(longest / 2, failed.retry_after_seconds) + spread
        if self._tried > retries or self._waited + pause > budget:
            return None
        self._tried += 1
        self._waited += pause
        return pause

    # ------------------------------------------------------------------------ what went wrong

    def refused(self, kind: Kind, reading: Reading, server_now: datetime) -> Failed:
        """Return the failure of an answer that is not the one asked for."""
        refusal = _REFUSALS.get(kind, _Refusal())
        self.lost = self.lost or refusal.maybe_done
        if kind is Kind.NOT_THE_API:
            return Failed(self.unreadable(reading, "no answer of this API", "bytez:endpoint"))
        if kind is Kind.NOT_LOADED and self.verb in ("load", "rescale", "run"):
            return Failed(self._not_there(str(reading)))
        observed, action = str(reading), refusal.action
        if refusal.passes:
            observed += self._tries()
        wait = retry_after_seconds(reading.headers, server_now)
        is_rate_limit = kind is Kind.RATE_LIMITED
        if is_rate_limit and wait > 0:
            action = f"Try again in {wait:.0f} s"
        error = self._error(refusal.error, observed, action, reading.status)
        # A load or a run that broke the service may do so again, and may cost money.
        is_harmful = kind is Kind.SERVER_ERROR and self.verb in ("load", "run")
        return Failed(error, refusal.passes and not is_harmful, is_rate_limit, wait)

    def unanswered(self, outcome: NoAnswer | BadAnswer) -> Failed:
        """Return the failure of a try that got no answer, or one that was not read."""
        if isinstance(outcome, BadAnswer):
            self._note_success(outcome.status)
            observed = f"{self._endpoint} {outcome.reason} (HTTP {outcome.status})"
            error = self._error(MalformedAnswerError, observed, outcome.action, outcome.status)
            return Failed(error)
        self.lost = self.lost or outcome.sent
        observed = f"no answer from {self._endpoint}: {outcome.reason}{self._tries()}"
        # A service that was silent for minutes before a text will be silent again.
        may_retry = outcome.passing and not (outcome.silent and self.verb == "run")
        return Failed(self._error(UnreachableError, observed, outcome.action), may_retry)

    def unreadable(self, reading: Reading, instead: str, setting: str) -> BytezError:
        """Return the error of an answer that is something else than was asked for."""
        self._note_success(reading.status)
        observed = f"{reading}, which is {instead}"
        action = f"Check {setting} (the endpoint is {self._endpoint})"
        return self._error(MalformedAnswerError, observed, action, reading.status)

    def broken_off(self, mishap: NoAnswer | BadAnswer) -> BytezError:
        """Return the error of a text that broke off."""
        return UnreachableError(
            verb=self.verb,
            subject=self.model_id,
            observed=f"the text broke off: {mishap.reason}",
            state="What came so far is not the whole text",
            action="Run it again",
            maybe_done=True,
        )

    def not_loaded(self) -> BytezError:
        """Return the error of a run that is not sent, because it would load the model."""
        return self._not_there("it is not loaded")

    def _not_there(self, observed: str) -> BytezError:
        kind: type[BytezError] = NotLoadedError
        action = "Load it first: `bytez-fleet load` or `pulumi up`"
        if self.verb == "load":
            kind = UnknownModelError
            action = "Choose one of the models that `bytez-fleet models` lists"
        return kind(verb=self.verb, subject=self.model_id, observed=observed, action=action)

    def _note_success(self, status: int) -> None:
        # A success that cannot be read was one for the server that sent it.
        self.lost = self.lost or 200 <= status < 300

    def _tries(self) -> str:
        return f" ({self._tried} tries)" if self._tried > 1 else ""

    def _error(
        self, kind: type[ApiError], observed: str, action: str, status: int | None = None
    ) -> BytezError:
        maybe_done = self.lost and self.verb in _MAYBE_DONE
        return kind(
            verb=self.verb,
            subject=self.model_id,
            observed=observed,
            state=_MAYBE_DONE[self.verb] if maybe_done else NOTHING_CHANGED,
            action=action,
            status=status,
            maybe_done=maybe_done,
        )


def retry_after_seconds(headers: Mapping[str, Any], server_now: datetime) -> float:
    """Return the seconds that `Retry-After` asks for, be they a number or a date; else 0."""
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    moment = http_date(value)
    return 0.0 if moment is None else max(0.0, (moment - server_now).total_seconds())
