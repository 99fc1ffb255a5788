"""What is loaded in an account, beside what stacks declare: an assessment, and how it is shown.

`assess` is a function of `Facts`, the moment among them; `Audit` is its plain data, of which
`data/audit.schema.json` is the published schema. The renderers take that data and nothing else.
"""

from __future__ import annotations

from bytez_provider.audit._assess import assess, undeclared
from bytez_provider.audit._document import Audit, AuditedModel, Finding, Owner
from bytez_provider.audit._facts import Facts
from bytez_provider.audit._markdown import markdown
from bytez_provider.audit._page import page
from bytez_provider.audit._states import Source, Standing, States
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

__all__ = [
    "KIND_WORDS",
    "NOT_JUDGED",
    "Audit",
    "AuditedModel",
    "Facts",
    "Finding",
    "Owner",
    "Source",
    "Standing",
    "States",
    "assess",
    "basis",
    "headline",
    "hidden_names",
    "markdown",
    "model_cells",
    "page",
    "status_word",
    "summary",
    "undeclared",
]
