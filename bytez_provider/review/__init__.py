"""What a change of a fleet does, costs and breaks, told before it is merged.

A plan is read from a file (`read_plan`), made by a preview (`run_preview`), or made of two
branches' plans (`compared`); `assess` makes it a `Review`, of which `markdown` is one rendering
and `findings` what is held against thresholds.
"""

from __future__ import annotations

from bytez_provider.review._assessment import BOOT_MINUTES, Setting, assess
from bytez_provider.review._branches import compared
from bytez_provider.review._declared import Prices
from bytez_provider.review._document import Review, ReviewedModel, Total, unreadable_of
from bytez_provider.review._live import Live
from bytez_provider.review._markdown import markdown
from bytez_provider.review._plan import Plan
from bytez_provider.review._reading import from_digest, from_events, read_plan
from bytez_provider.review._running import run_preview
from bytez_provider.review._thresholds import Thresholds, findings

__all__ = [
    "BOOT_MINUTES",
    "Live",
    "Plan",
    "Prices",
    "Review",
    "ReviewedModel",
    "Setting",
    "Thresholds",
    "Total",
    "assess",
    "compared",
    "findings",
    "from_digest",
    "from_events",
    "markdown",
    "read_plan",
    "run_preview",
    "unreadable_of",
]
