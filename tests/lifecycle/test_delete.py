"""delete: unload the load that the state names, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from inline_snapshot import snapshot

from bytez_provider.base.errors import (
    AccountChangedError,
    AlreadyLoadedError,
    ApiError,
    UnloadError,
    UnreachableError,
)
from bytez_provider.core.declared import ModelState
from bytez_provider.core.ownership import Phase
from bytez_provider.core.waiting import Stop
from bytez_provider.emulator import Emulator
from tests.lifecycle.caller import OTHER_URN, FakeCaller
from tests.lifecycle.machine import (
    ELSEWHERE,
    GPT2,
    KEY,
    OTHER_KEY,
    PHI,
    Machine,
    Process,
    inputs,
    unloading,
)


@pytest.fixture
def state(process: Process) -> ModelState:
    """A model that this resource loaded."""
    return process.lifecycle.create(inputs(), FakeCaller())


def test_the_status_is_asked_right_before(machine: Machine, state: ModelState) -> None:
    before = len(machine.emulator.requests())
    machine.process().lifecycle.delete(state, FakeCaller())
    paths = [record.path for record in machine.emulator.requests()[before:]]
    assert paths == ["/model/status", "/model/delete", "/model/status"]


def test_it_waits_until_the_status_agrees_so_that_a_load_is_not_refused(
    machine: Machine, state: ModelState
) -> None:
    machine.emulator.set_faults([{"do": {"shutdownSeconds": 45}}])
    replacing = machine.process().lifecycle
    replacing.delete(state, FakeCaller())
    assert replacing.create(inputs(concurrency=3), FakeCaller()).status == "RUNNING"
    assert machine.changes() == ["/model/load", "/model/delete", "/model/load"]


@pytest.mark.parametrize(
    ("timeout_seconds", "limit"), [(None, "2m"), (30.0, "30s")], ids=["unset", "customTimeouts"]
)
def test_still_loaded_at_the_limit_is_an_error(
    machine: Machine, state: ModelState, timeout_seconds: float | None, limit: str
) -> None:
    machine.emulator.set_faults([{"do": {"shutdownSeconds": 3600}}])
    with pytest.raises(UnloadError) as caught:
        machine.process().lifecycle.delete(state, FakeCaller(timeout_seconds=timeout_seconds))
    assert str(caught.value).replace(f"RUNNING {limit} after", "RUNNING <limit> after") == snapshot(
        "could not unload 'openai-community/gpt2': it is still RUNNING <limit> after the "
        "request. It may cost money until it expires. Run the same command again in a "
        "minute."
    )


def test_ctrl_c_does_not_cut_it_short(machine: Machine, state: ModelState) -> None:
    machine.emulator.set_faults([{"do": {"shutdownSeconds": 20}}])
    caller = FakeCaller()
    caller.end(Stop.CANCELLED)
    machine.process().lifecycle.delete(state, caller)
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
    machine.process().lifecycle.delete(state, caller)
    assert caller.warnings == []
    assert machine.changes() == ["/model/load"]
    assert machine.records() == []


def test_gone_between_status_and_unload_is_success(machine: Machine, state: ModelState) -> None:
    not_loaded = {"respond": {"status": 404, "body": {"error": "model is not loaded"}}}
    machine.emulator.set_faults(
        [
            {"endpoint": "/model/delete", "do": not_loaded},
            {"endpoint": "/model/status", "do": {"delaySeconds": 0}},
        ]
    )
    process = machine.process()
    delete = process.client.delete

    def gone_then_delete(model_id: str) -> None:
        machine.emulator.unload_by_somebody_else(model_id)
        delete(model_id)

    process.client.delete = gone_then_delete  # type: ignore[method-assign,assignment]
    process.lifecycle.delete(state, FakeCaller())


def test_somebody_elses_load_is_left_alone_with_a_warning(
    machine: Machine, state: ModelState
) -> None:
    machine.emulator.unload_by_somebody_else(GPT2)
    machine.emulator.advance(60)
    created = machine.emulator.load_by_somebody_else(GPT2, concurrency=7)
    caller = FakeCaller()
    machine.process().lifecycle.delete(state, caller)
    assert machine.running() == {GPT2: 7}
    assert machine.changes() == ["/model/load"]
    assert caller.warnings == [
        (
            f"'{GPT2}' was left alone: the current load, made at {created}, "
            "is not the one that this state names; if the state was restored and the load is "
            f"yours, unload it with `bytez-fleet unload {GPT2}`"
        )
    ]


class TestOtherDeployments:
    def test_what_another_stack_takes_over_in_this_moment_is_left_running(
        self, machine: Machine, state: ModelState
    ) -> None:
        """After the load was judged, and before its unload is in the journal."""
        process, others = machine.process(), machine.process(stack=ELSEWHERE)
        unloading = process.ledger.unloading

        def late(*given: Any) -> Any:
            others.lifecycle.create(inputs(adopt=True), FakeCaller(OTHER_URN))
            return unloading(*given)

        process.ledger.unloading = late  # type: ignore[method-assign,assignment]
        caller = FakeCaller()
        process.lifecycle.delete(state, caller)
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
            machine.process().lifecycle.delete(state, FakeCaller())
        assert f"could not unload '{GPT2}': 'gpt2' of stack 'dev'" in str(caught.value)
        assert "is unloading it" in str(caught.value)
        assert machine.changes() == ["/model/load"]

    def test_a_destroy_confirms_what_it_has_not_come_to_yet(
        self, machine: Machine, state: ModelState, process: Process
    ) -> None:
        """It checks nothing, and may be killed."""
        kept = process.lifecycle.create(inputs(PHI), FakeCaller(OTHER_URN))
        destroying = machine.process().lifecycle
        destroying.read(kept, FakeCaller(OTHER_URN))
        destroying.delete(state, FakeCaller())
        (record,) = machine.records()
        assert (record.model_id, record.phase) == (PHI, Phase.CONFIRMED)


@pytest.fixture
def young(process: Process) -> ModelState:
    """A model whose boot was left by a Ctrl-C a moment ago."""
    caller = FakeCaller()
    caller.end_at_report(1, Stop.CANCELLED)
    return process.lifecycle.create(inputs(), caller)


def test_a_young_load_that_is_not_shown_is_looked_for_and_unloaded(
    machine: Machine, young: ModelState
) -> None:
    machine.emulator.set_faults([{"endpoint": "/model/status", "do": {"statusLagSeconds": 20}}])
    machine.process().lifecycle.delete(young, FakeCaller())
    assert machine.running() == {}


def test_a_young_load_that_is_gone_is_not_unloaded_unseen(
    machine: Machine, young: ModelState
) -> None:
    """The stateful test's story: in that moment somebody else loaded the model."""
    machine.emulator.unload_by_somebody_else(GPT2)
    process = machine.process()
    status = process.client.status
    asked: list[str] = []

    def status_then_load(model_id: str, **given: Any) -> Any:
        found = status(model_id, **given)
        asked.append(model_id)
        if len(asked) == 1:
            machine.emulator.load_by_somebody_else(model_id, concurrency=7)
        return found

    process.client.status = status_then_load  # type: ignore[method-assign]
    caller = FakeCaller()
    process.lifecycle.delete(young, caller)
    assert machine.running() == {GPT2: 7}
    assert machine.changes() == ["/model/load"]
    assert f"'{GPT2}' was left alone: the current load" in caller.warnings[0]


@pytest.mark.parametrize("outage_seconds", [20, 600])
def test_no_answer_while_a_young_load_is_looked_for(
    machine: Machine, young: ModelState, outage_seconds: float
) -> None:
    machine.emulator.set_faults([{"endpoint": "/model/status", "do": {"statusLagSeconds": 40}}])
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
    if outage_seconds == 20:
        process.lifecycle.delete(young, FakeCaller())
        assert machine.running() == {}
    else:
        with pytest.raises(UnreachableError, match=f"could not unload '{GPT2}': no answer"):
            process.lifecycle.delete(young, FakeCaller())
        assert machine.running() == {GPT2: 1}


@pytest.mark.parametrize("fault", [{"reset": "after"}, {"reset": "before"}])
def test_a_lost_answer_is_judged_by_the_status(
    machine: Machine, state: ModelState, fault: dict[str, Any]
) -> None:
    machine.emulator.set_faults([{"endpoint": "/model/delete", "first": 3, "do": fault}])
    machine.process().lifecycle.delete(state, FakeCaller())
    assert machine.running() == {}


def test_refused_before_it_was_sent_is_an_error(machine: Machine, state: ModelState) -> None:
    refused = {"respond": {"status": 503, "body": ""}}
    machine.emulator.set_faults([{"endpoint": "/model/delete", "do": refused}])
    with pytest.raises(UnreachableError, match=f"could not unload '{GPT2}'.*Nothing was changed"):
        machine.process().lifecycle.delete(state, FakeCaller())


def test_a_status_that_cannot_be_read_afterwards_is_told_as_an_unload(
    machine: Machine, state: ModelState
) -> None:
    down = {"respond": {"status": 400, "body": {"error": "odd"}}}
    process = machine.process()
    delete = process.client.delete

    def delete_then_down(model_id: str) -> None:
        delete(model_id)
        machine.emulator.set_faults([{"endpoint": "/model/status", "do": down}])

    process.client.delete = delete_then_down  # type: ignore[method-assign,assignment]
    with pytest.raises(ApiError) as caught:
        process.lifecycle.delete(state, FakeCaller())
    assert str(caught.value).startswith(
        f"could not unload '{GPT2}': the service answered HTTP 400: odd. "
        "The unload was requested, and the model may still be running. "
    )


class TestAnotherAccount:
    @pytest.mark.parametrize("how", ["gone", "usurped"])
    def test_not_found_under_another_key_is_an_error(
        self, machine: Machine, state: ModelState, how: str
    ) -> None:
        machine.emulator.unload_by_somebody_else(GPT2)
        if how == "usurped":
            machine.emulator.load_by_somebody_else(GPT2)
        other = machine.process(key=OTHER_KEY)
        with pytest.raises(AccountChangedError, match=f"could not unload '{GPT2}'"):
            other.lifecycle.delete(state, FakeCaller())

    def test_not_found_under_another_endpoint_is_an_error(
        self, machine: Machine, state: ModelState
    ) -> None:
        with Emulator(keys=[KEY], clock="manual") as elsewhere:
            process = machine.process(endpoint=elsewhere.url)
            with pytest.raises(AccountChangedError, match="under the endpoint in use"):
                process.lifecycle.delete(state, FakeCaller())

    def test_consent_gives_it_up(self, machine: Machine, state: ModelState) -> None:
        machine.emulator.unload_by_somebody_else(GPT2)
        process = machine.process(key=OTHER_KEY, account_change=True)
        process.lifecycle.delete(state, FakeCaller())

    def test_found_under_a_new_key_it_is_unloaded(
        self, machine: Machine, state: ModelState
    ) -> None:
        machine.process(key=OTHER_KEY).lifecycle.delete(state, FakeCaller())
        assert machine.running() == {}
