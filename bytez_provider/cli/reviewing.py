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
    Plan,
    Prices,
    Review,
    ReviewedModel,
    Setting,
    Thresholds,
    Total,
    assess,
    compared,
    findings,
    markdown,
    read_plan,
    run_preview,
    unreadable_of,
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
    """What is asked of `review`.

    Attributes:
        plan: A saved plan; None to run a preview.
        base: The plan of the target branch, to compare with.
        policy_packs: Folders of packs, for a preview.
        policy_pack_configs: The configuration of each.
        is_markdown: Whether people are shown a comment, and not a table.
        commit: The commit that is reviewed.
        link: Where the whole of it is, for a comment that must be cut.
        boot_minutes: How long a boot is taken to last.
        thresholds: What is a finding.
    """

    plan: Path | None
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
    told = assess(plan, _setting(session, request, plan))
    screen = session.screen
    if request.is_markdown:
        screen.say(markdown(told, link=request.link).rstrip("\n"))
    elif not screen.as_json:
        _show(session, told)
    screen.document(told.model_dump(by_alias=True))
    found = findings(told, request.thresholds)
    for line in found:
        screen.fail(line)
    if found:
        return FOUND
    return FAILED if told.failures else DONE


def _plan(session: Session, request: Request) -> Plan:
    if request.plan is None:
        has_key = session.settings.key is not None
        with session.screen.showing_progress("previewing the stack"):
            return run_preview(
                session.stack,
                refresh=has_key,
                policy_packs=request.policy_packs,
                policy_pack_configs=request.policy_pack_configs,
            )
    plan = read_plan(request.plan)
    if request.base is None:
        return plan
    base = read_plan(request.base)
    if not base.has_all:
        # What it leaves out would be reported as new.
        raise InvalidFileError(
            verb="compare with the plan",
            subject=printable(str(request.base), limit=200),
            observed="its preview failed" if base.complaints else "not all of the stack is in it",
            action="Mend the target branch, and make its plan again"
            if base.complaints
            else "Make it again, without --target and the like, and with --show-sames",
        )
    return compared(plan, base)


# ------------------------------------------------------------------------------- live facts


def _setting(session: Session, request: Request, plan: Plan) -> Setting:
    settings = session.settings
    live = None
    notes: list[str] = []
    if settings.key is not None and not plan.is_from_nothing:
        with session.screen.showing_progress("asking what runs now"):
            try:
                live = _live(session, plan, _records(session, notes))
            except BytezError as error:
                session.screen.warn(str(error))
                notes.append("The service gave no answer, so that it is not known what runs now.")
    catalogue = session.catalogue.get()
    bundled: Literal["bundled", "off"] = "off" if settings.catalogue == "off" else "bundled"
    return Setting(
        prices=Prices(catalogue, settings.price_per_gb_second),
        catalogue="live" if catalogue.is_live else bundled,
        live=live,
        boot_minutes=request.boot_minutes,
        commit=request.commit,
        notes=notes,
    )


def _records(session: Session, notes: list[str]) -> Sequence[Record]:
    """Return what the journal has; nothing, and a note, where it cannot be read."""
    try:
        return session.ledger.records()
    except BytezError as error:
        session.screen.warn(str(error))
        notes.append("The journal could not be read, so that whose a load is goes by the state.")
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
        # The plan of a file may be of a stack that is kept elsewhere.
        stack=session.identity.key if session.stack and records else None,
    )


# -------------------------------------------------------------------------------- the table


def _show(session: Session, told: Review) -> None:
    screen = session.screen
    for failure in told.failures:
        screen.say(f"this up will fail: {failure}")
    happening = [one for one in told.models if one.action != "keep" or one.drift is not None]
    if happening:
        screen.table(_COLUMNS, [_row(one) for one in happening])
    for gap in told.gaps:
        names = f": {', '.join(gap.models)}" if gap.models else ""
        screen.say(f"this review is partial: {gap.text}{names}")
    unchanged = told.counts.unchanged
    rest = "in a plan that is partial" if unchanged is None else f"{unchanged} unchanged"
    screen.say(f"{counted(len(happening), 'step')}, {rest}")
    sides = (told.before, told.after)
    rows = [
        ("hour", *(_sum(one, dollars(one.dollars_per_hour)) for one in sides)),
        ("month at least", *(_sum(one, dollars(one.dollars_per_month.floor)) for one in sides)),
        ("month expected", *(dollars(one.dollars_per_month.expected) for one in sides)),
        ("month at most", *(_sum(one, dollars(one.dollars_per_month.ceiling)) for one in sides)),
        ("GB RAM", *(_sum(one, gigabytes(one.required_ram_gb)) for one in sides)),
    ]
    if not any(one.expected_models for one in sides):
        del rows[2]
    headings = (Column("COST"), Column("BEFORE", is_number=True), Column("AFTER", is_number=True))
    screen.table(headings, rows)
    if told.unknown_cost:
        screen.say(f"unknown cost, in no sum: {', '.join(told.unknown_cost)}")
    for name, inputs in unreadable_of(told).items():
        screen.say(f"hidden, as a secret or a value not known yet: {name} ({', '.join(inputs)})")
    if told.minutes_to_apply:
        about = "about" if told.has_order else "at least"
        screen.say(f"it takes {about} {told.minutes_to_apply} minutes")
    for rule in told.broken_rules:
        level = "mandatory" if rule.is_mandatory else "advisory"
        screen.say(f"broken rule ({level}), {rule.name or 'the stack'}: {rule.message}")
    for note in told.notes:
        screen.note(note)


def _sum(total: Total, amount: str) -> str:
    return partly(amount, total.unknown_models, total.models)


def _row(model: ReviewedModel) -> tuple[str, ...]:
    live = model.live
    now = "-"
    if live is not None:
        now = live.status if live.age_seconds is None else f"{live.status} {span(live.age_seconds)}"
    declared = model.after or model.before
    month = declared.dollars_per_month if declared else None
    why = ", ".join(model.reasons) or model.drift or ""
    minutes = model.unavailable_minutes
    return (
        model.name,
        f"{model.action} anyway" if model.is_anyway else model.action,
        why or (declared.model_id if declared and declared.model_id else "-"),
        "-" if minutes is None else f"{minutes} min",
        dollars(month.ceiling if month else None),
        now,
    )
