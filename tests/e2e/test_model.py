"""A `Model` in a program, end to end, each step's requests counted in the emulator's log."""

from __future__ import annotations

import json

from bytez_provider.emulator import Emulator
from tests.e2e.stack import Stack

GPT2 = "openai-community/gpt2"
ONE = 'bytez.Model("gpt2", model_id="openai-community/gpt2", concurrency={concurrency})'
CHANGING = ("/model/load", "/model/delete")


class Log:
    """The changing requests since the last look."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._seen = 0

    def new(self) -> list[str]:
        """Return the path of each changing request since the last call, in order."""
        records = self._emulator.requests()
        fresh, self._seen = records[self._seen :], len(records)
        return [record.path for record in fresh if record.path in CHANGING]


def loads(emulator: Emulator, model_id: str = GPT2) -> int:
    """Return how many loads of the model the emulator's books hold."""
    return int(emulator.ledger()[model_id]["loads"])


def running(emulator: Emulator) -> dict[str, int]:
    """Return what runs, and at what concurrency."""
    return {one["modelId"]: one["concurrency"] for one in emulator.instances()}


def test_life_of_a_model(stack: Stack, emulator: Emulator) -> None:
    """Up, up unchanged, another concurrency, idle expiry, destroy."""
    log = Log(emulator)
    stack.program(ONE.format(concurrency=1))
    assert "create" in stack.preview().ok().output
    assert log.new() == []

    stack.up().ok()
    assert log.new() == ["/model/load"]
    assert running(emulator) == {GPT2: 1}
    state = stack.models()["gpt2"]
    assert state["status"] == "RUNNING"
    assert state["requiredRamGb"] == 0.5
    assert state["endpoint"] == emulator.url

    assert "2 unchanged" in stack.up().ok().output
    assert log.new() == []

    stack.program(ONE.format(concurrency=3))
    shown = stack.preview().ok().output
    assert "replace" in shown
    assert "concurrency" in shown
    emulator.advance(60)
    stack.up().ok()
    assert log.new() == ["/model/delete", "/model/load"]
    assert running(emulator) == {GPT2: 3}

    emulator.advance(1801)
    assert running(emulator) == {}
    stack.up().ok()
    assert log.new() == ["/model/load"]
    assert running(emulator) == {GPT2: 3}

    stack.destroy().ok()
    assert log.new() == ["/model/delete"]
    assert running(emulator) == {}
    assert stack.models() == {}


def test_refresh_says_that_an_expired_model_is_gone(stack: Stack, emulator: Emulator) -> None:
    """What Pulumi says is gone is gone."""
    stack.program(ONE.format(concurrency=1))
    stack.up().ok()
    emulator.advance(1801)
    stack.refresh().ok()
    assert stack.models() == {}


def test_plain_up_changes_nothing(plain_stack: Stack, emulator: Emulator) -> None:
    """Without `refresh: always` an unchanged `up` sends nothing that changes anything."""
    plain_stack.program(ONE.format(concurrency=2))
    plain_stack.up().ok()
    log = Log(emulator)
    log.new()
    plain_stack.up().ok()
    assert log.new() == []


def test_rename_with_aliases_does_nothing(stack: Stack, emulator: Emulator) -> None:
    """A renamed resource keeps its load."""
    stack.program(ONE.format(concurrency=1))
    stack.up().ok()
    log = Log(emulator)
    log.new()
    stack.program(
        f'bytez.Model("chat", model_id="{GPT2}", '
        'opts=pulumi.ResourceOptions(aliases=[pulumi.Alias(name="gpt2")]))'
    )
    stack.up().ok()
    assert log.new() == []
    assert list(stack.models()) == ["chat"]
    stack.destroy().ok()
    assert running(emulator) == {}


def test_rename_without_aliases_keeps_the_model_loaded(stack: Stack, emulator: Emulator) -> None:
    """The new name takes the load over from the old one, which the program has no longer."""
    stack.program(ONE.format(concurrency=1))
    stack.up().ok()
    log = Log(emulator)
    log.new()
    stack.program(f'bytez.Model("chat", model_id="{GPT2}")')
    stack.up().ok()
    assert log.new() == []
    assert running(emulator) == {GPT2: 1}


def test_rename_with_adopt_keeps_the_model_loaded(stack: Stack, emulator: Emulator) -> None:
    """The new resource takes the load over, and the old one's delete leaves it alone."""
    stack.program(ONE.format(concurrency=1))
    stack.up().ok()
    log = Log(emulator)
    log.new()
    stack.program(f'bytez.Model("chat", model_id="{GPT2}", adopt=True)')
    stack.up().ok()
    assert log.new() == []
    assert running(emulator) == {GPT2: 1}
    assert list(stack.models()) == ["chat"]
    # A later rename, with an alias this time, changes nothing about who holds it.
    stack.program(
        f'bytez.Model("talk", model_id="{GPT2}", adopt=True, '
        'opts=pulumi.ResourceOptions(aliases=[pulumi.Alias(name="chat")]))'
    )
    stack.up().ok()
    stack.destroy().ok()
    assert running(emulator) == {}


def test_of_two_resources_of_one_load_the_one_that_stays_keeps_it(
    stack: Stack, emulator: Emulator
) -> None:
    """The later one has taken it over; its delete leaves it to the older one."""
    first = ONE.format(concurrency=1)
    stack.program(first)
    stack.up().ok()
    # What the program has no longer is not deleted where it is no target.
    stack.program(f'bytez.Model("chat", model_id="{GPT2}")')
    stack.up("--target", "**::chat").ok()
    assert sorted(stack.models()) == ["chat", "gpt2"]
    log = Log(emulator)
    log.new()
    stack.program(first)
    assert "'gpt2' of stack 'dev' has taken it over" in stack.up().ok().output
    assert log.new() == []
    assert running(emulator) == {GPT2: 1}
    assert list(stack.models()) == ["gpt2"]
    stack.destroy().ok()
    assert running(emulator) == {}


def test_somebody_elses_load_is_refused_and_left_alone(stack: Stack, emulator: Emulator) -> None:
    """Neither `up` nor `destroy` touches what this stack did not make."""
    emulator.load_by_somebody_else(GPT2, concurrency=2)
    log = Log(emulator)
    stack.program(ONE.format(concurrency=1))
    failed = stack.up().failed()
    assert "already loaded at concurrency 2 since" in failed.output
    assert "Nothing was changed" in failed.output
    stack.destroy().ok()
    assert log.new() == []
    assert running(emulator) == {GPT2: 2}


def test_somebody_elses_load_after_ours_is_left_alone(
    plain_stack: Stack, emulator: Emulator
) -> None:
    """Ours was unloaded and another was made: destroy leaves that one."""
    plain_stack.program(ONE.format(concurrency=1))
    plain_stack.up().ok()
    emulator.unload_by_somebody_else(GPT2)
    emulator.advance(60)
    emulator.load_by_somebody_else(GPT2, concurrency=5)
    destroyed = plain_stack.destroy().ok()
    assert "was left alone" in destroyed.output
    assert running(emulator) == {GPT2: 5}


def test_get_reads_a_model_that_is_loaded(stack: Stack, emulator: Emulator) -> None:
    """`Model.get` reads, and fails where there is nothing to read."""
    program = f'm = bytez.Model.get("shared", "{GPT2}")\npulumi.export("n", m.concurrency)'
    stack.program(program)
    failed = stack.up().failed()
    assert failed.lines(f"could not read '{GPT2}': it is not loaded.")
    emulator.load_by_somebody_else(GPT2, concurrency=4)
    stack.up().ok()
    assert json.loads(stack.run("stack", "output", "--json").ok().stdout)["n"] == 4
    stack.destroy().ok()
    assert running(emulator) == {GPT2: 4}
