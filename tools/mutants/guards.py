"""All guards, and for each of them a mutant.

`tests/mutants` says when one no longer fits; `python -m tools.mutants` says whether the tests still
notice.
"""

from __future__ import annotations

from tools.mutants.judging import JUDGING
from tools.mutants.keeping import KEEPING
from tools.mutants.loading import LOADING
from tools.mutants.places import PLACES
from tools.mutants.proving import PROVING
from tools.mutants.surroundings import SURROUNDINGS

MUTANTS = (*JUDGING, *KEEPING, *PROVING, *PLACES, *LOADING, *SURROUNDINGS)

NAMED = (
    "who asks is in the journal before the request",
    "identity of a load",
    "a write stands only over what was read",
    "a write to a bucket stands only over what was read",
    "what a living process works on is left to it",
    "what others took over is theirs, whatever a state names",
    "a preview writes nothing",
    "rollback",
    "delete waits",
    "Cancel hook",
)
"""The guards that there must be a mutant for, whatever others there are."""
