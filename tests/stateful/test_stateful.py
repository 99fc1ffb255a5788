"""The promises, held against whatever comes; `make soak` does the same for longer."""

from __future__ import annotations

from tests.stateful.machine import Tally
from tests.stateful.run import run

EXAMPLES = 200
STEPS = 25
SEED = 1


def test_no_promise_is_broken_whatever_comes() -> None:
    """The same examples in every run."""
    tally = Tally()
    run(examples=EXAMPLES, steps=STEPS, number=SEED, tally=tally)
    assert tally.examples >= EXAMPLES
    # A machine to which nothing happens would hold anything.
    assert set(tally.ends) == {"succeeded", "failed", "cancelled", "killed"}
    assert {"create", "read", "update", "delete", "same"} <= set(tally.steps)
    assert len(tally.struck) >= 10
