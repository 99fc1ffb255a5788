"""Three stacks of one account, deployed again and again from two machines, with trouble."""

from __future__ import annotations

import dataclasses
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from bytez_provider.emulator import Emulator
from bytez_provider.service.settings import ApiVersion
from tests.asking import API_VERSIONS
from tests.stateful import faults, promises
from tests.stateful.books import OTHERS, Books, Load, reset
from tests.stateful.cleaning import unload_unfinished
from tests.stateful.engine import NOT_SAVED, Engine, Result, Timeouts
from tests.stateful.host import Blow, Moment, Process
from tests.stateful.program import FLEET, Declared, Program

KEY = "stateful-key-0123456789"
MODELS = ("openai-community/gpt2", "microsoft/phi-1", "facebook/opt-1.3b")
NAMES = ("one", "two", f"{FLEET}-x", f"{FLEET}-y")
HERE, THERE = "here", "there"


@dataclass(frozen=True)
class Site:
    """A stack, and the backend of its state; two stacks share a name."""

    stack: str
    backend: str


SITES = {
    "dev": Site("dev", "file:///states"),
    "prod": Site("prod", "file:///states"),
    # Another checkout, with a state of its own: the URNs are those of "dev".
    "clone": Site("dev", "file:///clone"),
}

_TIMEOUTS = (Timeouts(12, 12, 6), Timeouts(100, 100, 6))
_PEACEFUL_UPS = 4
"""How many a stack needs at most to recover from everything before."""
_UNCLEAR_SECONDS = 310
"""How long another's load may be mistaken for one that was requested without an answer."""

STAYS = re.compile(r"'([^' ]+)' was still [A-Z ]+ after [\dms]+, and is left to boot")
"""How a fleet's error names a model that was booting at the limit."""

BOOTS = ("DEPLOYING", "LOADING", "BOOTING INSTANCE")
"""The words of the service for a boot, as progress shows them."""

models = st.sampled_from(MODELS)
stacks = st.sampled_from([*SITES, "dev"])
machines = st.sampled_from([HERE, HERE, THERE])
names = st.sampled_from(NAMES)
expiries = st.sampled_from([None, None, 60, 600])
declared = st.builds(
    Declared,
    model_id=models,
    concurrency=st.integers(0, 2),
    max_concurrency=st.sampled_from([None, None, 2, 3]),
    expiration_period_seconds=expiries,
    adopt=st.booleans(),
    on_expiry=st.sampled_from(["reload", "reload", "reload", "accept"]),
)
_OFTEN: list[faults.Rule] = [
    {"first": 1},
    {"first": 2},
    {"first": 6},
    {"probability": 0.1},
    {"probability": 0.3},
]
often = st.sampled_from(_OFTEN)
menu = st.sampled_from(faults.menu(KEY))


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
"""The faults from now on: the same as before, or others."""


class Tally:
    """Counts of a run."""

    def __init__(self) -> None:
        self.examples = 0
        self.rules = 0
        self.apis: Counter[str] = Counter()
        self.ends: Counter[str] = Counter()
        self.steps: Counter[str] = Counter()
        self.blows: Counter[str] = Counter()
        self.struck: Counter[str] = Counter()
        self.world: Counter[str] = Counter()
        self.requests = 0


@dataclass(frozen=True)
class Asked:
    """A requested load that no state names: when, in emulated seconds, and in which journal."""

    at: float
    journal: Path


class Deployments(RuleBasedStateMachine):
    """Three stacks of one account, and somebody else who uses the account too."""

    emulator: Emulator
    """One for all examples: a server takes longer to start than most of them."""
    tally = Tally()

    @initialize(
        api=st.sampled_from(API_VERSIONS),
        timeouts=st.sampled_from(_TIMEOUTS),
        shared=st.booleans(),
        dev=st.dictionaries(names, declared, min_size=1),
        prod=st.dictionaries(names, declared, min_size=1),
        clone=st.dictionaries(names, declared, max_size=2),
    )
    def begin(
        self,
        timeouts: Timeouts,
        shared: bool,
        api: ApiVersion = "2024-05",
        **given: dict[str, Declared],
    ) -> None:
        """Begin with programs for one API; the machines share a journal, or have one each."""
        self.tally.examples += 1
        self.tally.apis[api] += 1
        self.api = api
        self.keys = [KEY]
        self.emulator.keys = tuple(self.keys)
        reset(self.emulator)
        self.folder = Path(tempfile.mkdtemp(prefix="bytez-stateful-"))
        own = self.folder / THERE
        self.journals = {HERE: self.folder / HERE, THERE: self.folder / HERE if shared else own}
        self.shared = shared
        self.books = Books(self.emulator, api)
        self.programs = {name: Program(site.stack) for name, site in SITES.items()}
        self.engines = {name: Engine(timeouts) for name in SITES}
        self.disturbed: set[str] = set()
        self.unclear: dict[str, Asked] = {}
        self.process: Process | None = None
        for stack, models_of in given.items():
            for name, one in models_of.items():
                self.programs[stack].declare(name, one.for_api(api))

    def check_invariants(self, *args: Any, **given: Any) -> None:
        """Count the step; hypothesis calls this after each."""
        self.tally.rules += 1
        super().check_invariants(*args, **given)

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            try:
                self.clean_up_everywhere()
            finally:
                shutil.rmtree(self.folder)

    # ------------------------------------------------------------------------- programs

    @rule(stack=stacks, name=names, declared=declared)
    def declare(self, stack: str, name: str, declared: Declared) -> None:
        """Add a model, or change one."""
        self.programs[stack].declare(name, declared.for_api(self.api))

    @precondition(lambda self: any(one.models for one in self.programs.values()))
    @rule(
        data=st.data(),
        concurrency=st.integers(0, 2),
        most=st.sampled_from([None, 2, 3]),
        expiry=expiries,
    )
    def change_settings(
        self, data: st.DataObject, concurrency: int, most: int | None, expiry: int | None
    ) -> None:
        """Change what some versions change in place, and others with a replacement."""
        program, name = data.draw(self.resource())
        changed = dataclasses.replace(
            program.models[name],
            concurrency=concurrency,
            max_concurrency=most,
            expiration_period_seconds=expiry,
        )
        program.declare(name, changed.for_api(self.api))

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

    @precondition(lambda self: any(len(one.models) > 1 for one in self.programs.values()))
    @rule(data=st.data())
    def swap(self, data: st.DataObject) -> None:
        """Give a resource the model of another, which gets the first one's or is dropped."""
        program, name = data.draw(self.resource())
        others = [one for one in program.models if one != name]
        if others:
            program.swap(name, data.draw(st.sampled_from(others)), keep=data.draw(st.booleans()))

    def resource(self) -> st.SearchStrategy[tuple[Program, str]]:
        """Return a declared resource."""
        return st.sampled_from(
            [(program, name) for program in self.programs.values() for name in program.models]
        )

    # ----------------------------------------------------------------------------- events

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
        self.books.somebody_runs(model_id, may_load=not self.is_awaited(model_id))

    @precondition(lambda self: self.api == "2025-04")
    @rule(model_id=models, concurrency=st.integers(1, 2))
    def somebody_rescales(self, model_id: str, concurrency: int) -> None:
        self.books.somebody_rescales(model_id, concurrency)

    @rule(seconds=st.sampled_from([1, 20, 70, 400, 1900]))
    def time_passes(self, seconds: float) -> None:
        self.emulator.advance(seconds)
        assert not self.books.take_stock("nobody")

    @rule(stack=stacks, saves=st.sampled_from([0, 1, 1, 2, 4, None, None]))
    def backend_turns(self, stack: str, saves: int | None) -> None:
        """Let a backend refuse to save, at once or after some steps; or save again."""
        self.engines[stack].saves = saves

    @rule(stack=stacks, number=st.integers(0, 9))
    def restore(self, stack: str, number: int) -> None:
        """Restore an earlier state: the user gives up what only the later one named."""
        engine = self.engines[stack]
        engine.restore(number)
        self.tally.world["restored checkpoints"] += 1
        for load in self.books.loads.values():
            if load.owner == stack and not self.is_named(stack, load):
                load.is_reported = True

    @precondition(lambda self: len(self.keys) < 3)
    @rule()
    def rotate_the_key(self) -> None:
        """Make a new key for everybody, and revoke the old one."""
        self.keys.append(f"{KEY}-{len(self.keys)}")
        self.emulator.keys = (self.keys[-1],)
        self.tally.world["rotated keys"] += 1
        for load in self.books.loads.values():
            # A request without an answer cannot be told from another key's.
            if load.model_id in self.unclear and not self.is_named(load.owner, load):
                load.is_reported = True

    # ------------------------------------------------------------------------- commands

    @rule(
        stack=stacks,
        machine=machines,
        weather=weather,
        refresh=st.booleans(),
        adopt=st.sets(models, max_size=1),
        targeted=st.integers(0, 3).map(lambda one: one == 0),
        data=st.data(),
    )
    def up(
        self,
        stack: str,
        machine: str,
        weather: list[faults.Rule] | None,
        refresh: bool,
        adopt: set[str],
        targeted: bool,
        data: st.DataObject,
    ) -> None:
        self.set_weather(weather)
        targets = None
        if targeted:
            urns = [goal.urn for goal in self.programs[stack].goals()]
            urns += [urn for urn in self.engines[stack].state if urn not in urns]
            targets = frozenset(data.draw(st.sets(st.sampled_from(urns)))) if urns else None
        moments = data.draw(st.lists(self.moment(), max_size=2))
        self.deploy(
            stack, "up", refresh, moments, frozenset(adopt), machine=machine, targets=targets
        )

    @precondition(lambda self: any(one.models for one in self.programs.values()))
    @rule(
        machine=machines,
        weather=st.lists(fault(), max_size=3),
        refresh=st.booleans(),
        data=st.data(),
    )
    def up_in_trouble(
        self, machine: str, weather: list[faults.Rule], refresh: bool, data: st.DataObject
    ) -> None:
        """Deploy a stack that declares something, and let something happen soon."""
        self.set_weather(weather)
        stack = data.draw(st.sampled_from([k for k, one in self.programs.items() if one.models]))
        soon = self.moment(st.integers(1, 6))
        moments = data.draw(st.lists(soon, min_size=1, max_size=2))
        self.deploy(stack, "up", refresh, moments, machine=machine)

    @rule(stack=stacks, machine=machines, weather=weather, data=st.data())
    def refresh(
        self, stack: str, machine: str, weather: list[faults.Rule] | None, data: st.DataObject
    ) -> None:
        self.set_weather(weather)
        moments = data.draw(st.lists(self.moment(), max_size=1))
        self.deploy(stack, "refresh", True, moments, machine=machine)

    @rule(stack=stacks, machine=machines, weather=weather, refresh=st.booleans(), data=st.data())
    def destroy(
        self,
        stack: str,
        machine: str,
        weather: list[faults.Rule] | None,
        refresh: bool,
        data: st.DataObject,
    ) -> None:
        self.set_weather(weather)
        moments = data.draw(st.lists(self.moment(), max_size=1))
        self.deploy(stack, "destroy", refresh, moments, machine=machine)

    @rule(stack=stacks, machine=machines, weather=weather, refresh=st.booleans(), data=st.data())
    def preview(
        self,
        stack: str,
        machine: str,
        weather: list[faults.Rule] | None,
        refresh: bool,
        data: st.DataObject,
    ) -> None:
        """Preview: nothing may be requested, written or saved."""
        self.set_weather(weather)
        engine, journal = self.engines[stack], self.journals[machine]
        moments = data.draw(st.lists(self.moment(), max_size=1))
        before = (dict(engine.state), promises.content_of(journal))
        environ = self.environ(stack, machine)
        process = Process(self.emulator, environ, moments, machine=machine, api=self.api)
        self.process = process
        result = engine.preview(self.programs[stack], process, refresh=refresh)
        self.process = None
        assert process.asked == []
        assert (dict(engine.state), promises.content_of(journal)) == before
        promises.texts_are_sentences(result.errors)
        self.books.take_stock("nobody")
        self.tally.world["previews"] += 1
        self.count(process, result)

    @rule(stack=stacks, machine=machines)
    def clean_up(self, stack: str, machine: str) -> None:
        """Unload the unfinished loads of a stack: all of them, and nothing else."""
        self.emulator.set_faults([])
        self.emulator.advance(61)
        self.books.take_stock("nobody")
        unload_unfinished(
            self.emulator,
            self.environ(stack, machine),
            self.programs[stack].root_urn,
            self.engines[stack].state,
            self.folder / "state.json",
            machine,
            self.api,
        )
        for one in self.books.take_stock(stack):
            is_own = one.load.owner == stack or stack in one.load.allowed
            is_own |= (stack, str(self.journals[machine])) in one.load.formers
            assert is_own, f"a clean-up of {stack} ended {one.load}"
            assert not self.is_named(stack, one.load), f"a clean-up ended {one.load}"
        promises.nothing_is_left(
            stack, self.journals[machine], self.engines[stack].state, self.books
        )
        self.tally.world["clean-ups"] += 1

    def clean_up_everywhere(self) -> None:
        """Check at the end of each example that no load is left without a name."""
        for stack in SITES:
            for machine in (HERE, THERE) if not self.shared else (HERE,):
                self.clean_up(stack, machine)

    def set_weather(self, weather: list[faults.Rule] | None) -> None:
        """Switch faults on and off."""
        if weather is not None:
            faults.switch_on(self.emulator, self.api, weather, self.tally.struck)

    @rule(stack=stacks, machine=machines)
    def up_in_peace(self, stack: str, machine: str) -> None:
        """Without faults, a few ups bring the stack to what it declares."""
        self.emulator.set_faults([])
        self.engines[stack].saves = None
        accepts = False
        for _ in range(_PEACEFUL_UPS):
            self.emulator.advance(61)
            result = self.deploy(stack, "up", True, [], machine=machine, accepts=accepts)
            if result.succeeded:
                return
            # Do what the errors say.
            accepts = "BYTEZ_ACCEPT_ACCOUNT_CHANGE=1" in result.errors[-1]
            for model_id in STAYS.findall(result.errors[-1]):
                # It may be one that never boots.
                self.books.somebody_unloads(model_id)
        assert self.is_in_the_way(stack, machine, result.errors[-1]), result.errors

    def is_in_the_way(self, stack: str, machine: str, error: str) -> bool:
        """Return whether an `up` is rightly refused: the load is not its resource's."""
        for load in self.books.loads.values():
            if f"could not load '{load.model_id}': " in error and "loaded" in error:
                own_journal = load.journal == str(self.journals[machine])
                return load.owner != stack or load.is_reported or not own_journal
        return False

    def moment(self, at: st.SearchStrategy[int] | None = None) -> st.SearchStrategy[Moment]:
        """Return what may happen during a deployment, and when."""
        at = st.integers(1, 14) if at is None else at
        blows = st.sampled_from([blow for blow in Blow if blow is not Blow.OTHERS_ACT])
        kinds = ("loads", "unloads", "runs", "rescales")
        acts = st.builds(self.by_others, models, st.sampled_from(kinds))
        return st.builds(Moment, at, blows) | st.builds(Moment, at, st.just(Blow.OTHERS_ACT), acts)

    def by_others(self, model_id: str, kind: str) -> Callable[[], None]:
        """Return an act of somebody else."""

        def act() -> None:
            self.disturbed.add(model_id)
            if kind == "loads" and not self.is_awaited(model_id):
                self.books.somebody_loads(model_id, 1)
            elif kind == "unloads" and self.is_known(model_id):
                self.books.somebody_unloads(model_id)
            elif kind == "runs":
                self.books.somebody_runs(model_id, may_load=not self.is_awaited(model_id))
            elif kind == "rescales" and self.api == "2025-04":
                self.books.somebody_rescales(model_id, 2)

        return act

    # ------------------------------------------------- what cannot be told apart by anybody

    def is_awaited(self, model_id: str) -> bool:
        """Return whether a load was requested that nobody may have seen yet.

        A load that somebody else makes minutes later cannot be told from it.
        """
        if self.process is not None and ("load", model_id) in self.process.asked:
            return True
        asked = self.unclear.get(model_id)
        return asked is not None and self.seconds() - asked.at < _UNCLEAR_SECONDS

    def is_known(self, model_id: str) -> bool:
        """Return whether the load of a model can be told from a later one.

        It cannot if it is gone before anybody has seen its `created`, and another is made at once.
        """
        live = self.books.of_model(model_id)
        if live is None:
            return False
        load = self.books.loads.get((model_id, live["created"]))
        if load is not None and load.owner == OTHERS:
            return True
        if any(self.is_in_state(stack, model_id, live["created"]) for stack in SITES):
            return True
        # Its status was shown.
        shown = self.process.rows if self.process is not None else []
        return any(
            model_id in self.declared_as(urn) and any(word in row for word in BOOTS)
            for urn, row in shown
        )

    def declared_as(self, urn: str) -> set[str]:
        """Return the models that the programs declare under a URN."""
        return {
            one.model_id
            for program in self.programs.values()
            for name, one in program.models.items()
            if program.urn(name) == urn
        }

    def is_in_state(self, stack: str, model_id: str, created: str) -> bool:
        """Return whether the state of a stack names a load."""
        return stack in self.engines and any(
            one.is_model and (one.id, one.outputs.get("created")) == (model_id, created)
            for one in self.engines[stack].state.values()
        )

    def is_named(self, stack: str, load: Load) -> bool:
        """Return whether the state of a stack names a load."""
        return self.is_in_state(stack, load.model_id, load.created)

    def seconds(self) -> float:
        """Return the service's time in seconds."""
        return self.emulator.now().timestamp()

    def wait_where_it_is_unclear(self, stack: str, machine: str) -> None:
        """Let time pass if another journal has a request without an answer.

        Two journals do not know each other, so a load made minutes later would be taken for it:
        that is why machines should share a journal.
        """
        journal = self.journals[machine]
        wanted = {one.model_id for one in self.programs[stack].models.values()}
        for model_id, asked in self.unclear.items():
            if model_id in wanted and asked.journal != journal and self.is_awaited(model_id):
                self.emulator.advance(_UNCLEAR_SECONDS)
                self.books.take_stock("nobody")

    # --------------------------------------------------------------------------- deployments

    def deploy(
        self,
        stack: str,
        command: str,
        refresh: bool,
        moments: list[Moment],
        adopt: frozenset[str] = frozenset(),
        *,
        machine: str = HERE,
        targets: frozenset[str] | None = None,
        accepts: bool = False,
    ) -> Result:
        """Run a command in a provider process of its own, then check the promises."""
        self.wait_where_it_is_unclear(stack, machine)
        self.books.take_stock("nobody")
        self.disturbed = set()
        engine, program = self.engines[stack], self.programs[stack]
        before, loads = dict(engine.state), dict(self.books.loads)
        lingering = self.books.lingering()
        environ = self.environ(stack, machine, adopt, accepts=accepts)
        process = Process(self.emulator, environ, moments, machine=machine, api=self.api)
        self.process = process
        began = self.emulator.now()
        if command == "up":
            result = engine.up(program, process, refresh=refresh, targets=targets)
        elif command == "destroy":
            result = engine.destroy(process, refresh=refresh)
        else:
            result = engine.refresh(process)
        self.process = None
        journal = self.journals[machine]
        ended = self.books.take_stock(stack, str(journal))
        now = self.emulator.now()
        expired = {load.model_id for load in loads.values() if load.expired_by(now)}
        done = promises.Deployment(
            api=self.api,
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
            journal=str(journal),
            targets=targets,
        )
        self.count(process, result)
        if machine == THERE:
            self.tally.world["deployments elsewhere"] += 1
        if targets is not None:
            self.tally.world["with --target"] += 1
        note(f"{command} {stack} {machine}: {result.end} {result.steps} {result.errors}")
        self.hold(done, list(ended))
        self.note_what_is_unclear(process, journal)
        return result

    def note_what_is_unclear(self, process: Process, journal: Path) -> None:
        """Note which loads were requested, and which of them a state names by now."""
        for ask, model_id in process.asked:
            if ask == "load":
                self.unclear[model_id] = Asked(self.seconds(), journal)
        for model_id in list(self.unclear):
            live = self.books.of_model(model_id)
            if live is not None and any(
                self.is_in_state(stack, model_id, live["created"]) for stack in SITES
            ):
                del self.unclear[model_id]

    def hold(self, done: promises.Deployment, ended: list[Any]) -> None:
        """Check the promises."""
        promises.nothing_of_others_was_touched(done, ended)
        promises.nothing_of_others_was_rescaled(done, self.books)
        promises.settings_change_in_place(done, ended)
        promises.take_overs_are_allowed(done, self.books)
        promises.note_reports(done, self.books)
        promises.success_is_true(done, self.books)
        promises.texts_are_sentences(done.result.errors)
        promises.a_failure_says_why(done)
        promises.nothing_holds_the_key(done, self.keys[-1:], self.folder)

    def environ(
        self,
        stack: str,
        machine: str,
        adopt: frozenset[str] = frozenset(),
        *,
        accepts: bool = False,
    ) -> dict[str, str]:
        """Return the environment of a deployment."""
        return {
            "BYTEZ_KEY": self.keys[-1],
            "BYTEZ_ENDPOINT": self.emulator.url,
            "BYTEZ_JOURNAL": str(self.journals[machine]),
            "BYTEZ_ADOPT": ",".join(sorted(adopt)),
            "PULUMI_BACKEND_URL": SITES[stack].backend,
            **({"BYTEZ_ACCEPT_ACCOUNT_CHANGE": "1"} if accepts else {}),
        }

    def count(self, process: Process, result: Result) -> None:
        """Enter a deployment into the tally."""
        self.tally.requests += process.requests
        self.tally.world["settings changed in place"] += sum(
            ask == "rescale" for ask, _ in process.asked
        )
        self.tally.blows.update(process.struck)
        self.tally.ends[result.end] += 1
        self.tally.steps.update(what for what, _ in result.steps)
        self.tally.world["saves refused"] += result.errors.count(NOT_SAVED)
