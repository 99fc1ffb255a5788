"""The models that a state names, also of one that is old, cut down or made by somebody else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bytez_provider.base.urns import MODEL_TYPE, NATIVE_MODEL_TYPE, explicit_provider
from bytez_provider.service.schemas import moment_of
from bytez_provider.stack.states import StackModel, models_of

GPT2 = "openai-community/gpt2"
URN = f"urn:pulumi:dev::fleet::{MODEL_TYPE}::chat"
CREATED = "2024-05-28T23:35:35.863Z"
SECRET = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270"}
OUTPUTS = {
    "modelId": GPT2,
    "concurrency": 2.0,
    "adopt": False,
    "onExpiry": "reload",
    "status": "RUNNING",
    "created": CREATED,
    "endpoint": "https://api.bytez.com",
    "account": "0123456789ab",
}


def resource(**more: Any) -> dict[str, Any]:
    inputs = {"__provider": "gASV", "modelId": GPT2, "concurrency": 2}
    kept = {"urn": URN, "custom": True, "id": GPT2, "type": MODEL_TYPE, "inputs": inputs}
    return {**kept, "outputs": {"__provider": "gASV", **OUTPUTS}, **more}


def models(*resources: Any) -> list[StackModel]:
    return models_of({"version": 3, "deployment": {"resources": list(resources)}})


def test_a_model_is_read_whole() -> None:
    (model,) = models({"urn": "urn:pulumi:dev::fleet::pulumi:pulumi:Stack::fleet-dev"}, resource())
    assert (model.stack, model.project, model.name) == ("dev", "fleet", "chat")
    assert (model.model_id, model.urn) == (GPT2, URN)
    assert dict(model.inputs) == {"modelId": GPT2, "concurrency": 2}
    assert model.created == moment_of(CREATED)
    assert model.is_managed
    assert (model.readiness, model.unreadable) == (None, frozenset())
    assert model.state is not None
    assert (model.state.concurrency, model.state.status) == (2, "RUNNING")


def test_what_pulumi_says_of_a_resource_is_kept() -> None:
    for more, flags in (
        ({"protect": True}, (True, False, False, True)),
        ({"external": True}, (False, True, False, False)),
        ({"delete": True}, (False, False, True, False)),
    ):
        (one,) = models(resource(**more))
        assert (one.protect, one.external, one.pending_deletion, one.is_managed) == flags


def test_a_model_of_a_fleet_is_known_as_one() -> None:
    urn = f"urn:pulumi:dev::fleet::bytez:index:Fleet${MODEL_TYPE}::a::b"
    (model,) = models(resource(urn=urn, outputs={**OUTPUTS, "readiness": "fleet"}))
    assert (model.name, model.readiness) == ("a::b", "fleet")


@pytest.mark.parametrize(
    "hidden",
    [
        {**SECRET, "ciphertext": "v1:abc"},
        {**SECRET, "plaintext": json.dumps("in the open")},
        "04da6b54-80e4-46f7-96ec-b56ff0331ba9",
        {"within": [{**SECRET, "plaintext": json.dumps("in the open")}]},
    ],
)
def test_a_secret_or_unknown_value_is_unreadable_and_not_unset(hidden: object) -> None:
    inputs = {"modelId": hidden, "concurrency": hidden}
    outputs = {**OUTPUTS, **inputs, "created": hidden, "endpoint": hidden}
    (model,) = models(resource(inputs=inputs, outputs=outputs))
    assert model.model_id == GPT2  # From the resource's id, which Pulumi never encrypts.
    assert model.unreadable == {"modelId", "concurrency", "created", "endpoint"}
    assert dict(model.inputs) == {}
    assert model.created is None
    assert model.outputs.keys() == {"adopt", "onExpiry", "status", "account"}
    assert model.is_of("https://anywhere.example", "0123456789ab")
    assert "in the open" not in repr(model)


def test_a_native_model_is_read_in_the_same_way() -> None:
    urn = URN.replace(MODEL_TYPE, NATIVE_MODEL_TYPE)
    more = {"type": NATIVE_MODEL_TYPE, "outputs": OUTPUTS, "refreshBeforeUpdate": True}
    (native, dynamic) = models(resource(urn=urn, **more), resource())
    assert (native.is_native, dynamic.is_native) == (True, False)
    assert (native.name, native.inputs, native.outputs) == ("chat", dynamic.inputs, dynamic.outputs)


@pytest.mark.parametrize(
    ("name", "is_explicit"),
    [
        *[("default", False), ("default::7d", False), ("default_1_2_0::7d", False)],
        *[("eu", True), ("eu::7d", True), ("default-eu::7d", True)],
    ],
)
def test_an_explicit_provider_is_known_by_its_name(name: str, *, is_explicit: bool) -> None:
    urn = f"urn:pulumi:dev::fleet::pulumi:providers:bytez::{name}"
    assert explicit_provider(urn) == (urn.removesuffix("::7d") if is_explicit else "")
    assert explicit_provider("") == ""


def test_account_and_endpoint_say_whose_it_is() -> None:
    (model,) = models(resource())
    assert model.is_of("https://api.bytez.com", "0123456789ab")
    assert not model.is_of("https://api.bytez.com", "another")
    assert not model.is_of("https://api.bytez.com", "0123456789ab", "2025-04")
    assert not model.is_of("http://127.0.0.1:1", "0123456789ab")


def test_a_missing_value_is_unknown_and_no_error() -> None:
    (model,) = models({"type": MODEL_TYPE, "id": GPT2})
    assert (model.urn, model.name, model.project) == ("", "", "")
    assert (model.created, model.state) == (None, None)
    (model,) = models({"type": MODEL_TYPE, "inputs": {"modelId": GPT2}, "outputs": None})
    assert model.model_id == GPT2
    assert models({"type": MODEL_TYPE}, {"type": MODEL_TYPE, "id": 7}, None, [], "x") == []
    assert models_of({"version": 3, "deployment": {"manifest": {}}}) == []
    assert models_of({"version": 3, "deployment": {"resources": None}}) == []


@pytest.mark.parametrize(
    "document", [None, [], "x", {}, {"deployment": None}, {"deployment": {"resources": {}}}]
)
def test_a_document_that_is_no_state_is_refused(document: object) -> None:
    with pytest.raises(ValueError, match=r"deployment|not a list"):
        models_of(document)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([*OUTPUTS, *SECRET, "plaintext", "urn"]), inner, max_size=4
        )
    ),
    max_leaves=8,
)
PARTS = st.dictionaries(
    st.sampled_from(["urn", "id", "inputs", "outputs", "protect", "external", "delete"]), JSON
)


@given(part=PARTS)
def test_any_state_is_read(part: dict[str, Any]) -> None:
    for model in models(resource(**part), {"type": MODEL_TYPE, **part}):
        assert isinstance(model.model_id, str)
        assert all(isinstance(text, str) for text in (model.name, model.stack, model.project))
        assert model.created is None or model.created.tzinfo is not None
        assert model.state is None or model.state.model_id
        assert model.is_of("x", "y") in (True, False)
