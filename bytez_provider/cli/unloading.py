"""`unload`: of models by name, and of what a killed deployment left behind."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from bytez_provider.audit import Source, Standing, States
from bytez_provider.base.errors import (
    AlreadyLoadedError,
    BytezError,
    ConfigError,
    InvalidInputError,
    printable,
)
from bytez_provider.base.urns import project_of
from bytez_provider.cli import exits
from bytez_provider.cli.caller import Person
from bytez_provider.cli.session import NOBODY, Session
from bytez_provider.cli.sources import Wanted, source_of_stack
from bytez_provider.cli.stack import is_in_project
from bytez_provider.core.declared import ModelState
from bytez_provider.core.messages import named
from bytez_provider.core.ownership import Record
from bytez_provider.core.waiting import NOT_FOUND_GRACE_SECONDS
from bytez_provider.service.schemas import Instance, iso

_Task = tuple[str, Callable[[], str]]
"""A model, and what does it and returns one of these outcomes."""

_SAID = {
    "unloaded": "{model_id} is unloaded",
    "notLoaded": "{model_id} is not loaded",
    "leftAlone": "{model_id} was left alone",
}


def unload(session: Session, wanted: Wanted, model_ids: Iterable[str], *, yes: bool) -> int:
    """Unload models, one after the other, each until its status agrees.

    Args:
        session: What to work with.
        wanted: The states of which a model needs `yes`; none for that of the selected stack.
        model_ids: The models.
        yes: Whether to unload also what a stack has.

    Raises:
        InvalidInputError: a name cannot be one, or a state declares the model; nothing was done.
    """
    chosen = list(dict.fromkeys(model_ids))
    for model_id in chosen:
        session.inputs("unload", model_id)
    if not yes:
        _refuse_declared(session, wanted, chosen)
    tasks: list[_Task] = [(one, partial(_unload, session, one, yes=yes)) for one in chosen]
    return _each(session, tasks)


def unload_unfinished(session: Session, wanted: Wanted) -> int:
    """Unload what deployments began and did not finish, and clear its records.

    Args:
        session: What to work with.
        wanted: The states that say what is finished. Of a stack that is not among them nothing
            is unloaded. Without any, only what no answer was seen for is.

    Raises:
        BytezError: the journal or a state cannot be read; nothing was done.
    """
    session.settings.require_key("unload what is unfinished")
    # Before the states: what is finished in the meantime is then in a state.
    live = session.client.instances()
    records = [one for one in session.ledger.records(live) if one.is_unfinished]
    held = session.held(records)
    settings = session.settings
    sources = [_kept_here(session, source) for source in wanted.read(session)]
    states = States(sources, settings.endpoint, settings.account)
    left = [
        (one, one.model_id in held)
        for one in records
        if states.standing(one, None, is_held=one.model_id in held) is not Standing.FINISHED
    ]
    if not left:
        session.screen.say("nothing is unfinished, for this key and endpoint")
    tasks: list[_Task] = [
        (one.model_id, partial(_finish, session, states, one, is_held=is_held))
        for one, is_held in left
    ]
    return _each(session, tasks)


def _kept_here(session: Session, source: Source) -> Source:
    """Return a state as that of a stack of this folder's backend.

    A file does not say where its stack is kept, and another backend may have a stack of that name.
    """
    place = session.identity
    stack = source.stack.model_copy(update={"stack": place.key, "place": place.place})
    return dataclasses.replace(source, stack=stack)


def _each(session: Session, tasks: Sequence[_Task]) -> int:
    """Do all, also when one fails; tell each outcome as it comes, and all in one document."""
    told: list[dict[str, Any]] = []
    code = exits.DONE
    for name, task in tasks:
        model_id = printable(name, limit=200)
        error: str | None = None
        try:
            outcome = task()
            session.screen.say(_SAID[outcome].format(model_id=model_id))
        except BytezError as failure:
            outcome, error = "failed", str(failure)
            session.screen.fail(error)
            code = code or exits.code_of(failure)
        except KeyboardInterrupt:
            session.screen.note(f"interrupted; see whether {model_id} is unloaded with")
            session.screen.hint(f"bytez-fleet status {model_id}")
            raise
        told.append({"modelId": model_id, "outcome": outcome, "error": error})
    session.screen.document({"models": told})
    return code


def _unload(session: Session, model_id: str, *, yes: bool) -> str:
    live = session.live(model_id)
    if live is None:
        session.refuse_unknown("unload", model_id)
        return "notLoaded"
    # Who asks for it by name means the load that there is, whichever resource has it.
    judged = session.ledger.judge(model_id, live, NOBODY, None)
    if judged.owner is not None and not yes:
        # The state of its stack may be out of reach here.
        owner = named(judged.owner, with_place=True)
        raise _refused(
            model_id,
            f"by the journal it is the load of {owner}, whose next `pulumi up` would load it",
        )
    return _end(session, live, judged.record)


def _finish(session: Session, states: States, record: Record, *, is_held: bool) -> str:
    """Unload the load of a record, if it is there and unfinished, and clear the record."""
    model_id = record.model_id
    owner = named(record.owner, with_place=True)
    if is_held:
        host = record.holder.host if record.holder else ""
        at = f" on machine '{printable(host, limit=60)}'" if host else ""
        return _left_alone(session, record, f"{owner} is at work on it{at}")
    live = session.live(model_id)
    if live is not None:
        why = _spared(session, states, record, live)
        return _left_alone(session, record, why) if why else _end(session, live, record)
    age = (session.client.server_now() - record.began).total_seconds()
    if record.created is None and age < NOT_FOUND_GRACE_SECONDS:
        why = f"{owner} began its load a moment ago, and it may not show for a minute"
        return _left_alone(session, record, why)
    session.ledger.forget(record)
    return "notLoaded"


def _spared(session: Session, states: States, record: Record, live: Instance) -> str | None:
    """Say why a load that runs is not unloaded; None where it is unfinished."""
    if live.created is None:
        return (
            "the service does not say when the load that runs now was made, so it may be somebody "
            "else's; if it is yours, unload it by name"
        )
    judged = session.ledger.judge(record.model_id, live, record.owner, None)
    if not judged.is_ours:
        session.ledger.forget(record)
        made = f"made at {iso(live.created)}"
        return f"the load that runs now, {made}, is not the one that was begun"
    if judged.record != record:
        return "a deployment has acted on it in this moment"
    standing = states.standing(record, live, is_held=False)
    if standing is Standing.FINISHED:
        return "a state names its load, so it is not unfinished"
    if standing is Standing.UNTOLD:
        owner = named(record.owner, with_place=True)
        return f"{owner} began its load, and may have finished it: {_flags_for(record)}"
    return None


def _left_alone(session: Session, record: Record, why: str) -> str:
    session.screen.note(f"'{printable(record.model_id, limit=200)}': {why}")
    return "leftAlone"


def _end(session: Session, live: Instance, record: Record | None) -> str:
    """Unload the load that runs, in the form in which the state of its owner would name it."""
    state = ModelState(
        model_id=live.model_id,
        status=live.status,
        created=iso(live.created) if live.created else None,
        adopted_at=record.adopted_at if record else None,
        endpoint=session.settings.endpoint,
        account=session.settings.account,
    )
    person = Person(session.screen)
    try:
        session.lifecycle.delete(state, person)
    except AlreadyLoadedError as error:
        # Another deployment works on it.
        action = "Run the same command again when that deployment has ended"
        raise error.restated(action=action) from None
    # A remark says that somebody loaded it again in this very moment.
    return "leftAlone" if person.remarks else "unloaded"


def _flags_for(record: Record) -> str:
    """Say how to give the state that would decide."""
    stack = printable(record.owner.stack_name, limit=60)
    project = printable(project_of(record.owner.urn), limit=60)
    return (
        f"to have its state read, add --stack {stack} in the folder of project '{project}', or "
        "--state with what `pulumi stack export` prints there"
    )


# ------------------------------------------------------------------------ what asks for --yes


def _refuse_declared(session: Session, wanted: Wanted, model_ids: list[str]) -> None:
    """Refuse to unload behind a stack's back: its next `up` would load the model again."""
    settings = session.settings
    states = States(_states(session, wanted), settings.endpoint, settings.account)
    for declared in states.declared:
        model = declared.model
        if model.is_managed and model.model_id in model_ids:
            raise _refused(
                model.model_id,
                f"stack '{printable(declared.stack, limit=60)}' declares it as "
                f"'{printable(model.name, limit=60)}', and its next `pulumi up` would load it",
            )


def _states(session: Session, wanted: Wanted) -> list[Source]:
    if wanted.is_some:
        return wanted.read(session)
    if not is_in_project():
        return []
    try:
        return [source_of_stack(session, None)]
    except ConfigError as error:
        # Nobody named a stack, so that one which cannot be read asks for nothing.
        session.screen.note(f"not checked whether a stack declares it: {error.observed}")
        return []


def _refused(model_id: str, observed: str) -> InvalidInputError:
    return InvalidInputError(
        verb="unload",
        subject=model_id,
        observed=observed,
        action="Take it out of the program and run `pulumi up`, or say --yes to unload it all the "
        "same",
    )
