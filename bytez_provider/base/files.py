"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from pathlib import Path

_LONGEST_PREFIX = 40


def replace_file(path: Path, content: bytes, *, mode: int = 0o600, durable: bool = True) -> None:
    """Put a file in place of the one that is there.

    A reader sees the old file or the new one, also after a crash. A write that fails leaves the
    old one and nothing beside it; a process that is killed may leave a hidden `.tmp` file. A
    symbolic link remains, and its target is replaced. An existing file keeps its permissions; its
    owner becomes the user who writes, and another hard link keeps the old content.

    Args:
        path: The file. Its folder must exist.
        content: All of it.
        mode: Permissions of a new file, less the umask.
        durable: Whether it must be on disk when this returns, so that a crash of the machine
            loses nothing.

    Raises:
        OSError: It could not be written, or what is there is not a regular file.
    """
    target = Path(os.path.realpath(path))
    kept = _permissions(target)
    draft = target.with_name(f".{target.name[:_LONGEST_PREFIX]}.{secrets.token_hex(8)}.tmp")
    # Never more open than the existing file, not even for a moment.
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode if kept is None else kept)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        if kept is not None:
            draft.chmod(kept)
        draft.replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
        raise
    if durable:
        _sync_folder(target.parent)


def _permissions(target: Path) -> int | None:
    try:
        found = target.stat()
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "it is not a regular file", str(target))
    return stat.S_IMODE(found.st_mode)


def _sync_folder(folder: Path) -> None:
    """Put a new name in the folder on disk, if the system can; a crash may lose it otherwise."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
