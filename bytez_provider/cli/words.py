"""Facts of an instance, in the words that people read."""

from __future__ import annotations

from typing import Any

from bytez_provider.base.words import UNKNOWN, count, dollars, gigabytes, span
from bytez_provider.service.schemas import NOT_LOADED


def facts_as_rows(facts: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what is known of an instance, a line each."""
    rows = [("model", facts["modelId"]), ("status", status_word(facts["status"]))]
    if facts["status"] == NOT_LOADED:
        return rows
    if facts["error"]:
        rows.append(("reason", facts["error"]))
    rows += [
        ("concurrency", count(facts["concurrency"])),
        ("inferences", count(facts["inferences"])),
        ("created", facts["created"] or UNKNOWN),
        ("age", span(facts["ageSeconds"])),
        ("idle period", span(facts["expirationPeriodSeconds"])),
        ("expires at", facts["expiresAt"] or "-"),
        ("idle time left", span(facts["idleSecondsLeft"])),
        ("RAM", _ram(facts)),
        ("cost", "-" if facts["status"] == "FAILED" else cost_an_hour(facts)),
    ]
    return rows


def cost_an_hour(facts: dict[str, Any]) -> str:
    """Return what an hour of a loaded model costs."""
    cost = facts["dollarsPerHour"]
    return "unknown cost" if cost is None else f"{dollars(cost)} an hour"


def status_word(status: str) -> str:
    """Return a status as people read it."""
    return "not loaded" if status == NOT_LOADED else status


def facts_on_a_line(facts: dict[str, Any]) -> str:
    """Return what changes of an instance, on one line."""
    parts = [facts["modelId"], status_word(facts["status"])]
    if facts["concurrency"] is not None:
        parts.append(f"concurrency {facts['concurrency']}")
    if facts["inferences"] is not None:
        parts.append(f"inferences {facts['inferences']}")
    if facts["expiresAt"]:
        parts.append(f"expires {facts['expiresAt']}")
    if facts["error"]:
        parts.append(facts["error"])
    return "  ".join(parts)


def _ram(facts: dict[str, Any]) -> str:
    ram = facts["requiredRamGb"]
    return "unknown" if ram is None else f"{gigabytes(ram)} GB an instance"
