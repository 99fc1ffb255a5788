"""docs/commands.md, made from the command line itself."""

from __future__ import annotations

from typing import Any

import typer

from bytez_provider.cli.app import app

_HEAD = """\
# Options of bytez-fleet

<!-- made by `python -m tools.reference` -->

Every command with its arguments and options. [bytez-fleet](cli.md) has the overview, exit codes and
the codes of JSON documents. These options come before the command:
"""


def commands_page() -> str:
    """Return the page."""
    group: Any = typer.main.get_command(app)
    sections = [_section(name, command) for name, command in group.commands.items()]
    return "\n".join([_HEAD, _table(group, typer.Context(group)), *sections])


def _section(name: str, command: Any) -> str:
    context = typer.Context(command, info_name=name)
    # Without [OPTIONS], which every command has, and the braces of typer.
    usage = [word.strip("{}") for word in command.collect_usage_pieces(context)[1:]]
    paragraphs = [" ".join(one.split()) for one in command.help.split("\n\n")]
    return "\n".join(
        [
            f"## {name}",
            "",
            f"`{' '.join(['bytez-fleet', name, *usage])}`",
            "",
            *(line for one in paragraphs for line in (one, "")),
            _table(command, context),
        ]
    )


def _table(command: Any, context: Any) -> str:
    rows = [_row(one, context) for one in command.params if one.name != "help"]
    return "\n".join(["| argument, option | meaning |", "| --- | --- |", *rows, ""])


def _row(param: Any, context: Any) -> str:
    name, text = param.get_help_record(context)
    if param.param_type_name == "argument":
        name = name.partition(" ")[0]
    cell = name.replace("|", "\\|")
    return f"| `{cell}` | {' '.join(text.split())} |"
