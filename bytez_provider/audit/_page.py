"""An audit as one HTML page: no script, nothing from elsewhere, nothing to install.

The page is `data/audit.html`, filled in. Its Content-Security-Policy forbids everything but its
own style: text of others could not run or load anything even if it got through. It is ASCII, so
no encoding can spoil it.
"""

from __future__ import annotations

from importlib import resources
from string import Template

from bytez_provider.audit._document import Audit, AuditedModel, Finding, Mend
from bytez_provider.audit._rendering import (
    COMMAND_LIMIT,
    KIND_WORDS,
    basis,
    cells,
    headline,
    owners,
    remarks,
    status_word,
    sums,
)
from bytez_provider.base.markup import html
from bytez_provider.base.words import dollars, gigabytes
from bytez_provider.service.schemas import FAILED, NOT_LOADED, RUNNING

_DETAIL_LIMIT = 1000
_LOOKS = {RUNNING: "good", FAILED: "bad"}


def page(audit: Audit) -> str:
    """Return an audit as a page that stands alone."""
    template = resources.files("bytez_provider").joinpath("data/audit.html").read_text("utf-8")
    totals = audit.totals
    amounts = {
        "models loaded": str(totals.models),
        "GB RAM": gigabytes(totals.ram_gb),
        "an hour": dollars(totals.dollars_per_hour),
        "so far": dollars(totals.dollars_so_far),
    }
    most_ram = max((model.ram_gb or 0 for model in audit.models), default=0)
    most_cost = max((model.dollars_so_far or 0 for model in audit.models), default=0)
    filled = Template(template).substitute(
        look="bad" if audit.findings else "good",
        headline=headline(audit),
        sums="\n".join(
            f"<div><dt>{what}</dt><dd>{html(amount)}</dd></div>" for what, amount in amounts.items()
        ),
        paragraphs="\n".join(
            f"<p>{one}</p>" for one in (*map(html, sums(audit)), *remarks(audit, _name))
        ),
        findings=_section("Findings", [_finding(one) for one in audit.findings]),
        models=_section("Models", [_model(one, most_ram, most_cost) for one in audit.models]),
        basis=basis(audit, _name),
    )
    return filled.encode("ascii", "xmlcharrefreplace").decode("ascii")


def _section(title: str, articles: list[str]) -> str:
    if not articles:
        return ""
    kind = title.lower()
    return f'<h2>{title}</h2>\n<section id="{kind}" class="{kind}">\n{"".join(articles)}</section>'


def _finding(finding: Finding) -> str:
    by = owners(finding.declared_by, _name)
    quoted = f": <q>{html(finding.quoted)}</q>" if finding.quoted else ""
    mends = f"<ul>{''.join(map(_mend, finding.mends))}</ul>" if finding.mends else ""
    return (
        f'<article class="card"><p><span class="kind">{KIND_WORDS[finding.kind]}</span>'
        f'{_name(finding.model_id)} <span class="soft">{by}</span></p>'
        f"<p>{html(finding.detail, limit=_DETAIL_LIMIT)}{quoted}.</p>{mends}</article>\n"
    )


def _mend(mend: Mend) -> str:
    command = html(mend.command, limit=COMMAND_LIMIT)
    return f"<li><code>{command}</code><span>{html(mend.effect)}</span></li>"


def _model(model: AuditedModel, most_ram: float, most_cost: float) -> str:
    by = owners(model.declared_by, _name) or KIND_WORDS["orphan"]
    details = "" if model.status == NOT_LOADED else _details(model, most_ram, most_cost)
    look = _LOOKS.get(model.status, "soft")
    return (
        f'<article class="card"><span class="status {look}">{html(status_word(model))}</span>'
        f'{_name(model.model_id)}<div class="soft">{by}</div>{details}</article>\n'
    )


def _details(model: AuditedModel, most_ram: float, most_cost: float) -> str:
    concurrency, ram, age, left, hour, cost = cells(model)
    facts = [f"concurrency {concurrency}", f"age {age}"]
    facts += [f"idle left {left}"] if model.idle_seconds_left is not None else []
    if model.status != FAILED:
        facts.append("unknown cost" if model.dollars_per_hour is None else f"{hour} an hour")
        ram = "unknown" if model.ram_gb is None else f"{ram} GB"
    cost = "unknown" if model.dollars_so_far is None else cost
    spans = "".join(f"<span>{html(fact)}</span>" for fact in facts)
    # A load that FAILED holds no RAM, which is not unknown.
    ram_gb = 0.0 if model.status == FAILED else model.ram_gb
    ram_bar = _bar("ram", "RAM", ram_gb, most_ram, ram)
    cost_bar = _bar("cost", "so far", model.dollars_so_far, most_cost, cost)
    return f'<div class="facts">{spans}</div><dl class="bars">{ram_bar}{cost_bar}</dl>'


def _bar(kind: str, what: str, amount: float | None, most: float, shown: str) -> str:
    """Return a bar that is as long as the amount; the longest one fills the track."""
    share = 100 * amount / most if amount and most else 0
    look = f"{kind} unknown" if amount is None else kind
    return (
        f'<dt>{what}</dt><dd class="bar {look}" aria-hidden="true">'
        f'<i style="width:{share:.2f}%"></i></dd><dd class="amount">{html(shown)}</dd>'
    )


def _name(text: str) -> str:
    """Return text of others as an element."""
    return f'<span class="name">{html(text)}</span>'
