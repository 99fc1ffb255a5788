"""Text of others in Markdown and HTML, and what is cut of what is too long."""

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
]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_code_span_ends_where_it_is_meant_to(text: str) -> None:
    shown = code(text)
    assert shown.startswith("`")
    assert shown.endswith("`")
    assert "`" not in shown[1:-1]
    assert "|" not in shown
    assert shown.isprintable()


def test_a_code_span_shows_a_model_as_it_is() -> None:
    assert code("openai-community/gpt2") == "`openai-community/gpt2`"


def test_nothing_is_no_code_span() -> None:
    assert code(" \n") == ""


@pytest.mark.parametrize("text", [*HOSTILE, '" onload="x', "' onload='x"])
def test_html_has_no_tag_and_no_quote_of_others(text: str) -> None:
    shown = html(text)
    assert not set("<>\"'") & set(shown)
    assert shown.isprintable()


def test_text_of_others_is_bounded() -> None:
    assert len(code("x" * 10_000_000)) <= 302
    assert len(html("x" * 10_000_000)) <= 300


def test_numbers_of_a_table_stand_to_the_right() -> None:
    assert table(["a", "b"], [["x", "1"]], numbers=1) == "| a | b |\n| --- | ---: |\n| x | 1 |"


def test_what_fits_is_not_cut() -> None:
    assert fitted(["a", "b"], "more") == "a\n\nb\n"


@pytest.mark.parametrize("limit", range(20, 60))
def test_it_is_cut_at_a_whole_section(limit: int) -> None:
    sections = ["first", "second section", "third section", "fourth section"]
    text = fitted(sections, "more", limit=limit)
    assert len(text) <= limit
    parts = text.rstrip("\n").split("\n\n")
    if parts != sections:
        assert parts[-1] == "more"
        assert parts[:-1] == sections[: len(parts) - 1]


def test_the_first_section_stays_whatever_its_length() -> None:
    assert fitted(["x" * 50, "y"], "more", limit=10) == "x" * 50 + "\n\nmore\n"
