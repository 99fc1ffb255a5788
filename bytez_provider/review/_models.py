"""The models of a plan: what each was, is now and will be, and what the service runs of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from bytez_provider.base.urns import MODEL_TYPE, name_of
from bytez_provider.core.ownership import Judgement, Owner, Record, Verdict, judge
from bytez_provider.review._document import LiveModel
from bytez_provider.review._plan import Plan, ResourceState, Step
from bytez_provider.service.schemas import (
    NOT_LOADED,
    Instance,
    Phase,
    moment_of,
    phase_of,
    seconds_between,
)


@dataclass(frozen=True)
class Case:
    """One model in one plan."""

    step: Step
    was: ResourceState | None
    """As the last `up` left it. A refresh changes what is declared to what it finds."""
    now: ResourceState | None
    """As the refresh found it, or else as it was; None for a new one, or one that is gone."""
    will: ResourceState | None
    """None for one that is removed."""
    came_from: str | None = None
    """The URN of the removed resource that had this very model, if there is one."""

    @property
    def name(self) -> str:
        """The name of the resource, which is text of others."""
        return name_of(self.step.urn)

    @property
    def old_urn(self) -> str:
        """The resource's URN in the state."""
        return self.came_from or (self.was.urn if self.was else "") or self.step.urn

    @property
    def is_gone(self) -> bool:
        """Whether a refresh found its load gone."""
        return self.was is not None and self.now is None

    @property
    def is_asleep(self) -> bool:
        """Whether it is not loaded, and that is accepted."""
        return self.status == NOT_LOADED

    @property
    def is_loaded(self) -> bool:
        """Whether the stack has a load of it now, as far as the plan shows."""
        return self.now is not None and not self.is_asleep

    @property
    def status(self) -> str | None:
        """Its status; None if the state has none, as for a fleet's model."""
        status = self.now.outputs.get("status") if self.now else None
        return status if isinstance(status, str) else None

    @property
    def phase(self) -> Phase | None:
        """Where its load is; None if there is none, or if the state does not say."""
        return None if self.status is None or self.is_asleep else phase_of(self.status)

    def has(self, model_id: str) -> bool:
        """Return whether the resource has this model loaded now: that load is unloaded first."""
        is_same = self.now is not None and self.now.model_id == model_id
        return is_same and self.is_loaded and self.came_from is None


def cases_of(plan: Plan) -> list[Case]:
    """Return the models of a plan, also those that a refresh found gone for good.

    The service holds one load of a model. So if one resource is removed and another one gets its
    model, that is one model under a new name.
    """
    cases = [_case(plan, step) for step in _model_steps(plan)]
    removed = {
        case.was.model_id: case
        for case in cases
        if case.was and case.will is None and case.was.model_id
    }
    added = {
        case.will.model_id: case
        for case in cases
        if case.will and case.was is None and case.will.model_id
    }
    for model_id in removed.keys() & added.keys():
        old, new = removed[model_id], added[model_id]
        cases.remove(old)
        cases[cases.index(new)] = dataclasses.replace(
            new, was=old.was, now=old.now, came_from=old.step.urn
        )
    return cases


def _case(plan: Plan, step: Step) -> Case:
    refreshed = plan.refreshed.get(step.urn)
    now = step.old or (refreshed.after if refreshed else None)
    return Case(
        step=step,
        was=refreshed.before if refreshed else step.old,
        # A digest may show a refresh as it began; the step after it has what the refresh found.
        now=None if refreshed and refreshed.after is None else now,
        will=step.new if step.op != "delete" else None,
    )


def _model_steps(plan: Plan) -> list[Step]:
    """Return the steps for models, and one for each that is gone and no longer declared."""
    known = {step.urn for step in plan.steps}
    forgotten = [
        Step(op="delete", urn=urn, old=refreshed.before)
        for urn, refreshed in plan.refreshed.items()
        if refreshed.after is None and urn not in known
    ]
    return [
        step
        for step in [*plan.steps, *forgotten]
        if step.type == MODEL_TYPE and step.op not in ("read", "read-replacement", "discard")
        if not any(state is not None and state.external for state in (step.old, step.new))
    ]


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

    def judged(self, case: Case) -> Judgement | None:
        """Return whose the load of a model is, as its resource sees it before the `up`.

        None if there is no state, or if it is of another account.
        """
        if case.was is None or not self._is_asked(case.was):
            return None
        model_id = case.was.model_id or ""
        return judge(
            self.instances.get(model_id),
            who=Owner(urn=case.old_urn, stack=self.stack),
            named=case.was.load,
            record=self.records.get(model_id),
        )

    def shown(self, case: Case) -> LiveModel | None:
        """Return what runs of a model; None if the plan hides which, or for another account."""
        state = case.was or case.will
        if state is None or state.model_id is None or not self._is_asked(state):
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
        judged = self.judged(case)
        is_sure = judged is not None and judged.verdict is not Verdict.UNSURE and instance.created
        return LiveModel(
            status=instance.word,
            concurrency=instance.concurrency,
            age_seconds=seconds_between(instance.created, self.now),
            idle_seconds_left=seconds_between(self.now, instance.expires_at),
            is_declared_load=judged.is_ours if judged and is_sure else None,
        )

    def _is_asked(self, state: ResourceState) -> bool:
        of = (
            state.outputs.get("endpoint", self.endpoint),
            state.outputs.get("account", self.account),
        )
        return of == (self.endpoint, self.account)
