"""What the runs of all APIs have in common."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable

from starlette.responses import Response, StreamingResponse

from bytez_provider.emulator.calls import Call, RefusedError

# Choices: the service's own bounds are undocumented.
DEFAULT_WORDS = 40
MOST_WORDS = 4096


def flag_of(call: Call, name: str, *, default: bool) -> bool:
    """Return a flag of the body.

    Raises:
        RefusedError: it is neither true nor false.
    """
    flag = call.body.get(name, default)
    if not isinstance(flag, bool):
        raise RefusedError(400, f"{name} must be true or false")
    return flag


def words_of(call: Call) -> int:
    """Return how many words a run asks for.

    Raises:
        RefusedError: `params` or its `max_length` is invalid.
    """
    params = call.body.get("params", {})
    if not isinstance(params, dict):
        raise RefusedError(400, "params must be an object")
    words = params.get("max_length", DEFAULT_WORDS)
    if isinstance(words, bool) or not isinstance(words, int) or words < 1:
        raise RefusedError(400, "max_length must be a whole number of at least 1")
    return min(words, MOST_WORDS)


def streamed(chunks: Iterable[str]) -> Response:
    """Return a plain text that is sent chunk by chunk."""
    return StreamingResponse(_one_by_one(chunks), media_type="text/plain")


async def _one_by_one(chunks: Iterable[str]) -> AsyncIterator[str]:
    for chunk in chunks:
        yield chunk
        await asyncio.sleep(0)
