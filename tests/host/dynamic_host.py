"""The real dynamic host in its own process, called over gRPC as the engine calls it.

    with DynamicHost(ModelProvider(), env={"BYTEZ_KEY": key}) as host:
        created = host.create({"modelId": "openai-community/gpt2"}, name="gpt2", timeout=60)
        waiting = host.create_async({"modelId": "microsoft/phi-1"}, name="phi")
        host.wait_for_log(lambda line: line.ephemeral and line.urn == urn("phi"))
        host.cancel()
        waiting.result()

The test plays the engine: it serves `Engine.Log`, starts `python -m pulumi.dynamic <address>`, and
calls the `ResourceProvider` of that process. The provider's class must be in a module that the
process can import; the repository's root is on its path.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from concurrent import futures
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar, final

import grpc
from google.protobuf import empty_pb2, json_format, struct_pb2
from pulumi.dynamic import CheckFailure, CheckResult, DiffResult, ResourceProvider
from pulumi.dynamic.dynamic import serialize_provider
from pulumi.runtime import rpc
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, provider_pb2, provider_pb2_grpc

Props = Mapping[str, Any]
T = TypeVar("T")

UNKNOWN: str = rpc.UNKNOWN
"""A value that a preview does not know, anywhere in the properties."""

PROVIDER_KEY = "__provider"
ROOT = Path(__file__).resolve().parents[2]

_PATIENCE_SECONDS = 60.0
"""How long anything here may take before the test fails."""


def urn(name: str, type_: str = "pulumi-python:dynamic/bytez:Model") -> str:
    """Return the URN that `DynamicHost` gives a resource; a URN remains as it is."""
    return name if name.startswith("urn:") else f"urn:pulumi:s::p::{type_}::{name}"


def pickled(provider: ResourceProvider) -> str:
    """Return a provider as the SDK stores it in each resource, under `__provider`."""
    text: str = serialize_provider(provider)
    return text


@dataclass(frozen=True)
class Logged:
    """One `Engine.Log` call."""

    severity: str
    message: str
    urn: str
    ephemeral: bool
    """Whether it is shown only in the row of the resource, until the next one."""


@dataclass(frozen=True)
class Resource:
    """The answer to `create` and `read`; the id "" means that the resource is gone."""

    id: str
    outputs: dict[str, Any]
    inputs: dict[str, Any]
    """The corrected inputs of a `read`; empty for a `create`."""


class OperationError(Exception):
    """The operation failed; `str(error)` is the text that the engine gets."""

    def __init__(self, code: grpc.StatusCode, text: str) -> None:
        super().__init__(text)
        self.code = code


class Pending(Generic[T]):
    """An operation in flight."""

    def __init__(self, call: Any, convert: Callable[[Any], T]) -> None:
        self._call = call
        self._convert = convert

    def done(self) -> bool:
        """Return whether the answer is there."""
        return bool(self._call.done())

    def drop(self) -> None:
        """End the call from the engine's side: its context in the host turns inactive."""
        self._call.cancel()

    def result(self) -> T:
        """Return the answer, or raise `OperationError`."""
        try:
            return self._convert(self._call.result(timeout=_PATIENCE_SECONDS))
        except grpc.FutureCancelledError:
            raise OperationError(grpc.StatusCode.CANCELLED, "dropped by the test") from None
        except grpc.RpcError as error:
            raise OperationError(error.code(), error.details() or "") from None


@final
class DynamicHost:
    """The real `python -m pulumi.dynamic`, and its engine.

    Args:
        provider: Pickled into the properties of each operation, unless they have a `__provider`
            (see `pickled`).
        env: Added to the environment of the process, which has no other `BYTEZ_` variables.
        config: Stack config.

    `create` waits for the answer; `create_async` returns a `Pending`. Times are in seconds. `name`
    is the resource's; its URN is `urn(name)`.
    """

    def __init__(
        self,
        provider: ResourceProvider,
        env: Mapping[str, str] | None = None,
        config: Mapping[str, str] | None = None,
    ) -> None:
        self._provider = pickled(provider)
        self._config = dict(config or {})
        self._env = dict(env or {})
        self._log = _Log()
        self._engine = grpc.server(futures.ThreadPoolExecutor(max_workers=8))
        # A file, because nobody reads it meanwhile and a full pipe would block the process.
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed by __exit__

    def __enter__(self) -> DynamicHost:
        engine_pb2_grpc.add_EngineServicer_to_server(self._log, self._engine)
        address = f"127.0.0.1:{self._engine.add_insecure_port('127.0.0.1:0')}"
        self._engine.start()
        self._process = subprocess.Popen(
            [sys.executable, "-u", "-m", "pulumi.dynamic", address],
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        port = self._process.stdout.readline().decode().strip()
        if not port:
            raise RuntimeError(f"the host did not start: {self.stderr}")
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        self._stub = provider_pb2_grpc.ResourceProviderStub(self._channel)
        request = provider_pb2.ConfigureRequest()
        request.args.update(self._config)
        self._stub.Configure(request, timeout=_PATIENCE_SECONDS)
        return self

    def __exit__(self, *_exception: object) -> None:
        """End the process as the engine does: with an interrupt, then a kill."""
        self._channel.close()
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._stderr.close()
        self.hang_up()

    @property
    def logged(self) -> list[Logged]:
        """Everything logged so far, in the order of arrival."""
        return self._log.lines()

    @property
    def stderr(self) -> str:
        """What the process has written to stderr so far."""
        self._stderr.seek(0)
        return self._stderr.read().decode()

    def wait_for_log(self, wanted: Callable[[Logged], bool]) -> Logged:
        """Return the first line that is `wanted`; wait for it."""
        return self._log.wait_for(wanted)

    def cancel(self) -> None:
        """Call `Cancel`, as the engine does at the first Ctrl-C, and wait for the answer."""
        self._stub.Cancel(empty_pb2.Empty(), timeout=_PATIENCE_SECONDS)

    def cancel_at_once(self, times: int) -> None:
        """Call `Cancel` several times at once, and wait for the answers."""
        calls = [self._stub.Cancel.future(empty_pb2.Empty()) for _ in range(times)]
        for call in calls:
            call.result(timeout=_PATIENCE_SECONDS)

    def drop(self) -> None:
        """Cut the connection, as a killed engine does."""
        self._channel.close()

    def kill(self) -> None:
        """Kill the process, and wait until it is dead."""
        self._process.kill()
        self._process.wait()

    def stall(self) -> None:
        """Stop answering `Engine.Log`, as an engine stopped with Ctrl-Z does."""
        self._log.stalled.set()

    def hang_up(self) -> None:
        """Stop serving `Engine.Log`: calls are refused."""
        self._log.hang_up()
        self._engine.stop(None).wait()

    def check(self, olds: Props, news: Props, *, name: str = "r") -> CheckResult:
        """Do `check`."""
        request = provider_pb2.CheckRequest(olds=self._bag(olds), news=self._bag(news))
        return self._begin(self._stub.Check, request, name, _checked).result()

    def diff(self, id_: str, olds: Props, news: Props, *, name: str = "r") -> DiffResult:
        """Do `diff`."""
        request = provider_pb2.DiffRequest(id=id_, olds=self._bag(olds), news=self._bag(news))
        return self._begin(self._stub.Diff, request, name, _diffed).result()

    def create(self, props: Props, *, name: str = "r", timeout: float = 0) -> Resource:
        """Do `create`; a `timeout` of 0 is unset."""
        return self.create_async(props, name=name, timeout=timeout).result()

    def create_async(
        self, props: Props, *, name: str = "r", timeout: float = 0
    ) -> Pending[Resource]:
        """Begin a `create`."""
        request = provider_pb2.CreateRequest(properties=self._bag(props), timeout=timeout)
        return self._begin(self._stub.Create, request, name, _resource)

    def read(
        self, id_: str, props: Props, *, inputs: Props | None = None, name: str = "r"
    ) -> Resource:
        """Do `read`: a refresh with `props`, a `Model.get` with `inputs` and empty `props`."""
        request = provider_pb2.ReadRequest(
            id=id_,
            properties=self._bag(props) if props else None,
            inputs=None if inputs is None else self._bag(inputs),
        )
        return self._begin(self._stub.Read, request, name, _resource).result()

    def update(
        self, id_: str, olds: Props, news: Props, *, name: str = "r", timeout: float = 0
    ) -> dict[str, Any]:
        """Do `update`; return the new outputs."""
        return self.update_async(id_, olds, news, name=name, timeout=timeout).result()

    def update_async(
        self, id_: str, olds: Props, news: Props, *, name: str = "r", timeout: float = 0
    ) -> Pending[dict[str, Any]]:
        """Begin an `update`."""
        request = provider_pb2.UpdateRequest(
            id=id_, olds=self._bag(olds), news=self._bag(news), timeout=timeout
        )
        return self._begin(
            self._stub.Update, request, name, lambda answer: _dict(answer.properties)
        )

    def delete(self, id_: str, props: Props, *, name: str = "r") -> None:
        """Do `delete`."""
        self.delete_async(id_, props, name=name).result()

    def delete_async(self, id_: str, props: Props, *, name: str = "r") -> Pending[None]:
        """Begin a `delete`."""
        request = provider_pb2.DeleteRequest(id=id_, properties=self._bag(props))
        return self._begin(self._stub.Delete, request, name, lambda _answer: None)

    def _begin(
        self, method: Any, request: Any, name: str, convert: Callable[[Any], T]
    ) -> Pending[T]:
        request.urn, request.name = urn(name), name
        return Pending(method.future(request), convert)

    def _bag(self, props: Props) -> struct_pb2.Struct:
        return _struct({PROVIDER_KEY: self._provider, **props})

    def _environment(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("BYTEZ_")}
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        return {
            **kept,
            "PULUMI_PROJECT": "p",
            "PYTHONPATH": path,
            # Otherwise the login of the user says which stack it is, and may change meanwhile.
            "PULUMI_BACKEND_URL": "file:///backend",
            **self._env,
        }


class _Log(engine_pb2_grpc.EngineServicer):
    """The engine's `Log`, which remembers its calls."""

    def __init__(self) -> None:
        self._lines: list[Logged] = []
        self._changed = threading.Condition()
        self.stalled = threading.Event()
        self._hung_up = threading.Event()

    def Log(  # noqa: N802 - gRPC's own name
        self, request: engine_pb2.LogRequest, context: grpc.ServicerContext
    ) -> empty_pb2.Empty:
        line = Logged(
            severity=engine_pb2.LogSeverity.Name(request.severity),
            message=request.message,
            urn=request.urn,
            ephemeral=request.ephemeral,
        )
        with self._changed:
            self._lines.append(line)
            self._changed.notify_all()
        if self.stalled.is_set():
            self._hung_up.wait()
        return empty_pb2.Empty()

    def hang_up(self) -> None:
        """Release the calls that are not answered."""
        self._hung_up.set()

    def lines(self) -> list[Logged]:
        with self._changed:
            return list(self._lines)

    def wait_for(self, wanted: Callable[[Logged], bool]) -> Logged:
        def found() -> Logged | None:
            return next(filter(wanted, self._lines), None)

        with self._changed:
            line = self._changed.wait_for(found, timeout=_PATIENCE_SECONDS)
            if line is None:
                raise AssertionError(f"no such line was logged, only {self._lines}")
            return line


def _struct(props: Props) -> struct_pb2.Struct:
    struct = struct_pb2.Struct()
    struct.update(dict(props))
    return struct


def _dict(struct: struct_pb2.Struct) -> dict[str, Any]:
    plain: dict[str, Any] = json_format.MessageToDict(struct)
    plain.pop(PROVIDER_KEY, None)
    return plain


def _checked(answer: provider_pb2.CheckResponse) -> CheckResult:
    failures = [CheckFailure(failure.property, failure.reason) for failure in answer.failures]
    return CheckResult(_dict(answer.inputs), failures)


def _diffed(answer: provider_pb2.DiffResponse) -> DiffResult:
    known = {
        provider_pb2.DiffResponse.DIFF_SOME: True,
        provider_pb2.DiffResponse.DIFF_NONE: False,
    }
    replaces = list(answer.replaces)
    return DiffResult(known.get(answer.changes), replaces, [], answer.deleteBeforeReplace)


def _resource(answer: provider_pb2.CreateResponse | provider_pb2.ReadResponse) -> Resource:
    inputs = _dict(answer.inputs) if isinstance(answer, provider_pb2.ReadResponse) else {}
    return Resource(id=answer.id, outputs=_dict(answer.properties), inputs=inputs)
