"""What becomes of one model, and why: the provider's rules, read off a plan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bytez_provider.errors import printable
from bytez_provider.lifecycle import NOT_LOADED
from bytez_provider.marks import UNKNOWN, is_hidden
from bytez_provider.review._cases import Case
from bytez_provider.review._declared import COMPARED, REPLACING, changes, same
from bytez_provider.review._document import Action, LiveModel
from bytez_provider.review._live import Live
from bytez_provider.review._plan import Plan, model_id_of
from bytez_provider.schemas import Phase, phase_of
from bytez_provider.urns import name_of

_UNLOADED = "was unloaded since the last up"
_FAILED = "has FAILED since the last up"
_LOADED_ANEW = "was unloaded since the last up, and loaded by somebody else"
LEFT_RUNNING = "it is left running, and paid for, by no stack"


@dataclass(frozen=True)
class Fate:
    """What becomes of a model; each is what `ReviewedModel` says it is."""

    action: Action
    is_anyway: bool
    reasons: list[str]
    drift: str | None
    failure: str | None


class Fates:
    """Tells what becomes of the models of one plan."""

    def __init__(self, plan: Plan, cases: Iterable[Case], live: Live | None) -> None:
        self._live = live
        self._deleted_with = plan.deleted_with
        self._going = {step.urn for step in plan.steps if step.op == "delete"}
        self._complaints = {one.urn: one.message for one in plan.complaints if one.urn}
        # Who has a model, or is to have it: the service holds one load of each.
        self._holders: dict[str, list[Case]] = {}
        for case in cases:
            held = {
                model_id_of(state)
                for state in (case.now, case.will)
                if state is not None and not case.is_asleep
            }
            for model_id in held - {None}:
                self._holders.setdefault(str(model_id), []).append(case)

    def of(self, case: Case, live: LiveModel | None) -> Fate:
        """Return what becomes of a model."""
        drift = _drift(case, live)
        left = self._left(case, live, drift) if case.will is None else None
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
            failure=self._failure(case, action, live),
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
            return self._loading(case)
        if op == "replace":
            # Where nothing serves, nothing goes down.
            return ("load" if serves_nothing else "replace"), None
        if op != "update":
            return "keep", None
        if serves_nothing:
            return "load", None
        if _may_replace(case):
            # The provider can tell Pulumi so only once the value is known: in the `up`.
            return "replace", "an outage, unless the value turns out the same"
        return ("wait" if case.phase is Phase.BOOTING else "update"), None

    def _loading(self, case: Case) -> tuple[Action, str | None]:
        """Return what the create of a model comes to, where a load of it may be there already."""
        there = self._there(case)
        if there is None or case.will is None:
            return "load", None
        if self._live is not None and case.step.urn in self._live.begun:
            return "wait", "an interrupted up has begun its load"
        asked = case.will.inputs
        if is_hidden(asked.get("adopt")):
            return (
                "load",
                "it is loaded already, and what adopt says of that is hidden",
            )
        if asked.get("adopt") is not True:
            return "load", None
        if phase_of(str(there.get("status"))) is Phase.FAILED:
            return "load", "what is there has FAILED"
        return _taking_over(there, asked)

    def _there(self, case: Case) -> Mapping[str, Any] | None:
        """Return what runs of the model that is to be: by its status, or else by the state."""
        model_id = model_id_of(case.will) if case.will else None
        found = self._live.instances.get(model_id) if self._live and model_id else None
        if found is not None:
            return found.model_dump(by_alias=True)
        return case.now.outputs if case.now is not None and case.is_loaded else None

    def _left(self, case: Case, live: LiveModel | None, drift: str | None) -> str | None:
        """Say why a model that the stack no longer declares is not unloaded; None where it is."""
        with_ = self._deleted_with.get(case.step.urn)
        if case.is_gone or case.is_asleep or drift in (_UNLOADED, _LOADED_ANEW):
            return drift or "it is not loaded"
        if live is not None and live.status == NOT_LOADED:
            return "it is not loaded"
        if case.step.old is not None and case.step.old.is_retained:
            return f"retain_on_delete: {LEFT_RUNNING}"
        if with_ in self._going:
            return f"deleted_with {name_of(with_ or '')}: {LEFT_RUNNING}"
        return None

    # ------------------------------------------------------------------------ why it will fail

    def _failure(self, case: Case, action: Action, live: LiveModel | None) -> str | None:
        if _is_protected(case):
            verb = "replaced" if case.step.op == "replace" else "removed"
            return f"it is protected, and would be {verb}"
        if case.step.urn in self._complaints:
            return told(self._complaints[case.step.urn])
        if action not in ("load", "replace") or case.will is None:
            return None
        return None if case.will.inputs.get("adopt") else self._refusal(case, live)

    def _refusal(  # noqa: PLR0911 - one line a case
        self, case: Case, live: LiveModel | None
    ) -> str | None:
        """Say why the service would refuse the load: it has one of the model already."""
        model_id = model_id_of(case.will) if case.will else None
        if model_id is None:
            return None
        if case.renamed_from is not None and case.is_loaded:
            return (
                f"the stack has this model loaded as {printable(case.renamed_from, limit=100)}: "
                "name that in `aliases`"
            )
        for other in self._holders.get(model_id, ()):
            if other.step.urn != case.step.urn:
                name = printable(other.name, limit=100)
                return f"the stack has {model_id} as {name}, and a model can be loaded once"
        old = case.step.old
        is_own = case.is_loaded and case.now is not None and model_id_of(case.now) == model_id
        if is_own and case.step.op == "replace" and old is not None and old.is_retained:
            return "retain_on_delete keeps the old load, and a model can be loaded once"
        if is_own and (live is None or live.is_declared_load is not False):
            return None
        if self._live is None or model_id not in self._live.instances:
            return None
        return "it is loaded already, not by this stack: adopt it, or unload it first"


def _taking_over(there: Mapping[str, Any], asked: Mapping[str, Any]) -> tuple[Action, str | None]:
    """Return what a take-over comes to: a load of other settings is unloaded and loaded again."""
    differs = [
        name
        for name in ("concurrency", "expirationPeriodSeconds")
        if there.get(name) and name in asked and there[name] != asked[name]
    ]
    if not differs:
        return "adopt", None
    names = " and ".join(COMPARED[name] for name in differs)
    if all(is_hidden(asked[name]) or is_hidden(there[name]) for name in differs):
        return "replace", f"taken over; an outage, unless the {names}, which is hidden, is the same"
    return "replace", f"taken over, and loaded again for another {names}"


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
    case: Case, live: LiveModel | None
) -> str | None:
    """Say how what runs is not what was declared: what a refresh found, or else what runs now."""
    if case.was is None:
        return None
    if case.is_gone:
        return _LOADED_ANEW if live is not None and live.status != NOT_LOADED else _UNLOADED
    if case.now is not None and not same(case.was, case.now):
        return f"was changed behind Pulumi's back: {', '.join(changes(case.was, case.now))}"
    if live is None or case.is_asleep:
        return None
    if live.status == NOT_LOADED:
        return _UNLOADED
    if live.is_declared_load is False:
        return _LOADED_ANEW
    return _FAILED if phase_of(live.status) is Phase.FAILED else None
