"""What a change of a fleet does, costs and breaks, before it is merged.

A plan is read from a file (`read_plan`), made by a preview (`run_preview`), or made from two
branches' plans (`compared`). `assess` makes a `Review` of it, the JSON document; `markdown` is one
rendering of that.
"""

from __future__ import annotations

from bytez_provider.review._assess import Setting, Thresholds, assess
from bytez_provider.review._document import NoteCode, Review, ReviewedModel, Total
from bytez_provider.review._markdown import amounts, markdown
from bytez_provider.review._models import Live
from bytez_provider.review._plan import Plan, compared
from bytez_provider.review._reading import from_digest, from_events, read_plan, run_preview

__all__ = [
    "Live",
    "NoteCode",
    "Plan",
    "Review",
    "ReviewedModel",
    "Setting",
    "Thresholds",
    "Total",
    "amounts",
    "assess",
    "compared",
    "from_digest",
    "from_events",
    "markdown",
    "read_plan",
    "run_preview",
]
