"""The states that a command compares with, from the `pulumi` command or from files."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bytez_provider.audit import Facts, Source
from bytez_provider.base.errors import ConfigError, InvalidFileError, printable
from bytez_provider.base.urns import STACK_TYPE
from bytez_provider.core.inputs import is_model_id
from bytez_provider.core.ownership import Owner, project_file
from bytez_provider.service.apis import APIS
from bytez_provider.service.pricing import prices_of
from bytez_provider.service.settings import refuse_plain_key
from bytez_provider.stack.states import models_of

if TYPE_CHECKING:
    from bytez_provider.cli.session import Session

INSTALL_PULUMI = "https://www.pulumi.com/docs/install"

_PATIENCE_SECONDS = 60
_LARGEST_MIB = 256


@dataclass(frozen=True)
class Wanted:
    """The states that the command line names."""

    stacks: Sequence[str]
    """Names of stacks; the first one gives key and settings."""
    states: Sequence[Path]
    """Files with what `pulumi stack export` printed."""
    every: bool
    """Whether all stacks of the project in this folder are wanted."""

    @property
    def keyed_by(self) -> str | None:
        """The stack that gives key and settings; None for the environment."""
        return self.stacks[0] if self.stacks else None

    @property
    def flags(self) -> list[tuple[str, ...]]:
        """The flags that name these states; empty if there are none."""
        return [
            *(("--stack", name) for name in self.stacks),
            *(("--state", str(path)) for path in self.states),
            *([("--all",)] if self.every else []),
        ]

    def read(self, session: Session) -> list[Source]:
        """Read the states, files first."""
        saved = self.saved()
        return [*self.of_stacks(session), *saved]

    def saved(self) -> list[Source]:
        """Read the files."""
        return [_saved(path) for path in self.states]

    def of_stacks(self, session: Session) -> Iterator[Source]:
        """Read the states of the stacks through Pulumi."""
        others = _stack_names() if self.every else []
        for name in dict.fromkeys([*self.stacks, *others]):
            session.screen.progress(f"reading the state of stack {printable(name, limit=60)}")
            yield _source_of(session, name)


def facts_of(session: Session, wanted: Wanted) -> Facts:
    """Return what the states say and what runs."""
    settings, screen = session.settings, session.screen
    api = APIS[settings.api_version]
    settings.require_key("look at what is loaded")
    saved = wanted.saved()
    with screen.showing_progress("reading the journal"):
        # Before the states: whatever a deployment finishes in the meantime is then in a state.
        listed = session.client.instances()
        records = session.ledger.records(listed)
        held = session.held(records)
        sources = [*wanted.of_stacks(session), *saved]
        screen.progress("asking the service what is loaded")
        # The list may leave a model out: models that are named are asked for.
        named = [one.model_id for one in records if one.is_unfinished]
        named += [
            model.model_id
            for source in sources
            for model in source.models
            if model.is_of(settings.endpoint, settings.account, api.in_state) and not model.external
        ]
        model_ids = [*(one.model_id for one in listed), *filter(is_model_id, named)]
        live = session.live_of(model_ids, listed)
        catalogue = session.catalogue.get()
    return Facts(
        # Whole seconds, as the service sends it: a fraction could begin another billed minute.
        now=session.client.server_now().replace(microsecond=0),
        endpoint=settings.endpoint,
        account=settings.account,
        api_version=settings.api_version,
        prices=prices_of(settings),
        catalogue=catalogue,
        live=list(live.values()),
        records=records,
        held=held,
        sources=sources,
        flags=wanted.flags,
        keyed_by=wanted.keyed_by,
    )


# ------------------------------------------------------------------------- the pulumi command


def stack_config(stack: str) -> dict[str, str]:
    """Return the `bytez:` settings of a stack by their full names, the key decrypted.

    The key comes through a pipe: it is in no argument and in no file.

    Raises:
        ConfigError: The stack cannot be read.
        PlainTextKeyError: Its key is not encrypted.
    """
    return {f"bytez:{name}": value for name, (value, _) in stack_settings(stack).items()}


def stack_settings(stack: str) -> dict[str, tuple[str, bool]]:
    """Return the `bytez:` settings of a stack, decrypted, and whether each is a secret.

    Raises:
        ConfigError, PlainTextKeyError: As for `stack_config`.
    """
    verb = "read the configuration of stack"
    settings = _parsed(_pulumi(verb, stack, "config", "--show-secrets", "--json"))
    if not isinstance(settings, dict):
        action = "Update Pulumi, or set BYTEZ_KEY and leave out --stack"
        raise _unexpected(verb, stack, "it is not a JSON object", action)
    entries = {name: one for name, one in settings.items() if isinstance(one, dict)}
    key = entries.get("bytez:key", {})
    refuse_plain_key(is_set=bool(key.get("value")), is_secret=key.get("secret") is True)
    return {
        name.removeprefix("bytez:"): (entry["value"], entry.get("secret") is True)
        for name, entry in entries.items()
        if name.startswith("bytez:") and isinstance(entry.get("value"), str)
    }


def exported_state(stack: str) -> object:
    """Return what `pulumi stack export` prints of a stack, with its secrets encrypted.

    Raises:
        ConfigError: It cannot be read.
    """
    verb = "read the state of stack"
    action = "Fix what is named above, and run this again"
    state = _parsed(_pulumi(verb, stack, "stack", "export", action=action))
    if state is None:
        raise _unexpected(verb, stack, "it is not JSON", "Update Pulumi")
    return state


def import_state(stack: str, state: object, *, action: str) -> None:
    """Put a state in place of a stack's own, with `pulumi stack import`.

    Args:
        stack: The name of the stack.
        state: As `exported_state` returns it.
        action: What to do if it fails.

    Raises:
        ConfigError: Pulumi did not confirm it.
    """
    text = json.dumps(state)
    try:
        _pulumi("write the state of stack", stack, "stack", "import", action=action, text=text)
    except ConfigError as error:
        unsure = "Pulumi did not confirm that the state was replaced"
        raise error.restated(state=unsure) from None


def own_source(session: Session) -> list[Source]:
    """Return the state of the session's stack; without one, of the selected stack if any may be.

    Raises:
        ConfigError: It cannot be read.
    """
    if session.stack is None and project_file(Path.cwd()) is None:
        return []
    return [_source_of(session, session.stack)]


def _source_of(session: Session, stack: str | None) -> Source:
    """Return the state of a stack; None for the selected stack."""
    verb = "read the state of stack" if stack else "read the state of the selected stack"
    name = stack or _pulumi(verb, None, "stack", "--show-name").strip()
    state = _parsed(_pulumi(verb, stack, "stack", "export"))
    try:
        models = models_of(state)
    except ValueError as error:
        raise _unexpected(verb, stack, str(error), "Update Pulumi") from None
    place = session.identity
    owner = Owner(urn=_urn_in(state) or _urn_of(name), stack=place.key, place=place.place)
    return Source("stack", stack or owner.stack_name, models, owner)


def _stack_names() -> list[str]:
    verb = "list the stacks of the project in this folder"
    listed = _parsed(_pulumi(verb, None, "stack", "ls", "--json"))
    if isinstance(listed, list) and all(isinstance(one, dict) and "name" in one for one in listed):
        return [str(one["name"]) for one in listed]
    raise _unexpected(verb, None, "it is not a list of stacks", "Update Pulumi")


def pulumi_version() -> str | None:
    """Return the version of the `pulumi` on PATH; None if none answers."""
    try:
        done = _run("version")
    except (OSError, subprocess.TimeoutExpired):
        return None
    return printable(done.stdout, limit=60) or None if done.returncode == 0 else None


def _urn_in(state: Any) -> str:
    """Return the URN of any resource of a state that `models_of` has read; "" for none."""
    deployment = state["deployment"]
    pending = deployment.get("pending_operations")
    pending = [one for one in pending if isinstance(one, dict)] if isinstance(pending, list) else []
    some = [*(deployment.get("resources") or []), *(one.get("resource") for one in pending)]
    urns = (one.get("urn") for one in some if isinstance(one, dict))
    return next((urn for urn in urns if isinstance(urn, str)), "")


def _urn_of(stack: str) -> str:
    """Return the URN of a stack whose state is empty; "" if its project is unknown."""
    *owner, name = stack.split("/")
    project = owner[1] if owner[1:] else _project_name()
    return f"urn:pulumi:{name}::{project}::{STACK_TYPE}::{project}-{name}" if project else ""


def _project_name() -> str:
    """Return the name of the project in this folder; "" if it cannot be read."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    file = project_file(Path.cwd())
    try:
        if file is None:
            return ""
        return str(YAML(typ="safe", pure=True).load(file.read_text("utf-8"))["name"])
    except (OSError, ValueError, KeyError, TypeError, YAMLError):
        return ""


def _pulumi(
    verb: str,
    stack: str | None,
    *arguments: str,
    action: str = "Set BYTEZ_KEY instead of giving --stack, or fix what is named above",
    text: str = "",
) -> str:
    chosen = [f"--stack={stack}"] if stack else []
    try:
        done = _run(*arguments, *chosen, "--non-interactive", text=text)
    except FileNotFoundError:
        observed = "`pulumi` is not on PATH"
        action = f"Install it from {INSTALL_PULUMI}, or set BYTEZ_KEY and leave out --stack"
    except subprocess.TimeoutExpired:
        observed = f"`pulumi` did not end within {_PATIENCE_SECONDS} s"
    except OSError as error:
        observed = f"`pulumi` could not be started ({error.strerror})"
    else:
        if done.returncode == 0:
            return done.stdout
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        said = next((line for line in lines if line.startswith("error:")), " ".join(lines))
        observed = f"`pulumi` says: {printable(said.removeprefix('error:'))}"
    raise ConfigError(verb=verb, subject=stack or "", observed=observed, action=action)


def _run(*arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["pulumi", *arguments],
        input=text,
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
        timeout=_PATIENCE_SECONDS,
        check=False,
        env={**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true", "NO_COLOR": "1"},
    )


def _parsed(text: str) -> object:
    """Return a text as JSON has it; None if it is not JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _unexpected(verb: str, stack: str | None, why: str, action: str) -> ConfigError:
    observed = f"`pulumi` printed something unexpected: {why}"
    return ConfigError(verb=verb, subject=stack or "", observed=observed, action=action)


# --------------------------------------------------------------------------------- saved states


def _saved(path: Path) -> Source:
    try:
        # Checked first, because opening a pipe waits for a writer.
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise ValueError("it is not a file")
        if found.st_size > _LARGEST_MIB << 20:
            raise ValueError(f"it is larger than {_LARGEST_MIB} MiB")
        state = json.loads(path.read_bytes())
        # A file does not say where its stack is kept: only the names in it are known.
        return Source("state", str(path), models_of(state), Owner(urn=_urn_in(state)))
    except OSError as error:
        observed = f"the system says: {error.strerror}"
    except RecursionError:
        observed = "it is nested too deeply"
    except (json.JSONDecodeError, UnicodeDecodeError):
        observed = "it is not JSON"
    except ValueError as error:
        observed = str(error)
    raise InvalidFileError(
        verb="read the state in",
        subject=printable(str(path), limit=200),
        observed=observed,
        action="Give a file with what `pulumi stack export` prints",
    )
