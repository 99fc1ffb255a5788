"""Clocks that stand still, leap and disagree.

Deadlines are by the machine's monotonic clock, identity is by the server's; the machine's wall
clock decides nothing. The emulator's time is the world's, in which models boot and expire.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import bytez_provider
from bytez_provider.base.errors import (
    AlreadyLoadedError,
    BootTimeoutError,
    BytezError,
    LoadLostError,
)
from bytez_provider.core.waiting import Stop
from bytez_provider.emulator import Emulator
from bytez_provider.service.schemas import iso
from bytez_provider.service.settings import ApiVersion
from tests.client.hostile import Form, HostileServer, by_ask, says
from tests.clocks import LaptopClock
from tests.lifecycle.caller import FakeCaller, meanwhile, stopped_at
from tests.lifecycle.machine import GPT2, Machine, Process, always, inputs, on

HOUR = 3600.0
IDLE_SECONDS = 1800.0
PACKAGE = Path(bytez_provider.__file__).parent

counted = pytest.mark.parametrize("is_counted", [False, True], ids=["stands still", "leaps"])


@pytest.fixture
def clock(emulator: Emulator) -> LaptopClock:
    return LaptopClock(emulator)


@pytest.fixture
def laptop(machine: Machine, clock: LaptopClock) -> Process:
    return machine.process(clock=clock)


def asleep(
    clock: LaptopClock, at_report: int, seconds: float, *, is_counted: bool, limit: float = 60
) -> FakeCaller:
    """Return a caller at one of whose lines of progress the lid is closed."""
    return meanwhile(
        at_report, lambda: clock.sleep(seconds, is_counted=is_counted), timeout_seconds=limit
    )


class TestSleepInMidBoot:
    @counted
    @pytest.mark.parametrize("at_report", [1, 5])
    def test_what_came_up_meanwhile_is_up(
        self,
        machine: Machine,
        laptop: Process,
        clock: LaptopClock,
        at_report: int,
        is_counted: bool,
    ) -> None:
        """Also where the limit, of a minute, passed in the sleep: the last look decides."""
        caller = asleep(clock, at_report, 1000, is_counted=is_counted)
        state = laptop.create(caller=caller)
        assert (state.status, state.created) == ("RUNNING", machine.created())
        assert machine.changes() == ["/model/load"]
        assert machine.recorded() == machine.loaded()

    def test_a_sleep_that_is_counted_may_end_the_wait_and_leaves_nothing(
        self, machine: Machine, laptop: Process, clock: LaptopClock
    ) -> None:
        machine.faults(always(boot="never"))
        caller = asleep(clock, 5, HOUR, is_counted=True)
        assert "nothing is left running" in laptop.refused(BootTimeoutError, caller=caller)
        assert machine.running() == {}
        assert machine.recorded() == machine.loaded()

    @counted
    def test_what_expired_meanwhile_is_an_error_and_loaded_by_the_next_up(
        self, machine: Machine, laptop: Process, clock: LaptopClock, is_counted: bool
    ) -> None:
        caller = asleep(clock, 5, 2 * IDLE_SECONDS, is_counted=is_counted, limit=600)
        assert "Nothing of this load is left running" in laptop.refused(
            LoadLostError, caller=caller
        )
        assert machine.recorded() == machine.loaded()
        assert laptop.create().status == "RUNNING"
        assert machine.loads() == 2

    @counted
    def test_the_network_may_be_slower_to_wake(
        self, machine: Machine, laptop: Process, clock: LaptopClock, is_counted: bool
    ) -> None:
        caller = FakeCaller(timeout_seconds=2 * HOUR)

        def close_the_lid() -> None:
            clock.sleep(1000, is_counted=is_counted)
            machine.faults({"first": 8, "do": {"reset": "before"}})

        caller.at_report(5, close_the_lid)
        assert laptop.create(caller=caller).status == "RUNNING"
        assert any("no answer now" in line for line in caller.reports)
        assert machine.changes() == ["/model/load"]


class TestWallClock:
    @pytest.mark.parametrize("ahead", [-HOUR, HOUR])
    def test_one_that_jumps_does_not_move_a_deadline(
        self, machine: Machine, laptop: Process, clock: LaptopClock, ahead: float
    ) -> None:
        machine.faults(always(boot="never"))
        caller = meanwhile(3, lambda: clock.set_wall(ahead), timeout_seconds=60)
        laptop.refused(BootTimeoutError, caller=caller)
        assert 60 <= clock.monotonic() <= 62

    @pytest.mark.parametrize("ahead", [-HOUR, HOUR, -365 * 24 * HOUR])
    def test_one_that_is_wrong_throughout_decides_nothing(
        self, machine: Machine, ahead: float
    ) -> None:
        """A whole life, with a kill in it: to the machine the server is an hour behind or ahead."""
        clock = LaptopClock(machine.emulator, wall_ahead_seconds=ahead)
        killed = FakeCaller()
        machine.faults(always(statusLagSeconds=10))
        killed.end_at_report(2, Stop.ENGINE_GONE)
        machine.process(clock=clock).refused(BytezError, caller=killed)
        machine.emulator.advance(20)
        (note,) = machine.records()
        assert abs((note.began - machine.emulator.now()).total_seconds()) < 60

        process = machine.process(clock=clock)
        state = process.create()
        assert (state.status, state.created) == ("RUNNING", machine.created())
        assert process.read(state) == state
        assert process.update(state, inputs(adopt=True)).adopt
        process.delete(state)
        assert machine.changes() == ["/model/load", "/model/delete"]
        assert machine.running() == {}

    def test_theirs_is_not_ours_by_any_wall_clock(self, machine: Machine) -> None:
        """An hour behind, somebody's load of half an hour ago looks like one of the future."""
        machine.emulator.load_by_somebody_else(GPT2)
        machine.emulator.advance(HOUR / 2)
        for ahead in (-HOUR, HOUR):
            clock = LaptopClock(machine.emulator, wall_ahead_seconds=ahead)
            machine.process(clock=clock).refused(AlreadyLoadedError)
        assert machine.changes() == []

    def test_only_one_module_reads_the_machines_clocks(self) -> None:
        """So every deadline is by `Clock.monotonic`, and every test can move it."""
        readers = set()
        for file in sorted(PACKAGE.rglob("*.py")):
            if "emulator" in file.relative_to(PACKAGE).parts:
                continue
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                is_import = isinstance(node, ast.Import) and node.names[0].name == "time"
                read = ast.unparse(node) if isinstance(node, ast.Attribute) else ""
                if is_import or read in ("datetime.now", "datetime.utcnow", "date.today"):
                    readers.add(file.name)
        assert readers == {"clock.py"}


class TestServerClock:
    """`Date` disagrees with the `created` of the same server: two machines of one service."""

    @pytest.mark.parametrize("skew", [HOUR, -HOUR])
    def test_a_whole_life(self, machine: Machine, process: Process, skew: float) -> None:
        machine.faults(always(clockSkewSeconds=skew))
        state = process.create()
        assert process.read(state) == state
        machine.delete(state)
        assert machine.changes() == ["/model/load", "/model/delete"]
        assert machine.running() == {}

    @pytest.mark.parametrize("skew", [HOUR, -HOUR])
    def test_theirs_is_never_claimed(self, machine: Machine, skew: float) -> None:
        """Where our answer was lost and theirs is there, it is an error: theirs is left alone."""
        machine.emulator.load_by_somebody_else(GPT2)
        machine.emulator.advance(600)
        machine.faults(
            always(clockSkewSeconds=skew),
            on("status", {"respond": {"status": 404}}, first=1),
            on("load", {"reset": "before"}, first=1),
        )
        machine.refused(BytezError)
        assert "/model/delete" not in machine.changes()
        assert machine.running() == {GPT2: 1}

    @pytest.mark.parametrize("skew", [HOUR, -HOUR])
    def test_a_record_by_a_wrong_date_claims_nothing(self, machine: Machine, skew: float) -> None:
        """Killed before the load showed, by a `Date` an hour off: then not even ours is claimed.

        The next `up` says that somebody else's load is in the way. It costs one idle period at
        most, and unloads nobody's.
        """
        machine.faults(always(clockSkewSeconds=skew), always(statusLagSeconds=30))
        machine.refused(BytezError, caller=stopped_at(1, Stop.ENGINE_GONE))
        machine.emulator.advance(HOUR / 60)
        assert "not by this resource" in machine.refused(AlreadyLoadedError)
        assert machine.changes() == ["/model/load"]

    @pytest.mark.parametrize("skew", [HOUR, -HOUR])
    def test_an_unload_by_somebody_else_is_noticed_by_any_date(
        self, machine: Machine, laptop: Process, clock: LaptopClock, skew: float
    ) -> None:
        """Once a `Date` an hour late made each load young, and "not found" meant "not yet"."""
        machine.faults(always(clockSkewSeconds=skew), always(boot="never"))
        caller = meanwhile(4, lambda: machine.emulator.unload_by_somebody_else(GPT2))
        laptop.refused(LoadLostError, caller=caller)
        assert clock.monotonic() <= 130

    def test_a_date_that_jumps_between_answers_moves_no_deadline(
        self, machine: Machine, laptop: Process, clock: LaptopClock
    ) -> None:
        """As where a balancer asks two machines in turn."""
        machine.faults(
            always(boot="never"), {"do": {"clockSkewSeconds": HOUR}, "probability": 0.5, "seed": 3}
        )
        laptop.refused(BootTimeoutError, caller=FakeCaller(timeout_seconds=60))
        assert 60 <= clock.monotonic() <= 62
        assert machine.running() == {}


class TestWithoutADate:
    """The machine's wall clock stands in for the server's, so what it does matters here alone."""

    @pytest.fixture
    def undated(
        self, machine: Machine, hostile: HostileServer, clock: LaptopClock, api: ApiVersion
    ) -> Process:
        return machine.process(endpoint=hostile.url, clock=clock, api_version=api)

    @pytest.mark.parametrize("ahead", [-HOUR, HOUR])
    def test_a_load_that_does_not_show_yet_is_not_given_up_for_a_jump(
        self,
        machine: Machine,
        undated: Process,
        hostile: HostileServer,
        clock: LaptopClock,
        api: ApiVersion,
        ahead: float,
    ) -> None:
        """The 60 s of "not found" are a deadline too."""
        form = Form(api)
        now = iso(machine.emulator.now())
        booting, running = (
            form.shows(status, created=now, concurrency=1) for status in ("DEPLOYING", "RUNNING")
        )
        hostile.answers(
            by_ask(
                {
                    "status": [*[form.not_loaded] * 9, booting, running],
                    "load": [form.started],
                    "delete": [says(204)],
                }
            )
        )
        caller = meanwhile(2, lambda: clock.set_wall(ahead))
        assert undated.create(caller=caller).status == "RUNNING"
        kept = undated.ledger.record(GPT2)
        assert kept is not None
        assert kept.holder is None
