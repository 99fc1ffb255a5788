"""What an instance costs. None is unknown, and never nothing."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from bytez_provider.audit._facts import Facts
from bytez_provider.service.pricing import dollars, hourly
from bytez_provider.service.schemas import Instance, Phase

_MOST_GB = 1_000_000.0


def required_ram_gb(facts: Facts, model_id: str) -> float | None:
    """Return the GPU RAM of one instance of a model."""
    entry = facts.catalogue.find(model_id)
    ram = entry.required_ram_gb if entry else None
    return ram if ram is not None and 0 < ram <= _MOST_GB else None


def ram_gb(facts: Facts, live: Instance) -> float | None:
    """Return the GPU RAM of all that is loaded of a model; one that FAILED holds none."""
    ram = required_ram_gb(facts, live.model_id)
    if ram is None or live.concurrency is None or live.phase is Phase.FAILED:
        return None
    return ram * live.concurrency


def per_hour(facts: Facts, live: Instance) -> Decimal | None:
    """Return what an hour costs; None for one that FAILED, which costs nothing from then on."""
    if live.concurrency is None or live.phase is Phase.FAILED:
        return None
    ram = required_ram_gb(facts, live.model_id)
    return hourly(ram, live.concurrency, facts.price_per_gb_second)


def so_far(facts: Facts, live: Instance) -> Decimal | None:
    """Return what a load has cost since it was created, up to its failure where it FAILED."""
    end = _end(facts, live)
    if live.created is None or live.concurrency is None or end is None:
        return None
    ram = required_ram_gb(facts, live.model_id)
    seconds = (end - live.created).total_seconds()
    return dollars(ram, live.concurrency, seconds, facts.price_per_gb_second)


def _end(facts: Facts, live: Instance) -> datetime | None:
    # Nothing changes in one that FAILED after it did.
    return live.modified if live.phase is Phase.FAILED else facts.now
