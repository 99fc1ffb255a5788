"""`load`."""

from __future__ import annotations

import re
import signal

import pytest
from inline_snapshot import snapshot

from tests.cli.fleet import BOOT_SECONDS, CODER, GPT2, Fleet
from tests.cli.journal import Journal, resource

IN_CI = {"CI": "true"}
"""Makes progress lines, which show a test where the command is."""


def test_it_waits_until_running_and_says_that_no_stack_owns_it(fleet: Fleet) -> None:
    with fleet.started("load", CODER, "--concurrency", "2", **IN_CI) as load:
        assert re.fullmatch(r"\ds DEPLOYING, limit 30m", load.aside())
        fleet.emulator.advance(BOOT_SECONDS)
        done = load.finish()
    assert done.code == 0
    assert done.out == f"{CODER} is RUNNING\n"
    assert done.err.splitlines()[-2:] == snapshot(
        [
            "note: concurrency 2, $0.74 an hour; no stack owns it; to stop it:",
            "  bytez-fleet unload deepseek-ai/deepseek-coder-1.3b-instruct",
        ]
    )
    (live,) = fleet.emulator.instances()
    assert (live["modelId"], live["status"], live["concurrency"]) == (CODER, "RUNNING", 2)


def test_no_wait_returns_when_the_load_is_accepted(fleet: Fleet) -> None:
    done = fleet.run(
        *("load", GPT2, "--no-wait", "--expiration-period-seconds", "300", "--json")
    ).ok()
    (live,) = fleet.emulator.instances()
    assert live["expirationPeriodSeconds"] == 300
    document = done.document
    assert (document["status"], document["created"]) == ("DEPLOYING", live["created"])
    assert (document["expirationPeriodSeconds"], document["dollarsPerHour"]) == (300, 0.03)
    # No progress in a pipe, only the note and its commands.
    first = [line.split(":")[0].split()[0] for line in done.err.splitlines()]
    assert first == ["note", "bytez-fleet", "bytez-fleet"]


@pytest.mark.parametrize("on_terminal", [True, False])
def test_ctrl_c_leaves_it_booting_and_says_so(fleet: Fleet, on_terminal: bool) -> None:
    if on_terminal:
        with fleet.on_terminal("load", GPT2, NO_COLOR="1") as terminal:
            terminal.read_until("limit 30m")
            terminal.process.send_signal(signal.SIGINT)
            assert terminal.finish() == 130
            shown = "\n".join(terminal.lines)
            assert "\x1b[3" not in terminal.drawn
    else:
        with fleet.started("load", GPT2, **IN_CI) as load:
            assert "s DEPLOYING, limit " in load.aside()
            load.process.send_signal(signal.SIGINT)
            done = load.finish()
        assert done.code == 130
        shown = done.err
    assert "note: interrupted; it goes on booting" in shown
    assert f"bytez-fleet unload {GPT2}" in shown
    assert "Traceback" not in shown
    assert [live["status"] for live in fleet.emulator.instances()] == ["DEPLOYING"]
    assert not fleet.emulator.requests("/model/delete")


def test_a_boot_that_fails_is_unloaded(fleet: Fleet) -> None:
    fleet.emulator.set_faults([{"do": {"boot": "failed", "error": "no [bold]GPU\x1b[31m"}}])
    with fleet.started("load", GPT2, "--json", **IN_CI) as load:
        assert "s DEPLOYING, limit " in load.aside()
        fleet.emulator.advance(BOOT_SECONDS)
        message = load.finish().failed(1, "boot-failed")
    assert '"no [bold]GPU"' in message
    assert message.endswith("Fix the cause, then load it again.")
    assert fleet.emulator.instances() == []


def test_a_boot_past_its_limit_is_unloaded(fleet: Fleet) -> None:
    message = fleet.run("load", GPT2, "--timeout", "1", "--json").failed(1, "boot-timeout")
    assert message.endswith("Allow more time with --timeout, then load it again.")
    assert fleet.emulator.instances() == []


def test_a_failed_boot_that_cannot_be_unloaded_says_how_to_stop_it(fleet: Fleet) -> None:
    fleet.answers(400, {"error": "cannot"}, "/model/delete")
    message = fleet.run("load", GPT2, "--timeout", "1", "--json").failed(1, "boot-timeout")
    assert f"`bytez-fleet unload {GPT2} --yes`" in message
    assert [live["modelId"] for live in fleet.emulator.instances()] == [GPT2]


def test_a_key_that_is_refused_during_the_wait_says_how_to_check(fleet: Fleet) -> None:
    with fleet.started("load", GPT2, "--json", **IN_CI) as load:
        load.aside()
        fleet.answers(401, {"error": "revoked"}, "/model/status")
        message = load.finish().failed(1, "authentication")
    assert f"`bytez-fleet status {GPT2}`" in message


def test_a_loaded_model_is_left_as_it_is(fleet: Fleet) -> None:
    created = fleet.boot(GPT2, concurrency=2)
    message = fleet.run("load", GPT2, "--json").failed(1, "already-loaded")
    assert f"at concurrency 2 since {created} (RUNNING)" in message
    assert message.endswith(f"`bytez-fleet unload {GPT2}`.")
    Journal(fleet).accepts(resource("chat"), GPT2, created)
    message = fleet.run("load", GPT2).failed(1)
    assert "by 'chat' of stack 'dev'" in message
    assert message.endswith(f"`bytez-fleet unload {GPT2} --yes`.")
    assert not fleet.emulator.requests("/model/load")


@pytest.mark.parametrize("given", [("--concurrency", "0"), ("--expiration-period-seconds", "59")])
def test_an_invalid_number_is_refused_before_any_request(
    fleet: Fleet, given: tuple[str, str]
) -> None:
    fleet.run("load", GPT2, *given, "--json").failed(2, "invalid-input")
    assert fleet.emulator.requests() == []
