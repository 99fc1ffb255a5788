"""The commands and their arguments. What they do is in the modules beside this one.

Those are imported by the command that is run, so that `--help` waits for none of them.
"""

from __future__ import annotations

import math
import sys
from enum import Enum
from pathlib import Path
from typing import Annotated, cast

import typer

from bytez_provider.base.errors import BytezError
from bytez_provider.cli import exits
from bytez_provider.cli.screen import Screen

_PROGRAM = "bytez-fleet"

# The base of all that typer says of wrong usage has a public name in no version of it.
_UsageError: type[Exception] = typer.BadParameter.__bases__[0]

app = typer.Typer(
    name=_PROGRAM,
    help="Look at Bytez models, and load, run and unload them by hand.\n\n"
    "The key comes from the stack that --stack names, or from BYTEZ_KEY.",
    epilog="Exit codes: 0 done, 1 failed, 2 wrong usage, settings or file, 3 audit, "
    "review or doctor found something, 130 interrupted.",
    add_completion=False,
    pretty_exceptions_enable=False,
    # Plain help: rich's frames are as wide as the terminal and load as slowly as they look.
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Json = Annotated[bool, typer.Option("--json", help="Print a JSON document, for programs.")]
Stack = Annotated[
    str | None,
    typer.Option(
        "--stack",
        metavar="NAME",
        help="Take key and settings from this Pulumi stack of the project in this folder.",
    ),
]
Stacks = Annotated[
    list[str] | None,
    typer.Option(
        "--stack",
        metavar="NAME",
        help="A Pulumi stack of the project in this folder. May be repeated; the first gives key "
        "and settings.",
    ),
]
States = Annotated[
    list[Path] | None,
    typer.Option(
        "--state",
        metavar="FILE",
        help="A file with what `pulumi stack export` printed. May be repeated.",
    ),
]
AllStacks = Annotated[
    bool, typer.Option("--all", help="Every stack that the project in this folder has.")
]


class FailOn(str, Enum):
    """What is a finding of a review where it is asked for."""

    REPLACE = "replace"
    DRIFT = "drift"
    VIOLATION = "violation"
    UNKNOWN_COST = "unknown-cost"


ModelId = Annotated[str, typer.Argument(metavar="MODEL", help="The model, as owner/name.")]


# The members of these two are defaults of options. Releases of click show a default by its name or
# by its value, and look for that among the choices: they are the same here.
class ReviewForm(str, Enum):
    """How a review is shown to people."""

    table = "table"
    md = "md"


class AuditForm(str, Enum):
    """How an audit is shown to people."""

    table = "table"
    md = "md"
    html = "html"


def run_app() -> int:
    """Run the command that the process was started with, and return its exit code."""
    try:
        arguments = sys.argv[1:] or ["--help"]
        return cast(int, app(arguments, prog_name=_PROGRAM, standalone_mode=False))
    except _UsageError as error:
        return _say(_usage_line(error), exits.USAGE)
    except BytezError as error:
        return _say(str(error), exits.code_of(error))
    except (KeyboardInterrupt, typer.Abort):
        # The terminal shows the ^C. A command that has more to say has said it.
        return exits.INTERRUPTED


@app.command()
def models(
    search: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Only names that contain this text.")
    ] = None,
    benchmarked: Annotated[
        bool, typer.Option("--benchmarked", help="Only models that are benchmarked.")
    ] = False,
    stack: Stack = None,
    as_json: Json = False,
) -> int:
    """List the models that can be loaded."""
    from bytez_provider.cli import look
    from bytez_provider.cli.session import Session

    session = Session(stack, Screen(as_json=as_json))
    return look.models(session, search=search, benchmarked_only=benchmarked)


@app.command()
def instances(stack: Stack = None, as_json: Json = False) -> int:
    """List the models that are loaded."""
    from bytez_provider.cli import look
    from bytez_provider.cli.session import Session

    return look.instances(Session(stack, Screen(as_json=as_json)))


@app.command()
def status(
    model: ModelId,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on until Ctrl-C; in a pipe, a line on each change.")
    ] = False,
    stack: Stack = None,
    as_json: Json = False,
) -> int:
    """Show status, idle time left and cost of a model."""
    from bytez_provider.cli import look
    from bytez_provider.cli.session import Session

    session = Session(stack, Screen(as_json=as_json))
    return look.watch(session, model) if watch else look.status(session, model)


@app.command()
def load(
    model: ModelId,
    concurrency: Annotated[
        int, typer.Option(metavar="N", help="Instances of the model; each is paid for.")
    ] = 1,
    expiration_period_seconds: Annotated[
        int | None,
        typer.Option(
            metavar="S", help="Idle seconds until it is unloaded. [default: the service's, 1800]"
        ),
    ] = None,
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="Return as soon as the load is accepted.")
    ] = False,
    timeout: Annotated[
        float,
        typer.Option(
            metavar="SECONDS", min=1, help="Unload it if it is not RUNNING within so long."
        ),
    ] = 1800,
    stack: Stack = None,
    as_json: Json = False,
) -> int:
    """Load a model by hand and wait until it is RUNNING.

    No stack owns such a load. Ctrl-C ends the wait and leaves it booting; a load that fails is
    unloaded.
    """
    from bytez_provider.cli import loading
    from bytez_provider.cli.session import Session

    session = Session(stack, Screen(as_json=as_json))
    inputs = session.inputs(
        "load",
        model,
        concurrency=concurrency,
        expirationPeriodSeconds=expiration_period_seconds,
    )
    return loading.load(session, inputs, waits=not no_wait, limit_seconds=timeout)


@app.command()
def unload(
    models: Annotated[
        list[str] | None, typer.Argument(metavar="[MODEL]...", help="The models, as owner/name.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Unload also what a stack has.")] = False,
    unfinished: Annotated[
        bool,
        typer.Option(
            "--unfinished", help="Unload what deployments began and did not finish, by the journal."
        ),
    ] = False,
    stack: Stacks = None,
    state: States = None,
    all_stacks: AllStacks = False,
    as_json: Json = False,
) -> int:
    """Unload models and wait until they are gone.

    A model that a state declares (of --stack, --state or --all, else of the selected stack of the
    project in this folder), or that a stack has by the journal, is only unloaded with --yes.

    With --unfinished, a load that a state given names is left alone, and so is one of a stack
    whose state is not given. Without a state, only loads are unloaded for which no deployment has
    seen an answer. Not while a `pulumi up` of the stack runs: it may wait for such a load.
    """
    from bytez_provider.cli import unloading
    from bytez_provider.cli.session import Session
    from bytez_provider.cli.sources import Wanted

    if bool(models) == unfinished:
        raise typer.BadParameter("name the models, or give --unfinished", param_hint="MODEL")
    if unfinished and yes:
        raise typer.BadParameter("goes with models that are named", param_hint="--yes")
    wanted = Wanted(stack or [], state or [], every=all_stacks)
    session = Session(wanted.keyed_by, Screen(as_json=as_json))
    if unfinished:
        return unloading.unload_unfinished(session, wanted)
    return unloading.unload(session, wanted, models or [], yes=yes)


@app.command()
def run(
    model: ModelId,
    text: Annotated[str, typer.Argument(metavar="TEXT", help='The prompt; "-" reads stdin.')],
    param: Annotated[
        list[str] | None,
        typer.Option(metavar="K=V", help="A parameter, as max_length=256. May be repeated."),
    ] = None,
    no_stream: Annotated[
        bool, typer.Option("--no-stream", help="Have the text sent when it is whole.")
    ] = False,
    stack: Stack = None,
    as_json: Json = False,
) -> int:
    """Run a loaded model on a text and print the answer.

    The answer is printed as it comes.
    """
    from bytez_provider.cli import running
    from bytez_provider.cli.session import Session

    params = running.params_of(param or [])
    session = Session(stack, Screen(as_json=as_json))
    return running.run(session, model, text, params, stream=not no_stream)


@app.command()
def validate(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Fleet files.")],
    environment: Annotated[
        str | None,
        typer.Option(metavar="NAME", help='Lay its overlay over each: "prod" is fleet.prod.yaml.'),
    ] = None,
    stack: Stack = None,
    as_json: Json = False,
) -> int:
    """Check fleet files, and tell every mistake by its line.

    A model that does not exist is a mistake where there is a key to ask the service with, else a
    warning.
    """
    from bytez_provider.cli import validating
    from bytez_provider.cli.session import Session

    session = Session(stack, Screen(as_json=as_json))
    return validating.validate(session, files, environment=environment)


@app.command()
def export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The fleet file to write.")],
    add: Annotated[
        bool, typer.Option("--add", help="Add to a file that is there what it does not have.")
    ] = False,
    stack: Stacks = None,
    state: States = None,
    all_stacks: AllStacks = False,
    as_json: Json = False,
) -> int:
    """Write a fleet file of what runs and no stack given declares.

    Declared with `bytez.Fleet.from_yaml`, it is taken over by the next `pulumi up` as it runs,
    without a load.
    """
    from bytez_provider.cli import exporting
    from bytez_provider.cli.sources import Wanted

    wanted = Wanted(stack or [], state or [], every=all_stacks)
    return exporting.export(file, wanted, Screen(as_json=as_json), add=add)


@app.command()
def audit(
    stack: Stacks = None,
    state: States = None,
    all_stacks: AllStacks = False,
    form: Annotated[
        AuditForm, typer.Option("--format", help="How it is shown to people; html is a page.")
    ] = AuditForm.table,
    as_json: Json = False,
) -> int:
    """Compare what is loaded with what stacks declare.

    Tells what no stack given declares, what is declared and not running, what idles, and what it
    costs; beside each finding the command that mends it.
    """
    from bytez_provider.cli import auditing
    from bytez_provider.cli.sources import Wanted

    if not (stack or state or all_stacks):
        raise typer.BadParameter("name a stack or a state, or give --all", param_hint="--stack")
    if as_json and form is not AuditForm.table:
        raise typer.BadParameter("it is either --json or --format", param_hint="--format")
    wanted = Wanted(stack or [], state or [], every=all_stacks)
    return auditing.audit(wanted, Screen(as_json=as_json), form)


@app.command()
def review(  # noqa: PLR0913, PLR0917 - each is an option of the command
    plan: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="A saved plan: what `pulumi preview --json` printed, either form."
        ),
    ] = None,
    base: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="With --plan: the plan of the target branch, both made from an empty stack.",
        ),
    ] = None,
    policy_pack: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="A policy pack to run. May be repeated."),
    ] = None,
    policy_pack_config: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="The configuration of each, in the same order."),
    ] = None,
    form: Annotated[
        ReviewForm, typer.Option("--format", help="How it is shown to people; md is a comment.")
    ] = ReviewForm.table,
    commit: Annotated[
        str | None, typer.Option(metavar="SHA", help="The commit that is reviewed, to be shown.")
    ] = None,
    link: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Where all of it is, for a comment that must be cut."),
    ] = None,
    boot_minutes: Annotated[
        int, typer.Option(metavar="N", min=1, help="How long a boot is taken to last.")
    ] = 15,
    max_increase: Annotated[
        float | None,
        typer.Option(metavar="USD", help="Most that an always loaded month may cost more."),
    ] = None,
    max_monthly: Annotated[
        float | None,
        typer.Option(metavar="USD", min=0, help="Most that an always loaded month may cost."),
    ] = None,
    fail_on: Annotated[
        list[FailOn] | None,
        typer.Option(
            metavar="WHAT",
            help="Also a finding: replace, drift, violation or unknown-cost. May be repeated.",
        ),
    ] = None,
    stack: Stack = None,
    as_json: Json = False,
) -> int:
    """Tell what a change of a stack does, costs, takes down and breaks.

    Runs a preview of --stack, or reads a saved one. Ends with 3 and a line for each finding of
    --max-increase, --max-monthly and --fail-on; with 1 where the up would fail.
    """
    from bytez_provider.cli import reviewing
    from bytez_provider.cli.session import Session
    from bytez_provider.review import Thresholds

    if plan is None and stack is None:
        raise typer.BadParameter("name the stack, or give a saved plan", param_hint="--stack")
    if base is not None and plan is None:
        raise typer.BadParameter("goes with --plan", param_hint="--base")
    if (policy_pack or policy_pack_config) and plan is not None:
        raise typer.BadParameter("a saved plan has been made already", param_hint="--policy-pack")
    for limit, name in ((max_increase, "--max-increase"), (max_monthly, "--max-monthly")):
        if limit is not None and not math.isfinite(limit):
            raise typer.BadParameter("it is no amount of money", param_hint=name)
    if as_json and form is not ReviewForm.table:
        raise typer.BadParameter("it is either --json or --format", param_hint="--format")
    session = Session(stack, Screen(as_json=as_json))
    request = reviewing.Request(
        plan=plan,
        base=base,
        policy_packs=policy_pack or [],
        policy_pack_configs=policy_pack_config or [],
        is_markdown=form is ReviewForm.md,
        commit=commit,
        link=link,
        boot_minutes=boot_minutes,
        thresholds=Thresholds(
            max_increase, max_monthly, frozenset(one.value for one in fail_on or ())
        ),
    )
    return reviewing.review(session, request)


@app.command()
def doctor(stack: Stack = None, as_json: Json = False) -> int:
    """Check settings, service and machine."""
    from bytez_provider.cli import doctor as room

    return room.doctor(stack, Screen(as_json=as_json))


def _usage_line(error: Exception) -> str:
    said = getattr(error, "format_message", error.__str__)()
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else _PROGRAM
    return f"{command}: {' '.join(said.split())} (see `{command} --help`)"


def _say(line: str, code: int) -> int:
    sys.stderr.write(line + "\n")
    return code
