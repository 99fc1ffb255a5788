"""Every error of this package: one sentence that says what to do.

BytezError                     could not <verb> '<subject>': <observed>. <state>. <action>.
├── ConfigError                key, endpoint, api_version, price
│   ├── MissingKeyError        no API key is set
│   ├── PlainTextKeyError      `bytez:key` is set without --secret
│   └── UntrustedEndpointError a key from the environment may not go to this endpoint
├── JournalError               the shared journal cannot be read or written
├── InvalidInputError          what the user declared cannot be
│   ├── InvalidFileError       a file cannot be read, or what it declares cannot be
│   └── UnknownModelError      the catalogue has no such model
├── ApiError                   the service refused, or its answer was of no use
│   ├── AuthenticationError    the key was refused (401, 403)
│   ├── CreditsError           the account is out of credits (429 that speaks of credits)
│   ├── RateLimitedError       too many requests, also after waiting (429)
│   ├── UnreachableError       no answer: refused, reset, timed out, gateway error
│   └── MalformedAnswerError   an answer that is not of this API (HTML, broken JSON, too long)
└── LifecycleError             the operation ended without what was asked
    ├── AlreadyLoadedError     somebody else's load is in the way
    ├── NotLoadedError         the model is not loaded
    ├── LoadLostError          the load was unloaded or replaced by somebody else
    ├── BootFailedError        the service reported FAILED
    ├── BootTimeoutError       not RUNNING within the limit (also a TimeoutError)
    ├── UnloadError            the model is still loaded after the unload
    ├── AccountChangedError    the state was made with another key or endpoint
    ├── FleetNotReadyError     some models of a fleet did not come up
    └── InterruptedLoadError   the deployment was stopped
"""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

NOTHING_CHANGED = "Nothing was changed"

_SERVER_TEXT_LIMIT = 300
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
"""A terminal's escapes, whole; of others the first character alone goes, and the rest is text."""


def printable(text: str, *, limit: int = _SERVER_TEXT_LIMIT) -> str:
    """Return `text` as one line without control characters, at most `limit` characters long.

    For everything that a server or a file says before it is shown to a person: an answer must
    not be able to move the cursor, recolour the terminal, turn the direction of the text or fill
    the screen.
    """
    # Cut first: the answer may be megabytes, and only its start is shown.
    start = _ESCAPES.sub(" ", text[: limit * 8])
    shown = "".join(one if one.isprintable() else " " for one in start)
    line = " ".join(shown.split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def did_you_mean(names: Sequence[str]) -> str:
    """Return "; did you mean 'a', 'b' or 'c'?"; "" if there are no names."""
    shown = [f"'{printable(name, limit=100)}'" for name in names]
    several = [", ".join(shown[:-1]), shown[-1]] if shown[1:] else shown
    return f"; did you mean {' or '.join(several)}?" if shown else ""


class ErrorCode(enum.Enum):
    """What went wrong, for programs: a code keeps its meaning, while sentences may change."""

    OTHER = "other"
    CONFIG = "config"
    MISSING_KEY = "missing-key"
    PLAIN_TEXT_KEY = "plain-text-key"
    UNTRUSTED_ENDPOINT = "untrusted-endpoint"
    JOURNAL = "journal"
    INVALID_INPUT = "invalid-input"
    INVALID_FILE = "invalid-file"
    UNKNOWN_MODEL = "unknown-model"
    REFUSED = "refused"
    AUTHENTICATION = "authentication"
    CREDITS = "credits"
    RATE_LIMITED = "rate-limited"
    UNREACHABLE = "unreachable"
    MALFORMED_ANSWER = "malformed-answer"
    LIFECYCLE = "lifecycle"
    ALREADY_LOADED = "already-loaded"
    NOT_LOADED = "not-loaded"
    LOAD_LOST = "load-lost"
    BOOT_FAILED = "boot-failed"
    BOOT_TIMEOUT = "boot-timeout"
    UNLOAD_FAILED = "unload-failed"
    ACCOUNT_CHANGED = "account-changed"
    FLEET_NOT_READY = "fleet-not-ready"
    INTERRUPTED = "interrupted"


class BytezError(Exception):
    """Something could not be done; `str(error)` is the whole message, on one line.

    Attributes:
        verb: What was tried, as in "load".
        subject: The model id it was tried on, or "" for none.
        observed: What was seen, with status and units.
        state: What state things are in now.
        action: The one thing to do next.
    """

    code: ClassVar[ErrorCode] = ErrorCode.OTHER

    def __init__(
        self,
        *,
        verb: str,
        subject: str = "",
        observed: str,
        state: str = NOTHING_CHANGED,
        action: str,
    ) -> None:
        self.verb = verb
        self.subject = subject
        self.observed = observed
        self.state = state
        self.action = action
        super().__init__(str(self))

    def __str__(self) -> str:
        what = f"{self.verb} '{self.subject}'" if self.subject else self.verb
        parts = (f"could not {what}: {self.observed}", self.state, self.action)
        return " ".join(part.rstrip(".") + "." for part in parts if part)

    def restated(
        self,
        *,
        verb: str | None = None,
        subject: str | None = None,
        state: str | None = None,
        action: str | None = None,
    ) -> BytezError:
        """Return the same error told from where the caller stands, keeping what was observed."""
        twin = self.__class__.__new__(self.__class__)
        twin.__dict__.update(self.__dict__)
        twin.verb = self.verb if verb is None else verb
        twin.subject = self.subject if subject is None else subject
        twin.state = self.state if state is None else state
        twin.action = self.action if action is None else action
        twin.args = (str(twin),)
        return twin


class ConfigError(BytezError):
    """The configuration cannot be used."""

    code = ErrorCode.CONFIG


class MissingKeyError(ConfigError):
    """No API key is set."""

    code = ErrorCode.MISSING_KEY


class PlainTextKeyError(ConfigError):
    """The API key is in stack config in plain text."""

    code = ErrorCode.PLAIN_TEXT_KEY


class UntrustedEndpointError(ConfigError):
    """A key from the environment would go to an endpoint that only the stack's config names."""

    code = ErrorCode.UNTRUSTED_ENDPOINT


class JournalError(BytezError):
    """The journal cannot be read or written."""

    code = ErrorCode.JOURNAL


class InvalidInputError(BytezError):
    """What the user declared cannot be."""

    code = ErrorCode.INVALID_INPUT


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a file; `str(problem)` is `fleet.yaml:12: <message>`.

    Attributes:
        file: The file as it was named to us.
        line: Where it stands, from 1; None where it is the file as a whole.
        column: As above, from 1.
        reason: What is wrong, without a full stop.
        meant: What may have been meant, the likeliest first.
        is_warning: Whether it may be right all the same.
    """

    file: str
    line: int | None
    column: int | None
    reason: str
    meant: tuple[str, ...] = ()
    is_warning: bool = False

    @property
    def message(self) -> str:
        """The reason, and what may have been meant."""
        return self.reason + did_you_mean(self.meant)

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}" if self.line else self.message


class InvalidFileError(InvalidInputError):
    """A file cannot be read, or what it declares cannot be.

    Attributes:
        problems: All that is wrong, in the order of the file; the sentence tells the first.
    """

    code = ErrorCode.INVALID_FILE

    def __init__(
        self,
        *,
        verb: str,
        subject: str = "",
        observed: str,
        state: str = NOTHING_CHANGED,
        action: str,
        problems: tuple[Problem, ...] = (),
    ) -> None:
        super().__init__(verb=verb, subject=subject, observed=observed, state=state, action=action)
        self.problems = problems


class UnknownModelError(InvalidInputError):
    """The catalogue has no such model."""

    code = ErrorCode.UNKNOWN_MODEL


class ApiError(BytezError):
    """The service refused, or its answer was of no use.

    Attributes:
        status: The HTTP status, or None when there was no answer.
        maybe_done: True when the request may have had its effect all the same: it was sent, and
            no answer of the service came back.
    """

    code = ErrorCode.REFUSED

    def __init__(
        self,
        *,
        verb: str,
        subject: str = "",
        observed: str,
        state: str = NOTHING_CHANGED,
        action: str,
        status: int | None = None,
        maybe_done: bool = False,
    ) -> None:
        super().__init__(verb=verb, subject=subject, observed=observed, state=state, action=action)
        self.status = status
        self.maybe_done = maybe_done

    @property
    def is_passing(self) -> bool:
        """Whether a wait outlives it: the service is there, or may come back.

        So it is without an answer, at a rate limit, after an answer that is not of this API, and
        after any from HTTP 500 upwards. A boot of a quarter of an hour must outlive them all.
        """
        passing = (UnreachableError, RateLimitedError, MalformedAnswerError)
        return isinstance(self, passing) or (self.status or 0) >= 500


class AuthenticationError(ApiError):
    """The key was refused."""

    code = ErrorCode.AUTHENTICATION


class CreditsError(ApiError):
    """The account is out of credits."""

    code = ErrorCode.CREDITS


class RateLimitedError(ApiError):
    """Too many requests, also after waiting as long as the service asked."""

    code = ErrorCode.RATE_LIMITED


class UnreachableError(ApiError):
    """No answer of the service: refused, reset, timed out, or a gateway's error."""

    code = ErrorCode.UNREACHABLE


class MalformedAnswerError(ApiError):
    """An answer that is not of this API: HTML, broken JSON, more than is read."""

    code = ErrorCode.MALFORMED_ANSWER


class LifecycleError(BytezError):
    """The operation ended without what was asked."""

    code = ErrorCode.LIFECYCLE


class AlreadyLoadedError(LifecycleError):
    """Somebody else's load of the model is in the way."""

    code = ErrorCode.ALREADY_LOADED


class NotLoadedError(LifecycleError):
    """The model is not loaded."""

    code = ErrorCode.NOT_LOADED


class LoadLostError(LifecycleError):
    """The load was unloaded or replaced by somebody else before it was ready."""

    code = ErrorCode.LOAD_LOST


class BootFailedError(LifecycleError):
    """The service reported that the boot failed."""

    code = ErrorCode.BOOT_FAILED


class BootTimeoutError(LifecycleError, TimeoutError):
    """The model was not RUNNING within the limit."""

    code = ErrorCode.BOOT_TIMEOUT


class UnloadError(LifecycleError):
    """The model is still loaded after it was told to unload."""

    code = ErrorCode.UNLOAD_FAILED


class AccountChangedError(LifecycleError):
    """The state was made with another key or endpoint than the one in use."""

    code = ErrorCode.ACCOUNT_CHANGED


class FleetNotReadyError(LifecycleError):
    """Some models of a fleet did not come up."""

    code = ErrorCode.FLEET_NOT_READY


class InterruptedLoadError(LifecycleError):
    """The deployment was stopped before the load was finished."""

    code = ErrorCode.INTERRUPTED
