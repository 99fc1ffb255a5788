"""A stack of one model whose provider process is real, and the moments at which it is killed.

The engine is the model of it in `tests/stateful`, which `tests/e2e/test_engine_model.py` compares
with the real one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

from pulumi.dynamic import (
    CheckResult,
    CreateResult,
    DiffResult,
    ReadResult,
    UpdateResult,
)

from bytez_provider.emulator import Emulator
from bytez_provider.emulator.service import RequestRecord
from bytez_provider.service.settings import ApiVersion
from tests.asking import CHANGING, Ask, ask_of, for_api
from tests.host.dynamic_host import DynamicHost, OperationError, Pending
from tests.stateful.books import in_words_of_2024
from tests.stateful.engine import Engine, Resource, Result
from tests.stateful.host import CallFailedError
from tests.stateful.program import Bag, Declared, Program
from tests.wire.conftest import started
from tests.wire.moments import until

GPT2 = "openai-community/gpt2"
STACK, NAME = "s", "gpt2"
URN = Program(STACK).urn(NAME)
BOOT_SECONDS, SHUTDOWN_SECONDS, LAG_SECONDS, IDLE_SECONDS = 400, 60, 45, 1800
HELD_SECONDS = 30

Rules = Sequence[Mapping[str, Any]]
Step = Literal["create", "update", "delete"]
Records = Sequence[RequestRecord]
T = TypeVar("T")


def asked(ask: Ask, times: int = 1, *, after: Ask | None = None) -> Callable[[Records], bool]:
    """Return a test for so many requests of a kind, counted after one of another."""

    def reached(records: Records) -> bool:
        asks = [ask_of(record) for record in records]
        if after is not None:
            if after not in asks:
                return False
            asks = asks[asks.index(after) + 1 :]
        return asks.count(ask) >= times

    return reached


def never(_records: Records) -> bool:
    """Kill after the answer and before it is saved."""
    return False


class Next(NamedTuple):
    """What the next `up` does.

    Attributes:
        words: In the words of `docs/when-killed.md`.
        sends: The requests that change something.
        loads: How many loads the ledger has in the end.
    """

    words: str
    sends: tuple[Ask, ...]
    loads: int = 1


class Point(NamedTuple):
    """A moment in a create, an update or a delete at which provider process and engine are killed.

    Attributes:
        reached: Whether the requests of the step so far have reached it.
        then: What the next `up` does.
        faults: What holds the service at this moment; it ends with the kill.
        seconds: Emulated seconds between the kill and the next `up`.
        is_after_boot: Whether the boot ends before it.
    """

    reached: Callable[[Records], bool]
    then: Next
    faults: Rules = ()
    seconds: float = 0
    is_after_boot: bool = False


class Process:
    """The real provider process, as the model of the engine calls it.

    Args:
        host: The process.
        emulator: The service. Its time passes as far as boots and unloads need it.
        kill: The step in which process and engine are killed, and at which point of it.
        api: The API version, for the faults of the point.
    """

    def __init__(
        self,
        host: DynamicHost,
        emulator: Emulator,
        kill: tuple[Step, Point] | None = None,
        api: ApiVersion = "2024-05",
    ) -> None:
        self.said: list[str] = []
        self.cancelled = False
        self.engine_lives = True
        self.host = host
        self._emulator = emulator
        self._kill = kill
        self._api = api

    def running(self) -> AbstractContextManager[object]:
        """Return nothing of interest: the process runs already."""
        return nullcontext()

    def call(self, urn: str, _timeout: float, do: Callable[[Any], T]) -> T:
        """Let the provider of a resource do something.

        Raises:
            CallFailedError: It answered with an error, or was killed.
        """
        try:
            return do(_Provider(self, urn))
        except OperationError as error:
            raise CallFailedError(str(error)) from None

    def end(self) -> None:
        """Do nothing: who started the host ends it."""

    def finish(self, step: Step, begin: Callable[[], Pending[T]]) -> T:
        """Let emulated time pass until a step ends or is killed; return its answer."""
        point = self._kill[1] if self._kill and self._kill[0] == step else None
        if point is not None:
            self._emulator.set_faults(for_api(self._api, point.faults))
        before = len(self._emulator.requests())
        pending = begin()
        unloaded = 0

        def records() -> Records:
            return self._emulator.requests()[before:]

        def is_reached() -> bool:
            return point is not None and point.reached(records())

        def needs_time() -> bool:
            is_waiting = asked("status", 2)(records()) or asked("status", after="load")(records())
            return (is_waiting and _is_booting(self._emulator)) or _unloads(records()) > unloaded

        while not pending.done():
            until(lambda: pending.done() or is_reached() or needs_time())
            if is_reached():
                break
            if not pending.done() and (point is None or point.is_after_boot):
                unloaded = _unloads(records())
                self._emulator.advance(BOOT_SECONDS)
        if point is not None:
            assert pending.done() is (point.reached is never), "not killed at this point"
            self.engine_lives = False
            self.host.kill()
            self._emulator.set_faults([])
            self._emulator.advance(point.seconds)
        return pending.result()


@dataclass(frozen=True)
class _Provider:
    """The provider of one resource, over gRPC."""

    process: Process
    urn: str

    def check(self, olds: Bag, news: Bag) -> CheckResult:
        return self.process.host.check(olds, news, name=self.urn)

    def diff(self, id_: str, olds: Bag, news: Bag) -> DiffResult:
        return self.process.host.diff(id_, olds, news, name=self.urn)

    def read(self, id_: str, props: Bag) -> ReadResult:
        found = self.process.host.read(id_, props, name=self.urn)
        return ReadResult(found.id, found.outputs, found.inputs or None)

    def create(self, props: Bag) -> CreateResult:
        host = self.process.host
        made = self.process.finish("create", lambda: host.create_async(props, name=self.urn))
        return CreateResult(made.id, made.outputs)

    def update(self, id_: str, olds: Bag, news: Bag) -> UpdateResult:
        host = self.process.host
        return UpdateResult(
            self.process.finish("update", lambda: host.update_async(id_, olds, news, name=self.urn))
        )

    def delete(self, id_: str, props: Bag) -> None:
        host = self.process.host
        self.process.finish("delete", lambda: host.delete_async(id_, props, name=self.urn))


@dataclass
class Stack:
    """A stack with one Model, deployed by the model of the engine.

    Attributes:
        api: Its API version.
        env: The environment of its provider processes, in addition to what each of them has.
        result: How the last deployment ended.
    """

    emulator: Emulator
    journal: Path
    api: ApiVersion = "2024-05"
    env: dict[str, str] = field(default_factory=dict)
    engine: Engine = field(default_factory=Engine)
    result: Result = field(default_factory=Result)

    @contextmanager
    def host(self) -> Iterator[DynamicHost]:
        """Run a provider process, and end it as the engine does."""
        with self.started() as host:
            yield host
            host.cancel()

    def started(self) -> AbstractContextManager[DynamicHost]:
        """Run a provider process, which may be killed."""
        return started(self.emulator, self.journal, self.api, **self.env)

    def up(
        self, host: DynamicHost, model: Declared | None, kill: tuple[Step, Point] | None = None
    ) -> list[Ask]:
        """Run `pulumi up`; return what was sent that changes something.

        Args:
            host: The provider process.
            model: What the program declares; None for nothing, as in a destroy.
            kill: The step in which process and engine are killed, and at which point of it.
        """
        sent = len(self.emulator.requests())
        process = Process(host, self.emulator, kill, self.api)
        self.result = self.engine.up(_program(model), process, refresh=True)
        records = self.emulator.requests()[sent:]
        return [ask for ask in map(ask_of, records) if ask in CHANGING]

    def preview(self, host: DynamicHost, model: Declared) -> None:
        """Run `pulumi preview`."""
        self.engine.preview(_program(model), Process(host, self.emulator), refresh=True)

    def put(self, model: Declared, outputs: Bag) -> None:
        """Put a resource into the state."""
        inputs = model.inputs(in_fleet=False)
        self.engine.history.append({URN: Resource(URN, model.model_id, inputs, outputs)})
        self.engine.restore(-1)

    @property
    def kept(self) -> Resource | None:
        """The resource in state; None if there is none."""
        return self.engine.state.get(URN)

    def recorded(self) -> dict[str, tuple[str, str | None]]:
        """Return phase and `created` of each load in the journal."""
        kept = [json.loads(path.read_bytes()) for path in self.journal.glob("record-*.json")]
        return {one["modelId"]: (one["phase"], one.get("created")) for one in kept}


def _program(model: Declared | None) -> Program:
    return Program(STACK, {} if model is None else {NAME: model})


def _unloads(records: Records) -> int:
    return sum(ask_of(record) == "delete" and record.status is not None for record in records)


def _is_booting(emulator: Emulator) -> bool:
    shown = map(in_words_of_2024, emulator.instances())
    return any(one["status"] == "DEPLOYING" for one in shown)


LOADS_IT = Next("loads it", ("load",))
GOES_ON = Next("goes on with the load", ())
LOADS_IT_AGAIN = Next("loads it again", ("load",), loads=2)
CLEARS_AND_LOADS_IT = Next("loads it again", ("delete", "load"), loads=2)
UNLOADS_IT = Next("unloads it", ("delete",))
FINDS_IT_GONE = Next("finds it gone", ())
CHANGES_IT = Next("changes it in place", ("rescale",))
FINDS_IT_CHANGED = Next("finds it as declared", ())


def _at(ask: Ask, **do: Any) -> Rules:
    return [{"asks": ask, "do": do}]


_IS_HELD = _at("status", delaySeconds=100_000)
_SHOWS_LATE = _at("load", statusLagSeconds=LAG_SECONDS)
_FAILS = _at("load", boot="failed", error="out of memory")
_LATE_LOAD = _at("load", delaySeconds=HELD_SECONDS)
_LATE_DELETE = _at("delete", delaySeconds=HELD_SECONDS)
_SHUTS_DOWN = _at("delete", shutdownSeconds=SHUTDOWN_SECONDS)
_LOADED, _UNLOADED = asked("status", 2, after="load"), asked("status", 2, after="delete")

OF_CREATE = {
    "before the load is asked for": Point(asked("status"), LOADS_IT, _IS_HELD),
    "the request for the load is lost on its way": Point(
        asked("load"), LOADS_IT, _at("load", reset="before")
    ),
    "the request is out, and is answered only after the next `up` has sent its own": Point(
        asked("load"), LOADS_IT, _LATE_LOAD
    ),
    "the request is out, and the load begins after the kill": Point(
        asked("load"), GOES_ON, _LATE_LOAD, HELD_SECONDS
    ),
    "the load has begun, and its answer is lost": Point(
        asked("load"), GOES_ON, _at("load", reset="after")
    ),
    "accepted, and the service does not show it yet, nor to the next `up`": Point(
        _LOADED, GOES_ON._replace(sends=("load",)), _SHOWS_LATE
    ),
    "accepted, and the service does not show it yet": Point(
        _LOADED, GOES_ON, _SHOWS_LATE, LAG_SECONDS
    ),
    "in mid-boot": Point(_LOADED, GOES_ON),
    "in mid-boot, and it is RUNNING by the time of the next `up`": Point(
        _LOADED, GOES_ON, seconds=BOOT_SECONDS
    ),
    "in mid-boot, and it has expired by the time of the next `up`": Point(
        _LOADED, LOADS_IT_AGAIN, seconds=BOOT_SECONDS + IDLE_SECONDS
    ),
    "in mid-boot, and the boot has failed by the time of the next `up`": Point(
        _LOADED, CLEARS_AND_LOADS_IT, _FAILS, BOOT_SECONDS
    ),
    "FAILED, before it is unloaded": Point(
        asked("delete"),
        CLEARS_AND_LOADS_IT,
        [*_FAILS, *_at("delete", reset="before")],
        is_after_boot=True,
    ),
    "RUNNING, before the engine has saved it": Point(never, GOES_ON, is_after_boot=True),
}
"""The moments in a create, in the words of `docs/when-killed.md`."""

OF_DELETE = {
    "before the unload is asked for": Point(asked("status"), UNLOADS_IT, _IS_HELD),
    "the request for the unload is lost on its way": Point(
        asked("delete"), UNLOADS_IT, _at("delete", reset="before")
    ),
    "the request is out, and the unload begins after the kill": Point(
        asked("delete"), FINDS_IT_GONE, _LATE_DELETE, HELD_SECONDS
    ),
    "unloaded, and the answer is lost": Point(
        asked("delete"), FINDS_IT_GONE, _at("delete", reset="after")
    ),
    "accepted, and the service still shows it": Point(_UNLOADED, UNLOADS_IT, _SHUTS_DOWN),
    "accepted, and it is gone by the time of the next `up`": Point(
        _UNLOADED, FINDS_IT_GONE, _SHUTS_DOWN, SHUTDOWN_SECONDS
    ),
    "gone, before the engine has saved it": Point(never, FINDS_IT_GONE, is_after_boot=True),
}
"""The moments in a delete."""

OF_RESCALE = {
    "before the change is asked for": Point(asked("status"), CHANGES_IT, _IS_HELD),
    "the request for the change is lost on its way": Point(
        asked("rescale"), CHANGES_IT, _at("rescale", reset="before")
    ),
    "the request is out, and is carried out after the kill": Point(
        asked("rescale"), FINDS_IT_CHANGED, _at("rescale", delaySeconds=HELD_SECONDS), HELD_SECONDS
    ),
    "changed, and the answer is lost": Point(
        asked("rescale"), FINDS_IT_CHANGED, _at("rescale", reset="after")
    ),
    "changed, before the engine has saved it": Point(never, FINDS_IT_CHANGED),
}
"""The moments in a change of settings in place."""
