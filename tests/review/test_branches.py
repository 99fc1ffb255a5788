"""Two branches compared, where a fork has no access to the stack."""

from __future__ import annotations

import pytest

from bytez_provider.review import Review, assess, compared
from tests.review.plans import (
    PHI,
    UNKNOWN,
    UNPRICED,
    Step,
    digest,
    inputs,
    loaded,
    named,
    setting,
    step,
)


def review(head: list[Step], base: list[Step]) -> Review:
    return assess(compared(digest(*head), digest(*base)), setting())


def test_what_both_declare_stays() -> None:
    told = review([loaded("a", inputs())], [loaded("a", inputs())])
    assert named(told, "a").action == "keep"
    assert told.increase.ceiling == 0


def test_what_is_new_changed_and_gone() -> None:
    told = review(
        [
            loaded("new", inputs("facebook/opt-1.3b")),
            loaded("scaled", inputs(concurrency=2)),
            loaded("b", inputs(PHI)),
        ],
        [loaded("old", inputs(UNPRICED)), loaded("scaled", inputs()), loaded("b", inputs(PHI))],
    )
    actions = {one.name: (one.action, one.is_anyway) for one in told.models}
    assert actions == {
        "new": ("load", False),
        "old": ("unload", False),
        "scaled": ("replace", False),
        "b": ("keep", False),
    }
    assert named(told, "scaled").unavailable_minutes == 15


def test_what_sends_nothing_is_an_update() -> None:
    told = review([loaded("a", inputs(onExpiry="accept"))], [loaded("a", inputs())])
    assert named(told, "a").action == "update"


def test_other_resources_count_where_they_change() -> None:
    def pet(length: int) -> Step:
        kind = "random:index:RandomPet"
        return step("create", "pet", None, {"type": kind, "inputs": {"length": length}}, kind)

    assert review([pet(1)], [pet(1)]).other_changes == 0
    assert review([pet(2)], [pet(1)]).other_changes == 1


@pytest.mark.parametrize("hidden", [UNKNOWN, "[secret]"])
def test_what_neither_branch_shows_is_not_called_unchanged(hidden: str) -> None:
    both = [loaded("a", inputs(concurrency=hidden)), loaded("b", inputs(PHI))]
    told = review(both, both)
    (gap,) = told.gaps
    assert (gap.code, gap.models) == ("notComparable", ["a"])
    assert told.counts.unchanged == 1


def test_what_a_failed_preview_did_not_get_to_is_not_called_removed() -> None:
    error = {"severity": "error", "message": "boom"}
    head = digest(loaded("a", inputs()), diagnostics=[error])
    base = digest(loaded("a", inputs()), loaded("b", inputs(PHI)))
    told = assess(compared(head, base), setting())
    assert [(one.code, one.models) for one in told.gaps] == [("failed", ["b"])]
    assert [one.name for one in told.models] == ["a"]


def test_it_says_what_it_compared() -> None:
    told = review([loaded("a", inputs())], [])
    assert told.compares == "branches"
    assert any("without the stack's state" in note for note in told.notes)
