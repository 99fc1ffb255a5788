"""The generated tables of the docs are fresh, and every error code has its line."""

from __future__ import annotations

from bytez_provider.base.errors import ErrorCode
from tools.reference import ACTIONS, errors, pages


def test_tables_are_fresh() -> None:
    for page, text in pages().items():
        assert page.read_text(encoding="utf-8") == text, "run `python -m tools.reference`"


def test_every_error_code_is_explained() -> None:
    assert set(ACTIONS) == set(ErrorCode)
    assert all(f"`{code.value}`" in errors() for code in ErrorCode)
