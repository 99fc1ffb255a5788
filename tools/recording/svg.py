"""Draws screens as one SVG: a strip of frames behind a window, moved by a CSS animation.

It needs no script, no font and nothing from elsewhere. Where nothing moves, because the viewer
cannot or the reader does not want it, the poster frame stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from tools.recording.frames import Frame, Row, Run

_CELL_WIDTH = 8.4
_LINE_HEIGHT = 18
_FONT_SIZE = 14
_BASELINE = 14
_MARGIN = 14
_TITLE_HEIGHT = 30

_FONT = "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace"
_PLAIN = "#d5dae1"
_BACKGROUND = "#11161d"
_EDGE = "#2b333d"

# The sixteen colours of a terminal, by the names and the values that pyte gives them.
_COLOURS = {
    **dict.fromkeys(("black", "brightblack", "000000", "7f7f7f"), "#8b96a3"),
    **dict.fromkeys(("red", "brightred", "cd0000", "ff0000"), "#ff7b72"),
    **dict.fromkeys(("green", "brightgreen", "00cd00", "00ff00"), "#56d364"),
    **dict.fromkeys(("brown", "brightbrown", "cdcd00", "ffff00"), "#e3b341"),
    **dict.fromkeys(("blue", "brightblue", "0000ee", "5c5cff"), "#79c0ff"),
    **dict.fromkeys(("magenta", "brightmagenta", "cd00cd", "ff00ff"), "#d2a8ff"),
    **dict.fromkeys(("cyan", "brightcyan", "00cdcd", "00ffff"), "#56d4dd"),
}


def draw(frames: Sequence[Frame], *, columns: int, poster: int, title: str) -> str:
    """Return the SVG.

    Args:
        frames: At least one.
        columns: The width of the terminal.
        poster: The index of the frame that stands where nothing moves.
        title: What the picture shows, for who cannot see it; and the window's title.
    """
    width = round(columns * _CELL_WIDTH + 2 * _MARGIN)
    inner_height = len(frames[0].rows) * _LINE_HEIGHT
    height = _TITLE_HEIGHT + inner_height + _MARGIN
    names: dict[Row, str] = {}
    strip = "".join(_frame(frame, i * inner_height, names) for i, frame in enumerate(frames))
    rows = "".join(_row(row, name) for row, name in names.items())
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" fill="{_PLAIN}" role="img">\n'
        f"<title>{escape(title)}</title>\n"
        f"<style>{_style(frames, inner_height, poster)}</style>\n"
        f"<defs>{rows}</defs>\n"
        f'<rect x=".5" y=".5" width="{width - 1}" height="{height - 1}" rx="8" '
        f'fill="{_BACKGROUND}" stroke="{_EDGE}"/>\n'
        f'<text x="{width / 2:g}" y="20" text-anchor="middle" fill="#8b96a3">{escape(title)}'
        "</text>\n"
        f'<svg x="{_MARGIN}" y="{_TITLE_HEIGHT}" width="{width - 2 * _MARGIN}" '
        f'height="{inner_height}"><g class="strip">{strip}</g></svg>\n'
        "</svg>\n"
    )


def _frame(frame: Frame, top: int, names: dict[Row, str]) -> str:
    uses = [
        f'<use href="#{names.setdefault(row, f"r{len(names)}")}" y="{top + y * _LINE_HEIGHT}"/>'
        for y, row in enumerate(frame.rows)
        if row
    ]
    return "".join(uses)


def _row(row: Row, name: str) -> str:
    return f'<g id="{name}">{"".join(map(_text, row))}</g>\n'


def _text(run: Run) -> str:
    colour = _COLOURS.get(run.colour)
    style = (f' fill="{colour}"' if colour else "") + (' class="b"' if run.bold else "")
    style += ' text-decoration="underline"' if run.underlined else ""
    # The length is given, so that columns stand in line whatever font the reader has.
    return (
        f'<text x="{run.column * _CELL_WIDTH:g}" y="{_BASELINE}" '
        f'textLength="{len(run.text) * _CELL_WIDTH:g}"{style}>{escape(run.text, quote=False)}'
        "</text>"
    )


def _style(frames: Sequence[Frame], inner_height: int, poster: int) -> str:
    total = sum(frame.seconds for frame in frames)
    steps = []
    passed = 0.0
    for i, frame in enumerate(frames):
        steps.append(f"{passed / total:.3%}{{transform:translateY({-i * inner_height}px)}}")
        passed += frame.seconds
    return (
        f"text{{font:{_FONT_SIZE}px {_FONT};white-space:pre}}"
        ".b{font-weight:700}"
        f".strip{{transform:translateY({-poster * inner_height}px);"
        f"animation:play {total:.1f}s step-end infinite}}"
        f"@keyframes play{{{''.join(steps)}}}"
        "@media (prefers-reduced-motion:reduce){.strip{animation:none}}"
    )
