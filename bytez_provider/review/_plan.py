"""What Pulumi plans for a stack, and what one branch's plan changes in another's."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field, PlainValidator

from bytez_provider.base.document import CamelCase
from bytez_provider.base.marks import is_hidden, masked
from bytez_provider.base.urns import (
    MODEL_TYPES,
    explicit_provider,
    name_of,
    project_of,
    stack_of,
    type_of,
)
from bytez_provider.core.inputs import INPUTS, REQUIRED, is_model_id
from bytez_provider.core.ownership import Named
from bytez_provider.review._document import GapCode
from bytez_provider.service.schemas import NOT_LOADED, Phase, phase_of
from bytez_provider.stack.states import named_load

_INPUTS = tuple(one.in_state for one in INPUTS.values())
_DEFAULTS = {
    one.in_state: one.default for one in INPUTS.values() if one.default not in (None, REQUIRED)
}
_LEAVING_OUT = ("targeted", "failed", "cutOff", "samesLeftOut", "goneUnclear")
"""The gaps through which a resource of the stack is missing altogether."""


def replacing(*, rescales: bool) -> tuple[str, ...]:
    """Return the inputs whose change is a replacement."""
    return tuple(one.in_state for one in INPUTS.values() if one.change.replaces(rescales=rescales))


def mapping(value: object) -> Mapping[str, Any]:
    """Return a mapping; an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def listed(value: object, kind: type) -> list[Any]:
    """Return what is of a kind in a list; nothing for anything else."""
    return [one for one in value if isinstance(one, kind)] if isinstance(value, list) else []


def _bag(value: object) -> dict[str, Any]:
    return {name: masked(one) for name, one in mapping(value).items()}


def _needs(value: object) -> frozenset[str]:
    return frozenset(urn for some in mapping(value).values() for urn in listed(some, str))


def _reason(value: object) -> str:
    text = value.strip().removeprefix("error:").strip() if isinstance(value, str) else ""
    # The last diagnostic of a preview that failed for another reason.
    return "" if text == "preview failed" else text


_Text = Annotated[str, PlainValidator(lambda value: value if isinstance(value, str) else "")]
_Flag = Annotated[bool, PlainValidator(lambda value: value is True)]
_Texts = Annotated[frozenset[str], PlainValidator(lambda value: frozenset(listed(value, str)))]
_Needs = Annotated[frozenset[str], PlainValidator(_needs)]
_Bag = Annotated[Mapping[str, Any], PlainValidator(_bag)]


class Part(CamelCase):
    """A part of a plan, as Pulumi writes it; what cannot be read is empty."""

    model_config = ConfigDict(extra="ignore")


class ResourceState(Part):
    """A resource as it was, or as it will be; each secret in it is masked (`stack.marks`)."""

    urn: _Text = ""
    """In this state: after a rename with `aliases` the old state has another one."""
    type: _Text = ""
    id: _Text = ""
    inputs: _Bag = Field(default_factory=dict)
    outputs: _Bag = Field(default_factory=dict)
    """Empty for what is not there yet."""
    custom: _Flag = False
    """Whether it is neither a component nor the stack."""
    protect: _Flag = False
    retain_on_delete: _Flag = False
    """Whether Pulumi drops it without deleting it."""
    external: _Flag = False
    """Whether it is only read (`Model.get`)."""
    delete: _Flag = False
    """Whether an earlier replacement left it behind: the resource has another instance."""
    provider: _Text = ""
    """Its provider resource: URN and id."""
    refresh_before_update: _Flag = False
    """Whether each `up` refreshes it, without being asked to. The events do not say so."""
    deleted_with: _Text = ""
    dependencies: _Texts = frozenset()
    property_dependencies: _Needs = frozenset()

    @property
    def can_go(self) -> bool:
        """Whether a refresh may find it gone; a component or a provider is always there."""
        return self.custom and not self.type.startswith("pulumi:providers:")

    @property
    def model_id(self) -> str | None:
        """The id of a model; None if it is not known, such as an output before its `up`."""
        model_id = self.inputs.get("modelId")
        return model_id if isinstance(model_id, str) and is_model_id(model_id) else None

    @property
    def place(self) -> str:
        """Its explicit provider, which may have another account; "" for the stack's account."""
        return explicit_provider(self.provider)

    @property
    def load(self) -> Named | None:
        """The load that the state of a model names; None if it names none."""
        return named_load(self.outputs) if self.outputs else None

    @property
    def in_fleet(self) -> bool:
        """Whether it is a fleet's model: the fleet sets this input."""
        return self.inputs.get("readiness") is not None

    @property
    def hidden(self) -> list[str]:
        """The inputs of a model that are secrets, or not known before the `up`."""
        return [name for name in _INPUTS if is_hidden(self.inputs.get(name))]

    @cached_property
    def declared(self) -> dict[str, Any]:
        """The inputs of a model that are set; what it is equal to is declared in the same way.

        The inputs of an imported model leave out defaults.
        """
        found = {name: self.inputs.get(name) for name in ("readiness", *_INPUTS)}
        return _DEFAULTS | {name: one for name, one in found.items() if one is not None}

    def changed_in(self, new: ResourceState) -> list[str]:
        """Return the inputs of a model that another state declares differently."""
        return [name for name in _INPUTS if self.declared.get(name) != new.declared.get(name)]


_State = Annotated[
    ResourceState | None,
    BeforeValidator(lambda value: value if isinstance(value, (dict, ResourceState)) else None),
]


class Step(Part):
    """What Pulumi does with one resource.

    Each field has its name in the engine's events, and also the one in the digest.
    """

    op: _Text = ""
    """Pulumi's word: "create", "update", "replace", "delete", "same", "read", "import" ..."""
    urn: _Text = ""
    old: _State = Field(None, validation_alias="oldState")
    """Before the step, but after a refresh."""
    new: _State = Field(None, validation_alias="newState")
    diffs: _Texts = Field(frozenset(), validation_alias="diffReasons")
    """The inputs that Pulumi names as changed, also if the plan hides their values."""
    keys: _Texts = Field(frozenset(), validation_alias="replaceReasons")
    """Those of them that replace the resource."""

    @property
    def type(self) -> str:
        """The type token."""
        return self.new.type if self.new else self.old.type if self.old else ""

    @property
    def changed(self) -> frozenset[str]:
        """The inputs that Pulumi names as changed."""
        return self.diffs | self.keys


@dataclass(frozen=True)
class Planned:
    """What is planned for one resource: a step, and what the refresh before it found."""

    op: str
    """As that of the step; "refresh" for what is gone and no longer declared."""
    urn: str
    was: ResourceState | None
    """As the last `up` left it. A refresh changes what is declared to what it finds."""
    now: ResourceState | None
    """As the refresh found it, or else as it was; None for a new one, or one that is gone."""
    will: ResourceState | None
    """None for one that is removed."""
    changed: frozenset[str] = frozenset()
    """The inputs that Pulumi names as changed, also if the plan hides their values."""
    came_from: str | None = None
    """The URN of the removed resource that had this very model, if there is one."""

    @property
    def type(self) -> str:
        """The type token."""
        return next((one.type for one in (self.will, self.now, self.was) if one), "")

    @property
    def is_model(self) -> bool:
        """Whether it is a model of ours."""
        return self.type in MODEL_TYPES

    @property
    def name(self) -> str:
        """The name of the resource, which is text of others."""
        return name_of(self.urn)

    @property
    def old_urn(self) -> str:
        """The resource's URN in the state."""
        return self.came_from or (self.was.urn if self.was else "") or self.urn

    @property
    def is_gone(self) -> bool:
        """Whether a refresh found it gone."""
        return self.was is not None and self.now is None

    @property
    def is_asleep(self) -> bool:
        """Whether a model is not loaded, and that is accepted."""
        return self.status == NOT_LOADED

    @property
    def is_loaded(self) -> bool:
        """Whether the stack has a load of a model now, as far as the plan shows."""
        return self.now is not None and not self.is_asleep

    @property
    def status(self) -> str | None:
        """The status of a model; None if the state has none, as for a fleet's model."""
        status = self.now.outputs.get("status") if self.now else None
        return status if isinstance(status, str) else None

    @property
    def phase(self) -> Phase | None:
        """Where the load of a model is; None if it has none, or if the state does not say."""
        return None if self.status is None or self.is_asleep else phase_of(self.status)

    def has(self, model_id: str) -> bool:
        """Return whether the resource has this model loaded now: that load is unloaded first."""
        is_same = self.now is not None and self.now.model_id == model_id
        return is_same and self.is_loaded and self.came_from is None


class Violation(Part):
    """A broken policy."""

    pack: _Text = Field("", validation_alias="policyPackName")
    policy: _Text = Field("", validation_alias="policyName")
    level: _Text = Field("", validation_alias="enforcementLevel")
    message: _Text = ""
    urn: _Text = Field("", validation_alias="resourceUrn")
    """ "" for the stack."""

    @property
    def is_mandatory(self) -> bool:
        """Whether it stops the `up`."""
        return self.level != "advisory"


class Complaint(Part):
    """A diagnostic of the preview; only errors are kept."""

    severity: _Text = ""
    urn: _Text = ""
    """ "" for no resource."""
    message: Annotated[str, PlainValidator(_reason)] = ""
    """ "" without a reason."""


@dataclass(frozen=True)
class Missing:
    """Why a plan leaves something out, and which resources; empty if it does not say which."""

    code: GapCode
    urns: tuple[str, ...] = ()

    @property
    def models(self) -> list[str]:
        """The names of the models among them."""
        return sorted({name_of(urn) for urn in self.urns if type_of(urn) in MODEL_TYPES})


@dataclass(frozen=True)
class Plan:
    """One preview of one stack. None: this form of a plan does not say."""

    resources: list[Planned]
    """One for each resource, in the order of the plan."""
    is_refreshed: bool = False
    violations: list[Violation] | None = None
    complaints: list[Complaint] = field(default_factory=list)
    made_at: datetime | None = None
    depends_on: Mapping[str, frozenset[str]] | None = None
    """By URN, as all mappings here."""
    deleted_with: Mapping[str, str] = field(default_factory=dict)
    """The resource whose delete also deletes this one (`deleted_with`)."""
    missing: tuple[Missing, ...] = ()
    is_from_nothing: bool = False
    """Whether it was made without the stack's state, for a comparison."""

    @property
    def has_all(self) -> bool:
        """Whether every resource of the stack is in it, also those that do not change."""
        return not any(one.code in _LEAVING_OUT for one in self.missing)

    @property
    def stack(self) -> str:
        """The name of the stack; "" if the plan names no resource."""
        return next((stack_of(one.urn) for one in self.resources), "")

    @property
    def project(self) -> str:
        """The name of the project; "" if the plan names no resource."""
        return next((project_of(one.urn) for one in self.resources), "")

    def model_ids(self) -> set[str]:
        """Return the ids of the models in it, as they were and as they will be."""
        states = (state for one in self.resources for state in (one.was, one.now, one.will))
        models = [state for state in states if state and state.type in MODEL_TYPES]
        return {state.model_id for state in models if state.model_id}


def compared(head: Plan, base: Plan, *, rescales: bool = False) -> Plan:
    """Return the plan that leads from what the target branch declares to what a branch does.

    A pull request from a fork has no secret, and so no access to the stack: both plans are made
    from nothing. That of the target branch must have the whole stack.

    Args:
        head: The plan of the branch.
        base: The plan of its target branch.
        rescales: Whether the API changes settings while a model runs.
    """
    before = {one.urn: one.will for one in base.resources if one.will is not None}
    keys = replacing(rescales=rescales)
    resources = [_between(one, before.pop(one.urn, None), keys) for one in head.resources]
    missing = list(head.missing)
    if head.has_all:
        resources += [Planned("delete", urn, old, old, None) for urn, old in before.items()]
    else:
        # The branch may declare them too: its plan ends before it says so.
        missing[0] = Missing(missing[0].code, (*missing[0].urns, *before))
    hidden = tuple(
        one.urn
        for one in resources
        if one.is_model and one.now and one.will
        if set(one.now.hidden) & set(one.will.hidden)
    )
    if hidden:
        missing.append(Missing("notComparable", hidden))
    return dataclasses.replace(
        head, resources=resources, missing=tuple(missing), is_from_nothing=True
    )


def _between(planned: Planned, old: ResourceState | None, keys: tuple[str, ...]) -> Planned:
    new = planned.will
    if old is None or new is None:
        return planned
    op = "update"
    if (old.declared == new.declared) if planned.is_model else (old.inputs == new.inputs):
        op = "same"
    elif planned.is_model and not set(keys).isdisjoint(old.changed_in(new)):
        op = "replace"
    return Planned(op, planned.urn, old, old, new)
