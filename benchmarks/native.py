"""The plugin with a program in YAML, beside a Fleet of a Python program, in turns.

Both find in an `up` what has expired: the plugin by itself, the program with `refresh: always`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from benchmarks.service import KEY, model_ids, serving
from benchmarks.trial import timed
from tests.e2e.stack import Stack, YamlStack

SIZES = (1, 64)
TIMES = ("boot", "up", "preview")
UNCHANGED_RUNS = 5
_UP = ("up", "--yes", "--skip-preview")


def native(runs: int) -> dict[str, float]:
    """Time the first `up`, an unchanged `up` and a preview of 1 and of 64 models."""
    took: dict[str, list[float]] = {}
    for _ in range(runs):
        for models in SIZES:
            for what, seconds in _trial(model_ids(models)).items():
                took.setdefault(what, []).extend(seconds)
    found = {name: round(median(seconds), 2) for name, seconds in took.items()}
    found["boot_ratio"] = round(found["native_64_boot"] / found["native_1_boot"], 2)
    for models in SIZES:
        for what in ("up", "preview"):
            pair = found[f"native_{models}_{what}"], found[f"python_{models}_{what}"]
            found[f"{what}_{models}_ratio"] = round(pair[0] / pair[1], 2)
    return found


def _trial(names: Sequence[str]) -> dict[str, list[float]]:
    """Time both faces in turns, each with an account of its own."""
    took: dict[str, list[float]] = {}
    with ExitStack() as ending:
        stacks = {}
        for face, kind in (("native", YamlStack), ("python", Stack)):
            folder = Path(ending.enter_context(tempfile.TemporaryDirectory()))
            service = ending.enter_context(serving(folder, names))
            env = {"BYTEZ_KEY": KEY, "BYTEZ_ENDPOINT": service.url}
            stack = stacks[face] = kind(folder / "stack", env, refresh=True)
            ending.callback(stack.end)
            stack.program(_in_yaml(names) if kind is YamlStack else _in_python(names))
            took[f"{face}_{len(names)}_boot"] = [timed(stack, *_UP)]
            if service.running() != len(names):
                raise RuntimeError(f"{service.running()} of {len(names)} models run")
        for what, command in (("up", _UP), ("preview", ("preview",))):
            for _ in range(UNCHANGED_RUNS):
                for face, stack in stacks.items():
                    seconds = timed(stack, *command)
                    took.setdefault(f"{face}_{len(names)}_{what}", []).append(seconds)
    return took


def _in_yaml(names: Sequence[str]) -> str:
    models = "\n".join(f"        m{at}: {{modelId: {name}}}" for at, name in enumerate(names))
    head = "resources:\n  fleet:\n    type: bytez:Fleet\n    properties:\n      models:\n"
    return head + models


def _in_python(names: Sequence[str]) -> str:
    return (
        f"names = {list(names)!r}\n"
        'bytez.Fleet("fleet", models={\n'
        '    f"m{at}": bytez.ModelArgs(model_id=name) for at, name in enumerate(names)\n})'
    )
