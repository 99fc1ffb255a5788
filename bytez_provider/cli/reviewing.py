"""`review`: what a change of a fleet does, costs and breaks, before it is merged."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from bytez_provider.base.errors import BytezError, InvalidFileError, printable
from bytez_provider.base.words import UNKNOWN, between, counted, span
from bytez_provider.cli.screen import DONE, FAILED, FOUND, Screen
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
    amounts,
    compared,
    markdown,
    read_plan,
    run_preview,
)

_COLUMNS = ("NAME...", "STEP", "WHY...", ">DOWN", ">$/MONTH", "NOW")


def preview(session: Session, packs: Sequence[Path], pack_configs: Sequence[Path]) -> Plan:
    """Return the plan of the session's stack."""
    with session.screen.showing_progress("previewing the stack"):
        return run_preview(
            session.stack,
            refresh=session.settings.key is not None,
            policy_packs=packs,
            policy_pack_configs=pack_configs,
        )


def saved(session: Session, file: Path, base_file: Path | None) -> Plan:
    """Return a saved plan; with a base, what it changes against the plan of the target branch."""
    plan = read_plan(file)
    if base_file is None:
        return plan
    base = read_plan(base_file)
    if not base.has_all:
        # What it leaves out would be reported as new.
        observed, action = "not all of the stack is in it", "without --target, with --show-sames"
        if base.complaints:
            observed, action = "its preview failed", "after you have fixed the target branch"
        raise InvalidFileError(
            verb="compare with the plan",
            subject=printable(str(base_file), limit=200),
            observed=observed,
            action=f"Make it again, {action}",
        )
    return compared(plan, base, rescales=session.client.api.rescales)


def setting(
    session: Session,
    plan: Plan,
    boot_minutes: int | None,
    commit: str | None,
    thresholds: Thresholds,
) -> Setting:
    """Return what a plan is reviewed with: the catalogue, and with a key what runs now."""
    settings = session.settings
    live, notes = None, list[NoteCode]()
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
        settings=settings,
        source="live" if catalogue.is_live else bundled,
        live=live,
        boot_minutes=boot_minutes,
        commit=commit,
        notes=notes,
        thresholds=thresholds,
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
        api_version=session.client.api.in_state,
    )


def show(session: Session, found: Review, form: str, link: str | None) -> int:
    """Show a review, as a table or as "md", and a line for each finding; return the exit code."""
    screen = session.screen
    if form == "md":
        screen.say(markdown(found, link=link).rstrip("\n"))
    elif not screen.as_json:
        _show_table(screen, found)
    screen.document(found.printed())
    for finding in found.findings:
        screen.fail(f"{finding.code}: {finding.text}")
    if found.findings:
        return FOUND
    return FAILED if found.failures else DONE


def _show_table(screen: Screen, review: Review) -> None:
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
    rows = list(zip(_COSTS, amounts(review.before), amounts(review.after), strict=True))
    if not (review.before.expected_models or review.after.expected_models):
        del rows[_COSTS.index("month expected")]
    screen.table(("COST", ">BEFORE", ">AFTER"), rows)
    if review.unknown_cost:
        screen.say(f"unknown cost, in no total: {', '.join(review.unknown_cost)}")
    for name, inputs in review.unreadable.items():
        screen.say(f"hidden, because secret or not known yet: {name} ({', '.join(inputs)})")
    if review.minutes_to_apply:
        about = "about" if review.has_order else "at least"
        screen.say(f"it takes {about} {counted(review.minutes_to_apply, 'minute')}")
    for rule in review.broken_rules:
        level = "mandatory" if rule.is_mandatory else "advisory"
        screen.say(f"broken rule ({level}), {rule.name or 'the stack'}: {rule.message}")
    for note in review.notes:
        screen.note(note)


_COSTS = ("hour", "month at least", "month expected", "month at most", "GB RAM")


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
        between(*declared.always_loaded) if declared else UNKNOWN,
        now,
    )
