"""Two plans made without the stack's state, compared: what a branch does to its target.

A pull request from a fork has no secret, and so no access to the stack. What it would change is
seen all the same, from what the two branches declare.
"""

from __future__ import annotations

import dataclasses

from bytez_provider.review._declared import REPLACING, same
from bytez_provider.review._plan import Plan, ResourceState, Step
from bytez_provider.urns import MODEL_TYPE


def compared(head: Plan, base: Plan) -> Plan:
    """Return the plan that leads from what one branch declares to what another does.

    Args:
        head: The plan of the branch; its resources are all new.
        base: The plan of the target branch, made in the same way.
    """
    before = {step.urn: step.new for step in base.steps if step.new is not None}
    steps = [_step(step, before.pop(step.urn, None)) for step in head.steps]
    gone = [Step("delete", urn, old, None) for urn, old in before.items()]
    return dataclasses.replace(head, steps=[*steps, *gone], is_from_nothing=True)


def _step(step: Step, old: ResourceState | None) -> Step:
    new = step.new
    if old is None or new is None:
        return step
    if step.type != MODEL_TYPE:
        return Step("same" if old.inputs == new.inputs else "update", step.urn, old, new)
    if same(old, new):
        return Step("same", step.urn, old, new)
    replaces = any(old.inputs.get(name) != new.inputs.get(name) for name in REPLACING)
    return Step("replace" if replaces else "update", step.urn, old, new)
