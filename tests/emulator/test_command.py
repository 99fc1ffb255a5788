"""`bytez-emulator` as a user runs it: a process of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bytez_provider.emulator import Emulator
from bytez_provider.emulator.command import main
from tests.emulator.client import GPT2, Client


@contextmanager
def running(*arguments: str, keys: str = "") -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the command, and give the process and its address."""
    with subprocess.Popen(
        [sys.executable, "-m", "bytez_provider.emulator", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "BYTEZ_EMULATOR_KEYS": keys},
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.fullmatch(r"listening on (http://127\.0\.0\.1:\d+)\n", line)
            assert found is not None, line
            yield process, found[1]
        finally:
            process.kill()


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_quietly(signum: signal.Signals) -> None:
    with running() as (process, url), Client(url, "any") as client:
        assert client.load().status_code == 200
        process.send_signal(signum)
        rest, errors = process.communicate(timeout=20)
        assert (process.returncode, rest, errors) == (0, "", "")


def test_the_options_reach_the_emulator(tmp_path: Path) -> None:
    keys, faults, models = (tmp_path / name for name in ("keys", "faults.json", "models.json"))
    keys.write_text("first\n\n second \n", encoding="utf-8")
    rule = {"endpoint": "/model/list", "first": 1, "do": {"respond": {"status": 503}}}
    faults.write_text(json.dumps([rule]), encoding="utf-8")
    row = {"name": "our/own", "requiredRAM": 1.5, "benchmarked": False}
    models.write_text(json.dumps([row]), encoding="utf-8")
    options = ["--clock", "manual", "--boot-seconds", "30", "--not-loaded", "stopped"]
    options += ["--models", str(models), "--key-file", str(keys), "--faults", str(faults)]
    with running(*options, keys="third, fourth,") as (_process, url):
        for key in ("first", "second", "third", "fourth"):
            with Client(url, key) as client:
                assert client.status() == {"modelId": GPT2, "status": "stopped"}
        with Client(url, "fifth") as client:
            assert client.v05("/model/status", modelId=GPT2).status_code == 401
        with Client(url, "first") as client:
            assert client.v05("/model/list").status_code == 503
            assert client.v05("/model/list").json()[-1] == row
            assert client.load("our/own").status_code == 200
            client.load()
            client.send("POST", "/_emulator/clock", json={"advance_seconds": 30})
            assert client.status()["status"] == "RUNNING"


def test_the_options_of_clusters_reach_the_emulator() -> None:
    options = "--clock manual --boot-seconds 30 --cluster-boot-seconds 20 --api 2025-04"
    options += " --api 2024-06 --cluster-idle stops --cluster-patch resets --cluster-missing 400"
    options += " --cluster-ready-word running --cluster-created-status 200"
    options += " --cluster-envelope cluster --cluster-default-timeout 5 --cluster-default-max 4"
    options += " --cluster-plan-max 5 --cluster-run-seconds 0"
    with running(*options.split()) as (_process, url), Client(url, "any") as client:
        assert client.v05("/model/list").status_code == 404
        assert client.v06_list("/model/list").status_code == 200
        assert client.v25("GET").status_code == 400
        assert client.create().status_code == 200
        client.send("POST", "/_emulator/clock", json={"advance_seconds": 20})
        cluster = client.v25("GET").json()["cluster"]
        assert (cluster["status"], cluster["timeout"]) == ("running", 5)
        assert cluster["capacity"] == {"min": 0, "desired": 1, "max": 4}
        assert client.v25("PATCH", capacity={"max": 2}, timeout=9).status_code == 200
        assert client.v25("PATCH").json()["output"]["capacity"]["max"] == 4
        client.send("POST", "/_emulator/clock", json={"advance_seconds": 300})
        assert client.v25("GET").json()["cluster"]["status"] == "off"


def test_loads_survive_kill_9(tmp_path: Path) -> None:
    options = ["--clock", "manual", "--state", str(tmp_path / "state.json")]
    with running(*options) as (_process, url), Client(url, "any") as client:
        client.load(concurrency=2)
        before = client.status()
    with running(*options) as (_process, url), Client(url, "any") as client:
        assert client.status() == before


def test_a_fast_clock_boots_by_itself() -> None:
    options = ["--speed", "100000", "--boot-seconds", "1000"]
    with running(*options) as (_process, url), Client(url, "any") as client:
        client.load(expirationPeriodSeconds=10**7)
        while client.status()["status"] == "DEPLOYING":
            pass
        assert client.status()["status"] == "RUNNING"


def failure(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[object, str]:
    """Run the command, which must fail with one line; return its exit code and the line."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    return ended.value.code, err.removeprefix("bytez-emulator: ").rstrip("\n")


def test_a_port_in_use_is_exit_1(
    bytez_emulator: Emulator, capsys: pytest.CaptureFixture[str]
) -> None:
    port = bytez_emulator.url.rpartition(":")[2]
    before = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}
    assert failure(capsys, "--port", port) == (1, f"port {port}: Address already in use")
    for signum, handler in before.items():
        signal.signal(signum, handler)


@pytest.mark.parametrize(
    ("option", "content", "message"),
    [
        ("--faults", "{\n nonsense", "fault script 'FILE' is not JSON: Expecting property name"),
        ("--faults", '[{"do": {}}]', "fault rule 1, 'do' must have exactly one of respond,"),
        ("--faults", None, "could not read fault script 'FILE': No such file or directory"),
        ("--models", "{}", "models must be a list"),
        ("--models", '[{"name": "gpt2"}]', "model 1 must be {'name': 'owner/name', "),
        ("--state", "{", "could not read state file 'FILE': it is not a state file of this"),
        ("--key-file", "\n", "key file 'FILE' has no key"),
        ("--key-file", None, "could not read key file 'FILE': No such file or directory"),
        ("--port", 70000, "argument --port: must be a number from 0 to 65535"),
        ("--port", "x", "argument --port: must be a number from 0 to 65535"),
        ("--speed", 0, "speed must be above 0 and at most 1000000"),
        ("--cluster-default-max", 11, "default max must be from 1 to 10"),
        ("--cluster-plan-max", 0, "plan max must be from 1 to 10"),
        ("--cluster-run-seconds", -1, "run seconds must be from 0 to a day"),
        ("--cluster-boot-seconds", -1, "cluster boot seconds must be from 0 to a week"),
        ("--cluster-created-status", 201, "argument --cluster-created-status: invalid choice: 201"),
        ("--api", 2023, "argument --api: invalid choice: '2023'"),
        ("--bot-seconds", 3, "unrecognized arguments: --bot-seconds 3"),
    ],
)
def test_wrong_usage_or_an_invalid_file_is_exit_2(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    option: str,
    content: str | int | None,
    message: str,
) -> None:
    file = tmp_path / "file"
    if isinstance(content, str):
        file.write_text(content, encoding="utf-8")
    code, line = failure(capsys, option, str(content) if isinstance(content, int) else str(file))
    assert code == 2
    assert line.startswith(message.replace("FILE", str(file)))


def test_without_the_extra_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "bytez_provider.emulator.server")
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert failure(capsys) == (2, "uvicorn is missing; install bytez-provider[emulator]")
