"""What an audit says to people: the words that all forms share, and the audit as Markdown.

`name` in these functions makes text of others fit for a form: code in Markdown, an element in a
page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from bytez_provider.audit._document import Audit, AuditedModel, Finding, Kind, Owner
from bytez_provider.base.markup import code, fitted, table
from bytez_provider.base.words import counted, dollars, gigabytes, scale, span
from bytez_provider.service.schemas import FAILED, NOT_LOADED

KIND_WORDS: dict[Kind, str] = {
    "orphan": "declared by no stack",
    "unfinished": "unfinished",
    "notRunning": "not running",
    "duplicate": "declared more than once",
    "drift": "not as declared",
    "idle": "idle",
}

COMMAND_LIMIT = 4000

_CUT = "Cut at the size limit of a comment. `bytez-fleet audit --json` prints everything."
_HEADINGS = (
    *("Model", "Status", "Declared by"),
    *("Concurrency", "GB RAM", "Age", "Idle left", "$/hour", "$ so far"),
)

Name = Callable[[str], str]


def headline(audit: Audit) -> str:
    """Return how much is not in order."""
    return counted(len(audit.findings), "finding") if audit.findings else "everything is in order"


def sums(audit: Audit) -> list[str]:
    """Return the sums, one sentence each."""
    totals = audit.totals
    if not totals.models:
        return ["Nothing is loaded."]
    part = totals.undeclared_dollars_per_hour
    loaded = f"{counted(totals.models, 'model')} loaded, {gigabytes(totals.ram_gb)} GB RAM"
    per_hour, so_far = dollars(totals.dollars_per_hour), dollars(totals.dollars_so_far)
    said = [f"{loaded}, {per_hour} an hour, {so_far} so far."]
    if part is None:
        said.append("The hourly cost of what no stack declares is unknown.")
    elif part:
        said.append(f"No stack declares {dollars(part)} an hour of this.")
    return said


def remarks(audit: Audit, name: Name) -> Iterator[str]:
    """Yield what the sums and findings leave out, one sentence each."""
    # Of a range, an hour is known for the instances that there are now.
    ranged = {
        one.model_id
        for one in audit.models
        if one.max_concurrency is not None and one.dollars_per_hour is not None
    }
    for what, model_ids in (
        ("Cost", [one for one in audit.totals.unknown_cost if one not in ranged]),
        ("Cost so far", [one for one in audit.totals.unknown_cost if one in ranged]),
    ):
        if model_ids:
            yield f"{what} unknown, not in the sums: {', '.join(map(name, model_ids))}."
    if audit.left_out:
        names = owners((one.declared_by for one in audit.left_out), name)
        where = "account or endpoint"
        if any(one.differs == "apiVersion" for one in audit.left_out):
            where = "account, endpoint or API version"
        yield f"Left out, because they belong to another {where}: {names}."
    if audit.not_judged:
        hidden = [
            f"{one.declared_by.stack}/{one.declared_by.name}: {', '.join(one.properties)}"
            for one in audit.not_judged
        ]
        why = "because the state hides it (a secret, or a value not known yet)"
        yield f"Not judged, {why}: {'; '.join(map(name, hidden))}."


def basis(audit: Audit, name: Name) -> str:
    """Return what was compared, and how costs are calculated."""
    sources = ", ".join(name(source.name) for source in audit.sources) or "no state"
    costs = (
        f"${audit.price_per_gb_second} per GB-second (the vendor's price of {audit.price_date}, "
        "unless it is configured), per minute, including the boot"
    )
    if audit.price_per_gb_second is None:
        costs = (
            f"the price of an instance in the catalogue, or else of the smallest one with enough "
            f"RAM (the vendor's prices of {audit.price_date}), per second, including the boot"
        )
    compared = f"{name(audit.endpoint)}, compared with {sources}"
    return f"Audited at {audit.time}: {compared}. Costs: {costs}."


def owners(resources: Iterable[Owner], name: Name) -> str:
    """Return resources as "stack/name", with commas between."""
    return ", ".join(name(f"{one.stack}/{one.name}") for one in resources)


def status_word(model: AuditedModel) -> str:
    """Return a status as people read it."""
    return "not loaded" if model.status == NOT_LOADED else model.status


def cells(model: AuditedModel) -> tuple[str, str, str, str, str, str]:
    """Return concurrency, RAM, age, idle time left, cost an hour and cost so far."""
    is_loaded = model.status != NOT_LOADED
    numbers = model.concurrency, model.max_concurrency, model.instances
    is_up = is_loaded and model.status != FAILED
    return (
        scale(*numbers) if is_loaded else "-",
        gigabytes(model.ram_gb) if is_up else "-",
        span(model.age_seconds),
        span(model.idle_seconds_left),
        dollars(model.dollars_per_hour) if is_up else "-",
        dollars(model.dollars_so_far) if is_loaded else "-",
    )


# ---------------------------------------------------------------------------------- terminal


def rows(audit: Audit) -> Iterator[tuple[str, ...]]:
    """Yield each model: status, concurrency, RAM, idle time left, cost an hour and cost so far.

    There is no room for who declares it: that is in the first cell of a row below.
    """
    for model in audit.models:
        concurrency, ram, _, left, hour, so_far = cells(model)
        yield model.model_id, status_word(model), concurrency, ram, left, hour, so_far
        by = owners(model.declared_by, str) or KIND_WORDS["orphan"]
        yield f"  {by}", *[""] * 6


def plain(audit: Audit) -> Iterator[str]:
    """Yield the lines below the table of models, each command alone so that it can be copied."""
    yield from (*sums(audit), *remarks(audit, str), basis(audit, str))
    for finding in audit.findings:
        quoted = f': "{finding.quoted}"' if finding.quoted else ""
        yield ""
        yield f"{KIND_WORDS[finding.kind]}: {finding.model_id}{_by(finding, str)}"
        yield f"  {finding.detail}{quoted}"
        for mend in finding.mends:
            yield f"  -> {mend.effect}:"
            yield f"     {mend.command}"
    yield ""
    yield headline(audit)


def _by(finding: Finding, name: Name) -> str:
    return f" ({owners(finding.declared_by, name)})" if finding.declared_by else ""


# ---------------------------------------------------------------------------------- Markdown


def markdown(audit: Audit) -> str:
    """Return an audit as Markdown; over the limit of a comment it is cut, and says so."""
    return fitted(list(_sections(audit)), _CUT)


def _sections(audit: Audit) -> Iterator[str]:
    yield f"## Bytez audit: {headline(audit)}"
    yield " ".join(sums(audit))
    yield from map(_finding, audit.findings)
    if audit.models:
        yield "### Models"
        yield table(_HEADINGS, [_row(model) for model in audit.models], numbers=6)
    yield from remarks(audit, code)
    yield basis(audit, code)


def _finding(finding: Finding) -> str:
    quoted = f": {code(finding.quoted)}" if finding.quoted else ""
    first = f"- **{KIND_WORDS[finding.kind]}** {code(finding.model_id)}{_by(finding, code)}"
    mends = [f"  - {code(one.command, limit=COMMAND_LIMIT)}: {one.effect}" for one in finding.mends]
    return "\n".join([f"{first}: {finding.detail}{quoted}", *mends])


def _row(model: AuditedModel) -> list[str]:
    by = owners(model.declared_by, code) or "-"
    return [code(model.model_id), code(status_word(model)), by, *cells(model)]
