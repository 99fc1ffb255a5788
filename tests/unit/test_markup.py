"""Text of others in Markdown and HTML, and how a text that is too long is cut."""

from __future__ import annotations

import pytest

from bytez_provider.base.markup import code, fitted, html, table

HOSTILE = [
    "`</code><script>alert(1)</script>`",
    "a | b",
    "line\nline\r\nline",
    "\x1b[31mred\x1b[0m \x1b]0;title\x07",
    "\u202eevil",
    "@team see #1 https://example.com",
    "``` \n# heading",
    "\" onload='x",
    "x" * 1_000_000,
]


@pytest.mark.parametrize("text", HOSTILE)
def test_text_of_others_becomes_no_markup(text: str) -> None:
    shown = code(text)
    assert (shown[0], shown[-1]) == ("`", "`")
    assert not set("`|") & set(shown[1:-1])
    assert shown.isprintable()
    assert len(shown) <= 302
    shown = html(text)
    assert not set("<>\"'") & set(shown)
    assert shown.isprintable()


def test_a_code_span_shows_a_model_as_it_is_and_nothing_as_nothing() -> None:
    assert code("openai-community/gpt2") == "`openai-community/gpt2`"
    assert code(" \n") == ""


def test_numbers_in_a_table_are_aligned_to_the_right() -> None:
    assert table(["a", "b"], [["x", "1"]], numbers=1) == "| a | b |\n| --- | ---: |\n| x | 1 |"


@pytest.mark.parametrize("limit", range(20, 60))
def test_a_text_that_is_too_long_is_cut_after_a_section(limit: int) -> None:
    sections = ["first", "second section", "third section", "fourth section"]
    text = fitted(sections, "more", limit=limit)
    assert len(text) <= limit
    parts = text.rstrip("\n").split("\n\n")
    if parts != sections:
        assert parts[-1] == "more"
        assert parts[:-1] == sections[: len(parts) - 1]


def test_a_short_text_is_not_cut_and_the_first_section_never() -> None:
    assert fitted(["a", "b"], "more") == "a\n\nb\n"
    assert fitted(["x" * 50, "y"], "more", limit=10) == "x" * 50 + "\n\nmore\n"
