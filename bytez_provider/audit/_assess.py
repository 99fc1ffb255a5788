"""The audit as a function of facts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

from bytez_provider.audit import _cost
from bytez_provider.audit._document import (
    Audit,
    AuditedModel,
    LeftOut,
    NotJudged,
    SourceRead,
    Totals,
)
from bytez_provider.audit._facts import Facts
from bytez_provider.audit._findings import (
    JUDGED,
    NAME_LIMIT,
    findings_of,
    idle_since,
    is_undeclared,
    owner_of,
    owners_of,
    seconds_between,
)
from bytez_provider.audit._states import Declared
from bytez_provider.base.errors import printable
from bytez_provider.service.pricing import PRICE_DATE
from bytez_provider.service.schemas import NOT_LOADED, Instance, Phase, iso

_DECIMALS = 6


def assess(facts: Facts) -> Audit:
    """Return what is loaded beside what is declared, and what of it is not in order."""
    return Audit(
        version=1,
        time=iso(facts.now),
        endpoint=printable(facts.endpoint, limit=NAME_LIMIT),
        price_per_gb_second=f"{facts.price_per_gb_second:f}",
        price_date=PRICE_DATE,
        sources=_sources(facts),
        totals=_totals(facts),
        findings=findings_of(facts),
        models=_models(facts),
        left_out=[_left_out(facts, one) for one in facts.elsewhere],
        not_judged=list(_not_judged(facts)),
    )


def undeclared(facts: Facts) -> list[Instance]:
    """Return the loads that no state given names, in the order of their models' names."""
    return [live for live in facts.live_by_id.values() if not facts.owners(live)]


def _sources(facts: Facts) -> list[SourceRead]:
    return [
        SourceRead(
            kind=source.kind,
            name=printable(source.name, limit=NAME_LIMIT),
            models=sum(
                model.is_managed and model.is_of(facts.endpoint, facts.account)
                for model in source.models
            ),
        )
        for source in facts.sources
    ]


def _left_out(facts: Facts, declared: Declared) -> LeftOut:
    told = declared.model.outputs.get("endpoint")
    is_at_endpoint = not isinstance(told, str) or told == facts.endpoint
    return LeftOut(
        model_id=printable(declared.model.model_id, limit=NAME_LIMIT),
        declared_by=owner_of(declared),
        differs="account" if is_at_endpoint else "endpoint",
    )


def _not_judged(facts: Facts) -> Iterator[NotJudged]:
    for one in facts.declared:
        hidden = [name for name in JUDGED if name in one.model.unreadable]
        if hidden and one.model.is_managed:
            yield NotJudged(
                model_id=printable(one.model.model_id, limit=NAME_LIMIT),
                declared_by=owner_of(one),
                properties=hidden,
            )


# ----------------------------------------------------------------------------------- models


def _models(facts: Facts) -> list[AuditedModel]:
    declared = {one.model.model_id for one in facts.declared if one.model.is_managed}
    rows = []
    for model_id in sorted({*facts.live_by_id, *declared}):
        live = facts.live_by_id.get(model_id)
        rows.append(_absent(facts, model_id) if live is None else _loaded(facts, live))
    return rows


def _loaded(facts: Facts, live: Instance) -> AuditedModel:
    since = idle_since(live)
    return AuditedModel(
        model_id=printable(live.model_id, limit=NAME_LIMIT),
        status=printable(live.status.strip().upper(), limit=40),
        declared_by=[owner_of(one) for one in owners_of(facts, live)],
        concurrency=live.concurrency,
        inferences=live.inferences,
        created=iso(live.created) if live.created else None,
        age_seconds=seconds_between(live.created, facts.now),
        idle_since=iso(since) if since else None,
        idle_seconds_left=seconds_between(facts.now, live.expires_at),
        required_ram_gb=_cost.required_ram_gb(facts, live.model_id),
        ram_gb=_rounded(_cost.ram_gb(facts, live)),
        dollars_per_hour=_rounded(_cost.per_hour(facts, live)),
        dollars_so_far=_rounded(_cost.so_far(facts, live)),
    )


def _absent(facts: Facts, model_id: str) -> AuditedModel:
    owners = [one for one in facts.declared_of(model_id) if one.model.is_managed]
    return AuditedModel(
        model_id=printable(model_id, limit=NAME_LIMIT),
        status=NOT_LOADED,
        declared_by=[owner_of(one) for one in owners],
        concurrency=None,
        inferences=None,
        created=None,
        age_seconds=None,
        idle_since=None,
        idle_seconds_left=None,
        required_ram_gb=_cost.required_ram_gb(facts, model_id),
        ram_gb=None,
        dollars_per_hour=None,
        dollars_so_far=None,
    )


# ----------------------------------------------------------------------------------- totals


def _totals(facts: Facts) -> Totals:
    loaded = list(facts.live_by_id.values())
    # One that FAILED holds nothing and costs nothing from then on: that is no unknown.
    holding = [live for live in loaded if live.phase is not Phase.FAILED]
    nobodys = [live for live in holding if is_undeclared(facts, live)]
    return Totals(
        models=len(loaded),
        ram_gb=_sum([_cost.ram_gb(facts, live) for live in holding]),
        dollars_per_hour=_sum([_cost.per_hour(facts, live) for live in holding]),
        undeclared_dollars_per_hour=_sum([_cost.per_hour(facts, live) for live in nobodys]),
        dollars_so_far=_sum([_cost.so_far(facts, live) for live in loaded]),
        unknown_cost=[
            printable(live.model_id, limit=NAME_LIMIT)
            for live in loaded
            if _is_of_unknown_cost(facts, live)
        ],
    )


def _is_of_unknown_cost(facts: Facts, live: Instance) -> bool:
    if _cost.so_far(facts, live) is None:
        return True
    return live.phase is not Phase.FAILED and _cost.per_hour(facts, live) is None


def _sum(amounts: Sequence[Decimal | float | None]) -> float | None:
    """Return the sum of what is known; None where there is something, and none of it is known."""
    known = [Decimal(str(one)) for one in amounts if one is not None]
    if amounts and not known:
        return None
    return _rounded(sum(known, Decimal()))


def _rounded(amount: Decimal | float | None) -> float | None:
    return None if amount is None else round(float(amount), _DECIMALS)
