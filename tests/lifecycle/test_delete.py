"""delete: unload the load that the state names, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from inline_snapshot import snapshot

from bytez_provider.base.errors import (
    AlreadyLoadedError,
    ApiError,
    UnloadError,
    UnreachableError,
)
from bytez_provider.core.declared import ModelState
from bytez_provider.core.ownership import Phase
from bytez_provider.core.waiting import Stop
from tests.lifecycle.caller import OTHER_URN, FakeCaller, stopped_at
from tests.lifecycle.machine import (
    ELSEWHERE,
    GPT2,
    PHI,
    Machine,
    Process,
    always,
    inputs,
    on,
    respond,
    unloading,
)


@pytest.fixture
def state(process: Process) -> ModelState:
    """A model that this resource loaded."""
    return process.create()


def test_it_waits_until_the_status_agrees_so_that_a_load_is_not_refused(
    machine: Machine, state: ModelState
) -> None:
    machine.faults(always(shutdownSeconds=45))
    replacing = machine.process()
    before = len(machine.emulator.requests())
    replacing.delete(state)
    paths = [record.path for record in machine.emulator.requests()[before:]]
    assert paths[:3] == ["/model/status", "/model/delete", "/model/status"]
    assert replacing.create(inputs(concurrency=3)).status == "RUNNING"
    assert machine.changes() == ["/model/load", "/model/delete", "/model/load"]


@pytest.mark.parametrize(
    ("timeout_seconds", "limit"), [(None, "2m"), (30.0, "30s")], ids=["unset", "customTimeouts"]
)
def test_still_loaded_at_the_limit_is_an_error(
    machine: Machine, state: ModelState, timeout_seconds: float | None, limit: str
) -> None:
    machine.faults(always(shutdownSeconds=3600))
    with pytest.raises(UnloadError) as caught:
        machine.delete(state, FakeCaller(timeout_seconds=timeout_seconds))
    assert str(caught.value).replace(f"RUNNING {limit} after", "RUNNING <limit> after") == snapshot(
        "could not unload 'openai-community/gpt2': it is still RUNNING <limit> after the "
        "request. It may cost money until it expires. Run the same command again in a "
        "minute."
    )


def test_ctrl_c_does_not_cut_it_short(machine: Machine, state: ModelState) -> None:
    machine.faults(always(shutdownSeconds=20))
    caller = FakeCaller()
    caller.end(Stop.CANCELLED)
    machine.delete(state, caller)
    assert machine.running() == {}


@pytest.mark.parametrize("how", ["expired", "unloaded", "stopped"])
def test_already_gone_is_success(machine: Machine, state: ModelState, how: str) -> None:
    if how == "expired":
        machine.emulator.advance(1801)
    elif how == "unloaded":
        machine.emulator.unload_by_somebody_else(GPT2)
    else:
        machine.answer_status_with(status="stopped")
    caller = FakeCaller()
    machine.delete(state, caller)
    assert caller.warnings == []
    assert machine.changes() == ["/model/load"]
    assert machine.records() == []


def test_gone_between_status_and_unload_is_success(machine: Machine, state: ModelState) -> None:
    process = machine.process()
    process.around("delete", before=lambda: machine.emulator.unload_by_somebody_else(GPT2))
    process.delete(state)
    assert machine.changes() == ["/model/load", "/model/delete"]


def test_somebody_elses_load_is_left_alone_with_a_warning(
    machine: Machine, state: ModelState
) -> None:
    created = machine.usurp(concurrency=7)
    caller = FakeCaller()
    machine.delete(state, caller)
    assert machine.running() == {GPT2: 7}
    assert machine.changes() == ["/model/load"]
    (warning,) = caller.warnings
    assert warning == (
        f"'{GPT2}' was left alone: the current load, made at {created}, is not the one that this "
        "state names; if the state was restored and the load is yours, unload it with "
        f"`bytez-fleet unload {GPT2}`"
    )


class TestOtherDeployments:
    def test_what_another_stack_takes_over_in_this_moment_is_left_running(
        self, machine: Machine, state: ModelState
    ) -> None:
        """After the load was judged, and before its unload is in the journal."""
        process, others = machine.process(), machine.process(stack=ELSEWHERE)
        unloading = process.ledger.unloading

        def late(*given: Any) -> Any:
            others.create(inputs(adopt=True), FakeCaller(OTHER_URN))
            return unloading(*given)

        process.ledger.unloading = late  # type: ignore[method-assign,assignment]
        caller = FakeCaller()
        process.delete(state, caller)
        assert machine.running() == {GPT2: 1}
        assert machine.changes() == ["/model/load"]
        (note,) = caller.notes
        assert note == snapshot(
            "'openai-community/gpt2' was left running: 'chat' of stack 'dev', kept in "
            "file:///elsewhere has taken it over"
        )

    def test_what_another_deployment_of_the_stack_unloads_is_an_error(
        self, machine: Machine, state: ModelState
    ) -> None:
        with unloading(machine.process()), pytest.raises(AlreadyLoadedError) as caught:
            machine.delete(state)
        assert f"could not unload '{GPT2}': 'gpt2' of stack 'dev'" in str(caught.value)
        assert "is unloading it" in str(caught.value)
        assert machine.changes() == ["/model/load"]

    def test_a_destroy_confirms_what_it_has_not_come_to_yet(
        self, machine: Machine, state: ModelState
    ) -> None:
        """It checks nothing, and may be killed."""
        kept = machine.create(inputs(PHI), FakeCaller(OTHER_URN))
        destroying = machine.process()
        destroying.read(kept, FakeCaller(OTHER_URN))
        destroying.delete(state)
        (record,) = machine.records()
        assert (record.model_id, record.phase) == (PHI, Phase.CONFIRMED)


@pytest.fixture
def young(process: Process) -> ModelState:
    """A model whose boot was left by a Ctrl-C a moment ago."""
    return process.create(caller=stopped_at(1))


def test_a_young_load_that_is_gone_is_not_unloaded_unseen(
    machine: Machine, young: ModelState
) -> None:
    """The stateful test's story: in that moment somebody else loaded the model."""
    machine.emulator.unload_by_somebody_else(GPT2)
    process = machine.process()

    def load() -> None:
        if not machine.running():
            machine.emulator.load_by_somebody_else(GPT2, concurrency=7)

    process.around("status", after=load)
    caller = FakeCaller()
    process.delete(young, caller)
    assert machine.running() == {GPT2: 7}
    assert machine.changes() == ["/model/load"]
    assert f"'{GPT2}' was left alone: the current load" in caller.warnings[0]


@pytest.mark.parametrize("outage_seconds", [0, 20, 600])
def test_a_young_load_that_is_not_shown_is_looked_for_through_an_outage(
    machine: Machine, young: ModelState, outage_seconds: float
) -> None:
    machine.faults(on("status", {"statusLagSeconds": 40}))
    process = machine.process()
    began = machine.emulator.now()
    look = process.waiter.poller.status

    def down(model_id: str) -> Any:
        if (machine.emulator.now() - began).total_seconds() < outage_seconds:
            return UnreachableError(
                verb="look at", subject=model_id, observed="no answer", action="Look again"
            )
        return look(model_id)

    process.waiter.poller.status = down  # type: ignore[method-assign]
    if outage_seconds < 600:
        process.delete(young)
        assert machine.running() == {}
    else:
        with pytest.raises(UnreachableError, match=f"could not unload '{GPT2}': no answer"):
            process.delete(young)
        assert machine.running() == {GPT2: 1}


@pytest.mark.parametrize("fault", [{"reset": "after"}, {"reset": "before"}])
def test_a_lost_answer_is_judged_by_the_status(
    machine: Machine, state: ModelState, fault: dict[str, Any]
) -> None:
    machine.faults(on("delete", fault, first=3))
    machine.delete(state)
    assert machine.running() == {}


def test_refused_before_it_was_sent_is_an_error(machine: Machine, state: ModelState) -> None:
    machine.faults(on("delete", respond(503)))
    with pytest.raises(UnreachableError, match=f"could not unload '{GPT2}'.*Nothing was changed"):
        machine.delete(state)


def test_a_status_that_cannot_be_read_afterwards_is_an_error_of_the_unload(
    machine: Machine, state: ModelState
) -> None:
    process = machine.process()
    process.around("delete", after=lambda: machine.faults(on("status", respond(400, "odd"))))
    with pytest.raises(ApiError) as caught:
        process.delete(state)
    assert str(caught.value).startswith(
        f"could not unload '{GPT2}': the service answered HTTP 400: odd. "
        "The unload was requested, and the model may still be running. "
    )
