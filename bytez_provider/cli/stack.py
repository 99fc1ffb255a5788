"""What a Pulumi stack knows, asked of the `pulumi` command in the current folder."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from bytez_provider.base.errors import ConfigError, printable
from bytez_provider.base.urns import STACK_TYPE
from bytez_provider.service.settings import refuse_plain_key
from bytez_provider.stack.states import StackModel, models_of

INSTALL_PULUMI = "https://www.pulumi.com/docs/install"

_PATIENCE_SECONDS = 60
_PROJECT_FILES = ("Pulumi.yaml", "Pulumi.yml", "Pulumi.json")
_NO_KEY = "Update Pulumi, or set BYTEZ_KEY and leave --stack out"


@dataclass(frozen=True)
class StackState:
    """What the state of a stack names.

    Attributes:
        models: The models.
        urn: Any resource of the stack; "" where nothing says which stack it is.
    """

    models: list[StackModel]
    urn: str


def stack_config(stack: str) -> dict[str, str]:
    """Return the `bytez:` settings of a stack by their full names, the key decrypted.

    The key travels through a pipe: it is in no argument and in no file.

    Raises:
        ConfigError: the stack cannot be read.
        PlainTextKeyError: its key is not encrypted.
    """
    verb = "read the configuration of stack"
    told = _pulumi(verb, stack, "config", "--show-secrets", "--json")
    settings = _parsed(told)
    if not isinstance(settings, dict):
        raise _unexpected(verb, stack, "it is not a JSON object", _NO_KEY)
    entries = {
        name: entry
        for name, entry in settings.items()
        if name.startswith("bytez:") and isinstance(entry, dict)
    }
    key = entries.get("bytez:key", {})
    refuse_plain_key(is_set=bool(key.get("value")), is_secret=key.get("secret") is True)
    return {
        name: entry["value"]
        for name, entry in entries.items()
        if isinstance(entry.get("value"), str)
    }


def is_in_project() -> bool:
    """Return whether this folder is that of a Pulumi project, or in one."""
    return _project_file() is not None


def state_of_stack(stack: str | None) -> StackState:
    """Return what the state of a stack names; None for the stack that is selected.

    Raises:
        ConfigError: the stack cannot be read.
    """
    verb = "read the state of stack" if stack else "read the state of the selected stack"
    name = stack or _pulumi(verb, None, "stack", "--show-name").strip()
    told = _parsed(_pulumi(verb, stack, "stack", "export"))
    try:
        return StackState(models_of(told), urn_in(told) or _urn_of(name))
    except ValueError as error:
        raise _unexpected(verb, stack, str(error), "Update Pulumi") from None


def urn_in(state: object) -> str:
    """Return the URN of any resource of a state, of one that was not finished too; "" for none."""
    deployment = state.get("deployment") if isinstance(state, dict) else None
    told = deployment if isinstance(deployment, dict) else {}
    resources, pending = (
        [one for one in told.get(name) or () if isinstance(one, dict)]
        if isinstance(told.get(name), list)
        else []
        for name in ("resources", "pending_operations")
    )
    some = [*resources, *(one.get("resource") for one in pending)]
    urns = (one.get("urn") for one in some if isinstance(one, dict))
    return next((urn for urn in urns if isinstance(urn, str)), "")


def _urn_of(stack: str) -> str:
    """Return the URN of a stack in whose state nothing is; "" where its project is not known."""
    *owner, name = stack.split("/")
    project = owner[1] if owner[1:] else _project_name()
    return f"urn:pulumi:{name}::{project}::{STACK_TYPE}::{project}-{name}" if project else ""


def _project_file() -> Path | None:
    here = Path.cwd()
    files = (folder / name for folder in (here, *here.parents) for name in _PROJECT_FILES)
    return next((file for file in files if file.is_file()), None)


def _project_name() -> str:
    """Return the name of the project in this folder; "" where it cannot be read."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    file = _project_file()
    try:
        if file is None:
            return ""
        return str(YAML(typ="safe", pure=True).load(file.read_text("utf-8"))["name"])
    except (OSError, ValueError, KeyError, TypeError, YAMLError):
        return ""


def stack_names() -> list[str]:
    """Return the names of the stacks that the project in this folder has in its backend.

    Raises:
        ConfigError: they cannot be listed.
    """
    verb = "list the stacks of the project in this folder"
    listed = _parsed(_pulumi(verb, None, "stack", "ls", "--json"))
    try:
        return [str(one["name"]) for one in cast(list[Any], listed)]
    except (TypeError, KeyError):
        raise _unexpected(verb, None, "it is no list of stacks", "Update Pulumi") from None


def pulumi_version() -> str | None:
    """Return the version of the `pulumi` on PATH; None where there is none that answers."""
    try:
        done = _run("version")
    except (OSError, subprocess.TimeoutExpired):
        return None
    return printable(done.stdout, limit=60) or None if done.returncode == 0 else None


def _pulumi(verb: str, stack: str | None, *arguments: str) -> str:
    """Run `pulumi` and return what it prints.

    Raises:
        ConfigError: it is not there, does not end, or fails.
    """
    chosen = [f"--stack={stack}"] if stack else []
    action = "Set BYTEZ_KEY instead of giving --stack, or mend what is named above"
    try:
        done = _run(*arguments, *chosen, "--non-interactive")
    except FileNotFoundError:
        observed = "`pulumi` is not on PATH"
        action = f"Install it from {INSTALL_PULUMI}, or set BYTEZ_KEY and leave --stack out"
    except subprocess.TimeoutExpired:
        observed = f"`pulumi` did not end within {_PATIENCE_SECONDS} s"
    except OSError as error:
        observed = f"`pulumi` could not be started ({error.strerror})"
    else:
        if done.returncode == 0:
            return done.stdout
        said = [line for line in done.stderr.splitlines() if line.strip()]
        told = next((line for line in said if line.startswith("error:")), " ".join(said))
        observed = f"`pulumi` says: {printable(told.removeprefix('error:'))}"
    raise ConfigError(verb=verb, subject=stack or "", observed=observed, action=action)


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["pulumi", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
        timeout=_PATIENCE_SECONDS,
        check=False,
        env={**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true", "NO_COLOR": "1"},
    )


def _parsed(text: str) -> object:
    """Return what a text says as JSON; None where it is not JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _unexpected(verb: str, stack: str | None, told: str, action: str) -> ConfigError:
    return ConfigError(
        verb=verb,
        subject=stack or "",
        observed=f"`pulumi` printed something else than was asked for: {told}",
        action=action,
    )
