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
from tests.emulator.client import GPT2, Client


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
