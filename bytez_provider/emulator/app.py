"""The service over HTTP: both dialects at once, faults, and `/_emulator/`.

A request whose key is in its JSON body speaks the seed dialect and names the model `modelId`;
one with `Authorization: Key <key>` speaks the June dialect and names it `model`.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import socket
import struct
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from bytez_provider.emulator import answers
from bytez_provider.emulator.faults import Respond, Verdict
from bytez_provider.emulator.service import Service
from bytez_provider.emulator.state import StateError
from bytez_provider.emulator.world import (
    DEFAULT_EXPIRATION_SECONDS,
    AlreadyLoadedError,
    Fate,
    LoadInProgressError,
    NotLoadedError,
    NotRunningError,
    UnknownModelError,
    WorldError,
)

BODY_LIMIT = 1_000_000
"""Bytes of a request body that are read (choice)."""
MOST_CONCURRENCY = 1_000_000
MOST_EXPIRATION_SECONDS = 366 * 24 * 3600
DEFAULT_WORDS = 40
MOST_WORDS = 4096

_STATUS_OF: Mapping[type[WorldError], int] = {
    UnknownModelError: 404,  # choice
    NotLoadedError: 404,  # choice
    NotRunningError: 409,  # choice
    AlreadyLoadedError: 209,  # client
    LoadInProgressError: 429,  # client
}


class RefusedError(Exception):
    """The request is answered with an error and has no effect."""

    def __init__(self, status: int, error: str) -> None:
        self.status = status
        self.error = error
        super().__init__(error)


@dataclass(frozen=True)
class Call:
    """One request, read."""

    method: str
    path: str
    task: str | None
    """The June dialect's filter on the catalogue."""
    authorization: str | None
    body: Mapping[str, Any]

    @property
    def speaks_seed(self) -> bool:
        """Tell the seed dialect from June's: it has its key in the body."""
        return "key" in self.body

    @property
    def key(self) -> object:
        """The key, wherever the dialect has it."""
        if self.speaks_seed:
            return self.body["key"]
        scheme, _, key = (self.authorization or "").partition(" ")
        return key.strip() if scheme.lower() == "key" else None

    @property
    def model(self) -> str | None:
        """The model named, for the log and the fault script; None when there is none."""
        model = self.body.get("modelId", self.body.get("model"))
        return model if isinstance(model, str) else None


class App:
    """The ASGI application."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._desk = Desk(service)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        if scope["path"].startswith("/_emulator/"):
            response = await _control(self._service, request)
            await response(scope, receive, self._dated(send, 0))
            return
        call, refusal = await _read(request)
        record, verdict = self._service.arrive(call.method, call.path, call.model)
        if verdict.delay_seconds:
            await self._service.clock.sleep(verdict.delay_seconds)
        if verdict.respond is not None:
            response = _scripted(verdict.respond)
        elif verdict.reset == "before":
            await _cut_off(request)
            return
        else:
            response = _error(refusal) if refusal else self._desk.answer(call, verdict)
        if verdict.reset == "after":
            await _cut_off(request)
            return
        # Logged before it is sent: who has the answer finds it in the log.
        record.status = response.status_code
        await response(scope, receive, self._dated(send, verdict.clock_skew_seconds))

    def _dated(self, send: Send, skew_seconds: float) -> Send:
        """Put emulated time into the `Date` header, where the answer has none of its own."""

        async def dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                date = self._service.now() + timedelta(seconds=skew_seconds)
                headers = MutableHeaders(scope=message)
                headers.setdefault("date", format_datetime(date, usegmt=True))
            await send(message)

        return dated


class Desk:
    """Where a request gets the service's own answer."""

    def __init__(self, service: Service) -> None:
        self._service = service
        post = {"POST"}
        both = {"GET", "POST"}
        self._endpoints: Mapping[str, tuple[set[str], Callable[[Call, Verdict], Response]]] = {
            "/model/list": (both, self._list),
            "/model/instances": (both, self._instances),
            "/model/load": (post, self._load),
            "/model/status": (post, self._status),
            "/model/run": (post, self._run),
            "/model/delete": (post, self._delete),
        }

    def answer(self, call: Call, verdict: Verdict) -> Response:
        """Do what a request asks, and return the answer."""
        try:
            if call.path not in self._endpoints:
                raise RefusedError(404, f"there is no {call.path}")
            methods, handle = self._endpoints[call.path]
            if call.method not in methods:
                raise RefusedError(405, f"{call.path} answers {' and '.join(sorted(methods))} only")
            self._check_key(call)
            return handle(call, verdict)
        except RefusedError as refusal:
            return _error(refusal)
        except WorldError as error:
            return _error(RefusedError(_STATUS_OF[type(error)], str(error)))
        except StateError as error:
            return _error(RefusedError(500, str(error)))

    def _check_key(self, call: Call) -> None:
        key = call.key
        if not isinstance(key, str) or not key:
            raise RefusedError(401, "an API key is required")
        known = self._service.keys
        if known and not any(hmac.compare_digest(key.encode(), one.encode()) for one in known):
            raise RefusedError(401, "the API key is not valid")

    def _list(self, call: Call, _verdict: Verdict) -> Response:
        rows = self._service.rows
        if call.method == "POST":
            return JSONResponse([answers.seed_entry(row) for row in rows])
        if call.task not in (None, answers.TASK):
            rows = ()
        return JSONResponse([answers.june_entry(row) for row in rows])

    def _load(self, call: Call, verdict: Verdict) -> Response:
        model_id = _model_of(call)
        concurrency = _whole(call, "concurrency", None, MOST_CONCURRENCY)
        expiration = _whole(
            call, "expirationPeriodSeconds", DEFAULT_EXPIRATION_SECONDS, MOST_EXPIRATION_SECONDS
        )
        with self._service.changing() as (world, now):
            load = world.load(
                model_id,
                now,
                concurrency=concurrency,
                expiration_seconds=expiration,
                fate=Fate(verdict.boot, verdict.boot_error, verdict.status_lag_seconds),
            )
            return JSONResponse(answers.started(load))

    def _status(self, call: Call, verdict: Verdict) -> Response:
        model_id = _model_of(call)
        with self._service.reading() as (world, now):
            try:
                load = world.status(model_id, now, lag_seconds=verdict.status_lag_seconds)
            except NotLoadedError:
                if self._service.not_loaded == "stopped":
                    return JSONResponse(answers.stopped(model_id))
                raise
            return JSONResponse(answers.instance(load, now))

    def _instances(self, _call: Call, verdict: Verdict) -> Response:
        with self._service.reading() as (world, now):
            loads = world.instances(now, lag_seconds=verdict.status_lag_seconds)
            return JSONResponse([answers.instance(load, now) for load in loads])

    def _run(self, call: Call, _verdict: Verdict) -> Response:
        model_id = _model_of(call)
        prompt = call.body.get("text")
        if not isinstance(prompt, str):
            raise RefusedError(400, "text is required")
        stream = call.body.get("stream", True)
        if not isinstance(stream, bool):
            raise RefusedError(400, "stream must be true or false")
        chunks = answers.generated(model_id, prompt, _words_of(call))
        with self._service.changing() as (world, now):
            world.run(model_id, now)
        if stream:
            return StreamingResponse(_one_by_one(chunks), media_type="text/plain")
        return PlainTextResponse("".join(chunks))

    def _delete(self, call: Call, verdict: Verdict) -> Response:
        model_id = _model_of(call)
        with self._service.changing() as (world, now):
            world.unload(model_id, now, shutdown_seconds=verdict.shutdown_seconds)
        return JSONResponse(answers.stopped(model_id))


# -------------------------------------------------------------------------------- reading


async def _body_of(request: Request) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_LIMIT:
            raise RefusedError(413, f"the body is longer than {BODY_LIMIT} bytes")
    return body


async def _read(request: Request) -> tuple[Call, RefusedError | None]:
    """Return the request as far as it can be read, and what is wrong with it."""
    body: Any = {}
    refusal = None
    try:
        text = await _body_of(request)
        body = _json(text) if text else {}
        if not isinstance(body, dict):
            body, refusal = {}, RefusedError(400, "the body must be a JSON object")
    except RefusedError as error:
        refusal = error
    except (ValueError, RecursionError):
        refusal = RefusedError(400, "the body is not valid JSON")
    call = Call(
        request.method,
        request.scope["path"],
        request.query_params.get("task"),
        request.headers.get("authorization"),
        body,
    )
    return call, refusal


def _json(text: bytes) -> Any:
    """Read JSON that can be written again: no half characters, no NaN.

    Raises:
        ValueError: it is not.
    """
    value = json.loads(text)
    json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    return value


def _model_of(call: Call) -> str:
    name = "modelId" if call.speaks_seed else "model"
    model = call.body.get(name)
    if not isinstance(model, str) or not model:
        where = "the body" if call.speaks_seed else "the Authorization header"
        raise RefusedError(400, f"{name} is required (the key is in {where})")
    return model


def _whole(call: Call, name: str, default: int | None, most: int) -> int:
    value = call.body.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise RefusedError(400, f"{name} must be a whole number from 1 to {most}")
    return value


def _words_of(call: Call) -> int:
    params = call.body.get("params", {})
    if not isinstance(params, dict):
        raise RefusedError(400, "params must be an object")
    words = params.get("max_length", DEFAULT_WORDS)
    if isinstance(words, bool) or not isinstance(words, int) or words < 1:
        raise RefusedError(400, "max_length must be a whole number of at least 1")
    return min(words, MOST_WORDS)


# ------------------------------------------------------------------------------ answering


def _error(refusal: RefusedError) -> Response:
    return JSONResponse({"error": refusal.error}, refusal.status)


def _scripted(respond: Respond) -> Response:
    if respond.status in (204, 304):
        return Response(b"", respond.status, respond.headers)
    if isinstance(respond.body, str):
        return PlainTextResponse(respond.body, respond.status, respond.headers)
    return JSONResponse(respond.body, respond.status, respond.headers)


async def _one_by_one(chunks: Iterable[str]) -> AsyncIterator[str]:
    for chunk in chunks:
        yield chunk
        await asyncio.sleep(0)


async def _cut_off(request: Request) -> None:
    """Reset the connection: the client gets no byte and no proper end."""
    transport: asyncio.Transport = request.state.transport
    # Without lingering, closing sends a TCP reset.
    transport.get_extra_info("socket").setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
    )
    transport.abort()
    while not await request.is_disconnected():
        await asyncio.sleep(0)


# ----------------------------------------------------------------------------- /_emulator/


async def _control(service: Service, request: Request) -> Response:
    """Answer a request of whoever runs the emulator: no key, no log, no faults."""
    asked = (request.method, request.scope["path"].removeprefix("/_emulator/"))
    if asked == ("GET", "requests"):
        return JSONResponse([asdict(record) for record in service.requests()])
    if asked == ("GET", "instances"):
        return JSONResponse(service.instances())
    if asked == ("GET", "ledger"):
        return JSONResponse(service.ledger())
    try:
        if asked == ("POST", "reset"):
            service.reset()
            return JSONResponse({})
        if asked == ("POST", "clock"):
            service.advance(_seconds_of(_json(await _body_of(request))))
            return JSONResponse({"now": answers.iso(service.now())})
        if asked == ("POST", "faults"):
            service.set_faults(_json(await _body_of(request)))
            return JSONResponse({})
    except RefusedError as refusal:
        return _error(refusal)
    except ValueError as error:
        return _error(RefusedError(400, str(error)))
    known = asked[1] in ("requests", "instances", "ledger", "reset", "clock", "faults")
    return _error(
        RefusedError(405, "wrong method") if known else RefusedError(404, "there is no such thing")
    )


def _seconds_of(body: object) -> float:
    match body:
        case {"advance_seconds": int() | float() as seconds, **others}:
            if not others and not isinstance(seconds, bool):
                return seconds
    raise ValueError('the body must be {"advance_seconds": <number>}')
