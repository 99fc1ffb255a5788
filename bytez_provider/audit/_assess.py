"""The audit as a function of facts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

from bytez_provider.audit._document import (
    Audit,
    AuditedModel,
    Differs,
    LeftOut,
    NotJudged,
    SourceRead,
    Totals,
)
from bytez_provider.audit._facts import Facts
from bytez_provider.audit._findings import (
    findings_of,
    hidden_in,
    idle_since,
    is_undeclared,
    owners_of,
    resource,
    shown,
)
from bytez_provider.service.pricing import paid_instances
from bytez_provider.service.schemas import NOT_LOADED, Instance, Phase, iso, seconds_between

_DECIMALS = 6
_MOST_GB = 1_000_000.0


def assess(facts: Facts) -> Audit:
    """Compare what is loaded with what is declared, and return what is not in order."""
    price = facts.prices.per_gb_second
    managed = [one for one in facts.declared if one.model.is_managed]
    return Audit(
        version=1,
        time=iso(facts.now),
        endpoint=shown(facts.endpoint),
        price_per_gb_second=None if price is None else f"{price:f}",
        price_date=facts.prices.date,
        sources=_sources(facts),
        totals=_totals(facts),
        findings=findings_of(facts),
        models=[
            _model(facts, model_id)
            for model_id in sorted({*facts.live_by_id, *(one.model.model_id for one in managed)})
        ],
        left_out=list(_left_out(facts)),
        not_judged=[
            NotJudged(
                model_id=shown(one.model.model_id),
                declared_by=resource(one),
                properties=hidden_in(one.model),
            )
            for one in managed
            if hidden_in(one.model)
        ],
    )


def undeclared(facts: Facts) -> list[Instance]:
    """Return the loads that no given state names, by the names of their models."""
    return [live for live in facts.live_by_id.values() if not facts.owners(live)]


def _sources(facts: Facts) -> list[SourceRead]:
    return [
        SourceRead(
            kind=source.kind,
            name=shown(source.name),
            models=sum(model.is_managed and facts.is_here(model) for model in source.models),
        )
        for source in facts.sources
    ]


def _left_out(facts: Facts) -> Iterator[LeftOut]:
    for one in facts.elsewhere:
        endpoint = one.model.outputs.get("endpoint")
        differs: Differs = "account"
        if isinstance(endpoint, str) and endpoint != facts.endpoint:
            differs = "endpoint"
        elif one.model.is_of(facts.endpoint, facts.account, one.model.outputs.get("apiVersion")):
            differs = "apiVersion"
        yield LeftOut(
            model_id=shown(one.model.model_id),
            declared_by=resource(one),
            differs=differs,
        )


def _model(facts: Facts, model_id: str) -> AuditedModel:
    live = facts.live_by_id.get(model_id)
    seen: dict[str, Any] = {"status": NOT_LOADED}
    if live is not None:
        since = idle_since(live)
        seen = {
            "status": live.word,
            "concurrency": live.concurrency,
            **(vars(live.scale) if live.scale else {}),
            "inferences": live.inferences,
            "created": iso(live.created) if live.created else None,
            "age_seconds": seconds_between(live.created, facts.now),
            "idle_since": iso(since) if since else None,
            "idle_seconds_left": seconds_between(facts.now, live.expires_at),
            "ram_gb": _rounded(_ram_gb(facts, live)),
            "dollars_per_hour": _rounded(_per_hour(facts, live)),
            "dollars_so_far": _rounded(_so_far(facts, live)),
        }
    owners = owners_of(facts, live) if live else facts.claims(model_id)
    fields = AuditedModel.model_fields.items()
    unknown = {name: None for name, one in fields if one.is_required()}
    known = {
        "model_id": shown(model_id),
        "declared_by": [resource(one) for one in owners],
        "required_ram_gb": _required_ram_gb(facts, model_id),
    }
    return AuditedModel.model_validate({**unknown, **known, **seen})


# ------------------------------------------------------------------- RAM and cost; None: unknown


def _totals(facts: Facts) -> Totals:
    loaded = list(facts.live_by_id.values())
    # A load that FAILED holds no RAM and costs nothing more: its amounts are not unknown.
    holding = [live for live in loaded if live.phase is not Phase.FAILED]
    undeclared_loads = [live for live in holding if is_undeclared(facts, live)]
    return Totals(
        models=len(loaded),
        ram_gb=_sum([_ram_gb(facts, live) for live in holding]),
        dollars_per_hour=_sum([_per_hour(facts, live) for live in holding]),
        undeclared_dollars_per_hour=_sum([_per_hour(facts, live) for live in undeclared_loads]),
        dollars_so_far=_sum([_so_far(facts, live) for live in loaded]),
        unknown_cost=[
            shown(live.model_id)
            for live in loaded
            if _so_far(facts, live) is None
            or (live.phase is not Phase.FAILED and _per_hour(facts, live) is None)
        ],
    )


def _required_ram_gb(facts: Facts, model_id: str) -> float | None:
    entry = facts.catalogue.find(model_id)
    ram = entry.required_ram_gb if entry else None
    return ram if ram is not None and 0 < ram <= _MOST_GB else None


def _ram_gb(facts: Facts, live: Instance) -> float | None:
    ram, instances = _required_ram_gb(facts, live.model_id), paid_instances(live)
    if ram is None or instances is None or live.phase is Phase.FAILED:
        return None
    return ram * instances


def _per_second(facts: Facts, live: Instance) -> Decimal | None:
    """Return the price of one instance."""
    entry = facts.catalogue.find(live.model_id)
    meter = entry.dollars_per_second if entry else None
    return facts.prices.per_second(_required_ram_gb(facts, live.model_id), meter)


def _per_hour(facts: Facts, live: Instance) -> Decimal | None:
    instances = paid_instances(live)
    if instances is None or live.phase is Phase.FAILED:
        return None
    if instances == 0:
        return Decimal(0)  # Whatever the price is.
    return facts.prices.hourly(_per_second(facts, live), instances)


def _so_far(facts: Facts, live: Instance) -> Decimal | None:
    # Nothing changes about a load after it FAILED.
    end = live.modified if live.phase is Phase.FAILED else facts.now
    instances = live.concurrency
    if live.created is None or instances is None or end is None:
        return None
    # How many instances of a range there have been, the service does not say.
    if live.scale and not instances == live.max_concurrency == paid_instances(live):
        return None
    seconds = (end - live.created).total_seconds()
    return facts.prices.dollars(_per_second(facts, live), instances, seconds)


def _sum(amounts: Sequence[Decimal | float | None]) -> float | None:
    """Return the sum of what is known; None if there are amounts and all are unknown."""
    known = [Decimal(str(one)) for one in amounts if one is not None]
    return None if amounts and not known else _rounded(sum(known, Decimal()))


def _rounded(amount: Decimal | float | None) -> float | None:
    return None if amount is None else round(float(amount), _DECIMALS)
