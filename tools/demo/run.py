"""`make demo`: the real Pulumi against an emulated Bytez, from nothing loaded to nothing loaded.

Needs what `make setup` installs, and no key, account or network. Everything lives in a temporary
folder and in processes that end with this one, also on Ctrl-C and on failure. Exit code: 0 if
every step succeeded, 1 if one failed, 130 after Ctrl-C.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).resolve().parents[2]


class StoppedError(Exception):
    """A signal asked this process to end."""

    def __init__(self, number: int) -> None:
        self.exit_code = 128 + number


def stop(number: int, _frame: FrameType | None) -> None:
    """End the demo; a second Ctrl-C must not interrupt the clean-up."""
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    raise StoppedError(number)


def main() -> int:
    """Run the story and return the exit code."""
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, stop)
    # Python looks for modules beside the file that it starts; these are named from the root.
    sys.path.insert(0, str(ROOT))
    try:
        from tools.demo.story import DemoError, run_story
    except ModuleNotFoundError as error:
        return fail(f"the module {error.name} is missing. Run `make setup` first.")
    try:
        run_story(ROOT)
    except DemoError as error:
        return fail(str(error))
    except StoppedError as stopped:
        fail("stopped. Nothing is left behind.")
        return stopped.exit_code
    except BrokenPipeError:
        # The reader has closed the pipe, as `head` does: drop what is still buffered.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0


def fail(why: str) -> int:
    """Print in one line why the demo ends here."""
    with contextlib.suppress(BrokenPipeError):
        print(f"\ndemo: {why}", file=sys.stderr, flush=True)
    return 1


if __name__ == "__main__":
    sys.exit(main())
