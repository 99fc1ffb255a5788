"""The commands that mend a finding, quoted for a shell.

A name that a shell, a terminal or a comment might read otherwise than it is meant gets no command:
no service and no program of ours makes such names, and a command that was bent to be shown would
not be the exact one.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence

from bytez_provider.audit._document import Mend
from bytez_provider.audit._facts import Facts
from bytez_provider.audit._states import Declared
from bytez_provider.base.errors import printable
from bytez_provider.base.markup import code

EXPORTED = "fleet.yaml"
"""The file that the commands name."""

_LONGEST = 1000


def unload(facts: Facts, model_id: str, effect: str) -> list[Mend]:
    """Unload a model by hand."""
    flags, names = _keyed(facts)
    live = facts.live_by_id.get(model_id)
    is_owned = live is not None and facts.record_of(live) is not None
    yes = ["--yes"] if is_owned or facts.declared_of(model_id) else []
    return _mend(["bytez-fleet", "unload", model_id, *yes, *flags], [model_id, *names], effect)


def unload_unfinished(facts: Facts, effect: str) -> list[Mend]:
    """Unload what the journal has as unfinished, by the same states; clear its records."""
    flags, names = _given(facts)
    return _mend(["bytez-fleet", "unload", "--unfinished", *flags], names, effect)


def run(facts: Facts, model_id: str, effect: str) -> list[Mend]:
    """Run a model."""
    flags, names = _keyed(facts)
    return _mend(["bytez-fleet", "run", model_id, "Hello", *flags], [model_id, *names], effect)


def export(facts: Facts, effect: str) -> list[Mend]:
    """Write a fleet file of what no stack declares."""
    flags, names = _given(facts)
    return _mend(["bytez-fleet", "export", EXPORTED, *flags], names, effect)


def up(stack: str, effect: str, *, adopting: str | None = None) -> list[Mend]:
    """Have Pulumi make it so."""
    found = _mend(["pulumi", "up", "--refresh", "--stack", stack], [stack], effect)
    if adopting is None:
        return found
    if not _is_exact(adopting):
        return []
    adopt = f"BYTEZ_ADOPT={shlex.quote(adopting)}"
    return [one.model_copy(update={"command": f"{adopt} {one.command}"}) for one in found]


def forget(declared: Declared, effect: str) -> list[Mend]:
    """Take a resource out of a state, and leave its load alone."""
    urn, stack = declared.model.urn, declared.stack
    # The readiness of a fleet depends on its models, and is made anew by the next `up`.
    dependents = ["--target-dependents"] if declared.model.readiness == "fleet" else []
    force = ["--force"] if declared.model.protect else []
    flags = [*dependents, *force, "--yes", "--stack", stack]
    return _mend(["pulumi", "state", "delete", urn, *flags], [urn, stack], effect)


def _given(facts: Facts) -> tuple[list[str], list[str]]:
    """Return the flags that gave the states, and the names in them."""
    flags = [part for flag in facts.flags for part in flag]
    return flags, [name for flag in facts.flags for name in flag[1:]]


def _keyed(facts: Facts) -> tuple[list[str], list[str]]:
    """Return the flags that give the commands their key, and the names in them."""
    return (["--stack", facts.keyed_by], [facts.keyed_by]) if facts.keyed_by else ([], [])


def _mend(arguments: Sequence[str], names: Iterable[str], effect: str) -> list[Mend]:
    """Return a command; none where one of the names in it is not shown exactly."""
    if not all(map(_is_exact, names)):
        return []
    return [Mend(command=" ".join(map(shlex.quote, arguments)), effect=effect)]


def _is_exact(name: str) -> bool:
    """Tell whether a name is shown as it is, in a terminal and in Markdown, and is no flag."""
    in_markdown = code(name, limit=_LONGEST) == f"`{name}`"
    return in_markdown and printable(name, limit=_LONGEST) == name and not name.startswith("-")
