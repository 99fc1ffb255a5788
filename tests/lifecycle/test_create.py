"""create: a load of our own, from the first request to RUNNING."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from inline_snapshot import snapshot

from bytez_provider.base.errors import (
    AlreadyLoadedError,
    ApiError,
    AuthenticationError,
    BootFailedError,
    BootTimeoutError,
    BytezError,
    CreditsError,
    InterruptedLoadError,
    LoadLostError,
    UnknownModelError,
    UnreachableError,
)
from bytez_provider.core.declared import Granted
from bytez_provider.core.lifecycle import diff
from bytez_provider.core.waiting import Stop
from bytez_provider.emulator import Emulator
from bytez_provider.service.schemas import moment_of
from tests.lifecycle.caller import URN, FakeCaller
from tests.lifecycle.machine import GPT2, Machine, Process, inputs

HTML = {"status": 502, "body": "<h1>Bad Gateway</h1>", "headers": {"content-type": "text/html"}}


def respond(status: int, error: str = "no", **more: Any) -> dict[str, Any]:
    return {"respond": {"status": status, "body": {"error": error}, **more}}


class TestAccepted:
    def test_it_waits_until_running_and_returns_the_state(
        self, machine: Machine, process: Process
    ) -> None:
        state = process.lifecycle.create(inputs(concurrency=2), FakeCaller())
        assert state.status == "RUNNING"
        assert state.created == machine.created()
        assert state.endpoint == machine.emulator.url
        assert state.account == process.settings.account
        assert (state.required_ram_gb, state.benchmarked) == (0.5, True)
        assert (state.adopted_at, state.granted) == (None, None)
        assert machine.running() == {GPT2: 2}
        assert machine.changes() == ["/model/load"]

    def test_the_status_is_asked_before_anything_is_changed(
        self, machine: Machine, process: Process
    ) -> None:
        process.lifecycle.create(inputs(), FakeCaller())
        first, second = machine.emulator.requests()[:2]
        assert (first.path, second.path) == ("/model/status", "/model/load")

    def test_the_journal_names_the_load_until_it_is_running(
        self, machine: Machine, process: Process
    ) -> None:
        caller = FakeCaller()
        kept = []
        held: list[bool] = []

        def look() -> None:
            kept.extend(machine.records())
            held.append(machine.process().ledger.is_held(kept[0]))

        caller.at_report(1, look)
        process.lifecycle.create(inputs(), caller)
        (note,) = kept
        assert held == [True]
        assert (note.owner.urn, note.model_id) == (URN, GPT2)
        assert note.created == moment_of(machine.created())
        assert machine.recorded() == machine.loaded()

    def test_progress_tells_stage_age_and_limit(self, process: Process) -> None:
        caller = FakeCaller(timeout_seconds=120)
        process.lifecycle.create(inputs(), caller)
        assert caller.reports[0] == "0s DEPLOYING, limit 2m"
        assert " DEPLOYING, limit " in caller.reports[-2]
        assert caller.reports[-1].startswith("RUNNING after 3")
        assert len(caller.reports) > 5

    def test_a_log_of_lines_is_told_once_a_minute(
        self, emulator: Emulator, machine: Machine
    ) -> None:
        emulator.set_faults([{"do": {"boot": "never"}}])
        caller = FakeCaller(timeout_seconds=300)
        with pytest.raises(BootTimeoutError):
            machine.process(quiet=True).lifecycle.create(inputs(), caller)
        assert len(caller.reports) == 5

    def test_an_unknown_status_is_still_going_and_shown_as_it_is(
        self, machine: Machine, process: Process
    ) -> None:
        caller = FakeCaller()
        caller.at_report(1, lambda: machine.answer_status_with(status="Warming up"))
        caller.at_report(9, lambda: machine.emulator.set_faults([]))
        state = process.lifecycle.create(inputs(), caller)
        assert "s WARMING UP, limit " in caller.reports[1]
        assert state.status == "RUNNING"

    @pytest.mark.parametrize(
        "fault",
        [
            {"reset": "before"},
            {"respond": HTML},
            respond(429, "slow down"),
            respond(500),
            {"respond": {"status": 200, "body": "<html>portal</html>"}},
        ],
        ids=["reset", "gateway", "rate limit", "500", "portal"],
    )
    def test_a_boot_outlives_a_service_that_does_not_answer(
        self, machine: Machine, process: Process, fault: dict[str, Any]
    ) -> None:
        caller = FakeCaller()
        rules = [{"endpoint": "/model/status", "first": 8, "do": fault}]
        caller.at_report(1, lambda: machine.emulator.set_faults(rules))
        assert process.lifecycle.create(inputs(), caller).status == "RUNNING"
        assert caller.reports[1].endswith("s DEPLOYING, no answer now, limit 30m")
        assert machine.changes() == ["/model/load"]

    def test_not_found_within_60_s_of_acceptance_is_still_going(
        self, machine: Machine, process: Process
    ) -> None:
        machine.emulator.set_faults([{"do": {"statusLagSeconds": 50}}])
        assert process.lifecycle.create(inputs(), FakeCaller()).status == "RUNNING"
        assert machine.changes() == ["/model/load"]

    def test_the_60_s_begin_with_the_acceptance(self, machine: Machine, process: Process) -> None:
        """Not with the first try: a fleet may queue at a rate limit for minutes."""
        limited = respond(429, "slow down", headers={"retry-after": "50"})
        machine.emulator.set_faults(
            [
                {"endpoint": "/model/load", "first": 2, "do": limited},
                {"do": {"statusLagSeconds": 20}},
            ]
        )
        assert process.lifecycle.create(inputs(), FakeCaller()).status == "RUNNING"

    def test_a_load_that_never_shows_is_unloaded_before_it_is_called_lost(
        self, machine: Machine, process: Process
    ) -> None:
        machine.emulator.set_faults([{"do": {"statusLagSeconds": 600}}])
        with pytest.raises(LoadLostError, match="nothing is left running"):
            process.lifecycle.create(inputs(), FakeCaller())
        assert machine.running() == {}
        assert machine.changes() == ["/model/load", "/model/delete"]
        assert machine.recorded() == machine.loaded()

    def test_without_created_the_provider_acts_as_owner_and_says_so_for_debugging(
        self, machine: Machine, process: Process
    ) -> None:
        caller = FakeCaller()
        caller.at_report(1, lambda: machine.answer_status_with(status="RUNNING", created=None))
        # The first status shows it with `created`, so that is hidden before the load is known.
        machine.emulator.set_faults([{"do": {"statusLagSeconds": 1}}])
        state = process.lifecycle.create(inputs(), caller)
        assert (state.status, state.created) == ("RUNNING", None)
        (line,) = caller.debugs
        assert "`created`" in line
        machine.emulator.set_faults([])
        process.lifecycle.delete(state, FakeCaller())


class TestRefused:
    @pytest.mark.parametrize(
        ("endpoint", "fault", "kind"),
        [
            ("/model/status", {"respond": HTML}, UnreachableError),
            ("/model/status", respond(401), AuthenticationError),
            ("/model/load", respond(401), AuthenticationError),
            ("/model/load", respond(429, "out of credits"), CreditsError),
            ("/model/load", respond(404, "model not found"), UnknownModelError),
            ("/model/load", respond(503), UnreachableError),
            ("/model/load", respond(400), ApiError),
        ],
    )
    def test_nothing_is_changed_and_nothing_noted(
        self,
        machine: Machine,
        process: Process,
        endpoint: str,
        fault: dict[str, Any],
        kind: type[BytezError],
    ) -> None:
        machine.emulator.set_faults([{"endpoint": endpoint, "do": fault}])
        with pytest.raises(kind) as caught:
            process.lifecycle.create(inputs(), FakeCaller())
        assert str(caught.value).startswith(f"could not load '{GPT2}': the service answered HTTP ")
        assert "Nothing was changed. " in str(caught.value)
        assert machine.recorded() == machine.loaded()
        assert machine.loads() == 0

    def test_somebody_else_loads_between_our_status_and_our_load(
        self, machine: Machine, process: Process
    ) -> None:
        """The service says so with 429; their load is neither claimed nor touched."""
        not_there = {"endpoint": "/model/status", "first": 1, "do": respond(404, "not loaded")}
        machine.emulator.load_by_somebody_else(GPT2, concurrency=3)
        machine.emulator.set_faults([not_there])
        with pytest.raises(AlreadyLoadedError, match="already loaded at concurrency 3 since"):
            process.lifecycle.create(inputs(), FakeCaller())
        assert machine.running() == {GPT2: 3}
        assert machine.records() == []

    def test_their_load_is_not_claimed_where_the_status_fails_after_the_refusal(
        self, machine: Machine, process: Process
    ) -> None:
        """No note may stay: theirs was made within minutes of it."""
        machine.emulator.load_by_somebody_else(GPT2)
        machine.emulator.set_faults(
            [
                {"endpoint": "/model/status", "first": 1, "do": respond(404, "not loaded")},
                {"endpoint": "/model/status", "do": respond(500)},
            ]
        )
        with pytest.raises(ApiError):
            process.lifecycle.create(inputs(), FakeCaller())
        machine.emulator.set_faults([])
        with pytest.raises(AlreadyLoadedError):
            machine.process().lifecycle.create(inputs(), FakeCaller())

    def test_their_load_that_does_not_show_is_an_error(
        self, machine: Machine, process: Process
    ) -> None:
        machine.emulator.load_by_somebody_else(GPT2)
        machine.emulator.set_faults([{"endpoint": "/model/status", "do": respond(404, "no model")}])
        with pytest.raises(AlreadyLoadedError, match="does not show it"):
            process.lifecycle.create(inputs(), FakeCaller())
        assert machine.loads() == 1
        assert machine.running() == {GPT2: 1}

    def test_two_resources_of_one_model_are_one_load_and_an_error(
        self, machine: Machine, process: Process
    ) -> None:
        process.lifecycle.check({"modelId": GPT2}, None, FakeCaller(URN))
        process.lifecycle.create(inputs(), FakeCaller())
        with pytest.raises(AlreadyLoadedError, match="'gpt2' of stack 'dev', which the program"):
            process.lifecycle.create(inputs(), FakeCaller("urn:pulumi:dev::fleet::x::twin"))
        assert machine.changes() == ["/model/load"]


class TestLostAnswer:
    def test_accepted_without_an_answer_is_one_load(
        self, machine: Machine, process: Process
    ) -> None:
        machine.emulator.set_faults(
            [{"endpoint": "/model/load", "first": 1, "do": {"reset": "after"}}]
        )
        state = process.lifecycle.create(inputs(), FakeCaller())
        assert (state.status, state.created) == ("RUNNING", machine.created())
        assert machine.loads() == 1

    @pytest.mark.parametrize("fault", [{"reset": "before"}, {"respond": HTML}, respond(503)])
    def test_not_accepted_without_an_answer_is_one_load(
        self, machine: Machine, process: Process, fault: dict[str, Any]
    ) -> None:
        machine.emulator.set_faults([{"endpoint": "/model/load", "first": 1, "do": fault}])
        assert process.lifecycle.create(inputs(), FakeCaller()).status == "RUNNING"
        assert machine.loads() == 1

    @pytest.mark.parametrize("is_on", [True, False])
    def test_a_service_that_broke_down_over_a_load_may_have_begun_it(
        self, machine: Machine, process: Process, is_on: bool
    ) -> None:
        """HTTP 500 says neither yes nor no: the note stays, and the next `up` goes on with it."""
        broke = respond(500, "model is already loaded")
        machine.emulator.set_faults([{"endpoint": "/model/load", "do": broke}])
        with pytest.raises(ApiError, match="The load may have been accepted"):
            process.lifecycle.create(inputs(), FakeCaller())
        if is_on:
            machine.emulator.load_by_somebody_else(GPT2)
        machine.emulator.set_faults([])
        assert machine.process().lifecycle.create(inputs(), FakeCaller()).status == "RUNNING"
        assert machine.loads() == 1

    def test_accepted_without_an_answer_and_not_shown_yet_is_one_load(
        self, machine: Machine, process: Process
    ) -> None:
        machine.emulator.set_faults(
            [
                {"do": {"statusLagSeconds": 40}},
                {"endpoint": "/model/load", "first": 1, "do": {"reset": "after"}},
            ]
        )
        assert process.lifecycle.create(inputs(), FakeCaller()).status == "RUNNING"
        assert machine.loads() == 1

    def test_without_created_a_lost_answer_is_taken_for_ours(
        self, machine: Machine, process: Process
    ) -> None:
        """The provider acts as owner: it asked, and had seen that nothing was loaded."""
        theirs = {"modelId": GPT2, "status": "RUNNING", "concurrency": 1}
        shown = {"endpoint": "/model/status", "do": {"respond": {"status": 200, "body": theirs}}}
        machine.emulator.set_faults(
            [
                {"endpoint": "/model/status", "first": 1, "do": respond(404, "not loaded")},
                shown,
                {"endpoint": "/model/load", "first": 1, "do": {"reset": "after"}},
            ]
        )
        assert process.lifecycle.create(inputs(), FakeCaller()).status == "RUNNING"

    def test_their_older_load_is_never_claimed_nor_unloaded(
        self, machine: Machine, process: Process
    ) -> None:
        """Our request was lost on the way, and theirs shows late."""
        machine.emulator.load_by_somebody_else(GPT2)
        machine.emulator.advance(50)
        machine.emulator.set_faults(
            [
                {"endpoint": "/model/status", "do": {"statusLagSeconds": 90}},
                {"endpoint": "/model/load", "first": 1, "do": {"reset": "before"}},
            ]
        )
        caller = FakeCaller()
        with pytest.raises(AlreadyLoadedError):
            process.lifecycle.create(inputs(), caller)
        assert machine.running() == {GPT2: 1}
        assert "/model/delete" not in machine.changes()

    def test_their_older_load_that_shows_after_a_lost_answer_is_theirs(
        self, machine: Machine, process: Process
    ) -> None:
        """Our request was lost on the way, and the one after it was refused for theirs."""
        machine.emulator.load_by_somebody_else(GPT2)
        machine.emulator.advance(50)
        machine.emulator.set_faults(
            [
                {"endpoint": "/model/status", "first": 1, "do": {"statusLagSeconds": 90}},
                {"endpoint": "/model/load", "first": 1, "do": {"reset": "before"}},
            ]
        )
        with pytest.raises(AlreadyLoadedError):
            process.lifecycle.create(inputs(), FakeCaller())
        assert machine.running() == {GPT2: 1}
        assert "/model/delete" not in machine.changes()
        assert machine.records() == []

    def test_no_answer_to_any_try_keeps_the_note_and_says_so(
        self, machine: Machine, process: Process
    ) -> None:
        machine.emulator.set_faults([{"endpoint": "/model/load", "do": {"reset": "after"}}])
        not_told = {"endpoint": "/model/load", "do": {"respond": HTML}}
        machine.emulator.set_faults(
            [{"endpoint": "/model/load", "first": 1, "do": {"reset": "after"}}, not_told]
        )
        with pytest.raises(UnreachableError) as caught:
            process.lifecycle.create(inputs(), FakeCaller())
        assert "The load may have been accepted. Run `pulumi up` again" in str(caught.value)
        machine.emulator.set_faults([])
        assert machine.process().lifecycle.create(inputs(), FakeCaller()).status == "RUNNING"
        assert machine.loads() == 1

    def test_a_status_that_fails_after_a_lost_answer_keeps_the_note(
        self, machine: Machine, process: Process
    ) -> None:
        machine.emulator.set_faults(
            [
                {"endpoint": "/model/load", "first": 1, "do": {"reset": "after"}},
                {"endpoint": "/model/status", "first": 1, "do": respond(404, "not loaded")},
                {"endpoint": "/model/status", "do": respond(401)},
            ]
        )
        with pytest.raises(AuthenticationError, match="may have been accepted"):
            process.lifecycle.create(inputs(), FakeCaller())
        machine.emulator.set_faults([])
        assert machine.process().lifecycle.create(inputs(), FakeCaller()).status == "RUNNING"
        assert machine.loads() == 1


class TestBootThatFails:
    def test_it_is_unloaded_and_the_reason_told(self, machine: Machine, process: Process) -> None:
        machine.emulator.set_faults([{"do": {"boot": "failed", "error": "out of memory"}}])
        with pytest.raises(BootFailedError) as caught:
            process.lifecycle.create(inputs(), FakeCaller())
        assert str(caught.value) == snapshot(
            "could not load 'openai-community/gpt2': the service reported FAILED: "
            '"out of memory". It was unloaded: nothing is left running. Correct what '
            "the reason names, then run `pulumi up` again."
        )
        assert machine.running() == {}
        assert machine.recorded() == machine.loaded()

    def test_a_replacement_says_that_the_old_one_is_unloaded(
        self, machine: Machine, process: Process
    ) -> None:
        old = process.lifecycle.create(inputs(), FakeCaller())
        process.lifecycle.delete(old, FakeCaller())
        machine.emulator.set_faults([{"do": {"boot": "failed", "error": "out of memory"}}])
        with pytest.raises(BootFailedError) as caught:
            process.lifecycle.create(inputs(concurrency=3), FakeCaller())
        assert "nothing is left running. The old one is already unloaded. " in str(caught.value)

    def test_a_replacement_that_is_refused_does_not_say_that_nothing_was_changed(
        self, machine: Machine, process: Process
    ) -> None:
        old = process.lifecycle.create(inputs(), FakeCaller())
        process.lifecycle.delete(old, FakeCaller())
        machine.emulator.set_faults([{"endpoint": "/model/load", "do": respond(402, "credits")}])
        with pytest.raises(CreditsError) as caught:
            process.lifecycle.create(inputs(concurrency=3), FakeCaller())
        assert "Nothing was changed" not in str(caught.value)
        assert " The old one is already unloaded. " in str(caught.value)

    @pytest.mark.parametrize(
        ("fault", "seen"),
        [
            (respond(500, "disk full"), "the service answered HTTP 500: disk full (5 tries)"),
            ({"reset": "before"}, "it is still FAILED 2m after the request"),
            ({"shutdownSeconds": 3600}, "it is still FAILED 2m after the request"),
        ],
        ids=["refused", "lost", "ignored"],
    )
    def test_an_unload_that_fails_too_says_what_may_be_left_and_keeps_the_note(
        self, machine: Machine, process: Process, fault: dict[str, Any], seen: str
    ) -> None:
        machine.emulator.set_faults(
            [
                {"do": {"boot": "failed", "error": "out of memory"}},
                {"endpoint": "/model/delete", "do": fault},
            ]
        )
        with pytest.raises(BootFailedError) as caught:
            process.lifecycle.create(inputs(), FakeCaller())
        assert f"Unloading it failed too ({seen}), so it may still be running" in str(caught.value)
        assert str(caught.value).endswith(f"Stop it with `bytez-fleet unload {GPT2} --yes`.")
        assert [one.owner.urn for one in machine.records()] == [URN]

    def test_unloaded_by_somebody_in_mid_boot_is_lost(
        self, machine: Machine, process: Process
    ) -> None:
        caller = FakeCaller()
        machine.emulator.set_faults([{"do": {"boot": "never"}}])
        # Later than the 60 s for which "not found" would mean "still going".
        caller.at_report(40, lambda: machine.emulator.unload_by_somebody_else(GPT2))
        with pytest.raises(LoadLostError, match="it was unloaded while it was booting"):
            process.lifecycle.create(inputs(), caller)
        assert machine.recorded() == machine.loaded()
        assert machine.changes() == ["/model/load"]

    def test_loaded_by_somebody_else_in_mid_boot_is_lost_and_theirs_left_alone(
        self, machine: Machine, process: Process
    ) -> None:
        def usurp() -> None:
            machine.emulator.unload_by_somebody_else(GPT2)
            machine.emulator.advance(60)
            machine.emulator.load_by_somebody_else(GPT2, concurrency=5)

        caller = FakeCaller()
        caller.at_report(3, usurp)
        with pytest.raises(LoadLostError, match="and loaded by somebody else"):
            process.lifecycle.create(inputs(), caller)
        assert machine.running() == {GPT2: 5}
        assert machine.changes() == ["/model/load"]


class TestLimit:
    def test_what_does_not_come_up_is_unloaded(self, machine: Machine, process: Process) -> None:
        machine.emulator.set_faults([{"do": {"boot": "never"}}])
        with pytest.raises(TimeoutError) as caught:
            process.lifecycle.create(inputs(), FakeCaller(timeout_seconds=90))
        assert str(caught.value) == snapshot(
            "could not load 'openai-community/gpt2': it was not RUNNING within 1m30s "
            "(last status: DEPLOYING). It was unloaded: nothing is left running. "
            "Allow more time with `customTimeouts` (create, and update), then run "
            "`pulumi up` again."
        )
        assert machine.running() == {}

    def test_what_somebody_has_loaded_since_the_last_look_is_left_alone(
        self, machine: Machine, process: Process
    ) -> None:
        """The status is asked again, right before the unload."""
        limit = machine.emulator.now() + timedelta(seconds=90)

        class Caller(FakeCaller):
            def stop(self) -> Stop | None:
                """Be asked right after each look, the one at the limit included."""
                looked_at = (
                    moment_of(machine.emulator.requests()[-1].time) if self.reports else None
                )
                if looked_at is not None and looked_at >= limit and machine.running() == {GPT2: 1}:
                    machine.emulator.unload_by_somebody_else(GPT2)
                    machine.emulator.load_by_somebody_else(GPT2, concurrency=7)
                return None

        machine.emulator.set_faults([{"do": {"boot": "never"}}])
        with pytest.raises(BootTimeoutError):
            process.lifecycle.create(inputs(), Caller(timeout_seconds=90))
        assert machine.running() == {GPT2: 7}
        assert machine.changes() == ["/model/load"]
        assert machine.records() == []

    def test_a_service_that_stopped_answering_is_part_of_what_was_seen(
        self, machine: Machine, process: Process
    ) -> None:
        caller = FakeCaller(timeout_seconds=90)
        down = [{"do": {"respond": HTML}}]
        caller.at_report(5, lambda: machine.emulator.set_faults(down))
        with pytest.raises(BootTimeoutError) as caught:
            process.lifecycle.create(inputs(), caller)
        assert "(last status: DEPLOYING, and the last answer was: the service answered HTTP" in str(
            caught.value
        )
        assert "may still be running" in str(caught.value)


class TestEndedInMidWait:
    def test_a_key_that_is_refused_in_mid_boot_keeps_the_note(
        self, machine: Machine, process: Process
    ) -> None:
        caller = FakeCaller()
        refused = [{"do": respond(401, "key revoked")}]
        caller.at_report(2, lambda: machine.emulator.set_faults(refused))
        with pytest.raises(AuthenticationError) as caught:
            process.lifecycle.create(inputs(), caller)
        assert re.search(
            r"key revoked\. The load was accepted, and may be running and cost money\. "
            r"Set a key .*, then run `pulumi up` again, which continues with it\.$",
            str(caught.value),
        )
        machine.emulator.set_faults([])
        assert machine.process().lifecycle.create(inputs(), FakeCaller()).status == "RUNNING"
        assert machine.loads() == 1


class TestInterrupted:
    def test_before_the_load_nothing_is_changed(self, machine: Machine, process: Process) -> None:
        caller = FakeCaller()
        caller.end(Stop.CANCELLED)
        with pytest.raises(InterruptedLoadError, match="Nothing was changed"):
            process.lifecycle.create(inputs(), caller)
        assert machine.emulator.requests() == []

    def test_in_mid_boot_the_state_takes_over(self, machine: Machine, process: Process) -> None:
        caller = FakeCaller()
        caller.end_at_report(3, Stop.CANCELLED)
        polls = len(machine.emulator.requests())
        state = process.lifecycle.create(inputs(), caller)
        assert (state.status, state.created) == ("DEPLOYING", machine.created())
        assert len(caller.reports) == 3
        assert len(machine.emulator.requests()) - polls == 2 + 3
        assert machine.recorded() == machine.loaded()

        again = machine.process().lifecycle
        change = diff(state, inputs(), frozenset())
        assert (change.needed, change.replaces) == (True, [])
        assert again.update(state, inputs(), FakeCaller()).status == "RUNNING"
        assert machine.changes() == ["/model/load"]

    def test_before_the_load_shows_destroy_unloads_it(
        self, machine: Machine, process: Process
    ) -> None:
        machine.emulator.set_faults([{"do": {"statusLagSeconds": 40}}])
        caller = FakeCaller()
        caller.end_at_report(2, Stop.CANCELLED)
        state = process.lifecycle.create(inputs(), caller)
        machine.process().lifecycle.delete(state, FakeCaller())
        assert machine.running() == {}

    def test_before_the_load_shows_somebody_elses_is_not_taken_for_it(
        self, machine: Machine, process: Process
    ) -> None:
        """The state knows no `created` then, but the journal knows since when it can be."""
        machine.emulator.advance(100)
        machine.emulator.set_faults([{"do": {"statusLagSeconds": 40}}])
        caller = FakeCaller()
        caller.end_at_report(2, Stop.CANCELLED)
        state = process.lifecycle.create(inputs(), caller)
        machine.answer_status_with(created="2024-05-27T23:35:40.000Z")
        caller = FakeCaller()
        machine.process().lifecycle.delete(state, caller)
        assert "was left alone" in caller.warnings[0]
        assert machine.changes() == ["/model/load"]

    def test_when_the_engine_is_gone_the_note_stays_and_the_next_create_waits_on(
        self, machine: Machine, process: Process
    ) -> None:
        caller = FakeCaller()
        caller.end_at_report(3, Stop.ENGINE_GONE)
        with pytest.raises(InterruptedLoadError, match="the journal names it"):
            process.lifecycle.create(inputs(), caller)
        assert machine.process().lifecycle.create(inputs(), FakeCaller()).status == "RUNNING"
        assert machine.changes() == ["/model/load"]
        assert machine.recorded() == machine.loaded()

    def test_when_the_engine_is_gone_the_note_stays_even_if_it_came_up(
        self, machine: Machine, process: Process
    ) -> None:
        def both() -> None:
            machine.emulator.advance(100)
            caller.end(Stop.ENGINE_GONE)

        machine.emulator.set_faults([{"do": {"statusLagSeconds": 40}}])
        caller = FakeCaller()
        caller.at_report(2, both)
        with pytest.raises(InterruptedLoadError):
            process.lifecycle.create(inputs(), caller)
        (note,) = machine.records()
        assert note.created == moment_of(machine.created())


class TestGranted:
    def test_what_was_not_granted_is_told_and_is_no_drift_for_ever(
        self, machine: Machine, process: Process
    ) -> None:
        caller = FakeCaller()
        asked = inputs(concurrency=3, expiration_period_seconds=600)
        rounded = {"concurrency": 4, "expirationPeriodSeconds": 1800}
        caller.at_report(1, lambda: machine.answer_status_with(status="RUNNING", **rounded))
        state = process.lifecycle.create(asked, caller)
        assert (state.concurrency, state.expiration_period_seconds) == (3, 600)
        assert state.granted == Granted(concurrency=4, expiration_period_seconds=1800)
        assert len(caller.warnings) == 2
        assert "runs at concurrency 4, not 3" in caller.warnings[0]
        assert "unloads after 1800 s idle, not 600 s" in caller.warnings[1]

        read = machine.process().lifecycle.read(state, FakeCaller())
        assert read == state
        assert not diff(read, asked, frozenset()).needed

    def test_a_later_change_of_what_was_granted_is_drift(
        self, machine: Machine, process: Process
    ) -> None:
        caller = FakeCaller()
        caller.at_report(1, lambda: machine.answer_status_with(status="RUNNING", concurrency=4))
        state = process.lifecycle.create(inputs(concurrency=3), caller)
        machine.answer_status_with(concurrency=2)
        read = machine.process().lifecycle.read(state, FakeCaller())
        assert read is not None
        assert (read.concurrency, read.granted) == (2, None)
        assert diff(read, inputs(concurrency=3), frozenset()).replaces == ["concurrency"]
