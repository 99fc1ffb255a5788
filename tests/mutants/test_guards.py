"""The mutants still fit the code; whether the tests kill them is what `make mutants` says."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tools.mutants.guards import MUTANTS, NAMED
from tools.mutants.mutant import MisfitError, Mutant
from tools.mutants.trial import ROOT


def guard_of(mutant: Mutant) -> str:
    return mutant.guard.replace(" ", "-")


@pytest.mark.parametrize("mutant", MUTANTS, ids=guard_of)
def test_it_fits_and_is_a_program(mutant: Mutant) -> None:
    changed = mutant.applied(ROOT)
    ast.parse(changed)
    assert changed != (ROOT / mutant.path).read_text(encoding="utf-8")


@pytest.mark.parametrize("mutant", MUTANTS, ids=guard_of)
def test_the_tests_that_are_to_notice_exist(mutant: Mutant) -> None:
    assert mutant.tests
    for test in mutant.tests:
        path, *names = test.split("::")
        text = (ROOT / path).read_text(encoding="utf-8")
        for name in names:
            assert re.search(rf"^\s*(class|def) {name.partition('[')[0]}\b", text, re.MULTILINE)


def test_each_guard_has_one_mutant_and_those_that_must_have_one_do() -> None:
    guards = [mutant.guard for mutant in MUTANTS]
    assert len(set(guards)) == len(guards)
    assert set(NAMED) <= set(guards)


@pytest.mark.parametrize("text", ["", "guard\nguard\n"])
def test_what_does_not_occur_once_is_a_misfit(tmp_path: Path, text: str) -> None:
    (tmp_path / "code.py").write_text(text)
    with pytest.raises(MisfitError, match=r"^'it': its lines occur [02] times in code\.py$"):
        Mutant("it", "code.py", "guard\n", "", ("tests",)).applied(tmp_path)
