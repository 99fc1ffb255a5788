"""A pack without violations that writes all that its policies see to a file."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pulumi_policy import (
    PolicyConfigSchema,
    PolicyPack,
    PolicyProviderResource,
    PolicyResource,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UnknownValueError


def shown(value: object) -> Any:
    """Return a value as JSON, with the error message for each unknown value."""
    if isinstance(value, Mapping):
        return {key: within(value, key) for key in value}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [within(value, index) for index in range(len(value))]
    return value


def within(container: Any, place: object) -> Any:
    """Return a value within another."""
    try:
        return shown(container[place])
    except UnknownValueError as error:
        return error.message


def common(resource: ResourceValidationArgs | PolicyResource) -> dict[str, Any]:
    """Return what both kinds of policies see of a resource."""
    opts = resource.opts
    return {
        "type": resource.resource_type,
        "name": resource.name,
        "urn": resource.urn,
        "props": shown(resource.props),
        "provider": provider(resource.provider),
        "protect": opts.protect,
        "ignoreChanges": list(opts.ignore_changes),
        "deleteBeforeReplace": opts.delete_before_replace,
        "aliases": list(opts.aliases),
        "timeouts": vars(opts.custom_timeouts),
        "secretOutputs": list(opts.additional_secret_outputs),
        "parentUrn": opts.parent,
    }


def provider(of: PolicyProviderResource | None) -> dict[str, Any] | None:
    """Return what policies see of a provider."""
    if of is None:
        return None
    return {"type": of.resource_type, "name": of.name, "urn": of.urn, "props": shown(of.props)}


def write(kind: str, facts: Mapping[str, Any]) -> None:
    """Add a line to the file."""
    with Path(os.environ["SPY_FILE"]).open("a", encoding="utf-8") as file:
        file.write(json.dumps({"kind": kind, **facts}) + "\n")


def one(args: ResourceValidationArgs, _report: ReportViolation) -> None:
    """Write a resource."""
    more = {"config": shown(args.get_config()), "tags": dict(args.stack_tags)}
    write("resource", {**common(args), **more})


def every(args: StackValidationArgs, _report: ReportViolation) -> None:
    """Write the resources of the stack."""
    for resource in args.resources:
        more = {
            "parent": resource.parent.urn if resource.parent else None,
            "dependencies": sorted(one.urn for one in resource.dependencies),
            "propertyDependencies": {
                name: sorted(one.urn for one in those)
                for name, those in resource.property_dependencies.items()
            },
        }
        write("stack", {**common(resource), **more})


schema = PolicyConfigSchema({"most": {"type": "integer", "default": 3}, "names": {"type": "array"}})
PolicyPack(
    "spy",
    [
        ResourceValidationPolicy("one", "sees each resource", one, config_schema=schema),
        StackValidationPolicy("every", "sees the stack", every),
    ],
)
