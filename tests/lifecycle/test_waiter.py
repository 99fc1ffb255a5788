"""The waiter: when it asks, what it claims, and what it reports."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from bytez_provider.core.ownership import Claim
from bytez_provider.core.waiting import FRESH_SECONDS, End, Stop, Watched, pause_seconds
from bytez_provider.emulator.fixtures import START
from bytez_provider.service.schemas import Asked
from tests.lifecycle.caller import FakeCaller, stopped_at
from tests.lifecycle.machine import BOOT_SECONDS, GPT2, Machine, Process, always


def wait_for(
    process: Process, claim: Claim, caller: FakeCaller | None = None, limit_seconds: float = 1800.0
) -> tuple[Watched, list[datetime | None]]:
    """Wait for a load; return what is known of it, and each `created` that was identified."""
    identified: list[datetime | None] = []
    load = Watched(GPT2, claim)
    process.waiter.until_running(
        load,
        caller or FakeCaller(),
        limit_seconds=limit_seconds,
        on_identified=lambda one: identified.append(one.claim.created),
    )
    return load, identified


class TestIdentity:
    def test_it_is_learned_once(self, machine: Machine, process: Process) -> None:
        machine.emulator.load_by_somebody_else(GPT2)
        claim = Claim(not_before=START, accepted_at=START)
        wait, identified = wait_for(process, claim)
        assert wait.end is End.RUNNING
        assert identified == [START]
        assert claim.created == START

    def test_a_service_that_does_not_renew_created_is_believed_after_60_s(
        self, machine: Machine, process: Process
    ) -> None:
        machine.emulator.load_by_somebody_else(GPT2)
        machine.emulator.advance(600)
        now = START + timedelta(seconds=600)
        claim = Claim(not_before=now, accepted_at=now)
        wait, _ = wait_for(process, claim)
        assert (wait.end, claim.created) == (End.RUNNING, START)
        assert machine.emulator.now() >= now + timedelta(seconds=60)

    def test_a_load_not_known_to_be_accepted_is_never_claimed_so(
        self, machine: Machine, process: Process
    ) -> None:
        machine.emulator.load_by_somebody_else(GPT2)
        machine.emulator.advance(100)
        claim = Claim(not_before=START + timedelta(seconds=100))
        wait, identified = wait_for(process, claim)
        assert (wait.end, claim.created, identified) == (End.OTHER_LOAD, None, [])


class TestPolls:
    def test_each_look_is_a_new_one(self) -> None:
        """A pause shorter than a list is fresh would end with the list of the last look."""
        for waited in (0.0, 1.0, 4.9, 600.0):
            assert min(pause_seconds(waited) for _ in range(100)) >= FRESH_SECONDS

    def test_a_load_of_a_moment_ago_is_not_looked_for_on_the_list(
        self, machine: Machine, process: Process
    ) -> None:
        """The list would be requested in vain once for each model of a fleet."""
        machine.emulator.load_by_somebody_else(GPT2)
        with process.waiter.poller.waiting():
            wait_for(process, Claim(not_before=START, accepted_at=START))
        paths = [record.path for record in machine.emulator.requests()]
        assert paths[0] == "/model/status"
        assert set(paths[1:]) == {"/model/instances"}

    def test_each_is_a_single_try(self, machine: Machine, process: Process) -> None:
        """The wait is the retry: five tries with pauses would hold up a Ctrl-C."""
        machine.emulator.load_by_somebody_else(GPT2)
        machine.faults(always(respond={"status": 503, "body": ""}))
        wait, _ = wait_for(process, Claim(created=START), stopped_at(4))
        assert wait.end is None
        assert len(machine.emulator.requests("/model/status")) == 4

    def test_a_boot_is_noticed_within_a_tenth_of_its_time(
        self, machine: Machine, process: Process
    ) -> None:
        machine.emulator.load_by_somebody_else(GPT2)
        wait_for(process, Claim(created=START))
        late = (machine.emulator.now() - START).total_seconds() - BOOT_SECONDS
        assert 0 <= late <= 0.1 * 1.1 * BOOT_SECONDS + 0.5

    def test_a_long_boot_is_asked_for_every_few_seconds(
        self, machine: Machine, process: Process
    ) -> None:
        machine.faults(always(boot="never"))
        process.client.load(GPT2, Asked(1))
        wait, _ = wait_for(process, Claim(created=START), limit_seconds=900)
        assert wait.end is None
        assert 900 / 5.5 <= len(machine.emulator.requests("/model/status")) <= 900 / 4.5 + 40

    def test_the_last_look_is_at_the_limit(self, machine: Machine, process: Process) -> None:
        machine.emulator.load_by_somebody_else(GPT2)
        wait, _ = wait_for(process, Claim(created=START), limit_seconds=BOOT_SECONDS)
        assert wait.end is End.RUNNING
        assert machine.emulator.now() <= START + timedelta(seconds=BOOT_SECONDS + 0.1)


@pytest.mark.parametrize("is_known", [True, False])
def test_after_a_stop_only_an_unknown_load_is_asked_for_once_more(
    machine: Machine, process: Process, is_known: bool
) -> None:
    """State should have its identity."""
    machine.emulator.load_by_somebody_else(GPT2)
    caller = FakeCaller()
    caller.end(Stop.CANCELLED)
    claim = Claim(created=START) if is_known else Claim(not_before=START, accepted_at=START)
    wait, _ = wait_for(process, claim, caller)
    assert (wait.end, claim.created, wait.seen is None) == (None, START, is_known)
    assert len(machine.emulator.requests()) == (0 if is_known else 1)


class TestReports:
    def test_the_age_is_at_least_what_was_waited(self, machine: Machine, process: Process) -> None:
        """A `Date` header that is an hour late must not make every load new."""
        machine.emulator.load_by_somebody_else(GPT2)
        machine.faults(always(clockSkewSeconds=-3600))
        caller = FakeCaller()
        wait_for(process, Claim(created=START), caller)
        assert caller.reports[-1].split(",")[0] not in ("0s DEPLOYING", "1s DEPLOYING")

    def test_before_anything_is_seen_it_is_accepted(
        self, machine: Machine, process: Process
    ) -> None:
        caller = stopped_at(1)
        wait_for(process, Claim(not_before=START, accepted_at=START), caller)
        assert caller.reports == ["0s accepted, limit 30m"]
