"""The schemas for editors accept what the reader accepts."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from bytez_provider.base.errors import InvalidFileError
from bytez_provider.core.declared import ModelInputs
from bytez_provider.core.inputs import INPUTS
from bytez_provider.fleetfile import read_fleet
from tests.fleetfile.conftest import QUICK, Write
from tools.schema.generate import FOLDER, schemas

FLEET = json.loads(schemas()["fleet.schema.json"])
OVERLAY = json.loads(schemas()["fleet-overlay.schema.json"])
ID = {"modelId": "openai-community/gpt2"}


@pytest.mark.parametrize("name", schemas())
def test_the_committed_file_is_current(name: str) -> None:
    committed = (FOLDER / name).read_text(encoding="utf-8")
    assert committed == schemas()[name], "run: python -m tools.schema"


def test_it_has_each_property_with_description_and_default() -> None:
    Draft202012Validator.check_schema(FLEET)
    Draft202012Validator.check_schema(OVERLAY)
    properties = FLEET["$defs"]["model"]["properties"]
    assert list(properties) == [
        INPUTS[one.name].in_state for one in dataclasses.fields(ModelInputs)
    ]
    assert all(one["description"].endswith(".") for one in properties.values())
    assert all("default" in one for name, one in properties.items() if name != "modelId")
    assert list(FLEET["properties"]["defaults"]["properties"]) == list(properties)[1:]


@pytest.mark.parametrize(
    ("document", "is_valid"),
    [
        ({"models": None, "defaults": None}, True),
        ({"models": {"a": ID, "B-2_": {"modelId": "a/b", "concurrency": 2.0}}}, True),
        ({"models": {"a": {**ID, "expirationPeriodSeconds": None, "onExpiry": "accept"}}}, True),
        ({"$schema": "a.json", "x-": None, "x-common": [{"any": "thing"}], "models": {}}, True),
        (None, False),
        ({}, False),
        ({"models": {}, "X-common": {}}, False),
        ({"models": {"a": {**ID, "x-common": 1}}}, False),
        ({"models": {"ready": ID}}, False),
        ({"models": {"a b": ID}}, False),
        ({"models": {"a": None}}, False),
        ({"models": {"a": {**ID, "concurrency": True}}}, False),
        ({"models": {"a": {**ID, "expirationPeriodSeconds": 604801}}}, False),
        ({"models": {"a": {**ID, "expectedHoursPerDay": 24.1}}}, False),
        ({"models": {}, "defaults": ID}, False),
    ],
)
def test_documents(write: Write, document: object, is_valid: bool) -> None:
    assert Draft202012Validator(FLEET).is_valid(document) is is_valid
    assert is_read(write(json.dumps(document))) is is_valid


# ----------------------------------------------------------------------- the same as the reader

VALUES: st.SearchStrategy[Any] = st.sampled_from(
    [
        *(None, True, False, 0, 1, 1.0, 1.5, 24, 24.5, -1, 59, 60, 604800, 604801, [], {}),
        *("", "1", "gpt2", "a/b", "a/b/c", "a/.b", " a/b", "reload", "accept"),
    ]
)
PROPERTIES = st.dictionaries(
    st.sampled_from([*list(FLEET["$defs"]["model"]["properties"]), "x"]), VALUES
)
MODEL = PROPERTIES | PROPERTIES.map(lambda given: {**given, **ID}) | st.none()
DOCUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "models": st.dictionaries(st.sampled_from(["a", "ready", "a b", "-"]), MODEL, max_size=1)
        | st.none()
        | VALUES,
        "defaults": PROPERTIES | VALUES,
        "more": st.none(),
        "$schema": VALUES,
        "x-mine": VALUES,
    },
)


@QUICK
@given(document=DOCUMENTS)
@example(document={"models": {"a": {**ID, "concurrency": 1.0}}})
def test_the_schema_accepts_what_the_reader_accepts(write: Write, document: dict[str, Any]) -> None:
    valid = Draft202012Validator(FLEET).is_valid(document)
    assert valid == is_read(write(json.dumps(document)))


@QUICK
@given(document=DOCUMENTS)
def test_so_does_the_schema_of_an_overlay(write: Write, document: dict[str, Any]) -> None:
    # Over a file that has every model that the overlay may remove or change.
    path = write("models: {a: {modelId: b/a}, '-': {modelId: b/b}}")
    write(json.dumps(document), "fleet.prod.yaml")
    valid = Draft202012Validator(OVERLAY).is_valid(document)
    assert valid == is_read(path, "prod")


def is_read(path: Path, environment: str | None = None) -> bool:
    try:
        read_fleet(path, environment)
    except InvalidFileError:
        return False
    return True
