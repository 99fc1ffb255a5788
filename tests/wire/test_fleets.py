"""`ReadinessProvider` over gRPC, in one process with the models of the fleet."""

from __future__ import annotations

from typing import Any

from bytez_provider.dynamic.providers import ReadinessProvider
from bytez_provider.emulator import Emulator
from tests.host.dynamic_host import PROVIDER_KEY, DynamicHost, pickled
from tests.wire.conftest import StartHost
from tests.wire.moments import until_asked
from tests.wire.test_models import CATALOGUE, GPT2, LOAD, PHI, SLOW, live

LISTS = "/model/instances"
FLEET = "urn:pulumi:s::p::bytez:index:Fleet::chat"
WITHIN = "urn:pulumi:s::p::bytez:index:Fleet$pulumi-python:dynamic/bytez"
READY = f"{WITHIN}:Readiness::chat-ready"
BOTH = {"gpt2": GPT2, "phi": PHI}


def model(key: str) -> str:
    """Return the URN of a member."""
    return f"{WITHIN}:Model::chat-{key}"


def member(model_id: str) -> dict[str, Any]:
    """Return the inputs of a member."""
    return {
        "modelId": model_id,
        "concurrency": 1,
        "adopt": False,
        "onExpiry": "reload",
        "readiness": "fleet",
    }


def load(host: DynamicHost, keys: dict[str, str] | None = None) -> dict[str, dict[str, Any]]:
    """Create the members at the same time; return the outputs of each."""
    ids = keys or BOTH
    waiting = {key: host.create_async(member(ids[key]), name=model(key)) for key in ids}
    return {key: one.result().outputs for key, one in waiting.items()}


def readiness(states: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the inputs of the readiness."""
    members = {
        key: {"modelId": outs["modelId"], "created": outs["created"]}
        for key, outs in states.items()
    }
    return {PROVIDER_KEY: pickled(ReadinessProvider()), "fleet": "chat", "members": members}


class TestLife:
    def test_from_create_to_delete(self, host: DynamicHost, emulator: Emulator) -> None:
        states = load(host)
        assert all("status" not in outs for outs in states.values())
        props = readiness(states)
        assert host.check({}, props, name=READY).failures == []
        created = host.create(props, name=READY)
        assert (created.id, created.outputs["ready"]) == ("chat", True)
        assert created.outputs["statuses"] == {"gpt2": "RUNNING", "phi": "RUNNING"}

        outs = {**created.outputs, PROVIDER_KEY: props[PROVIDER_KEY]}
        assert not host.diff("chat", outs, props, name=READY).changes
        read = host.read("chat", outs, name=READY)
        assert (read.id, read.outputs) == ("chat", created.outputs)

        seen = len(emulator.requests())
        host.delete("chat", outs, name=READY)
        assert len(emulator.requests()) == seen
        assert len(emulator.instances()) == 2

    def test_a_refresh_of_members_and_readiness_is_one_list(
        self, start: StartHost, emulator: Emulator
    ) -> None:
        """Both providers of a process share what it knows."""
        host = start()
        states = load(host)
        props = readiness(states)
        outs = {**host.create(props, name=READY).outputs, PROVIDER_KEY: props[PROVIDER_KEY]}
        refresh = start()
        seen = len(emulator.requests())
        for key, state in states.items():
            assert refresh.read(BOTH[key], state, name=model(key)).id == BOTH[key]
        assert refresh.read("chat", outs, name=READY).id == "chat"
        for key, model_id in BOTH.items():
            refresh.check({}, member(model_id), name=model(key))
        assert [record.path for record in emulator.requests()[seen:]] == [LISTS, CATALOGUE]


@SLOW
class TestWaiting:
    def test_the_rows_of_members_and_fleet(self, host: DynamicHost, emulator: Emulator) -> None:
        waiting = host.create_async(readiness(load(host)), name=READY, timeout=1020)
        for key in BOTH:
            host.wait_for_log(live(model(key), "DEPLOYING, limit 17m"))
        host.wait_for_log(live(FLEET, "0 of 2 running, oldest "))
        host.wait_for_log(live(READY, "0 of 2 running, oldest "))
        emulator.advance(400)
        assert waiting.result().outputs["ready"] is True
        host.wait_for_log(live(model("phi"), "RUNNING after 6m"))
        host.wait_for_log(live(FLEET, "2 of 2 running"))

    def test_with_ci_set_a_row_prints_only_changes(
        self, start: StartHost, emulator: Emulator
    ) -> None:
        host = start(CI="true")
        waiting = host.create_async(readiness(load(host)), name=READY)
        host.wait_for_log(live(FLEET, "0 of 2 running"))
        asked = len(emulator.requests(LISTS))
        until_asked(emulator, "instances", asked + 2)
        emulator.advance(400)
        waiting.result()
        shown = [line.urn for line in host.logged if line.ephemeral and "-" in line.urn]
        assert shown.count(model("phi")) <= 3
        assert [line.message for line in host.logged if line.urn == READY] == []


@SLOW
class TestStopped:
    def test_ctrl_c_returns_not_ready_and_the_next_up_waits(
        self, start: StartHost, emulator: Emulator
    ) -> None:
        host = start()
        props = readiness(load(host))
        waiting = host.create_async(props, name=READY)
        host.wait_for_log(live(FLEET, "0 of 2 running"))
        host.cancel()
        outs = waiting.result().outputs
        assert (outs["ready"], outs["statuses"]["phi"]) == (False, "DEPLOYING")

        later = start()
        assert later.diff("chat", {**props, **outs}, props, name=READY).changes
        updating = later.update_async("chat", {**props, **outs}, props, name=READY)
        later.wait_for_log(live(FLEET, "0 of 2 running"))
        emulator.advance(400)
        assert updating.result()["ready"] is True
        assert len(emulator.requests(LOAD)) == 2

    def test_a_cut_connection_ends_the_wait_and_nothing_is_unloaded(
        self, host: DynamicHost, emulator: Emulator
    ) -> None:
        waiting = host.create_async(readiness(load(host)), name=READY)
        host.wait_for_log(live(FLEET, "0 of 2 running"))
        waiting.drop()
        emulator.advance(400)
        # The process still answers.
        assert host.check({}, member(GPT2)).failures == []
        assert len(emulator.instances()) == 2
