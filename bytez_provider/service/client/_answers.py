"""What an answer means: the one place that decides whether a model is "not loaded".

"Not loaded" needs evidence, because a resource is then dropped from state; so does "already
loaded", because a load is then waited for. The evidence is the API's own words: a JSON object with
a text as its `error` (client).

| answer                                           | what it means                             |
|--------------------------------------------------|-------------------------------------------|
| 500 and above, whatever it says                  | no answer                                 |
| 3xx, whatever it says                            | an error                                  |
| a page, a text, `message` or `detail`, no body   | no words: an error, and as 404 no answer  |
| an `error` that names another model              | no evidence about this one                |
| 2xx or 4xx, `error` says "not loaded"            | not loaded                                |
| 404, `error` names this model                    | not loaded                                |
| 404, `error` says "not found" of an address or of nothing | no answer                        |
| 209 to a load, or `error` says "already loaded"  | already loaded                            |
| a success about another model                    | no answer                                 |

`_RULES` is the whole table.
"""

from __future__ import annotations

import enum
import html
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from bytez_provider.base.errors import printable
from bytez_provider.service.apis import PATHS
from bytez_provider.service.client._results import Answer
from bytez_provider.service.settings import Key
from bytez_provider.service.wire import Verb, error_text, model_named, own_error

NOTHING: Final = object()
"""The payload of an answer that is not JSON. (`null` is.)"""

_GATEWAY_LOST = frozenset({502, 504, 520, 524})
"""A gateway asked the service and got no answer; 52x are those of a large CDN."""
_GATEWAY_BUSY = frozenset({503, 521, 522, 523})
"""Nobody took the request."""

_INSTANCE = "instance"
_UTF_8 = "utf-8-sig"
_BLANK = " "
_KEPT = 32 * 1024
"""Characters of an answer that are searched for words: patterns are not for megabytes."""
_LOOKED_AT = 2 * _KEPT
"""Characters in which the key is hidden before that cut."""

_TITLE = re.compile(r"<title[^>]*>([^<]*)", re.IGNORECASE)
_CREDITS = re.compile(r"\bcredits?\b")
_ALREADY_LOADED = re.compile(r"\balready (been )?loaded\b|\binstance already exists\b")
_IN_PROGRESS = re.compile(r"\b(in progress|deploying|loading|being loaded|starting|booting)\b")
_BAD_KEY = re.compile(r"\b(api[ _-]?key|invalid key|unauthori[sz]ed|forbidden)\b")

_THE_MODEL = (
    r"(?:model|instance)s?\b(?! (?:(?:is|was) )?(?:required|missing|given|specified|provided"
    r"|supplied|selected|id|name|type|class|status|state|error|file|config|weights|version"
    r"|route|endpoint|path|url|page|service|server|api)\b)"
)
"""A model or an instance itself, not a part of it: "unknown model status" says nothing of it."""
_NOT_LOADED = re.compile(
    r"(?:\bnot|n't|\bnever) (?:currently |yet |been )*(?:loaded|running|deployed)\b"
    rf"|\bno (?:such |loaded |running |active )?{_THE_MODEL}"
    rf"|\b(?:could not|couldn't|cannot|can't) find (?:the |a |any |such )?{_THE_MODEL}"
    rf"|\b(?:unknown|stopped) {_THE_MODEL}"
    rf"|\b{_THE_MODEL}(?: (?:with|of|for|this|that|the|id|name|account|is|was))*"
    r" (?:not found|(?:could not|cannot|can't) be found|does(?: not|n't) exist|unknown(?! error))\b"
)
_STILL_BOOTING = re.compile(
    r"\b(?:deploying|booting|in progress|being loaded"
    r"|(?:is|still|currently) (?:loading|starting))\b"
)
"""It does not run, but it is loaded."""
_OTHER_SUBJECT = re.compile(
    r"\b(?:service|server|backend|database|scheduler|cluster|daemon|worker|gateway|driver|host)s?"
    r"(?: instance)? (?:(?:is|are|was) )?(?:currently )?(?:not|(?:is|are|was)n't)\b"
)
"""A part of the service does not run. In the API of 2025, its "cluster" reads "instance" here."""
_AN_ADDRESS = re.compile(
    r"\b(?:route|endpoint|path|url|page|method|cannot (?:get|post|put|patch|delete)"
    r"|not implemented)\b"
)
_OUR_PATHS = "|".join(re.escape(path.strip("/")) for path in sorted(PATHS))
_ADDRESSES = re.compile(rf"\bhttps?://\S*|\b(?:{_OUR_PATHS})\b\S*")
_MODEL_ID = r"[a-z0-9][a-z0-9._-]*/[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?"
_NAMES = re.compile(
    rf"\b(?:model|instance|modelid)s?\b[\s:=]*[\"'`]?(?P<plain>{_MODEL_ID})"
    rf"|[\"'`](?P<quoted>{_MODEL_ID})[\"'`]"
)
_PUNCTUATION = re.compile(r"[\s\"`:;,.()\[\]{}]+|'(?!t\b)")


class Kind(enum.Enum):
    """What an answer means."""

    DONE = enum.auto()
    ALREADY_LOADED = enum.auto()
    IN_PROGRESS = enum.auto()
    NOT_LOADED = enum.auto()
    """Not loaded, not found or not known: the service does not distinguish them."""
    BAD_KEY = enum.auto()
    NO_CREDITS = enum.auto()
    RATE_LIMITED = enum.auto()
    GATEWAY_LOST = enum.auto()
    GATEWAY_BUSY = enum.auto()
    SERVER_ERROR = enum.auto()
    """The service failed on it: neither a yes nor a no, whatever it says."""
    NOT_THE_API = enum.auto()
    REFUSED = enum.auto()


@dataclass(frozen=True)
class Reading:
    """An answer, read, in which the key does not occur; `str(reading)` shows it to people."""

    status: int
    headers: Mapping[str, str]
    text: str
    title: str
    """Of a page."""
    payload: Any

    @classmethod
    def of(
        cls, answer: Answer, key: Key, content: Callable[[Any], Any] = lambda one: one
    ) -> Reading:
        """Read an answer, whatever its content type says; `content` removes its envelope."""
        text = answer.body.decode(_UTF_8, "replace")
        try:
            payload = content(_without(key, json.loads(text, parse_constant=_refuse_constant)))
        except (ValueError, RecursionError):
            payload = NOTHING
        # The key is hidden before the text is cut: no cut may leave half a key.
        shown = key.hide_in(text[:_LOOKED_AT])[:_KEPT]
        found = _TITLE.search(shown)
        # HTML has more ways to write a letter than `hide_in` knows.
        title = key.hide_in(html.unescape(found[1])) if found else ""
        return cls(answer.status, answer.headers, shown, title, payload)

    @property
    def is_page(self) -> bool:
        """Whether this is a page for a browser: from a gateway, a portal or a wrong address."""
        return self.text.lstrip()[:1] == "<"

    @property
    def is_text(self) -> bool:
        """Whether it is neither JSON nor empty, as from a server that is not the API."""
        return self.payload is NOTHING and bool(self.text.strip())

    @property
    def is_ok(self) -> bool:
        """Whether the status code is one of success."""
        return 200 <= self.status < 300

    @property
    def words(self) -> str:
        """What the service says in words, if anything: for people, not as evidence."""
        if self.payload is NOTHING:
            return "" if self.is_page else self.text
        return (error_text(self.payload) or _other_words(self.payload))[:_KEPT]

    def __str__(self) -> str:
        head = f"the service answered HTTP {self.status}"
        if not self.text.strip():
            return f"{head} with an empty body"
        if self.payload is NOTHING and self.is_page:
            name = printable(self.title, limit=100)
            return f"{head} with an HTML page" + (f" ('{name}')" if name else "")
        words = printable(self.words or self.text)
        return f"{head}: {words}" if words else head


def kind_of(reading: Reading, verb: Verb, model_id: str, unit: str = "") -> Kind:
    """Return what an answer to `verb` `model_id` means; see the table at the top.

    `unit` is what the API calls a loaded model beside "model" and "instance".
    """
    seen = _Seen(reading, verb, model_id, unit)
    if reading.is_ok and reading.status != 209 and not seen.is_error():
        return Kind.DONE if seen.is_readable() else Kind.NOT_THE_API
    return next((kind for kind, applies in _RULES if applies(seen)), Kind.REFUSED)


class _Seen:
    """What the rules look at.

    `said` is the API's own words, in lower case and without names, addresses and punctuation.
    """

    is_named = False
    """Whether it names the model that was asked about."""
    is_about_another = False
    """Whether it names models, but not that one."""

    def __init__(self, reading: Reading, verb: Verb, model_id: str, unit: str) -> None:
        self.reading = reading
        self.verb = verb
        self.status = reading.status
        self.model_id = model_id.lower()
        words = _ADDRESSES.sub(_BLANK, own_error(reading.payload)[:_KEPT].lower())
        named = model_named(reading.payload).lower()
        names_any = bool(named or _NAMES.search(words))
        if self.model_id:
            asked = _whole(self.model_id)
            self.is_named = named == self.model_id or asked.search(words) is not None
            self.is_about_another = names_any and not self.is_named
            words = asked.sub(_BLANK, words)
        # Parts of a name are no words of the service: `credit` and `key` occur in some.
        words = _NAMES.sub(_BLANK, words)
        said = [
            _INSTANCE if word == unit else word for word in _PUNCTUATION.sub(" ", words).split()
        ]
        self.said = " ".join(said)

    def is_error(self) -> bool:
        """Return whether a success is none: it has an `error`, and nothing of use beside it."""
        payload = self.reading.payload
        if not error_text(payload):
            return False
        # An instance that failed has both, and the error is a part of the answer.
        return not (self.verb == "read the status of" and isinstance(payload.get("status"), str))

    def is_readable(self) -> bool:
        """Return whether a success has the form that answers of its endpoint have."""
        payload = self.reading.payload
        if self.is_about_another:
            return False
        if self.verb == "unload":
            # Undocumented: any word will do, or none. The status that follows is the proof.
            return not self.reading.is_page
        return isinstance(payload, dict) if self.verb == "load" else payload is not NOTHING

    def says(self, pattern: re.Pattern[str]) -> bool:
        """Return whether there is evidence about the model, in words that match."""
        counts = self.reading.is_ok or self.status >= 400
        is_about_it = bool(self.model_id) and not self.is_about_another
        return counts and is_about_it and pattern.search(self.said) is not None

    def says_not_loaded(self) -> bool:
        """Return whether there is evidence that the model is not loaded, or does not exist."""
        if _STILL_BOOTING.search(self.said) or _OTHER_SUBJECT.search(self.said):
            return False
        if self.says(_NOT_LOADED):
            return True
        is_named = self.status == 404 and self.is_named
        return is_named and bool(self.said) and not _AN_ADDRESS.search(self.said)


_RULES: Final[tuple[tuple[Kind, Callable[[_Seen], object]], ...]] = (
    # For these only the status code counts, and no word.
    (Kind.GATEWAY_LOST, lambda s: s.status in _GATEWAY_LOST),
    (Kind.GATEWAY_BUSY, lambda s: s.status in _GATEWAY_BUSY),
    (Kind.SERVER_ERROR, lambda s: s.status >= 500),
    (Kind.ALREADY_LOADED, lambda s: s.verb == "load" and s.status == 209),
    # A gateway limits rates too, with a page or without a word.
    (Kind.NO_CREDITS, lambda s: s.status == 429 and _CREDITS.search(s.said)),
    (
        Kind.IN_PROGRESS,
        lambda s: s.verb == "load" and s.status == 429 and _IN_PROGRESS.search(s.said),
    ),
    (Kind.RATE_LIMITED, lambda s: s.status == 429),
    (Kind.NOT_THE_API, lambda s: s.reading.is_page),
    (Kind.NOT_THE_API, lambda s: s.status in (403, 404) and s.reading.is_text),
    (Kind.NO_CREDITS, lambda s: s.status == 402 or _CREDITS.search(s.said)),
    (Kind.BAD_KEY, lambda s: s.status in (401, 403) or _BAD_KEY.search(s.said)),
    (Kind.ALREADY_LOADED, lambda s: s.verb == "load" and s.says(_ALREADY_LOADED)),
    (Kind.IN_PROGRESS, lambda s: s.verb == "run" and s.says(_STILL_BOOTING)),
    (Kind.NOT_LOADED, _Seen.says_not_loaded),
    (Kind.NOT_THE_API, lambda s: s.status == 404),
)
"""The first rule that applies to an answer that is no success says what it means."""


def _whole(name: str) -> re.Pattern[str]:
    """Return the pattern of a name that is not a part of a longer one."""
    return re.compile(rf"(?<![\w./-]){re.escape(name)}(?!\.?[\w/-])")


def _other_words(payload: object) -> str:
    """Return the words of an error where gateways and frameworks put them."""
    if isinstance(payload, dict):
        for name in ("message", "detail"):
            if isinstance(payload.get(name), str):
                return str(payload[name])
    return payload if isinstance(payload, str) else ""


def _without(key: Key, value: Any) -> Any:
    """Return JSON with the key hidden in its texts and names, all of which can be encoded.

    A list is changed in place: a copy of megabytes would be hundreds of megabytes more.
    """
    if isinstance(value, str):
        # Half a surrogate pair is JSON, but cannot be printed or put in state.
        return key.hide_in(value.encode(errors="replace").decode())
    if isinstance(value, list):
        for at, item in enumerate(value):
            value[at] = _without(key, item)
    if isinstance(value, dict):
        return {_without(key, name): _without(key, item) for name, item in value.items()}
    return value


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")
