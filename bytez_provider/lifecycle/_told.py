"""What is said of it, where more than one operation says it."""

from __future__ import annotations

from bytez_provider.errors import (
    NOTHING_CHANGED,
    AlreadyLoadedError,
    BytezError,
    InterruptedLoadError,
    printable,
)
from bytez_provider.schemas import Instance, ModelState, iso

OUTAGE = (
    "cannot be changed in place: it is unloaded first, and nothing serves until the new load has "
    "booted, 6 to 15 minutes"
)
"""What a reviewer must know of every replacement; the times are those of the seed and of June."""

_LOADS_AGAIN = "the next `up` loads it again"


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


def gone(old: ModelState, live: Instance | None, *, accepts: bool, anew: bool) -> str:
    """Say what a refresh found, which Pulumi itself shows only as a resource that goes.

    `accepts`: that it is gone is as it should be. `anew`: what is loaded now is its own as well.
    """
    found = "is no longer loaded"
    if live is not None:
        by = "anew by a deployment that did not end" if anew else "by somebody else"
        found = f"was unloaded, and loaded {by}"
    then = "that is accepted" if accepts else _LOADS_AGAIN
    return f"'{old.model_id}' {found}: {then}"


def tells_gone(message: str) -> bool:
    """Tell whether a message is that of a refresh which found a load gone, see `gone`."""
    return message.rstrip().endswith(_LOADS_AGAIN)


def held_by_others(live: Instance) -> BytezError:
    model_id = live.model_id
    at = f" at concurrency {live.concurrency}" if live.concurrency else ""
    since = f" since {iso(live.created)}" if live.created else ""
    return AlreadyLoadedError(
        verb="load",
        subject=model_id,
        observed=f"it is already loaded{at}{since} ({status_word(live)}), not by this resource",
        action=f"Take it over with `adopt=True` or BYTEZ_ADOPT={model_id}, name the old resource "
        f"in `aliases` if this one was renamed, or unload it with `bytez-fleet unload {model_id}`",
    )
