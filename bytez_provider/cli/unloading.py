"""`unload`: of models by name, and of what a killed deployment left behind."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from functools import partial
from typing import Any

from bytez_provider.cli import exits
from bytez_provider.cli.caller import Person
from bytez_provider.cli.session import Session
from bytez_provider.cli.stack import declared_models
from bytez_provider.errors import BytezError, ConfigError, InvalidInputError, printable
from bytez_provider.journal import Note
from bytez_provider.lifecycle import DEPLOYING, is_of
from bytez_provider.schemas import ModelState, iso

_SAID = {
    "unloaded": "{model_id} is unloaded",
    "notLoaded": "{model_id} is not loaded",
    "leftAlone": "{model_id} was left alone",
}


def unload(session: Session, model_ids: Iterable[str], *, yes: bool) -> int:
    """Unload models, one after the other, each until its status agrees.

    Raises:
        InvalidInputError: a name cannot be one, or a stack declares the model; nothing was done.
    """
    wanted = list(dict.fromkeys(model_ids))
    for model_id in wanted:
        session.inputs("unload", model_id)
    if not yes:
        _refuse_declared(session, wanted)
    return _each(session, [(one, partial(_unload, session, one)) for one in wanted])


def unload_unfinished(session: Session, *, yes: bool) -> int:
    """Unload what deployments on this machine began and did not finish, and clear their notes.

    Raises:
        InvalidInputError: a stack declares one of the models; nothing was done.
    """
    session.settings.require_key("unload what is unfinished")
    notes = session.journal.unfinished()
    if not yes:
        _refuse_declared(session, [note.model_id for note in notes])
    if not notes:
        session.screen.say("nothing is unfinished on this machine, for this key and endpoint")
    return _each(session, [(note.model_id, partial(_finish, session, note)) for note in notes])


def _each(session: Session, tasks: list[tuple[str, Callable[[], str]]]) -> int:
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


def _unload(session: Session, model_id: str) -> str:
    live = session.live(model_id)
    if live is None:
        session.refuse_unknown("unload", model_id)
        return "notLoaded"
    # Who asks for it by name means the load that there is, whichever resource adopted it.
    holder = session.journal.holder(model_id)
    adopted_at = holder.adopted_at if holder else None
    state = _as_state(session, model_id, live.status, live.created, adopted_at)
    person = Person(session.screen)
    session.lifecycle.delete(state, person)
    if person.remarks:
        # Somebody loaded it anew in this very moment.
        return "leftAlone"
    for note in session.journal.unfinished():
        if note.model_id == model_id:
            session.journal.clear(note.urn)
    return "unloaded"


def _finish(session: Session, note: Note) -> str:
    """Unload the load that a note is about, if it is there, and clear the note."""
    live = session.live(note.model_id)
    if live is not None and live.created is None:
        session.screen.note(
            "the service does not tell when the load that runs now was made, so that it may be "
            "somebody else's; if it is yours, unload it by name"
        )
        return "leftAlone"
    seen = live.created if live else None
    if live is not None and seen is not None and not is_of(note, live):
        session.screen.note(
            f"the load that runs now, made at {iso(seen)}, is not the one that was begun here"
        )
        session.journal.clear(note.urn)
        return "leftAlone"
    created = note.created or seen
    person = Person(session.screen, urn=note.urn)
    session.lifecycle.delete(_as_state(session, note.model_id, DEPLOYING, created, None), person)
    if person.remarks:
        return "leftAlone"
    return "unloaded" if live is not None else "notLoaded"


def _as_state(
    session: Session,
    model_id: str,
    status: str,
    created: datetime | None,
    adopted_at: str | None,
) -> ModelState:
    """Return a load in the form in which a stack would name it."""
    return ModelState(
        model_id=model_id,
        status=status,
        created=iso(created) if created else None,
        adopted_at=adopted_at,
        endpoint=session.settings.endpoint,
        account=session.settings.account,
    )


def _refuse_declared(session: Session, model_ids: list[str]) -> None:
    """Refuse to unload behind a stack's back: its next `up` would load the model again."""
    try:
        declared = declared_models(session.stack, session.settings)
    except ConfigError as error:
        if session.stack is not None:
            raise
        # Nobody named a stack, so that one which cannot be read asks for nothing.
        session.screen.note(f"not checked whether a stack declares it: {error.observed}")
        return
    for model in declared:
        if model.model_id in model_ids:
            raise InvalidInputError(
                verb="unload",
                subject=model.model_id,
                observed=f"stack '{printable(model.stack, limit=60)}' declares it as "
                f"'{printable(model.name, limit=60)}', and its next `pulumi up` would load it",
                action="Take it out of the program and run `pulumi up`, or say --yes to unload it "
                "all the same",
            )
