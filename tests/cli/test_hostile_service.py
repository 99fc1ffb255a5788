"""`bytez-fleet` against a hostile server: one printable line, and bounded memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.asking import API_VERSIONS
from tests.cli.fleet import COMMAND, GPT2, KEY, Command
from tests.client.hostile import ESCAPES, MEBIBYTE, REFUSED, Handler, HostileServer, says

MEASURED = """
import os, sys
quiet = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=quiet)
_, status, usage = os.wait4(pid, 0)
print(usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""
"""Runs a command and prints its peak in KB. A small process, because the kernel counts what the
process used before it became another program."""

COMMANDS = [
    ("instances",),
    ("load", GPT2, "--no-wait"),
    ("run", GPT2, "Once upon a time", "--json"),
]
"""A list, a status and a generated text: the three kinds of answers."""


@pytest.fixture(params=API_VERSIONS)
def wary(tmp_path: Path, hostile: HostileServer, request: pytest.FixtureRequest) -> Command:
    """The command with the hostile server as the service."""
    command = Command(tmp_path, hostile.url)
    command.env["BYTEZ_API_VERSION"] = request.param
    return command


def assert_safe(line: str) -> None:
    assert line.isprintable(), ascii(line)
    assert line.startswith("could not ")
    assert len(line) <= 700
    assert KEY not in line


@pytest.mark.parametrize("answer", REFUSED.values(), ids=REFUSED.keys())
def test_every_answer_that_cannot_be_used_is_one_line(
    wary: Command, hostile: HostileServer, answer: Handler
) -> None:
    hostile.answers(answer)
    done = wary.run("instances")
    assert_safe(done.failed(1))
    assert done.out == ""


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_every_command_shows_an_error_full_of_escapes_on_one_line(
    wary: Command, hostile: HostileServer, command: tuple[str, ...]
) -> None:
    hostile.answers(says(400, json.dumps({"error": f"{ESCAPES} {KEY}"})))
    done = wary.run(*command)
    assert_safe(done.failed(1))
    # Nothing, or with --json one document.
    assert done.out.isascii()
    assert done.out.count("\n") == ("--json" in command)
    assert KEY not in done.out


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_100_mb_of_json_cost_a_command_a_few(
    wary: Command, hostile: HostileServer, command: tuple[str, ...]
) -> None:
    """Its whole process, with all that it imports; a generated text as a document too."""
    hostile.answers(REFUSED["100 MB of JSON"])
    process = subprocess.Popen(
        [sys.executable, "-c", MEASURED, *COMMAND, *command],
        cwd=wary.folder,
        env=wary.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    peak_kilobytes, said = process.communicate()
    assert process.returncode == 1
    assert_safe(said.removesuffix("\n"))
    assert "answers with more than" in said or "longer than 4194304 characters" in said
    assert int(peak_kilobytes) * 1024 < 192 * MEBIBYTE


def test_names_of_models_cannot_draw_on_the_terminal(wary: Command, hostile: HostileServer) -> None:
    named: list[dict[str, object]] = [
        {"modelId": f"a/{ESCAPES}", "status": f"RUNNING{ESCAPES}", "concurrency": 10**300},
        {"modelId": "\u202e2tpg/b", "status": "[BOLD]RUNNING[/BOLD]"},
        {"modelId": "ü/模型", "status": "RUNNING"},
    ]
    rows = [{**row, "created": "2024-05-27T23:35:35+14:00"} for row in named]
    hostile.answers(says(200, json.dumps(rows)))
    lines = wary.run("instances").ok().out.splitlines()
    assert all(line.isprintable() for line in lines)
    assert len(lines) == 5
    assert "ü/模型" in lines[3]
    assert "[BOLD]RUNNING[/BOLD]" in lines[2]
    as_json = wary.run("instances", "--json").ok()
    assert as_json.out.isascii()
    assert len(as_json.document["instances"]) == 3
