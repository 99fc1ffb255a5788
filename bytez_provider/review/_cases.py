"""The models of a plan: what each was, is now and is to be."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from bytez_provider.base.urns import MODEL_TYPE, name_of
from bytez_provider.review._plan import Plan, Refreshed, ResourceState, Step, model_id_of
from bytez_provider.service.schemas import NOT_LOADED, Phase, phase_of


@dataclass(frozen=True)
class Case:
    """One model in one plan.

    Attributes:
        step: What Pulumi does with the resource.
        was: As of the last `up`: a refresh changes what is declared to what it finds.
        now: As the refresh found it, or as it was; None for what is new or gone.
        will: As it is to be; None for one that goes.
        came_from: The URN of the resource that goes and has had this very model, if there is one.
    """

    step: Step
    was: ResourceState | None
    now: ResourceState | None
    will: ResourceState | None
    came_from: str | None = None

    @property
    def name(self) -> str:
        """The name of the resource, in the words of a file."""
        return name_of(self.step.urn)

    @property
    def renamed_from(self) -> str | None:
        """The name of the resource that it came from."""
        return name_of(self.came_from) if self.came_from else None

    @property
    def old_urn(self) -> str:
        """The resource as the state has it."""
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
        """Whether the stack has a load of it now, as far as the plan tells."""
        return self.now is not None and not self.is_asleep

    @property
    def status(self) -> str | None:
        """Its status; None where it is not told, as of a fleet's models."""
        status = self.now.outputs.get("status") if self.now else None
        return status if isinstance(status, str) else None

    @property
    def phase(self) -> Phase | None:
        """Where its load is; None where there is none, or where it is not told."""
        return None if self.status is None or self.is_asleep else phase_of(self.status)


def cases_of(plan: Plan) -> list[Case]:
    """Return the models of a plan, those among them that a refresh found gone for good.

    The service holds one load a model. So what goes, and comes back as another resource, is one
    model under a new name.
    """
    cases = [_case(plan, step) for step in _model_steps(plan)]
    gone = {
        model_id: case
        for case in cases
        if case.was and case.will is None and (model_id := model_id_of(case.was))
    }
    come = {
        model_id: case
        for case in cases
        if case.will and case.was is None and (model_id := model_id_of(case.will))
    }
    for model_id in gone.keys() & come.keys():
        old, new = gone[model_id], come[model_id]
        cases.remove(old)
        cases[cases.index(new)] = dataclasses.replace(
            new, was=old.was, now=old.now, came_from=old.step.urn
        )
    return cases


def _case(plan: Plan, step: Step) -> Case:
    refreshed = plan.refreshed.get(step.urn)
    return Case(
        step=step,
        was=refreshed.before if refreshed else step.old,
        # What the step begins with is what the refresh ended with, and the digest's refresh may
        # still show what it began with.
        now=None if refreshed and refreshed.after is None else step.old or _found(refreshed),
        will=step.new if step.op != "delete" else None,
    )


def _found(refreshed: Refreshed | None) -> ResourceState | None:
    return refreshed.after if refreshed else None


def _model_steps(plan: Plan) -> list[Step]:
    """Return the steps for models, and one for each that is gone and no longer declared."""
    told = {step.urn for step in plan.steps}
    forgotten = [
        Step("delete", urn, refreshed.before, None)
        for urn, refreshed in plan.refreshed.items()
        if refreshed.after is None and urn not in told
    ]
    return [
        step
        for step in [*plan.steps, *forgotten]
        if step.type == MODEL_TYPE and step.op not in ("read", "read-replacement", "discard")
        if not any(state is not None and state.is_external for state in (step.old, step.new))
    ]
