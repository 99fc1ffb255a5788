"""`load`."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable

import pytest

from bytez_provider.emulator import Emulator
from tests.cli.conftest import BOOT_SECONDS
from tests.cli.fleet import CODER, GPT2, Fleet
from tests.cli.journal import Journal, resource

IN_CI = {"CI": "true"}
"""Makes progress lines, which tell a test where the command is."""


def test_it_waits_until_running_and_says_that_no_stack_owns_it(
    fleet: Fleet, emulator: Emulator
) -> None:
    with fleet.started("load", CODER, "--concurrency", "2", **IN_CI) as load:
        assert re.fullmatch(r"\ds DEPLOYING, limit 30m", load.aside())
        emulator.advance(BOOT_SECONDS)
        done = load.finish()
    assert done.code == 0
    assert done.out == f"{CODER} is RUNNING\n"
    assert done.err.splitlines()[-2:] == [
        "note: concurrency 2, $0.74 an hour, owned by no stack; to stop it:",
        f"  bytez-fleet unload {CODER}",
    ]
    (live,) = emulator.instances()
    assert (live["modelId"], live["status"], live["concurrency"]) == (CODER, "RUNNING", 2)


def test_no_wait_returns_when_the_load_is_accepted(fleet: Fleet, emulator: Emulator) -> None:
    done = fleet.run(
        *("load", GPT2, "--no-wait", "--expiration-period-seconds", "300", "--json")
    ).ok()
    (live,) = emulator.instances()
    assert live["expirationPeriodSeconds"] == 300
    document = done.document
    assert (document["status"], document["created"]) == ("DEPLOYING", live["created"])
    assert (document["expirationPeriodSeconds"], document["dollarsPerHour"]) == (300, 0.03)
    # In a pipe there is no progress, only what is to be known.
    assert [line.split(":")[0].split()[0] for line in done.err.splitlines()] == [
        "note",
        "bytez-fleet",
        "bytez-fleet",
    ]


@pytest.mark.parametrize("on_terminal", [True, False])
def test_ctrl_c_leaves_it_booting_and_says_so(
    fleet: Fleet, emulator: Emulator, on_terminal: bool
) -> None:
    if on_terminal:
        with fleet.on_terminal("load", GPT2, NO_COLOR="1") as terminal:
            terminal.read_until("limit 30m")
            terminal.process.send_signal(signal.SIGINT)
            assert terminal.finish() == 130
            told = "\n".join(terminal.lines)
            assert "\x1b[3" not in terminal.drawn
    else:
        with fleet.started("load", GPT2, **IN_CI) as load:
            assert "s DEPLOYING, limit " in load.aside()
            load.process.send_signal(signal.SIGINT)
            done = load.finish()
        assert done.code == 130
        told = done.err
    assert "note: interrupted; it goes on booting" in told
    assert f"bytez-fleet unload {GPT2}" in told
    assert "Traceback" not in told
    assert [live["status"] for live in emulator.instances()] == ["DEPLOYING"]
    assert not emulator.requests("/model/delete")


def test_a_boot_that_fails_is_unloaded_and_told_with_the_reason(
    fleet: Fleet, emulator: Emulator
) -> None:
    emulator.set_faults([{"do": {"boot": "failed", "error": "no [bold]GPU\x1b[31m"}}])
    with fleet.started("load", GPT2, **IN_CI) as load:
        assert "s DEPLOYING, limit " in load.aside()
        emulator.advance(BOOT_SECONDS)
        done = load.finish()
    assert done.failed(1) == (
        f"could not load '{GPT2}': the service reported FAILED: \"no [bold]GPU\". It was "
        "unloaded: nothing is left running. Correct what the reason names, then load it again."
    )
    assert emulator.instances() == []


def test_a_boot_past_its_limit_is_unloaded(fleet: Fleet, emulator: Emulator) -> None:
    told = fleet.run("load", GPT2, "--timeout", "1").failed(1)
    assert "it was not RUNNING within 1s (last status: DEPLOYING)" in told
    assert told.endswith("Allow more time with --timeout, then load it again.")
    assert "pulumi up" not in told
    assert emulator.instances() == []


def test_a_loaded_model_is_left_as_it_is(
    fleet: Fleet, emulator: Emulator, running: Callable[..., str]
) -> None:
    created = running(GPT2, concurrency=2)
    assert fleet.run("load", GPT2).failed(1) == (
        f"could not load '{GPT2}': it is already loaded at concurrency 2 since {created} "
        f"(RUNNING). Nothing was changed. To load it again, unload it first with "
        f"`bytez-fleet unload {GPT2}`."
    )
    Journal(fleet, emulator).accepts(resource("chat"), GPT2, created)
    told = fleet.run("load", GPT2).failed(1)
    assert "(RUNNING) by 'chat' of stack 'dev'" in told
    assert told.endswith(f"unload it first with `bytez-fleet unload {GPT2} --yes`.")
    assert not emulator.requests("/model/load")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--concurrency", "0"], "concurrency must be a whole number of at least 1, not 0"),
        (["--expiration-period-seconds", "59"], "from 60 to 604800, not 59"),
    ],
)
def test_wrong_numbers_are_refused_before_anything_is_asked(
    fleet: Fleet, emulator: Emulator, arguments: list[str], told: str
) -> None:
    assert told in fleet.run("load", GPT2, *arguments).failed(2)
    assert emulator.requests() == []
