"""A shared journal that fails: before a request it is an error, after it nothing is lost by it."""

from __future__ import annotations

from typing import Any

import pytest

from bytez_provider.base.errors import BootFailedError, InterruptedLoadError, JournalError
from bytez_provider.core.ownership import Folder, Store
from bytez_provider.core.ownership._stores import Stored
from bytez_provider.core.waiting import Stop
from tests.lifecycle.caller import FakeCaller
from tests.lifecycle.machine import GPT2, Machine, Process, inputs


class Bucket:
    """A shared place of records that is there until it fails."""

    is_shared = True
    place = "s3://bucket"

    def __init__(self, store: Store) -> None:
        self._store = store
        self.fails = False

    def _fail(self) -> None:
        if self.fails:
            raise JournalError(
                verb="read the journal", observed="the bucket is down", action="Mend the access"
            )

    def read(self, name: str) -> Stored:
        self._fail()
        return self._store.read(name)

    def write(self, name: str, content: bytes | None, version: object, *, durable: bool) -> Stored:
        self._fail()
        return self._store.write(name, content, version, durable=durable)

    def read_all(self) -> dict[str, Stored]:
        self._fail()
        return self._store.read_all()


@pytest.fixture
def bucket(machine: Machine, process: Process) -> Bucket:
    """The place of the records of `process`."""
    bucket = Bucket(Folder(machine.folder))
    process.ledger.journal.store = bucket
    return bucket


def fails_after(bucket: Bucket, process: Process, name: str) -> None:
    """Let the bucket fail as soon as the service has answered a request."""
    ask = getattr(process.client, name)

    def asked(*given: Any, **named: Any) -> Any:
        answer = ask(*given, **named)
        bucket.fails = True
        return answer

    setattr(process.client, name, asked)


def test_before_the_request_nothing_is_asked_for(
    machine: Machine, process: Process, bucket: Bucket
) -> None:
    bucket.fails = True
    with pytest.raises(JournalError) as caught:
        process.lifecycle.create(inputs(), FakeCaller())
    assert str(caught.value) == (
        f"could not load '{GPT2}': the bucket is down. Nothing was changed. Mend the access."
    )
    assert machine.changes() == []


def test_after_it_the_load_is_waited_for(
    machine: Machine, process: Process, bucket: Bucket
) -> None:
    """It said that nothing was changed, of a load that ran."""
    fails_after(bucket, process, "load")
    state = process.lifecycle.create(inputs(), FakeCaller())
    assert (state.status, state.created) == ("RUNNING", machine.created())


def test_a_deployment_that_is_killed_then_is_gone_on_with(
    machine: Machine, process: Process, bucket: Bucket
) -> None:
    fails_after(bucket, process, "load")
    caller = FakeCaller()
    caller.end_at_report(2, Stop.ENGINE_GONE)
    with pytest.raises(InterruptedLoadError):
        process.lifecycle.create(inputs(), caller)
    process.die()
    assert machine.process().lifecycle.create(inputs(), FakeCaller()).status == "RUNNING"
    assert machine.changes() == ["/model/load"]


def test_a_take_over_is_waited_for(machine: Machine, process: Process, bucket: Bucket) -> None:
    machine.emulator.load_by_somebody_else(GPT2)
    caller = FakeCaller()

    def fails(_message: str) -> None:
        bucket.fails = True

    caller.note = fails  # type: ignore[method-assign,assignment]
    assert process.lifecycle.create(inputs(adopt=True), caller).status == "RUNNING"


def test_a_boot_that_failed_is_told_as_one(
    machine: Machine, process: Process, bucket: Bucket
) -> None:
    machine.emulator.set_faults([{"do": {"boot": "failed", "error": "out of memory"}}])
    fails_after(bucket, process, "delete")
    with pytest.raises(BootFailedError, match="nothing is left running"):
        process.lifecycle.create(inputs(), FakeCaller())
    assert machine.running() == {}


def test_a_delete_succeeds(machine: Machine, process: Process, bucket: Bucket) -> None:
    state = process.lifecycle.create(inputs(), FakeCaller())
    fails_after(bucket, process, "delete")
    process.lifecycle.delete(state, FakeCaller())
    assert machine.running() == {}
