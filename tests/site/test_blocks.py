"""Every block of code on the pages is run by a test, or the page says why not."""

from __future__ import annotations

import ast
import json
import re
from collections import Counter
from pathlib import Path

import pulumi
import pytest
from ruamel.yaml import YAML

from bytez_provider.fleetfile import read_fleet
from bytez_provider.service.catalogue import bundled_catalogue
from tests.programs import MODEL, Engine
from tests.site.blocks import COMMANDS, PAGES, PROGRAMS, ROOT, SHOWN, Block, all_blocks
from tests.site.walks import WALKS

BLOCKS = all_blocks()
HERE = [one for one in BLOCKS if one.is_run_here]
ALONE = [
    one
    for one in HERE
    if one.language not in COMMANDS and not (one.page in WALKS and WALKS[one.page].writes_files)
]


@pytest.mark.parametrize("page", PAGES)
def test_every_fence_is_found(page: str) -> None:
    """What the pattern of blocks does not match would count as no block at all."""
    fences = re.findall(r"^ *```", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE)
    assert len(fences) == 2 * sum(one.page == page for one in BLOCKS)


def test_every_block_has_a_known_language() -> None:
    """A block without one could be a program that nobody runs."""
    unknown = [one for one in BLOCKS if one.language not in PROGRAMS | COMMANDS | SHOWN]
    assert not unknown


def test_every_block_is_run_or_says_why_not() -> None:
    left_out = [one for one in HERE if one.language in COMMANDS and one.page not in WALKS]
    assert not left_out, "add the page to WALKS, or say before the block why it is not run"
    counted = Counter(
        "output" if one.language in SHOWN else "with a reason" if one.reason else "run"
        for one in BLOCKS
    )
    assert counted["run"] >= 60
    assert counted["with a reason"] <= 6


@pytest.mark.parametrize("block", [one for one in BLOCKS if one.test], ids=lambda one: one.test)
def test_the_named_test_exists(block: Block) -> None:
    file, *names = block.test.split("::")
    body: list[ast.stmt] = ast.parse((ROOT / file).read_text(encoding="utf-8")).body
    for name in names:
        found = [
            one
            for one in body
            if isinstance(one, (ast.ClassDef, ast.FunctionDef)) and one.name == name
        ]
        assert found, f"{block.page}: {block.test}"
        body = found[0].body


@pytest.mark.parametrize("block", ALONE, ids=lambda one: f"{one.page}-{one.language}")
def test_a_program_that_stands_alone(block: Block, tmp_path: Path, engine: Engine) -> None:
    if block.language == "python":
        run_program(block.code, engine)
    elif block.language == "json":
        json.loads(block.code)
    elif block.name.startswith("fleet"):
        file = tmp_path / block.name
        file.write_text(block.code, encoding="utf-8")
        assert read_fleet(file).models
    else:
        settings = YAML(typ="safe").load(block.code)
        assert (block.name, settings["runtime"]["name"]) == ("Pulumi.yaml", "python")


def run_program(program: str, engine: Engine) -> None:
    """Run a program; it must declare or read models, and only those that the catalogue has."""
    code = compile(program, "docs", "exec")
    run = pulumi.runtime.test(lambda: exec(code, {"__name__": "__main__"}))  # type: ignore[no-untyped-call]  # noqa: S102
    run()
    models = [one for one in engine.provider.resources if one.typ == MODEL]
    assert models
    known = {entry.model_id for entry in bundled_catalogue().entries()}
    assert {one.inputs.get("modelId", one.resource_id) for one in models} <= known


def test_paths_of_tests_exist() -> None:
    """Tables name the test of a claim."""
    text = (ROOT / "docs" / "verified.md").read_text(encoding="utf-8")
    paths = re.findall(r"`(tests/[^`]+)`", text)
    assert len(paths) >= 4
    assert [path for path in paths if not (ROOT / path).exists()] == []
