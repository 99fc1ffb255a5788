"""`python -m tests.stateful --examples 3000 --steps 60`: the machine, for as long as wanted.

Prints the seed, and the counts of examples, steps and faults. If a promise is broken, prints the
shortest story that breaks it, and exits with 1.
"""

from __future__ import annotations

import argparse
import secrets
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from tests.stateful.machine import Tally
from tests.stateful.run import outcome


def main() -> int:
    """Run the examples in several processes."""
    parser = argparse.ArgumentParser(prog="python -m tests.stateful", description=__doc__)
    parser.add_argument("--examples", type=int, default=3000, help="how many in all (3000)")
    parser.add_argument("--steps", type=int, default=60, help="the most of one example (60)")
    parser.add_argument("--seed", type=int, help="the one that an earlier run printed")
    parser.add_argument("--workers", type=int, default=2, help="processes; a part of the seed (2)")
    args = parser.parse_args()
    seed = secrets.randbelow(2**32) if args.seed is None else args.seed
    repeat = f"--examples {args.examples} --steps {args.steps} --workers {args.workers}"
    _say(f"seed {seed}; again: python -m tests.stateful {repeat} --seed {seed}")
    share = -(-args.examples // args.workers)
    with ProcessPoolExecutor(args.workers, mp_context=get_context("spawn")) as pool:
        runs = [
            pool.submit(outcome, share, args.steps, seed + number) for number in range(args.workers)
        ]
        outcomes = [one.result() for one in runs]
    stories = [story for _, story in outcomes if story]
    _report([tally for tally, _ in outcomes], seed)
    for story in stories:
        _say(story)
    _say(f"{len(stories)} violations" if stories else "no violation")
    return 1 if stories else 0


def _report(tallies: list[Tally], seed: int) -> None:
    def total(name: str) -> Counter[str]:
        return sum((getattr(tally, name) for tally in tallies), Counter())

    _say(f"{sum(tally.examples for tally in tallies)} examples, seed {seed}")
    _say(f"{sum(tally.rules for tally in tallies)} steps")
    _say(f"{sum(tally.requests for tally in tallies)} requests")
    for title, name in (
        ("stories", "apis"),
        ("deployments", "ends"),
        ("operations", "steps"),
        ("interruptions", "blows"),
        ("faults that struck", "struck"),
        ("events of the world", "world"),
    ):
        counts = total(name)
        listed = ", ".join(f"{what} {count}" for what, count in counts.most_common())
        _say(f"{sum(counts.values())} {title}: {listed}")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
