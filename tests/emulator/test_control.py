"""`/_emulator/` over a socket, and the same controls as methods."""

from __future__ import annotations

import threading
from dataclasses import asdict
from typing import Any

import pytest

from bytez_provider.emulator import Emulator
from bytez_provider.emulator.world import AlreadyLoadedError, NotLoadedError
from tests.emulator.client import CODER, GPT2, UNPRICED, Client


def control(client: Client, name: str, body: Any = None) -> Any:
    """Send a request below `/_emulator/`, without a key."""
    method = "GET" if body is None else "POST"
    answer = client.send(method, f"/_emulator/{name}", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_log_has_requests_and_no_keys(client: Client, bytez_emulator: Emulator) -> None:
    client.load()
    bytez_emulator.advance(60)
    client.v06("/model/status", model=GPT2)
    client.v06_list("/model/list", task="x")
    client.v25("PATCH", CODER, timeout=3)
    client.send("POST", "/model/load", data=b"{")
    client.send("POST", f"/lost?key={bytez_emulator.keys[0]}")
    log = control(client, "requests")
    assert log == [asdict(record) for record in bytez_emulator.requests()]
    assert [tuple(record.values()) for record in log] == [
        ("POST", "/model/load", GPT2, 200, "2024-05-27T23:35:35.863Z"),
        ("POST", "/model/status", GPT2, 200, "2024-05-27T23:36:35.863Z"),
        ("GET", "/model/list", None, 200, "2024-05-27T23:36:35.863Z"),
        ("PATCH", f"/models/v2/{CODER}", CODER, 404, "2024-05-27T23:36:35.863Z"),
        ("POST", "/model/load", None, 400, "2024-05-27T23:36:35.863Z"),
        ("POST", "/lost", None, 404, "2024-05-27T23:36:35.863Z"),
    ]
    assert list(log[0]) == ["method", "path", "model", "status", "time"]
    assert [record.status for record in bytez_emulator.requests("/model/load")] == [200, 400]


@pytest.mark.parametrize("clock", ["manual", "real"])
def test_either_clock_can_be_advanced(clock: Any) -> None:
    with Emulator(clock=clock) as emulator, Client(emulator.url, "any") as client:
        client.load()
        assert client.status()["status"] == "DEPLOYING"
        answer = control(client, "clock", {"advance_seconds": 403.5})
        assert answer["now"][:16] == emulator.now().isoformat()[:16]
        assert client.status()["status"] == "RUNNING"


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"advance_seconds": "1"},
        {"advance_seconds": True},
        {"advance_seconds": -1},
        {"advance_seconds": 1e300},
        {"advance_seconds": 1, "x": 2},
    ],
)
def test_an_invalid_advance_is_refused(client: Client, bytez_emulator: Emulator, body: Any) -> None:
    before = bytez_emulator.now()
    answer = client.send("POST", "/_emulator/clock", json=body)
    assert (answer.status_code, list(answer.json())) == (400, ["error"])
    assert bytez_emulator.now() == before


def test_somebody_else_loads_and_unloads_without_a_request(
    client: Client, bytez_emulator: Emulator
) -> None:
    created = bytez_emulator.load_by_somebody_else(CODER, concurrency=3)
    bytez_emulator.advance(403)
    with pytest.raises(AlreadyLoadedError):
        bytez_emulator.load_by_somebody_else(CODER)
    (instance,) = control(client, "instances")
    assert bytez_emulator.instances() == [instance]
    assert (instance["created"], instance["concurrency"]) == (created, 3)
    bytez_emulator.unload_by_somebody_else(CODER)
    with pytest.raises(NotLoadedError):
        bytez_emulator.unload_by_somebody_else(CODER)
    assert bytez_emulator.requests() == []


def test_the_ledger_of_a_month_to_the_cent(client: Client, bytez_emulator: Emulator) -> None:
    client.load(concurrency=2, expirationPeriodSeconds=31 * 24 * 3600)
    client.load(UNPRICED)
    bytez_emulator.advance(30 * 24 * 3600)
    ledger = control(client, "ledger")
    assert ledger == bytez_emulator.ledger()
    assert ledger[UNPRICED] == {"loads": 1, "gbSeconds": None, "dollars": None}
    # 0.5 GB at concurrency 2 for 30 days.
    assert ledger[GPT2]["gbSeconds"] == 2_592_000
    assert round(ledger[GPT2]["dollars"], 2) == 43.20


def test_an_invalid_fault_script_leaves_the_previous_one_in_force(client: Client) -> None:
    rule = {"endpoint": "/model/list", "do": {"respond": {"status": 503}}}
    assert control(client, "faults", [rule]) == {"rules": 1}
    refused = client.send("POST", "/_emulator/faults", json=[{"do": {}}])
    assert refused.status_code == 400
    assert refused.json()["error"].startswith("fault rule 1, 'do' must have exactly one of")
    assert client.v05("/model/list").status_code == 503
    control(client, "faults", [])
    assert client.v05("/model/list").status_code == 200


def test_reset_starts_the_first_script_again_and_keeps_the_time() -> None:
    rule = {"endpoint": "/model/list", "first": 1, "do": {"respond": {"status": 503}}}
    with (
        Emulator(clock="manual", faults=[rule]) as emulator,
        Client(emulator.url, "any") as client,
    ):
        client.load()
        emulator.advance(9)
        emulator.set_faults([])
        moment = emulator.now()
        control(client, "reset", {})
        assert (emulator.instances(), emulator.ledger(), emulator.requests()) == ([], {}, [])
        assert emulator.now() == moment
        assert [client.v05("/model/list").status_code for _ in range(2)] == [503, 200]


def test_stop_cuts_waiting_requests_and_leaves_no_thread(bytez_emulator: Emulator) -> None:
    bytez_emulator.set_faults([{"do": {"delaySeconds": 1}}])
    failures = []

    def ask() -> None:
        with Client(bytez_emulator.url, "any") as one:
            try:
                one.v05("/model/list")
            except OSError as error:
                failures.append(error)

    before = threading.active_count()
    asking = threading.Thread(target=ask)
    asking.start()
    while not bytez_emulator.requests():
        pass
    bytez_emulator.stop()
    asking.join(20)
    assert len(failures) == 1
    assert threading.active_count() == before - 1


def test_start_after_stop_uses_the_same_port_and_keeps_the_loads(
    client: Client, bytez_emulator: Emulator
) -> None:
    client.load()
    url = bytez_emulator.url
    bytez_emulator.stop()
    bytez_emulator.stop()
    with pytest.raises(OSError, match="refused"):
        client.status()
    bytez_emulator.start()
    assert bytez_emulator.url == url
    assert client.status()["status"] == "DEPLOYING"
    with pytest.raises(RuntimeError):
        bytez_emulator.start()


@pytest.mark.parametrize(
    "arguments",
    [
        {"boot_seconds": -1},
        {"boot_seconds": float("nan")},
        {"speed": 0},
        {"speed": 2, "clock": "manual"},
        {"clock": "sun"},
        {"not_loaded": "gone"},
        {"cluster_boot_seconds": -1},
        {"apis": []},
        {"apis": ["2023-01"]},
        {"faults": [{}]},
    ],
)
def test_invalid_arguments_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]+$"):
        Emulator(**arguments)
