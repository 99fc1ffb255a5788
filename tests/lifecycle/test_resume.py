"""create after a deployment that did not end: what the journal names is gone on with."""

from __future__ import annotations

from datetime import timedelta

import pytest
from inline_snapshot import snapshot

from bytez_provider.base.errors import (
    AlreadyLoadedError,
    InterruptedLoadError,
)
from bytez_provider.core.declared import Granted, ModelInputs
from bytez_provider.core.waiting import Stop
from bytez_provider.service.schemas import iso, moment_of
from tests.lifecycle.caller import OTHER_URN, URN, FakeCaller
from tests.lifecycle.machine import (
    BOOT_SECONDS,
    ELSEWHERE,
    GPT2,
    OTHER_KEY,
    PHI,
    Machine,
    Process,
    inputs,
    record,
)

LOST = {"reset": "after"}


def killed(machine: Machine, declared: ModelInputs | None = None, urn: str | None = URN) -> None:
    """Run a create whose engine is killed in mid-boot."""
    caller = FakeCaller(urn)
    caller.end_at_report(2, Stop.ENGINE_GONE)
    with pytest.raises(InterruptedLoadError):
        machine.process().lifecycle.create(declared or inputs(), caller)
    assert len(machine.running()) == 1


def test_the_same_declaration_waits_on(machine: Machine, process: Process) -> None:
    killed(machine)
    machine.emulator.advance(BOOT_SECONDS)
    state = process.lifecycle.create(inputs(), FakeCaller())
    assert (state.status, state.created) == ("RUNNING", machine.created())
    assert machine.changes() == ["/model/load"]


def test_another_concurrency_is_loaded_again(machine: Machine, process: Process) -> None:
    killed(machine)
    caller = FakeCaller()
    process.lifecycle.create(inputs(concurrency=3), caller)
    assert machine.running() == {GPT2: 3}
    assert machine.changes() == ["/model/load", "/model/delete", "/model/load"]
    assert caller.notes == [
        (
            f"'{GPT2}', begun by an interrupted deployment, is loaded again: "
            "its declaration has changed since"
        )
    ]


def test_another_model_unloads_the_leftover(machine: Machine, process: Process) -> None:
    killed(machine)
    caller = FakeCaller()
    process.lifecycle.create(inputs(PHI), caller)
    assert machine.running() == {PHI: 1}
    assert caller.warnings == [f"'{GPT2}', begun by an interrupted deployment, is unloaded"]


def test_a_leftover_of_another_model_that_is_somebody_elses_by_now_is_left_alone(
    machine: Machine, process: Process
) -> None:
    killed(machine)
    machine.emulator.unload_by_somebody_else(GPT2)
    machine.emulator.advance(3600)
    machine.emulator.load_by_somebody_else(GPT2, concurrency=4)
    process.lifecycle.create(inputs(PHI), FakeCaller())
    assert machine.running() == {GPT2: 4, PHI: 1}


def test_a_leftover_that_may_not_show_yet_is_not_forgotten(machine: Machine) -> None:
    """The note would be overwritten, and the load be named by nothing."""
    machine.emulator.set_faults([{"do": {"statusLagSeconds": 40}}])
    killed(machine)
    with pytest.raises(InterruptedLoadError) as caught:
        machine.process().lifecycle.create(inputs(PHI), FakeCaller())
    assert str(caught.value) == snapshot(
        "could not load 'microsoft/phi-1': a load of 'openai-community/gpt2', begun "
        "by an interrupted deployment, may not show yet. Nothing was changed. Run "
        "`pulumi up` again in a minute."
    )
    machine.emulator.advance(60)
    machine.process().lifecycle.create(inputs(PHI), FakeCaller())
    assert machine.running() == {PHI: 1}


@pytest.mark.parametrize("how", ["lost answer", "resumed"])
def test_a_note_is_given_the_identity_of_the_load_as_soon_as_it_is_seen(
    machine: Machine, process: Process, how: str
) -> None:
    """Else it would be good for whatever somebody loads within minutes."""
    if how == "lost answer":
        machine.emulator.set_faults([{"endpoint": "/model/load", "first": 1, "do": LOST}])
        killed(machine)
    else:
        created = moment_of(machine.emulator.load_by_somebody_else(GPT2))
        assert created is not None
        process.keep(record(URN, GPT2, began=created, concurrency=1))
        killed(machine)
    machine.emulator.unload_by_somebody_else(GPT2)
    machine.emulator.load_by_somebody_else(GPT2)
    with pytest.raises(AlreadyLoadedError):
        machine.process().lifecycle.create(inputs(), FakeCaller())


def test_a_service_that_rounds_is_not_booted_a_second_time(
    machine: Machine, process: Process
) -> None:
    """What counts is what was asked for, not what the service made of it."""
    declared = inputs(concurrency=3, expiration_period_seconds=600)
    killed(machine, declared)
    machine.answer_status_with(status="RUNNING", concurrency=4, expirationPeriodSeconds=1800)
    state = process.lifecycle.create(declared, FakeCaller())
    assert state.granted == Granted(concurrency=4, expiration_period_seconds=1800)
    assert machine.changes() == ["/model/load"]


def test_what_failed_meanwhile_is_loaded_again(machine: Machine, process: Process) -> None:
    machine.emulator.set_faults([{"first": 1, "do": {"boot": "failed"}}])
    killed(machine)
    machine.emulator.advance(BOOT_SECONDS)
    assert process.lifecycle.create(inputs(), FakeCaller()).status == "RUNNING"
    assert machine.changes() == ["/model/load", "/model/delete", "/model/load"]


def test_what_a_resource_began_that_is_not_declared_any_more_is_taken_over(
    machine: Machine, process: Process
) -> None:
    """Killed, and then renamed without an alias."""
    killed(machine)
    state = process.lifecycle.create(inputs(), FakeCaller(OTHER_URN))
    assert (state.status, state.created) == ("RUNNING", machine.created())
    assert machine.changes() == ["/model/load"]


def test_without_a_urn_nothing_is_noted_and_nothing_resumed(
    machine: Machine, process: Process
) -> None:
    killed(machine, urn=None)
    assert machine.records() == []
    with pytest.raises(AlreadyLoadedError):
        process.lifecycle.create(inputs(), FakeCaller(None))


def test_a_stale_note_claims_no_load_made_days_later(machine: Machine, process: Process) -> None:
    """With the identity of its load, and without."""
    killed(machine)
    machine.emulator.unload_by_somebody_else(GPT2)
    machine.emulator.advance(1)
    machine.emulator.load_by_somebody_else(GPT2)
    with pytest.raises(AlreadyLoadedError):
        process.lifecycle.create(inputs(), FakeCaller())

    now = process.client.server_now()
    nameless = record(URN, GPT2, began=now - timedelta(minutes=6), concurrency=1)
    process.keep(nameless)
    with pytest.raises(AlreadyLoadedError):
        machine.process().lifecycle.create(inputs(), FakeCaller())
    assert machine.running() == {GPT2: 1}


def test_a_note_without_identity_is_good_for_the_load_made_right_after_it(
    machine: Machine, process: Process
) -> None:
    """The process was killed before it learned `created`."""
    created = moment_of(machine.emulator.load_by_somebody_else(GPT2))
    assert created is not None
    process.keep(record(URN, GPT2, began=created - timedelta(seconds=3), concurrency=1))
    assert process.lifecycle.create(inputs(), FakeCaller()).created == machine.created()
    assert machine.changes() == []


def test_a_load_begun_with_a_key_that_was_changed_since_is_gone_on_with(machine: Machine) -> None:
    killed(machine)
    other = machine.process(key=OTHER_KEY)
    state = other.lifecycle.create(inputs(), FakeCaller())
    assert (state.status, state.created) == ("RUNNING", machine.created())
    assert machine.changes() == ["/model/load"]


def test_a_request_of_another_account_claims_nothing(machine: Machine) -> None:
    """No `created` says that it is about this very load."""
    created = moment_of(machine.emulator.load_by_somebody_else(GPT2))
    assert created is not None
    machine.process().keep(record(URN, GPT2, began=created))
    with pytest.raises(AlreadyLoadedError):
        machine.process(key=OTHER_KEY).lifecycle.create(inputs(), FakeCaller())


def test_a_journal_that_cannot_be_written_costs_one_warning(machine: Machine) -> None:
    machine.folder.write_text("a file where the folder would be")
    process = machine.process()
    state = process.lifecycle.create(inputs(), FakeCaller())
    process.lifecycle.delete(state, FakeCaller())
    assert process.lifecycle.create(inputs(PHI), FakeCaller(OTHER_URN)).status == "RUNNING"
    (warning,) = process.journal_warnings
    assert warning.startswith("could not write the journal in ") or "read the journal" in warning
    assert machine.running() == {PHI: 1}


def test_a_corrupt_note_costs_one_warning_and_resumes_nothing(machine: Machine) -> None:
    killed(machine)
    (path,) = machine.folder.glob("record-*.json")
    path.write_text("{")
    process = machine.process()
    with pytest.raises(AlreadyLoadedError):
        process.lifecycle.create(inputs(), FakeCaller())
    assert len(process.journal_warnings) == 1


def test_what_another_resource_took_over_is_not_resumed(machine: Machine) -> None:
    """The stateful test's story: a second stack adopted what a killed deployment had begun."""
    killed(machine)
    adopting = inputs(adopt=True)
    held = machine.process().lifecycle.create(adopting, FakeCaller(OTHER_URN))
    later = machine.process().lifecycle
    later.check({"modelId": GPT2}, None, FakeCaller(OTHER_URN))
    with pytest.raises(AlreadyLoadedError):
        later.create(inputs(concurrency=2), FakeCaller())
    assert machine.created() == held.created


def test_a_load_that_made_way_for_anothers_is_not_taken_for_it(
    machine: Machine, process: Process
) -> None:
    """The stateful test's story: killed before the load showed, adopted at another concurrency.

    The note knows no `created`, and the other's load was made within moments of it.
    """
    began = process.client.server_now()
    process.keep(record(URN, GPT2, began=began, concurrency=1))
    process.client.load(GPT2, 1)
    adopting = inputs(concurrency=2, adopt=True)
    theirs = machine.process().lifecycle.create(adopting, FakeCaller(OTHER_URN))
    later = machine.process(stack=ELSEWHERE).lifecycle
    with pytest.raises(AlreadyLoadedError, match="at concurrency 2"):
        later.create(inputs(), FakeCaller())
    assert machine.created() == theirs.created
    assert machine.recorded() == machine.loaded()


def test_a_load_at_another_concurrency_is_not_taken_for_one_that_nobody_saw(
    machine: Machine, process: Process
) -> None:
    """The stateful test's story: killed before it asked for the load; then others loaded it."""
    began = process.client.server_now()
    process.keep(record(URN, GPT2, began=began, concurrency=2))
    machine.emulator.load_by_somebody_else(GPT2, concurrency=1)
    with pytest.raises(AlreadyLoadedError, match="at concurrency 1"):
        machine.process().lifecycle.create(inputs(concurrency=2), FakeCaller())
    assert machine.changes() == []


def test_what_another_resource_loaded_since_is_not_taken_for_one_that_nobody_saw(
    machine: Machine, process: Process
) -> None:
    """It was accepted, so what the note is about is gone; also where all else is the same."""
    began = process.client.server_now()
    process.keep(record(URN, GPT2, began=began, concurrency=1))
    theirs = machine.process().lifecycle.create(inputs(), FakeCaller(OTHER_URN))
    later = machine.process().lifecycle
    later.check({"modelId": GPT2}, None, FakeCaller(OTHER_URN))
    with pytest.raises(AlreadyLoadedError):
        later.create(inputs(), FakeCaller())
    assert machine.created() == theirs.created


def test_a_refresh_that_finds_what_a_ctrl_c_left_unseen_ends_its_note(machine: Machine) -> None:
    """The stateful test's story: from then on the state names the load, and `up` does nothing."""
    machine.emulator.set_faults([{"do": {"statusLagSeconds": 3}}])
    caller = FakeCaller()
    caller.end_at_report(1, Stop.CANCELLED)
    state = machine.process().lifecycle.create(inputs(), caller)
    assert state.created is None
    machine.emulator.advance(BOOT_SECONDS)
    read = machine.process().lifecycle.read(state, FakeCaller())
    assert read is not None
    assert (read.status, read.created) == ("RUNNING", machine.created())
    assert machine.recorded() == machine.loaded()


def test_a_note_of_another_model_outlives_a_resource_that_was_renamed_to_its_name(
    machine: Machine, process: Process
) -> None:
    """The stateful test's story: it is the only name that the other model's load has."""
    state = process.lifecycle.create(inputs(PHI), FakeCaller(OTHER_URN))
    killed_for = record(URN, GPT2, began=process.client.server_now(), concurrency=1)
    process.keep(killed_for)
    process.client.load(GPT2, 1)
    later = machine.process().lifecycle
    later.delete(state, FakeCaller())
    assert machine.running() == {GPT2: 1}
    assert machine.records() == [killed_for]


def test_a_take_over_that_was_killed_goes_on_and_is_named_meanwhile(
    machine: Machine, process: Process
) -> None:
    """The stateful test's story: the older resource left it alone, and nobody else named it."""
    older = process.lifecycle.create(inputs(), FakeCaller(OTHER_URN))
    caller = FakeCaller()
    adopting = inputs(adopt=True)

    class Killed(BaseException):
        pass

    def die(message: str) -> None:
        raise Killed(message)

    caller.note = die  # type: ignore[method-assign]
    with pytest.raises(Killed):
        machine.process().lifecycle.create(adopting, caller)
    machine.process().lifecycle.delete(older, FakeCaller(OTHER_URN))
    (note,) = machine.records()
    assert (note.owner.urn, note.created) == (URN, moment_of(older.created))
    later = machine.process().lifecycle
    state = later.create(adopting, FakeCaller())
    assert (state.created, state.adopted_at) == (older.created, iso(note.began))
    assert machine.changes() == ["/model/load"]
    later.delete(state, FakeCaller())
    assert machine.running() == {}
