"""What the service says: the JSON of each answer, in the seed's order and form."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from bytez_provider.emulator.catalogue import Row
from bytez_provider.emulator.world import Charge, Load

TASK = "text-generation"
"""The task of every model in the seed's table (choice: the table does not say)."""


def iso(moment: datetime) -> str:
    """Return a UTC moment as the seed writes them: ISO 8601 with milliseconds and a Z."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def instance(load: Load, now: datetime) -> dict[str, Any]:
    """Return the answer to `/model/status` (seed); `error` on a FAILED load is a choice."""
    expires = load.expires(now)
    minutes = load.expiration_seconds / 60
    answer: dict[str, Any] = {
        "modelId": load.model_id,
        "status": load.status(now),
        "concurrency": load.concurrency,
        "inferences": load.inferences,
        "expirationPeriodSeconds": load.expiration_seconds,
        "expirationPeriodMinutes": int(minutes) if minutes.is_integer() else minutes,
        "expiresAt": iso(expires) if expires else None,
        "created": iso(load.created),
        "modified": iso(load.modified(now)),
    }
    if answer["status"] == "FAILED":
        answer["error"] = load.fate.error
    return answer


def started(load: Load) -> dict[str, Any]:
    """Return the answer to an accepted `/model/load` (seed)."""
    return {"modelId": load.model_id, "status": "started", "concurrency": load.concurrency}


def stopped(model_id: str) -> dict[str, Any]:
    """Return the answer to `/model/delete` (choice: undocumented)."""
    return {"modelId": model_id, "status": "stopped"}


def seed_entry(row: Row) -> dict[str, Any]:
    """Return a line of the catalogue in the 2024-05 API."""
    return {"name": row.name, "requiredRAM": row.required_ram, "benchmarked": row.benchmarked}


def june_entry(row: Row) -> dict[str, Any]:
    """Return a line of the catalogue in the 2024-06 API."""
    return {"modelId": row.name, "ramRequired": row.required_ram, "task": TASK}


def charge(one: Charge) -> dict[str, Any]:
    """Return a line of the ledger; both sums are None where the model's RAM is unknown."""
    return {
        "loads": one.loads,
        "gbSeconds": None if one.gb_seconds is None else float(one.gb_seconds),
        "dollars": None if one.dollars is None else float(one.dollars),
    }


_TEXT = (
    "the model is not here and nothing was computed yet these words go on as a story would "
    "with a river a small town and a light that somebody left burning for the night"
)
_WORDS = _TEXT.split()
_WORDS_PER_CHUNK = 3


def generated(model_id: str, prompt: str, words: int) -> Iterator[str]:
    """Return a text in chunks of a few words: the same for the same model and prompt.

    Args:
        model_id: The model that was asked.
        prompt: What the text begins with (seed: the answer repeats the prompt).
        words: How many words follow the prompt and the remark that this is the emulator.
    """
    yield prompt
    yield f" [the Bytez emulator speaking for {model_id}; no model was run]"
    turn = int.from_bytes(hashlib.sha256(f"{model_id}\n{prompt}".encode()).digest()[:4], "big")
    for at in range(0, words, _WORDS_PER_CHUNK):
        few = range(at, min(at + _WORDS_PER_CHUNK, words))
        yield "".join(f" {_WORDS[(turn + n) % len(_WORDS)]}" for n in few)
