"""Plans in the forms in which Pulumi writes them, after what was seen of real ones."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from bytez_provider.core.ownership import Owner, Phase, Record
from bytez_provider.review import Live, Plan, Review, ReviewedModel, Setting, assess, from_digest
from bytez_provider.service.catalogue import bundled_catalogue
from bytez_provider.service.schemas import Instance
from bytez_provider.service.settings import Settings

GPT2 = "openai-community/gpt2"
PHI = "microsoft/phi-1"
UNPRICED = "openai-community/gpt2-medium"
"""A model whose RAM the catalogue does not know."""
GPT2_GB = 0.5
MODEL = "pulumi-python:dynamic/bytez:Model"
READINESS = "pulumi-python:dynamic/bytez:Readiness"
NATIVE = {MODEL: "bytez:index:Model", READINESS: "bytez:index:Readiness"}
FLEET = "bytez:index:Fleet"
ACCOUNT = {"endpoint": "https://api.bytez.com", "account": "0123456789ab"}
CREATED = "2024-05-27T23:35:35.863Z"
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
SECRET = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270"}
"""What stands for a secret in the engine's events; the digest has "[secret]"."""
NOW = datetime(2024, 5, 28, tzinfo=timezone.utc)
OTHER = "2024-05-27T23:50:00Z"
"""When a load was created that no state names."""
HERE, THERE = "here", "there"
"""Where the state of the plan's stack is kept, and where that of another one is."""

SETTINGS, CLUSTERS = Settings(), Settings(api_version="2025-04")
"""Those of the APIs of 2024, and of that of 2025."""

State = dict[str, Any]
Step = dict[str, Any]


def urn(name: str, type_: str = MODEL) -> str:
    """Return the URN of a resource of stack `dev` of project `fleet`."""
    return f"urn:pulumi:dev::fleet::{type_}::{name}"


def inputs(model_id: str = GPT2, **given: Any) -> State:
    """Return what is declared of a model, as Pulumi keeps it."""
    return {"modelId": model_id, "concurrency": 1, "adopt": False, "onExpiry": "reload", **given}


def state(declared: Mapping[str, Any], *, status: str | None = "RUNNING", **more: Any) -> State:
    """Return a model in state; `status=None` for one that is not there yet."""
    given: State = {"type": MODEL, "custom": True, "inputs": dict(declared)}
    if status is not None:
        outputs = {**declared, **ACCOUNT, "status": status, "created": CREATED}
        given |= {"id": declared["modelId"], "outputs": outputs}
    return {**given, **more}


def step(op: str, name: str, old: State | None, new: State | None, type_: str = MODEL) -> Step:
    """Return a step of a digest."""
    given: Step = {"op": op, "urn": urn(name, type_)}
    for key, one in (("oldState", old), ("newState", new)):
        if one is not None:
            given[key] = one
    return given


def digest(*steps: Step, **more: Any) -> Plan:
    """Read a digest of these steps."""
    return from_digest({"steps": list(steps), "changeSummary": {}, **more})


def kept(name: str, declared: Mapping[str, Any], **more: Any) -> Step:
    """Return the step of a model that does not change."""
    return step("same", name, state(declared, **more), state(declared, status=None))


def skipped(name: str, declared: Mapping[str, Any], *, is_new: bool = False) -> Step:
    """Return the step that Pulumi calls "same" of a model that --target leaves alone."""
    if is_new:
        new = state(declared, status=None)
        return step("same", name, new, new)
    old = state(declared)
    return step("same", name, old, {key: value for key, value in old.items() if key != "id"})


def loaded(name: str, declared: Mapping[str, Any], **more: Any) -> Step:
    """Return the step of a new model."""
    return step("create", name, None, state(declared, status=None, **more))


def replaced(name: str, old: Mapping[str, Any], new: Mapping[str, Any], **more: Any) -> Step:
    """Return the step of a replacement."""
    return step("replace", name, state(old, **more), state(new, status=None, **more))


def unloaded(name: str, declared: Mapping[str, Any], **more: Any) -> Step:
    """Return the step of a model that is removed."""
    return step("delete", name, state(declared, **more), None)


def refreshed(name: str, before: State, after: State | None = None) -> Step:
    """Return the step of a refresh that found `after`, or all as it was."""
    return step("refresh", name, before, after if after is not None else before)


def gone(name: str, declared: Mapping[str, Any]) -> tuple[Step, Step]:
    """Return the steps of a model that a refresh found gone, and that is loaded again."""
    before = state(declared)
    return refreshed(name, before), loaded(name, declared)


def native(steps: Iterable[Step]) -> list[Step]:
    """Return the same steps of resources of the plugin, which `up` refreshes unasked."""
    found: list[Step] = json.loads(_native(json.dumps(list(steps))))
    states = (one for step in found for one in (step.get("oldState"), step.get("newState")) if one)
    for one in states:
        if one.get("type") == NATIVE[MODEL]:
            one["refreshBeforeUpdate"] = True
    return found


def natively(live: Live | None) -> Live | None:
    """Return the same facts, with a journal that names resources of the plugin."""
    if live is None:
        return None
    records = {
        name: Record.of(json.loads(_native(json.dumps(one.bag()))))
        for name, one in live.records.items()
    }
    return dataclasses.replace(live, records=records)


def _native(text: str) -> str:
    for dynamic, token in NATIVE.items():
        text = text.replace(dynamic, token)
    return text


def setting(settings: Settings = SETTINGS, **given: Any) -> Setting:
    """Return a setting with the catalogue that comes with the package."""
    return Setting(bundled_catalogue(), settings, "bundled", **given)


def reviewed(*steps: Step, **given: Any) -> Review:
    """Return the review of a digest of these steps."""
    return assess(digest(*steps), setting(**given))


def only(review: Review) -> ReviewedModel:
    """Return the one model of a review."""
    (model,) = review.models
    return model


def named(review: Review, name: str) -> ReviewedModel:
    """Return a model of a review."""
    (model,) = (one for one in review.models if one.name == name)
    return model


def running(
    model_id: str = GPT2,
    created: str | None = CREATED,
    *,
    record: Record | None = None,
    **more: Any,
) -> Live:
    """Return what runs: one load, the one that the states here name unless `created` differs."""
    given = {"model_id": model_id, "status": "RUNNING", "concurrency": 1, "created": created}
    instance = Instance.of({**given, **more})
    records = {model_id: record} if record else {}
    return Live({model_id: instance}, NOW, ACCOUNT["endpoint"], ACCOUNT["account"], records, HERE)


def nothing_runs() -> Live:
    """Return what runs: nothing."""
    return Live({}, NOW, ACCOUNT["endpoint"], ACCOUNT["account"])


def recorded(name: str, created: str = OTHER, *, stack: str = HERE, **more: Any) -> Record:
    """Return what the journal has of a load of gpt2, by default an unfinished one."""
    given = {
        "owner": Owner(urn=urn(name), stack=stack, place=f"file:///{stack}"),
        "phase": Phase.ACCEPTED,
        "began": created,
        "concurrency": 1,
        "created": created,
    }
    return Record.of({"model_id": GPT2, **given, **more})


def events(steps: Iterable[Step], *more: dict[str, Any], timestamp: int = 1716853000) -> str:
    """Return the same steps as the engine's events, one a line."""
    lines: list[dict[str, Any]] = [{"preludeEvent": {"config": {}}}]
    for one in steps:
        metadata = {"op": one["op"], "urn": one["urn"]}
        for key, name in (("oldState", "old"), ("newState", "new")):
            if key in one:
                metadata[name] = one[key]
        lines.append({"resourcePreEvent": {"metadata": metadata, "planning": True}})
        lines.append({"resOutputsEvent": {"metadata": metadata, "planning": True}})
    lines += more
    lines.append({"summaryEvent": {"resourceChanges": {}, "isPreview": True}})
    numbered = ({"sequence": n, "timestamp": timestamp + n, **one} for n, one in enumerate(lines))
    return "".join(json.dumps(one) + "\n" for one in numbered)


def saved(folder: Path, text: str) -> Path:
    """Save a plan."""
    path = folder / "plan.json"
    path.write_text(text, encoding="utf-8")
    return path


def policy(name: str = "scaled", **more: Any) -> dict[str, Any]:
    """Return the event of a rule that a model breaks."""
    given = {
        "resourceUrn": urn(name),
        "message": "concurrency 3 is more than 2\n",
        "policyName": "concurrency-cap",
        "policyPackName": "bytez",
        "enforcementLevel": "mandatory",
    }
    return {"policyEvent": {**given, **more}}
