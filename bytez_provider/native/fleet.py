"""The component `Fleet`: its models, and the readiness that waits for all of them.

Each child is registered with the engine's resource monitor at the same time as the others. The
engine answers as soon as the load of a model is accepted, and then asks the readiness to wait.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, Literal

import grpc
from pulumi.runtime.proto import provider_pb2 as pb
from pulumi.runtime.proto import resource_pb2, resource_pb2_grpc

from bytez_provider.base.errors import InvalidInputError
from bytez_provider.base.marks import UNKNOWN
from bytez_provider.base.urns import FLEET_TYPE, NATIVE_MODEL_TYPE, NATIVE_READINESS_TYPE
from bytez_provider.core.fleets import READY_KEY, child_name, refuse_unusable
from bytez_provider.native.bags import Bag, entries_of, holds_unknown, struct_of

_CHANNEL_OPTIONS: Final = [
    ("grpc.max_receive_message_length", 400 << 20),
    # The engine is on this machine, so a proxy from the environment must not be used.
    ("grpc.enable_http_proxy", 0),
]


class ChildFailedError(Exception):
    """Some models of a fleet failed; the engine has shown why at each of them."""


@dataclass(frozen=True)
class _Child:
    """A registered resource of a fleet."""

    urn: str
    outs: Mapping[str, Any]


def construct(request: pb.ConstructRequest) -> pb.ConstructResponse:
    """Declare a fleet.

    Raises:
        InvalidInputError: It cannot be declared; nothing is registered.
        ChildFailedError: Some of its resources failed.
    """
    if request.deletedWith:
        raise InvalidInputError(
            verb="declare the fleet",
            subject=request.name,
            observed="`deletedWith` is set, but the deletion of another resource does not unload "
            "a model, which would remain loaded at your cost",
            action="Remove the option; `retainOnDelete` leaves a model loaded on purpose",
        )
    fields = request.inputs.fields
    defaults = Bag.of(fields["defaults"].struct_value) if "defaults" in fields else Bag({})
    own = entries_of(fields["models"]) if "models" in fields else {}
    models = {
        key: Bag({**defaults.values, **one.values}, defaults.secrets | one.secrets)
        for key, one in own.items()
    }
    ids = {key: one.known.get("modelId") for key, one in models.items()}
    refuse_unusable(request.name, {key: one for key, one in ids.items() if isinstance(one, str)})
    with grpc.insecure_channel(request.monitorEndpoint, options=_CHANNEL_OPTIONS) as channel:
        return _Registration(request, resource_pb2_grpc.ResourceMonitorStub(channel)).run(models)


class _Registration:
    """The registration of one fleet with the resource monitor."""

    def __init__(
        self, request: pb.ConstructRequest, monitor: resource_pb2_grpc.ResourceMonitorStub
    ) -> None:
        self._request = request
        self._monitor = monitor
        self._fleet = ""

    def run(self, models: Mapping[str, Bag]) -> pb.ConstructResponse:
        """Register the fleet and its resources, and return its outputs."""
        fleet, self._fleet = self._request.name, self._register_fleet()
        with ThreadPoolExecutor(max(len(models), 1)) as pool:
            children = dict(zip(models, pool.map(self._model, models.items()), strict=True))
        made = {key: one for key, one in children.items() if one is not None}
        if len(made) < len(children):
            failed = ", ".join(f"'{key}'" for key in children if key not in made)
            raise ChildFailedError(f"could not bring up the fleet '{fleet}': see {failed} above.")
        members = {key: _waited_for(one) for key, one in made.items()}
        urns = [one.urn for one in made.values()]
        readiness = self._register(
            NATIVE_READINESS_TYPE,
            child_name(fleet, READY_KEY),
            struct_of({"fleet": fleet, "members": members}),
            propertyDependencies={
                "members": resource_pb2.RegisterResourceRequest.PropertyDependencies(urns=urns)
            },
            dependencies=urns,
        )
        if readiness is None:
            raise ChildFailedError(f"could not bring up the fleet '{fleet}': see above.")
        outs = _outputs(made, readiness, is_preview=self._request.dryRun)
        state = struct_of(outs)
        self._monitor.RegisterResourceOutputs(
            resource_pb2.RegisterResourceOutputsRequest(urn=self._fleet, outputs=state)
        )
        depends = pb.ConstructResponse.PropertyDependencies(urns=[*urns, readiness.urn])
        return pb.ConstructResponse(
            urn=self._fleet, state=state, stateDependencies=dict.fromkeys(outs, depends)
        )

    def _register_fleet(self) -> str:
        request = self._request
        answer = self._monitor.RegisterResource(
            resource_pb2.RegisterResourceRequest(
                type=FLEET_TYPE,
                name=request.name,
                parent=request.parent,
                object=request.inputs,
                dependencies=request.dependencies,
                aliases=request.aliases,
                aliasSpecs=True,
                providers=request.providers,
                acceptSecrets=True,
                supportsPartialValues=True,
                **self._given("protect"),
            )
        )
        return str(answer.urn)

    def _given(self, *options: Literal["protect", "retainOnDelete"]) -> dict[str, Any]:
        """Return those of the fleet's options that are set."""
        return {one: getattr(self._request, one) for one in options if self._request.HasField(one)}

    def _model(self, entry: tuple[str, Bag]) -> _Child | None:
        key, bag = entry
        return self._register(
            NATIVE_MODEL_TYPE,
            child_name(self._request.name, key),
            bag.struct({**bag.values, "readiness": "fleet"}),
            ignoreChanges=self._request.ignoreChanges,
            replaceOnChanges=self._request.replaceOnChanges,
            additionalSecretOutputs=self._request.additionalSecretOutputs,
            deleteBeforeReplace=True,
            deleteBeforeReplaceDefined=True,
        )

    def _register(self, kind: str, name: str, inputs: Any, **options: Any) -> _Child | None:
        """Register a resource and wait for its outputs; None if it failed."""
        request = self._request
        try:
            answer = self._monitor.RegisterResource(
                resource_pb2.RegisterResourceRequest(
                    type=kind,
                    name=name,
                    custom=True,
                    parent=self._fleet,
                    object=inputs,
                    provider=request.providers.get("bytez", ""),
                    customTimeouts=_timeouts(request),
                    acceptSecrets=True,
                    supportsPartialValues=True,
                    supportsResultReporting=True,
                    aliasSpecs=True,
                    **self._given("protect", "retainOnDelete"),
                    **options,
                )
            )
        except grpc.RpcError:
            return None
        is_made = answer.result == resource_pb2.SUCCESS
        return _Child(answer.urn, Bag.of(answer.object).values) if is_made else None


def _timeouts(request: pb.ConstructRequest) -> Any:
    given = request.customTimeouts
    return resource_pb2.RegisterResourceRequest.CustomTimeouts(
        create=given.create, update=given.update, delete=given.delete
    )


def _waited_for(child: _Child) -> dict[str, Any]:
    """Return what the readiness gets about a model: from its outputs, which have its defaults."""
    member = {
        "modelId": child.outs.get("modelId", UNKNOWN),
        "created": child.outs.get("created", ""),
    }
    return {**member, "acceptIdle": True} if child.outs.get("onExpiry") == "accept" else member


def _outputs(
    models: Mapping[str, _Child], readiness: _Child, *, is_preview: bool
) -> dict[str, Any]:
    """Return the outputs of the fleet; those that depend on a load are unknown in a preview."""
    statuses = readiness.outs.get("statuses", UNKNOWN if is_preview else {})
    sums = _sums([one.outs for one in models.values()])
    return {"statuses": statuses, "members": _members(models, statuses), **sums}


def _members(models: Mapping[str, _Child], statuses: Any) -> dict[str, Any]:
    names = ("modelId", "concurrency", "endpoint", "requiredRamGb")
    return {
        key: {
            **{name: one.outs[name] for name in names if name in one.outs},
            "status": UNKNOWN if holds_unknown(statuses) else statuses.get(key, ""),
        }
        for key, one in models.items()
    }


def _sums(outs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    if any(holds_unknown(one.get("modelId")) for one in outs):
        return {"totalRequiredRamGb": UNKNOWN, "unknownRam": UNKNOWN}
    known = [one for one in outs if one.get("requiredRamGb") is not None]
    if any(holds_unknown([one["requiredRamGb"], one.get("concurrency")]) for one in known):
        total: Any = UNKNOWN
    else:
        total = sum(one["requiredRamGb"] * one.get("concurrency", 1) for one in known)
    unknown = [one["modelId"] for one in outs if one.get("requiredRamGb") is None]
    return {"totalRequiredRamGb": total, "unknownRam": unknown}
