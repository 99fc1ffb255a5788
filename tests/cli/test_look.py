"""`models`, `instances`, `status`."""

from __future__ import annotations

import json
import re
import signal

import pytest

from tests.cli.fleet import BOOT_SECONDS, CODER, GPT2, UNPRICED, Fleet

EVIL = "\x1b[31mred\r\n[bold]loud[/bold]\u202e"
"""Text that would spoil a terminal, or a table that reads markup."""


class TestModels:
    def test_a_pipe_gets_a_whole_and_plain_table(self, fleet: Fleet) -> None:
        done = fleet.run("models").ok()
        assert done.err == ""
        lines = [line.split() for line in done.out.splitlines()]
        assert lines[0] == ["MODEL", "GB", "RAM", "$/HOUR", "BENCHMARKED"]
        assert [UNPRICED, "?", "?", "no"] in lines
        assert "\x1b" not in done.out

    def test_search_and_benchmarked(self, fleet: Fleet) -> None:
        done = fleet.run("models", "--search", "OPENAI", "--benchmarked", "--json").ok()
        facts = {"modelId": GPT2, "requiredRamGb": 0.5, "benchmarked": True, "dollarsPerHour": 0.03}
        assert done.document == {"models": [facts], "source": "live"}

    def test_without_a_key_it_uses_the_bundled_catalogue_and_says_so(self, fleet: Fleet) -> None:
        done = fleet.run("models", "--json", BYTEZ_KEY="").ok()
        assert done.document["source"] == "bundled"
        assert "no key is set" in done.err

    def test_a_refused_key_is_an_error(self, fleet: Fleet) -> None:
        done = fleet.run("models", "--json", BYTEZ_KEY="another-key-012345")
        assert "another-key" not in done.failed(1, "authentication")


class TestInstances:
    def test_nothing_loaded(self, fleet: Fleet) -> None:
        assert fleet.run("instances").ok().out == "nothing is loaded\n"

    def test_table_and_total(self, fleet: Fleet) -> None:
        fleet.boot(CODER, concurrency=2)
        fleet.emulator.load_by_somebody_else(GPT2)
        done = fleet.run("instances").ok()
        header, coder, gpt2, total = done.out.splitlines()
        assert header.split() == [
            *("MODEL", "STATUS", "CONC", "RUNS", "AGE", "IDLE", "LEFT", "$/HOUR")
        ]
        assert re.fullmatch(rf"{CODER} +RUNNING +2 +0 +6m4\ds +(30m|29m5\ds) +\$0\.74", coder)
        assert re.fullmatch(rf"{GPT2} +DEPLOYING +1 +0 +\ds +- +\$0\.03", gpt2)
        assert total == "2 models, $0.77 an hour"

    def test_unknown_cost(self, fleet: Fleet) -> None:
        created = fleet.boot(UNPRICED)
        document = fleet.run("instances", "--json").ok().document
        assert document["dollarsPerHour"] is None
        (one,) = document["instances"]
        assert (one["modelId"], one["created"]) == (UNPRICED, created)
        assert (one["requiredRamGb"], one["dollarsPerHour"]) == (None, None)

    def test_an_entry_of_the_list_that_is_not_credible_is_asked_for(self, fleet: Fleet) -> None:
        created = fleet.boot(GPT2)
        failed = {"created": "2024-05-27T23:35:35.863Z", "status": "FAILED"}
        body = [{"modelId": GPT2, **failed}, {"modelId": CODER, **failed}]
        fleet.answers(200, body, "/model/instances")
        (one,) = fleet.run("instances", "--json").ok().document["instances"]
        assert (one["modelId"], one["status"], one["created"]) == (GPT2, "RUNNING", created)

    def test_a_failed_model_costs_nothing(self, fleet: Fleet) -> None:
        body = {"modelId": GPT2, "status": "FAILED", "concurrency": 1, "error": EVIL}
        fleet.emulator.set_faults(
            [
                {"endpoint": "/model/instances", "do": {"respond": {"body": [body]}}},
                {"endpoint": "/model/status", "do": {"respond": {"body": body}}},
            ]
        )
        lines = fleet.run("instances").ok().out.splitlines()
        assert lines[1].split() == [GPT2, "FAILED", "1", "?", "-", "-", "-"]
        assert lines[2] == "1 model, $0.00 an hour"


class TestStatus:
    def test_loaded(self, fleet: Fleet) -> None:
        created = fleet.boot(GPT2, concurrency=3)
        lines = fleet.run("status", GPT2).ok().out.splitlines()
        facts = {line[:15].strip(): line[16:] for line in lines}
        expires = facts.pop("expires at")
        assert expires > created
        # Server time goes on while the command runs.
        assert re.fullmatch(r"6m4\ds", facts.pop("age"))
        assert re.fullmatch(r"30m|29m5\ds", facts.pop("idle time left"))
        assert facts == {
            "model": GPT2,
            "status": "RUNNING",
            "concurrency": "3",
            "inferences": "0",
            "created": created,
            "idle period": "30m",
            "RAM": "0.50 GB per instance",
            "cost": "$0.09 an hour",
        }
        document = fleet.run("status", GPT2, "--json").ok().document
        assert BOOT_SECONDS <= document.pop("ageSeconds") < BOOT_SECONDS + 60
        assert 1800 - 60 < document.pop("idleSecondsLeft") <= 1800
        assert document == {
            "modelId": GPT2,
            "status": "RUNNING",
            "concurrency": 3,
            "inferences": 0,
            "created": created,
            "expirationPeriodSeconds": 1800,
            "expiresAt": expires,
            "requiredRamGb": 0.5,
            "dollarsPerHour": 0.09,
            "error": None,
        }

    def test_not_loaded_has_the_same_keys(self, fleet: Fleet) -> None:
        document = fleet.run("status", GPT2, "--json").ok().document
        assert document.pop("modelId") == GPT2
        assert document.pop("status") == "NOT_LOADED"
        assert document.pop("requiredRamGb") == 0.5
        assert len(document) == 9
        assert set(document.values()) == {None}

    def test_text_of_the_server_cannot_spoil_the_terminal(self, fleet: Fleet) -> None:
        body = {"modelId": GPT2, "status": f"FAILED{EVIL}", "error": EVIL}
        fleet.answers(200, body, "/model/status")
        with fleet.on_terminal("status", GPT2, NO_COLOR="1") as terminal:
            assert terminal.finish() == 0
            assert "red [bold]loud[/bold]" in terminal.drawn
            assert not set(terminal.drawn) & set("\x1b\u202e")

    @pytest.mark.parametrize("command", [["run"], ["unload"], ["load"], ["status"]])
    def test_an_unknown_model_gets_the_nearest_names(
        self, fleet: Fleet, command: list[str]
    ) -> None:
        text = ["text"] if command[0] == "run" else []
        done = fleet.run(*command, "openai-community/gtp2", *text, "--json")
        if command == ["unload"]:
            assert done.code == 2
            assert [one["code"] for one in done.document["models"]] == ["unknown-model"]
        else:
            assert f"'{GPT2}'" in done.failed(2, "unknown-model")
        assert not fleet.emulator.requests("/model/load")

    def test_a_name_without_an_owner_gets_the_nearest_name(self, fleet: Fleet) -> None:
        message = fleet.run("status", "gpt2", "--json").failed(2, "invalid-input")
        assert f"'{GPT2}'" in message

    def test_a_missing_key_names_both_ways_to_set_it(self, fleet: Fleet) -> None:
        message = fleet.run("status", GPT2, "--json", BYTEZ_KEY="").failed(2, "missing-key")
        assert "`pulumi config set --secret bytez:key <key>`" in message
        assert "BYTEZ_KEY" in message


class TestWatch:
    @pytest.mark.parametrize("status", [503, 500])
    def test_a_pipe_gets_a_line_on_each_change(self, fleet: Fleet, status: int) -> None:
        fleet.emulator.load_by_somebody_else(GPT2)
        with fleet.started("status", GPT2, "--watch") as watch:
            assert watch.line() == f"{GPT2}  DEPLOYING  concurrency 1  inferences 0"
            fleet.answers(status, {"error": "model is not loaded"}, "/model/status")
            fleet.emulator.advance(BOOT_SECONDS)
            assert watch.aside().startswith("warning: no answer now: ")
            fleet.emulator.set_faults([])
            assert watch.line().startswith(f"{GPT2}  RUNNING  concurrency 1  inferences 0  expires")
            watch.process.send_signal(signal.SIGINT)
            done = watch.finish()
        assert (done.code, done.out, done.err) == (130, "", "")

    def test_a_refused_key_ends_it(self, fleet: Fleet) -> None:
        with fleet.started("status", GPT2, "--watch", "--json") as watch:
            assert json.loads(watch.line())["status"] == "NOT_LOADED"
            fleet.answers(401, {"error": "revoked"}, "/model/status")
            watch.finish().failed(1, "authentication")

    def test_on_a_terminal_it_is_redrawn_in_place(self, fleet: Fleet) -> None:
        fleet.emulator.load_by_somebody_else(GPT2)
        with fleet.on_terminal("status", GPT2, "--watch") as terminal:
            terminal.read_until("DEPLOYING")
            fleet.emulator.advance(BOOT_SECONDS)
            terminal.read_until("RUNNING")
            terminal.process.send_signal(signal.SIGINT)
            assert terminal.finish() == 130
        assert "Traceback" not in terminal.drawn
        # The cursor moved up, to draw over the lines before.
        assert "\x1b[1A" in terminal.drawn
