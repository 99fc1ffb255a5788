"""The calls of the engine: property bags on one side, the core on the other."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2_grpc
from pulumi.runtime.proto import provider_pb2 as pb

import bytez_provider
from bytez_provider.base.errors import BytezError, ConfigError, ErrorCode, did_you_mean
from bytez_provider.base.urns import FLEET_TYPE, NATIVE_READINESS_TYPE
from bytez_provider.engine import Call, Engine, sendable
from bytez_provider.native.bags import Bag, struct_of
from bytez_provider.native.fleet import ChildFailedError, construct
from bytez_provider.service.settings import SETTINGS, read_settings, refuse_plain_key

if TYPE_CHECKING:
    # A plugin that is only asked for its schema runs none of this: imported by what uses it.
    from bytez_provider.core.lifecycle import Lifecycle
    from bytez_provider.core.rooms import Rooms
    from bytez_provider.native.resources import Resource, Values

Context = grpc.ServicerContext

_CODES: Final[Mapping[ErrorCode, grpc.StatusCode]] = {
    ErrorCode.INVALID_INPUT: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorCode.UNKNOWN_MODEL: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorCode.AUTHENTICATION: grpc.StatusCode.UNAUTHENTICATED,
    ErrorCode.CREDITS: grpc.StatusCode.RESOURCE_EXHAUSTED,
    ErrorCode.RATE_LIMITED: grpc.StatusCode.RESOURCE_EXHAUSTED,
    ErrorCode.BOOT_TIMEOUT: grpc.StatusCode.DEADLINE_EXCEEDED,
    ErrorCode.NOT_LOADED: grpc.StatusCode.NOT_FOUND,
    ErrorCode.ALREADY_LOADED: grpc.StatusCode.ALREADY_EXISTS,
}
"""The others fail because of the state of the world. UNAVAILABLE is not among them: the engine
would take it for a plugin that is gone."""

OF_RESOURCE: Final = ("adopt", "onExpiry", "expectedHoursPerDay", "adoptedAt", "readAt", "granted")
"""What the function `getModel` leaves out, because only a resource has it."""

_SCHEMA = Path(bytez_provider.__file__).parent / "data" / "schema.json"
_FROM_ENGINE = ("version", "pluginDownloadURL", "__internal")
"""What the engine adds to the settings of a provider."""
_LEARNED: Final = ("status", "ready")
"""What asks for an operation, and is no input."""


def _answering(method: Callable[[Any, Any, Context], Any]) -> Callable[[Any, Any, Context], Any]:
    """Answer an error of ours with its one sentence; gRPC shows any other with its type."""

    @functools.wraps(method)
    def answer(self: Provider, request: Any, context: Context) -> Any:
        try:
            return method(self, request, context)
        except BytezError as error:
            code = _CODES.get(error.code, grpc.StatusCode.FAILED_PRECONDITION)
            context.abort(code, sendable(str(error)))
        except ChildFailedError as error:
            context.abort(grpc.StatusCode.ABORTED, str(error))

    return answer


class Provider(provider_pb2_grpc.ResourceProviderServicer):
    """One provider resource: the default one of a program, or an explicit one.

    Args:
        engine: The engine that this process works for.
        attach: Called with the address of the engine once it is known.
    """

    def __init__(self, engine: Engine, attach: Callable[[str], None]) -> None:
        self._engine = engine
        self._attach = attach
        self._folder = Path.cwd()
        self._refreshes = False
        self._rooms: Rooms | None = None

    # -------------------------------------------------------------------------- the plugin

    def Handshake(self, request: pb.ProviderHandshakeRequest, _: Context) -> Any:
        """Learn where the engine and the project are."""
        self._attach(request.engine_address)
        self._folder = Path(request.root_directory or self._folder)
        self._refreshes = request.supports_refresh_before_update
        return pb.ProviderHandshakeResponse(accept_secrets=True)

    def Attach(self, request: plugin_pb2.PluginAttach, _: Context) -> Any:
        """Learn where the engine is, if this process was started by hand."""
        self._attach(request.address)
        return empty_pb2.Empty()

    def GetPluginInfo(self, _request: Any, _: Context) -> Any:
        """Say which version this is."""
        return plugin_pb2.PluginInfo(version=bytez_provider.__version__)

    def GetSchema(self, _request: Any, _: Context) -> Any:
        """Return the schema of the package."""
        return pb.GetSchemaResponse(schema=_SCHEMA.read_text(encoding="utf-8"))

    def Cancel(self, _request: Any, _: Context) -> Any:
        """End all waits: what they return is still saved."""
        self._engine.cancel()
        return empty_pb2.Empty()

    # ------------------------------------------------------------------------ its settings

    @_answering
    def CheckConfig(self, request: pb.CheckRequest, _: Context) -> Any:
        """Refuse settings that do not exist or cannot be used."""
        from bytez_provider.core.rooms import own_environment

        news = Bag.of(request.news)
        given = {*news.known, *news.unknown} - {*_FROM_ENGINE}
        failures = [
            pb.CheckFailure(property=one, reason=_no_setting(one)) for one in given - {*SETTINGS}
        ]
        if not failures and not news.unknown:
            try:
                read_settings(_settings(news), own_environment())
            except ConfigError as error:
                failures.append(pb.CheckFailure(reason=str(error)))
        return pb.CheckResponse(inputs=request.news, failures=failures)

    @_answering
    def DiffConfig(self, request: pb.DiffRequest, _: Context) -> Any:
        """Compare settings; a change replaces nothing: each load is checked against them."""
        olds, news = Bag.of(request.olds), Bag.of(request.news)
        names = {*olds.known, *news.known} - {*_FROM_ENGINE}
        changed = {one for one in names if olds.known.get(one) != news.known.get(one)}
        return _difference(dict.fromkeys(changed | news.unknown, "UPDATE"))

    @_answering
    def Configure(self, request: pb.ConfigureRequest, context: Context) -> Any:
        """Make what the operations need."""
        from bytez_provider.core.rooms import make_rooms, own_environment

        bag = Bag.of(request.args)
        # Only here: in `CheckConfig`, the engine does not mark secrets.
        refuse_plain_key(is_set="key" in bag.known, is_secret="key" in bag.secrets)
        self._rooms = make_rooms(
            _settings(bag), own_environment(), self._engine, folder=self._folder
        )
        return pb.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    # ------------------------------------------------------------------------- the resources

    @_answering
    def Check(self, request: pb.CheckRequest, context: Context) -> Any:
        """Normalise the inputs, or say what is wrong with them."""
        news = Bag.of(request.news)
        with self._engine.call(context, urn=request.urn) as call:
            inputs, problems = self._of(request).check(Bag.of(request.olds), news, call)
        failures = [pb.CheckFailure(property=name, reason=why) for name, why in problems]
        return pb.CheckResponse(inputs=news.struct(inputs), failures=failures)

    @_answering
    def Diff(self, request: pb.DiffRequest, context: Context) -> Any:
        """Say what a change of the inputs asks for, and which property does."""
        with self._engine.call(context, urn=request.urn) as call:
            olds, news = Bag.of(request.olds), Bag.of(request.news)
            return _difference(self._of(request).diff(olds, news, call))

    @_answering
    def Create(self, request: pb.CreateRequest, context: Context) -> Any:
        """Make the resource; in a preview, say what is known of it."""
        news, resource = Bag.of(request.properties), self._begin(request)
        if request.preview:
            return pb.CreateResponse(properties=news.struct(resource.foresee(news, None)))
        with self._call(request, context) as call:
            made = resource.create(news, call)
        return pb.CreateResponse(
            id=made.id, properties=news.struct(made.outs), refresh_before_update=self._refreshes
        )

    @_answering
    def Read(self, request: pb.ReadRequest, context: Context) -> Any:
        """Return the resource as it is now."""
        state, inputs = Bag.of(request.properties), Bag.of(request.inputs)
        with self._call(request, context) as call:
            found = self._of(request).read(request.id, state, inputs, call)
        if found is None:
            return pb.ReadResponse()
        return pb.ReadResponse(
            id=found.id,
            properties=state.struct(found.outs),
            inputs=inputs.struct(found.inputs),
            refresh_before_update=self._refreshes,
        )

    @_answering
    def Update(self, request: pb.UpdateRequest, context: Context) -> Any:
        """Apply what needs no replacement; in a preview, say what is known of it."""
        olds, news, resource = Bag.of(request.olds), Bag.of(request.news), self._begin(request)
        if request.preview:
            return pb.UpdateResponse(properties=news.struct(resource.foresee(news, olds.known)))
        with self._call(request, context) as call:
            outs = resource.update(olds, news, call)
        return pb.UpdateResponse(
            properties=news.struct(outs), refresh_before_update=self._refreshes
        )

    @_answering
    def Delete(self, request: pb.DeleteRequest, context: Context) -> Any:
        """Remove the resource."""
        with self._call(request, context) as call:
            self._of(request).delete(Bag.of(request.properties), call)
        return empty_pb2.Empty()

    @_answering
    def Construct(self, request: pb.ConstructRequest, context: Context) -> Any:
        """Declare the models of a fleet, and the readiness that waits for them."""
        if request.type != FLEET_TYPE:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, f"'{request.type}' is no component")
        self._configured().lifecycle.deploys(is_preview=request.dryRun)
        return construct(request)

    # -------------------------------------------------------------------------- functions

    @_answering
    def Invoke(self, request: pb.InvokeRequest, context: Context) -> Any:
        """Answer a function of a program."""
        args = Bag.of(request.args)
        if request.tok not in _FUNCTIONS:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, f"'{request.tok}' is no function")
        with self._engine.call(context) as call:
            result = _FUNCTIONS[request.tok](self._configured().lifecycle, args.known, call)
        answer = pb.InvokeResponse()
        getattr(answer, "return").CopyFrom(struct_of(result))
        return answer

    # ---------------------------------------------------------------------------- details

    def _of(self, request: Any) -> Resource:
        """Return what does the operations of a resource."""
        from bytez_provider.native.resources import Models, Readinesses

        rooms = self._configured()
        if request.type == NATIVE_READINESS_TYPE:
            return Readinesses(rooms.readiness)
        return Models(rooms.lifecycle)

    def _begin(self, request: Any) -> Resource:
        """Begin to make or change a resource, or to preview that."""
        self._configured().lifecycle.deploys(is_preview=request.preview)
        return self._of(request)

    def _configured(self) -> Rooms:
        if self._rooms is None:
            raise ConfigError(
                verb="work",
                observed="the engine has not configured the provider",
                action="Report this as a bug, with the output of `pulumi version`",
            )
        return self._rooms

    def _call(self, request: Any, context: Context) -> Call:
        return self._engine.call(context, urn=request.urn, timeout_seconds=request.timeout)


def _settings(bag: Bag) -> dict[str, str]:
    """Return settings as stack config has them."""
    return {f"bytez:{name}": str(bag.known.get(name) or "") for name in SETTINGS}


def _get_model(models: Lifecycle, args: Values, call: Call) -> dict[str, Any]:
    found = models.find(str(args.get("modelId") or ""), call).bag()
    return {name: value for name, value in found.items() if name not in OF_RESOURCE}


def _get_models(models: Lifecycle, args: Values, _: Call) -> dict[str, Any]:
    words = str(args.get("search") or "").lower().split()
    found = [one for one in models.catalogue() if all(w in one.model_id.lower() for w in words)]
    return {"models": [one.bag() for one in found]}


def _get_instances(models: Lifecycle, _args: Values, _: Call) -> dict[str, Any]:
    return {"instances": [one.bag() for one in models.instances()]}


_FUNCTIONS: Final[Mapping[str, Callable[[Lifecycle, Values, Call], dict[str, Any]]]] = {
    "bytez:index:getModel": _get_model,
    "bytez:index:getModels": _get_models,
    "bytez:index:getInstances": _get_instances,
}


def _no_setting(name: str) -> str:
    near = did_you_mean(get_close_matches(name, SETTINGS, n=1))
    return f"is not a setting{near}; the settings are {', '.join(SETTINGS)}"


def _difference(kinds: Mapping[str, str]) -> pb.DiffResponse:
    """Return an answer with the properties that changed, each with its kind of change."""
    return pb.DiffResponse(
        changes=pb.DiffResponse.DIFF_SOME if kinds else pb.DiffResponse.DIFF_NONE,
        replaces=[name for name, kind in kinds.items() if kind.endswith("_REPLACE")],
        diffs=sorted(kinds),
        hasDetailedDiff=True,
        detailedDiff={
            name: pb.PropertyDiff(
                kind=pb.PropertyDiff.Kind.Value(kind), inputDiff=name not in _LEARNED
            )
            for name, kind in kinds.items()
        },
        # The service holds one load of a model: the new one cannot exist beside the old one.
        deleteBeforeReplace=True,
    )
