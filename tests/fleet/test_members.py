"""Models of a fleet in the lifecycle: they do not wait, and the state has no status of them."""

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
    """Return the inputs of a fleet's model."""
    return MemberInputs.model_validate({"modelId": model_id, **given})


@pytest.fixture
def state(crew: Crew) -> ModelState:
    """A model of a fleet, just accepted."""
    return crew.load(GPT2)["gpt2"]


def read(machine: Machine, state: ModelState) -> ModelState:
    """Read in another process; the load is still there."""
    found = machine.process().lifecycle.read(state, FakeCaller(MEMBER))
    assert found is not None
    return found


class TestCreate:
    def test_it_ends_as_soon_as_the_load_is_seen(
        self, machine: Machine, emulator: Emulator, state: ModelState
    ) -> None:
        assert emulator.instances()[0]["status"] == "DEPLOYING"
        assert (state.created, state.status) == (machine.created(), None)
        assert "status" not in state.bag()
        assert state.bag()["readiness"] == "fleet"

    def test_it_waits_until_the_load_shows(self, crew: Crew, emulator: Emulator) -> None:
        emulator.set_faults([{"endpoint": "/model/load", "do": {"statusLagSeconds": 20}}])
        began = emulator.now()
        state = crew.load(GPT2)["gpt2"]
        assert state.created is not None
        assert 20 <= (emulator.now() - began).total_seconds() < 25

    def test_two_status_requests_per_model(self, crew: Crew, emulator: Emulator) -> None:
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
        # The record identifies the load that was begun.
        assert read(machine, state).created == machine.created()


class TestUnchanged:
    def test_the_diff_is_empty(self, machine: Machine, state: ModelState) -> None:
        assert not diff(state, member(), frozenset()).needed
        assert not diff(read(machine, state), member(), frozenset()).needed

    def test_a_read_during_and_after_the_boot_changes_nothing(
        self, machine: Machine, emulator: Emulator, state: ModelState
    ) -> None:
        assert read(machine, state) == state
        emulator.advance(BOOT_SECONDS)
        assert read(machine, state) == state

    def test_one_list_is_enough_to_read_a_fleet(
        self, crew: Crew, machine: Machine, emulator: Emulator
    ) -> None:
        states = crew.load(*MANY)
        seen = len(emulator.requests())
        later = machine.process().lifecycle
        assert all(later.read(state, FakeCaller()) == state for state in states.values())
        assert [record.path for record in emulator.requests()[seen:]] == [LISTS]

    def test_only_its_own_status_says_that_it_is_gone(
        self, machine: Machine, emulator: Emulator, state: ModelState
    ) -> None:
        emulator.set_faults([{"endpoint": LISTS, "do": {"respond": {"status": 200, "body": []}}}])
        assert read(machine, state) == state
        emulator.unload_by_somebody_else(GPT2)
        assert machine.process().lifecycle.read(state, FakeCaller(MEMBER)) is None

    def test_a_load_that_disappears_for_a_moment_is_not_gone(
        self, machine: Machine, emulator: Emulator, state: ModelState
    ) -> None:
        """If a read took it for gone, it would run on, and nothing would name it."""
        emulator.set_faults(
            [{"endpoint": path, "do": {"statusLagSeconds": 3}} for path in (LISTS, STATUSES)]
        )
        assert machine.process().lifecycle.read(state, FakeCaller(MEMBER)) == state
        assert [one["modelId"] for one in emulator.instances()] == [GPT2]

    def test_a_delete_unloads_a_new_load_that_does_not_show_yet(
        self, machine: Machine, emulator: Emulator, state: ModelState
    ) -> None:
        emulator.set_faults(
            [{"endpoint": path, "do": {"statusLagSeconds": 45}} for path in (LISTS, STATUSES)]
        )
        machine.process().lifecycle.delete(state, FakeCaller(MEMBER))
        assert emulator.instances() == []


class TestChanged:
    def test_a_failed_load_is_loaded_again_without_a_wait(
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
    def test_an_accepted_expiry_remains_not_loaded(
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
    """With `aliases` a resource gets another URN, and keeps its load."""

    def test_a_move_into_a_fleet_sends_no_request(
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

    def test_a_move_out_of_a_fleet_waits_and_has_a_status(
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
