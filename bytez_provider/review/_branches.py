"""Two plans made without the stack's state, compared: what a branch does to its target.

A pull request from a fork has no secret, and so no access to the stack. What it would change is
seen all the same, from what the two branches declare.
"""

from __future__ import annotations

import dataclasses

from bytez_provider.base.urns import MODEL_TYPE
from bytez_provider.review._declared import REPLACING, hidden_of, same
from bytez_provider.review._plan import Missing, Plan, ResourceState, Step


def compared(head: Plan, base: Plan) -> Plan:
    """Return the plan that leads from what one branch declares to what another does.

    Args:
        head: The plan of the branch; its resources are all new.
        base: The plan of the target branch, made in the same way, and of the whole stack.
    """
    before = {step.urn: step.new for step in base.steps if step.new is not None}
    steps = [_step(step, before.pop(step.urn, None)) for step in head.steps]
    missing = list(head.missing)
    if head.has_all:
        steps += [Step("delete", urn, old, None) for urn, old in before.items()]
    else:
        # What the plan does not get to may be declared all the same.
        missing[0] = Missing(missing[0].code, (*missing[0].urns, *before))
    if hidden := tuple(step.urn for step in steps if _is_hidden_on_both(step)):
        missing.append(Missing("notComparable", hidden))
    return dataclasses.replace(head, steps=steps, missing=tuple(missing), is_from_nothing=True)


def _is_hidden_on_both(step: Step) -> bool:
    """Tell whether two branches may differ in what neither plan shows."""
    if step.type != MODEL_TYPE or step.old is None or step.new is None:
        return False
    return not set(hidden_of(step.old)).isdisjoint(hidden_of(step.new))


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
