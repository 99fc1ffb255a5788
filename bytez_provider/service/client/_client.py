"""One method an endpoint."""

from __future__ import annotations

import codecs
import itertools
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from bytez_provider.base.clock import Clock, SystemClock
from bytez_provider.base.errors import BytezError
from bytez_provider.service import wire
from bytez_provider.service.client._answers import Kind, Reading, Verb, kind_of
from bytez_provider.service.client._call import Call
from bytez_provider.service.client._mishaps import NoAnswer
from bytez_provider.service.client._patience import TRIES, Trouble, retry_after_seconds
from bytez_provider.service.client._transport import Answer, BadAnswer, Opened, Transport
from bytez_provider.service.schemas import CatalogueEntry, Instance, LoadAnswer, LoadOutcome
from bytez_provider.service.settings import Key, Settings

_T = TypeVar("_T")

_DONE = frozenset({Kind.DONE})
_DONE_OR_NOT_LOADED = frozenset({Kind.DONE, Kind.NOT_LOADED})
_PASSING = frozenset({Kind.GATEWAY_LOST, Kind.GATEWAY_BUSY, Kind.RATE_LIMITED})
_MAYBE_DONE = frozenset({Kind.GATEWAY_LOST, Kind.SERVER_ERROR})
"""The request was taken, and nobody said what became of it."""
_LOAD_OUTCOMES = {
    Kind.DONE: LoadOutcome.ACCEPTED,
    Kind.ALREADY_LOADED: LoadOutcome.ALREADY_LOADED,
    Kind.IN_PROGRESS: LoadOutcome.IN_PROGRESS,
}
_ERROR_START = '{"error":'
_ERROR_LENGTH = 32 * 1024


@dataclass(frozen=True)
class _Failed:
    """A try that failed, and why another may not."""

    error: BytezError
    trouble: Trouble | None


@dataclass(frozen=True)
class _Text:
    """Generated text on its way: the first of it has come."""

    opened: Opened
    first: bytes = field(repr=False)
    rest: Iterator[bytes | NoAnswer | BadAnswer]


class BytezClient:
    """The service's endpoints, in the API version of the settings. For any number of threads.

    Every call tries again after a lost answer, a gateway's error and a rate limit, and after any
    other error from HTTP 500 upwards unless it is a load or a run: up to five times, or for three
    minutes at a rate limit. It raises:

        MissingKeyError: There is no key; nothing was sent.
        AuthenticationError, CreditsError, RateLimitedError: The service refused the call.
        UnreachableError: No answer came, also after the retries.
        MalformedAnswerError: What came is not an answer of this API.
        ApiError: The service answered with another error.

    A `stop` ends the waits between tries: the error of the last one is raised then. A request
    that is under way goes on to its end.
    """

    def __init__(self, settings: Settings, *, clock: Clock | None = None) -> None:
        """Make a client; nothing is sent and no key is needed yet."""
        self._settings = settings
        self._clock = clock or SystemClock()
        self._api = wire.APIS[settings.api_version]
        self._transport = Transport(settings, self._clock)
        self._counting = threading.Lock()
        self._queue = 0

    def server_now(self) -> datetime:
        """Return the time by the service's last answer; the machine's before there was one.

        Up to a second early, because a `Date` has no fractions.
        """
        return self._transport.server_now()

    def close(self) -> None:
        """Close the connections that are kept for later calls."""
        self._transport.close()

    def models(self) -> list[CatalogueEntry]:
        """Return the catalogue as it comes, doubles included."""
        call = self._call("list the models", "", TRIES)
        _, reading = self._ask(call, wire.list_request(self._api), _DONE)
        entries = wire.read_entries(self._api, reading.payload)
        if entries is None:
            instead = f"no catalogue of the {self._settings.api_version} API"
            raise call.unreadable(reading, instead, "bytez:apiVersion")
        return entries

    def instances(self, *, tries: int = TRIES) -> list[Instance]:
        """Return the loaded models as far as the service tells of them (client).

        Args:
            tries: How often to ask; 1 for those who ask again anyway.
        """
        call = self._call("list the instances", "", tries)
        _, reading = self._ask(call, wire.instances_request(self._api), _DONE)
        instances = wire.read_instances(reading.payload)
        if instances is None:
            raise call.unreadable(reading, "no list of instances", "bytez:apiVersion")
        return [instance for instance in instances if not wire.is_stopped(instance)]

    def load(
        self,
        model_id: str,
        concurrency: int,
        expiration_period_seconds: int | None = None,
        *,
        stop: threading.Event | None = None,
    ) -> LoadAnswer:
        """Ask for a load.

        Args:
            model_id: The model.
            concurrency: Instances of it.
            expiration_period_seconds: Idle seconds until it is unloaded; None for the service's.
            stop: Ends the waits between tries.

        Raises:
            UnknownModelError: The service does not have the model.
        """
        call = self._call("load", model_id, TRIES)
        request = wire.load_request(self._api, model_id, concurrency, expiration_period_seconds)
        kind, _ = self._ask(call, request, frozenset(_LOAD_OUTCOMES), stop)
        return LoadAnswer(outcome=_LOAD_OUTCOMES[kind], answer_lost=call.lost)

    def status(
        self, model_id: str, *, stop: threading.Event | None = None, tries: int = TRIES
    ) -> Instance | None:
        """Return the instance of a model; None when it is not loaded.

        Not loaded is (choice): status "stopped", or an error of this API that says so. What counts
        as one stands in the table of `_answers`; all else raises.

        Args:
            model_id: The model.
            stop: Ends the waits between tries.
            tries: How often to ask; 1 for those who ask again anyway.
        """
        call = self._call("read the status of", model_id, tries)
        request = wire.status_request(self._api, model_id)
        kind, reading = self._ask(call, request, _DONE_OR_NOT_LOADED, stop)
        if kind is Kind.NOT_LOADED:
            return None
        instance = wire.read_status(reading.payload, model_id)
        if instance is None:
            raise call.unreadable(reading, "no status", "bytez:endpoint")
        return None if wire.is_stopped(instance) else instance

    def delete(self, model_id: str, *, stop: threading.Event | None = None) -> None:
        """Ask for an unload. What is not loaded is as good as unloaded.

        The answer is no proof that it is gone: the status that follows is.
        """
        call = self._call("unload", model_id, TRIES)
        request = wire.delete_request(self._api, model_id)
        self._ask(call, request, _DONE_OR_NOT_LOADED, stop)

    def run(
        self,
        model_id: str,
        text: str,
        params: Mapping[str, Any] | None = None,
        *,
        stream: bool = True,
    ) -> Iterator[str]:
        """Yield generated text as it comes. The request goes out with the first `next`.

        Args:
            model_id: The model.
            text: The prompt.
            params: `min_length`, `max_length` and whatever else the model takes (seed).
            stream: Whether the service is to send text while it makes it.

        Raises:
            NotLoadedError: The model is not loaded.
            UnreachableError: Also when the text breaks off; then there is no other try.
        """
        call = self._call("run", model_id, TRIES)
        request = wire.run_request(self._api, model_id, text, params or {}, stream=stream)
        key = self._settings.require_key(call.verb, model_id)
        started = self._persist(call, lambda: self._try_text(call, request, key), None)
        try:
            yield from self._text_of(call, started, key)
        finally:
            started.opened.close()

    # --------------------------------------------------------------------------- one call

    def _call(self, verb: Verb, model_id: str, tries: int) -> Call:
        return Call(verb, model_id, self._settings.endpoint, tries)

    def _ask(
        self,
        call: Call,
        request: wire.Request,
        accept: frozenset[Kind],
        stop: threading.Event | None = None,
    ) -> tuple[Kind, Reading]:
        """Send a request until there is an answer of a kind that the caller can use."""
        key = self._settings.require_key(call.verb, call.model_id)

        def attempt() -> tuple[Kind, Reading] | _Failed:
            answer = self._transport.exchange(request.with_key(key))
            if not isinstance(answer, Answer):
                return _mishap(call, answer)
            reading = Reading.of(answer, key)
            kind = kind_of(reading, call.verb, call.model_id)
            return (kind, reading) if kind in accept else self._failed(call, kind, reading)

        return self._persist(call, attempt, stop)

    def _persist(
        self, call: Call, attempt: Callable[[], _T | _Failed], stop: threading.Event | None
    ) -> _T:
        """Try until a try succeeds, fails for good, or patience ends."""
        while True:
            got = attempt()
            if not isinstance(got, _Failed):
                return got
            trouble = got.trouble
            pause = call.patience.next_pause(trouble, self._queue) if trouble else None
            if pause is None:
                raise got.error
            with self._queueing(trouble):
                self._clock.wait(pause, stop)
            if stop is not None and stop.is_set():
                raise got.error

    @contextmanager
    def _queueing(self, trouble: Trouble | None) -> Iterator[None]:
        """Count as one who waits at the rate limit, where that is the trouble."""
        place = int(trouble is not None and trouble.is_rate_limit)
        with self._counting:
            self._queue += place
        try:
            yield
        finally:
            with self._counting:
                self._queue -= place

    def _failed(self, call: Call, kind: Kind, reading: Reading) -> _Failed:
        wait = retry_after_seconds(reading.headers, self.server_now())
        call.lost = call.lost or kind in _MAYBE_DONE
        # A load or a run that broke the service may well do so again, and may cost money.
        may_mend = kind in _PASSING or (
            kind is Kind.SERVER_ERROR and call.verb not in ("load", "run")
        )
        trouble = Trouble(kind is Kind.RATE_LIMITED, wait) if may_mend else None
        return _Failed(call.refused(kind, reading, wait), trouble)

    # ------------------------------------------------------------------------------- text

    def _try_text(self, call: Call, request: wire.Request, key: Key) -> _Text | _Failed:
        """Ask for text and wait for the first of it: until then another try does no harm."""
        opened = self._transport.open(request.with_key(key), streamed=True)
        if not isinstance(opened, Opened):
            return _mishap(call, opened)
        if not 200 <= opened.status < 300:
            answer = opened.whole()
            if not isinstance(answer, Answer):
                return _mishap(call, answer)
            reading = Reading.of(answer, key)
            return self._failed(call, kind_of(reading, call.verb, call.model_id), reading)
        pieces = opened.pieces()
        first = next(pieces, b"")
        if not isinstance(first, bytes):
            return _mishap(call, first)
        return _Text(opened, first, pieces)

    def _text_of(self, call: Call, started: _Text, key: Key) -> Iterator[str]:
        """Yield the text, and hold back what may turn out an error told with a success."""
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        held, is_holding = "", True
        for piece in itertools.chain([started.first], started.rest):
            if not isinstance(piece, bytes):
                if held:
                    yield held
                raise call.broken_off(piece)
            held += decoder.decode(piece)
            is_holding = is_holding and _may_be_error(held)
            if held and not is_holding:
                yield held
                held = ""
        held += decoder.decode(b"", final=True)
        if is_holding:
            opened = started.opened
            reading = Reading.of(Answer(opened.status, opened.headers, held.encode()), key)
            if isinstance(reading.payload, dict) and reading.payload.keys() == {"error"}:
                kind = kind_of(reading, call.verb, call.model_id)
                raise self._failed(call, kind, reading).error
        if held:
            yield held


def _mishap(call: Call, outcome: NoAnswer | BadAnswer) -> _Failed:
    if isinstance(outcome, BadAnswer):
        return _Failed(call.not_taken(outcome), None)
    call.lost = call.lost or outcome.sent
    # Who was silent for minutes before a text will be so again.
    is_final = not outcome.passing or (outcome.silent and call.verb == "run")
    return _Failed(call.unanswered(outcome), None if is_final else Trouble())


def _may_be_error(text: str) -> bool:
    """Tell whether what has come so far can be the start of `{"error": ...}`."""
    start = "".join(text[:_ERROR_LENGTH].split())[: len(_ERROR_START)]
    return len(text) < _ERROR_LENGTH and _ERROR_START.startswith(start)
