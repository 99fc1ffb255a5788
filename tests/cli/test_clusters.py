"""`models`, `instances`, `status` and `export` for API version 2025-04."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.fleet import GPT2, PHI, Command, Finished
from tests.client.hostile import HostileServer, says

CREATED = "2025-04-22T17:57:40.036Z"
MODELS = [
    {"modelId": GPT2, "ramRequired": 0.5, "meter": "micro", "meterPrice": "0.0000872083 / sec"},
    {"modelId": PHI, "ramRequired": 9.16},
]
STATE: dict[str, Any] = {"version": 3, "deployment": {"resources": []}}
CONFIG = {"bytez:apiVersion": {"value": "2025-04", "secret": False}}


def cluster(model_id: str = GPT2, **given: Any) -> dict[str, Any]:
    """Return a cluster, as the service shows it (vendor doc)."""
    return {
        "modelId": model_id,
        "status": "on",
        "created": CREATED,
        "modified": CREATED,
        "timeout": 10,
        "capacity": {"min": 1, "desired": 1, "max": 5},
        "instances": 2,
        "inferences": 7,
        "lastInference": CREATED,
        **given,
    }


OFF = cluster(PHI, status="off", capacity={"min": 0, "desired": 1, "max": 1}, instances=0)


class Clusters(Command):
    """The command with a stack of API version 2025-04, and a service of that version."""

    def __init__(self, folder: Path, server: HostileServer) -> None:
        super().__init__(folder, server.url)
        self._server = server
        programs = folder / "programs"
        programs.mkdir()
        pulumi = programs / "pulumi"
        answers = f"*export*) echo '{json.dumps(STATE)}';; *) echo '{json.dumps(CONFIG)}'"
        pulumi.write_text(f'#!/bin/sh\ncase "$*" in {answers};; esac\n')
        pulumi.chmod(0o755)
        self.env["PATH"] = str(programs)
        self.has()

    def has(self, *loaded: dict[str, Any]) -> None:
        """Let the service have these clusters."""
        one = {each["modelId"]: each for each in loaded}

        def answer(connection: Any, request: bytes) -> None:
            path = request.split()[1].decode().partition("?")[0]
            output: Any = {
                "/models/v2/list/models": MODELS,
                "/models/v2/list/clusters": list(loaded),
            }.get(path, one.get(path.removeprefix("/models/v2/")))
            body = json.dumps({"error": None, "output": output})
            says(200, body, {"Content-Type": "application/json"})(connection, request)

        self._server.answers(answer)

    def show(self, *arguments: str) -> Finished:
        return self.run(*arguments, "--stack", "dev").ok()


@pytest.fixture
def clusters(tmp_path: Path, hostile: HostileServer) -> Clusters:
    return Clusters(tmp_path, hostile)


def test_models_have_the_price_of_an_instance(clusters: Clusters) -> None:
    found = clusters.show("models", "--json").document["models"]
    hour = round(3600 * 0.0000872083, 6)
    assert [one["dollarsPerHour"] for one in found] == [hour, hour]


def test_instances(clusters: Clusters) -> None:
    clusters.has(cluster(), OFF)
    lines = [line.split() for line in clusters.show("instances").out.splitlines()]
    assert [line[:6] for line in lines[1:3]] == [
        [GPT2, "RUNNING", "2", "of", "1-5", "7"],
        [PHI, "OFF", "0", "of", "0-1", "7"],
    ]
    assert [line[-1] for line in lines[1:3]] == ["$0.63", "$0.00"]
    assert " ".join(lines[3]) == "2 models, $0.63 an hour"
    found = clusters.show("instances", "--json").document["instances"]
    assert [(one["maxConcurrency"], one["instances"]) for one in found] == [(5, 2), (1, 0)]


def test_instances_on_a_terminal_of_80_columns(clusters: Clusters) -> None:
    clusters.has(cluster(), OFF)
    with clusters.on_terminal("instances", "--stack", "dev") as terminal:
        assert terminal.finish() == 0
    assert any("2 of 1-5" in line for line in terminal.lines)
    assert max(map(len, terminal.lines)) <= 80


def test_status(clusters: Clusters) -> None:
    clusters.has(cluster())
    lines = clusters.show("status", GPT2).out.splitlines()
    facts = {line[:15].strip(): line[16:] for line in lines}
    assert (facts["concurrency"], facts["cost"]) == ("2 of 1-5", "$0.63 an hour")


def test_status_of_a_model_that_is_off(clusters: Clusters) -> None:
    clusters.has(OFF)
    document = clusters.show("status", PHI, "--json").document
    assert (document["status"], document["dollarsPerHour"]) == ("OFF", 0)


def test_export_keeps_the_range(clusters: Clusters) -> None:
    clusters.has(cluster(), cluster(PHI, capacity={"min": 0, "desired": 1, "max": 1}))
    clusters.show("export", "fleet.yaml")
    text = (clusters.folder / "fleet.yaml").read_text()
    assert "maxConcurrency: 5" in text
    assert "concurrency: 0" in text
    assert text.count("maxConcurrency") == 1
    assert "expirationPeriodSeconds" not in text
