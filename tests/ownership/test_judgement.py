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
LATER = CREATED + timedelta(hours=1)
ADOPTED, ADOPTED_LATER = "2024-05-27T23:40:00.000Z", "2024-05-27T23:50:00.000Z"


def urn(name: str, *, stack: str = "dev", project: str = "fleet") -> str:
    return f"urn:pulumi:{stack}::{project}::pulumi-python:dynamic/bytez:Model::{name}"


ME = Owner(urn=urn("gpt2"), stack="here", place="file:///here")
ME_ELSEWHERE = Owner(urn=ME.urn, stack="there", place="file:///there")
SIBLING = Owner(urn=urn("chat"), stack="here")
OTHER = Owner(urn=urn("gpt2", stack="prod"), stack="here")
OTHER_PROJECT = Owner(urn=urn("gpt2", project="web"), stack="here")
NAMELESS = Owner(urn="")


def live(created: datetime | None = CREATED, concurrency: int = 1) -> Instance:
    return Instance(model_id=MODEL, status="RUNNING", created=created, concurrency=concurrency)


def record(owner: Owner = ME, **given: Any) -> Record:
    kept = {"phase": Phase.CONFIRMED, "began": BEGAN, "concurrency": 1, "created": CREATED}
    return Record(model_id=MODEL, owner=owner, **{**kept, **given})


REQUESTED: dict[str, Any] = {"phase": Phase.REQUESTED, "created": None}
ACCEPTED: dict[str, Any] = {"phase": Phase.ACCEPTED, "created": None}

TABLE: dict[str, tuple[Verdict, dict[str, Any]]] = {
    "nothing runs": (Verdict.NOT_LOADED, {"live": None, "named": Named(CREATED)}),
    # --- the state names it
    "the state names it": (Verdict.OURS, {"named": Named(CREATED), "record": None}),
    "state and journal agree": (Verdict.OURS, {"named": Named(CREATED), "record": record()}),
    "the journal has an older load": (
        Verdict.OURS,
        {"named": Named(LATER), "live": live(LATER), "record": record()},
    ),
    "another resource took it over": (
        Verdict.OTHER_RESOURCE,
        {"named": Named(CREATED), "record": record(SIBLING, adopted_at=ADOPTED)},
    ),
    "another stack took it over": (
        Verdict.OTHER_STACK,
        {"named": Named(CREATED), "record": record(OTHER, adopted_at=ADOPTED)},
    ),
    "another took it over after us": (
        Verdict.OTHER_RESOURCE,
        {"named": Named(CREATED, ADOPTED), "record": record(SIBLING, adopted_at=ADOPTED_LATER)},
    ),
    "taken over from another stack with another journal": (
        Verdict.OURS,
        {"named": Named(CREATED, ADOPTED), "record": record(OTHER)},
    ),
    "taken over by another stack after us": (
        Verdict.OTHER_STACK,
        {"named": Named(CREATED, ADOPTED), "record": record(OTHER, adopted_at=ADOPTED_LATER)},
    ),
    "kept by another resource of the stack": (
        Verdict.OTHER_RESOURCE,
        {"named": Named(CREATED, ADOPTED), "record": record(SIBLING)},
    ),
    "renamed": (Verdict.OURS, {"named": Named(CREATED), "record": record(SIBLING)}),
    "renamed after a take-over": (
        Verdict.OURS,
        {"named": Named(CREATED, ADOPTED), "record": record(SIBLING, adopted_at=ADOPTED)},
    ),
    "moved to another stack": (Verdict.OURS, {"named": Named(CREATED), "record": record(OTHER)}),
    # --- the state names another load, or none
    "a restored state": (
        Verdict.OURS_LATER,
        {"named": Named(CREATED), "live": live(LATER), "record": record(created=LATER)},
    ),
    "a save that failed": (Verdict.OURS_LATER, {"record": record(phase=Phase.ACCEPTED)}),
    "no answer was seen": (Verdict.OURS_LATER, {"record": record(**REQUESTED)}),
    "begun by an unknown stack of this name": (
        Verdict.OURS_LATER,
        {"record": record(Owner(urn=ME.urn), **REQUESTED)},
    ),
    "asked for at another concurrency": (
        Verdict.FOREIGN,
        {"record": record(**REQUESTED, concurrency=2)},
    ),
    "made before the request, by another clock": (
        Verdict.OURS_LATER,
        {"live": live(BEGAN - timedelta(seconds=2)), "record": record(**REQUESTED)},
    ),
    "made long before the request": (
        Verdict.FOREIGN,
        {"live": live(BEGAN - timedelta(seconds=3)), "record": record(**REQUESTED)},
    ),
    "made long after the request": (
        Verdict.FOREIGN,
        {"live": live(BEGAN + timedelta(minutes=6)), "record": record(**REQUESTED)},
    ),
    "begun before a request that came to nothing": (
        Verdict.OURS_LATER,
        {
            "live": live(BEGAN - timedelta(minutes=1)),
            "record": record(**REQUESTED, before=record(created=BEGAN - timedelta(minutes=1))),
        },
    ),
    "begun by another stack before our request": (
        Verdict.OTHER_STACK,
        {
            "live": live(BEGAN - timedelta(minutes=1)),
            "record": record(
                **REQUESTED, before=record(OTHER, created=BEGAN - timedelta(minutes=1))
            ),
        },
    ),
    "begun by another resource": (Verdict.OTHER_RESOURCE, {"record": record(SIBLING)}),
    "begun by the same stack name elsewhere": (
        Verdict.OTHER_STACK,
        {"record": record(ME_ELSEWHERE)},
    ),
    "begun by another stack": (Verdict.OTHER_STACK, {"record": record(OTHER)}),
    "begun by another project": (Verdict.OTHER_STACK, {"record": record(OTHER_PROJECT)}),
    "nobody knows it": (Verdict.FOREIGN, {}),
    "ours is gone, and somebody loaded it": (
        Verdict.FOREIGN,
        {"named": Named(CREATED), "live": live(LATER), "record": record()},
    ),
    "outdated, another resource has loaded it again": (
        Verdict.OTHER_RESOURCE,
        {"named": Named(CREATED), "record": record(SIBLING, created=LATER)},
    ),
    "outdated, another stack's load was accepted and is not seen yet": (
        Verdict.OTHER_STACK,
        {
            "named": Named(CREATED),
            "record": record(OTHER, **ACCEPTED, concurrency=2),
        },
    ),
    "what another has asked for in vain makes nothing outdated": (
        Verdict.OURS,
        {"named": Named(CREATED), "record": record(OTHER, **REQUESTED, concurrency=2)},
    ),
    "what another had before makes nothing outdated": (
        Verdict.OURS,
        {"named": Named(LATER), "live": live(LATER), "record": record(OTHER)},
    ),
    "what another had before it was seen does not either": (
        Verdict.FOREIGN,
        {"live": live(LATER), "record": record(OTHER, **ACCEPTED, concurrency=2)},
    ),
    "its own later load makes nothing another's": (
        Verdict.OURS,
        {"named": Named(CREATED), "record": record(created=LATER)},
    ),
    "what nobody in particular had later says nothing": (
        Verdict.OURS,
        {"named": Named(CREATED), "record": record(NAMELESS, created=LATER)},
    ),
    "a sibling's state names it": (Verdict.OTHER_RESOURCE, {"sibling": SIBLING}),
    "the journal knows better than a sibling's state": (
        Verdict.OURS_LATER,
        {"record": record(), "sibling": SIBLING},
    ),
    # --- carried over from the earlier format, which knew no resource
    "taken over by we know not whom": (
        Verdict.OTHER_RESOURCE,
        {"named": Named(CREATED), "record": record(NAMELESS, adopted_at=ADOPTED)},
    ),
    "taken over by this one": (
        Verdict.OURS,
        {"named": Named(CREATED, ADOPTED), "record": record(NAMELESS, adopted_at=ADOPTED)},
    ),
    "a nameless record claims nothing": (Verdict.FOREIGN, {"record": record(NAMELESS)}),
    "a nameless resource claims nothing": (
        Verdict.FOREIGN,
        {"who": NAMELESS, "record": record(NAMELESS)},
    ),
    # --- the service or the state gives no `created`
    "no load can be told from another": (
        Verdict.OURS,
        {"live": live(None), "named": Named(CREATED), "record": None},
    ),
    "and another took it over": (
        Verdict.OTHER_RESOURCE,
        {
            "live": live(None),
            "named": Named(None),
            "record": record(SIBLING, created=None, adopted_at=ADOPTED),
        },
    ),
    "the state does not know which": (Verdict.UNSURE, {"named": Named(None)}),
    "the state does not know which, the journal does": (
        Verdict.OURS,
        {"named": Named(None), "record": record()},
    ),
    "the state does not know which, another has it": (
        Verdict.OTHER_STACK,
        {"named": Named(None), "record": record(OTHER)},
    ),
}


@pytest.mark.parametrize(("verdict", "given"), TABLE.values(), ids=TABLE.keys())
def test_judged(verdict: Verdict, given: dict[str, Any]) -> None:
    known = {"live": live(), "who": ME, "named": None, "record": None, "sibling": None, **given}
    judged = judge(known.pop("live"), **known)
    assert judged.verdict is verdict
    assert judged.is_ours is (verdict in (Verdict.OURS, Verdict.OURS_LATER))
    if verdict in (Verdict.OTHER_RESOURCE, Verdict.OTHER_STACK):
        record = given.get("record")
        record = record.before or record if record else None
        assert judged.owner == (record.owner if record else given["sibling"])
    else:
        assert judged.owner is None


def test_a_record_of_another_load_is_not_given_out() -> None:
    judged = judge(live(LATER), who=ME, named=Named(LATER), record=record())
    assert (judged.verdict, judged.record) == (Verdict.OURS, None)
    judged = judge(live(), who=ME, named=None, record=record())
    assert judged.record == record()
