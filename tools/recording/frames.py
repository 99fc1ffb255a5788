"""Turns what was written to a terminal into the screens that a person saw."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyte
from pyte.screens import Char

from tools.recording.capture import Written


@dataclass(frozen=True)
class Run:
    """Characters of one style, side by side."""

    column: int
    text: str
    colour: str
    """A name, or six hex digits."""
    bold: bool
    underlined: bool


Row = tuple[Run, ...]


@dataclass(frozen=True)
class Frame:
    """A screen, and how long it stands."""

    rows: tuple[Row, ...]
    seconds: float


@dataclass(frozen=True)
class Pace:
    """How the time of the recording becomes the time of the picture, all in seconds."""

    least: float
    """Changes that follow sooner are one frame."""
    most: float
    """No frame stands longer, however long the command was silent."""
    hold: float
    """How long the screen stands before what begins with `hold_before`."""
    hold_before: str
    last: float
    """How long the last screen stands."""


def frames(written: Sequence[Written], *, columns: int, rows: int, pace: Pace) -> list[Frame]:
    """Return the screens in order, each different from the one before."""
    screen = pyte.Screen(columns, rows)
    stream = pyte.Stream(screen)
    found: list[Frame] = []
    shown_since = 0.0
    for piece in written:
        holds = pace.hold_before in piece.text
        seen = piece.at - shown_since
        if seen >= pace.least or holds:
            _add(found, screen, max(min(seen, pace.most), pace.hold if holds else 0.0))
            shown_since = piece.at
        stream.feed(piece.text)
    _add(found, screen, pace.last)
    return found


def _add(found: list[Frame], screen: pyte.Screen, seconds: float) -> None:
    rows = tuple(_row(screen, y) for y in range(screen.lines))
    if found and found[-1].rows == rows:
        found[-1] = Frame(rows, max(found[-1].seconds, seconds))
    elif any(rows):
        found.append(Frame(rows, seconds))


def _row(screen: pyte.Screen, y: int) -> Row:
    line = screen.buffer[y]
    cells = [(x, line[x]) for x in range(screen.columns)]
    return tuple(_runs(cells))


def _runs(cells: Sequence[tuple[int, Char]]) -> Iterator[Run]:
    def style(cell: tuple[int, Char]) -> tuple[str, bool, bool]:
        return cell[1].fg, cell[1].bold, cell[1].underscore

    for (colour, bold, underlined), group in itertools.groupby(cells, key=style):
        alike = list(group)
        text = "".join(cell.data for _, cell in alike)
        if text.strip():
            # Blanks at the sides are drawn by nobody, except where they are underlined.
            inner = text if underlined else text.strip()
            column = alike[0][0] + text.index(inner)
            yield Run(column, inner, colour, bold, underlined)
