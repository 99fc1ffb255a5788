"""`audit`: what is loaded, beside what stacks declare."""

from __future__ import annotations

from collections.abc import Iterable

from bytez_provider.audit import (
    KIND_WORDS,
    NOT_JUDGED,
    Audit,
    AuditedModel,
    Finding,
    Owner,
    assess,
    basis,
    headline,
    hidden_names,
    markdown,
    model_cells,
    page,
    status_word,
    summary,
)
from bytez_provider.base.words import counted
from bytez_provider.cli import exits
from bytez_provider.cli.screen import Column, Screen
from bytez_provider.cli.session import Session
from bytez_provider.cli.sources import Wanted, facts_of

_COLUMNS = (
    Column("MODEL", folds=True),
    Column("STATUS"),
    Column("CONC", is_number=True),
    Column("GB RAM", is_number=True),
    Column("LEFT", is_number=True),
    Column("$/HOUR", is_number=True),
    Column("SO FAR", is_number=True),
)


def audit(wanted: Wanted, screen: Screen, form: str) -> int:
    """Compare what is loaded with what the states declare, and tell what is not in order.

    Args:
        wanted: The states.
        screen: Where to tell it.
        form: "table", "md" or "html".

    Raises:
        BytezError: a state or the service cannot be read.
    """
    told = assess(facts_of(Session(wanted.keyed_by, screen), wanted))
    screen.document(told.model_dump(mode="json", by_alias=True))
    if form == "md":
        screen.say(markdown(told).rstrip("\n"))
    elif form == "html":
        screen.say(page(told).rstrip("\n"))
    else:
        show(told, screen)
    return exits.FOUND if told.findings else exits.DONE


def show(told: Audit, screen: Screen) -> None:
    """Show an audit to people."""
    if told.models:
        rows = [row for model in told.models for row in _rows(model)]
        screen.table(_COLUMNS, rows)
    for sentence in summary(told):
        screen.say(sentence)
    if told.totals.unknown_cost:
        names = ", ".join(told.totals.unknown_cost)
        screen.say(f"Of unknown cost, and not in these sums: {names}.")
    screen.say(basis(told))
    if told.left_out:
        number = counted(len(told.left_out), "resource")
        names = _names(one.declared_by for one in told.left_out)
        screen.say(f"Left out, as of another account or endpoint: {number}: {names}.")
    if told.not_judged:
        screen.say(f"{NOT_JUDGED}: {'; '.join(hidden_names(told))}.")
    for finding in told.findings:
        screen.say("")
        _show_finding(finding, screen)
    screen.say("")
    screen.say(headline(told))


def _rows(model: AuditedModel) -> list[tuple[str, ...]]:
    """Return a model, and under it who declares it: beside it there is no room."""
    concurrency, ram, _, left, hour, so_far = model_cells(model)
    status, owners = status_word(model), _names(model.declared_by) or KIND_WORDS["orphan"]
    rest = ("",) * (len(_COLUMNS) - 1)
    return [
        (model.model_id, status, concurrency, ram, left, hour, so_far),
        (f"  {owners}", *rest),
    ]


def _show_finding(finding: Finding, screen: Screen) -> None:
    # Not as a table, and alone on its line: a command that is folded cannot be copied.
    owners = f" ({_names(finding.declared_by)})" if finding.declared_by else ""
    quoted = f': "{finding.quoted}"' if finding.quoted else ""
    screen.say(f"{KIND_WORDS[finding.kind]}: {finding.model_id}{owners}")
    screen.say(f"  {finding.detail}{quoted}")
    for mend in finding.mends:
        screen.say(f"  -> {mend.effect}:")
        screen.say(f"     {mend.command}")


def _names(owners: Iterable[Owner]) -> str:
    return ", ".join(f"{owner.stack}/{owner.name}" for owner in owners)
