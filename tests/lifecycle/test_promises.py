"""The promises, held against whatever comes: faults, kills, Ctrl-C and other people.

1. What Pulumi says is loaded is loaded.
2. What a deployment began is unloaded, or in state, or in the journal, or told to the user.
3. What it did not make and was not told to adopt, it never unloads.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bytez_provider.emulator import Emulator
from bytez_provider.emulator.answers import iso
from bytez_provider.emulator.fixtures import START
from bytez_provider.emulator.world import World
from bytez_provider.errors import AlreadyLoadedError, BytezError
from bytez_provider.lifecycle import Lifecycle, diff
from bytez_provider.schemas import ModelInputs, ModelState
from bytez_provider.waiter import Stop
from tests.lifecycle.caller import FakeCaller
from tests.lifecycle.machine import BOOT_SECONDS, GPT2, KEY, PHI, Machine, inputs

GATEWAY = {"respond": {"status": 502, "body": "<h1>Bad Gateway</h1>"}}
FAULTS: list[dict[str, Any]] = [
    {"endpoint": "/model/load", "first": 1, "do": {"reset": "after"}},
    {"endpoint": "/model/load", "first": 1, "do": {"reset": "before"}},
    {"endpoint": "/model/load", "first": 1, "do": GATEWAY},
    {"endpoint": "/model/load", "do": {"reset": "after"}},
    {"endpoint": "/model/load", "do": {"boot": "failed", "error": "out of memory"}},
    {"endpoint": "/model/load", "do": {"boot": "never"}},
    {"endpoint": "/model/delete", "first": 1, "do": {"reset": "after"}},
    {"endpoint": "/model/delete", "do": {"reset": "before"}},
    {"endpoint": "/model/delete", "do": {"respond": {"status": 500, "body": {"error": "no"}}}},
    {"endpoint": "/model/delete", "do": {"shutdownSeconds": 30}},
    {"endpoint": "/model/load", "do": {"statusLagSeconds": 45}},
    {"endpoint": "/model/status", "first": 2, "do": {"reset": "before"}},
    {"endpoint": "/model/status", "probability": 0.3, "seed": 5, "do": GATEWAY},
    {"probability": 0.1, "seed": 3, "do": {"respond": {"status": 500, "body": {"error": "no"}}}},
    {"do": {"clockSkewSeconds": 1}},
    {"do": {"clockSkewSeconds": -1}},
]
Load = tuple[str, str]
"""What tells a load from all others: its model and its `created`."""
SENTENCE = re.compile(r"could not (load|unload|read) '[\w./-]+': [^\n]+\. [A-Z][^\n]+[^.]\.")
STOPS = st.one_of(
    st.none(),
    st.tuples(st.integers(0, 4), st.sampled_from([Stop.CANCELLED, Stop.ENGINE_GONE])),
)


class Deployments(RuleBasedStateMachine):
    """One resource of one stack, deployed again and again."""

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.emulator = Emulator(keys=[KEY], clock="manual", boot_seconds=BOOT_SECONDS, start=START)
        self.emulator.start()
        self.machine = Machine(self.emulator, Path(self.folder.name) / "journal")
        self.state: ModelState | None = None
        self.urn = "urn::0"
        self.renamed = 0
        self.theirs: set[Load] = set()
        self.told: set[Load] = set()
        self.unloaded: list[Load] = []

        world, unload = self.emulator._world, World.unload

        def listen(model_id: str, *args: Any, **given: Any) -> None:
            unload(world, model_id, *args, **given)
            self.unloaded.append((model_id, iso(world.loads[model_id].created)))

        world.unload = listen  # type: ignore[method-assign]

    def teardown(self) -> None:
        if hasattr(self, "machine"):
            self.machine.close()
            self.emulator.stop()
            self.folder.cleanup()

    # ------------------------------------------------------------------------- the world

    @rule(model_id=st.sampled_from([GPT2, PHI]), concurrency=st.integers(1, 2))
    def somebody_loads(self, model_id: str, concurrency: int) -> None:
        if model_id not in self.machine.running():
            with self.unobserved():
                created = self.emulator.load_by_somebody_else(model_id, concurrency)
                self.theirs.add((model_id, created))

    @rule(model_id=st.sampled_from([GPT2, PHI]))
    def somebody_unloads(self, model_id: str) -> None:
        if model_id in self.machine.running():
            with self.unobserved():
                self.emulator.unload_by_somebody_else(model_id)

    @rule(seconds=st.sampled_from([1, 20, 70, 400, 1900]))
    def time_passes(self, seconds: float) -> None:
        self.emulator.advance(seconds)

    @rule(faults=st.lists(st.sampled_from(FAULTS), max_size=2))
    def the_service_misbehaves(self, faults: list[dict[str, Any]]) -> None:
        self.emulator.set_faults(faults)

    def unobserved(self) -> Any:
        """What others do with the world is not our doing."""
        machine = self

        class Others:
            def __enter__(self) -> None:
                self.before = list(machine.unloaded)

            def __exit__(self, *_: object) -> None:
                machine.unloaded[:] = self.before

        return Others()

    # ------------------------------------------------------------------------ deployments

    @rule(
        model_id=st.sampled_from([GPT2, GPT2, PHI]),
        concurrency=st.integers(1, 2),
        adopt=st.booleans(),
        refresh=st.booleans(),
        stop=STOPS,
    )
    def up(
        self,
        model_id: str,
        concurrency: int,
        adopt: bool,
        refresh: bool,
        stop: tuple[int, Stop] | None,
    ) -> None:
        declared = inputs(model_id, concurrency=concurrency, adopt=adopt)
        if adopt:
            self.tell_to_adopt(model_id)
        lifecycle = self.machine.process().lifecycle
        self.attempt(lambda: self.deploy(lifecycle, declared, self.caller(stop), refresh))

    @precondition(lambda self: self.state is not None)
    @rule()
    def destroy(self) -> None:
        lifecycle = self.machine.process().lifecycle
        self.attempt(lambda: self.delete(lifecycle, self.caller(None)))

    @precondition(lambda self: self.state is not None)
    @rule(later=st.booleans())
    def rename_without_aliases(self, later: bool) -> None:
        """The new one takes over, then the old one is deleted, in this process or a later one."""
        assert self.state is not None
        old, old_urn = self.state, self.urn
        declared = old.inputs().model_copy(update={"adopt": True})
        self.tell_to_adopt(old.model_id)
        self.renamed += 1
        self.urn = f"urn::{self.renamed}"
        lifecycle = self.machine.process().lifecycle
        try:
            self.state = lifecycle.create(declared, self.caller(None))
        except BytezError as error:
            self.hear(error)
            self.state, self.urn = old, old_urn
            return
        if later:
            lifecycle = self.machine.process().lifecycle
        self.attempt(lambda: lifecycle.delete(old, FakeCaller(old_urn)))

    @rule(model_id=st.sampled_from([GPT2, PHI]), concurrency=st.integers(1, 2))
    def up_in_peace(self, model_id: str, concurrency: int) -> None:
        """With nothing in the way, an `up` makes it so."""
        self.emulator.set_faults([])
        self.emulator.advance(61)
        declared = inputs(model_id, concurrency=concurrency)
        lifecycle = self.machine.process().lifecycle
        try:
            self.deploy(lifecycle, declared, self.caller(None), True)
        except AlreadyLoadedError:
            (live,) = (one for one in self.loads() if one[0] == model_id)
            assert live in self.theirs | self.told
            return
        (instance,) = (one for one in self.emulator.instances() if one["modelId"] == model_id)
        assert self.state is not None
        assert (self.state.status, self.state.created) == ("RUNNING", instance["created"])
        assert (instance["status"], instance["concurrency"]) == ("RUNNING", concurrency)

    def deploy(
        self, lifecycle: Lifecycle, declared: ModelInputs, caller: FakeCaller, refresh: bool
    ) -> None:
        """Do as the engine does."""
        if refresh and self.state is not None:
            self.state = lifecycle.read(self.state, caller)
        if self.state is not None:
            change = diff(self.state, declared, frozenset())
            if change.replaces:
                self.delete(lifecycle, caller)
            elif change.needed:
                self.state = lifecycle.update(self.state, declared, caller)
        if self.state is None:
            self.state = lifecycle.create(declared, caller)

    def delete(self, lifecycle: Lifecycle, caller: FakeCaller) -> None:
        assert self.state is not None
        lifecycle.delete(self.state, caller)
        self.state = None

    def caller(self, stop: tuple[int, Stop] | None) -> FakeCaller:
        caller = FakeCaller(self.urn, timeout_seconds=300)
        if stop is not None:
            number, why = stop
            if number:
                caller.end_at_report(number, why)
            else:
                caller.end(why)
        return caller

    def tell_to_adopt(self, model_id: str) -> None:
        adopted = {one for one in self.loads() if one[0] == model_id}
        self.told |= adopted
        self.theirs -= adopted

    def attempt(self, operation: Callable[[], object]) -> None:
        try:
            operation()
        except BytezError as error:
            self.hear(error)

    def hear(self, error: BytezError) -> None:
        """What a user was told may be running is not unnamed."""
        assert SENTENCE.fullmatch(str(error)), str(error)
        if "may still be running" in str(error) or "may go on costing" in str(error):
            self.told |= self.loads()

    def loads(self) -> set[Load]:
        """Return what is really loaded."""
        return {(one["modelId"], one["created"]) for one in self.emulator.instances()}

    # ------------------------------------------------------------------------- promises

    @invariant()
    def nothing_of_theirs_was_unloaded(self) -> None:
        if hasattr(self, "machine"):
            assert not self.theirs & set(self.unloaded)

    @invariant()
    def every_load_of_ours_has_a_name(self) -> None:
        if not hasattr(self, "machine"):
            return
        named = self.theirs | self.told
        if self.state is not None and self.state.created is not None:
            named.add((self.state.model_id, self.state.created))
        noted = {note.model_id for note in self.machine.process().journal.unfinished()}
        nameless = {one for one in self.loads() - named if one[0] not in noted}
        assert not nameless


@pytest.mark.parametrize("_", [None])
def test_whatever_comes(_: None) -> None:
    """The same examples in every run."""
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(
        Deployments,
        settings=settings(
            max_examples=25,
            stateful_step_count=12,
            derandomize=True,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
