"""The wire: how a request is made and an answer is read, by the description of an API.

Nothing outside this module and `apis` knows a path or the name of a field.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from urllib.parse import quote

from bytez_provider.base.properties import PropertiesError
from bytez_provider.service.schemas import Asked, CatalogueEntry, Instance, Phase
from bytez_provider.service.settings import ApiVersion, Key

Verb = Literal[
    "list the models",
    "find the model",
    "list the instances",
    "load",
    "read the status of",
    "rescale",
    "unload",
    "run",
]
"""What a request asks for, as errors say it."""
Fields = Mapping[str, Any]

EMPTY: Final = object()
"""The content of an envelope that has neither a content nor an error."""
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


def _as_asked(asked: Asked) -> Asked:
    return asked


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
    settings_fields: Callable[[Asked, int | None], Fields]
    """Returns the settings of a load, as a request has them; the number is that of its instances
    now, None for a new load."""
    instance_fields: Callable[[Fields], Fields]
    """Returns what an answer says of an instance, under the names that `Instance` reads."""
    run_fields: Callable[[str, Fields, bool], Fields]
    """Returns what a run asks for: a text, parameters, and whether the answer is a stream."""
    problems: Callable[[Asked], list[tuple[str, str]]]
    """Returns the settings, by their names in state, that the API cannot have, and why."""
    idle_seconds: int
    """Idle seconds until a model is unloaded if nothing else is asked for."""
    taken: Callable[[Asked], Asked] = _as_asked
    """Returns the settings as the service keeps them: rounded, and with its defaults."""
    start_fields: Fields = field(default_factory=dict)
    """What a request for other settings has besides if it is to start the instances too."""
    envelopes: tuple[str, ...] = ()
    """Fields of an answer that may hold its content; without any, the answer is the content."""
    unit: str = ""
    """What the service calls a loaded model in its errors, beside "model" and "instance"."""
    run_loads: bool = False
    """Whether a run of a model that is not loaded loads it, with settings of the service."""
    in_state: ApiVersion | None = None
    """What a state keeps of the version; None for those of 2024, which share their loads."""

    @property
    def finds_models(self) -> bool:
        """Whether the catalogue can be asked for one model; the whole one may be too long."""
        return "find the model" in self.routes

    @property
    def rescales(self) -> bool:
        """Whether the settings of a load can be changed while it runs."""
        return "rescale" in self.routes

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
        """Return an answer without its envelope; an error beside the content is kept.

        `EMPTY` if the envelope has neither.
        """
        if not isinstance(payload, dict):
            return payload
        for name in self.envelopes:
            inner = payload.get(name)
            if isinstance(inner, dict):
                return {**payload, **inner}
            if isinstance(inner, list):
                return inner
            if name in payload and inner is None and not error_text(payload):
                return EMPTY
        return payload

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
                entries.append(
                    CatalogueEntry(
                        model_id=name,
                        required_ram_gb=row.get(self.entry_ram),
                        benchmarked=row.get("benchmarked"),
                        dollars_per_second=row.get("meterPrice"),
                    )
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
            instance = Instance.of(known)
        except PropertiesError:
            return None
        return instance if instance.status.strip() else None


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
    alive = (Phase.BOOTING, Phase.RUNNING, Phase.OFF)
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
