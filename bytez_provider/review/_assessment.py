"""What a plan does to the models of a stack, what that costs, and what goes down meanwhile."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from bytez_provider.errors import printable
from bytez_provider.lifecycle import DEPLOYING, NOT_LOADED
from bytez_provider.pricing import PRICE_DATE
from bytez_provider.review._declared import Declared, Prices, changes, declared_of, money, same
from bytez_provider.review._document import (
    Action,
    BrokenRule,
    Counts,
    LiveModel,
    Month,
    Review,
    ReviewedModel,
    Total,
)
from bytez_provider.review._order import Order
from bytez_provider.review._plan import (
    FLEET_TYPE,
    MODEL_TYPE,
    READINESS_TYPE,
    Plan,
    ResourceState,
    Step,
    urn_name,
)
from bytez_provider.schemas import Instance, iso, moment_of

BOOT_MINUTES = 15
"""How long a boot is taken to last, for estimates: the vendor says 12 to 15 minutes (June)."""

_UNLOADED = "was unloaded since the last up"
_FAILED = "has FAILED since the last up"
_LOADED_ANEW = "was unloaded since the last up, and loaded by somebody else"
_BOOTS: frozenset[Action] = frozenset({"load", "replace"})
_OURS = (MODEL_TYPE, READINESS_TYPE, FLEET_TYPE)
_NO_CHANGE = ("same", "read", "refresh", "discard")


@dataclass(frozen=True)
class Live:
    """What runs in the account now.

    Attributes:
        instances: By model id; a model that is not here is not loaded.
        now: The service's time.
        endpoint: Where it was asked.
        account: Whose it is: a state's `account` of a load made with the same key is equal.
    """

    instances: Mapping[str, Instance]
    now: datetime
    endpoint: str
    account: str


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
    """A model, and the amounts that its document has rounded."""

    step: Step
    document: ReviewedModel
    before: Declared | None
    after: Declared | None


def assess(plan: Plan, setting: Setting) -> Review:
    """Return the review of a plan. The same arguments give the same review."""
    rules = [_rule(plan, number) for number in range(len(plan.violations or ()))]
    order = Order(plan)
    assessor = _Assessor(plan, setting, order, rules)
    assessed = [assessor.model(step) for step in _model_steps(plan)]
    assessed.sort(key=lambda one: (one.document.name, one.document.urn))
    models = [one.document for one in assessed]
    awake = [one for one in assessed if not one.document.is_asleep]
    before = _total([one.before for one in awake if one.before])
    after = _total([one.after for one in awake if one.after])
    booting = {one.step.urn for one in assessed if one.document.action in _BOOTS}
    others = [step for step in plan.steps if step.type not in _OURS]
    return Review(
        project=printable(plan.project, limit=100),
        stack=printable(plan.stack, limit=100),
        commit=None if setting.commit is None else printable(setting.commit, limit=60),
        planned_at=None if plan.made_at is None else iso(plan.made_at),
        is_refreshed=plan.is_refreshed,
        has_live_facts=setting.live is not None,
        has_policy_results=plan.violations is not None,
        compares="branches" if plan.is_from_nothing else "state",
        catalogue=setting.catalogue,
        dollars_per_gb_second=float(setting.prices.dollars_per_gb_second),
        price_date=PRICE_DATE,
        boot_minutes=setting.boot_minutes,
        counts=_counts(models),
        other_changes=sum(step.op not in _NO_CHANGE for step in others),
        models=models,
        before=before,
        after=after,
        increase=_difference(before.dollars_per_month, after.dollars_per_month),
        increase_per_hour=round(after.dollars_per_hour - before.dollars_per_hour, 6),
        unknown_cost=[
            one.document.name for one in awake if one.after is not None and one.after.hour is None
        ],
        peak_ram_gb=round(sum(_most_ram(one) for one in awake), 6),
        minutes_to_apply=order.boots_in_a_row(booting) * setting.boot_minutes,
        broken_rules=rules,
        failures=_failures(plan, assessed),
        notes=_notes(plan, setting),
    )


def _model_steps(plan: Plan) -> list[Step]:
    """Return the steps for models, and one for each that is gone and no longer declared."""
    told = {step.urn for step in plan.steps}
    forgotten = [
        Step("delete", urn, refreshed.before, None)
        for urn, refreshed in plan.refreshed.items()
        if refreshed.after is None and urn not in told
    ]
    return [
        step
        for step in [*plan.steps, *forgotten]
        if step.type == MODEL_TYPE and step.op not in ("read", "read-replacement", "discard")
        if not any(state is not None and state.is_external for state in (step.old, step.new))
    ]


class _Assessor:
    """Assesses the models of one plan."""

    def __init__(
        self, plan: Plan, setting: Setting, order: Order, rules: Sequence[BrokenRule]
    ) -> None:
        self._plan = plan
        self._setting = setting
        self._order = order
        self._taken = {
            step.old.inputs.get("modelId")
            for step in plan.steps
            if step.type == MODEL_TYPE and step.old is not None
        }
        self._rules: dict[str, list[BrokenRule]] = {}
        for violation, rule in zip(plan.violations or (), rules, strict=True):
            self._rules.setdefault(violation.urn, []).append(rule)
        self._complaints = {
            complaint.urn: complaint.message for complaint in plan.complaints if complaint.urn
        }

    def model(self, step: Step) -> _Assessed:
        """Return what happens to one model."""
        refreshed = self._plan.refreshed.get(step.urn)
        # What was declared by the last `up`: a refresh changes the inputs to what it finds.
        was = refreshed.before if refreshed else step.old
        is_gone = refreshed is not None and refreshed.after is None
        now = None if is_gone else (refreshed.after if refreshed else step.old)
        will = step.new if step.op != "delete" else None
        action = _action(step, now)
        if action == "load" and will is not None and self._takes_over(will):
            action = "adopt"
        is_anyway = (
            action != "keep" and was is not None and will is not None and same(was, will)
        ) or (action == "unload" and is_gone)
        is_replaced = action == "replace"
        outputs = was.outputs if was else None
        before = declared_of(was, self._setting.prices, outputs=outputs) if was else None
        after = declared_of(will, self._setting.prices, outputs=outputs) if will else None
        live = self._live(was, will)
        drift = _drift(was, now, live, is_gone=is_gone)
        document = ReviewedModel(
            name=printable(urn_name(step.urn), limit=100),
            urn=printable(step.urn, limit=500),
            action=action,
            is_anyway=is_anyway,
            is_asleep=action == "keep" and _status(now) == NOT_LOADED,
            reasons=_reasons(was, now, will, drift, is_anyway=is_anyway),
            before=before.document() if before else None,
            after=after.document() if after else None,
            unavailable_minutes=self._setting.boot_minutes if is_replaced else None,
            dependents=self._order.dependents(step.urn) if is_replaced else None,
            failure=self._failure(step, action, live),
            drift=drift,
            live=live,
            broken_rules=self._rules.get(step.urn, []),
        )
        return _Assessed(step, document, before, after)

    def _takes_over(self, will: ResourceState) -> bool:
        live = self._setting.live
        if live is None or will.inputs.get("adopt") is not True:
            return False
        found = live.instances.get(will.inputs.get("modelId", ""))
        return found is not None and found.concurrency == will.inputs.get("concurrency", 1)

    def _live(self, was: ResourceState | None, will: ResourceState | None) -> LiveModel | None:
        live = self._setting.live
        state = was or will
        if live is None or state is None:
            return None
        outputs = state.outputs
        account = outputs.get("account", live.account), outputs.get("endpoint", live.endpoint)
        if account != (live.account, live.endpoint):
            return None
        instance = live.instances.get(state.inputs.get("modelId", ""))
        created = moment_of(outputs.get("created"))
        if instance is None:
            return LiveModel(
                status=NOT_LOADED,
                concurrency=None,
                age_seconds=None,
                idle_seconds_left=None,
                is_declared_load=None if created is None else False,
            )
        return LiveModel(
            status=printable(instance.status.strip().upper(), limit=40),
            concurrency=instance.concurrency,
            age_seconds=_seconds(instance.created, live.now),
            idle_seconds_left=_seconds(live.now, instance.expires_at),
            is_declared_load=None if created is None else instance.created == created,
        )

    def _failure(self, step: Step, action: Action, live: LiveModel | None) -> str | None:
        old = step.old
        if old is not None and old.is_protected and action in ("replace", "unload"):
            verb = "replaced" if action == "replace" else "unloaded"
            return f"it is protected, and would be {verb}"
        if step.urn in self._complaints:
            return printable(self._complaints[step.urn])
        if self._is_taken(step, live):
            return "it is loaded already, not by this stack: adopt it, or unload it first"
        return None

    def _is_taken(self, step: Step, live: LiveModel | None) -> bool:
        """Tell whether a new model is loaded already, where the service was asked."""
        if step.op != "create" or step.urn in self._plan.refreshed or step.new is None:
            return False
        inputs = step.new.inputs
        # What this stack has under another name fails too, with a sentence of its own.
        is_others = inputs.get("modelId") not in self._taken and not inputs.get("adopt")
        return is_others and live is not None and live.status != NOT_LOADED


def _action(step: Step, now: ResourceState | None) -> Action:
    if step.op == "replace":
        return "replace"
    if step.op in ("delete", "discard"):
        return "unload"
    if step.op in ("create", "import"):
        return "load"
    if step.op != "update":
        return "keep"
    status = _status(now)
    if status in (NOT_LOADED, "FAILED"):
        return "load"
    return "wait" if status == DEPLOYING else "update"


def _status(state: ResourceState | None) -> str | None:
    status = state.outputs.get("status") if state else None
    return status if isinstance(status, str) else None


def _reasons(
    was: ResourceState | None,
    now: ResourceState | None,
    will: ResourceState | None,
    drift: str | None,
    *,
    is_anyway: bool,
) -> list[str]:
    changed = changes(was, will) if was is not None and will is not None else []
    status = _status(now)
    told = []
    if status == "FAILED":
        told = ["it had FAILED"]
    elif status == DEPLOYING:
        told = ["its boot was not waited for to its end"]
    if is_anyway and drift is not None:
        told.append(drift)
    return [printable(one, limit=200) for one in [*changed, *told]]


def _drift(  # noqa: PLR0911 - one line a case
    was: ResourceState | None,
    now: ResourceState | None,
    live: LiveModel | None,
    *,
    is_gone: bool,
) -> str | None:
    """Say how what runs is not what was declared: what a refresh found, or else what runs now."""
    if was is None:
        return None
    if is_gone:
        return _LOADED_ANEW if live is not None and live.status != NOT_LOADED else _UNLOADED
    if now is not None and not same(was, now):
        return f"was changed behind Pulumi's back: {', '.join(changes(was, now))}"
    if live is None or _status(now) == NOT_LOADED:
        return None
    if live.status == NOT_LOADED:
        return _UNLOADED
    if live.is_declared_load is False:
        return _LOADED_ANEW
    return _FAILED if live.status == "FAILED" else None


def _rule(plan: Plan, number: int) -> BrokenRule:
    violation = (plan.violations or [])[number]
    is_of_stack = not violation.urn or violation.urn.split("::")[2:3] == ["pulumi:pulumi:Stack"]
    return BrokenRule(
        pack=printable(violation.pack, limit=100),
        policy=printable(violation.policy, limit=100),
        is_mandatory=violation.is_mandatory,
        message=printable(violation.message, limit=600),
        name=None if is_of_stack else printable(urn_name(violation.urn), limit=100),
    )


# ------------------------------------------------------------------------------------ sums


def _counts(models: Iterable[ReviewedModel]) -> Counts:
    models = list(models)

    def count(*actions: Action) -> int:
        return sum(one.action in actions and not one.is_anyway for one in models)

    return Counts(
        loads=count("load"),
        adoptions=count("adopt"),
        replacements=count("replace"),
        unloads=count("unload"),
        updates=count("update", "wait"),
        unchanged=sum(one.action == "keep" for one in models),
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
    before = one.before.total_ram_gb if one.before else None
    after = one.after.total_ram_gb if one.after else None
    return max(before or 0.0, after or 0.0)


def _seconds(start: datetime | None, end: datetime | None) -> int | None:
    if start is None or end is None:
        return None
    return max(0, round((end - start).total_seconds()))


# ------------------------------------------------------------------------------- what is said


def _failures(plan: Plan, models: Sequence[_Assessed]) -> list[str]:
    failing = [one for one in models if one.document.failure]
    told = [f"{one.document.name}: {one.document.failure}" for one in failing]
    named = {one.step.urn for one in failing}
    for complaint in plan.complaints:
        message = printable(complaint.message)
        if complaint.urn in named or message == "preview failed":
            continue
        name = printable(urn_name(complaint.urn), limit=100) if complaint.urn else ""
        told.append(f"{name}: {message}" if name else message)
    if any(violation.is_mandatory for violation in plan.violations or ()):
        told.append("a mandatory policy is broken")
    if plan.complaints and not told:
        told = ["the preview failed, and the plan does not tell why"]
    return list(dict.fromkeys(told))


def _notes(plan: Plan, setting: Setting) -> list[str]:
    """Return remarks in our own words: nothing of a plan, a server or a file is in them."""
    notes = list(setting.notes)
    if plan.complaints:
        notes.append("The preview failed: what it did not get to is not here.")
    if plan.is_from_nothing:
        notes.append(
            "The plan of this branch is compared with that of its target branch, both made "
            "without the stack's state: what really runs is not looked at."
        )
    elif not plan.is_refreshed:
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
    if not plan.has_all:
        notes.append(
            "The plan leaves out what stays as it is, and so do the sums; "
            "`pulumi preview --json --show-sames` has it."
        )
    if plan.violations is None:
        notes.append("This form of a plan carries no policy results.")
    return notes
