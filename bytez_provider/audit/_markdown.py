"""An audit as Markdown, for a comment, an issue or a job's summary."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bytez_provider.audit._document import Audit, AuditedModel, Finding, Owner
from bytez_provider.audit._words import (
    KIND_WORDS,
    NOT_JUDGED,
    basis,
    headline,
    hidden_names,
    model_cells,
    status_word,
    summary,
)
from bytez_provider.base.markup import code, fitted, table
from bytez_provider.base.words import counted

_POINTER = "This is cut at the limit of a comment; `bytez-fleet audit --json` tells all of it."
_COMMAND_LIMIT = 4000
_HEADINGS = (
    *("Model", "Status", "Declared by"),
    *("Concurrency", "GB RAM", "Age", "Idle left", "$/hour", "$ so far"),
)


def markdown(audit: Audit) -> str:
    """Return an audit as Markdown; over the limit of a comment it is cut, and says so."""
    return fitted(list(_sections(audit)), _POINTER)


def _sections(audit: Audit) -> Iterator[str]:
    yield f"## Bytez audit: {headline(audit)}"
    yield " ".join(summary(audit))
    if audit.totals.unknown_cost:
        yield f"Of unknown cost, and not in these sums: {_codes(audit.totals.unknown_cost)}."
    yield from map(_finding, audit.findings)
    if audit.models:
        yield "### Models"
        yield table(_HEADINGS, [_row(model) for model in audit.models], numbers=6)
    if audit.left_out:
        names = [f"{one.declared_by.stack}/{one.declared_by.name}" for one in audit.left_out]
        number = counted(len(names), "resource")
        yield f"Left out, as of another account or endpoint: {number}: {_codes(names)}."
    if audit.not_judged:
        yield f"{NOT_JUDGED}: {_codes(hidden_names(audit))}."
    yield _compared(audit)


def _finding(finding: Finding) -> str:
    owners = f" ({_owners(finding.declared_by)})" if finding.declared_by else ""
    quoted = f": {code(finding.quoted)}" if finding.quoted else ""
    first = f"- **{KIND_WORDS[finding.kind]}** {code(finding.model_id)}{owners}"
    mends = [
        f"  - {code(one.command, limit=_COMMAND_LIMIT)}: {one.effect}" for one in finding.mends
    ]
    return "\n".join([f"{first}: {finding.detail}{quoted}", *mends])


def _row(model: AuditedModel) -> list[str]:
    return [
        code(model.model_id),
        code(status_word(model)),
        _owners(model.declared_by) or "-",
        *model_cells(model),
    ]


def _compared(audit: Audit) -> str:
    sources = _codes([source.name for source in audit.sources]) or "no state"
    return f"As of {audit.time}, at {code(audit.endpoint)}, compared with {sources}. {basis(audit)}"


def _owners(owners: Sequence[Owner]) -> str:
    return _codes([f"{owner.stack}/{owner.name}" for owner in owners])


def _codes(texts: Sequence[str]) -> str:
    return ", ".join(filter(None, map(code, texts)))
