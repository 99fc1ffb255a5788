"""Whose a load is, as a table."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from bytez_provider.core.ownership import Named, Owner, Phase, Record, Verdict, judge
from bytez_provider.service.schemas import Instance

MODEL = "openai-community/gpt2"
BEGAN = datetime(2024, 5, 27, 23, 35, tzinfo=timezone.utc)
CREATED = BEGAN + timedelta(seconds=1)
EARLIER, LATER = BEGAN - timedelta(minutes=1), CREATED + timedelta(hours=1)
ADOPTED, ADOPTED_LATER = "2024-05-27T23:40:00.000Z", "2024-05-27T23:50:00.000Z"


def owner(name: str, stack: str | None, urn_stack: str = "dev", project: str = "fleet") -> Owner:
    urn = f"urn:pulumi:{urn_stack}::{project}::pulumi-python:dynamic/bytez:Model::{name}"
    return Owner(urn=urn, stack=stack)


ME = owner("gpt2", "here")
ME_ELSEWHERE = owner("gpt2", "there")
ME_ANYWHERE = owner("gpt2", None)
SIBLING = owner("chat", "here")
OTHER = owner("gpt2", "here", urn_stack="prod")
OTHER_PROJECT = owner("gpt2", "here", project="web")
NAMELESS = Owner(urn="")


def live(created: datetime | None = CREATED) -> Instance:
    return Instance(model_id=MODEL, status="RUNNING", created=created, concurrency=1)


def confirmed(who: Owner = ME, created: datetime | None = CREATED, **given: Any) -> Record:
    kept = {"phase": Phase.CONFIRMED, "began": BEGAN, "concurrency": 1, **given}
    return Record(model_id=MODEL, owner=who, created=created, **kept)


def requested(who: Owner = ME, **given: Any) -> Record:
    return confirmed(who, None, **{"phase": Phase.REQUESTED, **given})


def accepted(who: Owner = ME, **given: Any) -> Record:
    return requested(who, phase=Phase.ACCEPTED, **given)


OURS, OURS_LATER, FOREIGN, UNSURE, OTHER_RESOURCE, OTHER_STACK = (
    Verdict.OURS,
    Verdict.OURS_LATER,
    Verdict.FOREIGN,
    Verdict.UNSURE,
    Verdict.OTHER_RESOURCE,
    Verdict.OTHER_STACK,
)
NAMED, ADOPTER = Named(CREATED), Named(CREATED, ADOPTED)
Case = tuple[Verdict, Instance | None, Named | None, Record | None]

TABLE: dict[str, Case] = {
    "nothing runs": (Verdict.NOT_LOADED, None, NAMED, None),
    # --- the state names it
    "the state names it": (OURS, live(), NAMED, None),
    "state and journal agree": (OURS, live(), NAMED, confirmed()),
    "the journal has an older load": (OURS, live(LATER), Named(LATER), confirmed()),
    "another resource adopted it": (
        OTHER_RESOURCE, live(), NAMED, confirmed(SIBLING, adopted_at=ADOPTED),
    ),
    "another stack adopted it": (OTHER_STACK, live(), NAMED, confirmed(OTHER, adopted_at=ADOPTED)),
    "another resource adopted it after us": (
        OTHER_RESOURCE, live(), ADOPTER, confirmed(SIBLING, adopted_at=ADOPTED_LATER),
    ),
    "another stack adopted it after us": (
        OTHER_STACK, live(), ADOPTER, confirmed(OTHER, adopted_at=ADOPTED_LATER),
    ),
    "adopted from another stack with another journal": (OURS, live(), ADOPTER, confirmed(OTHER)),
    "kept by another resource of the stack": (OTHER_RESOURCE, live(), ADOPTER, confirmed(SIBLING)),
    "renamed": (OURS, live(), NAMED, confirmed(SIBLING)),
    "renamed after an adoption": (OURS, live(), ADOPTER, confirmed(SIBLING, adopted_at=ADOPTED)),
    "moved to another stack": (OURS, live(), NAMED, confirmed(OTHER)),
    # --- the state names another load, or none
    "a restored state": (OURS_LATER, live(LATER), NAMED, confirmed(created=LATER)),
    "a save that failed": (OURS_LATER, live(), None, confirmed(phase=Phase.ACCEPTED)),
    "no answer was seen": (OURS_LATER, live(), None, requested()),
    "requested by an unknown stack of this name": (
        OURS_LATER, live(), None, requested(ME_ANYWHERE),
    ),
    "requested at another concurrency": (FOREIGN, live(), None, requested(concurrency=2)),
    "created before the request, within the clock tolerance": (
        OURS_LATER, live(BEGAN - timedelta(seconds=2)), None, requested(),
    ),
    "created before the request": (FOREIGN, live(BEGAN - timedelta(seconds=3)), None, requested()),
    "created long after the request": (
        FOREIGN, live(BEGAN + timedelta(minutes=6)), None, requested(),
    ),
    "ours from before a request that changed nothing": (
        OURS_LATER, live(EARLIER), None, requested(before=confirmed(created=EARLIER)),
    ),
    "another stack's from before our request": (
        OTHER_STACK, live(EARLIER), None, requested(before=confirmed(OTHER, EARLIER)),
    ),
    "begun by another resource": (OTHER_RESOURCE, live(), None, confirmed(SIBLING)),
    "begun by a stack of this name elsewhere": (
        OTHER_STACK, live(), None, confirmed(ME_ELSEWHERE),
    ),
    "begun by another stack": (OTHER_STACK, live(), None, confirmed(OTHER)),
    "begun by another project": (OTHER_STACK, live(), None, confirmed(OTHER_PROJECT)),
    "nobody knows it": (FOREIGN, live(), None, None),
    "ours is gone, and somebody loaded the model": (FOREIGN, live(LATER), NAMED, confirmed()),
    # --- the shown load may be outdated
    "another resource has loaded the model again": (
        OTHER_RESOURCE, live(), NAMED, confirmed(SIBLING, LATER),
    ),
    "another stack's load is accepted and not shown yet": (
        OTHER_STACK, live(), NAMED, accepted(OTHER, concurrency=2),
    ),
    "another's request may have changed nothing": (
        OURS, live(), NAMED, requested(OTHER, concurrency=2),
    ),
    "another's load was earlier": (OURS, live(LATER), Named(LATER), confirmed(OTHER)),
    "another's accepted load was earlier": (
        FOREIGN, live(LATER), None, accepted(OTHER, concurrency=2),
    ),
    "our own load is later": (OURS, live(), NAMED, confirmed(created=LATER)),
    "a later load of an unknown owner": (OURS, live(), NAMED, confirmed(NAMELESS, LATER)),
    # --- records of the earlier format, which did not know the resource
    "adopted by an unknown resource": (
        OTHER_RESOURCE, live(), NAMED, confirmed(NAMELESS, adopted_at=ADOPTED),
    ),
    "adopted by this resource": (OURS, live(), ADOPTER, confirmed(NAMELESS, adopted_at=ADOPTED)),
    "a nameless record claims nothing": (FOREIGN, live(), None, confirmed(NAMELESS)),
    # --- the service or the state has no `created`
    "loads cannot be told apart": (OURS, live(None), NAMED, None),
    "and another adopted it": (
        OTHER_RESOURCE, live(None), Named(None), confirmed(SIBLING, None, adopted_at=ADOPTED),
    ),
    "the state does not know which": (UNSURE, live(), Named(None), None),
    "the state does not know which, the journal does": (OURS, live(), Named(None), confirmed()),
    "the state does not know which, another has it": (
        OTHER_STACK, live(), Named(None), confirmed(OTHER),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", TABLE.values(), ids=TABLE.keys())
def test_judged(case: Case) -> None:
    verdict, shown, named, record = case
    judged = judge(shown, who=ME, named=named, record=record)
    assert judged.verdict is verdict
    assert judged.is_ours is (verdict in (OURS, OURS_LATER))
    known = record and (record.before or record)
    is_other = verdict in (OTHER_RESOURCE, OTHER_STACK)
    assert judged.owner == (known.owner if known and is_other else None)


@pytest.mark.parametrize(
    ("record", "verdict", "expected"),
    [(None, OTHER_RESOURCE, SIBLING), (confirmed(), OURS_LATER, None)],
)
def test_a_load_in_a_siblings_state_is_the_siblings_unless_the_journal_says_otherwise(
    record: Record | None, verdict: Verdict, expected: Owner | None
) -> None:
    judged = judge(live(), who=ME, named=None, record=record, sibling=SIBLING)
    assert (judged.verdict, judged.owner) == (verdict, expected)


def test_a_nameless_resource_claims_nothing() -> None:
    judged = judge(live(), who=NAMELESS, named=None, record=confirmed(NAMELESS))
    assert judged.verdict is FOREIGN


def test_only_a_record_of_this_load_is_returned() -> None:
    assert judge(live(LATER), who=ME, named=Named(LATER), record=confirmed()).record is None
    assert judge(live(), who=ME, named=None, record=confirmed()).record == confirmed()
