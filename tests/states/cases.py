"""What is recorded of each version: a stack of every kind, and how a test changes it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bytez_provider.emulator import Emulator
from tests.e2e.conftest import KEY
from tests.e2e.helpers import GPT2, PHI
from tests.e2e.stack import Stack, YamlStack

HERE = Path(__file__).parent
STATE, SERVICE = "state.json", "service.json"
ANY_ENDPOINT = "http://127.0.0.1:1"
"""Stands in a recording for the address of the emulator."""

PLACES = ("sourcePosition", "sourcePositions", "stackTrace")
"""What a state says about files of the machine."""

PYTHON = f"""\
bytez.Model("gpt2", model_id="{GPT2}", concurrency={{concurrency}})
bytez.Fleet("chat", models={{{{"phi": bytez.ModelArgs(model_id="{PHI}")}}}})
"""
YAML = f"""\
resources:
  gpt2:
    type: bytez:Model
    properties: {{{{modelId: {GPT2}, concurrency: {{concurrency}}}}}}
  chat:
    type: bytez:Fleet
    properties: {{{{models: {{{{phi: {{{{modelId: {PHI}}}}}}}}}}}}}
"""


@dataclass(frozen=True)
class Case:
    """A stack with a model of its own and a fleet of one.

    Attributes:
        face: The class of the stack.
        text: The program; `concurrency` is that of the model.
        config: Its settings.
        in_place: Whether a new concurrency changes the load, or replaces it.
    """

    face: type[Stack]
    text: str
    config: Mapping[str, str] = field(default_factory=dict)
    in_place: bool = False

    def stack(self, folder: Path, emulator: Emulator) -> Stack:
        """Return a new, empty stack."""
        env = {"BYTEZ_KEY": KEY, "BYTEZ_ENDPOINT": emulator.url}
        stack = self.face(folder, env, refresh=True)
        for name, value in self.config.items():
            stack.run("config", "set", name, value).ok()
        return stack

    def program(self, concurrency: int) -> str:
        """Return the program with that concurrency of the model."""
        return self.text.format(concurrency=concurrency)


CLUSTERS = {"bytez:apiVersion": "2025-04"}
CASES = {
    "python": Case(Stack, PYTHON),
    "yaml": Case(YamlStack, YAML),
    "python-2025-04": Case(Stack, PYTHON, CLUSTERS, in_place=True),
    "yaml-2025-04": Case(YamlStack, YAML, CLUSTERS, in_place=True),
}


def emulator(service: Path) -> Emulator:
    """Return an emulator that continues with the loads of a file, at their time."""
    return Emulator(
        keys=(KEY,), clock="manual", boot_seconds=0, cluster_boot_seconds=0, state=service
    )


def without_places(value: Any) -> Any:
    """Return a part of a state without the files of the machine."""
    if isinstance(value, dict):
        return {key: without_places(one) for key, one in value.items() if key not in PLACES}
    return [without_places(one) for one in value] if isinstance(value, list) else value


def recorded(exported: str, url: str) -> str:
    """Return what `pulumi stack export` printed as it is kept."""
    text = exported.replace(url, ANY_ENDPOINT)
    return json.dumps(without_places(json.loads(text)), indent=1) + "\n"
