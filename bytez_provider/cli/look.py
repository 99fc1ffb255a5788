"""`models`, `instances`, `status` and `run`: they change nothing that is loaded.

The JSON documents are camelCase; tables show the same facts. A key is always there: an unknown
value is null.
"""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from bytez_provider.base.errors import (
    ApiError,
    InvalidInputError,
    MalformedAnswerError,
    NotLoadedError,
    printable,
)
from bytez_provider.base.words import count, counted, dollars, gigabytes, scale, span, yes_no
from bytez_provider.cli.screen import DONE, console, table_of
from bytez_provider.cli.session import Session
from bytez_provider.service.catalogue import Catalogue, bundled_catalogue
from bytez_provider.service.pricing import paid_instances, prices_of
from bytez_provider.service.schemas import (
    FAILED,
    NOT_LOADED,
    CatalogueEntry,
    Instance,
    iso,
    seconds_between,
)

_WATCH_SECONDS = 1.0
_NAME_LIMIT = 200
_LONGEST_TEXT = 4 * 1024 * 1024
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")

_MODEL_COLUMNS = ("MODEL...", ">GB RAM", ">$/HOUR", "BENCHMARKED")
_INSTANCE_COLUMNS = ("MODEL...", "STATUS", ">CONC", ">RUNS", ">AGE", ">IDLE LEFT", ">$/HOUR")
_FACT_COLUMNS = ("", "...")

_Facts = dict[str, Any]


def models(session: Session, *, search: str | None, benchmarked_only: bool) -> int:
    """List the models that can be loaded."""
    catalogue = _catalogue(session)
    found: list[_Facts] = [
        {
            "modelId": printable(entry.model_id, limit=_NAME_LIMIT),
            "requiredRamGb": entry.required_ram_gb,
            "benchmarked": entry.benchmarked,
            "dollarsPerHour": _per_hour(entry, 1, session),
        }
        for entry in catalogue.entries()
        if (search or "").lower() in entry.model_id.lower()
        and (entry.benchmarked or not benchmarked_only)
    ]
    source = "live" if catalogue.is_live else "bundled"
    session.screen.document({"models": found, "source": source})
    rows = [
        (
            facts["modelId"],
            gigabytes(facts["requiredRamGb"]),
            dollars(facts["dollarsPerHour"]),
            yes_no(facts["benchmarked"]),
        )
        for facts in found
    ]
    if rows:
        session.screen.table(_MODEL_COLUMNS, rows)
    else:
        session.screen.say("no model in the catalogue matches")
    return DONE


def _catalogue(session: Session) -> Catalogue:
    """Return the catalogue that the settings ask for; a service that fails is an error here."""
    settings = session.settings
    if settings.catalogue == "live" and settings.key is not None:
        return Catalogue(session.client.models(), is_live=True)
    why = "no key is set" if settings.key is None else f"bytez:catalogue is {settings.catalogue}"
    session.screen.note(f"{why}, so this is the catalogue that came with the package")
    return bundled_catalogue()


def instances(session: Session) -> int:
    """List the models that are loaded."""
    listed = session.client.instances()
    live = session.live_of([one.model_id for one in listed], listed)
    found = [facts_of_instance(instance, session) for instance in live.values()]
    costs = [facts["dollarsPerHour"] for facts in found if facts["status"] != FAILED]
    total = None if None in costs else round(sum(costs), 6)
    session.screen.document({"instances": found, "dollarsPerHour": total})
    if not found:
        session.screen.say("nothing is loaded")
        return DONE
    rows = [
        (
            facts["modelId"],
            facts["status"],
            _instances(facts),
            count(facts["inferences"]),
            span(facts["ageSeconds"]),
            span(facts["idleSecondsLeft"]),
            "-" if facts["status"] == FAILED else dollars(facts["dollarsPerHour"]),
        )
        for facts in found
    ]
    session.screen.table(_INSTANCE_COLUMNS, rows)
    cost = "unknown cost" if total is None else f"{dollars(total)} an hour"
    session.screen.say(f"{counted(len(found), 'model')}, {cost}")
    return DONE


def status(session: Session, model_id: str, *, watches: bool) -> int:
    """Show one model, once or until Ctrl-C."""
    verb = "watch" if watches else "read the status of"
    session.inputs(verb, model_id)
    instance = session.live(model_id)
    if instance is None:
        session.refuse_unknown(verb, model_id)
    if watches:
        _watch(session, model_id)
    else:
        facts = facts_of_instance(instance, session, model_id)
        session.screen.document(facts)
        session.screen.table(_FACT_COLUMNS, _rows(facts))
    return DONE


# -------------------------------------------------------------------------------------- facts


def facts_of_instance(
    instance: Instance | None, session: Session, model_id: str = ""
) -> dict[str, Any]:
    """Return what is known of a model; with None, of the model of that name as not loaded.

    The cost is that of all instances; null if it is unknown or the model FAILED.
    """
    seen = instance or Instance(model_id=model_id, status=NOT_LOADED)
    entry = session.catalogue.get().find(seen.model_id)
    ram = entry.required_ram_gb if entry else None
    now = session.client.server_now()
    paid = None if seen.word == FAILED else paid_instances(seen)
    return {
        "modelId": printable(seen.model_id, limit=_NAME_LIMIT),
        "status": seen.word,
        "concurrency": seen.concurrency,
        **(
            {"maxConcurrency": seen.max_concurrency, "instances": seen.instances}
            if seen.scale
            else {}
        ),
        "inferences": seen.inferences,
        "created": iso(seen.created) if seen.created else None,
        "ageSeconds": seconds_between(seen.created, now),
        "expirationPeriodSeconds": seen.expiration_period_seconds,
        "expiresAt": iso(seen.expires_at) if seen.expires_at else None,
        "idleSecondsLeft": seconds_between(now, seen.expires_at),
        "requiredRamGb": ram,
        "dollarsPerHour": None if paid is None else _per_hour(entry, paid, session),
        "error": printable(seen.error) if seen.error else None,
    }


def _per_hour(entry: CatalogueEntry | None, instances: int, session: Session) -> float | None:
    prices = prices_of(session.settings)
    # No instance costs nothing, whatever its price is.
    cost = prices.hourly(prices.of(entry), instances) if instances else 0
    return None if cost is None else round(float(cost), 6)


def _instances(facts: _Facts) -> str:
    return scale(facts["concurrency"], facts.get("maxConcurrency"), facts.get("instances"))


def cost_an_hour(facts: _Facts) -> str:
    """Return the cost of an hour of a loaded model."""
    cost = facts["dollarsPerHour"]
    return "unknown cost" if cost is None else f"{dollars(cost)} an hour"


def _status_word(facts: _Facts) -> str:
    return "not loaded" if facts["status"] == NOT_LOADED else str(facts["status"])


def _rows(facts: _Facts) -> list[tuple[str, str]]:
    rows = [("model", facts["modelId"]), ("status", _status_word(facts))]
    if facts["status"] == NOT_LOADED:
        return rows
    if facts["error"]:
        rows.append(("reason", facts["error"]))
    ram = facts["requiredRamGb"]
    return [
        *rows,
        ("concurrency", _instances(facts)),
        ("inferences", count(facts["inferences"])),
        ("created", facts["created"] or "?"),
        ("age", span(facts["ageSeconds"])),
        ("idle period", span(facts["expirationPeriodSeconds"])),
        ("expires at", facts["expiresAt"] or "-"),
        ("idle time left", span(facts["idleSecondsLeft"])),
        ("RAM", "unknown" if ram is None else f"{gigabytes(ram)} GB per instance"),
        ("cost", "-" if facts["status"] == FAILED else cost_an_hour(facts)),
    ]


# -------------------------------------------------------------------------------------- watch


def _watch(session: Session, model_id: str) -> None:
    """Redraw the facts in place on a terminal; elsewhere show a line on each change."""
    if session.screen.as_json or not session.screen.redraws_result:
        _show_changes(session, model_id)
        return
    from rich.live import Live

    with Live(console=console(sys.stdout), auto_refresh=False) as live:
        for facts, trouble in _looks(session, model_id):
            rows = _rows(facts) + ([("no answer", trouble)] if trouble else [])
            live.update(table_of(_FACT_COLUMNS, rows), refresh=True)


def _show_changes(session: Session, model_id: str) -> None:
    """Show a line if a fact changed that time alone does not change; warn once of no answer."""
    screen, last_line, had_trouble = session.screen, "", False
    for facts, trouble in _looks(session, model_id):
        if trouble is not None and not had_trouble:
            screen.warn(f"no answer now: {trouble}")
        had_trouble = trouble is not None
        known = dict(facts)
        if facts["concurrency"] is not None:
            known["concurrency"] = _instances(facts)
        shown = {"concurrency ": "concurrency", "inferences ": "inferences"}
        shown |= {"expires ": "expiresAt", "": "error"}
        parts = [f"{word}{known[name]}" for word, name in shown.items() if known[name] is not None]
        line = "  ".join([facts["modelId"], _status_word(facts), *parts])
        if trouble is None and line != last_line:
            last_line = line
            screen.say(line)
            screen.document(facts, on_one_line=True)


def _looks(session: Session, model_id: str) -> Iterator[tuple[_Facts, str | None]]:
    """Yield the facts every second, without an end, and why there is no answer now."""
    facts = facts_of_instance(None, session, model_id)
    while True:
        trouble = None
        try:
            facts = facts_of_instance(session.client.status(model_id, tries=1), session, model_id)
        except ApiError as error:
            if not error.is_passing:
                raise
            trouble = error.observed
        yield facts, trouble
        session.clock.wait(_WATCH_SECONDS)


# ---------------------------------------------------------------------------------------- run


def run(session: Session, model_id: str, text: str, params: dict[str, Any], *, stream: bool) -> int:
    """Run a model on a text ("-" reads stdin) and print the text that it generates.

    Raises:
        NotLoadedError: It is not loaded.
        BytezError: See `BytezClient`.
    """
    session.inputs("run", model_id)
    if text == "-":
        text = sys.stdin.read()
    pieces = session.client.run(model_id, text, params, stream=stream)
    try:
        if session.screen.as_json:
            session.screen.document({"modelId": model_id, "output": _whole(pieces, model_id)})
        else:
            _print_as_it_comes(pieces)
    except NotLoadedError:
        session.refuse_unknown("run", model_id)
        raise
    return DONE


def params_of(given: Iterable[str]) -> dict[str, Any]:
    """Read `name=value` parameters; a value that is JSON is read as JSON: 256, true, [1, 2]."""
    params = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not name or not equals:
            raise InvalidInputError(
                verb="run",
                observed=f"--param {one!r} is not of the form name=value",
                action="Write it like --param max_length=256",
            )
        try:
            params[name] = json.loads(value, parse_constant=_refuse)
        except ValueError:
            params[name] = value
    return params


def _refuse(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _whole(pieces: Iterable[str], model_id: str) -> str:
    """Return the whole text, which a document needs, up to a limit."""
    whole = io.StringIO()
    for piece in pieces:
        whole.write(piece)
        if whole.tell() > _LONGEST_TEXT:
            raise MalformedAnswerError(
                verb="run",
                subject=model_id,
                observed=f"the text is longer than {_LONGEST_TEXT} characters",
                state="The model was run",
                action="Run it without --json, which prints the text as it comes",
            )
    return whole.getvalue()


def _print_as_it_comes(pieces: Iterable[str]) -> None:
    on_terminal = sys.stdout.isatty()
    last = "\n"
    try:
        for piece in pieces:
            # Generated text must not move the cursor; a file or a program gets it as it is.
            sys.stdout.write(_CONTROLS.sub("", piece) if on_terminal else piece)
            sys.stdout.flush()
            last = piece[-1:] or last
    finally:
        if on_terminal and last != "\n":
            sys.stdout.write("\n")
