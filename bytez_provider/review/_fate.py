"""What happens to one model, and why: the provider's rules, applied to a plan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from bytez_provider.base.marks import UNKNOWN, is_hidden
from bytez_provider.base.urns import NATIVE_MODEL_TYPE, name_of
from bytez_provider.core.inputs import RESCALING
from bytez_provider.core.messages import resource_of
from bytez_provider.core.ownership import Judgement, Owner, Verdict, judge
from bytez_provider.review._document import Action, DriftCode, FailureCode, LiveModel, ReasonCode
from bytez_provider.review._models import Live
from bytez_provider.review._plan import Plan, Planned, ResourceState, replacing
from bytez_provider.service.schemas import NOT_LOADED, Asked, Instance, Phase, phase_of
from bytez_provider.service.wire import Api
from bytez_provider.stack.declared import number

_Code_co = TypeVar("_Code_co", bound=str, covariant=True)
_STILL_PAID = "it keeps running and is paid for, but no stack has it"
_ONLY_ONCE = "and a model can be loaded only once"


@dataclass(frozen=True)
class Remark(Generic[_Code_co]):
    """A code and its sentence, which may show text of others."""

    code: _Code_co
    text: str


_Reasons = list[Remark[ReasonCode]]


@dataclass(frozen=True)
class Fate:
    """What happens to a model; each is what `ReviewedModel` says it is."""

    action: Action
    is_anyway: bool
    reasons: _Reasons
    drift: Remark[DriftCode] | None
    failure: Remark[FailureCode] | None
    live: LiveModel | None


class _Met(NamedTuple):
    """A load that exists before one is asked for, and whose it is."""

    instance: Instance
    judged: Judgement


class Fates:
    """Judges the models of one plan."""

    def __init__(self, plan: Plan, models: Iterable[Planned], live: Live | None, api: Api) -> None:
        self._models = list(models)
        self._api = api
        self._live = live
        self._plan = plan
        self._removed = {one.urn for one in plan.resources if one.op == "delete"}
        self._complaints = {one.urn: one.message for one in plan.complaints if one.urn}
        # Who has a model, or will have it: the service holds one load of each.
        self._holders: dict[tuple[str, str], list[Planned]] = {}
        self._declared: set[tuple[str, str | None]] = set()
        for planned in self._models:
            states = [] if planned.is_asleep else [planned.now, planned.will]
            for place, model_id in {(state.place, state.model_id) for state in states if state}:
                if model_id is not None:
                    self._holders.setdefault((place, model_id), []).append(planned)
            if planned.will is not None:
                self._declared.add((planned.urn, planned.will.model_id))
        self._met = {planned.urn: self._met_by(planned) for planned in self._models}

    def of(self, planned: Planned) -> Fate:
        """Return what happens to a model."""
        judged = self._live.judged(planned) if self._live else None
        shown = self._live.shown(planned, judged) if self._live else None
        drift = _drift(planned, shown, judged)
        action: Action
        if planned.will is None:
            why = self._why_left(planned, judged, drift)
            action, reasons, failure = "forget" if why else "unload", [why] if why else [], None
        else:
            taken = self._taken(planned, planned.will)
            action, reasons = _action(planned, planned.will, taken, rescales=self._api.rescales)
            failure = None
            if action in ("load", "replace") and not planned.will.inputs.get("adopt"):
                failure = self._refusal(planned, planned.will, judged, is_taken=taken is not None)
        is_anyway = action != "keep" and _is_anyway(planned)
        reasons = [*_changes(planned), *_trouble(planned), *reasons]
        if is_anyway and drift is not None and drift not in reasons:
            reasons.append(drift)
        if planned.urn in self._complaints:
            failure = complaint(self._complaints[planned.urn])
        if _is_protected(planned):
            done = "replaced" if planned.op == "replace" else "removed"
            failure = Remark("protected", f"it is protected, and would be {done}")
        return Fate(action, is_anyway, reasons, drift, failure, shown)

    # --------------------------------------------------------------- a load that exists already

    def _met_by(self, planned: Planned) -> _Met | None:
        """Return the load that the create of a model meets; None if it meets none.

        The service shows it, or else the state of the resource that has the model.
        """
        will = planned.will
        model_id = will.model_id if will else None
        if will is None or model_id is None or planned.has(model_id):
            return None
        givers = [
            (one.old_urn, one.now)
            for one in self._holders.get((will.place, model_id), ())
            if one.now is not None and one.is_loaded and one.now.model_id == model_id
            if one.old_urn != planned.urn
        ]
        stack = record = None
        if self._live is not None and self._live.has(will):
            stack, record = self._live.stack, self._live.records.get(model_id)
            instance = self._live.instances.get(model_id)
        else:
            instance = next((_instance(model_id, now) for _, now in givers), None)
        if instance is None:
            return None
        # By the state alone: the journal is asked below.
        seen = (
            owner
            for owner, now in ((Owner(urn=urn, stack=stack), now) for urn, now in givers)
            # A process knows what it has read itself, and each face has its own.
            if now.type == will.type
            if judge(instance, who=owner, named=now.load, record=None).is_ours
        )
        sibling = next(seen, None) if self._plan.is_refreshed else None
        who = Owner(urn=planned.urn, stack=stack)
        return _Met(instance, judge(instance, who=who, named=None, record=record, sibling=sibling))

    def _taken(  # noqa: PLR0911 - one for each case
        self, planned: Planned, will: ResourceState
    ) -> tuple[Action, _Reasons] | None:
        """Return what is done with a load that exists; None if it is not for this resource."""
        met = self._met[planned.urn]
        if met is None:
            return None
        asked, adopt = will.inputs, will.inputs.get("adopt")
        record = met.judged.record
        if met.judged.verdict is Verdict.OURS_LATER and record is not None:
            there = {
                "concurrency": record.concurrency,
                "expirationPeriodSeconds": record.expiration_period_seconds,
            }
            if record.max_concurrency is not None:
                there["maxConcurrency"] = record.max_concurrency
            started = "an interrupted up has started its load"
            return self._kept(met.instance, asked, "wait", Remark("interrupted", started), there)
        giver = self._giver(planned)
        if giver is not None:
            takes = f"takes over the load of '{giver.name}'"
            if any(one.old_urn == giver.urn and one.op == "replace" for one in self._models):
                # Which of the two comes first, the engine decides.
                unless = f"{takes}, unless that is unloaded first"
                return "replace", [Remark("takenOverOrReloaded", unless)]
            return self._kept(met.instance, asked, "adopt", Remark("takenOver", takes))
        if planned.op == "replace":
            return None
        if is_hidden(adopt):
            hidden = "it is already loaded, and the value of adopt is hidden"
            return "load", [Remark("adoptHidden", hidden)]
        if adopt is not True:
            return None
        adopted = "takes over the load that runs"
        return self._kept(met.instance, asked, "adopt", Remark("adopted", adopted))

    def _kept(
        self,
        instance: Instance,
        asked: Mapping[str, Any],
        action: Action,
        how: Remark[ReasonCode],
        there: Mapping[str, Any] | None = None,
    ) -> tuple[Action, _Reasons]:
        """Return what is done with a load that exists: `action`, unless its settings differ.

        `there` has its settings as far as the journal knows better than the service.
        """
        if instance.phase is Phase.FAILED:
            return "load", [Remark("foundFailed", "the existing load has FAILED")]
        differs = _differing(instance, asked, there or {}, self._api)
        if not differs:
            return action, [how]
        inputs = " and ".join(differs)
        if self._api.rescales:
            return action, [how, Remark("rescaled", f"rescaled in place, because {inputs} differs")]
        if all(is_hidden(asked[name]) or is_hidden(there_is) for name, there_is in differs.items()):
            unless = f"an outage, unless {inputs}, which is hidden, is the same"
            return "replace", [how, Remark("settingsHidden", unless)]
        return "replace", [how, Remark("settingsDiffer", f"loaded again, because {inputs} differs")]

    def _giver(self, planned: Planned) -> Owner | None:
        """Return the resource of this stack that gives up the load that a model meets."""
        met = self._met[planned.urn]
        owner = met.judged.owner if met else None
        if met is None or met.judged.verdict is not Verdict.OTHER_RESOURCE:
            return None
        if owner is None or owner.urn in ("", planned.urn):
            return None
        return None if (owner.urn, met.instance.model_id) in self._declared else owner

    def _taker(self, planned: Planned) -> Planned | None:
        """Return the model that takes over the load of a removed one."""
        now = planned.now
        key = (now.place, now.model_id or "") if now else ("", "")
        for other in self._holders.get(key, ()):
            if other.urn == planned.urn or self._met[other.urn] is None:
                continue
            giver = self._giver(other)
            is_adopted = other.will is not None and other.will.inputs.get("adopt") is True
            if is_adopted or (giver is not None and giver.urn == planned.old_urn):
                return other
        return None

    def _why_left(
        self, planned: Planned, judged: Judgement | None, drift: Remark[DriftCode] | None
    ) -> Remark[ReasonCode] | None:
        """Return why a model that the stack no longer declares is not unloaded."""
        if judged is not None and judged.verdict is Verdict.UNSURE and planned.is_loaded:
            unclear = "left alone: the state does not say which load is its own"
            return Remark("ownLoadUnclear", unclear)
        if not planned.is_loaded or (judged is not None and not judged.is_ours):
            return drift or Remark("notLoaded", "it is not loaded")
        taker = self._taker(planned)
        if taker is not None:
            return Remark("givenUp", f"'{taker.name}' takes over its load")
        if planned.now is not None and planned.now.retain_on_delete:
            return Remark("retained", f"retain_on_delete: {_STILL_PAID}")
        other = self._plan.deleted_with.get(planned.urn)
        if other not in self._removed:
            return None
        return Remark("deletedWith", f"deleted_with {name_of(other)}: {_STILL_PAID}")

    def _refusal(
        self, planned: Planned, will: ResourceState, judged: Judgement | None, *, is_taken: bool
    ) -> Remark[FailureCode] | None:
        """Return why the service would refuse the load: it has one of the model already."""
        model_id = will.model_id
        if model_id is None:
            return None
        holders = self._holders.get((will.place, model_id), ())
        others = [one for one in holders if one.urn != planned.urn]
        for other in others:
            if (other.urn, model_id) in self._declared:
                has = f"the stack has {model_id} as {other.name}"
                return Remark("declaredTwice", f"{has}, {_ONLY_ONCE}")
        if planned.has(model_id):
            # A replacement: only its own load is unloaded before the new one is asked for.
            if planned.op == "replace" and planned.now and planned.now.retain_on_delete:
                keeps = "retain_on_delete keeps the old load"
                return Remark("oldLoadRetained", f"{keeps}, {_ONLY_ONCE}")
            is_loaded = judged is not None and judged.verdict is not Verdict.NOT_LOADED
            return _refused(judged) if judged and is_loaded and not judged.is_ours else None
        met = self._met[planned.urn]
        if met is None or is_taken:
            return None
        return _unreleased(planned, will, others) or _refused(met.judged)


def complaint(message: str) -> Remark[FailureCode]:
    """Return an error of a preview as a failure; of a program's traceback only the last line."""
    if "Traceback (most recent call last)" not in message:
        return Remark("previewError", message)
    *_, last = (line for line in message.splitlines() if line.strip())
    return Remark("programError", f"the program failed: {last}")


def _unreleased(
    planned: Planned, will: ResourceState, others: Sequence[Planned]
) -> Remark[FailureCode] | None:
    """Return why the load of another resource of the stack, which gives it up, is in the way.

    The provider knows of it only from a refresh in the same `up`, or from the journal.
    """
    if planned.came_from is not None and planned.is_loaded:
        has = f"the stack has this model loaded as {name_of(planned.came_from)}"
        if will.in_fleet:
            use = "set `adopt` on it for one up, or use `pulumi state rename`"
            return Remark("renamedInFleet", f"{has}: {use}")
        return Remark("renamedUnseen", f"{has}: add that name to `aliases`")
    name = next((one.name for one in others if one.is_loaded), None)
    if name is None:
        return None
    has = f"the stack has {will.model_id} as {name}, which is removed later"
    use = "set `adopt` on it for one up"
    # A native model is refreshed in any `up`.
    ways = use if planned.type == NATIVE_MODEL_TYPE else f"{use}, or run `pulumi up --refresh`"
    return Remark("notReleased", f"{has}: {ways}")


def _action(
    planned: Planned,
    will: ResourceState,
    taken: tuple[Action, _Reasons] | None,
    *,
    rescales: bool,
) -> tuple[Action, _Reasons]:
    """Return what is done to a model, and why if nothing else says it."""
    op = planned.op
    serves_nothing = planned.is_asleep or planned.phase is Phase.FAILED
    if op in ("create", "import", "replace"):
        # If nothing serves, nothing goes down.
        is_outage = op == "replace" and not serves_nothing
        return taken or ("replace" if is_outage else "load", [])
    if op != "update":
        return "keep", []
    if serves_nothing:
        return "load", []
    if _may_replace(planned, will, replacing(rescales=rescales)):
        # The provider can say so to Pulumi only once the value is known: in the `up`.
        unless = "an outage, unless the new value is the same"
        return "replace", [Remark("unknownValue", unless)]
    if rescales and _is_rescaled(planned, will):
        return "rescale", []
    return ("wait" if planned.phase is Phase.BOOTING else "update"), []


def _is_rescaled(planned: Planned, will: ResourceState) -> bool:
    changed = planned.changed.union(planned.now.changed_in(will) if planned.now else ())
    return not changed.isdisjoint(RESCALING) or _is_switched_on(planned, will)


def _is_switched_on(planned: Planned, will: ResourceState) -> bool:
    """Return whether instances are started of a model that has none, but is to have some."""
    is_off = planned.phase is Phase.OFF
    return is_off and bool(will.declared["concurrency"]) and will.declared["onExpiry"] == "reload"


def _differing(
    instance: Instance, asked: Mapping[str, Any], there: Mapping[str, Any], api: Api
) -> dict[str, Any]:
    """Return the settings of a load that are not those asked for, by their names."""
    scale = instance.scale
    runs = {**instance.bag(), "maxConcurrency": instance.max_concurrency}
    runs |= there
    asked = {**asked, **_as_taken(asked, api)}
    return {
        name: runs[name]
        for name in replacing(rescales=False)
        # No load without a range has 0 instances.
        if (runs.get(name) if scale is None else runs.get(name) is not None)
        if name in asked and runs[name] != asked[name]
    }


def _as_taken(asked: Mapping[str, Any], api: Api) -> dict[str, int]:
    """Return the settings that are known, as the service keeps them."""
    numbers = {name: number(asked.get(name)) for name in RESCALING}
    known = {name: int(one) for name, one in numbers.items() if isinstance(one, float)}
    if "concurrency" not in known:
        return known
    seconds, most = known.get("expirationPeriodSeconds"), known.get("maxConcurrency")
    taken = api.taken(Asked(known["concurrency"], seconds, most))
    found = {
        "concurrency": taken.concurrency,
        "expirationPeriodSeconds": taken.expiration_period_seconds,
        # A maximum that the plan hides is not the default.
        "maxConcurrency": None if is_hidden(asked.get("maxConcurrency")) else taken.max_concurrency,
    }
    return {name: value for name, value in found.items() if value is not None}


def _refused(judged: Judgement) -> Remark[FailureCode]:
    if judged.owner is None:
        why = "it is already loaded, but not by this stack: adopt it, or unload it first"
        return Remark("alreadyLoaded", why)
    owner = resource_of(judged.owner, with_place=True)
    why = f"it is already loaded by {owner}: adopt it, or unload it first"
    return Remark("alreadyLoadedByOther", why)


def _instance(model_id: str, state: ResourceState) -> Instance:
    """Return a load as the state has it."""
    names = ("concurrency", "created", "expirationPeriodSeconds")
    known = {name: state.outputs.get(name) for name in names}
    status = str(state.outputs.get("status") or "")
    most = state.outputs.get("maxConcurrency")
    scale = None if most is None else {"maxConcurrency": most}
    shown = {**known, "modelId": model_id, "status": status, "scale": scale}
    return Instance.of(shown)


def _may_replace(planned: Planned, will: ResourceState, keys: Sequence[str]) -> bool:
    """Return whether an update may become a replacement, because a value is not known yet.

    The plan does not show whether a secret is known. If it changes without a replacement, it is
    not.
    """
    return any(
        will.inputs.get(name) == UNKNOWN
        or (is_hidden(will.inputs.get(name)) and name in planned.changed)
        for name in keys
    )


def _is_protected(planned: Planned) -> bool:
    """Return whether Pulumi refuses; what is no longer declared as protected may be replaced."""
    if planned.op == "replace":
        return all(one is not None and one.protect for one in (planned.now, planned.will))
    is_removed = planned.will is None or planned.came_from is not None
    return is_removed and not planned.is_gone and planned.was is not None and planned.was.protect


def _is_anyway(planned: Planned) -> bool:
    """Return whether the next `up` would do it without this change too."""
    if planned.will is None:
        return planned.is_gone
    if planned.was is None or planned.was.declared != planned.will.declared:
        return False
    if _secretly_changed(planned, planned.was, planned.will):
        return False
    is_settled = planned.phase in (None, Phase.RUNNING) and not planned.is_asleep
    return planned.now is None or not is_settled or planned.was.declared != planned.now.declared


def _secretly_changed(planned: Planned, was: ResourceState, will: ResourceState) -> list[str]:
    """Return the inputs that change according to Pulumi, while the plan hides how."""
    return sorted(
        name
        for name in planned.changed
        if is_hidden(will.inputs.get(name)) and was.inputs.get(name) == will.inputs.get(name)
    )


def _changes(planned: Planned) -> _Reasons:
    if planned.was is None or planned.will is None:
        return []
    found = _between(planned.was, planned.will)
    for name in _secretly_changed(planned, planned.was, planned.will):
        found.append(Remark("secretChanged", f"{name} changes, but is a secret"))
    if planned.came_from:
        found.append(Remark("renamed", f"renamed from {name_of(planned.came_from)}"))
    return found


def _between(old: ResourceState, new: ResourceState) -> _Reasons:
    """Return what changes between two declarations."""
    sides = old.declared, new.declared
    found: _Reasons = []
    for name in old.changed_in(new):
        before, after = (_value(one.get(name)) for one in sides)
        found.append(Remark("changed", f"{name} {before} to {after}"))
    if old.in_fleet and not new.in_fleet:
        found.append(Remark("movedOutOfFleet", "moved out of its fleet"))
    elif new.in_fleet and not old.in_fleet:
        found.append(Remark("movedIntoFleet", "moved into a fleet"))
    return found


def _value(value: object) -> str:
    if value is None:
        return "unset"
    if is_hidden(value):
        return "a value not known yet" if value == UNKNOWN else "a secret"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _trouble(planned: Planned) -> _Reasons:
    if planned.phase is Phase.FAILED:
        return [Remark("bootFailed", "it had FAILED")]
    if planned.phase is Phase.BOOTING:
        return [Remark("stillBooting", "the last up did not wait for its boot")]
    if planned.will is not None and _is_switched_on(planned, planned.will):
        return [Remark("switchedOff", "no instance of it runs")]
    return []


def _drift(  # noqa: PLR0911 - one for each case
    planned: Planned, shown: LiveModel | None, judged: Judgement | None
) -> Remark[DriftCode] | None:
    """Return how what runs differs from what was declared: by a refresh, or else by the service."""
    if planned.was is None:
        return None
    if judged is not None and judged.verdict is Verdict.OURS_LATER and not planned.is_asleep:
        later = "was loaded again by its own resource, after this state was saved"
        return Remark("loadedLater", later)
    is_there = shown is not None and shown.status != NOT_LOADED
    unloaded: Remark[DriftCode] = Remark("unloaded", "was unloaded since the last up")
    if planned.is_gone:
        return _of_others(judged) if is_there else unloaded
    if planned.now is not None and planned.was.declared != planned.now.declared:
        changes = ", ".join(one.text for one in _between(planned.was, planned.now))
        return Remark("changedOutside", f"was changed outside Pulumi: {changes}")
    if shown is None or planned.is_asleep:
        return None
    if not is_there:
        return unloaded
    if shown.is_declared_load is False:
        return _of_others(judged)
    if phase_of(shown.status) is Phase.FAILED:
        return Remark("failed", "has FAILED since the last up")
    return None


def _of_others(judged: Judgement | None) -> Remark[DriftCode]:
    owner = judged.owner if judged else None
    if owner is None:
        by_others = "was unloaded since the last up, and loaded by somebody else"
        return Remark("loadedByOthers", by_others)
    holder = resource_of(owner, with_place=True)
    return Remark("heldByOther", f"belongs to {holder}, according to the journal")
