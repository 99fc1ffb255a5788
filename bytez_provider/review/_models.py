"""The models of a plan, and what the service runs of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from bytez_provider.core.ownership import Judgement, Owner, Record, Verdict, judge
from bytez_provider.review._document import LiveModel
from bytez_provider.review._plan import Plan, Planned, ResourceState
from bytez_provider.service.schemas import NOT_LOADED, Instance, moment_of, seconds_between


def models_in(plan: Plan) -> list[Planned]:
    """Return the models of a plan, also those that a refresh found gone for good.

    The service holds one load of a model. So if one resource is removed and another one gets its
    model, that is one model under a new name.
    """
    models = [
        one
        for one in plan.resources
        if one.is_model and one.op not in ("read", "read-replacement", "discard")
        if not any(state is not None and state.external for state in (one.now, one.will))
    ]
    removed = {
        (one.was.place, one.was.model_id): one for one in models if one.was and one.will is None
    }
    added = {
        (one.will.place, one.will.model_id): one for one in models if one.will and one.was is None
    }
    for key in removed.keys() & added.keys():
        if key[1] is None:
            continue
        old, new = removed[key], added[key]
        models.remove(old)
        models[models.index(new)] = dataclasses.replace(
            new, was=old.was, now=old.now, came_from=old.urn
        )
    return models


@dataclass(frozen=True)
class Live:
    """What runs in the account now, and what the journal has, both by model id."""

    instances: Mapping[str, Instance]
    now: datetime
    """The service's time."""
    endpoint: str
    account: str
    records: Mapping[str, Record] = field(default_factory=dict)
    stack: str | None = None
    """Distinguishes the plan's stack from others of its name; None if that is not known."""
    api_version: str | None = None
    """The version of the API, as a state keeps it: None for those of 2024."""

    def judged(self, model: Planned) -> Judgement | None:
        """Return whose the load of a model is, as its resource sees it before the `up`.

        None if there is no state, or if it is of another account.
        """
        if model.was is None or not self.has(model.was):
            return None
        model_id = model.was.model_id or ""
        return judge(
            self.instances.get(model_id),
            who=Owner(urn=model.old_urn, stack=self.stack),
            named=model.was.load,
            record=self.records.get(model_id),
        )

    def shown(self, model: Planned, judged: Judgement | None) -> LiveModel | None:
        """Return what runs of a model; None if the plan hides which, or for another account."""
        state = model.was or model.will
        if state is None or state.model_id is None or not self.has(state):
            return None
        instance = self.instances.get(state.model_id)
        if instance is None:
            return LiveModel(
                status=NOT_LOADED,
                concurrency=None,
                age_seconds=None,
                idle_seconds_left=None,
                is_declared_load=False if moment_of(state.outputs.get("created")) else None,
            )
        scale = {"max_concurrency": instance.max_concurrency, "instances": instance.instances}
        is_sure = judged is not None and judged.verdict is not Verdict.UNSURE and instance.created
        return LiveModel(
            status=instance.word,
            concurrency=instance.concurrency,
            **(scale if instance.scale else {}),
            age_seconds=seconds_between(instance.created, self.now),
            idle_seconds_left=seconds_between(self.now, instance.expires_at),
            is_declared_load=judged.is_ours if judged and is_sure else None,
        )

    def has(self, state: ResourceState) -> bool:
        """Return whether a state is of this account.

        If it names none, it is not there yet: then it is, unless its provider has its own account.
        """
        names = ("endpoint", "account")
        is_there = any(name in state.outputs for name in names)
        if state.place and not is_there:
            return False
        if is_there and state.outputs.get("apiVersion") != self.api_version:
            return False
        endpoint, account = map(state.outputs.get, names, (self.endpoint, self.account))
        return (endpoint, account) == (self.endpoint, self.account)
