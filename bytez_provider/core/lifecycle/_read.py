"""Reading: what a refresh makes of a state, and `Model.get`."""

from __future__ import annotations

from datetime import datetime

from bytez_provider.core import messages
from bytez_provider.core.declared import ModelInputs, ModelState, as_declared
from bytez_provider.core.inputs import is_model_id
from bytez_provider.core.lifecycle._diff import (
    drift_of,
    granted_of,
    may_rest,
    word_in_state,
)
from bytez_provider.core.lifecycle._load import state_of
from bytez_provider.core.lifecycle._operation import Account, Operation
from bytez_provider.core.lifecycle._stated import Stated
from bytez_provider.core.ownership import Claim, Judgement, Named, Verdict
from bytez_provider.service.schemas import NOT_LOADED, Instance, Phase, iso, moment_of

_GLANCE_SECONDS = 5.0
"""How old the list may be in a refresh: a whole fleet is read from one."""


def glance(account: Account, model_id: str, created: datetime | None) -> Instance | None:
    """Return the instance of a fleet's model, for a whole fleet with few requests.

    The list answers if it shows the very load; otherwise the model's own status does.
    """
    listed = account.waiter.poller.listed(_GLANCE_SECONDS).get(model_id)
    if listed is not None and Named(created).is_surely(listed):
        return listed
    return account.client.status(model_id)


def get(account: Account, model_id: str) -> ModelState:
    """Return the state of a model that no resource of this stack manages."""
    live = account.client.status(model_id)
    if live is None:
        raise messages.not_loaded(model_id)
    return _read_only(account, live)


def find(op: Operation, model_id: str) -> ModelState:
    """Return the state of a model that is read by its id; see `Lifecycle.find`."""
    if not is_model_id(model_id):
        raise messages.no_model_id(model_id)
    live = op.client.status(model_id)
    if live is None:
        raise messages.not_loaded(model_id)
    inputs = ModelInputs(model_id=live.model_id, **as_declared(live, op.api.idle_seconds))
    op.ledger.mark_unsaved(model_id, live.created)
    state = state_of(op, inputs, Claim(live.created), live.word)
    return state.but(read_at=iso(op.client.server_now()))


def _read_only(account: Account, live: Instance) -> ModelState:
    concurrency = as_declared(live, account.api.idle_seconds)["concurrency"]
    inputs = ModelInputs(model_id=live.model_id, concurrency=concurrency)
    state = state_of(account, inputs, Claim(live.created), live.word)
    return state.but(read_only=True)


def read(op: Operation, old: ModelState) -> ModelState | None:
    """Return the state as it is now; see `Lifecycle.read`."""
    with op.keeping_state("read", old.model_id):
        if old.read_only:
            live = op.client.status(old.model_id)
            if live is None:
                op.caller.note(messages.READ_ONLY_GONE.format(old.model_id))
            return _read_only(op, live) if live else None
        stated = Stated(op, old)
        live = _seen(op, old) or stated.look_again()
        judged = stated.judge("read", live, only_if_unnamed=True)
    if live is not None and judged.verdict is Verdict.FOREIGN and _may_take_over(op, old):
        return _taken_over(op, old, live)
    if live is None or not judged.is_ours:
        proves_nothing = live is None and (stated.may_lag or op.is_stopped)
        if judged.verdict is Verdict.UNSURE or proves_nothing:
            return old
        stated.refuse_other_account("read")
        return _gone(op, old, live, judged)
    if judged.verdict is Verdict.OURS_LATER:
        old = _found_later(op, old, live, judged)
    elif stated.named is not None and stated.named.created is not None:
        if old.read_at is None:  # It may be only read, and another stack's.
            confirm(op, old, stated.named, is_kept=False)
    else:
        op.ledger.identify(old.model_id, op.who, live.created)
        op.ledger.mark_unsaved(old.model_id, live.created)
    in_fleet = old.readiness == "fleet"
    asks_for_more = live.phase is Phase.FAILED or (live.phase is Phase.OFF and not may_rest(old))
    seen = {
        "status": None if in_fleet and not asks_for_more else word_in_state(live, old),
        "created": iso(live.created) if live.created else None,
        # Found under a new key or address, it belongs to them from now on: keys are changed.
        "endpoint": op.settings.endpoint,
        "account": op.settings.account,
        "api_version": op.api.in_state,
    }
    drift = drift_of(old, live, op.api)
    if drift:
        seen["granted"] = None
    return old.but(**seen, **drift)


def _seen(op: Operation, old: ModelState) -> Instance | None:
    if old.readiness == "fleet":
        return glance(op, old.model_id, moment_of(old.created))
    return op.client.status(old.model_id)


def _may_take_over(op: Operation, old: ModelState) -> bool:
    """Return whether another load may take the place of the one in a state, and be mended there.

    A run of a model that has expired loads it with settings of the service.
    """
    is_allowed = old.adopt or old.model_id in op.settings.adopt
    return op.api.rescales and op.api.run_loads and is_allowed and old.status != NOT_LOADED


def _taken_over(op: Operation, old: ModelState, live: Instance) -> ModelState:
    """Return the state of the load that runs instead: the next `up` gives it our settings."""
    op.caller.note(messages.found_instead(live))
    op.ledger.mark_unsaved(old.model_id, live.created)
    update = {
        "created": iso(live.created) if live.created else None,
        "adopted_at": iso(op.client.server_now()),
        "granted": None,
        **drift_of(old.but(granted=None), live, op.api),
    }
    return old.but(**update)


def _gone(
    op: Operation, old: ModelState, live: Instance | None, judged: Judgement
) -> ModelState | None:
    """Return what is left of a state whose load is gone."""
    created = moment_of(old.created)
    # If an `up` that failed or was killed began a later load, the next `up` has to settle it: its
    # end is not an expiry to accept.
    is_later = op.ledger.began_another(old.model_id, op.who, Named(created))
    accepts = old.on_expiry == "accept" and not is_later
    if old.status != NOT_LOADED:
        op.caller.note(messages.gone(old, live, judged, accepts=accepts))
        op.ledger.confirm_gone(old.model_id, created, op.who)
    return old.but(status=NOT_LOADED) if accepts else None


def _found_later(op: Operation, old: ModelState, live: Instance, judged: Judgement) -> ModelState:
    """Return the state of a load that the resource began after this state was saved."""
    record = judged.record
    if record is None:
        return old
    op.caller.note(messages.found_later(live))
    op.ledger.mark_unsaved(old.model_id, live.created)
    asked = {**vars(record.asked), "adopted_at": record.adopted_at}
    begun = old.but(**asked)
    return begun.but(granted=granted_of(op.api, begun.asked, live))


def confirm(op: Operation, old: ModelState, named: Named, *, is_kept: bool) -> None:
    """Let the journal know that a state names a load; see `Ledger.confirm`."""
    op.ledger.confirm(
        old.model_id,
        op.who,
        named,
        asked=old.asked,
        is_kept=is_kept,
    )
