"""Killed at every step, and brought up again: nothing is lost, and nothing is left running."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bytez_provider.emulator import Emulator
from bytez_provider.schemas import moment_of
from tests.host.dynamic_host import ROOT, OperationError
from tests.wire.conftest import KEY, started
from tests.wire.killed import (
    BOOT_SECONDS,
    GPT2,
    HELD_SECONDS,
    LOAD,
    OF_CREATE,
    OF_DELETE,
    STATUS,
    KilledError,
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
    with started(stack.emulator, stack.journal) as host:
        for inputs in ups[:-1]:
            stack.up(host, inputs)
        with pytest.raises(KilledError):
            stack.up(host, ups[-1], (step, point))


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


@pytest.mark.parametrize(("title", "points"), [("create", OF_CREATE), ("delete", OF_DELETE)])
def test_the_table_in_the_docs_has_every_point(title: str, points: list[Point]) -> None:
    """The moment, what the next `up` does, and how many loads there are in the end."""
    text = (ROOT / "docs" / "when-killed.md").read_text(encoding="utf-8")
    section = text.split(f"\n## In a {title}\n")[1].split("\n## ")[0]
    rows = [line.split(" | ") for line in section.splitlines() if line.startswith("| ")][1:]
    told = [(row[0].removeprefix("| "), row[1], row[2]) for row in rows]
    assert told == [(point.when, point.next_up, str(point.loads)) for point in points]
