"""The state file: loads survive a restart of the emulator."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from bytez_provider.base.files import replace_file
from bytez_provider.emulator.billing import Totals
from bytez_provider.emulator.cluster import Cluster, Instance, Settings
from bytez_provider.emulator.load import Capacity, Fate, Load
from bytez_provider.emulator.world import AnyLoad, World

_FORMAT = "bytez-emulator/2"
_OLDER_FORMAT = "bytez-emulator/1"
"""It has no clusters."""
_MOMENTS = ("created", "last_run", "deleted", "gone", "began", "active", "off", "started", "ready")
"""Every field that is a moment, of a load, a cluster or an instance."""


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
        "loads": [_written(x) for x in world.loads.values() if isinstance(x, Load)],
        "clusters": [_written(x) for x in world.loads.values() if isinstance(x, Cluster)],
        "settled": {model_id: asdict(totals) for model_id, totals in world.settled.items()},
    }
    try:
        replace_file(path, json.dumps(content, default=_moment_text).encode(), mode=0o666)
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
        if content["format"] == _OLDER_FORMAT:
            content["clusters"] = []
        elif content["format"] != _FORMAT:
            raise ValueError(content["format"])
        now = _moment(content["now"])
        loads: list[AnyLoad] = [_read_load(one) for one in content["loads"]]
        loads += [_read_cluster(one, world, now) for one in content["clusters"]]
        settled = {model_id: Totals(**sums) for model_id, sums in content["settled"].items()}
        restored = replace(world, loads={x.model_id: x for x in loads}, settled=settled)
        # Use it, to check that every field has the right type and every model is known.
        restored.ledger(now)
        restored.instances(now)
        restored.clusters(now)
    except (ValueError, TypeError, KeyError, AttributeError):
        raise StateError(
            f"could not read state file '{path}': it is not a state file of this emulator; "
            "delete it or name another"
        ) from None
    world.loads, world.settled = restored.loads, restored.settled
    return now


def _written(load: AnyLoad) -> dict[str, Any]:
    fields = asdict(load)
    # The option of the next start decides.
    fields.pop("stops_when_idle", None)
    return fields


def _moment_text(moment: object) -> str:
    if not isinstance(moment, datetime):
        raise TypeError(f"{moment!r} has no place in a state file")
    return moment.isoformat()


def _read_load(fields: dict[str, Any]) -> Load:
    return Load(**{**_with_moments(fields), "fate": Fate(**fields["fate"])})


def _read_cluster(fields: dict[str, Any], world: World, now: datetime) -> Cluster:
    settings = fields["settings"]
    cluster = Cluster(
        **{
            **_with_moments(fields),
            "fate": Fate(**fields["fate"]),
            "settings": Settings(settings["timeout_minutes"], Capacity(*settings["capacity"])),
            "stops_when_idle": world.stops_when_idle,
            "instances": [Instance(**_with_moments(one)) for one in fields["instances"]],
        }
    )
    cluster.cut_runs(now)
    return cluster


def _with_moments(fields: dict[str, Any]) -> dict[str, Any]:
    moments = {name: fields[name] for name in _MOMENTS if fields.get(name)}
    return {**fields, **{name: _moment(text) for name, text in moments.items()}}


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a moment without a time zone")
    return moment
