"""A policy pack outside an engine: what the engine would send to it, and what it answers."""

from __future__ import annotations

import contextlib
import os
import runpy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypedDict

import pulumi_policy.policy as _sdk
from google.protobuf import json_format
from google.protobuf.struct_pb2 import Struct
from pulumi_policy import EnforcementLevel, Policy, PolicyPack
from pulumi_policy.deserialize import serialize_properties

from bytez_provider.base.errors import InvalidInputError, printable
from bytez_provider.base.urns import FLEET_TYPE, STACK_TYPE
from bytez_provider.policies.testing._config import LEVEL, Settings, effective, read_config
from bytez_provider.policies.testing._resources import UNKNOWN_VALUE, Resource, resolved

if TYPE_CHECKING:
    from typing_extensions import Unpack

# The engine's preview of a dynamic provider's outputs is just the inputs.
_DYNAMIC: Final = ("pulumi-python:", "pulumi-nodejs:")

# The service and the messages of the SDK that runs the policies, under its own names.
_service: Any = _sdk.analyzer_pb2_grpc  # type: ignore[attr-defined]
_messages: Any = _sdk.proto  # type: ignore[attr-defined]


@dataclass(frozen=True)
class PolicyViolation:
    """A violation, as Pulumi shows it."""

    policy: str
    """The policy's name."""
    enforcement_level: EnforcementLevel
    """ADVISORY, or MANDATORY, which makes preview and update fail."""
    message: str
    """What the policy reported. Pulumi shows the policy's description above it."""
    urn: str
    """The resource, or the stack's own URN if it is about the stack."""


class Options(TypedDict, total=False):
    """What may be given for a run."""

    config: Mapping[str, Any] | Path | None
    """The policy config: a file, or its content."""
    stack: str
    """The stack's name: "dev" unless it is given."""
    project: str
    """The project's name: "project" unless it is given."""
    stack_tags: Mapping[str, str] | None


class _CaughtError(BaseException):
    """Takes a pack's service out of its constructor, which would serve for ever."""

    def __init__(self, servicer: Any) -> None:
        super().__init__()
        self.servicer = servicer


class Pack:
    """A policy pack, to be run on resources.

    Args:
        policies: Its policies.
        enforcement_level: The level of policies that have none; None is advisory.
        initial_config: As for `pulumi_policy.PolicyPack`.
    """

    def __init__(
        self,
        policies: list[Policy],
        *,
        enforcement_level: EnforcementLevel | None = None,
        initial_config: dict[str, EnforcementLevel | dict[str, Any]] | None = None,
    ) -> None:
        self._servicer = _service_of(
            lambda: PolicyPack("pack", policies, enforcement_level, initial_config), "pack"
        )

    @classmethod
    def from_folder(cls, folder: str | Path) -> Pack:
        """Return the pack that the program in a folder (`__main__.py`) makes.

        Raises:
            InvalidInputError: The program ends without a PolicyPack.
        """
        pack = cls.__new__(cls)
        where = Path(folder).resolve()
        with contextlib.ExitStack() as leaving:
            leaving.callback(os.chdir, Path.cwd())
            os.chdir(where)
            pack._servicer = _service_of(
                lambda: runpy.run_path(str(where), run_name="__main__"), str(folder)
            )
        return pack

    def preview(
        self, resources: Sequence[Resource], **options: Unpack[Options]
    ) -> list[PolicyViolation]:
        """Run the policies as `pulumi preview` does.

        Args:
            resources: What the program declares.
            options: See `Options`.

        Returns:
            The violations of each resource in turn, then of the stack. If a policy uses an unknown
            value, that is an advisory violation, as in Pulumi.

        Raises:
            InvalidInputError: The config cannot be read, or breaks a policy's schema.
        """
        return _Run(self._servicer, is_preview=True, **options).violations(resources)

    def up(
        self, resources: Sequence[Resource], **options: Unpack[Options]
    ) -> list[PolicyViolation]:
        """Run the policies as `pulumi up` does after its preview; see `preview`.

        Pulumi stops at the first resource with a mandatory violation. This goes on to the end.
        """
        return _Run(self._servicer, is_preview=False, **options).violations(resources)


def _service_of(make: Callable[[], object], subject: str) -> Any:
    """Return the service of the pack that `make` constructs."""

    def catch(servicer: object, _server: object) -> None:
        raise _CaughtError(servicer)

    serve = _service.add_AnalyzerServicer_to_server
    _service.add_AnalyzerServicer_to_server = catch
    try:
        make()
    except _CaughtError as caught:
        return caught.servicer
    finally:
        _service.add_AnalyzerServicer_to_server = serve
    raise InvalidInputError(
        verb="load the policy pack",
        subject=printable(subject),
        observed="its program ended without a PolicyPack",
        state="No policy was run",
        action="Construct one in its `__main__.py`",
    )


class _Run:
    """One preview or update."""

    def __init__(
        self,
        servicer: Any,
        *,
        is_preview: bool,
        config: Mapping[str, Any] | Path | None = None,
        stack: str = "dev",
        project: str = "project",
        stack_tags: Mapping[str, str] | None = None,
    ) -> None:
        self._servicer = servicer
        self._is_preview = is_preview
        self._stack = stack
        self._project = project
        self._configure(read_config(config))
        request = _messages.AnalyzerStackConfigureRequest(
            stack=stack, project=project, dry_run=is_preview, tags=dict(stack_tags or {})
        )
        servicer.ConfigureStack(request, None)

    def violations(self, resources: Sequence[Resource]) -> list[PolicyViolation]:
        found: list[PolicyViolation] = []
        whole = Resource(STACK_TYPE, f"{self._project}-{self._stack}")
        # Pulumi adds the stack and the default providers.
        given = {self._urn(one) for one in resources}
        added = {self._urn(one.provider): one.provider for one in resources if one.provider}
        providers = [one for urn, one in added.items() if urn not in given]
        sent = [self._analyzed(one, whole, found) for one in [whole, *providers, *resources]]
        answer = self._servicer.AnalyzeStack(_messages.AnalyzeStackRequest(resources=sent), None)
        urns = {one.urn for one in sent}
        return found + [
            _violation(one, one.urn if one.urn in urns else self._urn(whole))
            for one in answer.diagnostics
        ]

    def _configure(self, given: Mapping[str, Settings]) -> None:
        info = self._servicer.GetAnalyzerInfo(None, None)
        schemas = {
            one.name: {
                "type": "object",
                "properties": json_format.MessageToDict(one.configSchema.properties),
                "required": list(one.configSchema.required),
            }
            for one in info.policies
        }
        initial = {
            name: {
                LEVEL: _level(one.enforcementLevel),
                **json_format.MessageToDict(one.properties),
            }
            for name, one in info.initialConfig.items()
        }
        levels = {one.name: _level(one.enforcementLevel) for one in info.policies}
        request = _messages.ConfigureAnalyzerRequest()
        for name, settings in effective(levels, schemas, initial, given).items():
            one = request.policyConfig[name]
            one.enforcementLevel = _messages.EnforcementLevel.Value(settings.pop(LEVEL).upper())
            one.properties.update(settings)
        self._servicer.Configure(request, None)

    def _analyzed(self, resource: Resource, whole: Resource, found: list[PolicyViolation]) -> Any:
        """Run the policies of one resource; return it as the policies of the stack see it."""
        about = self._about(resource, whole)
        urn = about["urn"]
        inputs = self._properties(resource.inputs)
        request = _messages.AnalyzeRequest(**about, properties=_struct(inputs))
        for one in self._servicer.Remediate(request, None).remediations:
            if one.diagnostic:
                advisory = EnforcementLevel.ADVISORY
                found.append(PolicyViolation(one.policyName, advisory, one.diagnostic, urn))
            elif one.HasField("properties"):
                inputs = json_format.MessageToDict(one.properties)
        request = _messages.AnalyzeRequest(**about, properties=_struct(_visible(inputs)))
        answer = self._servicer.Analyze(request, None)
        found.extend(_violation(one, urn) for one in answer.diagnostics)
        if not self._is_preview or resource.is_foreseen:
            # A component has only what it registers.
            own = {} if resource.type == FLEET_TYPE else inputs
            outputs = {**own, **self._properties(resource.outputs)}
        elif resource.type.startswith(_DYNAMIC):
            outputs = inputs
        else:
            outputs = {**dict.fromkeys(resource.outputs, UNKNOWN_VALUE), **inputs}
        return _messages.AnalyzerResource(
            **about,
            properties=_struct(_visible(outputs)),
            parent=about["options"].parent,
            dependencies=[self._urn(one) for one in resource.dependencies],
            propertyDependencies={
                name: _messages.AnalyzerPropertyDependencies(urns=[self._urn(one) for one in those])
                for name, those in resource.property_dependencies.items()
            },
        )

    def _properties(self, properties: Mapping[str, Any]) -> dict[str, Any]:
        # To Pulumi, an input that is None is not given.
        found = resolved(properties, preview=self._is_preview)
        return dict(serialize_properties({k: v for k, v in found.items() if v is not None}))

    def _about(self, resource: Resource, whole: Resource) -> dict[str, Any]:
        """Return what the engine sends about a resource besides its properties."""
        is_provider = resource.type.startswith("pulumi:providers:")
        is_at_top = resource is whole or (is_provider and resource.name.startswith("default"))
        parent = resource.parent or (None if is_at_top else whole)
        options = _messages.AnalyzerResourceOptions(
            protect=resource.protect,
            ignoreChanges=resource.ignore_changes,
            deleteBeforeReplace=bool(resource.delete_before_replace),
            deleteBeforeReplaceDefined=resource.delete_before_replace is not None,
            additionalSecretOutputs=resource.additional_secret_outputs,
            parent=self._urn(parent) if parent else "",
        )
        if resource.custom_timeouts:
            options.customTimeouts.CopyFrom(
                _messages.AnalyzerResourceOptions.CustomTimeouts(**resource.custom_timeouts)
            )
        about = {
            "type": resource.type,
            "urn": self._urn(resource),
            "name": resource.name,
            "options": options,
        }
        if provider := resource.provider:
            about["provider"] = _messages.AnalyzerProviderResource(
                type=provider.type,
                urn=self._urn(provider),
                name=provider.name,
                properties=_struct(self._properties(provider.inputs)),
            )
        return about

    def _urn(self, resource: Resource) -> str:
        return resource.urn(self._stack, self._project)


def _struct(properties: Mapping[str, Any]) -> Struct:
    struct = Struct()
    struct.update(dict(properties))
    return struct


def _visible(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return the properties without those that Pulumi hides, such as `__provider`."""
    return {name: value for name, value in properties.items() if not name.startswith("__")}


def _level(number: int) -> str:
    return str(_messages.EnforcementLevel.Name(number)).lower()


def _violation(diagnostic: Any, urn: str) -> PolicyViolation:
    # The SDK puts the policy's description before its message.
    message = diagnostic.message.removeprefix(diagnostic.description).removeprefix("\n")
    level = EnforcementLevel(_level(diagnostic.enforcementLevel))
    return PolicyViolation(diagnostic.policyName, level, message, urn)
