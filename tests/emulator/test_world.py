"""The state machine of loads: every moment is given."""

from __future__ import annotations

import copy
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import pytest

from bytez_provider.emulator.load import Fate
from bytez_provider.emulator.world import (
    AlreadyLoadedError,
    LoadInProgressError,
    NotLoadedError,
    NotRunningError,
    UnknownModelError,
    World,
)

START = datetime(2024, 6, 3, 9, 0, 0, 250000, tzinfo=timezone.utc)
BOOT = 403


@pytest.fixture
def world() -> World:
    return World({"a/small": 0.5, "a/coder": 6.16, "a/unpriced": None}, BOOT)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def test_a_load_boots_then_runs_then_expires(world: World) -> None:
    load = world.load("a/small", START, concurrency=2)
    assert (load.status(at(0)), load.expires(at(0))) == ("DEPLOYING", None)
    assert load.status(at(BOOT - 0.001)) == "DEPLOYING"
    assert load.modified(at(10)) == START
    assert load.status(at(BOOT)) == "RUNNING"
    assert load.modified(at(BOOT + 10)) == at(BOOT)
    assert load.expires(at(BOOT)) == at(BOOT + 1800)
    assert world.status("a/small", at(BOOT + 1799.999)) is load
    with pytest.raises(NotLoadedError, match=r"^model 'a/small' is not loaded$"):
        world.status("a/small", at(BOOT + 1800))
    assert world.load("a/small", at(BOOT + 1800), concurrency=1) is not load
    assert world.ledger(at(BOOT + 1800))[0].loads == 2


def test_reading_changes_nothing(world: World) -> None:
    world.load("a/small", START, concurrency=1)
    before = copy.deepcopy(world)
    for seconds in (0, BOOT, BOOT + 1800, 10**7):
        world.instances(at(seconds))
        world.ledger(at(seconds))
    assert world == before
    assert world.status("a/small", at(BOOT)).phase(at(BOOT)) == "up"


def test_a_run_is_counted_and_postpones_the_expiry(world: World) -> None:
    load = world.load("a/small", START, concurrency=1, expiration_seconds=300)
    world.run("a/small", at(BOOT + 299))
    assert load.inferences == 1
    assert load.expires(at(BOOT + 299)) == at(BOOT + 599)
    assert load.modified(at(BOOT + 400)) == at(BOOT + 299)
    assert world.instances(at(BOOT + 598)) == [load]
    with pytest.raises(NotLoadedError):
        world.run("a/small", at(BOOT + 599))


def test_a_second_load_is_refused_and_changes_nothing(world: World) -> None:
    first = world.load("a/small", START, concurrency=1)
    with pytest.raises(LoadInProgressError):
        world.load("a/small", at(BOOT - 1), concurrency=5)
    with pytest.raises(AlreadyLoadedError, match="already loaded"):
        world.load("a/small", at(BOOT), concurrency=5)
    assert first.concurrency == 1
    assert world.ledger(at(BOOT))[0].loads == 1


def test_created_is_new_with_every_load_and_has_milliseconds(world: World) -> None:
    first = world.load("a/small", START + timedelta(microseconds=999), concurrency=1)
    assert first.created == START
    world.unload("a/small", START)
    second = world.load("a/small", START, concurrency=1)
    assert second.created > first.created
    assert world.status("a/small", START) is second


def test_a_failed_boot_remains_listed_without_cost_and_a_stuck_one_costs(world: World) -> None:
    load = world.load("a/small", START, concurrency=1, fate=Fate("failed", "out of memory"))
    assert load.status(at(BOOT - 1)) == "DEPLOYING"
    assert load.status(at(BOOT)) == "FAILED"
    assert world.instances(at(10**6)) == [load]
    assert load.expires(at(10**6)) is None
    with pytest.raises(AlreadyLoadedError):
        world.load("a/small", at(10**6), concurrency=1)
    with pytest.raises(NotRunningError, match="FAILED"):
        world.run("a/small", at(10**6))
    world.unload("a/small", at(10**6))
    assert world.instances(at(10**6)) == []
    assert load.billed_seconds(at(2 * 10**6)) == 420
    stuck = world.load("a/coder", START, concurrency=1, fate=Fate("never"))
    assert stuck.status(at(10**6)) == "DEPLOYING"
    world.unload("a/coder", at(3600))
    assert stuck.billed_seconds(at(10**6)) == 3600


@pytest.mark.parametrize(("deleted", "status"), [(BOOT + 60, "RUNNING"), (BOOT - 1, "DEPLOYING")])
def test_a_model_that_shuts_down_answers_as_before(
    world: World, deleted: float, status: str
) -> None:
    load = world.load("a/small", START, concurrency=1)
    world.unload("a/small", at(deleted), shutdown_seconds=90)
    last = at(deleted + 89)
    assert world.status("a/small", last) is load
    assert load.status(last) == status
    with pytest.raises(AlreadyLoadedError):
        world.load("a/small", last, concurrency=1)
    with pytest.raises(NotRunningError, match="shutting down"):
        world.run("a/small", last)
    world.unload("a/small", last)
    assert world.loaded(last) == []
    assert world.instances(at(deleted + 90)) == []
    assert load.billed_seconds(at(10**6)) == (480 if status == "RUNNING" else 420)
    world.load("a/small", at(deleted + 90), concurrency=1)


def test_a_status_that_lags_hides_an_existing_load(world: World) -> None:
    load = world.load("a/small", START, concurrency=1, fate=Fate(status_lag_seconds=30))
    with pytest.raises(NotLoadedError):
        world.status("a/small", at(29))
    assert (world.instances(at(29)), world.loaded(at(29))) == ([], [load])
    assert world.status("a/small", at(30)) is load
    with pytest.raises(NotLoadedError):
        world.status("a/small", at(30), lag_seconds=31)


def test_an_unknown_model_is_refused(world: World) -> None:
    with pytest.raises(UnknownModelError, match=r"^model 'no/such' not found$"):
        world.load("no/such", START, concurrency=1)
    for act in (world.status, world.run, world.unload):
        with pytest.raises(UnknownModelError):
            act("no/such", START)
    assert world.ledger(START) == []


@pytest.mark.parametrize(
    ("seconds", "billed"), [(0, 60), (59, 60), (60, 60), (60.001, 120), (119, 120), (121, 180)]
)
def test_cost_is_a_minute_at_least_and_rounded_up(
    world: World, seconds: float, billed: int
) -> None:
    world.load("a/small", START, concurrency=3)
    world.unload("a/small", at(seconds))
    (charge,) = world.ledger(at(10**6))
    assert charge.gb_seconds == Decimal("0.5") * 3 * billed


def test_the_cost_of_a_month_of_working_days_to_the_cent(world: World) -> None:
    for day in range(22):
        morning = at(day * 24 * 3600)
        world.load("a/coder", morning, concurrency=2)
        for quarter_hours in range(1, 34):
            world.run("a/coder", morning + timedelta(minutes=15 * quarter_hours))
        world.run("a/coder", morning + timedelta(hours=8, minutes=30, seconds=10))
    # From 9:00:00 to the idle expiry at 18:00:10 are 32,410 s, billed as 541 minutes.
    (charge,) = world.ledger(at(30 * 24 * 3600))
    assert charge.loads == 22
    assert charge.gb_seconds == Decimal("6.16") * 2 * 541 * 60 * 22
    assert charge.dollars is not None
    assert charge.dollars.quantize(Decimal("0.01")) == Decimal("146.63")


def test_a_boot_of_0_seconds_ends_at_once_on_a_manual_clock() -> None:
    world = World({"a/small": 0.5}, boot_seconds=0)
    world.load("a/small", START, concurrency=1)
    world.unload("a/small", START)
    again = world.load("a/small", START, concurrency=1)
    assert again.created > START
    assert again.status(START) == "RUNNING"
