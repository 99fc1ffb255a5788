"""The schema of the Pulumi package, made from the tables of inputs and settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from bytez_provider import __version__
from bytez_provider.core.inputs import INPUTS, REQUIRED, Change, Input
from bytez_provider.native.provider import OF_RESOURCE
from bytez_provider.service.settings import SETTINGS

_Schema = dict[str, Any]
_TEXT, _WHOLE, _NUMBER, _FLAG = ({"type": t} for t in ("string", "integer", "number", "boolean"))
# The SDK of a language gets the version of the schema, and asks the engine for that plugin.
_VERSIONED: Final = {"respectSchemaVersion": True}
_ON_EXPIRY: Final = "bytez:index:OnExpiry"

_LEARNED: Final[Mapping[str, _Schema]] = {
    "status": {
        **_TEXT,
        "description": "RUNNING; DEPLOYING after an interrupted wait; FAILED; NOT_LOADED if expiry "
        "is accepted.",
    },
    "created": {
        **_TEXT,
        "description": "When the load was accepted, ISO 8601 in UTC. Identifies the load.",
    },
    "adoptedAt": {
        **_TEXT,
        "description": "When the load was taken over, ISO 8601 in UTC, if this resource did not "
        "make it.",
    },
    "readAt": {
        **_TEXT,
        "description": "When the load was read by its id, by an import or a `get`, ISO 8601 in "
        "UTC.",
    },
    "apiVersion": {
        **_TEXT,
        "description": "The version of the API that has the load; left out for those of 2024.",
    },
    "granted": {
        "$ref": "#/types/bytez:index:Granted",
        "description": "The settings that the service reports, if they differ from those "
        "requested.",
    },
    "requiredRamGb": {
        **_NUMBER,
        "description": "GPU RAM of one instance in GB, from the catalogue, if it is known.",
    },
    "benchmarked": {**_FLAG, "description": "Whether the catalogue calls the model benchmarked."},
    "endpoint": {**_TEXT, "description": "The address of the API where it is loaded."},
    "account": {**_TEXT, "description": "A hash that only distinguishes accounts."},
}
"""The outputs of a model that are not inputs."""

_SCALE: Final[Mapping[str, _Schema]] = {
    "maxConcurrency": {**_WHOLE, "description": "The most instances."},
    "instances": {
        **_WHOLE,
        "description": "Instances that there are now, those that boot included.",
    },
}
_SEEN: Final[Mapping[str, _Schema]] = {
    "status": {**_TEXT, "description": "The status in the service's own word."},
    "concurrency": {**_WHOLE, "description": "Instances behind the model's address."},
    "expirationPeriodSeconds": {
        **_WHOLE,
        "description": "Idle seconds after which the service unloads the model.",
    },
    "scale": {
        "$ref": "#/types/bytez:index:Scale",
        "description": "How it scales, with bytez:apiVersion 2025-04.",
    },
    "inferences": {**_WHOLE, "description": "Runs since the model was loaded."},
    "created": {**_TEXT, "description": "When the load was accepted, ISO 8601 in UTC."},
    "modified": {**_TEXT, "description": "When the service last changed it, ISO 8601 in UTC."},
    "expiresAt": {
        **_TEXT,
        "description": "When the service unloads it if nobody runs it, ISO 8601 in UTC.",
    },
    "error": {**_TEXT, "description": "Why it failed, if the service says so."},
}
"""What the service reports about a load."""

_EXAMPLE: Final = (
    "{{{{% examples %}}}}\n## Example\n{{{{% example %}}}}\n```yaml\nresources:\n{yaml}\n```\n"
    "```python\n{python}\n```\n```typescript\n{typescript}\n```\n"
    "{{{{% /example %}}}}\n{{{{% /examples %}}}}"
)


def make_schema() -> _Schema:
    """Return the schema."""
    model_id = {"modelId": {**_TEXT, "description": INPUTS["model_id"].help}}
    settings = {
        name: {**_TEXT, "description": text, **({"secret": True} if name == "key" else {})}
        for name, text in SETTINGS.items()
    }
    declared = {one.in_state: _property(one) for one in INPUTS.values()}
    return {
        "name": "bytez",
        "version": __version__,
        "displayName": "Bytez",
        "description": "Bytez models as Pulumi resources: what Pulumi says is loaded is loaded.",
        "keywords": ["bytez", "inference", "category/cloud", "kind/native"],
        "license": "Apache-2.0",
        "publisher": "bytez_provider",
        "meta": {"moduleFormat": "(.*)"},
        "config": {"variables": settings},
        "provider": {
            "description": "The account and the endpoint of models. Without one, the stack's "
            "`bytez:` config counts.",
            "inputProperties": settings,
            "properties": settings,
        },
        "types": _types(),
        "resources": {
            "bytez:index:Model": _model(declared),
            "bytez:index:Fleet": _fleet(),
        },
        "functions": {
            "bytez:index:getModel": {
                "description": "Returns a loaded model, whoever loaded it. It is an error if it is "
                "not loaded.",
                "inputs": {"type": "object", "properties": model_id, "required": ["modelId"]},
                "outputs": _object(
                    {
                        name: _output(name, declared)
                        for name in (*declared, *_LEARNED)
                        if name not in OF_RESOURCE
                    },
                    ["modelId", "concurrency", "status", "endpoint", "account"],
                ),
            },
            "bytez:index:getModels": {
                "description": "Returns the models that the service can load, from its catalogue.",
                "inputs": _object(
                    {
                        "search": {
                            **_TEXT,
                            "description": "Words that must all occur in the id of a model.",
                        }
                    },
                    [],
                ),
                "outputs": _object(
                    {"models": _list_of("CatalogueEntry", "The models.")}, ["models"]
                ),
            },
            "bytez:index:getInstances": {
                "description": "Returns what is loaded in the account, whoever loaded it.",
                "outputs": _object(
                    {"instances": _list_of("Instance", "The instances.")}, ["instances"]
                ),
            },
        },
        "language": {
            **dict.fromkeys(("csharp", "go", "nodejs"), _VERSIONED),
            "python": {**_VERSIONED, "pyproject": {"enabled": True}},
        },
    }


def _model(declared: Mapping[str, _Schema]) -> _Schema:
    example = _EXAMPLE.format(
        yaml="  phi:\n    type: bytez:Model\n    properties:\n      modelId: microsoft/phi-1\n"
        "      concurrency: 2",
        python="import pulumi_bytez as bytez\n\n"
        'phi = bytez.Model("phi", model_id="microsoft/phi-1", concurrency=2)',
        typescript='import * as bytez from "@pulumi/bytez";\n\n'
        'const phi = new bytez.Model("phi", {modelId: "microsoft/phi-1", concurrency: 2});',
    )
    return {
        "description": "A Bytez model that is loaded for as long as the stack declares it.\n\n"
        + example,
        "inputProperties": declared,
        "requiredInputs": ["modelId"],
        "properties": {name: _output(name, declared) for name in (*declared, *_LEARNED)},
        "required": [
            "modelId",
            "concurrency",
            "adopt",
            "onExpiry",
            "status",
            "endpoint",
            "account",
        ],
    }


def _fleet() -> _Schema:
    example = _EXAMPLE.format(
        yaml="  chat:\n    type: bytez:Fleet\n    properties:\n      defaults: {onExpiry: reload}\n"
        "      models:\n        phi: {modelId: microsoft/phi-1}\n"
        "        gpt2: {modelId: openai-community/gpt2, concurrency: 2}",
        python="import pulumi_bytez as bytez\n\n"
        'chat = bytez.Fleet("chat", models={\n    "phi": {"model_id": "microsoft/phi-1"},\n'
        '    "gpt2": {"model_id": "openai-community/gpt2", "concurrency": 2},\n})',
        typescript='import * as bytez from "@pulumi/bytez";\n\n'
        'const chat = new bytez.Fleet("chat", {models: {\n    phi: {modelId: "microsoft/phi-1"},\n'
        '    gpt2: {modelId: "openai-community/gpt2", concurrency: 2},\n}});',
    )
    return {
        "isComponent": True,
        "description": "Models that are loaded at the same time and waited for together. Each is a "
        "`Model` named `<fleet>-<key>`.\n\n" + example,
        "inputProperties": {
            "models": {
                **_map_of("FleetModel"),
                "description": "The models by a key, which becomes a part of the names of their "
                "resources.",
            },
            "defaults": {
                "$ref": "#/types/bytez:index:FleetDefaults",
                "description": "Arguments for each model that does not set them itself.",
            },
        },
        "requiredInputs": ["models"],
        "properties": {
            "statuses": {
                "type": "object",
                "additionalProperties": _TEXT,
                "description": "The status of each model by its key.",
            },
            "members": {
                **_map_of("FleetMember"),
                "description": "What is known of each model, by its key.",
            },
            "totalRequiredRamGb": {
                **_NUMBER,
                "description": "GPU RAM in GB of all instances whose RAM is known.",
            },
            "unknownRam": {
                "type": "array",
                "items": _TEXT,
                "description": "Ids of the models whose RAM is unknown; the total does not include "
                "them.",
            },
        },
        "required": ["statuses", "members", "totalRequiredRamGb", "unknownRam"],
    }


def _types() -> _Schema:
    plain = {one.in_state: _property(one, plain=True) for one in INPUTS.values()}
    defaults = {name: one for name, one in plain.items() if name != "modelId"}
    model_id = {"modelId": {**_TEXT, "description": INPUTS["model_id"].help}}
    counts = {name: _SEEN[name] for name in ("concurrency", "expirationPeriodSeconds")}
    seen = {name: _LEARNED[name] for name in ("requiredRamGb", "endpoint", "status")}
    return {
        _ON_EXPIRY: {
            "type": "string",
            "description": INPUTS["on_expiry"].help,
            "enum": [{"value": value} for value in INPUTS["on_expiry"].schema["enum"]],
        },
        "bytez:index:Granted": _object({**counts, "maxConcurrency": _SCALE["maxConcurrency"]}, []),
        "bytez:index:Scale": _object(_SCALE, []),
        "bytez:index:FleetModel": _object(plain, ["modelId"]),
        "bytez:index:FleetDefaults": _object(defaults, []),
        "bytez:index:FleetMember": _object(
            {**model_id, "concurrency": _SEEN["concurrency"], **seen}, ["modelId", "status"]
        ),
        "bytez:index:CatalogueEntry": _object(
            {
                **model_id,
                **{name: _LEARNED[name] for name in ("requiredRamGb", "benchmarked")},
                "dollarsPerSecond": {
                    **_TEXT,
                    "description": "US dollars for a second of one instance, as a decimal, if "
                    "the catalogue has prices.",
                },
            },
            ["modelId"],
        ),
        "bytez:index:Instance": _object({**model_id, **_SEEN}, ["modelId", "status"]),
    }


def _property(one: Input, *, plain: bool = False) -> _Schema:
    """Return an input of a resource, or a plain one of a map."""
    schema: _Schema = (
        {"$ref": f"#/types/{_ON_EXPIRY}"} if "enum" in one.schema else {"type": one.schema["type"]}
    )
    schema["description"] = one.help
    if not plain and one.default not in (REQUIRED, None):
        schema["default"] = one.default
    if not plain and one.change is Change.REPLACE:
        schema["willReplaceOnChanges"] = True
    return schema


def _output(name: str, declared: Mapping[str, _Schema]) -> _Schema:
    found = declared.get(name) or _LEARNED[name]
    return {k: v for k, v in found.items() if k not in ("default", "willReplaceOnChanges")}


def _object(properties: Mapping[str, Any], required: list[str]) -> _Schema:
    return {"type": "object", "properties": dict(properties), "required": required}


def _map_of(name: str) -> _Schema:
    return {"type": "object", "additionalProperties": {"$ref": f"#/types/bytez:index:{name}"}}


def _list_of(name: str, description: str) -> _Schema:
    items = {"$ref": f"#/types/bytez:index:{name}"}
    return {"type": "array", "items": items, "description": description}
