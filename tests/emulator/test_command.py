"""`bytez-emulator` as a user runs it: a process of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from bytez_provider.emulator import Emulator
from bytez_provider.emulator.command import main
from tests.emulator.talk import GPT2, Talker

COMMAND = [sys.executable, "-m", "bytez_provider.emulator"]
_LONGEST_SECONDS = 20


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != "BYTEZ_EMULATOR_KEYS"}
    return {**kept, **more}


@contextmanager
def running(*arguments: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the command, and give the process and its address."""
    with subprocess.Popen(
        [*COMMAND, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=_environment(environment),
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.fullmatch(r"listening on (http://127\.0\.0\.1:\d+)\n", line)
            assert found is not None, line
            yield process, found[1]
        finally:
            process.kill()


def finish(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command, which must end by itself."""
    return subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        env=_environment({}),
        timeout=_LONGEST_SECONDS,
        check=False,
    )


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_quietly(signum: signal.Signals) -> None:
    with running() as (process, url), Talker(url, "any") as talk:
        assert talk.load().status_code == 200
        process.send_signal(signum)
        rest, errors = process.communicate(timeout=_LONGEST_SECONDS)
        assert (process.returncode, rest, errors) == (0, "", "")


def test_the_options_reach_the_emulator(tmp_path: Path) -> None:
    keys, faults, models = (tmp_path / name for name in ("keys", "faults.json", "models.json"))
    keys.write_text("first\n\n second \n", encoding="utf-8")
    rule = {"endpoint": "/model/list", "first": 1, "do": {"respond": {"status": 503}}}
    faults.write_text(json.dumps([rule]), encoding="utf-8")
    row = {"name": "our/own", "requiredRAM": 1.5, "benchmarked": False}
    models.write_text(json.dumps([row]), encoding="utf-8")
    options = ["--clock", "manual", "--boot-seconds", "30", "--not-loaded", "stopped"]
    options += ["--models", str(models)]
    options += ["--key-file", str(keys), "--faults", str(faults)]
    with running(*options, BYTEZ_EMULATOR_KEYS="third, fourth,") as (_process, url):
        for key in ("first", "second", "third", "fourth"):
            with Talker(url, key) as talk:
                assert talk.status() == {"modelId": GPT2, "status": "stopped"}
        with Talker(url, "fifth") as talk:
            assert talk.seed("/model/status", modelId=GPT2).status_code == 401
        with Talker(url, "first") as talk:
            assert talk.seed("/model/list").status_code == 503
            assert talk.seed("/model/list").json()[-1] == row
            assert talk.load("our/own").status_code == 200
            talk.load()
            talk.send("POST", "/_emulator/clock", json={"advance_seconds": 30})
            assert talk.status()["status"] == "RUNNING"


def test_loads_survive_kill_minus_nine(tmp_path: Path) -> None:
    options = ["--clock", "manual", "--state", str(tmp_path / "state.json")]
    with running(*options) as (_process, url), Talker(url, "any") as talk:
        talk.load(concurrency=2)
        before = talk.status()
    with running(*options) as (_process, url), Talker(url, "any") as talk:
        assert talk.status() == before


def test_a_fast_clock_boots_by_itself() -> None:
    options = ["--speed", "100000", "--boot-seconds", "1000"]
    with running(*options) as (_process, url), Talker(url, "any") as talk:
        talk.load(expirationPeriodSeconds=10**7)
        while talk.status()["status"] == "DEPLOYING":
            pass
        assert talk.status()["status"] == "RUNNING"


def test_a_port_that_is_taken_is_one_line_and_exit_1(bytez_emulator: Emulator) -> None:
    port = bytez_emulator.url.rpartition(":")[2]
    done = finish("--port", port)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"bytez-emulator: port {port}: Address already in use\n"


def test_wrong_usage_is_one_line_and_exit_2() -> None:
    done = finish("--bot-seconds", "3")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "bytez-emulator: unrecognized arguments: --bot-seconds 3\n"


@pytest.mark.parametrize(
    ("option", "content", "message"),
    [
        ("--faults", "{\n nonsense", "fault script 'FILE' is not JSON: Expecting property name"),
        ("--faults", '[{"do": {}}]', "fault rule 1, 'do' must have exactly one of respond,"),
        ("--faults", None, "could not read fault script 'FILE': No such file or directory\n"),
        ("--models", "{}", "models must be a list\n"),
        ("--models", '[{"name": "gpt2"}]', "model 1 must be {'name': 'owner/name', "),
        ("--state", "{", "could not read state file 'FILE': it is not one of this emulator;"),
        ("--key-file", "\n", "key file 'FILE' has no key\n"),
        ("--key-file", None, "could not read key file 'FILE': No such file or directory\n"),
        ("--port", 70000, "argument --port: must be a number from 0 to 65535\n"),
        ("--port", "x", "argument --port: must be a number from 0 to 65535\n"),
        ("--speed", 0, "speed must be above 0 and at most 1000000\n"),
    ],
)
def test_what_cannot_be_used_is_one_line_and_exit_2(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    option: str,
    content: str | int | None,
    message: str,
) -> None:
    file = tmp_path / "file"
    if isinstance(content, str):
        file.write_text(content, encoding="utf-8")
    with pytest.raises(SystemExit) as ended:
        main([option, str(content) if isinstance(content, int) else str(file)])
    out, err = capsys.readouterr()
    assert (ended.value.code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("bytez-emulator: " + message.replace("FILE", str(file)))


def test_without_the_extra_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "bytez_provider.emulator.server")
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 2
    assert capsys.readouterr().err == (
        "bytez-emulator: uvicorn is missing; install bytez-provider[emulator]\n"
    )
