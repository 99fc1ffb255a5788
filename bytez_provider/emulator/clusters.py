"""The endpoints of the 2025-04 API: what a request does, and the service's own answer to it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from starlette.responses import JSONResponse, Response

from bytez_provider.emulator import answers
from bytez_provider.emulator.calls import CLUSTERS, Call, RefusedError
from bytez_provider.emulator.cluster import Settings
from bytez_provider.emulator.faults import Verdict
from bytez_provider.emulator.load import Fate
from bytez_provider.emulator.runs import flag_of, streamed, words_of
from bytez_provider.emulator.service import Service
from bytez_provider.emulator.settings import read_power, read_settings
from bytez_provider.emulator.state import StateError
from bytez_provider.emulator.world import (
    AlreadyLoadedError,
    AnyLoad,
    NotLoadedError,
    NotRunningError,
    UnknownModelError,
    WorldError,
)

_METHODS = ("DELETE", "GET", "PATCH", "POST", "PUT")
_LOOK_AGAIN = timedelta(seconds=60)
"""How often a run looks for an instance whose boot never ends: a DELETE ends the run too."""


class Clusters:
    """The service's own answers."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._rules = service.clusters
        self._lists: Mapping[str, Callable[[Call, Verdict], Response]] = {
            f"{CLUSTERS}list/clusters": self._list_clusters,
            f"{CLUSTERS}list/models": self._list_models,
            f"{CLUSTERS}list/tasks": self._list_tasks,
        }
        self._acts: Mapping[str, Callable[[str, Call, Verdict], Response]] = {
            "DELETE": self._delete,
            "GET": self._read,
            "PATCH": self._update,
            "PUT": self._create,
        }

    async def answer(self, call: Call, verdict: Verdict) -> Response:
        """Do what a request asks for, and return the answer."""
        try:
            return await self._answer(call, verdict)
        except RefusedError as refusal:
            return refused_cluster(refusal)
        except WorldError as error:
            return self._failed(error)
        except StateError as error:
            return refused_cluster(RefusedError(500, str(error)))

    async def _answer(self, call: Call, verdict: Verdict) -> Response:
        if call.path in self._lists:
            methods: tuple[str, ...] = ("GET",)
        elif call.model is not None:
            methods = _METHODS
        else:
            raise RefusedError(404, f"there is no {call.path}")
        if call.method not in methods:
            raise RefusedError(405, f"{call.path} answers {' and '.join(methods)} only")
        if not isinstance(call.key, str) or not call.key or not self._service.passes(call.key):
            raise RefusedError(401, "Unauthorized")  # vendor doc
        if call.model is None:
            return self._lists[call.path](call, verdict)
        if call.method == "POST":
            return await self._run(call.model, call, verdict)
        return self._acts[call.method](call.model, call, verdict)

    def _failed(self, error: WorldError) -> Response:
        # All of these HTTP statuses are choices: the vendor doc has 401 and 429 only.
        if isinstance(error, NotLoadedError):
            if self._rules.missing == "null":
                return _output(None)
            return refused_cluster(RefusedError(int(self._rules.missing), str(error)))
        if isinstance(error, UnknownModelError):
            return refused_cluster(RefusedError(404, "Model not found"))
        status = 409 if isinstance(error, AlreadyLoadedError) else 503
        return refused_cluster(RefusedError(status, str(error)))

    # ------------------------------------------------------------------------ clusters

    def _create(self, model_id: str, call: Call, verdict: Verdict) -> Response:
        settings = read_settings(call.body, self._rules.created).granted(self._rules.plan_max)
        with self._service.changing() as (world, now):
            world.create(model_id, now, settings, _fate(verdict))
        return _output("Loading", self._rules.created_status)  # vendor doc

    def _read(self, model_id: str, _call: Call, verdict: Verdict) -> Response:
        with self._service.reading() as (world, now):
            load = world.cluster(model_id, now, lag_seconds=verdict.status_lag_seconds)
            error = load.fate.error if load.phase(now) == "failed" else None  # choice
            cluster = answers.cluster(load, now, self._rules.ready_word)
        return JSONResponse({"error": error, self._rules.envelope: cluster})

    def _update(self, model_id: str, call: Call, verdict: Verdict) -> Response:
        def change(before: Settings) -> Settings:
            resets = self._rules.patch == "resets"
            settings = read_settings(call.body, self._rules.reset if resets else before)
            return settings.granted(self._rules.plan_max)

        power = read_power(call.body)
        with self._service.changing() as (world, now):
            load = world.update(model_id, now, change, power, _fate(verdict))
            return _output(answers.cluster(load, now, self._rules.ready_word))

    def _delete(self, model_id: str, _call: Call, verdict: Verdict) -> Response:
        with self._service.changing() as (world, now):
            world.remove(model_id, now, shutdown_seconds=verdict.shutdown_seconds)
        return _output(None)  # vendor doc

    # ---------------------------------------------------------------------------- runs

    async def _run(self, model_id: str, call: Call, verdict: Verdict) -> Response:
        stream = flag_of(call, "stream", default=False)
        flag_of(call, "json", default=False)
        chunks = answers.generated(model_id, _prompt(call), words_of(call))
        with self._service.changing() as (world, began):
            load = world.begin_run(model_id, began, self._rules.created, _fate(verdict))
        is_answered = False
        try:
            up = await self._wait_for_instance(load)
            taken = timedelta(seconds=self._rules.run_seconds)
            await self._service.clock.sleep_until(max(began, up) + taken)
            is_answered = True
        finally:
            with self._service.changing() as (_world, now):
                load.finish(now, is_answered=is_answered)
        return streamed(chunks) if stream else _output("".join(chunks))

    async def _wait_for_instance(self, load: AnyLoad) -> datetime:
        """Wait for an instance, and return since when it is up.

        A run during the boot seems to wait, to judge by the time limits of the vendor client.

        Raises:
            NotRunningError: there will be none.
        """
        while True:
            with self._service.reading() as (_world, now):
                refusal, up = load.refusal(now), load.up(now)
            if refusal is not None:
                raise NotRunningError(refusal)
            if up is not None and up <= now:
                return up
            await self._service.clock.sleep_until(up or now + _LOOK_AGAIN)

    # --------------------------------------------------------------------------- lists

    def _list_clusters(self, _call: Call, verdict: Verdict) -> Response:
        with self._service.reading() as (world, now):
            loads = world.clusters(now, lag_seconds=verdict.status_lag_seconds)
            return _output([answers.cluster(load, now, self._rules.ready_word) for load in loads])

    def _list_models(self, call: Call, _verdict: Verdict) -> Response:
        if call.task not in (None, answers.TASK):
            return _output([])
        return _output(
            [
                answers.entry_2025_04(model_id, ram)
                for model_id, ram in self._service.ram.items()
                if call.one_model in (None, model_id)
            ]
        )

    def _list_tasks(self, _call: Call, _verdict: Verdict) -> Response:
        return _output([answers.TASK])


def refused_cluster(refusal: RefusedError) -> Response:
    """Return the answer to a request that had no effect (form: vendor doc)."""
    return JSONResponse({"error": refusal.error, "output": None}, refusal.status)


def _output(output: object, status: int = 200) -> Response:
    return JSONResponse({"error": None, "output": output}, status)


def _fate(verdict: Verdict) -> Fate:
    return Fate(verdict.boot, verdict.boot_error, verdict.status_lag_seconds)


def _prompt(call: Call) -> str:
    """Return what the answer begins with: a text, or the last message of a chat."""
    for name in ("text", "messages", "input"):
        given: Any = call.body.get(name)
        if isinstance(given, list) and given and isinstance(given[-1], dict):
            given = given[-1].get("content")
        if given not in (None, []):
            return given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)
    raise RefusedError(400, "text, messages or input is required")
