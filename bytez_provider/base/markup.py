"""Markdown and HTML that show text of others without letting it become markup.

Text from a server, a state or a file goes through `code` (Markdown) or `html` (a page), which
remove what could move a cursor or open a tag. No other text of theirs goes into either.
"""

from __future__ import annotations

import html as _html
from collections.abc import Sequence

from bytez_provider.base.errors import printable

COMMENT_LIMIT = 65_536
"""Characters of one comment, the limit of GitHub's API."""

_TEXT_LIMIT = 300
# In a code span Markdown sees only its end, and in a table only the end of the cell.
_LOOKALIKES = str.maketrans({"`": "\u02cb", "|": "\u00a6"})


def code(text: str, *, limit: int = _TEXT_LIMIT) -> str:
    """Return text of others as a code span, which cannot hold links, mentions or tags.

    Backticks and bars become lookalikes; no model id and no resource of ours has one.
    """
    shown = printable(text, limit=limit).translate(_LOOKALIKES)
    return f"`{shown}`" if shown else ""


def html(text: str, *, limit: int = _TEXT_LIMIT) -> str:
    """Return text of others for the inside of an element or of a quoted attribute."""
    return _html.escape(printable(text, limit=limit), quote=True)


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: int = 0) -> str:
    """Return a Markdown table of cells that are already Markdown.

    The last `numbers` columns are aligned to the right.
    """
    rules = ["---"] * (len(headings) - numbers) + ["---:"] * numbers
    return "\n".join(f"| {' | '.join(row)} |" for row in [headings, rules, *rows])


def fitted(sections: Sequence[str], pointer: str, *, limit: int = COMMENT_LIMIT) -> str:
    """Return the sections with a blank line between them, cut after a section if they are too long.

    Args:
        sections: The most important first; the first is kept whatever its length.
        pointer: Says where the whole text is; the last line if something was cut.
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
