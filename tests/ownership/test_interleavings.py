"""Two deployments of one account with one journal, in every order of their steps."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from bytez_provider.base.errors import BytezError
from bytez_provider.core.declared import ModelState
from bytez_provider.core.ownership import StackIdentity
from bytez_provider.emulator import Emulator
from bytez_provider.emulator.fixtures import START
from tests.lifecycle.caller import FakeCaller
from tests.lifecycle.machine import GPT2, KEY, Process, inputs
from tests.ownership.turns import Killed, SteppingStore, Turns

INTERLEAVINGS = 200
BOOT_SECONDS = 4.0
STACKS = {"a": StackIdentity("a", "file:///a"), "b": StackIdentity("b", "file:///b")}
URNS = {name: f"urn:pulumi:{name}::fleet::pulumi-python:dynamic/bytez:Model::m" for name in STACKS}


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Emulator(keys=[KEY], clock="manual", boot_seconds=BOOT_SECONDS, start=START) as running:
        yield running


class Story:
    """Two deployments that begin at once; the seed decides what was there before."""

    def __init__(
        self,
        emulator: Emulator,
        folder: Path,
        seed: int,
        *,
        first: str | None = None,
        kinds: Mapping[str, str] | None = None,
    ) -> None:
        self.emulator = emulator
        self.folder = folder
        self.random = random.Random(seed)  # noqa: S311 - it must be repeatable
        self.turns = Turns(seed)
        self.states: dict[str, ModelState] = {}
        self.foreign: str | None = None
        self.kinds: dict[str, str] = {**(kinds or {})}
        self.first = first or self.random.choice(["nothing", "a's", "b's", "somebody's"])
        emulator.reset()

    def before(self) -> None:
        """Load nothing, the model of a stack that has it in its state, or somebody else's."""
        if self.first == "somebody's":
            self.foreign = str(self.emulator.load_by_somebody_else(GPT2))
        elif self.first != "nothing":
            name = self.first[0]
            process = self.process(name, stepping=False)
            self.states[name] = process.lifecycle.create(inputs(), FakeCaller(URNS[name]))
            self.end(process)

    def process(self, name: str, *, stepping: bool = True) -> Process:
        """Start the provider process of a stack."""
        process = Process(self.emulator, self.folder, key=KEY, stack=STACKS[name])
        if stepping:
            exchange = process.client._transport.exchange

            def step() -> None:
                self.turns.step(name)

            def stepped(request: Any) -> Any:
                step()
                return exchange(request)

            process.client._transport.exchange = stepped  # type: ignore[method-assign]
            journal = process.ledger.journal
            journal.store = SteppingStore(journal.store, step)
        return process

    def end(self, process: Process) -> None:
        """End a process."""
        process.die()
        process.client.close()

    def deployment(self, name: str, process: Process) -> Callable[[], ModelState | None]:
        """Return the operation of a stack."""
        caller = FakeCaller(URNS[name])
        state = self.states.get(name)
        kinds = ["delete", "replace", "keep"] if state else ["load", "adopt", "adopt other"]
        kind = self.kinds.setdefault(name, self.random.choice(kinds))
        lifecycle = process.lifecycle
        if kind == "keep":
            assert state is not None
            return lambda: lifecycle.read(state, caller)
        if kind == "delete":
            assert state is not None

            def delete() -> None:
                lifecycle.delete(state, caller)

            return delete
        if kind == "replace":
            assert state is not None

            def replace() -> ModelState:
                lifecycle.delete(state, caller)
                return lifecycle.create(inputs(concurrency=2), caller)

            return replace
        concurrency = 3 if kind == "adopt other" else 1
        declared = inputs(concurrency=concurrency, adopt=kind != "load")
        return lambda: lifecycle.create(declared, caller)

    def play(self, *, may_die: bool = True) -> dict[str, Any]:
        """Run both; return the outcome of each."""
        self.before()
        processes = {name: self.process(name) for name in STACKS}
        if may_die and self.random.random() < 0.3:
            self.turns.dies(self.random.choice("ab"), self.random.randint(2, 14))
        acts = {name: self.deployment(name, process) for name, process in processes.items()}
        try:
            return self.turns.run(acts)
        finally:
            for process in processes.values():
                self.end(process)

    def check(self, outcomes: dict[str, Any]) -> None:
        """Check the promises."""
        try:
            self._check(outcomes)
        except AssertionError as error:
            story = f"{self.first}, {self.kinds}, {self.turns.order}, {outcomes}"
            raise AssertionError(f"{story}\n{error}") from None

    def _check(self, outcomes: dict[str, Any]) -> None:
        live = {one["created"]: one for one in self.emulator.instances()}
        named = set()
        for name, outcome in outcomes.items():
            if isinstance(outcome, Exception) and not isinstance(outcome, BytezError):
                raise outcome
            if isinstance(outcome, ModelState):
                named.add(outcome.created)
                # Only somebody who was allowed to may have unloaded it.
                other = self.kinds["b" if name == "a" else "a"]
                is_held = outcome.created in live or other.startswith("adopt")
                assert is_held, f"{name} says that {outcome.created} is loaded"
            elif name in self.states:
                # It failed or was killed, and its state has not changed.
                named.add(self.states[name].created)
        reader = self.process("a", stepping=False)
        recorded = {r.created for r in reader.ledger.records()}
        is_requested = None in recorded
        self.end(reader)
        moments = {r.isoformat() for r in recorded if r is not None}
        for created, one in live.items():
            is_kept = any(_same(created, moment) for moment in moments) or is_requested
            assert created in named or is_kept or created == self.foreign, f"{one} has no name"
        unloads = len(self.emulator.requests("/model/delete"))
        loads = int(self.emulator.ledger().get(GPT2, {"loads": 0})["loads"])
        assert loads <= 1 + unloads, "a second load"


def _same(created: str, moment: str) -> bool:
    return created.removesuffix("Z")[:23] == moment[:23]


def test_two_deployments_never_hurt_each_other(emulator: Emulator, tmp_path: Path) -> None:
    kinds: Counter[tuple[str, ...]] = Counter()
    ends: Counter[str] = Counter()
    orders = set()
    for seed in range(INTERLEAVINGS):
        story = Story(emulator, tmp_path / str(seed), seed)
        outcomes = story.play()
        story.check(outcomes)
        kinds[tuple(sorted(story.kinds.values()))] += 1
        ends.update(type(one).__name__ for one in outcomes.values())
        orders.add(tuple(story.turns.order))
    # The stories must differ, or they would prove little.
    assert len(kinds) >= 8
    assert len(orders) >= 0.9 * INTERLEAVINGS
    assert {"ModelState", "NoneType", "AlreadyLoadedError", Killed.__name__} <= set(ends)


@pytest.mark.parametrize(
    ("first", "of_a", "of_b"),
    [
        ("a's", "delete", "adopt"),
        ("a's", "delete", "adopt other"),
        ("a's", "replace", "adopt"),
        ("a's", "replace", "adopt other"),
        ("nothing", "load", "load"),
        ("nothing", "load", "adopt other"),
        ("somebody's", "adopt", "adopt other"),
        ("somebody's", "adopt other", "adopt other"),
    ],
)
@pytest.mark.parametrize("who", ["a", "b"])
def test_one_pauses_at_each_step_while_the_other_runs_to_its_end(
    emulator: Emulator, tmp_path: Path, first: str, of_a: str, of_b: str, who: str
) -> None:
    """Random orders seldom have a long pause in the wrong place."""
    for at in range(2, 100):
        kinds = {"a": of_a, "b": of_b}
        story = Story(emulator, tmp_path / str(at), seed=0, first=first, kinds=kinds)
        story.turns.pauses(who, at)
        outcomes = story.play(may_die=False)
        story.check(outcomes)
        if story.turns.order.count(who) < at:
            break
    assert at > 5, "it has steps to pause at"
