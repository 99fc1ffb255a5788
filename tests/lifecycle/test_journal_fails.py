"""A shared journal that fails: before a request it is an error, after it nothing is lost by it."""

from __future__ import annotations

import pytest

from bytez_provider.base.errors import BootFailedError, InterruptedLoadError, JournalError
from bytez_provider.core.ownership import Folder, Store
from bytez_provider.core.waiting import Stop
from tests.lifecycle.caller import FakeCaller, stopped_at
from tests.lifecycle.machine import GPT2, Machine, Process, always, inputs
from tests.ownership.turns import SteppingStore


class Bucket(SteppingStore):
    """A shared place of records that is there until it fails."""

    def __init__(self, store: Store) -> None:
        super().__init__(store, self._fail)
        self.is_shared = True
        self.fails = False

    def _fail(self) -> None:
        if self.fails:
            raise JournalError(
                verb="read the journal", observed="the bucket is down", action="Mend the access"
            )


@pytest.fixture
def bucket(machine: Machine, process: Process) -> Bucket:
    """The place of the records of `process`."""
    bucket = Bucket(Folder(machine.folder))
    process.ledger.journal.store = bucket
    return bucket


def fails_after(bucket: Bucket, process: Process, name: str) -> None:
    """Let the bucket fail as soon as the service has answered a request."""
    process.around(name, after=lambda: setattr(bucket, "fails", True))


def test_before_the_request_nothing_is_asked_for(
    machine: Machine, process: Process, bucket: Bucket
) -> None:
    bucket.fails = True
    assert process.refused(JournalError) == (
        f"could not load '{GPT2}': the bucket is down. Nothing was changed. Mend the access."
    )
    assert machine.changes() == []


def test_after_it_the_load_is_waited_for(
    machine: Machine, process: Process, bucket: Bucket
) -> None:
    """Once the error said that nothing was changed, and the load ran."""
    fails_after(bucket, process, "load")
    state = process.create()
    assert (state.status, state.created) == ("RUNNING", machine.created())


def test_a_deployment_that_is_killed_then_is_continued(
    machine: Machine, process: Process, bucket: Bucket
) -> None:
    fails_after(bucket, process, "load")
    process.refused(InterruptedLoadError, caller=stopped_at(2, Stop.ENGINE_GONE))
    process.die()
    assert machine.create().status == "RUNNING"
    assert machine.changes() == ["/model/load"]


def test_a_take_over_is_waited_for(machine: Machine, process: Process, bucket: Bucket) -> None:
    machine.emulator.load_by_somebody_else(GPT2)
    caller = FakeCaller()

    def fails(_message: str) -> None:
        bucket.fails = True

    caller.note = fails  # type: ignore[method-assign,assignment]
    assert process.create(inputs(adopt=True), caller).status == "RUNNING"


def test_a_boot_that_failed_is_reported_as_one(
    machine: Machine, process: Process, bucket: Bucket
) -> None:
    machine.faults(always(boot="failed", error="out of memory"))
    fails_after(bucket, process, "delete")
    assert "nothing is left running" in process.refused(BootFailedError)
    assert machine.running() == {}


def test_a_delete_succeeds(machine: Machine, process: Process, bucket: Bucket) -> None:
    state = process.create()
    fails_after(bucket, process, "delete")
    process.delete(state)
    assert machine.running() == {}
