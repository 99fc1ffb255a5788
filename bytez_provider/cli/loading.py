"""`load`: a load by hand, which no stack owns."""

from __future__ import annotations

from bytez_provider.base.errors import (
    NOTHING_CHANGED,
    AlreadyLoadedError,
    ApiError,
    BytezError,
    InterruptedLoadError,
    printable,
)
from bytez_provider.cli import exits
from bytez_provider.cli.caller import Person, ended_by_interrupt
from bytez_provider.cli.facts import instance_facts
from bytez_provider.cli.session import NOBODY, Session
from bytez_provider.cli.words import cost_an_hour
from bytez_provider.core.declared import ModelInputs, ModelState
from bytez_provider.core.messages import named
from bytez_provider.service.schemas import Instance, iso, moment_of


def load(session: Session, inputs: ModelInputs, *, waits: bool, limit_seconds: float) -> int:
    """Load a model and wait until it is RUNNING; after a Ctrl-C it goes on booting.

    Raises:
        BytezError: It is not RUNNING; the sentence says what state things are in.
    """
    model_id, screen = inputs.model_id, session.screen
    live = session.live(model_id)
    if live is not None:
        raise _already_loaded(session, live)
    session.refuse_unknown("load", model_id)
    person = Person(screen, timeout_seconds=limit_seconds, waits=waits)
    with ended_by_interrupt(person), screen.showing_progress(f"loading {model_id}"):
        try:
            state = session.lifecycle.create(inputs, person)
        except InterruptedLoadError:
            screen.note("interrupted before anything was loaded")
            return exits.INTERRUPTED
        except BytezError as error:
            if not person.interrupted:
                raise _told_here(session, error, model_id) from None
            return _interrupted_unseen(session, model_id)
        except KeyboardInterrupt:
            return _interrupted_unseen(session, model_id)
    _tell(session, state, interrupted=person.interrupted)
    return exits.INTERRUPTED if person.interrupted else exits.DONE


def _interrupted_unseen(session: Session, model_id: str) -> int:
    """The request may be out, and nobody has seen yet what became of it."""
    session.screen.note("interrupted; see whether it loads with")
    session.screen.hint(f"bytez-fleet status {model_id}")
    return exits.INTERRUPTED


def _tell(session: Session, state: ModelState, *, interrupted: bool) -> None:
    granted = state.granted
    facts = instance_facts(
        Instance(
            model_id=state.model_id,
            status=state.status,
            concurrency=(granted and granted.concurrency) or state.concurrency,
            expiration_period_seconds=state.expiration_period_seconds,
            created=moment_of(state.created),
        ),
        session,
    )
    model_id, screen = state.model_id, session.screen
    is_up = state.status == "RUNNING"
    # A Ctrl-C that came with the end of the boot has interrupted nothing.
    if interrupted and not is_up:
        screen.note("interrupted; it goes on booting")
    screen.document(facts)
    screen.say(f"{model_id} is {'RUNNING' if is_up else 'booting'}")
    commands = [f"bytez-fleet unload {model_id}"]
    if not is_up:
        commands.insert(0, f"bytez-fleet status {model_id} --watch")
    screen.note(
        f"concurrency {facts['concurrency']}, {cost_an_hour(facts)}, owned by no stack; "
        f"{'to stop it' if is_up else 'to follow it and to stop it'}:"
    )
    for command in commands:
        screen.hint(command)


def _already_loaded(session: Session, live: Instance) -> BytezError:
    at = f" at concurrency {live.concurrency}" if live.concurrency else ""
    since = f" since {iso(live.created)}" if live.created else ""
    owner = session.ledger.judge(live.model_id, live, NOBODY, None).owner
    by = f" by {named(owner, with_place=True)}" if owner else ""
    unload = f"bytez-fleet unload {live.model_id}{' --yes' if owner else ''}"
    return AlreadyLoadedError(
        verb="load",
        subject=live.model_id,
        observed=f"it is already loaded{at}{since} ({printable(live.status, limit=40)}){by}",
        action=f"To load it again, unload it first with `{unload}`",
    )


_HERE = {
    "Run `pulumi up` again": "Load it again",
    "run `pulumi up` again": "load it again",
    "`customTimeouts` (create, and update)": "--timeout",
}
"""Ways out that the provider names, and what they are on the command line."""


def _told_here(session: Session, error: BytezError, model_id: str) -> BytezError:
    """Return the provider's error with the way out that the command line has."""
    if isinstance(error, AlreadyLoadedError):
        # Somebody was quicker.
        live = session.live(model_id)
        return (
            _already_loaded(session, live)
            if live
            else error.restated(action="Load it again in a minute")
        )
    if isinstance(error, ApiError) and error.state != NOTHING_CHANGED:
        # The next `up` would go on with the load; here nobody does.
        return error.restated(action=f"See how it is with `bytez-fleet status {model_id}`")
    action = error.action
    for there, here in _HERE.items():
        action = action.replace(there, here)
    return error.restated(action=action)
