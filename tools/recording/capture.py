"""Runs a command on a terminal of its own and keeps what it writes, and when."""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import struct
import subprocess
import termios
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

# What a terminal is asked, and answers: its background (black), and where the cursor is. Pulumi
# waits seconds for an answer that does not come.
_ANSWERS = {b"\x1b]11;?": b"\x1b]11;rgb:0000/0000/0000\x1b\\", b"\x1b[6n": b"\x1b[1;1R"}


@dataclass(frozen=True)
class Written:
    """A piece of what the command wrote."""

    at: float
    """Seconds since the start."""
    text: str


class CommandFailedError(Exception):
    """The command did not end well; its text is what it wrote."""


def capture(command: Sequence[str], *, columns: int, rows: int, folder: Path) -> list[Written]:
    """Run a command to its end on a terminal of the given size.

    Raises:
        CommandFailedError: its exit code is not 0.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    process = subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, "TERM": "xterm-256color"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        written = list(_read(ours))
    finally:
        os.close(ours)  # Where we end first, the command gets a SIGHUP.
        code = process.wait()
    if code:
        raise CommandFailedError("".join(piece.text for piece in written))
    return written


def _read(terminal: int) -> list[Written]:
    decode = codecs.getincrementaldecoder("utf-8")("replace").decode
    start = time.monotonic()
    written: list[Written] = []
    while True:
        try:
            data = os.read(terminal, 65536)
        except OSError:  # How Linux says that nobody holds the other end any more.
            data = b""
        if not data:
            return written
        for question, answer in _ANSWERS.items():
            if question in data:
                os.write(terminal, answer)
        written.append(Written(time.monotonic() - start, decode(data)))
