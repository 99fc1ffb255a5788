"""`python -m benchmarks [--runs N]`: boot of many against one, Ctrl-C, and the import.

Prints medians as JSON. Absolute times are the machine's; the ratios are the provider's.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from bytez_provider.emulator import Emulator
from bytez_provider.emulator.catalogue import seed_catalogue
from tests.e2e.stack import Stack

KEY = "benchmark-key"
BOOT_SECONDS = 5
IMPORT_RUNS = 10

_MID_BOOT = ["/model/load", "/model/status"]


def main() -> None:
    """Run them all and print what came out."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("--runs", type=int, default=3, help="ups of each kind, by turns")
    runs = parser.parse_args().runs
    figures = {"boot": boot(32, runs), "interrupt": interrupt(runs), "import": imports()}
    print(json.dumps(figures, indent=2))


def boot(many: int, runs: int) -> dict[str, float]:
    """Time `up` of one plain Model and of many, each with a boot of 5 s and `--parallel 64`."""
    names = [row.name for row in seed_catalogue()]
    models = list(dict.fromkeys(names))[:many]
    one_took, many_took = [], []
    for _ in range(runs):
        one_took.append(_timed_up(models[:1]))
        many_took.append(_timed_up(models))
    return {
        "boot_seconds": BOOT_SECONDS,
        "one_seconds": round(median(one_took), 2),
        f"{many}_seconds": round(median(many_took), 2),
        "ratio": round(median(many_took) / median(one_took), 2),
    }


def _timed_up(models: Sequence[str]) -> float:
    with _emulated(BOOT_SECONDS) as (stack, emulator):
        stack.program(
            f"for number, model_id in enumerate({models!r}):\n"
            '    bytez.Model(f"model-{number}", model_id=model_id)'
        )
        start = time.perf_counter()
        stack.up("--parallel", "64").ok()
        took = time.perf_counter() - start
        if len(emulator.instances()) != len(models):
            raise RuntimeError("not all models are loaded")
        return took


@contextmanager
def _emulated(boot_seconds: float) -> Iterator[tuple[Stack, Emulator]]:
    """Give an empty stack and a service of its own."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Emulator(keys=(KEY,), boot_seconds=boot_seconds) as emulator,
    ):
        env = {"BYTEZ_KEY": KEY, "BYTEZ_ENDPOINT": emulator.url}
        stack = Stack(Path(folder) / "stack", env, refresh=False)
        yield stack, emulator
        stack.end()


def interrupt(runs: int) -> dict[str, float]:
    """Time the command line from Ctrl-C in mid-boot to its end."""
    took = []
    for _ in range(runs):
        with _emulated(boot_seconds=600) as (stack, emulator):
            stack.program('bytez.Model("gpt2", model_id="openai-community/gpt2")')
            deployment = stack.start("up", "--yes", "--skip-preview")
            while [record.path for record in emulator.requests()][-2:] != _MID_BOOT:
                time.sleep(0.01)
            start = time.perf_counter()
            deployment.interrupt()
            deployment.finish()
            took.append(time.perf_counter() - start)
            if stack.models()["gpt2"]["status"] != "DEPLOYING":
                raise RuntimeError("the load is not in state")
    return {"ctrl_c_seconds": round(median(took), 2), "worst_seconds": round(max(took), 2)}


def imports() -> dict[str, float]:
    """Time `import bytez_provider` and its Model after `import pulumi`, in fresh interpreters."""
    base, ours = [], []
    for _ in range(IMPORT_RUNS):
        base.append(_timed_import("import pulumi"))
        ours.append(_timed_import("import pulumi, bytez_provider; bytez_provider.Model"))
    return {
        "pulumi_ms": round(median(base) * 1000),
        "with_model_ms": round(median(ours) * 1000),
        "added_ms": round((median(ours) - median(base)) * 1000),
    }


def _timed_import(statement: str) -> float:
    program = f"import time; t = time.perf_counter(); {statement}; print(time.perf_counter() - t)"
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    return float(done.stdout)


if __name__ == "__main__":
    main()
