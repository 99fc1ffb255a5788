"""Stores of records: what a folder and a bucket have in common, a folder, and the choice."""

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
from bytez_provider.core.ownership import Bucket, ChangedError, Folder, Store, open_store
from bytez_provider.core.ownership._stores import NOTHING, Tolerant
from bytez_provider.service.settings import read_settings

NAME = "record-1.json"
ROUNDS = 40


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state" / "journal"


@pytest.fixture(params=["folder", "bucket"])
def opened(request: pytest.FixtureRequest, folder: Path) -> Callable[[], Store]:
    """Opens one store, as many times as it is called."""
    if request.param == "folder":
        return lambda: Folder(folder)
    bucket = request.getfixturevalue("bucket")
    return lambda: Bucket(f"s3://{bucket}/a/folder")


class TestStore:
    def test_keeps_replaces_and_removes(self, opened: Callable[[], Store]) -> None:
        store = opened()
        assert store.read(NAME) == NOTHING
        assert store.read_all() == {}
        first = store.write(NAME, b"1", None, durable=True)
        assert opened().read(NAME) == first
        second = store.write(NAME, b"2", first.version, durable=False)
        assert opened().read_all() == {NAME: second}
        removed = store.write(NAME, None, second.version, durable=False)
        assert store.read(NAME) == removed
        assert removed.content is None
        assert store.read_all() == {}
        again = store.write(NAME, b"3", removed.version, durable=True)
        assert store.read(NAME) == again

    @pytest.mark.parametrize("content", [b"3", None])
    def test_replaces_only_the_version_that_was_read(
        self, opened: Callable[[], Store], content: bytes | None
    ) -> None:
        store = opened()
        first = store.write(NAME, b"1", None, durable=False)
        with pytest.raises(ChangedError):
            store.write(NAME, content, None, durable=False)
        second = store.write(NAME, b"2", first.version, durable=False)
        with pytest.raises(ChangedError):
            store.write(NAME, content, first.version, durable=False)
        assert store.read(NAME) == second
        store.write(NAME, None, second.version, durable=False)
        with pytest.raises(ChangedError):
            store.write(NAME, b"3", second.version, durable=False)

    @pytest.mark.parametrize("is_one", [True, False], ids=["one store", "a store each"])
    def test_of_many_that_create_a_record_one_does(
        self, opened: Callable[[], Store], is_one: bool
    ) -> None:
        stores = [opened()] * 8 if is_one else [opened() for _ in range(8)]
        entered = threading.Barrier(8)
        done: list[bytes] = []

        def create(number: int) -> None:
            entered.wait()
            content = str(number).encode()
            try:
                stores[number].write(NAME, content, None, durable=False)
            except ChangedError:
                return
            done.append(content)

        threads = [threading.Thread(target=create, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert done == [opened().read(NAME).content]


def count(path: Path) -> None:
    """Add 1 to a number, ROUNDS times."""
    store = Folder(path)
    done = 0
    while done < ROUNDS:
        found = store.read(NAME)
        number = int(found.content or b"0") + 1
        try:
            store.write(NAME, str(number).encode(), found.version, durable=False)
        except ChangedError:
            continue
        done += 1


class TestFolder:
    def test_processes_and_their_threads_lose_no_write(self, folder: Path) -> None:
        spawn = multiprocessing.get_context("spawn")
        counters: list[Any] = [spawn.Process(target=count, args=(folder,)) for _ in range(2)]
        counters += [threading.Thread(target=count, args=(folder,)) for _ in range(2)]
        for one in counters:
            one.start()
        for one in counters:
            one.join()
        assert Folder(folder).read(NAME).content == str(4 * ROUNDS).encode()

    def test_is_for_its_user_only(self, folder: Path) -> None:
        Folder(folder).write(NAME, b"1", None, durable=False)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}

    def test_a_durable_write_is_on_disk(
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
        draft, names = synced
        assert (draft.parent, names) == (folder, folder)

    def test_a_failed_write_changes_nothing(
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

    @pytest.mark.parametrize("act", [lambda one: one.read(NAME), lambda one: one.read_all()])
    def test_an_unreadable_record_is_an_error_or_one_warning(
        self, folder: Path, act: Callable[[Store], object]
    ) -> None:
        (folder / NAME).mkdir(parents=True)
        with pytest.raises(JournalError) as caught:
            act(Folder(folder))
        assert (caught.value.subject, caught.value.observed) == (str(folder), "Is a directory")
        warnings: list[str] = []
        tolerant = Tolerant(Folder(folder), warnings.append)
        for _ in range(2):
            assert act(tolerant) in (NOTHING, {})
        assert len(warnings) == 1


class TestTolerant:
    def test_a_store_that_fails_is_one_warning_and_is_remembered(self, folder: Path) -> None:
        folder.parent.mkdir()
        folder.write_text("a file where the folder would be")
        warnings: list[str] = []
        store = Tolerant(Folder(folder), warnings.append)
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
            f"could not write the journal in '{folder}': File exists. If this deployment is "
            "killed, the next one may not find its loads. Repair the folder, or set BYTEZ_JOURNAL "
            "to another one."
        )

    def test_a_store_that_works_gets_everything(self, folder: Path) -> None:
        warnings: list[str] = []
        store = Tolerant(Folder(folder), warnings.append)
        first = store.write(NAME, b"1", None, durable=True)
        with pytest.raises(ChangedError):
            store.write(NAME, b"2", None, durable=True)
        assert Folder(folder).read(NAME) == first
        assert (store.place, store.is_shared, warnings) == (str(folder), False, [])


class TestOpenStore:
    @pytest.mark.parametrize(
        ("chosen", "place"),
        [
            (" /chosen ", "/chosen"),
            ("~/chosen", str(Path.home() / "chosen")),
            ("file:///chosen%20here", "/chosen here"),
            ("file://~/chosen", str(Path.home() / "chosen")),
        ],
    )
    def test_a_folder(self, chosen: str, place: str) -> None:
        store = open_store(read_settings({}, {"BYTEZ_JOURNAL": chosen}), print)
        assert isinstance(store, Tolerant)
        assert (store.place, store.is_shared) == (place, False)

    @pytest.mark.parametrize("environ", [{}, {"BYTEZ_JOURNAL": " "}])
    def test_by_default_it_is_the_folder_of_the_platform(self, environ: dict[str, str]) -> None:
        place = Path(open_store(read_settings({}, environ), print).place)
        assert place.name == "bytez-provider"
        assert place.is_absolute()

    @pytest.mark.parametrize(
        ("chosen", "kind"),
        [
            ("./journal", "a relative folder"),
            ("~no-such-user-here/journal", "a relative folder"),
            ("file://localhost/journal", "a relative folder"),
            ("https://example.org/journal", "not a known kind of address"),
            ("S3://bucket", "not a known kind of address"),
        ],
    )
    def test_anything_else_is_refused(self, chosen: str, kind: str) -> None:
        with pytest.raises(ConfigError) as caught:
            open_store(read_settings({}, {"BYTEZ_JOURNAL": chosen}), print)
        assert caught.value.observed == f"the journal is set to '{chosen}', which is {kind}"

    @pytest.mark.parametrize("accepted", ["", "0", "true", "1"])
    def test_a_bucket_must_work_unless_the_user_accepts_no_journal(self, accepted: str) -> None:
        environ = {"BYTEZ_JOURNAL": "s3://bucket/folder", "BYTEZ_ACCEPT_NO_JOURNAL": accepted}
        store = open_store(read_settings({}, environ), print)
        assert isinstance(store, Tolerant if accepted == "1" else Bucket)
        assert (store.place, store.is_shared) == ("s3://bucket/folder", True)
