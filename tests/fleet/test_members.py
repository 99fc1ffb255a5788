"""A fleet's models through the lifecycle: they do not wait, and have no status in state."""

from __future__ import annotations

import pytest

from bytez_provider.core.declared import MemberInputs, ModelInputs, ModelState
from bytez_provider.core.lifecycle import diff
from bytez_provider.core.waiting import Stop
from bytez_provider.emulator import Emulator
from tests.fleet.crew import LISTS, MANY, STATUSES, Crew, of_model
from tests.lifecycle.caller import URN, FakeCaller
from tests.lifecycle.machine import BOOT_SECONDS, GPT2, Machine

FAILS = {"endpoint": "/model/load", "do": {"boot": "failed", "error": "out of memory"}}
MEMBER = of_model("gpt2")


def member(model_id: str = GPT2, **given: object) -> MemberInputs:
    """Return what a fleet declares of a model."""
    return MemberInputs.model_validate({"modelId": model_id, **given})


@pytest.fixture
def state(crew: Crew) -> ModelState:
    """A model of a fleet, just accepted."""
    return crew.load(GPT2)["gpt2"]


def read(machine: Machine, state: ModelState) -> ModelState:
    """Read in a process of its own; it is still there."""
    found = machine.process().lifecycle.read(state, FakeCaller(MEMBER))
    assert found is not None
    return found


class TestCreate:
    def test_it_ends_as_soon_as_its_load_is_seen(
        self, machine: Machine, emulator: Emulator, state: ModelState
    ) -> None:
        assert emulator.instances()[0]["status"] == "DEPLOYING"
        assert (state.created, state.status) == (machine.created(), None)
        assert "status" not in state.bag()
        assert state.bag()["readiness"] == "fleet"

    def test_it_waits_for_a_load_that_does_not_show_yet(
        self, crew: Crew, emulator: Emulator
    ) -> None:
        emulator.set_faults([{"endpoint": "/model/load", "do": {"statusLagSeconds": 20}}])
        began = emulator.now()
        state = crew.load(GPT2)["gpt2"]
        assert state.created is not None
        assert 20 <= (emulator.now() - began).total_seconds() < 25

    def test_two_statuses_a_model(self, crew: Crew, emulator: Emulator) -> None:
        crew.load(*MANY[:10])
        assert len(emulator.requests("/model/load")) == 10
        assert len(emulator.requests(STATUSES)) <= 20

    def test_ctrl_c_keeps_it_in_state(self, crew: Crew, machine: Machine) -> None:
        machine.emulator.set_faults([{"endpoint": "/model/load", "do": {"statusLagSeconds": 40}}])
        caller = FakeCaller(MEMBER)
        caller.end_at_report(1, Stop.CANCELLED)
        state = crew.lifecycle.create(member(), caller)
        assert (state.created, state.status) == (None, None)
        machine.emulator.advance(60)
        # The note tells which load was begun, so that it can be told from others.
        assert read(machine, state).created == machine.created()


class TestUnchanged:
    def test_its_diff_is_none(self, machine: Machine, state: ModelState) -> None:
        assert not diff(state, member(), frozenset()).needed
        assert not diff(read(machine, state), member(), frozenset()).needed

    def test_read_while_it_boots_or_runs_is_as_it_was(
        self, machine: Machine, emulator: Emulator, state: ModelState
    ) -> None:
        assert read(machine, state) == state
        emulator.advance(BOOT_SECONDS)
        assert read(machine, state) == state

    def test_all_of_a_fleet_are_read_from_one_list(
        self, crew: Crew, machine: Machine, emulator: Emulator
    ) -> None:
        states = crew.load(*MANY)
        seen = len(emulator.requests())
        later = machine.process().lifecycle
        assert all(later.read(state, FakeCaller()) == state for state in states.values())
        assert [record.path for record in emulator.requests()[seen:]] == [LISTS]

    def test_gone_is_what_its_own_status_says(
        self, machine: Machine, emulator: Emulator, state: ModelState
    ) -> None:
        emulator.set_faults([{"endpoint": LISTS, "do": {"respond": {"status": 200, "body": []}}}])
        assert read(machine, state) == state
        emulator.unload_by_somebody_else(GPT2)
        assert machine.process().lifecycle.read(state, FakeCaller(MEMBER)) is None

    def test_shown_and_then_not_for_a_moment_is_not_gone(
        self, machine: Machine, emulator: Emulator, state: ModelState
    ) -> None:
        """The stateful test's story: taken for gone, it ran on, and nothing named it."""
        emulator.set_faults(
            [{"endpoint": path, "do": {"statusLagSeconds": 3}} for path in (LISTS, STATUSES)]
        )
        assert machine.process().lifecycle.read(state, FakeCaller(MEMBER)) == state
        assert [one["modelId"] for one in emulator.instances()] == [GPT2]


class TestChanged:
    def test_drift_of_concurrency_is_corrected_by_a_replacement(
        self, machine: Machine, emulator: Emulator, state: ModelState
    ) -> None:
        rows = [{**emulator.instances()[0], "concurrency": 4}]
        emulator.set_faults([{"endpoint": LISTS, "do": {"respond": {"status": 200, "body": rows}}}])
        found = read(machine, state)
        assert (found.concurrency, found.status) == (4, None)
        assert diff(found, member(), frozenset()).replaces == ["concurrency"]

    def test_failed_is_in_state_and_loaded_again_without_a_wait(
        self, crew: Crew, machine: Machine, emulator: Emulator
    ) -> None:
        emulator.set_faults([FAILS])
        state = crew.load(GPT2)["gpt2"]
        emulator.advance(BOOT_SECONDS)
        failed = read(machine, state)
        assert failed.status == "FAILED"
        assert diff(failed, member(), frozenset()).needed
        emulator.set_faults([])
        again = machine.process().lifecycle.update(failed, member(), FakeCaller(MEMBER))
        assert (again.status, again.created) == (None, machine.created())
        assert again.created != state.created
        assert emulator.instances()[0]["status"] == "DEPLOYING"
        assert machine.changes() == ["/model/load", "/model/delete", "/model/load"]


class TestIdle:
    def test_found_unloaded_it_stays_as_not_loaded_where_that_is_accepted(
        self, crew: Crew, machine: Machine, emulator: Emulator
    ) -> None:
        accepting = member(onExpiry="accept")
        state = crew.load(GPT2, on_expiry="accept")["gpt2"]
        emulator.advance(3600)
        idle = read(machine, state)
        assert idle.status == "NOT_LOADED"
        assert not diff(idle, accepting, frozenset()).needed
        assert read(machine, idle) == idle


class TestMoved:
    """A resource gets another URN by `aliases`, and goes on with its load."""

    def test_into_a_fleet_a_running_model_sends_nothing(
        self, crew: Crew, machine: Machine, emulator: Emulator
    ) -> None:
        plain = crew.lifecycle.create(ModelInputs(model_id=GPT2), FakeCaller(URN))
        seen = len(emulator.requests())
        change = diff(plain, member(), frozenset())
        assert (change.needed, change.replaces) == (True, [])
        moved = machine.process().lifecycle.update(plain, member(), FakeCaller(MEMBER))
        assert (moved.readiness, moved.status, moved.created) == ("fleet", None, plain.created)
        assert len(emulator.requests()) == seen
        assert not diff(moved, member(), frozenset()).needed
        assert read(machine, moved) == moved

    def test_out_of_a_fleet_it_waits_and_has_its_status(
        self, machine: Machine, state: ModelState
    ) -> None:
        change = diff(state, ModelInputs(model_id=GPT2), frozenset())
        assert (change.needed, change.replaces) == (True, [])
        later = machine.process().lifecycle
        plain = later.update(state, ModelInputs(model_id=GPT2), FakeCaller(URN))
        assert (plain.readiness, plain.status, plain.created) == (None, "RUNNING", state.created)
        assert "readiness" not in plain.bag()
        assert not diff(plain, ModelInputs(model_id=GPT2), frozenset()).needed
        assert machine.changes() == ["/model/load"]
