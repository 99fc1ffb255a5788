"""update: what needs no replacement, and a load that is not RUNNING."""

from __future__ import annotations

import pytest

from bytez_provider.base.errors import (
    AlreadyLoadedError,
    BootFailedError,
    InterruptedLoadError,
)
from bytez_provider.core.declared import ModelState
from bytez_provider.core.waiting import Stop
from bytez_provider.service.schemas import NOT_LOADED
from tests.lifecycle.caller import FakeCaller, stopped_at
from tests.lifecycle.machine import (
    BOOT_SECONDS,
    GPT2,
    Machine,
    Process,
    always,
    inputs,
    on,
)


@pytest.fixture
def booting(process: Process) -> ModelState:
    """A model whose wait was interrupted."""
    return process.create(caller=stopped_at(2))


def failed(machine: Machine) -> ModelState:
    """Return a model whose boot failed while nobody waited, as a refresh found it."""
    machine.faults({"first": 1, "do": {"boot": "failed", "error": "oom"}})
    state = machine.create(caller=stopped_at(2))
    machine.emulator.advance(BOOT_SECONDS)
    read = machine.seen(state)
    assert read.status == "FAILED"
    return read


class TestRunning:
    def test_what_needs_no_replacement_needs_no_request(self, machine: Machine) -> None:
        state = machine.create()
        asked = len(machine.emulator.requests())
        declared = inputs(adopt=True, on_expiry="accept", expected_hours_per_day=8)
        later = machine.update(state, declared)
        assert later.inputs() == declared
        assert later == state.but(**vars(declared))
        assert len(machine.emulator.requests()) == asked


class TestBooting:
    def test_it_waits_on(self, machine: Machine, booting: ModelState) -> None:
        state = machine.update(booting)
        assert (state.status, state.created) == ("RUNNING", booting.created)
        assert machine.changes() == ["/model/load"]

    def test_the_limit_counts_from_now_and_the_age_from_the_acceptance(
        self, machine: Machine, process: Process
    ) -> None:
        machine.faults(always(boot="never"))
        state = process.create(caller=stopped_at(2))
        machine.emulator.advance(40 * 60)
        later = stopped_at(3, timeout_seconds=600)
        assert process.update(state, caller=later).status == "DEPLOYING"
        assert later.reports[0].startswith("40m DEPLOYING")
        assert later.reports[0].endswith(", limit 10m")

    def test_a_boot_that_fails_is_unloaded_and_an_error(self, machine: Machine) -> None:
        machine.faults({"first": 1, "do": {"boot": "failed", "error": "oom"}})
        state = machine.create(caller=stopped_at(2))
        with pytest.raises(BootFailedError, match='FAILED: "oom"'):
            machine.update(state)
        assert machine.running() == {}
        # The state still names it: the next `up` finds it gone, and loads it.
        assert machine.update(state).status == "RUNNING"

    @pytest.mark.parametrize("how", ["expired", "not found for 60 s"])
    def test_what_is_gone_is_loaded(self, machine: Machine, booting: ModelState, how: str) -> None:
        if how == "expired":
            machine.emulator.advance(BOOT_SECONDS + 1801)
        else:
            machine.emulator.unload_by_somebody_else(GPT2)
        state = machine.update(booting)
        assert (state.status, state.created) == ("RUNNING", machine.created())
        assert machine.loads() == 2

    def test_what_somebody_else_loaded_meanwhile_is_refused(
        self, machine: Machine, booting: ModelState
    ) -> None:
        machine.usurp(after=100, concurrency=3)
        with pytest.raises(AlreadyLoadedError):
            machine.update(booting)
        assert machine.running() == {GPT2: 3}

    def test_not_found_within_60_s_is_waited_for(
        self, machine: Machine, booting: ModelState
    ) -> None:
        machine.faults(on("status", {"statusLagSeconds": 50}))
        state = machine.update(booting)
        assert (state.status, state.created) == ("RUNNING", booting.created)
        assert machine.loads() == 1


def test_a_later_load_of_the_resource_that_the_state_does_not_name_is_continued(
    machine: Machine, booting: ModelState
) -> None:
    """The state was restored from before the deployment that took it over."""
    machine.usurp(after=100)
    newer = machine.create(inputs(adopt=True))
    state = machine.update(booting, inputs(adopt=True))
    assert (state.status, state.created) == ("RUNNING", newer.created)
    assert state.adopted_at == newer.adopted_at is not None
    assert machine.changes() == ["/model/load"]


class TestFailed:
    def test_it_is_unloaded_and_loaded_again(self, machine: Machine) -> None:
        state = failed(machine)
        later = machine.update(state)
        assert (later.status, later.created) == ("RUNNING", machine.created())
        assert machine.changes() == ["/model/load", "/model/delete", "/model/load"]

    def test_interrupted_between_unload_and_load_it_says_so(self, machine: Machine) -> None:
        state = failed(machine)
        machine.faults(always(shutdownSeconds=1))
        caller = FakeCaller()
        process = machine.process()
        # Ctrl-C while the status does not agree yet: the unload is finished, the load not begun.
        process.around("delete", before=lambda: caller.end(Stop.CANCELLED))
        with pytest.raises(InterruptedLoadError, match="The old one is already unloaded"):
            process.update(state, caller=caller)
        assert machine.running() == {}
        assert machine.update(state).status == "RUNNING"


def test_what_was_not_loaded_is_loaded_if_a_declared_input_has_changed(machine: Machine) -> None:
    state = machine.create(inputs(on_expiry="accept"))
    machine.emulator.advance(1801)
    idle = machine.seen(state)
    assert idle.status == NOT_LOADED
    later = machine.update(idle)
    assert (later.status, later.created) == ("RUNNING", machine.created())
