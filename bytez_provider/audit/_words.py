"""What an audit says in our own words; none of it is the text of others."""

from __future__ import annotations

from bytez_provider.audit._document import Audit, AuditedModel, Kind
from bytez_provider.base.words import count, counted, dollars, gigabytes, span
from bytez_provider.service.schemas import NOT_LOADED

KIND_WORDS: dict[Kind, str] = {
    "orphan": "declared by no stack",
    "unfinished": "unfinished",
    "notRunning": "not running",
    "duplicate": "declared more than once",
    "drift": "not as declared",
    "idle": "idle",
}

NOTHING = "-"


def headline(audit: Audit) -> str:
    """Return how much is not in order."""
    if not audit.findings:
        return "nothing is out of order"
    return counted(len(audit.findings), "finding")


def summary(audit: Audit) -> list[str]:
    """Return the sums, a sentence each, without the models that they leave out."""
    totals = audit.totals
    if not totals.models:
        return ["Nothing is loaded."]
    hour, so_far = dollars(totals.dollars_per_hour), dollars(totals.dollars_so_far)
    loaded = f"{counted(totals.models, 'model')} loaded, {gigabytes(totals.ram_gb)} GB RAM"
    told = [f"{loaded}, {hour} an hour, {so_far} so far."]
    part = totals.undeclared_dollars_per_hour
    if part is None:
        told.append("What an hour of it costs that is declared by no stack is unknown.")
    elif part:
        told.append(f"{dollars(part)} an hour of it is declared by no stack.")
    return told


def basis(audit: Audit) -> str:
    """Return what the costs are reckoned with."""
    return (
        f"Costs: ${audit.price_per_gb_second} a GB-second (the vendor's price of "
        f"{audit.price_date}, unless it is configured), by the minute, the boot included."
    )


NOT_JUDGED = "Not judged, because the state hides it (a secret, or a value not known yet)"


def hidden_names(audit: Audit) -> list[str]:
    """Return what is not judged, as "dev/chat: concurrency"."""
    return [
        f"{one.declared_by.stack}/{one.declared_by.name}: {', '.join(one.properties)}"
        for one in audit.not_judged
    ]


def status_word(model: AuditedModel) -> str:
    """Return a status as people read it: our word for none, else the service's."""
    return "not loaded" if model.status == NOT_LOADED else model.status


def model_cells(model: AuditedModel) -> tuple[str, str, str, str, str, str]:
    """Return concurrency, RAM, age, idle time left, cost an hour and cost so far."""
    is_loaded = model.status != NOT_LOADED
    holds_ram = is_loaded and model.status != "FAILED"
    return (
        count(model.concurrency) if is_loaded else NOTHING,
        gigabytes(model.ram_gb) if holds_ram else NOTHING,
        span(model.age_seconds),
        span(model.idle_seconds_left),
        dollars(model.dollars_per_hour) if holds_ram else NOTHING,
        dollars(model.dollars_so_far) if is_loaded else NOTHING,
    )
