"""What a state confirms in the journal, and what a record says about a load."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bytez_provider.core.ownership import (
    ANSWER_WINDOW,
    CLOCK_TOLERANCE,
    Holder,
    Named,
    Phase,
    Record,
    judge,
)
from bytez_provider.core.ownership._judgement import confirmed as confirm
from bytez_provider.service.schemas import Asked, iso
from tests.ownership.test_judgement import (
    ADOPTED,
    ADOPTED_LATER,
    CREATED,
    LATER,
    ME,
    OTHER,
    SIBLING,
    accepted,
    confirmed,
    live,
    requested,
)

STATED = confirmed(host="")
ANYBODY = Holder(machine="m", host="h", pid=1, started="s", token="t")


def outcome(known: Record | None, stated: Record = STATED, **given: Any) -> Record | None:
    return confirm(known, stated, **{"is_kept": False, "may_be_held": False, **given})


def test_a_state_creates_a_missing_record() -> None:
    assert outcome(None) == STATED


def test_a_state_confirms_a_load_whose_answer_was_not_seen() -> None:
    assert outcome(requested(host="there")) == confirmed(host="there")
    assert outcome(requested(SIBLING)) is None
    assert outcome(requested(OTHER)) is None
    assert outcome(requested(began=LATER + timedelta(days=1))) is None


def test_a_confirmed_load_has_no_holder_and_nothing_before_it() -> None:
    known = confirmed(phase=Phase.ACCEPTED, holder=ANYBODY, before=confirmed(created=LATER))
    assert outcome(known) == confirmed()
    assert outcome(confirmed()) is None
    assert outcome(known, may_be_held=True) is None


TAKEN_OVER = confirmed(host="", adopted_at=ADOPTED)


@pytest.mark.parametrize(
    ("known", "stated", "is_kept", "owner"),
    [
        (confirmed(SIBLING), STATED, False, ME),
        (confirmed(SIBLING, adopted_at=ADOPTED), STATED, False, None),
        (confirmed(SIBLING, adopted_at=ADOPTED), STATED, True, ME),
        (confirmed(OTHER, adopted_at=ADOPTED), STATED, False, None),
        (confirmed(OTHER, adopted_at=ADOPTED), STATED, True, None),
        # A take-over that is in another journal.
        (confirmed(OTHER), TAKEN_OVER, False, ME),
        (confirmed(OTHER, began=LATER), TAKEN_OVER, False, None),
        (confirmed(OTHER, adopted_at=ADOPTED_LATER), TAKEN_OVER, False, None),
    ],
)
def test_a_state_moves_a_load_only_with_its_claim_a_later_one_or_within_its_stack(
    known: Record, stated: Record, *, is_kept: bool, owner: Any
) -> None:
    found = outcome(known, stated, is_kept=is_kept)
    assert (found.owner if found else None) == owner


def test_a_state_says_nothing_against_a_later_load() -> None:
    assert outcome(confirmed(created=LATER)) is None
    later = confirmed(created=LATER)
    assert outcome(confirmed(), later) == later
    assert outcome(confirmed(OTHER), later) is None
    # Taken over in the very moment in which the other load began: it may be the later one.
    assert outcome(confirmed(began=LATER), later) is None


def test_a_seen_load_is_accepted_and_nothing_is_before_it() -> None:
    seen = requested(before=confirmed()).identified(LATER)
    assert (seen.created, seen.phase, seen.before) == (LATER, Phase.ACCEPTED, None)


def test_a_record_is_about_the_load_that_fits() -> None:
    before = confirmed()
    record = requested(began=LATER, before=before)
    assert record.about(live()) is before
    assert record.about(live(LATER)) is record
    assert record.about(live(CREATED - timedelta(days=1))) is record
    assert requested().about(live()).before is None


def test_what_a_record_asked_for() -> None:
    record = requested(concurrency=2, expiration_period_seconds=600)
    assert record.asked == Asked(2, 600)
    assert requested(concurrency=2, max_concurrency=4).asked == Asked(2, None, 4)


def test_a_load_made_at_the_end_of_the_window_is_the_requested_one() -> None:
    record = requested()
    assert record.claim.covers(live(record.began + ANSWER_WINDOW))
    assert not record.claim.covers(live(record.began + ANSWER_WINDOW + timedelta(seconds=1)))


def test_what_is_later_than_a_shown_load() -> None:
    assert confirmed(created=LATER).is_later_than(live())
    assert not confirmed().is_later_than(live())
    assert not confirmed().is_later_than(live(LATER))
    # Without an identity: another concurrency shows that it is not this load.
    began = CREATED - CLOCK_TOLERANCE
    assert accepted(began=began, concurrency=2).is_later_than(live())
    assert not accepted(began=began - timedelta(seconds=1), concurrency=2).is_later_than(live())
    assert not requested(began=began, concurrency=2).is_later_than(live())


def test_a_judgement_has_the_record_that_it_goes_by() -> None:
    named, own = Named(CREATED), confirmed()
    assert judge(live(), who=ME, named=named, record=own).record is own
    later = confirmed(SIBLING, created=LATER)
    judged = judge(live(), who=ME, named=named, record=later)
    assert (judged.record, judged.owner) == (later, SIBLING)


def test_a_take_over_is_later_than_all_that_a_record_knows() -> None:
    record = confirmed(began=CREATED)
    assert record.is_before_take_over(iso(LATER))
    assert not record.is_before_take_over(iso(CREATED))
    assert not record.is_before_take_over(None)
    assert not confirmed(adopted_at=iso(LATER)).is_before_take_over(iso(LATER))
