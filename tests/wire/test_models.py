"""`ModelProvider` over gRPC, in the process that Pulumi runs it in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
import pytest

from bytez_provider.emulator import Emulator
from tests.host.dynamic_host import UNKNOWN, DynamicHost, Logged, OperationError, urn
from tests.wire.conftest import KEY, StartHost

GPT2, PHI = "openai-community/gpt2", "microsoft/phi-1"
LOAD, STATUS, CATALOGUE = "/model/load", "/model/status", "/model/list"
SLOW = pytest.mark.parametrize("service", [400], indirect=True)


def inputs(model_id: str = GPT2, **given: Any) -> dict[str, Any]:
    """Return checked inputs."""
    return {"modelId": model_id, "concurrency": 1, "adopt": False, "onExpiry": "reload", **given}


def refused(operation: Any, *args: Any, **given: Any) -> str:
    """Return the error of an operation that fails: one sentence."""
    with pytest.raises(OperationError) as caught:
        operation(*args, **given)
    assert caught.value.code is grpc.StatusCode.UNKNOWN
    message = str(caught.value)
    assert message.startswith("could not ")
    assert "\n" not in message
    assert KEY not in message
    return message


def live(name: str, text: str) -> Any:
    """Return a test for a line in the row of a resource."""

    def wanted(line: Logged) -> bool:
        return line.ephemeral and line.urn == urn(name) and text in line.message

    return wanted


class TestLife:
    def test_from_check_to_delete(self, host: DynamicHost, emulator: Emulator) -> None:
        checked = host.check({}, {"modelId": GPT2, "concurrency": 2.0, "adopt": False})
        assert checked.failures == []
        assert checked.inputs == inputs(concurrency=2)

        created = host.create(checked.inputs)
        assert (created.id, created.outputs["status"]) == (GPT2, "RUNNING")
        assert created.outputs.items() >= checked.inputs.items()
        assert not host.diff(GPT2, created.outputs, checked.inputs).changes

        read = host.read(GPT2, created.outputs)
        assert (read.id, read.outputs, read.inputs) == (GPT2, created.outputs, checked.inputs)

        hours = {**checked.inputs, "expectedHoursPerDay": 8}
        assert host.diff(GPT2, created.outputs, hours).changes
        updated = host.update(GPT2, created.outputs, hours)
        assert updated == {**created.outputs, "expectedHoursPerDay": 8}

        host.delete(GPT2, updated)
        assert emulator.instances() == []
        assert host.read(GPT2, updated).id == ""
        assert [r.path for r in emulator.requests() if r.path in (LOAD, "/model/delete")] == [
            LOAD,
            "/model/delete",
        ]

    def test_a_replacement_deletes_first_and_warns_about_the_outage(
        self, host: DynamicHost
    ) -> None:
        created = host.create(inputs())
        change = host.diff(GPT2, created.outputs, inputs(concurrency=3), name="gpt2")
        assert change.replaces == ["concurrency"]
        assert change.delete_before_replace
        warning = host.wait_for_log(lambda line: line.severity == "WARNING")
        assert warning.urn == urn("gpt2")
        assert "nothing serves until the new load has booted" in warning.message

    def test_an_unknown_value_is_an_update(self, host: DynamicHost) -> None:
        checked = host.check({}, {"modelId": GPT2, "concurrency": UNKNOWN})
        assert (checked.failures, checked.inputs["concurrency"]) == ([], UNKNOWN)
        created = host.create(inputs())
        change = host.diff(GPT2, created.outputs, checked.inputs)
        assert (change.changes, change.replaces) == (True, [])

    def test_a_preview_writes_nothing(
        self, start: StartHost, emulator: Emulator, tmp_path: Path
    ) -> None:
        state = start().create(inputs(), name="gpt2").outputs
        before = {path: path.read_bytes() for path in (tmp_path / "journal").rglob("*")}
        preview = start()
        assert preview.read(GPT2, state, name="gpt2").id
        checked = preview.check({}, {**inputs(), "isPreview": True}, name="gpt2")
        assert checked.inputs == inputs()
        assert not preview.diff(GPT2, state, checked.inputs, name="gpt2").changes
        preview.cancel()
        assert {path: path.read_bytes() for path in before} == before
        assert set((tmp_path / "journal").rglob("*")) == set(before)

        up = start()
        news = up.check({}, inputs(), name="gpt2").inputs
        assert not up.diff(GPT2, state, news, name="gpt2").changes
        assert {path: path.read_bytes() for path in before} != before


class TestErrors:
    def test_each_is_one_sentence(self, host: DynamicHost, emulator: Emulator) -> None:
        emulator.load_by_somebody_else(PHI)
        assert "it is already loaded at concurrency 1 since" in refused(host.create, inputs(PHI))
        assert "it is not loaded" in refused(host.read, GPT2, {}, inputs={})
        emulator.set_faults([{"endpoint": LOAD, "do": {"boot": "failed", "error": "oom"}}])
        assert 'the service reported FAILED: "oom"' in refused(host.create, inputs())
        emulator.set_faults([])
        created = host.create(inputs())
        emulator.set_faults([{"do": {"respond": {"status": 403, "body": {"error": KEY}}}}])
        assert "HTTP 403" in refused(host.delete, GPT2, created.outputs)

    def test_an_unusable_journal_is_a_warning_of_the_resource(
        self, start: StartHost, emulator: Emulator, tmp_path: Path
    ) -> None:
        (tmp_path / "file").touch()
        host = start(BYTEZ_JOURNAL=str(tmp_path / "file"))
        assert host.create(inputs(), name="gpt2").outputs["status"] == "RUNNING"
        (warning,) = [line for line in host.logged if line.severity == "WARNING"]
        assert warning.urn == urn("gpt2")
        assert warning.message.startswith(f"could not read the journal in '{tmp_path / 'file'}': ")
        assert len(emulator.instances()) == 1


class TestWaiting:
    @SLOW
    def test_the_row_shows_stage_and_limit_and_then_the_duration(
        self, host: DynamicHost, emulator: Emulator
    ) -> None:
        emulator.set_faults([{"endpoint": LOAD, "do": {"statusLagSeconds": 10}}])
        waiting = host.create_async(inputs(), name="gpt2", timeout=1020)
        host.wait_for_log(live("gpt2", "accepted, limit 17m"))
        emulator.advance(11)
        host.wait_for_log(live("gpt2", "DEPLOYING, limit 17m"))
        emulator.advance(400)
        assert waiting.result().outputs["status"] == "RUNNING"
        host.wait_for_log(live("gpt2", "RUNNING after 6m"))

    @SLOW
    def test_the_custom_timeout_is_the_limit(self, host: DynamicHost, emulator: Emulator) -> None:
        said = refused(host.create, inputs(), timeout=1)
        assert "it was not RUNNING within 1s (last status: DEPLOYING)" in said
        assert "nothing is left running" in said
        assert emulator.instances() == []


@SLOW
class TestStopped:
    def test_ctrl_c_returns_deploying_and_the_next_up_waits_again(
        self, start: StartHost, emulator: Emulator, tmp_path: Path
    ) -> None:
        host = start()
        waiting = host.create_async(inputs(), name="gpt2")
        host.wait_for_log(live("gpt2", "DEPLOYING"))
        host.cancel()
        state = waiting.result().outputs
        assert (state["status"], state["created"]) == ("DEPLOYING", created(emulator))
        host.cancel()  # The engine cancels again at the end.
        assert len(records(tmp_path)) == 1

        later = start()
        assert later.diff(GPT2, state, inputs()).changes
        updating = later.update_async(GPT2, state, inputs(), name="gpt2")
        later.wait_for_log(live("gpt2", "DEPLOYING"))
        emulator.advance(400)
        assert updating.result() == {**state, "status": "RUNNING"}
        assert emulator.ledger()[GPT2]["loads"] == 1


def created(emulator: Emulator) -> str:
    """Return the `created` of the only load."""
    (one,) = emulator.instances()
    return str(one["created"])


def records(folder: Path) -> list[Path]:
    """Return the records in the journal."""
    return list((folder / "journal").glob("record-*.json"))
