"""A folder as the journal, one that fails, and which place is chosen."""

from __future__ import annotations

import errno
import multiprocessing
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bytez_provider.base.errors import ConfigError, JournalError
from bytez_provider.core.ownership import Bucket, ChangedError, Folder, open_store
from bytez_provider.core.ownership._stores import NOTHING, Stored, Tolerant

NAME = "record-1.json"
ROUNDS = 40


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state" / "journal"


def counted_up(path: Path, rounds: int) -> None:
    """Add to a number as often as it takes until each round has been counted."""
    store = Folder(path)
    done = 0
    while done < rounds:
        found = store.read(NAME)
        number = int(found.content or b"0") + 1
        try:
            store.write(NAME, str(number).encode(), found.version, durable=False)
        except ChangedError:
            continue
        done += 1


class TestFolder:
    def test_keeps_and_removes(self, folder: Path) -> None:
        store = Folder(folder)
        assert store.read(NAME) == NOTHING
        assert store.read_all() == {}
        first = store.write(NAME, b"1", None, durable=True)
        assert Folder(folder).read(NAME) == first == Stored(b"1", first.version)
        second = store.write(NAME, b"2", first.version, durable=True)
        assert Folder(folder).read_all() == {NAME: second}
        assert store.write(NAME, None, second.version, durable=False) == NOTHING
        assert store.read(NAME) == NOTHING
        assert store.read_all() == {}

    def test_writes_only_over_what_was_read(self, folder: Path) -> None:
        store = Folder(folder)
        first = store.write(NAME, b"1", None, durable=False)
        for content in (b"2", None):
            with pytest.raises(ChangedError):
                store.write(NAME, content, None, durable=False)
        second = store.write(NAME, b"2", first.version, durable=False)
        for content in (b"3", None):
            with pytest.raises(ChangedError):
                store.write(NAME, content, first.version, durable=False)
        store.write(NAME, None, second.version, durable=False)
        with pytest.raises(ChangedError):
            store.write(NAME, b"3", second.version, durable=False)
        assert store.read(NAME) == NOTHING

    def test_of_two_processes_and_their_threads_none_loses_a_write(self, folder: Path) -> None:
        spawn = multiprocessing.get_context("spawn")
        workers = [spawn.Process(target=counted_up, args=(folder, ROUNDS)) for _ in range(2)]
        threads = [threading.Thread(target=counted_up, args=(folder, ROUNDS)) for _ in range(2)]
        everybody: list[Any] = [*workers, *threads]
        for one in everybody:
            one.start()
        for one in everybody:
            one.join()
        assert Folder(folder).read(NAME).content == str(4 * ROUNDS).encode()

    def test_the_threads_of_one_store_do_not_either(self, folder: Path) -> None:
        store = Folder(folder)
        refused: list[str] = []
        entered = threading.Barrier(8)

        def create(number: int) -> None:
            entered.wait()
            try:
                store.write(NAME, str(number).encode(), None, durable=False)
            except ChangedError:
                refused.append(str(number))

        threads = [threading.Thread(target=create, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(refused) == 7

    def test_is_for_its_user_only(self, folder: Path) -> None:
        Folder(folder).write(NAME, b"1", None, durable=False)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}

    def test_is_on_disk_where_that_is_asked_for(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        synced: list[Path] = []
        sync = os.fsync

        def fsync(handle: int) -> None:
            synced.append(Path(f"/proc/self/fd/{handle}").resolve())
            sync(handle)

        monkeypatch.setattr(os, "fsync", fsync)
        first = Folder(folder).write(NAME, b"1", None, durable=False)
        assert synced == []
        Folder(folder).write(NAME, b"2", first.version, durable=True)
        draft, itself = synced
        assert draft.parent == folder
        assert itself == folder, "the name of a file is in its folder"

    def test_a_failed_write_leaves_the_old_record_and_nothing_beside_it(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = Folder(folder)
        first = store.write(NAME, b"1", None, durable=False)
        before = sorted(folder.iterdir())

        def full(_handle: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(JournalError, match="No space left on device"):
            store.write(NAME, b"2", first.version, durable=True)
        assert store.read(NAME) == first
        assert sorted(folder.iterdir()) == before

    def test_what_is_in_the_place_of_a_record_is_an_error(self, folder: Path) -> None:
        (folder / NAME).mkdir(parents=True)
        for act in (Folder(folder).read_all, lambda: Folder(folder).read(NAME)):
            with pytest.raises(JournalError) as caught:
                act()
            assert str(caught.value) == (
                f"could not read the journal in '{folder}': Is a directory. Nothing was changed. "
                "Repair the folder, or set BYTEZ_JOURNAL to another one."
            )


class TestTolerant:
    @pytest.fixture
    def blocked(self, folder: Path) -> Folder:
        folder.parent.mkdir()
        folder.write_text("a file where the folder would be")
        return Folder(folder)

    def test_warns_once_and_remembers(self, blocked: Folder) -> None:
        warnings: list[str] = []
        store = Tolerant(blocked, warnings.append)
        first = store.write(NAME, b"1", None, durable=True)
        assert store.read(NAME) == first
        assert store.read_all() == {NAME: first}
        for content in (b"2", None):
            with pytest.raises(ChangedError):
                store.write(NAME, content, None, durable=False)
        store.write(NAME, None, first.version, durable=False)
        assert store.read(NAME) == NOTHING
        (warning,) = warnings
        assert warning == (
            f"could not write the journal in '{blocked.place}': File exists. If this deployment is "
            "killed, the next one may not find its loads. Repair the folder, or set BYTEZ_JOURNAL "
            "to another one."
        )

    @pytest.mark.parametrize("act", [lambda one: one.read(NAME), lambda one: one.read_all()])
    def test_what_cannot_be_read_is_nothing_and_one_warning(
        self, folder: Path, act: Callable[[Tolerant], object]
    ) -> None:
        (folder / NAME).mkdir(parents=True)
        warnings: list[str] = []
        store = Tolerant(Folder(folder), warnings.append)
        assert act(store) in (NOTHING, {})
        act(store)
        assert len(warnings) == 1

    def test_says_nothing_where_nothing_fails(self, folder: Path) -> None:
        warnings: list[str] = []
        store = Tolerant(Folder(folder), warnings.append)
        first = store.write(NAME, b"1", None, durable=True)
        with pytest.raises(ChangedError):
            store.write(NAME, b"2", None, durable=True)
        assert Folder(folder).read(NAME) == first
        assert (store.place, store.is_shared, warnings) == (str(folder), False, [])


class TestWhichPlace:
    @pytest.mark.parametrize(
        ("chosen", "place"),
        [
            ("/chosen", "/chosen"),
            (" /chosen ", "/chosen"),
            ("~/chosen", str(Path.home() / "chosen")),
            ("file:///chosen%20here", "/chosen here"),
            ("file://~/chosen", str(Path.home() / "chosen")),
        ],
    )
    def test_a_folder(self, chosen: str, place: str) -> None:
        store = open_store({"BYTEZ_JOURNAL": chosen}, print)
        assert isinstance(store, Tolerant)
        assert (store.place, store.is_shared) == (place, False)

    @pytest.mark.parametrize("environ", [{}, {"BYTEZ_JOURNAL": ""}, {"BYTEZ_JOURNAL": " "}])
    def test_none_is_that_of_the_platform(self, environ: dict[str, str]) -> None:
        place = Path(open_store(environ, print).place)
        assert place.name == "bytez-provider"
        assert place.is_absolute()

    @pytest.mark.parametrize(
        ("chosen", "kind"),
        [
            ("journal", "relative folder"),
            ("./journal", "relative folder"),
            ("~no-such-user-here/journal", "relative folder"),
            ("file://journal", "relative folder"),
            ("file://localhost/journal", "relative folder"),
            ("https://example.org/journal", "not a known kind of address"),
            ("azblob://container", "not a known kind of address"),
            ("S3://bucket", "not a known kind of address"),
        ],
    )
    def test_what_is_neither_is_refused(self, chosen: str, kind: str) -> None:
        with pytest.raises(ConfigError, match=f"BYTEZ_JOURNAL is '{chosen}', which is (a )?{kind}"):
            open_store({"BYTEZ_JOURNAL": chosen}, print)

    def test_a_bucket_must_work_unless_it_is_accepted_that_it_does_not(self) -> None:
        environ = {"BYTEZ_JOURNAL": "s3://bucket/folder"}
        strict = open_store(environ, print)
        assert isinstance(strict, Bucket)
        for accepted in ("", "0", "true"):
            assert isinstance(
                open_store({**environ, "BYTEZ_ACCEPT_NO_JOURNAL": accepted}, print), Bucket
            )
        lax = open_store({**environ, "BYTEZ_ACCEPT_NO_JOURNAL": "1"}, print)
        assert isinstance(lax, Tolerant)
        for store in (strict, lax):
            assert (store.place, store.is_shared) == ("s3://bucket/folder", True)
