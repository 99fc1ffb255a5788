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
    names of the config      the mapping in `Config`             a slip in a name is not found

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
from typing import Any

import grpc
from google.protobuf import empty_pb2

from bytez_provider.base.errors import BytezError
from bytez_provider.engine import Call, Engine, sendable

# More than any sensible `--parallel`. The pool starts a thread only when a call needs it.
_WORKERS = 512
_CANCEL = "/pulumirpc.ResourceProvider/Cancel"


_engine = Engine()


def current_call() -> Call:
    """Return the operation that the calling thread works on.

    Call it on the thread on which the host called the provider. On other threads, and outside a
    host, the call knows nothing, never stops and shows nothing.
    """
    frame = _servicer_frame()
    if frame is None:
        return _engine.call(None)
    request, context = frame.f_locals["request"], frame.f_locals["context"]
    return _engine.call(
        context,
        urn=getattr(request, "urn", None),
        timeout_seconds=getattr(request, "timeout", None),
    )


class HostLog:
    """Shows messages at the resource that the calling thread works on."""

    def warn(self, message: str) -> None:
        """Show a permanent warning."""
        with current_call() as call:
            call.warn(message)

    def debug(self, message: str) -> None:
        """Show a line if `--debug` is set."""
        with current_call() as call:
            call.debug(message)


def names_in(config: object, prefix: str) -> set[str]:
    """Return the names in a provider's config that begin with a prefix."""
    return {name for name in getattr(config, "_props", None) or {} if name.startswith(prefix)}


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
        # The address that this process was started with.
        for address in filter(re.compile(r"[\w.\[\]:-]+:\d+").fullmatch, sys.argv[1:]):
            _engine.attach(address)
            break
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
        _engine.cancel()
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
        return sendable(str(error) if isinstance(error, BytezError) else plain.format_exc())

    # Replaces the name in the host's own module only.
    host["traceback"] = SimpleNamespace(**{**vars(plain), "format_exc": format_exc})
