"""Resources as a program declares them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from pulumi_policy import Secret
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE

from bytez_provider.base.properties import camel
from bytez_provider.base.urns import (
    FLEET_TYPE,
    MODEL_TYPE,
    NATIVE_MODEL_TYPE,
    NATIVE_READINESS_TYPE,
    READINESS_TYPE,
)
from bytez_provider.dynamic.fleet import ModelArgs
from bytez_provider.service.catalogue import bundled_catalogue
from bytez_provider.service.settings import DEFAULT_ENDPOINT

UNKNOWN_VALUE: Final = UNKNOWN_STRING_VALUE
"""Represents an unknown value in the engine's messages."""

PROVIDER_TYPE: Final = "pulumi:providers:pulumi-python"
NATIVE_PROVIDER_TYPE: Final = "pulumi:providers:bytez"


@dataclass(frozen=True)
class Later:
    """A value that a preview does not know, for example an output of another resource."""

    value: Any
    """What it is in the update."""


@dataclass(frozen=True, eq=False)
class Resource:
    """A resource as a program declares it; the last fields from `protect` on are its options.

    Attributes:
        type: Its type token.
        name: Its name.
        inputs: What the program gives, by the names that policies see. At any depth, `Later` for
            what a preview does not know, and `pulumi_policy.Secret` for a secret.
        outputs: What the provider adds or changes in the update.
        is_foreseen: Whether a preview knows the outputs too, all but those that are `Later`.
        parent: The resource it belongs to; None for the stack.
        provider: The provider resource that it uses.
        dependencies: The resources that must exist before it.
        property_dependencies: The resources that each input is made from.
        custom_timeouts: Seconds by "create", "update" and "delete".
    """

    type: str
    name: str
    inputs: Mapping[str, Any] = field(default_factory=dict)
    outputs: Mapping[str, Any] = field(default_factory=dict)
    is_foreseen: bool = False
    parent: Resource | None = None
    provider: Resource | None = None
    dependencies: Sequence[Resource] = ()
    property_dependencies: Mapping[str, Sequence[Resource]] = field(default_factory=dict)
    protect: bool = False
    ignore_changes: Sequence[str] = ()
    delete_before_replace: bool | None = None
    custom_timeouts: Mapping[str, float] = field(default_factory=dict)
    additional_secret_outputs: Sequence[str] = ()

    def urn(self, stack: str = "dev", project: str = "project") -> str:
        """Return the URN of the resource in a stack of a project."""
        chain, parent = [self.type], self.parent
        while parent is not None:
            chain.append(parent.type)
            parent = parent.parent
        return f"urn:pulumi:{stack}::{project}::{'$'.join(reversed(chain))}::{self.name}"


def model(  # noqa: PLR0913 - the arguments of a model
    name: str,
    *,
    model_id: str | Later,
    concurrency: int | Later = 1,
    max_concurrency: int | Later | None = None,
    expiration_period_seconds: int | Later | None = None,
    adopt: bool | Later = False,
    on_expiry: str | Later = "reload",
    expected_hours_per_day: float | Later | None = None,
    protect: bool = False,
    native: bool = False,
) -> Resource:
    """Return a `bytez.Model` with these arguments.

    It is of a program in Python; with `native` it is the plugin's, as of a program in YAML.
    """
    inputs = {
        "modelId": model_id,
        "concurrency": concurrency,
        "maxConcurrency": max_concurrency,
        "expirationPeriodSeconds": expiration_period_seconds,
        "adopt": adopt,
        "onExpiry": on_expiry,
        "expectedHoursPerDay": expected_hours_per_day,
    }
    entry = bundled_catalogue().find(resolved(model_id, preview=False))
    outputs = {
        "status": Later("RUNNING"),
        "created": Later("2024-06-01T00:00:00.000Z"),
        "requiredRamGb": entry.required_ram_gb if entry else None,
        "benchmarked": entry.benchmarked if entry else None,
        "endpoint": DEFAULT_ENDPOINT,
        "account": "0" * 12,
    }
    return Resource(
        NATIVE_MODEL_TYPE if native else MODEL_TYPE,
        name,
        inputs,
        outputs,
        is_foreseen=native,
        provider=_default(native=native),
        protect=protect,
        delete_before_replace=None if native else True,
    )


def _default(*, native: bool) -> Resource:
    return Resource(NATIVE_PROVIDER_TYPE if native else PROVIDER_TYPE, "default")


def fleet(
    name: str, models: Mapping[str, ModelArgs], *, protect: bool = False, native: bool = False
) -> list[Resource]:
    """Return a `bytez.Fleet`: the component, its models and its readiness.

    It is of a program in Python; with `native` it is the plugin's, as of a program in YAML.
    """
    component = Resource(FLEET_TYPE, name, is_foreseen=native, protect=protect)
    children = {
        key: _in_fleet(f"{name}-{key}", args, component, native=native)
        for key, args in models.items()
    }
    those = list(children.values())
    statuses = dict.fromkeys(models, "RUNNING")
    members = {
        key: {
            "modelId": child.inputs["modelId"],
            "created": child.outputs["created"],
            **({"acceptIdle": True} if child.inputs["onExpiry"] == "accept" else {}),
        }
        for key, child in children.items()
    }
    readiness = Resource(
        NATIVE_READINESS_TYPE if native else READINESS_TYPE,
        f"{name}-ready",
        {"fleet": name, "members": members},
        {
            "members": {key: {"acceptIdle": False, **one} for key, one in members.items()},
            "ready": True,
            "statuses": statuses,
        },
        parent=component,
        provider=_default(native=native),
        dependencies=those,
        property_dependencies={"members": those},
        protect=protect,
    )
    facts = [
        (one.inputs["modelId"], one.outputs["requiredRamGb"], one.inputs["concurrency"])
        for one in those
    ]
    rows = resolved(facts, preview=False)
    outputs: dict[str, Any] = {
        "statuses": Later(statuses),
        "totalRequiredRamGb": sum(ram * instances for _, ram, instances in rows if ram is not None),
        "unknownRam": [model_id for model_id, ram, _ in rows if ram is None],
    }
    if native:
        outputs["members"] = {key: _member(child) for key, child in children.items()}
        inputs = {"models": {key: _given(args) for key, args in models.items()}}
        component = replace(component, inputs=inputs)
    return [replace(component, outputs=outputs), *those, readiness]


def _member(child: Resource) -> dict[str, Any]:
    found = {**child.inputs, **child.outputs, "status": Later("RUNNING")}
    names = ("modelId", "concurrency", "endpoint", "requiredRamGb", "status")
    return {name: found[name] for name in names if found[name] is not None}


def _given(args: ModelArgs) -> dict[str, Any]:
    return {camel(key): value for key, value in vars(args).items() if value is not None}


def _in_fleet(name: str, args: ModelArgs, component: Resource, *, native: bool) -> Resource:
    given = {key: value for key, value in vars(args).items() if value is not None}
    child = model(name, **given, protect=component.protect, native=native)
    return replace(
        child,
        inputs={**child.inputs, "readiness": "fleet"},
        # The readiness has the status of a fleet's model.
        outputs={**child.outputs, "status": Later(None)},
        parent=component,
        delete_before_replace=True,
    )


def resolved(value: Any, *, preview: bool) -> Any:
    """Return a value as it is in a preview or in an update."""
    if isinstance(value, Later):
        return UNKNOWN_VALUE if preview else resolved(value.value, preview=False)
    if isinstance(value, Secret):
        return Secret(resolved(value.value, preview=preview))
    if isinstance(value, Mapping):
        return {name: resolved(one, preview=preview) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [resolved(one, preview=preview) for one in value]
    return value
