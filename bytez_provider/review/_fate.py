"""What becomes of one model, and why: the provider's rules, read off a plan."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bytez_provider.base.errors import printable
from bytez_provider.base.urns import name_of
from bytez_provider.core.messages import named
from bytez_provider.core.ownership import Judgement, Owner, Verdict, judge
from bytez_provider.review._cases import Case
from bytez_provider.review._declared import COMPARED, REPLACING, changes, same
from bytez_provider.review._document import Action, LiveModel
from bytez_provider.review._live import Live, judged_of, named_by
from bytez_provider.review._plan import Plan, ResourceState, model_id_of
from bytez_provider.service.schemas import NOT_LOADED, Instance, Phase, phase_of
from bytez_provider.stack.marks import UNKNOWN, is_hidden

_UNLOADED = "was unloaded since the last up"
_FAILED = "has FAILED since the last up"
_LOADED_BY_OTHERS = "was unloaded since the last up, and loaded by somebody else"
_LOADED_LATER = "was loaded again by its own resource, after this state was saved"
_UNSURE = "the state does not say which load is its own: it is left alone"
LEFT_RUNNING = "it is left running, and paid for, by no stack"


@dataclass(frozen=True)
class Fate:
    """What becomes of a model; each is what `ReviewedModel` says it is."""

    action: Action
    is_anyway: bool
    reasons: list[str]
    drift: str | None
    failure: str | None


@dataclass(frozen=True)
class _Met:
    """A load that is there before one is asked for, and whose it is."""

    instance: Instance
    judged: Judgement


class Fates:
    """Tells what becomes of the models of one plan."""

    def __init__(self, plan: Plan, cases: Iterable[Case], live: Live | None) -> None:
        cases = self._cases = list(cases)
        self._live = live
        self._is_refreshed = plan.is_refreshed
        self._deleted_with = plan.deleted_with
        self._going = {step.urn for step in plan.steps if step.op == "delete"}
        self._complaints = {one.urn: one.message for one in plan.complaints if one.urn}
        # Who has a model, or is to have it: the service holds one load of each.
        self._holders: dict[str, list[Case]] = {}
        self._declared: set[tuple[str, str]] = set()
        for case in cases:
            held = {
                model_id_of(state)
                for state in (case.now, case.will)
                if state is not None and not case.is_asleep
            }
            for model_id in held - {None}:
                self._holders.setdefault(str(model_id), []).append(case)
            if case.will is not None:
                self._declared.add((case.step.urn, model_id_of(case.will) or ""))

    def of(self, case: Case, live: LiveModel | None) -> Fate:
        """Return what becomes of a model."""
        judged = judged_of(case, self._live)
        drift = _drift(case, live, judged)
        left = self._left(case, judged, drift) if case.will is None else None
        action, why = ("forget", left) if left else self._action(case)
        is_anyway = action != "keep" and _is_anyway(case)
        reasons = [*_changes(case), *_state(case), *([why] if why else [])]
        if is_anyway and drift is not None and drift not in reasons:
            reasons.append(drift)
        return Fate(
            action=action,
            is_anyway=is_anyway,
            reasons=[printable(one, limit=200) for one in reasons],
            drift=drift,
            failure=self._failure(case, action, judged),
        )

    # --------------------------------------------------------------------------- what is done

    def _action(  # noqa: PLR0911 - one line a case
        self, case: Case
    ) -> tuple[Action, str | None]:
        """Return what is done to a model, and why where nothing else tells it."""
        op = case.step.op
        serves_nothing = case.is_asleep or case.phase is Phase.FAILED
        if case.will is None:
            return "unload", None
        if op in ("create", "import"):
            return self._taken(case) or ("load", None)
        if op == "replace":
            taken = self._taken(case)
            # Where nothing serves, nothing goes down.
            return taken or ("load" if serves_nothing else "replace", None)
        if op != "update":
            return "keep", None
        if serves_nothing:
            return "load", None
        if _may_replace(case):
            # The provider can tell Pulumi so only once the value is known: in the `up`.
            return "replace", "an outage, unless the value turns out the same"
        return ("wait" if case.phase is Phase.BOOTING else "update"), None

    def _taken(  # noqa: PLR0911 - one line a case
        self, case: Case
    ) -> tuple[Action, str | None] | None:
        """Return what comes of a load that is there already; None where it is not for this one."""
        met = self._met(case)
        if met is None or case.will is None:
            return None
        asked = dict(case.will.inputs)
        there: dict[str, object] = met.instance.model_dump(by_alias=True)
        record = met.judged.record
        if met.judged.verdict is Verdict.OURS_LATER and record is not None:
            there |= {
                "concurrency": record.concurrency,
                "expirationPeriodSeconds": record.expiration_period_seconds,
            }
            begun = "an interrupted up has begun its load"
            return self._kept_or_again(met, asked, there, kept=("wait", begun), verb="begun")
        giver = self._giver(case, met)
        if giver is not None:
            name = printable(giver.name, limit=100)
            if any(one.old_urn == giver.urn and one.step.op == "replace" for one in self._cases):
                # Which of the two comes first, the engine decides.
                return "replace", f"taken over from '{name}', unless that is unloaded first"
            kept: tuple[Action, str | None] = "adopt", f"taken over from '{name}', without a load"
            verb = f"taken over from '{name}'"
            return self._kept_or_again(met, asked, there, kept=kept, verb=verb)
        if case.step.op == "replace":
            return None
        if is_hidden(asked.get("adopt")):
            return "load", "it is loaded already, and what adopt says of that is hidden"
        if asked.get("adopt") is not True:
            return None
        return self._kept_or_again(met, asked, there, kept=("adopt", None), verb="taken over")

    @staticmethod
    def _kept_or_again(
        met: _Met,
        asked: dict[str, object],
        there: dict[str, object],
        *,
        kept: tuple[Action, str | None],
        verb: str,
    ) -> tuple[Action, str | None]:
        """Return what is done with a load as it runs, or where it has other settings."""
        if met.instance.phase is Phase.FAILED:
            return "load", "what is there has FAILED"
        differs = [
            name
            for name in ("concurrency", "expirationPeriodSeconds")
            if there.get(name) and name in asked and there[name] != asked[name]
        ]
        if not differs:
            return kept
        names = " and ".join(COMPARED[name] for name in differs)
        if all(is_hidden(asked[name]) or is_hidden(there[name]) for name in differs):
            return "replace", f"{verb}; an outage, unless the {names}, which is hidden, is the same"
        return "replace", f"{verb}, and loaded again for another {names}"

    def _met(self, case: Case) -> _Met | None:
        """Return the load that the create of a model meets; None where it meets none.

        What runs says so, or else the state of the resource that has the model.
        """
        model_id = model_id_of(case.will) if case.will else None
        if model_id is None or _has(case, model_id):
            return None
        givers = [
            (one, one.now)
            for one in self._holders.get(model_id, ())
            if one.now is not None and one.is_loaded and model_id_of(one.now) == model_id
            if one.old_urn != case.step.urn
        ]
        if self._live is not None:
            instance = self._live.instances.get(model_id)
        else:
            instance = next((_instance(model_id, now) for _, now in givers), None)
        if instance is None:
            return None
        stack = self._live.stack if self._live else None
        owners = [(Owner(urn=one.old_urn, stack=stack), now) for one, now in givers]
        # By the state alone: the journal is asked below.
        seen = [
            owner
            for owner, now in owners
            if judge(instance, who=owner, named=named_by(now), record=None).is_ours
        ]
        record = self._live.records.get(model_id) if self._live else None
        sibling = seen[0] if seen and self._is_refreshed else None
        who = Owner(urn=case.step.urn, stack=stack)
        return _Met(instance, judge(instance, who=who, named=None, record=record, sibling=sibling))

    def _giver(self, case: Case, met: _Met) -> Owner | None:
        """Return the resource of this stack that lets go of a load, to be taken over from it."""
        owner = met.judged.owner
        if met.judged.verdict is not Verdict.OTHER_RESOURCE or owner is None or not owner.urn:
            return None
        is_kept = (owner.urn, met.instance.model_id) in self._declared
        return None if is_kept or owner.urn == case.step.urn else owner

    def _taker(self, case: Case) -> Case | None:
        """Return the model that takes over the load of one that goes."""
        model_id = model_id_of(case.now) if case.now else None
        for other in self._holders.get(model_id or "", ()):
            met = self._met(other) if other.step.urn != case.step.urn else None
            giver = self._giver(other, met) if met else None
            is_adopted = other.will is not None and other.will.inputs.get("adopt") is True
            if (giver is not None and giver.urn == case.old_urn) or (met and is_adopted):
                return other
        return None

    def _left(self, case: Case, judged: Judgement | None, drift: str | None) -> str | None:
        """Say why a model that the stack no longer declares is not unloaded; None where it is."""
        with_ = self._deleted_with.get(case.step.urn)
        if case.is_gone or case.is_asleep:
            return drift or "it is not loaded"
        if judged is not None and not judged.is_ours:
            is_unsure = judged.verdict is Verdict.UNSURE
            return _UNSURE if is_unsure else drift or "it is not loaded"
        taker = self._taker(case)
        if taker is not None:
            return f"'{printable(taker.name, limit=100)}' takes its load over"
        if case.step.old is not None and case.step.old.is_retained:
            return f"retain_on_delete: {LEFT_RUNNING}"
        if with_ in self._going:
            return f"deleted_with {name_of(with_ or '')}: {LEFT_RUNNING}"
        return None

    # ------------------------------------------------------------------------ why it will fail

    def _failure(self, case: Case, action: Action, judged: Judgement | None) -> str | None:
        if _is_protected(case):
            verb = "replaced" if case.step.op == "replace" else "removed"
            return f"it is protected, and would be {verb}"
        if case.step.urn in self._complaints:
            return told(self._complaints[case.step.urn])
        if action not in ("load", "replace") or case.will is None:
            return None
        return None if case.will.inputs.get("adopt") else self._refusal(case, judged)

    def _refusal(self, case: Case, judged: Judgement | None) -> str | None:
        """Say why the service would refuse the load: it has one of the model already."""
        model_id = model_id_of(case.will) if case.will else None
        if model_id is None:
            return None
        for other in self._holders.get(model_id, ()):
            if other.step.urn != case.step.urn and (other.step.urn, model_id) in self._declared:
                name = printable(other.name, limit=100)
                return f"the stack has {model_id} as {name}, and a model can be loaded once"
        if _has(case, model_id):
            return self._refused_again(case, judged)
        met = self._met(case)
        if met is None or self._taken(case) is not None:
            return None
        return self._not_let_go(case, model_id) or _refused(met.judged)

    def _refused_again(self, case: Case, judged: Judgement | None) -> str | None:
        """Say why a replacement of a load by one of the same model is refused."""
        old = case.step.old
        if case.step.op == "replace" and old is not None and old.is_retained:
            return "retain_on_delete keeps the old load, and a model can be loaded once"
        is_in_the_way = judged is not None and judged.verdict is not Verdict.NOT_LOADED
        return _refused(judged) if judged and is_in_the_way and not judged.is_ours else None

    def _not_let_go(self, case: Case, model_id: str) -> str | None:
        """Say who of the stack has the load, where the provider would not know that it goes.

        It knows by a refresh in the same `up`, or by the journal.
        """
        in_fleet = case.will is not None and case.will.inputs.get("readiness") == "fleet"
        if case.renamed_from is not None and case.is_loaded:
            name = printable(case.renamed_from, limit=100)
            way = "name that in `aliases`"
            if in_fleet:
                way = "set `adopt=True` on it for one up, or use `pulumi state rename`"
            return f"the stack has this model loaded as {name}: {way}"
        for other in self._holders.get(model_id, ()):
            if other.step.urn != case.step.urn and other.now is not None and other.is_loaded:
                name = printable(other.name, limit=100)
                way = "set `adopt=True` on it for one up, or run `pulumi up --refresh`"
                return f"the stack has {model_id} as {name}, which goes later: {way}"
        return None


def _refused(judged: Judgement) -> str:
    by = "not by this stack"
    if judged.owner is not None:
        by = f"by {named(judged.owner, with_place=True)}"
    return f"it is loaded already, {by}: adopt it, or unload it first"


def _has(case: Case, model_id: str) -> bool:
    """Tell whether a resource has the model now: its own load goes before it is loaded again."""
    is_same = case.now is not None and model_id_of(case.now) == model_id
    return is_same and case.is_loaded and case.came_from is None


def _instance(model_id: str, state: ResourceState) -> Instance:
    """Return a load as the state has it."""
    names = ("concurrency", "created", "expirationPeriodSeconds")
    known = {name: state.outputs.get(name) for name in names}
    status = str(state.outputs.get("status") or "")
    return Instance.model_validate({**known, "modelId": model_id, "status": status})


def _may_replace(case: Case) -> bool:
    """Tell whether an update may turn out a replacement, because a value is not known yet.

    Of a secret the plan does not show whether it is known: that it changes without a replacement
    says that it is not.
    """
    asked = case.will.inputs if case.will else {}
    return any(
        asked.get(name) == UNKNOWN or (is_hidden(asked.get(name)) and name in case.step.changed)
        for name in REPLACING
    )


def told(complaint: str) -> str:
    """Return an error of a preview in a line: of a program's traceback the last one."""
    if "Traceback (most recent call last)" not in complaint:
        return printable(complaint)
    *_, last = (line for line in complaint.splitlines() if line.strip())
    return f"the program failed: {printable(last)}"


def _is_protected(case: Case) -> bool:
    """Tell whether Pulumi refuses; what is no longer declared as protected may be replaced."""
    step, will = case.step, case.will
    if step.op == "replace":
        return all(one is not None and one.is_protected for one in (step.old, will))
    is_removed = will is None or case.renamed_from is not None
    return is_removed and not case.is_gone and case.was is not None and case.was.is_protected


def _is_anyway(case: Case) -> bool:
    """Tell whether the next `up` would do it without this change too."""
    if case.will is None:
        return case.is_gone
    if case.was is None or not same(case.was, case.will) or _changed_secretly(case):
        return False
    is_settled = case.phase in (None, Phase.RUNNING) and not case.is_asleep
    return case.now is None or not is_settled or not same(case.was, case.now)


def _changed_secretly(case: Case) -> list[str]:
    """Return the inputs of which Pulumi says that they change, where the plan hides how."""
    was, will = case.was, case.will
    if was is None or will is None:
        return []
    return sorted(
        name
        for name in case.step.changed
        if is_hidden(will.inputs.get(name)) and was.inputs.get(name) == will.inputs.get(name)
    )


def _changes(case: Case) -> list[str]:
    if case.was is None or case.will is None:
        return []
    hidden = [f"{COMPARED.get(name, name)}, a secret" for name in _changed_secretly(case)]
    renamed = [f"renamed from {case.renamed_from}"] if case.renamed_from else []
    return [*changes(case.was, case.will), *hidden, *renamed]


def _state(case: Case) -> list[str]:
    if case.phase is Phase.FAILED:
        return ["it had FAILED"]
    return ["the last up did not wait for its boot"] if case.phase is Phase.BOOTING else []


def _drift(  # noqa: PLR0911 - one line a case
    case: Case, live: LiveModel | None, judged: Judgement | None
) -> str | None:
    """Say how what runs is not what was declared: what a refresh found, or else what runs now."""
    if case.was is None:
        return None
    if judged is not None and judged.verdict is Verdict.OURS_LATER and not case.is_asleep:
        return _LOADED_LATER
    if case.is_gone:
        return _of_others(judged) if live is not None and live.status != NOT_LOADED else _UNLOADED
    if case.now is not None and not same(case.was, case.now):
        return f"was changed behind Pulumi's back: {', '.join(changes(case.was, case.now))}"
    if live is None or case.is_asleep:
        return None
    if live.status == NOT_LOADED:
        return _UNLOADED
    if live.is_declared_load is False:
        return _of_others(judged)
    return _FAILED if phase_of(live.status) is Phase.FAILED else None


def _of_others(judged: Judgement | None) -> str:
    """Say who has the load that runs."""
    owner = judged.owner if judged else None
    if owner is None:
        return _LOADED_BY_OTHERS
    return f"its load is that of {named(owner, with_place=True)}, by the journal"
