"""`Fleet`: many models that come up together, in the time of one."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

import pulumi
from pulumi.dynamic import Resource

from bytez_provider.errors import BytezError, InvalidInputError
from bytez_provider.model import Model
from bytez_provider.provider import ReadinessProvider
from bytez_provider.urns import FLEET_TYPE

_T = TypeVar("_T")
_READY = "ready"


@dataclass(frozen=True, kw_only=True)
class ModelDefaults:
    """Settings that a fleet gives to each of its models; None leaves it to `Model`.

    Attributes:
        concurrency: Instances behind the model's address, at least 1.
        expiration_period_seconds: Idle seconds until the service unloads it, 60 to 604800.
        adopt: Take over a load of the model that exists already.
        on_expiry: What to do with a model found unloaded: "reload" or "accept".
        expected_hours_per_day: For the cost in reviews only, 0 to 24.
    """

    concurrency: pulumi.Input[int] | None = None
    expiration_period_seconds: pulumi.Input[int] | None = None
    adopt: pulumi.Input[bool] | None = None
    on_expiry: str | None = None
    expected_hours_per_day: pulumi.Input[float] | None = None


@dataclass(frozen=True, kw_only=True)
class ModelArgs(ModelDefaults):
    """One model of a fleet.

    Attributes:
        model_id: The model, as `owner/name`.
    """

    model_id: str


class _Readiness(Resource, module="bytez", name="Readiness"):
    """Waits until all models of a fleet are RUNNING; holds what it saw."""

    ready: pulumi.Output[bool]
    statuses: pulumi.Output[dict[str, str]]

    def __init__(
        self, resource_name: str, fleet: str, members: dict[str, Any], opts: pulumi.ResourceOptions
    ) -> None:
        props = {"fleet": fleet, "members": members, "ready": None, "statuses": None}
        super().__init__(ReadinessProvider(), resource_name, props, opts)


@dataclass(frozen=True)
class FleetMember:
    """One model of a fleet, as it is once the whole fleet is ready.

    Attributes:
        model: The resource itself, whose outputs are there as soon as its load is accepted.
        status: RUNNING, or NOT_LOADED where an expiry is accepted.
        model_id: The model, as `owner/name`.
        concurrency: Instances behind its address.
        endpoint: The address of the API it is loaded at.
        required_ram_gb: GPU RAM of one instance in GB; None where it is unknown.
    """

    model: Model
    status: pulumi.Output[str]
    model_id: pulumi.Output[str]
    concurrency: pulumi.Output[int]
    endpoint: pulumi.Output[str]
    required_ram_gb: pulumi.Output[float | None]


class Fleet(pulumi.ComponentResource):
    """Models that are loaded at once and waited for together.

    Each is a `Model` named `<fleet>-<key>`, in state within a moment of being accepted; one
    resource more, `<fleet>-ready`, waits for all. A change of one model touches that model alone.
    `customTimeouts` of the fleet are those of its models and of the wait.
    """

    statuses: pulumi.Output[dict[str, str]]
    """The status of each model by its key, once the fleet is ready."""
    total_required_ram_gb: pulumi.Output[float]
    """GPU RAM in GB of all instances whose RAM is known."""
    unknown_ram: pulumi.Output[list[str]]
    """Ids of the models whose RAM is unknown, which the total leaves out."""

    def __init__(
        self,
        resource_name: str,
        *,
        models: Mapping[str, ModelArgs],
        defaults: ModelDefaults | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare a fleet.

        Args:
            resource_name: The name of the fleet in the stack.
            models: The models by a key of yours, which becomes part of their resources' names.
            defaults: Settings of every model that does not say otherwise.
            opts: Pulumi's resource options, for the fleet and its models.

        Raises:
            pulumi.RunError: Two keys name one model, or a key cannot be used.
        """
        try:
            _refuse_unusable(resource_name, models)
        except BytezError as error:
            raise pulumi.RunError(str(error)) from None
        super().__init__(FLEET_TYPE, resource_name, None, opts)
        timeouts = opts.custom_timeouts if opts else None
        child = pulumi.ResourceOptions(parent=self, custom_timeouts=timeouts)
        args = {
            key: _with_defaults(one, defaults or ModelDefaults()) for key, one in models.items()
        }
        resources = {
            key: Model._in_fleet(f"{resource_name}-{key}", given, child)
            for key, given in args.items()
        }
        readiness = _Readiness(
            f"{resource_name}-{_READY}",
            resource_name,
            {key: _waited_for(resources[key], given) for key, given in args.items()},
            child,
        )
        self.statuses = readiness.statuses
        # Waiting for the map of statuses itself would unwrap all of it for each who waits.
        self._is_ready = readiness.statuses.apply(bool)
        self._resources = resources
        self._members: dict[str, FleetMember] = {}
        self._sum_up(list(resources.values()))
        self.register_outputs(
            {
                "statuses": self.statuses,
                "totalRequiredRamGb": self.total_required_ram_gb,
                "unknownRam": self.unknown_ram,
            }
        )

    @classmethod
    def from_yaml(
        cls,
        resource_name: str,
        path: str | Path,
        *,
        environment: str | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> Fleet:
        """Declare the fleet that a file describes.

        Args:
            resource_name: The name of the fleet in the stack.
            path: The file, from the program's working folder.
            environment: "prod" lays `fleet.prod.yaml` over `fleet.yaml`.
            opts: Pulumi's resource options, for the fleet and its models.

        Raises:
            pulumi.RunError: The file cannot be used; names the line.
        """
        from bytez_provider.fleetfile import read_fleet

        try:
            file = read_fleet(Path(path), environment)
        except BytezError as error:
            raise pulumi.RunError(str(error)) from None
        models = {key: ModelArgs(**dict(inputs)) for key, inputs in file.models.items()}
        return cls(resource_name, models=models, opts=opts)

    def __getitem__(self, key: str) -> FleetMember:
        """Return a model of the fleet by its key.

        Raises:
            KeyError: There is none; names the nearest keys.
        """
        if key not in self._resources:
            near = get_close_matches(key, self._resources, n=3)
            hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
            raise KeyError(f"the fleet has no model '{key}'{hint}")
        # Made when asked for: each of its outputs costs the program time, and few are ever used.
        if key not in self._members:
            self._members[key] = self._member(key)
        return self._members[key]

    def _member(self, key: str) -> FleetMember:
        def ready(output: pulumi.Output[_T]) -> pulumi.Output[_T]:
            return pulumi.Output.all(output, self._is_ready).apply(lambda pair: pair[0])

        model = self._resources[key]
        return FleetMember(
            model=model,
            # Pulumi's mocks resolve what no mock gives to None.
            status=self.statuses.apply(lambda by_key: (by_key or {}).get(key, "")),
            model_id=ready(model.model_id),
            concurrency=ready(model.concurrency),
            endpoint=ready(model.endpoint),
            required_ram_gb=ready(model.required_ram_gb),
        )

    def _sum_up(self, models: list[Model]) -> None:
        facts = pulumi.Output.all(
            *(
                pulumi.Output.all(model.model_id, model.required_ram_gb, model.concurrency)
                for model in models
            )
        )
        self.total_required_ram_gb = facts.apply(
            lambda rows: sum(ram * concurrency for _, ram, concurrency in rows if ram is not None)
        )
        self.unknown_ram = facts.apply(
            lambda rows: [model_id for model_id, ram, _ in rows if ram is None]
        )


def _with_defaults(args: ModelArgs, defaults: ModelDefaults) -> dict[str, Any]:
    """Return what is declared of a model, as `Model` takes it, less what nobody gave."""
    return {**_given(defaults), **_given(args)}


def _given(settings: ModelDefaults) -> dict[str, Any]:
    # Not `asdict`, which copies the values: an Output cannot be copied.
    values = {field.name: getattr(settings, field.name) for field in dataclasses.fields(settings)}
    return {name: value for name, value in values.items() if value is not None}


def _waited_for(model: Model, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the readiness is told of a model."""
    told: dict[str, Any] = {
        "modelId": given["model_id"],
        # A map of Pulumi's loses what is None.
        "created": model.created.apply(lambda created: created or ""),
    }
    if given.get("on_expiry") == "accept":
        told["acceptIdle"] = True
    return told


def _refuse_unusable(fleet: str, models: Mapping[str, ModelArgs]) -> None:
    """Refuse two keys for one model, and a key that a resource of the fleet already has."""
    keys_of: dict[str, str] = {}
    for key, args in models.items():
        if key == _READY:
            raise InvalidInputError(
                verb="declare the fleet",
                subject=fleet,
                observed=f"'{_READY}' is the name of its readiness and cannot be a model's key",
                action="Use another key",
            )
        earlier = keys_of.setdefault(args.model_id, key)
        if earlier != key:
            raise InvalidInputError(
                verb="declare the fleet",
                subject=fleet,
                observed=f"'{earlier}' and '{key}' are both {args.model_id}, and the service "
                "holds one instance a model",
                action="Remove one of them, and raise the other's concurrency",
            )
