"""create after a deployment that did not end: what the journal names is continued."""

from __future__ import annotations

import pytest
from inline_snapshot import snapshot

from bytez_provider.base.errors import (
    AlreadyLoadedError,
    InterruptedLoadError,
)
from bytez_provider.core.declared import Granted, ModelInputs
from bytez_provider.core.waiting import Stop
from bytez_provider.service.schemas import Asked, iso, moment_of
from tests.lifecycle.caller import OTHER_URN, URN, FakeCaller, stopped_at
from tests.lifecycle.machine import (
    BOOT_SECONDS,
    GPT2,
    OTHER_KEY,
    PHI,
    Machine,
    Process,
    always,
    inputs,
    on,
    record,
)

LOST = {"reset": "after"}


def killed(machine: Machine, declared: ModelInputs | None = None, urn: str | None = URN) -> None:
    """Run a create whose engine is killed in mid-boot."""
    caller = stopped_at(2, Stop.ENGINE_GONE, urn=urn)
    assert "the journal names it" in machine.refused(InterruptedLoadError, declared, caller)
    assert len(machine.running()) == 1


def test_the_same_declaration_waits_on(machine: Machine) -> None:
    killed(machine)
    machine.emulator.advance(BOOT_SECONDS)
    state = machine.create()
    assert (state.status, state.created) == ("RUNNING", machine.created())
    assert machine.changes() == ["/model/load"]


def test_another_concurrency_is_loaded_again(machine: Machine) -> None:
    killed(machine)
    caller = FakeCaller()
    machine.create(inputs(concurrency=3), caller)
    assert machine.running() == {GPT2: 3}
    assert machine.changes() == ["/model/load", "/model/delete", "/model/load"]
    (note,) = caller.notes
    assert note == (
        f"'{GPT2}', begun by an interrupted deployment, is loaded again: its declaration has "
        "changed since"
    )


def test_another_model_unloads_the_leftover(machine: Machine) -> None:
    killed(machine)
    caller = FakeCaller()
    machine.create(inputs(PHI), caller)
    assert machine.running() == {PHI: 1}
    assert caller.warnings == [f"'{GPT2}', begun by an interrupted deployment, is unloaded"]


def test_a_leftover_of_another_model_that_somebody_has_replaced_is_left_alone(
    machine: Machine,
) -> None:
    killed(machine)
    machine.usurp(after=3600, concurrency=4)
    machine.create(inputs(PHI))
    assert machine.running() == {GPT2: 4, PHI: 1}


def test_a_leftover_that_may_not_show_yet_is_not_forgotten(machine: Machine) -> None:
    """The record would be overwritten, and nothing would name the load."""
    machine.faults(always(statusLagSeconds=40))
    killed(machine)
    assert machine.refused(InterruptedLoadError, inputs(PHI)) == snapshot(
        "could not load 'microsoft/phi-1': a load of 'openai-community/gpt2', begun "
        "by an interrupted deployment, may not show yet. Nothing was changed. Run "
        "`pulumi up` again in a minute."
    )
    machine.emulator.advance(60)
    machine.create(inputs(PHI))
    assert machine.running() == {PHI: 1}


@pytest.mark.parametrize("how", ["lost answer", "resumed"])
def test_a_record_is_given_the_identity_of_the_load_as_soon_as_it_is_seen(
    machine: Machine, process: Process, how: str
) -> None:
    """Otherwise it would claim what somebody loads within minutes."""
    if how == "lost answer":
        machine.faults(on("load", LOST, first=1))
        killed(machine)
    else:
        created = moment_of(machine.emulator.load_by_somebody_else(GPT2))
        assert created is not None
        process.keep(record(URN, GPT2, began=created))
        killed(machine)
    machine.usurp(after=0)
    machine.refused(AlreadyLoadedError)


def test_a_service_that_rounds_is_not_booted_a_second_time(machine: Machine) -> None:
    """What counts is what was asked for, not what the service made of it."""
    declared = inputs(concurrency=3, expiration_period_seconds=600)
    killed(machine, declared)
    machine.answer_status_with(status="RUNNING", concurrency=4, expirationPeriodSeconds=1800)
    state = machine.create(declared)
    assert state.granted == Granted(concurrency=4, expiration_period_seconds=1800)
    assert machine.changes() == ["/model/load"]


def test_what_failed_meanwhile_is_loaded_again(machine: Machine) -> None:
    machine.faults({"first": 1, "do": {"boot": "failed"}})
    killed(machine)
    machine.emulator.advance(BOOT_SECONDS)
    assert machine.create().status == "RUNNING"
    assert machine.changes() == ["/model/load", "/model/delete", "/model/load"]


def test_what_a_resource_began_that_is_no_longer_declared_is_taken_over(
    machine: Machine,
) -> None:
    """Killed, and then renamed without an alias."""
    killed(machine)
    state = machine.create(caller=FakeCaller(OTHER_URN))
    assert (state.status, state.created) == ("RUNNING", machine.created())
    assert machine.changes() == ["/model/load"]


def test_without_a_urn_nothing_is_recorded_and_nothing_resumed(machine: Machine) -> None:
    killed(machine, urn=None)
    assert machine.records() == []
    machine.refused(AlreadyLoadedError, caller=FakeCaller(None))


def test_a_record_claims_no_later_load(machine: Machine) -> None:
    killed(machine)
    created = machine.usurp(after=1)
    machine.refused(AlreadyLoadedError)
    assert machine.created() == created


def test_a_load_begun_with_a_key_that_was_changed_since_is_continued(machine: Machine) -> None:
    killed(machine)
    state = machine.process(key=OTHER_KEY).create()
    assert (state.status, state.created) == ("RUNNING", machine.created())
    assert machine.changes() == ["/model/load"]


def test_a_request_of_another_account_claims_nothing(machine: Machine) -> None:
    """No `created` says that it is about this very load."""
    created = moment_of(machine.emulator.load_by_somebody_else(GPT2))
    assert created is not None
    machine.process().keep(record(URN, GPT2, began=created))
    machine.process(key=OTHER_KEY).refused(AlreadyLoadedError)


def test_what_another_resource_took_over_is_not_resumed(machine: Machine) -> None:
    """The stateful test's story: a second stack adopted what a killed deployment had begun."""
    killed(machine)
    held = machine.create(inputs(adopt=True), FakeCaller(OTHER_URN))
    later = machine.process()
    later.lifecycle.check({"modelId": GPT2}, None, FakeCaller(OTHER_URN))
    later.refused(AlreadyLoadedError, inputs(concurrency=2))
    assert machine.created() == held.created


def test_a_record_of_another_model_outlives_a_resource_that_was_renamed_to_its_name(
    machine: Machine, process: Process
) -> None:
    """The stateful test's story: it is the only name that the other model's load has."""
    state = process.create(inputs(PHI), FakeCaller(OTHER_URN))
    kept = record(URN, GPT2, began=process.client.server_now())
    process.keep(kept)
    process.client.load(GPT2, Asked(1))
    machine.delete(state)
    assert machine.running() == {GPT2: 1}
    assert machine.records() == [kept]


def test_a_take_over_that_was_killed_is_recorded_and_continued(machine: Machine) -> None:
    """The stateful test's story: the older resource left it alone, and nobody else named it."""
    older = machine.create(caller=FakeCaller(OTHER_URN))
    caller = FakeCaller()
    adopting = inputs(adopt=True)

    class Killed(BaseException):
        pass

    def die(message: str) -> None:
        raise Killed(message)

    caller.note = die  # type: ignore[method-assign]
    with pytest.raises(Killed):
        machine.create(adopting, caller)
    machine.delete(older, FakeCaller(OTHER_URN))
    (kept,) = machine.records()
    assert (kept.owner.urn, kept.created) == (URN, moment_of(older.created))
    later = machine.process()
    state = later.create(adopting)
    assert (state.created, state.adopted_at) == (older.created, iso(kept.began))
    assert machine.changes() == ["/model/load"]
    later.delete(state)
    assert machine.running() == {}
