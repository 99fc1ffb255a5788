"""What was declared, what was begun and what runs, compared."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bytez_provider.core.declared import Granted, MemberInputs, ModelInputs, ModelState
from bytez_provider.core.inputs import INPUTS, UnfitError
from bytez_provider.service.schemas import NOT_LOADED, RUNNING, Asked, Instance, Phase
from bytez_provider.service.wire import Api


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


def diff(
    old: ModelState, new: ModelInputs, unknown: frozenset[str], *, rescales: bool = False
) -> Difference:
    """Compare what was declared with what is; `unknown` are names in Python.

    `rescales` says whether the API can change the settings of a load while it runs.

    An unknown value is a change but never a replacement: before a delete-before-replace the
    engine asks a dependent with every derived input unknown.
    """
    changed = [
        one
        for name, one in INPUTS.items()
        if name not in unknown and getattr(old, name) != getattr(new, name)
    ]
    replaces = [one.name for one in changed if one.change.replaces(rescales=rescales)]
    updates = [one.name for one in changed if one.name not in replaces]
    if isinstance(new, MemberInputs) is not (old.readiness == "fleet"):
        updates.append("readiness")
    if not _is_settled(old):
        updates.append("status")
    return Difference(replaces=replaces, updates=[*updates, *sorted(unknown)])


def _is_settled(old: ModelState) -> bool:
    """Return whether the state asks for nothing to be done by itself."""
    if old.status == NOT_LOADED:
        return True  # It is in state only if expiry was accepted.
    if old.readiness == "fleet":
        return old.status is None  # Whether it is RUNNING, the fleet's readiness says.
    return old.phase is Phase.RUNNING or (old.phase is Phase.OFF and may_rest(old))


def may_rest(asked: ModelInputs) -> bool:
    """Return whether a load is as declared while no instance of it runs."""
    return asked.concurrency == 0 or asked.on_expiry == "accept"


def word_in_state(live: Instance, asked: ModelInputs) -> str:
    """Return the status for a state, which must not change with each request to a model."""
    return RUNNING if live.phase is Phase.OFF and asked.concurrency == 0 else live.word


def needs_no_request(old: ModelState, new: ModelInputs, *, rescales: bool) -> bool:
    """Return whether the load is as declared, or boots and a fleet's readiness waits for it."""
    if old.status == NOT_LOADED or (rescales and old.asked != new.asked):
        return False
    boots_for_fleet = isinstance(new, MemberInputs) and old.phase is Phase.BOOTING
    is_off = old.phase is Phase.OFF and may_rest(new)
    return old.phase is Phase.RUNNING or boots_for_fleet or is_off


def differing(live: Instance, taken: Asked) -> dict[str, int]:
    """Return the settings of an instance that are not as the service takes them, by their names."""
    found = {}
    for name, wanted in vars(taken).items():
        shown = getattr(live, name)
        # Only in a range, zero is a setting.
        is_shown = shown is not None and (shown != 0 or live.max_concurrency is not None)
        if is_shown and wanted is not None and shown != wanted:
            found[name] = shown
    return found


def changes_of(live: Instance, taken: Asked) -> dict[str, int]:
    """Return the settings that an instance has to get, by their names."""
    return {name: getattr(taken, name) for name in differing(live, taken)}


def granted_of(api: Api, asked: Asked, seen: Instance) -> Granted | None:
    """Return what the service made of our load, if its status says that.

    Where settings change while a load runs, somebody else may have changed them: there, only an
    answer to our own request says it.
    """
    found = {} if api.rescales else differing(seen, api.taken(asked))
    return Granted(**found) if found else None


def expected(taken: Asked, granted: Granted | None) -> Asked:
    """Return the settings that a load of ours should show."""
    return (
        replace(taken, **{k: v for k, v in vars(granted).items() if v is not None})
        if granted
        else taken
    )


def drift_of(old: ModelState, live: Instance, api: Api) -> dict[str, int]:
    """Return the declared settings that are no longer what the service made of our load."""
    drift = differing(live, expected(api.taken(old.asked), old.granted))
    # It becomes an input, so it must be one that can be declared: a state must stay readable.
    return {name: value for name, value in drift.items() if _can_be_declared(name, value)}


def _can_be_declared(name: str, value: int) -> bool:
    try:
        INPUTS[name].check(value)
    except UnfitError:
        return False
    return True
