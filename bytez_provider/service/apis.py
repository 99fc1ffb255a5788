"""The versions of the API: each is an `Api`, data and a few lines where fields differ in more.

CONTRIBUTING.md says how an endpoint is added.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from bytez_provider.service.schemas import OFF, RUNNING, Asked, Scale, in_utc, moment_of
from bytez_provider.service.settings import ApiVersion
from bytez_provider.service.wire import Api, Fields

# ------------------------------------------------------------------------- the APIs of 2024


def _load_settings(asked: Asked, _instances: int | None) -> Fields:
    # The expiry is a field of 2024-06. Both versions send it if the user asks for it.
    if asked.expiration_period_seconds is None:
        return {"concurrency": asked.concurrency}
    expiry = asked.expiration_period_seconds
    return {"concurrency": asked.concurrency, "expirationPeriodSeconds": expiry}


def _run_asked(text: str, params: Fields, stream: bool) -> Fields:
    # As in the vendor's requests; its parameter list differs.
    return {"app": False, "text": text, "params": dict(params), "stream": stream}


def _load_problems(asked: Asked) -> list[tuple[str, str]]:
    problems = []
    if asked.concurrency < 1:
        reason = f"must be a whole number of at least 1, not {asked.concurrency}"
        problems.append(("concurrency", reason))
    if asked.max_concurrency is not None:
        problems.append(("maxConcurrency", "needs bytez:apiVersion 2025-04: leave it out"))
    return problems


_MAY_2024: Final = Api(
    key_in="body",
    routes={
        "list the models": ("POST", "/model/list"),
        "list the instances": ("POST", "/model/instances"),
        "load": ("POST", "/model/load"),
        "read the status of": ("POST", "/model/status"),
        "unload": ("POST", "/model/delete"),
        "run": ("POST", "/model/run"),
    },
    model_field="modelId",
    entry_name="name",
    entry_ram="requiredRAM",
    settings_fields=_load_settings,
    instance_fields=dict,
    run_fields=_run_asked,
    problems=_load_problems,
    idle_seconds=1800,
)
_JUNE_2024: Final = replace(
    _MAY_2024,
    key_in="header",
    routes={
        **_MAY_2024.routes,
        "list the models": ("GET", "/model/list"),
        "list the instances": ("GET", "/model/instances"),
    },
    model_field="model",
    entry_name="modelId",
    entry_ram="ramRequired",
)

# ----------------------------------------------------------------- the API of 2025, of clusters

_TIMEOUT_MINUTES: Final = 10
"""Of a cluster that is created without one (vendor doc; another page says 5, so we always send it).
"""
_LONGEST_TIMEOUT_MINUTES: Final = 1440
_READY: Final = frozenset({"on", "running"})
"""The words for a cluster that serves (client; vendor doc, in a sketch)."""
_STOPPED: Final = "off"
_NO_SCALE: Final = Scale()
"""Of each cluster that shows none: one for all, because a hostile list may name 200,000 of them."""


def _cluster_settings(asked: Asked, instances: int | None) -> Fields:
    # All of them, always: whether PATCH keeps what is left out is undocumented. `desired` is the
    # number to begin with; a change must not undo what the load of the model has scaled to.
    least, most = asked.concurrency, asked.most
    desired = min(max(1 if instances is None else instances, least), most)
    capacity = {"min": least, "desired": desired, "max": most}
    return {"timeout": _minutes(asked), "capacity": capacity}


def _minutes(asked: Asked) -> int:
    seconds = asked.expiration_period_seconds
    return _TIMEOUT_MINUTES if seconds is None else math.ceil(seconds / 60)


def _cluster_taken(asked: Asked) -> Asked:
    return Asked(asked.concurrency, _minutes(asked) * 60, asked.most)


def _cluster_shown(content: Fields) -> Fields:
    """Read a cluster (vendor doc); its `instances` also counts those that boot."""
    capacity = content.get("capacity")
    capacity = capacity if isinstance(capacity, dict) else {}
    minutes, status = content.get("timeout"), content.get("status")
    seconds = minutes * 60 if isinstance(minutes, int) and not isinstance(minutes, bool) else None
    word = status.strip().lower() if isinstance(status, str) else ""
    if word in _READY:
        # With none at the least, none is as it should be.
        is_stopped = content.get("instances") == 0 and capacity.get("min") != 0
        status = OFF if is_stopped else RUNNING
    scale = {"maxConcurrency": capacity.get("max"), "instances": content.get("instances")}
    last = moment_of(content.get("lastInference")) if status == RUNNING else None
    shown = {
        "status": OFF if word == _STOPPED else status,
        "concurrency": capacity.get("min"),
        "scale": scale if any(value is not None for value in scale.values()) else _NO_SCALE,
        "expirationPeriodSeconds": seconds,
        "expiresAt": _end_of_idle(last, seconds),
    }
    # What is unknown is left out: an instance takes less memory then, and a list may be hostile.
    others = {name: value for name, value in content.items() if name not in shown}
    return {**others, **{name: value for name, value in shown.items() if value is not None}}


def _end_of_idle(last: datetime | None, seconds: int | None) -> datetime | None:
    if last is None or seconds is None:
        return None
    try:
        return in_utc(last + timedelta(seconds=seconds))
    except OverflowError:  # The server may answer any number.
        return None


def _cluster_run_asked(text: str, params: Fields, stream: bool) -> Fields:
    return {"text": text, "params": dict(params), "stream": stream}


def _cluster_problems(asked: Asked) -> list[tuple[str, str]]:
    problems = []
    most, seconds = asked.max_concurrency, asked.expiration_period_seconds
    if most is not None and most < asked.concurrency:
        reason = f"must be at least concurrency, which is {asked.concurrency}, not {most}"
        problems.append(("maxConcurrency", reason))
    longest = _LONGEST_TIMEOUT_MINUTES * 60
    if seconds is not None and seconds > longest:
        reason = f"must be at most {longest} with bytez:apiVersion 2025-04, not {seconds}"
        problems.append(("expirationPeriodSeconds", reason))
    return problems


_CLUSTER: Final = "/models/v2/{model}"
_APRIL_2025: Final = Api(
    key_in="header",
    routes={
        "list the models": ("GET", "/models/v2/list/models"),
        "find the model": ("GET", "/models/v2/list/models?modelId={model}"),  # client
        "list the instances": ("GET", "/models/v2/list/clusters"),
        "load": ("PUT", _CLUSTER),
        "read the status of": ("GET", _CLUSTER),
        "rescale": ("PATCH", _CLUSTER),
        "unload": ("DELETE", _CLUSTER),
        "run": ("POST", _CLUSTER),
    },
    model_field="",
    entry_name="modelId",
    entry_ram="ramRequired",
    settings_fields=_cluster_settings,
    instance_fields=_cluster_shown,
    run_fields=_cluster_run_asked,
    problems=_cluster_problems,
    idle_seconds=_TIMEOUT_MINUTES * 60,
    taken=_cluster_taken,
    start_fields={"status": "on"},  # client
    # `output` everywhere, and `cluster` in one sketch of the vendor's.
    envelopes=("output", "cluster"),
    unit="cluster",
    run_loads=True,
    in_state="2025-04",
)
APIS: Final[Mapping[ApiVersion, Api]] = {
    "2024-05": _MAY_2024,
    "2024-06": _JUNE_2024,
    "2025-04": _APRIL_2025,
}

PATHS: Final = frozenset(
    re.split("[{?]", path)[0] for api in APIS.values() for _, path in api.routes.values()
)
"""The paths of all versions, without the model."""
