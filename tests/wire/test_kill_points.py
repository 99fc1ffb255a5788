"""Killed or not saved at every step, and brought up again: nothing is lost or left running."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bytez_provider.emulator import Emulator
from bytez_provider.service.schemas import moment_of
from tests.host.dynamic_host import ROOT, OperationError
from tests.wire.conftest import KEY, started
from tests.wire.killed import (
    BOOT_SECONDS,
    DELETE,
    GPT2,
    HELD_SECONDS,
    LOAD,
    OF_CREATE,
    OF_DELETE,
    STATUS,
    KilledError,
    NotSavedError,
    Point,
    Stack,
    Step,
    asked,
)
from tests.wire.moments import until, until_asked
from tests.wire.test_fleets import BOTH, LISTS, READY, load, model, readiness


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """One of its own for each test: it may be left with requests that nobody waits for."""
    with Emulator(keys=[KEY], clock="manual", boot_seconds=BOOT_SECONDS) as running:
        yield running


@pytest.fixture
def stack(emulator: Emulator, tmp_path: Path) -> Stack:
    return Stack(emulator, tmp_path / "journal")


def declared(concurrency: int = 1) -> dict[str, object]:
    """Return the inputs of a program."""
    return {"modelId": GPT2, "concurrency": concurrency, "adopt": False, "onExpiry": "reload"}


def loads(emulator: Emulator) -> int:
    """Return how many loads there are in the books."""
    return int(emulator.ledger().get(GPT2, {"loads": 0})["loads"])


def named(point: Point) -> str:
    return point.when.replace(" ", "-").replace(",", "")


def killed(stack: Stack, step: Step, point: Point, *ups: dict[str, object] | None) -> None:
    """Bring a stack up, once for each declaration, and kill everything in the last."""
    with started(stack.emulator, stack.journal, **stack.env) as host:
        for inputs in ups[:-1]:
            stack.up(host, inputs)
        with pytest.raises(KilledError):
            stack.up(host, ups[-1], (step, point))


def not_saved(stack: Stack, step: Step, *ups: dict[str, object] | None) -> None:
    """Bring a stack up, once for each declaration, with a backend that refuses in the last."""
    with stack.host() as host:
        for inputs in ups[:-1]:
            stack.up(host, inputs)
        stack.refused = step
        with pytest.raises(NotSavedError):
            stack.up(host, ups[-1])
    stack.refused = None


def next_up(stack: Stack, inputs: dict[str, object] | None) -> tuple[str, ...]:
    """Bring a stack up again as the engine would; return what was sent."""
    with stack.host() as host:
        return tuple(stack.up(host, inputs))


def is_up(stack: Stack, concurrency: int) -> None:
    """Assert that what Pulumi says is so, and that a destroy leaves nothing behind."""
    (live,) = stack.emulator.instances()
    assert (live["status"], live["concurrency"]) == ("RUNNING", concurrency)
    assert stack.outputs is not None
    assert stack.outputs.items() >= {"status": "RUNNING", "created": live["created"]}.items()
    (kept,) = stack.recorded().values()
    assert moment_of(kept[1]) == moment_of(live["created"])
    with stack.host() as host:
        assert stack.up(host, declared(concurrency)) == []
        ((phase, _),) = stack.recorded().values()
        assert phase == "confirmed"
        stack.up(host, None)
    is_gone(stack)


def is_gone(stack: Stack) -> None:
    """Assert that nothing runs, and that nothing is unfinished.

    Where a refresh found it gone no delete was asked for, and the journal keeps what it had.
    """
    assert stack.emulator.instances() == []
    assert stack.outputs is None
    assert {phase for phase, _ in stack.recorded().values()} <= {"unloading"}


@pytest.mark.parametrize("point", OF_CREATE, ids=named)
def test_a_create(stack: Stack, emulator: Emulator, point: Point) -> None:
    killed(stack, "create", point, declared())
    assert stack.outputs is None
    assert next_up(stack, declared()) == point.sends
    assert loads(emulator) == point.loads
    is_up(stack, 1)


@pytest.mark.parametrize("point", OF_DELETE, ids=named)
def test_a_delete(stack: Stack, emulator: Emulator, point: Point) -> None:
    killed(stack, "delete", point, declared(), None)
    assert stack.outputs is not None
    assert next_up(stack, None) == point.sends
    assert loads(emulator) == point.loads
    is_gone(stack)


@pytest.mark.parametrize("point", OF_DELETE, ids=named)
def test_a_replacement_in_its_delete(stack: Stack, emulator: Emulator, point: Point) -> None:
    killed(stack, "delete", point, declared(), declared(3))
    assert not stack.is_replaced
    assert next_up(stack, declared(3)) == (*point.sends, LOAD)
    assert loads(emulator) == point.loads + 1
    is_up(stack, 3)


@pytest.mark.parametrize("point", OF_CREATE, ids=named)
def test_a_replacement_in_its_create(stack: Stack, emulator: Emulator, point: Point) -> None:
    killed(stack, "create", point, declared(), declared(3))
    assert stack.is_replaced
    assert next_up(stack, declared(3)) == point.sends
    assert loads(emulator) == point.loads + 1
    is_up(stack, 3)


def test_an_update_that_waits_on(stack: Stack, emulator: Emulator) -> None:
    """After a Ctrl-C in mid-boot, and killed as well: the state has named the load all along."""
    with started(emulator, stack.journal) as host:
        waiting = host.create_async(declared(), name=stack.name)
        until_asked(emulator, STATUS, 3)
        host.cancel()
        stack.outputs = waiting.result().outputs
    in_mid_boot = Point("waiting on", asked(STATUS, 4), (), 1, "waits on")
    killed(stack, "create", in_mid_boot, declared())
    assert next_up(stack, declared()) == in_mid_boot.sends
    assert loads(emulator) == 1
    is_up(stack, 1)


def test_a_load_that_is_being_taken_over(stack: Stack, emulator: Emulator) -> None:
    """It is taken over again: nothing is loaded, and from then on it is the stack's to unload."""
    emulator.load_by_somebody_else(GPT2)
    adopting = {**declared(), "adopt": True}
    in_mid_boot = Point("waiting on", asked(STATUS, 3), (), 1, "takes it over")
    killed(stack, "create", in_mid_boot, adopting)
    assert next_up(stack, adopting) == ()
    assert loads(emulator) == 1
    with stack.host() as host:
        stack.up(host, None)
    is_gone(stack)


def test_a_request_that_is_taken_between_the_next_ups_status_and_its_load(
    stack: Stack, emulator: Emulator
) -> None:
    """The service refuses the second one, and the journal knows whose the first one was."""
    held = [{"endpoint": LOAD, "do": {"delaySeconds": HELD_SECONDS}}]
    killed(stack, "create", Point("on its way", asked(LOAD), (), 1, "", held), declared())
    emulator.set_faults([{"endpoint": LOAD, "do": {"delaySeconds": HELD_SECONDS + 1}}])
    with stack.host() as host:
        waiting = host.create_async(declared(), name=stack.name)
        until_asked(emulator, LOAD, 2)
        emulator.advance(HELD_SECONDS)
        until(emulator.instances)
        emulator.advance(1)
        until_asked(emulator, STATUS, 3)
        emulator.advance(BOOT_SECONDS)
        stack.outputs = waiting.result().outputs
    assert [record.status for record in emulator.requests(LOAD)] == [200, 429]
    assert loads(emulator) == 1
    is_up(stack, 1)


class TestAFleet:
    """Its models are in state as soon as they are seen, and one resource waits for them."""

    @pytest.fixture
    def begun(self, stack: Stack, emulator: Emulator) -> Iterator[dict[str, dict[str, Any]]]:
        """Two models that were answered; the host is killed before either is RUNNING."""
        with started(emulator, stack.journal) as host:
            yield load(host)
            host.kill()

    @pytest.mark.parametrize("saved", [(), ("phi",), ("gpt2", "phi")])
    def test_each_model_is_gone_on_with_whatever_the_engine_has_saved(
        self,
        stack: Stack,
        emulator: Emulator,
        begun: dict[str, dict[str, Any]],
        saved: tuple[str, ...],
    ) -> None:
        with stack.host() as host:
            states = {key: begun[key] for key in saved}
            states |= load(host, {key: BOTH[key] for key in BOTH if key not in saved})
            assert states == begun
            ready = host.create_async(readiness(states), name=READY)
            until_asked(emulator, LISTS, 1)
            emulator.advance(BOOT_SECONDS)
            assert ready.result().outputs["statuses"] == {"gpt2": "RUNNING", "phi": "RUNNING"}
            for key, state in states.items():
                host.delete(BOTH[key], state, name=model(key))
        assert {one["loads"] for one in emulator.ledger().values()} == {1}
        assert emulator.instances() == []
        assert stack.recorded() == {}

    def test_in_the_wait_for_all(self, stack: Stack, emulator: Emulator) -> None:
        with started(emulator, stack.journal) as host:
            states = load(host)
            waiting = host.create_async(readiness(states), name=READY)
            until_asked(emulator, LISTS, 1)
            host.kill()
            with pytest.raises(OperationError):
                waiting.result()
        with stack.host() as host:
            for key, state in states.items():
                assert host.read(BOTH[key], state, name=model(key)).outputs == state
            ready = host.create_async(readiness(states), name=READY)
            until_asked(emulator, LISTS, 2)
            emulator.advance(BOOT_SECONDS)
            assert ready.result().outputs["ready"] is True
        assert len(emulator.requests(LOAD)) == 2
        assert stack.recorded().keys() == {GPT2, BOTH["phi"]}


IN_MID_BOOT = next(point for point in OF_CREATE if point.when == "in mid-boot")
ROWS: list[tuple[str, str, str]] = []
"""What is in the table of states that are older than the truth."""


def row(what: str, then: str, count: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Hold a row of that table: what happened, what comes of it, and how many loads there are."""

    def held(test: Callable[..., None]) -> Callable[..., None]:
        ROWS.append((what, then, str(count)))

        @functools.wraps(test)
        def counted(*args: Any, emulator: Emulator, **given: Any) -> None:
            test(*args, emulator=emulator, **given)
            assert loads(emulator) == count

        return counted

    return held


class TestAnOlderState:
    """The state does not name the load: it was not saved, or restored, or is another's."""

    @row("a create is not saved", "the next `up` goes on with the load", 1)
    def test_a_create(self, stack: Stack, emulator: Emulator) -> None:
        not_saved(stack, "create", declared())
        assert stack.outputs is None
        assert stack.recorded()[GPT2][0] == "accepted"
        assert next_up(stack, declared()) == ()
        is_up(stack, 1)

    @row("a delete is not saved", "the next `destroy` finds it gone", 1)
    def test_a_delete(self, stack: Stack, emulator: Emulator) -> None:
        not_saved(stack, "delete", declared(), None)
        assert stack.outputs is not None
        assert emulator.instances() == []
        assert next_up(stack, None) == ()
        is_gone(stack)

    @row(
        "a replacement is not saved after the old load was unloaded",
        "the next `up` loads the new one",
        2,
    )
    def test_a_replacement_after_its_delete(self, stack: Stack, emulator: Emulator) -> None:
        not_saved(stack, "delete", declared(), declared(3))
        assert not stack.is_replaced
        assert next_up(stack, declared(3)) == (LOAD,)
        is_up(stack, 3)

    @row(
        "a replacement is not saved after the new load is RUNNING",
        "the next `up` goes on with the new load",
        2,
    )
    def test_a_replacement_after_its_create(self, stack: Stack, emulator: Emulator) -> None:
        not_saved(stack, "create", declared(), declared(3))
        assert stack.is_replaced
        assert next_up(stack, declared(3)) == ()
        is_up(stack, 3)

    @row(
        "killed in mid-boot, and then a preview",
        "the preview writes nothing; the next `up` goes on with the load",
        1,
    )
    def test_a_preview(self, stack: Stack, emulator: Emulator) -> None:
        killed(stack, "create", IN_MID_BOOT, declared())
        before = content_of(stack.journal)
        with stack.host() as host:
            stack.preview(host, declared())
        assert content_of(stack.journal) == before
        assert next_up(stack, declared()) == ()
        is_up(stack, 1)

    @row("an older state is restored, and then `up`", "the state names the later load again", 2)
    def test_a_restored_state(self, stack: Stack, emulator: Emulator) -> None:
        restored(stack)
        before = content_of(stack.journal)
        with stack.host() as host:
            stack.preview(host, declared(3))
        assert content_of(stack.journal) == before
        assert next_up(stack, declared(3)) == ()
        is_up(stack, 3)

    @row("an older state is restored, and then `destroy`", "it unloads the later load", 2)
    def test_a_restored_state_and_a_destroy(self, stack: Stack, emulator: Emulator) -> None:
        """Without a refresh, too: the journal alone says whose the load is."""
        outputs = restored(stack)
        with stack.host() as host:
            host.delete(GPT2, outputs, name=stack.name)
        assert emulator.instances() == []
        assert stack.recorded() == {}

    @row(
        "killed in mid-boot, and then `up` on another machine with the same journal",
        "that `up` goes on with the load",
        1,
    )
    def test_another_machine(self, stack: Stack, emulator: Emulator, elsewhere: str) -> None:
        killed(stack, "create", IN_MID_BOOT, declared())
        stack.env = {"PYTHONPATH": elsewhere}
        assert next_up(stack, declared()) == ()
        is_up(stack, 1)

    @row(
        "killed in mid-boot, and then `up` on another machine with a journal of its own",
        "that `up` is refused: the load is not by this resource. With `adopt` it takes it over",
        1,
    )
    def test_another_machine_and_journal(
        self, stack: Stack, emulator: Emulator, elsewhere: str, tmp_path: Path
    ) -> None:
        killed(stack, "create", IN_MID_BOOT, declared())
        stack.env, stack.journal = {"PYTHONPATH": elsewhere}, tmp_path / "another"
        said = refused(stack)
        assert "it is already loaded at concurrency 1 since " in said
        assert "(DEPLOYING), not by this resource. Nothing was changed. Take it over with" in said
        assert next_up(stack, {**declared(), "adopt": True}) == ()
        with stack.host() as host:
            stack.up(host, None)
        is_gone(stack)

    @row(
        "killed in mid-boot, and then `up` of a clone with a state of its own",
        "that `up` is refused, and names the stack; the next `up` of that stack goes on",
        1,
    )
    def test_two_clones(self, stack: Stack, emulator: Emulator) -> None:
        stack.env = {"PULUMI_BACKEND_URL": "file:///one"}
        killed(stack, "create", IN_MID_BOOT, declared())
        clone = Stack(emulator, stack.journal, env={"PULUMI_BACKEND_URL": "file:///other"})
        assert "by 'gpt2' of stack 's', kept in file:///one on machine '" in refused(clone)
        assert next_up(clone, None) == ()
        assert next_up(stack, declared()) == ()
        is_up(stack, 1)


@pytest.fixture
def elsewhere(tmp_path: Path) -> str:
    """A PYTHONPATH with which a process takes itself to be on another machine."""
    patch = "import platform\nplatform.node = lambda: 'elsewhere'\n"
    (tmp_path / "sitecustomize.py").write_text(patch)
    return f"{tmp_path}{os.pathsep}{ROOT}"


def restored(stack: Stack) -> dict[str, Any]:
    """Bring a stack up, change it, and put back the state from before; return its outputs."""
    with stack.host() as host:
        stack.up(host, declared())
        older = stack.outputs
        stack.up(host, declared(3))
    assert older is not None
    stack.outputs = older
    return older


def refused(stack: Stack) -> str:
    """Bring a stack up, and return the error; nothing is sent that changes something."""
    seen = len(stack.emulator.requests())
    with stack.host() as host, pytest.raises(OperationError) as caught:
        stack.up(host, declared())
    assert not {LOAD, DELETE} & {one.path for one in stack.emulator.requests()[seen:]}
    return str(caught.value)


def content_of(journal: Path) -> dict[str, bytes]:
    """Return the records of a journal."""
    return {path.name: path.read_bytes() for path in journal.glob("*.json")}


def table(heading: str) -> list[tuple[str, str, str]]:
    """Return the first three columns of the table under a heading of the document."""
    text = (ROOT / "docs" / "when-killed.md").read_text(encoding="utf-8")
    section = text.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = [line.split(" | ") for line in section.splitlines() if line.startswith("| ")][1:]
    return [(one[0].removeprefix("| "), one[1], one[2]) for one in rows]


@pytest.mark.parametrize(("title", "points"), [("create", OF_CREATE), ("delete", OF_DELETE)])
def test_the_table_in_the_docs_has_every_point(title: str, points: list[Point]) -> None:
    """The moment, what the next `up` does, and how many loads there are in the end."""
    held = [(point.when, point.next_up, str(point.loads)) for point in points]
    assert table(f"In a {title}") == held


def test_the_table_of_older_states_has_every_row() -> None:
    assert table("When the state is older than the load") == ROWS
