"""The two API versions, as data."""

from __future__ import annotations

import json

import pytest

from bytez_provider.service import wire
from bytez_provider.service.schemas import CatalogueEntry, Instance
from bytez_provider.service.settings import Key

GPT2 = "openai-community/gpt2"
KEY = Key("bytez-3f9c1a7be2")
SEED, JUNE = wire.APIS["2024-05"], wire.APIS["2024-06"]


def test_the_api_of_may_has_the_key_in_the_body() -> None:
    signed = wire.status_request(SEED, GPT2).with_key(KEY)
    assert (signed.method, signed.path) == ("POST", "/model/status")
    assert json.loads(signed.data or b"") == {"key": KEY.reveal(), "modelId": GPT2}
    assert signed.headers == {"Content-Type": "application/json"}


def test_the_api_of_june_has_the_key_in_a_header() -> None:
    signed = wire.status_request(JUNE, GPT2).with_key(KEY)
    assert (signed.method, signed.path) == ("POST", "/model/status")
    assert json.loads(signed.data or b"") == {"model": GPT2}
    assert signed.headers == {
        "Content-Type": "application/json",
        "Authorization": f"Key {KEY.reveal()}",
    }


def test_lists_are_asked_for_with_get_in_the_api_of_june() -> None:
    for ask in (wire.list_request, wire.instances_request):
        signed = ask(JUNE).with_key(KEY)
        assert (signed.method, signed.data) == ("GET", None)
        assert signed.headers == {"Authorization": f"Key {KEY.reveal()}"}
        signed = ask(SEED).with_key(KEY)
        assert (signed.method, json.loads(signed.data or b"")) == ("POST", {"key": KEY.reveal()})


def test_an_expiry_is_sent_when_it_is_asked_for() -> None:
    assert wire.load_request(SEED, GPT2, 2, None).body == {"modelId": GPT2, "concurrency": 2}
    for api, field in ((SEED, "modelId"), (JUNE, "model")):
        assert wire.load_request(api, GPT2, 2, 600).body == {
            field: GPT2,
            "concurrency": 2,
            "expirationPeriodSeconds": 600,
        }


def test_a_key_cannot_be_overwritten_by_a_body() -> None:
    request = wire.run_request(SEED, GPT2, "x", {"key": "other"}, stream=True)
    body = json.loads(request.with_key(KEY).data or b"")
    assert (body["key"], body["params"]) == (KEY.reveal(), {"key": "other"})


def test_a_signed_request_does_not_show_the_key() -> None:
    for api in (SEED, JUNE):
        assert KEY.reveal() not in repr(wire.status_request(api, GPT2).with_key(KEY))


@pytest.mark.parametrize(
    ("api", "row"),
    [
        (SEED, {"name": GPT2, "requiredRAM": 0.5, "benchmarked": True}),
        (JUNE, {"modelId": GPT2, "ramRequired": 0.5, "benchmarked": True, "task": "text"}),
    ],
)
def test_an_entry_of_the_catalogue(api: wire.Api, row: dict[str, object]) -> None:
    assert wire.read_entries(api, [row]) == [
        CatalogueEntry(model_id=GPT2, required_ram_gb=0.5, benchmarked=True)
    ]


@pytest.mark.parametrize("told", [None, 0, 0.0, -1, "a lot", True, float("nan"), "0", "-2", 1e300])
def test_ram_that_is_no_figure_is_unknown(told: object) -> None:
    # Zero would make a model that costs nothing.
    [entry] = wire.read_entries(SEED, [{"name": GPT2, "requiredRAM": told}]) or []
    assert entry.required_ram_gb is None


def test_entries_without_a_name_are_left_out() -> None:
    rows: list[object] = [
        {"name": GPT2},
        {},
        None,
        7,
        {"name": None},
        {"name": ""},
        {"name": 7},
        [],
    ]
    assert wire.read_entries(SEED, rows) == [CatalogueEntry(model_id=GPT2)]


def test_an_empty_catalogue_is_one_and_an_unreadable_one_is_not() -> None:
    assert wire.read_entries(SEED, []) == []
    payloads: list[object] = [None, {}, "x", [{"modelId": GPT2}], [7]]
    for payload in payloads:
        assert wire.read_entries(SEED, payload) is None


def test_a_status_is_about_the_model_that_was_asked_about() -> None:
    assert wire.read_status({"status": "RUNNING"}, GPT2) == Instance(
        model_id=GPT2, status="RUNNING"
    )
    assert wire.read_status({"status": "RUNNING", "modelId": 7}, GPT2) == Instance(
        model_id=GPT2, status="RUNNING"
    )


@pytest.mark.parametrize("payload", [None, [], "RUNNING", {}, {"status": None}, {"status": " "}])
def test_what_holds_no_status(payload: object) -> None:
    assert wire.read_status(payload, GPT2) is None


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        ({"error": "no"}, "no"),
        ({"error": {"message": "no", "code": 7}}, "no"),
        ({"error": {"code": 7}}, '{"code": 7}'),
        ({"error": ["a", "b"]}, '["a", "b"]'),
        ({"error": True}, "true"),
        ({"error": None}, ""),
        ({"error": ""}, ""),
        ({"error": False}, ""),
        ({}, ""),
        ([], ""),
        ("error", ""),
    ],
)
def test_what_an_error_says(payload: object, text: str) -> None:
    assert wire.error_text(payload) == text


def test_stopped_is_not_loaded() -> None:
    assert wire.is_stopped(Instance(model_id=GPT2, status="Stopped"))
    assert not wire.is_stopped(Instance(model_id=GPT2, status="FAILED"))


def test_a_list_is_believed_in_little() -> None:
    """The rule of all who read it: what booting or running load it identifies, and no more."""
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
    listed = wire.read_instances(rows) or []
    assert len(listed) == len(rows)
    assert list(wire.believed(listed)) == ["a/boots", "a/runs", "a/warms"]


def test_what_has_no_status_of_its_own_is_still_going() -> None:
    [instance] = wire.read_instances([{"modelId": GPT2}]) or []
    assert instance == Instance(model_id=GPT2, status="UNKNOWN")
    assert wire.read_instances({}) is None
