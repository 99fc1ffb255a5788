"""Models of a fleet in the lifecycle: they do not wait, and the state has no status of them."""

from __future__ import annotations

import pytest

from bytez_provider.core.declared import MemberInputs, ModelState
from bytez_provider.core.lifecycle import diff
from tests.fleet.crew import LISTS, MANY, STATUSES, Crew, lag, of_model
from tests.lifecycle.caller import URN, FakeCaller, stopped_at
from tests.lifecycle.machine import BOOT_SECONDS, GPT2, Machine, inputs, on

FAILS = on("load", {"boot": "failed", "error": "out of memory"})
MEMBER = of_model("gpt2")
CALLER = FakeCaller(MEMBER)


def member(**given: object) -> MemberInputs:
    """Return the inputs of a fleet's model."""
    return MemberInputs.of({"modelId": GPT2, **given})


@pytest.fixture
def state(crew: Crew) -> ModelState:
    """A model of a fleet, just accepted."""
    return crew.load(GPT2)["gpt2"]


class TestCreate:
    def test_it_ends_as_soon_as_the_load_is_seen(self, machine: Machine, state: ModelState) -> None:
        assert machine.emulator.instances()[0]["status"] == "DEPLOYING"
        assert (state.created, state.status) == (machine.created(), None)
        assert "status" not in state.bag()
        assert state.bag()["readiness"] == "fleet"

    def test_it_waits_until_the_load_shows(self, crew: Crew) -> None:
        crew.faults(on("load", {"statusLagSeconds": 20}))
        began = crew.emulator.now()
        state = crew.load(GPT2)["gpt2"]
        assert state.created is not None
        assert 20 <= (crew.emulator.now() - began).total_seconds() < 25

    def test_two_status_requests_per_model(self, crew: Crew) -> None:
        crew.load(*MANY[:10])
        assert len(crew.emulator.requests("/model/load")) == 10
        assert len(crew.emulator.requests(STATUSES)) <= 20

    def test_ctrl_c_keeps_it_in_state(self, crew: Crew) -> None:
        crew.faults(on("load", {"statusLagSeconds": 40}))
        state = crew.create(member(), stopped_at(1, urn=MEMBER))
        assert (state.created, state.status) == (None, None)
        crew.emulator.advance(60)
        # The record identifies the load that was begun.
        assert crew.machine.seen(state, CALLER).created == crew.machine.created()


class TestUnchanged:
    def test_a_read_during_and_after_the_boot_changes_nothing(
        self, machine: Machine, state: ModelState
    ) -> None:
        for seconds in (0, BOOT_SECONDS):
            machine.emulator.advance(seconds)
            assert machine.read(state, CALLER) == state
            assert not diff(state, member(), frozenset()).needed

    def test_one_list_is_enough_to_read_a_fleet(self, crew: Crew) -> None:
        states = crew.load(*MANY)
        seen = len(crew.emulator.requests())
        later = crew.machine.process()
        assert all(later.read(state) == state for state in states.values())
        assert [record.path for record in crew.emulator.requests()[seen:]] == [LISTS]

    def test_only_its_own_status_says_that_it_is_gone(
        self, machine: Machine, state: ModelState
    ) -> None:
        machine.faults(on("instances", {"respond": {"status": 200, "body": []}}))
        assert machine.seen(state, CALLER) == state
        machine.emulator.unload_by_somebody_else(GPT2)
        assert machine.read(state, CALLER) is None

    def test_a_load_that_disappears_for_a_moment_is_not_gone(
        self, machine: Machine, state: ModelState
    ) -> None:
        """If a read took it for gone, it would run on, and nothing would name it."""
        machine.faults(*lag(3))
        assert machine.read(state, CALLER) == state
        assert [one["modelId"] for one in machine.emulator.instances()] == [GPT2]

    def test_a_delete_unloads_a_new_load_that_does_not_show_yet(
        self, machine: Machine, state: ModelState
    ) -> None:
        machine.faults(*lag(45))
        machine.delete(state, CALLER)
        assert machine.emulator.instances() == []


class TestChanged:
    def test_a_failed_load_is_loaded_again_without_a_wait(self, crew: Crew) -> None:
        crew.faults(FAILS)
        state = crew.load(GPT2)["gpt2"]
        crew.emulator.advance(BOOT_SECONDS)
        failed = crew.machine.seen(state, CALLER)
        assert failed.status == "FAILED"
        assert diff(failed, member(), frozenset()).needed
        crew.faults()
        again = crew.machine.process().update(failed, member(), CALLER)
        assert (again.status, again.created) == (None, crew.machine.created())
        assert again.created != state.created
        assert crew.emulator.instances()[0]["status"] == "DEPLOYING"
        assert crew.machine.changes() == ["/model/load", "/model/delete", "/model/load"]


class TestIdle:
    def test_an_accepted_expiry_remains_not_loaded(self, crew: Crew) -> None:
        accepting = member(onExpiry="accept")
        state = crew.load(GPT2, on_expiry="accept")["gpt2"]
        crew.emulator.advance(3600)
        idle = crew.machine.seen(state, CALLER)
        assert idle.status == "NOT_LOADED"
        assert not diff(idle, accepting, frozenset()).needed
        assert crew.machine.seen(idle, CALLER) == idle


class TestMoved:
    """With `aliases` a resource gets another URN, and keeps its load."""

    def test_a_move_into_a_fleet_sends_no_request(self, crew: Crew) -> None:
        plain = crew.create(inputs(), FakeCaller(URN))
        seen = len(crew.emulator.requests())
        change = diff(plain, member(), frozenset())
        assert (change.needed, change.replaces) == (True, [])
        moved = crew.machine.process().update(plain, member(), CALLER)
        assert (moved.readiness, moved.status, moved.created) == ("fleet", None, plain.created)
        assert len(crew.emulator.requests()) == seen
        assert not diff(moved, member(), frozenset()).needed
        assert crew.machine.seen(moved, CALLER) == moved

    def test_a_move_out_of_a_fleet_waits_and_has_a_status(
        self, machine: Machine, state: ModelState
    ) -> None:
        change = diff(state, inputs(), frozenset())
        assert (change.needed, change.replaces) == (True, [])
        later = machine.process()
        plain = later.update(state, inputs(), FakeCaller(URN))
        assert (plain.readiness, plain.status, plain.created) == (None, "RUNNING", state.created)
        assert "readiness" not in plain.bag()
        assert not diff(plain, inputs(), frozenset()).needed
        assert machine.changes() == ["/model/load"]
