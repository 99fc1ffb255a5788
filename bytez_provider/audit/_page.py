"""An audit as one page of HTML: no script, no resource from elsewhere, nothing to install.

The page forbids itself all but its own style (its Content-Security-Policy), so that no text of
others could run or ask for something even if it got through. It is ASCII, whatever it is saved as.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

from bytez_provider.audit._document import Audit, AuditedModel, Finding, Mend, Owner
from bytez_provider.audit._words import (
    KIND_WORDS,
    NOT_JUDGED,
    NOTHING,
    basis,
    headline,
    hidden_names,
    model_cells,
    status_word,
    summary,
)
from bytez_provider.base.markup import html
from bytez_provider.base.words import UNKNOWN, dollars, gigabytes
from bytez_provider.service.schemas import NOT_LOADED

_COMMAND_LIMIT = 4000
_DETAIL_LIMIT = 1000

_STYLE = """
:root { color-scheme: light dark;
  --page: #f6f7f9; --card: #ffffff; --line: #d9dde3; --text: #1b1f24; --soft: #5b6470;
  --ram: #3566c4; --cost: #b3591b; --track: #e6e9ee; --good: #1c7c47; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root {
  --page: #14171b; --card: #1d2127; --line: #343b45; --text: #e7eaee; --soft: #9aa4b1;
  --ram: #79a5f5; --cost: #e9a06a; --track: #2c323b; --good: #6fcf97; --bad: #ff8a80; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 72rem; margin: 0 auto; padding: 1.5rem 1rem 3rem; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 .25rem; }
h2 { font-size: 1.1rem; margin: 2rem 0 .75rem; }
p { margin: .35rem 0; }
.soft { color: var(--soft); }
.good { color: var(--good); } .bad { color: var(--bad); }
.name, code { font-family: ui-monospace, "SF Mono", Menlo, Consolas, monospace; font-size: .9em;
  overflow-wrap: anywhere; }
.name { font-weight: 600; }
.sums { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .75rem;
  margin: 1.25rem 0 .75rem; padding: 0; }
.sums div, .card { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; }
.sums div { padding: .6rem .9rem; display: flex; flex-direction: column-reverse; }
.sums dt { color: var(--soft); font-size: .85rem; }
.sums dd { margin: 0; font-size: 1.45rem; font-weight: 600; font-variant-numeric: tabular-nums; }
ul { list-style: none; margin: 0; padding: 0; }
.card { padding: .75rem 1rem; margin: 0 0 .75rem; }
.kind { display: inline-block; border: 1px solid currentColor; border-radius: 1rem;
  padding: 0 .6rem; margin-right: .4rem; font-size: .8rem; font-weight: 600; color: var(--bad); }
.card li { margin-top: .5rem; }
.card li code { display: block; white-space: pre; overflow-x: auto; background: var(--page);
  border: 1px solid var(--line); border-radius: .3rem; padding: .3rem .55rem; user-select: all; }
.card li span { color: var(--soft); font-size: .9rem; }
.bars { display: grid; grid-template-columns: 3rem 1fr 5.5rem; gap: .3rem .75rem;
  align-items: center; margin: .6rem 0 0; }
.bars dt, .bars dd { margin: 0; }
.bars dt { color: var(--soft); font-size: .85rem; }
.bars .amount { text-align: right; font-variant-numeric: tabular-nums; }
.bar { background: var(--track); border-radius: .25rem; height: .7rem; overflow: hidden; }
.bar i { display: block; height: 100%; border-radius: .25rem; }
.ram i { background: var(--ram); } .cost i { background: var(--cost); }
.unknown { background: repeating-linear-gradient(135deg, var(--track) 0 6px, transparent 6px 12px);
  outline: 1px dashed var(--soft); outline-offset: -1px; }
.facts { display: flex; flex-wrap: wrap; gap: .1rem 1.1rem; margin-top: .15rem;
  color: var(--soft); font-size: .9rem; font-variant-numeric: tabular-nums; }
.status { float: right; margin-left: .75rem; font-size: .85rem; font-weight: 600; }
@media (min-width: 56rem) { .models { display: grid; grid-template-columns: 1fr 1fr; gap: .75rem;
  align-items: start; }
  .models .card { margin: 0; } }
"""

_HEAD = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="referrer" content="no-referrer">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Bytez audit</title>
<style>{_STYLE}</style>
</head>
<body>
<main>"""

_FOOT = "</main>\n</body>\n</html>"


def page(audit: Audit) -> str:
    """Return an audit as a page that stands alone."""
    parts = chain([_HEAD], _top(audit), _findings(audit), _models(audit), _rest(audit), [_FOOT])
    return "\n".join(parts).encode("ascii", "xmlcharrefreplace").decode("ascii") + "\n"


def _top(audit: Audit) -> Iterator[str]:
    sources = ", ".join(_name(source.name) for source in audit.sources) or "no state"
    colour = "bad" if audit.findings else "good"
    yield f'<h1>Bytez audit: <span class="{colour}">{headline(audit)}</span></h1>'
    yield (
        f'<p class="soft">As of <time>{html(audit.time)}</time>, at {_name(audit.endpoint)}, '
        f"compared with {sources}.</p>"
    )
    totals = audit.totals
    yield '<dl class="sums">'
    yield _sum("models loaded", str(totals.models))
    yield _sum("GB RAM", gigabytes(totals.ram_gb))
    yield _sum("an hour", dollars(totals.dollars_per_hour))
    yield _sum("so far", dollars(totals.dollars_so_far))
    yield "</dl>"
    for sentence in summary(audit)[1:]:
        yield f"<p>{html(sentence)}</p>"
    if totals.unknown_cost:
        names = ", ".join(map(_name, totals.unknown_cost))
        yield f'<p id="unknown">Of unknown cost, and not in these sums: {names}.</p>'


def _sum(what: str, amount: str) -> str:
    return f"<div><dt>{html(what)}</dt><dd>{html(amount)}</dd></div>"


# --------------------------------------------------------------------------------- findings


def _findings(audit: Audit) -> Iterator[str]:
    if audit.findings:
        yield '<h2>Findings</h2>\n<section id="findings">'
        yield from map(_finding, audit.findings)
        yield "</section>"


def _finding(finding: Finding) -> str:
    owners = f' <span class="soft">{_owners(finding.declared_by)}</span>'
    quoted = f": <q>{html(finding.quoted)}</q>" if finding.quoted else ""
    mends = f"<ul>{''.join(map(_mend, finding.mends))}</ul>" if finding.mends else ""
    return (
        f'<article class="card"><p><span class="kind">{html(KIND_WORDS[finding.kind])}</span>'
        f"{_name(finding.model_id)}{owners if finding.declared_by else ''}</p>"
        f"<p>{html(finding.detail, limit=_DETAIL_LIMIT)}{quoted}.</p>{mends}</article>"
    )


def _mend(mend: Mend) -> str:
    command = html(mend.command, limit=_COMMAND_LIMIT)
    return f"<li><code>{command}</code><span>{html(mend.effect)}</span></li>"


# ----------------------------------------------------------------------------------- models


def _models(audit: Audit) -> Iterator[str]:
    if not audit.models:
        return
    most_ram = max((model.ram_gb or 0 for model in audit.models), default=0)
    most_cost = max((model.dollars_so_far or 0 for model in audit.models), default=0)
    yield '<h2>Models</h2>\n<section id="models" class="models">'
    for model in audit.models:
        yield _model(model, most_ram, most_cost)
    yield "</section>"


def _model(model: AuditedModel, most_ram: float, most_cost: float) -> str:
    concurrency, _, age, left, hour, _ = model_cells(model)
    cost = "unknown cost" if hour == UNKNOWN else f"{hour} an hour"
    facts = [
        f"concurrency {concurrency}",
        f"age {age}",
        *([f"idle left {left}"] if left != NOTHING else []),
        *([cost] if hour != NOTHING else []),
    ]
    is_loaded = model.status != NOT_LOADED
    owners = _owners(model.declared_by) or "declared by no stack"
    told = "".join(f"<span>{html(fact)}</span>" for fact in facts) if is_loaded else ""
    colour = {"RUNNING": "good", "FAILED": "bad"}.get(model.status, "soft")
    bars = _bars(model, most_ram, most_cost) if is_loaded else ""
    return (
        f'<article class="card"><span class="status {colour}">{html(status_word(model))}</span>'
        f'{_name(model.model_id)}<div class="soft">{owners}</div>'
        f'<div class="facts">{told}</div>{bars}</article>'
    )


def _bars(model: AuditedModel, most_ram: float, most_cost: float) -> str:
    _, ram, *_, cost = model_cells(model)
    ram = ram if model.ram_gb is None else f"{ram} GB"
    rows = (
        ("ram", "RAM", model.ram_gb, most_ram, ram),
        ("cost", "so far", model.dollars_so_far, most_cost, cost),
    )
    return f'<dl class="bars">{"".join(_bar(*row) for row in rows)}</dl>'


def _bar(kind: str, what: str, amount: float | None, most: float, shown: str) -> str:
    """Return a bar as long as the amount, the longest filling the track."""
    share = 100 * amount / most if amount and most else 0
    look, word = (" unknown", "unknown") if shown == UNKNOWN else ("", shown)
    return (
        f'<dt>{what}</dt><dd class="bar {kind}{look}" aria-hidden="true">'
        f'<i style="width:{share:.2f}%"></i></dd><dd class="amount">{html(word)}</dd>'
    )


def _rest(audit: Audit) -> Iterator[str]:
    yield "<h2>About</h2>"
    if audit.left_out:
        names = _owners([one.declared_by for one in audit.left_out])
        yield f'<p id="left-out">Left out, as of another account or endpoint: {names}.</p>'
    if audit.not_judged:
        names = ", ".join(map(_name, hidden_names(audit)))
        yield f'<p id="not-judged">{NOT_JUDGED}: {names}.</p>'
    yield f'<p class="soft">{html(basis(audit))}</p>'


def _owners(owners: Sequence[Owner]) -> str:
    return ", ".join(_name(f"{owner.stack}/{owner.name}") for owner in owners)


def _name(text: str) -> str:
    """Return a name of others."""
    return f'<span class="name">{html(text)}</span>'
