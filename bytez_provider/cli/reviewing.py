"""`review`: what a change of a fleet does, costs and breaks, before it is merged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bytez_provider.base.errors import BytezError, InvalidFileError, printable
from bytez_provider.base.words import counted, dollars, gigabytes, partly, span
from bytez_provider.cli.screen import DONE, FAILED, FOUND, Column
from bytez_provider.cli.session import Session
from bytez_provider.core.ownership import Record
from bytez_provider.review import (
    Live,
    NoteCode,
    Plan,
    Review,
    ReviewedModel,
    Setting,
    Thresholds,
    Total,
    assess,
    compared,
    markdown,
    read_plan,
    run_preview,
)

_COLUMNS = (
    Column("NAME", folds=True),
    Column("STEP"),
    Column("WHY", folds=True),
    Column("DOWN", is_number=True),
    Column("$/MONTH", is_number=True),
    Column("NOW"),
)


@dataclass(frozen=True)
class Request:
    """The options of `review`, as the command line has them."""

    plan: Path | None
    """None to run a preview."""
    base: Path | None
    policy_packs: Sequence[Path]
    policy_pack_configs: Sequence[Path]
    is_markdown: bool
    commit: str | None
    link: str | None
    boot_minutes: int
    thresholds: Thresholds


def review(session: Session, request: Request) -> int:
    """Show the review of a plan, and a line for each finding."""
    plan = _plan(session, request)
    found = assess(plan, _setting(session, request, plan))
    screen = session.screen
    if request.is_markdown:
        screen.say(markdown(found, link=request.link).rstrip("\n"))
    elif not screen.as_json:
        _show(session, found)
    screen.document(found.model_dump(by_alias=True))
    for finding in found.findings:
        screen.fail(f"{finding.code}: {finding.text}")
    if found.findings:
        return FOUND
    return FAILED if found.failures else DONE


def _plan(session: Session, request: Request) -> Plan:
    if request.plan is None:
        with session.screen.showing_progress("previewing the stack"):
            return run_preview(
                session.stack,
                refresh=session.settings.key is not None,
                policy_packs=request.policy_packs,
                policy_pack_configs=request.policy_pack_configs,
            )
    plan = read_plan(request.plan)
    if request.base is None:
        return plan
    base = read_plan(request.base)
    if not base.has_all:
        # What it leaves out would be reported as new.
        observed, action = "not all of the stack is in it", "without --target, with --show-sames"
        if base.complaints:
            observed, action = "its preview failed", "after you have fixed the target branch"
        raise InvalidFileError(
            verb="compare with the plan",
            subject=printable(str(request.base), limit=200),
            observed=observed,
            action=f"Make it again, {action}",
        )
    return compared(plan, base)


def _setting(session: Session, request: Request, plan: Plan) -> Setting:
    settings = session.settings
    live = None
    notes: list[NoteCode] = []
    if settings.key is not None and not plan.is_from_nothing:
        with session.screen.showing_progress("asking what runs now"):
            try:
                live = _live(session, plan, _records(session, notes))
            except BytezError as error:
                session.screen.warn(str(error))
                notes.append("noAnswer")
    catalogue = session.catalogue.get()
    bundled: Literal["bundled", "off"] = "off" if settings.catalogue == "off" else "bundled"
    return Setting(
        catalogue=catalogue,
        price=settings.price_per_gb_second,
        source="live" if catalogue.is_live else bundled,
        live=live,
        boot_minutes=request.boot_minutes,
        commit=request.commit,
        notes=notes,
        thresholds=request.thresholds,
    )


def _records(session: Session, notes: list[NoteCode]) -> Sequence[Record]:
    """Return what the journal has; nothing, and a note, if it cannot be read."""
    try:
        return session.ledger.records()
    except BytezError as error:
        session.screen.warn(str(error))
        notes.append("noJournal")
        return []


def _live(session: Session, plan: Plan, records: Sequence[Record]) -> Live:
    """Return what runs of the models in a plan."""
    instances = session.live_of(sorted(plan.model_ids()), session.client.instances())
    return Live(
        instances=instances,
        now=session.client.server_now(),
        endpoint=session.settings.endpoint,
        account=session.settings.account,
        records={one.model_id: one for one in records},
        # A saved plan may be of a stack that is kept elsewhere.
        stack=session.identity.key if session.stack and records else None,
    )


# -------------------------------------------------------------------------------- the table


def _show(session: Session, review: Review) -> None:
    screen = session.screen
    for failure in review.failures:
        screen.say(f"this up will fail: {failure}")
    happening = [one for one in review.models if one.action != "keep" or one.drift is not None]
    if happening:
        screen.table(_COLUMNS, [_row(one) for one in happening])
    for gap in review.gaps:
        names = f": {', '.join(gap.models)}" if gap.models else ""
        screen.say(f"this review is partial: {gap.text}{names}")
    unchanged = review.counts.unchanged
    rest = "in a partial plan" if unchanged is None else f"{unchanged} unchanged"
    screen.say(f"{counted(len(happening), 'step')}, {rest}")
    rows = list(zip(_COSTS, _costs(review.before), _costs(review.after), strict=True))
    if not (review.before.expected_models or review.after.expected_models):
        del rows[_COSTS.index("month expected")]
    headings = (Column("COST"), Column("BEFORE", is_number=True), Column("AFTER", is_number=True))
    screen.table(headings, rows)
    if review.unknown_cost:
        screen.say(f"unknown cost, in no total: {', '.join(review.unknown_cost)}")
    for name, inputs in review.unreadable.items():
        screen.say(f"hidden, because secret or not known yet: {name} ({', '.join(inputs)})")
    if review.minutes_to_apply:
        about = "about" if review.has_order else "at least"
        screen.say(f"it takes {about} {review.minutes_to_apply} minutes")
    for rule in review.broken_rules:
        level = "mandatory" if rule.is_mandatory else "advisory"
        screen.say(f"broken rule ({level}), {rule.name or 'the stack'}: {rule.message}")
    for note in review.notes:
        screen.note(note)


_COSTS = ("hour", "month at least", "month expected", "month at most", "GB RAM")


def _costs(total: Total) -> list[str]:
    month = total.dollars_per_month
    hour, floor, ceiling, ram = (
        partly(amount, total.unknown_models, total.models)
        for amount in (
            dollars(total.dollars_per_hour),
            dollars(month.floor),
            dollars(month.ceiling),
            gigabytes(total.required_ram_gb),
        )
    )
    return [hour, floor, dollars(month.expected), ceiling, ram]


def _row(model: ReviewedModel) -> tuple[str, ...]:
    live, minutes = model.live, model.unavailable_minutes
    now = "-"
    if live is not None:
        now = live.status if live.age_seconds is None else f"{live.status} {span(live.age_seconds)}"
    declared = model.declared
    why = ", ".join(model.reasons) or model.drift or ""
    return (
        model.name,
        f"{model.action} anyway" if model.is_anyway else model.action,
        why or (declared.model_id if declared and declared.model_id else "-"),
        "-" if minutes is None else f"{minutes} min",
        dollars(declared.at_most if declared else None),
        now,
    )
