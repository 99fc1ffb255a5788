"""Refresh of a readiness: gone unless every member is RUNNING, or accepted as idle."""

from __future__ import annotations

from typing import Any

import pytest
from inline_snapshot import snapshot

from bytez_provider.base.errors import ApiError
from bytez_provider.core.declared import ReadinessState
from bytez_provider.emulator import Emulator
from tests.fleet.crew import GATEWAY, LISTS, STATUSES, Crew
from tests.lifecycle.machine import GPT2, OTHER_KEY, PHI, Machine

NOT_HERE = {"respond": {"status": 501, "body": {"error": "not here"}}}


@pytest.fixture
def state(crew: Crew) -> ReadinessState:
    """A fleet that is ready; one of its models may go idle."""
    return crew.wait({**crew.load(GPT2), **crew.load(PHI, on_expiry="accept")})


def read(machine: Machine, state: ReadinessState) -> ReadinessState | None:
    """Read in a process of its own, as a refresh does."""
    return Crew(machine).readiness.read(state)


def paths(emulator: Emulator, seen: int) -> list[str]:
    return [record.path for record in emulator.requests()[seen:]]


def test_all_running_is_as_it_was(machine: Machine, state: ReadinessState) -> None:
    assert read(machine, state) == state


@pytest.mark.parametrize("how", ["unloaded", "usurped", "failed", "booting"])
def test_any_that_is_not_running_makes_it_gone(
    machine: Machine, emulator: Emulator, state: ReadinessState, how: str
) -> None:
    told = next(one for one in emulator.instances() if one["modelId"] == GPT2)
    if how in ("unloaded", "usurped"):
        emulator.unload_by_somebody_else(GPT2)
    if how == "usurped":
        emulator.load_by_somebody_else(GPT2)
        emulator.advance(100)
    if how in ("failed", "booting"):
        body = {**told, "status": "FAILED" if how == "failed" else "DEPLOYING"}
        rows = [body, *(one for one in emulator.instances() if one["modelId"] != GPT2)]
        emulator.set_faults(
            [
                {"endpoint": LISTS, "do": {"respond": {"status": 200, "body": rows}}},
                {
                    "endpoint": STATUSES,
                    "model": GPT2,
                    "do": {"respond": {"status": 200, "body": body}},
                },
            ]
        )
    assert read(machine, state) is None


@pytest.mark.parametrize("usurped", [False, True])
def test_idle_is_fine_where_that_is_accepted(
    machine: Machine, emulator: Emulator, state: ReadinessState, usurped: bool
) -> None:
    emulator.unload_by_somebody_else(PHI)
    if usurped:
        emulator.load_by_somebody_else(PHI)
    found = read(machine, state)
    assert found is not None
    assert found.ready
    assert found.statuses == {"gpt2": "RUNNING", "phi-1": "NOT_LOADED"}


@pytest.mark.parametrize("fault", [NOT_HERE, GATEWAY, {"reset": "before"}])
def test_without_a_list_each_status_is_asked(
    machine: Machine, emulator: Emulator, state: ReadinessState, fault: dict[str, Any]
) -> None:
    emulator.set_faults([{"endpoint": LISTS, "do": fault}])
    seen = len(emulator.requests())
    assert read(machine, state) == state
    assert paths(emulator, seen) == [LISTS, STATUSES, STATUSES]


def test_no_answer_is_an_error_and_not_gone(machine: Machine, state: ReadinessState) -> None:
    with pytest.raises(ApiError) as caught:
        Crew(machine, key=OTHER_KEY + "-revoked").readiness.read(state)
    assert str(caught.value) == snapshot(
        "could not read the fleet 'chat': the service answered HTTP 401: the API key "
        "is not valid. The state is as it was. Set a key that is valid with `pulumi "
        "config set --secret bytez:key <key>` or as BYTEZ_KEY. This command uses the "
        "key and the endpoint of the last `up`: if you have changed them since, run "
        "`pulumi refresh --run-program` first."
    )


def test_an_empty_fleet_is_ready(machine: Machine, crew: Crew) -> None:
    empty = crew.wait({})
    assert read(machine, empty) == empty


def test_not_ready_is_gone_without_a_request(
    machine: Machine, emulator: Emulator, state: ReadinessState
) -> None:
    seen = len(emulator.requests())
    assert read(machine, state.model_copy(update={"ready": False})) is None
    assert paths(emulator, seen) == []
