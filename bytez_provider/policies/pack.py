"""The rules as Pulumi policies: their names, their settings, and how a resource is read.

A rule of one model is a resource policy, which Pulumi asks before it touches the resource, also
where the preview is skipped. A rule of all models is a stack policy, which it asks at the end of
the preview, and once more after everything is loaded.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

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
from bytez_provider.base.urns import MODEL_TYPE
from bytez_provider.core.inputs import EXPIRY_MAX_SECONDS, EXPIRY_MIN_SECONDS
from bytez_provider.policies import rules
from bytez_provider.policies.rules import Violation
from bytez_provider.service.catalogue import bundled_catalogue
from bytez_provider.service.settings import DEFAULT_PRICE_PER_GB_SECOND
from bytez_provider.stack.declared import UNKNOWN, DeclaredModel, declared_model

_Schema: TypeAlias = dict[str, Any]
_catalogue = functools.cache(bundled_catalogue)


@dataclass(frozen=True)
class _Rule:
    """A rule as a policy.

    Attributes:
        name: The policy's name, by which the config speaks of it.
        description: What holds where the rule is kept.
        check: The rule.
        settings: The JSON schema of each of its arguments, by the argument's name in camelCase.
    """

    name: str
    description: str
    check: Callable[..., Iterator[Violation]]
    settings: Mapping[str, _Schema] = field(default_factory=dict)

    def violations(
        self, models: list[DeclaredModel], config: Mapping[str, Any]
    ) -> Iterator[Violation]:
        """Yield the violations of some models under a policy config."""
        # Pulumi holds a config to the schema, in which no setting can be forbidden: one with a
        # letter wrong would leave the rule off, and nobody would know.
        for name in sorted(config.keys() - self.settings.keys()):
            settings = ", ".join(f"`{one}`" for one in self.settings) or "none"
            yield Violation(
                f"The policy config sets '{printable(name, limit=60)}', which '{self.name}' does "
                f"not have: correct the name (its settings: {settings})."
            )
        known = {to_snake(name): value for name, value in config.items() if name in self.settings}
        yield from self.check(models, **known)


def _number(description: str, *, least: float, kind: str = "number") -> _Schema:
    return {"type": kind, "minimum": least, "description": description}


def _globs(description: str) -> _Schema:
    return {
        "type": "array",
        "items": {"type": "string", "minLength": 1},
        "description": description,
    }


_UNKNOWN_RAM: _Schema = {
    "enum": ["report", "leaveOut"],
    "default": "report",
    "description": "report: a model of unknown RAM is a violation; leaveOut: it is not counted",
}
_CONCURRENCY = {"maxConcurrency": _number("instances", least=1, kind="integer")}
_RAM = {"maxRamGb": _number("GB of GPU RAM", least=0), "unknownRam": _UNKNOWN_RAM}
_COST = {
    "maxDollarsPerHour": _number("US dollars for an hour of being loaded", least=0),
    "maxDollarsPerMonth": _number("US dollars for a month of 730 hours", least=0),
    "monthlyBasis": {
        "enum": ["ceiling", "expected"],
        "default": "ceiling",
        "description": "ceiling: loaded all month; expected: for its expectedHoursPerDay, and all "
        "month where none are declared",
    },
    "pricePerGbSecond": {
        **_number("US dollars for a GB of GPU RAM and a second", least=0),
        "default": float(DEFAULT_PRICE_PER_GB_SECOND),
    },
    "unknownRam": _UNKNOWN_RAM,
}
_WHICH = {
    "require": _globs('globs of the models that are held to it; ["*"] for all'),
    "exempt": _globs("globs of the models among those that are not"),
}
_EXPIRY = {
    name: {
        **_number("idle seconds", least=EXPIRY_MIN_SECONDS, kind="integer"),
        "maximum": EXPIRY_MAX_SECONDS,
    }
    for name in ("minSeconds", "maxSeconds")
}

_OF_EACH = (
    _Rule(
        "bytez-model-concurrency",
        "No Bytez model has more instances than allowed.",
        rules.model_concurrency,
        _CONCURRENCY,
    ),
    _Rule(
        "bytez-model-ram",
        "No Bytez model takes more GPU RAM than allowed.",
        rules.model_ram,
        _RAM,
    ),
    _Rule("bytez-model-cost", "No Bytez model costs more than allowed.", rules.model_cost, _COST),
    _Rule(
        "bytez-allowed-models",
        "Only allowed Bytez models are loaded.",
        rules.allowed_models,
        {
            "allow": _globs("globs of the models that may be declared; unset: all"),
            "deny": _globs("globs of the models that may not"),
        },
    ),
    _Rule(
        "bytez-benchmarked-only",
        "Only benchmarked Bytez models are loaded.",
        rules.benchmarked_only,
        _WHICH,
    ),
    _Rule(
        "bytez-known-ram",
        "Only Bytez models of known RAM, and so of known cost, are loaded.",
        rules.known_ram,
        _WHICH,
    ),
    _Rule(
        "bytez-idle-expiry",
        "The idle period of each Bytez model is within bounds.",
        rules.idle_expiry,
        _EXPIRY,
    ),
    _Rule(
        "bytez-no-adopt",
        "No Bytez model is taken over from somebody else.",
        rules.no_adopt,
        {"stacks": _globs("globs of the stacks in which it holds")},
    ),
    _Rule("bytez-protect", "Bytez models are protected.", rules.protect, _WHICH),
)
_OF_ALL = (
    _Rule(
        "bytez-no-duplicates",
        "No two resources declare the same Bytez model.",
        rules.no_duplicates,
    ),
    _Rule(
        "bytez-stack-concurrency",
        "The Bytez models of a stack have no more instances than allowed.",
        rules.stack_concurrency,
        _CONCURRENCY,
    ),
    _Rule(
        "bytez-stack-ram",
        "The Bytez models of a stack take no more GPU RAM than allowed.",
        rules.stack_ram,
        _RAM,
    ),
    _Rule(
        "bytez-stack-cost",
        "The Bytez models of a stack cost no more than allowed.",
        rules.stack_cost,
        _COST,
    ),
)


def policies() -> list[Policy]:
    """Return every rule as a policy, for a pack.

    Each is off until the policy config gives it a setting, but `bytez-no-duplicates`, which is
    always on. How strictly they hold is said by the pack's enforcement level and the config.
    """
    return [*map(_of_each, _OF_EACH), *map(_of_all, _OF_ALL)]


def _of_each(rule: _Rule) -> Policy:
    def validate(args: ResourceValidationArgs, report_violation: ReportViolation) -> None:
        model = _declared(args)
        if model is not None:
            for violation in rule.violations([model], args.get_config()):
                report_violation(violation.message, violation.urn)

    return ResourceValidationPolicy(
        rule.name, rule.description, validate, config_schema=_schema(rule)
    )


def _of_all(rule: _Rule) -> Policy:
    def validate(args: StackValidationArgs, report_violation: ReportViolation) -> None:
        models = _declared_in(args)
        for violation in rule.violations(models, args.get_config()):
            report_violation(violation.message, violation.urn)

    return StackValidationPolicy(rule.name, rule.description, validate, config_schema=_schema(rule))


def _schema(rule: _Rule) -> PolicyConfigSchema:
    return PolicyConfigSchema({name: dict(schema) for name, schema in rule.settings.items()})


def _declared_in(stack: StackValidationArgs) -> list[DeclaredModel]:
    # A refresh adds the models that are only read (`Model.get`), and nothing tells them apart but
    # an option that every declared Model has. It comes from the program, so that a state alone, in
    # `pulumi policy analyze`, has it nowhere.
    ours = [one for one in stack.resources if one.resource_type == MODEL_TYPE]
    declared = [one for one in ours if one.opts.delete_before_replace]
    if ours and not declared:
        stack.not_applicable("no program declares the Bytez models here, they are only read")
    # Pulumi hands the resources over in no order at all, anew each time.
    found = [_declared(one) for one in sorted(declared, key=lambda one: one.urn)]
    return [model for model in found if model is not None]


def _declared(resource: ResourceValidationArgs | PolicyResource) -> DeclaredModel | None:
    """Return the model that a resource declares, from its inputs; None where it declares none."""
    if resource.resource_type != MODEL_TYPE:
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
        protect=resource.opts.protect,
    )
