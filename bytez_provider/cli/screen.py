"""What a command shows: results on stdout, everything else on stderr. And its exit codes.

For people: tables, colours and progress on a terminal, plain lines in a pipe. For programs
(`--json`): one document on stdout. Text of others has been through `printable` before it comes
here, and nothing here is read as markup.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, TextIO

from bytez_provider.base.errors import BytezError, ConfigError, ErrorCode, InvalidInputError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.status import Status
    from rich.table import Table

DONE = 0
FAILED = 1
USAGE = 2
"""Wrong usage, or settings, input or a file that cannot be used."""
FOUND = 3
"""The command looked for what is not in order, and found something."""
INTERRUPTED = 130

_PIPE_WIDTH = 1000
_STYLES = {
    "RUNNING": "green",
    "DEPLOYING": "yellow",
    "FAILED": "red",
    "ok": "green",
    "warning": "yellow",
    "failed": "red",
}


def code_of(error: BytezError) -> int:
    """Return the exit code of an error: wrong input, or a failure."""
    return USAGE if isinstance(error, (InvalidInputError, ConfigError)) else FAILED


class Screen:
    """The two streams of one command."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self.redraws_result = _redraws(sys.stdout)
        """Whether a result may be redrawn in place."""
        self.redraws_progress = _redraws(sys.stderr)
        """Whether progress is a line that changes in place."""
        self._status: Status | None = None

    def say(self, line: str) -> None:
        """Show a line of the result to people."""
        if not self.as_json:
            _write(sys.stdout, line)

    def document(self, document: Mapping[str, Any], *, on_one_line: bool = False) -> None:
        """Print the result for programs."""
        if self.as_json:
            # ASCII: no encoding can spoil it, and no character of others can move the cursor.
            _write(sys.stdout, json.dumps(document, indent=None if on_one_line else 2))

    def table(self, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Show a table to people; see `table_of`."""
        if not self.as_json:
            out = console(sys.stdout)
            with out.capture() as shown:
                out.print(table_of(headings, rows))
            for line in shown.get().splitlines():
                _write(sys.stdout, line.rstrip())

    def warn(self, message: str) -> None:
        """Show a warning."""
        self._aside(f"warning: {message}")

    def note(self, message: str) -> None:
        """Show a remark."""
        self._aside(f"note: {message}")

    def debug(self, line: str) -> None:
        """Show a line of the log."""
        self._aside(f"debug: {line}")

    def hint(self, command: str) -> None:
        """Show a command to type, alone on its line so that it can be copied."""
        self._aside(f"  {command}")

    def fail(self, sentence: str) -> None:
        """Show an error, which is a sentence of its own."""
        self._aside(sentence)

    def progress(self, message: str) -> None:
        """Show progress: in place on a terminal, as a line if CI is set, else not at all."""
        if self._status is not None:
            from rich.text import Text

            self._status.update(Text(message))
        elif os.environ.get("CI"):
            _write(sys.stderr, message)

    @contextmanager
    def showing_progress(self, first: str) -> Iterator[None]:
        """Show a line of progress on a terminal until the block ends."""
        if not self.redraws_progress:
            yield
            return
        from rich.text import Text

        self._status = console(sys.stderr).status(Text(first))
        try:
            with self._status:
                yield
        finally:
            self._status = None

    def _aside(self, line: str) -> None:
        if self._status is not None:
            # Above the line that changes.
            self._status.console.print(line, markup=False, highlight=False, soft_wrap=True)
        else:
            _write(sys.stderr, line)


def error_document(code: ErrorCode, message: str) -> str:
    """Return what a command with `--json` prints if it fails."""
    return json.dumps({"error": {"code": code.value, "message": message}})


def table_of(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """Return a table of plain text, without a frame.

    ">HEADING" is a column of numbers. "HEADING..." wraps if the terminal is narrow; no column is
    ever cut.
    """
    from rich.table import Table
    from rich.text import Text

    shown = [heading.removeprefix(">").removesuffix("...") for heading in headings]
    table = Table(box=None, pad_edge=False, header_style="bold", show_header=any(shown))
    for heading, column in zip(headings, shown, strict=True):
        justify: Literal["left", "right"] = "right" if heading.startswith(">") else "left"
        wraps = heading.endswith("...")
        table.add_column(column, justify=justify, overflow="fold", no_wrap=not wraps)
    for row in rows:
        table.add_row(*(Text(cell, style=_STYLES.get(cell, "")) for cell in row))
    return table


def console(stream: TextIO) -> Console:
    """Return a stream as rich writes to it: as it is in a pipe, without colours for NO_COLOR."""
    from rich.console import Console

    on_terminal = stream.isatty()
    is_plain = not on_terminal or bool(os.environ.get("NO_COLOR"))
    return Console(
        file=stream,
        force_terminal=on_terminal,
        color_system=None if is_plain else "auto",
        width=None if on_terminal else _PIPE_WIDTH,
        highlight=False,
        markup=False,
        emoji=False,
    )


def _redraws(stream: TextIO) -> bool:
    # The log of a CI run keeps every line, even if it comes from a terminal.
    return stream.isatty() and not os.environ.get("CI") and os.environ.get("TERM") != "dumb"


def _write(stream: TextIO, line: str) -> None:
    stream.write(line + "\n")
    stream.flush()
