"""The state file: loads survive a restart of the emulator."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from bytez_provider.base.files import replace_file
from bytez_provider.emulator.world import Fate, Load, Totals, World

_FORMAT = "bytez-emulator/1"
_MOMENTS = ("created", "last_run", "deleted", "gone")


class StateError(ValueError):
    """The state file cannot be used; one sentence with its name."""


def write_state(path: Path, world: World, now: datetime) -> None:
    """Write current and past loads, so that a reader sees either the old file or the new one.

    Raises:
        StateError: the file cannot be written.
    """
    content = {
        "format": _FORMAT,
        "now": now.isoformat(),
        "loads": [_written(load) for load in world.loads.values()],
        "settled": {model_id: asdict(totals) for model_id, totals in world.settled.items()},
    }
    try:
        replace_file(path, json.dumps(content).encode(), mode=0o666)
    except OSError as error:
        raise StateError(f"could not write state file '{path}': {error.strerror}") from None


def read_state(path: Path, world: World) -> datetime | None:
    """Fill the world from the file; return when it was written, or None if there is no file.

    Raises:
        StateError: the file cannot be read, or is not a state file of this emulator.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise StateError(f"could not read state file '{path}': {reason}") from None
    try:
        content = json.loads(text)
        if content["format"] != _FORMAT:
            raise ValueError(content["format"])
        now = _moment(content["now"])
        loads = [_read(load) for load in content["loads"]]
        settled = {model_id: Totals(**sums) for model_id, sums in content["settled"].items()}
        restored = World(world.ram, world.boot_seconds, {x.model_id: x for x in loads}, settled)
        # Use it, to check that every field has the right type and every model is known.
        restored.ledger(now)
        restored.instances(now)
    except (ValueError, TypeError, KeyError, AttributeError):
        raise StateError(
            f"could not read state file '{path}': it is not a state file of this emulator; "
            "delete it or name another"
        ) from None
    world.loads, world.settled = restored.loads, restored.settled
    return now


def _written(load: Load) -> dict[str, Any]:
    fields = asdict(load)
    for name in _MOMENTS:
        if fields[name] is not None:
            fields[name] = fields[name].isoformat()
    return fields


def _read(fields: dict[str, Any]) -> Load:
    moments = {name: fields[name] and _moment(fields[name]) for name in _MOMENTS}
    return Load(**{**fields, **moments, "fate": Fate(**fields["fate"])})


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a moment without a time zone")
    return moment
