"""The wire: what each endpoint is asked, and how its answer reads, in both API versions.

The vendor changed its wire within three weeks, and left it a year later. So a api is data,
and nothing outside this module knows a path or a field name. No request here holds the key:
`Request.with_key` puts it in at the last moment.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from pydantic import ValidationError

from bytez_provider.service.schemas import CatalogueEntry, Instance, Phase
from bytez_provider.service.settings import ApiVersion, Key

UNKNOWN_STATUS: Final = "UNKNOWN"
"""Status of a listed instance that comes without one. Reads as "still going"."""


@dataclass(frozen=True)
class Api:
    """Where the two forms of the API differ."""

    key_in: Literal["body", "header"]
    model_field: str
    list_method: Literal["POST", "GET"]
    """Method of `/model/list` and `/model/instances`."""
    entry_name: str
    entry_ram: str


APIS: Final[Mapping[ApiVersion, Api]] = {
    "2024-05": Api("body", "modelId", "POST", "name", "requiredRAM"),
    "2024-06": Api("header", "model", "GET", "modelId", "ramRequired"),
}


# ------------------------------------------------------------------------------- requests


@dataclass(frozen=True)
class Request:
    """One request without its key. `body` is sent as JSON; None sends none."""

    api: Api
    path: str
    body: Mapping[str, Any] | None
    method: Literal["POST", "GET"] = "POST"
    is_of_many: bool = False
    """Whether the answer tells of many models, and may be long."""

    def with_key(self, key: Key) -> SignedRequest:
        """Return what goes on the wire."""
        headers = {}
        body = None if self.body is None else dict(self.body)
        if self.api.key_in == "header":
            headers["Authorization"] = f"Key {key.reveal()}"
        else:
            body = {"key": key.reveal(), **(body or {})}
        data = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            data = json.dumps(body).encode()
        return SignedRequest(self.method, self.path, headers, data, self.is_of_many)


@dataclass(frozen=True)
class SignedRequest:
    """One request as it is sent; its repr does not show what holds the key."""

    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)
    data: bytes | None = field(repr=False)
    is_of_many: bool


def list_request(api: Api) -> Request:
    """Ask for the catalogue."""
    return _listing(api, "/model/list")


def instances_request(api: Api) -> Request:
    """Ask for the loaded models."""
    return _listing(api, "/model/instances")


def load_request(
    api: Api, model_id: str, concurrency: int, expiration_period_seconds: int | None
) -> Request:
    """Ask for a load; the expiry, a field of 2024-06, is sent by both versions if asked for."""
    body: dict[str, Any] = {api.model_field: model_id, "concurrency": concurrency}
    if expiration_period_seconds is not None:
        body["expirationPeriodSeconds"] = expiration_period_seconds
    return Request(api, "/model/load", body)


def status_request(api: Api, model_id: str) -> Request:
    """Ask for the status of one model."""
    return Request(api, "/model/status", {api.model_field: model_id})


def run_request(
    api: Api, model_id: str, text: str, params: Mapping[str, Any], *, stream: bool
) -> Request:
    """Ask for text; field names of the seed's requests, which its list of parameters gainsays."""
    body = {"app": False, api.model_field: model_id, "text": text}
    return Request(api, "/model/run", {**body, "params": dict(params), "stream": stream})


def delete_request(api: Api, model_id: str) -> Request:
    """Ask for an unload."""
    return Request(api, "/model/delete", {api.model_field: model_id})


def _listing(api: Api, path: str) -> Request:
    if api.list_method == "GET":
        return Request(api, path, None, "GET", is_of_many=True)
    return Request(api, path, {}, is_of_many=True)


# -------------------------------------------------------------------------------- answers


def read_entries(api: Api, payload: object) -> list[CatalogueEntry] | None:
    """Read the answer to `/model/list`.

    Returns:
        The usable entries; None when the answer is no catalogue of this api: no array, or an
        array without one usable entry.
    """
    if not isinstance(payload, list):
        return None
    entries = []
    for row in payload:
        name = row.get(api.entry_name) if isinstance(row, dict) else None
        if isinstance(name, str) and name:
            entries.append(
                CatalogueEntry(
                    model_id=name,
                    required_ram_gb=row.get(api.entry_ram),
                    benchmarked=row.get("benchmarked"),
                )
            )
    return entries if entries or not payload else None


def read_instances(payload: object) -> list[Instance] | None:
    """Read the answer to `/model/instances`, whose elements are undocumented.

    Returns:
        One instance for each element that names a model, however little else it tells; None when
        the answer is no array.
    """
    if not isinstance(payload, list):
        return None
    instances = []
    for row in payload:
        if isinstance(row, dict) and (name := model_named(row)):
            told = {"status": UNKNOWN_STATUS, **row, "modelId": name}
            instance = _instance(told) or _instance({**told, "status": UNKNOWN_STATUS})
            if instance is not None:
                instances.append(instance)
    return instances


def is_whole(listed: Instance) -> bool:
    """Return whether an element of a list tells which load it is, and how that stands."""
    return listed.status != UNKNOWN_STATUS and listed.created is not None


def believed(listed: Sequence[Instance]) -> dict[str, Instance]:
    """Return the elements of `/model/instances` that are believed as they are, by model.

    The list is undocumented (client) and may be old, so it is believed in little: that the very
    load which an element identifies is booting or runs. That a load has failed, what an element
    leaves out, and which is right of two about one model, only the model's own status says. So
    does it of a model that is not on the list: that is no proof that it is not loaded.
    """
    often = Counter(one.model_id for one in listed)
    going = (Phase.BOOTING, Phase.RUNNING)
    return {
        one.model_id: one
        for one in listed
        if is_whole(one) and one.phase in going and often[one.model_id] == 1
    }


def read_status(payload: object, model_id: str) -> Instance | None:
    """Read the answer to `/model/status`; None when it holds no status."""
    if not isinstance(payload, dict):
        return None
    return _instance({**payload, "modelId": model_id})


def is_stopped(instance: Instance) -> bool:
    """Return whether a status says that nothing is loaded (choice: a 200 may say so)."""
    return instance.phase is Phase.STOPPED


def error_text(payload: object) -> str:
    """Return what an answer's `error` says (client); "" when it has none."""
    error = payload.get("error") if isinstance(payload, dict) else None
    if isinstance(error, dict) and isinstance(error.get("message"), str):
        error = error["message"]
    if not error:
        return ""
    return error if isinstance(error, str) else json.dumps(error)


def own_error(payload: object) -> str:
    """Return the API's own words: a text as `error` (client); "" where it is of another form.

    Gateways and frameworks put theirs under `message` or `detail`, or an object under `error`.
    """
    error = payload.get("error") if isinstance(payload, dict) else None
    return error if isinstance(error, str) else ""


def model_named(payload: object) -> str:
    """Return the model that an answer, or an element of a list, says it is about; "" for none."""
    if not isinstance(payload, dict):
        return ""
    name = payload.get("modelId") or payload.get("model")
    return name if isinstance(name, str) else ""


def _instance(told: Mapping[str, Any]) -> Instance | None:
    known = {**told, "error": error_text(told)}
    try:
        instance = Instance.model_validate(known)
    except ValidationError:
        return None
    return instance if instance.status.strip() else None
