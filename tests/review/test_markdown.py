"""The comment: what comes first, what is cut, and that no text of others becomes a part of it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bytez_provider.review import assess, from_digest, from_events, markdown
from tests.review.plans import (
    GPT2,
    PHI,
    UNPRICED,
    Step,
    gone,
    inputs,
    kept,
    loaded,
    refreshed,
    replaced,
    reviewed,
    setting,
    state,
    step,
    unloaded,
    urn,
)

MARK = "<!-- bytez-fleet review of fleet/dev -->"


def headings(text: str) -> list[str]:
    return re.findall(r"^#+ (.*)$", text, re.MULTILINE)


def rows(text: str) -> list[list[str]]:
    return [
        [cell.strip() for cell in line.strip("|").split(" | ")]
        for line in text.splitlines()
        if line.startswith("|")
    ]


def test_the_summary_comes_first_and_an_outage_is_bold() -> None:
    text = markdown(
        reviewed(
            replaced("scaled", inputs(), inputs(concurrency=3)),
            loaded("new", inputs(PHI)),
            unloaded("old", inputs("me/old")),
            kept("stays", inputs("me/stays")),
            *gone("expired", inputs("me/expired")),
            refreshed("scaled", state(inputs())),
            *(refreshed(name, state(inputs(f"me/{name}"))) for name in ("old", "stays")),
        )
    )
    lines = text.splitlines()
    assert lines[0] == MARK
    assert lines[3] == (
        "**1 load, 1 replacement, 1 unload**, 1 unchanged. **Each replacement is unavailable "
        "about 15 minutes.** 1 step more happens with or without it."
    )
    assert "**about 15 minutes**" in text
    assert headings(text) == [
        "Bytez models of `fleet`, stack `dev`",
        "Cost",
        "Replaced: each is an outage",
        "Loaded",
        "Unloaded",
        "What would happen anyway, without this change",
        "Notes",
    ]


def test_no_change_says_so() -> None:
    text = markdown(reviewed(kept("a", inputs())))
    assert "**No change**, 1 unchanged." in text


def test_a_failure_stands_above_all() -> None:
    text = markdown(reviewed(unloaded("a", inputs(), protect=True)))
    failure = text.index("**This `up` will fail:** `a: it is protected")
    assert failure < text.index("**1 unload**")


def test_unknown_cost_is_no_zero() -> None:
    text = markdown(reviewed(loaded("a", inputs(UNPRICED))))
    assert "**Unknown cost, in no sum:** `a`." in text
    (row,) = [row for row in rows(text) if row[0].startswith("`a`")]
    assert row[2:] == ["?", "?"]


def test_a_sum_of_nothing_known_is_unknown() -> None:
    text = markdown(reviewed(loaded("a", inputs(UNPRICED))))
    assert [row[1:] for row in rows(text)[2:5]] == [["$0.00", "?", "?"]] * 3
    assert "At most ? GB RAM at one time" in text


def test_a_sum_of_which_a_part_is_unknown_says_so() -> None:
    text = markdown(reviewed(kept("a", inputs()), loaded("b", inputs(UNPRICED))))
    (row,) = [row for row in rows(text) if row[0].startswith("a month at most")]
    assert row[1:] == ["$21.90", "$21.90 + ?", "?"]


def test_what_stays_makes_no_difference_whatever_it_costs() -> None:
    text = markdown(reviewed(kept("a", inputs(UNPRICED)), loaded("b", inputs())))
    (row,) = [row for row in rows(text) if row[0].startswith("a month at most")]
    assert row[1:] == ["?", "$21.90 + ?", "+$21.90"]


def test_a_plan_of_what_changes_alone_has_no_count_of_what_stays() -> None:
    plan = from_digest({"steps": [loaded("a", inputs())], "changeSummary": {"same": 4}})
    text = markdown(assess(plan, setting()))
    assert "> **This review is partial:** the plan leaves out what stays as it is" in text
    assert "**1 load**, in a plan that is partial." in text
    assert "### Cost, of what is in this plan alone" in text


def test_the_mark_is_that_of_the_stack_alone() -> None:
    one = markdown(reviewed(kept("a", inputs()), commit="abc"))
    other = markdown(reviewed(loaded("b", inputs()), commit="def"))
    assert one.splitlines()[0] == other.splitlines()[0] == MARK
    assert "Commit `abc`, planned" in one


def many(number: int) -> list[Step]:
    steps = [loaded(f"new-{n:04}", inputs(f"me/{n}")) for n in range(number)]
    return [*steps, replaced("scaled", inputs(), inputs(concurrency=2))]


def test_what_is_too_long_is_cut_at_a_whole_section() -> None:
    review = reviewed(*many(1500))
    whole = markdown(review, limit=10**9)
    text = markdown(review, link="https://example.com/review?x=1")
    assert len(text) <= 65_536 < len(whole)
    *sections, pointer = text.rstrip("\n").split("\n\n")
    assert "The whole review is at <https://example.com/review?x=1>" in pointer
    # What was kept is a start of the whole, and ends with a whole table.
    assert whole.startswith("\n\n".join(sections))
    assert sections[-1].startswith("| ")
    assert "`scaled`" in text


def test_a_link_that_is_none_is_shown_and_not_linked() -> None:
    review = reviewed(*many(1500))
    text = markdown(review, link="javascript:alert(1)> [x](http://evil)")
    assert "at `javascript:alert(1)> [x](http://evil)`" in text


HOSTILE = st.text(
    st.sampled_from(list("`|<>[]()!*_#@\\\n\r\x1b\u202e\u2028-~:/ab&;\"'")), min_size=1, max_size=30
)


def outline(text: str) -> tuple[list[str], list[int]]:
    """Return what no name can change: the headings, and the number of cells of each row."""
    known = [re.sub(r"`[^`\n]*`", "`x`", heading) for heading in headings(text)]
    unspanned = re.sub(r"`[^`\n]*`", "x", text)
    return known, [line.count("|") for line in unspanned.splitlines() if line.startswith("|")]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(HOSTILE, HOSTILE)
def test_no_text_of_others_is_part_of_the_comment(name: str, value: str) -> None:
    def text(name: str, value: str) -> str:
        old, new = inputs(), inputs(onExpiry=value)
        told = [
            step("update", f"a{name}", state(old), state(new)),
            replaced(f"r{name}", inputs(), inputs(value)),
        ]
        more: list[dict[str, Any]] = [
            {"severity": "error", "urn": urn(f"a{name}"), "message": f"x{value}"},
            {"severity": "error", "message": f"y{value}"},
        ]
        digest = from_digest({"steps": told, "diagnostics": more})
        return markdown(assess(digest, setting(commit=f"c{value}")))

    shown = text(name, value)
    spans = re.sub(r"`[^`\n]*`", "", shown)
    plain = re.sub(r"`[^`\n]*`", "", text("plain", "words"))
    assert spans == plain
    assert outline(shown) == outline(text("plain", "words"))
    assert all(line.isprintable() for line in shown.splitlines())


def test_a_rule_s_message_is_part_of_nothing() -> None:
    event = {
        "policyEvent": {
            "resourceUrn": urn("a"),
            "message": "</td><script>alert(1)</script> `x` | @team #1 \x1b[2J",
            "policyName": "p`|",
            "enforcementLevel": "mandatory",
        }
    }
    text = markdown(assess(from_events([event]), setting()))
    (row,) = [row for row in rows(text) if row[0] == "`a`"]
    assert len(row) == 4
    assert row[2] == "`</td><script>alert(1)</script> \u02cbx\u02cb \u00a6 @team #1`"
    assert "\x1b" not in text


@pytest.mark.parametrize("name", ["a-->b", "--", "x/../y", "<b>"])
def test_the_mark_cannot_be_ended_by_a_name(name: str) -> None:
    steps = {"op": "same", "urn": f"urn:pulumi:{name}::fleet::pulumi:pulumi:Stack::x"}
    first = markdown(assess(from_digest({"steps": [steps]}), setting())).splitlines()[0]
    assert first.startswith("<!-- bytez-fleet review of fleet/")
    assert first.endswith(" -->")
    assert first.count("-->") == 1
    assert "--" not in first.removeprefix("<!--").removesuffix("-->")


def test_the_model_is_named_beside_its_resource() -> None:
    assert f"`a` `{GPT2}`" in markdown(reviewed(loaded("a", inputs())))
