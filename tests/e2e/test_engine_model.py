"""The model of the engine in `tests/stateful`, compared with the real engine.

Each script runs twice: with the real command line on one emulator, with the model on another. After
each command the requests, what is loaded, how the command ended and the state must be the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bytez_provider.core.messages import OUTAGE
from bytez_provider.emulator import Emulator
from tests.e2e.conftest import KEY
from tests.e2e.helpers import CHANGING, DELETE, GPT2, LOAD, OPT, PHI, running, until
from tests.e2e.stack import MODEL_TYPE, Run, Stack
from tests.e2e.test_cases import exported, refusing, restore
from tests.stateful.engine import NOT_SAVED, Engine, Result
from tests.stateful.host import Process
from tests.stateful.program import FLEET, Declared, Program, is_member
from tests.stateful.program import MODEL_TYPE as IN_URN

X, Y = f"{FLEET}-x", f"{FLEET}-y"
HELD_SECONDS = 30
FAILS_ONCE = [{"endpoint": "/model/load", "first": 1, "do": {"boot": "failed", "error": "no"}}]
NO_DELETE = [{"endpoint": "/model/delete", "do": {"respond": {"status": 400, "body": {}}}}]

Asked = dict[str | None, list[str]]
"""The requests that change something, by model, in order."""
Kept = dict[str, tuple[str, int, bool]]
"""By name, the model in state, at which concurrency, and whether a replacement is pending."""


class Both:
    """One stack, deployed by the real engine and by its model."""

    def __init__(self, stack: Stack, real: Emulator, modelled: Emulator, journal: Path) -> None:
        self.program = Program("dev")
        self._stack = stack
        self._emulators = (real, modelled)
        self._engine = Engine()
        self._exports = [exported(stack)]
        self._environ = {
            "BYTEZ_KEY": KEY,
            "BYTEZ_ENDPOINT": modelled.url,
            "BYTEZ_JOURNAL": str(journal),
        }

    def do(
        self,
        command: str,
        *,
        succeeds: bool = True,
        targets: Sequence[str] = (),
        refresh: bool = True,
    ) -> Asked:
        """Run a command with both and compare them; return the requests that change something."""
        flags = [f"--target={one}" for one in targets]
        flags += [] if refresh else ["--refresh=false"]
        return self._compared(
            command,
            lambda arguments: self._stack.run(*arguments, *flags),
            frozenset(targets) if targets else None,
            succeeds=succeeds,
            refresh=refresh,
        )[0]

    def warn(self, command: str, text: str) -> tuple[bool, bool]:
        """Run a command with both; return whether each of them prints the text."""
        _, run, result = self._compared(command, lambda arguments: self._stack.run(*arguments))
        return text in run.output, any(text in line for line in result.said)

    def do_unsaved(self, command: str, *, since: str, saves: int = 0) -> Asked:
        """Run a command with both, with a backend that refuses to save from a request on.

        Args:
            command: The command.
            since: The path of the request.
            saves: How many steps are saved before it.
        """

        def run(arguments: Sequence[str]) -> Run:
            real, seen = self._emulators[0], len(self._emulators[0].requests(since))
            real.set_faults([{"endpoint": since, "do": {"delaySeconds": HELD_SECONDS}}])
            deployment = self._stack.start(*arguments)
            until(lambda: len(real.requests(since)) > seen)
            with refusing(self._stack):
                real.advance(HELD_SECONDS)
                return deployment.finish()

        self._engine.saves = saves
        asked, ran, result = self._compared(command, run, succeeds=False)
        assert "failed to save snapshot" in ran.output
        assert result.errors == [NOT_SAVED]
        self._engine.saves = None
        self.let(lambda emulator: emulator.set_faults([]))
        return asked

    def restore(self, number: int) -> None:
        """Put an earlier state back; 0 is the empty one."""
        restore(self._stack, self._exports[number])
        self._engine.restore(number)
        assert self._kept_by_the_engine() == self._kept_by_the_model()

    def _compared(
        self,
        command: str,
        run: Callable[[Sequence[str]], Run],
        targets: frozenset[str] | None = None,
        *,
        succeeds: bool = True,
        refresh: bool = True,
    ) -> tuple[Asked, Run, Result]:
        seen = [len(one.requests()) for one in self._emulators]
        self._stack.program(text_of(self.program))
        model: dict[str, Callable[[Process], Result]] = {
            "up": lambda p: self._engine.up(self.program, p, refresh=refresh, targets=targets),
            "preview": lambda p: self._engine.preview(self.program, p, refresh=True),
            "refresh": self._engine.refresh,
            "destroy": lambda p: self._engine.destroy(p, refresh=True),
        }
        ran = run([command] if command == "preview" else [command, "--yes", "--skip-preview"])
        result = model[command](Process(self._emulators[1], self._environ))
        assert (ran.code == 0, result.succeeded) == (succeeds, succeeds), (ran.output, result)
        asked = [asked_of(one, since) for one, since in zip(self._emulators, seen, strict=True)]
        assert asked[0] == asked[1]
        assert running(self._emulators[0]) == running(self._emulators[1])
        assert self._kept_by_the_engine() == self._kept_by_the_model()
        if len(self._engine.history) > len(self._exports):
            self._exports.append(exported(self._stack))
        return asked[0], ran, result

    def let(self, do: Callable[[Emulator], object]) -> None:
        """Do the same to both services."""
        for emulator in self._emulators:
            do(emulator)

    def _kept_by_the_engine(self) -> Kept:
        return {
            one["urn"].split("::")[-1]: (
                one["id"],
                one["outputs"]["concurrency"],
                one.get("pendingReplacement", False),
            )
            for one in self._stack.export().get("resources", [])
            if one["type"] == MODEL_TYPE
        }

    def _kept_by_the_model(self) -> Kept:
        return {
            one.name: (one.id, one.outputs["concurrency"], one.pending_replacement)
            for one in self._engine.state.values()
            if one.is_model
        }


def asked_of(emulator: Emulator, since: int) -> Asked:
    """Return the requests that change something, by model, after the first `since`."""
    asked: Asked = {}
    for record in emulator.requests()[since:]:
        if record.path in CHANGING:
            asked.setdefault(record.model, []).append(record.path)
    return asked


def text_of(program: Program) -> str:
    """Return the source of a program."""

    def arguments(one: Declared) -> str:
        return f"model_id={one.model_id!r}, concurrency={one.concurrency}, adopt={one.adopt}"

    lines = []
    for name, one in program.models.items():
        if not is_member(name):
            names = [urn.split("::")[-1] for urn in program.aliases.get(name, ())]
            aliases = ", ".join(f"pulumi.Alias(name={old!r})" for old in names)
            opts = f"opts=pulumi.ResourceOptions(aliases=[{aliases}])"
            lines.append(f"bytez.Model({name!r}, {arguments(one)}, {opts})")
    if program.members:
        members = ", ".join(
            f"{name.removeprefix(FLEET + '-')!r}: "
            f"bytez.ModelArgs({arguments(program.models[name])})"
            for name in program.members
        )
        lines.append(f"bytez.Fleet({FLEET!r}, models={{{members}}})")
    return "\n".join(lines)


@pytest.fixture
def both(stack: Stack, emulator: Emulator, tmp_path: Path) -> Iterator[Both]:
    with Emulator(keys=(KEY,), clock="manual", boot_seconds=0) as modelled:
        yield Both(stack, emulator, modelled, tmp_path / "modelled-journal")


def change(both: Both, name: str, **changed: Any) -> None:
    """Change the declaration of a model."""
    both.program.declare(name, replace(both.program.models[name], **changed))


def test_the_types_are_the_same() -> None:
    assert MODEL_TYPE == IN_URN


def test_replacements_renames_and_failures(both: Both) -> None:
    both.program.declare("one", Declared(GPT2))
    both.do("up")
    change(both, "one", concurrency=2)
    assert both.do("up") == {GPT2: [DELETE, LOAD]}
    both.program.rename("one", "two", alias=True)
    assert both.do("up") == {}
    both.program.rename("two", "one", alias=False)
    assert both.do("up") == {}
    # A replacement that fails is pending: the next `up` only loads, a `destroy` asks nothing.
    for end in ("up", "destroy"):
        change(both, "one", concurrency=both.program.models["one"].concurrency + 1)
        both.let(lambda emulator: emulator.set_faults(FAILS_ONCE))
        both.do("up", succeeds=False)
        both.do(end)


def test_a_fleet_and_what_is_deleted_last(both: Both) -> None:
    """A refresh finds what is gone; a delete that fails ends the deployment."""
    both.program.declare(X, Declared(GPT2))
    both.program.declare(Y, Declared(PHI))
    both.do("up")
    both.let(lambda emulator: emulator.advance(120))
    both.let(lambda emulator: emulator.unload_by_somebody_else(GPT2))
    both.do("refresh")
    change(both, Y, concurrency=2)
    both.program.drop(X)
    both.program.declare("one", Declared(OPT))
    assert both.do("preview") == {}
    both.do("up")
    both.program.drop("one")
    both.let(lambda emulator: emulator.set_faults(NO_DELETE))
    both.do("up", succeeds=False)
    both.let(lambda emulator: emulator.set_faults([]))
    both.do("destroy")


def test_resources_that_are_not_targeted_do_not_change(both: Both) -> None:
    """They are not read, changed, created or deleted."""
    for name, model_id in (("one", GPT2), (X, PHI)):
        both.program.declare(name, Declared(model_id))
    single, x = map(both.program.urn, ("one", X))
    assert both.do("up", targets=[single]) == {GPT2: [LOAD]}
    both.do("up", targets=[x], succeeds=False)
    both.do("up")
    change(both, "one", concurrency=2)
    change(both, X, concurrency=2)
    both.program.declare(Y, Declared(OPT))
    both.let(lambda emulator: emulator.advance(120))
    both.let(lambda emulator: emulator.unload_by_somebody_else(GPT2))
    assert both.do("up", targets=[x]) == {PHI: [DELETE, LOAD]}
    ready, y = both.program.ready_urn, both.program.urn(Y)
    both.do("up", targets=[ready], refresh=False, succeeds=False)
    assert both.do("up", targets=[y], refresh=False) == {OPT: [LOAD]}


def test_a_refresh_diffs_against_the_earlier_inputs_and_a_state_is_restored(both: Both) -> None:
    both.program.declare("one", Declared(GPT2))
    both.do("up")
    both.let(lambda emulator: emulator.advance(120))
    change(both, "one", concurrency=2)
    both.do("up")
    both.restore(1)
    assert both.warn("refresh", OUTAGE) == (True, True)
    assert both.warn("refresh", OUTAGE) == (False, False)
    both.restore(1)
    assert both.do("destroy") == {GPT2: [DELETE]}
    both.restore(0)
    assert both.do("up") == {GPT2: [LOAD]}


def test_a_save_that_is_refused_ends_the_deployment(both: Both) -> None:
    """What was saved before it remains; nothing is tried a second time."""
    both.program.declare("one", Declared(GPT2))
    both.do("up")
    for since, saves, sent in ((DELETE, 0, [DELETE]), (LOAD, 1, [DELETE, LOAD])):
        change(both, "one", concurrency=both.program.models["one"].concurrency + 1)
        assert both.do_unsaved("up", since=since, saves=saves) == {GPT2: sent}
        both.do("up")
