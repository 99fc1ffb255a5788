"""What happens to one model, and why: the provider's rules, applied to a plan."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from bytez_provider.base.urns import name_of
from bytez_provider.core.messages import named
from bytez_provider.core.ownership import Judgement, Owner, Verdict, judge
from bytez_provider.review._document import Action, DriftCode, FailureCode, LiveModel, ReasonCode
from bytez_provider.review._messages import Remark, reason, remark
from bytez_provider.review._models import Case, Live
from bytez_provider.review._plan import REPLACING, Plan, ResourceState
from bytez_provider.service.schemas import NOT_LOADED, Instance, Phase, phase_of
from bytez_provider.stack.marks import UNKNOWN, is_hidden

_Reasons = list[Remark[ReasonCode]]


@dataclass(frozen=True)
class Fate:
    """What happens to a model; each is what `ReviewedModel` says it is."""

    action: Action
    is_anyway: bool
    reasons: _Reasons
    drift: Remark[DriftCode] | None
    failure: Remark[FailureCode] | None


@dataclass(frozen=True)
class _Met:
    """A load that exists before one is asked for, and whose it is."""

    instance: Instance
    judged: Judgement


class Fates:
    """Judges the models of one plan."""

    def __init__(self, plan: Plan, cases: Iterable[Case], live: Live | None) -> None:
        self._cases = list(cases)
        self._live = live
        self._is_refreshed = plan.is_refreshed
        self._deleted_with = plan.deleted_with
        self._removed = {step.urn for step in plan.steps if step.op == "delete"}
        self._complaints = {one.urn: one.message for one in plan.complaints if one.urn}
        # Who has a model, or will have it: the service holds one load of each.
        self._holders: dict[str, list[Case]] = {}
        self._declared: set[tuple[str, str | None]] = set()
        for case in self._cases:
            states = [] if case.is_asleep else [case.now, case.will]
            for model_id in {state.model_id for state in states if state} - {None}:
                self._holders.setdefault(str(model_id), []).append(case)
            if case.will is not None:
                self._declared.add((case.step.urn, case.will.model_id))

    def of(self, case: Case, shown: LiveModel | None) -> Fate:
        """Return what happens to a model."""
        judged = self._live.judged(case) if self._live else None
        drift = _drift(case, shown, judged)
        if case.will is None:
            why = self._why_left(case, judged, drift)
            action: Action = "forget" if why else "unload"
            reasons: _Reasons = [why] if why else []
        else:
            action, reasons = self._action(case, case.will)
        is_anyway = action != "keep" and _is_anyway(case)
        reasons = [*_changes(case), *_trouble(case), *reasons]
        if is_anyway and drift is not None and drift not in reasons:
            reasons.append(drift)
        return Fate(action, is_anyway, reasons, drift, self._failure(case, action, judged))

    # --------------------------------------------------------------------------- what is done

    def _action(self, case: Case, will: ResourceState) -> tuple[Action, _Reasons]:
        """Return what is done to a model, and why if nothing else says it."""
        op = case.step.op
        serves_nothing = case.is_asleep or case.phase is Phase.FAILED
        if op in ("create", "import", "replace"):
            taken = self._taken(case, will)
            # If nothing serves, nothing goes down.
            is_outage = op == "replace" and not serves_nothing
            return taken or ("replace" if is_outage else "load", [])
        if op != "update":
            return "keep", []
        if serves_nothing:
            return "load", []
        if _may_replace(case, will):
            # The provider can say so to Pulumi only once the value is known: in the `up`.
            return "replace", [remark("unknownValue")]
        return ("wait" if case.phase is Phase.BOOTING else "update"), []

    def _taken(  # noqa: PLR0911 - one for each case
        self, case: Case, will: ResourceState
    ) -> tuple[Action, _Reasons] | None:
        """Return what is done with a load that exists; None if it is not for this resource."""
        met = self._met(case)
        if met is None:
            return None
        asked, adopt = will.inputs, will.inputs.get("adopt")
        record = met.judged.record
        if met.judged.verdict is Verdict.OURS_LATER and record is not None:
            there = {
                "concurrency": record.concurrency,
                "expirationPeriodSeconds": record.expiration_period_seconds,
            }
            return _kept(met, asked, there, action="wait", how=remark("interrupted"))
        giver = self._giver(case, met)
        if giver is not None:
            if any(one.old_urn == giver.urn and one.step.op == "replace" for one in self._cases):
                # Which of the two comes first, the engine decides.
                return "replace", [remark("takenOverOrReloaded", name=giver.name)]
            return _kept(met, asked, action="adopt", how=remark("takenOver", name=giver.name))
        if case.step.op == "replace":
            return None
        if is_hidden(adopt):
            return "load", [remark("adoptHidden")]
        return _kept(met, asked, action="adopt", how=remark("adopted")) if adopt is True else None

    def _met(self, case: Case) -> _Met | None:
        """Return the load that the create of a model meets; None if it meets none.

        The service shows it, or else the state of the resource that has the model.
        """
        model_id = case.will.model_id if case.will else None
        if model_id is None or case.has(model_id):
            return None
        givers = [
            (one, one.now)
            for one in self._holders.get(model_id, ())
            if one.now is not None and one.is_loaded and one.now.model_id == model_id
            if one.old_urn != case.step.urn
        ]
        stack = None
        record = None
        if self._live is not None:
            stack, record = self._live.stack, self._live.records.get(model_id)
            instance = self._live.instances.get(model_id)
        else:
            instance = next((_instance(model_id, now) for _, now in givers), None)
        if instance is None:
            return None
        # By the state alone: the journal is asked below.
        seen = [
            owner
            for owner, now in ((Owner(urn=one.old_urn, stack=stack), now) for one, now in givers)
            if judge(instance, who=owner, named=now.load, record=None).is_ours
        ]
        sibling = seen[0] if seen and self._is_refreshed else None
        who = Owner(urn=case.step.urn, stack=stack)
        return _Met(instance, judge(instance, who=who, named=None, record=record, sibling=sibling))

    def _giver(self, case: Case, met: _Met) -> Owner | None:
        """Return the resource of this stack that gives up a load to this one."""
        owner = met.judged.owner
        if met.judged.verdict is not Verdict.OTHER_RESOURCE or owner is None or not owner.urn:
            return None
        is_kept = (owner.urn, met.instance.model_id) in self._declared
        return None if is_kept or owner.urn == case.step.urn else owner

    def _taker(self, case: Case) -> Case | None:
        """Return the model that takes over the load of one that is removed."""
        model_id = case.now.model_id if case.now else None
        for other in self._holders.get(model_id or "", ()):
            met = self._met(other) if other.step.urn != case.step.urn else None
            giver = self._giver(other, met) if met else None
            is_adopted = other.will is not None and other.will.inputs.get("adopt") is True
            if (giver is not None and giver.urn == case.old_urn) or (met and is_adopted):
                return other
        return None

    def _why_left(
        self, case: Case, judged: Judgement | None, drift: Remark[DriftCode] | None
    ) -> Remark[ReasonCode] | None:
        """Return why a model that the stack no longer declares is not unloaded."""
        if judged is not None and judged.verdict is Verdict.UNSURE and case.is_loaded:
            return remark("ownLoadUnclear")
        if not case.is_loaded or (judged is not None and not judged.is_ours):
            return drift or remark("notLoaded")
        taker = self._taker(case)
        if taker is not None:
            return remark("givenUp", name=taker.name)
        if case.step.old is not None and case.step.old.retain_on_delete:
            return remark("retained")
        other = self._deleted_with.get(case.step.urn)
        return remark("deletedWith", name=name_of(other)) if other in self._removed else None

    # ------------------------------------------------------------------------ why it will fail

    def _failure(
        self, case: Case, action: Action, judged: Judgement | None
    ) -> Remark[FailureCode] | None:
        if _is_protected(case):
            done = "replaced" if case.step.op == "replace" else "removed"
            return remark("protected", done=done)
        if case.step.urn in self._complaints:
            return complaint(self._complaints[case.step.urn])
        if action not in ("load", "replace") or case.will is None:
            return None
        return None if case.will.inputs.get("adopt") else self._refusal(case, case.will, judged)

    def _refusal(  # noqa: PLR0911 - one for each case
        self, case: Case, will: ResourceState, judged: Judgement | None
    ) -> Remark[FailureCode] | None:
        """Return why the service would refuse the load: it has one of the model already."""
        model_id = will.model_id
        if model_id is None:
            return None
        others = [one for one in self._holders.get(model_id, ()) if one.step.urn != case.step.urn]
        for other in others:
            if (other.step.urn, model_id) in self._declared:
                return remark("declaredTwice", model=model_id, name=other.name)
        if case.has(model_id):
            # A replacement: only its own load is unloaded before the new one is asked for.
            if case.step.op == "replace" and case.step.old and case.step.old.retain_on_delete:
                return remark("oldLoadRetained")
            is_loaded = judged is not None and judged.verdict is not Verdict.NOT_LOADED
            return _refused(judged) if judged and is_loaded and not judged.is_ours else None
        met = self._met(case)
        if met is None or self._taken(case, will) is not None:
            return None
        # The provider knows only from a refresh in the same `up`, or from the journal, that
        # another resource of the stack gives the load up.
        if case.came_from is not None and case.is_loaded:
            code: FailureCode = "renamedInFleet" if will.in_fleet else "renamedUnseen"
            return remark(code, name=name_of(case.came_from))
        for other in others:
            if other.is_loaded:
                return remark("notReleased", model=model_id, name=other.name)
        return _refused(met.judged)


def complaint(message: str) -> Remark[FailureCode]:
    """Return an error of a preview as a failure; of a program's traceback only the last line."""
    if "Traceback (most recent call last)" not in message:
        return remark("previewError", message=message)
    *_, last = (line for line in message.splitlines() if line.strip())
    return remark("programError", message=last)


def _kept(
    met: _Met,
    asked: Any,
    there: dict[str, Any] | None = None,
    *,
    action: Action,
    how: Remark[ReasonCode],
) -> tuple[Action, _Reasons]:
    """Return what is done with a load that exists: `action`, unless its settings differ."""
    if met.instance.phase is Phase.FAILED:
        return "load", [remark("foundFailed")]
    there = {**met.instance.model_dump(by_alias=True), **(there or {})}
    differs = [
        name
        for name in REPLACING
        if there.get(name) and name in asked and there[name] != asked[name]
    ]
    if not differs:
        return action, [how]
    inputs = " and ".join(differs)
    if all(is_hidden(asked[name]) or is_hidden(there[name]) for name in differs):
        return "replace", [how, remark("settingsHidden", inputs=inputs)]
    return "replace", [how, remark("settingsDiffer", inputs=inputs)]


def _refused(judged: Judgement) -> Remark[FailureCode]:
    if judged.owner is None:
        return remark("alreadyLoaded")
    return remark("alreadyLoadedByOther", owner=named(judged.owner, with_place=True))


def _instance(model_id: str, state: ResourceState) -> Instance:
    """Return a load as the state has it."""
    names = ("concurrency", "created", "expirationPeriodSeconds")
    known = {name: state.outputs.get(name) for name in names}
    status = str(state.outputs.get("status") or "")
    return Instance.model_validate({**known, "modelId": model_id, "status": status})


def _may_replace(case: Case, will: ResourceState) -> bool:
    """Return whether an update may become a replacement, because a value is not known yet.

    The plan does not show whether a secret is known. If it changes without a replacement, it is
    not.
    """
    return any(
        will.inputs.get(name) == UNKNOWN
        or (is_hidden(will.inputs.get(name)) and name in case.step.changed)
        for name in REPLACING
    )


def _is_protected(case: Case) -> bool:
    """Return whether Pulumi refuses; what is no longer declared as protected may be replaced."""
    step = case.step
    if step.op == "replace":
        return all(one is not None and one.protect for one in (step.old, case.will))
    is_removed = case.will is None or case.came_from is not None
    return is_removed and not case.is_gone and case.was is not None and case.was.protect


def _is_anyway(case: Case) -> bool:
    """Return whether the next `up` would do it without this change too."""
    if case.will is None:
        return case.is_gone
    if case.was is None or case.was.declared != case.will.declared:
        return False
    if _secretly_changed(case, case.was, case.will):
        return False
    is_settled = case.phase in (None, Phase.RUNNING) and not case.is_asleep
    return case.now is None or not is_settled or case.was.declared != case.now.declared


def _secretly_changed(case: Case, was: ResourceState, will: ResourceState) -> list[str]:
    """Return the inputs that change according to Pulumi, while the plan hides how."""
    return sorted(
        name
        for name in case.step.changed
        if is_hidden(will.inputs.get(name)) and was.inputs.get(name) == will.inputs.get(name)
    )


def _changes(case: Case) -> _Reasons:
    if case.was is None or case.will is None:
        return []
    found = _between(case.was, case.will)
    found += [
        remark("secretChanged", input=name) for name in _secretly_changed(case, case.was, case.will)
    ]
    return found + ([remark("renamed", name=name_of(case.came_from))] if case.came_from else [])


def _between(old: ResourceState, new: ResourceState) -> _Reasons:
    """Return what changes between two declarations."""
    found: _Reasons = [
        remark(
            "changed",
            input=name,
            before=_value(old.declared.get(name)),
            after=_value(new.declared.get(name)),
        )
        for name in old.changed_in(new)
    ]
    if old.in_fleet != new.in_fleet:
        found.append(remark("movedIntoFleet" if new.in_fleet else "movedOutOfFleet"))
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


def _trouble(case: Case) -> _Reasons:
    if case.phase is Phase.FAILED:
        return [remark("bootFailed")]
    return [remark("stillBooting")] if case.phase is Phase.BOOTING else []


def _drift(  # noqa: PLR0911 - one for each case
    case: Case, shown: LiveModel | None, judged: Judgement | None
) -> Remark[DriftCode] | None:
    """Return how what runs differs from what was declared: by a refresh, or else by the service."""
    if case.was is None:
        return None
    if judged is not None and judged.verdict is Verdict.OURS_LATER and not case.is_asleep:
        return remark("loadedLater")
    is_there = shown is not None and shown.status != NOT_LOADED
    if case.is_gone:
        return _of_others(judged) if is_there else remark("unloaded")
    if case.now is not None and case.was.declared != case.now.declared:
        changes = ", ".join(map(reason, _between(case.was, case.now)))
        return remark("changedOutside", changes=changes)
    if shown is None or case.is_asleep:
        return None
    if not is_there:
        return remark("unloaded")
    if shown.is_declared_load is False:
        return _of_others(judged)
    return remark("failed") if phase_of(shown.status) is Phase.FAILED else None


def _of_others(judged: Judgement | None) -> Remark[DriftCode]:
    owner = judged.owner if judged else None
    if owner is None:
        return remark("loadedByOthers")
    return remark("heldByOther", owner=named(owner, with_place=True))
