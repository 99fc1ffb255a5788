"""The state machine by itself: every moment is given."""

from __future__ import annotations

import copy
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import pytest

from bytez_provider.emulator.world import (
    AlreadyLoadedError,
    Fate,
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


def test_a_load_deploys_then_runs_then_expires(world: World) -> None:
    load = world.load("a/small", START, concurrency=2)
    assert (load.status(at(0)), load.expires(at(0))) == ("DEPLOYING", None)
    assert load.status(at(BOOT - 0.001)) == "DEPLOYING"
    assert load.status(at(BOOT)) == "RUNNING"
    assert load.expires(at(BOOT)) == at(BOOT + 1800)
    assert world.status("a/small", at(BOOT + 1799.999)) is load
    with pytest.raises(NotLoadedError, match=r"^model 'a/small' is not loaded$"):
        world.status("a/small", at(BOOT + 1800))


def test_reading_changes_nothing(world: World) -> None:
    world.load("a/small", START, concurrency=1)
    before = copy.deepcopy(world)
    for seconds in (0, BOOT, BOOT + 1800, 10**7):
        world.instances(at(seconds))
        world.ledger(at(seconds))
    assert world == before
    assert world.status("a/small", at(BOOT)).status(at(BOOT)) == "RUNNING"


def test_a_run_puts_the_expiry_off_and_is_counted(world: World) -> None:
    load = world.load("a/small", START, concurrency=1, expiration_seconds=300)
    world.run("a/small", at(BOOT + 299))
    assert load.inferences == 1
    assert load.expires(at(BOOT + 299)) == at(BOOT + 599)
    assert load.modified(at(BOOT + 400)) == at(BOOT + 299)
    assert world.instances(at(BOOT + 598)) == [load]
    with pytest.raises(NotLoadedError):
        world.run("a/small", at(BOOT + 599))


def test_modified_follows_the_boot(world: World) -> None:
    load = world.load("a/small", START, concurrency=1)
    assert load.modified(at(10)) == START
    assert load.modified(at(BOOT + 10)) == at(BOOT)


def test_a_load_in_progress_is_told_from_a_loaded_model(world: World) -> None:
    first = world.load("a/small", START, concurrency=1)
    with pytest.raises(LoadInProgressError):
        world.load("a/small", at(BOOT - 1), concurrency=5)
    with pytest.raises(AlreadyLoadedError, match="already loaded"):
        world.load("a/small", at(BOOT), concurrency=5)
    assert first.concurrency == 1
    assert world.ledger(at(BOOT))[0].loads == 1


def test_created_is_new_with_every_load_even_when_time_stands_still(world: World) -> None:
    first = world.load("a/small", START, concurrency=1)
    world.unload("a/small", START)
    second = world.load("a/small", START, concurrency=1)
    assert second.created > first.created
    assert world.status("a/small", START) is second


def test_created_is_what_the_wire_can_say(world: World) -> None:
    load = world.load("a/small", START + timedelta(microseconds=999), concurrency=1)
    assert load.created == START


def test_an_expired_model_is_loaded_anew(world: World) -> None:
    first = world.load("a/small", START, concurrency=1)
    second = world.load("a/small", at(BOOT + 1800), concurrency=1)
    assert second is not first
    assert world.ledger(at(BOOT + 1800))[0].loads == 2


def test_a_failed_boot_stays_listed_and_costs_no_more(world: World) -> None:
    load = world.load("a/small", START, concurrency=1, fate=Fate("failed", "out of memory"))
    assert load.status(at(BOOT - 1)) == "DEPLOYING"
    assert load.status(at(BOOT)) == "FAILED"
    assert world.instances(at(10**6)) == [load]
    assert load.expires(at(10**6)) is None
    with pytest.raises(AlreadyLoadedError):
        world.load("a/small", at(10**6), concurrency=1)
    with pytest.raises(NotRunningError, match="FAILED"):
        world.run("a/small", at(10**6))
    assert load.billed_seconds(at(10**6)) == 420
    world.unload("a/small", at(10**6))
    assert world.instances(at(10**6)) == []
    assert load.billed_seconds(at(2 * 10**6)) == 420


def test_a_boot_that_never_ends_costs_until_it_is_unloaded(world: World) -> None:
    load = world.load("a/small", START, concurrency=1, fate=Fate("never"))
    assert load.status(at(10**6)) == "DEPLOYING"
    world.unload("a/small", at(3600))
    assert load.billed_seconds(at(10**6)) == 3600


def test_a_model_that_shuts_down_answers_as_before(world: World) -> None:
    load = world.load("a/small", START, concurrency=1)
    world.unload("a/small", at(BOOT + 60), shutdown_seconds=90)
    assert world.status("a/small", at(BOOT + 149)).status(at(BOOT + 149)) == "RUNNING"
    with pytest.raises(AlreadyLoadedError):
        world.load("a/small", at(BOOT + 149), concurrency=1)
    with pytest.raises(NotRunningError, match="shutting down"):
        world.run("a/small", at(BOOT + 149))
    world.unload("a/small", at(BOOT + 149))
    assert world.loaded(at(BOOT + 149)) == []
    assert world.instances(at(BOOT + 150)) == []
    assert load.billed_seconds(at(10**6)) == 480
    world.load("a/small", at(BOOT + 150), concurrency=1)


def test_a_boot_cut_short_answers_as_deploying_while_it_shuts_down(world: World) -> None:
    world.load("a/small", START, concurrency=1)
    world.unload("a/small", at(BOOT - 1), shutdown_seconds=60)
    assert world.status("a/small", at(BOOT + 1)).status(at(BOOT + 1)) == "DEPLOYING"
    with pytest.raises(AlreadyLoadedError):
        world.load("a/small", at(BOOT + 1), concurrency=1)


def test_a_status_that_lags_hides_a_load_that_is_there(world: World) -> None:
    load = world.load("a/small", START, concurrency=1, fate=Fate(status_lag_seconds=30))
    with pytest.raises(NotLoadedError):
        world.status("a/small", at(29))
    assert (world.instances(at(29)), world.loaded(at(29))) == ([], [load])
    assert world.status("a/small", at(30)) is load
    with pytest.raises(NotLoadedError):
        world.status("a/small", at(30), lag_seconds=31)


def test_unknown_models_are_refused_by_everything(world: World) -> None:
    with pytest.raises(UnknownModelError, match=r"^model 'no/such' not found$"):
        world.load("no/such", START, concurrency=1)
    with pytest.raises(UnknownModelError):
        world.status("no/such", START)
    with pytest.raises(UnknownModelError):
        world.run("no/such", START)
    with pytest.raises(UnknownModelError):
        world.unload("no/such", START)
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


def test_unknown_ram_has_an_unknown_cost(world: World) -> None:
    world.load("a/unpriced", START, concurrency=1)
    (charge,) = world.ledger(at(3600))
    assert (charge.loads, charge.gb_seconds, charge.dollars) == (1, None, None)


def test_a_month_of_working_days_to_the_cent(world: World) -> None:
    for day in range(22):
        morning = at(day * 24 * 3600)
        world.load("a/coder", morning, concurrency=2)
        evening = morning + timedelta(hours=8, minutes=30, seconds=10)
        for quarter_hours in range(1, 34):
            world.run("a/coder", morning + timedelta(minutes=15 * quarter_hours))
        world.run("a/coder", evening)
    # From 9:00:00 to the idle expiry at 18:00:10 are 32,410 s, billed as 541 minutes.
    (charge,) = world.ledger(at(30 * 24 * 3600))
    assert charge.loads == 22
    assert charge.gb_seconds == Decimal("6.16") * 2 * 541 * 60 * 22
    assert charge.dollars is not None
    assert charge.dollars.quantize(Decimal("0.01")) == Decimal("146.63")


def test_a_boot_of_no_time_ends_at_once_also_for_a_second_load_on_a_frozen_clock() -> None:
    world = World({"a/small": 0.5}, boot_seconds=0)
    world.load("a/small", START, concurrency=1)
    world.unload("a/small", START)
    again = world.load("a/small", START, concurrency=1)
    assert again.created > START
    assert again.status(START) == "RUNNING"
