"""The timeline of a cluster: every moment is given."""

from __future__ import annotations

import copy
from datetime import datetime, timedelta, timezone

import pytest

from bytez_provider.emulator.cluster import Cluster, Power, Settings
from bytez_provider.emulator.load import Capacity, Fate, Load
from bytez_provider.emulator.world import (
    AlreadyLoadedError,
    NotLoadedError,
    NotRunningError,
    World,
)

START = datetime(2025, 4, 22, 17, 57, 40, 36000, tzinfo=timezone.utc)
BOOT = 40
TINY = "a/small"
FAILS = Fate("failed", "out of memory")


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def settings(minutes: int = 10, least: int = 1, desired: int = 1, most: int = 1) -> Settings:
    return Settings(minutes, Capacity(least, desired, most))


def made(given: Settings, *, stops: bool = False, fate: Fate | None = None) -> Cluster:
    return account(stops=stops).create(TINY, START, given, fate or Fate())


def account(*, stops: bool = False) -> World:
    return World({TINY: 0.5}, 403, cluster_boot_seconds=BOOT, stops_when_idle=stops)


def changed(cluster: Cluster, seconds: float, given: Settings, power: Power | None = None) -> None:
    cluster.update(at(seconds), given, power, Fate())


def test_a_cluster_loads_boots_and_is_up() -> None:
    cluster = made(settings())
    phases = {seconds: cluster.phase(at(seconds)) for seconds in (0, 4.9, 5, 39.9, 40, 639)}
    assert phases == {
        0: "loading",
        4.9: "loading",
        5: "booting",
        39.9: "booting",
        40: "up",
        639: "up",
    }
    moments = [cluster.modified(at(seconds)) for seconds in (1, 6, 100)]
    assert moments == [START, at(5), at(BOOT)]
    assert cluster.up(START) == at(BOOT)
    assert cluster.count(START) == 1


def test_reading_changes_nothing() -> None:
    world = account(stops=True)
    cluster = world.create(TINY, START, settings(1, 0, 2, 3), Fate())
    before = copy.deepcopy(world)
    for seconds in (0, BOOT, BOOT + 60, 10**6):
        world.clusters(at(seconds))
        world.ledger(at(seconds))
        cluster.count(at(seconds))
        cluster.modified(at(seconds))
    assert world == before


def test_instances_start_at_desired_and_fall_to_min_when_nobody_runs_them() -> None:
    cluster = made(settings(10, 1, 3, 5))
    assert [cluster.count(at(s)) for s in (0, BOOT + 59, BOOT + 60)] == [3, 3, 1]
    assert made(settings(10, 2, 0, 5)).count(START) == 2


def test_instances_follow_the_runs_in_flight_within_min_and_max() -> None:
    cluster = made(settings(10, 1, 1, 3))
    counts = []
    for seconds in range(100, 105):
        cluster.begin(at(seconds), Fate())
        counts.append(cluster.count(at(seconds)))
    assert counts == [1, 2, 3, 3, 3]
    # The first one serves while the others boot.
    assert cluster.up(at(104)) == at(BOOT)
    for _ in range(4):
        cluster.finish(at(200), is_answered=True)
    assert [cluster.count(at(s)) for s in (200, 259, 260, 10**6)] == [3, 3, 1, 1]
    cluster.finish(at(10**6), is_answered=True)
    assert cluster.inferences == 5


def test_a_cluster_with_min_0_falls_to_0_stays_up_and_wakes_with_a_run() -> None:
    cluster = made(settings(10, 0, 1, 1))
    asleep = at(BOOT + 60)
    assert (cluster.count(asleep), cluster.phase(asleep), cluster.up(asleep)) == (0, "up", None)
    cluster.begin(at(200), Fate())
    assert (cluster.count(at(200)), cluster.phase(at(200))) == (1, "up")
    assert cluster.up(at(200)) == at(200 + BOOT)
    cluster.finish(at(240), is_answered=True)
    assert [cluster.count(at(s)) for s in (299, 300)] == [1, 0]


def test_a_higher_min_boots_instances_while_the_old_ones_serve() -> None:
    cluster = made(settings(10, 1, 1, 1))
    changed(cluster, 100, settings(10, 3, 3, 5))
    assert (cluster.count(at(100)), cluster.phase(at(100))) == (3, "up")
    assert cluster.refusal(at(100)) is None
    assert cluster.up(at(100)) == at(BOOT)
    assert cluster.created == START
    assert cluster.modified(at(101)) == at(100)
    # A lower max ends the newest at once.
    changed(cluster, 110, settings(10, 1, 1, 1))
    assert (cluster.count(at(110)), cluster.up(at(110))) == (1, at(BOOT))


def test_an_idle_cluster_is_gone_after_its_timeout() -> None:
    cluster = made(settings(2))
    assert cluster.exists(at(BOOT + 119.9))
    assert not cluster.exists(at(BOOT + 120))
    assert cluster.billed_seconds(at(10**6)) == BOOT + 120


def test_runs_and_patches_postpone_the_idle_end_and_a_run_in_flight_prevents_it() -> None:
    cluster = made(settings(2))
    cluster.begin(at(100), Fate())
    assert cluster.exists(at(10**4))
    cluster.finish(at(10**4), is_answered=True)
    assert cluster.exists(at(10**4 + 119))
    # A shorter timeout does not end it in the past.
    changed(cluster, 10**4 + 100, settings(1))
    assert cluster.exists(at(10**4 + 159))
    assert not cluster.exists(at(10**4 + 160))


def test_an_idle_cluster_that_stops_is_off_and_starts_with_a_run_or_a_patch() -> None:
    cluster = made(settings(2), stops=True)
    idle = at(10**4)
    assert (cluster.phase(idle), cluster.count(idle)) == ("off", 0)
    assert cluster.exists(idle)
    assert cluster.modified(idle) == at(BOOT + 120)
    changed(cluster, 10**4, settings(5))
    assert cluster.phase(idle) == "off"
    changed(cluster, 10**4, settings(5), "on")
    assert (cluster.phase(idle), cluster.count(idle)) == ("loading", 1)
    assert cluster.phase(at(10**4 + BOOT)) == "up"
    cluster.begin(at(10**5), Fate())
    assert cluster.up(at(10**5)) == at(10**5 + BOOT)
    assert cluster.billed_seconds(at(10**5)) == (BOOT + 120) + (BOOT + 300)


def test_off_ends_the_instances_and_their_cost_until_on() -> None:
    cluster = made(settings(10, 2, 2, 4))
    changed(cluster, 100, settings(10, 2, 2, 4), "off")
    assert (cluster.phase(at(10**6)), cluster.count(at(10**6))) == ("off", 0)
    assert cluster.refusal(at(100)) == "Cluster is off"
    assert cluster.exists(at(10**6))
    assert cluster.billed_seconds(at(10**6)) == 200
    changed(cluster, 10**6, settings(10, 3, 3, 4))
    assert cluster.count(at(10**6)) == 0
    changed(cluster, 10**6, settings(10, 3, 3, 4), "on")
    changed(cluster, 10**6 + 1, settings(10, 3, 3, 4), "on")
    assert cluster.count(at(10**6 + 1)) == 3
    assert cluster.created == START


def test_a_failed_boot_costs_nothing_more_and_remains_until_deleted_or_started() -> None:
    cluster = made(settings(10, 1, 2, 2), fate=FAILS)
    assert cluster.phase(at(BOOT - 1)) == "booting"
    assert (cluster.phase(at(10**6)), cluster.count(at(10**6))) == ("failed", 0)
    assert cluster.billed_seconds(at(10**6)) == 2 * BOOT
    cluster.begin(at(100), Fate())
    assert cluster.refusal(at(100)) == "out of memory"
    cluster.finish(at(100), is_answered=False)
    assert (cluster.inferences, cluster.last_run) == (0, None)
    changed(cluster, 200, settings(10, 1, 2, 2), "on")
    assert cluster.phase(at(200 + BOOT)) == "up"


def test_a_boot_that_never_ends_costs_until_deleted() -> None:
    cluster = made(settings(1), fate=Fate("never"))
    assert cluster.phase(at(10**6)) == "booting"
    assert cluster.up(at(10**6)) is None
    assert cluster.billed_seconds(at(10**6)) == 10**6


def test_each_instance_is_billed_in_whole_seconds_without_a_minimum() -> None:
    world = account()
    cluster = world.create(TINY, START, settings(10, 2, 2, 2), Fate())
    assert cluster.billed_seconds(START) == 0
    assert cluster.billed_seconds(at(0.2)) == 2
    world.remove(TINY, at(9.5))
    assert cluster.billed_seconds(at(100)) == 20


def test_the_cost_does_not_depend_on_when_it_is_settled() -> None:
    rare, often = (made(settings(10, 1, 3, 5)) for _ in range(2))
    for seconds in range(600):
        often.settle(at(seconds))
        assert often.count(at(seconds)) == rare.count(at(seconds))
        assert often.billed_seconds(at(seconds)) == rare.billed_seconds(at(seconds))


def test_a_cluster_that_shuts_down_answers_as_before() -> None:
    world = account()
    cluster = world.create(TINY, START, settings(10, 2, 2, 2), Fate())
    world.remove(TINY, at(100), shutdown_seconds=90)
    last = at(189)
    assert world.cluster(TINY, last) is cluster
    assert (cluster.phase(last), cluster.count(last)) == ("up", 2)
    assert world.loaded(last) == []
    with pytest.raises(NotRunningError, match="shutting down"):
        world.begin_run(TINY, last, settings(), Fate())
    with pytest.raises(NotRunningError, match="shutting down"):
        world.update(TINY, last, lambda before: before, None, Fate())
    with pytest.raises(AlreadyLoadedError):
        world.create(TINY, last, settings(), Fate())
    world.remove(TINY, last)
    assert cluster.billed_seconds(last) == 200
    assert world.create(TINY, at(190), settings(), Fate()).created > cluster.created


def test_a_run_in_flight_learns_of_the_end_and_changes_no_cost() -> None:
    world = account()
    cluster = world.begin_run(TINY, START, settings(10, 1, 3, 3), Fate())
    assert isinstance(cluster, Cluster)
    world.remove(TINY, at(10))
    assert cluster.refusal(at(20)) == "Cluster is shutting down"
    cluster.finish(at(500), is_answered=False)
    assert cluster.billed_seconds(at(500)) == 30
    with pytest.raises(NotLoadedError):
        world.cluster(TINY, at(500))


def test_a_cluster_with_max_0_cannot_run() -> None:
    cluster = made(settings(10, 0, 0, 0))
    cluster.begin(at(100), Fate())
    assert cluster.count(at(100)) == 0
    assert "max is 0" in (cluster.refusal(at(100)) or "")


def test_a_boot_of_0_seconds_ends_at_once_on_a_manual_clock() -> None:
    world = World({TINY: 0.5}, 0, cluster_boot_seconds=0)
    world.create(TINY, START, settings(), Fate())
    world.remove(TINY, START)
    again = world.create(TINY, START, settings(), Fate())
    assert again.created > START
    assert (again.phase(START), again.up(START)) == ("up", START)


# ------------------------------------------------------------------ with the 2024 APIs


def test_a_cluster_is_a_load_for_the_2024_apis() -> None:
    world = account(stops=True)
    cluster = world.create(TINY, START, settings(2, 0, 1, 4), Fate())
    assert world.instances(START) == [cluster]
    with pytest.raises(NotRunningError, match="DEPLOYING"):
        world.run(TINY, START)
    assert world.run(TINY, at(BOOT)).inferences == 1
    # Nothing runs any more: the run boots an instance.
    with pytest.raises(NotRunningError, match="DEPLOYING"):
        world.run(TINY, at(BOOT + 60))
    assert world.run(TINY, at(2 * BOOT + 60)).inferences == 2
    # For the 2024 APIs, a cluster that is off is not loaded.
    with pytest.raises(NotLoadedError):
        world.status(TINY, at(10**4))
    spent = cluster.billed_seconds(at(10**4))
    assert world.load(TINY, at(10**4), concurrency=1).created == at(10**4)
    (charge,) = world.ledger(at(10**4))
    assert (charge.loads, charge.totals.cluster_seconds) == (2, spent)


def test_a_load_becomes_a_cluster_with_its_first_patch_and_is_billed_so_from_then() -> None:
    world = account()
    load = world.load(TINY, START, concurrency=2, expiration_seconds=90)
    assert world.cluster(TINY, at(10)) is load
    cluster = world.update(TINY, at(413), lambda _old: settings(5, 1, 1, 4), None, Fate())
    assert (cluster.created, cluster.phase(at(413)), cluster.count(at(413))) == (START, "up", 2)
    assert cluster.up(at(413)) == at(403)
    assert cluster.count(at(413 + 60)) == 1
    (charge,) = world.ledger(at(413 + 100))
    assert charge.loads == 1
    assert charge.totals.instance_seconds == 420 * 2
    assert charge.totals.cluster_seconds == 100 + 60


def test_a_load_runs_for_the_2025_04_api() -> None:
    world = account()
    load = world.load(TINY, START, concurrency=2, expiration_seconds=90)
    assert isinstance(load, Load)
    assert world.begin_run(TINY, START, settings(), Fate()) is load
    assert (load.refusal(START), load.up(START)) == (None, at(403))
    load.finish(at(403), is_answered=True)
    assert load.expires(at(403)) == at(493)
    assert load.refusal(at(493)) == "Cluster is shutting down"
    assert not load.exists(at(493))
