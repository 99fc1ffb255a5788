"""The commands and their arguments. What they do is in the modules beside this one.

A command imports its module when it runs, so that `--help` does not wait for all of them.
"""

from __future__ import annotations

import math
import os
import sys
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer
from typer import Argument, Option

from bytez_provider import __version__
from bytez_provider.base.errors import BytezError, ErrorCode
from bytez_provider.cli.screen import INTERRUPTED, USAGE, Screen, code_of, error_document
from bytez_provider.core.inputs import INPUTS

if TYPE_CHECKING:
    from bytez_provider.cli.session import Session
    from bytez_provider.cli.stacks import Wanted

_PROGRAM = "bytez-fleet"

# No version of typer has a public name for the base class of its usage errors.
_UsageError: type[Exception] = typer.BadParameter.__bases__[0]

app = typer.Typer(
    name=_PROGRAM,
    help="Look at Bytez models, and load, run and unload them by hand.\n\n"
    "The key comes from the stack that --stack names, or from BYTEZ_KEY.",
    epilog="Exit codes: 0 done, 1 failed, 2 wrong usage, settings or file, 3 audit, "
    "review or doctor found something, 130 interrupted. With --json, a command that fails prints "
    '{"error": {"code": "...", "message": "..."}}.',
    add_completion=False,
    pretty_exceptions_enable=False,
    # Plain help: rich's frames are wide, and rich is slow to import.
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Json = Annotated[bool, Option("--json", help="Print a JSON document, for programs.")]
_STACKS_HELP = "A stack of this folder's project. May be repeated; the first gives the settings."
_STATE_HELP = "A file with the output of `pulumi stack export`. May be repeated."
Stack = Annotated[
    str | None,
    Option("--stack", metavar="NAME", help="Use the settings of this stack, and its key."),
]
Stacks = Annotated[list[str] | None, Option("--stack", metavar="NAME", help=_STACKS_HELP)]
States = Annotated[list[Path] | None, Option("--state", metavar="FILE", help=_STATE_HELP)]
AllStacks = Annotated[bool, Option("--all", help="Every stack of this folder's project.")]
ModelId = Annotated[str, Argument(metavar="MODEL", help="The model, as owner/name.")]


# Name and value are equal: some releases of click look up a default by its name, others by value.
ReviewForm = Enum("ReviewForm", {"table": "table", "md": "md"})
ExportForm = Enum("ExportForm", {"fleet": "fleet", "pulumi-import": "pulumi-import"})
AuditForm = Enum("AuditForm", {"table": "table", "md": "md", "html": "html"})
Face = Enum("Face", {"native": "native", "dynamic": "dynamic"})
FailOn = Enum(
    "FailOn",
    {
        "REPLACE": "replace",
        "DRIFT": "drift",
        "VIOLATION": "violation",
        "UNKNOWN_COST": "unknown-cost",
    },
)


def _show_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"{_PROGRAM} {__version__}\n")
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[
        bool, Option("--debug", help="Log each request and its answer, as BYTEZ_LOG=debug does.")
    ] = False,
    _version: Annotated[
        bool,
        Option(
            "--version", callback=_show_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    if debug:
        os.environ["BYTEZ_LOG"] = "debug"


def run_app() -> int:
    """Run the command that the process was started with, and return its exit code."""
    arguments = sys.argv[1:] or ["--help"]
    try:
        return cast(int, app(arguments, prog_name=_PROGRAM, standalone_mode=False))
    except _UsageError as error:
        return _fail(arguments, USAGE, ErrorCode.INVALID_INPUT, _usage_line(error))
    except BytezError as error:
        return _fail(arguments, code_of(error), error.code, str(error))
    except (KeyboardInterrupt, typer.Abort):
        # The terminal shows the ^C. A command that has more to say has said it.
        return INTERRUPTED


def _fail(arguments: list[str], exit_code: int, code: ErrorCode, sentence: str) -> int:
    sys.stderr.write(sentence + "\n")
    # Usage can be wrong before any option was read.
    if "--json" in arguments:
        sys.stdout.write(error_document(code, sentence) + "\n")
    return exit_code


def _usage_line(error: Exception) -> str:
    said = getattr(error, "format_message", error.__str__)()
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else _PROGRAM
    return f"{command}: {' '.join(said.split()).rstrip('.')} (see `{command} --help`)"


def _session(stack: str | None, as_json: bool) -> Session:
    from bytez_provider.cli.session import Session

    return Session(stack, Screen(as_json=as_json))


def _wanted(stack: list[str] | None, state: list[Path] | None, every: bool) -> Wanted:
    from bytez_provider.cli.stacks import Wanted

    return Wanted(stack or [], state or [], every)


def _refuse_format(as_json: bool, form: Enum) -> None:
    if as_json and form.value != "table":
        raise typer.BadParameter("use either --json or --format", param_hint="--format")


# ---------------------------------------------------------------------------------------- look


@app.command()
def models(
    search: Annotated[str | None, Option(metavar="TEXT", help="Only names with this text.")] = None,
    benchmarked: Annotated[bool, Option("--benchmarked", help="Only benchmarked models.")] = False,
    stack: Stack = None,
    as_json: Json = False,
) -> int:
    """List the models that can be loaded."""
    from bytez_provider.cli import look

    return look.models(_session(stack, as_json), search=search, benchmarked_only=benchmarked)


@app.command()
def instances(stack: Stack = None, as_json: Json = False) -> int:
    """List the models that are loaded."""
    from bytez_provider.cli import look

    return look.instances(_session(stack, as_json))


@app.command()
def status(
    model: ModelId,
    watch: Annotated[bool, Option("--watch", help="Show each change until Ctrl-C.")] = False,
    stack: Stack = None,
    as_json: Json = False,
) -> int:
    """Show status, idle time left and cost of a model."""
    from bytez_provider.cli import look

    return look.status(_session(stack, as_json), model, watches=watch)


@app.command()
def run(
    model: ModelId,
    text: Annotated[str, Argument(metavar="TEXT", help='The prompt; "-" reads stdin.')],
    param: Annotated[
        list[str] | None,
        Option(metavar="K=V", help="A parameter, like max_length=256. May be repeated."),
    ] = None,
    no_stream: Annotated[bool, Option("--no-stream", help="Print it when complete.")] = False,
    stack: Stack = None,
    as_json: Json = False,
) -> int:
    """Run a loaded model on a text and print the answer as it comes."""
    from bytez_provider.cli import look

    params = look.params_of(param or [])
    return look.run(_session(stack, as_json), model, text, params, stream=not no_stream)


# ----------------------------------------------------------------------------- load and unload


@app.command()
def load(
    model: ModelId,
    concurrency: Annotated[int, Option(metavar="N", help=INPUTS["concurrency"].help)] = 1,
    max_concurrency: Annotated[
        int | None, Option(metavar="N", help=INPUTS["max_concurrency"].help)
    ] = None,
    expiration_period_seconds: Annotated[
        int | None, Option(metavar="S", help=INPUTS["expiration_period_seconds"].help)
    ] = None,
    no_wait: Annotated[bool, Option("--no-wait", help="Return once it is accepted.")] = False,
    timeout: Annotated[
        float, Option(metavar="S", min=1, help="Seconds; unload it if it is not RUNNING by then.")
    ] = 1800,
    stack: Stack = None,
    as_json: Json = False,
) -> int:
    """Load a model by hand and wait until it is RUNNING.

    No stack owns such a load. Ctrl-C ends the wait and leaves the model booting. A load that fails
    is unloaded.
    """
    from bytez_provider.cli import loads

    session = _session(stack, as_json)
    inputs = session.inputs(
        "load",
        model,
        concurrency=concurrency,
        maxConcurrency=max_concurrency,
        expirationPeriodSeconds=expiration_period_seconds,
    )
    return loads.load(session, inputs, waits=not no_wait, limit_seconds=timeout)


@app.command()
def unload(
    models: Annotated[
        list[str] | None, Argument(metavar="MODEL", help="The models, as owner/name.")
    ] = None,
    yes: Annotated[bool, Option("--yes", help="Unload it even if a stack has it.")] = False,
    unfinished: Annotated[
        bool, Option("--unfinished", help="Unload what deployments left behind.")
    ] = False,
    stack: Stacks = None,
    state: States = None,
    all_stacks: AllStacks = False,
    as_json: Json = False,
) -> int:
    """Unload models and wait until they are gone.

    --yes is needed for a model that a stack declares or, by the journal, owns. The states to check
    are those of --stack, --state or --all; without these, that of the project's selected stack.

    --unfinished leaves alone what a given state names, and loads of stacks whose state is not
    given. Without any state, it unloads only loads whose request got no answer. Do not use it
    during a `pulumi up` of the stack, which may be waiting for such a load.
    """
    from bytez_provider.cli import loads

    if bool(models) == unfinished:
        raise typer.BadParameter("name the models, or give --unfinished", param_hint="MODEL")
    if unfinished and yes:
        raise typer.BadParameter("needs the names of models", param_hint="--yes")
    wanted = _wanted(stack, state, all_stacks)
    session = _session(wanted.keyed_by, as_json)
    if unfinished:
        return loads.unload_unfinished(session, wanted)
    return loads.unload(session, wanted, models or [], yes=yes)


# --------------------------------------------------------------------------------- fleet files


@app.command()
def validate(
    files: Annotated[list[Path], Argument(metavar="FILE", help="Fleet files.")],
    environment: Annotated[
        str | None,
        Option(metavar="NAME", help='Add its overlay to each: "prod" is fleet.prod.yaml.'),
    ] = None,
    stack: Stack = None,
    as_json: Json = False,
) -> int:
    """Check fleet files, and show every mistake with its line.

    With a key, a model that the service does not have is a mistake; without one, a warning.
    """
    from bytez_provider.cli import fleetfiles

    return fleetfiles.validate(_session(stack, as_json), files, environment=environment)


@app.command()
def export(
    file: Annotated[Path, Argument(metavar="FILE", help="The file to write.")],
    add: Annotated[bool, Option("--add", help="Add what is missing to a fleet file.")] = False,
    form: Annotated[
        ExportForm, Option("--format", help="A fleet file, or one for `pulumi import --file`.")
    ] = ExportForm.fleet,
    stack: Stacks = None,
    state: States = None,
    all_stacks: AllStacks = False,
    as_json: Json = False,
) -> int:
    """Write a file of what runs and no given stack declares.

    Declare a fleet file with `bytez.Fleet.from_yaml`: the next `pulumi up` takes over what runs
    without loading it. `pulumi import --file` takes over what a file of --format pulumi-import
    names, as native models, and prints the program that declares them.
    """
    from bytez_provider.cli import fleetfiles

    wanted, screen = _wanted(stack, state, all_stacks), Screen(as_json=as_json)
    if form is ExportForm.fleet:
        return fleetfiles.export(file, wanted, screen, add=add)
    if add:
        raise typer.BadParameter("only a fleet file can be added to", param_hint="--add")
    return fleetfiles.export_import_file(file, wanted, screen)


# --------------------------------------------------------------------------------------- states


@app.command()
def migrate(
    stack: Annotated[
        str, Option("--stack", metavar="NAME", help="A stack of this folder's project.")
    ],
    to: Annotated[Face, Option("--to", help="What its models and fleets become.")],
    yes: Annotated[bool, Option("--yes", help="Write the state; without it, only show.")] = False,
    as_json: Json = False,
) -> int:
    """Rewrite the state of a stack from dynamic to native resources, or back.

    Nothing is loaded or unloaded: only the state changes, and the service is not asked. The old
    state is kept in a file. Change the program before the next `pulumi up`, and preview it.
    """
    from bytez_provider.cli import moving

    return moving.migrate(stack, to.value, Screen(as_json=as_json), yes=yes)


# ---------------------------------------------------------------------- audit, review and doctor


@app.command()
def audit(
    stack: Stacks = None,
    state: States = None,
    all_stacks: AllStacks = False,
    form: Annotated[AuditForm, Option("--format", help="The form for people.")] = AuditForm.table,
    as_json: Json = False,
) -> int:
    """Compare what is loaded with what stacks declare.

    Shows what no given stack declares, what is declared and not running, what is idle, and what it
    all costs. Each finding comes with the command that fixes it.
    """
    from bytez_provider.cli import auditing

    if not (stack or state or all_stacks):
        raise typer.BadParameter("name a stack or a state, or give --all", param_hint="--stack")
    _refuse_format(as_json, form)
    wanted = _wanted(stack, state, all_stacks)
    return auditing.audit(wanted, Screen(as_json=as_json), form.value)


@app.command()
def review(  # noqa: PLR0913, PLR0917 - each is an option of the command
    plan: Annotated[
        Path | None, Option(metavar="FILE", help="A saved output of `pulumi preview --json`.")
    ] = None,
    base: Annotated[
        Path | None,
        Option(metavar="FILE", help="The plan of the target branch; both from an empty stack."),
    ] = None,
    policy_pack: Annotated[
        list[Path] | None, Option(metavar="DIR", help="A policy pack to run. May be repeated.")
    ] = None,
    policy_pack_config: Annotated[
        list[Path] | None, Option(metavar="FILE", help="Its configuration, in the same order.")
    ] = None,
    form: Annotated[
        ReviewForm, Option("--format", help="The form for people; md is a comment.")
    ] = ReviewForm.table,
    commit: Annotated[str | None, Option(metavar="SHA", help="The reviewed commit.")] = None,
    link: Annotated[
        str | None, Option(metavar="URL", help="Where to read the whole review if it is cut.")
    ] = None,
    boot_minutes: Annotated[
        int | None,
        Option(
            metavar="N",
            min=1,
            help="Minutes that a boot is assumed to take; by default 15, or 1 with API version "
            "2025-04.",
        ),
    ] = None,
    max_increase: Annotated[
        float | None, Option(metavar="USD", help="Maximum cost increase of a fully loaded month.")
    ] = None,
    max_monthly: Annotated[
        float | None, Option(metavar="USD", min=0, help="Maximum cost of a fully loaded month.")
    ] = None,
    fail_on: Annotated[
        list[FailOn] | None,
        Option(
            metavar="WHAT",
            help="Fail on replace, drift, violation or unknown-cost. May be repeated.",
        ),
    ] = None,
    stack: Stack = None,
    as_json: Json = False,
) -> int:
    """Show what a change of a stack does, costs, takes down and breaks.

    Runs a preview of --stack, or reads a saved one. The exit code is 3, with a line for each
    finding, if --max-increase, --max-monthly or --fail-on find something; 1 if the up would fail.
    """
    from bytez_provider.cli import reviewing
    from bytez_provider.review import Thresholds, assess

    if plan is None and stack is None:
        raise typer.BadParameter("name the stack, or give a saved plan", param_hint="--stack")
    if base is not None and plan is None:
        raise typer.BadParameter("needs --plan", param_hint="--base")
    if (policy_pack or policy_pack_config) and plan is not None:
        raise typer.BadParameter("cannot be used with a saved plan", param_hint="--policy-pack")
    for limit, name in ((max_increase, "--max-increase"), (max_monthly, "--max-monthly")):
        if limit is not None and not math.isfinite(limit):
            raise typer.BadParameter("must be an amount in dollars, like 200", param_hint=name)
    _refuse_format(as_json, form)
    session = _session(stack, as_json)
    if plan is None:
        changes = reviewing.preview(session, policy_pack or [], policy_pack_config or [])
    else:
        changes = reviewing.saved(session, plan, base)
    kinds = frozenset(one.value for one in fail_on or ())
    setting = reviewing.setting(
        session, changes, boot_minutes, commit, Thresholds(max_increase, max_monthly, kinds)
    )
    return reviewing.show(session, assess(changes, setting), form.value, link)


@app.command()
def doctor(stack: Stack = None, as_json: Json = False) -> int:
    """Check settings, service and machine."""
    from bytez_provider.cli import doctor as checks

    return checks.doctor(stack, Screen(as_json=as_json))
