"""`audit`: what is loaded, compared with what stacks declare."""

from __future__ import annotations

from bytez_provider.audit import (
    KIND_WORDS,
    Audit,
    AuditedModel,
    Finding,
    assess,
    basis,
    cells,
    headline,
    markdown,
    owners,
    page,
    remarks,
    status_word,
    sums,
)
from bytez_provider.cli.screen import DONE, FOUND, Screen
from bytez_provider.cli.session import Session
from bytez_provider.cli.stacks import Wanted, facts_of

_COLUMNS = ("MODEL...", "STATUS", ">CONC", ">GB RAM", ">LEFT", ">$/HOUR", ">SO FAR")
_FORMS = {"md": markdown, "html": page}


def audit(wanted: Wanted, screen: Screen, form: str) -> int:
    """Compare what is loaded with what the states declare; `form` is table, md or html."""
    found = assess(facts_of(Session(wanted.keyed_by, screen), wanted))
    screen.document(found.model_dump(mode="json", by_alias=True))
    if form in _FORMS:
        screen.say(_FORMS[form](found).rstrip("\n"))
    else:
        show(found, screen)
    return FOUND if found.findings else DONE


def show(found: Audit, screen: Screen) -> None:
    """Show an audit as a table, a list of findings and their number."""
    if found.models:
        screen.table(_COLUMNS, [row for model in found.models for row in _rows(model)])
    for sentence in (*sums(found), *remarks(found, str), basis(found, str)):
        screen.say(sentence)
    for finding in found.findings:
        _show_finding(finding, screen)
    screen.say("")
    screen.say(headline(found))


def _rows(model: AuditedModel) -> list[tuple[str, ...]]:
    """Return a model and, in a row below for lack of room, who declares it."""
    concurrency, ram, _, left, hour, so_far = cells(model)
    by = owners(model.declared_by, str) or KIND_WORDS["orphan"]
    return [
        (model.model_id, status_word(model), concurrency, ram, left, hour, so_far),
        (f"  {by}", *[""] * (len(_COLUMNS) - 1)),
    ]


def _show_finding(finding: Finding, screen: Screen) -> None:
    by = f" ({owners(finding.declared_by, str)})" if finding.declared_by else ""
    quoted = f': "{finding.quoted}"' if finding.quoted else ""
    screen.say("")
    screen.say(f"{KIND_WORDS[finding.kind]}: {finding.model_id}{by}")
    screen.say(f"  {finding.detail}{quoted}")
    for mend in finding.mends:
        # Each command alone on its line, so that it can be copied.
        screen.say(f"  -> {mend.effect}:")
        screen.say(f"     {mend.command}")
