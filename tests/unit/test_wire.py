"""The versions of the API as data, and that one with other paths and envelopes is data too."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from bytez_provider.service import wire
from bytez_provider.service.client import BytezClient
from bytez_provider.service.client._transport import Answer
from bytez_provider.service.schemas import CatalogueEntry, Instance, Phase
from bytez_provider.service.settings import Key, Settings

GPT2 = "openai-community/gpt2"
KEY = Key("bytez-3f9c1a7be2")
MAY_2024, JUNE_2024 = wire.APIS["2024-05"], wire.APIS["2024-06"]


def body_of(request: wire.Request) -> Any:
    return json.loads(request.data or b"null")


def test_version_2024_05_has_the_key_in_the_body() -> None:
    request = MAY_2024.request("read the status of", KEY, GPT2)
    assert (request.method, request.path, request.is_list) == ("POST", "/model/status", False)
    assert body_of(request) == {"key": KEY.reveal(), "modelId": GPT2}
    assert request.headers == {"Content-Type": "application/json"}


def test_version_2024_06_has_the_key_in_a_header_and_gets_lists() -> None:
    authorization = {"Authorization": f"Key {KEY.reveal()}"}
    request = JUNE_2024.request("read the status of", KEY, GPT2)
    assert body_of(request) == {"model": GPT2}
    assert request.headers == {"Content-Type": "application/json", **authorization}
    request = JUNE_2024.request("list the instances", KEY)
    assert (request.method, request.data, request.is_list) == ("GET", None, True)
    assert request.headers == authorization


def test_an_expiry_is_sent_if_it_is_asked_for() -> None:
    for api in (MAY_2024, JUNE_2024):
        assert api.load_fields(2, None) == {"concurrency": 2}
        assert api.load_fields(2, 600) == {"concurrency": 2, "expirationPeriodSeconds": 600}


def test_parameters_of_a_run_cannot_replace_the_key() -> None:
    fields = wire.run_fields("x", {"key": "other"}, stream=True)
    body = body_of(MAY_2024.request("run", KEY, GPT2, fields))
    assert (body["key"], body["params"]) == (KEY.reveal(), {"key": "other"})


def test_a_request_does_not_show_the_key() -> None:
    for api in (MAY_2024, JUNE_2024):
        assert KEY.reveal() not in repr(api.request("read the status of", KEY, GPT2))


# ------------------------------------------------------------------------------- a third one


def _cluster_fields(concurrency: int, expiration_period_seconds: int | None) -> wire.Fields:
    seconds = 600 if expiration_period_seconds is None else expiration_period_seconds
    capacity = dict.fromkeys(("min", "desired", "max"), concurrency)
    return {"timeout": -(-seconds // 60), "capacity": capacity}


def _cluster(content: Mapping[str, Any]) -> wire.Fields:
    capacity = content.get("capacity", {})
    minutes = content.get("timeout")
    return {
        **content,
        "concurrency": capacity.get("max"),
        "expirationPeriodSeconds": minutes and minutes * 60,
    }


CLUSTERS = replace(
    JUNE_2024,
    routes={
        "list the models": ("GET", "/models/v2/list/models"),
        "list the instances": ("GET", "/models/v2/list/clusters"),
        "load": ("PUT", "/models/v2/{model}"),
        "read the status of": ("GET", "/models/v2/{model}"),
        "unload": ("DELETE", "/models/v2/{model}"),
        "run": ("POST", "/models/v2/{model}"),
    },
    model_field="",
    envelope="output",
    load_fields=_cluster_fields,
    instance_fields=_cluster,
)
"""The vendor's cluster API of 2025, in outline."""


def test_a_version_with_other_methods_paths_and_envelopes_is_data(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(wire.APIS, "2024-06", CLUSTERS)
    client = BytezClient(Settings("https://api.bytez.com", "2024-06", KEY))
    cluster = {"modelId": GPT2, "status": "running", "timeout": 5, "capacity": {"max": 2}}
    answers = {
        "PUT": "Loading",
        "GET": cluster,
        "DELETE": None,
        "/models/v2/list/clusters": [cluster, {**cluster, "modelId": "a/b", "status": 7}],
        "/models/v2/list/models": [{"modelId": GPT2, "ramRequired": 29}],
    }
    sent = []

    def exchange(request: wire.Request) -> Answer:
        sent.append((request.method, request.path, body_of(request)))
        output = answers.get(request.path, answers.get(request.method))
        return Answer(200, {}, json.dumps({"error": None, "output": output}).encode())

    client._transport.exchange = exchange  # type: ignore[method-assign]
    assert client.load(GPT2, 2, 90).outcome.value == "accepted"
    live = client.status(GPT2)
    assert live is not None
    assert (live.phase, live.concurrency, live.expiration_period_seconds) == (Phase.RUNNING, 2, 300)
    assert [(one.model_id, one.status) for one in client.instances()] == [
        (GPT2, "running"),
        ("a/b", "UNKNOWN"),
    ]
    assert client.models() == [CatalogueEntry(model_id=GPT2, required_ram_gb=29)]
    client.delete(GPT2)
    path = f"/models/v2/{GPT2}"
    assert sent == [
        ("PUT", path, {"timeout": 2, "capacity": {"min": 2, "desired": 2, "max": 2}}),
        ("GET", path, None),
        ("GET", "/models/v2/list/clusters", None),
        ("GET", "/models/v2/list/models", None),
        ("DELETE", path, None),
    ]


def test_an_error_beside_the_content_of_an_envelope_is_kept() -> None:
    read = CLUSTERS.content
    assert read({"error": "no", "output": {"status": "x"}})["error"] == "no"
    assert read({"error": "no", "output": None}) == {"error": "no", "output": None}
    assert read([1]) == [1]


# ---------------------------------------------------------------------------------- answers


@pytest.mark.parametrize(
    ("api", "row"),
    [
        (MAY_2024, {"name": GPT2, "requiredRAM": 0.5, "benchmarked": True}),
        (JUNE_2024, {"modelId": GPT2, "ramRequired": 0.5, "benchmarked": True, "task": "text"}),
    ],
)
def test_an_entry_of_the_catalogue(api: wire.Api, row: dict[str, object]) -> None:
    assert api.read_entries([row]) == [
        CatalogueEntry(model_id=GPT2, required_ram_gb=0.5, benchmarked=True)
    ]


@pytest.mark.parametrize("ram", [None, 0, 0.0, -1, "a lot", True, float("nan"), "0", "-2", 1e300])
def test_ram_without_a_sensible_figure_is_unknown(ram: object) -> None:
    # Zero would make a model that costs nothing.
    assert MAY_2024.read_entries([{"name": GPT2, "requiredRAM": ram}]) == [
        CatalogueEntry(model_id=GPT2)
    ]


def test_an_empty_catalogue_is_one_and_an_unreadable_one_is_not() -> None:
    rows: list[object] = [{"name": GPT2}, {}, None, 7, {"name": ""}, {"name": 7}, []]
    assert MAY_2024.read_entries(rows) == [CatalogueEntry(model_id=GPT2)]
    assert MAY_2024.read_entries([]) == []
    payloads: list[object] = [None, {}, "x", [{"modelId": GPT2}], [7]]
    for payload in payloads:
        assert MAY_2024.read_entries(payload) is None


def test_a_status_is_about_the_model_that_was_asked_about() -> None:
    for payload in ({"status": "RUNNING"}, {"status": "RUNNING", "modelId": 7}):
        expected = Instance(model_id=GPT2, status="RUNNING")
        assert MAY_2024.read_status(payload, GPT2) == expected


def test_the_error_beside_a_status_is_kept() -> None:
    failed = {"status": "FAILED", "error": {"message": "out of memory"}}
    found = MAY_2024.read_status(failed, GPT2)
    assert found is not None
    assert found.error == "out of memory"


def test_only_the_words_of_an_error_are_the_own_ones_of_the_api() -> None:
    assert wire.own_error({"error": "no"}) == "no"
    assert wire.own_error({"error": 7}) == ""


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        ({"error": "no"}, "no"),
        ({"error": {"message": "no", "code": 7}}, "no"),
        ({"error": {"code": 7}}, '{"code": 7}'),
        ({"error": ["a", "b"]}, '["a", "b"]'),
        ({"error": True}, "true"),
        ({"error": None}, ""),
        ({"error": False}, ""),
        ({}, ""),
        ([], ""),
    ],
)
def test_the_text_of_an_error(payload: object, text: str) -> None:
    assert wire.error_text(payload) == text


def test_only_booting_and_running_loads_of_a_list_are_believed() -> None:
    made = {"created": "2024-05-27T23:35:35.863Z"}
    rows = [
        {"modelId": "a/boots", "status": "DEPLOYING", **made},
        {"modelId": "a/runs", "status": "running", **made},
        {"modelId": "a/warms", "status": "WARMING", **made},
        {"modelId": "a/name-only"},
        {"modelId": "a/no-status", **made},
        {"modelId": "a/odd-status", "status": 7, **made},
        {"modelId": "a/no-created", "status": "RUNNING"},
        {"modelId": "a/odd-created", "status": "RUNNING", "created": "yesterday"},
        {"modelId": "a/failed", "status": "FAILED", **made},
        {"modelId": "a/stopped", "status": "stopped", **made},
        {"modelId": "a/twice", "status": "RUNNING", **made},
        {"modelId": "a/twice", "status": "RUNNING", **made},
    ]
    listed = MAY_2024.read_instances(rows) or []
    assert len(listed) == len(rows)
    assert list(wire.believed(listed)) == ["a/boots", "a/runs", "a/warms"]
    assert MAY_2024.read_instances({}) is None
