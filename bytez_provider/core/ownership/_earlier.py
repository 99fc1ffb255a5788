"""Records of the format before this one: a note for each resource, a holder for each model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from bytez_provider.core.ownership._record import Owner, Phase, Record
from bytez_provider.service.schemas import moment_of


def carried_over(
    contents: Mapping[str, bytes | None], account: Mapping[str, str]
) -> dict[str, Record]:
    """Return what files of the earlier format say of an account's loads, by model.

    A note named a load that was begun for a resource and not finished; of several for one model
    the last is kept. A holder named the moment of a take-over. Neither knew the stack.
    """
    notes: list[Record] = []
    holders: dict[str, tuple[datetime | None, str]] = {}
    for name, content in contents.items():
        kept = _read(content) if name.startswith(("load-", "holder-")) else None
        if kept is None or any(kept.get(k) != v for k, v in account.items()):
            continue
        if name.startswith("load-"):
            note = _note(kept)
            notes += [note] if note else []
        elif isinstance(kept.get("modelId"), str) and isinstance(kept.get("adoptedAt"), str):
            holders[kept["modelId"]] = (moment_of(kept.get("created")), kept["adoptedAt"])
    records = {one.model_id: one for one in sorted(notes, key=lambda one: one.began)}
    for model_id, (created, adopted_at) in holders.items():
        known = records.get(model_id)
        if known is None:
            began = moment_of(adopted_at)
            if began is not None:
                records[model_id] = Record(
                    model_id=model_id,
                    owner=Owner(urn=""),
                    phase=Phase.CONFIRMED,
                    began=began,
                    concurrency=1,
                    created=created,
                    adopted_at=adopted_at,
                )
        elif known.created == created:
            records[model_id] = known.model_copy(update={"adopted_at": adopted_at})
    return records


def _read(content: bytes | None) -> dict[str, Any] | None:
    try:
        kept = json.loads(content or b"")
    except (ValueError, RecursionError):
        return None
    return kept if isinstance(kept, dict) else None


def _note(kept: Mapping[str, Any]) -> Record | None:
    try:
        created = moment_of(kept.get("created"))
        return Record(
            model_id=kept["modelId"],
            owner=Owner(urn=kept["urn"]),
            phase=Phase.ACCEPTED if created else Phase.REQUESTED,
            began=moment_of(kept["began"]),
            concurrency=kept["concurrency"],
            expiration_period_seconds=kept.get("expirationPeriodSeconds"),
            created=created,
        )
    except (KeyError, ValueError):
        return None
