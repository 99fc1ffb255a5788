"""One method an endpoint."""

from __future__ import annotations

import codecs
import itertools
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar

from bytez_provider.base.clock import Clock, SystemClock
from bytez_provider.service.apis import APIS
from bytez_provider.service.client._answers import Kind, Reading, kind_of
from bytez_provider.service.client._call import TRIES, Call, Failed
from bytez_provider.service.client._log import line_of
from bytez_provider.service.client._results import Answer, BadAnswer, NoAnswer
from bytez_provider.service.schemas import (
    Asked,
    CatalogueEntry,
    Instance,
    LoadAnswer,
    LoadOutcome,
    Phase,
)
from bytez_provider.service.settings import Key, Settings
from bytez_provider.service.wire import EMPTY, Fields, Request, Verb, error_text

if TYPE_CHECKING:
    from bytez_provider.service.client._transport import Opened, Transport

_T = TypeVar("_T")

_DONE: Final = frozenset({Kind.DONE})
_DONE_OR_NOT_LOADED: Final = frozenset({Kind.DONE, Kind.NOT_LOADED})
_LOAD_OUTCOMES: Final = {
    Kind.DONE: LoadOutcome.ACCEPTED,
    Kind.ALREADY_LOADED: LoadOutcome.ALREADY_LOADED,
    Kind.IN_PROGRESS: LoadOutcome.IN_PROGRESS,
}
_ERROR_START = '{"error":'
_ERROR_LENGTH = 32 * 1024


@dataclass(frozen=True)
class _Text:
    """Generated text whose first piece has come."""

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
        UnreachableError: No answer came, even after the retries.
        MalformedAnswerError: The answer is not from this API.
        ApiError: The service answered with another error.

    A `stop` ends the waits between tries, and the error of the last try is raised. A request that
    is under way goes on to its end.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock | None = None,
        log: Callable[[str], None] | None = None,
    ) -> None:
        """Make a client; nothing is sent and no key is needed yet.

        Args:
            settings: The endpoint, the version of its API, and the key.
            clock: Measures waits.
            log: Shows a line about each request, if the settings ask for that.
        """
        self._log = log if settings.is_logged else None
        self._settings = settings
        self._clock = clock or SystemClock()
        self.api = APIS[settings.api_version]
        self._opened: Transport | None = None
        self._counting = threading.Lock()
        self._queue = 0

    def server_now(self) -> datetime:
        """Return the time by the service's last answer; before there was one, the machine's.

        Up to a second early, because a `Date` has no fractions.
        """
        return self._opened.server_now() if self._opened else self._clock.now()

    def close(self) -> None:
        """Close the connections that are kept for later calls."""
        if self._opened is not None:
            self._opened.close()

    @property
    def _transport(self) -> Transport:
        # requests takes a fifth of a provider's start, and an unchanged `up` sends nothing.
        from bytez_provider.service.client._transport import Transport

        with self._counting:
            if self._opened is None:
                self._opened = Transport(self._settings, self._clock)
            return self._opened

    def models(self) -> list[CatalogueEntry]:
        """Return the catalogue as it comes, duplicates included."""
        return self._entries(self._call("list the models"))

    def model(self, model_id: str) -> CatalogueEntry | None:
        """Return a model of the catalogue; None if it has none of this name.

        Only if `api.finds_models`.
        """
        entries = self._entries(self._call("find the model", model_id))
        return next((one for one in entries if one.model_id == model_id), None)

    def _entries(self, call: Call) -> list[CatalogueEntry]:
        _, reading = self._ask(call, _DONE)
        entries = self.api.read_entries(reading.payload)
        if entries is None:
            instead = f"no catalogue of the {self._settings.api_version} API"
            raise call.unreadable(reading, instead, "bytez:apiVersion")
        return entries

    def instances(self, *, tries: int = TRIES) -> list[Instance]:
        """Return the loaded models as far as the service lists them (client).

        Args:
            tries: How often to ask; 1 for callers who ask again anyway.
        """
        call = self._call("list the instances", tries=tries)
        _, reading = self._ask(call, _DONE)
        instances = self.api.read_instances(reading.payload)
        if instances is None:
            raise call.unreadable(reading, "no list of instances", "bytez:apiVersion")
        return [one for one in instances if one.phase is not Phase.STOPPED]

    def load(
        self, model_id: str, asked: Asked, *, stop: threading.Event | None = None
    ) -> LoadAnswer:
        """Ask for a load.

        Args:
            model_id: The model.
            asked: Its settings.
            stop: Ends the waits between tries.

        Raises:
            UnknownModelError: The service does not have the model.
        """
        call = self._call("load", model_id)
        fields = self.api.settings_fields(asked, None)
        kind, _ = self._ask(call, frozenset(_LOAD_OUTCOMES), fields, stop)
        return LoadAnswer(outcome=_LOAD_OUTCOMES[kind], answer_lost=call.lost)

    def rescale(
        self,
        model_id: str,
        asked: Asked,
        *,
        instances: int | None = None,
        starts: bool = False,
        stop: threading.Event | None = None,
    ) -> Instance | None:
        """Ask for other settings of a load, while it runs. Only if `api.rescales`.

        Returns the load with the settings that the service makes of these (vendor doc); None if
        the answer does not show it. That they are in force, only a later status proves.

        Args:
            model_id: The model.
            asked: All of its settings.
            instances: How many there are, which it keeps as far as they allow; None if unknown.
            starts: Whether to start it, if all of its instances were stopped (client).
            stop: Ends the waits between tries.

        Raises:
            NotLoadedError: It is not loaded.
        """
        start = self.api.start_fields if starts else {}
        fields = {**self.api.settings_fields(asked, instances), **start}
        _, reading = self._ask(self._call("rescale", model_id), _DONE, fields, stop)
        return self.api.read_status(reading.payload, model_id)

    def status(
        self, model_id: str, *, stop: threading.Event | None = None, tries: int = TRIES
    ) -> Instance | None:
        """Return the instance of a model; None if it is not loaded.

        Not loaded is (choice) status "stopped", or an error of this API that says so; the table
        in `_answers` says what counts as one. Any other error raises.

        Args:
            model_id: The model.
            stop: Ends the waits between tries.
            tries: How often to ask; 1 for callers who ask again anyway.
        """
        call = self._call("read the status of", model_id, tries)
        kind, reading = self._ask(call, _DONE_OR_NOT_LOADED, stop=stop)
        if kind is Kind.NOT_LOADED:
            return None
        if reading.payload is EMPTY:
            return None  # (choice)
        instance = self.api.read_status(reading.payload, model_id)
        if instance is None:
            raise call.unreadable(reading, "no status", "bytez:endpoint")
        return None if instance.phase is Phase.STOPPED else instance

    def delete(self, model_id: str, *, stop: threading.Event | None = None) -> None:
        """Ask for an unload. A model that is not loaded is no error.

        The answer does not prove that it is gone: the status that follows does.
        """
        self._ask(self._call("unload", model_id), _DONE_OR_NOT_LOADED, stop=stop)

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
            params: `min_length`, `max_length` and whatever else the model takes (vendor doc).
            stream: Whether the service sends the text while it makes it.

        Raises:
            NotLoadedError: The model is not loaded.
            UnreachableError: Also if the text breaks off; then it is not tried again.
        """
        call = self._call("run", model_id)
        if self.api.run_loads and self.status(model_id) is None:
            # Nobody would know of the load that a run makes.
            raise call.not_loaded()
        key = self._settings.require_key(call.verb, model_id)
        request = self.api.request(
            call.verb, key, model_id, self.api.run_fields(text, params or {}, stream)
        )
        started = self._persist(call, lambda: self._try_text(call, request, key), None)
        try:
            yield from self._text_of(call, started, key)
        finally:
            started.opened.close()

    # --------------------------------------------------------------------------- one call

    def _call(self, verb: Verb, model_id: str = "", tries: int = TRIES) -> Call:
        return Call(verb, model_id, self._settings.endpoint, tries)

    def _ask(
        self,
        call: Call,
        accept: frozenset[Kind],
        fields: Fields | None = None,
        stop: threading.Event | None = None,
    ) -> tuple[Kind, Reading]:
        """Send a request until there is an answer of a kind that the caller accepts."""
        key = self._settings.require_key(call.verb, call.model_id)
        request = self.api.request(call.verb, key, call.model_id, fields)

        def attempt() -> tuple[Kind, Reading] | Failed:
            began = self._clock.monotonic()
            answer = self._transport.exchange(request)
            self._note(request, answer, began, key)
            if not isinstance(answer, Answer):
                return call.unanswered(answer)
            kind, reading = self._read(call, answer, key)
            return (kind, reading) if kind in accept else self._refused(call, kind, reading)

        return self._persist(call, attempt, stop)

    def _note(
        self, request: Request, outcome: Answer | BadAnswer | NoAnswer, began: float, key: Key
    ) -> None:
        if self._log is not None:
            self._log(line_of(request, outcome, self._clock.monotonic() - began, key))

    def _persist(
        self, call: Call, attempt: Callable[[], _T | Failed], stop: threading.Event | None
    ) -> _T:
        """Try until a try succeeds, fails for good, or patience ends."""
        while isinstance(got := attempt(), Failed):
            pause = call.next_pause(got, self._queue)
            if pause is None:
                raise got.error
            self._join_queue(int(got.is_rate_limit))
            try:
                self._clock.wait(pause, stop)
            finally:
                self._join_queue(-int(got.is_rate_limit))
            if stop is not None and stop.is_set():
                raise got.error
        return got

    def _join_queue(self, change: int) -> None:
        """Count the calls that wait at the rate limit."""
        with self._counting:
            self._queue += change

    def _read(self, call: Call, answer: Answer, key: Key) -> tuple[Kind, Reading]:
        reading = Reading.of(answer, key, self.api.content)
        return kind_of(reading, call.verb, call.model_id, self.api.unit), reading

    def _refused(self, call: Call, kind: Kind, reading: Reading) -> Failed:
        return call.refused(kind, reading, self.server_now())

    # ------------------------------------------------------------------------------- text

    def _try_text(self, call: Call, request: Request, key: Key) -> _Text | Failed:
        """Ask for text and wait for its first piece: until then another try does no harm."""
        began = self._clock.monotonic()
        opened = self._transport.open(request, streamed=True)
        if isinstance(opened, (NoAnswer, BadAnswer)):
            self._note(request, opened, began, key)
            return call.unanswered(opened)
        is_text = 200 <= opened.status < 300
        if is_text:
            # A text is not logged: it comes in pieces, and may be long.
            self._note(request, Answer(opened.status, {}, b""), began, key)
        else:
            answer = opened.whole()
            self._note(request, answer, began, key)
            if not isinstance(answer, Answer):
                return call.unanswered(answer)
            return self._refused(call, *self._read(call, answer, key))
        pieces = opened.pieces()
        first = next(pieces, b"")
        return _Text(opened, first, pieces) if isinstance(first, bytes) else call.unanswered(first)

    def _text_of(self, call: Call, started: _Text, key: Key) -> Iterator[str]:
        """Yield the text, but hold back what may be an error inside a success."""
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
            answer = Answer(opened.status, opened.headers, held.encode())
            kind, reading = self._read(call, answer, key)
            payload = reading.payload if isinstance(reading.payload, dict) else {}
            if error_text(payload) and not payload.keys() - {"error", *self.api.envelopes}:
                raise self._refused(call, kind, reading).error
            inner = [payload.get(name) for name in self.api.envelopes]
            held = next((one for one in inner if isinstance(one, str)), held)
        if held:
            yield held


def _may_be_error(text: str) -> bool:
    """Return whether what has come so far can be the start of `{"error": ...}`."""
    start = "".join(text[:_ERROR_LENGTH].split())[: len(_ERROR_START)]
    return len(text) < _ERROR_LENGTH and _ERROR_START.startswith(start)
