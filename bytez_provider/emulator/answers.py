"""The JSON of each answer of the service, in the order and form of the vendor doc."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from bytez_provider.emulator.catalogue import Row
from bytez_provider.emulator.world import Charge, Load

TASK = "text-generation"
"""The task of every model (choice: the vendor doc's table names none)."""


def iso(moment: datetime) -> str:
    """Return a UTC moment in ISO 8601 with milliseconds and a Z (vendor doc)."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def instance(load: Load, now: datetime) -> dict[str, Any]:
    """Return the answer to `/model/status` (vendor doc; `error` of a FAILED load is a choice)."""
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
    """Return the answer to an accepted `/model/load` (vendor doc)."""
    return {"modelId": load.model_id, "status": "started", "concurrency": load.concurrency}


def stopped(model_id: str) -> dict[str, Any]:
    """Return the answer to `/model/delete` (choice: undocumented)."""
    return {"modelId": model_id, "status": "stopped"}


def entry_2024_05(row: Row) -> dict[str, Any]:
    """Return an entry of the catalogue in the 2024-05 API."""
    return {"name": row.name, "requiredRAM": row.required_ram, "benchmarked": row.benchmarked}


def entry_2024_06(row: Row) -> dict[str, Any]:
    """Return an entry of the catalogue in the 2024-06 API."""
    return {"modelId": row.name, "ramRequired": row.required_ram, "task": TASK}


def charge(one: Charge) -> dict[str, Any]:
    """Return an entry of the ledger; both sums are None if the model's RAM is unknown."""
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
        model_id: The model.
        prompt: What the text begins with (vendor doc: the answer repeats the prompt).
        words: How many words follow the prompt and the note that this is the emulator.
    """
    yield prompt
    yield f" [the Bytez emulator speaking for {model_id}; no model was run]"
    start = int.from_bytes(hashlib.sha256(f"{model_id}\n{prompt}".encode()).digest()[:4], "big")
    for at in range(0, words, _WORDS_PER_CHUNK):
        chunk = range(at, min(at + _WORDS_PER_CHUNK, words))
        yield "".join(f" {_WORDS[(start + n) % len(_WORDS)]}" for n in chunk)
