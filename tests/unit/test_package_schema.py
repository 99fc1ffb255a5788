"""The schema of the Pulumi package has what the tables of inputs and settings have.

tests/fleetfile/test_schema.py holds that the file is fresh.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import bytez_provider
from bytez_provider.base.urns import FLEET_TYPE, NATIVE_MODEL_TYPE
from bytez_provider.core.inputs import INPUTS, REQUIRED, Change, Input
from bytez_provider.service.settings import SETTINGS

FILE = Path(bytez_provider.__file__).parent / "data" / "schema.json"
SCHEMA: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
TYPES = SCHEMA["types"]
RESOURCES = SCHEMA["resources"]
MODEL = RESOURCES[NATIVE_MODEL_TYPE]


def target(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the type that a property refers to, or the property itself."""
    return dict(TYPES[schema["$ref"].removeprefix("#/types/")] if "$ref" in schema else schema)


@pytest.mark.parametrize("one", INPUTS.values(), ids=lambda one: one.in_state)
def test_an_input_is_there_with_all_that_the_table_says(one: Input) -> None:
    made = MODEL["inputProperties"][one.in_state]
    assert made["description"] == one.help
    assert made.get("default") == (None if one.default is REQUIRED else one.default)
    assert made.get("willReplaceOnChanges", False) is (one.change is Change.REPLACE)
    assert target(made)["type"] == one.schema["type"]
    assert [value["value"] for value in target(made).get("enum", [])] == one.schema.get("enum", [])
    assert (one.in_state in MODEL["requiredInputs"]) is (one.default is REQUIRED)
    assert MODEL["properties"][one.in_state]["description"] == one.help


def test_no_other_input_is_there() -> None:
    names = {one.in_state for one in INPUTS.values()}
    assert MODEL["inputProperties"].keys() == names
    assert TYPES["bytez:index:FleetModel"]["properties"].keys() == names
    assert TYPES["bytez:index:FleetDefaults"]["properties"].keys() == names - {"modelId"}


def test_the_provider_has_the_settings_and_only_the_key_is_secret() -> None:
    provider = SCHEMA["provider"]
    for found in (
        SCHEMA["config"]["variables"],
        provider["inputProperties"],
        provider["properties"],
    ):
        assert {name: one["description"] for name, one in found.items()} == SETTINGS
        assert [name for name, one in found.items() if one.get("secret")] == ["key"]


@pytest.mark.parametrize("name", [NATIVE_MODEL_TYPE, FLEET_TYPE])
def test_a_resource_has_an_example_in_each_language(name: str) -> None:
    description = RESOURCES[name]["description"]
    (examples,) = re.findall(r"{{% examples %}}(.*){{% /examples %}}", description, re.DOTALL)
    (example,) = re.findall(r"{{% example %}}(.*){{% /example %}}", examples, re.DOTALL)
    programs = dict(re.findall(r"^```(\w+)\n(.*?)^```$", example, re.MULTILINE | re.DOTALL))
    assert programs.keys() == {"yaml", "python", "typescript"}
    kind = name.rpartition(":")[2]
    assert f"type: bytez:{kind}" in programs["yaml"]
    assert f"bytez.{kind}(" in programs["python"]
    assert f"new bytez.{kind}(" in programs["typescript"]


def test_everything_has_a_description() -> None:
    for name, one in {**RESOURCES, **SCHEMA["functions"]}.items():
        assert one["description"], name
        outputs = one.get("properties", one.get("outputs", {}).get("properties", {}))
        for output, made in {**one.get("inputProperties", {}), **outputs}.items():
            assert made.get("description"), f"{name}: {output}"
    for name, one in TYPES.items():
        for part, made in one.get("properties", {}).items():
            assert made.get("description"), f"{name}: {part}"
