"""Every call of the engine, over a socket, with the emulator behind the plugin."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2
from pulumi.runtime.proto import provider_pb2 as pb

import bytez_provider
from bytez_provider.base.marks import UNKNOWN
from bytez_provider.emulator import Emulator
from tests.native.conftest import KEY, PATIENCE, Plugin, plain, struct

GPT2, PHI = "openai-community/gpt2", "microsoft/phi-1"
MODEL, READINESS = "bytez:index:Model", "bytez:index:Readiness"
URN = f"urn:pulumi:dev::shop::{MODEL}::gpt2"
DEFAULTS = {"adopt": False, "concurrency": 1.0, "onExpiry": "reload"}
KINDS = {value.number: value.name for value in pb.PropertyDiff.Kind.DESCRIPTOR.values}


def named(kind: str = MODEL) -> dict[str, Any]:
    return {"urn": URN, "type": kind, "name": "gpt2"}


def create(plugin: Plugin, *, preview: bool = False, **inputs: Any) -> dict[str, Any]:
    request = pb.CreateRequest(**named(), properties=struct(**inputs), preview=preview)
    return plain(plugin.calls.Create(request, timeout=PATIENCE).properties)


def diff(plugin: Plugin, olds: dict[str, Any], **news: Any) -> tuple[dict[str, str], list[str]]:
    request = pb.DiffRequest(**named(), id=GPT2, olds=struct(**olds), news=struct(**news))
    found = plugin.calls.Diff(request, timeout=PATIENCE)
    assert found.deleteBeforeReplace
    kinds = {name: KINDS[one.kind] for name, one in found.detailedDiff.items()}
    assert (found.changes == pb.DiffResponse.DIFF_SOME) is bool(kinds)
    return kinds, list(found.replaces)


def refused(error: grpc.RpcError) -> tuple[grpc.StatusCode, str]:
    return error.code(), str(error.details())


class TestCheck:
    def check(self, plugin: Plugin, **news: Any) -> tuple[dict[str, Any], dict[str, str]]:
        request = pb.CheckRequest(**named(), olds=struct(), news=struct(**news))
        answer = plugin.calls.Check(request, timeout=PATIENCE)
        return plain(answer.inputs), {one.property: one.reason for one in answer.failures}

    def test_defaults_are_filled_in_and_unknown_values_kept(self, plugin: Plugin) -> None:
        inputs, failures = self.check(plugin, modelId=GPT2)
        assert (inputs, failures) == ({**DEFAULTS, "modelId": GPT2}, {})
        inputs, failures = self.check(plugin, modelId=UNKNOWN, concurrency=UNKNOWN, adopt=True)
        known = {"adopt": True, "onExpiry": "reload"}
        assert inputs == {**known, "modelId": UNKNOWN, "concurrency": UNKNOWN}
        assert failures == {}

    def test_each_mistake_is_a_failure_of_its_property(self, plugin: Plugin) -> None:
        _, failures = self.check(plugin, modelId="gpt2", concurrency=-1, speed=1)
        assert sorted(failures) == ["concurrency", "modelId", "speed"]
        assert failures["speed"].startswith("is not an argument; the arguments are modelId, ")

    def test_an_unknown_model_is_refused_with_the_nearest(self, plugin: Plugin) -> None:
        _, failures = self.check(plugin, modelId="microsoft/phi-l")
        assert "'microsoft/phi-1'" in failures["modelId"]


class TestDiff:
    def test_each_change_is_named_with_what_it_does(self, plugin: Plugin) -> None:
        state = create(plugin, modelId=GPT2)
        kept = {**DEFAULTS, "modelId": GPT2}
        assert diff(plugin, state, **kept) == ({}, [])
        changed = {**kept, "concurrency": 2, "expirationPeriodSeconds": 600, "adopt": True}
        assert diff(plugin, state, **changed) == (
            {
                "concurrency": "UPDATE_REPLACE",
                "expirationPeriodSeconds": "ADD_REPLACE",
                "adopt": "UPDATE",
            },
            ["concurrency", "expirationPeriodSeconds"],
        )
        older = {**state, "expirationPeriodSeconds": 600}
        assert diff(plugin, older, **kept)[0] == {"expirationPeriodSeconds": "DELETE_REPLACE"}
        assert diff(plugin, state, **{**kept, "concurrency": UNKNOWN}) == (
            {"concurrency": "UPDATE"},
            [],
        )

    def test_a_load_that_is_not_running_asks_for_an_update(self, plugin: Plugin) -> None:
        state = {**create(plugin, modelId=GPT2), "status": "DEPLOYING"}
        assert diff(plugin, state, **DEFAULTS, modelId=GPT2) == ({"status": "UPDATE"}, [])


class TestPreview:
    def test_what_the_catalogue_knows_is_shown_and_nothing_is_loaded(
        self, plugin: Plugin, emulator: Emulator
    ) -> None:
        seen = create(plugin, preview=True, modelId=PHI)
        assert (seen["requiredRamGb"], seen["benchmarked"]) == (9.16, True)
        assert (seen["status"], seen["created"]) == (UNKNOWN, UNKNOWN)
        assert emulator.instances() == []
        assert "requiredRamGb" not in create(plugin, preview=True, modelId=UNKNOWN)

    def test_an_update_keeps_what_does_not_change(self, plugin: Plugin, emulator: Emulator) -> None:
        state = create(plugin, modelId=GPT2)
        request = pb.UpdateRequest(
            **named(),
            id=GPT2,
            olds=struct(**state),
            news=struct(**DEFAULTS, modelId=GPT2),
            preview=True,
        )
        assert plain(plugin.calls.Update(request, timeout=PATIENCE).properties) == state


class TestRead:
    def read(self, plugin: Plugin, **properties: Any) -> pb.ReadResponse:
        request = pb.ReadRequest(**named(), id=GPT2, properties=struct(**properties))
        found: pb.ReadResponse = plugin.calls.Read(request, timeout=PATIENCE)
        return found

    def test_by_its_id_it_has_the_inputs_that_are_no_defaults(
        self, plugin: Plugin, emulator: Emulator
    ) -> None:
        emulator.load_by_somebody_else(GPT2, concurrency=2)
        found = self.read(plugin)
        assert plain(found.inputs) == {"modelId": GPT2, "concurrency": 2}
        assert plain(found.properties)["readAt"]
        assert found.refresh_before_update

    def test_a_load_that_is_only_read_is_not_entered_as_ours(
        self, plugin: Plugin, emulator: Emulator, tmp_path: Path
    ) -> None:
        emulator.load_by_somebody_else(GPT2)
        state = plain(self.read(plugin).properties)
        self.read(plugin, **state)
        assert list((tmp_path / "journal").glob("record-*")) == []

    def test_what_is_gone_has_no_id(self, plugin: Plugin, emulator: Emulator) -> None:
        state = create(plugin, modelId=GPT2)
        emulator.unload_by_somebody_else(GPT2)
        assert self.read(plugin, **state).id == ""

    def test_a_state_that_was_edited_is_one_sentence(self, plugin: Plugin) -> None:
        with pytest.raises(grpc.RpcError) as caught:
            self.read(plugin, endpoint="x", account="y", modelId=GPT2, concurrency="many")
        code, text = refused(caught.value)
        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert text.startswith(f"could not read the state of '{GPT2}': its concurrency must be")


class TestErrors:
    def test_ours_are_one_sentence_with_a_fitting_code(
        self, plugin: Plugin, emulator: Emulator
    ) -> None:
        emulator.load_by_somebody_else(GPT2)
        with pytest.raises(grpc.RpcError) as caught:
            create(plugin, modelId=GPT2)
        code, text = refused(caught.value)
        assert code is grpc.StatusCode.ALREADY_EXISTS
        assert text.startswith(f"could not load '{GPT2}': it is already loaded")

    @pytest.mark.parametrize("call", ["Invoke", "Construct"])
    def test_what_there_is_not(self, plugin: Plugin, call: str) -> None:
        request: Any = pb.InvokeRequest(tok="bytez:index:getModle")
        if call == "Construct":
            request = pb.ConstructRequest(type="bytez:index:Flet", name="a")
        with pytest.raises(grpc.RpcError) as caught:
            getattr(plugin.calls, call)(request, timeout=PATIENCE)
        assert refused(caught.value)[0] is grpc.StatusCode.UNIMPLEMENTED

    def test_before_it_is_configured(self, tmp_path: Path) -> None:
        plugin = Plugin(tmp_path)
        with pytest.raises(grpc.RpcError) as caught:
            create(plugin, modelId=GPT2)
        assert "has not configured the provider" in refused(caught.value)[1]
        plugin.close()


class TestSettings:
    def failures(self, plugin: Plugin, **news: Any) -> dict[str, str]:
        request = pb.CheckRequest(news=struct(**news))
        answer = plugin.calls.CheckConfig(request, timeout=PATIENCE)
        return {one.property: one.reason for one in answer.failures}

    def test_each_that_does_not_exist_or_cannot_be_used_is_named(self, plugin: Plugin) -> None:
        assert "did you mean 'endpoint'?" in self.failures(plugin, endpiont="x")["endpiont"]
        assert "plain http to another machine" in self.failures(plugin, endpoint="http://x.org")[""]
        assert self.failures(plugin, endpoint=UNKNOWN, version="0.1.0") == {}

    def test_the_key_of_the_environment_goes_to_no_endpoint_of_the_program(
        self, plugin: Plugin
    ) -> None:
        why = self.failures(plugin, endpoint="https://x.org")[""]
        assert "the key in the environment is not given to an endpoint" in why

    def test_a_change_never_replaces(self, plugin: Plugin) -> None:
        request = pb.DiffRequest(
            olds=struct(key="a", endpoint="https://a.org"), news=struct(key="b", catalogue="off")
        )
        found = plugin.calls.DiffConfig(request, timeout=PATIENCE)
        assert sorted(found.diffs) == ["catalogue", "endpoint", "key"]
        assert list(found.replaces) == []
        assert "REPLACE" not in " ".join(KINDS[one.kind] for one in found.detailedDiff.values())

    def test_a_key_in_plain_text_is_refused_and_not_quoted(self, plugin: Plugin) -> None:
        with pytest.raises(grpc.RpcError) as caught:
            plugin.configure(key="plain-key-0123456789")
        text = refused(caught.value)[1]
        assert "bytez:key is set in plain text" in text
        assert "plain-key" not in text


class TestReadiness:
    def test_it_waits_and_is_read(self, plugin: Plugin) -> None:
        state = create(plugin, modelId=GPT2, readiness="fleet")
        members = {"gpt2": {"modelId": GPT2, "created": state["created"]}}
        inputs = {"fleet": "chat", "members": members}
        request = pb.CreateRequest(**named(READINESS), properties=struct(**inputs))
        outs = plain(plugin.calls.Create(request, timeout=PATIENCE).properties)
        assert (outs["ready"], outs["statuses"]) == (True, {"gpt2": "RUNNING"})

        later = {**inputs, "members": {"gpt2": UNKNOWN}}
        for news, diffs in ((inputs, []), (later, ["members"])):
            asked = pb.DiffRequest(**named(READINESS), olds=struct(**outs), news=struct(**news))
            assert list(plugin.calls.Diff(asked, timeout=PATIENCE).diffs) == diffs

        reading = pb.ReadRequest(**named(READINESS), id="chat", properties=struct(**outs))
        assert plain(plugin.calls.Read(reading, timeout=PATIENCE).properties) == outs


def test_the_schema_has_the_version_of_the_package(plugin: Plugin) -> None:
    answer = plugin.calls.GetSchema(pb.GetSchemaRequest(), timeout=PATIENCE)
    assert json.loads(answer.schema)["version"] == bytez_provider.__version__
    info = plugin.calls.GetPluginInfo(empty_pb2.Empty(), timeout=PATIENCE)
    assert info.version == bytez_provider.__version__


def test_messages_reach_the_engine_with_the_urn_and_without_the_key(plugin: Plugin) -> None:
    create(plugin, modelId=GPT2)
    assert {one.urn for one in plugin.engine.logged} == {URN}
    assert KEY not in "".join(one.message for one in plugin.engine.logged)


def test_it_ends_when_the_engine_is_gone(plugin: Plugin) -> None:
    plugin.engine.stop()
    assert plugin.process.wait(timeout=PATIENCE) == 0
