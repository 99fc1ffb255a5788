"""The threat model names the test that holds each claim: that test is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[^`]+)`", PAGE)) - {"tests/fleet"})


@pytest.mark.parametrize("named", NAMED)
def test_the_named_test_exists(named: str) -> None:
    path, *within = named.split("::")
    body = ast.parse((ROOT / path).read_text(encoding="utf-8")).body
    for name in within:
        (found,) = [one for one in body if getattr(one, "name", "") == name]
        assert isinstance(found, (ast.ClassDef, ast.FunctionDef))
        body = found.body
    assert within[-1].startswith("test_")
    assert len(NAMED) >= 40


def test_every_claim_in_a_table_names_a_test_or_says_that_there_is_none() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ")]
    claims = [row for row in rows if "held by" not in row]
    assert len(claims) >= 14
    for row in claims:
        assert "::test_" in row or "not defended" in row, row
