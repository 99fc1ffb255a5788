"""Loading: from what runs before the first request to RUNNING, or to nothing left behind."""

from __future__ import annotations

from contextlib import nullcontext, suppress

from bytez_provider.base.errors import ApiError, BytezError, LoadLostError
from bytez_provider.core import messages
from bytez_provider.core.declared import Granted, MemberInputs, ModelInputs, ModelState
from bytez_provider.core.lifecycle._diff import (
    changes_of,
    granted_of,
    may_rest,
    needs_no_request,
    word_in_state,
)
from bytez_provider.core.lifecycle._operation import Account, Operation
from bytez_provider.core.lifecycle._rescale import keep_settings, rescale
from bytez_provider.core.lifecycle._stated import Stated
from bytez_provider.core.lifecycle._unload import roll_back, unload, unload_leftover
from bytez_provider.core.ownership import Claim, HeldError, Hold, Judgement, Named, Record, Verdict
from bytez_provider.core.waiting import BOOT_LIMIT_SECONDS, End, Stop, Watched
from bytez_provider.service.schemas import DEPLOYING, Instance, LoadOutcome, Phase, iso


def create(op: Operation, inputs: ModelInputs) -> ModelState:
    """Load a model and wait until it is RUNNING; see `Lifecycle.create`."""
    if op.is_stopped:
        raise messages.interrupted(inputs.model_id)
    with op.loading(inputs.model_id):
        op.ledger.deploys(is_preview=False)
        for left in op.ledger.leftovers(op.who, inputs.model_id):
            unload_leftover(op, left, inputs.model_id)
        return _meet(op, inputs, op.status(inputs.model_id))


def update(op: Operation, old: ModelState, inputs: ModelInputs) -> ModelState:
    """Apply what needs no replacement, and finish a load; see `Lifecycle.update`."""
    if needs_no_request(old, inputs, rescales=op.api.rescales):
        status = None if isinstance(inputs, MemberInputs) else old.status
        return old.but(**{"readiness": None, **vars(inputs), "status": status})
    if op.is_stopped:
        raise messages.interrupted(inputs.model_id)
    with op.loading(inputs.model_id):
        op.ledger.deploys(is_preview=False)
        live, stated = op.status(inputs.model_id), Stated(op, old)
        claim, adopted_at = stated.claim, old.taken_at
        if live is None:
            live = stated.look_again()
        if live is None and stated.may_lag:
            # If it is gone after the grace: as if it was found so.
            with suppress(LoadLostError):
                return _wait(op, inputs, claim, adopted_at)
        judged = stated.judge("load", live)
        if live is None:
            stated.refuse_other_account("load")
        if live is None or not judged.is_ours:
            return _meet(op, inputs, live)
        if judged.verdict is Verdict.OURS_LATER and judged.record is not None:
            claim, adopted_at = judged.record.claim, judged.record.adopted_at
        if live.phase is Phase.FAILED:
            return _load_again(op, inputs, live, judged)
        granted = old.granted if old.asked == inputs.asked else None
        if op.api.rescales:
            granted = rescale(op, inputs, live, judged, granted)
        return _wait(op, inputs, claim, adopted_at, granted)


def _meet(op: Operation, inputs: ModelInputs, live: Instance | None) -> ModelState:
    """Load a model, once no other resource of this deployment works on its load."""
    while True:
        try:
            return _load_or_take_over(op, inputs, live)
        except HeldError as held:
            # Nothing was sent. The other resource may unload it, to make way for this one.
            if not op.ledger.wait_for_own(held.record):
                raise
        live = op.status(inputs.model_id)


def _load_or_take_over(op: Operation, inputs: ModelInputs, live: Instance | None) -> ModelState:
    """Load a model: whose the load is that runs now decides how."""
    model_id = inputs.model_id
    judged = op.ledger.judge(model_id, live, op.who, None)
    if op.ledger.wait_for_own(judged.record):
        live = op.status(model_id)
        judged = op.ledger.judge(model_id, live, op.who, None)
    if live is None:
        return _load(op, inputs)
    if judged.verdict is Verdict.OURS_LATER and judged.record is not None:
        return _resume(op, inputs, live, judged, judged.record)
    is_let_go = (
        judged.verdict is Verdict.OTHER_RESOURCE
        and judged.owner is not None
        and not op.ledger.is_declared(judged.owner, model_id)
    )
    if judged.verdict is Verdict.FOREIGN:
        # The service holds one load of a model: one that this resource requested is gone.
        op.ledger.end(model_id, op.who)
    if not (is_let_go or inputs.adopt or model_id in op.settings.adopt):
        raise messages.loaded_by_others(live, judged, in_fleet=isinstance(inputs, MemberInputs))
    changes = changes_of(live, op.api.taken(inputs.asked))
    has_failed = live.phase is Phase.FAILED
    if has_failed or (changes and not op.api.rescales):
        changes = {} if has_failed else changes
        op.caller.warn(messages.adopted_is_loaded_again(live, changes))
        return _load_again(op, inputs, live, judged)
    return _adopt(op, inputs, live, judged)


def _resume(
    op: Operation, inputs: ModelInputs, live: Instance, judged: Judgement, record: Record
) -> ModelState:
    """Continue with a load that this resource began and its state does not name."""
    has_failed = live.phase is Phase.FAILED
    is_as_declared = record.asked == inputs.asked
    if not has_failed and (is_as_declared or op.api.rescales):
        if not is_as_declared:
            op.caller.note(messages.begun_is_rescaled(inputs.model_id))
        granted = rescale(op, inputs, live, judged) if op.api.rescales else None
        return _wait(op, inputs, Claim(live.created), record.adopted_at, granted)
    op.caller.note(messages.begun_is_loaded_again(inputs.model_id, has_failed=has_failed))
    return _load_again(op, inputs, live, judged)


def _load_again(
    op: Operation, inputs: ModelInputs, live: Instance, judged: Judgement
) -> ModelState:
    """Unload what is loaded, and load it as it is declared."""
    unload(op, live, judged)
    op.remember_unload()
    return _load(op, inputs)


def _adopt(op: Operation, inputs: ModelInputs, live: Instance, judged: Judgement) -> ModelState:
    """Take over a load as it is."""
    # First of all: the delete of an older resource may come during the wait, and must leave the
    # load alone.
    adoption = op.ledger.adopt(
        judged,
        live,
        op.who,
        now=op.client.server_now(),
        asked=inputs.asked,
    )
    op.caller.note(messages.ADOPTED.format(inputs.model_id))
    if judged.verdict is Verdict.FOREIGN and not op.ledger.store.is_shared:
        op.caller.warn(messages.ADOPTED_FROM_ELSEWHERE.format(inputs.model_id))
    try:
        granted = None
        if op.api.rescales:
            named = Named(live.created, adoption.adopted_at)
            judged = op.ledger.judge(live.model_id, live, op.who, named)
            granted = rescale(op, inputs, live, judged)
        return _wait(op, inputs, Claim(live.created), adoption.adopted_at, granted)
    except BytezError:
        adoption.undo()  # No state will say that this resource has it.
        raise


def _load(op: Operation, inputs: ModelInputs) -> ModelState:
    """Load what is not loaded, as far as the status shows."""
    model_id, asked = inputs.model_id, inputs.asked
    if op.is_stopped:
        raise messages.interrupted(model_id)
    began = op.client.server_now()
    with op.ledger.requesting(model_id, op.who, began=began, asked=asked) as request:
        try:
            answer = op.client.load(model_id, asked, stop=op.caller.wake)
        except BytezError as error:
            if isinstance(error, ApiError) and error.maybe_done:
                raise messages.maybe_loaded(error) from None
            request.refused()
            raise
        is_accepted = answer.outcome is LoadOutcome.ACCEPTED
        if is_accepted:
            request.accepted()
        elif not answer.answer_lost:
            request.refused()
    if is_accepted:
        claim = Claim(not_before=began, accepted_at=op.client.server_now())
        return _wait(op, inputs, claim)
    return _refused(op, inputs, request, answer_lost=answer.answer_lost)


def _refused(op: Operation, inputs: ModelInputs, request: Hold, *, answer_lost: bool) -> ModelState:
    """Handle a load that the service already has, although the status did not show it.

    It was made by this very call, one of whose answers was lost, by an interrupted deployment of
    this resource, or by others.
    """
    earlier = request.earlier
    own = request.record if answer_lost else None
    if own is None and earlier is not None and earlier.owner.is_same(op.who):
        own = earlier
    try:
        live = op.status(inputs.model_id)
    except ApiError as error:
        raise (messages.maybe_loaded(error) if own else error) from None
    if live is None and own is not None:
        return _wait(op, inputs, Claim(own.created, not_before=own.began))
    if live is None:
        raise messages.not_shown(inputs.model_id)
    if answer_lost and request.record.claim.covers(live):
        return _wait(op, inputs, Claim(live.created))
    return _meet(op, inputs, live)


def _wait(
    op: Operation,
    inputs: ModelInputs,
    claim: Claim,
    adopted_at: str | None = None,
    granted: Granted | None = None,
) -> ModelState:
    """Wait for a load, and turn the end of the wait into a state or an error."""
    model_id, in_fleet = inputs.model_id, isinstance(inputs, MemberInputs)
    limit = op.caller.timeout_seconds or BOOT_LIMIT_SECONDS
    load = Watched(model_id, claim, may_rest=may_rest(inputs))
    op.ledger.identify(model_id, op.who, claim.created)
    waiting = nullcontext() if in_fleet else op.ledger.waiting(model_id, op.who, claim.created)
    try:
        with waiting:
            op.waiter.until_running(
                load,
                op.caller,
                limit_seconds=limit,
                on_identified=lambda one: op.ledger.identify(model_id, op.who, one.claim.created),
                seen_is_enough=in_fleet,
            )
    except ApiError as error:
        raise messages.accepted_but(error) from None
    is_up = load.end in (End.RUNNING, End.SEEN)
    if not is_up and (load.end or not op.is_stopped):
        raise _not_running(op, load, limit)
    if op.caller.stop() is Stop.ENGINE_GONE:
        # Nobody receives a state any more, even if it is RUNNING.
        raise messages.interrupted(model_id, is_loading=True)
    status = DEPLOYING
    if load.end is End.RUNNING and load.seen is not None:
        status = word_in_state(load.seen, inputs)
    if not op.api.rescales:
        granted = granted_of(op.api, inputs.asked, load.seen) if load.seen else None
    elif is_up and load.seen is not None:
        granted = keep_settings(op, inputs, load.seen, adopted_at, granted)
    state = state_of(op, inputs, claim, None if in_fleet else status, adopted_at, granted)
    if is_up:
        for line in messages.granted_less(state):
            op.caller.warn(line)
    if claim.created is None and load.seen is not None:
        op.caller.debug(messages.WITHOUT_CREATED.format(model_id))
    return state


def _not_running(op: Operation, load: Watched, limit_seconds: float) -> BytezError:
    """Unload what did not come up, and return the error."""
    model_id, claim = load.model_id, load.claim
    if load.seen is None and claim.accepted_at is None and claim.created is None:
        # Not known to be ours, so not ours to unload. The record remains: it may be.
        return messages.maybe_loaded(messages.not_shown(model_id))
    if load.end is End.OTHER_LOAD or (load.end is End.GONE and claim.created):
        op.ledger.end(model_id, op.who, claim.created)
        return messages.taken_away(model_id, is_reloaded=load.end is End.OTHER_LOAD)
    return messages.not_running(load, limit_seconds, roll_back(op, model_id, claim))


def state_of(
    account: Account,
    inputs: ModelInputs,
    claim: Claim,
    status: str | None,
    adopted_at: str | None = None,
    granted: Granted | None = None,
) -> ModelState:
    """Return the state of a load, under the key and endpoint in use."""
    entry = account.catalogue.about(inputs.model_id).find(inputs.model_id)
    return ModelState(
        **vars(inputs),
        status=status,
        created=iso(claim.created) if claim.created else None,
        adopted_at=adopted_at,
        granted=granted,
        required_ram_gb=entry.required_ram_gb if entry else None,
        benchmarked=entry.benchmarked if entry else None,
        endpoint=account.settings.endpoint,
        api_version=account.api.in_state,
        account=account.settings.account,
    )
