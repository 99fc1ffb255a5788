"""The engine's part in a stack that is killed or not saved, and the moments at which it is.

What the engine does is played here: refresh, diff, and what follows from them, each answer saved
as soon as it has come. The real engine does the same in `tests/e2e/test_kill_points.py`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import pytest

from bytez_provider.dynamic.providers import PREVIEW
from bytez_provider.emulator import Emulator
from bytez_provider.emulator.service import RequestRecord
from tests.host.dynamic_host import DynamicHost, OperationError, Pending
from tests.wire.conftest import started
from tests.wire.moments import until

GPT2 = "openai-community/gpt2"
LOAD, STATUS, DELETE = "/model/load", "/model/status", "/model/delete"
BOOT_SECONDS, SHUTDOWN_SECONDS, LAG_SECONDS, IDLE_SECONDS = 400, 60, 45, 1800
HELD_SECONDS = 30

Rules = Sequence[Mapping[str, Any]]
Step = Literal["create", "delete"]
Records = Sequence[RequestRecord]
T = TypeVar("T")


def asked(path: str, times: int = 1, *, after: str | None = None) -> Callable[[Records], bool]:
    """Tell by the requests of a step whether there were so many of one kind, after another."""

    def reached(records: Records) -> bool:
        paths = [record.path for record in records]
        if after is not None:
            if after not in paths:
                return False
            paths = paths[paths.index(after) + 1 :]
        return paths.count(path) >= times

    return reached


def never(_records: Records) -> bool:
    """Let the step come to its end: the kill is after its answer, and nothing of it is saved."""
    return False


@dataclass(frozen=True)
class Point:
    """A moment in a create or a delete at which host and engine are killed.

    Attributes:
        when: The moment, in the words of `docs/when-killed.md`.
        faults: What holds the service at this moment; it ends with the kill.
        reached: Tells the moment by the requests of the step so far.
        seconds: Emulated seconds between the kill and the next `up`.
        sends: What the next `up` sends of that which changes something.
        loads: How many loads there are in the books, in the end.
        next_up: What the next `up` does, in the words of the table.
        is_after_boot: Whether the boot comes to its end before it.
    """

    when: str
    reached: Callable[[Records], bool]
    sends: tuple[str, ...]
    loads: int
    next_up: str
    faults: Rules = ()
    seconds: float = 0
    is_after_boot: bool = False


class KilledError(Exception):
    """Everything is dead."""


class NotSavedError(Exception):
    """The backend refused to save an answer, and the deployment ends."""


@dataclass
class Stack:
    """A stack with one Model, in the words of the engine.

    Attributes:
        outputs: The resource's outputs as they were last saved; None for no resource.
        is_replaced: Whether it has been deleted for a replacement that has not come yet.
        refused: The step whose answer the backend refuses to save; None for none.
        env: The environment of the hosts, beside what each of them has.
    """

    emulator: Emulator
    journal: Path
    name: str = "gpt2"
    outputs: dict[str, Any] | None = None
    is_replaced: bool = False
    refused: Step | None = None
    env: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def host(self) -> Iterator[DynamicHost]:
        """Run a host, and end it as the engine does."""
        with started(self.emulator, self.journal, **self.env) as host:
            yield host
            host.cancel()

    def up(
        self,
        host: DynamicHost,
        inputs: Mapping[str, Any] | None,
        kill: tuple[Step, Point] | None = None,
    ) -> list[str]:
        """Bring the stack up; return what was sent of that which changes something.

        Args:
            host: The process that does it.
            inputs: The declaration; None where the program has none, as in a destroy.
            kill: The step to kill everything in, and at which point of it.

        Raises:
            KilledError: As it was asked for.
            NotSavedError: As the backend refused.
        """
        sent = len(self.emulator.requests())
        self._refresh(host)
        declared = None if inputs is None else self._checked(host, inputs)
        if self._is_to_go(host, declared):
            self._delete(host, kill, replacing=declared is not None)
        if declared is not None and (self.outputs is None or self.is_replaced):
            self._create(host, declared, kill)
        elif declared is not None:
            self._update(host, declared, kill)
        records = self.emulator.requests()[sent:]
        return [record.path for record in records if record.path in (LOAD, DELETE)]

    def preview(self, host: DynamicHost, inputs: Mapping[str, Any]) -> None:
        """Preview, as the engine does: the same questions, and nothing is saved."""
        saved = self.outputs
        self._refresh(host)
        self._is_to_go(host, self._checked(host, {**inputs, PREVIEW: True}))
        self.outputs = saved

    def recorded(self) -> dict[str, tuple[str, str | None]]:
        """Return the phase and the `created` of each load that the journal names."""
        kept = [json.loads(path.read_bytes()) for path in self.journal.glob("record-*.json")]
        return {one["modelId"]: (one["phase"], one.get("created")) for one in kept}

    # ------------------------------------------------------------------------------- the steps

    def _refresh(self, host: DynamicHost) -> None:
        if self.outputs is None or self.is_replaced:
            return
        read = host.read(self.outputs["modelId"], self.outputs, name=self.name)
        self.outputs = read.outputs if read.id else None

    def _checked(self, host: DynamicHost, inputs: Mapping[str, Any]) -> dict[str, Any]:
        checked = host.check(self.outputs or {}, inputs, name=self.name)
        assert checked.failures == []
        return checked.inputs

    def _is_to_go(self, host: DynamicHost, declared: dict[str, Any] | None) -> bool:
        if self.outputs is None or self.is_replaced:
            return False
        if declared is None:
            return True
        id_ = self.outputs["modelId"]
        return bool(host.diff(id_, self.outputs, declared, name=self.name).replaces)

    def _delete(
        self, host: DynamicHost, kill: tuple[Step, Point] | None, *, replacing: bool
    ) -> None:
        assert self.outputs is not None
        point = self._point("delete", kill)
        id_, outputs = self.outputs["modelId"], self.outputs
        self._see_through(host, lambda: host.delete_async(id_, outputs, name=self.name), point)
        self._save("delete", outputs if replacing else None, is_replaced=replacing)

    def _create(
        self, host: DynamicHost, declared: dict[str, Any], kill: tuple[Step, Point] | None
    ) -> None:
        point = self._point("create", kill)
        created = self._see_through(
            host, lambda: host.create_async(declared, name=self.name), point
        )
        self._save("create", created.outputs)

    def _save(
        self, step: Step, outputs: dict[str, Any] | None, *, is_replaced: bool = False
    ) -> None:
        if step == self.refused:
            raise NotSavedError
        self.outputs, self.is_replaced = outputs, is_replaced

    def _update(
        self, host: DynamicHost, declared: dict[str, Any], kill: tuple[Step, Point] | None
    ) -> None:
        assert self.outputs is not None
        id_, outputs = self.outputs["modelId"], self.outputs
        if not host.diff(id_, outputs, declared, name=self.name).changes:
            return
        point = self._point("create", kill)
        self.outputs = self._see_through(
            host, lambda: host.update_async(id_, outputs, declared, name=self.name), point
        )

    def _point(self, step: Step, kill: tuple[Step, Point] | None) -> Point | None:
        if kill is None or kill[0] != step:
            return None
        self.emulator.set_faults(kill[1].faults)
        return kill[1]

    def _see_through(
        self, host: DynamicHost, begin: Callable[[], Pending[T]], point: Point | None
    ) -> T:
        """Let emulated time pass, as a boot or a shutdown needs it, to the end or to the kill."""
        before = len(self.emulator.requests())
        pending = begin()
        unloaded = 0

        def records() -> Records:
            return self.emulator.requests()[before:]

        def is_reached() -> bool:
            return point is not None and point.reached(records())

        def needs_time() -> bool:
            is_waiting = asked(STATUS, 2)(records()) or asked(STATUS, after=LOAD)(records())
            return (is_waiting and _is_booting(self.emulator)) or _unloads(records()) > unloaded

        while not pending.done():
            until(lambda: pending.done() or is_reached() or needs_time())
            if is_reached():
                break
            if not pending.done() and (point is None or point.is_after_boot):
                unloaded = _unloads(records())
                self.emulator.advance(BOOT_SECONDS)
        if point is not None:
            self._kill(host, pending, point)
        return pending.result()

    def _kill(self, host: DynamicHost, pending: Pending[Any], point: Point) -> None:
        assert pending.done() is (point.reached is never), f"not killed {point.when}"
        host.kill()
        if point.reached is not never:
            with pytest.raises(OperationError):
                pending.result()
        self.emulator.set_faults([])
        if point.seconds:
            self.emulator.advance(point.seconds)
        raise KilledError


def _unloads(records: Records) -> int:
    return sum(record.path == DELETE and record.status is not None for record in records)


def _is_booting(emulator: Emulator) -> bool:
    return any(one["status"] == "DEPLOYING" for one in emulator.instances())


# ------------------------------------------------------------------------------------ the points

_LOADS_IT = "loads it"
_GOES_ON = "goes on with the load"
_AGAIN = "loads it again"
_UNLOADS_IT = "unloads it"
_GONE = "finds it gone"

_IS_HELD: Rules = [{"endpoint": STATUS, "do": {"delaySeconds": 100_000}}]
_SHOWS_LATE: Rules = [{"endpoint": LOAD, "do": {"statusLagSeconds": LAG_SECONDS}}]
_FAILS: Rules = [{"endpoint": LOAD, "do": {"boot": "failed", "error": "out of memory"}}]


def _at(path: str, **do: Any) -> Rules:
    return [{"endpoint": path, "do": do}]


OF_CREATE = [
    Point("before the load is asked for", asked(STATUS), (LOAD,), 1, _LOADS_IT, _IS_HELD),
    Point(
        "the request for the load is lost on its way",
        asked(LOAD),
        (LOAD,),
        1,
        _LOADS_IT,
        _at(LOAD, reset="before"),
    ),
    Point(
        "the request is out, and is answered only after the next `up` has sent its own",
        asked(LOAD),
        (LOAD,),
        1,
        _LOADS_IT,
        _at(LOAD, delaySeconds=HELD_SECONDS),
    ),
    Point(
        "the request is out, and the load begins after the kill",
        asked(LOAD),
        (),
        1,
        _GOES_ON,
        _at(LOAD, delaySeconds=HELD_SECONDS),
        HELD_SECONDS,
    ),
    Point(
        "the load has begun, and its answer is lost",
        asked(LOAD),
        (),
        1,
        _GOES_ON,
        _at(LOAD, reset="after"),
    ),
    Point(
        "accepted, and the service does not show it yet, nor to the next `up`",
        asked(STATUS, 2, after=LOAD),
        (LOAD,),
        1,
        _GOES_ON,
        _SHOWS_LATE,
    ),
    Point(
        "accepted, and the service does not show it yet",
        asked(STATUS, 2, after=LOAD),
        (),
        1,
        _GOES_ON,
        _SHOWS_LATE,
        LAG_SECONDS,
    ),
    Point("in mid-boot", asked(STATUS, 2, after=LOAD), (), 1, _GOES_ON),
    Point(
        "in mid-boot, and it is RUNNING by the time of the next `up`",
        asked(STATUS, 2, after=LOAD),
        (),
        1,
        _GOES_ON,
        seconds=BOOT_SECONDS,
    ),
    Point(
        "in mid-boot, and it has expired by the time of the next `up`",
        asked(STATUS, 2, after=LOAD),
        (LOAD,),
        2,
        _AGAIN,
        seconds=BOOT_SECONDS + IDLE_SECONDS,
    ),
    Point(
        "in mid-boot, and the boot has failed by the time of the next `up`",
        asked(STATUS, 2, after=LOAD),
        (DELETE, LOAD),
        2,
        _AGAIN,
        _FAILS,
        BOOT_SECONDS,
    ),
    Point(
        "FAILED, before it is unloaded",
        asked(DELETE),
        (DELETE, LOAD),
        2,
        _AGAIN,
        [*_FAILS, *_at(DELETE, reset="before")],
        is_after_boot=True,
    ),
    Point("RUNNING, before the engine has saved it", never, (), 1, _GOES_ON, is_after_boot=True),
]

OF_DELETE = [
    Point("before the unload is asked for", asked(STATUS), (DELETE,), 1, _UNLOADS_IT, _IS_HELD),
    Point(
        "the request for the unload is lost on its way",
        asked(DELETE),
        (DELETE,),
        1,
        _UNLOADS_IT,
        _at(DELETE, reset="before"),
    ),
    Point(
        "the request is out, and the unload begins after the kill",
        asked(DELETE),
        (),
        1,
        _GONE,
        _at(DELETE, delaySeconds=HELD_SECONDS),
        HELD_SECONDS,
    ),
    Point(
        "unloaded, and the answer is lost",
        asked(DELETE),
        (),
        1,
        _GONE,
        _at(DELETE, reset="after"),
    ),
    Point(
        "accepted, and the service still shows it",
        asked(STATUS, 2, after=DELETE),
        (DELETE,),
        1,
        _UNLOADS_IT,
        _at(DELETE, shutdownSeconds=SHUTDOWN_SECONDS),
    ),
    Point(
        "accepted, and it is gone by the time of the next `up`",
        asked(STATUS, 2, after=DELETE),
        (),
        1,
        _GONE,
        _at(DELETE, shutdownSeconds=SHUTDOWN_SECONDS),
        SHUTDOWN_SECONDS,
    ),
    Point("gone, before the engine has saved it", never, (), 1, _GONE, is_after_boot=True),
]
