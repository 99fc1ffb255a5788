"""Refresh of a readiness: gone unless every member is RUNNING, or accepted as idle."""

from __future__ import annotations

from typing import Any

import pytest
from inline_snapshot import snapshot

from bytez_provider.base.errors import ApiError
from bytez_provider.core.declared import ReadinessState
from bytez_provider.emulator import Emulator
from tests.fleet.crew import GATEWAY, LISTS, STATUSES, Crew
from tests.lifecycle.machine import GPT2, OTHER_KEY, PHI, Machine, on, respond


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


@pytest.mark.parametrize("how", ["unloaded", "usurped", "FAILED", "DEPLOYING"])
def test_any_that_is_not_running_makes_it_gone(
    machine: Machine, state: ReadinessState, how: str
) -> None:
    if how == "usurped":
        machine.usurp(after=0)
        machine.emulator.advance(100)
    elif how == "unloaded":
        machine.emulator.unload_by_somebody_else(GPT2)
    else:
        gpt2, phi = machine.emulator.instances()
        assert gpt2["modelId"] == GPT2
        body = {**gpt2, "status": how}
        machine.faults(
            on("instances", {"respond": {"status": 200, "body": [body, phi]}}),
            on("status", {"respond": {"status": 200, "body": body}}, model=GPT2),
        )
    assert read(machine, state) is None


@pytest.mark.parametrize("usurped", [False, True])
def test_idle_is_fine_where_that_is_accepted(
    machine: Machine, state: ReadinessState, usurped: bool
) -> None:
    machine.emulator.unload_by_somebody_else(PHI)
    if usurped:
        machine.emulator.load_by_somebody_else(PHI)
    found = read(machine, state)
    assert found is not None
    assert found.ready
    assert found.statuses == {"gpt2": "RUNNING", "phi-1": "NOT_LOADED"}


@pytest.mark.parametrize("fault", [respond(501, "not here"), GATEWAY, {"reset": "before"}])
def test_without_a_list_each_status_is_asked(
    machine: Machine, state: ReadinessState, fault: dict[str, Any]
) -> None:
    machine.faults(on("instances", fault))
    seen = len(machine.emulator.requests())
    assert read(machine, state) == state
    assert paths(machine.emulator, seen) == [LISTS, STATUSES, STATUSES]


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


def test_an_empty_fleet_is_ready(crew: Crew) -> None:
    empty = crew.wait({})
    assert read(crew.machine, empty) == empty


def test_not_ready_is_gone_without_a_request(machine: Machine, state: ReadinessState) -> None:
    seen = len(machine.emulator.requests())
    assert read(machine, state.but(ready=False)) is None
    assert paths(machine.emulator, seen) == []
