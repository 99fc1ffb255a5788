"""Changing the settings of a load while it runs, in an API that can do it."""

from __future__ import annotations

from bytez_provider.base.errors import ApiError
from bytez_provider.core import messages
from bytez_provider.core.declared import ModelInputs
from bytez_provider.core.lifecycle._diff import changes_of, differing, may_rest
from bytez_provider.core.lifecycle._operation import Operation
from bytez_provider.core.ownership import Claim, Judgement
from bytez_provider.service.schemas import Instance, Phase

_LIMIT_SECONDS = 60.0
"""How long the service may take to show new settings (choice)."""


def rescale(op: Operation, inputs: ModelInputs, live: Instance, judged: Judgement) -> None:
    """Give our load the declared settings, and wait until the service shows them.

    Nothing is sent if it has them. A Ctrl-C ends the wait.

    Raises:
        HeldError: Another deployment works on it, or was quicker; nothing was sent.
        NotLoadedError: It is gone.
        RescaleError: The service refused, gave no answer, or changed nothing.
    """
    taken = op.api.taken(inputs.asked)
    changes = changes_of(live, taken)
    is_to_start = live.phase is Phase.OFF and not may_rest(inputs)
    if not changes and not is_to_start:
        return
    op.caller.report(messages.rescaling(live, changes))
    with op.ledger.rescaling(judged, live, op.who, inputs.asked):
        try:
            op.client.rescale(
                live.model_id,
                inputs.asked,
                instances=live.instances,
                starts=is_to_start,
                stop=op.caller.wake,
            )
            seen = op.waiter.until_set(
                live.model_id,
                Claim(live.created),
                lambda one: not differing(one, taken),
                limit_seconds=_LIMIT_SECONDS,
                caller=op.caller,
            )
        except ApiError as error:
            raise messages.not_rescaled(error) from None
        # Other settings than asked for may be as the service rounds them; the old ones are not.
        is_unchanged = seen is not None and _settings(seen) == _settings(live)
        if changes and is_unchanged and not op.is_stopped:
            raise messages.rescaled_without_effect(live.model_id, _LIMIT_SECONDS)


def _settings(live: Instance) -> tuple[int | None, ...]:
    return live.concurrency, live.max_concurrency, live.expiration_period_seconds
