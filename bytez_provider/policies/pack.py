"""The rules as Pulumi policies.

Pulumi runs the policy of a single model before it touches the resource, even if the preview is
skipped. It runs a policy of the stack at the end of a preview, and again when all is loaded.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, cast, get_args

import pulumi
from pulumi_policy import (
    Policy,
    PolicyConfigSchema,
    PolicyResource,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UnknownValueError
from pydantic.alias_generators import to_snake

from bytez_provider.base.errors import printable
from bytez_provider.base.urns import MODEL_TYPES, NATIVE_MODEL_TYPE, explicit_provider
from bytez_provider.core.inputs import INPUTS
from bytez_provider.policies import rules
from bytez_provider.policies.rules import Violation
from bytez_provider.service.catalogue import bundled_catalogue
from bytez_provider.service.settings import DEFAULT_PRICE_PER_GB_SECOND, ApiVersion, Settings
from bytez_provider.stack.declared import UNKNOWN, DeclaredModel, declared_model

_Schema: TypeAlias = dict[str, Any]
_Declared: TypeAlias = Callable[[Any], "list[DeclaredModel] | None"]
_catalogue = functools.cache(bundled_catalogue)


@dataclass(frozen=True)
class _Rule:
    """A rule and its policy."""

    function: str
    """Its name in `rules`."""
    description: str
    """What is true if nobody breaks it."""
    settings: Mapping[str, _Schema]
    """The JSON schema of each argument of the rule, by its name in camelCase."""

    @property
    def name(self) -> str:
        """The policy's name, which users write into their config."""
        return f"bytez-{self.function.replace('_', '-')}"

    @property
    def check(self) -> Callable[..., Iterator[Violation]]:
        check: Callable[..., Iterator[Violation]] = getattr(rules, self.function)
        return check

    def violations(
        self, models: list[DeclaredModel], config: Mapping[str, Any]
    ) -> Iterator[Violation]:
        # A policy's schema cannot forbid unknown settings. Without this report, a misspelled
        # setting would silently leave the rule off.
        for name in sorted(config.keys() - self.settings.keys()):
            settings = ", ".join(f"`{one}`" for one in self.settings) or "none"
            yield Violation(
                f"The policy config sets '{printable(name, limit=60)}', and '{self.name}' has no "
                f"such setting: correct the name (its settings: {settings})."
            )
        known = {to_snake(name): value for name, value in config.items() if name in self.settings}
        yield from self.check(models, **known)


def _number(description: str, *, least: float, kind: str = "number") -> _Schema:
    return {"type": kind, "minimum": least, "description": description}


def _globs(description: str) -> _Schema:
    items = {"type": "string", "minLength": 1}
    return {"type": "array", "items": items, "description": description}


_UNKNOWN_RAM: _Schema = {
    "enum": ["report", "leaveOut"],
    "default": "report",
    "description": "report: a model of unknown RAM is a violation; leaveOut: it is not counted",
}
_CONCURRENCY = {"maxConcurrency": _number("instances", least=1, kind="integer")}
_RAM = {"maxRamGb": _number("GB of GPU RAM", least=0), "unknownRam": _UNKNOWN_RAM}
_COST = {
    "maxDollarsPerHour": _number("US dollars per hour of being loaded", least=0),
    "maxDollarsPerMonth": _number("US dollars per month of 730 hours", least=0),
    "monthlyBasis": {
        "enum": ["ceiling", "expected"],
        "default": "ceiling",
        "description": "ceiling: loaded all month; expected: for its expectedHoursPerDay, or all "
        "month if none are declared",
    },
    "pricePerGbSecond": {
        **_number(
            "US dollars per GB of GPU RAM and second; not for apiVersion 2025-04, which has a "
            "price for each size of an instance",
            least=0,
        ),
        "default": float(DEFAULT_PRICE_PER_GB_SECOND),
    },
    "unknownRam": _UNKNOWN_RAM,
}
_WHICH = {
    "require": _globs('globs of the models that the rule applies to; ["*"] for all'),
    "exempt": _globs("globs of the models among those that it does not apply to"),
}
_EXPIRY = {
    name: {
        **INPUTS["expiration_period_seconds"].schema,
        "type": "integer",
        "description": "idle seconds",
    }
    for name in ("minSeconds", "maxSeconds")
}

_ALLOWED = {
    "allow": _globs("globs of the models that may be declared; if unset, all"),
    "deny": _globs("globs of the models that may not be declared"),
}
_STACKS = {"stacks": _globs("globs of the stacks that the rule applies to")}

_OF_EACH = (
    _Rule("model_concurrency", "No Bytez model has more instances than allowed.", _CONCURRENCY),
    _Rule("model_ram", "No Bytez model takes more GPU RAM than allowed.", _RAM),
    _Rule("model_cost", "No Bytez model costs more than allowed.", _COST),
    _Rule("allowed_models", "Only allowed Bytez models are loaded.", _ALLOWED),
    _Rule("benchmarked_only", "Only benchmarked Bytez models are loaded.", _WHICH),
    _Rule(
        "known_ram",
        "Only Bytez models of known RAM, and so of known cost, are loaded.",
        _WHICH,
    ),
    _Rule("idle_expiry", "The idle period of each Bytez model is within bounds.", _EXPIRY),
    _Rule("no_adopt", "No Bytez model takes over somebody else's load.", _STACKS),
    _Rule("protect", "Bytez models are protected.", _WHICH),
)
_OF_ALL = (
    _Rule("no_duplicates", "No two resources declare the same Bytez model.", {}),
    _Rule(
        "stack_concurrency",
        "The Bytez models of a stack have no more instances than allowed.",
        _CONCURRENCY,
    ),
    _Rule("stack_ram", "The Bytez models of a stack take no more GPU RAM than allowed.", _RAM),
    _Rule("stack_cost", "The Bytez models of a stack cost no more than allowed.", _COST),
)


def policies() -> list[Policy]:
    """Return every rule as a policy, for a pack.

    Each is off until the policy config sets one of its settings, except `bytez-no-duplicates`,
    which is always on. The pack and the config set the enforcement levels.
    """
    each = [_policy(rule, ResourceValidationPolicy, _declared_by) for rule in _OF_EACH]
    return each + [_policy(rule, StackValidationPolicy, _declared_in) for rule in _OF_ALL]


def _policy(rule: _Rule, kind: Callable[..., Policy], declared: _Declared) -> Policy:
    def validate(args: Any, report_violation: ReportViolation) -> None:
        models = declared(args)
        if models is not None:
            for violation in rule.violations(models, args.get_config()):
                report_violation(violation.message, violation.urn)

    schema = PolicyConfigSchema({name: dict(one) for name, one in rule.settings.items()})
    return kind(rule.name, rule.description, validate, config_schema=schema)


def _declared_by(resource: ResourceValidationArgs) -> list[DeclaredModel] | None:
    model = _declared(resource)
    return None if model is None else [model]


def _declared_in(stack: StackValidationArgs) -> list[DeclaredModel]:
    # A refresh adds models that are only read (`Model.get`). Of a dynamic provider, only a declared
    # Model has this option, which the program sets; so a state alone (`pulumi policy analyze`)
    # never has it. A native one that is only read looks like one that was imported, and counts.
    ours = [one for one in stack.resources if one.resource_type in MODEL_TYPES]
    declared = [
        one
        for one in ours
        if one.resource_type == NATIVE_MODEL_TYPE or one.opts.delete_before_replace
    ]
    if ours and not declared:
        stack.not_applicable("no program declares these Bytez models, they are only read")
    # Pulumi passes the resources in a random order.
    found = map(_declared, sorted(declared, key=lambda one: one.urn))
    return [model for model in found if model is not None]


def _declared(resource: ResourceValidationArgs | PolicyResource) -> DeclaredModel | None:
    """Return the model that a resource declares by its inputs, if any."""
    if resource.resource_type not in MODEL_TYPES:
        return None

    def read(name: str) -> Any:
        try:
            return resource.props.get(name)
        except UnknownValueError:
            return UNKNOWN

    if read("modelId") is None:
        return None  # It is only read (`Model.get`).
    return declared_model(
        resource.name,
        resource.urn,
        read=read,
        catalogue=_catalogue(),
        api_version=_api_version(resource),
        protect=resource.opts.protect,
        provider=explicit_provider(resource.provider.urn) if resource.provider else "",
    )


def _api_version(resource: ResourceValidationArgs | PolicyResource) -> ApiVersion:
    """Return the version of a resource's provider, or else that of the stack's config."""
    version = None
    with contextlib.suppress(UnknownValueError):
        version = resource.provider.props.get("apiVersion") if resource.provider else None
    version = version or pulumi.Config("bytez").get("apiVersion")
    # The provider refuses any other value itself.
    return cast(ApiVersion, version) if version in get_args(ApiVersion) else Settings.api_version
