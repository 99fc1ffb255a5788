"""The schemas that editors use say what the reader says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from bytez_provider.base.errors import InvalidFileError
from bytez_provider.core.declared import ModelInputs
from bytez_provider.fleetfile import read_fleet
from tests.fleetfile.conftest import Write
from tools.schema.generate import FOLDER, schemas

FLEET = json.loads(schemas()["fleet.schema.json"])
OVERLAY = json.loads(schemas()["fleet-overlay.schema.json"])
ID = {"modelId": "openai-community/gpt2"}


@pytest.mark.parametrize("name", schemas())
def test_the_committed_one_is_fresh(name: str) -> None:
    committed = (FOLDER / name).read_text(encoding="utf-8")
    assert committed == schemas()[name], "run: python -m tools.schema"


@pytest.mark.parametrize("schema", [FLEET, OVERLAY])
def test_it_is_a_schema(schema: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(schema)


def test_every_property_of_a_model_is_there_with_a_description() -> None:
    properties = FLEET["$defs"]["model"]["properties"]
    assert list(properties) == list(ModelInputs.model_json_schema(by_alias=True)["properties"])
    assert all(one["description"].endswith(".") for one in properties.values())
    assert all("default" in one for name, one in properties.items() if name != "modelId")
    assert list(FLEET["properties"]["defaults"]["properties"]) == list(properties)[1:]


@pytest.mark.parametrize(
    "document",
    [
        {"models": {}},
        {"models": None, "defaults": None},
        {"models": {"a": ID, "B-2_": {"modelId": "a/b", "concurrency": 2.0}}},
        {"models": {}, "defaults": {"concurrency": 3, "adopt": True, "onExpiry": "accept"}},
        {"models": {"a": {**ID, "expirationPeriodSeconds": None, "expectedHoursPerDay": 24}}},
        {"$schema": "fleet.schema.json", "x-": None, "x-common": [{"any": "thing"}], "models": {}},
    ],
)
def test_good_ones(write: Write, document: object) -> None:
    assert Draft202012Validator(FLEET).is_valid(document)
    assert is_read(write(json.dumps(document)))


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {},
        {"model": {}},
        {"models": {}, "default": {}},
        {"models": {}, "X-common": {}},
        {"models": {}, "$schema": None},
        {"models": {"a": {**ID, "x-common": 1}}},
        {"models": {"ready": ID}},
        {"models": {"a b": ID}},
        {"models": {"a": None}},
        {"models": {"a": {}}},
        {"models": {"a": "openai-community/gpt2"}},
        {"models": {"a": {"modelId": "gpt2"}}},
        {"models": {"a": {**ID, "concurrency": 0}}},
        {"models": {"a": {**ID, "concurrency": 1.5}}},
        {"models": {"a": {**ID, "concurrency": True}}},
        {"models": {"a": {**ID, "concurrency": None}}},
        {"models": {"a": {**ID, "expirationPeriodSeconds": 59}}},
        {"models": {"a": {**ID, "expirationPeriodSeconds": 604801}}},
        {"models": {"a": {**ID, "expectedHoursPerDay": 24.1}}},
        {"models": {"a": {**ID, "onExpiry": "restart"}}},
        {"models": {"a": {**ID, "adopt": "yes"}}},
        {"models": {"a": {**ID, "model_id": "a/b"}}},
        {"models": {}, "defaults": ID},
    ],
)
def test_bad_ones(write: Write, document: object) -> None:
    assert not Draft202012Validator(FLEET).is_valid(document)
    assert not is_read(write(json.dumps(document)))


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
MANY = settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@MANY
@given(document=DOCUMENTS)
@example(document={"models": {"a": {**ID, "concurrency": 1.0}}})
def test_it_takes_what_the_reader_takes(write: Write, document: dict[str, Any]) -> None:
    valid = Draft202012Validator(FLEET).is_valid(document)
    assert valid == is_read(write(json.dumps(document)))


@MANY
@given(document=DOCUMENTS)
def test_so_does_that_of_an_overlay(write: Write, document: dict[str, Any]) -> None:
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
