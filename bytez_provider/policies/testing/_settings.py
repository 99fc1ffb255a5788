"""A policy config as Pulumi's engine makes it: defaults, then the pack's own, then the user's.

The engine does this before it hands the result to the pack, in a program of its own
(pkg/resource/analyzer/config.go in Pulumi's sources). What is told of a mistake is ours.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from jsonschema import Draft7Validator

from bytez_provider.base.errors import InvalidInputError, printable

LEVELS: Final = ("advisory", "mandatory", "remediate", "disabled")
_ALL = "all"
_LEVEL = "enforcementLevel"
_ENVIRONMENTS = "environments"  # Of Pulumi's cloud; the engine takes them out of the file.


@dataclass(frozen=True)
class PolicySettings:
    """What is set for one policy.

    Attributes:
        level: The enforcement level; None where only properties are given.
        properties: The other settings.
    """

    level: str | None = None
    properties: Mapping[str, Any] = field(default_factory=dict)

    def overlaid(self, other: PolicySettings) -> PolicySettings:
        """Return these settings with another's laid over them."""
        return PolicySettings(other.level or self.level, {**self.properties, **other.properties})


@dataclass(frozen=True)
class PolicyDefaults:
    """What a policy says of itself.

    Attributes:
        name: Its name.
        level: Its enforcement level, or that of its pack.
        properties: The JSON schemas of its settings.
        required: Settings that must be given.
    """

    name: str
    level: str
    properties: Mapping[str, Any]
    required: tuple[str, ...]

    def settings(self) -> PolicySettings:
        """Return what holds where nobody sets anything."""
        defaults = {k: v["default"] for k, v in self.properties.items() if "default" in v}
        return PolicySettings(self.level, defaults)

    def problems(self, settings: PolicySettings) -> list[str]:
        """Return what the schema has against some settings."""
        schema = {
            "type": "object",
            "properties": dict(self.properties),
            "required": list(self.required),
        }
        errors = Draft7Validator(schema).iter_errors(dict(settings.properties))
        return sorted(
            ": ".join([self.name, *map(str, error.absolute_path), error.message])
            for error in errors
        )


def read_config(config: Mapping[str, Any] | Path | None) -> dict[str, PolicySettings]:
    """Read a policy config as the command line reads the file of `--policy-pack-config`.

    Raises:
        InvalidInputError: It cannot be read, or a level or an entry is none.
    """
    if config is None:
        return {}
    try:
        text = (
            config.read_text(encoding="utf-8") if isinstance(config, Path) else json.dumps(config)
        )
        document = json.loads(text) if text.strip() else {}
    except (OSError, ValueError, TypeError) as error:
        raise _refused(f"it cannot be read: {error}") from None
    if not isinstance(document, dict):
        raise _refused("it is not a JSON object")
    document.pop(_ENVIRONMENTS, None)
    read = {name: _entry(name, value) for name, value in document.items()}
    return {name: one for name, one in read.items() if one.level or one.properties}


def _entry(name: str, value: object) -> PolicySettings:
    if isinstance(value, str):
        return PolicySettings(_level(name, value))
    if isinstance(value, dict):
        properties = {key: one for key, one in value.items() if key != _LEVEL}
        level = _level(name, value[_LEVEL]) if _LEVEL in value else None
        return PolicySettings(level, properties)
    raise _refused(f"'{name}' is neither a level nor an object")


def _level(name: str, value: object) -> str:
    if value not in LEVELS:
        raise _refused(f"the level of '{name}' is {value!r}")
    return str(value)


def effective(
    policies: Iterable[PolicyDefaults],
    initial: Mapping[str, PolicySettings],
    given: Mapping[str, PolicySettings],
) -> dict[str, PolicySettings]:
    """Return what holds for each policy.

    Args:
        policies: The pack's policies.
        initial: The pack's own config.
        given: The user's.

    Raises:
        InvalidInputError: It breaks a schema, or names a policy that the pack does not have.
    """
    policies = list(policies)
    result = {policy.name: policy.settings() for policy in policies}
    for layer in (initial, given):
        everywhere = layer.get(_ALL, PolicySettings()).level
        if everywhere:
            result = {name: replace(one, level=everywhere) for name, one in result.items()}
        for name, settings in layer.items():
            result[name] = result.get(name, PolicySettings()).overlaid(settings)
    problems = [text for policy in policies for text in policy.problems(result[policy.name])]
    # The engine lets a name that the pack does not have pass where it comes with a level.
    problems += [
        f"{name}: there is no such policy" for name, one in result.items() if not one.level
    ]
    if problems:
        raise _refused("; ".join(sorted(problems)))
    return result


def _refused(observed: str) -> InvalidInputError:
    return InvalidInputError(
        verb="use the policy config",
        observed=printable(observed),
        state="No policy was run",
        action="Correct it: a JSON object of policy names, each with a level "
        f"({', '.join(LEVELS)}) or an object of its settings",
    )
