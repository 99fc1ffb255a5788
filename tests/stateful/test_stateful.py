"""The promises, checked in random deployments; `make soak` does the same for longer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.asking import API_VERSIONS
from tests.stateful import machine
from tests.stateful.engine import Timeouts
from tests.stateful.host import Blow, Moment
from tests.stateful.machine import HERE, THERE, Deployments, Tally
from tests.stateful.program import Declared
from tests.stateful.run import run, served

EXAMPLES = 200
STEPS = 25
SEED = 1
GPT2, PHI = "openai-community/gpt2", "microsoft/phi-1"
TIMEOUTS = Timeouts(12, 12, 6)


def test_no_promise_is_broken_in_random_deployments() -> None:
    """The same examples in every run."""
    tally = Tally()
    run(examples=EXAMPLES, steps=STEPS, number=SEED, tally=tally)
    assert tally.examples >= EXAMPLES
    assert set(tally.apis) == set(API_VERSIONS)
    assert tally.world["settings changed in place"] >= 10
    # Without trouble, any promise would hold.
    assert set(tally.ends) == {"succeeded", "failed", "cancelled", "killed"}
    assert {"create", "read", "update", "delete", "same"} <= set(tally.steps)
    assert len(tally.struck) >= 10


@pytest.fixture
def deployments(monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployments]:
    """The machine, for a story that a long run has found."""
    monkeypatch.setattr(machine, "note", lambda _text: None)
    with served() as emulator:
        monkeypatch.setattr(Deployments, "emulator", emulator, raising=False)
        yield Deployments()


def test_a_destroy_of_a_state_from_before_a_rename_leaves_an_unfinished_load(
    deployments: Deployments,
) -> None:
    """The journal names the resource with the new name, and the restored state lacks it."""
    deployments.begin(
        timeouts=TIMEOUTS, shared=True, dev={"one": Declared(GPT2)}, prod={}, clone={}
    )
    deployments.deploy("dev", "up", False, [])
    deployments.programs["dev"].rename("one", "two", alias=False)
    for _ in range(2):  # The second one confirms the record.
        assert deployments.deploy("dev", "up", True, []).succeeded
    deployments.restore("dev", 1)
    destroyed = deployments.deploy("dev", "destroy", False, [])
    assert destroyed.succeeded
    assert any("was left running" in text for text in destroyed.said)
    assert len(deployments.books.loads) == 1
    deployments.teardown()  # Holds that the clean-up ends the load.
    assert not deployments.emulator.instances()


def test_a_clean_up_cannot_know_of_a_take_over_in_another_journal(deployments: Deployments) -> None:
    declared = {"one": Declared(PHI, concurrency=2)}
    deployments.begin(timeouts=TIMEOUTS, shared=False, prod=declared, clone=declared, dev={})
    killed = [Moment(2, Blow.KILLED_ANSWERING)]
    deployments.deploy("prod", "up", False, killed, machine=THERE)
    up = deployments.deploy("clone", "up", False, [], frozenset({PHI}), machine=HERE)
    assert up.succeeded
    deployments.clean_up("prod", THERE)
    assert not deployments.emulator.instances()
    deployments.teardown()
