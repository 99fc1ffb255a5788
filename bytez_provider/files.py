"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path


def replace_file(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Put a file in the place of what is there.

    A reader sees the old file or the new one, also after a crash. A write that fails leaves
    the old one, and nothing beside it.

    Args:
        path: The file. Its folder must be there.
        content: All of it.
        durable: Whether it must be on disk when this returns, and not only in the system's
            memory: a crash of the machine then loses nothing.

    Raises:
        OSError: It could not be written.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    draft = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
        raise
    if durable:
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Put on disk which files a folder holds, where the system can do that.

    A name that was added or removed is otherwise lost in a crash, though the file is on disk.
    """
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
