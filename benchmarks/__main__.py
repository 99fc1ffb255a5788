"""`python -m benchmarks [--quick] [--only NAME] [--runs N]`: compare with a naive provider.

Writes `benchmarks.json`, `.md` and `.svg`: a full run to `docs`, any other to `build`. Absolute
times depend on the machine; ratios do not.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import alone, report
from benchmarks.figures import Figures, machine
from benchmarks.native import native
from benchmarks.trial import Provider, run_trial
from tests.e2e.stack import pulumi_path

_ROOT = Path(__file__).resolve().parents[1]
_FULL: Sequence[tuple[Provider, int]] = [
    (provider, models) for models in (1, 8, 64, 256) for provider in ("fleet", "naive")
]
_QUICK: Sequence[tuple[Provider, int]] = [
    ("fleet", 1),
    ("fleet", 32),
    ("naive", 32),
    ("fleet", 64),
]
_ALONE: dict[str, Callable[[int], dict[str, float]]] = {
    "plain_models": alone.plain_models,
    "native": native,
    "interrupt": alone.interrupt,
    "review": alone.review,
    "import": lambda _runs: alone.imports(),
}


def main() -> None:
    """Measure, write the report and print it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("--quick", action="store_true", help="one run each, up to 64 models")
    parser.add_argument(
        "--only", action="append", choices=("fleet", *_ALONE), help="this one; may be repeated"
    )
    parser.add_argument("--runs", type=int, default=5, help="of each kind, in turns (5)")
    options = parser.parse_args()
    os.environ["PATH"] = pulumi_path()
    figures = measure(options.only or ("fleet", *_ALONE), options.runs, is_quick=options.quick)
    is_full = not options.quick and not options.only
    write(figures, _ROOT / ("docs" if is_full else "build"))
    print(report.markdown(figures))


def measure(names: Sequence[str], runs: int, *, is_quick: bool) -> Figures:
    """Run the benchmarks of these names."""
    runs = 1 if is_quick else runs
    figures = Figures(machine(), runs)
    for run in range(runs if "fleet" in names else 0):
        for provider, models in _QUICK if is_quick else _FULL:
            start = time.monotonic()
            figures.trials.append(run_trial(provider, models))
            took = time.monotonic() - start
            _report(f"run {run + 1} of {runs}: {provider} with {models} models, {took:.0f} s")
    for name, benchmark in _ALONE.items():
        if name in names:
            start = time.monotonic()
            figures.alone[name] = benchmark(runs)
            _report(f"{name}, {time.monotonic() - start:.0f} s")
    return figures


def write(figures: Figures, folder: Path) -> None:
    """Write the report as JSON and Markdown, and a plot if there are trials."""
    folder.mkdir(exist_ok=True)
    document = json.dumps(figures.document(), indent=2) + "\n"
    (folder / "benchmarks.json").write_text(document, encoding="utf-8")
    (folder / "benchmarks.md").write_text(report.markdown(figures), encoding="utf-8")
    if figures.trials:
        (folder / "benchmarks.svg").write_text(report.plot(figures), encoding="utf-8")


def _report(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
