"""What is asked and answered in every version of the API, and how fault rules name that.

Tests say what is asked for instead of a path, and what is answered instead of a body, so one test
is for all versions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, Protocol, get_args

from bytez_provider.service.settings import ApiVersion

Ask = Literal["models", "instances", "load", "status", "rescale", "run", "delete"]
Rule = Mapping[str, Any]

API_VERSIONS: tuple[ApiVersion, ...] = get_args(ApiVersion)
CHANGING: tuple[Ask, ...] = ("load", "rescale", "delete")

_CLUSTER = "/models/v2"
_OF_2024: Mapping[Ask, str] = {
    "models": "/model/list",
    "instances": "/model/instances",
    "load": "/model/load",
    "status": "/model/status",
    "run": "/model/run",
    "delete": "/model/delete",
}
_OF_2025: Mapping[Ask, str] = {
    "models": f"{_CLUSTER}/list/models",
    "instances": f"{_CLUSTER}/list/clusters",
    "load": f"PUT {_CLUSTER}",
    "status": f"GET {_CLUSTER}",
    "rescale": f"PATCH {_CLUSTER}",
    "run": f"POST {_CLUSTER}",
    "delete": f"DELETE {_CLUSTER}",
}
_LISTS: tuple[Ask, ...] = ("models", "instances")
_STATUSES_OF_2025: Mapping[str, str] = {"RUNNING": "on", "DEPLOYING": "booting instance"}
_ASKS: Mapping[str, Ask] = {
    name: ask for names in (_OF_2024, _OF_2025) for ask, name in names.items()
}


class Sent(Protocol):
    """A request: of the emulator's log, or of the client."""

    @property
    def method(self) -> str:
        """The HTTP method."""

    @property
    def path(self) -> str:
        """The path, of 2025-04 with the model."""


def endpoints(api: ApiVersion) -> Mapping[Ask, str]:
    """Return the names of the endpoints in fault rules, by what they are asked for."""
    return _OF_2025 if api == "2025-04" else _OF_2024


def line_of(api: ApiVersion, ask: Ask, model_id: str = "") -> str:
    """Return method and path of a request."""
    name = endpoints(api)[ask]
    if " " in name:
        return f"{name}/{model_id}"
    return f"{'GET' if ask in _LISTS and api != '2024-05' else 'POST'} {name}"


def path_of(api: ApiVersion, ask: Ask, model_id: str = "") -> str:
    """Return the path of a request."""
    return line_of(api, ask, model_id).partition(" ")[2]


def shown(
    api: ApiVersion, model_id: str, status: str, *, concurrency: object = None, **more: object
) -> dict[str, object]:
    """Return what an answer shows of a loaded model; `status` is the word of 2024."""
    content = {"modelId": model_id, "status": status, **more}
    if api != "2025-04":
        return content if concurrency is None else {**content, "concurrency": concurrency}
    content["status"] = _STATUSES_OF_2025.get(status, status)
    if concurrency is not None:
        content["capacity"] = {"min": concurrency, "desired": concurrency, "max": concurrency}
    return content


def body_of(api: ApiVersion, content: Any, error: object = None) -> Any:
    """Return the body of an answer: a content, an error, or an error beside a content."""
    if api == "2025-04":
        return {"error": error, "output": content}
    return content if error is None else {**(content or {}), "error": error}


def ask_of(sent: Sent) -> Ask:
    """Return what a request asks for."""
    if sent.path in _ASKS:
        return _ASKS[sent.path]
    return _ASKS[f"{sent.method} {sent.path[: len(_CLUSTER)]}"]


def model_of(sent: Sent) -> str:
    """Return the model in a path of 2025-04; "" if the path names none."""
    is_model = sent.path.startswith(_CLUSTER) and sent.path not in _ASKS
    return sent.path.removeprefix(f"{_CLUSTER}/") if is_model else ""


def for_api(api: ApiVersion, rules: Iterable[Rule]) -> list[dict[str, Any]]:
    """Return fault rules in which `asks` is replaced by the `endpoint` of a version.

    A rule for what the version cannot be asked for is left out.
    """
    names = endpoints(api)
    return [
        {
            **{name: value for name, value in rule.items() if name != "asks"},
            **({"endpoint": names[rule["asks"]]} if "asks" in rule else {}),
        }
        for rule in rules
        if "asks" not in rule or rule["asks"] in names
    ]
