"""`bytez-fleet validate`, as a process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from bytez_provider.emulator import Emulator
from tests.cli.fleet import KEY, Fleet

GOOD = """\
models:
  coder: {modelId: deepseek-ai/deepseek-coder-1.3b-instruct, concurrency: 2}
  small: {modelId: openai-community/gpt2}
"""
UNPRICED = "  medium: {modelId: openai-community/gpt2-medium}\n"
MISSPELLED = "  wrong: {modelId: openai-comunity/gpt2}\n"
BAD = "models:\n  a: {modelId: a/b, concurency: 2}\n  b: {modelId: 1}\n"


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(keys=[KEY], clock="manual") as emulator:
        yield emulator


@pytest.fixture
def fleet(tmp_path: Path, emulator: Emulator) -> Fleet:
    return Fleet(tmp_path, emulator)


def write(fleet: Fleet, text: str, name: str = "fleet.yaml") -> None:
    (fleet.folder / name).write_text(text, encoding="utf-8")


def test_ram_that_is_unknown_is_named_and_not_counted_as_zero(fleet: Fleet) -> None:
    write(fleet, GOOD)
    write(fleet, GOOD + UNPRICED, "some.yaml")
    write(fleet, "models:\n" + UNPRICED, "one.yaml")
    write(fleet, "models: {}", "none.yaml")
    done = fleet.run("validate", "fleet.yaml", "some.yaml", "one.yaml", "none.yaml").ok()
    assert done.err == ""
    assert done.out.splitlines() == snapshot(
        [
            "fleet.yaml: 2 models, 12.82 GB RAM",
            "some.yaml: 3 models, 12.82 GB RAM, unknown RAM: openai-community/gpt2-medium",
            "one.yaml: 1 model, unknown RAM: openai-community/gpt2-medium",
            "none.yaml: 0 models, 0.00 GB RAM",
        ]
    )


def test_all_files_are_checked_and_every_problem_has_its_line(fleet: Fleet) -> None:
    write(fleet, BAD, "bad.yaml")
    write(fleet, GOOD)
    done = fleet.run("validate", "bad.yaml", "no.yaml", "fleet.yaml")
    assert done.code == 2
    assert done.out.splitlines() == snapshot(
        [
            "bad.yaml:2:21: a model has no property 'concurency'; did you mean 'concurrency'?",
            (
                "bad.yaml:3:16: modelId must be a model id of the form 'owner/name', as "
                "'openai-community/gpt2', not 1"
            ),
            "no.yaml: there is no file 'no.yaml'",
            "fleet.yaml: 2 models, 12.82 GB RAM",
        ]
    )


def test_an_unknown_model_is_a_mistake_if_the_service_says_so(fleet: Fleet) -> None:
    write(fleet, GOOD + MISSPELLED)
    done = fleet.run("validate", "fleet.yaml")
    assert done.code == 2
    assert done.out.startswith("fleet.yaml:4:20: 'openai-comunity/gpt2' is not in ")
    assert "'openai-community/gpt2'" in done.out


def test_without_a_key_an_unknown_model_is_a_warning(fleet: Fleet, emulator: Emulator) -> None:
    write(fleet, GOOD + MISSPELLED)
    done = fleet.run("validate", "fleet.yaml", BYTEZ_KEY="").ok()
    assert done.out.startswith("fleet.yaml:4:20: warning: 'openai-comunity/gpt2' is not in the")
    assert emulator.requests() == []


def test_an_environment(fleet: Fleet) -> None:
    write(fleet, GOOD)
    write(fleet, "models:\n  coder: ~\n", "fleet.prod.yaml")
    done = fleet.run("validate", "fleet.yaml", "--environment", "prod").ok()
    assert done.out.startswith("fleet.yaml: 1 model, ")
    done = fleet.run("validate", "fleet.yaml", "--environment", "eu")
    assert (done.code, done.out) == (2, "fleet.eu.yaml: there is no file 'fleet.eu.yaml'\n")


def test_the_catalogue_is_asked_once_and_only_for_valid_files(
    fleet: Fleet, emulator: Emulator
) -> None:
    write(fleet, BAD, "bad.yaml")
    fleet.run("validate", "bad.yaml")
    assert emulator.requests() == []
    write(fleet, GOOD)
    fleet.run("validate", "fleet.yaml", "fleet.yaml").ok()
    assert [one.path for one in emulator.requests()] == ["/model/list"]


def test_json(fleet: Fleet) -> None:
    write(fleet, GOOD + UNPRICED)
    write(fleet, BAD, "bad.yaml")
    done = fleet.run("validate", "fleet.yaml", "bad.yaml", "--json")
    assert done.code == 2
    good, bad = done.document["files"]
    assert done.document["valid"] is False
    assert good == {
        "path": "fleet.yaml",
        "valid": True,
        "models": 3,
        "requiredRamGb": 12.82,
        "unknownRam": ["openai-community/gpt2-medium"],
        "problems": [],
    }
    assert bad["models"] is None
    problem = bad["problems"][0]
    assert "concurency" in problem.pop("message")
    assert problem == {
        "path": "bad.yaml",
        "line": 2,
        "column": 21,
        "severity": "error",
        "meant": ["concurrency"],
    }
