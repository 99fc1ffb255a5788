"""The rewriting of a state: what changes, what stays, and what is refused."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from bytez_provider.base.urns import (
    DYNAMIC_PROVIDER_TYPE,
    FLEET_TYPE,
    MODEL_TYPE,
    MODEL_TYPES,
    NATIVE_MODEL_TYPE,
    NATIVE_PROVIDER_TYPE,
    NATIVE_READINESS_TYPE,
    READINESS_TYPE,
    READINESS_TYPES,
    STACK_TYPE,
)
from bytez_provider.stack.moving import FACES, Moved, UnclearError, moved

GPT2, PHI = "openai-community/gpt2", "microsoft/phi-1"
CREATED = "2024-05-28T23:35:35.863Z"
PICKLED = {MODEL_TYPE: "gASM", READINESS_TYPE: "gASR"}
SECRET_MARK = ("4dabf18193072939515e22adb298388d", "1b47061264138c4ac30d75fd1eb44270")
REFERENCE_MARK = ("4dabf18193072939515e22adb298388d", "5cf8f73096256a8f31e491e813e4eb8e")
NEW_ID = "00000000-0000-4000-8000-000000000000"


def urn(kind: str, name: str, *, within: str = "") -> str:
    return f"urn:pulumi:dev::fleet::{within}{kind}::{name}"


STACK = urn(STACK_TYPE, "fleet-dev")
FLEET = urn(FLEET_TYPE, "chat")
PROVIDER = urn(DYNAMIC_PROVIDER_TYPE, "default")
IN_FLEET = f"{FLEET_TYPE}$"


def model(name: str, model_id: str, *, in_fleet: bool = False, **more: Any) -> dict[str, Any]:
    """Return a dynamic model, as Pulumi keeps it."""
    inputs = {"adopt": False, "concurrency": 2, "modelId": model_id, "onExpiry": "reload"}
    inputs |= {"readiness": "fleet"} if in_fleet else {}
    return {
        "urn": urn(MODEL_TYPE, name, within=IN_FLEET if in_fleet else ""),
        "custom": True,
        "id": model_id,
        "type": MODEL_TYPE,
        "inputs": {"__provider": PICKLED[MODEL_TYPE], **inputs},
        "outputs": {"__provider": PICKLED[MODEL_TYPE], **inputs, "created": CREATED},
        "parent": FLEET if in_fleet else STACK,
        "provider": f"{PROVIDER}::1",
        "propertyDependencies": {"__provider": [], "modelId": []},
        **more,
    }


def state(*more: dict[str, Any]) -> dict[str, Any]:
    """Return the state of a stack with a model, a fleet, and other resources."""
    members = {"phi": {"modelId": PHI, "created": CREATED}}
    of_phi = [urn(MODEL_TYPE, "chat-phi", within=IN_FLEET)]
    readiness = {
        "urn": urn(READINESS_TYPE, "chat-ready", within=IN_FLEET),
        "custom": True,
        "id": "chat",
        "type": READINESS_TYPE,
        "inputs": {"__provider": PICKLED[READINESS_TYPE], "fleet": "chat", "members": members},
        "outputs": {"__provider": PICKLED[READINESS_TYPE], "fleet": "chat", "members": members},
        "parent": FLEET,
        "dependencies": of_phi,
        "provider": f"{PROVIDER}::1",
        "propertyDependencies": {"__provider": [], "fleet": [], "members": of_phi},
    }
    resources = [
        {"urn": STACK, "custom": False, "type": STACK_TYPE},
        {"urn": PROVIDER, "custom": True, "id": "1", "type": DYNAMIC_PROVIDER_TYPE},
        model("gpt2", GPT2, protect=True),
        {
            "urn": FLEET,
            "custom": False,
            "type": FLEET_TYPE,
            "outputs": {"statuses": {"phi": "RUNNING"}},
            "parent": STACK,
            "dependencies": [urn(MODEL_TYPE, "gpt2")],
        },
        model("chat-phi", PHI, in_fleet=True),
        readiness,
    ]
    return {"version": 3, "deployment": {"manifest": {}, "resources": [*resources, *more]}}


def move(document: object, to: str = "native", **settings: tuple[str, bool]) -> Moved:
    return moved(document, to, pickled=PICKLED, settings=settings, new_id=lambda: NEW_ID)


def resources(one: Moved) -> dict[str, dict[str, Any]]:
    return {resource["urn"]: resource for resource in one.document["deployment"]["resources"]}


def resource_of(document: dict[str, Any], name: str) -> dict[str, Any]:
    all_of_them: list[dict[str, Any]] = document["deployment"]["resources"]
    (found,) = (one for one in all_of_them if one["urn"].endswith(f"::{name}"))
    return found


def test_the_faces_have_all_types() -> None:
    kinds = {kind for face in FACES.values() for kind in face.types}
    assert kinds == {*MODEL_TYPES, *READINESS_TYPES}


def test_a_model_keeps_all_but_its_type_and_its_provider() -> None:
    found = resources(move(state()))[urn(NATIVE_MODEL_TYPE, "gpt2")]
    inputs = {"adopt": False, "concurrency": 2, "modelId": GPT2, "onExpiry": "reload"}
    assert found == {
        "urn": urn(NATIVE_MODEL_TYPE, "gpt2"),
        "custom": True,
        "id": GPT2,
        "type": NATIVE_MODEL_TYPE,
        "inputs": inputs,
        "outputs": {**inputs, "created": CREATED},
        "parent": STACK,
        "provider": f"{urn(NATIVE_PROVIDER_TYPE, 'default')}::{NEW_ID}",
        "propertyDependencies": {"modelId": []},
        "protect": True,
        "refreshBeforeUpdate": True,
    }


def test_a_fleet_gets_the_inputs_that_a_program_declares() -> None:
    after = move(state())
    found = resources(after)
    assert found[FLEET]["inputs"] == {"models": {"phi": {"modelId": PHI, "concurrency": 2}}}
    assert found[FLEET]["dependencies"] == [urn(NATIVE_MODEL_TYPE, "gpt2")]
    ready = found[urn(NATIVE_READINESS_TYPE, "chat-ready", within=IN_FLEET)]
    phi = urn(NATIVE_MODEL_TYPE, "chat-phi", within=IN_FLEET)
    assert ready["dependencies"] == ready["propertyDependencies"]["members"] == [phi]
    assert "refreshBeforeUpdate" not in ready
    assert after.fleets == (FLEET,)


def test_its_version_says_that_resources_refresh_before_updates() -> None:
    there = move(state())
    assert (there.document["version"], there.document["features"]) == (4, ["refreshBeforeUpdate"])
    back = move(there.document, "dynamic").document
    assert back["version"] == 3
    assert "features" not in back


def test_other_features_stay() -> None:
    document = {**state(), "version": 4, "features": ["taint"]}
    there = move(document).document
    assert there["features"] == ["refreshBeforeUpdate", "taint"]
    assert move(there, "dynamic").document["features"] == ["taint"]


def test_back_again_is_as_it_was_but_for_the_id_of_the_provider() -> None:
    before = state()
    back = move(move(before).document, "dynamic").document
    text = json.dumps(back, sort_keys=True).replace(NEW_ID, "1")
    assert text == json.dumps(before, sort_keys=True)


def test_the_document_is_not_changed() -> None:
    before = state()
    kept = copy.deepcopy(before)
    move(before)
    assert before == kept


def test_a_state_without_the_old_face_stays() -> None:
    before = state()
    after = move(before, "dynamic")
    assert (after.document, dict(after.urns), after.added) == (before, {}, ())


class TestReferences:
    def test_of_other_resources(self) -> None:
        gpt2 = urn(MODEL_TYPE, "gpt2")
        child = f"{MODEL_TYPE}$random:index:Id"
        other = {
            "urn": urn("random:index:Id", "key", within=f"{MODEL_TYPE}$"),
            "type": "random:index:Id",
            "parent": gpt2,
            "dependencies": [gpt2],
            "propertyDependencies": {"keepers": [gpt2]},
            "deletedWith": gpt2,
            "aliases": [f"urn:pulumi:dev::fleet::{child}::old"],
            "inputs": {"keepers": {"urn": gpt2}},
            "outputs": {"of": {REFERENCE_MARK[0]: REFERENCE_MARK[1], "urn": gpt2, "id": GPT2}},
        }
        found = resources(move(state(other)))
        now = urn(NATIVE_MODEL_TYPE, "gpt2")
        one = found[urn("random:index:Id", "key", within=f"{NATIVE_MODEL_TYPE}$")]
        assert (one["parent"], one["deletedWith"]) == (now, now)
        assert one["dependencies"] == one["propertyDependencies"]["keepers"] == [now]
        assert one["aliases"] == [one["urn"].replace("::key", "::old")]
        assert one["outputs"]["of"]["urn"] == now
        # A value is what the program said: the next `up` changes it.
        assert one["inputs"]["keepers"]["urn"] == gpt2

    def test_that_are_not_understood_are_refused(self) -> None:
        other = {"urn": urn("a:b:C", "c"), "type": "a:b:C", "viewOf": urn(MODEL_TYPE, "gpt2")}
        with pytest.raises(UnclearError, match="'c' refers to 'gpt2'"):
            move(state(other))


class TestProvider:
    def test_it_is_in_place_of_the_old_one(self) -> None:
        after = move(state())
        assert list(resources(after))[1] == urn(NATIVE_PROVIDER_TYPE, "default")
        assert (after.added, after.removed) == (
            (urn(NATIVE_PROVIDER_TYPE, "default"),),
            (PROVIDER,),
        )

    def test_one_that_others_use_stays(self) -> None:
        other = {
            "urn": urn("pulumi-python:dynamic:Resource", "other"),
            "type": "pulumi-python:dynamic:Resource",
            "provider": f"{PROVIDER}::1",
        }
        after = move(state(other))
        assert after.removed == ()
        assert resources(after)[other["urn"]]["provider"] == f"{PROVIDER}::1"

    def test_one_that_is_there_is_used(self) -> None:
        there = {
            "urn": urn(NATIVE_PROVIDER_TYPE, "default"),
            "custom": True,
            "id": "2",
            "type": NATIVE_PROVIDER_TYPE,
        }
        after = move(state(there), key=("hidden", True))
        found = resources(after)
        assert list(found)[1] == there["urn"]
        assert found[there["urn"]] == there
        assert found[urn(NATIVE_MODEL_TYPE, "gpt2")]["provider"] == f"{there['urn']}::2"
        assert after.added == ()

    @pytest.mark.parametrize("to", ["native", "dynamic"])
    def test_it_has_the_settings_of_the_stack(self, to: str) -> None:
        document = state() if to == "native" else move(state()).document
        after = move(document, to, key=("hidden", True), journal=("off", False))
        (added,) = after.added
        prefix = "" if to == "native" else "bytez:"
        key = {SECRET_MARK[0]: SECRET_MARK[1], "plaintext": '"hidden"'}
        inputs = {f"{prefix}key": key, f"{prefix}journal": "off"}
        assert resources(after)[added]["inputs"] == inputs
        assert resources(after)[added]["outputs"] == inputs


def changed(change: Callable[[dict[str, Any]], None], name: str = "gpt2") -> dict[str, Any]:
    document = state()
    change(resource_of(document, name))
    return document


def pending(document: dict[str, Any]) -> dict[str, Any]:
    document["deployment"]["pending_operations"] = [{"type": "creating"}]
    return document


def without(name: str) -> dict[str, Any]:
    document = state()
    document["deployment"]["resources"].remove(resource_of(document, name))
    return document


TWIN = {
    **model("gpt2", GPT2),
    "urn": urn(NATIVE_MODEL_TYPE, "gpt2"),
    "type": NATIVE_MODEL_TYPE,
}
EXPLICIT = urn(DYNAMIC_PROVIDER_TYPE, "mine")


@pytest.mark.parametrize(
    ("document", "observed"),
    [
        (None, "not what `pulumi stack export` prints"),
        ({"version": 3, "deployment": None}, "not what `pulumi stack export` prints"),
        ({**state(), "version": 5}, "version 5"),
        ({"version": 3, "deployment": {"resources": [{}]}}, "a URN and a type"),
        (pending(state()), "in the middle of an operation"),
        (state({"urn": urn("a:b:C", "c"), "type": "a:b:C", "delete": True}), "'c' is still to be"),
        (changed(lambda one: one.update(external=True)), "'gpt2' is only read"),
        (changed(lambda one: one.update(taint=True)), "'gpt2' has 'taint' in the state"),
        (changed(lambda one: one.update(initErrors=["x"])), "'initErrors'"),
        (changed(lambda one: one.update(outputs=[1])), "outputs of 'gpt2' are not an object"),
        (changed(lambda one: one.update(provider=f"{EXPLICIT}::3")), "an explicit provider"),
        (changed(lambda one: one.pop("provider")), "an explicit provider"),
        (state(TWIN), "a dynamic and a native resource named 'gpt2'"),
        (changed(lambda one: one["inputs"].update(readiness="fleet")), "belongs to a fleet"),
        (without("chat"), "belongs to a fleet"),
        (without("chat-ready"), "lacks its readiness"),
        (without("chat-phi"), "are not those that its readiness waits for"),
        (
            changed(lambda one: one["inputs"].update(members={}), "chat-ready"),
            "are not those that its readiness waits for",
        ),
        (
            state({"urn": urn("a:b:C", "c"), "type": "a:b:C", "parent": FLEET}),
            "has other resources than its models",
        ),
        (
            state({**TWIN, "urn": urn(NATIVE_MODEL_TYPE, "x"), "parent": FLEET}),
            "has other resources than its models",
        ),
    ],
)
def test_what_is_unclear_is_refused(document: object, observed: str) -> None:
    with pytest.raises(UnclearError, match=observed) as refused:
        move(document)
    assert refused.value.action


def test_an_explicit_provider_is_refused_by_its_name() -> None:
    provider = {"urn": EXPLICIT, "custom": True, "id": "3", "type": DYNAMIC_PROVIDER_TYPE}
    document = changed(lambda one: one.update(provider=f"{EXPLICIT}::3"))
    document["deployment"]["resources"].insert(1, provider)
    with pytest.raises(UnclearError, match="an explicit provider"):
        move(document)


@pytest.mark.parametrize("key", ["pendingReplacement", "delete"])
def test_what_is_not_set_is_no_oddity(key: str) -> None:
    assert move(changed(lambda one: one.update({key: False}))).urns
