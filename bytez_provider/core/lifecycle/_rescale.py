"""Changing the settings of a load while it runs, in an API that can do it."""

from __future__ import annotations

from bytez_provider.base.errors import ApiError, RescaleError
from bytez_provider.core import messages
from bytez_provider.core.declared import Granted, ModelInputs
from bytez_provider.core.lifecycle._diff import changes_of, differing, expected, may_rest
from bytez_provider.core.lifecycle._operation import Operation
from bytez_provider.core.ownership import Claim, HeldError, Judgement, Named
from bytez_provider.service.schemas import Instance, Phase

_LIMIT_SECONDS = 60.0
"""How long the service may take to show new settings (choice)."""


def rescale(
    op: Operation,
    inputs: ModelInputs,
    live: Instance,
    judged: Judgement,
    granted: Granted | None = None,
    *,
    is_new: bool = False,
) -> Granted | None:
    """Give our load the declared settings, and wait until the service shows them.

    Nothing is sent if it has them. A Ctrl-C ends the wait.

    Args:
        op: The operation.
        inputs: What is declared.
        live: The load as it is shown.
        judged: Whose it is.
        granted: What the service is known to make of these inputs.
        is_new: Whether it was asked for with these inputs a moment ago: then it is no fault if the
            service answers that it stays as it is.

    Returns:
        What the service answers that it makes of the inputs, as far as that differs from them. A
        status would not do: somebody else may have changed the load in between.

    Raises:
        HeldError: Another deployment works on it, or was quicker; nothing was sent.
        NotLoadedError: It is gone.
        RescaleError: The service refused, gave no answer, or does not show what it answered.
    """
    taken = op.api.taken(inputs.asked)
    changes = changes_of(live, expected(taken, granted))
    is_to_start = live.phase is Phase.OFF and not may_rest(inputs)
    if not changes and not is_to_start:
        return granted
    op.caller.report(messages.rescaling(live, changes))
    with op.ledger.rescaling(judged, live, op.who, inputs.asked):
        try:
            answer = op.client.rescale(
                live.model_id,
                inputs.asked,
                instances=live.instances,
                starts=is_to_start,
                stop=op.caller.wake,
            )
            if answer is not None and changes:
                stays = _settings(answer) == _settings(live)
                if stays and is_new:
                    return _granted(differing(live, taken))
                if not stays:
                    granted = _granted(differing(answer, taken))
            made = expected(taken, granted)
            seen = op.waiter.until_set(
                live.model_id,
                Claim(live.created),
                lambda one: not differing(one, made),
                limit_seconds=_LIMIT_SECONDS,
                caller=op.caller,
            )
        except ApiError as error:
            raise messages.not_rescaled(error) from None
        if seen is not None and differing(seen, made) and not op.is_stopped:
            raise messages.rescaled_without_effect(seen, changes_of(seen, made), _LIMIT_SECONDS)
    return granted


def keep_settings(
    op: Operation,
    inputs: ModelInputs,
    live: Instance,
    adopted_at: str | None,
    granted: Granted | None,
) -> Granted | None:
    """Give a load that has just come up the declared settings again, if it has others.

    The service granted less, or somebody else has changed them since the load was asked for. A
    failure is a warning: the load runs, and the next refresh shows the difference.
    """
    named = Named(live.created, adopted_at)
    judged = op.ledger.judge(live.model_id, live, op.who, named)
    try:
        return rescale(op, inputs, live, judged, granted, is_new=True)
    except RescaleError as error:
        op.caller.warn(str(error))
    except HeldError as held:
        op.caller.warn(str(messages.worked_on("rescale", held.record)))
    return granted


def _granted(found: dict[str, int]) -> Granted | None:
    return Granted(**found) if found else None


def _settings(live: Instance) -> tuple[int | None, ...]:
    return live.concurrency, live.max_concurrency, live.expiration_period_seconds
