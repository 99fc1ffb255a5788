"""A state whose load is looked for under another key or endpoint."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from inline_snapshot import snapshot

from bytez_provider.base.errors import AccountChangedError
from bytez_provider.core.declared import ModelState
from bytez_provider.emulator import Emulator
from tests.lifecycle.caller import stopped_at
from tests.lifecycle.machine import GPT2, KEY, OTHER_KEY, Machine, Process, inputs

OPERATIONS: dict[str, Callable[[Process, ModelState], object]] = {
    "read": lambda process, state: process.read(state),
    "load": lambda process, state: process.update(state, inputs(adopt=True)),
    "unload": lambda process, state: process.delete(state),
}


@pytest.fixture
def state(machine: Machine) -> ModelState:
    """A model whose boot was interrupted, so that an update looks for it."""
    return machine.create(caller=stopped_at(2))


@pytest.fixture
def other(machine: Machine) -> Process:
    """A process with another key."""
    return machine.process(key=OTHER_KEY)


@pytest.mark.parametrize("verb", OPERATIONS)
@pytest.mark.parametrize("how", ["gone", "usurped"])
def test_not_found_or_somebody_elses_under_another_key_is_an_error(
    machine: Machine, other: Process, state: ModelState, how: str, verb: str
) -> None:
    """Ours may still run in the other account."""
    machine.usurp(after=100)
    if how == "gone":
        machine.emulator.unload_by_somebody_else(GPT2)
    with pytest.raises(AccountChangedError, match=f"could not {verb} '{GPT2}'"):
        OPERATIONS[verb](other, state)
    assert machine.changes() == ["/model/load"]


def test_the_error_names_both_ways_out(machine: Machine, other: Process, state: ModelState) -> None:
    machine.emulator.advance(2000)
    with pytest.raises(AccountChangedError) as caught:
        other.read(state)
    assert str(caught.value) == snapshot(
        "could not read 'openai-community/gpt2': this load of it is not found "
        "under the key in use, and it was made under another. The state is as it "
        "was, and the model may still run there. Use that key again, or set "
        "BYTEZ_ACCEPT_ACCOUNT_CHANGE=1 to give it up."
    )


def test_not_found_under_another_endpoint_names_the_old_one(
    machine: Machine, state: ModelState
) -> None:
    machine.emulator.advance(100)
    with Emulator(keys=[KEY], clock="manual") as elsewhere:
        process = machine.process(endpoint=elsewhere.url)
        with pytest.raises(AccountChangedError, match="under the endpoint in use") as caught:
            process.read(state)
    assert f"under another ({machine.emulator.url})" in str(caught.value)


def test_consent_gives_it_up(machine: Machine, state: ModelState) -> None:
    machine.emulator.unload_by_somebody_else(GPT2)
    machine.process(key=OTHER_KEY, account_change=True).delete(state)


def test_found_under_a_new_key_it_belongs_to_that_key_from_then_on(
    machine: Machine, other: Process, state: ModelState
) -> None:
    """Keys are changed; an expiry after that is no change of account."""
    read = other.seen(state)
    assert read.account == other.settings.account != state.account
    machine.emulator.advance(2000)
    assert other.read(read) is None


def test_found_under_a_new_key_it_is_unloaded(
    machine: Machine, other: Process, state: ModelState
) -> None:
    other.delete(state)
    assert machine.running() == {}


def test_what_is_known_not_to_be_loaded_is_of_no_account(machine: Machine, other: Process) -> None:
    state = machine.create(inputs(on_expiry="accept"))
    machine.emulator.advance(1801)
    idle = machine.seen(state)
    assert other.read(idle) == idle
    other.delete(idle)


def test_without_created_a_load_of_another_account_is_not_ours(
    machine: Machine, other: Process, state: ModelState
) -> None:
    machine.answer_status_with(created=None)
    unnamed = state.but(created=None)
    for one in (state, unnamed):
        with pytest.raises(AccountChangedError):
            other.read(one)
