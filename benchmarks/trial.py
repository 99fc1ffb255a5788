"""One stack of one provider, measured from its cold boot to its refresh."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks.memory import provider_memory
from benchmarks.service import KEY, Requests, Service, model_ids, serving
from tests.e2e.stack import Stack

Provider = Literal["fleet", "naive"]

_PROGRAMS = {"fleet": "ours", "naive": "naive"}
_LONGEST_SECONDS = 3600.0
_UP = ("up", "--yes", "--skip-preview")
_REFRESH = ("refresh", "--yes", "--skip-preview")
_STATE_TYPES = ("pulumi-python:dynamic", "bytez:")


@dataclass(frozen=True)
class Trial:
    """The figures of one stack.

    Attributes:
        provider: Ours or the naive one.
        models: How many.
        boot_seconds: Of the `up` that loads them all.
        loads: Requests of that `up` to `/model/load`; so for the next three.
        statuses: To `/model/status`.
        lists: To `/model/instances`.
        catalogues: To `/model/list`.
        besides_per_second: Requests of that `up` beyond one load and two statuses a model, in each
            second from its first request to its last.
        peak_memory_mb: Of the provider process in that `up`; None if unknown.
        unchanged_up_seconds: Of an `up` that finds nothing to do.
        unchanged_preview_seconds: Of a `preview` that finds nothing to do.
        refresh_seconds: Of a `refresh` that finds no change.
        refresh_requests: All that it asked.
        state_bytes_per_model: Of the exported state without stack and provider, as compact JSON.
    """

    provider: Provider
    models: int
    boot_seconds: float
    loads: int
    statuses: int
    lists: int
    catalogues: int
    besides_per_second: float
    peak_memory_mb: float | None
    unchanged_up_seconds: float
    unchanged_preview_seconds: float
    refresh_seconds: float
    refresh_requests: int
    state_bytes_per_model: float


def run_trial(provider: Provider, models: int) -> Trial:
    """Measure a stack with so many models; its `up` never refreshes.

    Raises:
        RuntimeError: It did not do its work.
        AssertionError: A command failed.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        names = model_ids(models)
        with serving(folder, names) as service:
            env = {"BYTEZ_KEY": KEY, "BYTEZ_ENDPOINT": service.url}
            stack = Stack(folder / "stack", env, refresh=False)
            program = Path(__file__).parent / _PROGRAMS[provider] / "__main__.py"
            shutil.copy(program, stack.project)
            (stack.project / "models.txt").write_text("\n".join(names), encoding="utf-8")
            try:
                return _measure(provider, models, stack, service)
            finally:
                stack.end()


def _measure(provider: Provider, models: int, stack: Stack, service: Service) -> Trial:
    with provider_memory(f"BYTEZ_JOURNAL={stack.env['BYTEZ_JOURNAL']}") as memory:
        boot_seconds = timed(stack, *_UP)
    asked = service.new_requests()
    if service.running() != models:
        raise RuntimeError(f"{service.running()} of {models} models run after the first up")
    unchanged_up_seconds = timed(stack, *_UP)
    unchanged_preview_seconds = timed(stack, "preview")
    if service.new_requests().by_path["/model/load"]:
        raise RuntimeError("the second up loaded something")
    refresh_seconds = timed(stack, *_REFRESH)
    return Trial(
        provider=provider,
        models=models,
        boot_seconds=boot_seconds,
        loads=asked.by_path["/model/load"],
        statuses=asked.by_path["/model/status"],
        lists=asked.by_path["/model/instances"],
        catalogues=asked.by_path["/model/list"],
        besides_per_second=besides_per_second(asked, models),
        peak_memory_mb=memory.mb,
        unchanged_up_seconds=unchanged_up_seconds,
        unchanged_preview_seconds=unchanged_preview_seconds,
        refresh_seconds=refresh_seconds,
        refresh_requests=service.new_requests().by_path.total(),
        state_bytes_per_model=_state_bytes(stack) / models,
    )


def timed(stack: Stack, *command: str) -> float:
    """Run a Pulumi command, which must succeed; return its seconds."""
    start = time.perf_counter()
    stack.start(*command).finish(_LONGEST_SECONDS).ok()
    return time.perf_counter() - start


def besides_per_second(asked: Requests, models: int) -> float:
    """Return the requests a second beyond one load and two statuses a model; at least 0."""
    besides = asked.by_path.total() - 3 * models
    return max(besides, 0) / max(asked.span_seconds, 1.0)


def _state_bytes(stack: Stack) -> int:
    resources = stack.export()["resources"]
    ours = [one for one in resources if one["type"].startswith(_STATE_TYPES)]
    return len(json.dumps(ours, separators=(",", ":")).encode())
