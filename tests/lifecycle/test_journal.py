"""The journal: one small file a load, and never a failure."""

from __future__ import annotations

import json
import stat
import threading
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from bytez_provider.journal import Holder, Journal, Note, journal_folder
from tests.lifecycle.caller import OTHER_URN, URN
from tests.lifecycle.machine import GPT2, PHI

BEGAN = datetime(2024, 5, 27, 23, 35, 35, 863000, tzinfo=timezone.utc)
NOTE = Note(URN, GPT2, BEGAN, concurrency=2, expiration_period_seconds=600)
NAMED = Note(URN, GPT2, BEGAN, concurrency=2, created=BEGAN + timedelta(microseconds=1234))
HOLDER = Holder(created=BEGAN, adopted_at="2024-05-27T23:40:00.000Z")


class Kept:
    """A journal in a folder, and what it warned of."""

    def __init__(
        self, folder: Path, endpoint: str = "https://api.bytez.com", account: str = "a1"
    ) -> None:
        self.warnings: list[str] = []
        self.journal = Journal(
            folder, endpoint=endpoint, account=account, warn=self.warnings.append
        )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state" / "journal"


class TestFolder:
    def test_it_is_the_one_that_is_chosen(self) -> None:
        assert journal_folder({"BYTEZ_JOURNAL": "/chosen"}) == Path("/chosen")
        assert journal_folder({"BYTEZ_JOURNAL": "~/chosen"}) == Path.home() / "chosen"

    @pytest.mark.parametrize("environ", [{}, {"BYTEZ_JOURNAL": ""}])
    def test_else_that_of_the_platform(self, environ: dict[str, str]) -> None:
        assert journal_folder(environ).name == "bytez-provider"

    def test_it_is_for_its_user_only(self, folder: Path) -> None:
        Kept(folder).journal.write(NOTE)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        (path,) = folder.iterdir()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


class TestNotes:
    @pytest.mark.parametrize("note", [NOTE, NAMED])
    def test_a_later_process_reads_what_was_written(self, folder: Path, note: Note) -> None:
        Kept(folder).journal.write(note)
        assert Kept(folder).journal.note(URN) == note
        assert Kept(folder).journal.unfinished() == [note]

    def test_a_resource_has_one(self, folder: Path) -> None:
        kept = Kept(folder)
        kept.journal.write(NOTE)
        kept.journal.write(NAMED)
        assert kept.journal.unfinished() == [NAMED]
        assert len(list(folder.iterdir())) == 1

    def test_cleared_is_gone(self, folder: Path) -> None:
        kept = Kept(folder)
        kept.journal.write(NOTE)
        kept.journal.clear(URN)
        kept.journal.clear(URN)
        assert kept.journal.note(URN) is None
        assert list(folder.iterdir()) == []

    def test_finished_is_gone_once_the_state_is_saved_and_not_before(self, folder: Path) -> None:
        later: list[Callable[[], None]] = []
        journal = Journal(
            folder,
            endpoint="https://api.bytez.com",
            account="a1",
            warn=print,
            once_saved=later.append,
        )
        journal.write(NOTE)
        journal.finish(GPT2, URN)
        assert journal.unfinished() == [NOTE]
        later[0]()
        assert journal.unfinished() == []

    def test_without_a_urn_there_is_none(self, folder: Path) -> None:
        kept = Kept(folder)
        kept.journal.write(NOTE)
        assert kept.journal.note(None) is None
        kept.journal.clear(None)
        assert kept.journal.unfinished() == [NOTE]

    def test_they_are_kept_apart_by_endpoint_account_and_urn(self, folder: Path) -> None:
        Kept(folder).journal.write(NOTE)
        for other in (Kept(folder, account="b2"), Kept(folder, endpoint="http://127.0.0.1:1")):
            assert other.journal.note(URN) is None
            assert other.journal.unfinished() == []
            other.journal.clear(URN)
        assert Kept(folder).journal.note(OTHER_URN) is None
        assert Kept(folder).journal.unfinished() == [NOTE]

    def test_the_oldest_comes_first(self, folder: Path) -> None:
        kept = Kept(folder)
        later = Note(OTHER_URN, PHI, BEGAN + timedelta(seconds=1), concurrency=1)
        kept.journal.write(later)
        kept.journal.write(NOTE)
        assert kept.journal.unfinished() == [NOTE, later]

    def test_what_another_process_did_since_counts(self, folder: Path) -> None:
        first, second = Kept(folder), Kept(folder)
        first.journal.write(NOTE)
        second.journal.clear(URN)
        assert first.journal.note(URN) is None
        second.journal.write(NAMED)
        assert first.journal.note(URN) == NAMED

    def test_many_threads_write_at_once(self, folder: Path) -> None:
        kept = Kept(folder)
        notes = [Note(f"urn::{n:03d}", PHI, BEGAN, concurrency=1) for n in range(64)]
        threads = [threading.Thread(target=kept.journal.write, args=[note]) for note in notes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert kept.journal.unfinished() == notes
        assert kept.warnings == []


class TestHolders:
    @pytest.mark.parametrize("holder", [HOLDER, Holder(None, HOLDER.adopted_at)])
    def test_a_later_process_knows_the_holder(self, folder: Path, holder: Holder) -> None:
        Kept(folder).journal.hold(GPT2, holder)
        assert Kept(folder).journal.holder(GPT2) == holder
        assert Kept(folder).journal.holder(PHI) is None
        assert Kept(folder, account="b2").journal.holder(GPT2) is None

    def test_released_is_nobody(self, folder: Path) -> None:
        kept = Kept(folder)
        kept.journal.hold(GPT2, HOLDER)
        kept.journal.release(GPT2)
        kept.journal.release(GPT2)
        assert Kept(folder).journal.holder(GPT2) is None

    def test_a_holder_is_no_unfinished_load(self, folder: Path) -> None:
        Kept(folder).journal.hold(GPT2, HOLDER)
        assert Kept(folder).journal.unfinished() == []


class TestTrouble:
    def test_a_folder_that_cannot_be_made_is_one_warning_and_remembered(self, folder: Path) -> None:
        folder.parent.mkdir()
        folder.write_text("a file where the folder would be")
        kept = Kept(folder)
        kept.journal.write(NOTE)
        kept.journal.hold(GPT2, HOLDER)
        assert kept.journal.note(URN) == NOTE
        assert kept.journal.unfinished() == [NOTE]
        assert kept.journal.holder(GPT2) == HOLDER
        kept.journal.clear(URN)
        kept.journal.release(GPT2)
        assert kept.journal.note(URN) is None
        assert kept.journal.holder(GPT2) is None
        assert kept.warnings == [
            (
                f"could not write the journal in {folder}: File exists. "
                "A deployment that is killed now may not be picked up by the next one. "
                "Mend the folder, or name another in BYTEZ_JOURNAL."
            )
        ]

    @pytest.mark.parametrize(
        "content",
        [b"", b"{", b"\xff\xfe", b"[]", b'"text"', b"null", b"[" * 100_000],
        ids=["empty", "torn", "binary", "list", "text", "null", "deep"],
    )
    def test_a_corrupt_file_is_one_warning_and_no_note(self, folder: Path, content: bytes) -> None:
        Kept(folder).journal.write(NOTE)
        (path,) = folder.iterdir()
        path.write_bytes(content)
        kept = Kept(folder)
        assert kept.journal.note(URN) is None
        assert kept.journal.unfinished() == []
        assert len(kept.warnings) == 1
        assert "\n" not in kept.warnings[0]
        kept.journal.write(NOTE)
        assert Kept(folder).journal.note(URN) == NOTE

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("urn", 1),
            ("modelId", None),
            ("began", "yesterday"),
            ("concurrency", "two"),
            ("expirationPeriodSeconds", []),
            ("account", "b2"),
        ],
    )
    def test_a_file_that_is_no_note_of_ours_is_no_note(
        self, folder: Path, name: str, value: object
    ) -> None:
        Kept(folder).journal.write(NOTE)
        (path,) = folder.iterdir()
        path.write_text(json.dumps({**json.loads(path.read_text()), name: value}))
        assert Kept(folder).journal.note(URN) is None
        assert Kept(folder).journal.unfinished() == []

    def test_a_folder_that_no_disk_would_take_is_one_warning_too(self, tmp_path: Path) -> None:
        kept = Kept(tmp_path / ("x" * 300))
        kept.journal.write(NOTE)
        assert kept.journal.unfinished() == [NOTE]
        (warning,) = kept.warnings
        assert "File name too long" in warning
        # Also where nothing was written before: there is nothing unfinished that could be found.
        assert Kept(tmp_path / ("x" * 300)).journal.unfinished() == []

    def test_a_note_whose_place_is_taken_is_remembered_and_leaves_nothing(
        self, folder: Path
    ) -> None:
        kept = Kept(folder)
        kept.journal.write(NOTE)
        (path,) = folder.iterdir()
        path.unlink()
        path.mkdir()
        kept.journal.write(NOTE)
        assert kept.journal.note(URN) == NOTE
        assert len(kept.warnings) == 1
        assert list(folder.iterdir()) == [path]

    def test_a_write_that_was_cut_short_leaves_no_trace(self, folder: Path) -> None:
        """What is listed is whole: a half-written file has another name."""
        Kept(folder).journal.write(NOTE)
        (folder / ".half.tmp").write_text('{"urn": ')
        kept = Kept(folder)
        assert kept.journal.unfinished() == [NOTE]
        assert kept.warnings == []
