"""The naive provider: a class in the program, as a tutorial on dynamic providers gives it.

The benchmark compares with it. It is a fair one: it checks every answer, has a time limit, polls
every second, and its refresh notices that a model is gone.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import pulumi
import requests
from pulumi.dynamic import CreateResult, DiffResult, ReadResult, Resource, ResourceProvider

BOOT_LIMIT_SECONDS = 30 * 60


def call(path: str, **body: Any) -> requests.Response:
    """Ask the API; its address and the key are in the environment."""
    body["key"] = os.environ["BYTEZ_KEY"]
    return requests.post(os.environ["BYTEZ_ENDPOINT"] + path, json=body, timeout=30)


class ModelProvider(ResourceProvider):
    """Loads a model and waits until it runs."""

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Replace the model if anything changes."""
        replaces = [name for name in ("modelId", "concurrency") if olds[name] != news[name]]
        return DiffResult(bool(replaces), replaces, delete_before_replace=True)

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Load the model, and ask for its status until it is RUNNING."""
        model_id = props["modelId"]
        concurrency = int(props["concurrency"])  # It comes as a float.
        call("/model/load", modelId=model_id, concurrency=concurrency).raise_for_status()
        deadline = time.monotonic() + BOOT_LIMIT_SECONDS
        while time.monotonic() < deadline:
            answer = call("/model/status", modelId=model_id)
            answer.raise_for_status()
            status = answer.json()["status"]
            if status == "RUNNING":
                return CreateResult(model_id, {**props, "status": status})
            if status == "FAILED":
                raise RuntimeError(f"{model_id} failed to boot")
            time.sleep(1)
        raise TimeoutError(f"{model_id} is not running after {BOOT_LIMIT_SECONDS} s")

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """Ask for the status; a model that is not found is gone."""
        answer = call("/model/status", modelId=id_)
        if answer.status_code == 404:
            return ReadResult("", {})
        answer.raise_for_status()
        return ReadResult(id_, {**props, "status": answer.json()["status"]})

    def delete(self, id_: str, _props: dict[str, Any]) -> None:
        """Unload the model."""
        call("/model/delete", modelId=id_).raise_for_status()


class Model(Resource):
    """A loaded model."""

    status: pulumi.Output[str]

    def __init__(self, name: str, model_id: str, concurrency: int = 1) -> None:
        props = {"modelId": model_id, "concurrency": concurrency, "status": None}
        super().__init__(ModelProvider(), name, props)


# Pulumi pickles a class of the program for each resource, one call deeper each time. Without this,
# the program ends in a RecursionError after some 230 models.
sys.setrecursionlimit(20_000)

for number, line in enumerate(Path("models.txt").read_text(encoding="utf-8").split()):
    Model(f"model-{number}", model_id=line)
