"""create of a model that others loaded, and who holds it from then on."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
from inline_snapshot import snapshot

from bytez_provider.base.errors import (
    AlreadyLoadedError,
    BootFailedError,
    InterruptedLoadError,
)
from bytez_provider.core.declared import ModelState
from bytez_provider.core.waiting import Stop
from bytez_provider.service.schemas import moment_of
from tests.fleet.crew import PlannedClock
from tests.lifecycle.caller import OTHER_URN, URN, FakeCaller
from tests.lifecycle.machine import (
    BOOT_SECONDS,
    ELSEWHERE,
    GPT2,
    OTHER_KEY,
    Machine,
    Process,
    inputs,
    keep,
    record,
    unloading,
)

ADOPTING = inputs(adopt=True)


class TestRefused:
    def test_the_error_says_since_when_how_large_and_the_ways_out(
        self, machine: Machine, process: Process
    ) -> None:
        machine.emulator.load_by_somebody_else(GPT2, concurrency=2)
        machine.emulator.advance(BOOT_SECONDS)
        with pytest.raises(AlreadyLoadedError) as caught:
            process.lifecycle.create(inputs(), FakeCaller())
        assert str(caught.value) == snapshot(
            "could not load 'openai-community/gpt2': it is already loaded at "
            "concurrency 2 since 2024-05-27T23:35:35.863Z (RUNNING), not by this "
            "resource. Nothing was changed. Take it over with `adopt=True` or "
            "BYTEZ_ADOPT=openai-community/gpt2, name the old resource in `aliases` if "
            "this one was renamed, or unload it with `bytez-fleet unload "
            "openai-community/gpt2`."
        )
        assert machine.changes() == []

    def test_adopting_another_model_is_no_consent(self, machine: Machine) -> None:
        machine.emulator.load_by_somebody_else(GPT2)
        with pytest.raises(AlreadyLoadedError):
            machine.process(adopt=["gpt2"]).lifecycle.create(inputs(), FakeCaller())


class TestTakenOver:
    @pytest.mark.parametrize("by", ["argument", "environment"])
    def test_as_it_is_without_a_request_that_changes_anything(
        self, machine: Machine, by: str
    ) -> None:
        created = machine.emulator.load_by_somebody_else(GPT2)
        machine.emulator.advance(BOOT_SECONDS)
        caller = FakeCaller()
        process = machine.process(adopt=[GPT2] if by == "environment" else [])
        state = process.lifecycle.create(inputs(adopt=by == "argument"), caller)
        assert (state.status, state.created) == ("RUNNING", created)
        assert state.adopted_at is not None
        assert machine.changes() == []
        assert caller.notes == [f"'{GPT2}' was taken over as it runs, without a load"]
        (warning,) = caller.warnings
        assert "this journal is on this machine only" in warning
        assert "`pulumi state delete` or `retain_on_delete`" in warning

    def test_other_settings_are_loaded_again_and_said(
        self, machine: Machine, process: Process
    ) -> None:
        machine.emulator.load_by_somebody_else(GPT2, concurrency=2)
        caller = FakeCaller()
        declared = inputs(adopt=True, concurrency=3, expiration_period_seconds=600)
        state = process.lifecycle.create(declared, caller)
        assert (state.status, state.adopted_at) == ("RUNNING", None)
        assert machine.changes() == ["/model/delete", "/model/load"]
        assert machine.running() == {GPT2: 3}
        assert caller.warnings == [
            (
                f"'{GPT2}' was taken over and is loaded again: `concurrency` was 2, "
                "not 3; `expirationPeriodSeconds` was 1800, not 600"
            )
        ]

    def test_what_failed_is_loaded_again_and_said(self, machine: Machine, process: Process) -> None:
        machine.emulator.load_by_somebody_else(GPT2)
        failed = {**machine.emulator.instances()[0], "status": "FAILED"}
        shown = {"respond": {"status": 200, "body": failed}}
        machine.emulator.set_faults([{"endpoint": "/model/status", "first": 1, "do": shown}])
        caller = FakeCaller()
        assert process.lifecycle.create(ADOPTING, caller).status == "RUNNING"
        assert machine.changes() == ["/model/delete", "/model/load"]
        assert "was taken over and is loaded again: it had failed" in caller.warnings[0]

    def test_ctrl_c_keeps_it_in_state_as_taken_over(
        self, machine: Machine, process: Process
    ) -> None:
        machine.emulator.load_by_somebody_else(GPT2)
        caller = FakeCaller()
        caller.end_at_report(2, Stop.CANCELLED)
        state = process.lifecycle.create(ADOPTING, caller)
        assert (state.status, state.created) == ("DEPLOYING", machine.created())
        later = machine.process().lifecycle.update(state, ADOPTING, FakeCaller())
        assert (later.status, later.adopted_at) == ("RUNNING", state.adopted_at)


TAKEN_OVER = f"'{GPT2}' was left running: 'chat' of stack 'dev' has taken it over"


def fails_to_boot(machine: Machine, process: Process) -> ModelState:
    """Return a load whose boot will fail, as a Ctrl-C left it."""
    machine.emulator.set_faults([{"do": {"boot": "failed", "error": "out of memory"}}])
    caller = FakeCaller(URN)
    caller.end_at_report(1, Stop.CANCELLED)
    return process.lifecycle.create(inputs(), caller)


class TestHolder:
    """Rename without `aliases`: the engine creates the new one, then deletes the old one."""

    def test_the_older_resource_leaves_it_alone_in_the_same_deployment(
        self, machine: Machine, process: Process
    ) -> None:
        old = process.lifecycle.create(inputs(), FakeCaller(URN))
        renaming = machine.process().lifecycle
        renaming.create(ADOPTING, FakeCaller(OTHER_URN))
        caller = FakeCaller(URN)
        renaming.delete(old, caller)
        assert machine.running() == {GPT2: 1}
        assert caller.notes == [TAKEN_OVER]

    def test_the_older_resource_leaves_it_alone_in_a_later_deployment(
        self, machine: Machine, process: Process
    ) -> None:
        old = process.lifecycle.create(inputs(), FakeCaller(URN))
        new = machine.process().lifecycle.create(ADOPTING, FakeCaller(OTHER_URN))
        machine.process().lifecycle.delete(old, FakeCaller(URN))
        assert machine.running() == {GPT2: 1}
        machine.process().lifecycle.delete(new, FakeCaller(OTHER_URN))
        assert machine.running() == {}

    def test_under_a_key_that_was_changed_since_the_older_owner_leaves_it_alone_too(
        self, machine: Machine, process: Process
    ) -> None:
        """The stateful test's story: its state is no proof against the record of an earlier key."""
        old = process.lifecycle.create(inputs(), FakeCaller(URN))
        other_stack = URN.replace(":dev:", ":prod:")
        machine.process().lifecycle.create(ADOPTING, FakeCaller(other_stack))
        later = machine.process(key=OTHER_KEY).lifecycle
        assert later.read(old, FakeCaller(URN)) is not None
        keep(later, old, URN)
        later.delete(old, FakeCaller(URN))
        assert machine.running() == {GPT2: 1}

    def test_a_rename_with_an_alias_after_it_is_still_the_holder(
        self, machine: Machine, process: Process
    ) -> None:
        """It has another URN, and the same `adopted_at`."""
        machine.emulator.load_by_somebody_else(GPT2)
        state = process.lifecycle.create(ADOPTING, FakeCaller(URN))
        machine.process().lifecycle.delete(state, FakeCaller(OTHER_URN))
        assert machine.running() == {}

    def test_of_two_adopters_within_a_moment_the_last_one_holds(
        self, machine: Machine, process: Process
    ) -> None:
        """The stateful test's story: the moment of the take-over tells holders apart."""
        machine.emulator.load_by_somebody_else(GPT2)
        machine.emulator.advance(BOOT_SECONDS)
        first = process.lifecycle.create(ADOPTING, FakeCaller(OTHER_URN))
        process.lifecycle.create(ADOPTING, FakeCaller(URN))
        process.lifecycle.delete(first, FakeCaller(OTHER_URN))
        assert machine.running() == {GPT2: 1}

    def test_a_take_over_that_failed_holds_nothing(
        self, machine: Machine, process: Process
    ) -> None:
        """Else the older resource's delete would leave it running, named by no state."""
        caller = FakeCaller(URN)
        caller.end_at_report(1, Stop.CANCELLED)
        old = process.lifecycle.create(inputs(), caller)

        taking = FakeCaller(OTHER_URN)
        taking.end_at_report(1, Stop.ENGINE_GONE)
        with pytest.raises(InterruptedLoadError):
            machine.process().lifecycle.create(ADOPTING, taking)
        machine.process().lifecycle.delete(old, FakeCaller(URN))
        assert machine.running() == {}

    def test_a_take_over_that_failed_gives_back_to_the_holder_before(
        self, machine: Machine, process: Process
    ) -> None:
        caller = FakeCaller(URN)
        caller.end_at_report(1, Stop.CANCELLED)
        old = process.lifecycle.create(inputs(), caller)
        caller = FakeCaller(OTHER_URN)
        caller.end_at_report(1, Stop.CANCELLED)
        holder = process.lifecycle.create(ADOPTING, caller)
        machine.emulator.advance(1)
        third = FakeCaller("urn:x::third")
        third.end_at_report(1, Stop.ENGINE_GONE)
        with pytest.raises(InterruptedLoadError):
            process.lifecycle.create(ADOPTING, third)
        machine.process().lifecycle.delete(old, FakeCaller(URN))
        assert machine.running() == {GPT2: 1}
        machine.process().lifecycle.delete(holder, FakeCaller(OTHER_URN))
        assert machine.running() == {}

    def test_a_boot_that_fails_is_left_to_whoever_took_it_over_meanwhile(
        self, machine: Machine, process: Process
    ) -> None:
        """While it is in the state of who waits on after a Ctrl-C, nobody is kept from that."""
        state = fails_to_boot(machine, process)
        waiting = machine.process().lifecycle
        keep(waiting, state, URN)
        caller, taking = FakeCaller(URN), FakeCaller(OTHER_URN)
        taking.end_at_report(1, Stop.CANCELLED)
        others = machine.process(stack=ELSEWHERE).lifecycle
        caller.at_report(2, lambda: others.create(ADOPTING, taking))
        with pytest.raises(BootFailedError) as caught:
            waiting.update(state, inputs(), caller)
        assert (
            f"'{GPT2}' was left running: 'chat' of stack 'dev', kept in file:///elsewhere has "
            "taken it over"
        ) in str(caught.value)
        assert machine.running() == {GPT2: 1}
        assert machine.changes() == ["/model/load"]

    def test_a_boot_that_fails_while_another_deployment_unloads_it_says_so(
        self, machine: Machine, process: Process
    ) -> None:
        state = fails_to_boot(machine, process)
        waiting = machine.process().lifecycle
        keep(waiting, state, URN)
        caller = FakeCaller(URN)
        with ExitStack() as works:
            caller.at_report(2, lambda: works.enter_context(unloading(machine.process())))
            with pytest.raises(BootFailedError, match="Unloading it failed too") as caught:
                waiting.update(state, inputs(), caller)
        assert "'gpt2' of stack 'dev', kept in file:///here is unloading it" in str(caught.value)
        assert machine.changes() == ["/model/load"]

    def test_the_holder_is_known_where_the_disk_takes_nothing(self, machine: Machine) -> None:
        """In this process at least."""
        machine.folder.write_text("a file where the folder would be")
        process = machine.process()
        old = process.lifecycle.create(inputs(), FakeCaller(URN))
        process.lifecycle.create(ADOPTING, FakeCaller(OTHER_URN))
        process.lifecycle.delete(old, FakeCaller(URN))
        assert machine.running() == {GPT2: 1}
        assert len(process.journal_warnings) == 1

    @pytest.mark.parametrize("is_identified", [False, True])
    def test_what_a_killed_deployment_noted_of_it_is_forgotten(
        self, machine: Machine, process: Process, is_identified: bool
    ) -> None:
        """The stateful test's story: the resource was renamed after the kill, and took it over.

        Else `bytez-fleet unload --unfinished` would unload what is in state.
        """
        began = process.client.server_now()
        machine.emulator.load_by_somebody_else(GPT2)
        created = moment_of(machine.created()) if is_identified else None
        process.keep(record(URN, GPT2, began, concurrency=1, created=created))
        machine.process().lifecycle.create(ADOPTING, FakeCaller(OTHER_URN))
        assert machine.recorded() == machine.loaded()

    def test_so_is_its_own_note_under_an_older_name(
        self, machine: Machine, process: Process
    ) -> None:
        """The stateful test's story: killed before the note was cleared, renamed with an alias."""
        machine.emulator.load_by_somebody_else(GPT2)
        caller = FakeCaller(OTHER_URN)
        caller.end_at_report(1, Stop.CANCELLED)
        state = process.lifecycle.create(ADOPTING, caller)
        assert [one.owner.urn for one in machine.records()] == [OTHER_URN]
        later = machine.process()
        keep(later.lifecycle, state, URN)
        assert later.lifecycle.update(state, ADOPTING, FakeCaller(URN)).status == "RUNNING"
        assert [one.owner.urn for one in machine.records()] == [URN]


class TestLetGo:
    """One resource of a program gives up a model in the `up` in which another one takes it."""

    def test_it_is_waited_for_and_then_loaded(self, machine: Machine) -> None:
        clock = PlannedClock(machine.emulator)
        process = machine.process(clock=clock)
        old = process.lifecycle.create(inputs(), FakeCaller(URN))
        with ExitStack() as works:
            works.enter_context(unloading(process))

            def ends() -> None:
                machine.emulator.unload_by_somebody_else(GPT2)
                works.close()

            clock.after(5, ends)
            new = process.lifecycle.create(inputs(concurrency=2), FakeCaller(OTHER_URN))
        assert (new.status, machine.running()) == ("RUNNING", {GPT2: 2})
        assert new.created != old.created


class TestStays:
    """A deployment was killed between a take-over and the delete of the older resource.

    So the state has both, and both name the one load.
    """

    @pytest.mark.parametrize("keeps_newer", [False, True], ids=["older", "newer"])
    def test_whichever_the_next_program_keeps_it_keeps_the_load(
        self, machine: Machine, process: Process, keeps_newer: bool
    ) -> None:
        """The stateful test's story: the rename was taken back before the next `up`."""
        older = process.lifecycle.create(inputs(), FakeCaller(URN))
        newer = machine.process().lifecycle.create(ADOPTING, FakeCaller(OTHER_URN))
        kept, dropped = (newer, older) if keeps_newer else (older, newer)

        later = machine.process().lifecycle
        keep(later, kept, OTHER_URN if keeps_newer else URN)
        later.delete(dropped, FakeCaller(URN if keeps_newer else OTHER_URN))
        assert machine.running() == {GPT2: 1}

        machine.process().lifecycle.delete(kept, FakeCaller(OTHER_URN if keeps_newer else URN))
        assert machine.running() == {}

    def test_the_machine_may_be_another_one(self, machine: Machine, process: Process) -> None:
        """The holder is then not known."""
        older = process.lifecycle.create(inputs(), FakeCaller(URN))
        newer = process.lifecycle.create(ADOPTING, FakeCaller(OTHER_URN))
        process.ledger.forget(machine.records()[0])

        later = machine.process().lifecycle
        keep(later, newer, OTHER_URN)
        caller = FakeCaller(URN)
        later.delete(older, caller)
        assert machine.running() == {GPT2: 1}
        assert caller.notes == [TAKEN_OVER]

    def test_a_replacement_of_what_would_stay_unloads_it(
        self, machine: Machine, process: Process
    ) -> None:
        """`pulumi up --replace`: the engine deletes what `diff` would have left as it is."""
        state = process.lifecycle.create(inputs(), FakeCaller(URN))
        replacing = machine.process().lifecycle
        keep(replacing, state, URN)
        replacing.delete(state, FakeCaller(URN))
        assert machine.running() == {}
