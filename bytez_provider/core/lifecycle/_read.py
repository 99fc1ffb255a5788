"""Reading: what a refresh makes of a state, and `Model.get`."""

from __future__ import annotations

from datetime import datetime

from bytez_provider.core import messages
from bytez_provider.core.declared import ModelInputs, ModelState
from bytez_provider.core.inputs import EXPIRY_MAX_SECONDS, EXPIRY_MIN_SECONDS, is_model_id
from bytez_provider.core.lifecycle._diff import drift_of, granted_of
from bytez_provider.core.lifecycle._load import state_of
from bytez_provider.core.lifecycle._operation import Account, Operation
from bytez_provider.core.lifecycle._stated import Stated
from bytez_provider.core.ownership import Claim, Judgement, Named, Verdict
from bytez_provider.service.pricing import IDLE_SECONDS
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
    period = live.expiration_period_seconds
    is_own = period is not None and EXPIRY_MIN_SECONDS <= period <= EXPIRY_MAX_SECONDS
    inputs = ModelInputs(
        model_id=live.model_id,
        concurrency=live.concurrency or 1,
        expiration_period_seconds=period if is_own and period != IDLE_SECONDS else None,
    )
    op.ledger.mark_unsaved(model_id, live.created)
    state = state_of(op, inputs, Claim(live.created), None, live.word)
    return state.model_copy(update={"read_at": iso(op.client.server_now())})


def _read_only(account: Account, live: Instance) -> ModelState:
    inputs = ModelInputs(model_id=live.model_id, concurrency=live.concurrency or 1)
    state = state_of(account, inputs, Claim(live.created), None, live.word)
    return state.model_copy(update={"read_only": True})


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
    seen = {
        "status": None if in_fleet and live.phase is not Phase.FAILED else live.word,
        "created": iso(live.created) if live.created else None,
        # Found under a new key or address, it belongs to them from now on: keys are changed.
        "endpoint": op.settings.endpoint,
        "account": op.settings.account,
    }
    drift = drift_of(old, live)
    if drift:
        seen["granted"] = None
    return old.model_copy(update={**seen, **drift})


def _seen(op: Operation, old: ModelState) -> Instance | None:
    if old.readiness == "fleet":
        return glance(op, old.model_id, moment_of(old.created))
    return op.client.status(old.model_id)


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
    return old.model_copy(update={"status": NOT_LOADED}) if accepts else None


def _found_later(op: Operation, old: ModelState, live: Instance, judged: Judgement) -> ModelState:
    """Return the state of a load that the resource began after this state was saved."""
    record = judged.record
    if record is None:
        return old
    op.caller.note(messages.found_later(live))
    op.ledger.mark_unsaved(old.model_id, live.created)
    asked = {
        "concurrency": record.concurrency,
        "expiration_period_seconds": record.expiration_period_seconds,
        "adopted_at": record.adopted_at,
    }
    begun = old.model_copy(update=asked)
    return begun.model_copy(update={"granted": granted_of(begun, live)})


def confirm(op: Operation, old: ModelState, named: Named, *, is_kept: bool) -> None:
    """Let the journal know that a state names a load; see `Ledger.confirm`."""
    op.ledger.confirm(
        old.model_id,
        op.who,
        named,
        concurrency=old.concurrency,
        expiration_period_seconds=old.expiration_period_seconds,
        is_kept=is_kept,
    )
