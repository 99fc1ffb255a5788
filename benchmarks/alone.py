"""What is measured without a comparison: plain Models, Ctrl-C, a review, and the import."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from benchmarks.service import BOOT_SECONDS, KEY, model_ids
from benchmarks.trial import timed
from bytez_provider.emulator import Emulator
from bytez_provider.emulator.catalogue import vendor_catalogue
from tests.e2e.stack import Stack
from tests.review.plans import Step, inputs, refreshed, replaced, state

MANY = 32
REVIEWED = 1000
IMPORT_RUNS = 10
_IMPORTS = {"ours": "import bytez_provider; bytez_provider.Fleet", "naive": "import requests"}
_MID_BOOT = ["/model/load", "/model/status"]


def plain_models(runs: int) -> dict[str, float]:
    """Time `up` of one plain Model and of 32, each with a boot of 5 s and `--parallel 64`."""
    models = list(dict.fromkeys(row.name for row in vendor_catalogue()))[:MANY]
    one_took, many_took = [], []
    for _ in range(runs):
        one_took.append(_timed_up(models[:1]))
        many_took.append(_timed_up(models))
    return {
        "one_seconds": round(median(one_took), 2),
        f"{MANY}_seconds": round(median(many_took), 2),
        "ratio": round(median(many_took) / median(one_took), 2),
    }


def _timed_up(models: Sequence[str]) -> float:
    with _emulated(BOOT_SECONDS) as (stack, emulator):
        stack.program(
            f"for number, model_id in enumerate({models!r}):\n"
            '    bytez.Model(f"model-{number}", model_id=model_id)'
        )
        took = timed(stack, "up", "--yes", "--skip-preview", "--parallel", "64")
        if len(emulator.instances()) != len(models):
            raise RuntimeError("not all models are loaded")
        return took


@contextmanager
def _emulated(boot_seconds: float) -> Iterator[tuple[Stack, Emulator]]:
    """Provide an empty stack and its service."""
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
    return {"seconds": round(median(took), 2), "worst_seconds": round(max(took), 2)}


def review(runs: int) -> dict[str, float]:
    """Time `bytez-fleet review` of a saved plan that replaces each of 1,000 models."""
    steps: list[Step] = []
    for number, model_id in enumerate(model_ids(REVIEWED)):
        old = inputs(model_id)
        steps += [
            refreshed(f"model-{number}", state(old)),
            replaced(f"model-{number}", old, {**old, "concurrency": 2}),
        ]
    took = []
    with tempfile.TemporaryDirectory() as folder:
        plan = Path(folder) / "plan.json"
        plan.write_text(json.dumps({"steps": steps}), encoding="utf-8")
        command = [sys.executable, "-m", "bytez_provider.cli", "review", "--plan", str(plan)]
        environ = {name: value for name, value in os.environ.items() if name != "BYTEZ_KEY"}
        for _ in range(runs):
            start = time.perf_counter()
            subprocess.run(
                [*command, "--format", "md"], check=True, stdout=subprocess.DEVNULL, env=environ
            )
            took.append(time.perf_counter() - start)
    return {"seconds": round(median(took), 2), "worst_seconds": round(max(took), 2)}


def imports() -> dict[str, float]:
    """Time the imports of a program, in ten fresh interpreters each, in turns."""
    took: dict[str, list[float]] = {"pulumi": [], "ours": [], "naive": []}
    for _ in range(IMPORT_RUNS):
        for name, statement in _IMPORTS.items():
            base, added = _timed_import(statement)
            took["pulumi"].append(base)
            took[name].append(added)
    return {
        "pulumi_ms": round(median(took["pulumi"]) * 1000),
        "added_ms": round(median(took["ours"]) * 1000),
        "naive_added_ms": round(median(took["naive"]) * 1000),
    }


def _timed_import(statement: str) -> tuple[float, float]:
    """Return the seconds of Pulumi's own import, and of a statement after it."""
    program = (
        "from time import perf_counter as now; start = now(); import pulumi, pulumi.dynamic; "
        f"base = now(); {statement}; print(base - start, now() - base)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    base, added = map(float, done.stdout.split())
    return base, added
