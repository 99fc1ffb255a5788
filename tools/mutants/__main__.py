"""`python -m tools.mutants [WORD ...]`: take each guard out, and see that the tests notice.

Prints a table. Exit codes: 0, every mutant was killed; 1, one survived, or came to no verdict; 2,
no guard has such a word in its name, or the tests fail on the tree as it is.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tools.mutants.guards import MUTANTS
from tools.mutants.mutant import MisfitError, Mutant
from tools.mutants.trial import Copy, Verdict


def main() -> int:
    """Run the mutants; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.mutants")
    parser.add_argument("words", nargs="*", metavar="WORD", help="only guards named like this")
    words = parser.parse_args().words
    chosen = [one for one in MUTANTS if not words or any(word in one.guard for word in words)]
    if not chosen:
        print(f"no guard has {' or '.join(words)} in its name", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        return _run(Copy(Path(folder)), chosen)


def _run(copy: Copy, mutants: Sequence[Mutant]) -> int:
    if not copy.imported_from().is_relative_to(copy.tree):
        print("the tests would not run on the copy, but on the tree itself", file=sys.stderr)
        return 2
    whole = copy.untouched(test for mutant in mutants for test in mutant.tests)
    if whole.killer or whole.trouble:
        print(f"without any mutant, {whole.killer or whole.trouble} fails", file=sys.stderr)
        return 2
    width = max(len(mutant.guard) for mutant in mutants)
    print(f"{'guard taken out':{width}}  seconds  killed by")
    killed, seconds = 0, whole.seconds
    for mutant in mutants:
        verdict = _verdict(copy, mutant)
        told = verdict.killer or f"SURVIVED {verdict.trouble}"
        print(f"{mutant.guard:{width}}  {verdict.seconds:7.1f}  {told}", flush=True)
        killed += verdict.killer is not None
        seconds += verdict.seconds
    print(f"{killed} of {len(mutants)} killed, in {seconds:.0f} s")
    return 0 if killed == len(mutants) else 1


def _verdict(copy: Copy, mutant: Mutant) -> Verdict:
    try:
        return copy.without(mutant)
    except MisfitError as error:
        return Verdict(None, 0.0, str(error))


if __name__ == "__main__":
    sys.exit(main())
