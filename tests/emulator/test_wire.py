"""Over a socket: both API versions, the form of every answer, every refusal."""

from __future__ import annotations

import http.client
import json
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import pytest

from bytez_provider.emulator import Emulator
from tests.emulator.talk import GPT2, Talker

NOT_LOADED = {"error": f"model '{GPT2}' is not loaded"}


def test_the_catalogue_of_both_api_versions(talk: Talker) -> None:
    seed = talk.seed("/model/list")
    assert seed.text.startswith(
        '[{"name":"EleutherAI/gpt-neo-2.7B","requiredRAM":2.23,"benchmarked":true},'
    )
    assert {"name": f"{GPT2}.onnx.8-bit", "requiredRAM": None, "benchmarked": False} in seed.json()
    june = talk.june_get("/model/list").json()
    assert june[0] == {
        "modelId": "EleutherAI/gpt-neo-2.7B",
        "ramRequired": 2.23,
        "task": "text-generation",
    }
    assert [entry["name"] for entry in seed.json()] == [entry["modelId"] for entry in june]
    assert talk.june_get("/model/list", task="text-generation").json() == june
    assert talk.june_get("/model/list", task="text-to-image").json() == []


def test_a_life_in_the_api_of_may(talk: Talker, bytez_emulator: Emulator) -> None:
    assert talk.load().text == f'{{"modelId":"{GPT2}","status":"started","concurrency":1}}'
    bytez_emulator.advance(403)
    assert talk.seed("/model/status", modelId=GPT2).text == (
        f'{{"modelId":"{GPT2}","status":"RUNNING","concurrency":1,"inferences":0,'
        '"expirationPeriodSeconds":1800,"expirationPeriodMinutes":30,'
        '"expiresAt":"2024-05-28T00:12:18.863Z","created":"2024-05-27T23:35:35.863Z",'
        '"modified":"2024-05-27T23:42:18.863Z"}'
    )
    assert talk.seed("/model/instances").json() == [talk.status()]
    deleted = talk.seed("/model/delete", modelId=GPT2)
    assert (deleted.status_code, deleted.json()) == (200, {"modelId": GPT2, "status": "stopped"})
    assert talk.seed("/model/instances").json() == []


def test_a_life_in_the_api_of_june(talk: Talker, bytez_emulator: Emulator) -> None:
    loaded = talk.june("/model/load", model=GPT2, concurrency=2, expirationPeriodSeconds=90)
    assert loaded.json() == {"modelId": GPT2, "status": "started", "concurrency": 2}
    bytez_emulator.advance(403)
    status = talk.june("/model/status", model=GPT2).json()
    assert (status["expirationPeriodSeconds"], status["expirationPeriodMinutes"]) == (90, 1.5)
    assert talk.june_get("/model/instances").json() == [status]
    assert talk.june("/model/run", model=GPT2, text="Once", stream=False).text.startswith("Once ")
    assert talk.june("/model/delete", model=GPT2).status_code == 200


def test_a_model_that_is_loaded_is_not_loaded_again(talk: Talker, bytez_emulator: Emulator) -> None:
    talk.load()
    busy = talk.load(concurrency=4)
    assert (busy.status_code, "in progress" in busy.json()["error"]) == (429, True)
    bytez_emulator.advance(403)
    loaded = talk.load(concurrency=4)
    assert (loaded.status_code, "already loaded" in loaded.json()["error"]) == (209, True)
    assert talk.status()["concurrency"] == 1
    assert bytez_emulator.ledger()[GPT2]["loads"] == 1


def test_idle_expiry_is_put_off_by_a_run(talk: Talker, bytez_emulator: Emulator) -> None:
    talk.load(expirationPeriodSeconds=600)
    assert talk.status()["expiresAt"] is None
    bytez_emulator.advance(403 + 599)
    talk.seed("/model/run", modelId=GPT2, text="Once")
    bytez_emulator.advance(599)
    assert talk.status()["inferences"] == 1
    bytez_emulator.advance(1)
    answer = talk.seed("/model/status", modelId=GPT2)
    assert (answer.status_code, answer.json()) == (404, NOT_LOADED)


@pytest.mark.parametrize("path", ["/model/status", "/model/delete", "/model/run"])
def test_what_is_not_loaded_or_not_known_is_404(talk: Talker, path: str) -> None:
    answer = talk.seed(path, modelId=GPT2, text="Once")
    assert (answer.status_code, answer.json()) == (404, NOT_LOADED)
    answer = talk.seed(path, modelId="no/such", text="Once")
    assert (answer.status_code, answer.json()) == (404, {"error": "model 'no/such' not found"})


def test_a_model_that_is_not_running_cannot_run(talk: Talker) -> None:
    talk.load()
    answer = talk.seed("/model/run", modelId=GPT2, text="Once")
    assert answer.status_code == 409
    assert "DEPLOYING" in answer.json()["error"]
    assert talk.status()["inferences"] == 0


def test_a_run_streams_a_few_words_at_a_time(talk: Talker, bytez_emulator: Emulator) -> None:
    talk.load()
    bytez_emulator.advance(403)
    ask: dict[str, Any] = {"modelId": GPT2, "text": "Once upon", "params": {"max_length": 7}}
    streamed = talk.send(
        "POST",
        "/model/run",
        json={"key": bytez_emulator.keys[0], **ask, "stream": True},
        stream=True,
    )
    chunks = [chunk.decode() for chunk in streamed.raw.read_chunked()]
    assert streamed.headers["transfer-encoding"] == "chunked"
    assert chunks[0] == "Once upon"
    assert "emulator" in chunks[1]
    assert [len(chunk.split()) for chunk in chunks[2:]] == [3, 3, 1]
    whole = talk.seed("/model/run", **ask, stream=False)
    assert whole.text == "".join(chunks)
    assert int(whole.headers["content-length"]) == len(whole.content)
    assert talk.seed("/model/run", **{**ask, "text": "Twice"}).text[5:] != whole.text[9:]


@pytest.mark.parametrize(
    "more",
    [
        {"text": None},
        {"text": "Once", "stream": "yes"},
        {"text": "Once", "params": [1]},
        {"text": "Once", "params": {"max_length": 0}},
    ],
)
def test_a_run_that_cannot_be_read_is_refused(
    talk: Talker, bytez_emulator: Emulator, more: dict[str, Any]
) -> None:
    talk.load()
    bytez_emulator.advance(403)
    assert talk.seed("/model/run", modelId=GPT2, **more).status_code == 400
    assert talk.status()["inferences"] == 0


@pytest.mark.parametrize("concurrency", [0, -1, 1.5, 2.0, "1", None, True, [1], 10**7], ids=repr)
def test_bad_concurrency_is_refused(
    talk: Talker, bytez_emulator: Emulator, concurrency: object
) -> None:
    answer = talk.load(concurrency=concurrency)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("concurrency must be a whole number")
    assert bytez_emulator.instances() == []


def test_concurrency_is_required_and_the_idle_period_is_a_number(talk: Talker) -> None:
    assert talk.seed("/model/load", modelId=GPT2).status_code == 400
    assert talk.load(expirationPeriodSeconds="300").status_code == 400


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'"key"', b"\xff", b'{"key": NaN}', b'{"key": "\\ud800"}', b"[" * 100_000],
    ids=lambda body: repr(body[:20]),
)
def test_a_body_that_cannot_be_read_is_refused(talk: Talker, body: bytes) -> None:
    answer = talk.send("POST", "/model/status", data=body)
    assert answer.status_code == (401 if body == b"" else 400)
    assert list(answer.json()) == ["error"]


def test_a_body_without_end_is_refused(talk: Talker) -> None:
    answer = talk.send("POST", "/model/status", data=b" " * 1_000_001)
    assert answer.status_code == 413
    assert talk.seed("/model/list").status_code == 200


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({}, {}),
        ({}, {"key": ""}),
        ({}, {"key": 5}),
        ({}, {"key": "wrong"}),
        ({"Authorization": "Key wrong"}, {}),
        ({"Authorization": "Key "}, {}),
        ({"Authorization": "Bearer emulator-key-5f0c2d"}, {}),
        ({"Authorization": "Key emulator-key-5f0c2d"}, {"key": "wrong"}),
    ],
    ids=str,
)
def test_a_bad_key_is_refused_everywhere(
    talk: Talker, headers: dict[str, str], body: dict[str, Any]
) -> None:
    for path in ("list", "load", "status", "run", "instances", "delete"):
        both = {"modelId": GPT2, "model": GPT2, **body}
        answer = talk.send("POST", f"/model/{path}", headers=headers, json=both)
        assert answer.status_code == 401
        assert "key" in answer.json()["error"]
    for path in ("list", "instances"):
        assert talk.send("GET", f"/model/{path}", headers=headers).status_code in (
            {200, 401} if "emulator-key" in str(headers) else {401}
        )


def test_without_keys_any_key_passes_but_none_does_not() -> None:
    with Emulator(clock="manual") as emulator, Talker(emulator.url, "whatever") as talk:
        assert talk.seed("/model/list").status_code == 200
        assert talk.june_get("/model/list").status_code == 200
        assert talk.send("POST", "/model/list", json={}).status_code == 401


def test_a_client_that_mixes_the_api_versions_up_is_told(talk: Talker) -> None:
    seed = talk.seed("/model/status", model=GPT2)
    assert (seed.status_code, seed.json()["error"]) == (
        400,
        "modelId is required (the key is in the body)",
    )
    june = talk.june("/model/status", modelId=GPT2)
    assert (june.status_code, june.json()["error"]) == (
        400,
        "model is required (the key is in the Authorization header)",
    )


def test_unknown_paths_and_wrong_methods_are_json_too(talk: Talker) -> None:
    for method, path, status in [
        ("POST", "/model/lost", 404),
        ("GET", "/", 404),
        ("GET", "/model/load", 405),
        ("PUT", "/model/list", 405),
    ]:
        answer = talk.send(method, path)
        assert (answer.status_code, list(answer.json())) == (status, ["error"])


def test_the_status_of_what_is_not_loaded_may_be_stopped() -> None:
    with (
        Emulator(clock="manual", not_loaded="stopped") as emulator,
        Talker(emulator.url, "any") as talk,
    ):
        answer = talk.seed("/model/status", modelId=GPT2)
        assert (answer.status_code, answer.json()) == (200, {"modelId": GPT2, "status": "stopped"})
        assert talk.seed("/model/status", modelId="no/such").status_code == 404
        assert talk.seed("/model/delete", modelId=GPT2).status_code == 404
        assert talk.load().status_code == 200


def test_the_date_header_is_emulated_time(talk: Talker, bytez_emulator: Emulator) -> None:
    dates = []
    for _ in range(2):
        dates.append(parsedate_to_datetime(talk.seed("/model/list").headers["date"]))
        bytez_emulator.advance(3600)
    assert [str(date) for date in dates] == [
        "2024-05-27 23:35:35+00:00",
        "2024-05-28 00:35:35+00:00",
    ]
    assert talk.send("GET", "/lost").headers["date"].startswith("Tue, 28 May 2024 01:35:35")
    assert "server" not in talk.seed("/model/list").headers


def test_a_connection_is_kept_alive(bytez_emulator: Emulator) -> None:
    connection = http.client.HTTPConnection(urlsplit(bytez_emulator.url).netloc, timeout=20)
    sockets = set()
    for _ in range(3):
        body = json.dumps({"key": bytez_emulator.keys[0]})
        connection.request("POST", "/model/instances", body)
        assert connection.getresponse().read() == b"[]"
        sockets.add(connection.sock)
    assert len(sockets) == 1
    connection.close()


def test_three_hundred_at_once(talk: Talker, bytez_emulator: Emulator) -> None:
    """All are open at the same time: nobody is answered before the clock is advanced."""
    bytez_emulator.set_faults([{"endpoint": "/model/instances", "do": {"delaySeconds": 1}}])

    body = json.dumps({"key": bytez_emulator.keys[0]})
    connections = []
    for _ in range(300):
        connection = http.client.HTTPConnection(urlsplit(talk.url).netloc, timeout=20)
        connection.request("POST", "/model/instances", body)
        connections.append(connection)
    while len(bytez_emulator.requests("/model/instances")) < 300:
        talk.send("GET", "/_emulator/instances")
    bytez_emulator.advance(1)
    assert [connection.getresponse().read() for connection in connections] == [b"[]"] * 300
    for connection in connections:
        connection.close()
