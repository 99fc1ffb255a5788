"""An audit as people and programs see it, held by golden files."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from markdown_it import MarkdownIt

from bytez_provider.audit import Audit, assess, markdown, page
from bytez_provider.audit._rendering import KIND_WORDS, headline, remarks
from bytez_provider.base.markup import COMMENT_LIMIT
from bytez_provider.cli.auditing import show
from bytez_provider.cli.screen import Screen
from tests.audit.account import UNPRICED, declared, facts, live
from tests.audit.story import EVIL, evil_story, story
from tools.schema.generate import schemas

GOLDEN = Path(__file__).parent / "golden"
PLAIN = tuple(f"owner/name-{number}" for number in range(len(EVIL)))
"""As many names as there are evil ones, all of them harmless."""

Render = Callable[[Audit], str]


def document(audit: Audit) -> str:
    return json.dumps(audit.printed(), indent=2) + "\n"


@pytest.fixture
def table(capsys: pytest.CaptureFixture[str]) -> Render:
    def rendered(audit: Audit) -> str:
        show(audit, Screen(as_json=False))
        return capsys.readouterr().out

    return rendered


@pytest.mark.parametrize("form", ["json", "md", "html", "txt"])
def test_every_form_is_as_its_golden_file(form: str, table: Render) -> None:
    """`BYTEZ_GOLDEN=write` writes the files, to be reviewed."""
    render = {"json": document, "md": markdown, "html": page, "txt": table}[form]
    file, text = GOLDEN / f"audit.{form}", render(story())
    if os.environ.get("BYTEZ_GOLDEN") == "write":
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")


def test_the_golden_files_have_every_kind_of_finding() -> None:
    assert {finding.kind for finding in story().findings} == {*KIND_WORDS}


def test_every_form_says_that_everything_is_in_order(table: Render) -> None:
    for audit in (assess(facts()), assess(facts([live()], [declared()]))):
        for render in (table, markdown, page):
            assert headline(audit) in render(audit)
    assert "<article" not in page(assess(facts()))


def test_an_unknown_cost_is_never_shown_as_nothing(table: Render) -> None:
    audit = assess(facts([live(UNPRICED)]))
    for text in (table(audit), markdown(audit), page(audit)):
        assert UNPRICED in "".join(remarks(audit, str))
        assert UNPRICED in text
        assert not re.search(r"\$0\.00\b|[^\d]0\.00 ?GB|>0\.00<", text)


def test_a_comment_that_is_too_long_is_cut_at_a_finding() -> None:
    text = markdown(assess(facts([live(f"owner/name-{number}") for number in range(1000)])))
    assert len(text) <= COMMENT_LIMIT
    assert text.startswith("## Bytez audit: 1,000 findings\n")
    assert "--json" in text.splitlines()[-1]
    assert text.splitlines()[-3].startswith("  - `bytez-fleet export ")


# ----------------------------------------------------------------------------------- schema

SCHEMA = json.loads(schemas()["audit.schema.json"])


@pytest.mark.parametrize("audit", [story(), evil_story(), assess(facts())])
def test_the_document_fits_its_schema(audit: Audit) -> None:
    Draft202012Validator(SCHEMA).validate(json.loads(document(audit)))


def test_the_schema_describes_every_part_and_is_closed() -> None:
    parts = [SCHEMA, *SCHEMA["$defs"].values()]
    for part in parts:
        assert part["additionalProperties"] is False
        for name, one in part["properties"].items():
            assert one["description"].endswith("."), name
        # Only an API with a range has the others.
        others = {"maxConcurrency", "instances"}
        assert [name for name in part["properties"] if name not in others] == part["required"]


# ------------------------------------------------------------------------- text of others


def test_text_of_others_adds_no_escape_and_no_line_to_a_terminal(table: Render) -> None:
    text = table(evil_story())
    assert all(line.isprintable() for line in text.split("\n"))
    assert len(text.splitlines()) <= len(table(evil_story(PLAIN)).splitlines())
    assert "## heading" not in [line.strip() for line in text.splitlines()]


def test_text_of_others_is_only_code_in_markdown() -> None:
    parser = MarkdownIt("commonmark").enable("table")
    tokens = parser.parse(markdown(evil_story()))
    inline = [child for token in tokens for child in token.children or []]
    kinds = {token.type for token in (*tokens, *inline)}
    assert not kinds & {"html_block", "html_inline", "image", "link_open", "fence", "code_block"}
    assert [token.tag for token in tokens if token.type == "heading_open"] == ["h2", "h3"]
    plain = " ".join(child.content for child in inline if child.type == "text")
    for word in ("script", "evil.example", "@team", "loud", "heading", "onerror", "display"):
        assert word not in plain
    # Nothing is lost: each is there as code.
    code = " ".join(child.content for child in inline if child.type == "code_inline")
    for word in ("<script>", "evil.example", "@team", "loud", "heading", "onerror", "display"):
        assert word in code


def test_text_of_others_adds_no_cell_to_a_row() -> None:
    text = markdown(evil_story())
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(rows) > len(EVIL)
    assert {row.count("|") for row in rows} == {10}


class Tags(HTMLParser):
    """The tags and attribute values of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, tuple[str, ...]]] = []
        self.values: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(sorted(name for name, _ in attrs))))
        self.values.update(value or "" for _, value in attrs)


def test_text_of_others_adds_no_tag_and_no_attribute_to_a_page() -> None:
    evil, plain = Tags(page(evil_story())), Tags(page(evil_story(PLAIN)))
    assert set(evil.tags) <= set(plain.tags)
    assert not any("evil.example" in value or "ran" in value for value in evil.values)
    assert {tag for tag, _ in evil.tags}.isdisjoint({"script", "img", "a", "link", "iframe"})


def test_a_page_is_ascii_and_asks_for_nothing() -> None:
    text = page(story())
    assert text.isascii()
    assert "default-src 'none'" in text
    assert not any(word in text for word in ('http-equiv="refresh', "src=", "href=", "url(", "@im"))
