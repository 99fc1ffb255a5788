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
from bytez_provider.core.ownership import Record
from bytez_provider.core.waiting import Stop
from bytez_provider.service.schemas import moment_of
from tests.fleet.crew import PlannedClock
from tests.lifecycle.caller import OTHER_URN, URN, FakeCaller, meanwhile, stopped_at
from tests.lifecycle.machine import (
    BOOT_SECONDS,
    ELSEWHERE,
    GPT2,
    OTHER_KEY,
    Machine,
    Process,
    always,
    inputs,
    on,
    record,
    unloading,
)

ADOPTING = inputs(adopt=True)


class TestRefused:
    def test_the_error_says_since_when_how_large_and_the_ways_out(self, machine: Machine) -> None:
        machine.emulator.load_by_somebody_else(GPT2, concurrency=2)
        machine.emulator.advance(BOOT_SECONDS)
        assert machine.refused(AlreadyLoadedError) == snapshot(
            "could not load 'openai-community/gpt2': it is already loaded at "
            "concurrency 2 since 2024-05-27T23:35:35.863Z (RUNNING), not by this "
            "resource. Nothing was changed. Take it over with `adopt` or "
            "BYTEZ_ADOPT=openai-community/gpt2, name the old resource in `aliases` if "
            "this one was renamed, or unload it with `bytez-fleet unload "
            "openai-community/gpt2`."
        )
        assert machine.changes() == []

    def test_adopting_another_model_is_no_consent(self, machine: Machine) -> None:
        machine.emulator.load_by_somebody_else(GPT2)
        machine.process(adopt=["gpt2"]).refused(AlreadyLoadedError)


class TestTakenOver:
    @pytest.mark.parametrize("by", ["argument", "environment"])
    def test_as_it_is_without_a_request_that_changes_anything(
        self, machine: Machine, by: str
    ) -> None:
        created = machine.emulator.load_by_somebody_else(GPT2)
        machine.emulator.advance(BOOT_SECONDS)
        caller = FakeCaller()
        process = machine.process(adopt=[GPT2] if by == "environment" else [])
        state = process.create(inputs(adopt=by == "argument"), caller)
        assert (state.status, state.created) == ("RUNNING", created)
        assert state.adopted_at is not None
        assert machine.changes() == []
        assert caller.notes == [f"'{GPT2}' was taken over as it runs, without a load"]
        (warning,) = caller.warnings
        assert "this journal is on this machine only" in warning
        assert "`pulumi state delete` or `retain_on_delete`" in warning

    def test_other_settings_are_loaded_again_with_a_warning(self, machine: Machine) -> None:
        machine.emulator.load_by_somebody_else(GPT2, concurrency=2)
        caller = FakeCaller()
        declared = inputs(adopt=True, concurrency=3, expiration_period_seconds=600)
        state = machine.create(declared, caller)
        assert (state.status, state.adopted_at) == ("RUNNING", None)
        assert machine.changes() == ["/model/delete", "/model/load"]
        assert machine.running() == {GPT2: 3}
        (warning,) = caller.warnings
        assert warning == (
            f"'{GPT2}' was taken over and is loaded again: `concurrency` was 2, not 3; "
            "`expirationPeriodSeconds` was 1800, not 600"
        )

    def test_what_failed_is_loaded_again_with_a_warning(self, machine: Machine) -> None:
        machine.emulator.load_by_somebody_else(GPT2)
        failed = {**machine.emulator.instances()[0], "status": "FAILED"}
        machine.faults(on("status", {"respond": {"status": 200, "body": failed}}, first=1))
        caller = FakeCaller()
        assert machine.create(ADOPTING, caller).status == "RUNNING"
        assert machine.changes() == ["/model/delete", "/model/load"]
        assert "was taken over and is loaded again: it had failed" in caller.warnings[0]

    def test_ctrl_c_keeps_it_in_state_as_taken_over(self, machine: Machine) -> None:
        machine.emulator.load_by_somebody_else(GPT2)
        state = machine.create(ADOPTING, stopped_at(2))
        assert (state.status, state.created) == ("DEPLOYING", machine.created())
        later = machine.update(state, ADOPTING)
        assert (later.status, later.adopted_at) == ("RUNNING", state.adopted_at)


class TestOwner:
    """Rename without `aliases`: the engine creates the new one, then deletes the old one."""

    @pytest.mark.parametrize("is_later", [False, True], ids=["the same `up`", "a later `up`"])
    def test_the_older_resource_leaves_it_alone(self, machine: Machine, is_later: bool) -> None:
        old = machine.create()
        renaming = machine.process()
        new = renaming.create(ADOPTING, FakeCaller(OTHER_URN))
        deleting, caller = machine.process() if is_later else renaming, FakeCaller()
        deleting.delete(old, caller)
        assert machine.running() == {GPT2: 1}
        assert caller.notes == [
            f"'{GPT2}' was left running: 'chat' of stack 'dev' has taken it over"
        ]
        machine.delete(new, FakeCaller(OTHER_URN))
        assert machine.running() == {}

    def test_the_older_resource_leaves_it_alone_under_a_new_key_too(self, machine: Machine) -> None:
        """The stateful test's story: its state is no proof against the record of an earlier key."""
        old = machine.create()
        other_stack = URN.replace(":dev:", ":prod:")
        machine.create(ADOPTING, FakeCaller(other_stack))
        later = machine.process(key=OTHER_KEY)
        assert later.read(old) is not None
        later.keeps(old, URN)
        later.delete(old)
        assert machine.running() == {GPT2: 1}

    def test_a_take_over_that_failed_gives_it_back_to_the_owner_before(
        self, machine: Machine, process: Process
    ) -> None:
        old = process.create(caller=stopped_at(1))
        holder = process.create(ADOPTING, stopped_at(1, urn=OTHER_URN))
        machine.emulator.advance(1)
        third = stopped_at(1, Stop.ENGINE_GONE, urn="urn:x::third")
        process.refused(InterruptedLoadError, ADOPTING, third)
        machine.delete(old)
        assert machine.running() == {GPT2: 1}
        machine.delete(holder, FakeCaller(OTHER_URN))
        assert machine.running() == {}

    @pytest.mark.parametrize("how", ["takes it over", "unloads it"])
    def test_a_boot_that_fails_is_left_to_another_deployment_that_works_on_it(
        self, machine: Machine, how: str
    ) -> None:
        """While the state of a resource that waits after a Ctrl-C names it, anybody may do so."""
        machine.faults(always(boot="failed", error="out of memory"))
        state = machine.create(caller=stopped_at(1))
        waiting = machine.process()
        waiting.keeps(state, URN)
        others = machine.process(stack=ELSEWHERE)
        with ExitStack() as works:

            def act() -> None:
                if how == "takes it over":
                    others.create(ADOPTING, stopped_at(1, urn=OTHER_URN))
                else:
                    works.enter_context(unloading(machine.process()))

            with pytest.raises(BootFailedError) as caught:
                waiting.update(state, caller=meanwhile(2, act))
        said = str(caught.value)
        if how == "takes it over":
            other = "'chat' of stack 'dev', kept in file:///elsewhere"
            assert f"'{GPT2}' was left running: {other} has taken it over" in said
        else:
            assert "Unloading it failed too" in said
            assert "'gpt2' of stack 'dev', kept in file:///here is unloading it" in said
        assert machine.running() == {GPT2: 1}
        assert machine.changes() == ["/model/load"]

    def test_the_owner_is_known_if_the_journal_cannot_be_written(self, machine: Machine) -> None:
        """In this process at least."""
        machine.folder.write_text("a file where the folder would be")
        process = machine.process()
        old = process.create()
        process.create(ADOPTING, FakeCaller(OTHER_URN))
        process.delete(old)
        assert machine.running() == {GPT2: 1}
        assert len(process.journal_warnings) == 1

    @pytest.mark.parametrize("is_identified", [False, True])
    def test_the_record_of_a_killed_deployment_is_replaced(
        self, machine: Machine, process: Process, is_identified: bool
    ) -> None:
        """The stateful test's story: the resource was renamed after the kill, and took it over.

        Otherwise `bytez-fleet unload --unfinished` would unload what is in state.
        """
        began = process.client.server_now()
        machine.emulator.load_by_somebody_else(GPT2)
        created = moment_of(machine.created()) if is_identified else None
        process.keep(record(URN, GPT2, began, concurrency=1, created=created))
        machine.create(ADOPTING, FakeCaller(OTHER_URN))
        assert machine.recorded() == machine.loaded()


class TestLetGo:
    """One resource of a program gives up a model in the `up` in which another one takes it."""

    def test_it_is_waited_for_and_then_loaded(self, machine: Machine) -> None:
        clock = PlannedClock(machine.emulator)
        process = machine.process(clock=clock)
        old = process.create()
        with ExitStack() as works:
            works.enter_context(unloading(process))

            def ends() -> None:
                machine.emulator.unload_by_somebody_else(GPT2)
                works.close()

            clock.after(5, ends)
            new = process.create(inputs(concurrency=2), FakeCaller(OTHER_URN))
        assert (new.status, machine.running()) == ("RUNNING", {GPT2: 2})
        assert new.created != old.created


class TestTwoStates:
    """A deployment was killed between a take-over and the delete of the older resource.

    So the state has both, and both name the one load.
    """

    @pytest.mark.parametrize("keeps_newer", [False, True], ids=["older", "newer"])
    def test_the_resource_that_remains_in_the_program_keeps_the_load(
        self, machine: Machine, keeps_newer: bool
    ) -> None:
        """The stateful test's story: the rename was taken back before the next `up`."""
        older = machine.create()
        newer = machine.create(ADOPTING, FakeCaller(OTHER_URN))
        kept, dropped = (newer, older) if keeps_newer else (older, newer)

        later = machine.process()
        later.keeps(kept, OTHER_URN if keeps_newer else URN)
        later.delete(dropped, FakeCaller(URN if keeps_newer else OTHER_URN))
        assert machine.running() == {GPT2: 1}

        machine.delete(kept, FakeCaller(OTHER_URN if keeps_newer else URN))
        assert machine.running() == {}

    def test_a_replacement_of_what_diff_kept_unloads_it(self, machine: Machine) -> None:
        """`pulumi up --replace`: the engine deletes what `diff` would have left as it is."""
        state = machine.create()
        replacing = machine.process()
        replacing.keeps(state, URN)
        replacing.delete(state)
        assert machine.running() == {}


def test_a_load_that_another_resource_is_about_to_unload_is_waited_for(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two resources exchange their models in one `up`; the unload begins after our look."""
    process = machine.process()
    process.create()
    work = ExitStack()

    def unload_begins(_: Record | None) -> bool:
        monkeypatch.setattr(process.ledger, "wait_for_own", unload_ends)
        work.enter_context(unloading(process))
        return False

    def unload_ends(_: Record | None) -> bool:
        monkeypatch.undo()
        process.client.delete(GPT2)
        work.close()
        return True

    monkeypatch.setattr(process.ledger, "wait_for_own", unload_begins)
    state = process.create(caller=FakeCaller(OTHER_URN))
    assert state.created == machine.created()
    assert machine.changes() == ["/model/load", "/model/delete", "/model/load"]
