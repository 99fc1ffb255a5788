"""The threat model names the test that holds each claim: that test is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[^`]+)`", PAGE)) - {"tests/fleet"})


def names_in(file: Path) -> set[str]:
    """Return the tests of a file, as pytest names them less their parameters."""
    names = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        within = node.body if isinstance(node, ast.ClassDef) else [node]
        prefix = f"{node.name}::" if isinstance(node, ast.ClassDef) else ""
        names |= {f"{prefix}{one.name}" for one in within if isinstance(one, ast.FunctionDef)}
    return {name for name in names if name.rpartition("::")[2].startswith("test_")}


@pytest.mark.parametrize("named", NAMED)
def test_the_named_test_exists(named: str) -> None:
    path, _, name = named.partition("::")
    assert name in names_in(ROOT / path)


def test_every_claim_in_a_table_names_a_test_or_says_that_there_is_none() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ")]
    claims = [row for row in rows if "held by" not in row]
    assert len(claims) >= 14
    for row in claims:
        assert "::test_" in row or "not defended" in row, row


def test_it_names_many() -> None:
    assert len(NAMED) >= 40
