"""From trials to figures: medians, and what must hold of them."""

from __future__ import annotations

import dataclasses
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from statistics import median
from typing import Any

from benchmarks.service import BOOT_SECONDS
from benchmarks.trial import Provider, Trial

Medians = Mapping[str, float | None]
"""The median of each figure of a `Trial`, by its name."""


@dataclass(frozen=True)
class Promise:
    """One thing that must hold.

    Attributes:
        what: What is measured, and in what.
        limit: The bound.
        measured: The figure.
        at_least: Whether the bound is a lower one.
    """

    what: str
    limit: float
    measured: float
    at_least: bool = False

    @property
    def holds(self) -> bool:
        """Whether the figure keeps to the bound."""
        return self.measured >= self.limit if self.at_least else self.measured <= self.limit


@dataclass
class Figures:
    """All that one run of the benchmarks found.

    Attributes:
        machine: What the figures depend on, see `machine`.
        runs: Trials of each kind.
        trials: Each of them.
        alone: What is measured of ours alone, by the benchmark's name.
    """

    machine: Mapping[str, str | int]
    runs: int
    trials: list[Trial] = field(default_factory=list)
    alone: dict[str, dict[str, float]] = field(default_factory=dict)

    def sizes(self) -> list[int]:
        """Return the numbers of models in ascending order."""
        return sorted({trial.models for trial in self.trials})

    def of(self, provider: Provider, models: int) -> Medians | None:
        """Return the medians of one provider's trials with so many models; None without any."""
        trials = [one for one in self.trials if (one.provider, one.models) == (provider, models)]
        return medians(trials) if trials else None

    def value(self, provider: Provider, models: int, name: str) -> float | None:
        """Return one median, or None."""
        found = self.of(provider, models)
        return None if found is None else found[name]

    def document(self) -> dict[str, Any]:
        """Return everything for JSON."""
        return {
            "machine": self.machine,
            "runs": self.runs,
            "boot_seconds": BOOT_SECONDS,
            "promises": [{**dataclasses.asdict(one), "holds": one.holds} for one in promises(self)],
            "medians": [
                {"provider": provider, "models": models, **found}
                for models in self.sizes()
                for provider in ("fleet", "naive")
                if (found := self.of(provider, models)) is not None
            ],
            **self.alone,
            "trials": [_rounded(dataclasses.asdict(trial)) for trial in self.trials],
        }


def medians(trials: Sequence[Trial]) -> Medians:
    """Return the median of each figure; None if a trial has none."""
    names = [
        one.name for one in dataclasses.fields(Trial) if one.name not in ("provider", "models")
    ]
    found: dict[str, float | None] = {}
    for name in names:
        values = [getattr(trial, name) for trial in trials]
        found[name] = None if None in values else round(median(values), 2)
    return found


def _rounded(trial: dict[str, Any]) -> dict[str, Any]:
    return {
        name: round(value, 2) if isinstance(value, float) else value
        for name, value in trial.items()
    }


def ratio(part: float | None, whole: float | None) -> float | None:
    """Return `part` / `whole`; None if one of them is unknown."""
    return part / whole if part is not None and whole else None


def promises(figures: Figures) -> list[Promise]:
    """Return the promises that this run measured."""
    boot = {
        (provider, models): figures.value(provider, models, "boot_seconds")
        for provider in ("fleet", "naive")
        for models in (1, 64, 256)
    }
    fleet_up, naive_up = (
        figures.value(provider, 256, "unchanged_up_seconds") for provider in ("fleet", "naive")
    )
    most = max(figures.sizes(), default=0)
    fleet_state, naive_state = (
        figures.value(provider, most, "state_bytes_per_model") for provider in ("fleet", "naive")
    )
    one = boot["fleet", 1]
    plain = figures.alone.get("plain_models", {})
    plugin = figures.alone.get("native", {})
    found: list[tuple[str, float, float | None, bool]] = [
        ("boot of 64 models, times one model", 1.35, ratio(boot["fleet", 64], one), False),
        (
            "boot of 64 models, times faster than naive",
            6,
            ratio(boot["naive", 64], boot["fleet", 64]),
            True,
        ),
        ("boot of 256 models, times one model", 3, ratio(boot["fleet", 256], one), False),
        ("loads while 64 boot", 64, figures.value("fleet", 64, "loads"), False),
        ("statuses while 64 boot", 128, figures.value("fleet", 64, "statuses"), False),
        (
            "requests besides while 64 boot, a second",
            2,
            figures.value("fleet", 64, "besides_per_second"),
            False,
        ),
        ("unchanged `up` of 256, times naive", 1.25, ratio(fleet_up, naive_up), False),
        ("requests of a refresh of 256", 3, figures.value("fleet", 256, "refresh_requests"), False),
        ("bytes of state a model, times naive", 0.5, ratio(fleet_state, naive_state), False),
        ("boot of 32 plain Models with `--parallel 64`, times one", 1.5, plain.get("ratio"), False),
        ("native: boot of 64 models, times one", 1.3, plugin.get("boot_ratio"), False),
        *(
            (
                f"native: unchanged `{what}` of {models}, times a Python program's",
                0.85,
                plugin.get(f"{what}_{models}_ratio"),
                False,
            )
            for models in (1, 64)
            for what in ("up", "preview")
        ),
        (
            "seconds from Ctrl-C in mid-boot to the prompt",
            2,
            figures.alone.get("interrupt", {}).get("worst_seconds"),
            False,
        ),
        (
            "seconds to review a plan that replaces 1,000 models",
            2,
            figures.alone.get("review", {}).get("worst_seconds"),
            False,
        ),
        (
            "milliseconds that the import adds to Pulumi's",
            50,
            figures.alone.get("import", {}).get("added_ms"),
            False,
        ),
    ]
    return [
        Promise(what, limit, round(measured, 2), at_least)
        for what, limit, measured, at_least in found
        if measured is not None
    ]


def machine() -> dict[str, str | int]:
    """Return what the figures depend on, without the name of the machine."""
    done = subprocess.run(["pulumi", "version"], capture_output=True, text=True, check=True)
    return {
        "cores": os.cpu_count() or 0,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "pulumi": done.stdout.strip().removeprefix("v"),
        "pulumi_sdk": version("pulumi"),
    }
