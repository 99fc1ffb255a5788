"""The site: built without a warning, with all that the pages have, and readable on a phone."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from tests.browser import PHONE, Browser
from tests.site.blocks import PAGES, ROOT
from tools.site import sources, write

TAGS = ("li", "ul", "ol", "pre", "table", "tr", "h2", "h3", "img", "strong")
MARKDOWN = MarkdownIt("commonmark").enable("table")
FRAME = '<iframe style="border:0;width:%dpx;height:800px" src="%s"></iframe>'
MEASURE = """<pre id="measured"></pre><script>addEventListener('load', () => {
  const page = ({src, contentDocument: it, contentWindow}) => ({ src,
    wide: it.documentElement.scrollWidth > it.documentElement.clientWidth,
    titles: it.querySelectorAll('h1').length,
    broken: [...it.images].filter(image => !image.naturalWidth).length,
    dark: contentWindow.getComputedStyle(it.body).backgroundColor.match(/\\d+/)[0] < 128 });
  measured.textContent = JSON.stringify([...document.querySelectorAll('iframe')].map(page)); })
</script>"""
EXTERNAL = re.compile(r"https://[a-z0-9-]+(\.[a-z0-9-]+)+(/[A-Za-z0-9._~/-]*)?(#[A-Za-z0-9_.-]+)?")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built from a copy of its settings."""
    pytest.importorskip("zensical", reason="the generator needs Python 3.11")
    folder = tmp_path_factory.mktemp("site")
    write(folder / "build" / "docs")
    settings = (ROOT / "zensical.toml").read_text(encoding="utf-8")
    assert 'paths = ["."]' in settings
    settings = settings.replace('paths = ["."]', f'paths = ["{ROOT}"]')
    (folder / "zensical.toml").write_text(settings, encoding="utf-8")
    done = subprocess.run(
        [Path(sys.executable).parent / "zensical", "build", "--strict"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "build" / "site"


def article(site: Path, name: str) -> str:
    """Return the content of a built page."""
    text = (site / name).with_suffix(".html").read_text(encoding="utf-8")
    return text.partition("<article")[2].partition("</article")[0]


def counted(html: str) -> Counter[str]:
    """Return how often each tag occurs."""
    return Counter(tag for tag in re.findall(r"<([a-z0-9]+)[ >]", html) if tag in TAGS)


@pytest.mark.parametrize(("name", "source"), sources().items())
def test_a_page_has_the_lists_and_tables_that_github_shows(
    site: Path, name: str, source: str
) -> None:
    """The two read Markdown differently, above all the indents of lists."""
    text = (ROOT / source).read_text(encoding="utf-8")
    assert counted(article(site, name)) == counted(MARKDOWN.render(text))


def test_every_page_is_in_the_navigation_and_on_the_first_page(site: Path) -> None:
    settings = (ROOT / "zensical.toml").read_text(encoding="utf-8")
    home = article(site, "index.md")
    project = {"index.md", "changelog.md", "contributing.md"}
    for name in sources():
        assert f'"{name}"' in settings
        assert name in project or f'href="{name.removesuffix(".md")}.html' in home, name


def test_no_page_needs_the_network(site: Path) -> None:
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert not re.findall(r"<(?:script|img|link|iframe)[^>]+(?:src|href)=\"?https?:", text)


@pytest.mark.parametrize("dark", [False, True], ids=["by day", "by night"])
def test_every_page_fits_a_phone(site: Path, tmp_path: Path, dark: bool) -> None:
    pages = set(site.rglob("*.html")) - {site / "404.html"}  # that one needs a server
    frames = "".join(FRAME % (PHONE, page.as_uri()) for page in sorted(pages))
    all_pages = (
        f"<!doctype html><style>:root {{ color-scheme: light dark }}</style>{frames}{MEASURE}"
    )
    shown = Browser(tmp_path).dom(all_pages, "--allow-file-access-from-files", dark=dark)
    found = re.search(r'<pre id="measured">(.+?)</pre>', shown)
    assert found
    measured = json.loads(found[1])
    assert len(measured) == len(pages)
    good = {"wide": False, "titles": 1, "broken": 0, "dark": dark}
    assert [one for one in measured if one != {"src": one["src"], **good}] == []


@pytest.mark.parametrize("page", PAGES)
def test_external_links_have_the_form_of_an_address(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\((\w+:[^)\s]*)\)", text):
        assert EXTERNAL.fullmatch(target), target


@pytest.mark.parametrize(
    "text",
    ["[a](nothing.md)", "[a](cli.md#nothing)"],
    ids=["a page that is not there", "a heading that is not there"],
)
def test_the_generator_notices_a_dead_link(tmp_path: Path, text: str) -> None:
    pytest.importorskip("zensical", reason="the generator needs Python 3.11")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text(f"# Home\n\n{text}\n", encoding="utf-8")
    (tmp_path / "docs" / "cli.md").write_text("# Commands\n", encoding="utf-8")
    (tmp_path / "zensical.toml").write_text('[project]\nsite_name = "x"\n', encoding="utf-8")
    done = subprocess.run(
        [Path(sys.executable).parent / "zensical", "build", "--strict"],
        cwd=tmp_path,
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert done.returncode != 0
