"""`bytez-fleet`: look at models, load and unload them by hand, review and audit."""

from __future__ import annotations

import io
import os
import sys

from bytez_provider.cli.screen import FAILED, USAGE


def main() -> int:
    """Run the command line of this process and return its exit code."""
    # A "?" for what the terminal's encoding lacks, instead of a traceback.
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
        return USAGE
    except BrokenPipeError:
        # The reader stopped reading, as `head` does.
        _give_up_stdout()
        return FAILED
    except OSError as error:
        # From stdin or stdout: an error of the network has become a `BytezError`.
        sys.stderr.write(f"bytez-fleet: {error.strerror or error}\n")
        _give_up_stdout()
        return FAILED
    return code


def _give_up_stdout() -> None:
    """Drop what is still buffered: at exit Python would complain about it again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
