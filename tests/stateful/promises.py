"""What holds after every deployment."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bytez_provider.service.settings import ApiVersion
from tests.stateful.books import Books, Ended, Load
from tests.stateful.engine import NOT_SAVED, NOT_TARGETED, Resource, Result
from tests.stateful.program import FLEET, Declared, Program

SENTENCE = re.compile(r"could not [a-z ]+ '[\w./-]+': [^\n]+\. [A-Z][^\n]+[^.]\.")
EOF = "error reading from server: EOF"
MAY_RUN = re.compile(
    r"may (still )?(be running|cost money|go on costing)|may have been accepted"
    r"|was left alone|if this state was restored"
)


@dataclass(frozen=True)
class Deployment:
    """A deployment that has ended.

    Attributes:
        command: "up", "refresh" or "destroy".
        before: The state before it; `state` is the one after it.
        adopt: Models that the user allowed this deployment to take over.
        disturbed: Models that somebody else touched meanwhile.
        expired: Models of which a load expired meanwhile.
        lasted: Emulated seconds that it took.
        targets: The URNs that it was limited to; None for all.
    """

    api: ApiVersion
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
    journal: str
    targets: frozenset[str] | None = None

    def consents(self, load: Load) -> bool:
        """Return whether the stack may take over a load of another."""
        may = self.program.adopts(load.model_id) or load.model_id in self.adopt
        is_begun = self.journal in load.allowed.get(self.stack, ())
        return (self.command == "up" and (may or is_begun)) or self._heals(load)

    def _heals(self, load: Load) -> bool:
        """Return whether a refresh may take over what runs instead of our load.

        A run of a cluster that has expired makes another, with settings of the service.
        """
        may = load.model_id in self.adopt or any(
            one.id == load.model_id and one.outputs.get("adopt") for one in self.before.values()
        )
        return self.api == "2025-04" and self.refreshed and may

    def concerns(self, urn: str) -> bool:
        """Return whether the deployment included a resource."""
        return self.targets is None or urn in self.targets


def nothing_of_others_was_touched(done: Deployment, ended: Iterable[Ended]) -> None:
    """It unloads only what it has loaded or may adopt."""
    for one in ended:
        allowed = one.load.owner == done.stack or done.consents(one.load)
        allowed = allowed or _is_apart(done, one.load)
        assert allowed, f"{done.stack} unloaded a load of {one.load.owner}: {one.load.answer}"


def nothing_of_others_was_rescaled(done: Deployment, books: Books) -> None:
    """It changes the settings only of what it has loaded or may adopt."""
    for load in books.rescaled:
        allowed = load.owner == done.stack or done.consents(load) or _is_apart(done, load)
        assert allowed, f"{done.stack} changed a load of {load.owner}: {load.answer}"


def settings_change_in_place(done: Deployment, ended: Iterable[Ended]) -> None:
    """With clusters, a load that is declared before and after an `up` goes on running."""
    if done.api != "2025-04" or done.command != "up":
        return
    declared = {
        (urn, done.program.models[goal.name].model_id)
        for goal in done.program.goals()
        if goal.name in done.program.models
        for urn in (goal.urn, *goal.aliases)
    }
    for one in ended:
        load = one.load
        is_kept = any(
            _names(was, load)
            and was.outputs.get("status") in ("RUNNING", None)
            and (urn, load.model_id) in declared
            for urn, was in done.before.items()
        )
        is_ours = load.owner == done.stack and load.is_running
        is_calm = load.model_id not in done.disturbed
        assert not (is_kept and is_ours and is_calm), f"{done.stack} unloaded {load}"


def take_overs_are_allowed(done: Deployment, books: Books) -> None:
    """A load changes its owner only if the program or the user allows it."""
    for urn, one in done.state.items():
        load = books.loads.get((one.id, one.outputs.get("created", "")))
        was = done.before.get(urn)
        is_new = was is None or was.outputs.get("created") != one.outputs.get("created")
        if is_new and one.is_model and load is not None and load.owner != done.stack:
            allowed = done.consents(load) or _is_apart(done, load)
            assert allowed, f"{urn} took over {load}"
            load.hand_over(done.stack, done.journal)
    # An allowed take-over that was interrupted goes on without being allowed again.
    for load in books.loads.values():
        if load.owner != done.stack and done.consents(load) and not done.result.succeeded:
            load.allowed.setdefault(done.stack, set()).add(done.journal)


def _is_apart(done: Deployment, load: Load) -> bool:
    """Return whether a stack cannot know that another has taken its load over.

    Its state or its journal names the load, and the take-over is in another journal.
    """
    was_own = any(_names(was, load) for was in done.before.values())
    return load.journal != done.journal and (was_own or (done.stack, done.journal) in load.formers)


def nothing_is_left(
    stack: str, journal: object, state: Mapping[str, Resource], books: Books
) -> None:
    """After a clean-up, the state of a stack names every load of it."""
    for load in books.loads.values():
        if load.owner == stack and load.journal == str(journal) and not load.is_reported:
            named = any(_names(one, load) for one in state.values())
            assert named, f"{stack} has no name for {load.answer}"


def _names(resource: Resource, load: Load) -> bool:
    return (
        resource.is_model
        and not resource.pending_replacement
        and resource.outputs.get("status") != "NOT_LOADED"
        and (resource.id, resource.outputs.get("created")) == (load.model_id, load.created)
    )


def note_reports(done: Deployment, books: Books) -> None:
    """Note loads that the user knows of, because a message says that they may be running."""
    for text in (*done.result.errors, *done.result.said):
        if done.result.end != "killed" and MAY_RUN.search(text):
            for load in books.loads.values():
                if load.owner == done.stack and f"'{load.model_id}'" in text:
                    load.is_reported = True


def success_is_true(done: Deployment, books: Books) -> None:
    """After a success, what Pulumi shows as loaded is loaded, and what it removed is gone."""
    if not done.result.succeeded:
        return
    declared = {goal.urn for goal in done.program.goals()} if done.command != "destroy" else set()
    if done.command != "refresh" and done.targets is None:
        assert set(done.state) == declared
    if done.command == "up":
        for urn in filter(done.concerns, declared):
            _is_as_declared(done, urn, books)
    for urn, old in done.before.items():
        if urn not in done.state and old.is_model and not old.pending_replacement:
            load = books.loads.get((old.id, old.outputs.get("created", "")))
            left_alone = load is None or load.owner != done.stack or load.is_reported
            # Left to a resource that a restored state may lack: the clean-up must find it then.
            left_alone |= any(f"'{old.id}' was left running" in text for text in done.result.said)
            named = load is not None and any(_names(one, load) for one in done.state.values())
            # An interrupted take-over of it is found by the clean-up.
            is_begun = load is not None and load.journal != done.journal
            assert left_alone or named or is_begun, f"{urn} is gone from the state, and {load} runs"


def _is_as_declared(done: Deployment, urn: str, books: Books) -> None:
    if urn not in done.state:
        assert done.targets is not None  # A dependency was missing.
        return
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
        if ready not in done.state or not done.concerns(ready):
            return  # With `--target` nobody waits for a fleet's model.
        # With `--target` the readiness may be missing, or older than this model.
        waits = done.state.get(ready)
        seen = waits and waits.outputs["statuses"].get(one.name.removeprefix(f"{FLEET}-"))
        touched = any(on == ready and what != "same" for what, on in done.result.steps)
    model_id = one.id
    if model_id in done.disturbed | done.expired or not (touched or done.refreshed):
        return
    declared = done.program.models[one.name]
    if declared.on_expiry == "accept" and "NOT_LOADED" in (one.outputs.get("status"), seen):
        return
    load = books.loads.get((model_id, one.outputs["created"]))
    if load is None and done.lasted > declared.idle_seconds(done.api):
        return  # It was RUNNING, and idle for too long while others booted.
    assert load is not None, f"{urn} is said to be loaded, and is not"
    assert load.is_running, f"{urn} is said to run, and is {load}"
    _has_settings(done, urn, declared, load)


def _has_settings(done: Deployment, urn: str, declared: Declared, load: Load) -> None:
    if done.api != "2025-04":
        assert load.settings[0] == declared.concurrency, f"{urn} is not as declared: {load}"
        return
    was = done.before.get(urn)
    names = ("concurrency", "maxConcurrency", "expirationPeriodSeconds")
    declares = declared.inputs(in_fleet=False)
    is_changed = was is None or any(was.inputs.get(name) != declares.get(name) for name in names)
    steps = [what for what, on in done.result.steps if on == urn]
    # The readiness of a fleet looks at statuses only.
    if done.refreshed or "create" in steps or (is_changed and "update" in steps):
        most = declared.max_concurrency or max(declared.concurrency, 1)
        taken = (declared.concurrency, most, declared.idle_seconds(done.api))
        assert load.settings == taken, f"{urn} is not as declared: {load}"


def texts_are_sentences(errors: Iterable[str]) -> None:
    """Every error says what was observed, what state things are in and what to do."""
    for text in errors:
        is_known = text in (EOF, NOT_SAVED, NOT_TARGETED) or text.startswith("'")
        assert is_known or SENTENCE.fullmatch(text), text


def a_failure_says_why(done: Deployment) -> None:
    """A command that failed has an error."""
    if not done.result.succeeded:
        assert done.result.errors or done.result.end in ("cancelled", "killed")


def content_of(journal: Path) -> dict[str, bytes]:
    """Return the files of a journal."""
    if not journal.exists():
        return {}
    return {path.name: path.read_bytes() for path in journal.rglob("*") if path.is_file()}


def nothing_holds_the_key(done: Deployment, keys: Iterable[str], folder: Path) -> None:
    """No secret in any output, state, record or error."""
    bags = [(one.inputs, one.outputs) for one in done.state.values()]
    texts = [json.dumps(bags), *done.result.errors, *done.result.said]
    texts += [path.read_text(encoding="utf-8") for path in folder.rglob("*") if path.is_file()]
    assert not any(key in text for key in keys for text in texts)
