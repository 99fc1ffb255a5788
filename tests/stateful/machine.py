"""Two stacks of one account, deployed again and again, whatever comes."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from bytez_provider.config import Key
from bytez_provider.emulator import Emulator
from bytez_provider.journal import Journal, Note
from bytez_provider.schemas import iso
from tests.stateful import faults, promises
from tests.stateful.books import OTHERS, Books, begin_anew
from tests.stateful.engine import Engine, Result, Timeouts
from tests.stateful.host import Process
from tests.stateful.moments import Blow, Moment
from tests.stateful.program import FLEET, Declared, Program

KEY = "stateful-key-0123456789"
MODELS = ("openai-community/gpt2", "microsoft/phi-1", "facebook/opt-1.3b")
STACKS = ("dev", "prod")
NAMES = ("one", "two", f"{FLEET}-x", f"{FLEET}-y")

_TIMEOUTS = (Timeouts(12, 12, 6), Timeouts(100, 100, 6))
_PEACEFUL_UPS = 3
"""So many until a stack has come to terms with all that went wrong before."""

STAYS = re.compile(r"'([^' ]+)' was still [A-Z]+ after [\dms]+, and stays")
"""How a fleet's error names a model that was booting at the limit."""

models = st.sampled_from(MODELS)
stacks = st.sampled_from(STACKS)
names = st.sampled_from(NAMES)
declared = st.builds(
    Declared,
    model_id=models,
    concurrency=st.integers(1, 2),
    expiration_period_seconds=st.sampled_from([None, None, 60, 600]),
    adopt=st.booleans(),
    on_expiry=st.sampled_from(["reload", "reload", "reload", "accept"]),
)
menu = st.sampled_from(faults.menu(KEY))
_OFTEN: list[faults.Rule] = [
    {"first": 1},
    {"first": 2},
    {"first": 6},
    {"probability": 0.1},
    {"probability": 0.3},
]
often = st.sampled_from(_OFTEN)


@st.composite
def fault(draw: st.DrawFn) -> faults.Rule:
    """Return one fault: on the first few requests, on some, or on all of them."""
    rule = dict(draw(menu))
    if draw(st.integers(0, 3)):
        rule.update(draw(often))
    if "probability" in rule:
        rule["seed"] = draw(st.integers(0, 99))
    if not draw(st.integers(0, 3)):
        rule["model"] = draw(models)
    return rule


weather = st.none() | st.lists(fault(), max_size=3)
"""What the service does from now on: as before, or other faults, or none."""


class Tally:
    """What was done in all examples of a run."""

    def __init__(self) -> None:
        self.examples = 0
        self.rules = 0
        self.ends: Counter[str] = Counter()
        self.steps: Counter[str] = Counter()
        self.blows: Counter[str] = Counter()
        self.struck: Counter[str] = Counter()
        self.requests = 0


class Deployments(RuleBasedStateMachine):
    """Two stacks of one account on one machine, and somebody else who uses the account too."""

    emulator: Emulator
    """One for all examples: to start a server takes longer than most of them."""
    tally = Tally()

    @initialize(
        timeouts=st.sampled_from(_TIMEOUTS),
        dev=st.dictionaries(names, declared, min_size=1),
        prod=st.dictionaries(names, declared),
    )
    def begin(
        self, timeouts: Timeouts, dev: dict[str, Declared], prod: dict[str, Declared]
    ) -> None:
        self.tally.examples += 1
        begin_anew(self.emulator)
        self.folder = Path(tempfile.mkdtemp(prefix="bytez-stateful-"))
        self.books = Books(self.emulator)
        self.programs = {stack: Program(stack) for stack in STACKS}
        self.engines = {stack: Engine(timeouts) for stack in STACKS}
        self.disturbed: set[str] = set()
        for stack, given in (("dev", dev), ("prod", prod)):
            for name, one in given.items():
                self.programs[stack].declare(name, one)

    def check_invariants(self, *args: Any, **given: Any) -> None:
        """Count the step that was just done: hypothesis calls this after each."""
        self.tally.rules += 1
        super().check_invariants(*args, **given)

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            shutil.rmtree(self.folder)

    # --------------------------------------------------------------------- what users write

    @rule(stack=stacks, name=names, declared=declared)
    def declare(self, stack: str, name: str, declared: Declared) -> None:
        """Add a model, or change one: what it is, its settings, whether it adopts."""
        self.programs[stack].declare(name, declared)

    @precondition(lambda self: any(one.models for one in self.programs.values()))
    @rule(data=st.data())
    def drop(self, data: st.DataObject) -> None:
        program, name = data.draw(self.resource())
        program.drop(name)

    @precondition(lambda self: any(one.models for one in self.programs.values()))
    @rule(data=st.data(), new=names, alias=st.booleans())
    def rename(self, data: st.DataObject, new: str, alias: bool) -> None:
        """Rename a resource, or move it into the fleet or out of it."""
        program, old = data.draw(self.resource())
        program.rename(old, new, alias=alias)

    def resource(self) -> st.SearchStrategy[tuple[Program, str]]:
        """Return one of the resources that are declared."""
        return st.sampled_from(
            [(program, name) for program in self.programs.values() for name in program.models]
        )

    # ------------------------------------------------------------------------- what happens

    @rule(model_id=models, concurrency=st.integers(1, 2))
    def somebody_loads(self, model_id: str, concurrency: int) -> None:
        if not self.is_awaited(model_id):
            self.books.somebody_loads(model_id, concurrency)

    @rule(model_id=models)
    def somebody_unloads(self, model_id: str) -> None:
        if self.is_known(model_id):
            self.books.somebody_unloads(model_id)

    @rule(model_id=models)
    def somebody_runs(self, model_id: str) -> None:
        self.books.somebody_runs(model_id)

    @rule(seconds=st.sampled_from([1, 20, 70, 400, 1900]))
    def time_passes(self, seconds: float) -> None:
        self.emulator.advance(seconds)
        assert not self.books.take_stock("nobody")

    # -------------------------------------------------------------------- what users command

    @rule(
        stack=stacks,
        weather=weather,
        refresh=st.booleans(),
        adopt=st.sets(models, max_size=1),
        data=st.data(),
    )
    def up(
        self,
        stack: str,
        weather: list[faults.Rule] | None,
        refresh: bool,
        adopt: set[str],
        data: st.DataObject,
    ) -> None:
        self.let_be(weather)
        moments = data.draw(st.lists(self.moment(), max_size=2))
        self.deploy(stack, "up", refresh, moments, frozenset(adopt))

    @rule(stack=stacks, weather=weather, data=st.data())
    def refresh(self, stack: str, weather: list[faults.Rule] | None, data: st.DataObject) -> None:
        self.let_be(weather)
        self.deploy(stack, "refresh", True, data.draw(st.lists(self.moment(), max_size=1)))

    @rule(stack=stacks, weather=weather, refresh=st.booleans(), data=st.data())
    def destroy(
        self, stack: str, weather: list[faults.Rule] | None, refresh: bool, data: st.DataObject
    ) -> None:
        self.let_be(weather)
        self.deploy(stack, "destroy", refresh, data.draw(st.lists(self.moment(), max_size=1)))

    def let_be(self, weather: list[faults.Rule] | None) -> None:
        """Switch faults on and off."""
        if weather is not None:
            faults.switch_on(self.emulator, weather, self.tally.struck)

    @rule(stack=stacks)
    def up_in_peace(self, stack: str) -> None:
        """With nothing in the way any more, a few ups make it so."""
        self.emulator.set_faults([])
        for _ in range(_PEACEFUL_UPS):
            self.emulator.advance(61)
            result = self.deploy(stack, "up", True, [])
            if result.succeeded:
                return
            for model_id in STAYS.findall(result.errors[-1]):
                # It may be one that never boots. The error says what to do, and that is done.
                self.books.somebody_unloads(model_id)
        assert self.is_in_the_way(stack, result.errors[-1]), result.errors

    def is_in_the_way(self, stack: str, error: str) -> bool:
        """Tell whether an `up` is right to be refused: what is loaded is not its resource's."""
        program = self.programs[stack]
        for load in self.books.loads.values():
            if f"could not load '{load.model_id}': it is already loaded" in error:
                wanted = {
                    program.urn(name)
                    for name, one in program.models.items()
                    if one.model_id == load.model_id
                }
                named = {one.urn for one in self.notes() if one.model_id == load.model_id}
                named |= {
                    one.urn
                    for one in self.engines[stack].state.values()
                    if one.is_model and one.id == load.model_id
                }
                return load.owner != stack or load.told or bool(named - wanted)
        return False

    def moment(self) -> st.SearchStrategy[Moment]:
        """Return what may happen in the midst of a deployment."""
        at = st.integers(1, 14)
        blows = st.sampled_from([blow for blow in Blow if blow is not Blow.OTHERS_ACT])
        acts = st.builds(self.by_others, models, st.booleans())
        return st.builds(Moment, at, blows) | st.builds(Moment, at, st.just(Blow.OTHERS_ACT), acts)

    def by_others(self, model_id: str, loads: bool) -> Callable[[], None]:
        """Return what somebody else does when the moment has come."""

        def act() -> None:
            self.disturbed.add(model_id)
            if loads and not self.is_awaited(model_id):
                self.books.somebody_loads(model_id, 1)
            elif not loads and self.is_known(model_id):
                self.books.somebody_unloads(model_id)

        return act

    def is_awaited(self, model_id: str) -> bool:
        """Tell whether there is a note of a load of a model that nobody has seen yet.

        One that somebody else makes within minutes of it cannot be told from the one noted.
        """
        return any(one.model_id == model_id and one.created is None for one in self.notes())

    def is_known(self, model_id: str) -> bool:
        """Tell whether the load of a model is one that could be told from a later one.

        Where it is gone before anybody has seen its `created`, and another is made at once, then
        nothing that the service says tells them apart.
        """
        live = self.books.of_model(model_id)
        if live is None:
            return False
        created = live["created"]
        load = self.books.loads.get((model_id, created))
        notes = [(note.model_id, note.created and iso(note.created)) for note in self.notes()]
        return (
            (load is not None and load.owner == OTHERS)
            or (model_id, created) in notes
            or any(
                (one.id, one.outputs.get("created")) == (model_id, created)
                for engine in self.engines.values()
                for one in engine.state.values()
            )
        )

    def deploy(
        self,
        stack: str,
        command: str,
        refresh: bool,
        moments: list[Moment],
        adopt: frozenset[str] = frozenset(),
    ) -> Result:
        """Run a command in a provider process of its own, then hold it against the promises."""
        self.books.take_stock("nobody")
        self.disturbed = set()
        engine, program = self.engines[stack], self.programs[stack]
        before, loads = dict(engine.state), dict(self.books.loads)
        lingering = self.books.lingering()
        begun = {
            (one.model_id, iso(one.created))
            for one in self.notes()
            if one.created is not None and one.urn.startswith(f"urn:pulumi:{stack}::")
        }
        process = Process(self.emulator, self.environ(adopt), moments)
        began = self.emulator.now()
        if command == "up":
            result = engine.up(program, process, refresh=refresh)
        elif command == "destroy":
            result = engine.destroy(process, refresh=refresh)
        else:
            result = engine.refresh(process)
        ended = self.books.take_stock(stack)
        now = self.emulator.now()
        expired = {load.model_id for load in loads.values() if load.expired_by(now)}
        done = promises.Deployment(
            stack=stack,
            command=command,
            refreshed=refresh,
            program=program,
            before=before,
            state=engine.state,
            result=result,
            adopt=adopt,
            disturbed=frozenset(self.disturbed) | lingering,
            expired=frozenset(expired),
            lasted=(now - began).total_seconds(),
            begun=frozenset(begun),
        )
        self.count(process, result)
        note(f"{command} {stack}: {result.end} {result.steps} {result.errors}")
        self.hold(done, list(ended))
        return result

    def hold(self, done: promises.Deployment, ended: list[Any]) -> None:
        """Hold what has become against the promises."""
        notes = self.notes()
        promises.nothing_of_others_was_touched(done, ended)
        promises.take_overs_are_allowed(done, self.books)
        promises.take_note_of_what_was_told(done, self.books)
        for stack, engine in self.engines.items():
            promises.nothing_is_nameless(stack, engine.state, notes, self.books)
        promises.success_is_true(done, self.books, notes)
        promises.errors_are_sentences(done)
        promises.nothing_holds_the_key(done, KEY, self.folder)

    def environ(self, adopt: frozenset[str]) -> dict[str, str]:
        """Return the environment of a deployment."""
        return {
            "BYTEZ_KEY": KEY,
            "BYTEZ_ENDPOINT": self.emulator.url,
            "BYTEZ_JOURNAL": str(self.folder),
            "BYTEZ_ADOPT": ",".join(sorted(adopt)),
        }

    def notes(self) -> list[Note]:
        """Return what the journal names."""
        complaints: list[str] = []
        journal = Journal(
            self.folder,
            endpoint=self.emulator.url,
            account=Key(KEY).fingerprint(),
            warn=complaints.append,
        )
        notes = journal.unfinished()
        assert not complaints
        return notes

    def count(self, process: Process, result: Result) -> None:
        """Enter a deployment into the tally."""
        self.tally.requests += process.requests
        self.tally.blows.update(process.struck)
        self.tally.ends[result.end] += 1
        self.tally.steps.update(what for what, _ in result.steps)
