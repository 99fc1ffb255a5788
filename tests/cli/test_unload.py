"""`unload`, with stacks that declare a model and journals that name its owner."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.cli.fleet import CODER, GPT2, PHI, UNPRICED, Finished, Fleet
from tests.cli.journal import Journal, long_ago, resource

BLOOM, OPT = "bigscience/bloom-560m", "facebook/opt-1.3b"
ALL = (GPT2, CODER, PHI, BLOOM, OPT, UNPRICED)
REFUSED = {"respond": {"status": 400, "body": {"error": "cannot"}}}


@pytest.fixture
def journal(fleet: Fleet) -> Journal:
    return Journal(fleet)


def outcomes(done: Finished) -> dict[str, tuple[str, str | None]]:
    """Return outcome and code of each model."""
    return {one["modelId"]: (one["outcome"], one["code"]) for one in done.document["models"]}


def loaded(fleet: Fleet) -> set[str]:
    return {str(live["modelId"]) for live in fleet.emulator.instances()}


class TestByName:
    def test_each_outcome_is_shown(self, fleet: Fleet) -> None:
        fleet.boot(GPT2)
        fleet.boot(CODER)
        done = fleet.run("unload", GPT2, UNPRICED, CODER, GPT2).ok()
        assert done.out.splitlines() == [
            f"{GPT2} is unloaded",
            f"{UNPRICED} is not loaded",
            f"{CODER} is unloaded",
        ]
        assert fleet.emulator.instances() == []

    def test_a_failure_does_not_stop_the_others(self, fleet: Fleet) -> None:
        fleet.boot(GPT2)
        fleet.boot(CODER)
        fleet.emulator.set_faults([{"endpoint": "/model/delete", "model": GPT2, "do": REFUSED}])
        done = fleet.run("unload", GPT2, CODER, "--json")
        message = done.failed(1)
        assert done.document == {
            "models": [
                {"modelId": GPT2, "outcome": "failed", "code": "refused", "error": message},
                {"modelId": CODER, "outcome": "unloaded", "code": None, "error": None},
            ]
        }
        assert loaded(fleet) == {GPT2}

    def test_it_waits_until_the_status_agrees(self, fleet: Fleet) -> None:
        fleet.boot(GPT2)
        fleet.emulator.set_faults([{"do": {"shutdownSeconds": 90}}])
        with fleet.started("unload", GPT2) as unload:
            # The unload was sent, and the model still answers as loaded.
            while len(fleet.emulator.requests("/model/status")) < 5:
                assert unload.process.poll() is None
            fleet.emulator.advance(90)
            done = unload.finish()
        assert (done.code, done.out) == (0, f"{GPT2} is unloaded\n")

    def test_a_load_that_a_resource_owns_by_the_journal_needs_yes(
        self, fleet: Fleet, journal: Journal
    ) -> None:
        created = fleet.boot(GPT2)
        journal.accepts(resource("chat"), GPT2, created)
        journal.adopts(resource("talk", "prod", kept_in="there"), GPT2, created)
        done = fleet.run("unload", GPT2, "--json")
        assert outcomes(done) == {GPT2: ("failed", "invalid-input")}
        assert "'talk' of stack 'prod', kept in file:///there" in done.failed(2)
        assert not fleet.emulator.requests("/model/delete")
        fleet.run("unload", GPT2, "--yes").ok()
        assert fleet.emulator.instances() == []
        assert journal.models() == []

    def test_a_record_of_another_load_does_not_need_yes(
        self, fleet: Fleet, journal: Journal
    ) -> None:
        journal.accepts(resource("chat"), GPT2, long_ago(fleet))
        fleet.boot(GPT2)
        fleet.run("unload", GPT2).ok()
        assert fleet.emulator.instances() == []

    def test_a_load_that_a_deployment_works_on_is_left_alone(
        self, fleet: Fleet, journal: Journal
    ) -> None:
        created = fleet.boot(GPT2)
        with journal.asking(resource("chat"), GPT2, fleet.emulator.now() - timedelta(seconds=404)):
            done = fleet.run("unload", GPT2, "--yes", "--json")
        assert outcomes(done) == {GPT2: ("failed", "already-loaded")}
        message = done.failed(1)
        assert "'chat' of stack 'dev'" in message
        assert message.endswith("Run the same command again when that deployment has ended.")
        assert [one["created"] for one in fleet.emulator.instances()] == [created]

    @pytest.mark.parametrize("arguments", [(GPT2, "--unfinished"), (), ("--unfinished", "--yes")])
    def test_it_needs_names_or_unfinished(self, fleet: Fleet, arguments: tuple[str, ...]) -> None:
        fleet.run("unload", *arguments).failed(2)

    def test_a_model_that_a_given_state_declares_needs_yes(self, fleet: Fleet) -> None:
        saved = fleet.state((GPT2, fleet.boot(GPT2)))
        message = fleet.run("unload", GPT2, "--state", saved, "--json").failed(2, "invalid-input")
        assert "stack 'dev' declares it as 'gpt2'" in message
        assert loaded(fleet) == {GPT2}


class TestUnfinished:
    def unload(self, fleet: Fleet, *flags: str) -> dict[str, tuple[str, str | None]]:
        return outcomes(fleet.run("unload", "--unfinished", *flags, "--json").ok())

    def test_only_unfinished_loads_of_given_states_are_unloaded(
        self, fleet: Fleet, journal: Journal
    ) -> None:
        created = {one: fleet.emulator.load_by_somebody_else(one) for one in ALL}
        journal.accepts(resource("left"), GPT2, created[GPT2])
        journal.asks(resource("unanswered"), CODER)
        journal.accepts(resource("phi-1"), PHI, created[PHI])
        journal.confirms(resource("kept"), BLOOM, created[BLOOM])
        journal.accepts(resource("theirs", "prod"), OPT, created[OPT])
        journal.accepts(resource("lost"), UNPRICED, long_ago(fleet))
        journal.accepts(resource("gone"), "ai-forever/mGPT", long_ago(fleet))
        other = Journal(fleet, "another-key-012345")
        other.accepts(resource("other"), GPT2, created[GPT2])

        assert self.unload(fleet, "--state", fleet.state((PHI, created[PHI]))) == {
            GPT2: ("unloaded", None),
            CODER: ("unloaded", None),
            OPT: ("leftAlone", "undecided"),
            UNPRICED: ("leftAlone", "otherLoad"),
            "ai-forever/mGPT": ("notLoaded", None),
        }
        assert loaded(fleet) == {PHI, BLOOM, OPT, UNPRICED}
        assert journal.models() == sorted([PHI, BLOOM, OPT])
        # The records of another account are left alone.
        assert other.models() == [GPT2]

    def test_a_load_that_a_state_names_is_finished_even_if_its_request_got_no_answer(
        self, fleet: Fleet, journal: Journal
    ) -> None:
        began = fleet.emulator.now()
        created = fleet.emulator.load_by_somebody_else(GPT2)
        journal.asks(resource("gpt2"), GPT2, began)
        saved = fleet.state((GPT2, created))
        assert self.unload(fleet, "--state", saved) == {GPT2: ("leftAlone", "finished")}
        assert loaded(fleet) == {GPT2}

    def test_without_a_state_only_requests_without_an_answer_are_unloaded(
        self, fleet: Fleet, journal: Journal
    ) -> None:
        fleet.emulator.load_by_somebody_else(CODER)
        created = fleet.emulator.load_by_somebody_else(GPT2)
        journal.asks(resource("unanswered"), CODER, fleet.emulator.now() - timedelta(seconds=1))
        journal.accepts(resource("chat", "prod", kept_in="there"), GPT2, created)
        done = fleet.run("unload", "--unfinished", "--json").ok()
        assert outcomes(done) == {GPT2: ("leftAlone", "undecided"), CODER: ("unloaded", None)}
        for part in ("kept in file:///there", "add --stack prod in the folder of project 'fleet'"):
            assert part in done.err
        assert loaded(fleet) == {GPT2}
        assert journal.models() == [GPT2]

    def test_a_load_that_a_running_process_works_on_is_left_alone(
        self, fleet: Fleet, journal: Journal
    ) -> None:
        fleet.emulator.load_by_somebody_else(GPT2)
        with journal.asking(resource("chat"), GPT2, fleet.emulator.now()):
            for flags in ((), ("--state", fleet.state())):
                assert self.unload(fleet, *flags) == {GPT2: ("leftAlone", "inUse")}
        assert loaded(fleet) == {GPT2}

    def test_the_record_of_a_load_that_may_not_show_yet_is_kept(
        self, fleet: Fleet, journal: Journal
    ) -> None:
        journal.asks(resource("chat"), GPT2, fleet.emulator.now())
        assert self.unload(fleet) == {GPT2: ("leftAlone", "justBegun")}
        assert journal.models() == [GPT2]
        fleet.emulator.advance(61)
        assert self.unload(fleet) == {GPT2: ("notLoaded", None)}
        assert journal.models() == []

    @pytest.mark.parametrize(
        ("fault", "outcome"),
        [
            ({"endpoint": "/model/delete", "do": REFUSED}, ("failed", "refused")),
            # The service does not say when the load was made.
            (
                {
                    "endpoint": "/model/status",
                    "do": {"respond": {"body": {"modelId": GPT2, "status": "RUNNING"}}},
                },
                ("leftAlone", "notIdentified"),
            ),
        ],
    )
    def test_a_load_that_cannot_be_unloaded_keeps_its_record(
        self,
        fleet: Fleet,
        journal: Journal,
        fault: dict[str, Any],
        outcome: tuple[str, str],
    ) -> None:
        journal.accepts(resource("chat"), GPT2, fleet.emulator.load_by_somebody_else(GPT2))
        before = journal.ledger.records()
        fleet.emulator.set_faults([fault])
        done = fleet.run("unload", "--unfinished", "--state", fleet.state(), "--json")
        assert outcomes(done) == {GPT2: outcome}
        assert done.code == (1 if outcome[0] == "failed" else 0)
        assert journal.ledger.records() == before
        assert loaded(fleet) == {GPT2}

    def test_nothing_unfinished(self, fleet: Fleet, journal: Journal) -> None:
        journal.confirms(resource("chat"), GPT2, fleet.boot(GPT2))
        assert self.unload(fleet) == {}
        assert loaded(fleet) == {GPT2}
