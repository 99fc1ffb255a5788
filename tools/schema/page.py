"""The page docs/reference.md, made from the schema of the package."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from tools.schema.package import make_schema

_Schema = Mapping[str, Any]
_TYPES: Final = "#/types/"
_INTRO: Final = (
    "# Reference of the package\n\n"
    "For programs that use [the plugin](native.md). Names are as in YAML and TypeScript; "
    "in Python they are in snake_case, in Go and C# in PascalCase. Made by `python -m "
    "tools.reference` from the schema that `pulumi package get-schema` shows.\n"
)


def package_page() -> str:
    """Return the page."""
    schema = make_schema()
    lines = [_INTRO, "## Resources\n"]
    for token, one in schema["resources"].items():
        lines += _resource(token, one)
    lines += ["## Functions\n"]
    for token, one in schema["functions"].items():
        lines += _function(token, one)
    lines += ["## Types\n"]
    for token, one in schema["types"].items():
        lines += [f"### {_last(token)}\n", *_type(one)]
    return "\n".join(lines)


def _resource(token: str, one: _Schema) -> Iterator[str]:
    inputs, outputs = one["inputProperties"], one["properties"]
    text, _, _ = one["description"].partition("\n")
    in_place = "as its models say" if one.get("isComponent") else "sends no request"
    yield f"### {_last(token)}\n"
    yield f"`{token}`. {text}\n"
    yield "| input | type | default | meaning | a change |\n| --- | --- | --- | --- | --- |"
    for name, made in inputs.items():
        default = "required" if name in one["requiredInputs"] else _default(made)
        change = "replaces" if made.get("willReplaceOnChanges") else in_place
        meaning = made["description"]
        yield f"| `{name}` | {_kind(made)} | {default} | {meaning} | {change} |"
    also = "the inputs and " if inputs.keys() <= outputs.keys() else ""
    yield f"\nOutputs are {also}these:\n"
    learned = {name: made for name, made in outputs.items() if name not in inputs}
    yield from _table("output", learned)


def _function(token: str, one: _Schema) -> Iterator[str]:
    yield f"### {_last(token)}\n"
    yield f"`{token}`. {one['description']}\n"
    if inputs := one.get("inputs"):
        yield from _table("argument", inputs["properties"], inputs["required"])
    yield from _table("result", one["outputs"]["properties"])


def _type(one: _Schema) -> Iterator[str]:
    if "enum" in one:
        values = ", ".join(f"`{value['value']}`" for value in one["enum"])
        yield f"One of {values}. {one['description']}\n"
    else:
        yield from _table("property", one["properties"], one["required"])


def _table(title: str, properties: _Schema, required: list[str] | None = None) -> Iterator[str]:
    yield f"| {title} | type | meaning |\n| --- | --- | --- |"
    for name, made in properties.items():
        must = " Required." if name in (required or ()) and title != "property" else ""
        yield f"| `{name}` | {_kind(made)} | {made['description']}{must} |"
    yield ""


def _default(made: _Schema) -> str:
    return f"`{json.dumps(made['default'])}`" if "default" in made else "none"


def _kind(made: _Schema) -> str:
    if "$ref" in made:
        name = _last(made["$ref"].removeprefix(_TYPES))
        return f"[{name}](#{name.lower()})"
    if made["type"] == "array":
        return f"list of {_kind(made['items'])}"
    if "additionalProperties" in made:
        return f"map of {_kind(made['additionalProperties'])}"
    return str(made["type"])


def _last(token: str) -> str:
    return token.rpartition(":")[2]
