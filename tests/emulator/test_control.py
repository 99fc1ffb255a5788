"""`/_emulator/` over a socket, and the same in process."""

from __future__ import annotations

import threading
from dataclasses import asdict
from typing import Any

import pytest

from bytez_provider.emulator import Emulator
from bytez_provider.emulator.world import AlreadyLoadedError, NotLoadedError
from tests.emulator.talk import CODER, GPT2, UNPRICED, Talker


def control(talk: Talker, name: str, body: Any = None) -> Any:
    """Ask below `/_emulator/`, without a key."""
    method = "GET" if body is None else "POST"
    answer = talk.send(method, f"/_emulator/{name}", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_log_names_requests_and_no_keys(talk: Talker, bytez_emulator: Emulator) -> None:
    talk.load()
    bytez_emulator.advance(60)
    talk.june("/model/status", model=GPT2)
    talk.june_get("/model/list", task="x")
    talk.send("POST", "/model/load", data=b"{")
    talk.send("POST", f"/lost?key={bytez_emulator.keys[0]}")
    log = control(talk, "requests")
    assert log == [asdict(record) for record in bytez_emulator.requests()]
    moment = "2024-05-27T23:36:35.863Z"
    assert log == [
        {
            "method": "POST",
            "path": "/model/load",
            "model": GPT2,
            "status": 200,
            "time": "2024-05-27T23:35:35.863Z",
        },
        {"method": "POST", "path": "/model/status", "model": GPT2, "status": 200, "time": moment},
        {"method": "GET", "path": "/model/list", "model": None, "status": 200, "time": moment},
        {"method": "POST", "path": "/model/load", "model": None, "status": 400, "time": moment},
        {"method": "POST", "path": "/lost", "model": None, "status": 404, "time": moment},
    ]
    assert [record.status for record in bytez_emulator.requests("/model/load")] == [200, 400]


def test_the_clock_is_moved(talk: Talker, bytez_emulator: Emulator) -> None:
    assert control(talk, "clock", {"advance_seconds": 86400.5}) == {
        "now": "2024-05-28T23:35:36.363Z"
    }
    assert bytez_emulator.now().isoformat() == "2024-05-28T23:35:36.363000+00:00"


def test_a_real_clock_is_moved_too() -> None:
    with Emulator() as emulator, Talker(emulator.url, "any") as talk:
        talk.load()
        control(talk, "clock", {"advance_seconds": 403})
        assert talk.status()["status"] == "RUNNING"


def test_a_fast_clock_boots_by_itself() -> None:
    with Emulator(speed=100_000) as emulator, Talker(emulator.url, "any") as talk:
        talk.load(expirationPeriodSeconds=10**7)
        while talk.status()["status"] == "DEPLOYING":
            pass
        assert talk.status()["status"] == "RUNNING"


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
def test_a_bad_advance_is_refused(talk: Talker, bytez_emulator: Emulator, body: Any) -> None:
    before = bytez_emulator.now()
    answer = talk.send("POST", "/_emulator/clock", json=body)
    assert (answer.status_code, list(answer.json())) == (400, ["error"])
    assert bytez_emulator.now() == before


def test_instances_are_what_there_really_is(talk: Talker, bytez_emulator: Emulator) -> None:
    created = bytez_emulator.load_by_somebody_else(CODER, concurrency=3)
    instances = control(talk, "instances")
    assert instances == bytez_emulator.instances() == [talk.status(CODER)]
    assert (instances[0]["created"], instances[0]["concurrency"]) == (created, 3)


def test_somebody_else_leaves_no_request(bytez_emulator: Emulator) -> None:
    bytez_emulator.load_by_somebody_else(GPT2)
    bytez_emulator.advance(403)
    with pytest.raises(AlreadyLoadedError):
        bytez_emulator.load_by_somebody_else(GPT2)
    bytez_emulator.unload_by_somebody_else(GPT2)
    with pytest.raises(NotLoadedError):
        bytez_emulator.unload_by_somebody_else(GPT2)
    assert bytez_emulator.requests() == []
    assert bytez_emulator.ledger()[GPT2]["loads"] == 1


def test_the_ledger_of_a_month_to_the_cent(talk: Talker, bytez_emulator: Emulator) -> None:
    talk.load(concurrency=2, expirationPeriodSeconds=31 * 24 * 3600)
    talk.load(UNPRICED)
    bytez_emulator.advance(30 * 24 * 3600)
    ledger = control(talk, "ledger")
    assert ledger == bytez_emulator.ledger()
    assert ledger[UNPRICED] == {"loads": 1, "gbSeconds": None, "dollars": None}
    # 0.5 GB at concurrency 2 for 30 days.
    assert ledger[GPT2]["gbSeconds"] == 2_592_000
    assert round(ledger[GPT2]["dollars"], 2) == 43.20


def test_faults_are_replaced_or_refused_whole(talk: Talker) -> None:
    rule = {"endpoint": "/model/list", "do": {"respond": {"status": 503}}}
    assert control(talk, "faults", [rule]) == {"rules": 1}
    refused = talk.send("POST", "/_emulator/faults", json=[{"do": {}}])
    assert refused.status_code == 400
    assert refused.json()["error"].startswith("fault rule 1, 'do' must have exactly one of")
    assert talk.seed("/model/list").status_code == 503
    control(talk, "faults", [])
    assert talk.seed("/model/list").status_code == 200


def test_reset_starts_anew_with_the_first_script_but_keeps_the_time() -> None:
    rule = {"endpoint": "/model/list", "first": 1, "do": {"respond": {"status": 503}}}
    with (
        Emulator(clock="manual", faults=[rule]) as emulator,
        Talker(emulator.url, "any") as talk,
    ):
        talk.load()
        emulator.advance(9)
        emulator.set_faults([])
        moment = emulator.now()
        control(talk, "reset", {})
        assert (emulator.instances(), emulator.ledger(), emulator.requests()) == ([], {}, [])
        assert emulator.now() == moment
        assert [talk.seed("/model/list").status_code for _ in range(2)] == [503, 200]


def test_what_is_not_there_is_said(talk: Talker, bytez_emulator: Emulator) -> None:
    for method, path, status in [
        ("GET", "/_emulator/nothing", 404),
        ("GET", "/_emulator/clock", 405),
        ("POST", "/_emulator/ledger", 405),
    ]:
        answer = talk.send(method, path)
        assert (answer.status_code, list(answer.json())) == (status, ["error"])
    assert bytez_emulator.requests() == []


def test_it_stops_while_somebody_waits_and_leaves_no_thread(bytez_emulator: Emulator) -> None:
    bytez_emulator.set_faults([{"do": {"delaySeconds": 1}}])
    failures = []

    def ask() -> None:
        with Talker(bytez_emulator.url, "any") as one:
            try:
                one.seed("/model/list")
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


def test_it_comes_back_on_the_same_port_with_what_was_loaded(
    talk: Talker, bytez_emulator: Emulator
) -> None:
    talk.load()
    url = bytez_emulator.url
    bytez_emulator.stop()
    bytez_emulator.stop()
    with pytest.raises(OSError, match="refused"):
        talk.status()
    bytez_emulator.start()
    assert bytez_emulator.url == url
    assert talk.status()["status"] == "DEPLOYING"
    with pytest.raises(RuntimeError):
        bytez_emulator.start()


def test_a_port_that_is_taken_is_an_error_of_the_caller(bytez_emulator: Emulator) -> None:
    port = int(bytez_emulator.url.rpartition(":")[2])
    with pytest.raises(OSError, match="in use"):
        Emulator(port=port).start()


def test_there_is_no_address_before_the_start() -> None:
    with pytest.raises(RuntimeError):
        _ = Emulator().url


@pytest.mark.parametrize(
    "arguments",
    [
        {"boot_seconds": -1},
        {"boot_seconds": float("nan")},
        {"speed": 0},
        {"speed": 2, "clock": "manual"},
        {"clock": "sun"},
        {"not_loaded": "gone"},
        {"faults": [{}]},
    ],
)
def test_bad_arguments_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]+$"):
        Emulator(**arguments)
