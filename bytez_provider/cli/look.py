"""`models`, `instances`, `status`: what there is, and what is loaded. Nothing here changes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from bytez_provider.base.errors import ApiError
from bytez_provider.base.words import count, dollars, gigabytes, span, yes_no
from bytez_provider.cli import exits
from bytez_provider.cli.facts import (
    absence_facts,
    catalogue_facts,
    instance_facts,
    total_per_hour,
)
from bytez_provider.cli.live import live_of
from bytez_provider.cli.screen import Column, Screen, table_of
from bytez_provider.cli.session import Session
from bytez_provider.cli.words import facts_as_rows, facts_on_a_line
from bytez_provider.service.catalogue import Catalogue, bundled_catalogue
from bytez_provider.service.schemas import Instance

_WATCH_SECONDS = 1.0

_MODEL_COLUMNS = (
    Column("MODEL", folds=True),
    Column("GB RAM", is_number=True),
    Column("$/HOUR", is_number=True),
    Column("BENCHMARKED"),
)
_INSTANCE_COLUMNS = (
    Column("MODEL", folds=True),
    Column("STATUS"),
    Column("CONC", is_number=True),
    Column("RUNS", is_number=True),
    Column("AGE", is_number=True),
    Column("IDLE LEFT", is_number=True),
    Column("$/HOUR", is_number=True),
)
_FACT_COLUMNS = (Column(""), Column("", folds=True))


def models(session: Session, *, search: str | None, benchmarked_only: bool) -> int:
    """List the models that can be loaded."""
    catalogue = _catalogue(session)
    price = session.settings.price_per_gb_second
    found = [
        catalogue_facts(entry, price)
        for entry in catalogue.entries()
        if (search or "").lower() in entry.model_id.lower()
        and (entry.benchmarked or not benchmarked_only)
    ]
    source = "live" if catalogue.is_live else "bundled"
    session.screen.document({"models": found, "source": source})
    if found:
        rows = [
            (
                facts["modelId"],
                gigabytes(facts["requiredRamGb"]),
                dollars(facts["dollarsPerHour"]),
                yes_no(facts["benchmarked"]),
            )
            for facts in found
        ]
        session.screen.table(_MODEL_COLUMNS, rows)
    else:
        session.screen.say("no model of the catalogue is like that")
    return exits.DONE


def _catalogue(session: Session) -> Catalogue:
    """Return the catalogue that the settings ask for; here a service that fails is an error."""
    settings = session.settings
    if settings.catalogue == "live" and settings.key is not None:
        return Catalogue(session.client.models(), is_live=True)
    why = "no key is set" if settings.key is None else "bytez:catalogue says so"
    session.screen.note(f"this is the catalogue that came with the package, since {why}")
    return bundled_catalogue()


def instances(session: Session) -> int:
    """List the models that are loaded."""
    listed = session.client.instances()
    live = live_of(session, [one.model_id for one in listed], listed)
    found = [instance_facts(instance, session) for instance in live.values()]
    total = total_per_hour(found)
    session.screen.document({"instances": found, "dollarsPerHour": total})
    if not found:
        session.screen.say("nothing is loaded")
        return exits.DONE
    rows = [
        (
            facts["modelId"],
            facts["status"],
            count(facts["concurrency"]),
            count(facts["inferences"]),
            span(facts["ageSeconds"]),
            span(facts["idleSecondsLeft"]),
            dollars(facts["dollarsPerHour"]) if facts["status"] != "FAILED" else "-",
        )
        for facts in found
    ]
    session.screen.table(_INSTANCE_COLUMNS, rows)
    number = f"{len(found)} models" if found[1:] else "1 model"
    cost = "the cost of which is not known" if total is None else f"{dollars(total)} an hour"
    session.screen.say(f"{number}, {cost}")
    return exits.DONE


def status(session: Session, model_id: str) -> int:
    """Tell of one model."""
    session.inputs("read the status of", model_id)
    instance = session.live(model_id)
    if instance is None:
        session.refuse_unknown("read the status of", model_id)
    facts = _facts(instance, model_id, session)
    session.screen.document(facts)
    session.screen.table(_FACT_COLUMNS, facts_as_rows(facts))
    return exits.DONE


def watch(session: Session, model_id: str) -> NoReturn:
    """Tell of one model until interrupted: in place on a terminal, else a line on each change."""
    session.inputs("watch", model_id)
    if session.live(model_id) is None:
        session.refuse_unknown("watch", model_id)
    screen = session.screen
    if screen.as_json or not screen.redraws_result:
        _look_for_ever(session, model_id, _Changes(screen).show)
    with screen.redrawn() as live:

        def draw(facts: dict[str, Any], trouble: str | None) -> None:
            rows = facts_as_rows(facts) + ([("no answer", trouble)] if trouble else [])
            live.update(table_of(_FACT_COLUMNS, rows), refresh=True)

        _look_for_ever(session, model_id, draw)


class _Changes:
    """Shows what is not as it was last time."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._line: str | None = None
        self._trouble: str | None = None

    def show(self, facts: dict[str, Any], trouble: str | None) -> None:
        """Show the facts, or that there are none to be had just now."""
        if trouble is not None:
            if self._trouble is None:
                self._screen.warn(f"no answer now: {trouble}")
            self._trouble = trouble
            return
        self._trouble = None
        line = facts_on_a_line(facts)
        if line != self._line:
            self._line = line
            self._screen.say(line)
            self._screen.document(facts, on_one_line=True)


def _look_for_ever(
    session: Session, model_id: str, show: Callable[[dict[str, Any], str | None], None]
) -> NoReturn:
    facts = absence_facts(model_id, session)
    while True:
        trouble = None
        try:
            instance = session.client.status(model_id, tries=1)
        except ApiError as error:
            if not error.is_passing:
                raise
            trouble = error.observed
        else:
            facts = _facts(instance, model_id, session)
        show(facts, trouble)
        session.clock.wait(_WATCH_SECONDS)


def _facts(instance: Instance | None, model_id: str, session: Session) -> dict[str, Any]:
    if instance is None:
        return absence_facts(model_id, session)
    return instance_facts(instance, session)
