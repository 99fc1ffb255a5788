"""What was declared, what was begun and what runs, compared."""

from __future__ import annotations

from dataclasses import dataclass

from bytez_provider.core.declared import Granted, MemberInputs, ModelInputs, ModelState
from bytez_provider.core.inputs import EXPIRY_MAX_SECONDS, EXPIRY_MIN_SECONDS, INPUTS, Change
from bytez_provider.service.schemas import NOT_LOADED, Instance, Phase


@dataclass(frozen=True)
class Difference:
    """What a changed declaration, or the state of the load, asks for."""

    replaces: list[str]
    """The inputs, by their names in Python, whose change is a replacement."""
    updates: list[str]
    """What else asks for an operation: inputs by their names in Python, or "status"."""

    @property
    def needed(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.replaces or self.updates)


def diff(old: ModelState, new: ModelInputs, unknown: frozenset[str]) -> Difference:
    """Compare what was declared with what is; `unknown` are names in Python.

    An unknown value is a change but never a replacement: before a delete-before-replace the
    engine asks a dependent with every derived input unknown.
    """
    changed = [
        one
        for name, one in INPUTS.items()
        if name not in unknown and getattr(old, name) != getattr(new, name)
    ]
    updates = [one.name for one in changed if one.change is Change.UPDATE]
    if isinstance(new, MemberInputs) is not (old.readiness == "fleet"):
        updates.append("readiness")
    if not _is_settled(old):
        updates.append("status")
    return Difference(
        replaces=[one.name for one in changed if one.change is Change.REPLACE],
        updates=[*updates, *sorted(unknown)],
    )


def _is_settled(old: ModelState) -> bool:
    """Return whether the state asks for nothing to be done by itself."""
    if old.status == NOT_LOADED:
        return True  # It is in state only if expiry was accepted.
    if old.readiness == "fleet":
        return old.status is None  # Whether it is RUNNING, the fleet's readiness says.
    return old.phase is Phase.RUNNING


def needs_no_load(old: ModelState, new: ModelInputs) -> bool:
    """Return whether the load is RUNNING, or boots and a fleet's readiness waits for it."""
    boots_for_fleet = isinstance(new, MemberInputs) and old.phase is Phase.BOOTING
    return old.status != NOT_LOADED and (old.phase is Phase.RUNNING or boots_for_fleet)


def differing(live: Instance, asked: ModelInputs) -> dict[str, int]:
    """Return the settings of an instance that are not what was asked, by their names."""
    found = {}
    for name in ("concurrency", "expiration_period_seconds"):
        shown, wanted = getattr(live, name), getattr(asked, name)
        if shown and wanted is not None and shown != wanted:
            found[name] = shown
    return found


def granted_of(asked: ModelInputs, seen: Instance | None) -> Granted | None:
    """Return what the service made of our load, if that differs from what was asked."""
    found = differing(seen, asked) if seen is not None else {}
    return Granted(**found) if found else None


def drift_of(old: ModelState, live: Instance) -> dict[str, int]:
    """Return the declared settings that are no longer what was seen right after our load."""
    granted = (old.granted or Granted()).model_dump(exclude_none=True)
    drift = differing(live, old.model_copy(update=granted))
    # It becomes an input, so it must be one that can be declared: a state must stay readable.
    period = drift.get("expiration_period_seconds", EXPIRY_MIN_SECONDS)
    if not EXPIRY_MIN_SECONDS <= period <= EXPIRY_MAX_SECONDS:
        del drift["expiration_period_seconds"]
    return drift
