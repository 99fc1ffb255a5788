"""An environment's overlay over a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from bytez_provider.base.errors import InvalidFileError
from bytez_provider.core.declared import ModelInputs
from bytez_provider.fleetfile import FleetFile, Place, read_fleet
from tests.fleetfile.conftest import Mistakes, Write

BASE = """\
defaults: {concurrency: 1, onExpiry: accept}
models:
  coder: {modelId: a/coder, concurrency: 2, expectedHoursPerDay: 8}
  math: {modelId: a/math}
"""


@pytest.fixture
def with_overlay(write: Write) -> FleetFile:
    path = write(BASE)
    write(
        "defaults: {concurrency: 4}\n"
        "models:\n"
        "  new: {modelId: a/new}\n"
        "  coder: {expectedHoursPerDay: ~, adopt: true}\n",
        "fleet.prod.yaml",
    )
    return read_fleet(path, "prod")


def test_properties_are_replaced_one_by_one(with_overlay: FleetFile) -> None:
    assert with_overlay.models["coder"] == ModelInputs(
        model_id="a/coder", concurrency=2, adopt=True, on_expiry="accept"
    )


def test_defaults_are_replaced_one_by_one(with_overlay: FleetFile) -> None:
    assert with_overlay.models["math"] == ModelInputs(
        model_id="a/math", concurrency=4, on_expiry="accept"
    )


def test_a_new_key_adds_a_model_at_the_end(with_overlay: FleetFile) -> None:
    assert list(with_overlay.models) == ["coder", "math", "new"]
    assert with_overlay.models["new"].concurrency == 4


def test_each_line_is_of_the_file_that_names_it(with_overlay: FleetFile) -> None:
    assert with_overlay.lines == {
        "coder": Place("fleet.yaml", 3, 3),
        "math": Place("fleet.yaml", 4, 3),
        "new": Place("fleet.prod.yaml", 3, 3),
    }


def test_what_a_model_says_in_the_first_file_comes_before_a_default_of_the_overlay(
    write: Write,
) -> None:
    path = write(BASE)
    write("defaults: {concurrency: 9}", "fleet.prod.yaml")
    fleet = read_fleet(path, "prod")
    assert [one.concurrency for one in fleet.models.values()] == [2, 9]


@pytest.mark.parametrize("null", ["~", "null", ""])
def test_null_removes_a_model(write: Write, null: str) -> None:
    path = write(BASE)
    write(f"models:\n  coder: {null}\n", "fleet.prod.yaml")
    assert list(read_fleet(path, "prod").models) == ["math"]


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "{}", "models:", "defaults: {}"])
def test_an_overlay_may_change_nothing(write: Write, text: str) -> None:
    path = write(BASE)
    write(text, "fleet.prod.yaml")
    assert read_fleet(path, "prod").models == read_fleet(path).models


def test_a_model_may_get_another_id(write: Write) -> None:
    path = write(BASE)
    write("models: {math: {modelId: a/math-2}}", "fleet.prod.yaml")
    fleet = read_fleet(path, "prod")
    assert fleet.models["math"].model_id == "a/math-2"
    assert fleet.id_lines["math"] == Place("fleet.prod.yaml", 1, 26)


def test_ids_may_be_swapped(write: Write) -> None:
    path = write(BASE)
    write("models: {math: {modelId: a/coder}, coder: {modelId: a/math}}", "fleet.prod.yaml")
    assert [one.model_id for one in read_fleet(path, "prod").models.values()] == [
        "a/math",
        "a/coder",
    ]


def test_the_overlay_has_the_suffix_of_the_file(write: Write) -> None:
    Path("conf").mkdir()
    path = write(BASE, "conf/my.fleet.yml")
    write("models: {math: ~}", "conf/my.fleet.eu-1.yml")
    assert list(read_fleet(path, "eu-1").models) == ["coder"]


def test_a_mistake_is_told_in_the_file_in_which_it_stands(mistakes: Mistakes) -> None:
    assert mistakes(
        "models:\n  a: {modelId: a/b, concurrency: 0}\n",
        "defaults: {adopt: 1}\nmodels:\n  a: {concurency: 1}\n",
    ) == [
        "2:34: concurrency must be a whole number of at least 1, not 0",
        "prod.1:19: adopt must be true or false, not 1",
        "prod.3:7: 'concurency' is not a property of a model; did you mean 'concurrency'?",
    ]


def test_a_mistake_counts_also_where_the_overlay_takes_its_place(mistakes: Mistakes) -> None:
    text = "models: {a: {modelId: a/b, concurrency: 0}}"
    assert len(mistakes(text, "models: {a: {concurrency: 1}}")) == 1


def test_both_files_are_told_of_when_both_are_broken(mistakes: Mistakes) -> None:
    assert mistakes("models: {", "- a") == [
        (
            "1:10: this is not YAML: expected the node content, but found '<stream end>', while "
            "parsing a flow node from line 1"
        ),
        "prod.1:1: a fleet file is a mapping with 'models', and this is a list",
    ]


def test_a_model_to_be_removed_must_be_there(mistakes: Mistakes) -> None:
    assert mistakes(BASE, "models: {mth: ~}") == [
        "prod.1:10: there is no 'mth' in fleet.yaml to remove; did you mean 'math'?"
    ]


def test_a_new_model_without_an_id_was_meant_for_another(mistakes: Mistakes) -> None:
    assert mistakes(BASE, "models: {codr: {concurrency: 2}}") == [
        (
            "prod.1:10: 'codr' has no 'modelId', and fleet.yaml has no model of this name; "
            "did you mean 'coder'?"
        ),
    ]


def test_one_model_of_both_files(mistakes: Mistakes) -> None:
    assert mistakes(BASE, "models:\n  more: {modelId: a/math}\n") == [
        (
            "prod.2:19: 'more' has the model of 'math' (fleet.yaml:4), and the service holds one "
            "instance a model"
        ),
    ]


def test_a_missing_overlay_is_named(write: Write) -> None:
    with pytest.raises(InvalidFileError) as caught:
        read_fleet(write(BASE), "prod")
    assert str(caught.value) == (
        "could not read 'fleet.yaml': there is no file 'fleet.prod.yaml'. Nothing was changed. "
        "Give another name, or mend what is in the way."
    )
    assert caught.value.problems[0].file == "fleet.prod.yaml"


@pytest.mark.parametrize("name", ["", "a/b", "../x", ".", "a b", "prod\n", "\x1b[31m"])
def test_what_cannot_name_an_environment(write: Write, name: str) -> None:
    with pytest.raises(InvalidFileError, match="cannot name an environment") as caught:
        read_fleet(write(BASE), name)
    assert "\x1b" not in str(caught.value)
