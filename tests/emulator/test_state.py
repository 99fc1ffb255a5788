"""The state file: loads survive a restart, and a broken file is reported."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from bytez_provider.emulator import ClusterRules, Emulator
from bytez_provider.emulator.state import StateError
from tests.emulator.client import CODER, GPT2, Client, capacity

START = datetime(2024, 6, 3, tzinfo=timezone.utc)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state.json"


def manual(state: Path) -> Emulator:
    return Emulator(clock="manual", state=state, start=START)


def test_loads_ledger_and_time_survive_a_restart(state: Path) -> None:
    with manual(state) as before, Client(before.url, "any") as client:
        before.set_faults([{"model": CODER, "do": {"boot": "failed", "error": "out of memory"}}])
        client.load(GPT2, concurrency=2)
        client.v05("/model/delete", modelId=GPT2)
        client.load(GPT2, concurrency=3)
        client.load(CODER)
        before.advance(403)
        client.v05("/model/run", modelId=GPT2, text="Once")
        before.advance(61)
        seen = (before.now(), before.instances(), before.ledger())
    with manual(state) as after:
        assert (after.now(), after.instances(), after.ledger()) == seen
        assert {one["status"] for one in after.instances()} == {"FAILED", "RUNNING"}
        assert after.requests() == []
        after.reset()
    with manual(state) as empty:
        assert empty.ledger() == {}


def test_a_change_is_in_the_file_at_once(state: Path) -> None:
    """As after `kill -9`: the first emulator is not stopped."""
    with manual(state) as before, Client(before.url, "any") as client:
        client.load(GPT2)
        before.advance(403)
        with manual(state) as after:
            assert after.instances() == before.instances()
        client.v05("/model/delete", modelId=GPT2)
        with manual(state) as after:
            assert after.instances() == []
            first = before.load_by_somebody_else(GPT2)
            before.unload_by_somebody_else(GPT2)
    with manual(state) as after:
        assert after.load_by_somebody_else(GPT2) > first
    assert [entry.name for entry in state.parent.iterdir()] == [state.name]


def test_clusters_survive_a_restart(state: Path) -> None:
    stops = ClusterRules(idle="stops")
    with (
        Emulator(clock="manual", state=state, start=START, clusters=stops) as before,
        Client(before.url, "any") as client,
    ):
        before.set_faults([{"model": CODER, "do": {"boot": "failed", "error": "out of memory"}}])
        client.create(GPT2, timeout=3, capacity=capacity(1, 3, 5))
        client.create(CODER)
        client.load("microsoft/phi-1")
        before.advance(50)
        client.v25("POST", text="Once")
        client.v25("PATCH", "microsoft/phi-1", timeout=4)
        client.v25("PATCH", CODER, status="off")
        before.advance(70)
        seen = (before.instances(), before.ledger())
        assert {one["status"] for one in seen[0]} == {"on", "off", "booting instance"}
    with (
        Emulator(clock="manual", state=state, start=START, clusters=stops) as after,
        Client(after.url, "any") as client,
    ):
        assert (after.instances(), after.ledger()) == seen
        after.advance(600)
        assert client.cluster()["status"] == "off"


def test_a_restart_ends_the_runs_in_flight(state: Path) -> None:
    with manual(state) as before, Client(before.url, "any") as client:
        client.create(timeout=1)
        with before.changing() as (world, now):
            cluster = world.clusters(now)[0]
            cluster.begin(now, cluster.fate)
        with manual(state) as after:
            after.advance(40)
            assert len(after.instances()) == 1
            after.advance(60)
            assert after.instances() == []


def test_a_file_of_the_format_without_clusters_is_read(state: Path) -> None:
    with manual(state) as before:
        before.load_by_somebody_else(GPT2)
        seen = before.instances()
    content = json.loads(state.read_text(encoding="utf-8"))
    assert content.pop("clusters") == []
    content["format"] = "bytez-emulator/1"
    content["settled"] = {GPT2: {"loads": 2, "instance_seconds": 120}}
    state.write_text(json.dumps(content), encoding="utf-8")
    with manual(state) as after:
        assert after.instances() == seen
        assert after.ledger()[GPT2]["loads"] == 3


@pytest.mark.parametrize(
    "changes",
    [
        {"settings": None},
        {"settings": {"timeout_minutes": 5, "capacity": [1, 2]}},
        {"instances": [{"started": "now"}]},
        {"active": None},
        {"in_flight": "1"},
        {"mood": "good"},
    ],
    ids=str,
)
def test_a_file_with_a_wrong_field_of_a_cluster_is_refused(
    state: Path, changes: dict[str, object]
) -> None:
    with manual(state) as emulator, Client(emulator.url, "any") as client:
        client.create()
    content = json.loads(state.read_text(encoding="utf-8"))
    content["clusters"][0].update(changes)
    state.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(StateError, match="it is not a state file of this emulator"):
        manual(state)


def test_a_fast_clock_does_not_run_backwards_over_a_restart(state: Path) -> None:
    with Emulator(speed=100, state=state) as before:
        before.advance(10**6)
        stopped = before.now()
    with Emulator(speed=100, state=state) as after:
        assert stopped <= after.now() < stopped + timedelta(days=1)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "{}", '{"format": "another/1"}', '{"format": "bytez-emulator/2"}'],
)
def test_a_broken_file_is_refused_in_one_line_and_kept(state: Path, text: str) -> None:
    state.write_text(text, encoding="utf-8")
    with pytest.raises(StateError) as caught:
        manual(state)
    assert str(caught.value) == (
        f"could not read state file '{state}': it is not a state file of this emulator; "
        "delete it or name another"
    )
    assert state.read_text(encoding="utf-8") == text


@pytest.mark.parametrize(
    "changes",
    [
        {"model_id": "no/such"},
        {"concurrency": "2"},
        {"created": "yesterday"},
        {"created": "2024-06-03T00:00:00"},
        {"fate": None},
        {"mood": "good"},
    ],
    ids=str,
)
def test_a_file_with_a_wrong_field_is_refused(state: Path, changes: dict[str, object]) -> None:
    with manual(state) as emulator:
        emulator.load_by_somebody_else(GPT2)
    content = json.loads(state.read_text(encoding="utf-8"))
    content["loads"][0].update(changes)
    state.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(StateError, match="it is not a state file of this emulator"):
        manual(state)


def test_a_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    with pytest.raises(StateError, match=r"could not read state file '.*': Is a directory"):
        manual(tmp_path)
    with pytest.raises(StateError, match=r"could not write state file '.*': No such file"):
        manual(tmp_path / "nowhere" / "state.json")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    with pytest.raises(StateError, match="it is not text"):
        manual(tmp_path / "bytes")
