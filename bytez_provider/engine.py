"""Pulumi's engine, as a provider's process sees it: the operations it asks for, and its messages.

Only official calls of the engine are used here. Both faces share it; they differ in how they learn
of an operation and of a Ctrl-C.
"""

from __future__ import annotations

import threading
from typing import final

import grpc
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc

from bytez_provider.base.errors import printable
from bytez_provider.core.caller import Stop

_LOG_DEADLINE_SECONDS = 1.0
_LOG_TEXT_LIMIT = 2000


class Engine:
    """The engine that started this process, and whether it has called `Cancel`.

    A cancellation never ends: after it the engine starts nothing more in this process.
    """

    def __init__(self) -> None:
        self._stub: engine_pb2_grpc.EngineStub | None = None
        self._lock = threading.Lock()
        self._live: set[Call] = set()
        self.is_cancelled = False

    def attach(self, address: str) -> grpc.Channel:
        """Send messages to the engine at an address; return the channel to it."""
        # The engine is on this machine, so a proxy from the environment must not be used.
        channel = grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)])
        self._stub = engine_pb2_grpc.EngineStub(channel)
        return channel

    def call(
        self,
        context: grpc.ServicerContext | None,
        *,
        urn: str | None = None,
        timeout_seconds: float | None = None,
    ) -> Call:
        """Return an operation that the engine asks for; use it in a `with` statement.

        Args:
            context: The call; without it, the operation never stops and shows nothing.
            urn: The resource; None or "" if unknown.
            timeout_seconds: The `customTimeouts` of this operation; None or 0 if unset.
        """
        call = Call(self, context, urn=urn or None, timeout_seconds=timeout_seconds or None)
        if context is None:
            return call
        with self._lock:
            self._live.add(call)
            if self.is_cancelled:
                call.wake.set()
        # False: the context has already ended.
        if not context.add_callback(call.wake.set):
            call.wake.set()
        return call

    def cancel(self) -> None:
        """End the waits of all operations, those that still come included."""
        with self._lock:
            self.is_cancelled = True
            for call in self._live:
                call.wake.set()

    def forget(self, call: Call) -> None:
        """Note that an operation has ended."""
        with self._lock:
            self._live.discard(call)

    def warn(self, message: str) -> None:
        """Show a permanent warning that is about no resource."""
        text = _shown(message)
        self.log(engine_pb2.LogRequest(severity=engine_pb2.WARNING, message=text))

    def debug(self, message: str) -> None:
        """Add a line about no resource to the log that `--debug` shows."""
        text = _shown(message)
        self.log(engine_pb2.LogRequest(severity=engine_pb2.DEBUG, message=text))

    def log(self, request: engine_pb2.LogRequest) -> None:
        """Show a message; one that cannot be shown is dropped, and fails nothing."""
        if self._stub is None:
            return
        try:
            self._stub.Log(request, timeout=_LOG_DEADLINE_SECONDS)
        except grpc.RpcError:
            return


@final
class Call:
    """One operation that the engine asked for: a `Caller` for the core.

    Attributes:
        urn: The resource's URN, or None if unknown.
        timeout_seconds: The `customTimeouts` of this operation in seconds, or None if unset.
        wake: Set as soon as `stop()` is not None, to end a wait.
    """

    def __init__(
        self,
        engine: Engine,
        context: grpc.ServicerContext | None,
        *,
        urn: str | None,
        timeout_seconds: float | None,
    ) -> None:
        self.urn = urn
        self.timeout_seconds = timeout_seconds
        self.wake = threading.Event()
        self._engine = engine
        self._context = context

    def __enter__(self) -> Call:
        return self

    def __exit__(self, *_: object) -> None:
        self._engine.forget(self)

    def stop(self) -> Stop | None:
        """Return why this operation should end now, or None if it should go on.

        `ENGINE_GONE` outranks `CANCELLED`: nobody would receive an answer.
        """
        if self._context is None:
            return None
        if not self._context.is_active():
            return Stop.ENGINE_GONE
        return Stop.CANCELLED if self._engine.is_cancelled else None

    # None of these raises: a message that cannot be shown must not fail its operation.

    def report(self, message: str, *, urn: str | None = None) -> None:
        """Show a message in the row of the resource, or of another, until the next message."""
        self._log(engine_pb2.INFO, message, ephemeral=True, urn=urn)

    def note(self, message: str) -> None:
        """Show a permanent message under the resource."""
        self._log(engine_pb2.INFO, message)

    def warn(self, message: str) -> None:
        """Show a permanent warning under the resource."""
        self._log(engine_pb2.WARNING, message)

    def debug(self, message: str) -> None:
        """Show a message if `--debug` is set."""
        self._log(engine_pb2.DEBUG, message)

    def _log(
        self,
        severity: engine_pb2.LogSeverity.ValueType,
        message: str,
        *,
        ephemeral: bool = False,
        urn: str | None = None,
    ) -> None:
        if self._context is None or not self._context.is_active():
            return
        self._engine.log(
            engine_pb2.LogRequest(
                severity=severity,
                message=_shown(message),
                urn=urn or self.urn or "",
                ephemeral=ephemeral,
            )
        )


def _shown(message: str) -> str:
    return sendable(printable(message, limit=_LOG_TEXT_LIMIT))


def sendable(text: str) -> str:
    """Return text without lone surrogates, which JSON can contain but gRPC cannot send."""
    return text.encode("utf-8", "replace").decode("utf-8")
