"""Records of the earlier format: a note for each resource, and a holder for each adopted model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from bytez_provider.core.ownership._record import Owner, Phase, Record
from bytez_provider.service.schemas import moment_of


def carried_over(
    contents: Mapping[str, bytes | None], account: Mapping[str, str]
) -> dict[str, Record]:
    """Return the records that files of the earlier format make, by model.

    A note named a load that was begun for a resource and not finished; of several for one model
    the last counts. A holder named the moment of a take-over. Neither knew the stack.
    """
    earlier = [name for name in contents if name.startswith(("load-", "holder-"))]
    files = {name: _read(contents[name]) for name in earlier}
    own = {name: kept for name, kept in files.items() if account.items() <= kept.items()}
    notes = [_note(kept) for name, kept in own.items() if name.startswith("load-")]
    known = [note for note in notes if note is not None]
    records = {one.model_id: one for one in sorted(known, key=lambda one: one.began)}
    for name, kept in own.items():
        if name.startswith("holder-"):
            _add_holder(records, kept)
    return records


def _read(content: bytes | None) -> dict[str, Any]:
    try:
        kept = json.loads(content or b"")
    except (ValueError, RecursionError):
        return {}
    return kept if isinstance(kept, dict) else {}


_AS_NOW = ("modelId", "began", "concurrency", "expirationPeriodSeconds")
"""What an earlier version kept as this one does."""


def _note(kept: Mapping[str, Any]) -> Record | None:
    try:
        created = moment_of(kept.get("created"))
        known = {
            "owner": {"urn": kept.get("urn")},
            "phase": Phase.ACCEPTED if created else Phase.REQUESTED,
            "created": created,
        }
        return Record.of({**{name: kept.get(name) for name in _AS_NOW}, **known})
    except ValueError:
        return None


def _add_holder(records: dict[str, Record], kept: Mapping[str, Any]) -> None:
    model_id, adopted_at = kept.get("modelId"), kept.get("adoptedAt")
    created, began = moment_of(kept.get("created")), moment_of(adopted_at)
    if not isinstance(model_id, str) or began is None:
        return
    note = records.get(model_id)
    if note is None:
        records[model_id] = Record(
            model_id=model_id,
            owner=Owner(urn=""),
            phase=Phase.CONFIRMED,
            began=began,
            concurrency=1,
            created=created,
            adopted_at=adopted_at,
        )
    elif note.created == created:
        records[model_id] = note.but(adopted_at=adopted_at)
