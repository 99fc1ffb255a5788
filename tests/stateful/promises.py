"""What holds after every deployment, whatever came."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from bytez_provider.journal import Note
from bytez_provider.schemas import moment_of
from tests.stateful.books import Books, Ended, Load
from tests.stateful.engine import Resource, Result
from tests.stateful.program import FLEET, Program

SENTENCE = re.compile(r"could not [a-z ]+ '[\w./-]+': [^\n]+\. [A-Z][^\n]+[^.]\.")
EOF = "error reading from server: EOF"
MAY_RUN = re.compile(r"may (still )?(be running|cost money|go on costing)|may have been accepted")
_CLOCKS = timedelta(seconds=4)
"""The `Date` has whole seconds, and a fault may shift it by one: before and after."""


@dataclass(frozen=True)
class Deployment:
    """One deployment that has ended, and what was so before it.

    Attributes:
        stack: Which stack was deployed.
        command: "up", "refresh" or "destroy".
        refreshed: Whether it read all resources first.
        program: What the stack declares.
        before: The state before it.
        state: The state after it.
        result: How it ended.
        adopt: Models that the user allowed to be taken over, for this deployment.
        disturbed: Models that somebody else touched meanwhile.
        expired: Models of which a load expired meanwhile.
        lasted: Emulated seconds that it took.
        begun: Loads that an earlier deployment of the stack noted, which was killed: where it was
            allowed to take one over, that goes on.
    """

    stack: str
    command: str
    refreshed: bool
    program: Program
    before: Mapping[str, Resource]
    state: Mapping[str, Resource]
    result: Result
    adopt: frozenset[str]
    disturbed: frozenset[str]
    expired: frozenset[str]
    lasted: float
    begun: frozenset[tuple[str, str]]

    def consents(self, load: Load) -> bool:
        """Tell whether a load that it did not make may be taken over."""
        may = self.program.adopts(load.model_id) or load.model_id in self.adopt
        is_begun = (load.model_id, load.created) in self.begun
        return self.command == "up" and (may or is_begun)


def nothing_of_others_was_touched(done: Deployment, ended: Iterable[Ended]) -> None:
    """What it did not make and was not told to adopt, it never unloads."""
    for one in ended:
        allowed = one.load.owner == done.stack or done.consents(one.load)
        assert allowed, f"{done.stack} unloaded a load of {one.load.owner}: {one.load.answer}"


def take_overs_are_allowed(done: Deployment, books: Books) -> None:
    """A load passes from one owner to the other only where the program says so."""
    before = {_take_over(one) for one in done.before.values()}
    for urn, one in done.state.items():
        load = books.loads.get((one.id, one.outputs.get("created", "")))
        is_new = one.outputs.get("adoptedAt") is not None and _take_over(one) not in before
        if is_new and load is not None and load.owner != done.stack:
            assert done.consents(load), f"{urn} took over {load}"
            load.owner = done.stack
            load.told = False


def _take_over(one: Resource) -> tuple[str, Any, Any]:
    # Within one moment two models may be taken over.
    return one.id, one.outputs.get("created"), one.outputs.get("adoptedAt")


def nothing_is_nameless(
    stack: str, state: Mapping[str, Resource], notes: Iterable[Note], books: Books
) -> None:
    """What a deployment began is unloaded, or in state, or in the journal, or told to the user."""
    kept = list(notes)
    for load in books.loads.values():
        if load.owner != stack or load.told:
            continue
        named = any(_names(one, load) for one in state.values())
        noted = any(_notes(one, load) for one in kept)
        assert named or noted, f"{stack} has no name for {load.answer}"


def _names(resource: Resource, load: Load) -> bool:
    return (
        resource.is_model
        and not resource.pending_replacement
        and resource.outputs.get("status") != "NOT_LOADED"
        and (resource.id, resource.outputs.get("created")) == (load.model_id, load.created)
    )


def _is_in_state(note: Note, state: Mapping[str, Resource]) -> bool:
    """Tell whether the state names the noted load, be it under another name by now."""
    return note.created is not None and any(
        (one.id, moment_of(one.outputs.get("created"))) == (note.model_id, note.created)
        for one in state.values()
        if one.is_model
    )


def _notes(note: Note, load: Load) -> bool:
    if note.model_id != load.model_id:
        return False
    created = moment_of(load.created)
    assert created is not None
    if note.created is not None:
        return note.created == created
    return note.began - _CLOCKS <= created


def take_note_of_what_was_told(done: Deployment, books: Books) -> None:
    """A load of which the user was told that it may be running is not nameless."""
    for text in (*done.result.errors, *done.result.said):
        if done.result.end != "killed" and MAY_RUN.search(text):
            for load in books.loads.values():
                if load.owner == done.stack and f"'{load.model_id}'" in text:
                    load.told = True


def success_is_true(done: Deployment, books: Books, notes: Iterable[Note]) -> None:
    """What Pulumi says is loaded is loaded; what it says is gone is gone."""
    if not done.result.succeeded:
        return
    kept = list(notes)
    declared = {goal.urn for goal in done.program.goals()} if done.command != "destroy" else set()
    if done.command != "refresh":
        assert set(done.state) == declared
        # One about another model names a load that a killed deployment began before the resource
        # was renamed to this name. And of a replacement that was not done, and that the program
        # has no longer, the engine says nothing to the provider.
        before = (one for one in done.before.values() if not one.pending_replacement)
        asked = {(one.urn, one.id) for one in (*done.state.values(), *before)}
        left = [note for note in kept if (note.urn, note.model_id) in asked]
        # What a kill left beside a state that names the load is cleared by the next read.
        left = [note for note in left if done.refreshed or not _is_in_state(note, done.state)]
        assert not left, f"the journal still has {left}"
    if done.command == "up":
        for urn in declared:
            _is_as_declared(done, urn, books)
    for urn, old in done.before.items():
        if urn not in done.state and old.is_model and not old.pending_replacement:
            load = books.loads.get((old.id, old.outputs.get("created", "")))
            left_alone = load is None or load.owner != done.stack or load.told
            named = load is not None and (
                any(_names(one, load) for one in done.state.values())
                or any(_notes(note, load) for note in kept)
            )
            assert left_alone or named, f"{urn} is gone from the state, and {load} is there"


def _is_as_declared(done: Deployment, urn: str, books: Books) -> None:
    one = done.state[urn]
    assert not one.pending_replacement
    if not one.is_model:
        assert done.state[urn].outputs["ready"] is True
        return
    was = done.before.get(urn)
    looked = ("create",) if was and was.outputs.get("status") == "RUNNING" else ("create", "update")
    touched = any(on == urn and what in looked for what, on in done.result.steps)
    seen = None
    if one.name in done.program.members:
        ready = done.program.ready_urn
        seen = done.state[ready].outputs["statuses"][one.name.removeprefix(f"{FLEET}-")]
        touched = any(on == ready and what != "same" for what, on in done.result.steps)
    model_id = one.id
    if model_id in done.disturbed | done.expired or not (touched or done.refreshed):
        return
    declared = done.program.models[one.name]
    if declared.on_expiry == "accept" and "NOT_LOADED" in (one.outputs.get("status"), seen):
        return
    load = books.loads.get((model_id, one.outputs["created"]))
    if load is None and done.lasted > (declared.expiration_period_seconds or 1800):
        return  # It was RUNNING, and idle for too long while others booted.
    assert load is not None, f"{urn} is said to be loaded, and is not"
    concurrency = declared.concurrency
    assert load.runs_at(concurrency), f"{urn} is said to run at {concurrency}, and is {load}"


def errors_are_sentences(done: Deployment) -> None:
    """Every error is one sentence that says what to do."""
    for text in done.result.errors:
        assert text == EOF or SENTENCE.fullmatch(text), text
    if not done.result.succeeded:
        assert done.result.errors or done.result.end in ("cancelled", "killed")


def nothing_holds_the_key(done: Deployment, key: str, journal: Path) -> None:
    """No secret in any output, state, note or error."""
    bags = [(one.inputs, one.outputs) for one in done.state.values()]
    texts = [json.dumps(bags), *done.result.errors, *done.result.said]
    texts += [path.read_text(encoding="utf-8") for path in journal.glob("*")]
    assert not any(key in text for text in texts)
