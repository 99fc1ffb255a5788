"""Bars as SVG, for light and dark pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH = 760
_LABELS = 150
_FIGURES = 190
_BAR = 16
_ROW = 2 * _BAR + 14
_HEAD = 34
_GAP = 18
_LEGEND = 34

_STYLE = """\
text{font:13px -apple-system,'Segoe UI',Helvetica,Arial,sans-serif;fill:#1f2328}
.title{font-weight:600;font-size:15px}.figure{fill:#57606a}
.ours{fill:#0969da}.naive{fill:#9a9fa6}
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.figure{fill:#9da7b3}
.ours{fill:#4493f8}.naive{fill:#767d86}}"""


@dataclass(frozen=True)
class Row:
    """Two figures of one measurement; None if it was not made.

    Attributes:
        label: What was measured.
        ours: Ours.
        naive: The naive provider's.
    """

    label: str
    ours: float | None
    naive: float | None


@dataclass(frozen=True)
class Panel:
    """Rows that share a scale.

    Attributes:
        title: What is shown.
        unit: Written after each figure.
        rows: The rows, from the top.
    """

    title: str
    unit: str
    rows: Sequence[Row]


def svg(panels: Sequence[Panel]) -> str:
    """Return the panels below each other; shorter bars are better in all of them."""
    parts = [_legend()]
    top = _LEGEND
    for panel in panels:
        parts.append(_panel(panel, top))
        top += _HEAD + len(panel.rows) * _ROW + _GAP
    title = escape("; ".join(panel.title for panel in panels))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}" width="{WIDTH}" '
        f'height="{top}" role="img"><title>{title}</title><style>{_STYLE}</style>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def _legend() -> str:
    return (
        '<rect class="ours" x="4" y="8" width="14" height="14" rx="2"/>'
        '<text x="24" y="20">bytez.Fleet</text>'
        '<rect class="naive" x="130" y="8" width="14" height="14" rx="2"/>'
        '<text x="150" y="20">a naive dynamic provider</text>'
    )


def _panel(panel: Panel, top: float) -> str:
    longest = max(
        (value for row in panel.rows for value in (row.ours, row.naive) if value), default=1.0
    )
    scale = (WIDTH - _LABELS - _FIGURES) / longest
    parts = [f'<text class="title" x="4" y="{top + 20}">{escape(panel.title)}</text>']
    for number, row in enumerate(panel.rows):
        y = top + _HEAD + number * _ROW
        parts.append(f'<text x="4" y="{y + _BAR + 5}">{escape(row.label)}</text>')
        parts.append(_bar("ours", row.ours, scale, y, _figure(row.ours, panel.unit)))
        text = _figure(row.naive, panel.unit)
        if row.ours and row.naive:
            text += f", {row.naive / row.ours:.1f} times ours"
        parts.append(_bar("naive", row.naive, scale, y + _BAR + 2, text))
    return "\n".join(part for part in parts if part)


def _bar(kind: str, value: float | None, scale: float, y: float, text: str) -> str:
    if value is None:
        return ""
    width = max(value * scale, 1)
    return (
        f'<rect class="{kind}" x="{_LABELS}" y="{y}" width="{width:.1f}" height="{_BAR}" rx="2"/>'
        f'<text class="figure" x="{_LABELS + width + 6:.1f}" y="{y + 13}">{escape(text)}</text>'
    )


def _figure(value: float | None, unit: str) -> str:
    return "" if value is None else f"{value:,.1f} {unit}"
