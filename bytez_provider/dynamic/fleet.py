"""`Fleet`: many models that boot at the same time."""

from __future__ import annotations

from collections.abc import Callable, ItemsView, Iterator, KeysView, Mapping, ValuesView
from dataclasses import dataclass, fields
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast, final

import pulumi
from pulumi.dynamic import Resource
from pulumi.output import UNKNOWN, Unknown, contains_unknowns
from pulumi.runtime import is_dry_run

from bytez_provider.base.errors import BytezError, did_you_mean
from bytez_provider.base.urns import FLEET_TYPE
from bytez_provider.core.fleets import READY_KEY, child_name, refuse_unusable
from bytez_provider.dynamic.model import Model, usable_options
from bytez_provider.dynamic.options import handed_on
from bytez_provider.dynamic.providers import ReadinessProvider

if TYPE_CHECKING:
    from typing_extensions import Self

_T = TypeVar("_T")
_DEPLOYING = "DEPLOYING"
_NOT_LOADED = "NOT_LOADED"
_MOST_NAMES = 5


@dataclass(frozen=True, kw_only=True)
class ModelDefaults:
    """Arguments that a fleet gives to each of its models; None leaves the default of `Model`."""

    concurrency: pulumi.Input[int] | None = None
    """Instances behind the model's address, at least 1."""
    max_concurrency: pulumi.Input[int] | None = None
    """The most instances; needs bytez:apiVersion 2025-04."""
    expiration_period_seconds: pulumi.Input[int] | None = None
    """Idle seconds after which the service unloads the model, 60 to 604800."""
    adopt: pulumi.Input[bool] | None = None
    """Whether to take over a load of the model that already exists."""
    on_expiry: pulumi.Input[str] | None = None
    """What to do with a model that is no longer loaded: "reload" or "accept"."""
    expected_hours_per_day: pulumi.Input[float] | None = None
    """Only for the cost in reviews, 0 to 24."""


@dataclass(frozen=True, kw_only=True)
class ModelArgs(ModelDefaults):
    """One model of a fleet."""

    model_id: str
    """The model, as `owner/name`."""


@final
class _Readiness(Resource, module="bytez", name="Readiness"):
    """Waits until all models of a fleet are RUNNING, and keeps what it saw."""

    members: pulumi.Output[dict[str, Any]]
    ready: pulumi.Output[bool]
    statuses: pulumi.Output[dict[str, str]]

    def __init__(
        self, resource_name: str, fleet: str, members: dict[str, Any], opts: pulumi.ResourceOptions
    ) -> None:
        props = {"fleet": fleet, "members": members, "ready": None, "statuses": None}
        super().__init__(ReadinessProvider(), resource_name, props, opts)


class FleetMember:
    """One model of a fleet. Its outputs, except those of `model`, wait for the whole fleet."""

    # The outputs are made on first use: each costs the program time, and few are ever used.

    def __init__(self, model: Model, readiness: _Readiness, key: str) -> None:
        self.model = model
        """The resource, whose outputs are there as soon as its load is accepted."""
        self._readiness = readiness
        self._key = key

    @cached_property
    def status(self) -> pulumi.Output[str]:
        """RUNNING, or NOT_LOADED if an expiry is accepted.

        DEPLOYING after an `up` with `--target` or `--exclude` that did not wait for the model.
        """
        # Not from the statuses of the fleet, which depend on all models: the replacement of
        # another model must not affect what uses this one.
        statuses = _statuses({self._key: self.model}, self._readiness, lambda _: None)
        return statuses.apply(lambda by_key: by_key.get(self._key, ""))

    @cached_property
    def model_id(self) -> pulumi.Output[str]:
        """The model, as `owner/name`."""
        return self._once_ready(self.model.model_id)

    @cached_property
    def concurrency(self) -> pulumi.Output[int]:
        """Instances behind its address."""
        return self._once_ready(self.model.concurrency)

    @cached_property
    def endpoint(self) -> pulumi.Output[str]:
        """The address of the API where it is loaded."""
        return self._once_ready(self.model.endpoint)

    @cached_property
    def required_ram_gb(self) -> pulumi.Output[float | None]:
        """GPU RAM of one instance in GB; None if it is unknown."""
        return self._once_ready(self.model.required_ram_gb)

    def _once_ready(self, output: pulumi.Output[_T]) -> pulumi.Output[_T]:
        # `ready`, because an output of the map of statuses would unwrap the whole map.
        is_ready = _known_in_up(self._readiness.ready, lambda _: True)
        return pulumi.Output.all(output, is_ready).apply(lambda pair: pair[0])


class Fleet(pulumi.ComponentResource):
    """Models that are loaded at the same time and waited for together.

    Each is a `Model` named `<fleet>-<key>`, which is in the state as soon as its load is accepted.
    Another resource, `<fleet>-ready`, waits for all of them. A change of one model affects only
    that model. The fleet's `customTimeouts` apply to its models and to the wait.

    A fleet can be read like a mapping: `fleet["phi"]`, `"phi" in fleet`, `len(fleet)`,
    `for key in fleet`, `fleet.items()`. But like every resource it is hashable, and true even
    without models.
    """

    statuses: pulumi.Output[dict[str, str]]
    """The status of each model by its key, once the fleet is ready."""
    total_required_ram_gb: pulumi.Output[float]
    """GPU RAM in GB of all instances whose RAM is known."""
    unknown_ram: pulumi.Output[list[str]]
    """Ids of the models whose RAM is unknown; the total does not include them."""

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
            models: The models by a key, which becomes a part of the names of their resources.
            defaults: Arguments for each model that does not set them itself.
            opts: Pulumi's resource options, for the fleet and its models. Options that name
                properties (`ignore_changes`) refer to the models, as in Python or as in state.

        Raises:
            pulumi.RunError: Two keys are the same model, a key is reserved, or as for `Model`.
        """
        try:
            refuse_unusable(resource_name, {key: one.model_id for key, one in models.items()})
        except BytezError as error:
            raise pulumi.RunError(str(error)) from None
        opts = usable_options("declare the fleet", resource_name, opts)
        super().__init__(FLEET_TYPE, resource_name, None, opts)
        of_models = pulumi.ResourceOptions.merge(
            handed_on(opts), pulumi.ResourceOptions(parent=self)
        )
        shared = _given(defaults or ModelDefaults())
        self._models = {
            key: Model._in_fleet(
                child_name(resource_name, key), {**shared, **_given(one)}, of_models
            )
            for key, one in models.items()
        }
        readiness = _Readiness(
            child_name(resource_name, READY_KEY),
            resource_name,
            {key: _waited_for(model) for key, model in self._models.items()},
            pulumi.ResourceOptions(parent=self, custom_timeouts=opts.custom_timeouts),
        )
        self._members = {
            key: FleetMember(model, readiness, key) for key, model in self._models.items()
        }
        self.statuses = _statuses(self._models, readiness, self._warn_of)
        self._sum_up()
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
    ) -> Self:
        """Declare the fleet in a file.

        Args:
            resource_name: The name of the fleet in the stack.
            path: The file, relative to the program's working folder.
            environment: "prod" lays `fleet.prod.yaml` over `fleet.yaml`.
            opts: Pulumi's resource options, for the fleet and its models.

        Raises:
            pulumi.RunError: The file is invalid; the message names the line.
        """
        from bytez_provider.fleetfile import read_fleet

        try:
            file = read_fleet(Path(path), environment)
        except BytezError as error:
            raise pulumi.RunError(str(error)) from None
        models = {key: ModelArgs(**vars(inputs)) for key, inputs in file.models.items()}
        return cls(resource_name, models=models, opts=opts)

    # -------------------------------------------------------------------------- as a mapping

    def __getitem__(self, key: str) -> FleetMember:
        """Return a model of the fleet.

        Raises:
            KeyError: There is none of this key; the message names similar keys.
        """
        if key in self._members:
            return self._members[key]
        near = get_close_matches(str(key), self._members, n=3)
        raise KeyError(f"the fleet has no model {key!r}{did_you_mean(near)}")

    def __iter__(self) -> Iterator[str]:
        """Iterate over the keys, in the order of `models`."""
        return iter(self._members)

    def __len__(self) -> int:
        """Return the number of models."""
        return len(self._members)

    def __bool__(self) -> bool:
        """Return True, even without models: Pulumi tests resources for truth."""
        return True

    def __contains__(self, key: object) -> bool:
        """Return whether the fleet has a model of this key."""
        return key in self._members

    def keys(self) -> KeysView[str]:
        """Return the keys."""
        return self._members.keys()

    def values(self) -> ValuesView[FleetMember]:
        """Return the models."""
        return self._members.values()

    def items(self) -> ItemsView[str, FleetMember]:
        """Return the pairs of key and model."""
        return self._members.items()

    # ------------------------------------------------------------------------------- outputs

    def _warn_of(self, unwaited: list[str]) -> None:
        named = ", ".join(f"'{key}'" for key in unwaited[:_MOST_NAMES])
        if len(unwaited) > _MOST_NAMES:
            named += f" and {len(unwaited) - _MOST_NAMES} more"
        pulumi.log.warn(
            f"this `up` did not wait for {named}, which may not be RUNNING: to wait, run "
            "`pulumi up` without `--target` and `--exclude`",
            resource=self,
        )

    def _sum_up(self) -> None:
        facts = pulumi.Output.all(
            *(
                output
                for model in self._models.values()
                for output in (model.model_id, model.required_ram_gb, model.concurrency)
            )
        )

        def rows(flat: list[Any]) -> list[tuple[Any, ...]]:
            # A model that an `up` excludes is not loaded, and needs no RAM.
            all_rows = zip(flat[::3], flat[1::3], flat[2::3], strict=True)
            return [row for row in all_rows if not any(isinstance(one, Unknown) for one in row)]

        self.total_required_ram_gb = _known_in_up(
            facts, lambda flat: sum(ram * many for _, ram, many in rows(flat) if ram is not None)
        )
        self.unknown_ram = _known_in_up(
            facts, lambda flat: [model_id for model_id, ram, _ in rows(flat) if ram is None]
        )


def _statuses(
    models: Mapping[str, Model], readiness: _Readiness, warn: Callable[[list[str]], None]
) -> pulumi.Output[dict[str, str]]:
    """Return the statuses of some models of a fleet by their keys.

    With `--target` or `--exclude`, a model may be loaded while the readiness remains as it was and
    knows only an older load. In an `up`, `warn` gets the keys of models that it did not wait for.
    """

    def statuses(seen: Any, members: Any, loads: Any) -> dict[str, str]:
        found, unwaited = {}, []
        for key in models:
            load, member = (_mapping(one).get(key) for one in (loads, members))
            if isinstance(load, Unknown):
                found[key] = _NOT_LOADED
            elif (
                member is not None
                and member.get("created", "") == (load or "")
                and key in _mapping(seen)
            ):
                found[key] = seen[key]
            else:
                found[key] = _DEPLOYING
                unwaited.append(key)
        if unwaited and not is_dry_run():
            warn(unwaited)
        return found

    loads = pulumi.Output.all(**{key: model.created for key, model in models.items()})
    # Nested, because `Output.all` would unwrap the maps completely.
    return _known_in_up(
        readiness.statuses,
        lambda seen: _known_in_up(
            readiness.members,
            lambda members: _known_in_up(loads, lambda load: statuses(seen, members, load)),
        ),
    )


def _known_in_up(
    output: pulumi.Output[Any], make: Callable[[Any], pulumi.Input[_T]]
) -> pulumi.Output[_T]:
    """Return an output made from another one, which is unknown only in a preview.

    An `up` with `--target` or `--exclude` leaves outputs of excluded resources unknown. Pulumi
    would save a placeholder for them in the state, which readers take for a value.
    """

    def known(value: Any) -> pulumi.Input[_T]:
        if is_dry_run() and contains_unknowns(value):
            return cast(_T, UNKNOWN)
        return make(value)

    return output.apply(known, run_with_unknowns=True)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _given(settings: ModelDefaults) -> dict[str, Any]:
    # Not with `asdict`, which copies the values: an Output cannot be copied.
    values = {field.name: getattr(settings, field.name) for field in fields(settings)}
    return {name: value for name, value in values.items() if value is not None}


def _waited_for(model: Model) -> dict[str, Any]:
    """Return what the readiness gets about a model.

    From its outputs, because transforms and the provider's check may change what is declared.
    """
    return {
        "modelId": model.model_id,
        # A map of Pulumi loses a None.
        "created": model.created.apply(lambda created: created or ""),
        "acceptIdle": model.on_expiry.apply(lambda then: True if then == "accept" else None),
    }
