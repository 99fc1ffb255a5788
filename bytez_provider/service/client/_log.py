"""What is logged of an exchange: one bounded line, without the key."""

from __future__ import annotations

from bytez_provider.base.errors import printable
from bytez_provider.service.client._results import Answer, BadAnswer, NoAnswer
from bytez_provider.service.settings import Key
from bytez_provider.service.wire import Request

_SENT_LIMIT = 300
_ANSWER_LIMIT = 500
"""Characters of what was sent, and of what was answered."""


def line_of(
    request: Request, outcome: Answer | BadAnswer | NoAnswer, seconds: float, key: Key
) -> str:
    """Return the line about a request and how it ended."""
    sent = _shown(request.data or b"", _SENT_LIMIT, key)
    if isinstance(outcome, Answer):
        body = _shown(outcome.body, _ANSWER_LIMIT, key)
        ended = f"HTTP {outcome.status}{body}"
    elif isinstance(outcome, BadAnswer):
        ended = f"HTTP {outcome.status}, {outcome.reason}"
    else:
        ended = f"no answer: {outcome.reason}"
    path = printable(request.path, limit=_SENT_LIMIT)
    return f"{request.method} {path}{sent} -> {ended} ({1000 * seconds:.0f} ms)"


def _shown(body: bytes, limit: int, key: Key) -> str:
    # A cut must leave neither half a key nor megabytes to search.
    text = key.hide_in(body[: 64 * limit].decode("utf-8", "replace"))
    shown = printable(text, limit=limit)
    return f" {shown}" if shown else ""
