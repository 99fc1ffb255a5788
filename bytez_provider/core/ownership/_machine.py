"""Which process works on a load, and whether it still does."""

from __future__ import annotations

import hashlib
import os
import platform
import secrets
from pathlib import Path

from bytez_provider.core.ownership._record import Holder

_living: set[str] = set()
"""The tokens of this process's journals."""


def _machine() -> str:
    """Return what tells machines apart; containers with process numbers of their own are apart."""
    parts = [platform.node()]
    for path in ("/etc/machine-id", "/proc/sys/kernel/random/boot_id"):
        try:
            parts.append(Path(path).read_text(encoding="ascii").strip())
        except (OSError, ValueError):
            parts.append("")
    try:
        parts.append(str(Path("/proc/self/ns/pid").stat().st_ino))
    except OSError:
        parts.append("")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def machine_of_files() -> str:
    """Return what tells apart the disks of machines: the same after a restart."""
    try:
        own = Path("/etc/machine-id").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        own = ""
    return f"{platform.node()}\n{own}"


def _started(pid: int) -> str:
    """Return when a process began; "" where the system does not say."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    # The name of the program, which may hold anything, ends with the last bracket.
    return text.rpartition(")")[2].split()[19]


class Presence:
    """This process, as others see it in the records that it works on."""

    def __init__(self, *, machine: str | None = None, host: str | None = None) -> None:
        self.machine = machine or _machine()
        self.host = host or platform.node() or "an unknown machine"
        self.token = secrets.token_hex(8)
        self._pid = os.getpid()
        self._start = _started(self._pid)
        _living.add(self.token)

    def holder(self) -> Holder:
        """Return what stands in a record while this process works on it."""
        return Holder(
            machine=self.machine,
            host=self.host,
            pid=self._pid,
            started=self._start,
            token=self.token,
        )

    def leave(self) -> None:
        """Be gone, as a process that has ended is."""
        _living.discard(self.token)

    def is_alive(self, holder: Holder) -> bool | None:
        """Return whether the process of a record lives; None where only its beat can say."""
        if holder.machine != self.machine:
            return None
        if holder.pid == self._pid:
            return holder.token in _living
        try:
            os.kill(holder.pid, 0)
        except ProcessLookupError:
            return False
        except OSError:
            pass  # It is there, and somebody else's.
        return _started(holder.pid) == holder.started
