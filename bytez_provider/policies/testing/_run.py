"""One preview or update: what the engine would send to a pack, and what comes back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pulumi_policy.policy as _sdk
from google.protobuf import json_format
from google.protobuf.struct_pb2 import Struct
from pulumi_policy import EnforcementLevel
from pulumi_policy.deserialize import serialize_properties

from bytez_provider.base.urns import STACK_TYPE
from bytez_provider.policies.testing._resources import UNKNOWN_VALUE, Resource, resolved
from bytez_provider.policies.testing._settings import (
    PolicyDefaults,
    PolicySettings,
    effective,
    read_config,
)

# Their previews are the engine's own guess: the inputs, and nothing else.
_DYNAMIC: Final = ("pulumi-python:", "pulumi-nodejs:")

# The messages of the SDK that runs the policies, which it has under a name of its own.
_messages: Any = _sdk.proto  # type: ignore[attr-defined]


@dataclass(frozen=True)
class PolicyViolation:
    """A violation, as Pulumi shows it.

    Attributes:
        policy: The policy's name.
        enforcement_level: ADVISORY, or MANDATORY, which makes preview and update fail.
        message: What the policy reported. Pulumi shows the policy's description above it.
        urn: The resource it is about; the stack's own URN where it is about the stack.
    """

    policy: str
    enforcement_level: EnforcementLevel
    message: str
    urn: str


@dataclass(frozen=True)
class Run:
    """One preview or update: what the engine would send, and what comes back."""

    servicer: Any
    stack: str
    project: str
    preview: bool

    def violations(
        self,
        resources: Sequence[Resource],
        config: Mapping[str, Any] | Path | None,
        stack_tags: Mapping[str, str],
    ) -> list[PolicyViolation]:
        """Ask the policies of each resource, and then those of the stack."""
        self._configure(config, stack_tags)
        found: list[PolicyViolation] = []
        sent = [self._analyzed(one, found) for one in self._with_parents(resources)]
        answer = self.servicer.AnalyzeStack(_messages.AnalyzeStackRequest(resources=sent), None)
        urns = {one.urn for one in sent}
        for one in answer.diagnostics:
            urn = one.urn if one.urn in urns else self._urn(self._whole)
            found.append(_violation(one, urn))
        return found

    @property
    def _whole(self) -> Resource:
        return Resource(STACK_TYPE, f"{self.project}-{self.stack}")

    def _with_parents(self, resources: Sequence[Resource]) -> list[Resource]:
        """Return the resources, and the stack and the default providers that Pulumi adds."""
        given = {self._urn(one) for one in resources}
        added = {self._urn(one.provider): one.provider for one in resources if one.provider}
        providers = [one for urn, one in added.items() if urn not in given]
        return [self._whole, *providers, *resources]

    def _configure(
        self, config: Mapping[str, Any] | Path | None, stack_tags: Mapping[str, str]
    ) -> None:
        info = self.servicer.GetAnalyzerInfo(None, None)
        initial = {
            name: PolicySettings(_level(one.enforcementLevel), _plain(one.properties))
            for name, one in info.initialConfig.items()
        }
        settings = effective(map(_defaults, info.policies), initial, read_config(config))
        request = _messages.ConfigureAnalyzerRequest()
        for name, one in settings.items():
            level = _messages.EnforcementLevel.Value(str(one.level).upper())
            request.policyConfig[name].enforcementLevel = level
            request.policyConfig[name].properties.update(one.properties)
        self.servicer.Configure(request, None)
        tags = _messages.AnalyzerStackConfigureRequest(
            stack=self.stack, project=self.project, dry_run=self.preview, tags=dict(stack_tags)
        )
        self.servicer.ConfigureStack(tags, None)

    def _analyzed(self, resource: Resource, found: list[PolicyViolation]) -> Any:
        """Ask the policies of one resource; return it as the policies of the stack see it."""
        about = self._about(resource)
        urn = about["urn"]
        inputs = self._struct(resource.inputs)
        request = _messages.AnalyzeRequest(**about, properties=inputs)
        for one in self.servicer.Remediate(request, None).remediations:
            if one.diagnostic:
                told = PolicyViolation(
                    one.policyName, EnforcementLevel.ADVISORY, one.diagnostic, urn
                )
                found.append(told)
            elif one.HasField("properties"):
                inputs = one.properties
        request = _messages.AnalyzeRequest(**about, properties=_visible(inputs))
        answer = self.servicer.Analyze(request, None)
        found.extend(_violation(one, urn) for one in answer.diagnostics)
        return _messages.AnalyzerResource(
            **about,
            properties=_visible(self._outputs(resource, inputs)),
            parent=about["options"].parent,
            dependencies=[self._urn(one) for one in resource.dependencies],
            propertyDependencies={
                name: _messages.AnalyzerPropertyDependencies(urns=[self._urn(one) for one in those])
                for name, those in resource.property_dependencies.items()
            },
        )

    def _outputs(self, resource: Resource, inputs: Struct) -> Struct:
        if not self.preview:
            return _merged(inputs, self._struct(resource.outputs))
        unknown = Struct()
        if not resource.type.startswith(_DYNAMIC):
            unknown.update(dict.fromkeys(resource.outputs, UNKNOWN_VALUE))
        return _merged(unknown, inputs)

    def _struct(self, properties: Mapping[str, Any]) -> Struct:
        # An input that is None is as good as not given.
        given = {name: value for name, value in properties.items() if value is not None}
        struct = Struct()
        struct.update(serialize_properties(resolved(given, preview=self.preview)))
        return struct

    def _about(self, resource: Resource) -> dict[str, Any]:
        """What the engine tells of a resource beside its properties."""
        about: dict[str, Any] = {
            "type": resource.type,
            "urn": self._urn(resource),
            "name": resource.name,
            "options": self._options(resource),
        }
        if resource.provider is not None:
            about["provider"] = _messages.AnalyzerProviderResource(
                type=resource.provider.type,
                urn=self._urn(resource.provider),
                name=resource.provider.name,
                properties=self._struct(resource.provider.inputs),
            )
        return about

    def _options(self, resource: Resource) -> Any:
        options = _messages.AnalyzerResourceOptions(
            protect=resource.protect,
            ignoreChanges=resource.ignore_changes,
            deleteBeforeReplace=bool(resource.delete_before_replace),
            deleteBeforeReplaceDefined=resource.delete_before_replace is not None,
            additionalSecretOutputs=resource.additional_secret_outputs,
            parent=self._parent(resource),
        )
        if resource.custom_timeouts:
            options.customTimeouts.CopyFrom(
                _messages.AnalyzerResourceOptions.CustomTimeouts(**resource.custom_timeouts)
            )
        return options

    def _parent(self, resource: Resource) -> str:
        if resource.parent is not None:
            return self._urn(resource.parent)
        if resource.type == STACK_TYPE or _is_default_provider(resource):
            return ""
        return self._urn(self._whole)

    def _urn(self, resource: Resource) -> str:
        return resource.urn(self.stack, self.project)


def _is_default_provider(resource: Resource) -> bool:
    return resource.type.startswith("pulumi:providers:") and resource.name.startswith("default")


def _merged(first: Struct, last: Struct) -> Struct:
    merged = Struct()
    merged.CopyFrom(first)
    for name, value in last.fields.items():
        merged.fields[name].CopyFrom(value)
    return merged


def _visible(properties: Struct) -> Struct:
    """Return the properties less those that Pulumi keeps to itself, as `__provider`."""
    visible = Struct()
    for name, value in properties.fields.items():
        if not name.startswith("__"):
            visible.fields[name].CopyFrom(value)
    return visible


def _plain(struct: Struct) -> dict[str, Any]:
    plain: dict[str, Any] = json_format.MessageToDict(struct)
    return plain


def _level(number: int) -> str:
    return str(_messages.EnforcementLevel.Name(number)).lower()


def _defaults(policy: Any) -> PolicyDefaults:
    schema = policy.configSchema
    return PolicyDefaults(
        policy.name,
        _level(policy.enforcementLevel),
        _plain(schema.properties),
        tuple(schema.required),
    )


def _violation(diagnostic: Any, urn: str) -> PolicyViolation:
    # Pulumi's SDK puts the description before what was reported.
    message = diagnostic.message.removeprefix(diagnostic.description).removeprefix("\n")
    level = EnforcementLevel(_level(diagnostic.enforcementLevel))
    return PolicyViolation(diagnostic.policyName, level, message, urn)
