"""One provider process, within this one: what the dynamic host does between engine and provider.

The providers, the bridge to the host, the config and everything below are real. This replaces the
host's own process: a `Create(self, request, context)` further up the stack, property bags as the
wire makes them, a `Cancel`, an engine that vanishes, and the death of the process at a request.
"""

from __future__ import annotations

import contextlib
import enum
import json
import os
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from unittest import mock

import grpc
from pulumi.dynamic import Config, ConfigureRequest
from pulumi.output import UNKNOWN
from pulumi.runtime.proto import engine_pb2

from bytez_provider.core import rooms
from bytez_provider.core.ownership import Presence, _ledger
from bytez_provider.dynamic import host
from bytez_provider.dynamic import providers as provider
from bytez_provider.dynamic.providers import ModelProvider, ReadinessProvider
from bytez_provider.emulator import Emulator
from bytez_provider.engine import Engine
from bytez_provider.service.client import BytezClient
from bytez_provider.service.settings import ApiVersion
from bytez_provider.service.wire import Request
from tests.asking import CHANGING, Ask, ask_of, model_of
from tests.clocks import EmulatorClock
from tests.stateful.program import READINESS_TYPE, Bag

_T = TypeVar("_T")


class _Engine(Engine):
    """An engine that hands every message to the process."""

    def __init__(self, process: Process) -> None:
        super().__init__()
        self._process = process

    def log(self, request: engine_pb2.LogRequest) -> None:
        self._process.said.append(request.message)
        self._process.rows.append((request.urn, request.message))


class Blow(enum.Enum):
    """What happens during a deployment."""

    CTRL_C = "Ctrl-C"
    ENGINE_KILLED = "engine killed"
    """By `kill -9` or a second Ctrl-C: the provider process continues to the end of the call, and
    its answer is not saved."""
    KILLED_BEFORE = "provider process killed before a request"
    KILLED_AFTER = "provider process killed after a request"
    """The service got it, and the process never saw the answer."""
    ENGINE_KILLED_SAVING = "engine killed before it saved an answer"
    KILLED_ANSWERING = "provider process killed before it answered"
    OTHERS_ACT = "somebody else acts"


@dataclass(frozen=True)
class Moment:
    """When it happens.

    Attributes:
        at: The request of the deployment, counted from 1; or the call, if it happens at its end.
        blow: What happens.
        act: What somebody else does then.
    """

    at: int
    blow: Blow
    act: Callable[[], object] | None = None

    def __repr__(self) -> str:
        return f"<{self.blow.value}: {self.at}>"


class SuddenDeath(BaseException):
    """The process was killed: no handler of an error sees this."""


class CallFailedError(Exception):
    """The provider answered with an error; `str(error)` is shown to the user."""


class _Request:
    """What the host knows of a call besides its properties."""

    def __init__(self, urn: str, timeout: float) -> None:
        self.urn = urn
        self.name = urn.rsplit("::", maxsplit=1)[-1]
        self.timeout = timeout


class _Context(grpc.ServicerContext):
    """The call, as gRPC sees it."""

    def __init__(self) -> None:
        self._active = True
        self._callbacks: list[Callable[[], None]] = []

    def is_active(self) -> bool:
        return self._active

    def add_callback(self, callback: Callable[[], None]) -> bool:
        if self._active:
            self._callbacks.append(callback)
        return self._active

    def end(self) -> None:
        """End the call: it was answered, or the engine is gone."""
        self._active = False
        for callback in self._callbacks:
            callback()


# Nothing here uses the rest of gRPC's context.
_Context.__abstractmethods__ = frozenset()


class Process:
    """One provider process, from its start to its end.

    Attributes:
        said: Every message to the user; `rows` has them with their resources.
        cancelled: Whether Ctrl-C was pressed.
        requests: How many requests it has made.
        asked: What each request that changes something asks for, and its model.
        struck: The blows that happened.
    """

    def __init__(
        self,
        emulator: Emulator,
        environ: Mapping[str, str],
        moments: Sequence[Moment] = (),
        *,
        machine: str = "here",
        api: ApiVersion = "2024-05",
    ) -> None:
        self.said: list[str] = []
        self.cancelled = False
        self.engine_lives = True
        self.is_dead = False
        self.requests = 0
        self._emulator = emulator
        self._environ = dict(environ)
        self._journal = Path(environ["BYTEZ_JOURNAL"])
        self._moments = list(moments)
        self._providers: dict[type, ModelProvider | ReadinessProvider] = {}
        self._clients: list[BytezClient] = []
        self._context: _Context | None = None
        self._calls = 0
        self.struck: list[str] = []
        self._relics: dict[Path, bytes] = {}
        self._machine = machine
        self._config = {"bytez:apiVersion": api}
        self._presences: list[Presence] = []
        self.asked: list[tuple[Ask, str]] = []
        self.rows: list[tuple[str, str]] = []
        self._engine = _Engine(self)

    @contextlib.contextmanager
    def running(self) -> Iterator[Process]:
        """Be the process of everything that is called within."""
        others = [name for name in os.environ if name.startswith("BYTEZ_") or name == "CI"]
        with contextlib.ExitStack() as world:
            world.enter_context(mock.patch.dict(os.environ, self._environ))
            for name in others:
                if name not in self._environ:
                    del os.environ[name]
            own = EmulatorClock(self._emulator)
            world.enter_context(mock.patch.object(rooms, "SystemClock", return_value=own))
            world.enter_context(mock.patch.object(host, "_engine", self._engine))
            world.enter_context(mock.patch.object(_ledger, "Presence", self._be_present))
            provider._rooms.cache_clear()
            try:
                yield self
            finally:
                provider._rooms.cache_clear()
                self._vanish()
                for client in self._clients:
                    client.close()

    # ------------------------------------------------------------------------- the engine

    def call(self, urn: str, timeout: float, do: Callable[[Any], _T]) -> _T:
        """Let the provider of a resource do something, as the host's servicer does.

        Raises:
            CallFailedError: It answered with an error.
            SuddenDeath: The process was killed.
        """
        if self.is_dead:
            raise SuddenDeath
        # Both names are looked for up the stack.
        request, context = _Request(urn, timeout), _Context()  # type: ignore[abstract]
        self._context = context
        self._calls += 1
        try:
            answer = do(self._provider(urn))
            self._befall(self._calls, Blow.KILLED_ANSWERING, Blow.ENGINE_KILLED_SAVING)
            return answer
        except Exception:  # noqa: BLE001 - as the host does, and with what the bridge puts there
            raise CallFailedError(traceback.format_exc()) from None
        except SuddenDeath:
            self._bury()
            raise
        finally:
            self._context = None
            context.end()
            del request

    def end(self) -> None:
        """End in order: the engine has saved everything, and sends `Cancel`."""
        if self.engine_lives and not self.is_dead:
            self._engine.cancel()

    def _be_present(self) -> Presence:
        """Return this process as its records name it."""
        presence = Presence(machine=self._machine, host=self._machine)
        self._presences.append(presence)
        return presence

    def _vanish(self) -> None:
        for presence in self._presences:
            presence.leave()

    def _provider(self, urn: str) -> ModelProvider | ReadinessProvider:
        kind = ReadinessProvider if READINESS_TYPE in urn else ModelProvider
        if kind not in self._providers:
            made = kind()
            made.configure(ConfigureRequest(config=Config(self._config, "fleet")))
            lifecycle = (
                made._lifecycle if isinstance(made, ModelProvider) else made._readiness._lifecycle
            )
            if lifecycle._account.client not in self._clients:
                self._listen(lifecycle._account.client)
            self._providers[kind] = made
        return self._providers[kind]

    # ------------------------------------------------------------------------------ blows

    def _listen(self, client: BytezClient) -> None:
        """Let blows happen at the requests of a client."""
        self._clients.append(client)
        exchange = client._transport.exchange

        def listening(request: Any) -> Any:
            self.requests += 1
            if ask_of(request) in CHANGING:
                self.asked.append((ask_of(request), _model_in(request)))
            self._befall(
                self.requests, Blow.KILLED_BEFORE, Blow.CTRL_C, Blow.ENGINE_KILLED, Blow.OTHERS_ACT
            )
            answer = exchange(request)
            self._befall(self.requests, Blow.KILLED_AFTER)
            return answer

        client._transport.exchange = listening  # type: ignore[method-assign]

    def _befall(self, at: int, *blows: Blow) -> None:
        if self.is_dead:
            raise SuddenDeath
        for moment in self._moments:
            if moment.at == at and moment.blow in blows:
                self._strike(moment)

    def _strike(self, moment: Moment) -> None:
        self.struck.append(moment.blow.value)
        if moment.act is not None:
            moment.act()
        elif moment.blow is Blow.CTRL_C:
            self.cancelled = True
            self._engine.cancel()
        elif moment.blow in (Blow.ENGINE_KILLED, Blow.ENGINE_KILLED_SAVING):
            self.engine_lives = False
            if self._context is not None:
                self._context.end()
        else:
            self.is_dead = True
            self._relics = {path: path.read_bytes() for path in self._journal.glob("*")}
            raise SuddenDeath

    def _bury(self) -> None:
        """Undo what the process may have written after its death."""
        self._vanish()
        for path in self._journal.glob("*"):
            if path not in self._relics:
                path.unlink()
        for path, content in self._relics.items():
            path.write_bytes(content)


def _model_in(request: Request) -> str:
    body = json.loads(request.data or b"{}")
    return str(model_of(request) or body.get("modelId") or body.get("model") or "")


def wired(value: Any) -> Any:
    """Return properties as the wire makes them: no Nones, and every number a float."""
    if isinstance(value, dict):
        return {name: wired(one) for name, one in value.items() if one is not None}
    if isinstance(value, list):
        return [wired(one) for one in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def unknown() -> Bag:
    """Return the properties of a readiness before any of them is known."""
    return {"fleet": "", "members": UNKNOWN}
