"""A model of Pulumi's engine: what it calls in each command, and what it saves.

One step at a time, as with `--parallel 1`. It follows the engine's step generator and snapshot
manager, and `tests/e2e/test_engine_model.py` compares it with the real command line:

- The state is saved after each step that succeeded. A failed step changes nothing and is the last.
- A replacement deletes first. The state is then `pending_replacement`: no later operation deletes
  or reads the resource; an `up` creates it, and a `destroy` only removes it from the state.
- Resources that the program no longer has are deleted last, after everything else succeeded. So
  after a rename without an alias the new resource is created before the old one is deleted.
- After a first Ctrl-C the current step ends, and its answer is saved. After a kill it is not.
- If the provider's process dies, the step failed: nothing is left pending.
- A refresh reads a resource and then asks for its diff.
- A preview makes the same calls and saves nothing. With `--target` there are no calls for other
  resources. A target is an error if its dependency is neither in state nor a target, or if a
  refresh does not find it.
- A backend that refuses to save ends the deployment at that step.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from pulumi.dynamic import DiffResult

from bytez_provider.dynamic.providers import PREVIEW
from tests.stateful.host import CallFailedError, SuddenDeath, unknown, wired
from tests.stateful.program import READINESS_TYPE, Bag, Goal, Program

NOT_SAVED = "error: failed to save snapshot"
NOT_TARGETED = "error: a target, or what it depends on, is not in the stack"


@dataclass(frozen=True)
class Resource:
    """A resource in state."""

    urn: str
    id: str
    inputs: Bag
    outputs: Bag
    depends_on: tuple[str, ...] = ()
    pending_replacement: bool = False

    @property
    def name(self) -> str:
        """Its name in the program."""
        return self.urn.split("::")[-1]

    @property
    def is_model(self) -> bool:
        """Whether it is a model and not a fleet's readiness."""
        return READINESS_TYPE not in self.urn


@dataclass
class Result:
    """How a deployment ended."""

    end: str = "succeeded"
    """Or "failed", "cancelled" or "killed"."""
    steps: list[tuple[str, str]] = field(default_factory=list)
    """What was done to which resource, failed steps included."""
    errors: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    """The messages besides the errors."""

    @property
    def succeeded(self) -> bool:
        """Whether the command exited with 0."""
        return self.end == "succeeded"


class Process(Protocol):
    """The provider process that a deployment calls: see `host.Process` and `tests/wire/killed.py`.

    Attributes:
        said: Every line that the user was shown, in order.
        cancelled: Whether Ctrl-C was pressed.
        engine_lives: False as soon as the engine was killed.
    """

    said: list[str]
    cancelled: bool
    engine_lives: bool

    def running(self) -> AbstractContextManager[object]:
        """Be the process of the calls within."""

    def call(self, urn: str, timeout: float, do: Callable[[Any], Any]) -> Any:
        """Let the provider of a resource do something.

        Raises:
            CallFailedError: It answered with an error.
            SuddenDeath: The process was killed.
        """

    def end(self) -> None:
        """Tell the process that everything is saved."""


class _OverError(Exception):
    """The deployment ends here."""

    def __init__(self, end: str) -> None:
        super().__init__(end)
        self.end = end


@dataclass
class Timeouts:
    """The program's `customTimeouts`, in seconds."""

    create: float = 0
    update: float = 0
    delete: float = 0


class Engine:
    """The engine of one stack, and the stack's state.

    Attributes:
        state: By URN, in the order of creation.
        history: The state after each deployment that changed it.
        saves: How many more steps the backend saves before it refuses; None for all.
    """

    def __init__(self, timeouts: Timeouts | None = None) -> None:
        self.state: dict[str, Resource] = {}
        self.timeouts = timeouts or Timeouts()
        self.history: list[dict[str, Resource]] = [{}]
        self.saves: int | None = None
        self._saved: dict[str, Resource] = {}
        self._process: Process
        self._result: Result
        self._olds: dict[str, Resource] = {}
        self._targets: frozenset[str] | None = None
        self._previews = False

    def up(
        self,
        program: Program,
        process: Process,
        *,
        refresh: bool,
        targets: frozenset[str] | None = None,
    ) -> Result:
        """Do as `pulumi up`, with `--target` for some resources only."""
        self._targets = targets
        try:
            return self._deploy(process, program, refresh=refresh)
        finally:
            self._targets = None

    def preview(self, program: Program, process: Process, *, refresh: bool) -> Result:
        """Do as `pulumi preview`."""
        self._previews = True
        try:
            return self._deploy(process, program, refresh=refresh)
        finally:
            self._previews = False

    def restore(self, number: int) -> None:
        """Restore an earlier state, as `pulumi stack export --version` and `import` do."""
        self.state = dict(self.history[number % len(self.history)])
        self._saved = dict(self.state)

    def destroy(self, process: Process, *, refresh: bool) -> Result:
        """Do as `pulumi destroy`."""
        return self._deploy(process, Program("none"), refresh=refresh)

    def refresh(self, process: Process) -> Result:
        """Do as `pulumi refresh`."""
        return self._deploy(process, None, refresh=True)

    def _deploy(self, process: Process, program: Program | None, *, refresh: bool) -> Result:
        self._process, self._result = process, Result(said=process.said)
        with process.running():
            try:
                if refresh and self.state and not self.state.keys() >= (self._targets or set()):
                    self._refuse_target()
                if refresh:
                    for old in list(self.state.values()):
                        if self._is_targeted(old.urn):
                            self._read(old)
                if program is not None:
                    self._olds = dict(self.state)
                    kept = {self._register(goal) for goal in program.goals()}
                    self._delete_all_but(kept)
            except _OverError as over:
                self._result.end = over.end
            process.end()
        self.state = dict(self._saved)
        if not self._previews and self.state != self.history[-1]:
            self.history.append(dict(self.state))
        if self._result.end == "succeeded" and process.cancelled:
            self._result.end = "cancelled"
        return self._result

    # --------------------------------------------------------------------------------- steps

    def _read(self, old: Resource) -> None:
        if old.pending_replacement:
            return
        found = self._step(
            "read", old.urn, 0, lambda provider: provider.read(old.id, dict(old.outputs))
        )
        if not found.id:
            del self.state[old.urn]
            self._commit()
            return
        inputs = old.inputs if found.inputs is None else wired(found.inputs)
        new = dataclasses.replace(old, inputs=inputs, outputs=wired(found.outs))
        # The provider's diff shows what the refresh has changed.
        self._ask(
            old.urn, lambda provider: provider.diff(old.id, dict(new.outputs), dict(old.inputs))
        )
        self._save(new)

    def _register(self, goal: Goal) -> str:
        """Bring a resource to what the program declares; return its URN."""
        if self._process.cancelled:
            raise _OverError("cancelled")
        old = next(
            (self._olds[urn] for urn in (goal.urn, *goal.aliases) if urn in self._olds), None
        )
        awaits = [urn for urn in goal.depends_on if urn not in self.state]
        if not self._is_targeted(goal.urn):
            return old.urn if old is not None else goal.urn
        if awaits and not self._previews:
            self._refuse_target()
        outputs = {urn: one.outputs for urn, one in self.state.items()}
        inputs = self._check(goal, old, unknown() if awaits else wired(goal.inputs(outputs)))
        if old is None:
            if not self._previews:
                self._create(goal, inputs)
            return goal.urn
        diff: DiffResult = self._ask(
            goal.urn, lambda provider: provider.diff(old.id, dict(old.outputs), dict(inputs))
        )
        if self._previews:
            return goal.urn
        if diff.replaces or old.pending_replacement:
            self._replace(goal, old, inputs)
        elif diff.changes:
            news = dict(inputs)
            answer = self._step(
                "update",
                goal.urn,
                self.timeouts.update,
                lambda provider: provider.update(old.id, dict(old.outputs), news),
            )
            self._renamed(old, self._resource(goal, old.id, inputs, wired(answer.outs)))
        else:
            self._result.steps.append(("same", goal.urn))
            self._renamed(old, self._resource(goal, old.id, inputs, old.outputs))
        return goal.urn

    def _check(self, goal: Goal, old: Resource | None, news: Bag) -> Bag:
        if READINESS_TYPE in goal.urn:
            return news  # It has no check of its own.
        olds = {} if old is None else dict(old.inputs)
        if self._previews:
            news = {**news, PREVIEW: True}
        checked = self._ask(goal.urn, lambda provider: provider.check(olds, dict(news)))
        if checked.failures:
            self._result.errors += [one.reason for one in checked.failures]
            raise _OverError("failed")
        inputs: Bag = wired(checked.inputs)
        return inputs

    def _create(self, goal: Goal, inputs: Bag) -> None:
        made = self._step(
            "create",
            goal.urn,
            self.timeouts.create,
            lambda provider: provider.create(dict(inputs)),
        )
        self._save(self._resource(goal, made.id, inputs, wired(made.outs)))

    def _replace(self, goal: Goal, old: Resource, inputs: Bag) -> None:
        """Delete, then create; dependents are asked for a diff, and never replaced with it."""
        for one in self._olds.values():
            if old.urn in one.depends_on:
                asked = self._ask(
                    one.urn,
                    lambda provider, one=one: provider.diff(one.id, dict(one.outputs), unknown()),
                )
                assert not asked.replaces, f"{one.urn} asks for a replacement"
        if not old.pending_replacement:
            self._delete(old)
            # It remains in state until its replacement is there.
            self._save(dataclasses.replace(old, pending_replacement=True))
        self._create(goal, inputs)
        if goal.urn != old.urn:
            del self.state[old.urn]
            self._commit()

    def _delete_all_but(self, kept: set[str]) -> None:
        """Delete what the program no longer has, dependents first."""
        for old in sorted(self.state.values(), key=lambda one: one.is_model):
            if old.urn not in kept and self._is_targeted(old.urn) and not self._previews:
                if not old.pending_replacement:
                    self._delete(old)
                del self.state[old.urn]
                self._commit()

    def _delete(self, old: Resource) -> None:
        self._step(
            "delete",
            old.urn,
            self.timeouts.delete,
            lambda provider: provider.delete(old.id, dict(old.outputs)),
        )

    # ------------------------------------------------------------------------------- helpers

    def _resource(self, goal: Goal, id_: str, inputs: Bag, outputs: Bag) -> Resource:
        return Resource(goal.urn, id_, inputs, outputs, goal.depends_on)

    def _renamed(self, old: Resource, new: Resource) -> None:
        if old.urn != new.urn:
            del self.state[old.urn]
        self._save(new)

    def _is_targeted(self, urn: str) -> bool:
        return self._targets is None or urn in self._targets

    def _refuse_target(self) -> None:
        self._result.errors.append(NOT_TARGETED)
        raise _OverError("failed")

    def _save(self, resource: Resource) -> None:
        self.state[resource.urn] = resource
        self._commit()

    def _commit(self) -> None:
        """Save what a step has changed, unless the backend refuses."""
        if self._previews or self.state == self._saved:
            return
        if self.saves == 0:
            self._result.errors.append(NOT_SAVED)
            raise _OverError("failed")
        if self.saves is not None:
            self.saves -= 1
        self._saved = dict(self.state)

    def _step(self, what: str, urn: str, timeout: float, do: Any) -> Any:
        """Run a step; return the answer if it can be saved."""
        if self._process.cancelled:
            raise _OverError("cancelled")
        self._result.steps.append((what, urn))
        return self._ask(urn, do, timeout)

    def _ask(self, urn: str, do: Any, timeout: float = 0) -> Any:
        try:
            answer = self._process.call(urn, timeout, do)
        except CallFailedError as error:
            if not self._process.engine_lives:
                raise _OverError("killed") from None
            self._result.errors.append(str(error))
            raise _OverError("cancelled" if self._process.cancelled else "failed") from None
        except SuddenDeath:
            self._result.errors.append("error reading from server: EOF")
            raise _OverError("failed") from None
        if not self._process.engine_lives:
            raise _OverError("killed")
        return answer
