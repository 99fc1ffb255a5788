"""The page in a real browser: what people see, and that text of others remains text."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bytez_provider.audit import Audit, assess, page
from tests.audit.account import CODER, GPT2, PHI, facts, live
from tests.audit.story import EVIL, evil_story, story
from tests.browser import DESKTOP, PHONE, Browser
from tests.client.hostile import HostileServer, says

LAYOUT = """
const bars = kind => [...document.querySelectorAll('.' + kind)].map(bar => ({
  share: bar.firstElementChild.getBoundingClientRect().width / bar.getBoundingClientRect().width,
  height: bar.firstElementChild.getBoundingClientRect().height,
  colour: getComputedStyle(bar.firstElementChild).backgroundColor,
  shown: bar.nextElementSibling.innerText }));
const wide = [...document.querySelectorAll('body *')].filter(one => !one.closest('code'))
  .filter(one => one.getBoundingClientRect().right > innerWidth + 0.5).map(one => one.outerHTML);
return { ram: bars('ram'), cost: bars('cost'), width: innerWidth, wide,
  scrolls: document.documentElement.scrollWidth,
  text: document.body.innerText,
  names: [...document.querySelectorAll('#models .name:first-of-type')].map(one => one.innerText),
  commands: [...document.querySelectorAll('#findings code')].map(one => one.innerText) };
"""

CONTRAST = """
const parts = colour => colour.match(/[\\d.]+/g).slice(0, 3).map(Number);
const light = colour => { const [r, g, b] = parts(colour).map(v => v / 255)
  .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
const behind = one => { for (let at = one; at; at = at.parentElement) {
  const colour = getComputedStyle(at).backgroundColor;
  if (!colour.endsWith(', 0)')) return colour; } };
const texts = [...document.querySelectorAll('main *')].filter(one =>
  [...one.childNodes].some(node => node.nodeType === 3 && node.textContent.trim()));
return { page: light(getComputedStyle(document.body).backgroundColor), weak: texts.map(one => {
  const [a, b] = [light(getComputedStyle(one).color), light(behind(one))].sort((x, y) => y - x);
  return [(a + 0.05) / (b + 0.05), one.outerHTML]; }).filter(([ratio]) => ratio < 4.5) };
"""

ATTACK = """
return { title: document.title, scripts: document.scripts.length,
  strange: document.querySelectorAll('main :is(img, a, iframe, link, style, script, h3)').length,
  handlers: [...document.querySelectorAll('main *')].flatMap(one => one.getAttributeNames())
    .filter(name => !['class', 'id', 'style', 'aria-hidden'].includes(name)),
  loaded: performance.getEntriesByType('resource').map(one => one.name),
  seen: document.body.innerText, display: getComputedStyle(document.body).display };
"""


@pytest.fixture
def chromium(tmp_path: Path) -> Browser:
    return Browser(tmp_path)


def layout(chromium: Browser, audit: Audit, width: int) -> dict[str, Any]:
    found: dict[str, Any] = chromium.measure(page(audit), LAYOUT, width=width)
    assert found["width"] == width
    return found


@pytest.mark.parametrize("width", [DESKTOP, PHONE])
def test_bars_are_as_long_as_the_amounts(chromium: Browser, width: int) -> None:
    audit = story()
    found = layout(chromium, audit, width)
    loaded = [model for model in audit.models if model.status != "NOT_LOADED"]
    for kind, amounts in {
        "ram": [model.ram_gb for model in loaded],
        "cost": [model.dollars_so_far for model in loaded],
    }.items():
        most = max(filter(None, amounts))
        shares = [bar["share"] for bar in found[kind]]
        assert shares == pytest.approx([(one or 0) / most for one in amounts], abs=0.02)
        assert max(shares) == pytest.approx(1, abs=0.001)
        assert all(bar["height"] > 5 for bar in found[kind])
    assert found["ram"][0]["colour"] != found["cost"][0]["colour"]
    by_name = dict(zip([model.model_id for model in loaded], found["ram"], strict=True))
    assert by_name[CODER]["shown"] == "73.92 GB"
    assert by_name["openai-community/gpt2-medium"] == {
        **by_name["openai-community/gpt2-medium"],
        "share": 0,
        "shown": "unknown",
    }


@pytest.mark.parametrize("width", [DESKTOP, PHONE])
def test_everything_is_readable_within_the_width_of_the_page(chromium: Browser, width: int) -> None:
    audit = story()
    found = layout(chromium, audit, width)
    assert found["wide"] == []
    assert found["scrolls"] <= width
    for finding in audit.findings:
        assert finding.model_id in found["text"]
        assert finding.detail in found["text"]
    # Commands can be copied: the page does not wrap them.
    commands = [mend.command for finding in audit.findings for mend in finding.mends]
    assert found["commands"] == commands
    assert "10 findings" in found["text"]
    assert "$28.49" in found["text"]


def test_long_names_fit_on_a_phone(chromium: Browser) -> None:
    name = f"owner/{'x' * 150}"
    found = layout(chromium, assess(facts([live(name, concurrency=999_999)])), PHONE)
    assert found["wide"] == []
    assert found["scrolls"] <= PHONE
    assert name in found["text"]


@pytest.mark.parametrize("dark", [False, True])
def test_contrast_is_sufficient(chromium: Browser, dark: bool) -> None:
    found = chromium.measure(page(story()), CONTRAST, dark=dark)
    assert (found["page"] < 0.1) is dark
    # WCAG 2, level AA.
    assert found["weak"] == []


@pytest.mark.parametrize(("width", "dark"), [(DESKTOP, False), (PHONE, True)])
def test_it_needs_no_script(chromium: Browser, width: int, dark: bool) -> None:
    picture = chromium.picture(page(story()), width=width, dark=dark)
    assert picture.startswith(b"\x89PNG")
    assert struct.unpack(">II", picture[16:24]) == (width, 900)
    # A blank picture has a few hundred bytes.
    assert len(picture) > 20_000


@pytest.fixture
def elsewhere() -> Iterator[HostileServer]:
    server = HostileServer()
    server.answers(says(200))
    yield server
    server.close()


def test_text_of_others_runs_nothing_and_loads_nothing(
    chromium: Browser, elsewhere: HostileServer
) -> None:
    address = elsewhere.url
    calls = (
        f"<img src={address}/image>",
        f"<script src={address}/script></script>",
        f"</style><style>@import '{address}/style'; body{{display:none}}</style>",
        f'" style="background:url({address}/background)" x="',
        f"<iframe src={address}/frame></iframe><link rel=stylesheet href={address}/link>",
    )
    audit = evil_story((*calls, *EVIL))
    found = chromium.measure(page(audit), ATTACK)
    assert found["title"] == "Bytez audit"
    assert found["scripts"] == 1, "the one of the test"
    assert (found["strange"], found["handlers"], found["loaded"]) == (0, [], [])
    assert found["display"] == "block"
    # All of it is there as text.
    for text in (f"<img src={address}/image>", "</code></pre><h1>big</h1>", "[bold red]loud[/]"):
        assert text in found["seen"]
    # Also in the unchanged page, with its policy.
    assert "<script" not in chromium.dom(page(audit))
    assert elsewhere.requests == []


def test_the_browser_reports_markup_that_runs(chromium: Browser, elsewhere: HostileServer) -> None:
    """The test above would fail: with the same text as markup, the browser reports it."""
    broken = f"<img src={elsewhere.url}/image onerror=1><script>document.title = 'ran'</script>"
    bad = page(assess(facts([live(GPT2), live(PHI)]))).replace("<main>", f"<main>{broken}")
    found = chromium.measure(bad, ATTACK)
    assert (found["title"], found["scripts"]) == ("ran", 2)
    assert found["strange"] == 2
    assert [request.split(b" ")[1] for request in elsewhere.requests] == [b"/image"]
