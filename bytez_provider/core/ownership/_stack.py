"""What tells apart two stacks of one name: where their state is kept.

A URN holds the names of stack and project, and no backend. A provider sees the environment of the
CLI and the folder of the project, and with them what the CLI itself goes by. It does not see the
organisation: two stacks of one name, of two organisations of one Pulumi Cloud, cannot be told
apart. Nor can copies of one state, two machines made from one image that keep their states in
files at one path, or two folders from which one project is deployed to a relative `file://`.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

from bytez_provider.core.ownership._machine import machine_of_files

_CLOUD = "https://api.pulumi.com"
_PROJECT_FILES = ("Pulumi.yaml", "Pulumi.yml", "Pulumi.json")
_FILE = "file://"
_PLACE_IN_QUERY: Final = ("endpoint", "storage_account", "table")
"""What of a backend's query says which server, account or table it is; the rest is how to reach
it, and may change, or be a secret."""
_PLACE_IN_ENVIRONMENT: Final = {
    "s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"),
    "azblob": ("AZURE_STORAGE_ACCOUNT",),
    "postgres": ("PGHOST", "PGPORT", "PGDATABASE"),
}
"""What the CLI takes from the environment where the address does not say it."""


@dataclass(frozen=True)
class StackIdentity:
    """Where the state of a stack is kept.

    Attributes:
        key: Equal for one place and different for two; holds no secret.
        place: The address for people, without what may be a secret in it.
    """

    key: str
    place: str


def stack_identity(environ: Mapping[str, str], folder: Path, *, is_shared: bool) -> StackIdentity:
    """Return where the CLI keeps the state of the stacks of a project.

    Args:
        environ: The environment of the CLI.
        folder: The folder of the program, in the project's or below it.
        is_shared: Whether the journal is shared by machines: files of one path on two machines
            are then two places.
    """
    project = _project(folder)
    url = environ.get("PULUMI_BACKEND_URL") or _of_project(project) or _of_login(environ) or _CLOUD
    if url.startswith(_FILE):
        path = _path(url.removeprefix(_FILE), environ, project or folder)
        machine = machine_of_files() if is_shared else ""
        return StackIdentity(_key(f"{_FILE}{path}\n{machine}"), f"{_FILE}{path}")
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    place = f"{parts.scheme}://{host}{parts.path}".rstrip("/")
    query = parse_qs(parts.query)
    named = [f"{name}={query[name][-1]}" for name in _PLACE_IN_QUERY if name in query]
    unnamed = [
        f"{name}={environ[name]}"
        for name in _PLACE_IN_ENVIRONMENT.get(parts.scheme, ())
        if environ.get(name) and not named
    ]
    return StackIdentity(_key("\n".join((place, *named, *unnamed))), place)


def _key(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _path(text: str, environ: Mapping[str, str], base: Path) -> str:
    """Return the folder that the CLI reads in a `file://` address.

    What is relative is relative to the folder that the CLI runs in, which is the project's, or one
    below it that a provider does not see.
    """
    text = unquote(text.partition("?")[0])
    if text.startswith("~"):
        text = str(_home(environ) / text[2:])
    return str((base / text).resolve())


def _home(environ: Mapping[str, str]) -> Path:
    """Return the user's folder as the CLI finds it: that of the account, whatever HOME says."""
    try:
        import pwd

        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except (ImportError, KeyError):
        return Path(environ.get("HOME") or environ.get("USERPROFILE") or "~").expanduser()


def _project(folder: Path) -> Path | None:
    places = (folder, *folder.parents)
    return next((p for p in places if any((p / f).is_file() for f in _PROJECT_FILES)), None)


def _of_project(project: Path | None) -> str:
    """Return the backend that a project's file names; "" where it names none."""
    if project is None:
        return ""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    file = next(project / f for f in _PROJECT_FILES if (project / f).is_file())
    try:
        text = file.read_text(encoding="utf-8")
        if "backend" not in text:
            return ""
        told = YAML(typ="safe", pure=True).load(text)
        return str(told["backend"]["url"] or "")
    except (OSError, ValueError, KeyError, TypeError, YAMLError):
        return ""


def _of_login(environ: Mapping[str, str]) -> str:
    """Return the backend that the user is logged in to; "" where that is not known."""
    home = environ.get("PULUMI_HOME") or _home(environ) / ".pulumi"
    folder = Path(environ.get("PULUMI_CREDENTIALS_PATH") or home)
    try:
        told: Any = json.loads((folder / "credentials.json").read_text(encoding="utf-8"))
        return str(told["current"] or "")
    except (OSError, ValueError, KeyError, TypeError):
        return ""
