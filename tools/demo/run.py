"""`make demo`: the real Pulumi against an emulated Bytez, from nothing loaded to nothing loaded.

Needs what `make setup` makes, and no key, account or network. Everything lives in a temporary
folder and in processes that end with this one, on Ctrl-C and on failure too. Exit code 0 when
every step did what it says, 1 when one did not, 130 after Ctrl-C.
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
    """End the demo. Once: what follows is the tidying up, which a second Ctrl-C must not end."""
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    raise StoppedError(number)


def main() -> int:
    """Tell the story and return the exit code."""
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, stop)
    # Started as a file, Python looks for modules beside it; these are named from the top.
    sys.path.insert(0, str(ROOT))
    try:
        from tools.demo.story import DemoError, tell
    except ModuleNotFoundError as error:
        return fail(f"the module {error.name} is missing. Run `make setup` first.")
    try:
        tell(ROOT)
    except DemoError as error:
        return fail(str(error))
    except StoppedError as stopped:
        fail("stopped. Nothing is left behind.")
        return stopped.exit_code
    except BrokenPipeError:
        # The reader has had enough, as `head` does. What is still buffered has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0


def fail(why: str) -> int:
    """Say in one line why the demo ends here."""
    with contextlib.suppress(BrokenPipeError):
        print(f"\ndemo: {why}", file=sys.stderr, flush=True)
    return 1


if __name__ == "__main__":
    sys.exit(main())
