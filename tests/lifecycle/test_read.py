"""read: the state as it is now. `Model.get`: a model that no resource of the stack manages."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from inline_snapshot import snapshot

from bytez_provider.base.errors import (
    AccountChangedError,
    AuthenticationError,
    NotLoadedError,
    UnreachableError,
)
from bytez_provider.core.declared import ModelState
from bytez_provider.core.lifecycle import diff
from bytez_provider.core.ownership import Phase
from bytez_provider.core.waiting import Stop
from bytez_provider.emulator import Emulator
from bytez_provider.service.schemas import NOT_LOADED, moment_of
from tests.lifecycle.caller import OTHER_URN, URN, FakeCaller
from tests.lifecycle.machine import (
    BOOT_SECONDS,
    GPT2,
    KEY,
    OTHER_KEY,
    Machine,
    Process,
    inputs,
    keep,
    record,
)


@pytest.fixture
def state(process: Process) -> ModelState:
    """A model that this resource loaded."""
    return process.lifecycle.create(inputs(concurrency=2), FakeCaller())


def usurped(machine: Machine) -> None:
    """Let somebody else unload ours and load theirs."""
    machine.emulator.unload_by_somebody_else(GPT2)
    machine.emulator.advance(120)
    machine.emulator.load_by_somebody_else(GPT2, concurrency=2)


class TestLoaded:
    def test_what_is_as_it_was_changes_nothing(self, machine: Machine, state: ModelState) -> None:
        """Also after minutes and runs: what changes from minute to minute is not in state."""
        machine.emulator.advance(600)
        assert machine.process().lifecycle.read(state, FakeCaller()) == state
        assert machine.changes() == ["/model/load"]

    @pytest.mark.parametrize("is_gone", [False, True])
    def test_a_note_of_the_load_that_the_state_names_is_cleared(
        self, machine: Machine, process: Process, state: ModelState, is_gone: bool
    ) -> None:
        """Who was killed between the two could not do it."""
        created = moment_of(state.created)
        assert created is not None
        process.keep(record(URN, GPT2, began=created, concurrency=2, created=created))
        if is_gone:
            machine.emulator.unload_by_somebody_else(GPT2)
        process.lifecycle.read(state, FakeCaller())
        assert machine.recorded() == machine.loaded()

    @pytest.mark.parametrize(
        ("urn", "is_cleared"),
        [
            (OTHER_URN, True),
            (OTHER_URN.replace(":dev:", ":prod:"), False),
            (OTHER_URN.replace(":fleet:", ":other:"), False),
        ],
        ids=["same-stack", "another-stack", "another-project"],
    )
    def test_a_note_of_it_under_an_older_name_is_cleared(
        self, machine: Machine, process: Process, state: ModelState, urn: str, is_cleared: bool
    ) -> None:
        """Renamed with an alias, before the note of the killed deployment was."""
        created = moment_of(state.created)
        assert created is not None
        note = record(urn, GPT2, began=created, concurrency=2, created=created)
        process.keep(note)
        later = machine.process()
        later.lifecycle.read(state, FakeCaller())
        assert machine.records() == [note]
        later.lifecycle.deploys(is_preview=False)
        (kept,) = machine.records()
        assert (kept.phase, kept.owner.urn) == (Phase.CONFIRMED, URN)

    def test_the_note_of_one_that_was_killed_when_it_took_it_over_stays(
        self, machine: Machine, state: ModelState
    ) -> None:
        """The delete of this one will leave the load alone; then the note is all that names it."""
        taking = machine.process()
        taking.lifecycle.create(inputs(adopt=True, concurrency=2), FakeCaller(OTHER_URN))
        noted = machine.records()
        assert [one.owner.urn for one in noted] == [OTHER_URN]
        later = machine.process()
        later.lifecycle.read(state, FakeCaller())
        later.lifecycle.delete(state, FakeCaller())
        assert machine.records() == noted
        assert machine.running() == {GPT2: 2}

    def test_another_concurrency_is_drift_that_the_next_up_replaces(
        self, machine: Machine, state: ModelState
    ) -> None:
        machine.answer_status_with(concurrency=5)
        read = machine.process().lifecycle.read(state, FakeCaller())
        assert read is not None
        assert read.inputs() == inputs(concurrency=5)
        assert diff(read, inputs(concurrency=2), frozenset()).replaces == ["concurrency"]

    def test_an_expiry_that_was_not_declared_is_no_drift(
        self, machine: Machine, state: ModelState
    ) -> None:
        machine.answer_status_with(expirationPeriodSeconds=300)
        assert machine.process().lifecycle.read(state, FakeCaller()) == state

    def test_failed_and_ours_stays_and_the_next_up_loads_it_again(
        self, machine: Machine, state: ModelState
    ) -> None:
        machine.answer_status_with(status="failed", error="out of memory")
        read = machine.process().lifecycle.read(state, FakeCaller())
        assert read is not None
        assert read.status == "FAILED"
        change = diff(read, inputs(concurrency=2), frozenset())
        assert (change.needed, change.replaces) == (True, [])


class TestAnotherLoadOfIts:
    """The state is older than the load: it was restored, or was not saved."""

    @pytest.fixture
    def newer(self, machine: Machine, state: ModelState) -> ModelState:
        """The load that the resource made after that of `state`."""
        replacing = machine.process().lifecycle
        replacing.delete(state, FakeCaller())
        return replacing.create(inputs(concurrency=3), FakeCaller())

    def test_the_state_names_it_from_then_on(
        self, machine: Machine, state: ModelState, newer: ModelState
    ) -> None:
        caller = FakeCaller()
        read = machine.process().lifecycle.read(state, caller)
        assert read == newer
        (note,) = caller.notes
        assert f"at {newer.created}, after this state was saved" in note

    def test_that_is_no_proof_until_a_later_deployment_has_it(
        self, machine: Machine, state: ModelState, newer: ModelState
    ) -> None:
        """Whether what was read is saved is not known in the process that read it."""
        refreshing = machine.process().lifecycle
        refreshing.deploys(is_preview=False)
        read = refreshing.read(state, FakeCaller())
        assert read is not None
        keep(refreshing, read, URN)
        assert [one.phase for one in machine.records()] == [Phase.ACCEPTED]
        later = machine.process().lifecycle
        keep(later, read, URN)
        later.deploys(is_preview=False)
        assert [one.phase for one in machine.records()] == [Phase.CONFIRMED]

    def test_nor_is_the_identity_that_a_state_is_given(self, machine: Machine) -> None:
        machine.emulator.set_faults([{"do": {"statusLagSeconds": 3}}])
        caller = FakeCaller()
        caller.end_at_report(1, Stop.CANCELLED)
        state = machine.process().lifecycle.create(inputs(), caller)
        assert state.created is None
        machine.emulator.advance(BOOT_SECONDS)
        refreshing = machine.process().lifecycle
        refreshing.deploys(is_preview=False)
        read = refreshing.read(state, FakeCaller())
        assert read is not None
        assert read.created == machine.created()
        keep(refreshing, read, URN)
        assert [one.phase for one in machine.records()] == [Phase.ACCEPTED]

    def test_what_may_be_its_own_stays_as_it_is(
        self, machine: Machine, process: Process, state: ModelState
    ) -> None:
        """The state does not say which load is its own, and the journal knows nothing."""
        unsure = state.model_copy(update={"created": None})
        process.ledger.forget(machine.records()[0])
        machine.emulator.advance(600)
        caller = FakeCaller()
        assert machine.process().lifecycle.read(unsure, caller) == unsure
        assert caller.notes == []


class TestGone:
    @pytest.mark.parametrize("how", ["expired", "usurped"])
    def test_not_loaded_or_somebody_elses_is_gone(
        self, machine: Machine, state: ModelState, how: str
    ) -> None:
        if how == "expired":
            machine.emulator.advance(1801)
        else:
            usurped(machine)
        assert machine.process().lifecycle.read(state, FakeCaller()) is None

    @pytest.mark.parametrize("how", ["expired", "usurped"])
    def test_where_expiry_is_accepted_it_stays_as_not_loaded(
        self, machine: Machine, process: Process, how: str
    ) -> None:
        accepting = inputs(on_expiry="accept")
        state = process.lifecycle.create(accepting, FakeCaller())
        if how == "expired":
            machine.emulator.advance(1801)
        else:
            usurped(machine)
        read = machine.process().lifecycle.read(state, FakeCaller())
        assert read is not None
        assert read.status == NOT_LOADED
        assert not diff(read, accepting, frozenset()).needed
        assert diff(read, inputs(on_expiry="accept", concurrency=2), frozenset()).replaces
        again = machine.process().lifecycle.read(read, FakeCaller())
        assert again == read

    @pytest.mark.parametrize("accepted", [True, False], ids=["accepted", "not-accepted"])
    def test_an_expiry_is_not_accepted_where_a_load_was_begun_since(
        self, machine: Machine, accepted: bool
    ) -> None:
        """The stateful test's story: an `up` loaded it again, and had no clear answer."""
        accepting = inputs(on_expiry="accept")
        caller = FakeCaller()
        caller.end_at_report(1, Stop.CANCELLED)
        state = machine.process().lifecycle.create(accepting, caller)
        usurped(machine)
        machine.emulator.unload_by_somebody_else(GPT2)
        lost = {"reset": "after" if accepted else "before"}
        machine.emulator.set_faults([{"endpoint": "/model/load", "do": lost}])
        with pytest.raises(UnreachableError, match="may have been accepted"):
            machine.process().lifecycle.update(state, accepting, FakeCaller())
        machine.emulator.set_faults([])

        caller = FakeCaller()
        read = machine.process().lifecycle.read(state, caller)
        if accepted:
            assert read is not None
            assert read.created == machine.created()
            assert "after this state was saved" in caller.notes[0]
        else:
            assert read is None
            assert caller.notes == [f"'{GPT2}' is no longer loaded: `pulumi up` loads it again"]
            created = machine.process().lifecycle.create(accepting, FakeCaller())
            assert created.status == "RUNNING"
        assert machine.running() == {GPT2: 1}

    def test_not_found_within_60_s_of_acceptance_is_not_gone(
        self, machine: Machine, process: Process
    ) -> None:
        caller = FakeCaller()
        caller.end_at_report(1, Stop.CANCELLED)
        state = process.lifecycle.create(inputs(), caller)
        machine.emulator.set_faults(
            [{"endpoint": "/model/status", "do": {"statusLagSeconds": 3600}}]
        )
        machine.emulator.advance(50)
        assert machine.process().lifecycle.read(state, FakeCaller()) == state
        machine.emulator.advance(15)
        assert machine.process().lifecycle.read(state, FakeCaller()) is None

    @pytest.mark.parametrize("status", ["RUNNING", "FAILED"])
    def test_what_was_seen_to_its_end_does_not_lag(
        self, machine: Machine, process: Process, status: str
    ) -> None:
        caller = FakeCaller()
        caller.at_report(1, lambda: machine.answer_status_with(status="RUNNING"))
        state = process.lifecycle.create(inputs(), caller).model_copy(update={"status": status})
        machine.emulator.set_faults([])
        machine.emulator.unload_by_somebody_else(GPT2)
        assert machine.process().lifecycle.read(state, FakeCaller()) is None


class TestAnotherAccount:
    def test_not_found_under_another_key_is_an_error_and_never_gone(
        self, machine: Machine, state: ModelState
    ) -> None:
        machine.emulator.advance(1801)
        with pytest.raises(AccountChangedError) as caught:
            machine.process(key=OTHER_KEY).lifecycle.read(state, FakeCaller())
        assert str(caught.value) == snapshot(
            "could not read 'openai-community/gpt2': this load of it is not found "
            "under the key in use, and it was made under another. The state is as it "
            "was, and the model may still run there. Use that key again, or set "
            "BYTEZ_ACCEPT_ACCOUNT_CHANGE=1 to give it up."
        )

    def test_somebody_elses_load_under_another_key_is_an_error_too(
        self, machine: Machine, state: ModelState
    ) -> None:
        """Ours may still run in the other account."""
        usurped(machine)
        with pytest.raises(AccountChangedError):
            machine.process(key=OTHER_KEY).lifecycle.read(state, FakeCaller())

    def test_not_found_under_another_endpoint_names_the_old_one(
        self, machine: Machine, state: ModelState
    ) -> None:
        with Emulator(keys=[KEY], clock="manual") as elsewhere:
            process = machine.process(endpoint=elsewhere.url)
            with pytest.raises(AccountChangedError) as caught:
                process.lifecycle.read(state, FakeCaller())
        assert f"under another ({machine.emulator.url})" in str(caught.value)

    def test_found_under_a_new_key_it_is_of_that_key_from_then_on(
        self, machine: Machine, state: ModelState
    ) -> None:
        """Keys are changed; an expiry after that is no change of account."""
        process = machine.process(key=OTHER_KEY)
        read = process.lifecycle.read(state, FakeCaller())
        assert read is not None
        assert read.account == process.settings.account != state.account
        machine.emulator.advance(1801)
        assert process.lifecycle.read(read, FakeCaller()) is None

    def test_what_is_known_not_to_be_loaded_is_of_no_account(
        self, machine: Machine, process: Process
    ) -> None:
        state = process.lifecycle.create(inputs(on_expiry="accept"), FakeCaller())
        machine.emulator.advance(1801)
        idle = process.lifecycle.read(state, FakeCaller())
        assert idle is not None
        other = machine.process(key=OTHER_KEY).lifecycle
        assert other.read(idle, FakeCaller()) == idle
        other.delete(idle, FakeCaller())

    def test_without_created_a_load_of_another_account_is_not_taken_for_ours(
        self, machine: Machine, state: ModelState
    ) -> None:
        machine.answer_status_with(created=None)
        unnamed = machine.process().lifecycle.read(state, FakeCaller())
        assert unnamed is not None
        assert unnamed.created is None
        for one in (state, unnamed):
            with pytest.raises(AccountChangedError):
                machine.process(key=OTHER_KEY).lifecycle.read(one, FakeCaller())


class TestNoAnswer:
    @pytest.mark.parametrize("verb", ["read", "delete"])
    def test_a_bad_key_says_so_too(self, machine: Machine, state: ModelState, verb: str) -> None:
        lifecycle = machine.process(key="revoked-key-000000").lifecycle
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

    def test_it_is_read_again_whoever_loaded_it_anew_and_never_said_to_be_loaded_by_us(
        self, machine: Machine, process: Process
    ) -> None:
        machine.emulator.load_by_somebody_else(GPT2, concurrency=4)
        found = process.lifecycle.get(GPT2)
        assert found.read_only
        usurped(machine)
        again = process.lifecycle.read(found, FakeCaller())
        assert again is not None
        assert (again.created, again.concurrency) == (machine.created(), 2)
        machine.emulator.unload_by_somebody_else(GPT2)
        caller = FakeCaller()
        assert process.lifecycle.read(again, caller) is None
        assert caller.notes == [f"'{GPT2}', which this stack only reads, is no longer loaded"]

    def test_what_is_not_loaded_is_an_error(self, process: Process) -> None:
        with pytest.raises(NotLoadedError) as caught:
            process.lifecycle.get(GPT2)
        assert str(caught.value) == snapshot(
            "could not read 'openai-community/gpt2': it is not loaded. Nothing was "
            "changed. Declare it with `bytez.Model(...)`, or load it with "
            "`bytez-fleet load openai-community/gpt2`."
        )


def test_a_drift_that_cannot_be_declared_leaves_the_state_readable(
    machine: Machine, process: Process
) -> None:
    state = process.lifecycle.create(inputs(expiration_period_seconds=600), FakeCaller())
    machine.answer_status_with(expirationPeriodSeconds=5)
    seen = process.lifecycle.read(state, FakeCaller())
    assert seen is not None
    assert seen.expiration_period_seconds == 600
    ModelState.model_validate(seen.bag())
