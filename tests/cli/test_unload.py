"""`unload`, and what a stack or the journal has to do with it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from bytez_provider.config import Key
from bytez_provider.emulator import Emulator
from bytez_provider.journal import Holder, Journal, Note
from bytez_provider.schemas import moment_of
from tests.cli.fleet import CODER, GPT2, KEY, UNPRICED, Fleet

URN = "urn:pulumi:dev::fleet::pulumi-python:dynamic/bytez:Model::"
Load = Callable[..., str]


def journal_of(fleet: Fleet, emulator: Emulator, key: str = KEY) -> Journal:
    def complain(message: str) -> None:
        raise AssertionError(message)

    account = Key(key).fingerprint()
    return Journal(fleet.journal, endpoint=emulator.url, account=account, warn=complain)


def began(emulator: Emulator, created: str | None) -> datetime:
    moment = moment_of(created) if created else emulator.now()
    assert moment is not None
    return moment - timedelta(seconds=1)


def note_of(name: str, model_id: str, began: datetime, created: datetime | None = None) -> Note:
    return Note(URN + name, model_id, began, concurrency=1, created=created)


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

    def test_a_model_that_a_resource_adopted_is_unloaded_and_no_longer_held(
        self, fleet: Fleet, emulator: Emulator, running: Load
    ) -> None:
        created = moment_of(running(GPT2))
        journal = journal_of(fleet, emulator)
        journal.hold(GPT2, Holder(created, "2024-05-28T00:00:00.000Z"))
        journal.write(note_of("gpt2", GPT2, began(emulator, None), created))
        fleet.run("unload", GPT2).ok()
        assert emulator.instances() == []
        after = journal_of(fleet, emulator)
        assert after.holder(GPT2) is None
        assert after.unfinished() == []

    def test_names_or_unfinished_but_not_both(self, fleet: Fleet) -> None:
        told = fleet.run("unload", GPT2, "--unfinished").failed(2)
        assert "name the models, or give --unfinished" in told


class TestUnfinished:
    def test_what_the_notes_name_is_unloaded_and_nothing_else(
        self, fleet: Fleet, emulator: Emulator
    ) -> None:
        journal = journal_of(fleet, emulator)
        ours = emulator.load_by_somebody_else(GPT2)
        unseen = emulator.load_by_somebody_else(CODER)
        theirs = emulator.load_by_somebody_else(UNPRICED)
        later = "bigscience/bloom-560m"
        emulator.load_by_somebody_else(later)
        long_ago = emulator.now() - timedelta(hours=1)
        other = journal_of(fleet, emulator, "another-key-012345")
        other.write(note_of("other", GPT2, began(emulator, ours), moment_of(ours)))
        for note in (
            note_of("ours", GPT2, began(emulator, ours), moment_of(ours)),
            note_of("unseen", CODER, began(emulator, unseen)),
            note_of("theirs", UNPRICED, long_ago, long_ago),
            note_of("later", later, long_ago),
            note_of("gone", "microsoft/phi-1", long_ago, long_ago),
        ):
            journal.write(note)
        assert theirs
        done = fleet.run("unload", "--unfinished", "--json").ok()
        assert {one["modelId"]: one["outcome"] for one in done.document["models"]} == {
            GPT2: "unloaded",
            CODER: "unloaded",
            UNPRICED: "leftAlone",
            later: "leftAlone",
            "microsoft/phi-1": "notLoaded",
        }
        assert {live["modelId"] for live in emulator.instances()} == {UNPRICED, later}
        assert journal_of(fleet, emulator).unfinished() == []
        # A note of another account is not ours to act on.
        assert len(journal_of(fleet, emulator, "another-key-012345").unfinished()) == 1

    def test_a_load_that_cannot_be_unloaded_keeps_its_note(
        self, fleet: Fleet, emulator: Emulator
    ) -> None:
        created = emulator.load_by_somebody_else(GPT2)
        note = note_of("gpt2", GPT2, began(emulator, created), moment_of(created))
        journal_of(fleet, emulator).write(note)
        refused = {"respond": {"status": 400, "body": {"error": "cannot"}}}
        emulator.set_faults([{"endpoint": "/model/delete", "do": refused}])
        assert "HTTP 400: cannot" in fleet.run("unload", "--unfinished").failed(1)
        assert journal_of(fleet, emulator).unfinished() == [note]

    def test_a_load_that_cannot_be_told_apart_is_left_alone_and_its_note_kept(
        self, fleet: Fleet, emulator: Emulator
    ) -> None:
        created = emulator.load_by_somebody_else(GPT2)
        note = note_of("gpt2", GPT2, began(emulator, created), moment_of(created))
        journal_of(fleet, emulator).write(note)
        body = {"modelId": GPT2, "status": "RUNNING"}
        emulator.set_faults([{"endpoint": "/model/status", "do": {"respond": {"body": body}}}])
        done = fleet.run("unload", "--unfinished").ok()
        assert done.out == f"{GPT2} was left alone\n"
        assert "unload it by name" in done.err
        assert not emulator.requests("/model/delete")
        assert journal_of(fleet, emulator).unfinished() == [note]

    def test_nothing_unfinished_is_said(self, fleet: Fleet) -> None:
        assert "nothing is unfinished" in fleet.run("unload", "--unfinished").ok().out
