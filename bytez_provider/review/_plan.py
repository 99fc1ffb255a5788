"""What Pulumi plans for a stack, whichever way it was told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bytez_provider.base.urns import MODEL_TYPE, project_of, stack_of
from bytez_provider.core.inputs import is_model_id
from bytez_provider.review._document import GapCode


@dataclass(frozen=True)
class ResourceState:
    """A resource as it was, or as it is to be.

    Attributes:
        urn: What it is called in this state; after a rename with `aliases` the old one has another.
        type: Its type token.
        id: What the provider calls it; "" for what is not there yet.
        inputs: What the program declares; camelCase, each secret masked (`marks`).
        outputs: What the provider returned, as above; empty for what is not there yet.
        is_protected: Whether Pulumi refuses to delete it.
        is_retained: Whether Pulumi drops it without deleting it (`retain_on_delete`).
        is_external: Whether it is only read (`Model.get`).
        can_go: Whether a refresh may find it gone: a component or a provider is always there.
    """

    urn: str
    type: str
    id: str = ""
    inputs: Mapping[str, Any] = field(default_factory=dict)
    outputs: Mapping[str, Any] = field(default_factory=dict)
    is_protected: bool = False
    is_retained: bool = False
    is_external: bool = False
    can_go: bool = True


@dataclass(frozen=True)
class Step:
    """What is to be done with one resource; a replacement is one step.

    Attributes:
        op: Pulumi's word: "create", "update", "replace", "delete", "same", "read", "import" ...
        urn: The resource.
        old: As it was before the step, after a refresh; None for a new one.
        new: As it is to be; None for one that goes.
        changed: The inputs that Pulumi names as changed. It knows where this cannot: a secret.
    """

    op: str
    urn: str
    old: ResourceState | None
    new: ResourceState | None
    changed: frozenset[str] = frozenset()

    @property
    def type(self) -> str:
        """The type token."""
        state = self.new or self.old
        return state.type if state else ""


@dataclass(frozen=True)
class Refreshed:
    """What a refresh made of one resource; `after` is None where it is gone."""

    before: ResourceState
    after: ResourceState | None


@dataclass(frozen=True)
class Violation:
    """A rule that the plan breaks.

    Attributes:
        pack: The policy pack.
        policy: The rule.
        is_mandatory: Whether it stops the `up`.
        message: What is wrong.
        urn: The resource; "" for the stack.
    """

    pack: str
    policy: str
    is_mandatory: bool
    message: str
    urn: str


@dataclass(frozen=True)
class Complaint:
    """An error that the preview ended with; `urn` is "" where it is of no resource."""

    urn: str
    message: str


@dataclass(frozen=True)
class Missing:
    """What a plan leaves out.

    Attributes:
        code: Why.
        urns: The resources that are known to be meant; empty where the plan does not tell.
    """

    code: GapCode
    urns: tuple[str, ...] = ()


_LEAVING_OUT = ("targeted", "failed", "cutOff", "samesLeftOut", "goneUnclear")
"""The gaps through which a resource of the stack is missing altogether."""


@dataclass(frozen=True)
class Plan:
    """One preview of one stack.

    Attributes:
        steps: One a resource that the plan judges, in the order of the plan.
        refreshed: What a refresh found, by URN; empty without one.
        is_refreshed: Whether the preview refreshed first.
        violations: Broken rules; None where this form of a plan does not carry them.
        complaints: Errors; a preview with one has failed.
        made_at: When it was made, UTC; None where the plan does not tell.
        depends_on: What each resource depends on, by URN; None where the plan does not tell.
        deleted_with: The resource whose delete takes the place of one's own, by URN; empty where
            the plan does not tell.
        missing: What it leaves out, and why; empty for a plan of the whole stack.
        is_from_nothing: Whether it was made without the stack's state, for a comparison.
    """

    steps: list[Step]
    refreshed: Mapping[str, Refreshed] = field(default_factory=dict)
    is_refreshed: bool = False
    violations: list[Violation] | None = None
    complaints: list[Complaint] = field(default_factory=list)
    made_at: datetime | None = None
    depends_on: Mapping[str, frozenset[str]] | None = None
    deleted_with: Mapping[str, str] = field(default_factory=dict)
    missing: tuple[Missing, ...] = ()
    is_from_nothing: bool = False

    @property
    def has_all(self) -> bool:
        """Whether every resource of the stack is in it, those that stay as they are too."""
        return not any(one.code in _LEAVING_OUT for one in self.missing)

    @property
    def stack(self) -> str:
        """The name of the stack; "" where the plan names no resource."""
        return next((stack_of(step.urn) for step in self.steps), "")

    @property
    def project(self) -> str:
        """The name of the project; as above."""
        return next((project_of(step.urn) for step in self.steps), "")

    def model_ids(self) -> set[str]:
        """Return the ids of the models in it, as they were and as they are to be."""
        states = [state for step in self.steps for state in (step.old, step.new) if state]
        states += [refreshed.before for refreshed in self.refreshed.values()]
        ids = {model_id_of(state) for state in states if state.type == MODEL_TYPE}
        return {one for one in ids if one is not None}


def model_id_of(state: ResourceState) -> str | None:
    """Return the id of a model; None where it is not known, as of an output before its `up`."""
    model_id = state.inputs.get("modelId")
    return model_id if isinstance(model_id, str) and is_model_id(model_id) else None
