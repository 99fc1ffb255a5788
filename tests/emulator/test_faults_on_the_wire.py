"""Fault scripts over a socket: what a client meets."""

from __future__ import annotations

import http.client
import json
import threading
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from bytez_provider.emulator import Emulator
from bytez_provider.emulator.fixtures import START
from tests.emulator.talk import GPT2, Talker


class InBackground:
    """A request that has been sent and waits for its answer."""

    def __init__(self, talk: Talker, emulator: Emulator, path: str) -> None:
        self.answer: requests.Response | None = None
        key = emulator.keys[0]
        before = len(emulator.requests(path))

        def ask() -> None:
            with Talker(talk.url, key) as another:
                self.answer = another.seed(path, modelId=GPT2, concurrency=1)

        self._thread = threading.Thread(target=ask)
        self._thread.start()
        while len(emulator.requests(path)) == before:
            talk.seed("/model/list")

    def wait(self) -> requests.Response:
        self._thread.join(20)
        assert self.answer is not None
        return self.answer


def test_an_answer_of_any_kind(talk: Talker, bytez_emulator: Emulator) -> None:
    html = {"status": 502, "body": "<h1>Bad</h1>", "headers": {"Content-Type": "text/html"}}
    bytez_emulator.set_faults(
        [
            {"first": 1, "do": {"respond": html}},
            {"first": 1, "do": {"respond": {"status": 503, "headers": {"Retry-After": "7"}}}},
            {"first": 1, "do": {"respond": {"status": 429, "body": {"error": "no credits"}}}},
            {"first": 1, "do": {"respond": {"status": 204, "body": "ignored"}}},
            {"first": 1, "do": {"respond": {"status": 200, "headers": {"Date": "soon"}}}},
        ]
    )
    answers = [talk.load() for _ in range(6)]
    assert [answer.status_code for answer in answers] == [502, 503, 429, 204, 200, 200]
    assert answers[0].text == "<h1>Bad</h1>"
    assert answers[0].headers["content-type"] == "text/html"
    assert answers[1].headers["retry-after"] == "7"
    assert answers[1].content == b""
    assert answers[2].json() == {"error": "no credits"}
    assert answers[4].headers["date"] == "soon"
    assert bytez_emulator.ledger()[GPT2]["loads"] == 1
    assert [record.status for record in bytez_emulator.requests()] == [502, 503, 429, 204, 200, 200]


@pytest.mark.parametrize(("when", "loads"), [("before", 0), ("after", 1)])
def test_a_reset_before_or_after_the_effect(
    talk: Talker, bytez_emulator: Emulator, when: str, loads: int
) -> None:
    bytez_emulator.set_faults([{"endpoint": "/model/load", "do": {"reset": when}}])
    with pytest.raises(requests.ConnectionError):
        talk.load()
    assert len(bytez_emulator.instances()) == loads
    assert [record.status for record in bytez_emulator.requests()] == [None]
    assert talk.seed("/model/instances").status_code == 200


def test_a_run_that_is_reset_has_been_counted(talk: Talker, bytez_emulator: Emulator) -> None:
    bytez_emulator.load_by_somebody_else(GPT2)
    bytez_emulator.advance(403)
    bytez_emulator.set_faults([{"endpoint": "/model/run", "do": {"reset": "after"}}])
    with pytest.raises(requests.ConnectionError):
        talk.seed("/model/run", modelId=GPT2, text="Once")
    assert talk.status()["inferences"] == 1


def test_a_delay_lasts_emulated_time_and_blocks_nobody_else(
    talk: Talker, bytez_emulator: Emulator
) -> None:
    bytez_emulator.set_faults([{"endpoint": "/model/load", "do": {"delaySeconds": 60}}])
    delayed = InBackground(talk, bytez_emulator, "/model/load")
    bytez_emulator.advance(59)
    assert talk.seed("/model/instances").json() == []
    assert delayed.answer is None
    assert bytez_emulator.requests("/model/load")[0].status is None
    bytez_emulator.advance(1)
    assert delayed.wait().status_code == 200
    assert talk.status()["created"] == "2024-05-27T23:36:35.863Z"


def test_a_client_that_does_not_wait_for_its_delayed_answer_harms_nobody(
    talk: Talker, bytez_emulator: Emulator
) -> None:
    bytez_emulator.set_faults(
        [{"first": 1, "do": {"delaySeconds": 5}}, {"first": 1, "do": {"reset": "after"}}]
    )
    connection = http.client.HTTPConnection(urlsplit(talk.url).netloc, timeout=20)
    body = {"key": bytez_emulator.keys[0], "modelId": GPT2, "concurrency": 1}
    connection.request("POST", "/model/load", json.dumps(body))
    while not bytez_emulator.requests("/model/load"):
        bytez_emulator.advance(0)
    connection.close()
    bytez_emulator.advance(5)
    while not bytez_emulator.instances():
        talk.send("GET", "/_emulator/instances")
    assert talk.seed("/model/list").status_code == 200


def test_a_boot_that_fails_says_why(talk: Talker, bytez_emulator: Emulator) -> None:
    bytez_emulator.set_faults([{"first": 1, "do": {"boot": "failed", "error": "out of memory"}}])
    talk.load()
    assert talk.status()["status"] == "DEPLOYING"
    bytez_emulator.advance(403)
    status = talk.status()
    assert (status["status"], status["error"]) == ("FAILED", "out of memory")
    assert status["expiresAt"] is None
    assert talk.load().status_code == 209
    bytez_emulator.advance(10**6)
    assert talk.seed("/model/instances").json() == [status]
    assert bytez_emulator.ledger()[GPT2]["gbSeconds"] == 0.5 * 420
    talk.seed("/model/delete", modelId=GPT2)
    assert talk.load().status_code == 200


def test_a_boot_that_never_ends(talk: Talker, bytez_emulator: Emulator) -> None:
    bytez_emulator.set_faults([{"model": "openai-*/*", "do": {"boot": "never"}}])
    talk.load()
    bytez_emulator.advance(10**6)
    assert talk.status()["status"] == "DEPLOYING"
    assert talk.load().status_code == 429


def test_a_slow_shutdown_answers_as_loaded(talk: Talker, bytez_emulator: Emulator) -> None:
    bytez_emulator.set_faults([{"do": {"shutdownSeconds": 45}}])
    talk.load()
    bytez_emulator.advance(403)
    before = talk.status()
    assert talk.seed("/model/delete", modelId=GPT2).json()["status"] == "stopped"
    bytez_emulator.advance(44)
    assert talk.status() == before
    assert talk.seed("/model/instances").json() == [before]
    assert talk.load().status_code == 209
    assert bytez_emulator.instances() == []
    bytez_emulator.advance(1)
    assert talk.seed("/model/status", modelId=GPT2).status_code == 404
    assert bytez_emulator.ledger()[GPT2] == {
        "loads": 1,
        "gbSeconds": 210.0,
        "dollars": pytest.approx(0.003500007, abs=1e-12),
    }


@pytest.mark.parametrize("endpoint", [None, "/model/load", "/model/status"])
def test_a_status_that_lags(talk: Talker, bytez_emulator: Emulator, endpoint: str | None) -> None:
    rule: dict[str, Any] = {"do": {"statusLagSeconds": 20}}
    bytez_emulator.set_faults([rule if endpoint is None else {**rule, "endpoint": endpoint}])
    talk.load()
    bytez_emulator.advance(19)
    assert talk.seed("/model/status", modelId=GPT2).status_code == 404
    assert bytez_emulator.instances()[0]["status"] == "DEPLOYING"
    assert talk.load().status_code == 429
    bytez_emulator.advance(1)
    assert talk.status()["status"] == "DEPLOYING"


def test_a_rate_limit_says_when_to_come_back(talk: Talker, bytez_emulator: Emulator) -> None:
    bytez_emulator.set_faults([{"endpoint": "/model/list", "do": {"rateLimitPerSecond": 2}}])
    answers = [talk.seed("/model/list") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[2].json() == {"error": "rate limit exceeded"}
    assert answers[2].headers["retry-after"] == "1"
    assert talk.seed("/model/instances").status_code == 200
    bytez_emulator.advance(1)
    assert talk.seed("/model/list").status_code == 200


def test_a_wrong_clock_is_wrong_in_the_date_header_only(
    talk: Talker, bytez_emulator: Emulator
) -> None:
    bytez_emulator.set_faults([{"do": {"clockSkewSeconds": -3600}}])
    date = parsedate_to_datetime(talk.load().headers["date"])
    assert (START - date).total_seconds() == pytest.approx(3600, abs=1)
    assert talk.status()["created"] == "2024-05-27T23:35:35.863Z"
