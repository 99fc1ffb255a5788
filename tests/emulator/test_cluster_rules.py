"""Each open question about the 2025-04 API, answered both ways, and the API versions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from bytez_provider.emulator import ClusterRules, Emulator
from tests.emulator.client import GPT2, Client, capacity


@contextmanager
def answering(**rules: Any) -> Iterator[tuple[Emulator, Client]]:
    """Give an emulator with these rules, on a manual clock, and a client."""
    with (
        Emulator(clock="manual", clusters=ClusterRules(**rules)) as emulator,
        Client(emulator.url, "any") as client,
    ):
        yield emulator, client


def test_an_idle_cluster_deletes_itself() -> None:
    with answering() as (emulator, client):
        client.create(timeout=2)
        emulator.advance(40 + 119)
        assert client.cluster()["status"] == "on"
        emulator.advance(1)
        assert client.v25("GET").status_code == 404
        assert client.v25("GET", "list/clusters").json()["output"] == []
        assert emulator.instances() == []


def test_an_idle_cluster_stops() -> None:
    with answering(idle="stops") as (emulator, client):
        client.create(timeout=2, capacity=capacity(1, 1, 1))
        emulator.advance(40 + 120)
        idle = client.cluster()
        assert (idle["status"], idle["instances"]) == ("off", 0)
        assert client.v25("GET", "list/clusters").json()["output"] == [idle]
        assert client.create().json()["error"] == "Cluster already exists"
        spent = emulator.ledger()
        emulator.advance(10**5)
        assert emulator.ledger() == spent
        assert client.v25("PATCH", status="on").json()["output"]["instances"] == 1
        emulator.advance(40)
        cluster = client.cluster()
        assert (cluster["status"], cluster["created"]) == ("on", idle["created"])


def test_a_run_starts_a_cluster_that_is_off() -> None:
    with (
        Emulator(clock="manual", boot_seconds=0) as emulator,
        Client(emulator.url, "any") as client,
    ):
        client.create(capacity=capacity(1, 1, 1))
        client.v25("PATCH", status="off")
        assert client.v25("POST", text="Once").status_code == 200
        assert client.cluster()["status"] == "on"


def test_a_patch_keeps_what_it_leaves_out() -> None:
    with answering() as (_, client):
        client.create(timeout=30, capacity=capacity(2, 3, 4))
        cluster = client.v25("PATCH", timeout=9).json()["output"]
        assert (cluster["timeout"], cluster["capacity"]) == (9, capacity(2, 3, 4))
        cluster = client.v25("PATCH", capacity={"max": 3}, timeout=None).json()["output"]
        assert (cluster["timeout"], cluster["capacity"]) == (9, capacity(2, 3, 3))
        cluster = client.v25("PATCH", capacity={"max": 1}).json()["output"]
        assert cluster["capacity"] == capacity(1, 1, 1)


def test_a_patch_resets_what_it_leaves_out() -> None:
    with answering(patch="resets", default_max=3) as (_, client):
        client.create(timeout=30, capacity=capacity(2, 3, 4))
        cluster = client.v25("PATCH", timeout=9).json()["output"]
        assert (cluster["timeout"], cluster["capacity"]) == (9, capacity(0, 1, 3))
        cluster = client.v25("PATCH", capacity={"min": 2}).json()["output"]
        assert (cluster["timeout"], cluster["capacity"]) == (5, capacity(2, 2, 3))


@pytest.mark.parametrize(
    ("missing", "status", "error"),
    [("404", 404, "Cluster not found"), ("400", 400, "Cluster not found"), ("null", 200, None)],
)
def test_a_model_without_a_cluster(missing: Any, status: int, error: str | None) -> None:
    with answering(missing=missing) as (emulator, client):
        for method in ("GET", "PATCH", "DELETE"):
            answer = client.v25(method)
            assert (answer.status_code, answer.json()) == (status, {"error": error, "output": None})
        assert emulator.ledger() == {}


@pytest.mark.parametrize("word", ["on", "running"])
def test_the_word_for_ready(word: Any) -> None:
    with answering(ready_word=word) as (emulator, client):
        client.create()
        emulator.advance(40)
        assert client.cluster()["status"] == word
        assert client.v25("PATCH").json()["output"]["status"] == word
        assert client.v25("GET", "list/clusters").json()["output"][0]["status"] == word


@pytest.mark.parametrize("status", [202, 200])
def test_the_http_status_of_a_new_cluster(status: Any) -> None:
    with answering(created_status=status) as (_, client):
        assert client.create().status_code == status


@pytest.mark.parametrize("field", ["output", "cluster"])
def test_the_field_of_a_read(field: Any) -> None:
    with answering(envelope=field) as (_, client):
        client.create()
        read = client.v25("GET").json()
        assert list(read) == ["error", field]
        assert read[field]["modelId"] == GPT2


@pytest.mark.parametrize(("minutes", "most"), [(10, 1), (5, 10)])
def test_the_defaults_of_a_new_cluster(minutes: Any, most: int) -> None:
    with answering(default_timeout=minutes, default_max=most) as (_, client):
        client.create()
        cluster = client.cluster()
        assert (cluster["timeout"], cluster["capacity"]) == (minutes, capacity(0, 1, most))


def test_a_plan_grants_no_more_than_it_has() -> None:
    with answering(plan_max=2) as (_, client):
        client.create(capacity=capacity(1, 3, 5))
        assert client.cluster()["capacity"] == capacity(1, 2, 2)
        patched = client.v25("PATCH", capacity=capacity(3, 3, 4)).json()["output"]
        assert patched["capacity"] == client.cluster()["capacity"] == capacity(2, 2, 2)


@pytest.mark.parametrize(
    ("rules", "error"),
    [
        ({"idle": "sleeps"}, "idle must be 'deletes' or 'stops'"),
        ({"patch": "merges"}, "patch must be 'keeps' or 'resets'"),
        ({"missing": "410"}, "missing must be '404', '400' or 'null'"),
        ({"ready_word": "ready"}, "ready word must be 'on' or 'running'"),
        ({"created_status": 201}, "created status must be 202 or 200"),
        ({"envelope": "data"}, "envelope must be 'output' or 'cluster'"),
        ({"default_timeout": 7}, "default timeout must be 10 or 5 minutes"),
        ({"default_max": 0}, "default max must be from 1 to 10"),
        ({"default_max": 11}, "default max must be from 1 to 10"),
        ({"plan_max": 0}, "plan max must be from 1 to 10"),
        ({"run_seconds": -1}, "run seconds must be from 0 to a day"),
        ({"run_seconds": float("nan")}, "run seconds must be from 0 to a day"),
    ],
)
def test_unknown_rules_are_refused_with_one_sentence(rules: Any, error: str) -> None:
    with pytest.raises(ValueError, match="must be") as caught:
        ClusterRules(**rules)
    assert str(caught.value) == error


@pytest.mark.parametrize(
    ("options", "load", "cluster"),
    [
        ({}, 403, 40),
        ({"boot_seconds": 7}, 7, 7),
        ({"cluster_boot_seconds": 20}, 403, 20),
        ({"boot_seconds": 7, "cluster_boot_seconds": 20}, 7, 20),
    ],
)
def test_boot_seconds_count_for_clusters_too_unless_these_have_their_own(
    options: dict[str, float], load: int, cluster: int
) -> None:
    with (
        Emulator(clock="manual", **options) as emulator,  # type: ignore[arg-type]
        Client(emulator.url, "any") as client,
    ):
        client.load()
        client.create("EleutherAI/gpt-neo-2.7B")
        ready: dict[str, int] = {}
        for seconds in range(404):
            for one in emulator.instances():
                if one["status"] in ("RUNNING", "on"):
                    ready.setdefault(one["modelId"], seconds)
            emulator.advance(1)
        assert ready == {GPT2: load, "EleutherAI/gpt-neo-2.7B": cluster}


@pytest.mark.parametrize("api", ["2024-05", "2024-06", "2025-04"])
def test_an_api_version_that_is_not_answered_is_a_404_without_effect(api: Any) -> None:
    with Emulator(clock="manual", apis=[api]) as emulator, Client(emulator.url, "any") as client:
        answers = {
            "2024-05": client.v05("/model/list"),
            "2024-06": client.v06_list("/model/list"),
            "2025-04": client.v25("GET", "list/models"),
        }
        assert {name: answer.status_code for name, answer in answers.items()} == {
            name: 200 if name == api else 404 for name in answers
        }
        made = [
            client.load(concurrency=1).status_code,
            client.v06("/model/load", model=GPT2, concurrency=1).status_code,
            client.create().status_code,
        ]
        assert sorted(made)[1:] == [404, 404]
        assert len(emulator.instances()) == 1
