"""One call of the client, and the errors it can end with."""

from __future__ import annotations

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
from bytez_provider.service.client._answers import Kind, Reading, Verb
from bytez_provider.service.client._mishaps import NoAnswer
from bytez_provider.service.client._patience import Patience
from bytez_provider.service.client._transport import BadAnswer
from bytez_provider.service.settings import SET_KEY

_MAYBE_DONE: dict[Verb, str] = {
    "load": "It may be loading all the same",
    "unload": "It may be unloaded all the same",
    "run": "It may have run all the same",
}
_TRY_LATER = "Try again in a few minutes"
_MEND = "Mend what the service names"
_CLASSES: dict[Kind, type[ApiError]] = {
    Kind.BAD_KEY: AuthenticationError,
    Kind.NO_CREDITS: CreditsError,
    Kind.RATE_LIMITED: RateLimitedError,
    Kind.GATEWAY_LOST: UnreachableError,
    Kind.GATEWAY_BUSY: UnreachableError,
}
_RETRIED = (Kind.RATE_LIMITED, Kind.GATEWAY_LOST, Kind.GATEWAY_BUSY, Kind.SERVER_ERROR)
_ACTIONS: dict[Kind, str] = {
    Kind.BAD_KEY: f"Set a key that is valid with {SET_KEY} or as BYTEZ_KEY",
    Kind.NO_CREDITS: "Add credits to the Bytez account, then try again",
    Kind.RATE_LIMITED: _TRY_LATER,
    Kind.IN_PROGRESS: "Wait until it is RUNNING: `bytez-fleet status --watch` shows it",
}


class Call:
    """What is tried on which model, how often so far, and whether an answer was lost.

    Attributes:
        lost: Whether a try so far was sent and really ended without an answer of the service.
    """

    def __init__(self, verb: Verb, model_id: str, endpoint: str, tries: int) -> None:
        self.verb = verb
        self.model_id = model_id
        self.patience = Patience(tries)
        self.lost = False
        self._endpoint = endpoint

    def unanswered(self, mishap: NoAnswer) -> BytezError:
        """Tell that no answer came."""
        observed = f"no answer from {self._endpoint}: {mishap.reason}{self._tries()}"
        return self._error(UnreachableError, observed, mishap.action)

    def not_taken(self, answer: BadAnswer) -> BytezError:
        """Tell of an answer that was not read."""
        self._note_success(answer.status)
        observed = f"{self._endpoint} {answer.reason} (HTTP {answer.status})"
        return self._error(MalformedAnswerError, observed, answer.action, answer.status)

    def unreadable(self, reading: Reading, instead: str, setting: str) -> BytezError:
        """Tell of an answer that is not what was asked for."""
        self._note_success(reading.status)
        observed = f"{reading.told()}, which is {instead}"
        action = f"Check {setting} (the endpoint is {self._endpoint})"
        return self._error(MalformedAnswerError, observed, action, reading.status)

    def broken_off(self, mishap: NoAnswer | BadAnswer) -> BytezError:
        """Tell of a text that ended before its end."""
        return UnreachableError(
            verb=self.verb,
            subject=self.model_id,
            observed=f"the text broke off: {mishap.reason}",
            state="What came so far is not the whole text",
            action="Run it again",
            maybe_done=True,
        )

    def refused(self, kind: Kind, reading: Reading, retry_after_seconds: float) -> BytezError:
        """Tell of an answer that is not the one hoped for."""
        told, status = reading.told(), reading.status
        if kind is Kind.NOT_THE_API:
            return self.unreadable(reading, "no answer of this API", "bytez:endpoint")
        if kind is Kind.NOT_LOADED and self.verb in ("load", "run"):
            return self._not_there(told)
        if kind in _RETRIED:
            told += self._tries()
        wait = retry_after_seconds
        if kind is Kind.RATE_LIMITED and wait > 0:
            action = f"Try again in {wait:.0f} s"
        else:
            action = _ACTIONS.get(kind, _TRY_LATER if status >= 500 else _MEND)
        return self._error(_CLASSES.get(kind, ApiError), told, action, status)

    def _not_there(self, told: str) -> BytezError:
        if self.verb == "load":
            return UnknownModelError(
                verb=self.verb,
                subject=self.model_id,
                observed=told,
                action="Choose one of the models that `bytez-fleet models` lists",
            )
        return NotLoadedError(
            verb=self.verb,
            subject=self.model_id,
            observed=told,
            action="Load it first: `bytez-fleet load` or `pulumi up`",
        )

    def _note_success(self, status: int) -> None:
        # A success that cannot be read was one for whoever sent it.
        self.lost = self.lost or 200 <= status < 300

    def _tries(self) -> str:
        tried = self.patience.tried
        return f" ({tried} tries)" if tried > 1 else ""

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
