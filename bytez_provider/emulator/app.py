"""The ASGI application: each request passes the log, the faults and the service."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from datetime import timedelta
from email.utils import format_datetime

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import Message, Receive, Scope, Send

from bytez_provider.emulator.calls import Call, RefusedError, read_call
from bytez_provider.emulator.clusters import Clusters, refused_cluster
from bytez_provider.emulator.control import PREFIX, control
from bytez_provider.emulator.endpoints import Endpoints, refused
from bytez_provider.emulator.faults import Respond, Verdict
from bytez_provider.emulator.service import Service


class App:
    """The ASGI application."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._endpoints = Endpoints(service)
        self._clusters = Clusters(service)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        if scope["path"].startswith(PREFIX):
            response = await control(self._service, request)
            await response(scope, receive, self._dated(send, 0))
            return
        call, refusal = await read_call(request)
        record, verdict = self._service.arrive(call)
        if verdict.delayed_until is not None:
            await self._service.clock.sleep_until(verdict.delayed_until)
        if verdict.respond is not None:
            response = _scripted(verdict.respond)
        elif verdict.reset == "before":
            await _cut_off(request)
            return
        else:
            response = await self._answer(call, refusal, verdict)
        if verdict.reset == "after":
            await _cut_off(request)
            return
        # Logged before it is sent: a client that has the answer finds it in the log.
        record.status = response.status_code
        await response(scope, receive, self._dated(send, verdict.clock_skew_seconds))

    async def _answer(self, call: Call, refusal: RefusedError | None, verdict: Verdict) -> Response:
        """Return the service's own answer."""
        if call.api not in self._service.apis:
            # As from a server that does not have the route.
            return refused(RefusedError(404, f"there is no {call.path}"))
        if call.api == "2025-04":
            return (
                refused_cluster(refusal) if refusal else await self._clusters.answer(call, verdict)
            )
        return refused(refusal) if refusal else self._endpoints.answer(call, verdict)

    def _dated(self, send: Send, skew_seconds: float) -> Send:
        """Put emulated time into the `Date` header, unless the answer has its own."""

        async def dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                date = self._service.now() + timedelta(seconds=skew_seconds)
                headers = MutableHeaders(scope=message)
                headers.setdefault("date", format_datetime(date, usegmt=True))
            await send(message)

        return dated


def _scripted(respond: Respond) -> Response:
    if respond.status in (204, 304):
        return Response(b"", respond.status, respond.headers)
    if isinstance(respond.body, str):
        return PlainTextResponse(respond.body, respond.status, respond.headers)
    return JSONResponse(respond.body, respond.status, respond.headers)


async def _cut_off(request: Request) -> None:
    """Reset the connection: the client gets no byte and no proper end."""
    transport: asyncio.Transport = request.state.transport
    # Without lingering, closing sends a TCP reset. If the client is gone, there is no socket left.
    with contextlib.suppress(OSError):
        transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
    transport.abort()
    # uvicorn logs a return without an answer as a mistake, unless the client is gone.
    await request.receive()
