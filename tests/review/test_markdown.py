"""The comment: what comes first, what is cut, and that no text of others becomes a part of it."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inline_snapshot import snapshot

from bytez_provider.review import assess, from_digest, from_events, markdown
from tests.review.plans import (
    PHI,
    UNPRICED,
    gone,
    inputs,
    kept,
    loaded,
    policy,
    refreshed,
    replaced,
    reviewed,
    running,
    setting,
    skipped,
    state,
    step,
    unloaded,
    urn,
)


def headings(text: str) -> list[str]:
    return re.findall(r"^#+ (.*)$", text, re.MULTILINE)


def row(text: str, start: str) -> list[str]:
    (line,) = (one for one in text.splitlines() if one.startswith(f"| {start}"))
    return [cell.strip() for cell in line.strip("|").split(" | ")]


def test_a_whole_comment() -> None:
    scaled = running(expires_at="2024-05-28T00:10:00Z")
    others = {**running("me/left").instances, **running("me/old").instances}
    review = reviewed(
        replaced("scaled", inputs(), inputs(concurrency=3)),
        loaded("new", inputs(UNPRICED, expectedHoursPerDay="[secret]")),
        unloaded("old", inputs("me/old"), protect=True),
        unloaded("left", inputs("me/left"), retainOnDelete=True),
        kept("stays", inputs(PHI, expectedHoursPerDay=12)),
        kept("asleep", inputs("me/asleep", onExpiry="accept"), status="NOT_LOADED"),
        *gone("expired", inputs("me/expired")),
        refreshed("scaled", state(inputs())),
        live=dataclasses.replace(scaled, instances={**scaled.instances, **others}),
        commit="0a1b2c3",
    )
    assert markdown(review) == snapshot("""\
<!-- bytez-fleet review of fleet/dev -->
## Bytez models of `fleet`, stack `dev`

> **This `up` will fail:** `old: it is protected, and would be removed`

> **This review is partial:** the refresh left models out, and the plan does not show whether they expired: `asleep`, `left`, `old`, `stays`.

**1 load, 1 replacement, 1 unload, 1 other removal**, 2 unchanged. **Each replacement is unavailable for about 15 minutes.** **Left running and paid for, but in no stack: `left`.** 1 more step happens even without this change.

### Cost

|  | before | after | difference |
| --- | ---: | ---: | ---: |
| an hour, all loaded | $0.58 + ? | $0.64 + ? | +$0.06 + ? |
| a month at least: loaded once | $0.36 + ? | $0.39 + ? | +$0.04 + ? |
| a month as expected, for 1 of 4 models | $200.60 | $200.60 | $0.00 |
| a month at most: always loaded | $423.11 + ? | $466.91 + ? | +$43.80 + ? |
| GB RAM | 9.66 + ? | 10.66 + ? | +1.00 + ? |

During the `up`, at most 10.66 + ? GB RAM are in use at one time. It takes about 15 minutes.

**Unknown cost, in no total:** `expired`, `new`.

### Replaced: each is an outage

| model | change | unavailable | dependents | $ a month, at most |
| --- | --- | --- | --- | ---: |
| **`scaled` `openai-community/gpt2`** | `concurrency 1 to 3` | **about 15 minutes** | none | $21.90 → $65.70 |

### Loaded

| model | what | GB RAM | $ a month, at most |
| --- | --- | ---: | ---: |
| `new` `openai-community/gpt2-medium` | concurrency 1 | ? | ? |

### Unloaded

| model | what | GB RAM | $ a month, at most |
| --- | --- | ---: | ---: |
| `old` `me/old` | concurrency 1 | ? | ? |

### Removed from the stack, not unloaded

| model | what | GB RAM | $ a month, at most |
| --- | --- | ---: | ---: |
| `left` `me/left` | `retain_on_delete: it keeps running and is paid for, but no stack has it` | ? | ? |

### Happens even without this change

| model | what | why | unavailable |
| --- | --- | --- | --- |
| `expired` `me/expired` | loaded again | `was unloaded since the last up` | - |

### What runs now

| model | declared | now | age | idle time left |
| --- | --- | --- | --- | --- |
| `asleep` `me/asleep` | concurrency 1 | not loaded | - | - |
| `expired` `me/expired` | concurrency 1 | not loaded | - | - |
| `left` `me/left` | concurrency 1 | `RUNNING`, concurrency 1 | 24m24s | - |
| `new` `openai-community/gpt2-medium` | - | not loaded | - | - |
| `old` `me/old` | concurrency 1 | `RUNNING`, concurrency 1 | 24m24s | - |
| `scaled` `openai-community/gpt2` | concurrency 1 | `RUNNING`, concurrency 1 | 24m24s | 10m |
| `stays` `microsoft/phi-1` | concurrency 1 | not loaded | - | - |

### Notes

- RAM and cost come from the catalogue in this package.
- This form of a plan has no policy results.
- Not loaded and in no total, because their expiry is accepted: `asleep`.
- Hidden, because secret or not known yet: `new` (expectedHoursPerDay).
- Commit `0a1b2c3`, planned at an unknown time. Price: $0.0000166667 a GB-second (vendor price list of June 2024, or `bytez:pricePerGbSecond`). A month has 730 hours, a boot takes 15 minutes. Every instance is billed, also while it boots.
""")  # noqa: E501 - as it is printed


def test_no_change_is_reported() -> None:
    assert "**No change**, 1 unchanged." in markdown(reviewed(kept("a", inputs())))


def test_a_sum_with_an_unknown_part_shows_it() -> None:
    nothing_known = markdown(reviewed(loaded("a", inputs(UNPRICED))))
    assert row(nothing_known, "a month at most")[1:] == ["$0.00", "?", "?"]
    partly = markdown(reviewed(kept("a", inputs()), loaded("b", inputs(UNPRICED))))
    assert row(partly, "a month at most")[1:] == ["$21.90", "$21.90 + ?", "?"]
    # A model that does not change makes no difference.
    kept_unknown = markdown(reviewed(kept("a", inputs(UNPRICED)), loaded("b", inputs())))
    assert row(kept_unknown, "a month at most")[1:] == ["?", "$21.90 + ?", "+$21.90"]


def test_a_partial_plan_is_reported_in_one_line_of_the_head() -> None:
    steps = [loaded("new", inputs()), *(skipped(f"m{n:02}", inputs()) for n in range(12))]
    text = markdown(assess(from_digest({"steps": steps}), setting()))
    (line,) = re.findall(r"^> \*\*This review is partial:\*\* .*$", text, re.MULTILINE)
    assert "--target" in line
    assert line.endswith("`m09` and 2 more.")
    assert "**1 load**, in a partial plan." in text
    assert "### Cost of what is in this plan" in text


def test_a_comment_that_is_too_long_is_cut_at_a_whole_section() -> None:
    steps = [loaded(f"new-{n:04}", inputs(f"me/{n}")) for n in range(1500)]
    review = reviewed(*steps, replaced("scaled", inputs(), inputs(concurrency=2)))
    whole = markdown(review, limit=10**9)
    text = markdown(review, link="https://example.com/review?x=1")
    assert len(text) <= 65_536 < len(whole)
    *sections, pointer = text.rstrip("\n").split("\n\n")
    # The workflow looks for this start.
    assert pointer.startswith("_Cut here: ")
    assert "The whole review is at <https://example.com/review?x=1>" in pointer
    assert whole.startswith("\n\n".join(sections))
    assert sections[-1].startswith("| ")
    assert "`scaled`" in text
    unsafe = markdown(review, link="javascript:alert(1)> [x](http://evil)")
    assert "at `javascript:alert(1)> [x](http://evil)`" in unsafe


def test_many_failures_leave_room_for_the_rest() -> None:
    steps = [kept("a", inputs()), *(loaded(f"m{n}", inputs()) for n in range(1000))]
    text = markdown(reviewed(*steps))
    assert len(text) <= 65_536
    assert "> **990 more reasons are not shown here.**" in text


HOSTILE = st.text(
    st.sampled_from(list("`|<>[]()!*_#@\\\n\r\x1b\u202e\u2028-~:/ab&;{}\"'")),
    min_size=1,
    max_size=30,
)


def outline(text: str) -> tuple[list[str], list[int], str]:
    """Return what no name can change: headings, number of cells of each row, text outside code."""
    known = [re.sub(r"`[^`\n]*`", "`x`", heading) for heading in headings(text)]
    unspanned = re.sub(r"`[^`\n]*`", "x", text)
    cells = [line.count("|") for line in unspanned.splitlines() if line.startswith("|")]
    return known, cells, unspanned


@settings(max_examples=60, deadline=None, derandomize=True)
@given(HOSTILE, HOSTILE)
def test_no_text_of_others_is_part_of_the_comment(name: str, value: str) -> None:
    def text(name: str, value: str) -> str:
        old, new = inputs(), inputs(onExpiry=value)
        steps = [
            step("update", f"a{name}", state(old), state(new)),
            replaced(f"r{name}", inputs(), inputs(value)),
        ]
        more: list[dict[str, Any]] = [
            {"severity": "error", "urn": urn(f"a{name}"), "message": f"x{value}"},
            {"severity": "error", "message": f"y{value}"},
        ]
        digest = from_digest({"steps": steps, "diagnostics": more})
        return markdown(assess(digest, setting(commit=f"c{value}")))

    shown = text(name, value)
    assert outline(shown) == outline(text("plain", "words"))
    assert all(line.isprintable() for line in shown.splitlines())


def test_a_message_of_a_policy_is_part_of_nothing() -> None:
    message = "</td><script>alert(1)</script> `x` | @team #1 \x1b[2J"
    text = markdown(
        assess(from_events([policy("a", message=message, policyName="p`|")]), setting())
    )
    cells = row(text, "`a`")
    assert len(cells) == 4
    assert cells[2] == "`</td><script>alert(1)</script> \u02cbx\u02cb \u00a6 @team #1`"
    assert "\x1b" not in text


@pytest.mark.parametrize("name", ["a-->b", "--", "x/../y", "<b>"])
def test_the_mark_of_a_stack_cannot_be_ended_by_its_name(name: str) -> None:
    steps = {"op": "same", "urn": f"urn:pulumi:{name}::fleet::pulumi:pulumi:Stack::x"}
    first = markdown(assess(from_digest({"steps": [steps]}), setting())).splitlines()[0]
    assert first.startswith("<!-- bytez-fleet review of fleet/")
    assert first.endswith(" -->")
    assert "--" not in first.removeprefix("<!--").removesuffix("-->")
