"""What is said of it, where more than one operation says it."""

from __future__ import annotations

from bytez_provider.base.errors import (
    NOTHING_CHANGED,
    AlreadyLoadedError,
    BytezError,
    InterruptedLoadError,
    printable,
)
from bytez_provider.core.declared import ModelState
from bytez_provider.core.ownership import Judgement, Owner, Phase, Record, Verdict
from bytez_provider.service.schemas import Instance, iso

OUTAGE = (
    "cannot be changed in place: it is unloaded first, and nothing serves until the new load has "
    "booted, 6 to 15 minutes"
)
"""What a reviewer must know of every replacement; the times are those of the seed and of June."""

_LOADS_AGAIN = "`pulumi up` loads it again"


def interrupted(model_id: str, state: str = NOTHING_CHANGED) -> BytezError:
    return InterruptedLoadError(
        verb="load",
        subject=model_id,
        observed="the deployment was stopped",
        state=state,
        action="Run `pulumi up` again",
    )


def unsure(error: BytezError) -> BytezError:
    """Tell of an error after which there may be a load of ours; the journal has a note of it."""
    return error.restated(
        state="The load may have been accepted all the same",
        action="Run `pulumi up` again: it goes on with the load if there is one",
    )


def of_state(error: BytezError, verb: str, subject: str) -> BytezError:
    """Tell an error of asking as one of an operation that leaves the state alone."""
    changed = error.action[:1].lower() + error.action[1:]
    return error.restated(
        verb=verb,
        subject=subject,
        state="The state is as it was",
        # Not `--run-program` for each command: a destroy that refreshes first does so without it.
        action="If you have changed the key or the endpoint since the last `up`, run `pulumi "
        f"refresh --run-program` first, because this command uses those of the last `up`; else "
        f"{changed}",
    )


def not_shown(model_id: str) -> BytezError:
    return AlreadyLoadedError(
        verb="load",
        subject=model_id,
        observed="the service says that a load of it exists, and does not show it",
        action="Run `pulumi up` again in a minute",
    )


def status_word(live: Instance) -> str:
    return printable(live.status.strip().upper(), limit=40)


def since(live: Instance) -> str:
    return f"at {iso(live.created)}" if live.created else "at a time that the service does not tell"


def named(owner: Owner, *, with_place: bool = False) -> str:
    """Return a resource as a sentence names it."""
    if not owner.urn:
        return "another resource"
    place = f", kept in {printable(owner.place, limit=80)}" if with_place and owner.place else ""
    stack = printable(owner.stack_name, limit=60)
    return f"'{printable(owner.name, limit=60)}' of stack '{stack}'{place}"


def gone(old: ModelState, live: Instance | None, judged: Judgement, *, accepts: bool) -> str:
    """Say what a refresh found, which Pulumi itself shows only as a resource that goes."""
    if live is None:
        found = "is no longer loaded"
    elif judged.owner is not None:
        found = f"was unloaded, and loaded by {named(judged.owner, with_place=True)}"
    else:
        found = (
            "was unloaded, and loaded by somebody else (or by this resource, if this state was "
            "restored: then take it over with `adopt=True`)"
        )
    then = "that is accepted" if accepts else _LOADS_AGAIN
    return f"'{old.model_id}' {found}: {then}"


def left_alone(live: Instance, judged: Judgement) -> str:
    """Say why a load was not unloaded."""
    model_id = live.model_id
    if judged.verdict in (Verdict.OTHER_RESOURCE, Verdict.OTHER_STACK) and judged.owner:
        with_place = judged.verdict is Verdict.OTHER_STACK
        has_it = f"{named(judged.owner, with_place=with_place)} has taken it over"
        return f"'{model_id}' was left running: {has_it}"
    if judged.verdict is Verdict.UNSURE:
        return (
            f"'{model_id}' was left alone: the state does not say which load is its own, and the "
            f"one that runs was made {since(live)}; if it is yours, unload it with "
            f"`bytez-fleet unload {model_id}`"
        )
    return (
        f"'{model_id}' was left alone: the load that runs now, made {since(live)}, is not the one "
        "that this state names; if the state was restored and the load is yours, unload it with "
        f"`bytez-fleet unload {model_id}`"
    )


def worked_on(verb: str, record: Record) -> BytezError:
    """Return the error that another deployment works on the load, or was quicker."""
    model_id = record.model_id
    since = iso(record.began.replace(microsecond=0))
    doing = f"is loading it, since {since}"
    if record.phase is Phase.UNLOADING:
        doing = "is unloading it"
    elif record.holder is None:
        doing = "has just acted on it" if record.created else f"asked for it at {since}"
    at = f" on machine '{printable(record.host, limit=60)}'" if record.host else ""
    return AlreadyLoadedError(
        verb=verb,
        subject=model_id,
        observed=f"{named(record.owner, with_place=True)} {doing}{at}",
        action="Run `pulumi up` again when that deployment has ended",
    )


def held_by_others(live: Instance, judged: Judgement, *, in_fleet: bool) -> BytezError:
    """Return the error that the load of somebody else is in the way, with the ways out."""
    model_id = live.model_id
    at = f" at concurrency {live.concurrency}" if live.concurrency else ""
    when = f" since {iso(live.created)}" if live.created else ""
    loaded = f"it is already loaded{at}{when} ({status_word(live)})"
    if judged.verdict is Verdict.OTHER_RESOURCE and judged.owner is not None:
        return AlreadyLoadedError(
            verb="load",
            subject=model_id,
            observed=f"{loaded} by {named(judged.owner)}, which the program declares too",
            action="Remove one of the two: the service holds one load of a model",
        )
    by = ", not by this resource"
    if judged.owner is not None:
        record = judged.record
        machine = (
            f" on machine '{printable(record.host, limit=60)}'" if record and record.host else ""
        )
        by = f" by {named(judged.owner, with_place=True)}{machine}"
    # A fleet's model has no place for an alias of its own.
    renamed = "name the old resource in `aliases` if this one was renamed"
    if in_fleet:
        renamed = "rename it with `pulumi state rename` if its key was renamed"
    # What a stack has by the journal is not unloaded by name without it.
    yes = " --yes" if judged.owner is not None else ""
    return AlreadyLoadedError(
        verb="load",
        subject=model_id,
        observed=loaded + by,
        action=f"Take it over with `adopt=True` or BYTEZ_ADOPT={model_id}, {renamed}, or unload "
        f"it with `bytez-fleet unload {model_id}{yes}`",
    )
