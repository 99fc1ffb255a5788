"""The wire: what each request says, and how its answer reads, in each version of the API.

Nothing outside this module knows a path or the name of a field. A version is an `Api` in `APIS`:
data, and a function where fields differ in more than their names. CONTRIBUTING.md says
how an endpoint is added.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal
from urllib.parse import quote

from pydantic import ValidationError

from bytez_provider.service.schemas import CatalogueEntry, Instance, Phase
from bytez_provider.service.settings import ApiVersion, Key

Verb = Literal[
    "list the models", "list the instances", "load", "read the status of", "unload", "run"
]
"""What a request asks for, as errors say it."""
Fields = Mapping[str, Any]

UNKNOWN_STATUS: Final = "UNKNOWN"
"""Status of a listed instance that comes without one. It counts as booting."""


@dataclass(frozen=True)
class Request:
    """One request as it is sent; its repr does not show what holds the key."""

    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)
    data: bytes | None = field(repr=False)
    is_list: bool
    """Whether the answer is about many models, and may be long."""


def _load_fields(concurrency: int, expiration_period_seconds: int | None) -> Fields:
    # The expiry is a field of 2024-06. Both versions send it if the user asks for it.
    if expiration_period_seconds is None:
        return {"concurrency": concurrency}
    return {"concurrency": concurrency, "expirationPeriodSeconds": expiration_period_seconds}


@dataclass(frozen=True)
class Api:
    """One version of the API."""

    key_in: Literal["body", "header"]
    routes: Mapping[Verb, tuple[str, str]]
    """Method and path of each request; `{model}` in a path is the model id."""
    model_field: str
    """Field of a request that names the model; "" if the path does."""
    entry_name: str
    entry_ram: str
    """Fields of a catalogue entry."""
    envelope: str = ""
    """Field of an answer that holds its content; "" if the answer is the content."""
    load_fields: Callable[[int, int | None], Fields] = _load_fields
    """Returns the settings of a load, from concurrency and idle seconds."""
    instance_fields: Callable[[Fields], Fields] = dict
    """Returns what an answer says of an instance, under the names that `Instance` reads."""

    def request(
        self, verb: Verb, key: Key, model_id: str = "", fields: Fields | None = None
    ) -> Request:
        """Return the request that asks for `verb`, about a model or about all."""
        method, path = self.routes[verb]
        body = dict(fields or {})
        headers = {}
        if model_id and self.model_field:
            body[self.model_field] = model_id
        if self.key_in == "body":
            body["key"] = key.reveal()
        else:
            headers["Authorization"] = f"Key {key.reveal()}"
        if body:
            headers["Content-Type"] = "application/json"
        data = json.dumps(body).encode() if body else None
        path = path.replace("{model}", quote(model_id))
        return Request(method, path, headers, data, is_list=not model_id)

    def content(self, payload: Any) -> Any:
        """Return an answer without its envelope; an error beside the content is kept."""
        if not self.envelope or not isinstance(payload, dict):
            return payload
        inner = payload.get(self.envelope)
        if isinstance(inner, dict):
            return {**payload, **inner}
        return inner if isinstance(inner, list) else payload

    def read_entries(self, content: object) -> list[CatalogueEntry] | None:
        """Return the usable entries of a catalogue.

        None if the answer is no catalogue of this version: no array, or none of its elements is
        an entry.
        """
        if not isinstance(content, list):
            return None
        entries = []
        for row in content:
            name = row.get(self.entry_name) if isinstance(row, dict) else None
            if isinstance(name, str) and name:
                ram, benchmarked = row.get(self.entry_ram), row.get("benchmarked")
                entries.append(
                    CatalogueEntry(model_id=name, required_ram_gb=ram, benchmarked=benchmarked)
                )
        return entries if entries or not content else None

    def read_instances(self, content: object) -> list[Instance] | None:
        """Return an instance for each element that names a model; None if it is no array.

        The elements are undocumented (client): one may say no more than the name.
        """
        if not isinstance(content, list):
            return None
        instances = []
        for row in content:
            if isinstance(row, dict) and (name := model_named(row)):
                found = self.read_status(row, name)
                found = found or self.read_status({**row, "status": UNKNOWN_STATUS}, name)
                if found is not None:
                    instances.append(found)
        return instances

    def read_status(self, content: object, model_id: str) -> Instance | None:
        """Return what an answer says of a model; None if it holds no status."""
        if not isinstance(content, dict):
            return None
        known = {**self.instance_fields(content), "modelId": model_id, "error": error_text(content)}
        try:
            instance = Instance.model_validate(known)
        except ValidationError:
            return None
        return instance if instance.status.strip() else None


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
APIS: Final[Mapping[ApiVersion, Api]] = {"2024-05": _MAY_2024, "2024-06": _JUNE_2024}
PATHS: Final = frozenset(path for api in APIS.values() for _, path in api.routes.values())
"""The paths of all versions."""


def run_fields(text: str, params: Fields, *, stream: bool) -> Fields:
    """Return what a run asks for, as in the vendor's requests; its parameter list differs."""
    return {"app": False, "text": text, "params": dict(params), "stream": stream}


# ------------------------------------------------------------------------ what lists are worth


def is_whole(listed: Instance) -> bool:
    """Return whether an element of a list says which load it is, and its status."""
    return listed.status != UNKNOWN_STATUS and listed.created is not None


def believed(listed: Sequence[Instance]) -> dict[str, Instance]:
    """Return the elements of the list of instances that can be relied on, by model.

    The list is undocumented (client) and may be old. It is only proof that the load which an
    element identifies boots or runs. Whether a load has failed, what an element leaves out, and
    which of two elements about one model is right: only the model's own status says that. A model
    that is missing from the list may be loaded all the same.
    """
    often = Counter(one.model_id for one in listed)
    alive = (Phase.BOOTING, Phase.RUNNING)
    return {
        one.model_id: one
        for one in listed
        if is_whole(one) and one.phase in alive and often[one.model_id] == 1
    }


# ------------------------------------------------------------------------ what any answer says


def error_text(payload: object) -> str:
    """Return what an answer's `error` says (client); "" if it has none."""
    error = payload.get("error") if isinstance(payload, dict) else None
    if isinstance(error, dict) and isinstance(error.get("message"), str):
        error = error["message"]
    if not error:
        return ""
    return error if isinstance(error, str) else json.dumps(error)


def own_error(payload: object) -> str:
    """Return the API's own words: a text as `error` (client); "" if it has another form.

    Gateways and frameworks put theirs under `message` or `detail`, or an object under `error`.
    """
    error = payload.get("error") if isinstance(payload, dict) else None
    return error if isinstance(error, str) else ""


def model_named(payload: object) -> str:
    """Return the model that an answer or an element of a list is about; "" if it names none."""
    if not isinstance(payload, dict):
        return ""
    name = payload.get("modelId") or payload.get("model")
    return name if isinstance(name, str) else ""
