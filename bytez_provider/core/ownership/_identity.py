"""Who acts: the stack that is deployed, and the process that works on a load.

A URN holds the names of stack and project, and no backend. A provider sees the environment of the
CLI and the folder of the project, and so finds the backend as the CLI does. docs/journal.md says
which stacks cannot be told apart.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

from bytez_provider.core.ownership._record import Holder

# ------------------------------------------------------------------------------------ stacks

_CLOUD = "https://api.pulumi.com"
_PROJECT_FILES = ("Pulumi.yaml", "Pulumi.yml", "Pulumi.json")
_FILE = "file://"
_PLACE_IN_QUERY: Final = ("endpoint", "storage_account", "table")
"""The parameters of a backend that say which server, account or table it is. The others say how to
reach it: they may change, or be a secret."""
_PLACE_IN_ENVIRONMENT: Final = {
    "s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"),
    "azblob": ("AZURE_STORAGE_ACCOUNT",),
    "postgres": ("PGHOST", "PGPORT", "PGDATABASE"),
}
"""What the CLI takes from the environment if the address does not say it."""


@dataclass(frozen=True)
class StackIdentity:
    """Where the state of a stack is kept.

    Attributes:
        key: Equal for one place and different for two; holds no secret.
        place: The address for people, without anything that may be a secret.
    """

    key: str
    place: str


def project_file(folder: Path) -> Path | None:
    """Return the file of the Pulumi project that a folder is in; None if it is in none."""
    places = (folder, *folder.parents)
    files = (place / name for place in places for name in _PROJECT_FILES)
    return next((file for file in files if file.is_file()), None)


def stack_identity(environ: Mapping[str, str], folder: Path, *, is_shared: bool) -> StackIdentity:
    """Return where the CLI keeps the state of the stacks of a project.

    Args:
        environ: The environment of the CLI.
        folder: The folder of the program: the project's, or below it.
        is_shared: Whether machines share the journal: files of one path on two machines are then
            two places.
    """
    project = project_file(folder)
    url = environ.get("PULUMI_BACKEND_URL") or _of_project(project) or _of_login(environ) or _CLOUD
    if url.startswith(_FILE):
        # Relative to the folder that the CLI runs in, which a provider does not see if it is below
        # the project's.
        path = unquote(url.removeprefix(_FILE).partition("?")[0])
        if path.startswith("~"):
            path = str(_home(environ) / path[2:])
        base = project.parent if project is not None else folder
        place = f"{_FILE}{(base / path).resolve()}"
        # Without the boot id: the disk is the same after a restart.
        machine = f"{platform.node()}\n{_content('/etc/machine-id')}" if is_shared else ""
        return StackIdentity(_key(f"{place}\n{machine}"), place)
    parts = urlsplit(url)
    place = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}".rstrip("/")
    query = parse_qs(parts.query)
    details = [f"{name}={query[name][-1]}" for name in _PLACE_IN_QUERY if name in query]
    if not details:
        names = _PLACE_IN_ENVIRONMENT.get(parts.scheme, ())
        details = [f"{name}={environ[name]}" for name in names if environ.get(name)]
    return StackIdentity(_key("\n".join((place, *details))), place)


def _of_project(file: Path | None) -> str:
    """Return the backend that a project's file names; "" if it names none."""
    if file is None:
        return ""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        text = file.read_text(encoding="utf-8")
        if "backend" not in text:
            return ""
        return str(YAML(typ="safe", pure=True).load(text)["backend"]["url"] or "")
    except (OSError, ValueError, KeyError, TypeError, YAMLError):
        return ""


def _of_login(environ: Mapping[str, str]) -> str:
    """Return the backend that the user is logged in to; "" if it is not known."""
    home = environ.get("PULUMI_HOME") or _home(environ) / ".pulumi"
    folder = Path(environ.get("PULUMI_CREDENTIALS_PATH") or home)
    try:
        credentials = json.loads((folder / "credentials.json").read_text(encoding="utf-8"))
        return str(credentials["current"] or "")
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _home(environ: Mapping[str, str]) -> Path:
    """Return the user's folder as the CLI finds it: that of the account, not HOME."""
    try:
        import pwd

        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except (ImportError, KeyError):
        return Path(environ.get("HOME") or environ.get("USERPROFILE") or "~").expanduser()


# --------------------------------------------------------------------------------- processes

_living: set[str] = set()
"""The tokens of this process's ledgers."""


_ENDED = ("Z", "X")
"""The states of a process that has ended, as Linux says them."""


class Presence:
    """This process, as others see it in the records that it holds."""

    def __init__(self, *, machine: str | None = None, host: str | None = None) -> None:
        self.machine = machine or _machine()
        self.host = host or platform.node() or "an unknown machine"
        self.token = secrets.token_hex(8)
        self._pid = os.getpid()
        self._start = _started(self._pid)
        _living.add(self.token)

    def holder(self) -> Holder:
        """Return what a record holds while this process works on it."""
        return Holder(
            machine=self.machine,
            host=self.host,
            pid=self._pid,
            started=self._start,
            token=self.token,
        )

    def leave(self) -> None:
        """Be gone, as a process that has ended."""
        _living.discard(self.token)

    def is_alive(self, holder: Holder) -> bool | None:
        """Return whether the process of a record lives; None if only its beat can show it."""
        if holder.machine != self.machine:
            return None
        if holder.pid == self._pid:
            return holder.token in _living
        try:
            os.kill(holder.pid, 0)
        except ProcessLookupError:
            return False
        except OSError:
            pass  # It is there, and another user's.
        return _started(holder.pid) == holder.started


def _machine() -> str:
    """Return a key of this machine; containers with process numbers of their own are apart."""
    try:
        processes = str(Path("/proc/self/ns/pid").stat().st_ino)
    except OSError:
        processes = ""
    ids = (_content("/etc/machine-id"), _content("/proc/sys/kernel/random/boot_id"), processes)
    return _key("\n".join((platform.node(), *ids)))


def _content(path: str) -> str:
    """Return the text of a system file; "" if there is none."""
    try:
        return Path(path).read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def _started(pid: int) -> str:
    """Return when a process began; "" if it has ended, or if the system does not say."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    # The name of the program, which may hold anything, ends with the last bracket.
    state, *rest = text.rpartition(")")[2].split()
    # One that was killed remains in the list until its parent, or process 1, looks.
    return "" if state in _ENDED else rest[18]


def _key(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
