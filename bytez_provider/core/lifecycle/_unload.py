"""Unloading: the request, the wait until the status agrees, and what becomes of a failed load."""

from __future__ import annotations

from bytez_provider.base.errors import ApiError, BytezError, UnreachableError
from bytez_provider.core import messages
from bytez_provider.core.declared import ModelState
from bytez_provider.core.lifecycle._operation import Operation
from bytez_provider.core.lifecycle._stated import Stated
from bytez_provider.core.ownership import Claim, HeldError, Judgement, Named, Record, Verdict
from bytez_provider.core.waiting import NOT_FOUND_GRACE_SECONDS
from bytez_provider.service.schemas import Instance, Phase

_LIMIT_SECONDS = 2 * 60.0


def unload(
    op: Operation, live: Instance, judged: Judgement, limit_seconds: float = _LIMIT_SECONDS
) -> None:
    """Unload the load that was judged to be ours, and wait until the status agrees.

    Raises:
        HeldError: Another deployment works on it, or was quicker; nothing was sent.
        UnloadError: It is still loaded at the limit.
        ApiError: No answer.
    """
    with op.ledger.unloading(judged, live, op.who):
        _request_unload(op, live.model_id, Claim(live.created), limit_seconds)


def _request_unload(op: Operation, model_id: str, claim: Claim, limit_seconds: float) -> None:
    try:
        op.client.delete(model_id)
    except UnreachableError as error:
        if not error.maybe_done:
            raise
        # The request may have had its effect: the status decides.
    try:
        left = op.waiter.until_unloaded(model_id, claim, limit_seconds=limit_seconds)
    except ApiError as error:
        raise messages.unload_unsure(error) from None
    if left is not None:
        raise messages.still_loaded(left, limit_seconds)


def delete(op: Operation, old: ModelState) -> bool:
    """Unload the load that the state names; see `Lifecycle.delete`."""
    op.ledger.deploys(is_preview=False)
    stated = Stated(op, old)
    with op.keeping_state("unload", old.model_id):
        live = op.client.status(old.model_id)
        if live is None and stated.is_young:
            live = op.waiter.until_shown(old.model_id, stated.claim)
        judged = stated.judge("unload", live)
    if live is None:
        stated.refuse_other_account("unload")
        op.ledger.end(old.model_id, op.who)
        return True
    if judged.is_ours:
        try:
            unload(op, live, judged, op.caller.timeout_seconds or _LIMIT_SECONDS)
        except HeldError as held:
            # Another deployment was quicker. What it took over is no longer ours.
            judged = stated.judge("unload", live)
            if judged.is_ours:
                raise messages.worked_on("unload", held.record) from None
        else:
            op.remember_unload()
            return True
    if judged.verdict in (Verdict.OTHER_RESOURCE, Verdict.OTHER_STACK):
        op.ledger.doubt(judged)
        op.caller.note(messages.left_alone(live, judged))
    else:
        op.caller.warn(messages.left_alone(live, judged))
    return False


def unload_failed(op: Operation, model_id: str, claim: Claim) -> bool:
    """Unload a fleet's model that FAILED; see `Lifecycle.unload_failed`."""
    live = op.client.status(model_id)
    judged = op.ledger.judge(model_id, live, op.who, Named(claim.created))
    if live is None or live.phase is not Phase.FAILED or not judged.is_ours:
        return False
    try:
        unload(op, live, judged)
    except HeldError as held:
        raise messages.worked_on("unload", held.record) from None
    return True


def unload_leftover(op: Operation, left: Record, model_id: str) -> None:
    """Unload what this resource began for another model before its declaration changed."""
    live = op.status(left.model_id)
    if (
        live is None
        and left.created is None
        and op.waiter.age(left.claim) < NOT_FOUND_GRACE_SECONDS
    ):
        raise messages.leftover_not_shown(model_id, left.model_id)
    judged = op.ledger.judge(left.model_id, live, op.who, None)
    if live is None or not judged.is_ours:
        op.ledger.forget(left)
        return
    op.caller.warn(messages.LEFTOVER_UNLOADED.format(left.model_id))
    try:
        unload(op, live, judged)
    except HeldError as held:
        raise messages.worked_on("unload", held.record) from None
    op.remember_unload()


def roll_back(op: Operation, model_id: str, claim: Claim) -> messages.Rollback:
    """Unload a load that did not come up; return what became of it."""
    try:
        live = op.client.status(model_id)
        if live is None and claim.created is not None:
            live = op.waiter.until_shown(model_id, claim)
        if live is None and claim.created is None:
            # It was accepted and never shown, and may show at any time: unload it unseen.
            _request_unload(op, model_id, claim, _LIMIT_SECONDS)
        elif live is not None and claim.covers(live):
            judged = op.ledger.judge(model_id, live, op.who, Named(live.created))
            if not judged.is_ours:
                return messages.Rollback(messages.left_alone(live, judged))
            unload(op, live, judged)
    except HeldError as held:
        error = messages.worked_on("unload", held.record)
        return messages.rollback_failed(model_id, error.observed)
    except BytezError as error:
        return messages.rollback_failed(model_id, error.observed)
    op.ledger.end(model_id, op.who)
    return messages.Rollback()
