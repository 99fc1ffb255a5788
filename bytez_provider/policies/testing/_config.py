"""The policy config as Pulumi's engine makes it: defaults, then the pack's own, then the user's.

The engine does this outside the pack (pkg/resource/analyzer/config.go in Pulumi's sources). The
settings of a policy are a mapping, as in the JSON file: `enforcementLevel`, and its own settings.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from jsonschema import Draft7Validator

from bytez_provider.base.errors import InvalidInputError, printable

LEVEL: Final = "enforcementLevel"
_LEVELS = ("advisory", "mandatory", "remediate", "disabled")
_ALL = "all"
_ENVIRONMENTS = "environments"  # Of Pulumi's cloud; the engine ignores it in the file.

Settings = dict[str, Any]


def read_config(config: Mapping[str, Any] | Path | None) -> dict[str, Settings]:
    """Read a policy config, as the CLI reads the file of `--policy-pack-config`.

    Raises:
        InvalidInputError: It cannot be read, or has an invalid level or entry.
    """
    if config is None:
        return {}
    try:
        text = config.read_text("utf-8") if isinstance(config, Path) else json.dumps(config)
        document = json.loads(text) if text.strip() else {}
    except (OSError, ValueError, TypeError) as error:
        raise _refused(f"it cannot be read: {error}") from None
    if not isinstance(document, dict):
        raise _refused("it is not a JSON object")
    document.pop(_ENVIRONMENTS, None)
    read = {
        name: {LEVEL: value} if isinstance(value, str) else value
        for name, value in document.items()
    }
    for name, value in read.items():
        if not isinstance(value, dict):
            raise _refused(f"'{name}' is neither a level nor an object")
        if LEVEL in value and value[LEVEL] not in _LEVELS:
            raise _refused(f"the level of '{name}' is {value[LEVEL]!r}")
    return {name: value for name, value in read.items() if value}


def effective(
    levels: Mapping[str, str],
    schemas: Mapping[str, Mapping[str, Any]],
    initial: Mapping[str, Settings],
    given: Mapping[str, Settings],
) -> dict[str, Settings]:
    """Return the settings of each policy.

    Args:
        levels: The enforcement level of each policy of the pack.
        schemas: The JSON schema of the settings of each.
        initial: The pack's own config.
        given: The user's config.

    Raises:
        InvalidInputError: A setting breaks its schema, or the pack has no such policy.
    """
    result: dict[str, Settings] = {}
    for name, level in levels.items():
        properties = schemas[name]["properties"].items()
        defaults = {key: one["default"] for key, one in properties if "default" in one}
        result[name] = {LEVEL: level, **defaults}
    for layer in (initial, given):
        if LEVEL in layer.get(_ALL, {}):
            for settings in result.values():
                settings[LEVEL] = layer[_ALL][LEVEL]
        for name, settings in layer.items():
            result[name] = {**result.get(name, {}), **settings}
    problems = [
        ": ".join([name, *map(str, error.absolute_path), error.message])
        for name, schema in schemas.items()
        for error in Draft7Validator(schema).iter_errors(result[name])
    ]
    # The engine accepts a level for a policy that the pack does not have.
    problems += [f"{name}: there is no such policy" for name in result if LEVEL not in result[name]]
    if problems:
        raise _refused("; ".join(sorted(problems)))
    return result


def _refused(observed: str) -> InvalidInputError:
    return InvalidInputError(
        verb="use the policy config",
        observed=printable(observed),
        state="No policy was run",
        action="Correct it: it is a JSON object of policy names, each with a level "
        f"({', '.join(_LEVELS)}) or an object of settings",
    )
