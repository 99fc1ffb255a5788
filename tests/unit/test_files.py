"""A file is replaced whole or not at all, and nothing is left beside it."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from bytez_provider.base.files import replace_file

OLD, NEW = b"old" * 50_000, b"new" * 70_000

FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from bytez_provider.base.files import replace_file
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    replace_file(Path(sys.argv[1]), b"n" * 100_000)
except OSError as error:
    print(type(error).__name__, error.errno)
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "file"


def names_beside(file: Path) -> list[str]:
    return [one.name for one in file.parent.iterdir()]


def mode_of(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


def test_a_new_file_is_private_and_an_old_one_keeps_its_permissions(file: Path) -> None:
    replace_file(file, OLD)
    assert (file.read_bytes(), mode_of(file)) == (OLD, 0o600)
    file.chmod(0o640)
    replace_file(file, NEW, mode=0o600, durable=False)
    assert (file.read_bytes(), mode_of(file)) == (NEW, 0o640)
    assert names_beside(file) == ["file"]


def test_other_permissions_of_a_new_file_are_those_that_the_umask_allows(file: Path) -> None:
    other = file.with_name("other")
    other.touch()
    replace_file(file, NEW, mode=0o666)
    assert mode_of(file) == mode_of(other)


def test_a_full_disk_leaves_the_old_file_and_nothing_beside_it(file: Path) -> None:
    file.write_bytes(OLD)
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(file)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.startswith("OSError")
    assert file.read_bytes() == OLD
    assert names_beside(file) == ["file"]


def test_a_link_remains_and_its_target_is_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "real").write_bytes(OLD)
    for name, target in (("link", "folder/real"), ("dangling", "folder/later")):
        link = tmp_path / name
        link.symlink_to(target)
        replace_file(link, NEW)
        assert link.is_symlink()
    assert {one.name: one.read_bytes() for one in folder.iterdir()} == {"real": NEW, "later": NEW}


@pytest.mark.parametrize("kind", ["folder", "pipe", "loop", "missing folder"])
def test_only_a_regular_file_is_replaced(file: Path, kind: str) -> None:
    if kind == "folder":
        file.mkdir()
    elif kind == "pipe":
        os.mkfifo(file)
    elif kind == "loop":
        file.symlink_to(file.name)
    target = file / "none" / "file" if kind == "missing folder" else file
    with pytest.raises(OSError, match=r"."):
        replace_file(target, NEW)
    assert kind == "missing folder" or names_beside(file) == ["file"]


def test_a_reader_sees_the_old_file_or_the_new_one(file: Path) -> None:
    replace_file(file, OLD)
    seen = set()
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.add(file.read_bytes())

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(50):
        replace_file(file, NEW)
        replace_file(file, OLD)
    done.set()
    reader.join()
    assert seen <= {OLD, NEW}
    assert seen
