"""The bridge to the inside of Pulumi's dynamic host; no other module knows about it.

A dynamic provider runs in a process of its own, `python -m pulumi.dynamic <engine address>`. That
process does not pass on all that it knows (the resource's URN, its `customTimeouts`, a Ctrl-C),
runs only four calls at a time, and reports errors as tracebacks. This module reaches for:

    what                     where it is                         fallback
    URN, timeout, context    the frame of the servicer's method  None; no messages are shown
    number of calls          the thread pool of the server       four at a time
    Ctrl-C, end of process   gRPC's table of handlers            the operation runs to its end
    errors on one line       `traceback` in the host's module    `sys.tracebacklimit = 0`
    messages                 the engine's address in `sys.argv`  no messages are shown

Pulumi promises none of these, so each has its own fallback, and `tests/host` checks each against
the real host. Read it beside `pulumi/dynamic/__main__.py`.
"""

from __future__ import annotations

import concurrent.futures.thread
import functools
import gc
import re
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType, SimpleNamespace
from typing import Any, final

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc

from bytez_provider.base.errors import BytezError, printable
from bytez_provider.base.urns import name_of
from bytez_provider.core.waiting import Stop

# More than any sensible `--parallel`. The pool starts a thread only when a call needs it.
_WORKERS = 512
_CANCEL = "/pulumirpc.ResourceProvider/Cancel"
_LOG_DEADLINE_SECONDS = 1.0
_LOG_TEXT_LIMIT = 2000


@final
class Call:
    """One operation that the engine asked for; use it in a `with` statement.

    Attributes:
        urn: The resource's URN, or None if unknown.
        name: The resource's name in the program, or None if unknown.
        timeout_seconds: The `customTimeouts` of this operation in seconds, or None if unset.
        wake: Set as soon as `stop()` is not None, to end a wait.
    """

    def __init__(
        self,
        *,
        urn: str | None = None,
        name: str | None = None,
        timeout_seconds: float | None = None,
        context: grpc.ServicerContext | None = None,
    ) -> None:
        self.urn = urn
        self.name = name
        self.timeout_seconds = timeout_seconds
        self.wake = threading.Event()
        self._context = context

    def __enter__(self) -> Call:
        return self

    def __exit__(self, *_: object) -> None:
        _cancellation.forget(self)

    def stop(self) -> Stop | None:
        """Return why this operation should end now, or None if it should go on.

        `ENGINE_GONE` outranks `CANCELLED`: nobody would receive an answer.
        """
        if self._context is None:
            return None
        if not self._context.is_active():
            return Stop.ENGINE_GONE
        return Stop.CANCELLED if _cancellation.arrived else None

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
        engine = _engine()
        if engine is None:
            return
        text = _encodable(printable(message, limit=_LOG_TEXT_LIMIT))
        request = engine_pb2.LogRequest(
            severity=severity, message=text, urn=urn or self.urn or "", ephemeral=ephemeral
        )
        try:
            engine.Log(request, timeout=_LOG_DEADLINE_SECONDS)
        except grpc.RpcError:
            return


class _Cancellation:
    """Whether the engine has called `Cancel`, and the operations to wake when it does.

    It never resets: after `Cancel` the engine starts nothing more in this process.
    """

    def __init__(self) -> None:
        self.arrived = False
        self._lock = threading.Lock()
        self._live: set[Call] = set()

    def watch(self, call: Call) -> None:
        with self._lock:
            self._live.add(call)
            if self.arrived:
                call.wake.set()

    def forget(self, call: Call) -> None:
        with self._lock:
            self._live.discard(call)

    def arrive(self) -> None:
        with self._lock:
            self.arrived = True
            for call in self._live:
                call.wake.set()


_cancellation = _Cancellation()


def current_call() -> Call:
    """Return the operation that the calling thread works on.

    Call it on the thread on which the host called the provider. On other threads, and outside a
    host, the call knows nothing, never stops and shows nothing.
    """
    frame = _servicer_frame()
    if frame is None:
        return Call()
    request, context = frame.f_locals["request"], frame.f_locals["context"]
    urn = getattr(request, "urn", "") or None
    call = Call(
        urn=urn,
        name=getattr(request, "name", "") or (urn and name_of(urn)) or None,
        timeout_seconds=getattr(request, "timeout", 0.0) or None,
        context=context,
    )
    _cancellation.watch(call)
    # False: the context has already ended.
    if not context.add_callback(call.wake.set):
        call.wake.set()
    return call


_prepare_lock = threading.Lock()
_prepared = threading.Event()


def prepare() -> None:
    """Change this process: more calls at a time, `Cancel` heard, our errors on one line.

    Calls after the first do nothing; neither does a call outside the host. What cannot be changed
    remains as it is, and the debug log says so.
    """
    with _prepare_lock:
        frame = _servicer_frame()
        if frame is None or _prepared.is_set():
            return
        _prepared.set()
        changes: dict[str, Callable[[], None]] = {
            "the formatting of errors": functools.partial(_shorten_errors, frame.f_globals),
            "the thread pool": _lift_pool,
            "the table of handlers": _hook_cancel,
        }
        for what, change in changes.items():
            try:
                change()
            except Exception as error:  # noqa: BLE001 - a new release may break it in any way
                with current_call() as call:
                    call.debug(f"bytez: {what} is not where it was in Pulumi's host: {error!r}")


def _frames() -> Iterator[FrameType]:
    """Yield the frames of the calling thread, innermost first."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        yield frame
        frame = frame.f_back


def _servicer_frame() -> FrameType | None:
    """Return the frame of the host's `Create(self, request, context)` or a similar method."""
    for frame in _frames():
        seen = frame.f_locals
        if "request" in seen and isinstance(seen.get("context"), grpc.ServicerContext):
            return frame
    return None


def _lift_pool() -> None:
    """Let the server's pool start more than four threads, for calls already queued too."""
    worker = concurrent.futures.thread._worker.__code__
    bottom = next(frame for frame in _frames() if frame.f_code is worker)
    pool = bottom.f_locals["executor_reference"]()
    with pool._shutdown_lock:  # `submit` takes it too, so nothing is queued in the meantime.
        pool._max_workers = max(pool._max_workers, _WORKERS)
        # Only `submit` starts threads, so calls in the queue (the deletes of a `destroy`, which
        # come before any check) would still run four at a time. The count of idle threads is
        # wrong too: a full pool counts a thread as idle that took a queued call.
        while pool._idle_semaphore.acquire(blocking=False):
            pass
        for _ in range(pool._work_queue.qsize()):
            pool._adjust_thread_count()


def _hook_cancel() -> None:
    """Handle the engine's `Cancel`, which the host ignores."""
    # gRPC has one table of handlers or two, depending on how the stubs were generated.
    tables = [found for found in gc.get_objects() if type(found) is dict and _CANCEL in found]
    if not tables:
        raise LookupError(_CANCEL)
    for table in tables:
        plain = table[_CANCEL]
        table[_CANCEL] = grpc.unary_unary_rpc_method_handler(
            _cancelling(plain.unary_unary), plain.request_deserializer, plain.response_serializer
        )


_Handler = Callable[[empty_pb2.Empty, grpc.ServicerContext], empty_pb2.Empty]


def _cancelling(plain: _Handler) -> _Handler:
    """Return a handler of `Cancel` that ends our waits, then does what `plain` does."""

    def cancel(request: empty_pb2.Empty, context: grpc.ServicerContext) -> empty_pb2.Empty:
        _cancellation.arrive()
        return plain(request, context)

    # gRPC runs a handler with this attribute on that pool. In a full server pool, `Cancel` would
    # wait for the very calls that it must end.
    own = concurrent.futures.ThreadPoolExecutor(max_workers=1, thread_name_prefix="bytez-cancel")
    cancel.experimental_thread_pool = own  # type: ignore[attr-defined]
    return cancel


def _shorten_errors(host: dict[str, Any]) -> None:
    """Make the host send our errors as one sentence; all others keep their traceback."""
    plain: Any = host.get("traceback")
    if not hasattr(plain, "format_exc"):
        # This affects every provider in the process, but is better than 5,000 characters.
        sys.tracebacklimit = 0
        return

    def format_exc() -> str:
        error = sys.exc_info()[1]
        return _encodable(str(error) if isinstance(error, BytezError) else plain.format_exc())

    # Replaces the name in the host's own module only.
    host["traceback"] = SimpleNamespace(**{**vars(plain), "format_exc": format_exc})


@functools.cache
def _engine() -> engine_pb2_grpc.EngineStub | None:
    """Return the engine's service, at the address that this process was started with."""
    addresses = (word for word in sys.argv[1:] if re.fullmatch(r"[\w.\[\]:-]+:\d+", word))
    address = next(addresses, None)
    if address is None:
        return None
    # The engine is on this machine, so a proxy from the environment must not be used.
    channel = grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)])
    return engine_pb2_grpc.EngineStub(channel)


def _encodable(text: str) -> str:
    """Return text without lone surrogates, which JSON can contain but gRPC cannot send."""
    return text.encode("utf-8", "replace").decode("utf-8")
