"""The command line as a whole: help, usage, terminals, start-up."""

from __future__ import annotations

import re
import subprocess
import sys
from enum import Enum

import pytest
from inline_snapshot import snapshot

from bytez_provider.cli.app import AuditForm, ExportForm, ReviewForm
from tests.cli.fleet import CODER, GPT2, REPOSITORY, Fleet

COMMANDS = (
    *("models", "instances", "status", "run", "load", "unload"),
    *("validate", "export", "migrate", "audit", "review", "doctor"),
)
LONG = "VAGOsolutions/SauerkrautLM-Mixtral-8x7B-Instruct"


def test_help_names_every_command_and_the_exit_codes(fleet: Fleet) -> None:
    shown = fleet.run().ok().out
    assert re.findall(r"^  (\w+)  ", shown, re.MULTILINE)[-len(COMMANDS) :] == list(COMMANDS)
    assert "130 interrupted" in shown
    assert '{"error": {"code": ' in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_help_imports_no_slow_library() -> None:
    program = (
        "import sys; from bytez_provider.cli import main; sys.argv = ['bytez-fleet', '--help'];"
        "main(); print(*sorted({'pulumi', 'requests', 'pydantic', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == ""


@pytest.mark.parametrize(
    ("arguments", "start"),
    [
        (["nonsense"], snapshot("bytez-fleet: No such command 'nonsense'")),
        (["load", GPT2, "--concurrency", "two"], snapshot("bytez-fleet load: Invalid value for")),
    ],
)
def test_wrong_usage_is_one_line(fleet: Fleet, arguments: list[str], start: str) -> None:
    done = fleet.run(*arguments, "--json")
    assert done.failed(2, "invalid-input").startswith(start)


@pytest.mark.parametrize("kind", [AuditForm, ExportForm, ReviewForm])
def test_every_release_of_click_finds_a_default_among_its_choices(kind: type[Enum]) -> None:
    # Some releases look it up by its name, others by its value.
    assert [one.name for one in kind] == [one.value for one in kind]


def test_an_unreachable_endpoint_is_one_line(fleet: Fleet) -> None:
    fleet.emulator.stop()
    message = fleet.run("status", GPT2, "--json").failed(1, "unreachable")
    assert fleet.emulator.url in message


def test_a_missing_extra_says_what_to_install(fleet: Fleet) -> None:
    (fleet.folder / "typer.py").write_text("raise ModuleNotFoundError(name='typer')")
    message = fleet.run("models", PYTHONPATH=f"{fleet.folder}:{fleet.env['PYTHONPATH']}").failed(2)
    assert message == "bytez-fleet: typer is missing; install the extra 'cli' of this package"


def test_a_full_disk_is_one_line(fleet: Fleet) -> None:
    command = f'exec "{sys.executable}" -m bytez_provider.cli instances > /dev/full'
    done = subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=fleet.folder,
        env=fleet.env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, "bytez-fleet: No space left on device\n")


class TestTerminal:
    def test_a_table_at_80_columns_cuts_nothing(self, fleet: Fleet) -> None:
        fleet.emulator.load_by_somebody_else(LONG, 12)
        fleet.boot(CODER)
        with fleet.on_terminal("instances") as terminal:
            assert terminal.finish() == 0
        assert max(map(len, terminal.lines)) <= 80
        # A long name continues in the line below; every number is whole.
        name = "".join(line.split("  ")[0] for line in terminal.lines[1:-1])
        assert name == LONG + CODER
        assert re.search(r"RUNNING +12 +0 +6m4\ds +\w+ +\$152\.04$", terminal.lines[1])
        assert "\x1b[32mRUNNING" in terminal.drawn

    def test_no_color_draws_no_escape(self, fleet: Fleet) -> None:
        with fleet.on_terminal("models", "--search", "abhishek", NO_COLOR="1") as terminal:
            assert terminal.finish() == 0
        longest = "abhishekchohan/SOLAR-10.7B-Instruct-Forest-DPO-v1"
        assert terminal.lines[1].split() == [longest, "15.38", "$0.92", "yes"]
        assert "\x1b" not in terminal.drawn

    def test_ci_gets_lines_and_no_drawing(self, fleet: Fleet) -> None:
        with fleet.on_terminal("load", GPT2, CI="true") as terminal:
            terminal.read_until("limit 30m\r\n")
            fleet.emulator.advance(403)
            assert terminal.finish() == 0
        assert "\x1b[?25l" not in terminal.drawn
        assert f"{GPT2} is RUNNING" in terminal.lines
