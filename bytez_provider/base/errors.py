"""Every error of this package: one sentence that says what to do.

BytezError                     could not <verb> '<subject>': <observed>. <state>. <action>.
├── ConfigError                key, endpoint, API version or price cannot be used
│   ├── MissingKeyError        no API key is set
│   ├── PlainTextKeyError      `bytez:key` is set without --secret
│   └── UntrustedEndpointError a key from the environment may not go to this endpoint
├── JournalError               the shared journal cannot be read or written
├── InvalidInputError          a declared value is not valid
│   ├── InvalidFileError       a file cannot be read, or declares something that is not valid
│   └── UnknownModelError      the catalogue has no such model
├── ApiError                   the service refused, or its answer was of no use
│   ├── AuthenticationError    the key was refused (401, 403)
│   ├── CreditsError           the account is out of credits (402, or 429 that says so)
│   ├── RateLimitedError       too many requests, even after waiting (429)
│   ├── UnreachableError       no answer: refused, reset, timed out, gateway error
│   └── MalformedAnswerError   an answer that is not from this API (HTML, broken JSON, too long)
└── LifecycleError             the operation ended without its result
    ├── AlreadyLoadedError     somebody else's load is in the way
    ├── NotLoadedError         the model is not loaded
    ├── LoadLostError          somebody else unloaded or replaced the load
    ├── BootFailedError        the service reported FAILED
    ├── BootTimeoutError       not RUNNING within the limit (also a TimeoutError)
    ├── RescaleError           the settings of a load could not be changed
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

_TEXT_LIMIT = 300
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
"""Whole terminal escapes; other escapes lose only their first character, and the rest is text."""


def printable(text: str, *, limit: int = _TEXT_LIMIT) -> str:
    """Return `text` as one line without control characters, at most `limit` characters long.

    For everything from a server or a file that is shown to a person: it must not move the cursor,
    recolour the terminal, change the direction of text or fill the screen.
    """
    # Cut first: the text may be megabytes, and only its start is shown.
    start = _ESCAPES.sub(" ", text[: limit * 8])
    line = " ".join("".join(one if one.isprintable() else " " for one in start).split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def did_you_mean(names: Sequence[str]) -> str:
    """Return "; did you mean 'a', 'b' or 'c'?"; "" if there are no names."""
    shown = [f"'{printable(name, limit=100)}'" for name in names]
    several = [", ".join(shown[:-1]), shown[-1]] if shown[1:] else shown
    return f"; did you mean {' or '.join(several)}?" if shown else ""


class ErrorCode(enum.Enum):
    """What went wrong, for programs: a code keeps its meaning, while sentences may change.

    The class of errors that has a code says what it means.
    """

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
    RESCALE_FAILED = "rescale-failed"
    UNLOAD_FAILED = "unload-failed"
    ACCOUNT_CHANGED = "account-changed"
    FLEET_NOT_READY = "fleet-not-ready"
    INTERRUPTED = "interrupted"


class BytezError(Exception):
    """Something could not be done; `str(error)` is the whole message, on one line.

    Args:
        verb: What was tried, as in "load".
        subject: The model id it was tried on, or "" for none.
        observed: What was seen, with status and units.
        state: What state things are in now; "" to leave it out.
        action: The one thing to do next.
    """

    code: ClassVar[ErrorCode] = ErrorCode.OTHER

    def __init_subclass__(cls, *, code: ErrorCode | None = None) -> None:
        """Set the code of a class of errors; without one it has that of its parent."""
        if code is not None:
            cls.code = code

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
        """Return the same error as the caller sees it; what is left out does not change."""
        given = {"verb": verb, "subject": subject, "state": state, "action": action}
        twin = self.__class__.__new__(self.__class__)
        twin.__dict__.update(self.__dict__)
        twin.__dict__.update((name, part) for name, part in given.items() if part is not None)
        twin.args = (str(twin),)
        return twin


# ---------------------------------------------------------------------------------- settings


class ConfigError(BytezError, code=ErrorCode.CONFIG):
    """A setting cannot be used."""


class MissingKeyError(ConfigError, code=ErrorCode.MISSING_KEY):
    """No API key is set."""


class PlainTextKeyError(ConfigError, code=ErrorCode.PLAIN_TEXT_KEY):
    """The API key is in stack config in plain text."""


class UntrustedEndpointError(ConfigError, code=ErrorCode.UNTRUSTED_ENDPOINT):
    """A key from the environment would go to an endpoint that only stack config names."""


class JournalError(BytezError, code=ErrorCode.JOURNAL):
    """The journal cannot be read or written."""


# ------------------------------------------------------------------------------------ inputs


class InvalidInputError(BytezError, code=ErrorCode.INVALID_INPUT):
    """A declared value is not valid."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a file; `str(problem)` is `fleet.yaml:12: <message>`."""

    file: str
    """The file, as the caller named it."""
    line: int | None
    """From 1; None for the file as a whole."""
    column: int | None
    """From 1, in characters."""
    reason: str
    """Without a full stop."""
    meant: tuple[str, ...] = ()
    """Names that may have been meant, the likeliest first."""
    is_warning: bool = False

    @property
    def message(self) -> str:
        """The reason, and what may have been meant."""
        return self.reason + did_you_mean(self.meant)

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}" if self.line else self.message


class InvalidFileError(InvalidInputError, code=ErrorCode.INVALID_FILE):
    """A file cannot be read, or declares something that is not valid.

    Args:
        problems: All that is wrong, in the order of the file; the sentence has the first.
        parts: See `BytezError`.
    """

    def __init__(self, *, problems: tuple[Problem, ...] = (), **parts: str) -> None:
        super().__init__(**parts)
        self.problems = problems


class UnknownModelError(InvalidInputError, code=ErrorCode.UNKNOWN_MODEL):
    """The catalogue has no such model."""


# ----------------------------------------------------------------------------------- service


class ApiError(BytezError, code=ErrorCode.REFUSED):
    """The service refused, or its answer was of no use.

    Args:
        status: The HTTP status; None if there was no answer.
        maybe_done: Whether the request may have had its effect: it was sent, and no answer of the
            service came back.
        parts: See `BytezError`.
    """

    def __init__(
        self, *, status: int | None = None, maybe_done: bool = False, **parts: str
    ) -> None:
        super().__init__(**parts)
        self.status = status
        self.maybe_done = maybe_done

    @property
    def is_passing(self) -> bool:
        """Whether a wait goes on after it: the service is there, or may come back.

        True without an answer, at a rate limit, after an answer that is not from this API, and
        from HTTP 500 upwards. A boot of a quarter of an hour must survive them all.
        """
        passing = (UnreachableError, RateLimitedError, MalformedAnswerError)
        return isinstance(self, passing) or (self.status or 0) >= 500


class AuthenticationError(ApiError, code=ErrorCode.AUTHENTICATION):
    """The service refused the key."""


class CreditsError(ApiError, code=ErrorCode.CREDITS):
    """The account is out of credits."""


class RateLimitedError(ApiError, code=ErrorCode.RATE_LIMITED):
    """Too many requests, even after waiting as long as the service asked."""


class UnreachableError(ApiError, code=ErrorCode.UNREACHABLE):
    """The service gave no answer: refused, reset, timed out, or a gateway's error."""


class MalformedAnswerError(ApiError, code=ErrorCode.MALFORMED_ANSWER):
    """The answer is not from this API: HTML, broken JSON, or longer than is read."""


# ------------------------------------------------------------------------------------- loads


class LifecycleError(BytezError, code=ErrorCode.LIFECYCLE):
    """An operation on a load ended without its result."""


class AlreadyLoadedError(LifecycleError, code=ErrorCode.ALREADY_LOADED):
    """Somebody else's load of the model is in the way."""


class NotLoadedError(LifecycleError, code=ErrorCode.NOT_LOADED):
    """The model is not loaded."""


class LoadLostError(LifecycleError, code=ErrorCode.LOAD_LOST):
    """Somebody else unloaded or replaced the load before it was ready."""


class BootFailedError(LifecycleError, code=ErrorCode.BOOT_FAILED):
    """The service reported that the boot failed."""


class BootTimeoutError(LifecycleError, TimeoutError, code=ErrorCode.BOOT_TIMEOUT):
    """The model was not RUNNING within the limit."""


class RescaleError(LifecycleError, code=ErrorCode.RESCALE_FAILED):
    """The settings of a load could not be changed; it runs on."""


class UnloadError(LifecycleError, code=ErrorCode.UNLOAD_FAILED):
    """The model is still loaded after the unload."""


class AccountChangedError(LifecycleError, code=ErrorCode.ACCOUNT_CHANGED):
    """The state was made with another key or endpoint than the one in use."""


class FleetNotReadyError(LifecycleError, code=ErrorCode.FLEET_NOT_READY):
    """Some models of a fleet did not come up."""


class InterruptedLoadError(LifecycleError, code=ErrorCode.INTERRUPTED):
    """The deployment was stopped before the load was finished."""
