"""The review of a plan: each model's fate, with costs, outages, sums and findings."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from decimal import Decimal
from graphlib import CycleError, TopologicalSorter
from typing import Any, Literal, TypeVar

from bytez_provider.base.errors import printable
from bytez_provider.base.urns import (
    FLEET_TYPE,
    MODEL_TYPE,
    READINESS_TYPE,
    STACK_TYPE,
    name_of,
    type_of,
)
from bytez_provider.base.words import dollars
from bytez_provider.review import _messages as messages
from bytez_provider.review._document import (
    Action,
    BrokenRule,
    Counts,
    DeclaredModel,
    FailureCode,
    Finding,
    FindingCode,
    Gap,
    Month,
    NoteCode,
    Review,
    ReviewedModel,
    Total,
)
from bytez_provider.review._fate import Fates, complaint
from bytez_provider.review._messages import Remark, remark
from bytez_provider.review._models import Case, Live, cases_of
from bytez_provider.review._plan import Plan, ResourceState, Violation
from bytez_provider.service.catalogue import Catalogue
from bytez_provider.service.pricing import PRICE_DATE, hourly, monthly
from bytez_provider.service.schemas import iso
from bytez_provider.stack.declared import UNKNOWN, Unknown, declared_model, number
from bytez_provider.stack.marks import SECRET, is_hidden

BOOT_MINUTES = 15
"""How long a boot takes, for estimates: the vendor says 12 to 15 minutes (2024-06 API)."""

_BOOTS: tuple[Action, ...] = ("load", "replace", "wait")
_OURS = (MODEL_TYPE, READINESS_TYPE, FLEET_TYPE, STACK_TYPE, "pulumi:providers:")
"""Beginnings of the types that are not counted as other resources."""
_SILENT = (FLEET_TYPE, READINESS_TYPE, STACK_TYPE)
"""Types that nothing uses by themselves: they are not listed as dependents."""
_NO_CHANGE = ("same", "read", "refresh", "discard")
_T = TypeVar("_T")


@dataclass(frozen=True)
class Thresholds:
    """What is a finding: amounts in US dollars for a month, always loaded, and `FindingCode`s."""

    max_increase: float | None = None
    max_monthly: float | None = None
    fail_on: AbstractSet[str] = frozenset()


@dataclass(frozen=True)
class Setting:
    """What a review is made with, besides the plan."""

    catalogue: Catalogue
    price: Decimal
    """US dollars for a GB-second."""
    source: Literal["live", "bundled", "off"]
    """Where the catalogue is from."""
    live: Live | None = None
    """None if the service cannot be asked."""
    boot_minutes: int = BOOT_MINUTES
    commit: str | None = None
    notes: Sequence[NoteCode] = ()
    """What went wrong before the review."""
    thresholds: Thresholds = field(default_factory=Thresholds)


@dataclass(frozen=True)
class _Assessed:
    """A model in the document, and what counts of it before and after; None for nothing."""

    case: Case
    document: ReviewedModel
    failure: Remark[FailureCode] | None
    before: DeclaredModel | None
    after: DeclaredModel | None


def assess(plan: Plan, setting: Setting) -> Review:
    """Return the review of a plan. The same arguments give the same review."""
    rules = [_rule(plan, one) for one in plan.violations or ()]
    assessed = _assessed(plan, setting, rules)
    models = [one.document for one in assessed]
    before, after = _total(one.before for one in assessed), _total(one.after for one in assessed)
    booting = {one.case.step.urn for one in assessed if one.document.action in _BOOTS}
    failures = _failures(plan, assessed)
    notes = _notes(plan, setting)
    review = Review(
        project=printable(plan.project, limit=100),
        stack=printable(plan.stack, limit=100),
        commit=None if setting.commit is None else printable(setting.commit, limit=60),
        planned_at=None if plan.made_at is None else iso(plan.made_at),
        is_refreshed=plan.is_refreshed,
        has_live_facts=setting.live is not None,
        has_policy_results=plan.violations is not None,
        is_complete=plan.has_all,
        gaps=[
            Gap(code=one.code, text=messages.GAPS[one.code], models=list(map(_name, one.models)))
            for one in plan.missing
        ],
        has_order=plan.depends_on is not None,
        compares="branches" if plan.is_from_nothing else "state",
        catalogue=setting.source,
        dollars_per_gb_second=float(setting.price),
        price_date=PRICE_DATE,
        boot_minutes=setting.boot_minutes,
        counts=_counts(plan, models),
        other_changes=sum(
            step.op not in _NO_CHANGE for step in plan.steps if not step.type.startswith(_OURS)
        ),
        models=models,
        before=before,
        after=after,
        increase=_difference(before.dollars_per_month, after.dollars_per_month),
        increase_per_hour=round(after.dollars_per_hour - before.dollars_per_hour, 6),
        unknown_cost=[
            one.document.name
            for one in assessed
            if one.after and one.after.dollars_per_hour is None
        ],
        peak_ram_gb=_sum(map(_most_ram, assessed)),
        minutes_to_apply=_boots_in_a_row(plan, booting) * setting.boot_minutes,
        broken_rules=rules,
        failures=list(failures),
        failure_codes=list(failures.values()),
        findings=[],
        notes=[messages.NOTES[code] for code in notes],
        note_codes=notes,
    )
    return review.model_copy(update={"findings": list(_findings(review, setting.thresholds))})


def _assessed(plan: Plan, setting: Setting, rules: Sequence[BrokenRule]) -> list[_Assessed]:
    cases = cases_of(plan)
    fates = Fates(plan, cases, setting.live)
    needed_by = _needed_by(plan)
    rules_of: dict[str, list[BrokenRule]] = {}
    for violation, rule in zip(plan.violations or (), rules, strict=True):
        rules_of.setdefault(violation.urn, []).append(rule)

    def one(case: Case) -> _Assessed:
        live = setting.live.shown(case) if setting.live else None
        fate = fates.of(case, live)
        outputs = case.was.outputs if case.was else {}
        before = _declared(case.was, setting, outputs) if case.was else None
        after = _declared(case.will, setting, outputs) if case.will else None
        is_replaced = fate.action == "replace"
        reason_codes = [each.code for each in fate.reasons]
        document = ReviewedModel(
            name=_name(case.name),
            urn=printable(case.step.urn, limit=500),
            action=fate.action,
            is_anyway=fate.is_anyway,
            is_asleep=case.is_asleep,
            is_left_running=not {"retained", "deletedWith"}.isdisjoint(reason_codes),
            reasons=list(map(messages.reason, fate.reasons)),
            reason_codes=reason_codes,
            before=before,
            after=after,
            unavailable_minutes=setting.boot_minutes if is_replaced else None,
            dependents=_dependents(needed_by, case.step.urn) if is_replaced else None,
            failure=messages.failure(fate.failure) if fate.failure else None,
            failure_code=fate.failure.code if fate.failure else None,
            drift=messages.reason(fate.drift) if fate.drift else None,
            drift_code=fate.drift.code if fate.drift else None,
            live=live,
            broken_rules=rules_of.get(case.step.urn, []),
        )
        stays_asleep = case.is_asleep and fate.action == "keep"
        return _Assessed(
            case,
            document,
            fate.failure,
            None if case.is_asleep else before,
            None if stays_asleep else after,
        )

    return sorted(map(one, cases), key=lambda each: (each.document.name, each.document.urn))


def _name(name: str) -> str:
    return printable(name, limit=100)


def _rule(plan: Plan, violation: Violation) -> BrokenRule:
    is_of_stack = not violation.urn or type_of(violation.urn) == STACK_TYPE
    # Policies get a secret in plain, and not marked.
    may_quote = any(
        SECRET in map(step.new.inputs.get, step.new.hidden)
        for step in plan.steps
        if step.type == MODEL_TYPE and step.new is not None
        if is_of_stack or step.urn == violation.urn
    )
    return BrokenRule(
        pack=_name(violation.pack),
        policy=_name(violation.policy),
        is_mandatory=violation.is_mandatory,
        message=messages.WITHHELD if may_quote else printable(violation.message, limit=600),
        is_withheld=may_quote,
        name=None if is_of_stack else _name(name_of(violation.urn)),
    )


# ----------------------------------------------------------------------------------- costs


def _declared(state: ResourceState, setting: Setting, outputs: Mapping[str, Any]) -> DeclaredModel:
    """Return what a program declares of a model; outputs may know RAM the catalogue does not."""

    def read(name: str) -> Any:
        value = state.model_id if name == "modelId" else state.inputs.get(name)
        return UNKNOWN if is_hidden(value) else value

    model = declared_model("", state.urn, read=read, catalogue=setting.catalogue)
    ram = _known(model.ram_gb)
    if ram is None and outputs.get("modelId") == state.model_id:
        ram = _known(number(outputs.get("requiredRamGb")))
    concurrency, hours = _known(model.concurrency), _known(model.expected_hours_per_day)
    expiry = model.expiration_period_seconds
    hour = month = None
    if ram is not None and concurrency is not None and expiry is not UNKNOWN:
        price = setting.price
        hour = hourly(ram, concurrency, price)
        month = monthly(
            *(ram, concurrency, price),
            expiration_period_seconds=expiry,
            expected_hours_per_day=hours,
        )
    return DeclaredModel(
        model_id=state.model_id,
        concurrency=concurrency,
        expiration_period_seconds=_known(expiry),
        expected_hours_per_day=hours,
        unreadable=state.hidden,
        required_ram_gb=ram,
        dollars_per_hour=_money(hour),
        dollars_per_month=None
        if month is None
        else Month(
            floor=_money(month.floor) or 0,
            expected=_money(month.expected),
            ceiling=_money(month.ceiling) or 0,
        ),
    )


def _known(value: _T | Literal[Unknown.UNKNOWN] | None) -> _T | None:
    return None if value is UNKNOWN else value


def _money(amount: Decimal | None) -> float | None:
    return None if amount is None else round(float(amount), 6)


def _sum(amounts: Iterable[float | None]) -> float:
    return round(math.fsum(filter(None, amounts)), 6)


def _ram(declared: DeclaredModel | None) -> float:
    """Return the RAM of all instances; 0 if it is not known."""
    return (declared.required_ram_gb or 0) * (declared.concurrency or 0) if declared else 0.0


def _total(parts: Iterable[DeclaredModel | None]) -> Total:
    declared = [one for one in parts if one is not None]
    months = [one.dollars_per_month for one in declared if one.dollars_per_month]
    expected = [one.expected for one in months if one.expected is not None]
    return Total(
        models=len(declared),
        required_ram_gb=_sum(map(_ram, declared)),
        dollars_per_hour=_sum(one.dollars_per_hour for one in declared),
        dollars_per_month=Month(
            floor=_sum(one.floor for one in months),
            expected=_sum(expected) if expected else None,
            ceiling=_sum(one.ceiling for one in months),
        ),
        expected_models=len(expected),
        unknown_models=len(declared) - len(months),
    )


def _difference(before: Month, after: Month) -> Month:
    # If one side has no expected figure, the two sides are about other models.
    expected = None
    if before.expected is not None and after.expected is not None:
        expected = round(after.expected - before.expected, 6)
    return Month(
        floor=round(after.floor - before.floor, 6),
        expected=expected,
        ceiling=round(after.ceiling - before.ceiling, 6),
    )


def _most_ram(one: _Assessed) -> float:
    """Return the most RAM that a model takes during the `up`, which removes models last.

    A replacement's old instance is unloaded before the new one is loaded. An expired model takes
    none before, though its cost counts: it is loaded again.
    """
    return max(_ram(one.before) if one.case.is_loaded else 0.0, _ram(one.after))


def _counts(plan: Plan, models: Sequence[ReviewedModel]) -> Counts:
    unsure = {urn for one in plan.missing if one.code == "notComparable" for urn in one.urns}
    kept = sum(one.action == "keep" and one.urn not in unsure for one in models)

    def count(*actions: Action) -> int:
        return sum(one.action in actions and not one.is_anyway for one in models)

    return Counts(
        loads=count("load"),
        adoptions=count("adopt"),
        replacements=count("replace"),
        unloads=count("unload"),
        forgotten=count("forget"),
        updates=count("update", "wait"),
        unchanged=kept if plan.has_all else None,
        anyway=sum(one.is_anyway for one in models),
    )


# ----------------------------------------------------------------------------------- order


def _needed_by(plan: Plan) -> dict[str, list[str]] | None:
    """Return which resources depend on each; None if the plan does not say."""
    if plan.depends_on is None:
        return None
    needed_by: dict[str, list[str]] = {}
    for urn, needed in plan.depends_on.items():
        for one in needed:
            needed_by.setdefault(one, []).append(urn)
    return needed_by


def _dependents(needed_by: Mapping[str, list[str]] | None, urn: str) -> list[str] | None:
    """Return the names of all that depends on a resource, also through others."""
    if needed_by is None:
        return None
    found = {urn}
    waiting = [urn]
    while waiting:
        more = set(needed_by.get(waiting.pop(), ())) - found
        found |= more
        waiting += more
    return sorted(_name(name_of(one)) for one in found - {urn} if type_of(one) not in _SILENT)


def _boots_in_a_row(plan: Plan, booting: AbstractSet[str]) -> int:
    """Return how many boots come one after the other in the longest chain."""
    needs = {urn: needed - {urn} for urn, needed in (plan.depends_on or {}).items()}
    # A fleet's models do not wait for their boot; its readiness does, for all at once.
    members = {
        step.urn
        for step in plan.steps
        if step.type == MODEL_TYPE and step.new is not None and step.new.in_fleet
    }
    rows: dict[str, int] = {}
    try:
        for urn in TopologicalSorter(needs).static_order():
            needed = needs.get(urn, frozenset())
            waits = type_of(urn) == READINESS_TYPE and not booting.isdisjoint(needed)
            own = int(urn not in members and (urn in booting or waits))
            rows[urn] = own + max((rows[one] for one in needed), default=0)
    except CycleError:
        pass  # No plan of Pulumi's has one.
    return max([*rows.values(), 1 if booting else 0])


# --------------------------------------------------------------- failures, notes and findings


def _failures(plan: Plan, assessed: Sequence[_Assessed]) -> dict[str, FailureCode]:
    """Return why the `up` will fail: each sentence with its code."""
    found = [(one.document.name, one.failure) for one in assessed if one.failure]
    named = {one.case.step.urn for one in assessed if one.failure}
    found += [
        (_name(name_of(one.urn)), complaint(one.message))
        for one in plan.complaints
        if one.message and one.urn not in named
    ]
    if any(one.is_mandatory for one in plan.violations or ()):
        found.append(("", remark("mandatoryPolicy")))
    if plan.complaints and not found:
        found.append(("", remark("unexplained")))
    return {
        (f"{name}: " if name else "") + messages.failure(failure): failure.code
        for name, failure in found
    }


def _notes(plan: Plan, setting: Setting) -> list[NoteCode]:
    has_state = any(step.old is not None for step in plan.steps) and not plan.is_from_nothing
    holds: dict[NoteCode, bool] = {
        "branchesCompared": plan.is_from_nothing,
        "withoutRefresh": has_state and not plan.is_refreshed,
        "noKey": setting.live is None and not setting.notes,
        "bundledCatalogue": setting.source == "bundled",
        "noCatalogue": setting.source == "off",
        "noPolicyResults": plan.violations is None,
    }
    return [*setting.notes, *(code for code in holds if holds[code])]


def _findings(review: Review, thresholds: Thresholds) -> Iterator[Finding]:
    """Yield a finding for each limit, and for each model and rule that `fail_on` names."""
    yield from _too_much(review, thresholds)

    def found(code: FindingCode, name: str | None, **facts: str) -> Iterator[Finding]:
        if code in thresholds.fail_on:
            text = messages.finding(code, name=name or "the stack", **facts)
            yield Finding(code=code, name=name, text=text)

    for one in review.models:
        if one.action == "replace":
            minutes, reasons = str(one.unavailable_minutes), ", ".join(one.reasons)
            yield from found("replace", one.name, minutes=minutes, reasons=reasons)
    for one in review.models:
        if one.drift is not None:
            yield from found("drift", one.name, drift=one.drift)
    for rule in review.broken_rules:
        yield from found("violation", rule.name, message=rule.message, policy=rule.policy)
    for name in review.unknown_cost:
        yield from found("unknown-cost", name)


def _too_much(review: Review, thresholds: Thresholds) -> Iterator[Finding]:
    gaps = {gap.code: gap.text for gap in review.gaps}
    # A failed preview is reported as a failure instead.
    whole = None if review.is_complete or "failed" in gaps else review.gaps[0].text
    month = review.after.dollars_per_month.ceiling
    limits: tuple[tuple[FindingCode, float | None, float, str | None], ...] = (
        ("increase", thresholds.max_increase, review.increase.ceiling, gaps.get("cutOff")),
        ("monthly", thresholds.max_monthly, month, whole),
    )
    for code, limit, amount, unknown in limits:
        # As shown: one cent too much is too much.
        if limit is not None and (unknown or round(amount, 2) > limit):
            shown = {"amount": dollars(amount), "most": dollars(limit)}
            text = messages.not_known(unknown) if unknown else messages.finding(code, **shown)
            yield Finding(code=code, name=None, text=text)
