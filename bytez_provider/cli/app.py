"""The commands and their arguments. What they do is in the modules beside this one.

Those are imported by the command that is run, so that `--help` waits for none of them.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, cast

import typer

from bytez_provider.cli import exits
from bytez_provider.cli.screen import Screen
from bytez_provider.errors import BytezError

_PROGRAM = "bytez-fleet"

# The base of all that typer says of wrong usage has a public name in no version of it.
_UsageError: type[Exception] = typer.BadParameter.__bases__[0]

app = typer.Typer(
    name=_PROGRAM,
    help="Look at Bytez models, and load, run and unload them by hand.\n\n"
    "The key comes from the stack that --stack names, or from BYTEZ_KEY.",
    epilog="Exit codes: 0 done, 1 failed, 2 wrong usage, settings or file, 3 doctor found "
    "something, 130 interrupted.",
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
ModelId = Annotated[str, typer.Argument(metavar="MODEL", help="The model, as owner/name.")]


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
    yes: Annotated[bool, typer.Option("--yes", help="Unload also what a stack declares.")] = False,
    unfinished: Annotated[
        bool,
        typer.Option(
            "--unfinished",
            help="Unload what deployments on this machine began and did not finish.",
        ),
    ] = False,
    stack: Stack = None,
    as_json: Json = False,
) -> int:
    """Unload models and wait until they are gone.

    A model that the stack declares (--stack, or the selected one of the project in this folder)
    is only unloaded with --yes.
    """
    from bytez_provider.cli import unloading
    from bytez_provider.cli.session import Session

    if bool(models) == unfinished:
        raise typer.BadParameter("name the models, or give --unfinished", param_hint="MODEL")
    session = Session(stack, Screen(as_json=as_json))
    if unfinished:
        return unloading.unload_unfinished(session, yes=yes)
    return unloading.unload(session, models or [], yes=yes)


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
