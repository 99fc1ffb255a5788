"""What a Pulumi stack knows, asked of the `pulumi` command in the current folder."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bytez_provider.config import Settings, refuse_plain_key
from bytez_provider.errors import ConfigError, printable

INSTALL_PULUMI = "https://www.pulumi.com/docs/install"

_PATIENCE_SECONDS = 60
_PROJECT_FILES = ("Pulumi.yaml", "Pulumi.yml", "Pulumi.json")
_MODEL_TYPE = "pulumi-python:dynamic/bytez:Model"


@dataclass(frozen=True)
class Declared:
    """A model that a stack's state names."""

    model_id: str
    urn: str

    @property
    def name(self) -> str:
        """The name of the resource."""
        # urn:pulumi:<stack>::<project>::<type>::<name>, and a name may hold "::" itself.
        return self.urn.split("::", 3)[-1]

    @property
    def stack(self) -> str:
        """The name of the stack."""
        return self.urn.removeprefix("urn:pulumi:").split("::", 1)[0]


def stack_config(stack: str) -> dict[str, str]:
    """Return the `bytez:` settings of a stack by their full names, the key decrypted.

    The key travels through a pipe: it is in no argument and in no file.

    Raises:
        ConfigError: the stack cannot be read.
        PlainTextKeyError: its key is not encrypted.
    """
    verb = "read the configuration of stack"
    told = _pulumi(verb, stack, "config", "--show-secrets", "--json")
    entries = {
        name: entry
        for name, entry in _object(told, verb, stack).items()
        if name.startswith("bytez:") and isinstance(entry, dict)
    }
    key = entries.get("bytez:key", {})
    refuse_plain_key(is_set=bool(key.get("value")), is_secret=key.get("secret") is True)
    return {
        name: entry["value"]
        for name, entry in entries.items()
        if isinstance(entry.get("value"), str)
    }


def declared_models(stack: str | None, settings: Settings) -> list[Declared]:
    """Return the models of this endpoint and account that a stack's state names.

    Args:
        stack: Its name; None for the one that is selected, where the folder has a project.
        settings: Say which endpoint and account are meant.

    Raises:
        ConfigError: the stack cannot be read.
    """
    here = Path.cwd()
    in_project = any(
        (folder / f).is_file() for folder in (here, *here.parents) for f in _PROJECT_FILES
    )
    if stack is None and not in_project:
        return []
    verb = "read the state of stack" if stack else "read the state of the selected stack"
    state = _object(_pulumi(verb, stack, "stack", "export"), verb, stack or "")
    deployment = state.get("deployment")
    resources = deployment.get("resources") if isinstance(deployment, dict) else None
    return [
        Declared(resource["id"], resource["urn"])
        for resource in resources or []
        if _is_managed_model(resource) and _is_of(resource.get("outputs") or {}, settings)
    ]


def _is_managed_model(resource: dict[str, Any]) -> bool:
    # What a program only reads (`Model.get`) is external; what is being replaced has `delete`.
    is_model = resource.get("type") == _MODEL_TYPE and bool(resource.get("id"))
    return is_model and not resource.get("external") and not resource.get("delete")


def _is_of(outputs: dict[str, Any], settings: Settings) -> bool:
    """Tell whether a load may be one of this account: an unreadable property may be anything."""
    told = {"endpoint": settings.endpoint, "account": settings.account}
    return all(
        outputs.get(name) == value or not isinstance(outputs.get(name), str)
        for name, value in told.items()
    )


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


def _object(text: str, verb: str, stack: str) -> dict[str, Any]:
    try:
        told = json.loads(text)
    except ValueError:
        told = None
    if not isinstance(told, dict):
        raise ConfigError(
            verb=verb,
            subject=stack,
            observed="`pulumi` printed something that is not a JSON object",
            action="Update Pulumi, or set BYTEZ_KEY and leave --stack out",
        )
    return told
