"""Markdown and HTML of which no text of others can become a part.

What a server, a state or a file says is shown as it was said, less what could move a cursor or
open a tag: `code` for Markdown, `html` for a page. Nothing else of theirs goes into either.
"""

from __future__ import annotations

import html as _html
from collections.abc import Sequence

from bytez_provider.base.errors import printable

COMMENT_LIMIT = 65_536
"""Characters of one comment, the limit of GitHub's API."""

_TEXT_LIMIT = 300
# In a code span Markdown sees nothing but its end, and in a table the end of the cell.
_LOOKALIKES = str.maketrans({"`": "\u02cb", "|": "\u00a6"})


def code(text: str, *, limit: int = _TEXT_LIMIT) -> str:
    """Return text of others as a code span, in which there are no links, mentions or tags.

    A backtick and a bar, which neither a model id nor a resource of ours has, become lookalikes.
    """
    shown = printable(text, limit=limit).translate(_LOOKALIKES)
    return f"`{shown}`" if shown else ""


def html(text: str, *, limit: int = _TEXT_LIMIT) -> str:
    """Return text of others for the inside of an element or of a quoted attribute."""
    return _html.escape(printable(text, limit=limit), quote=True)


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: int = 0) -> str:
    """Return a Markdown table, of cells that are Markdown already.

    Args:
        headings: One a column.
        rows: The cells.
        numbers: How many of the last columns are numbers, and stand to the right.
    """
    words = len(headings) - numbers
    rules = ["---"] * words + ["---:"] * numbers
    return "\n".join(f"| {' | '.join(row)} |" for row in [headings, rules, *rows])


def fitted(sections: Sequence[str], pointer: str, *, limit: int = COMMENT_LIMIT) -> str:
    """Return the sections with a blank line between, cut at a whole section where it is too long.

    Args:
        sections: The most important first; the first one stays whatever its length.
        pointer: Says where the whole is; the last line of what was cut.
        limit: Characters.
    """
    whole = "\n\n".join(sections) + "\n"
    if len(whole) <= limit:
        return whole
    kept = [sections[0]]
    room = limit - len(sections[0]) - len(pointer) - 3
    for section in sections[1:]:
        room -= len(section) + 2
        if room < 0:
            break
        kept.append(section)
    return "\n\n".join([*kept, pointer]) + "\n"
