"""JSON Schemas (2020-12) of fleet files, overlays and the output of commands.

The properties of a model come from the table of inputs, the schemas of output from its pydantic
models.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel

import bytez_provider
from bytez_provider.audit import Audit
from bytez_provider.core.fleets import READY_KEY
from bytez_provider.core.inputs import INPUTS, REQUIRED, Change
from bytez_provider.fleetfile._reading import (
    KEY_PATTERN,
    MODEL_ID,
    OWN_PREFIX,
    SCHEMA_KEY,
)
from bytez_provider.review import Review
from tools.schema.package import make_schema

FOLDER = Path(bytez_provider.__file__).parent / "data"

PRINTED: dict[str, tuple[type[BaseModel], str]] = {
    "audit.schema.json": (Audit, "What `bytez-fleet audit --json` prints"),
    "review.schema.json": (Review, "What `bytez-fleet review --json` prints"),
}
"""Output of commands: model and title by the file of the schema."""

_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_CHANGE = {
    Change.REPLACE: "A change replaces the load, with an outage of one boot, 6 to 15 minutes.",
    Change.RESCALE: "A change replaces the load, with an outage of one boot, 6 to 15 minutes; with "
    "bytez:apiVersion 2025-04 it is made in place.",
    Change.UPDATE: "A change sends no request.",
}


def schemas() -> dict[str, str]:
    """Return the text of each schema by the name of its file."""
    made = {
        "fleet.schema.json": _document(is_overlay=False),
        "fleet-overlay.schema.json": _document(is_overlay=True),
        **{name: _printed(model, title) for name, (model, title) in PRINTED.items()},
        "schema.json": make_schema(),
    }
    return {name: json.dumps(schema, indent=2) + "\n" for name, schema in made.items()}


def _document(*, is_overlay: bool) -> dict[str, Any]:
    properties = _properties()
    model: dict[str, Any] = {
        "description": "A model to keep loaded.",
        "type": "object",
        "properties": properties,
        "required": [MODEL_ID],
        "additionalProperties": False,
    }
    if is_overlay:
        model["description"] = "A model to add or to change in these properties; null removes it."
        model["type"] = ["object", "null"]
        del model["required"]
    document: dict[str, Any] = {
        "$schema": _DRAFT,
        "title": "An overlay of a Bytez fleet" if is_overlay else "A fleet of Bytez models",
        "description": "The differences of one environment: fleet.prod.yaml for fleet.yaml."
        if is_overlay
        else "The models to keep loaded, and their defaults.",
        "type": ["object", "null"] if is_overlay else "object",
        "properties": {
            SCHEMA_KEY: {
                "description": "The path or address of this schema, for editors.",
                "type": "string",
            },
            "defaults": {
                "description": "Properties of each model that does not set them itself.",
                "type": ["object", "null"],
                "properties": {
                    name: {"$ref": f"#/$defs/model/properties/{name}"}
                    for name in properties
                    if name != MODEL_ID
                },
                "additionalProperties": False,
            },
            "models": {
                "description": "The models by their names within the fleet: letters, digits, '-' "
                f"and '_', but not '{READY_KEY}'.",
                "type": ["object", "null"],
                "propertyNames": {"pattern": KEY_PATTERN, "not": {"const": READY_KEY}},
                "additionalProperties": {"$ref": "#/$defs/model"},
            },
        },
        "patternProperties": {
            f"^{OWN_PREFIX}": {
                "description": "Yours, not read. A place for anchors: merge "
                "x-common: &common {concurrency: 2} into models with <<: *common.",
            },
        },
        "additionalProperties": False,
        "$defs": {"model": model},
    }
    if not is_overlay:
        document["required"] = ["models"]
    return document


def _properties() -> dict[str, Any]:
    properties = {}
    for one in INPUTS.values():
        made = {"description": f"{one.help} {_CHANGE[one.change]}", **one.schema}
        if one.default is None:
            made["type"] = [made["type"], "null"]
        if one.default is not REQUIRED:
            made["default"] = one.default
        properties[one.in_state] = made
    return properties


def _printed(model: type[BaseModel], title: str) -> dict[str, Any]:
    made = model.model_json_schema(by_alias=True, mode="serialization")
    return {"$schema": _DRAFT, "title": title, **_untitled(made)}


def _untitled(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema without titles of its parts, which repeat their names."""
    bare = {name: value for name, value in schema.items() if name != "title"}
    for within in ("properties", "$defs"):
        parts = bare.get(within, {})
        if parts:
            bare[within] = {name: _untitled(part) for name, part in parts.items()}
    return bare
