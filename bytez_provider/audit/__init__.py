"""What is loaded in an account, compared with what stacks declare.

`assess` makes an `Audit` from `Facts`, which include the time. `Audit` is plain data;
`data/audit.schema.json` is its published schema. Each form (table, Markdown, page) is made from
that data alone.
"""

from __future__ import annotations

from bytez_provider.audit._assess import assess, undeclared
from bytez_provider.audit._document import Audit, Finding
from bytez_provider.audit._facts import Facts, Source, Standing, States
from bytez_provider.audit._page import page
from bytez_provider.audit._rendering import markdown, plain, rows

__all__ = [
    "Audit",
    "Facts",
    "Finding",
    "Source",
    "Standing",
    "States",
    "assess",
    "markdown",
    "page",
    "plain",
    "rows",
    "undeclared",
]
