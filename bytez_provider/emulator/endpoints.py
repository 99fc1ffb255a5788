"""The six endpoints of the 2024 APIs: what a request does, and the service's own answer to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from starlette.responses import JSONResponse, PlainTextResponse, Response

from bytez_provider.emulator import answers
from bytez_provider.emulator.calls import Call, RefusedError
from bytez_provider.emulator.faults import Verdict
from bytez_provider.emulator.load import Fate
from bytez_provider.emulator.runs import flag_of, streamed, words_of
from bytez_provider.emulator.service import Service
from bytez_provider.emulator.state import StateError
from bytez_provider.emulator.world import (
    DEFAULT_EXPIRATION_SECONDS,
    AlreadyLoadedError,
    LoadInProgressError,
    NotLoadedError,
    NotRunningError,
    UnknownModelError,
    WorldError,
)

# Choices: the service's own bounds are undocumented.
MOST_CONCURRENCY = 1_000_000
MOST_EXPIRATION_SECONDS = 366 * 24 * 3600

_STATUS_OF: Mapping[type[WorldError], int] = {
    UnknownModelError: 404,  # choice
    NotLoadedError: 404,  # choice
    NotRunningError: 409,  # choice
    AlreadyLoadedError: 209,  # vendor client
    LoadInProgressError: 429,  # vendor client
}


class Endpoints:
    """The service's own answers."""

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
        """Do what a request asks for, and return the answer."""
        try:
            if call.path not in self._endpoints:
                raise RefusedError(404, f"there is no {call.path}")
            methods, handle = self._endpoints[call.path]
            if call.method not in methods:
                raise RefusedError(405, f"{call.path} answers {' and '.join(sorted(methods))} only")
            self._check_key(call)
            return handle(call, verdict)
        except RefusedError as refusal:
            return refused(refusal)
        except WorldError as error:
            return refused(RefusedError(_STATUS_OF[type(error)], str(error)))
        except StateError as error:
            return refused(RefusedError(500, str(error)))

    def _check_key(self, call: Call) -> None:
        key = call.key
        if not isinstance(key, str) or not key:
            raise RefusedError(401, "an API key is required")
        if not self._service.passes(key):
            raise RefusedError(401, "the API key is not valid")

    def _list(self, call: Call, _verdict: Verdict) -> Response:
        rows = self._service.rows
        if call.method == "POST":
            return JSONResponse([answers.entry_2024_05(row) for row in rows])
        if call.task not in (None, answers.TASK):
            rows = ()
        return JSONResponse([answers.entry_2024_06(row) for row in rows])

    def _load(self, call: Call, verdict: Verdict) -> Response:
        model_id = call.require_model()
        concurrency = call.whole("concurrency", None, MOST_CONCURRENCY)
        expiration = call.whole(
            "expirationPeriodSeconds", DEFAULT_EXPIRATION_SECONDS, MOST_EXPIRATION_SECONDS
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
        model_id = call.require_model()
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
        model_id = call.require_model()
        prompt = call.body.get("text")
        if not isinstance(prompt, str):
            raise RefusedError(400, "text is required")
        stream = flag_of(call, "stream", default=True)
        chunks = answers.generated(model_id, prompt, words_of(call))
        with self._service.changing() as (world, now):
            world.run(model_id, now)
        if stream:
            return streamed(chunks)
        return PlainTextResponse("".join(chunks))

    def _delete(self, call: Call, verdict: Verdict) -> Response:
        model_id = call.require_model()
        with self._service.changing() as (world, now):
            world.unload(model_id, now, shutdown_seconds=verdict.shutdown_seconds)
        return JSONResponse(answers.stopped(model_id))


def refused(refusal: RefusedError) -> Response:
    """Return the answer to a request that had no effect (form: vendor client)."""
    return JSONResponse({"error": refusal.error}, refusal.status)
