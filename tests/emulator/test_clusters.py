"""The 2025-04 API over a socket: every route, the form of every answer, every refusal."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests

from bytez_provider.emulator import ClusterRules, Emulator
from tests.emulator.client import CODER, GPT2, UNPRICED, Client, capacity

PATH = f"/models/v2/{GPT2}"
NOT_FOUND = {"error": "Cluster not found", "output": None}


@contextmanager
def emulator(**options: Any) -> Iterator[tuple[Emulator, Client]]:
    """Give an emulator on a manual clock, and a client."""
    with Emulator(clock="manual", **options) as one, Client(one.url, "any") as client:
        yield one, client


@contextmanager
def runs(emulator: Emulator, number: int) -> Iterator[list[requests.Response]]:
    """Give the answers of runs that are in flight; wait for all of them at the end."""
    answers: list[requests.Response] = []

    def run() -> None:
        with Client(emulator.url, (*emulator.keys, "any")[0]) as client:
            answers.append(client.v25("POST", text="Once"))

    threads = [threading.Thread(target=run) for _ in range(number)]
    begun = in_flight(emulator)
    for thread in threads:
        thread.start()
    while in_flight(emulator) < begun + number:
        emulator.advance(0)
    yield answers
    for thread in threads:
        thread.join(20)


def in_flight(emulator: Emulator) -> int:
    with emulator.reading() as (world, _now):
        return sum(getattr(load, "in_flight", 0) for load in world.loads.values())


def real(emulator: Emulator) -> int:
    """Return how many instances really exist."""
    return sum(one["instances"] for one in emulator.instances())


def test_the_life_of_a_cluster(client: Client, bytez_emulator: Emulator) -> None:
    created = client.create(timeout=5, capacity=capacity(1, 1, 2))
    assert (created.status_code, created.json()) == (202, {"error": None, "output": "Loading"})
    bytez_emulator.advance(18.6)
    read = client.v25("GET")
    assert (read.status_code, read.json()) == (
        200,
        {
            "error": None,
            "output": {
                "modelId": GPT2,
                "status": "booting instance",
                "created": "2024-05-27T23:35:35.863Z",
                "modified": "2024-05-27T23:35:40.863Z",
                "timeout": 5,
                "capacity": {"min": 1, "desired": 1, "max": 2},
                "instances": 1,
                "inferences": 0,
                "lastInference": "2024-05-27T23:35:35.863Z",
            },
        },
    )
    bytez_emulator.advance(21.4)
    assert client.cluster()["status"] == "on"
    run = client.v25("POST", text="Once", params={"max_length": 3})
    assert run.json()["error"] is None
    assert run.json()["output"].startswith("Once [the Bytez emulator")
    patched = client.v25("PATCH", timeout=7, capacity=capacity(2, 2, 3))
    assert (patched.status_code, patched.json()["error"]) == (200, None)
    cluster = patched.json()["output"]
    assert (cluster["created"], cluster["timeout"]) == ("2024-05-27T23:35:35.863Z", 7)
    assert cluster["capacity"] == {"min": 2, "desired": 2, "max": 3}
    assert (cluster["status"], cluster["instances"], cluster["inferences"]) == ("on", 2, 1)
    assert cluster["modified"] == cluster["lastInference"] == "2024-05-27T23:36:15.863Z"
    assert client.v25("GET", "list/clusters").json() == {"error": None, "output": [cluster]}
    deleted = client.v25("DELETE")
    assert (deleted.status_code, deleted.json()) == (200, {"error": None, "output": None})
    assert client.v25("GET", "list/clusters").json()["output"] == []
    assert client.v25("GET").json() == NOT_FOUND


def test_the_list_of_models(client: Client) -> None:
    entries = client.v25("GET", "list/models").json()["output"]
    by_model = {entry["modelId"]: entry for entry in entries}
    assert len(by_model) == len(entries)
    assert by_model["tiiuae/falcon-7b-instruct"] == {
        "modelId": "tiiuae/falcon-7b-instruct",
        "task": "text-generation",
        "params": 6.82,
        "ramRequired": 27.28,
        "meter": "sm-lm",
        "meterPrice": "0.0006478333 / sec",
    }
    unpriced = by_model[UNPRICED]
    assert (unpriced["ramRequired"], unpriced["params"]) == (None, None)
    assert (unpriced["meter"], unpriced["meterPrice"]) == ("micro-lm", "0.0000872083 / sec")
    for query, listed in (
        ("task=text-generation", entries),
        ("task=chat", []),
        (f"modelId={GPT2}", [by_model[GPT2]]),
        (f"task=text-generation&modelId={GPT2}", [by_model[GPT2]]),
        ("modelId=no/such", []),
    ):
        assert client.v25("GET", f"list/models?{query}").json() == {"error": None, "output": listed}
    assert client.v25("GET", "list/tasks").json() == {"error": None, "output": ["text-generation"]}


def test_a_second_put_is_refused_and_changes_nothing(client: Client) -> None:
    client.create(timeout=3)
    again = client.create(timeout=4)
    assert (again.status_code, again.json()) == (
        409,
        {"error": "Cluster already exists", "output": None},
    )
    assert client.cluster()["timeout"] == 3


def test_an_encoded_slash_is_a_slash(client: Client, bytez_emulator: Emulator) -> None:
    client.create()
    assert client.cluster(GPT2.replace("/", "%2F"))["modelId"] == GPT2
    assert [
        (one.method, one.path, one.model, one.status) for one in bytez_emulator.requests(PATH)
    ] == [("PUT", PATH, GPT2, 202), ("GET", PATH, GPT2, 200)]


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        ("Key KEY", 200),
        ("key KEY", 200),
        ("KEY", 200),
        (None, 401),
        ("", 401),
        ("Key", 401),
        ("wrong", 401),
        ("Key wrong", 401),
        ("Bearer KEY", 401),
    ],
)
def test_the_key_may_have_its_prefix_or_not(
    client: Client, bytez_emulator: Emulator, authorization: str | None, status: int
) -> None:
    key = bytez_emulator.keys[0]
    headers = {} if authorization is None else {"Authorization": authorization.replace("KEY", key)}
    answer = client.send("GET", "/models/v2/list/clusters", headers=headers)
    assert answer.status_code == status
    if status == 401:
        assert answer.json() == {"error": "Unauthorized", "output": None}
        for method in ("PUT", "GET", "PATCH", "DELETE", "POST"):
            body = {"key": key, "text": "Once"}
            assert client.send(method, PATH, headers=headers, json=body).status_code == 401
    assert key not in repr(bytez_emulator.requests())


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "gpt2", 404),
        ("GET", "a/b/c", 404),
        ("GET", "/b", 404),
        ("GET", "a/", 404),
        ("GET", "list/pets", 404),
        ("POST", "request/gpt2", 404),
        ("POST", "openai/v1", 404),
        ("HEAD", GPT2, 405),
        ("POST", "list/clusters", 405),
        ("PUT", "no/such", 404),
        ("POST", "no/such", 404),
        ("GET", "no/such", 404),
        ("PATCH", "no/such", 404),
        ("DELETE", "no/such", 404),
    ],
)
def test_unknown_paths_models_and_methods_are_errors_in_the_envelope(
    client: Client, method: str, path: str, status: int
) -> None:
    answer = client.v25(method, path, text="Once")
    assert answer.status_code == status
    if method != "HEAD":
        assert list(answer.json()) == ["error", "output"]
        assert answer.json()["output"] is None


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"{", 400), (b"[]", 400), (b" " * 1_000_001, 413)],
    ids=lambda x: str(x)[:9],
)
def test_an_invalid_body_is_refused(client: Client, body: bytes, status: int) -> None:
    answer = client.send("PUT", PATH, data=body)
    assert (answer.status_code, answer.json()["output"]) == (status, None)


# ---------------------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("body", "minutes", "numbers"),
    [
        ({}, 10, (0, 1, 1)),
        ({"timeout": None, "capacity": None}, 10, (0, 1, 1)),
        ({"timeout": 1440, "capacity": {}}, 1440, (0, 1, 1)),
        ({"capacity": {"min": 1, "max": None}}, 10, (1, 1, 1)),
        ({"capacity": {"min": 2, "max": 2}}, 10, (2, 2, 2)),
        ({"capacity": {"min": 3}}, 10, (3, 3, 3)),
        ({"capacity": {"max": 5, "desired": 3}}, 10, (0, 3, 5)),
        ({"capacity": {"desired": 4}}, 10, (0, 4, 4)),
        ({"capacity": {"max": 0}}, 10, (0, 0, 0)),
        ({"timeout": 1, "capacity": capacity(10, 10, 10), "config": {"x": 1}}, 1, (10, 10, 10)),
    ],
)
def test_a_put_may_leave_anything_out(
    client: Client, body: dict[str, Any], minutes: int, numbers: tuple[int, int, int]
) -> None:
    assert client.create(**body).status_code == 202
    cluster = client.cluster()
    assert (cluster["timeout"], cluster["capacity"]) == (minutes, capacity(*numbers))
    assert cluster["instances"] == numbers[1]


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"timeout": 0}, "timeout must be a whole number from 1 to 1440"),
        ({"timeout": 1441}, "timeout must be a whole number from 1 to 1440"),
        ({"timeout": 1.5}, "timeout must be a whole number from 1 to 1440"),
        ({"timeout": "5"}, "timeout must be a whole number from 1 to 1440"),
        ({"timeout": True}, "timeout must be a whole number from 1 to 1440"),
        ({"capacity": 3}, "capacity must be an object with min, desired and max"),
        ({"capacity": {"min": -1}}, "capacity.min must be a whole number from 0 to 10"),
        ({"capacity": {"max": 11}}, "capacity.max must be a whole number from 0 to 10"),
        ({"capacity": {"min": 3, "max": 2}}, "capacity.min must not be above capacity.max"),
        (
            {"capacity": capacity(1, 4, 3)},
            "capacity.desired must be from capacity.min to capacity.max",
        ),
        (
            {"capacity": capacity(2, 1, 3)},
            "capacity.desired must be from capacity.min to capacity.max",
        ),
    ],
)
def test_invalid_settings_are_refused_with_one_sentence(
    client: Client, bytez_emulator: Emulator, body: dict[str, Any], error: str
) -> None:
    put = client.create(**body)
    assert (put.status_code, put.json()) == (400, {"error": error, "output": None})
    assert bytez_emulator.instances() == []
    client.create()
    before = client.cluster()
    patch = client.v25("PATCH", **body)
    assert (patch.status_code, patch.json()) == (400, {"error": error, "output": None})
    assert client.cluster() == before


def test_a_patch_switches_a_cluster_off_and_on(client: Client, bytez_emulator: Emulator) -> None:
    client.create(capacity=capacity(2, 2, 2))
    off = client.v25("PATCH", status="off").json()["output"]
    assert (off["status"], off["instances"], off["capacity"]) == ("off", 0, capacity(2, 2, 2))
    assert real(bytez_emulator) == 0
    on = client.v25("PATCH", status="on").json()["output"]
    assert (on["status"], on["instances"]) == ("loading", 2)
    wrong = client.v25("PATCH", status="sleepy")
    assert (wrong.status_code, wrong.json()["error"]) == (400, "status must be 'on' or 'off'")


# -------------------------------------------------------------------------------- runs


def test_a_run_without_a_cluster_creates_one_with_the_defaults_and_waits_for_its_boot(
    client: Client, bytez_emulator: Emulator
) -> None:
    with runs(bytez_emulator, 1) as answers:
        bytez_emulator.advance(39.9)
        cluster = client.cluster()
        assert (cluster["status"], cluster["timeout"]) == ("booting instance", 10)
        assert cluster["capacity"] == capacity(0, 1, 1)
        assert (answers, cluster["inferences"]) == ([], 0)
        bytez_emulator.advance(0.1)
    assert [answer.status_code for answer in answers] == [200]
    cluster = client.cluster()
    assert (cluster["inferences"], cluster["lastInference"]) == (1, "2024-05-27T23:36:15.863Z")


def test_without_a_boot_a_run_is_answered_at_once() -> None:
    with emulator(boot_seconds=0) as (_, client):
        assert client.v25("POST", text="Once").status_code == 200
        assert client.load(CODER).status_code == 200
        assert client.status(CODER)["status"] == "RUNNING"


def test_a_run_streams_plain_text(client: Client, bytez_emulator: Emulator) -> None:
    client.create()
    bytez_emulator.advance(40)
    streamed = client.v25("POST", text="Once", stream=True)
    assert streamed.headers["content-type"].startswith("text/plain")
    assert streamed.headers["transfer-encoding"] == "chunked"
    assert streamed.text == client.v25("POST", text="Once", json=False).json()["output"]
    assert client.cluster()["inferences"] == 2


@pytest.mark.parametrize(
    ("body", "prompt"),
    [
        ({"text": "Once"}, "Once"),
        ({"messages": [{"role": "system", "content": "x"}, {"content": "Once"}]}, "Once"),
        ({"input": "Once"}, "Once"),
        ({"input": {"a": 1}}, '{"a": 1}'),
    ],
)
def test_a_run_has_an_input_of_one_of_three_names(
    client: Client, bytez_emulator: Emulator, body: dict[str, Any], prompt: str
) -> None:
    client.create()
    bytez_emulator.advance(40)
    assert client.v25("POST", **body).json()["output"].startswith(f"{prompt} [the Bytez emulator")


@pytest.mark.parametrize(
    "body",
    [
        {"stream": True},
        {"text": "x", "stream": "yes"},
        {"text": "x", "json": 1},
        {"text": "x", "params": 3},
        {"messages": []},
    ],
    ids=str,
)
def test_an_invalid_run_creates_nothing(
    client: Client, bytez_emulator: Emulator, body: dict[str, Any]
) -> None:
    answer = client.v25("POST", **body)
    assert (answer.status_code, answer.json()["output"]) == (400, None)
    assert bytez_emulator.instances() == []


def test_instances_follow_the_runs_in_flight() -> None:
    with emulator(clusters=ClusterRules(run_seconds=30)) as (one, client):
        client.create(timeout=60, capacity=capacity(0, 1, 3))
        one.advance(40)
        with runs(one, 5) as answers:
            assert real(one) == client.cluster()["instances"] == 3
            one.advance(29)
            assert answers == []
            one.advance(1)
        assert [answer.status_code for answer in answers] == [200] * 5
        one.advance(59)
        assert real(one) == 3
        one.advance(1)
        cluster = client.cluster()
        assert (cluster["status"], cluster["instances"], real(one)) == ("on", 0, 0)
        with runs(one, 1) as answers:
            assert (client.cluster()["status"], real(one)) == ("on", 1)
            one.advance(39)
            assert answers == []
            one.advance(31)
        assert client.cluster()["inferences"] == 6


def test_no_run_fails_or_waits_while_a_higher_min_boots(
    client: Client, bytez_emulator: Emulator
) -> None:
    client.create(capacity=capacity(1, 1, 1))
    bytez_emulator.advance(40)
    client.v25("PATCH", capacity=capacity(4, 4, 4))
    for _ in range(5):
        assert client.v25("POST", text="Once").status_code == 200
        assert (client.cluster()["status"], real(bytez_emulator)) == ("on", 4)
        bytez_emulator.advance(10)


@pytest.mark.parametrize(
    ("method", "body", "error"),
    [("DELETE", {}, "Cluster is shutting down"), ("PATCH", {"status": "off"}, "Cluster is off")],
)
def test_a_run_that_waits_fails_when_its_cluster_ends(
    client: Client, bytez_emulator: Emulator, method: str, body: dict[str, str], error: str
) -> None:
    with runs(bytez_emulator, 1) as answers:
        client.v25(method, **body)
        bytez_emulator.advance(40)
    assert [(one.status_code, one.json()["error"]) for one in answers] == [(503, error)]


# --------------------------------------------------------------------------- 2024 APIs


def test_a_load_of_a_2024_api_is_a_cluster(client: Client, bytez_emulator: Emulator) -> None:
    client.load(concurrency=2, expirationPeriodSeconds=90)
    cluster = client.cluster()
    assert (cluster["status"], cluster["timeout"]) == ("booting instance", 2)
    assert (cluster["capacity"], cluster["instances"]) == (capacity(2, 2, 2), 2)
    assert client.create().json()["error"] == "Cluster already exists"
    bytez_emulator.advance(403)
    assert client.cluster()["status"] == "on"
    assert client.v25("POST", text="Once").status_code == 200
    assert client.status()["inferences"] == 1
    assert client.v25("DELETE").status_code == 200
    assert bytez_emulator.instances() == []


def test_a_cluster_is_a_load_of_the_2024_apis(client: Client, bytez_emulator: Emulator) -> None:
    client.create(timeout=3, capacity=capacity(1, 1, 4))
    assert client.status()["status"] == "DEPLOYING"
    assert client.load().status_code == 429
    bytez_emulator.advance(40)
    status = client.status()
    assert status == {
        "modelId": GPT2,
        "status": "RUNNING",
        "concurrency": 4,
        "inferences": 0,
        "expirationPeriodSeconds": 180,
        "expirationPeriodMinutes": 3,
        "expiresAt": "2024-05-27T23:39:15.863Z",
        "created": "2024-05-27T23:35:35.863Z",
        "modified": "2024-05-27T23:36:15.863Z",
    }
    assert client.v05("/model/instances").json() == [status]
    assert client.load().status_code == 209
    assert client.v05("/model/run", modelId=GPT2, text="Once").status_code == 200
    assert client.cluster()["inferences"] == 1
    client.v25("PATCH", status="off")
    assert client.v05("/model/status", modelId=GPT2).status_code == 404
    client.v25("PATCH", status="on")
    bytez_emulator.unload_by_somebody_else(GPT2)
    assert client.v25("GET").status_code == 404


def test_a_load_with_more_instances_than_a_cluster_may_have_needs_a_new_capacity(
    client: Client, bytez_emulator: Emulator
) -> None:
    client.load(concurrency=12)
    kept = client.v25("PATCH", timeout=5)
    assert (kept.status_code, kept.json()["error"]) == (400, "capacity.max must be at most 10")
    assert len(client.v05("/model/instances").json()) == 1
    assert client.v25("PATCH", capacity={"max": 4}).json()["output"]["instances"] == 4
    assert real(bytez_emulator) == 4


# ----------------------------------------------------------------------------- billing


def test_the_ledger_of_clusters_and_loads(client: Client, bytez_emulator: Emulator) -> None:
    big = "tiiuae/falcon-7b-instruct"
    client.create(big, capacity=capacity(2, 2, 2))
    client.create(UNPRICED)
    client.load()
    bytez_emulator.advance(50)
    client.v25("DELETE", big)
    client.v05("/model/delete", modelId=GPT2)
    client.create(GPT2, capacity=capacity(1, 1, 1))
    bytez_emulator.advance(100)
    ledger = bytez_emulator.ledger()
    assert ledger == client.send("GET", "/_emulator/ledger").json()
    assert ledger[big] == {"loads": 1, "instanceSeconds": 100, "dollars": 0.06478333}
    # Without a run, its instance ended 60 s after the boot.
    assert ledger[UNPRICED] == {
        "loads": 1,
        "instanceSeconds": 100,
        "dollars": pytest.approx(0.00872083),
    }
    assert ledger[GPT2] == {
        "loads": 2,
        "gbSeconds": 30.0,
        "instanceSeconds": 100,
        "dollars": pytest.approx(30 * 0.0000166667 + 0.00872083),
    }


def test_an_unpriced_load_leaves_the_sum_unknown(client: Client) -> None:
    client.load(UNPRICED)
    client.v05("/model/delete", modelId=UNPRICED)
    client.create(UNPRICED)
    entry = {"loads": 2, "gbSeconds": None, "instanceSeconds": 0, "dollars": None}
    assert client.send("GET", "/_emulator/ledger").json()[UNPRICED] == entry
