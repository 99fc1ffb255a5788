"""What runs now, beside what a plan says of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from bytez_provider.base.errors import printable
from bytez_provider.core.ownership import Judgement, Named, Owner, Record, Verdict, judge
from bytez_provider.review._cases import Case
from bytez_provider.review._document import LiveModel
from bytez_provider.review._plan import ResourceState, model_id_of
from bytez_provider.service.schemas import NOT_LOADED, Instance, moment_of


@dataclass(frozen=True)
class Live:
    """What runs in the account now.

    Attributes:
        instances: By model id; a model that is not here is not loaded.
        now: The service's time.
        endpoint: Where it was asked.
        account: Whose it is: a state's `account` of a load made with the same key is equal.
        records: What the journal has of loads, by model id.
        stack: Tells the stack of the plan from others of its name; None where that is not known.
    """

    instances: Mapping[str, Instance]
    now: datetime
    endpoint: str
    account: str
    records: Mapping[str, Record] = field(default_factory=dict)
    stack: str | None = None


def named_by(state: ResourceState) -> Named | None:
    """Return the load that a state names; None where it names none."""
    outputs = state.outputs
    if not outputs or outputs.get("status") == NOT_LOADED:
        return None
    adopted_at = outputs.get("adoptedAt")
    return Named(
        moment_of(outputs.get("created")), adopted_at if isinstance(adopted_at, str) else None
    )


def judged_of(case: Case, live: Live | None) -> Judgement | None:
    """Say whose the load of a model is, as its resource sees it before the `up`.

    None where it was not asked, or elsewhere, or where there is no state.
    """
    if live is None or case.was is None or not _is_here(case.was, live):
        return None
    model_id = model_id_of(case.was) or ""
    return judge(
        live.instances.get(model_id),
        who=Owner(urn=case.old_urn, stack=live.stack),
        named=named_by(case.was),
        record=live.records.get(model_id),
    )


def live_of(case: Case, live: Live | None) -> LiveModel | None:
    """Return what runs of a model; None where it was not asked, or elsewhere."""
    state = case.was or case.will
    if live is None or state is None:
        return None
    if not _is_here(state, live):
        return None
    instance = live.instances.get(model_id_of(state) or "")
    if instance is None:
        return LiveModel(
            status=NOT_LOADED,
            concurrency=None,
            age_seconds=None,
            idle_seconds_left=None,
            is_declared_load=False if moment_of(state.outputs.get("created")) else None,
        )
    return LiveModel(
        status=printable(instance.status.strip().upper(), limit=40),
        concurrency=instance.concurrency,
        age_seconds=_seconds(instance.created, live.now),
        idle_seconds_left=_seconds(live.now, instance.expires_at),
        is_declared_load=_is_own(instance, judged_of(case, live)),
    )


def _is_own(instance: Instance, judged: Judgement | None) -> bool | None:
    """Say whether a load is the resource's own; None where nothing says so."""
    if judged is None or judged.verdict is Verdict.UNSURE or instance.created is None:
        return None
    return judged.is_ours


def _is_here(state: ResourceState, live: Live) -> bool:
    told = state.outputs.get("account", live.account), state.outputs.get("endpoint", live.endpoint)
    return told == (live.account, live.endpoint)


def _seconds(start: datetime | None, end: datetime | None) -> int | None:
    if start is None or end is None:
        return None
    return max(0, round((end - start).total_seconds()))
