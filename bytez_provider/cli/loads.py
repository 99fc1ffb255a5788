"""`load` and `unload`: by hand, which no stack owns, and what a killed deployment left behind."""

from __future__ import annotations

import dataclasses
import signal
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import Literal, NamedTuple

from bytez_provider.audit import Source, Standing, States
from bytez_provider.base.errors import (
    AlreadyLoadedError,
    ApiError,
    BytezError,
    ConfigError,
    ErrorCode,
    InterruptedLoadError,
    InvalidInputError,
    printable,
)
from bytez_provider.base.urns import project_of
from bytez_provider.cli.look import cost_an_hour, facts_of_instance
from bytez_provider.cli.screen import DONE, INTERRUPTED, Screen, code_of
from bytez_provider.cli.session import NOBODY, Session, at_host
from bytez_provider.cli.stacks import Wanted, own_source
from bytez_provider.core.declared import ModelInputs, ModelState
from bytez_provider.core.messages import resource_of
from bytez_provider.core.ownership import Record
from bytez_provider.core.waiting import NOT_FOUND_GRACE_SECONDS, Stop
from bytez_provider.service.schemas import DEPLOYING, RUNNING, Instance, iso, moment_of

_AGAIN = {
    ErrorCode.BOOT_FAILED: "Fix the cause, then load it again",
    ErrorCode.BOOT_TIMEOUT: "Allow more time with --timeout, then load it again",
    ErrorCode.LOAD_LOST: "Load it again",
}
"""What to do after a load that left nothing running."""


class _Person:
    """A `waiter.Caller` for somebody at the command line."""

    urn: str | None = None

    def __init__(
        self, screen: Screen, *, timeout_seconds: float | None = None, waits: bool = True
    ) -> None:
        self.timeout_seconds = timeout_seconds
        self.wake = threading.Event()
        self.interrupted = False
        self.note = screen.note
        self.warn = screen.warn
        self._screen = screen
        self._waits = waits

    def stop(self) -> Stop | None:
        return Stop.CANCELLED if self.wake.is_set() else None

    def report(self, message: str) -> None:
        # The first report comes after the load was accepted.
        if self._waits:
            self._screen.progress(message)
        else:
            self.wake.set()

    def debug(self, message: str) -> None:
        """Show nothing: the command line has no debug log."""

    @contextmanager
    def interrupts(self) -> Iterator[None]:
        """Let the first Ctrl-C end a wait in good order; the second is a KeyboardInterrupt."""

        def first(_signal: int, _frame: FrameType | None) -> None:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            self.interrupted = True
            self.wake.set()

        before = signal.signal(signal.SIGINT, first)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)


# --------------------------------------------------------------------------------------- load


def load(session: Session, inputs: ModelInputs, *, waits: bool, limit_seconds: float) -> int:
    """Load a model and wait until it is RUNNING; after a Ctrl-C it goes on booting."""
    model_id, screen = inputs.model_id, session.screen
    live = session.live(model_id)
    if live is not None:
        raise _already_loaded(session, live)
    session.refuse_unknown("load", model_id)
    person = _Person(screen, timeout_seconds=limit_seconds, waits=waits)
    with person.interrupts(), screen.showing_progress(f"loading {model_id}"):
        try:
            state = session.lifecycle.create(inputs, person)
        except InterruptedLoadError:
            screen.note("interrupted before anything was loaded")
            return INTERRUPTED
        except (BytezError, KeyboardInterrupt) as error:
            if isinstance(error, BytezError) and not person.interrupted:
                raise _for_a_person(session, error, model_id) from None
            # The request may be out, and nobody has seen its answer.
            screen.note("interrupted; see whether it loads with")
            screen.hint(f"bytez-fleet status {model_id}")
            return INTERRUPTED
    is_up = state.status == RUNNING
    # A Ctrl-C at the very end of the boot has interrupted nothing.
    if person.interrupted and not is_up:
        screen.note("interrupted; it goes on booting")
    _show_load(session, state, is_up=is_up)
    return INTERRUPTED if person.interrupted else DONE


def _show_load(session: Session, state: ModelState, *, is_up: bool) -> None:
    model_id, screen, granted = state.model_id, session.screen, state.granted
    instance = Instance(
        model_id=model_id,
        status=state.status or DEPLOYING,
        concurrency=(granted and granted.concurrency) or state.concurrency,
        expiration_period_seconds=state.expiration_period_seconds,
        created=moment_of(state.created),
    )
    facts = facts_of_instance(instance, session)
    screen.document(facts)
    screen.say(f"{model_id} is {'RUNNING' if is_up else 'booting'}")
    screen.note(
        f"concurrency {facts['concurrency']}, {cost_an_hour(facts)}; no stack owns it; "
        f"to {'stop it' if is_up else 'watch it and to stop it'}:"
    )
    if not is_up:
        screen.hint(f"bytez-fleet status {model_id} --watch")
    screen.hint(f"bytez-fleet unload {model_id}")


def _already_loaded(session: Session, live: Instance) -> BytezError:
    at = f" at concurrency {live.concurrency}" if live.concurrency else ""
    since = f" since {iso(live.created)}" if live.created else ""
    owner = session.ledger.judge(live.model_id, live, NOBODY, None).owner
    by = f" by {resource_of(owner, with_place=True)}" if owner else ""
    unload = f"bytez-fleet unload {live.model_id}{' --yes' if owner else ''}"
    return AlreadyLoadedError(
        verb="load",
        subject=live.model_id,
        observed=f"it is already loaded{at}{since} ({live.word}){by}",
        action=f"To load it again, unload it first with `{unload}`",
    )


def _for_a_person(session: Session, error: BytezError, model_id: str) -> BytezError:
    """Return the provider's error with what to do on the command line."""
    is_known, live = True, None
    try:
        live = session.client.status(model_id, tries=1)
    except BytezError:
        is_known = False
    if isinstance(error, AlreadyLoadedError):
        if live is not None:
            return _already_loaded(session, live)
        return error.restated(action="Load it again in a minute")
    if live is None and is_known:
        return error.restated(action=_AGAIN.get(error.code))
    if isinstance(error, ApiError):
        # The next `up` would continue the load; here nobody does.
        return error.restated(action=f"Check it with `bytez-fleet status {model_id}`")
    return error


# ------------------------------------------------------------------------------------- unload


_Reason = Literal["inUse", "justBegun", "notIdentified", "otherLoad", "finished", "undecided"]
_SAID = {
    "unloaded": "is unloaded",
    "notLoaded": "is not loaded",
    "leftAlone": "was left alone",
}


class _Result(NamedTuple):
    """What became of a model; `reason` and `why` say why it was left alone."""

    outcome: Literal["unloaded", "notLoaded", "leftAlone"]
    reason: _Reason | None = None
    why: str = ""


def unload(session: Session, wanted: Wanted, model_ids: Iterable[str], *, yes: bool) -> int:
    """Unload models, one after the other, each until its status agrees.

    Without `yes`, what a stack declares (by default the selected one) or owns is refused.
    """
    tasks = {one: partial(_unload, session, one, yes=yes) for one in model_ids}
    for model_id in tasks:
        session.inputs("unload", model_id)
    if not yes:
        _refuse_declared(session, wanted, tasks)
    return _each(session, tasks)


def unload_unfinished(session: Session, wanted: Wanted) -> int:
    """Unload what deployments began and did not finish, and clear its records.

    Loads of stacks whose state is not wanted are left alone. Without any state, only loads are
    unloaded whose request got no answer.
    """
    session.settings.require_key("unload what is unfinished")
    # Before the states: whatever a deployment finishes in the meantime is then in a state.
    live = session.client.instances()
    records = [one for one in session.ledger.records(live) if one.is_unfinished]
    held = session.held(records)
    states = session.states([_kept_here(session, one) for one in wanted.read(session)], held)
    tasks = {
        one.model_id: partial(_finish, session, states, one)
        for one in records
        if states.standing(one, None) is not Standing.FINISHED
    }
    if not tasks:
        session.screen.say("nothing is unfinished for this key and endpoint")
    return _each(session, tasks)


def _kept_here(session: Session, source: Source) -> Source:
    """Return a state as one of this folder's backend.

    A file does not say where its stack is kept, and another backend may have a stack of that name.
    """
    place = session.identity
    stack = source.stack.but(stack=place.key, place=place.place)
    return dataclasses.replace(source, stack=stack)


def _each(session: Session, tasks: Mapping[str, Callable[[], _Result]]) -> int:
    """Do the task of each model even if one fails; show each outcome at once, and one document."""
    documents = []
    exit_code, screen = DONE, session.screen
    for name, task in tasks.items():
        model_id = printable(name, limit=200)
        try:
            outcome, code, why = task()
        except BytezError as failure:
            screen.fail(str(failure))
            exit_code = exit_code or code_of(failure)
            documents.append(_document(model_id, "failed", failure.code.value, str(failure)))
        except KeyboardInterrupt:
            screen.note(f"interrupted; see whether {model_id} is unloaded with")
            screen.hint(f"bytez-fleet status {model_id}")
            raise
        else:
            if why:
                screen.note(f"'{model_id}': {why}")
            screen.say(f"{model_id} {_SAID[outcome]}")
            documents.append(_document(model_id, outcome, code))
    screen.document({"models": documents})
    return exit_code


def _document(
    model_id: str, outcome: str, code: str | None, error: str | None = None
) -> dict[str, str | None]:
    return {"modelId": model_id, "outcome": outcome, "code": code, "error": error}


def _unload(session: Session, model_id: str, *, yes: bool) -> _Result:
    live = session.live(model_id)
    if live is None:
        session.refuse_unknown("unload", model_id)
        return _Result("notLoaded")
    # A model that is named means the load that runs, whoever owns it.
    judged = session.ledger.judge(model_id, live, NOBODY, None)
    if judged.owner is not None and not yes:
        # The state of its stack may be out of reach here.
        owner = resource_of(judged.owner, with_place=True)
        raise _refused(model_id, f"by the journal, {owner} owns this load")
    return _end(session, live, judged.record)


def _finish(session: Session, states: States, record: Record) -> _Result:
    """Unload the load of a record if it runs and is unfinished, and clear the record."""
    owner = resource_of(record.owner, with_place=True)
    if states.standing(record, None) is Standing.HELD:
        return _Result("leftAlone", "inUse", f"{owner} is working on it{at_host(record)}")
    live = session.live(record.model_id)
    if live is not None:
        return _spared(session, states, record, live) or _end(session, live, record)
    age = (session.client.server_now() - record.began).total_seconds()
    if record.created is None and age < NOT_FOUND_GRACE_SECONDS:
        why = f"{owner} has just begun its load, which may not show for a minute"
        return _Result("leftAlone", "justBegun", why)
    session.ledger.forget(record)
    return _Result("notLoaded")


def _spared(session: Session, states: States, record: Record, live: Instance) -> _Result | None:
    """Return why a load that runs is not unloaded; None if it is unfinished."""
    if live.created is None:
        return _Result(
            "leftAlone",
            "notIdentified",
            "the service does not say when the running load was made, so it may be somebody "
            "else's; if it is yours, unload it by name",
        )
    judged = session.ledger.judge(record.model_id, live, record.owner, None)
    if not judged.is_ours:
        session.ledger.forget(record)
        why = f"the running load, made at {iso(live.created)}, is not the one that was begun"
        return _Result("leftAlone", "otherLoad", why)
    if judged.record != record:
        return _Result("leftAlone", "inUse", "a deployment has just worked on it")
    standing = states.standing(record, live)
    if standing is Standing.FINISHED:
        why = "a state names its load, so it is finished"
        return _Result("leftAlone", "finished", why)
    if standing is Standing.UNDECIDED:
        owner, stack = record.owner, printable(record.owner.stack_name, limit=60)
        return _Result(
            "leftAlone",
            "undecided",
            f"{resource_of(owner, with_place=True)} began its load and may have finished it. "
            f"To read its state, add --stack {stack} in the "
            f"folder of project '{printable(project_of(record.owner.urn), limit=60)}', or --state "
            "with what `pulumi stack export` prints there",
        )
    return None


def _end(session: Session, live: Instance, record: Record | None) -> _Result:
    """Unload the running load, as the state of its owner would name it."""
    state = ModelState(
        model_id=live.model_id,
        status=live.status,
        created=iso(live.created) if live.created else None,
        adopted_at=record.adopted_at if record else None,
        endpoint=session.settings.endpoint,
        account=session.settings.account,
    )
    try:
        is_gone = session.lifecycle.delete(state, _Person(session.screen))
    except AlreadyLoadedError as error:
        # Another deployment works on it.
        action = "Run the same command again when that deployment has ended"
        raise error.restated(action=action) from None
    # Otherwise somebody loaded it again in this moment, and a note has said so.
    return _Result("unloaded") if is_gone else _Result("leftAlone", "otherLoad", "")


def _refuse_declared(session: Session, wanted: Wanted, model_ids: Collection[str]) -> None:
    """Refuse to unload behind a stack's back: its next `up` would load the model again."""
    for declared in session.states(_sources(session, wanted)).declared:
        model = declared.model
        if model.is_managed and model.model_id in model_ids:
            stack, name = (printable(one, limit=60) for one in (declared.stack, model.name))
            raise _refused(model.model_id, f"stack '{stack}' declares it as '{name}'")


def _sources(session: Session, wanted: Wanted) -> list[Source]:
    if wanted.flags:
        return wanted.read(session)
    try:
        return own_source(session)
    except ConfigError as error:
        # Nobody named a stack, so it is no error if none can be read.
        session.screen.note(f"not checked whether a stack declares it: {error.observed}")
        return []


def _refused(model_id: str, observed: str) -> InvalidInputError:
    return InvalidInputError(
        verb="unload",
        subject=model_id,
        observed=f"{observed}, and the next `pulumi up` of its stack would load it again",
        action="Remove it from the program and run `pulumi up`, or add --yes to unload it anyway",
    )
