"""What runs now, beside what a plan says of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from bytez_provider.errors import printable
from bytez_provider.lifecycle import NOT_LOADED
from bytez_provider.review._cases import Case
from bytez_provider.review._document import LiveModel
from bytez_provider.review._plan import model_id_of
from bytez_provider.schemas import Instance, moment_of


@dataclass(frozen=True)
class Live:
    """What runs in the account now.

    Attributes:
        instances: By model id; a model that is not here is not loaded.
        now: The service's time.
        endpoint: Where it was asked.
        account: Whose it is: a state's `account` of a load made with the same key is equal.
        begun: URNs of the loads among them that an interrupted `up` began and the next one goes
            on with, as this machine's journal has it.
    """

    instances: Mapping[str, Instance]
    now: datetime
    endpoint: str
    account: str
    begun: frozenset[str] = frozenset()


def live_of(case: Case, live: Live | None) -> LiveModel | None:
    """Return what runs of a model; None where it was not asked, or elsewhere."""
    state = case.was or case.will
    if live is None or state is None:
        return None
    outputs = state.outputs
    account = outputs.get("account", live.account), outputs.get("endpoint", live.endpoint)
    if account != (live.account, live.endpoint):
        return None
    instance = live.instances.get(model_id_of(state) or "")
    created = moment_of(outputs.get("created"))
    if instance is None:
        return LiveModel(
            status=NOT_LOADED,
            concurrency=None,
            age_seconds=None,
            idle_seconds_left=None,
            is_declared_load=None if created is None else False,
        )
    is_told = created is not None and instance.created is not None
    return LiveModel(
        status=printable(instance.status.strip().upper(), limit=40),
        concurrency=instance.concurrency,
        age_seconds=_seconds(instance.created, live.now),
        idle_seconds_left=_seconds(live.now, instance.expires_at),
        # Where the service does not tell, the provider takes a load for its own.
        is_declared_load=instance.created == created if is_told else None,
    )


def _seconds(start: datetime | None, end: datetime | None) -> int | None:
    if start is None or end is None:
        return None
    return max(0, round((end - start).total_seconds()))
