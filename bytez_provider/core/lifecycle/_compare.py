"""What was declared, what was begun and what runs, compared."""

from __future__ import annotations

from dataclasses import dataclass

from bytez_provider.core.declared import Granted, MemberInputs, ModelInputs, ModelState
from bytez_provider.core.inputs import EXPIRY_MAX_SECONDS, EXPIRY_MIN_SECONDS, INPUTS, Change
from bytez_provider.service.schemas import Instance, Phase, phase_of

NOT_LOADED = "NOT_LOADED"
DEPLOYING = "DEPLOYING"


@dataclass(frozen=True)
class Difference:
    """What a change of the declaration, or the state of the instance, asks for."""

    needed: bool
    replaces: list[str]


def diff(old: ModelState, new: ModelInputs, unknown: frozenset[str]) -> Difference:
    """Compare what was declared with what is, property names in snake_case.

    An unknown value is a change but never a replacement: before a delete-before-replace the
    engine asks a dependent with every derived input unknown.
    """
    changed = [
        one
        for name, one in INPUTS.items()
        if name not in unknown and getattr(old, name) != getattr(new, name)
    ]
    replaces = [one.name for one in changed if one.change is Change.REPLACE]
    updates = bool(changed) or isinstance(new, MemberInputs) is not (old.readiness == "fleet")
    return Difference(
        needed=bool(replaces or updates or unknown or not _is_settled(old)),
        replaces=replaces,
    )


def _is_settled(old: ModelState) -> bool:
    """Tell whether the state asks for nothing to be done by itself."""
    if old.status == NOT_LOADED:
        return True  # It stands only where expiry was accepted.
    if old.readiness == "fleet":
        # Whether it is RUNNING is for the fleet's readiness to say.
        return old.status is None
    return phase_of(old.status or "") is Phase.RUNNING


def stands(old: ModelState, new: ModelInputs) -> bool:
    """Tell whether the load needs nothing: it is RUNNING, or a fleet's readiness waits for it."""
    if old.status == NOT_LOADED:
        return False
    phase = phase_of(old.status or "")
    return phase is Phase.RUNNING or (isinstance(new, MemberInputs) and phase is Phase.BOOTING)


def differences(live: Instance, inputs: ModelInputs) -> list[str]:
    """Say how an instance differs from what is declared."""
    found = []
    if live.concurrency and live.concurrency != inputs.concurrency:
        found.append(f"concurrency {live.concurrency} is to be {inputs.concurrency}")
    period, asked = live.expiration_period_seconds, inputs.expiration_period_seconds
    if asked is not None and period and period != asked:
        found.append(f"an idle period of {period} s is to be {asked} s")
    return found


def drift_of(old: ModelState, live: Instance) -> dict[str, int]:
    """Return the declared settings that are no longer what was seen right after our load."""
    granted = old.granted or Granted()
    drift = {}
    if live.concurrency and live.concurrency != (granted.concurrency or old.concurrency):
        drift["concurrency"] = live.concurrency
    period, asked = live.expiration_period_seconds, old.expiration_period_seconds
    # Kept as an input, so only what an input can be: a state must stay readable.
    can_be = period is not None and EXPIRY_MIN_SECONDS <= period <= EXPIRY_MAX_SECONDS
    was = granted.expiration_period_seconds or asked
    if asked is not None and period and can_be and period != was:
        drift["expiration_period_seconds"] = period
    return drift


def granted_of(inputs: ModelInputs, seen: Instance | None) -> Granted | None:
    if seen is None:
        return None
    concurrency = seen.concurrency if seen.concurrency != inputs.concurrency else None
    asked, period = inputs.expiration_period_seconds, seen.expiration_period_seconds
    expiry = period if asked is not None and period != asked else None
    if not concurrency and not expiry:
        return None
    return Granted(concurrency=concurrency or None, expiration_period_seconds=expiry or None)
