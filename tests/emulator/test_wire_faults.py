"""Fault scripts over a socket: what a client gets."""

from __future__ import annotations

import http.client
import json
import threading
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import pytest
import requests

from bytez_provider.emulator import Emulator
from bytez_provider.emulator.fixtures import START
from tests.emulator.client import CODER, GPT2, Client


def test_any_answer_can_be_scripted(client: Client, bytez_emulator: Emulator) -> None:
    html = {"status": 502, "body": "<h1>Bad</h1>", "headers": {"Content-Type": "text/html"}}
    scripted = [
        html,
        {"status": 503, "headers": {"Retry-After": "7"}},
        {"status": 429, "body": {"error": "no credits"}},
        {"status": 204, "body": "ignored"},
        {"status": 200, "headers": {"Date": "soon"}},
    ]
    bytez_emulator.set_faults([{"first": 1, "do": {"respond": one}} for one in scripted])
    answers = [client.load() for _ in range(6)]
    assert [answer.status_code for answer in answers] == [502, 503, 429, 204, 200, 200]
    assert answers[0].text == "<h1>Bad</h1>"
    assert answers[0].headers["content-type"] == "text/html"
    assert (answers[1].headers["retry-after"], answers[1].content) == ("7", b"")
    assert answers[2].json() == {"error": "no credits"}
    assert answers[4].headers["date"] == "soon"
    assert bytez_emulator.ledger()[GPT2]["loads"] == 1
    assert [record.status for record in bytez_emulator.requests()] == [502, 503, 429, 204, 200, 200]


@pytest.mark.parametrize(("when", "loads"), [("before", 0), ("after", 1)])
def test_a_reset_before_or_after_the_effect(
    client: Client, bytez_emulator: Emulator, when: str, loads: int
) -> None:
    bytez_emulator.set_faults([{"endpoint": "/model/load", "do": {"reset": when}}])
    with pytest.raises(requests.ConnectionError):
        client.load()
    assert len(bytez_emulator.instances()) == loads
    assert [record.status for record in bytez_emulator.requests()] == [None]
    assert client.v05("/model/instances").status_code == 200


def test_a_delay_lasts_emulated_time_and_blocks_no_other_request(
    client: Client, bytez_emulator: Emulator
) -> None:
    bytez_emulator.set_faults([{"endpoint": "/model/load", "do": {"delaySeconds": 60}}])
    answers = []

    def load() -> None:
        with Client(client.url, bytez_emulator.keys[0]) as another:
            answers.append(another.load())

    loading = threading.Thread(target=load)
    loading.start()
    while not bytez_emulator.requests("/model/load"):
        client.v05("/model/list")
    bytez_emulator.advance(59)
    assert client.v05("/model/instances").json() == []
    assert bytez_emulator.requests("/model/load")[0].status is None
    bytez_emulator.advance(1)
    loading.join(20)
    assert [answer.status_code for answer in answers] == [200]
    assert client.status()["created"] == "2024-05-27T23:36:35.863Z"


def test_a_client_that_leaves_before_its_delayed_answer_harms_nobody(
    client: Client, bytez_emulator: Emulator
) -> None:
    bytez_emulator.set_faults(
        [{"first": 1, "do": {"delaySeconds": 5}}, {"first": 1, "do": {"reset": "after"}}]
    )
    connection = http.client.HTTPConnection(urlsplit(client.url).netloc, timeout=20)
    body = {"key": bytez_emulator.keys[0], "modelId": GPT2, "concurrency": 1}
    connection.request("POST", "/model/load", json.dumps(body))
    while not bytez_emulator.requests("/model/load"):
        bytez_emulator.advance(0)
    connection.close()
    bytez_emulator.advance(5)
    while not bytez_emulator.instances():
        client.send("GET", "/_emulator/instances")
    assert client.v05("/model/list").status_code == 200


def test_faults_of_a_load_reach_its_status(client: Client, bytez_emulator: Emulator) -> None:
    bytez_emulator.set_faults(
        [
            {"do": {"boot": "failed", "error": "out of memory"}},
            {"do": {"shutdownSeconds": 45}},
            {"endpoint": "/model/status", "do": {"statusLagSeconds": 20}},
            {"endpoint": "/model/instances", "do": {"statusLagSeconds": 30}},
        ]
    )
    client.load()
    bytez_emulator.advance(19)
    assert client.v05("/model/status", modelId=GPT2).status_code == 404
    bytez_emulator.advance(1)
    assert client.status()["status"] == "DEPLOYING"
    assert client.v05("/model/instances").json() == []
    bytez_emulator.advance(403)
    failed = client.status()
    assert (failed["status"], failed["error"]) == ("FAILED", "out of memory")
    assert failed["expiresAt"] is None
    assert client.v05("/model/delete", modelId=GPT2).json()["status"] == "stopped"
    bytez_emulator.advance(44)
    assert client.v05("/model/instances").json() == [client.status()] == [failed]
    assert client.load().status_code == 209
    bytez_emulator.advance(1)
    assert client.load().status_code == 200


def test_a_clock_skew_changes_only_the_date_header(
    client: Client, bytez_emulator: Emulator
) -> None:
    bytez_emulator.set_faults([{"do": {"clockSkewSeconds": -3600}}])
    date = parsedate_to_datetime(client.load().headers["date"])
    assert (START - date).total_seconds() == pytest.approx(3600, abs=1)
    assert client.status()["created"] == "2024-05-27T23:35:35.863Z"


# ----------------------------------------------------------------------- the 2025-04 API


@pytest.mark.parametrize(
    ("endpoint", "method", "path"),
    [
        ("PUT /models/v2", "PUT", GPT2),
        ("GET /models/v2", "GET", GPT2),
        ("PATCH /models/v2", "PATCH", GPT2),
        ("DELETE /models/v2", "DELETE", GPT2),
        ("POST /models/v2", "POST", GPT2),
        ("/models/v2/list/clusters", "GET", "list/clusters"),
        ("/models/v2/list/models", "GET", "list/models"),
        ("/models/v2/list/tasks", "GET", "list/tasks"),
    ],
)
def test_a_rule_selects_one_endpoint_of_clusters(
    bytez_emulator: Emulator, client: Client, endpoint: str, method: str, path: str
) -> None:
    bytez_emulator.set_faults([{"endpoint": endpoint, "do": {"respond": {"status": 418}}}])
    assert client.v25(method, path).status_code == 418
    others = {"PUT": GPT2, "GET": GPT2, "PATCH": GPT2}
    others.pop(method, None)
    for other, model in others.items():
        assert client.v25(other, model).status_code != 418
    assert client.v05("/model/list").status_code == 200


def test_a_rule_for_one_model_uses_the_model_of_the_path(
    bytez_emulator: Emulator, client: Client
) -> None:
    rule = {"model": "openai-community/*", "do": {"respond": {"status": 503}}}
    bytez_emulator.set_faults([rule])
    assert client.v25("PUT", GPT2).status_code == 503
    assert client.v25("PUT", CODER).status_code == 202
    assert client.v25("GET", "list/clusters").status_code == 200


@pytest.mark.parametrize(("when", "clusters"), [("before", 0), ("after", 1)])
def test_a_put_is_reset_before_or_after_its_effect(
    bytez_emulator: Emulator, client: Client, when: str, clusters: int
) -> None:
    bytez_emulator.set_faults([{"endpoint": "PUT /models/v2", "do": {"reset": when}}])
    with pytest.raises(requests.ConnectionError):
        client.create()
    assert len(bytez_emulator.instances()) == clusters
    assert client.v25("GET", "list/clusters").status_code == 200


@pytest.mark.parametrize("endpoint", [{}, {"endpoint": "PUT /models/v2"}], ids=str)
def test_a_boot_of_a_cluster_that_fails(
    bytez_emulator: Emulator, client: Client, endpoint: dict[str, str]
) -> None:
    rule = {**endpoint, "do": {"boot": "failed", "error": "out of memory"}}
    bytez_emulator.set_faults([rule])
    client.create()
    assert client.v25("GET").json()["error"] is None
    bytez_emulator.advance(40)
    failed = client.v25("GET").json()
    assert (failed["error"], failed["output"]["status"]) == ("out of memory", "failed")
    assert failed["output"]["instances"] == 0
    run = client.v25("POST", text="Once")
    assert (run.status_code, run.json()["error"]) == (503, "out of memory")
    assert client.status()["status"] == "FAILED"
    assert client.status()["error"] == "out of memory"
    assert client.v25("PATCH", status="on").json()["error"] is None
    bytez_emulator.advance(40)
    assert client.cluster()["status"] == "on"


def test_the_boots_of_patch_and_post_may_fail(bytez_emulator: Emulator, client: Client) -> None:
    rules = [
        {"endpoint": f"{method} /models/v2", "do": {"boot": "failed", "error": method}}
        for method in ("PATCH", "POST")
    ]
    bytez_emulator.set_faults(rules)
    client.create()
    client.v25("PATCH", status="off")
    client.v25("PATCH", status="on")
    bytez_emulator.advance(40)
    assert client.v25("GET").json()["error"] == "PATCH"
    client.v25("DELETE")
    run = threading.Thread(target=lambda: client.v25("POST", CODER, text="Once"))
    run.start()
    while not bytez_emulator.instances():
        bytez_emulator.advance(0)
    bytez_emulator.advance(40)
    run.join(20)
    assert bytez_emulator.requests(f"/models/v2/{CODER}")[0].status == 503


def test_a_boot_of_a_cluster_that_never_ends(bytez_emulator: Emulator, client: Client) -> None:
    bytez_emulator.set_faults([{"endpoint": "PUT /models/v2", "do": {"boot": "never"}}])
    client.create()
    answers = []

    def run() -> None:
        with Client(client.url, bytez_emulator.keys[0]) as another:
            answers.append(another.v25("POST", text="Once"))

    running = threading.Thread(target=run)
    running.start()
    while len(bytez_emulator.requests(f"/models/v2/{GPT2}")) < 2:
        bytez_emulator.advance(0)
    bytez_emulator.advance(10**5)
    assert client.cluster()["status"] == "booting instance"
    client.v25("DELETE")
    while running.is_alive():
        # The run may look at its cluster after any advance.
        bytez_emulator.advance(60)
    assert [answer.json()["error"] for answer in answers] == ["Cluster is shutting down"]


def test_a_cluster_may_be_shown_late_and_shut_down_slowly(
    bytez_emulator: Emulator, client: Client
) -> None:
    bytez_emulator.set_faults(
        [
            {"endpoint": "PUT /models/v2", "do": {"statusLagSeconds": 10}},
            {"endpoint": "GET /models/v2", "do": {"statusLagSeconds": 20}},
            {"endpoint": "/models/v2/list/clusters", "do": {"statusLagSeconds": 30}},
            {"do": {"shutdownSeconds": 45}},
        ]
    )
    client.create()
    seen = []
    for seconds in (10, 10, 10):
        bytez_emulator.advance(seconds)
        listed = client.v25("GET", "list/clusters").json()["output"]
        seen.append((client.v25("GET").status_code, len(listed)))
    assert seen == [(404, 0), (200, 0), (200, 1)]
    before = client.cluster()
    assert client.v25("DELETE").json() == {"error": None, "output": None}
    assert bytez_emulator.instances() == []
    bytez_emulator.advance(44)
    assert client.cluster() == before
    assert client.create().json()["error"] == "Cluster already exists"
    bytez_emulator.advance(1)
    assert client.v25("GET").status_code == 404


def test_a_rate_limit_has_the_words_of_the_cluster_api(
    bytez_emulator: Emulator, client: Client
) -> None:
    bytez_emulator.set_faults([{"do": {"rateLimitPerSecond": 1}}])
    client.create()
    limited = client.v25("GET")
    assert (limited.status_code, limited.headers["retry-after"]) == (429, "1")
    assert limited.json() == {"error": "Rate limit exceeded", "output": None}
    assert client.v05("/model/list").json() == {"error": "rate limit exceeded"}


def test_a_cluster_call_is_delayed_by_emulated_time(
    bytez_emulator: Emulator, client: Client
) -> None:
    bytez_emulator.set_faults([{"endpoint": "PUT /models/v2", "do": {"delaySeconds": 60}}])

    def create() -> None:
        with Client(client.url, bytez_emulator.keys[0]) as another:
            another.create()

    creating = threading.Thread(target=create)
    creating.start()
    while not bytez_emulator.requests(f"/models/v2/{GPT2}"):
        bytez_emulator.advance(0)
    bytez_emulator.advance(59)
    assert client.v25("GET", "list/clusters").json()["output"] == []
    bytez_emulator.advance(1)
    creating.join(20)
    assert client.cluster()["created"] == "2024-05-27T23:36:35.863Z"
