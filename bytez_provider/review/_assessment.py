"""What a plan does to the models of a stack, what that costs, and what goes down meanwhile."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from bytez_provider.base.errors import printable
from bytez_provider.base.urns import (
    FLEET_TYPE,
    MODEL_TYPE,
    READINESS_TYPE,
    STACK_TYPE,
    name_of,
    type_of,
)
from bytez_provider.review._cases import Case, cases_of
from bytez_provider.review._declared import Declared, Prices, declared_of, hidden_of, money
from bytez_provider.review._document import (
    Action,
    BrokenRule,
    Counts,
    Gap,
    GapCode,
    Month,
    Review,
    ReviewedModel,
    Total,
)
from bytez_provider.review._fate import Fates
from bytez_provider.review._fate import told as told_of
from bytez_provider.review._live import Live, live_of
from bytez_provider.review._order import Order
from bytez_provider.review._plan import Missing, Plan, Step, model_id_of
from bytez_provider.service.pricing import PRICE_DATE
from bytez_provider.service.schemas import iso
from bytez_provider.stack.marks import SECRET

BOOT_MINUTES = 15
"""How long a boot is taken to last, for estimates: the vendor says 12 to 15 minutes (June)."""

_BOOTS: frozenset[Action] = frozenset({"load", "replace", "wait"})
_OURS = (MODEL_TYPE, READINESS_TYPE, FLEET_TYPE, STACK_TYPE, "pulumi:providers:")
"""Beginnings of the types that no other resource has."""
_NO_CHANGE = ("same", "read", "refresh", "discard")
_GAPS: dict[GapCode, str] = {
    "targeted": "the plan was made with --target, --exclude or --target-replace, and does not say "
    "what the program changes elsewhere",
    "failed": "the preview failed, and what it did not get to is not in the plan",
    "cutOff": "the end of the plan is missing, and with it what comes after",
    "samesLeftOut": "the plan leaves out what stays as it is, or what --target left out; "
    "`pulumi preview --json --show-sames` has it",
    "goneUnclear": "the plan does not say which of these a refresh found gone; "
    "`pulumi preview --json --show-sames` does",
    "notRefreshed": "the refresh left models out, and what has expired of them is not seen",
    "notComparable": "a secret, or a value not known yet, may differ between the branches",
}
_WITHHELD = "not shown, because it may quote a secret; the output of the preview has it"


@dataclass(frozen=True)
class Setting:
    """What a review is made with, besides the plan.

    Attributes:
        prices: The catalogue and the price.
        catalogue: Where the catalogue is from.
        live: What runs; None where it cannot be asked.
        boot_minutes: How long a boot is taken to last.
        commit: The commit that is reviewed.
        notes: Remarks of whoever made the plan.
    """

    prices: Prices
    catalogue: Literal["live", "bundled", "off"]
    live: Live | None = None
    boot_minutes: int = BOOT_MINUTES
    commit: str | None = None
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class _Assessed:
    """A model, and the amounts that its document has rounded; None for what is in no sum."""

    case: Case
    document: ReviewedModel
    before: Declared | None
    after: Declared | None


def assess(plan: Plan, setting: Setting) -> Review:
    """Return the review of a plan. The same arguments give the same review."""
    rules = [_rule(plan, number) for number in range(len(plan.violations or ()))]
    order = Order(plan)
    assessed = _assessed(plan, setting, order, rules)
    assessed.sort(key=lambda one: (one.document.name, one.document.urn))
    models = [one.document for one in assessed]
    before = _total([one.before for one in assessed if one.before])
    after = _total([one.after for one in assessed if one.after])
    booting = {one.case.step.urn for one in assessed if one.document.action in _BOOTS}
    others = [step for step in plan.steps if not step.type.startswith(_OURS)]
    return Review(
        project=printable(plan.project, limit=100),
        stack=printable(plan.stack, limit=100),
        commit=None if setting.commit is None else printable(setting.commit, limit=60),
        planned_at=None if plan.made_at is None else iso(plan.made_at),
        is_refreshed=plan.is_refreshed,
        has_live_facts=setting.live is not None,
        has_policy_results=plan.violations is not None,
        is_complete=plan.has_all,
        gaps=[_gap(one) for one in plan.missing],
        has_order=plan.depends_on is not None,
        compares="branches" if plan.is_from_nothing else "state",
        catalogue=setting.catalogue,
        dollars_per_gb_second=float(setting.prices.dollars_per_gb_second),
        price_date=PRICE_DATE,
        boot_minutes=setting.boot_minutes,
        counts=_counts(plan, models),
        other_changes=sum(step.op not in _NO_CHANGE for step in others),
        models=models,
        before=before,
        after=after,
        increase=_difference(before.dollars_per_month, after.dollars_per_month),
        increase_per_hour=round(after.dollars_per_hour - before.dollars_per_hour, 6),
        unknown_cost=[
            one.document.name
            for one in assessed
            if one.after is not None and one.after.hour is None
        ],
        peak_ram_gb=round(sum(_most_ram(one) for one in assessed), 6),
        minutes_to_apply=order.boots_in_a_row(booting) * setting.boot_minutes,
        broken_rules=rules,
        failures=_failures(plan, assessed),
        notes=_notes(plan, setting),
    )


def _assessed(
    plan: Plan, setting: Setting, order: Order, rules: Sequence[BrokenRule]
) -> list[_Assessed]:
    cases = cases_of(plan)
    fates = Fates(plan, cases, setting.live)
    rules_of: dict[str, list[BrokenRule]] = {}
    for violation, rule in zip(plan.violations or (), rules, strict=True):
        rules_of.setdefault(violation.urn, []).append(rule)
    return [_one(case, fates, setting, order, rules_of.get(case.step.urn, [])) for case in cases]


def _one(
    case: Case, fates: Fates, setting: Setting, order: Order, rules: list[BrokenRule]
) -> _Assessed:
    state = case.was or case.will
    # What is loaded of a model that the plan hides cannot be asked.
    live = live_of(case, setting.live) if state and model_id_of(state) else None
    fate = fates.of(case, live)
    outputs = case.was.outputs if case.was else None
    before = declared_of(case.was, setting.prices, outputs=outputs) if case.was else None
    after = declared_of(case.will, setting.prices, outputs=outputs) if case.will else None
    is_replaced = fate.action == "replace"
    document = ReviewedModel(
        name=printable(case.name, limit=100),
        urn=printable(case.step.urn, limit=500),
        action=fate.action,
        is_anyway=fate.is_anyway,
        is_asleep=case.is_asleep,
        reasons=fate.reasons,
        before=before.document() if before else None,
        after=after.document() if after else None,
        unavailable_minutes=setting.boot_minutes if is_replaced else None,
        dependents=order.dependents(case.step.urn) if is_replaced else None,
        failure=fate.failure,
        drift=fate.drift,
        live=live,
        broken_rules=rules,
    )
    stays_asleep = case.is_asleep and fate.action == "keep"
    return _Assessed(
        case, document, None if case.is_asleep else before, None if stays_asleep else after
    )


def _rule(plan: Plan, number: int) -> BrokenRule:
    violation = (plan.violations or [])[number]
    is_of_stack = not violation.urn or type_of(violation.urn) == STACK_TYPE
    may_quote = any(
        is_of_stack or step.urn == violation.urn for step in plan.steps if _has_secret(step)
    )
    return BrokenRule(
        pack=printable(violation.pack, limit=100),
        policy=printable(violation.policy, limit=100),
        is_mandatory=violation.is_mandatory,
        message=_WITHHELD if may_quote else printable(violation.message, limit=600),
        name=None if is_of_stack else printable(name_of(violation.urn), limit=100),
    )


def _has_secret(step: Step) -> bool:
    """Tell whether a model has a secret input: policies get it in plain, and not marked."""
    new = step.new if step.type == MODEL_TYPE else None
    return new is not None and any(new.inputs[name] == SECRET for name in hidden_of(new))


def _gap(missing: Missing) -> Gap:
    names = {name_of(urn) for urn in missing.urns if type_of(urn) == MODEL_TYPE}
    return Gap(
        code=missing.code,
        text=_GAPS[missing.code],
        models=[printable(name, limit=100) for name in sorted(names)],
    )


# ------------------------------------------------------------------------------------ sums


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


def _total(declared: Sequence[Declared]) -> Total:
    hours = [one.hour for one in declared if one.hour is not None]
    months = [one.month for one in declared if one.month is not None]
    expected = [one.expected for one in months if one.expected is not None]
    return Total(
        models=len(declared),
        required_ram_gb=round(sum(one.total_ram_gb or 0.0 for one in declared), 6),
        dollars_per_hour=_sum(hours),
        dollars_per_month=Month(
            floor=_sum(one.floor for one in months),
            expected=_sum(expected) if expected else None,
            ceiling=_sum(one.ceiling for one in months),
        ),
        expected_models=len(expected),
        unknown_models=len(declared) - len(hours),
    )


def _sum(amounts: Iterable[Decimal | None]) -> float:
    return money(sum((one for one in amounts if one is not None), Decimal(0)))


def _difference(before: Month, after: Month) -> Month:
    # A figure that one side lacks is one of other models: no difference can be told.
    expected = None
    if before.expected is not None and after.expected is not None:
        expected = round(after.expected - before.expected, 6)
    return Month(
        floor=round(after.floor - before.floor, 6),
        expected=expected,
        ceiling=round(after.ceiling - before.ceiling, 6),
    )


def _most_ram(one: _Assessed) -> float:
    """Return the most RAM that a model takes during the `up`: what goes, goes last.

    A replacement's old instance is unloaded before the new one is loaded.
    """
    # What is gone takes none, though it is paid for again once it is loaded again.
    before = one.before.total_ram_gb if one.before and one.case.is_loaded else None
    after = one.after.total_ram_gb if one.after else None
    return max(before or 0.0, after or 0.0)


# ------------------------------------------------------------------------------- what is said


def _failures(plan: Plan, models: Sequence[_Assessed]) -> list[str]:
    failing = [one for one in models if one.document.failure]
    told = [f"{one.document.name}: {one.document.failure}" for one in failing]
    named = {one.case.step.urn for one in failing}
    for complaint in plan.complaints:
        message = told_of(complaint.message)
        if complaint.urn in named or message == "preview failed":
            continue
        name = printable(name_of(complaint.urn), limit=100) if complaint.urn else ""
        told.append(f"{name}: {message}" if name else message)
    if any(violation.is_mandatory for violation in plan.violations or ()):
        told.append("a mandatory policy is broken")
    if plan.complaints and not told:
        told = ["the preview failed, and the plan does not tell why"]
    return list(dict.fromkeys(told))


def _notes(plan: Plan, setting: Setting) -> list[str]:
    """Return remarks in our own words: nothing of a plan, a server or a file is in them."""
    notes = list(setting.notes)
    if plan.is_from_nothing:
        notes.append(
            "The plan of this branch is compared with that of its target branch, both made "
            "without the stack's state: what really runs is not looked at."
        )
    elif not plan.is_refreshed and any(step.old is not None for step in plan.steps):
        notes.append(
            "The plan was made without a refresh: what has expired or was changed since the last "
            "`up` is not in it."
        )
    if setting.live is None and not setting.notes:
        notes.append("No key was at hand, so that the service was not asked what runs now.")
    if setting.catalogue == "bundled":
        notes.append("RAM and cost are by the catalogue that came with the package.")
    elif setting.catalogue == "off":
        notes.append("No catalogue was asked: RAM and cost are known only of models in state.")
    if plan.violations is None:
        notes.append("This form of a plan carries no policy results.")
    return notes
