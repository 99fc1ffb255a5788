"""`unload`, and what a stack or the journal has to do with it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from bytez_provider.emulator import Emulator
from tests.cli.fleet import CODER, GPT2, UNPRICED, Finished, Fleet
from tests.cli.journal import Journal, long_ago, resource

PHI, BLOOM, OPT = "microsoft/phi-1", "bigscience/bloom-560m", "facebook/opt-1.3b"
ALL = (GPT2, CODER, PHI, BLOOM, OPT, UNPRICED)
Load = Callable[..., str]
State = Callable[..., str]


@pytest.fixture
def journal(fleet: Fleet, emulator: Emulator) -> Journal:
    return Journal(fleet, emulator)


def outcomes(done: Finished) -> dict[str, str]:
    return {one["modelId"]: one["outcome"] for one in done.document["models"]}


def loaded(emulator: Emulator) -> set[str]:
    return {str(live["modelId"]) for live in emulator.instances()}


class TestByName:
    def test_each_is_unloaded_and_told(
        self, fleet: Fleet, emulator: Emulator, running: Load
    ) -> None:
        running(GPT2)
        running(CODER)
        done = fleet.run("unload", GPT2, UNPRICED, CODER, GPT2).ok()
        assert done.out.splitlines() == [
            f"{GPT2} is unloaded",
            f"{UNPRICED} is not loaded",
            f"{CODER} is unloaded",
        ]
        assert emulator.instances() == []

    def test_one_that_fails_does_not_keep_the_others(
        self, fleet: Fleet, emulator: Emulator, running: Load
    ) -> None:
        running(GPT2)
        running(CODER)
        refused = {"respond": {"status": 400, "body": {"error": "cannot"}}}
        emulator.set_faults([{"endpoint": "/model/delete", "model": GPT2, "do": refused}])
        done = fleet.run("unload", GPT2, CODER, "--json")
        told = done.failed(1)
        assert told.startswith(f"could not unload '{GPT2}': the service answered HTTP 400: cannot")
        assert done.document == {
            "models": [
                {"modelId": GPT2, "outcome": "failed", "error": told},
                {"modelId": CODER, "outcome": "unloaded", "error": None},
            ]
        }
        assert [live["modelId"] for live in emulator.instances()] == [GPT2]

    def test_it_waits_until_the_status_agrees(
        self, fleet: Fleet, emulator: Emulator, running: Load
    ) -> None:
        running(GPT2)
        emulator.set_faults([{"do": {"shutdownSeconds": 90}}])
        with fleet.started("unload", GPT2) as unload:
            # The unload is out, and the model still answers as loaded.
            while len(emulator.requests("/model/status")) < 5:
                assert unload.process.poll() is None
            emulator.advance(90)
            done = unload.finish()
        assert (done.code, done.out) == (0, f"{GPT2} is unloaded\n")

    def test_what_a_resource_of_a_stack_has_by_the_journal_is_only_unloaded_with_yes(
        self, fleet: Fleet, emulator: Emulator, running: Load, journal: Journal
    ) -> None:
        created = running(GPT2)
        journal.accepts(resource("chat"), GPT2, created)
        journal.adopts(resource("talk", "prod", kept_in="there"), GPT2, created)
        assert fleet.run("unload", GPT2).failed(2) == (
            f"could not unload '{GPT2}': by the journal it is the load of 'talk' of stack 'prod', "
            "kept in file:///there, whose next `pulumi up` would load it. Nothing was changed. "
            "Take it out of the program and run `pulumi up`, or say --yes to unload it all the "
            "same."
        )
        assert not emulator.requests("/model/delete")
        fleet.run("unload", GPT2, "--yes").ok()
        assert emulator.instances() == []
        assert journal.models() == []

    def test_a_record_of_another_load_asks_for_nothing(
        self, fleet: Fleet, emulator: Emulator, running: Load, journal: Journal
    ) -> None:
        journal.accepts(resource("chat"), GPT2, long_ago(emulator))
        running(GPT2)
        fleet.run("unload", GPT2).ok()
        assert emulator.instances() == []

    def test_what_a_deployment_works_on_is_told_in_one_sentence(
        self, fleet: Fleet, emulator: Emulator, running: Load, journal: Journal
    ) -> None:
        created = running(GPT2)
        with journal.asking(resource("chat"), GPT2, emulator.now() - timedelta(seconds=404)):
            told = fleet.run("unload", GPT2, "--yes").failed(1)
        assert told.startswith(f"could not unload '{GPT2}': 'chat' of stack 'dev' is loading it")
        assert told.endswith("Run the same command again when that deployment has ended.")
        assert [one["created"] for one in emulator.instances()] == [created]

    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            ((GPT2, "--unfinished"), "name the models, or give --unfinished"),
            (("--unfinished", "--yes"), "goes with models that are named"),
        ],
    )
    def test_names_or_unfinished_but_not_both(
        self, fleet: Fleet, arguments: tuple[str, ...], told: str
    ) -> None:
        assert told in fleet.run("unload", *arguments).failed(2)

    def test_what_a_state_given_declares_is_only_unloaded_with_yes(
        self, fleet: Fleet, emulator: Emulator, running: Load, state: State
    ) -> None:
        saved = state((GPT2, running(GPT2)))
        told = fleet.run("unload", GPT2, "--state", saved).failed(2)
        assert "stack 'dev' declares it as 'gpt2'" in told
        assert loaded(emulator) == {GPT2}


class TestUnfinished:
    def test_what_no_state_given_names_is_unloaded_and_nothing_else(
        self, fleet: Fleet, emulator: Emulator, journal: Journal, state: State
    ) -> None:
        """A record each of what may have become of a load."""
        created = {one: emulator.load_by_somebody_else(one) for one in ALL}
        journal.accepts(resource("left"), GPT2, created[GPT2])
        journal.asks(resource("unanswered"), CODER)
        journal.accepts(resource("phi-1"), PHI, created[PHI])
        journal.confirms(resource("kept"), BLOOM, created[BLOOM])
        journal.accepts(resource("theirs", "prod"), OPT, created[OPT])
        journal.accepts(resource("lost"), UNPRICED, long_ago(emulator))
        journal.accepts(resource("gone"), "ai-forever/mGPT", long_ago(emulator))
        other = Journal(fleet, emulator, "another-key-012345")
        other.accepts(resource("other"), GPT2, created[GPT2])

        saved = state((PHI, created[PHI]))
        done = fleet.run("unload", "--unfinished", "--state", saved, "--json").ok()
        assert outcomes(done) == {
            GPT2: "unloaded",
            CODER: "unloaded",
            OPT: "leftAlone",
            UNPRICED: "leftAlone",
            "ai-forever/mGPT": "notLoaded",
        }
        assert "add --stack prod in the folder of project 'fleet'" in done.err
        assert loaded(emulator) == {PHI, BLOOM, OPT, UNPRICED}
        assert journal.models() == sorted([PHI, BLOOM, OPT])
        # A record of another account is not ours to act on.
        assert other.models() == [GPT2]

    def test_what_a_state_names_of_a_request_without_an_answer_is_finished(
        self, fleet: Fleet, emulator: Emulator, journal: Journal, state: State
    ) -> None:
        """The journal does not know which load it is; the state does."""
        began = emulator.now()
        created = emulator.load_by_somebody_else(GPT2)
        journal.asks(resource("gpt2"), GPT2, began)
        saved = state((GPT2, created))
        done = fleet.run("unload", "--unfinished", "--state", saved, "--json").ok()
        assert outcomes(done) == {GPT2: "leftAlone"}
        assert "a state names its load" in done.err
        assert loaded(emulator) == {GPT2}

    def test_without_a_state_only_what_no_answer_was_seen_for_is_unloaded(
        self, fleet: Fleet, emulator: Emulator, journal: Journal
    ) -> None:
        emulator.load_by_somebody_else(CODER)
        created = emulator.load_by_somebody_else(GPT2)
        journal.asks(resource("unanswered"), CODER, emulator.now() - timedelta(seconds=1))
        journal.accepts(resource("chat", "prod", kept_in="there"), GPT2, created)
        done = fleet.run("unload", "--unfinished", "--json").ok()
        assert outcomes(done) == {GPT2: "leftAlone", CODER: "unloaded"}
        assert done.err == (
            f"note: '{GPT2}': 'chat' of stack 'prod', kept in file:///there began its load, and "
            "may have finished it: to have its state read, add --stack prod in the folder of "
            "project 'fleet', or --state with what `pulumi stack export` prints there\n"
        )
        assert loaded(emulator) == {GPT2}
        assert journal.models() == [GPT2]

    def test_what_a_living_process_works_on_is_left_alone(
        self, fleet: Fleet, emulator: Emulator, journal: Journal, state: State
    ) -> None:
        emulator.load_by_somebody_else(GPT2)
        with journal.asking(resource("chat"), GPT2, emulator.now()):
            for flags in ((), ("--state", state())):
                done = fleet.run("unload", "--unfinished", *flags, "--json").ok()
                assert outcomes(done) == {GPT2: "leftAlone"}
                assert "'chat' of stack 'dev' is at work on it on machine" in done.err
        assert loaded(emulator) == {GPT2}

    def test_a_load_that_may_not_show_yet_keeps_its_record(
        self, fleet: Fleet, emulator: Emulator, journal: Journal
    ) -> None:
        journal.asks(resource("chat"), GPT2, emulator.now())
        assert outcomes(fleet.run("unload", "--unfinished", "--json").ok()) == {GPT2: "leftAlone"}
        assert journal.models() == [GPT2]
        emulator.advance(61)
        assert outcomes(fleet.run("unload", "--unfinished", "--json").ok()) == {GPT2: "notLoaded"}
        assert journal.models() == []

    def test_a_load_that_cannot_be_unloaded_keeps_its_record(
        self, fleet: Fleet, emulator: Emulator, journal: Journal, state: State
    ) -> None:
        journal.accepts(resource("chat"), GPT2, emulator.load_by_somebody_else(GPT2))
        before = journal.ledger.records()
        refused = {"respond": {"status": 400, "body": {"error": "cannot"}}}
        emulator.set_faults([{"endpoint": "/model/delete", "do": refused}])
        told = fleet.run("unload", "--unfinished", "--state", state()).failed(1)
        assert "HTTP 400: cannot" in told
        assert journal.ledger.records() == before

    def test_a_load_that_cannot_be_told_apart_is_left_alone_and_its_record_kept(
        self, fleet: Fleet, emulator: Emulator, journal: Journal, state: State
    ) -> None:
        journal.accepts(resource("chat"), GPT2, emulator.load_by_somebody_else(GPT2))
        body = {"modelId": GPT2, "status": "RUNNING"}
        emulator.set_faults([{"endpoint": "/model/status", "do": {"respond": {"body": body}}}])
        done = fleet.run("unload", "--unfinished", "--state", state()).ok()
        assert done.out == f"{GPT2} was left alone\n"
        assert "unload it by name" in done.err
        assert not emulator.requests("/model/delete")
        assert journal.models() == [GPT2]

    def test_nothing_unfinished_is_said(
        self, fleet: Fleet, emulator: Emulator, journal: Journal, running: Load
    ) -> None:
        journal.confirms(resource("chat"), GPT2, running(GPT2))
        assert "nothing is unfinished" in fleet.run("unload", "--unfinished").ok().out
        assert loaded(emulator) == {GPT2}
