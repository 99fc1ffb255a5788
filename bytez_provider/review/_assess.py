"""The review of a plan: each model's fate, with costs, outages, sums and findings."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import Any, Final, Literal, TypeAlias

from bytez_provider.base.errors import printable
from bytez_provider.base.marks import SECRET, is_hidden
from bytez_provider.base.urns import (
    FLEET_TYPE,
    MODEL_TYPES,
    READINESS_TYPES,
    STACK_TYPE,
    name_of,
    type_of,
)
from bytez_provider.base.words import counted, dollars
from bytez_provider.review._document import (
    Action,
    AtLeast,
    BrokenRule,
    Counts,
    DeclaredModel,
    FailureCode,
    Finding,
    FindingCode,
    Gap,
    GapCode,
    Month,
    NoteCode,
    Review,
    ReviewedModel,
    Total,
)
from bytez_provider.review._fate import Fates, complaint
from bytez_provider.review._models import Live, models_in
from bytez_provider.review._plan import Plan, Planned, ResourceState, Violation
from bytez_provider.service.apis import APIS
from bytez_provider.service.catalogue import Catalogue
from bytez_provider.service.pricing import Cost, Prices, prices_of
from bytez_provider.service.schemas import Phase, iso
from bytez_provider.service.settings import Settings
from bytez_provider.stack.declared import UNKNOWN, declared_model, number

_BOOTS: tuple[Action, ...] = ("load", "replace", "wait")
_OURS = (*MODEL_TYPES, *READINESS_TYPES, FLEET_TYPE, STACK_TYPE, "pulumi:providers:")
"""Beginnings of the types that are not counted as other resources."""
_SILENT = (*READINESS_TYPES, FLEET_TYPE, STACK_TYPE)
"""Types that nothing uses by themselves: they are not listed as dependents."""
_NO_CHANGE = ("same", "read", "refresh", "discard")
_Order: TypeAlias = Sequence[tuple[str, frozenset[str]]]
_WITHHELD = "not shown, because it may quote a secret; the output of the preview has it"
_GAPS: Final[Mapping[GapCode, str]] = {
    "targeted": "the plan was made with --target, --exclude or --target-replace, and does not "
    "show changes elsewhere",
    "failed": "the preview failed, and the plan ends there",
    "cutOff": "the end of the plan is missing",
    "samesLeftOut": "the plan leaves out what does not change, or what --target left out; "
    "`pulumi preview --json --show-sames` shows it",
    "goneUnclear": "the plan does not say which of these a refresh found gone; "
    "`pulumi preview --json --show-sames` does",
    "notRefreshed": "the refresh left models out, and the plan does not show whether they expired",
    "notComparable": "a secret, or a value not known yet, may differ between the branches",
}
_NOTES: Final[Mapping[NoteCode, str]] = {
    "branchesCompared": "This compares the plan of this branch with the plan of its target branch. "
    "Both were made without the stack's state, so they do not show what really runs.",
    "withoutRefresh": "The plan was made without a refresh, so it does not show what has expired "
    "or was changed since the last `up`.",
    "noKey": "No key is set, so the service was not asked what runs now.",
    "noAnswer": "The service gave no answer, so this does not show what runs now.",
    "noJournal": "The journal could not be read, so only the state says whose a load is.",
    "bundledCatalogue": "RAM and cost come from the catalogue in this package.",
    "noCatalogue": "The catalogue is off, so RAM and cost are known only for models in the state.",
    "noPolicyResults": "This form of a plan has no policy results.",
}


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
    settings: Settings
    """They name the version of the API, and so what it can do and what it costs."""
    source: Literal["live", "bundled", "off"]
    """Where the catalogue is from."""
    live: Live | None = None
    """None if the service cannot be asked."""
    boot_minutes: int | None = None
    """How long a boot takes, for estimates; None for what the version of the API says."""
    commit: str | None = None
    notes: Sequence[NoteCode] = ()
    """What went wrong before the review."""
    thresholds: Thresholds = field(default_factory=Thresholds)

    @property
    def prices(self) -> Prices:
        """What loads cost."""
        return prices_of(self.settings)

    @property
    def minutes(self) -> int:
        """How long a boot takes."""
        return self.boot_minutes or self.prices.boot_minutes

    @property
    def rescales(self) -> bool:
        """Whether the settings of a load can be changed while it runs."""
        return APIS[self.settings.api_version].rescales


def assess(plan: Plan, setting: Setting) -> Review:
    """Return the review of a plan. The same arguments give the same review."""
    rules = [_rule(plan, one) for one in plan.violations or ()]
    order = _ordered(plan)
    assessed = _assessed(plan, setting, rules, order)
    models = [model for _, model in assessed]
    before = _total(one.paid_before for one in models)
    after = _total(one.paid_after for one in models)
    booting = {planned.urn for planned, model in assessed if _boots(planned, model)}
    failures = _failures(plan, assessed)
    notes = _notes(plan, setting)
    price = setting.prices.per_gb_second
    review = Review(
        version=1,
        project=printable(plan.project, limit=100),
        stack=printable(plan.stack, limit=100),
        commit=None if setting.commit is None else printable(setting.commit, limit=60),
        planned_at=None if plan.made_at is None else iso(plan.made_at),
        is_refreshed=plan.is_refreshed,
        has_live_facts=setting.live is not None,
        has_policy_results=plan.violations is not None,
        is_complete=plan.has_all,
        gaps=[
            Gap(code=one.code, text=_GAPS[one.code], models=list(map(_name, one.models)))
            for one in plan.missing
        ],
        has_order=plan.depends_on is not None,
        compares="branches" if plan.is_from_nothing else "state",
        catalogue=setting.source,
        dollars_per_gb_second=None if price is None else float(price),
        price_date=setting.prices.date,
        boot_minutes=setting.minutes,
        counts=_counts(plan, models, setting),
        other_changes=sum(
            one.op not in _NO_CHANGE for one in plan.resources if not one.type.startswith(_OURS)
        ),
        models=models,
        before=before,
        after=after,
        increase=after.dollars_per_month.less(before.dollars_per_month),
        increase_per_hour=after.dollars_per_hour - before.dollars_per_hour,
        unknown_cost=[
            one.name for one in models if one.paid_after and one.paid_after.dollars_per_hour is None
        ],
        peak_ram_gb=math.fsum(_most_ram(planned, model) for planned, model in assessed),
        minutes_to_apply=_boots_in_a_row(plan, order, booting) * setting.minutes,
        broken_rules=rules,
        failures=list(failures),
        failure_codes=list(failures.values()),
        findings=[],
        notes=[_NOTES[code] for code in notes],
        note_codes=notes,
    )
    return review.model_copy(update={"findings": list(_findings(review, setting.thresholds))})


def _assessed(
    plan: Plan,
    setting: Setting,
    rules: Sequence[BrokenRule],
    order: _Order,
) -> list[tuple[Planned, ReviewedModel]]:
    models = models_in(plan)
    fates = Fates(plan, models, setting.live, APIS[setting.settings.api_version])

    def one(planned: Planned) -> tuple[Planned, ReviewedModel]:
        fate = fates.of(planned)
        outputs = planned.was.outputs if planned.was else {}
        is_replaced = fate.action == "replace"
        has_order = plan.depends_on is not None
        reason_codes = [each.code for each in fate.reasons]
        model = ReviewedModel(
            name=_name(planned.name),
            urn=printable(planned.urn, limit=500),
            action=fate.action,
            is_anyway=fate.is_anyway,
            is_asleep=planned.is_asleep,
            is_left_running=not {"retained", "deletedWith"}.isdisjoint(reason_codes),
            reasons=[printable(each.text, limit=200) for each in fate.reasons],
            reason_codes=reason_codes,
            before=_declared(planned.was, setting, outputs) if planned.was else None,
            after=_declared(planned.will, setting, outputs) if planned.will else None,
            unavailable_minutes=_outage(planned, fate.action, setting),
            dependents=_dependents(order, planned.urn) if is_replaced and has_order else None,
            failure=printable(fate.failure.text) if fate.failure else None,
            failure_code=fate.failure.code if fate.failure else None,
            drift=printable(fate.drift.text, limit=200) if fate.drift else None,
            drift_code=fate.drift.code if fate.drift else None,
            live=fate.live,
            broken_rules=[
                rule
                for violation, rule in zip(plan.violations or (), rules, strict=True)
                if violation.urn == planned.urn
            ],
        )
        return planned, model

    return sorted(map(one, models), key=lambda pair: (pair[1].name, pair[1].urn))


def _outage(planned: Planned, action: Action, setting: Setting) -> int | None:
    if action == "replace":
        return setting.minutes
    serves = planned.phase in (None, Phase.RUNNING)
    return 0 if action == "rescale" and serves else None


def _boots(planned: Planned, model: ReviewedModel) -> bool:
    waits = planned.phase in (Phase.BOOTING, Phase.OFF)
    return model.action in _BOOTS or (model.action == "rescale" and waits)


def _name(name: str) -> str:
    return printable(name, limit=100)


def _rule(plan: Plan, violation: Violation) -> BrokenRule:
    is_of_stack = not violation.urn or type_of(violation.urn) == STACK_TYPE
    # Policies get a secret in plain, and not marked.
    may_quote = any(
        SECRET in map(one.will.inputs.get, one.will.hidden)
        for one in plan.resources
        if one.is_model and one.will is not None
        if is_of_stack or one.urn == violation.urn
    )
    return BrokenRule(
        pack=_name(violation.pack),
        policy=_name(violation.policy),
        is_mandatory=violation.is_mandatory,
        message=_WITHHELD if may_quote else printable(violation.message, limit=600),
        is_withheld=may_quote,
        name=None if is_of_stack else _name(name_of(violation.urn)),
    )


# ----------------------------------------------------------------------------------- costs


def _declared(state: ResourceState, setting: Setting, outputs: Mapping[str, Any]) -> DeclaredModel:
    """Return what a program declares of a model; outputs may know RAM the catalogue does not."""

    def read(name: str) -> Any:
        value = state.model_id if name == "modelId" else state.inputs.get(name)
        return UNKNOWN if is_hidden(value) else value

    model = declared_model(
        *("", state.urn),
        read=read,
        catalogue=setting.catalogue,
        api_version=setting.settings.api_version,
    )
    ram = model.ram_gb
    if ram in (None, UNKNOWN) and outputs.get("modelId") == state.model_id:
        ram = number(outputs.get("requiredRamGb"))
    ram = None if ram is UNKNOWN else ram
    least = None if model.concurrency is UNKNOWN else model.concurrency
    most = None if model.most is UNKNOWN else model.most
    expiry, hours = model.expiration_period_seconds, model.expected_hours_per_day
    hours = None if hours is UNKNOWN else hours
    prices = setting.prices
    price = prices.per_second(ram, model.dollars_per_second)
    hour = month = None
    # What only an API with a range has.
    scale: dict[str, Any] = {"max_concurrency": most} if setting.rescales else {}
    if price is not None and least is not None and most is not None and expiry is not UNKNOWN:

        def cost(instances: int) -> Cost:
            return prices.monthly(
                *(price, instances), expiration_period_seconds=expiry, expected_hours_per_day=hours
            )

        hour = prices.hourly(price, most)
        month = _month(cost(most), cost(least))
        if most > least:
            in_an_hour = prices.hourly(price, least)
            at_least = _month(cost(least), cost(least))
            scale["at_least"] = AtLeast(dollars_per_hour=in_an_hour, dollars_per_month=at_least)
    return DeclaredModel(
        model_id=state.model_id,
        concurrency=least,
        **scale,
        expiration_period_seconds=None if expiry is UNKNOWN else expiry,
        expected_hours_per_day=hours,
        unreadable=state.hidden,
        required_ram_gb=ram,
        dollars_per_hour=None if hour is None else float(hour),
        dollars_per_month=month,
    )


def _month(cost: Cost, least: Cost) -> Month:
    bounds = {"floor": least.floor, "expected": cost.expected, "ceiling": cost.ceiling}
    return Month.model_validate(bounds)


def _sum(amounts: Iterable[float | None]) -> float:
    return math.fsum(filter(None, amounts))


def _total(parts: Iterable[DeclaredModel | None]) -> Total:
    declared = [one for one in parts if one is not None]
    months = [one.dollars_per_month for one in declared if one.dollars_per_month]
    scale = {}
    if any(one.at_least for one in declared):
        least = [one.at_least or one for one in declared]
        scale["at_least"] = AtLeast(
            dollars_per_hour=_sum(one.dollars_per_hour for one in least),
            dollars_per_month=_all(one.dollars_per_month for one in least),
        )
    return Total(
        models=len(declared),
        required_ram_gb=_sum(one.all_ram_gb for one in declared),
        dollars_per_hour=_sum(one.dollars_per_hour for one in declared),
        dollars_per_month=_all(months),
        **scale,
        expected_models=sum(one.expected is not None for one in months),
        unknown_models=len(declared) - len(months),
    )


def _all(months: Iterable[Month | None]) -> Month:
    """Return what models cost together, without those of unknown cost."""
    known = [one for one in months if one is not None]
    expected = [one.expected for one in known if one.expected is not None]
    return Month(
        floor=_sum(one.floor for one in known),
        expected=_sum(expected) if expected else None,
        ceiling=_sum(one.ceiling for one in known),
    )


def _most_ram(planned: Planned, model: ReviewedModel) -> float:
    """Return the most RAM that a model takes during the `up`, which removes models last.

    A replacement's old instance is unloaded before the new one is loaded. An expired model takes
    none before, though its cost counts: it is loaded again.
    """
    before = model.paid_before if planned.is_loaded else None
    return max(one.all_ram_gb or 0 if one else 0 for one in (before, model.paid_after))


def _counts(plan: Plan, models: Sequence[ReviewedModel], setting: Setting) -> Counts:
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
        **({"rescales": count("rescale")} if setting.rescales else {}),
        updates=count("update", "wait"),
        unchanged=kept if plan.has_all else None,
        anyway=sum(one.is_anyway for one in models),
    )


# ----------------------------------------------------------------------------------- order


def _ordered(plan: Plan) -> _Order:
    """Return each resource with what it needs, which comes before it."""
    needs = {urn: needed - {urn} for urn, needed in (plan.depends_on or {}).items()}
    try:
        order = list(TopologicalSorter(needs).static_order())
    except CycleError:
        return []  # No plan of Pulumi's has one.
    return [(urn, needs.get(urn, frozenset())) for urn in order]


def _dependents(order: _Order, urn: str) -> list[str]:
    """Return the names of all that depends on a resource, also through others."""
    found = {urn}
    for one, needed in order:
        if not found.isdisjoint(needed):
            found.add(one)
    return sorted(_name(name_of(one)) for one in found - {urn} if type_of(one) not in _SILENT)


def _boots_in_a_row(plan: Plan, order: _Order, booting: AbstractSet[str]) -> int:
    """Return how many boots come one after the other in the longest chain."""
    # A fleet's models do not wait for their boot; its readiness does, for all at once.
    members = {one.urn for one in plan.resources if one.is_model and one.will and one.will.in_fleet}
    rows = {"": 1 if booting else 0}
    for urn, needed in order:
        waits = type_of(urn) in READINESS_TYPES and not booting.isdisjoint(needed)
        own = int(urn not in members and (urn in booting or waits))
        rows[urn] = own + max((rows[one] for one in needed), default=0)
    return max(rows.values())


# --------------------------------------------------------------- failures, notes and findings


def _failures(
    plan: Plan, assessed: Sequence[tuple[Planned, ReviewedModel]]
) -> dict[str, FailureCode]:
    """Return why the `up` will fail: each sentence with its code."""
    found: dict[str, FailureCode] = {}
    named = set()
    for planned, model in assessed:
        if model.failure_code is not None:
            found[f"{model.name}: {model.failure}"] = model.failure_code
            named.add(planned.urn)
    for one in plan.complaints:
        if one.message and one.urn not in named:
            name = _name(name_of(one.urn))
            failure = complaint(one.message)
            found[(f"{name}: " if name else "") + printable(failure.text)] = failure.code
    if any(one.is_mandatory for one in plan.violations or ()):
        found["a mandatory policy is broken"] = "mandatoryPolicy"
    if plan.complaints and not found:
        found["the preview failed, and the plan does not say why"] = "unexplained"
    return found


def _notes(plan: Plan, setting: Setting) -> list[NoteCode]:
    has_state = any(one.is_model and one.was is not None for one in plan.resources)
    holds: dict[NoteCode, bool] = {
        "branchesCompared": plan.is_from_nothing,
        "withoutRefresh": has_state and not plan.is_from_nothing and not plan.is_refreshed,
        "noKey": setting.live is None and not setting.notes,
        "bundledCatalogue": setting.source == "bundled",
        "noCatalogue": setting.source == "off",
        "noPolicyResults": plan.violations is None,
    }
    return [*setting.notes, *(code for code in holds if holds[code])]


def _findings(review: Review, thresholds: Thresholds) -> Iterator[Finding]:
    """Yield a finding for each limit, and for each model and rule that `fail_on` names."""
    gaps = {gap.code: gap.text for gap in review.gaps}
    # A failed preview is reported as a failure instead.
    whole = None if review.is_complete or "failed" in gaps else review.gaps[0].text
    more, month = review.increase.ceiling, review.after.dollars_per_month.ceiling
    yield from _over("increase", "more ", more, thresholds.max_increase, gaps.get("cutOff"))
    yield from _over("monthly", "", month, thresholds.max_monthly, whole)
    for code, name, text in _remarkable(review):
        if code in thresholds.fail_on:
            yield Finding(code=code, name=name, text=f"{name or 'the stack'}{text}")


def _remarkable(review: Review) -> Iterator[tuple[FindingCode, str | None, str]]:
    for one in review.models:
        if one.action == "replace":
            about = f"about {counted(one.unavailable_minutes or 0, 'minute')}"
            yield "replace", one.name, f" is unavailable for {about} ({', '.join(one.reasons)})"
    for one in review.models:
        if one.drift is not None:
            yield "drift", one.name, f" {one.drift}"
    for rule in review.broken_rules:
        yield "violation", rule.name, f": {rule.message} ({rule.policy})"
    for name in review.unknown_cost:
        yield "unknown-cost", name, " has an unknown cost, which is in no total"


def _over(
    code: FindingCode, more: str, amount: float, limit: float | None, unknown: str | None
) -> Iterator[Finding]:
    # As shown: one cent too much is too much.
    if limit is not None and (unknown or round(amount, 2) > limit):
        text = f"{dollars(amount)} a month {more}if always loaded, allowed: {dollars(limit)}"
        text = f"not known, because {unknown}" if unknown else text
        yield Finding(code=code, name=None, text=text)
