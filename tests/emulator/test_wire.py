"""Over a socket: both API versions, the form of every answer, every refusal."""

from __future__ import annotations

import http.client
import json
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import pytest

from bytez_provider.emulator import Emulator
from tests.emulator.client import GPT2, Client

NOT_LOADED = {"error": f"model '{GPT2}' is not loaded"}


def test_the_catalogue_in_the_2024_06_api(client: Client) -> None:
    entries = client.v06_list("/model/list").json()
    assert entries[0] == {
        "modelId": "EleutherAI/gpt-neo-2.7B",
        "ramRequired": 2.23,
        "task": "text-generation",
    }
    names = [entry["name"] for entry in client.v05("/model/list").json()]
    assert names == [entry["modelId"] for entry in entries]
    assert client.v06_list("/model/list", task="text-generation").json() == entries
    assert client.v06_list("/model/list", task="text-to-image").json() == []


def test_the_life_of_a_model_in_the_2024_06_api(client: Client, bytez_emulator: Emulator) -> None:
    loaded = client.v06("/model/load", model=GPT2, concurrency=2, expirationPeriodSeconds=90)
    assert loaded.json() == {"modelId": GPT2, "status": "started", "concurrency": 2}
    assert client.v06("/model/status", model=GPT2).json()["expiresAt"] is None
    bytez_emulator.advance(403)
    status = client.v06("/model/status", model=GPT2).json()
    assert (status["expirationPeriodSeconds"], status["expirationPeriodMinutes"]) == (90, 1.5)
    assert client.v06_list("/model/instances").json() == [status]
    run = client.v06("/model/run", model=GPT2, text="Once", stream=False)
    assert run.text.startswith("Once ")
    assert client.v06("/model/status", model=GPT2).json()["inferences"] == 1
    assert client.v06("/model/delete", model=GPT2).status_code == 200
    assert client.v06_list("/model/instances").json() == []


def test_refusals_have_the_status_codes_of_the_readme(
    client: Client, bytez_emulator: Emulator
) -> None:
    for path in ("/model/status", "/model/delete", "/model/run"):
        answer = client.v05(path, modelId=GPT2, text="Once")
        assert (answer.status_code, answer.json()) == (404, NOT_LOADED)
        answer = client.v05(path, modelId="no/such", text="Once")
        assert (answer.status_code, answer.json()) == (404, {"error": "model 'no/such' not found"})
    client.load()
    busy = client.load(concurrency=4)
    assert (busy.status_code, "in progress" in busy.json()["error"]) == (429, True)
    run = client.v05("/model/run", modelId=GPT2, text="Once")
    assert (run.status_code, "DEPLOYING" in run.json()["error"]) == (409, True)
    bytez_emulator.advance(403)
    loaded = client.load(concurrency=4)
    assert (loaded.status_code, "already loaded" in loaded.json()["error"]) == (209, True)
    assert (client.status()["concurrency"], client.status()["inferences"]) == (1, 0)


def test_a_run_streams_a_few_words_at_a_time(client: Client, bytez_emulator: Emulator) -> None:
    client.load()
    bytez_emulator.advance(403)
    ask: dict[str, Any] = {"modelId": GPT2, "text": "Once upon", "params": {"max_length": 7}}
    body = {"key": bytez_emulator.keys[0], **ask, "stream": True}
    streamed = client.send("POST", "/model/run", json=body, stream=True)
    chunks = [chunk.decode() for chunk in streamed.raw.read_chunked()]
    assert streamed.headers["transfer-encoding"] == "chunked"
    assert chunks[0] == "Once upon"
    assert "emulator" in chunks[1]
    assert [len(chunk.split()) for chunk in chunks[2:]] == [3, 3, 1]
    whole = client.v05("/model/run", **ask, stream=False)
    assert whole.text == "".join(chunks)
    assert int(whole.headers["content-length"]) == len(whole.content)
    assert client.v05("/model/run", **{**ask, "text": "Twice"}).text[5:] != whole.text[9:]


@pytest.mark.parametrize(
    "more",
    [
        {"text": None},
        {"text": "Once", "stream": "yes"},
        {"text": "Once", "params": [1]},
        {"text": "Once", "params": {"max_length": 0}},
    ],
)
def test_an_invalid_run_is_refused(
    client: Client, bytez_emulator: Emulator, more: dict[str, Any]
) -> None:
    client.load()
    bytez_emulator.advance(403)
    assert client.v05("/model/run", modelId=GPT2, **more).status_code == 400
    assert client.status()["inferences"] == 0


@pytest.mark.parametrize("concurrency", [0, 1.5, 2.0, "1", None, True, 10**7], ids=repr)
def test_an_invalid_load_is_refused(
    client: Client, bytez_emulator: Emulator, concurrency: object
) -> None:
    answer = client.load(concurrency=concurrency)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("concurrency must be a whole number")
    assert client.v05("/model/load", modelId=GPT2).status_code == 400
    assert client.load(expirationPeriodSeconds="300").status_code == 400
    assert bytez_emulator.instances() == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 401),
        (b"{", 400),
        (b"[]", 400),
        (b"\xff", 400),
        (b'{"key": NaN}', 400),
        (b'{"key": "\\ud800"}', 400),
        (b"[" * 100_000, 400),
        (b" " * 1_000_001, 413),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_an_invalid_body_is_refused(client: Client, body: bytes, status: int) -> None:
    answer = client.send("POST", "/model/status", data=body)
    assert (answer.status_code, list(answer.json())) == (status, ["error"])
    assert client.v05("/model/list").status_code == 200


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
def test_an_invalid_key_is_refused_everywhere(
    client: Client, headers: dict[str, str], body: dict[str, Any]
) -> None:
    for path in ("list", "load", "status", "run", "instances", "delete"):
        both = {"modelId": GPT2, "model": GPT2, **body}
        answer = client.send("POST", f"/model/{path}", headers=headers, json=both)
        assert answer.status_code == 401
        assert "key" in answer.json()["error"]
    if not body:
        for path in ("list", "instances"):
            assert client.send("GET", f"/model/{path}", headers=headers).status_code == 401


def test_an_emulator_without_keys_accepts_any_key_but_requires_one() -> None:
    with Emulator(clock="manual") as emulator, Client(emulator.url, "whatever") as client:
        assert client.v05("/model/list").status_code == 200
        assert client.v06_list("/model/list").status_code == 200
        assert client.send("POST", "/model/list", json={}).status_code == 401


def test_a_request_that_mixes_up_the_api_versions_is_refused_with_the_reason(
    client: Client,
) -> None:
    answers = [
        client.v05("/model/status", model=GPT2),
        client.v06("/model/status", modelId=GPT2),
    ]
    assert [(answer.status_code, answer.json()["error"]) for answer in answers] == [
        (400, "modelId is required (the key is in the body)"),
        (400, "model is required (the key is in the Authorization header)"),
    ]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/model/lost", 404),
        ("GET", "/", 404),
        ("GET", "/model/load", 405),
        ("PUT", "/model/list", 405),
        ("GET", "/_emulator/nothing", 404),
        ("GET", "/_emulator/clock", 405),
        ("POST", "/_emulator/ledger", 405),
    ],
)
def test_unknown_paths_and_wrong_methods_are_json_errors(
    client: Client, method: str, path: str, status: int
) -> None:
    answer = client.send(method, path)
    assert (answer.status_code, list(answer.json())) == (status, ["error"])


def test_the_status_of_a_model_that_is_not_loaded_may_be_stopped() -> None:
    with (
        Emulator(clock="manual", not_loaded="stopped") as emulator,
        Client(emulator.url, "any") as client,
    ):
        assert client.status() == {"modelId": GPT2, "status": "stopped"}
        assert client.v05("/model/status", modelId="no/such").status_code == 404
        assert client.v05("/model/delete", modelId=GPT2).status_code == 404
        assert client.load().status_code == 200


def test_the_date_header_is_emulated_time(client: Client, bytez_emulator: Emulator) -> None:
    dates = []
    for _ in range(2):
        dates.append(parsedate_to_datetime(client.send("GET", "/lost").headers["date"]))
        bytez_emulator.advance(3600)
    assert list(map(str, dates)) == ["2024-05-27 23:35:35+00:00", "2024-05-28 00:35:35+00:00"]
    assert "server" not in client.v05("/model/list").headers


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
