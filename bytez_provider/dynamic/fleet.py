"""`Fleet`: many models that come up together, in the time of one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, ItemsView, Iterator, KeysView, Mapping, Sequence, ValuesView
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast, final

import pulumi
from pulumi.dynamic import Resource
from pulumi.output import UNKNOWN, Unknown, contains_unknowns
from pulumi.runtime import is_dry_run

from bytez_provider.base.errors import BytezError, InvalidInputError
from bytez_provider.base.urns import FLEET_TYPE
from bytez_provider.dynamic.model import Model, usable_options
from bytez_provider.dynamic.options import handed_on
from bytez_provider.dynamic.providers import ReadinessProvider

if TYPE_CHECKING:
    from typing_extensions import Self

_T = TypeVar("_T")
_READY = "ready"
_DEPLOYING = "DEPLOYING"
_NOT_LOADED = "NOT_LOADED"
_NAMED = 5
"""Models that a warning names, before it only counts the others."""


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
    on_expiry: pulumi.Input[str] | None = None
    expected_hours_per_day: pulumi.Input[float] | None = None


@dataclass(frozen=True, kw_only=True)
class ModelArgs(ModelDefaults):
    """One model of a fleet.

    Attributes:
        model_id: The model, as `owner/name`.
    """

    model_id: str


@final
class _Readiness(Resource, module="bytez", name="Readiness"):
    """Waits until all models of a fleet are RUNNING; holds what it saw."""

    members: pulumi.Output[dict[str, Any]]
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
        status: RUNNING; NOT_LOADED where an expiry is accepted; DEPLOYING where an `up` with
            `--target` or `--exclude` did not wait for it.
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


class _Members(Mapping[str, FleetMember]):
    """The models of a fleet by their keys, each made when it is first asked for.

    Each of a member's outputs costs the program time, and few are ever used.
    """

    def __init__(self, keys: Sequence[str], make: Callable[[str], FleetMember]) -> None:
        self._keys = dict.fromkeys(keys)
        self._make = make
        self._made: dict[str, FleetMember] = {}

    def __getitem__(self, key: str) -> FleetMember:
        if key not in self._keys:
            raise KeyError(self._unknown(key))
        if key not in self._made:
            self._made[key] = self._make(key)
        return self._made[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, key: object) -> bool:
        return key in self._keys

    def _unknown(self, key: object) -> str:
        if not isinstance(key, str):
            return f"the keys of a fleet are texts, and this one is of type {type(key).__name__}"
        near = get_close_matches(key, self._keys, n=3)
        hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
        return f"the fleet has no model '{key}'{hint}"


class Fleet(pulumi.ComponentResource):
    """Models that are loaded at once and waited for together.

    Each is a `Model` named `<fleet>-<key>`, in state within a moment of being accepted; one
    resource more, `<fleet>-ready`, waits for all. A change of one model touches that model alone.
    `customTimeouts` of the fleet are those of its models and of the wait.

    A fleet is read as a mapping is: `fleet["phi"]`, `"phi" in fleet`, `len(fleet)`,
    `for key in fleet`, `fleet.items()`. Like every resource it is true, even without models, and
    can be hashed.
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
            opts: Pulumi's resource options, for the fleet and its models. Those that name
                properties (`ignore_changes`) name a model's, as in Python or as in state.

        Raises:
            pulumi.RunError: Two keys name one model, a key cannot be used, or as for `Model`.
        """
        try:
            _refuse_unusable(resource_name, models)
        except BytezError as error:
            raise pulumi.RunError(str(error)) from None
        opts = usable_options("declare the fleet", resource_name, opts)
        super().__init__(FLEET_TYPE, resource_name, None, opts)
        of_models = pulumi.ResourceOptions.merge(
            handed_on(opts), pulumi.ResourceOptions(parent=self)
        )
        self._models = {
            key: Model._in_fleet(
                f"{resource_name}-{key}",
                _with_defaults(one, defaults or ModelDefaults()),
                of_models,
            )
            for key, one in models.items()
        }
        self._readiness = _Readiness(
            f"{resource_name}-{_READY}",
            resource_name,
            {key: _waited_for(model) for key, model in self._models.items()},
            pulumi.ResourceOptions(parent=self, custom_timeouts=opts.custom_timeouts),
        )
        # Waiting for the map of statuses itself would unwrap all of it for each who waits.
        self._is_ready = _of_real_up(self._readiness.ready, lambda _: True)
        self._members = _Members(list(models), self._member)
        self.statuses = self._statuses_of(self._models, self._warn_of)
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

    # -------------------------------------------------------------------------- as a mapping

    def __getitem__(self, key: str) -> FleetMember:
        """Return a model of the fleet by its key.

        Raises:
            KeyError: There is none; names the nearest keys.
        """
        return self._members[key]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the keys, in the order of `models`."""
        return iter(self._members)

    def __len__(self) -> int:
        """Return the number of models."""
        return len(self._members)

    def __bool__(self) -> bool:
        """Return True: a resource is there, also where it has no models."""
        return True

    def __contains__(self, key: object) -> bool:
        """Tell whether the fleet has a model of this key."""
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

    def _member(self, key: str) -> FleetMember:
        def ready(output: pulumi.Output[_T]) -> pulumi.Output[_T]:
            return pulumi.Output.all(output, self._is_ready).apply(lambda pair: pair[0])

        model = self._models[key]
        # Not from `self.statuses`, which depends on all models: what uses the status of this one
        # must not be touched by the replacement of another.
        statuses = self._statuses_of({key: model}, lambda _: None)
        return FleetMember(
            model=model,
            status=statuses.apply(lambda by_key: by_key.get(key, "")),
            model_id=ready(model.model_id),
            concurrency=ready(model.concurrency),
            endpoint=ready(model.endpoint),
            required_ram_gb=ready(model.required_ram_gb),
        )

    def _statuses_of(
        self, models: Mapping[str, Model], warn: Callable[[list[str]], None]
    ) -> pulumi.Output[dict[str, str]]:
        """Return the statuses of models by their keys; the readiness may know older loads only.

        With `--target` or `--exclude` a model may be loaded and the readiness left as it was, or
        left out.

        Args:
            models: The models by their keys.
            warn: Called in an `up`, with the keys of the models that were not waited for.
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
        # One within the other: `Output.all` would unwrap the maps, all the way down.
        return _of_real_up(
            self._readiness.statuses,
            lambda seen: _of_real_up(
                self._readiness.members,
                lambda members: _of_real_up(loads, lambda load: statuses(seen, members, load)),
            ),
        )

    def _warn_of(self, unwaited: list[str]) -> None:
        named = ", ".join(f"'{key}'" for key in unwaited[:_NAMED])
        if len(unwaited) > _NAMED:
            named += f" and {len(unwaited) - _NAMED} more"
        pulumi.log.warn(
            f"this `up` did not wait for {named}, which may not be RUNNING: run `pulumi up` "
            "without `--target` and `--exclude`, which waits",
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
            # A model that an `up` left out is not loaded, and needs no RAM.
            all_rows = zip(flat[::3], flat[1::3], flat[2::3], strict=True)
            return [row for row in all_rows if not any(isinstance(one, Unknown) for one in row)]

        self.total_required_ram_gb = _of_real_up(
            facts, lambda flat: sum(ram * many for _, ram, many in rows(flat) if ram is not None)
        )
        self.unknown_ram = _of_real_up(
            facts, lambda flat: [model_id for model_id, ram, _ in rows(flat) if ram is None]
        )


def _of_real_up(
    output: pulumi.Output[Any], make: Callable[[Any], pulumi.Input[_T]]
) -> pulumi.Output[_T]:
    """Return what is made of an output; unknown in a preview only.

    An `up` with `--target` or `--exclude` leaves resources out, and what they would give stays
    unknown. Pulumi keeps a sign for it in state, which readers take for a value.
    """

    def known(value: Any) -> pulumi.Input[_T]:
        if is_dry_run() and contains_unknowns(value):
            return cast(_T, UNKNOWN)
        return make(value)

    return output.apply(known, run_with_unknowns=True)


def _mapping(value: Any) -> Mapping[str, Any]:
    """Return a mapping, empty where there is none."""
    return value if isinstance(value, Mapping) else {}


def _with_defaults(args: ModelArgs, defaults: ModelDefaults) -> dict[str, Any]:
    """Return what is declared of a model, as `Model` takes it, less what nobody gave."""
    return {**_given(defaults), **_given(args)}


def _given(settings: ModelDefaults) -> dict[str, Any]:
    # Not `asdict`, which copies the values: an Output cannot be copied.
    values = {field.name: getattr(settings, field.name) for field in dataclasses.fields(settings)}
    return {name: value for name, value in values.items() if value is not None}


def _waited_for(model: Model) -> dict[str, Any]:
    """Return what the readiness is given of a model: what it is, whatever it was declared as.

    Transforms and the provider's check come between the two.
    """
    return {
        "modelId": model.model_id,
        # A map of Pulumi's loses what is None.
        "created": model.created.apply(lambda created: created or ""),
        "acceptIdle": model.on_expiry.apply(lambda then: True if then == "accept" else None),
    }


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
