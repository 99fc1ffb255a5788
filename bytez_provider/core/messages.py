"""Every sentence of the lifecycle and of a fleet's readiness: from facts to an error or a line.

The operations decide with types and codes, never with these words. A function returns the error
to raise, or the line to show with `caller.note` or `caller.warn`.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bytez_provider.base.errors import (
    NOTHING_CHANGED,
    AccountChangedError,
    AlreadyLoadedError,
    ApiError,
    BootFailedError,
    BootTimeoutError,
    BytezError,
    FleetNotReadyError,
    InterruptedLoadError,
    InvalidInputError,
    LoadLostError,
    NotLoadedError,
    RescaleError,
    UnloadError,
    printable,
)
from bytez_provider.base.urns import name_of
from bytez_provider.base.words import duration
from bytez_provider.core.declared import Granted, ModelState
from bytez_provider.core.inputs import INPUTS
from bytez_provider.core.ownership import Judgement, Owner, Phase, Record, Verdict
from bytez_provider.core.waiting import End, Watched
from bytez_provider.service.schemas import Instance, iso

_AGAIN = "Run `pulumi up` again"
_IN_A_MINUTE = f"{_AGAIN} in a minute"
_STATE_KEPT = "The state is as it was"
_BRING_UP = "bring up the fleet"
_REASON_LIMIT = 120
_REASONS_LIMIT = 300
"""Characters of service text for one model of a fleet, and for all of them in one error."""

# ----------------------------------------------------------------------------- names and words


def resource_of(owner: Owner, *, with_place: bool = False) -> str:
    """Return a resource as a sentence names it."""
    if not owner.urn:
        return "another resource"
    place = f", kept in {printable(owner.place, limit=80)}" if with_place and owner.place else ""
    stack = printable(owner.stack_name, limit=60)
    return f"'{printable(owner.name, limit=60)}' of stack '{stack}'{place}"


def _load_error(
    kind: type[BytezError],
    model_id: str,
    observed: str,
    action: str = _AGAIN,
    *,
    state: str = NOTHING_CHANGED,
    verb: str = "load",
) -> BytezError:
    return kind(verb=verb, subject=model_id, observed=observed, state=state, action=action)


def _machine(record: Record | None) -> str:
    return f" on machine '{printable(record.host, limit=60)}'" if record and record.host else ""


def _loaded_at(live: Instance) -> str:
    return f"at {iso(live.created)}" if live.created else "at an unknown time"


# ------------------------------------------------------------------------------ check and diff


def declared_twice(model_id: str, other_urn: str) -> str:
    """Two resources of one program declare one model."""
    return (
        f"'{model_id}' is also declared by '{name_of(other_urn)}', and the service holds one load "
        "of a model: remove one of the two"
    )


def other_version(old: ModelState) -> str:
    """The stack now uses another version of the API than the load in its state was made with."""
    was = old.api_version or "2024"
    return (
        f"'{old.model_id}' was loaded through the API of {was}, and bytez:apiVersion has changed "
        "since: if the new API shows that load, it is kept and only its settings are compared; if "
        "not, this deployment stops before it loads a second one"
    )


def rounded(model_id: str, asked: int, taken: int) -> str:
    """The service counts the idle period in larger steps."""
    return f"'{model_id}': the service unloads after {taken} s idle, not {asked}: it counts minutes"


OUTAGE = (
    "cannot be changed in place: it is unloaded first, and nothing serves until the new load has "
    "booted, 6 to 15 minutes"
)
"""What a reviewer must know of every replacement; the times are the vendor's (both APIs)."""


def unreadable_state(subject: str, name: str, reason: str) -> BytezError:
    """A property in Pulumi's state is not what was written there."""
    return InvalidInputError(
        verb="read the state of",
        subject=printable(subject, limit=100),
        observed=f"its {name} {reason}",
        state=_STATE_KEPT,
        action="Correct it with `pulumi stack export` and `pulumi stack import`, or remove the "
        "resource from the state with `pulumi state delete`",
    )


# -------------------------------------------------------------------- errors of any operation


def of_load(error: BytezError, model_id: str) -> BytezError:
    """An error of the client or the journal, as one of the load that needed it."""
    return error.restated(verb="load", subject=model_id)


def after_unload(error: BytezError) -> BytezError:
    """The load of a replacement failed, and the old load is already unloaded."""
    gone = "The old one is already unloaded"
    return error.restated(
        state=gone if error.state == NOTHING_CHANGED else f"{error.state}. {gone}"
    )


def of_state(error: BytezError, verb: str, subject: str) -> BytezError:
    """An error of a refresh or a delete, which leaves the state alone."""
    return error.restated(
        verb=verb,
        subject=subject,
        state=_STATE_KEPT,
        # Not `--run-program` for this command itself: a destroy that refreshes first has no such
        # flag.
        action=f"{error.action}. This command uses the key and the endpoint of the last `up`: if "
        "you have changed them since, run `pulumi refresh --run-program` first",
    )


def interrupted(model_id: str, *, is_loading: bool = False) -> BytezError:
    """The deployment was stopped before, or while, a model is loaded."""
    goes_on = "The load goes on, and the journal names it for the next `up`"
    state = goes_on if is_loading else NOTHING_CHANGED
    return _load_error(InterruptedLoadError, model_id, "the deployment was stopped", state=state)


def worked_on(verb: str, record: Record) -> BytezError:
    """Another deployment works on the load, or was quicker."""
    since = iso(record.began.replace(microsecond=0))
    doing = f"is loading it, since {since}"
    if record.phase is Phase.UNLOADING:
        doing = "is unloading it"
    elif record.holder is None:
        doing = "has just acted on it" if record.created else f"asked for it at {since}"
    observed = f"{resource_of(record.owner, with_place=True)} {doing}{_machine(record)}"
    action = f"{_AGAIN} when that deployment has ended"
    return _load_error(AlreadyLoadedError, record.model_id, observed, action, verb=verb)


class Changed(enum.Enum):
    """What a load is looked for with, and was not made with."""

    KEY = "key"
    ENDPOINT = "endpoint"
    API_VERSION = "API version"


def other_account(verb: str, old: ModelState, changed: Changed) -> BytezError:
    """Not found, but asked with another key, endpoint or version than the load was made with."""
    what = changed.value
    was = {
        Changed.ENDPOINT: f" ({printable(old.endpoint, limit=80)})",
        Changed.API_VERSION: f" ({old.api_version or 'of 2024'})",
    }.get(changed, "")
    return _load_error(
        AccountChangedError,
        old.model_id,
        f"this load of it is not found under the {what} in use, and it was made under another{was}",
        f"Use that {what} again, or set BYTEZ_ACCEPT_ACCOUNT_CHANGE=1 to give it up",
        state=f"{_STATE_KEPT}, and the model may still run there",
        verb=verb,
    )


# ------------------------------------------------------------------------------ before a load


def loaded_by_others(live: Instance, judged: Judgement, *, in_fleet: bool) -> BytezError:
    """Somebody else's load is in the way; the action names the ways out."""
    model_id = live.model_id
    at = f" at concurrency {live.concurrency}" if live.concurrency else ""
    when = f" since {iso(live.created)}" if live.created else ""
    loaded = f"it is already loaded{at}{when} ({live.word})"
    if judged.verdict is Verdict.OTHER_RESOURCE and judged.owner is not None:
        by = f" by {resource_of(judged.owner)}, which the program declares too"
        action = "Remove one of the two: the service holds one load of a model"
    else:
        by, yes = ", not by this resource", ""
        if judged.owner is not None:
            by = f" by {resource_of(judged.owner, with_place=True)}{_machine(judged.record)}"
            yes = " --yes"
        # A model of a fleet has no `aliases` of its own.
        renamed = "name the old resource in `aliases` if this one was renamed"
        if in_fleet:
            renamed = "rename it with `pulumi state rename` if its key was renamed"
        action = (
            f"Take it over with `adopt` or BYTEZ_ADOPT={model_id}, {renamed}, or unload it "
            f"with `bytez-fleet unload {model_id}{yes}`"
        )
    return _load_error(AlreadyLoadedError, model_id, loaded + by, action)


def not_shown(model_id: str) -> BytezError:
    """The service refuses a load because one exists, and does not show it."""
    observed = "the service says that a load of it exists, and does not show it"
    return _load_error(AlreadyLoadedError, model_id, observed, _IN_A_MINUTE)


def leftover_not_shown(model_id: str, leftover: str) -> BytezError:
    """An interrupted deployment requested another model, which may not show yet."""
    observed = f"a load of '{leftover}', begun by an interrupted deployment, may not show yet"
    return _load_error(InterruptedLoadError, model_id, observed, _IN_A_MINUTE)


LEFTOVER_UNLOADED = "'{}', begun by an interrupted deployment, is unloaded"
ADOPTED = "'{}' was taken over as it runs, without a load"
ADOPTED_FROM_ELSEWHERE = (
    "'{}' may be in the state of another stack, and this journal is on this machine only: remove "
    "it from that stack with `pulumi state delete` or `retain_on_delete`, or that stack unloads it "
    "when it is deployed from another machine"
)
"""A load was taken over, and its owner does not see that in its own journal."""


def begun_is_rescaled(model_id: str) -> str:
    """The load of an interrupted deployment is continued, with the settings that it now has."""
    return f"'{model_id}', begun by an interrupted deployment, is rescaled as declared now"


def begun_is_loaded_again(model_id: str, *, has_failed: bool) -> str:
    """The load of an interrupted deployment is not continued."""
    why = "it had failed" if has_failed else "its declaration has changed since"
    return f"'{model_id}', begun by an interrupted deployment, is loaded again: {why}"


def adopted_is_loaded_again(live: Instance, changes: Mapping[str, int]) -> str:
    """A load was taken over that is not as declared; `changes` are the settings it gets."""
    reasons = [
        f"`{INPUTS[name].in_state}` was {getattr(live, name)}, not {asked}"
        for name, asked in changes.items()
    ]
    why = "; ".join(reasons) or "it had failed"
    return f"'{live.model_id}' was taken over and is loaded again: {why}"


# ----------------------------------------------------------------------------- after a request


def maybe_loaded(error: BytezError) -> BytezError:
    """An error after which the load may exist; the journal names it."""
    return error.restated(
        state="The load may have been accepted",
        action=f"{_AGAIN}: it continues with the load if there is one",
    )


def accepted_but(error: BytezError) -> BytezError:
    """The load was accepted, and the wait for it was refused an answer."""
    return error.restated(
        state="The load was accepted, and may be running and cost money",
        action=f"{error.action}, then run `pulumi up` again, which continues with it",
    )


WITHOUT_CREATED = "'{}': the service gives no `created`, so any load of it counts as this one"


def not_rescaled(error: ApiError) -> BytezError:
    """The service did not take the new settings, or nobody knows."""
    state = "It runs on, with the old settings or the new ones"
    if not error.maybe_done:
        state = "It runs on with the settings that it had"
    return RescaleError(
        verb="rescale",
        subject=error.subject,
        observed=error.observed,
        state=state,
        action=error.action,
    )


def rescaled_without_effect(
    seen: Instance, changes: Mapping[str, int], seconds: float
) -> BytezError:
    """The service took new settings, and shows others; `changes` are those it should have."""
    shown = ", ".join(f"{INPUTS[name].in_state} {getattr(seen, name)}" for name in changes)
    return RescaleError(
        verb="rescale",
        subject=seen.model_id,
        observed=f"the service took the new settings, and shows {shown} after {seconds:.0f} s",
        state="It runs on with that",
        action=f"{_AGAIN}; if it stays so, declare what the service shows",
    )


def rescaling(live: Instance, changes: Mapping[str, int]) -> str:
    """The settings of a load are changed while it runs; `changes` are those it gets."""
    what = ", ".join(
        f"{INPUTS[name].in_state} {getattr(live, name)} to {wanted}"
        for name, wanted in changes.items()
    )
    return f"rescaling in place: {what or 'starting its instances'}"


def granted_less(state: ModelState) -> Iterator[str]:
    """What the service made of a load that differs from what was asked."""
    granted, but = state.granted or Granted(), "the service did not grant what was asked"
    if granted.concurrency is not None:
        yield (
            f"'{state.model_id}' runs at concurrency {granted.concurrency}, "
            f"not {state.concurrency}: {but}"
        )
    if granted.max_concurrency is not None:
        yield (
            f"'{state.model_id}' scales up to {granted.max_concurrency}, "
            f"not {state.asked.most}: {but}"
        )
    if granted.expiration_period_seconds is not None:
        yield (
            f"'{state.model_id}' unloads after {granted.expiration_period_seconds} s idle, "
            f"not {state.expiration_period_seconds} s: {but}"
        )


@dataclass(frozen=True)
class Rollback:
    """What became of a load that did not come up: the state of things, and a way out if due."""

    state: str = "It was unloaded: nothing is left running"
    action: str | None = None


def rollback_failed(model_id: str, observed: str) -> Rollback:
    """The load that did not come up could not be unloaded."""
    return Rollback(
        f"Unloading it failed too ({observed}), so it may still be running and cost money",
        f"Stop it with `bytez-fleet unload {model_id} --yes`",
    )


def taken_away(model_id: str, *, is_reloaded: bool) -> BytezError:
    """Somebody else unloaded the load in mid-boot."""
    other = ", and loaded by somebody else" if is_reloaded else ""
    return _load_error(
        LoadLostError,
        model_id,
        f"it was unloaded while it was booting{other}",
        "Find out who unloads it, then run `pulumi up` again",
        state="Nothing of this load is left running",
    )


def not_running(load: Watched, limit_seconds: float, rollback: Rollback) -> BytezError:
    """A load did not become RUNNING, and was rolled back."""
    kind: type[BytezError] = BootTimeoutError
    seen, action = load.seen, _AGAIN
    if load.end is End.GONE:
        kind, observed = LoadLostError, "the service took the load and then showed none"
    elif load.end is End.FAILED:
        kind, observed = BootFailedError, "the service reported FAILED, and gave no reason"
        if seen and seen.error:
            observed = f'the service reported FAILED: "{printable(seen.error)}"'
            action = "Correct what the reason names, then run `pulumi up` again"
    else:
        limit, last = duration(limit_seconds), seen.word if seen else "not found"
        trouble = f", and the last answer was: {load.trouble.observed}" if load.trouble else ""
        observed = f"it was not RUNNING within {limit} (last status: {last}{trouble})"
        action = (
            "Allow more time with `customTimeouts` (create, and update), then run `pulumi up` again"
        )
    action = rollback.action or action
    return _load_error(kind, load.model_id, observed, action, state=rollback.state)


# ----------------------------------------------------------------------------- read and delete


def gone(old: ModelState, live: Instance | None, judged: Judgement, *, accepts: bool) -> str:
    """A refresh found the load gone, which Pulumi itself shows only as a removed resource."""
    found = (
        "was unloaded, and loaded by somebody else (or by this resource, if this state was "
        "restored: then take it over with `adopt`)"
    )
    if live is None:
        found = "is no longer loaded"
    elif judged.owner is not None:
        found = f"was unloaded, and loaded by {resource_of(judged.owner, with_place=True)}"
    then = "that is accepted" if accepts else "`pulumi up` loads it again"
    return f"'{old.model_id}' {found}: {then}"


def found_instead(live: Instance) -> str:
    """A refresh found another load instead of ours, which `adopt` lets this resource take over."""
    return (
        f"'{live.model_id}' was unloaded, and loaded again {_loaded_at(live)}, perhaps by a "
        "request to it: `adopt` takes that load over, and `pulumi up` gives it the declared "
        "settings"
    )


def found_later(live: Instance) -> str:
    """The journal names a load of this resource that its state does not."""
    return (
        f"'{live.model_id}' was loaded by this resource {_loaded_at(live)}, after this state was "
        "saved: from now on the state names that load"
    )


def no_model_id(text: str) -> BytezError:
    """An import, or a function of a program, with an id that cannot be a model's."""
    action = "Name the model as owner/name, for example openai-community/gpt2"
    subject = printable(text, limit=100)
    return InvalidInputError(
        verb="read", subject=subject, observed="it is no model id", action=action
    )


def not_loaded(model_id: str) -> BytezError:
    """`Model.get` of a model that is not loaded."""
    declare = "Declare it with `bytez.Model(...)`, or load it with"
    action = f"{declare} `bytez-fleet load {model_id}`"
    return _load_error(NotLoadedError, model_id, "it is not loaded", action, verb="read")


READ_ONLY_GONE = "'{}', which this stack only reads, is no longer loaded"


def left_alone(live: Instance, judged: Judgement) -> str:
    """Why a load was not unloaded."""
    model_id = live.model_id
    if judged.verdict in (Verdict.OTHER_RESOURCE, Verdict.OTHER_STACK) and judged.owner:
        with_place = judged.verdict is Verdict.OTHER_STACK
        has_it = f"{resource_of(judged.owner, with_place=with_place)} has taken it over"
        return f"'{model_id}' was left running: {has_it}"
    unload = f"unload it with `bytez-fleet unload {model_id}`"
    if judged.verdict is Verdict.UNSURE:
        return (
            f"'{model_id}' was left alone: the state does not say which load is its own, and the "
            f"current one was made {_loaded_at(live)}; if it is yours, {unload}"
        )
    return (
        f"'{model_id}' was left alone: the current load, made {_loaded_at(live)}, is not the one "
        f"that this state names; if the state was restored and the load is yours, {unload}"
    )


def unload_unsure(error: BytezError) -> BytezError:
    """The unload was requested, and what became of it is not known."""
    return error.restated(
        verb="unload", state="The unload was requested, and the model may still be running"
    )


def still_loaded(live: Instance, limit_seconds: float) -> BytezError:
    """The unload was requested and had no effect within the limit."""
    return _load_error(
        UnloadError,
        live.model_id,
        f"it is still {live.word} {duration(limit_seconds)} after the request",
        "Run the same command again in a minute",
        state="It may cost money until it expires",
        verb="unload",
    )


# -------------------------------------------------------------------------------------- fleets


EXPIRED = (
    "'{}' was RUNNING, and expired before the others were ready: a longer "
    "`expirationPeriodSeconds` keeps it loaded"
)


def of_fleet(error: BytezError, fleet: str) -> BytezError:
    """The wait for a fleet was refused an answer."""
    return error.restated(
        verb=_BRING_UP,
        subject=fleet,
        state="Its models are left as they are, and are in state",
        action=f"{error.action}, then run `pulumi up` again, which waits for them",
    )


def fleet_interrupted(fleet: str) -> BytezError:
    """The deployment was stopped while a fleet boots."""
    return _load_error(
        InterruptedLoadError,
        fleet,
        "the deployment was stopped",
        f"{_AGAIN}, which waits for them",
        state="Its models continue to boot, and are in state",
        verb=_BRING_UP,
    )


@dataclass(frozen=True)
class NotUp:
    """A model of a fleet that did not come up, and how its unload ended if it FAILED."""

    load: Watched
    was_unloaded: bool = False
    trouble: BytezError | None = None


def fleet_not_ready(
    fleet: str, problems: Sequence[NotUp], others: int, limit_seconds: float
) -> BytezError:
    """Some models of a fleet did not come up; `others` is how many did."""
    room = _REASONS_LIMIT
    reasons = []
    for one in problems:
        said = (one.load.seen.error if one.load.seen else None) or ""
        reason = printable(said, limit=min(_REASON_LIMIT, room)) if room > 0 else ""
        if one.load.end is End.FAILED:
            room -= len(reason)
        reasons.append(f"'{one.load.model_id}' {_not_up(one, reason, limit_seconds)}")
    booting = [one.load.model_id for one in problems if one.load.end is None]
    way_out = ""
    if booting:
        model = booting[0] if len(booting) == 1 else "<model>"
        way_out = f". If a boot never ends, end it with `bytez-fleet unload {model} --yes`"
    left = "No other model is in the fleet"
    if others:
        left = f"The other {others} are" if others > 1 else "The other one is"
        left += " left as before"
    count = f"{len(problems)} of {len(problems) + others} models did not come up"
    again = "Run `pulumi up --refresh`: it loads the missing models and waits for the others"
    return _load_error(
        FleetNotReadyError,
        fleet,
        f"{count}: {'; '.join(reasons)}",
        again + way_out,
        state=left,
        verb=_BRING_UP,
    )


def _not_up(one: NotUp, reason: str, limit_seconds: float) -> str:
    load = one.load
    if load.end is End.GONE:
        return "is no longer loaded"
    if load.end is End.OTHER_LOAD:
        return "was unloaded, and loaded by somebody else"
    if load.end is None:
        last = f"still {load.word}" if load.seen else "not shown by the service"
        return f"was {last} after {duration(limit_seconds)}, and is left to boot"
    quoted = f': "{reason}"' if reason else ""
    outcome = "and was left alone because it has changed since"
    if one.was_unloaded:
        outcome = "and was unloaded"
    if one.trouble is not None:
        observed = printable(one.trouble.observed, limit=_REASON_LIMIT)
        outcome = (
            f"and unloading it failed too ({observed}), so it may still cost money: "
            f"`bytez-fleet unload {load.model_id} --yes` stops it"
        )
    return f"reported FAILED{quoted}, {outcome}"
