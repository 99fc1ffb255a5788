"""What an answer amounts to, whatever its status code and content type say."""

from __future__ import annotations

import enum
import html
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from bytez_provider.client._transport import Answer
from bytez_provider.config import Key
from bytez_provider.errors import printable
from bytez_provider.wire import error_text

Verb = Literal[
    "list the models", "list the instances", "load", "read the status of", "unload", "run"
]

NOTHING: Final = object()
"""The payload of an answer that is no JSON. (`null` is.)"""

_GATEWAY_LOST = frozenset({502, 504, 520, 524})
"""A gateway asked the service and had no answer; 52x are those of a large CDN."""
_GATEWAY_BUSY = frozenset({503, 521, 522, 523})
"""Nobody took the request."""

_KEPT = 32 * 1024
"""Characters of an answer that are looked at for words: patterns are not for megabytes."""

_TITLE = re.compile(r"<title[^>]*>([^<]*)", re.IGNORECASE)
_CREDITS = re.compile(r"\bcredits?\b")
_ALREADY_LOADED = re.compile(r"\balready (been )?loaded\b")
_IN_PROGRESS = re.compile(r"\b(in progress|deploying|loading|being loaded|starting|booting)\b")
_NOT_LOADED = re.compile(
    r"\bnot (currently |yet |been )?(loaded|running|deployed)\b"
    r"|\bno (such |loaded |running )?(model|instance)\b"
    r"|\b(model|instance)\b.{0,80}\b(not found|does not exist|unknown)\b"
    r"|\b(unknown|stopped) (model|instance)\b"
)
_BAD_KEY = re.compile(r"\b(api[ _-]?key|invalid key|unauthori[sz]ed|forbidden)\b")


class Kind(enum.Enum):
    """What an answer amounts to."""

    DONE = enum.auto()
    ALREADY_LOADED = enum.auto()
    IN_PROGRESS = enum.auto()
    NOT_LOADED = enum.auto()
    """Not loaded, not found or not known: the service does not tell these apart."""
    BAD_KEY = enum.auto()
    NO_CREDITS = enum.auto()
    RATE_LIMITED = enum.auto()
    GATEWAY_LOST = enum.auto()
    GATEWAY_BUSY = enum.auto()
    NOT_THE_API = enum.auto()
    REFUSED = enum.auto()


@dataclass(frozen=True)
class Reading:
    """An answer, read, in which the key does not occur."""

    status: int
    headers: Mapping[str, str]
    text: str
    title: str
    """Of a page."""
    payload: object

    @classmethod
    def of(cls, answer: Answer, key: Key) -> Reading:
        """Read an answer; its content type is not trusted."""
        text = answer.body.decode("utf-8-sig", "replace")
        try:
            payload = _without(key, json.loads(text, parse_constant=_refuse_constant))
        except (ValueError, RecursionError):
            payload = NOTHING
        # Hidden before it is cut: no cut may leave half a key.
        shown = key.hide_in(text[: 2 * _KEPT])[:_KEPT]
        found = _TITLE.search(shown)
        # In HTML there are more ways to write a letter than `hide_in` knows.
        title = key.hide_in(html.unescape(found[1])) if found else ""
        return cls(answer.status, answer.headers, shown, title, payload)

    @property
    def is_page(self) -> bool:
        """Whether this is a page for a browser: from a gateway, a portal or a wrong address."""
        return self.text.lstrip()[:1] == "<"

    @property
    def is_ok(self) -> bool:
        """Whether the status code is one of success."""
        return 200 <= self.status < 300

    @property
    def words(self) -> str:
        """What the service says in words, if anything."""
        if self.payload is NOTHING:
            return "" if self.is_page else self.text
        return (error_text(self.payload) or _other_words(self.payload))[:_KEPT]

    def told(self) -> str:
        """Say for people what came."""
        head = f"the service answered HTTP {self.status}"
        if not self.text.strip():
            return f"{head} with an empty body"
        if self.payload is NOTHING and self.is_page:
            name = printable(self.title, limit=100)
            return f"{head} with an HTML page" + (f" ('{name}')" if name else "")
        words = printable(self.words or self.text)
        return f"{head}: {words}" if words else head


def kind_of(reading: Reading, verb: Verb, model_id: str) -> Kind:
    """Return what an answer to `verb` `model_id` amounts to."""
    seen = _Seen(reading, verb, _compared(reading.words, model_id), bool(model_id))
    if reading.is_ok and reading.status != 209 and not seen.is_error():
        return Kind.DONE if seen.is_readable() else Kind.NOT_THE_API
    return next((kind for kind, applies in _RULES if applies(seen)), Kind.REFUSED)


@dataclass(frozen=True)
class _Seen:
    """What the rules look at."""

    reading: Reading
    verb: Verb
    words: str
    is_about_a_model: bool

    def is_error(self) -> bool:
        """Tell whether a success is none: it has an `error`, and nothing of use beside it."""
        payload = self.reading.payload
        if not error_text(payload):
            return False
        # An instance that failed has both, and its error is a part of the answer.
        has_status = isinstance(payload, dict) and isinstance(payload.get("status"), str)
        return not (self.verb == "read the status of" and has_status)

    def is_readable(self) -> bool:
        """Tell whether a success has the form that its endpoint's answers have."""
        payload = self.reading.payload
        if self.verb == "unload":
            # Undocumented: any word will do, and none.
            return payload is not NOTHING or not self.reading.is_page
        return isinstance(payload, dict) if self.verb == "load" else payload is not NOTHING

    def is_foreign(self) -> bool:
        """Tell a page, or the 404 of a wrong address, from the API's own.

        The API's own 404 is about a model, and is JSON if it is anything. For a model in state
        "not found" is as much as "gone", so this is where care is due.
        """
        reading = self.reading
        says_other = reading.payload is NOTHING and bool(reading.text.strip())
        is_other_404 = reading.status == 404 and (says_other or not self.is_about_a_model)
        return reading.is_page or is_other_404


_RULES: Final[tuple[tuple[Kind, Callable[[_Seen], object]], ...]] = (
    (Kind.NO_CREDITS, lambda s: s.reading.status == 402 or _CREDITS.search(s.words)),
    (Kind.BAD_KEY, lambda s: s.reading.status in (401, 403)),
    (
        Kind.ALREADY_LOADED,
        lambda s: s.verb == "load" and (s.reading.status == 209 or _ALREADY_LOADED.search(s.words)),
    ),
    (Kind.GATEWAY_LOST, lambda s: s.reading.status in _GATEWAY_LOST),
    (Kind.GATEWAY_BUSY, lambda s: s.reading.status in _GATEWAY_BUSY),
    (
        Kind.IN_PROGRESS,
        lambda s: s.verb == "load" and s.reading.status == 429 and _IN_PROGRESS.search(s.words),
    ),
    (Kind.RATE_LIMITED, lambda s: s.reading.status == 429),
    (Kind.BAD_KEY, lambda s: _BAD_KEY.search(s.words)),
    (Kind.NOT_THE_API, _Seen.is_foreign),
    (Kind.NOT_LOADED, lambda s: s.reading.status == 404 or _NOT_LOADED.search(s.words)),
)
"""The first that applies to an answer that is no success says what it is."""


def _compared(words: str, model_id: str) -> str:
    """Return words as they are searched: less the name, in which `credit` or `key` may occur."""
    return " ".join((words.replace(model_id, " ") if model_id else words).lower().split())


def _other_words(payload: object) -> str:
    """Return the words of an error that other servers put elsewhere: gateways, frameworks."""
    if isinstance(payload, dict):
        for name in ("message", "detail"):
            if isinstance(payload.get(name), str):
                return str(payload[name])
    return payload if isinstance(payload, str) else ""


def _without(key: Key, value: Any) -> Any:
    """Return JSON with the key blotted out of its texts and names, all of which can be encoded.

    A list is changed in place: a copy of megabytes would be hundreds of megabytes more.
    """
    if isinstance(value, str):
        # Half a surrogate pair is JSON, and nothing that can be printed or put in state.
        return key.hide_in(value.encode("utf-8", "replace").decode())
    if isinstance(value, list):
        for at, item in enumerate(value):
            value[at] = _without(key, item)
    if isinstance(value, dict):
        return {_without(key, name): _without(key, item) for name, item in value.items()}
    return value


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")
