"""The JSON of each answer of the service, in the order and form of the vendor doc."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from bytez_provider.emulator.billing import Charge
from bytez_provider.emulator.catalogue import Row
from bytez_provider.emulator.load import Load, Phase
from bytez_provider.emulator.meters import meter_of
from bytez_provider.emulator.world import AnyLoad

TASK = "text-generation"
"""The task of every model (choice: the vendor doc's table names none)."""
_BYTES_PER_PARAMETER = 4
"""29 GB for 7.24 billion parameters (the example of the vendor doc)."""
_STATUS: Mapping[Phase, str] = {
    "loading": "DEPLOYING",
    "booting": "DEPLOYING",
    "up": "RUNNING",
    "failed": "FAILED",
}
_CLUSTER_STATUS: Mapping[Phase, str] = {
    "loading": "loading",  # vendor client
    "booting": "booting instance",  # vendor doc
    "off": "off",  # vendor client
    "failed": "failed",  # choice
}


def iso(moment: datetime) -> str:
    """Return a UTC moment in ISO 8601 with milliseconds and a Z (vendor doc)."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def instance(load: AnyLoad, now: datetime) -> dict[str, Any]:
    """Return the answer to `/model/status` (vendor doc; `error` of a FAILED load is a choice)."""
    expires = load.expires(now)
    minutes = load.expiration_seconds / 60
    answer: dict[str, Any] = {
        "modelId": load.model_id,
        "status": _STATUS[load.phase(now)],
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


def cluster(load: AnyLoad, now: datetime, ready_word: str = "on") -> dict[str, Any]:
    """Return the cluster object of the 2025-04 API, with its nine fields (vendor doc)."""
    phase = load.phase(now)
    return {
        "modelId": load.model_id,
        "status": ready_word if phase == "up" else _CLUSTER_STATUS[phase],
        "created": iso(load.created),
        "modified": iso(load.modified(now)),
        "timeout": load.timeout_minutes,
        "capacity": load.capacity._asdict(),
        "instances": load.count(now),
        "inferences": load.inferences,
        "lastInference": iso(load.last_run or load.created),
    }


def real(load: AnyLoad, now: datetime) -> dict[str, Any]:
    """Return a load as the API that made it shows it without faults."""
    return instance(load, now) if isinstance(load, Load) else cluster(load, now)


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


def entry_2025_04(model_id: str, ram: float | None) -> dict[str, Any]:
    """Return an entry of the catalogue in the 2025-04 API (vendor doc; an unknown RAM: choice)."""
    meter = meter_of(ram)
    return {
        "modelId": model_id,
        "task": TASK,
        "params": None if ram is None else round(ram / _BYTES_PER_PARAMETER, 2),
        "ramRequired": ram,
        "meter": meter.name,
        "meterPrice": f"{meter.price:f} / sec",
    }


def charge(one: Charge) -> dict[str, Any]:
    """Return an entry of the ledger: `gbSeconds` for loads, `instanceSeconds` for clusters."""
    entry: dict[str, Any] = {"loads": one.loads}
    if one.totals.instance_seconds:
        entry["gbSeconds"] = None if one.gb_seconds is None else float(one.gb_seconds)
    if one.totals.cluster_seconds is not None:
        entry["instanceSeconds"] = one.totals.cluster_seconds
    return {**entry, "dollars": None if one.dollars is None else float(one.dollars)}


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
