"""`migrate`: the state of a stack, from dynamic resources to native ones or back."""

from __future__ import annotations

import json
import os
import shlex
import uuid
from pathlib import Path

from bytez_provider.base.errors import InvalidInputError, printable
from bytez_provider.base.urns import name_of, type_of
from bytez_provider.base.words import counted
from bytez_provider.cli.screen import DONE, Screen
from bytez_provider.cli.stacks import exported_state, import_state, stack_settings
from bytez_provider.dynamic.providers import pickled
from bytez_provider.stack.moving import Moved, UnclearError, moved

_NAME_LIMIT = 200


def migrate(stack: str, to: str, screen: Screen, *, yes: bool) -> int:
    """Show what changes in the state of a stack; with `yes`, keep the old one in a file and write.

    Args:
        stack: The name of the stack.
        to: "native" or "dynamic".
        screen: Where it is shown.
        yes: Whether to write the state.

    Raises:
        PlainTextKeyError: The key of the stack is not encrypted.
        InvalidInputError: Something is unclear, or the file for the old state exists.
        ConfigError: `pulumi` could not read or write the state.
    """
    name = printable(stack, limit=_NAME_LIMIT)
    before = exported_state(stack)
    settings = stack_settings(stack)
    try:
        after = moved(
            before,
            to,
            pickled=pickled(),
            settings=settings,
            new_id=lambda: str(uuid.uuid4()),
        )
    except UnclearError as error:
        raise InvalidInputError(
            verb="migrate stack", subject=name, observed=error.observed, action=error.action
        ) from None
    backup = Path(f"{stack.rpartition('/')[2]}-before-{to}.json")
    is_written = yes and bool(after.urns)
    if is_written:
        _keep(before, backup, name)
        import_state(
            stack,
            after.document,
            action=f"Fix what is named above, move {backup} away, which is the state from before, "
            "and run this again",
        )
    kept = str(backup) if is_written else None
    screen.document(_document(stack, to, after, kept))
    if not after.urns:
        screen.say(f"nothing to migrate: no resource of stack '{name}' is to become {to}")
        return DONE
    _show(after, screen)
    count = counted(len(after.urns), "resource")
    if not is_written:
        screen.note(f"nothing was changed: with --yes, {count} of stack '{name}' become {to}")
        return DONE
    screen.say(f"{count} of stack '{name}' became {to}; nothing was loaded or unloaded")
    screen.note("change the program now, and see that it changes nothing, before any `pulumi up`:")
    screen.hint(shlex.join(["pulumi", "preview", "--expect-no-changes", "--stack", stack]))
    screen.note(f"to undo this before the next `pulumi up`, import the state from {backup}:")
    screen.hint(shlex.join(["pulumi", "stack", "import", "--file", str(backup), "--stack", stack]))
    return DONE


def _keep(state: object, backup: Path, stack: str) -> None:
    """Write the state to a new file, which only this user may read."""
    shown = printable(str(backup), limit=_NAME_LIMIT)
    try:
        handle = os.open(backup, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(state, file, indent=4)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        observed = f"'{shown}', which would keep the state, exists already"
    except OSError as error:
        observed = f"'{shown}', which would keep the state, cannot be written ({error.strerror})"
    else:
        return
    raise InvalidInputError(
        verb="migrate stack",
        subject=stack,
        observed=observed,
        action="Move that file away, or run this in a folder that you may write to",
    )


def _show(after: Moved, screen: Screen) -> None:
    rows = [[name_of(old), type_of(old), type_of(new)] for old, new in after.urns.items()]
    rows += [[name_of(urn), type_of(urn), "its inputs and outputs"] for urn in after.fleets]
    rows += [[name_of(urn), type_of(urn), "removed"] for urn in after.removed]
    rows += [[name_of(urn), "added", type_of(urn)] for urn in after.added]
    screen.table(
        ["RESOURCE...", "BEFORE", "AFTER"],
        [[printable(cell, limit=_NAME_LIMIT) for cell in row] for row in rows],
    )


def _document(stack: str, to: str, after: Moved, backup: str | None) -> dict[str, object]:
    return {
        "stack": stack,
        "to": to,
        "written": backup is not None,
        "backup": backup,
        "resources": [{"before": old, "after": new} for old, new in after.urns.items()],
        "fleets": list(after.fleets),
        "providers": {"added": list(after.added), "removed": list(after.removed)},
    }
