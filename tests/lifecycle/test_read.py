"""read: the state as it is now. `Model.get`: a model that no resource of the stack manages."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from inline_snapshot import snapshot

from bytez_provider.base.errors import (
    AuthenticationError,
    NotLoadedError,
    UnreachableError,
)
from bytez_provider.core.declared import ModelState
from bytez_provider.core.lifecycle import diff
from bytez_provider.core.ownership import Phase
from bytez_provider.service.schemas import NOT_LOADED, moment_of
from tests.lifecycle.caller import OTHER_URN, URN, FakeCaller, meanwhile, stopped_at
from tests.lifecycle.machine import (
    BOOT_SECONDS,
    GPT2,
    Machine,
    Process,
    always,
    inputs,
    on,
    record,
)


@pytest.fixture
def state(process: Process) -> ModelState:
    """A model that this resource loaded."""
    return process.create(inputs(concurrency=2))


class TestLoaded:
    def test_what_is_as_it_was_changes_nothing(self, machine: Machine, state: ModelState) -> None:
        """Also after minutes and runs: what changes from minute to minute is not in state."""
        machine.emulator.advance(600)
        assert machine.read(state) == state
        assert machine.changes() == ["/model/load"]

    @pytest.mark.parametrize("is_gone", [False, True])
    def test_the_record_of_a_load_that_the_state_names_ends_with_the_load(
        self, machine: Machine, process: Process, state: ModelState, is_gone: bool
    ) -> None:
        """A deployment was killed before it could confirm or end the record."""
        created = moment_of(state.created)
        assert created is not None
        process.keep(record(URN, GPT2, began=created, concurrency=2, created=created))
        if is_gone:
            machine.emulator.unload_by_somebody_else(GPT2)
        process.read(state)
        assert machine.recorded() == machine.loaded()

    def test_the_record_of_a_take_over_that_was_killed_remains(
        self, machine: Machine, state: ModelState
    ) -> None:
        """The delete of the older resource leaves the load alone; then only the record names it."""
        taking = machine.process()
        taking.create(inputs(adopt=True, concurrency=2), FakeCaller(OTHER_URN))
        taken = machine.records()
        assert [one.owner.urn for one in taken] == [OTHER_URN]
        later = machine.process()
        later.read(state)
        later.delete(state)
        assert machine.records() == taken
        assert machine.running() == {GPT2: 2}

    def test_another_concurrency_is_drift_that_the_next_up_replaces(
        self, machine: Machine, state: ModelState
    ) -> None:
        machine.answer_status_with(concurrency=5)
        read = machine.seen(state)
        assert read.inputs() == inputs(concurrency=5)
        assert diff(read, inputs(concurrency=2), frozenset()).replaces == ["concurrency"]

    def test_a_failed_load_of_ours_remains_in_state_and_the_next_up_loads_it_again(
        self, machine: Machine, state: ModelState
    ) -> None:
        machine.answer_status_with(status="failed", error="out of memory")
        read = machine.seen(state)
        assert read.status == "FAILED"
        change = diff(read, inputs(concurrency=2), frozenset())
        assert (change.needed, change.replaces) == (True, [])


class TestALaterLoad:
    """The state is older than the load: it was restored, or was not saved."""

    @pytest.fixture
    def newer(self, machine: Machine, state: ModelState) -> ModelState:
        """The load that the resource made after that of `state`."""
        replacing = machine.process()
        replacing.delete(state)
        return replacing.create(inputs(concurrency=3))

    def test_the_state_names_it_from_then_on(
        self, machine: Machine, state: ModelState, newer: ModelState
    ) -> None:
        caller = FakeCaller()
        read = machine.read(state, caller)
        assert read == newer
        (note,) = caller.notes
        assert f"at {newer.created}, after this state was saved" in note

    def test_that_is_no_proof_until_a_later_deployment_reads_it(
        self, machine: Machine, state: ModelState, newer: ModelState
    ) -> None:
        """Whether what was read is saved is not known in the process that read it."""
        refreshing = machine.process()
        refreshing.lifecycle.deploys(is_preview=False)
        read = refreshing.seen(state)
        refreshing.keeps(read, URN)
        assert [one.phase for one in machine.records()] == [Phase.ACCEPTED]
        later = machine.process()
        later.keeps(read, URN)
        later.lifecycle.deploys(is_preview=False)
        assert [one.phase for one in machine.records()] == [Phase.CONFIRMED]

    def test_an_identity_that_a_refresh_learns_is_no_proof_either(self, machine: Machine) -> None:
        machine.faults(always(statusLagSeconds=3))
        state = machine.create(caller=stopped_at(1))
        assert state.created is None
        machine.emulator.advance(BOOT_SECONDS)
        refreshing = machine.process()
        refreshing.lifecycle.deploys(is_preview=False)
        read = refreshing.seen(state)
        assert (read.status, read.created) == ("RUNNING", machine.created())
        refreshing.keeps(read, URN)
        assert [one.phase for one in machine.records()] == [Phase.ACCEPTED]
        assert machine.recorded() == machine.loaded()

    def test_a_state_that_may_name_it_remains_as_it_is(
        self, machine: Machine, process: Process, state: ModelState
    ) -> None:
        """The state does not say which load is its own, and the journal knows nothing."""
        unsure = state.but(created=None)
        process.ledger.forget(machine.records()[0])
        machine.emulator.advance(600)
        caller = FakeCaller()
        assert machine.read(unsure, caller) == unsure
        assert caller.notes == []


class TestGone:
    @pytest.mark.parametrize("how", ["expired", "usurped"])
    @pytest.mark.parametrize("on_expiry", ["reload", "accept"])
    def test_it_leaves_the_state_unless_expiry_is_accepted(
        self, machine: Machine, how: str, on_expiry: str
    ) -> None:
        declared = inputs(on_expiry=on_expiry)
        state = machine.create(declared)
        if how == "expired":
            machine.emulator.advance(1801)
        else:
            machine.usurp()
        if on_expiry == "reload":
            assert machine.read(state) is None
            return
        read = machine.seen(state)
        assert read.status == NOT_LOADED
        assert not diff(read, declared, frozenset()).needed
        assert diff(read, inputs(on_expiry="accept", concurrency=2), frozenset()).replaces
        assert machine.read(read) == read

    @pytest.mark.parametrize("accepted", [True, False], ids=["accepted", "not-accepted"])
    def test_an_expiry_is_not_accepted_if_a_load_was_begun_since(
        self, machine: Machine, accepted: bool
    ) -> None:
        """The stateful test's story: an `up` loaded it again, and had no clear answer."""
        accepting = inputs(on_expiry="accept")
        state = machine.create(accepting, stopped_at(1))
        machine.usurp(concurrency=2)
        machine.emulator.unload_by_somebody_else(GPT2)
        machine.faults(on("load", {"reset": "after" if accepted else "before"}))
        with pytest.raises(UnreachableError, match="may have been accepted"):
            machine.update(state, accepting)
        machine.faults()

        caller = FakeCaller()
        read = machine.read(state, caller)
        if accepted:
            assert read is not None
            assert read.created == machine.created()
            assert "after this state was saved" in caller.notes[0]
        else:
            assert read is None
            assert caller.notes == [f"'{GPT2}' is no longer loaded: `pulumi up` loads it again"]
            assert machine.create(accepting).status == "RUNNING"
        assert machine.running() == {GPT2: 1}

    def test_not_found_within_60_s_of_acceptance_is_not_gone(self, machine: Machine) -> None:
        state = machine.create(caller=stopped_at(1))
        machine.faults(on("status", {"statusLagSeconds": 3600}))
        machine.emulator.advance(50)
        assert machine.read(state) == state
        machine.emulator.advance(15)
        assert machine.read(state) is None

    @pytest.mark.parametrize("status", ["RUNNING", "FAILED"])
    def test_not_found_after_the_end_of_a_boot_is_gone(self, machine: Machine, status: str) -> None:
        caller = meanwhile(1, lambda: machine.answer_status_with(status="RUNNING"))
        state = machine.create(caller=caller).but(status=status)
        machine.faults()
        machine.emulator.unload_by_somebody_else(GPT2)
        assert machine.read(state) is None


class TestNoAnswer:
    @pytest.mark.parametrize("verb", ["read", "delete"])
    def test_a_refused_key_says_how_a_new_one_is_used(
        self, machine: Machine, state: ModelState, verb: str
    ) -> None:
        lifecycle = machine.process(key="revoked-key-000000")
        operation: Callable[..., object] = getattr(lifecycle, verb)
        with pytest.raises(AuthenticationError, match="run `pulumi refresh --run-program` first"):
            operation(state, FakeCaller())


class TestGet:
    def test_it_reads_what_anybody_loaded(self, machine: Machine, process: Process) -> None:
        created = machine.emulator.load_by_somebody_else(GPT2, concurrency=4)
        found = process.lifecycle.get(GPT2)
        assert (found.model_id, found.concurrency, found.status) == (GPT2, 4, "DEPLOYING")
        assert (found.created, found.adopted_at) == (created, None)
        assert found.required_ram_gb == 0.5
        assert machine.changes() == []

    def test_it_is_read_again_whoever_loads_it_and_never_called_ours(
        self, machine: Machine, process: Process
    ) -> None:
        machine.emulator.load_by_somebody_else(GPT2, concurrency=4)
        found = process.lifecycle.get(GPT2)
        assert found.read_only
        machine.usurp(concurrency=2)
        again = process.seen(found)
        assert (again.created, again.concurrency) == (machine.created(), 2)
        machine.emulator.unload_by_somebody_else(GPT2)
        caller = FakeCaller()
        assert process.read(again, caller) is None
        assert caller.notes == [f"'{GPT2}', which this stack only reads, is no longer loaded"]

    def test_what_is_not_loaded_is_an_error(self, process: Process) -> None:
        with pytest.raises(NotLoadedError) as caught:
            process.lifecycle.get(GPT2)
        assert str(caught.value) == snapshot(
            "could not read 'openai-community/gpt2': it is not loaded. Nothing was "
            "changed. Declare it with `bytez.Model(...)`, or load it with "
            "`bytez-fleet load openai-community/gpt2`."
        )
