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
    return json.dumps(audit.model_dump(mode="json", by_alias=True), indent=2) + "\n"


@pytest.fixture
def table(capsys: pytest.CaptureFixture[str]) -> Render:
    def rendered(audit: Audit) -> str:
        show(audit, Screen(as_json=False))
        return capsys.readouterr().out

    return rendered


def held(name: str, text: str) -> None:
    """Compare with a golden file; `BYTEZ_GOLDEN=write` writes it anew, to be looked at."""
    file = GOLDEN / name
    if os.environ.get("BYTEZ_GOLDEN") == "write":
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")


class TestGolden:
    def test_json(self) -> None:
        held("audit.json", document(story()))

    def test_markdown(self) -> None:
        held("audit.md", markdown(story()))

    def test_page(self) -> None:
        held("audit.html", page(story()))

    def test_table(self, table: Render) -> None:
        held("audit.txt", table(story()))

    def test_every_kind_is_in_them(self) -> None:
        kinds = {finding.kind for finding in story().findings}
        assert kinds == {"orphan", "unfinished", "notRunning", "duplicate", "drift", "idle"}


class TestNothingToTell:
    def test_nothing_is_loaded(self, table: Render) -> None:
        audit = assess(facts())
        assert "nothing is out of order" in table(audit)
        for text in (table(audit), markdown(audit), page(audit)):
            assert "othing is" in text
        assert "<article" not in page(audit)

    def test_all_is_as_declared(self, table: Render) -> None:
        audit = assess(facts([live()], [declared()]))
        assert markdown(audit).startswith("## Bytez audit: nothing is out of order\n")
        assert table(audit).endswith("\nnothing is out of order\n")


def test_a_cost_that_is_unknown_is_never_nothing(table: Render) -> None:
    for audit in (story(), assess(facts([live(UNPRICED)]))):
        for text in (table(audit), markdown(audit), page(audit)):
            assert UNPRICED in text
            assert "Of unknown cost, and not in these sums: " in text
            assert not re.search(r"\$0\.00\b|[^\d]0\.00 ?GB|>0\.00<", text)


def test_a_comment_that_is_too_long_is_cut_at_a_finding() -> None:
    many = [live(f"owner/name-{number}") for number in range(1000)]
    text = markdown(assess(facts(many)))
    assert len(text) <= COMMENT_LIMIT
    assert text.startswith("## Bytez audit: 1,000 findings\n")
    assert text.splitlines()[-1].startswith("This is cut at the limit of a comment; ")
    assert text.splitlines()[-3].startswith("  - `bytez-fleet export ")


# ----------------------------------------------------------------------------------- schema

SCHEMA = json.loads(schemas()["audit.schema.json"])


@pytest.mark.parametrize("audit", [story(), evil_story(), assess(facts())])
def test_the_document_is_as_the_schema_says(audit: Audit) -> None:
    Draft202012Validator(SCHEMA).validate(json.loads(document(audit)))


def test_every_part_of_the_schema_is_described_and_closed() -> None:
    parts = [SCHEMA, *SCHEMA["$defs"].values()]
    for part in parts:
        assert part["additionalProperties"] is False
        for name, one in part["properties"].items():
            assert one["description"].endswith("."), name
        assert [*part["properties"]] == part["required"]


# ------------------------------------------------------------------------- text of others


def test_a_terminal_gets_no_escape_and_no_line_of_others(table: Render) -> None:
    text = table(evil_story())
    assert all(line.isprintable() for line in text.split("\n"))
    assert len(text.splitlines()) <= len(table(evil_story(PLAIN)).splitlines())
    assert "## heading" not in [line.strip() for line in text.splitlines()]


def test_markdown_shows_text_of_others_as_code_only() -> None:
    parser = MarkdownIt("commonmark").enable("table")
    tokens = parser.parse(markdown(evil_story()))
    inline = [child for token in tokens for child in token.children or []]
    kinds = {token.type for token in (*tokens, *inline)}
    assert not kinds & {"html_block", "html_inline", "image", "link_open", "fence", "code_block"}
    assert [token.tag for token in tokens if token.type == "heading_open"] == ["h2", "h3"]
    plain = " ".join(child.content for child in inline if child.type == "text")
    for word in ("script", "evil.example", "@team", "loud", "heading", "onerror", "display"):
        assert word not in plain
    # And of nothing is anything lost: each is there, as code.
    code = " ".join(child.content for child in inline if child.type == "code_inline")
    for word in ("<script>", "evil.example", "@team", "loud", "heading", "onerror", "display"):
        assert word in code


def test_every_row_of_the_table_has_its_cells() -> None:
    text = markdown(evil_story())
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(rows) > len(EVIL)
    assert {row.count("|") for row in rows} == {10}


class Tags(HTMLParser):
    """What a page is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, tuple[str, ...]]] = []
        self.values: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(sorted(name for name, _ in attrs))))
        self.values.update(value or "" for _, value in attrs)


def test_a_page_has_no_tag_and_no_attribute_of_others() -> None:
    evil, plain = Tags(page(evil_story())), Tags(page(evil_story(PLAIN)))
    assert set(evil.tags) <= set(plain.tags)
    assert not any("evil.example" in value or "ran" in value for value in evil.values)
    assert {tag for tag, _ in evil.tags}.isdisjoint({"script", "img", "a", "link", "iframe"})


def test_a_page_is_ascii_and_asks_for_nothing() -> None:
    text = page(story())
    assert text.isascii()
    assert "default-src 'none'" in text
    assert not any(word in text for word in ('http-equiv="refresh', "src=", "href=", "url(", "@im"))


@pytest.mark.parametrize("render", [document, markdown, page])
def test_the_same_audit_gives_the_same_bytes(render: Render) -> None:
    assert render(story()) == render(story())
    assert render(evil_story()) == render(evil_story())
