"""What a valid file declares."""

from __future__ import annotations

import pytest

from bytez_provider.core.declared import ModelInputs
from bytez_provider.fleetfile import Place, read_fleet
from tests.fleetfile.conftest import Write


def test_a_fleet(write: Write) -> None:
    path = write(
        "# The keys name a model within the fleet.\n"
        "defaults: {concurrency: 3, adopt: true, onExpiry: accept, expectedHoursPerDay: 2.5,"
        " expirationPeriodSeconds: 600}\n"
        "models:\n"
        "  z: {modelId: a/b}\n"
        "  a: {modelId: a/c, concurrency: 1, adopt: false, expirationPeriodSeconds: null}\n"
    )
    fleet = read_fleet(path)
    assert fleet.path == path
    assert fleet.models == {
        "z": ModelInputs(
            model_id="a/b",
            concurrency=3,
            adopt=True,
            on_expiry="accept",
            expected_hours_per_day=2.5,
            expiration_period_seconds=600,
        ),
        "a": ModelInputs(model_id="a/c", on_expiry="accept", expected_hours_per_day=2.5),
    }
    assert list(fleet.models) == ["z", "a"]
    assert fleet.lines == {"z": Place("fleet.yaml", 4, 3), "a": Place("fleet.yaml", 5, 3)}
    assert fleet.id_lines["a"] == Place("fleet.yaml", 5, 16)


@pytest.mark.parametrize("models", ["{}", "", "~", "# none\n"])
def test_a_fleet_may_be_empty(write: Write, models: str) -> None:
    assert read_fleet(write(f"models: {models}")).models == {}


@pytest.mark.parametrize("key", ["A-b_9", "1", "0x10", "null", "true", "-", "_", "Ready"])
def test_a_key_is_the_text_as_written(write: Write, key: str) -> None:
    assert list(read_fleet(write(f"models: {{{key}: {{modelId: a/b}}}}")).models) == [key]


@pytest.mark.parametrize(
    ("written", "concurrency"),
    [("2", 2), ("+2", 2), ("2.0", 2), ("2e0", 2), ("0x10", 16), ("0o17", 15), ("010", 10)],
)
def test_numbers_are_those_of_yaml_1_2(write: Write, written: str, concurrency: int) -> None:
    text = f"models: {{a: {{modelId: a/b, concurrency: {written}}}}}"
    assert read_fleet(write(text)).models["a"].concurrency == concurrency


def test_anchors_and_merge_keys(write: Write) -> None:
    fleet = read_fleet(
        write(
            "defaults: &all {concurrency: 2}\n"
            "models:\n"
            "  a: &a {<<: *all, modelId: &id a/b, adopt: true}\n"
            "  b:\n"
            "    modelId: &id a/c\n"
            "    <<: [*a, {adopt: false, onExpiry: accept}]\n"
            "  c: {modelId: a/d, concurrency: 5, <<: *a}\n"
        )
    )
    assert fleet.models == {
        "a": ModelInputs(model_id="a/b", concurrency=2, adopt=True),
        "b": ModelInputs(model_id="a/c", concurrency=2, adopt=True, on_expiry="accept"),
        "c": ModelInputs(model_id="a/d", concurrency=5, adopt=True),
    }
    assert fleet.id_lines["b"] == Place("fleet.yaml", 5, 14)


def test_keys_that_begin_with_x_are_a_place_for_anchors(write: Write) -> None:
    path = write(
        "$schema: fleet.schema.json\n"
        "x-small: &small {concurrency: 2}\n"
        "x-kept: &kept {<<: *small, onExpiry: accept, anything: [1, {else: null}]}\n"
        "x-: \n"
        "models:\n"
        "  a: {<<: *small, modelId: a/b}\n"
        "  x-b: {modelId: a/c}\n"
    )
    write("$schema: x\nx-big: &big {concurrency: 9}\nmodels: {a: *big}", "fleet.prod.yaml")
    assert read_fleet(path).models == {
        "a": ModelInputs(model_id="a/b", concurrency=2),
        "x-b": ModelInputs(model_id="a/c"),
    }
    assert read_fleet(path, "prod").models["a"].concurrency == 9


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffmodels:\r\n  a:\r\n    modelId: a/b\r\n",
        "---\nmodels: {a: {modelId: a/b}}\n...\n",
        "%YAML 1.2\n---\nmodels: {a: {modelId: a/b}}",
        '{\n\t"$schema": "fleet.schema.json",\n\t"models": {"a": {"modelId": "a/b"}}\n}\n',
        "models: {a: {modelId: 'a/b'}}",
        "models:\n  a:\n    modelId: >-\n      a/b\n",
    ],
)
def test_other_ways_to_write_the_same(write: Write, text: str) -> None:
    assert read_fleet(write(text)).models == {"a": ModelInputs(model_id="a/b")}
