"""`bytez-fleet`: what is loaded, and loading and unloading by hand. Thin over the other rooms."""

from __future__ import annotations

import io
import os
import sys

from bytez_provider.cli import exits


def main() -> int:
    """Run the command line of this process and return its exit code."""
    # What is written need not fit the terminal's encoding: better a "?" than a traceback.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        from bytez_provider.cli.app import run_app

        code = run_app()
        sys.stdout.flush()
    except ModuleNotFoundError as error:
        if error.name not in ("typer", "rich"):
            raise
        sys.stderr.write(
            f"bytez-fleet: {error.name} is missing; install the extra 'cli' of this package\n"
        )
        return exits.USAGE
    except BrokenPipeError:
        # The reader has had enough, as `head` does.
        _give_up_stdout()
        return exits.FAILED
    except OSError as error:
        # Of reading stdin or writing stdout: what the network does has become an error of ours.
        sys.stderr.write(f"bytez-fleet: {error.strerror or error}\n")
        _give_up_stdout()
        return exits.FAILED
    return code


def _give_up_stdout() -> None:
    """Let what is still buffered go nowhere: at its end Python would complain of it again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
