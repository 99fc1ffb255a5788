"""An overlay for one environment."""

from __future__ import annotations

from pathlib import Path

import pytest
from inline_snapshot import snapshot

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


def laid_over(write: Write, overlay: str) -> FleetFile:
    path = write(BASE)
    write(overlay, "fleet.prod.yaml")
    return read_fleet(path, "prod")


def test_properties_and_defaults_are_replaced_one_by_one(write: Write) -> None:
    fleet = laid_over(
        write,
        "defaults: {concurrency: 4}\n"
        "models:\n"
        "  new: {modelId: a/new}\n"
        "  coder: {expectedHoursPerDay: ~, adopt: true}\n",
    )
    # What a model sets itself, in either file, comes before any default.
    assert fleet.models == {
        "coder": ModelInputs(model_id="a/coder", concurrency=2, adopt=True, on_expiry="accept"),
        "math": ModelInputs(model_id="a/math", concurrency=4, on_expiry="accept"),
        "new": ModelInputs(model_id="a/new", concurrency=4, on_expiry="accept"),
    }
    assert list(fleet.models) == ["coder", "math", "new"]
    assert fleet.lines == {
        "coder": Place("fleet.yaml", 3, 3),
        "math": Place("fleet.yaml", 4, 3),
        "new": Place("fleet.prod.yaml", 3, 3),
    }


@pytest.mark.parametrize("null", ["~", "null", ""])
def test_null_removes_a_model(write: Write, null: str) -> None:
    assert list(laid_over(write, f"models:\n  coder: {null}\n").models) == ["math"]


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "{}", "models:", "defaults: {}"])
def test_an_overlay_may_change_nothing(write: Write, text: str) -> None:
    assert laid_over(write, text).models == read_fleet(Path("fleet.yaml")).models


def test_ids_may_be_swapped(write: Write) -> None:
    fleet = laid_over(write, "models: {math: {modelId: a/coder}, coder: {modelId: a/math}}")
    assert [one.model_id for one in fleet.models.values()] == ["a/math", "a/coder"]
    assert fleet.id_lines["math"] == Place("fleet.prod.yaml", 1, 26)


def test_the_overlay_has_the_suffix_of_the_file(write: Write) -> None:
    Path("conf").mkdir()
    path = write(BASE, "conf/my.fleet.yml")
    write("models: {math: ~}", "conf/my.fleet.eu-1.yml")
    assert list(read_fleet(path, "eu-1").models) == ["coder"]


@pytest.mark.parametrize(
    ("base", "overlay", "found"),
    [
        (
            "models:\n  a: {modelId: a/b, concurrency: -1}\n",
            "defaults: {adopt: 1}\nmodels:\n  a: {concurrency: 1, concurency: 1}\n",
            ["2:34", "prod.1:19", "prod.3:23"],
        ),
        ("models: {", "- a", ["1:10", "prod.1:1"]),
    ],
)
def test_mistakes_of_both_files_are_reported(
    mistakes: Mistakes, base: str, overlay: str, found: list[str]
) -> None:
    assert [one.partition(": ")[0] for one in mistakes(base, overlay)] == found


def test_a_model_that_is_only_in_the_overlay(mistakes: Mistakes) -> None:
    models = "models:\n  mth: ~\n  codr: {concurrency: 2}\n  more: {modelId: a/math}\n"
    assert mistakes(BASE, models) == snapshot(
        [
            "prod.2:3: fleet.yaml has no model 'mth' to remove; did you mean 'math'?",
            (
                "prod.3:3: 'codr' has no 'modelId', and fleet.yaml has no model of that name; did "
                "you mean 'coder'?"
            ),
            (
                "prod.4:19: 'more' is the same model as 'math' (fleet.yaml:4), and the service "
                "loads a model only once"
            ),
        ]
    )


def test_a_missing_overlay_is_named(write: Write) -> None:
    with pytest.raises(InvalidFileError) as caught:
        read_fleet(write(BASE), "prod")
    assert caught.value.observed == "there is no file 'fleet.prod.yaml'"
    assert caught.value.problems[0].file == "fleet.prod.yaml"


@pytest.mark.parametrize("name", ["", "a/b", "../x", ".", "a b", "prod\n", "\x1b[31m"])
def test_an_invalid_environment_is_refused(write: Write, name: str) -> None:
    with pytest.raises(InvalidFileError, match="cannot name an environment") as caught:
        read_fleet(write(BASE), name)
    assert str(caught.value).isprintable()
