"""The bridge to the inside of Pulumi's dynamic host, and the only module that knows of it.

A dynamic provider runs in a process of its own, `python -m pulumi.dynamic <engine address>`. That
process knows things it does not pass on (the resource's URN, its `customTimeouts`, that the user
pressed Ctrl-C) and has habits that hurt (four calls at a time, errors as tracebacks). Here they
are reached for:

    what                  where it is found                    where it is not found
    URN, timeout, context the servicer method's frame, above   None, and nothing is shown
    calls at a time       the pool, at the bottom of the stack four at a time
    Ctrl-C, the end       gRPC's table of handlers             the operation runs to its end
    errors in one line    `traceback` in the host's module     `sys.tracebacklimit = 0`
    rows and warnings     the engine's address in `sys.argv`   nothing is shown

None of it is an interface that Pulumi promises, so each item falls back on its own, and
`tests/host` holds each against the real host. Read `pulumi/dynamic/__main__.py` beside it.
"""

from __future__ import annotations

import concurrent.futures.thread
import functools
import gc
import re
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType, TracebackType
from typing import Any, final

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc

from bytez_provider.base.errors import BytezError, printable
from bytez_provider.base.urns import name_of
from bytez_provider.core.waiting import Stop

# Threads are started only when calls ask for them, and how many calls there are at once is the
# user's `--parallel`. This is merely above any that makes sense.
_WORKERS = 512
_CANCEL = "/pulumirpc.ResourceProvider/Cancel"
_LOG_DEADLINE_SECONDS = 1.0
_LOG_TEXT_LIMIT = 2000


@final
class Call:
    """One operation that the engine asked for; use it in a `with` statement.

    Attributes:
        urn: The resource's URN, or None where the host does not say.
        name: The resource's name in the program, or None where the host does not say.
        timeout_seconds: The `customTimeouts` of this operation in seconds, or None when unset.
        wake: Set as soon as `stop()` is not None, so that a wait ends at once.
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

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _cancellation.forget(self)

    def stop(self) -> Stop | None:
        """Return why this operation should end now, or None while it should go on.

        Whoever is gone takes no answer, so `ENGINE_GONE` outranks `CANCELLED`.
        """
        if self._context is None:
            return None
        if not self._context.is_active():
            return Stop.ENGINE_GONE
        return Stop.CANCELLED if _cancellation.arrived else None

    def report(self, message: str, *, urn: str | None = None) -> None:
        """Show `message` in the resource's own row, or another's, until the next one.

        Never raises.
        """
        self._log(engine_pb2.INFO, message, ephemeral=True, urn=urn)

    def note(self, message: str) -> None:
        """Show `message` under the resource, to stay. Never raises."""
        self._log(engine_pb2.INFO, message)

    def warn(self, message: str) -> None:
        """Show `message` under the resource as a warning, to stay. Never raises."""
        self._log(engine_pb2.WARNING, message)

    def debug(self, message: str) -> None:
        """Show `message` to those who asked for `--debug`. Never raises."""
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
            # A message that cannot be shown must not fail the operation it speaks of.
            return


class _Cancellation:
    """That the engine called `Cancel`, and the operations which want to know.

    It stays: the engine calls `Cancel` at a Ctrl-C, after which it starts nothing more in this
    process, and just before it ends this process. Preview and update are two processes.
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
    """Return the operation that the calling thread is working on.

    To be called on the thread that the host called the provider on. Elsewhere, as in unit tests,
    the call knows nothing, is never stopped and shows nothing.
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
    # False says that the context ended before we could ask to be told of it.
    if not context.add_callback(call.wake.set):
        call.wake.set()
    return call


_prepare_lock = threading.Lock()
_prepared = threading.Event()


def prepare() -> None:
    """Mend this process: more calls at once, `Cancel` heard, our errors in one line.

    Once a process is enough, more do no harm, and outside the host it does nothing. What cannot
    be mended stays as Pulumi made it, and the debug log says so.
    """
    with _prepare_lock:
        frame = _servicer_frame()
        if frame is None or _prepared.is_set():
            return
        _prepared.set()
        mends: dict[str, Callable[[], None]] = {
            "the formatting of errors": functools.partial(_shorten_errors, frame.f_globals),
            "the thread pool": _lift_pool,
            "the table of handlers": _hook_cancel,
        }
        for what, mend in mends.items():
            try:
                mend()
            except Exception as error:  # noqa: BLE001 - whatever a new release made of it
                with current_call() as call:
                    call.debug(f"bytez: {what} is not where it was in Pulumi's host: {error!r}")


def _frames() -> Iterator[FrameType]:
    """Yield the calling thread's frames, from the innermost outwards."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        yield frame
        frame = frame.f_back


def _servicer_frame() -> FrameType | None:
    """Return the frame of the host's `Create(self, request, context)` or its like."""
    for frame in _frames():
        seen = frame.f_locals
        if "request" in seen and isinstance(seen.get("context"), grpc.ServicerContext):
            return frame
    return None


def _lift_pool() -> None:
    """Let the server's pool start more threads than four, for queued calls at once."""
    worker = concurrent.futures.thread._worker.__code__
    bottom = next(frame for frame in _frames() if frame.f_code is worker)
    pool = bottom.f_locals["executor_reference"]()
    with pool._shutdown_lock:  # Which `submit` takes too: nothing is queued in the meantime.
        pool._max_workers = max(pool._max_workers, _WORKERS)
        # Only a submission starts a thread. Calls queued before this one came so far (the deletes
        # of a `destroy`, which no check precedes) would go on four at a time. And while the pool
        # was full it counted threads as idle that took a queued call at once.
        while pool._idle_semaphore.acquire(blocking=False):
            pass
        for _ in range(pool._work_queue.qsize()):
            pool._adjust_thread_count()


def _hook_cancel() -> None:
    """Hear the engine's `Cancel`, to which the host itself turns a deaf ear."""
    # gRPC keeps its handlers in one dict or two, depending on how the stubs were generated.
    tables = [found for found in gc.get_objects() if type(found) is dict and _CANCEL in found]
    if not tables:
        raise LookupError(_CANCEL)
    for table in tables:
        plain = table[_CANCEL]
        table[_CANCEL] = grpc.unary_unary_rpc_method_handler(
            _hearing(plain.unary_unary), plain.request_deserializer, plain.response_serializer
        )


_Handler = Callable[[empty_pb2.Empty, grpc.ServicerContext], empty_pb2.Empty]


def _hearing(plain: _Handler) -> _Handler:
    """Return a handler of `Cancel` that ends our waits, then does what `plain` does."""

    def cancel(request: empty_pb2.Empty, context: grpc.ServicerContext) -> empty_pb2.Empty:
        _cancellation.arrive()
        return plain(request, context)

    # gRPC runs a handler with this attribute on a pool of its own: where the server's is full of
    # waiting calls, Cancel would queue behind the very calls that it is to end.
    own = concurrent.futures.ThreadPoolExecutor(max_workers=1, thread_name_prefix="bytez-cancel")
    cancel.experimental_thread_pool = own  # type: ignore[attr-defined]
    return cancel


def _shorten_errors(host: dict[str, Any]) -> None:
    """Make the host answer our errors as their one sentence; all others keep their traceback."""
    plain = host.get("traceback")
    if hasattr(plain, "format_exc"):
        host["traceback"] = _Traceback(plain)
    else:
        # For every provider in this process: worse than the above, better than 5,000 characters.
        sys.tracebacklimit = 0


class _Traceback:
    """Stands in for the module `traceback` in the host's own module, and nowhere else."""

    def __init__(self, plain: Any) -> None:
        self._plain = plain

    def __getattr__(self, name: str) -> Any:
        return getattr(self._plain, name)

    def format_exc(self) -> str:
        """Return what the host sends to the engine about the exception being handled."""
        error = sys.exc_info()[1]
        text = str(error) if isinstance(error, BytezError) else self._plain.format_exc()
        return _encodable(text)


@functools.cache
def _engine() -> engine_pb2_grpc.EngineStub | None:
    """Return the engine's own service, at the address that it started this process with."""
    addresses = (word for word in sys.argv[1:] if re.fullmatch(r"[\w.\[\]:-]+:\d+", word))
    address = next(addresses, None)
    if address is None:
        return None
    # The engine is on this machine: a proxy from the environment is not for it.
    channel = grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)])
    return engine_pb2_grpc.EngineStub(channel)


def _encodable(text: str) -> str:
    """Return `text` without lone surrogates, which JSON can hold and gRPC cannot send."""
    return text.encode("utf-8", "replace").decode("utf-8")
