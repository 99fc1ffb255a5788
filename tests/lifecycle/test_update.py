"""update: what needs no replacement, and a load that is not RUNNING."""

from __future__ import annotations

import pytest

from bytez_provider.base.errors import (
    AccountChangedError,
    AlreadyLoadedError,
    BootFailedError,
    InterruptedLoadError,
)
from bytez_provider.core.declared import ModelState
from bytez_provider.core.waiting import Stop
from bytez_provider.service.schemas import NOT_LOADED
from tests.lifecycle.caller import FakeCaller
from tests.lifecycle.machine import BOOT_SECONDS, GPT2, OTHER_KEY, Machine, Process, inputs


@pytest.fixture
def booting(process: Process) -> ModelState:
    """A model whose wait was interrupted."""
    caller = FakeCaller()
    caller.end_at_report(2, Stop.CANCELLED)
    return process.lifecycle.create(inputs(), caller)


def failed(machine: Machine) -> ModelState:
    """Return a model whose boot failed while nobody waited, as a refresh found it."""
    machine.emulator.set_faults([{"first": 1, "do": {"boot": "failed", "error": "oom"}}])
    caller = FakeCaller()
    caller.end_at_report(2, Stop.CANCELLED)
    lifecycle = machine.process().lifecycle
    state = lifecycle.create(inputs(), caller)
    machine.emulator.advance(BOOT_SECONDS)
    read = lifecycle.read(state, FakeCaller())
    assert read is not None
    assert read.status == "FAILED"
    return read


class TestRunning:
    def test_what_needs_no_replacement_needs_no_request(
        self, machine: Machine, process: Process
    ) -> None:
        state = process.lifecycle.create(inputs(), FakeCaller())
        asked = len(machine.emulator.requests())
        declared = inputs(adopt=True, on_expiry="accept", expected_hours_per_day=8)
        later = machine.process().lifecycle.update(state, declared, FakeCaller())
        assert later.inputs() == declared
        assert later == state.model_copy(update=dict(declared))
        assert len(machine.emulator.requests()) == asked


class TestBooting:
    def test_it_waits_on(self, machine: Machine, booting: ModelState) -> None:
        state = machine.process().lifecycle.update(booting, inputs(), FakeCaller())
        assert (state.status, state.created) == ("RUNNING", booting.created)
        assert machine.changes() == ["/model/load"]

    def test_the_limit_counts_from_now_and_the_age_from_the_acceptance(
        self, machine: Machine, process: Process
    ) -> None:
        machine.emulator.set_faults([{"do": {"boot": "never"}}])
        caller = FakeCaller()
        caller.end_at_report(2, Stop.CANCELLED)
        state = process.lifecycle.create(inputs(), caller)
        machine.emulator.advance(40 * 60)
        later = FakeCaller(timeout_seconds=600)
        later.end_at_report(3, Stop.CANCELLED)
        assert process.lifecycle.update(state, inputs(), later).status == "DEPLOYING"
        assert later.reports[0].startswith("40m DEPLOYING")
        assert later.reports[0].endswith(", limit 10m")

    def test_a_boot_that_fails_is_unloaded_and_an_error(
        self, machine: Machine, process: Process
    ) -> None:
        machine.emulator.set_faults([{"first": 1, "do": {"boot": "failed", "error": "oom"}}])
        caller = FakeCaller()
        caller.end_at_report(2, Stop.CANCELLED)
        state = process.lifecycle.create(inputs(), caller)
        with pytest.raises(BootFailedError, match='FAILED: "oom"'):
            machine.process().lifecycle.update(state, inputs(), FakeCaller())
        assert machine.running() == {}
        # The state still names it: the next `up` finds it gone, and loads it.
        later = machine.process().lifecycle.update(state, inputs(), FakeCaller())
        assert later.status == "RUNNING"

    def test_what_is_gone_is_loaded(self, machine: Machine, booting: ModelState) -> None:
        machine.emulator.advance(BOOT_SECONDS + 1801)
        state = machine.process().lifecycle.update(booting, inputs(), FakeCaller())
        assert (state.status, state.created) == ("RUNNING", machine.created())
        assert machine.loads() == 2

    def test_what_somebody_else_loaded_meanwhile_is_refused(
        self, machine: Machine, booting: ModelState
    ) -> None:
        machine.emulator.unload_by_somebody_else(GPT2)
        machine.emulator.advance(100)
        machine.emulator.load_by_somebody_else(GPT2, concurrency=3)
        with pytest.raises(AlreadyLoadedError):
            machine.process().lifecycle.update(booting, inputs(), FakeCaller())
        assert machine.running() == {GPT2: 3}

    def test_not_found_within_60_s_is_waited_for(
        self, machine: Machine, booting: ModelState
    ) -> None:
        machine.emulator.set_faults([{"endpoint": "/model/status", "do": {"statusLagSeconds": 50}}])
        state = machine.process().lifecycle.update(booting, inputs(), FakeCaller())
        assert (state.status, state.created) == ("RUNNING", booting.created)
        assert machine.loads() == 1

    def test_still_not_found_after_60_s_it_is_loaded(
        self, machine: Machine, booting: ModelState
    ) -> None:
        machine.emulator.unload_by_somebody_else(GPT2)
        state = machine.process().lifecycle.update(booting, inputs(), FakeCaller())
        assert state.status == "RUNNING"
        assert machine.loads() == 2

    @pytest.mark.parametrize("how", ["gone", "usurped"])
    def test_under_another_key_nothing_is_loaded(
        self, machine: Machine, booting: ModelState, how: str
    ) -> None:
        machine.emulator.unload_by_somebody_else(GPT2)
        machine.emulator.advance(100)
        if how == "usurped":
            machine.emulator.load_by_somebody_else(GPT2)
        with pytest.raises(AccountChangedError, match=f"could not load '{GPT2}'"):
            machine.process(key=OTHER_KEY).lifecycle.update(
                booting, inputs(adopt=True), FakeCaller()
            )
        assert machine.changes() == ["/model/load"]


def test_a_later_load_of_its_that_the_state_does_not_name_is_gone_on_with(
    machine: Machine, booting: ModelState
) -> None:
    """The state was restored from before the deployment that took it over."""
    machine.emulator.unload_by_somebody_else(GPT2)
    machine.emulator.advance(100)
    machine.emulator.load_by_somebody_else(GPT2)
    newer = machine.process().lifecycle.create(inputs(adopt=True), FakeCaller())
    state = machine.process().lifecycle.update(booting, inputs(adopt=True), FakeCaller())
    assert (state.status, state.created) == ("RUNNING", newer.created)
    assert state.adopted_at == newer.adopted_at is not None
    assert machine.changes() == ["/model/load"]


class TestFailed:
    def test_it_is_unloaded_and_loaded_again(self, machine: Machine) -> None:
        state = failed(machine)
        later = machine.process().lifecycle.update(state, inputs(), FakeCaller())
        assert (later.status, later.created) == ("RUNNING", machine.created())
        assert machine.changes() == ["/model/load", "/model/delete", "/model/load"]

    def test_interrupted_between_unload_and_load_it_says_so(self, machine: Machine) -> None:
        state = failed(machine)
        machine.emulator.set_faults([{"do": {"shutdownSeconds": 1}}])
        caller = FakeCaller()
        process = machine.process()
        # Ctrl-C while the status does not agree yet: the unload is finished, the load not begun.
        delete = process.client.delete

        def delete_and_stop(model_id: str) -> None:
            caller.end(Stop.CANCELLED)
            delete(model_id)

        process.client.delete = delete_and_stop  # type: ignore[method-assign,assignment]
        with pytest.raises(InterruptedLoadError, match="The old one is already unloaded"):
            process.lifecycle.update(state, inputs(), caller)
        assert machine.running() == {}
        assert machine.process().lifecycle.update(state, inputs(), FakeCaller()).status == "RUNNING"


class TestNotLoaded:
    """Expiry was accepted; a declared input has changed since."""

    @pytest.fixture
    def idle(self, machine: Machine, process: Process) -> ModelState:
        state = process.lifecycle.create(inputs(on_expiry="accept"), FakeCaller())
        machine.emulator.advance(1801)
        read = process.lifecycle.read(state, FakeCaller())
        assert read is not None
        assert read.status == NOT_LOADED
        return read

    def test_it_is_loaded(self, machine: Machine, idle: ModelState) -> None:
        state = machine.process().lifecycle.update(idle, inputs(), FakeCaller())
        assert (state.status, state.created) == ("RUNNING", machine.created())
