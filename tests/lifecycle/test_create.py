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
from bytez_provider.service.schemas import moment_of
from tests.lifecycle.caller import URN, FakeCaller, meanwhile, stopped_at
from tests.lifecycle.machine import GPT2, Machine, Process, always, inputs, on, respond

HTML = {"status": 502, "body": "<h1>Bad Gateway</h1>", "headers": {"content-type": "text/html"}}
FAILS = always(boot="failed", error="out of memory")
NEVER = always(boot="never")
LOST = on("load", {"reset": "after"}, first=1)
NOT_THERE = on("status", respond(404, "not loaded"), first=1)


class TestAccepted:
    def test_it_waits_until_running_and_returns_the_state(
        self, machine: Machine, process: Process
    ) -> None:
        state = process.create(inputs(concurrency=2))
        first, second = machine.emulator.requests()[:2]
        assert (first.path, second.path) == ("/model/status", "/model/load")
        assert (state.status, state.created) == ("RUNNING", machine.created())
        assert state.endpoint == machine.emulator.url
        assert state.account == process.settings.account
        assert (state.required_ram_gb, state.benchmarked) == (0.5, True)
        assert (state.adopted_at, state.granted) == (None, None)
        assert machine.running() == {GPT2: 2}
        assert machine.changes() == ["/model/load"]

    def test_the_journal_names_the_load_until_it_is_running(self, machine: Machine) -> None:
        kept = []
        held: list[bool] = []

        def look() -> None:
            kept.extend(machine.records())
            held.append(machine.process().ledger.is_held(kept[0]))

        machine.create(caller=meanwhile(1, look))
        (record,) = kept
        assert held == [True]
        assert (record.owner.urn, record.model_id) == (URN, GPT2)
        assert record.created == moment_of(machine.created())
        assert machine.recorded() == machine.loaded()

    def test_progress_shows_stage_age_and_limit(self, machine: Machine) -> None:
        caller = FakeCaller(timeout_seconds=120)
        machine.create(caller=caller)
        assert caller.reports[0] == "0s DEPLOYING, limit 2m"
        assert " DEPLOYING, limit " in caller.reports[-2]
        assert caller.reports[-1].startswith("RUNNING after 3")
        assert len(caller.reports) > 5

    def test_a_log_of_lines_gets_one_a_minute(self, machine: Machine) -> None:
        machine.faults(NEVER)
        caller = FakeCaller(timeout_seconds=300)
        machine.process(quiet=True).refused(BootTimeoutError, caller=caller)
        assert len(caller.reports) == 5

    def test_an_unknown_status_is_a_boot_and_is_shown_as_it_is(self, machine: Machine) -> None:
        caller = meanwhile(1, lambda: machine.answer_status_with(status="Warming up"))
        caller.at_report(9, machine.faults)
        assert machine.create(caller=caller).status == "RUNNING"
        assert "s WARMING UP, limit " in caller.reports[1]

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
        self, machine: Machine, fault: dict[str, Any]
    ) -> None:
        caller = meanwhile(1, lambda: machine.faults(on("status", fault, first=8)))
        assert machine.create(caller=caller).status == "RUNNING"
        assert caller.reports[1].endswith("s DEPLOYING, no answer now, limit 30m")
        assert machine.changes() == ["/model/load"]

    @pytest.mark.parametrize(
        ("requests", "faults"),
        [
            (1, [always(statusLagSeconds=50)]),
            # The 60 s for "not found" begin with the acceptance: a fleet may queue for minutes.
            (
                3,
                [
                    on("load", respond(429, "slow", headers={"retry-after": "50"}), first=2),
                    always(statusLagSeconds=20),
                ],
            ),
            (2, [LOST]),
            (2, [always(statusLagSeconds=40), LOST]),
            *[
                (2, [on("load", fault, first=1)])
                for fault in ({"reset": "before"}, {"respond": HTML}, respond(503))
            ],
        ],
        ids=[
            *("not shown", "rate limit", "lost answer", "lost answer and not shown"),
            *("lost request", "gateway", "503"),
        ],
    )
    def test_trouble_that_passes_is_one_load(
        self, machine: Machine, requests: int, faults: list[dict[str, Any]]
    ) -> None:
        machine.faults(*faults)
        state = machine.create()
        assert (state.status, state.created) == ("RUNNING", machine.created())
        assert machine.changes() == ["/model/load"] * requests
        assert machine.loads() == 1

    def test_a_load_that_never_shows_is_unloaded_before_it_is_called_lost(
        self, machine: Machine
    ) -> None:
        machine.faults(always(statusLagSeconds=600))
        assert "nothing is left running" in machine.refused(LoadLostError)
        assert machine.running() == {}
        assert machine.changes() == ["/model/load", "/model/delete"]
        assert machine.recorded() == machine.loaded()

    def test_without_created_the_provider_acts_as_owner_and_logs_it_for_debugging(
        self, machine: Machine, process: Process
    ) -> None:
        # The first status shows it with `created`, so that is hidden before the load is known.
        machine.faults(always(statusLagSeconds=1))
        caller = meanwhile(1, lambda: machine.answer_status_with(status="RUNNING", created=None))
        state = process.create(caller=caller)
        assert (state.status, state.created) == ("RUNNING", None)
        (line,) = caller.debugs
        assert "`created`" in line
        machine.faults()
        process.delete(state)


class TestRefused:
    @pytest.mark.parametrize(
        ("endpoint", "fault", "kind"),
        [
            ("status", {"respond": HTML}, UnreachableError),
            ("status", respond(401), AuthenticationError),
            ("load", respond(401), AuthenticationError),
            ("load", respond(429, "out of credits"), CreditsError),
            ("load", respond(404, "model not found"), UnknownModelError),
            ("load", respond(503), UnreachableError),
            ("load", respond(400), ApiError),
        ],
    )
    def test_nothing_is_changed_and_nothing_recorded(
        self, machine: Machine, endpoint: str, fault: dict[str, Any], kind: type[BytezError]
    ) -> None:
        machine.faults(on(endpoint, fault))
        said = machine.refused(kind)
        assert said.startswith(f"could not load '{GPT2}': the service answered HTTP ")
        assert "Nothing was changed. " in said
        assert machine.recorded() == machine.loaded()
        assert machine.loads() == 0

    def test_a_load_by_somebody_else_after_our_status_is_neither_claimed_nor_changed(
        self, machine: Machine
    ) -> None:
        """The service reports it with 429."""
        machine.emulator.load_by_somebody_else(GPT2, concurrency=3)
        machine.faults(NOT_THERE)
        said = machine.refused(AlreadyLoadedError)
        assert "already loaded at concurrency 3 since" in said
        assert machine.running() == {GPT2: 3}
        assert machine.records() == []

    def test_their_load_is_not_claimed_if_the_status_fails_after_the_refusal(
        self, machine: Machine
    ) -> None:
        """No record may remain: theirs was made within minutes of it."""
        machine.emulator.load_by_somebody_else(GPT2)
        machine.faults(NOT_THERE, on("status", respond(500)))
        machine.refused(ApiError)
        machine.faults()
        machine.refused(AlreadyLoadedError)

    def test_their_load_that_does_not_show_is_an_error(self, machine: Machine) -> None:
        machine.emulator.load_by_somebody_else(GPT2)
        machine.faults(on("status", respond(404, "no model")))
        assert "does not show it" in machine.refused(AlreadyLoadedError)
        assert machine.loads() == 1
        assert machine.running() == {GPT2: 1}

    def test_two_resources_of_one_model_are_one_load_and_an_error(
        self, machine: Machine, process: Process
    ) -> None:
        process.lifecycle.check({"modelId": GPT2}, None, FakeCaller(URN))
        process.create()
        twin = FakeCaller("urn:pulumi:dev::fleet::x::twin")
        said = process.refused(AlreadyLoadedError, caller=twin)
        assert "'gpt2' of stack 'dev', which the program" in said
        assert machine.changes() == ["/model/load"]


class TestLostAnswer:
    @pytest.mark.parametrize(
        ("faults", "kind", "is_on", "said"),
        [
            # HTTP 500 says neither yes nor no.
            ([on("load", respond(500, "model is already loaded"))], ApiError, True, ""),
            ([on("load", respond(500, "model is already loaded"))], ApiError, False, ""),
            (
                [LOST, on("load", {"respond": HTML})],
                UnreachableError,
                False,
                " Run `pulumi up` again",
            ),
            ([LOST, NOT_THERE, on("status", respond(401))], AuthenticationError, False, ""),
        ],
        ids=["500 and begun", "500", "no answer to any try", "no status"],
    )
    def test_a_load_that_may_have_been_accepted_is_recorded_and_continued_by_the_next_up(
        self,
        machine: Machine,
        faults: list[dict[str, Any]],
        kind: type[BytezError],
        is_on: bool,
        said: str,
    ) -> None:
        machine.faults(*faults)
        assert f"The load may have been accepted.{said}" in machine.refused(kind)
        if is_on:
            machine.emulator.load_by_somebody_else(GPT2)
        machine.faults()
        assert machine.create().status == "RUNNING"
        assert machine.loads() == 1

    def test_without_created_a_load_after_a_lost_answer_counts_as_ours(
        self, machine: Machine
    ) -> None:
        """The provider acts as owner: it asked, and had seen that nothing was loaded."""
        theirs = {"modelId": GPT2, "status": "RUNNING", "concurrency": 1}
        shown = on("status", {"respond": {"status": 200, "body": theirs}})
        machine.faults(NOT_THERE, shown, LOST)
        assert machine.create().status == "RUNNING"

    @pytest.mark.parametrize(
        ("shows", "records"),
        [({}, 1), ({"first": 1}, 0)],
        ids=["later", "after the lost answer"],
    )
    def test_their_older_load_is_never_claimed_nor_unloaded(
        self, machine: Machine, shows: dict[str, int], records: int
    ) -> None:
        """Our request was lost on the way, and the next one was refused because of theirs."""
        machine.emulator.load_by_somebody_else(GPT2)
        machine.emulator.advance(50)
        lag = on("status", {"statusLagSeconds": 90}, **shows)
        machine.faults(lag, on("load", {"reset": "before"}, first=1))
        machine.refused(AlreadyLoadedError)
        assert machine.running() == {GPT2: 1}
        assert "/model/delete" not in machine.changes()
        assert len(machine.records()) == records


class TestBootThatFails:
    def test_it_is_unloaded_and_the_reason_reported(self, machine: Machine) -> None:
        machine.faults(FAILS)
        assert machine.refused(BootFailedError) == snapshot(
            "could not load 'openai-community/gpt2': the service reported FAILED: "
            '"out of memory". It was unloaded: nothing is left running. Correct what '
            "the reason names, then run `pulumi up` again."
        )
        assert machine.running() == {}
        assert machine.recorded() == machine.loaded()

    @pytest.mark.parametrize(
        ("fault", "kind", "state"),
        [
            (FAILS, BootFailedError, "nothing is left running."),
            (on("load", respond(402, "credits")), CreditsError, ""),
        ],
        ids=["fails", "is refused"],
    )
    def test_a_replacement_says_that_the_old_one_is_unloaded(
        self, machine: Machine, process: Process, fault: Any, kind: type[BytezError], state: str
    ) -> None:
        process.delete(process.create())
        machine.faults(fault)
        said = process.refused(kind, inputs(concurrency=3))
        assert f"{state} The old one is already unloaded. " in said
        assert "Nothing was changed" not in said

    @pytest.mark.parametrize(
        ("fault", "seen"),
        [
            (respond(500, "disk full"), "the service answered HTTP 500: disk full (5 tries)"),
            ({"reset": "before"}, "it is still FAILED 2m after the request"),
            ({"shutdownSeconds": 3600}, "it is still FAILED 2m after the request"),
        ],
        ids=["refused", "lost", "ignored"],
    )
    def test_an_unload_that_fails_too_says_what_may_be_left_and_keeps_the_record(
        self, machine: Machine, fault: dict[str, Any], seen: str
    ) -> None:
        machine.faults(FAILS, on("delete", fault))
        said = machine.refused(BootFailedError)
        assert f"Unloading it failed too ({seen}), so it may still be running" in said
        assert said.endswith(f"Stop it with `bytez-fleet unload {GPT2} --yes`.")
        assert [one.owner.urn for one in machine.records()] == [URN]

    def test_unloaded_by_somebody_in_mid_boot_is_lost(self, machine: Machine) -> None:
        machine.faults(NEVER)
        # Later than the 60 s for which "not found" would mean "still booting".
        caller = meanwhile(40, lambda: machine.emulator.unload_by_somebody_else(GPT2))
        said = machine.refused(LoadLostError, caller=caller)
        assert "it was unloaded while it was booting" in said
        assert machine.recorded() == machine.loaded()
        assert machine.changes() == ["/model/load"]

    def test_loaded_by_somebody_else_in_mid_boot_is_lost_and_theirs_left_alone(
        self, machine: Machine
    ) -> None:
        caller = meanwhile(3, lambda: machine.usurp(after=60, concurrency=5))
        assert "and loaded by somebody else" in machine.refused(LoadLostError, caller=caller)
        assert machine.running() == {GPT2: 5}
        assert machine.changes() == ["/model/load"]


class TestLimit:
    def test_a_boot_past_the_limit_is_unloaded(self, machine: Machine) -> None:
        machine.faults(NEVER)
        with pytest.raises(TimeoutError) as caught:
            machine.create(caller=FakeCaller(timeout_seconds=90))
        assert str(caught.value) == snapshot(
            "could not load 'openai-community/gpt2': it was not RUNNING within 1m30s "
            "(last status: DEPLOYING). It was unloaded: nothing is left running. "
            "Allow more time with `customTimeouts` (create, and update), then run "
            "`pulumi up` again."
        )
        assert machine.running() == {}

    def test_what_somebody_has_loaded_since_the_last_look_is_left_alone(
        self, machine: Machine
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
                    machine.usurp(after=0, concurrency=7)
                return None

        machine.faults(NEVER)
        machine.refused(BootTimeoutError, caller=Caller(timeout_seconds=90))
        assert machine.running() == {GPT2: 7}
        assert machine.changes() == ["/model/load"]
        assert machine.records() == []

    def test_a_service_that_stopped_answering_is_part_of_what_was_seen(
        self, machine: Machine
    ) -> None:
        caller = meanwhile(5, lambda: machine.faults(always(respond=HTML)), timeout_seconds=90)
        said = machine.refused(BootTimeoutError, caller=caller)
        last = "the last answer was: the service answered HTTP"
        assert f"(last status: DEPLOYING, and {last}" in said
        assert "may still be running" in said


class TestInterrupted:
    def test_by_a_key_that_is_refused_the_record_remains(self, machine: Machine) -> None:
        caller = meanwhile(2, lambda: machine.faults({"do": respond(401, "key revoked")}))
        assert re.search(
            r"key revoked\. The load was accepted, and may be running and cost money\. "
            r"Set a key .*, then run `pulumi up` again, which continues with it\.$",
            machine.refused(AuthenticationError, caller=caller),
        )
        machine.faults()
        assert machine.create().status == "RUNNING"
        assert machine.loads() == 1

    def test_before_the_load_nothing_is_changed(self, machine: Machine) -> None:
        caller = FakeCaller()
        caller.end(Stop.CANCELLED)
        assert "Nothing was changed" in machine.refused(InterruptedLoadError, caller=caller)
        assert machine.emulator.requests() == []

    def test_in_mid_boot_the_state_names_the_load(self, machine: Machine) -> None:
        caller = stopped_at(3)
        state = machine.create(caller=caller)
        assert (state.status, state.created) == ("DEPLOYING", machine.created())
        assert len(caller.reports) == 3
        assert len(machine.emulator.requests()) == 2 + 3
        assert machine.recorded() == machine.loaded()

    @pytest.mark.parametrize("is_theirs", [False, True])
    def test_before_the_load_shows_a_destroy_unloads_it_and_no_other(
        self, machine: Machine, is_theirs: bool
    ) -> None:
        """The state knows no `created` then, but the journal knows the earliest moment."""
        machine.emulator.advance(100)
        machine.faults(always(statusLagSeconds=40))
        state = machine.create(caller=stopped_at(2))
        if is_theirs:
            machine.answer_status_with(created="2024-05-27T23:35:40.000Z")
        caller = FakeCaller()
        machine.delete(state, caller)
        assert ["was left alone" in one for one in caller.warnings] == [True] * is_theirs
        assert machine.running() == ({GPT2: 1} if is_theirs else {})

    def test_when_the_engine_is_gone_the_record_remains_even_if_it_came_up(
        self, machine: Machine
    ) -> None:
        def both() -> None:
            machine.emulator.advance(100)
            caller.end(Stop.ENGINE_GONE)

        machine.faults(always(statusLagSeconds=40))
        caller = meanwhile(2, both)
        machine.refused(InterruptedLoadError, caller=caller)
        (record,) = machine.records()
        assert record.created == moment_of(machine.created())


class TestGranted:
    def test_what_was_not_granted_is_a_warning_and_no_drift(self, machine: Machine) -> None:
        asked = inputs(concurrency=3, expiration_period_seconds=600)
        rounded = {"concurrency": 4, "expirationPeriodSeconds": 1800}
        caller = meanwhile(1, lambda: machine.answer_status_with(status="RUNNING", **rounded))
        state = machine.create(asked, caller)
        assert (state.concurrency, state.expiration_period_seconds) == (3, 600)
        assert state.granted == Granted(concurrency=4, expiration_period_seconds=1800)
        of_concurrency, of_expiry = caller.warnings
        assert "runs at concurrency 4, not 3" in of_concurrency
        assert "unloads after 1800 s idle, not 600 s" in of_expiry

        assert machine.read(state) == state
        assert not diff(state, asked, frozenset()).needed

    def test_a_later_change_of_what_was_granted_is_drift(self, machine: Machine) -> None:
        caller = meanwhile(1, lambda: machine.answer_status_with(status="RUNNING", concurrency=4))
        state = machine.create(inputs(concurrency=3), caller)
        machine.answer_status_with(concurrency=2)
        read = machine.seen(state)
        assert (read.concurrency, read.granted) == (2, None)
        assert diff(read, inputs(concurrency=3), frozenset()).replaces == ["concurrency"]
