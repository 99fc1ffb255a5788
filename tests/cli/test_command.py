"""The command line as such: help, usage, terminals, start-up."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from enum import Enum

import pytest

from bytez_provider.cli.app import AuditForm, ReviewForm
from bytez_provider.emulator import Emulator
from tests.cli.fleet import CODER, GPT2, REPOSITORY, Fleet

COMMANDS = (
    *("models", "instances", "status", "load", "unload", "run"),
    *("validate", "export", "audit", "review", "doctor"),
)
LONG = "VAGOsolutions/SauerkrautLM-Mixtral-8x7B-Instruct"
Load = Callable[..., str]


def test_help_names_every_command_and_the_exit_codes(fleet: Fleet) -> None:
    shown = fleet.run().ok().out
    assert re.findall(r"^  (\w+)  ", shown, re.MULTILINE)[-len(COMMANDS) :] == list(COMMANDS)
    assert "130 interrupted" in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_help_waits_for_no_library_that_it_does_not_need() -> None:
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
    ("arguments", "told"),
    [
        (["nonsense"], "bytez-fleet: No such command 'nonsense'"),
        (["load", GPT2, "--concurrency", "two"], "bytez-fleet load: Invalid value for"),
    ],
)
def test_wrong_usage_is_one_line(fleet: Fleet, arguments: list[str], told: str) -> None:
    assert fleet.run(*arguments).failed(2).startswith(told)


@pytest.mark.parametrize("kind", [AuditForm, ReviewForm])
def test_a_default_is_among_the_choices_however_click_shows_it(kind: type[Enum]) -> None:
    # Some releases take its name for the word that the user types, others its value.
    assert [one.name for one in kind] == [one.value for one in kind]


def test_unreachable_endpoint_is_one_line(fleet: Fleet, emulator: Emulator) -> None:
    emulator.stop()
    told = fleet.run("status", GPT2, "--json").failed(1)
    assert re.match(
        rf"could not read the status of '{GPT2}': no answer from {emulator.url}: "
        r"the connection was refused \(3 tries\)\. Nothing was changed\. ",
        told,
    )


def test_a_missing_extra_says_what_to_install(fleet: Fleet) -> None:
    (fleet.folder / "typer.py").write_text("raise ModuleNotFoundError(name='typer')")
    told = fleet.run("models", PYTHONPATH=f"{fleet.folder}:{fleet.env['PYTHONPATH']}").failed(2)
    assert told == "bytez-fleet: typer is missing; install the extra 'cli' of this package"


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
    def test_tables_at_80_columns_cut_nothing(
        self, fleet: Fleet, emulator: Emulator, running: Load
    ) -> None:
        emulator.load_by_somebody_else(LONG, 12)
        running(CODER)
        with fleet.on_terminal("instances") as terminal:
            assert terminal.finish() == 0
        assert max(map(len, terminal.lines)) <= 80
        # A long name goes on in the line below; every figure is whole.
        name = "".join(line.split("  ")[0] for line in terminal.lines[1:-1])
        assert name == LONG + CODER
        assert re.search(r"RUNNING +12 +0 +6m4\ds +\w+ +\$152\.04$", terminal.lines[1])
        assert terminal.lines[-1] == "2 models, $152.41 an hour"
        assert "\x1b[32mRUNNING" in terminal.drawn

    def test_the_longest_name_of_the_catalogue_fits(self, fleet: Fleet) -> None:
        with fleet.on_terminal("models", "--search", "abhishek", NO_COLOR="1") as terminal:
            assert terminal.finish() == 0
        longest = "abhishekchohan/SOLAR-10.7B-Instruct-Forest-DPO-v1"
        assert terminal.lines[1].split() == [longest, "15.38", "$0.92", "yes"]
        assert "\x1b" not in terminal.drawn

    def test_ci_means_lines_and_no_drawing(self, fleet: Fleet, emulator: Emulator) -> None:
        with fleet.on_terminal("load", GPT2, CI="true") as terminal:
            terminal.read_until("limit 30m\r\n")
            emulator.advance(403)
            assert terminal.finish() == 0
        assert "\x1b[?25l" not in terminal.drawn
        assert f"{GPT2} is RUNNING" in terminal.lines
