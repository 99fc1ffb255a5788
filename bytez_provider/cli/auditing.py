"""`audit`: what is loaded, compared with what stacks declare."""

from __future__ import annotations

from bytez_provider.audit import Audit, assess, markdown, page, plain, rows
from bytez_provider.cli.screen import DONE, FOUND, Screen
from bytez_provider.cli.session import Session
from bytez_provider.cli.stacks import Wanted, facts_of

_COLUMNS = ("MODEL...", "STATUS", ">CONC", ">GB RAM", ">LEFT", ">$/HOUR", ">SO FAR")
_FORMS = {"md": markdown, "html": page}


def audit(wanted: Wanted, screen: Screen, form: str) -> int:
    """Compare what is loaded with what the states declare; `form` is table, md or html."""
    found = assess(facts_of(Session(wanted.keyed_by, screen), wanted))
    screen.document(found.printed())
    if form in _FORMS:
        screen.say(_FORMS[form](found).rstrip("\n"))
    else:
        show(found, screen)
    return FOUND if found.findings else DONE


def show(found: Audit, screen: Screen) -> None:
    """Show an audit to people: the models as a table, and all the rest below it."""
    if found.models:
        screen.table(_COLUMNS, list(rows(found)))
    for line in plain(found):
        screen.say(line)
