"""The versions of the API: what they send, and how they read what is answered."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from bytez_provider.service import wire
from bytez_provider.service.apis import APIS
from bytez_provider.service.client import BytezClient
from bytez_provider.service.client._results import Answer
from bytez_provider.service.schemas import Asked, CatalogueEntry, Instance, Phase, moment_of
from bytez_provider.service.settings import Key, Settings

GPT2 = "openai-community/gpt2"
KEY = Key("bytez-3f9c1a7be2")
MAY_2024, JUNE_2024, CLUSTERS = APIS["2024-05"], APIS["2024-06"], APIS["2025-04"]


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
        assert api.settings_fields(Asked(2), None) == {"concurrency": 2}
        with_expiry = {"concurrency": 2, "expirationPeriodSeconds": 600}
        assert api.settings_fields(Asked(2, 600), None) == with_expiry


def test_parameters_of_a_run_cannot_replace_the_key() -> None:
    fields = MAY_2024.run_fields("x", {"key": "other"}, True)
    body = body_of(MAY_2024.request("run", KEY, GPT2, fields))
    assert (body["key"], body["params"]) == (KEY.reveal(), {"key": "other"})


def test_a_request_does_not_show_the_key() -> None:
    for api in (MAY_2024, JUNE_2024):
        assert KEY.reveal() not in repr(api.request("read the status of", KEY, GPT2))


# ------------------------------------------------------------------------------- clusters


def test_version_2025_04_has_paths_and_envelopes_of_its_own() -> None:
    client = BytezClient(Settings("https://api.bytez.com", "2025-04", KEY))
    capacity = {"min": 2, "desired": 2, "max": 4}
    cluster = {"modelId": GPT2, "status": "on", "timeout": 5, "capacity": capacity, "instances": 3}
    answers = {
        "PUT": "Loading",
        "GET": cluster,
        "PATCH": cluster,
        "DELETE": None,
        "/models/v2/list/clusters": [cluster, {**cluster, "modelId": "a/b", "status": 7}],
        "/models/v2/list/models": [
            {"modelId": GPT2, "ramRequired": 29, "meterPrice": "0.0006478333 / sec"}
        ],
    }
    sent = []

    def exchange(request: wire.Request) -> Answer:
        sent.append((request.method, request.path, body_of(request)))
        output = answers.get(request.path, answers.get(request.method))
        return Answer(200, {}, json.dumps({"error": None, "output": output}).encode())

    client._transport.exchange = exchange  # type: ignore[method-assign]
    assert client.load(GPT2, Asked(2, 90)).outcome.value == "accepted"
    live = client.status(GPT2)
    assert live is not None
    assert (live.phase, live.word, live.instances) == (Phase.RUNNING, "RUNNING", 3)
    assert (live.concurrency, live.max_concurrency, live.expiration_period_seconds) == (2, 4, 300)
    client.rescale(GPT2, Asked(2, None, 4), starts=True)
    assert [(one.model_id, one.status) for one in client.instances()] == [
        (GPT2, "RUNNING"),
        ("a/b", "UNKNOWN"),
    ]
    price = Decimal("0.0006478333")
    entry = CatalogueEntry(model_id=GPT2, required_ram_gb=29, dollars_per_second=price)
    assert client.models() == [entry]
    client.delete(GPT2)
    path = f"/models/v2/{GPT2}"
    assert sent == [
        ("PUT", path, {"timeout": 2, "capacity": {"min": 2, "desired": 2, "max": 2}}),
        ("GET", path, None),
        (
            "PATCH",
            path,
            {"timeout": 10, "capacity": {"min": 2, "desired": 2, "max": 4}, "status": "on"},
        ),
        ("GET", "/models/v2/list/clusters", None),
        ("GET", "/models/v2/list/models", None),
        ("DELETE", path, None),
    ]


@pytest.mark.parametrize(
    ("cluster", "phase", "word"),
    [
        ({"status": "loading"}, Phase.BOOTING, "LOADING"),
        ({"status": "booting instance", "instances": 1}, Phase.BOOTING, "BOOTING INSTANCE"),
        ({"status": "booting instance", "instances": 0}, Phase.BOOTING, "BOOTING INSTANCE"),
        ({"status": "on", "instances": 1}, Phase.RUNNING, "RUNNING"),
        ({"status": " Running ", "instances": 1}, Phase.RUNNING, "RUNNING"),
        ({"status": "on"}, Phase.RUNNING, "RUNNING"),
        ({"status": "on", "instances": 0}, Phase.OFF, "OFF"),
        ({"status": "off", "instances": 0}, Phase.OFF, "OFF"),
        ({"status": "draining", "instances": 1}, Phase.BOOTING, "DRAINING"),
    ],
)
def test_the_status_of_a_cluster(cluster: dict[str, Any], phase: Phase, word: str) -> None:
    live = CLUSTERS.read_status(cluster, GPT2)
    assert live is not None
    assert (live.phase, live.word) == (phase, word)


def test_a_cluster_expires_after_its_last_inference() -> None:
    last = "2025-04-22T17:57:40.036Z"
    cluster = {"status": "on", "timeout": 5, "lastInference": last}
    live = CLUSTERS.read_status(cluster, GPT2)
    assert live is not None
    assert live.expires_at == moment_of("2025-04-22T18:02:40.036Z")
    booting = CLUSTERS.read_status({**cluster, "status": "loading"}, GPT2)
    assert booting is not None
    assert booting.expires_at is None


@pytest.mark.parametrize("minutes", [10**400, 10**18, 10**10, 3_680_000_000])
def test_an_idle_period_beyond_the_calendar_has_no_end(minutes: int) -> None:
    cluster = {"status": "on", "timeout": minutes, "lastInference": "2025-04-22T17:57:40.036Z"}
    live = CLUSTERS.read_status(cluster, GPT2)
    assert live is not None
    assert (live.phase, live.expires_at) == (Phase.RUNNING, None)


@pytest.mark.parametrize(
    ("asked", "fields"),
    [
        (Asked(3), {"timeout": 10, "capacity": {"min": 3, "desired": 3, "max": 3}}),
        (Asked(0), {"timeout": 10, "capacity": {"min": 0, "desired": 1, "max": 1}}),
        (Asked(0, 60, 4), {"timeout": 1, "capacity": {"min": 0, "desired": 1, "max": 4}}),
        (Asked(1, 61), {"timeout": 2, "capacity": {"min": 1, "desired": 1, "max": 1}}),
    ],
)
def test_the_settings_of_a_cluster_are_always_all_sent(asked: Asked, fields: Any) -> None:
    assert CLUSTERS.settings_fields(asked, None) == fields


@pytest.mark.parametrize(
    ("asked", "instances", "desired"),
    [
        (Asked(1, None, 5), 3, 3),
        (Asked(0, None, 5), 0, 0),
        (Asked(4, None, 5), 3, 4),
        (Asked(1, None, 2), 3, 2),
        (Asked(2), 0, 2),
    ],
)
def test_a_change_keeps_the_instances_that_there_are(
    asked: Asked, instances: int, desired: int
) -> None:
    assert CLUSTERS.settings_fields(asked, instances)["capacity"]["desired"] == desired


@pytest.mark.parametrize(
    ("api", "asked", "names"),
    [
        (MAY_2024, Asked(1, 7 * 86400), []),
        (MAY_2024, Asked(0), ["concurrency"]),
        (JUNE_2024, Asked(1, None, 2), ["maxConcurrency"]),
        (CLUSTERS, Asked(0, 86400, 1), []),
        (CLUSTERS, Asked(3, None, 2), ["maxConcurrency"]),
        (CLUSTERS, Asked(1, 86401), ["expirationPeriodSeconds"]),
    ],
)
def test_what_a_version_cannot_do(api: wire.Api, asked: Asked, names: list[str]) -> None:
    assert [name for name, _ in api.problems(asked)] == names


@pytest.mark.parametrize("name", ["output", "cluster"])
def test_the_content_of_an_answer_is_in_either_envelope(name: str) -> None:
    live = CLUSTERS.read_status(CLUSTERS.content({name: {"status": "on"}}), GPT2)
    assert live is not None
    assert live.phase is Phase.RUNNING


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
