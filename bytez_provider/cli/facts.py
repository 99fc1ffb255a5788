"""What is told of a model, as the JSON documents have it: camelCase, numbers with units in names.

The tables show these same facts. A key is always there; what is not known is null.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from bytez_provider.base.errors import printable
from bytez_provider.service.pricing import hourly
from bytez_provider.service.schemas import NOT_LOADED, CatalogueEntry, Instance, Phase, iso

if TYPE_CHECKING:
    from bytez_provider.cli.session import Session

_NAME_LIMIT = 200


def catalogue_facts(entry: CatalogueEntry, price_per_gb_second: Decimal) -> dict[str, Any]:
    """Return what is told of a model that can be loaded; the cost is that of one instance."""
    return {
        "modelId": printable(entry.model_id, limit=_NAME_LIMIT),
        "requiredRamGb": entry.required_ram_gb,
        "benchmarked": entry.benchmarked,
        "dollarsPerHour": _dollars(hourly(entry.required_ram_gb, 1, price_per_gb_second)),
    }


def instance_facts(instance: Instance, session: Session) -> dict[str, Any]:
    """Return what is told of a loaded model.

    The cost is that of all its instances; null where it is unknown, and for a model that FAILED.
    """
    entry = session.catalogue.get().find(instance.model_id)
    ram = entry.required_ram_gb if entry else None
    now = session.client.server_now()
    cost = None
    if instance.concurrency is not None:
        cost = hourly(ram, instance.concurrency, session.settings.price_per_gb_second)
    return {
        "modelId": printable(instance.model_id, limit=_NAME_LIMIT),
        "status": printable(instance.status.strip().upper(), limit=40),
        "concurrency": instance.concurrency,
        "inferences": instance.inferences,
        "created": _iso(instance.created),
        "ageSeconds": _seconds(instance.created, now),
        "expirationPeriodSeconds": instance.expiration_period_seconds,
        "expiresAt": _iso(instance.expires_at),
        "idleSecondsLeft": _seconds(now, instance.expires_at),
        "requiredRamGb": ram,
        "dollarsPerHour": None if instance.phase is Phase.FAILED else _dollars(cost),
        "error": printable(instance.error) if instance.error else None,
    }


def absence_facts(model_id: str, session: Session) -> dict[str, Any]:
    """Return what is told of a model that is not loaded, under the same keys."""
    nothing = Instance(model_id=model_id, status=NOT_LOADED)
    return instance_facts(nothing, session)


def total_per_hour(models: list[dict[str, Any]]) -> float | None:
    """Return what an hour of all of them costs in dollars; None when one of them is unknown."""
    costs = [model["dollarsPerHour"] for model in models if model["status"] != "FAILED"]
    return None if None in costs else round(sum(costs), 6)


def _seconds(start: datetime | None, end: datetime | None) -> int | None:
    if start is None or end is None:
        return None
    return max(0, round((end - start).total_seconds()))


def _iso(moment: datetime | None) -> str | None:
    return iso(moment) if moment else None


def _dollars(amount: Decimal | None) -> float | None:
    return None if amount is None else round(float(amount), 6)
