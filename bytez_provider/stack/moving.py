"""The state of a stack, rewritten from one face of this package to the other.

The dynamic `Model` and `Fleet` and the native ones keep the same properties in a state. What
differs is: types and so URNs, the provider, the pickled `__provider`, and a refresh before updates.
Nothing here asks Pulumi or the service. What is not understood is refused, and never guessed.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from bytez_provider.base.marks import PROVIDER_KEY, REFERENCE_KIND, SIGNATURE, secret
from bytez_provider.base.urns import (
    DYNAMIC_PROVIDER_TYPE,
    FLEET_TYPE,
    MODEL_TYPE,
    MODEL_TYPES,
    NATIVE_MODEL_TYPE,
    NATIVE_PROVIDER_TYPE,
    NATIVE_READINESS_TYPE,
    READINESS_TYPE,
    name_of,
)
from bytez_provider.core.fleets import READY_KEY, child_name
from bytez_provider.core.inputs import without_defaults

_REFRESH: Final = "refreshBeforeUpdate"
"""A key of a resource, and the name that a state with such resources must list as a feature."""
_PLAIN_VERSION, _FEATURES_VERSION = 3, 4
"""Formats of `pulumi stack export`; only the second may have features."""
_VALUES: Final = ("inputs", "outputs")
_ORIGINS: Final = ("created", "modified", "sourcePosition", "stackTrace")
_UNDERSTOOD: Final = frozenset(
    {
        *("urn", "custom", "id", "type", "parent", "provider", "protect", "importID"),
        *("dependencies", "propertyDependencies", "deletedWith", "aliases", "retainOnDelete"),
        *("customTimeouts", "additionalSecretOutputs", "ignoreChanges", "replaceOnChanges"),
        *("hideDiff", _REFRESH, *_VALUES, *_ORIGINS),
    }
)
"""What a resource of ours may have in a state; whatever else is set is not understood."""

_Resource = dict[str, Any]


@dataclass(frozen=True)
class Face:
    """One of the two ways in which this package is in a state."""

    name: str
    model: str
    readiness: str
    provider: str

    @property
    def types(self) -> tuple[str, str]:
        """The types of its resources."""
        return self.model, self.readiness


FACES: Final[Mapping[str, Face]] = {
    one.name: one
    for one in (
        Face("dynamic", MODEL_TYPE, READINESS_TYPE, DYNAMIC_PROVIDER_TYPE),
        Face("native", NATIVE_MODEL_TYPE, NATIVE_READINESS_TYPE, NATIVE_PROVIDER_TYPE),
    )
}


class UnclearError(ValueError):
    """A state that is not rewritten.

    Attributes:
        observed: What is in the way, without a full stop.
        action: What to do.
    """

    def __init__(self, observed: str, action: str) -> None:
        super().__init__(observed)
        self.observed = observed
        self.action = action


@dataclass(frozen=True)
class Moved:
    """A rewritten state.

    Attributes:
        document: The state, for `pulumi stack import`.
        urns: The new URN of each resource whose URN changes, by the old one.
        fleets: The URNs of the fleets whose models changed.
        added: The URNs of providers that it did not have.
        removed: The URNs of providers that nothing uses any more.
    """

    document: dict[str, Any]
    urns: Mapping[str, str] = field(default_factory=dict)
    fleets: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


def moved(
    document: object,
    to: str,
    *,
    pickled: Mapping[str, str],
    settings: Mapping[str, tuple[str, bool]],
    new_id: Callable[[], str],
) -> Moved:
    """Return a state with all models, readinesses and fleets of one face as those of the other.

    Args:
        document: What `pulumi stack export` prints, parsed from JSON. It is not changed.
        to: "native" or "dynamic".
        pickled: The text of `__provider` for each dynamic type.
        settings: The `bytez:` settings of the stack, and whether each is a secret. Pulumi keeps
            them in the state of a provider, and refreshes its resources with them.
        new_id: Returns a fresh UUID, for a provider that the state does not have yet.

    Raises:
        UnclearError: It has something that is not understood.
    """
    state = _checked(copy.deepcopy(document))
    new = FACES[to]
    (old,) = (face for face in FACES.values() if face is not new)
    if not any(one["type"] in old.types for one in _resources(state)):
        return Moved(state)
    return _Move(state, old, new, pickled).run(_new_provider(new, settings, new_id()))


# ---------------------------------------------------------------------------- what is refused


def _checked(document: Any) -> dict[str, Any]:
    """Return a state whose format is known and that no deployment has left unfinished."""
    update = "Export it with a Pulumi that this version of bytez_provider knows"
    if not isinstance(document, dict) or not isinstance(document.get("deployment"), dict):
        raise UnclearError("it is not what `pulumi stack export` prints", update)
    version = document.get("version")
    if version not in (_PLAIN_VERSION, _FEATURES_VERSION):
        raise UnclearError(f"its state has version {version!r}, which is not known here", update)
    deployment = document["deployment"]
    resources = deployment.get("resources") or []
    if not isinstance(resources, list) or not all(
        isinstance(one, dict) and all(isinstance(one.get(key), str) for key in ("urn", "type"))
        for one in resources
    ):
        raise UnclearError("not all of its resources have a URN and a type", update)
    if deployment.get("pending_operations"):
        raise UnclearError(
            "its last deployment was stopped in the middle of an operation",
            "Run `pulumi up` or `pulumi refresh` until it succeeds, and migrate then",
        )
    for one in resources:
        if one.get("delete") or one.get("pendingReplacement"):
            raise UnclearError(
                f"'{name_of(one['urn'])}' is still to be deleted or replaced",
                "Run `pulumi up` until it succeeds, and migrate then",
            )
    return document


def _resources(state: Mapping[str, Any]) -> list[_Resource]:
    return state["deployment"].get("resources") or []


def _refuse_unlike(resource: _Resource) -> None:
    """Refuse a resource of ours with something that could mean anything."""
    name = name_of(resource["urn"])
    if resource.get("external"):
        raise UnclearError(
            f"'{name}' is only read by the program (`get`)",
            "Remove it from the program, run `pulumi up`, migrate, and add it again",
        )
    strange = sorted(key for key, value in resource.items() if value and key not in _UNDERSTOOD)
    if strange:
        raise UnclearError(
            f"'{name}' has {', '.join(map(repr, strange))} in the state, which is not understood",
            "Run `pulumi up` until it succeeds; if it remains, move this resource by hand",
        )
    for bag in _VALUES:
        if not isinstance(resource.get(bag) or {}, dict):
            raise UnclearError(f"the {bag} of '{name}' are not an object", "Restore a valid state")


def _is_default(provider: str) -> bool:
    """Return whether Pulumi made a provider by itself, as its name says."""
    name = name_of(provider)
    return name == "default" or name.startswith("default_")


# -------------------------------------------------------------------------------- the rewriting


class _Move:
    """The rewriting of one state, from one face to the other."""

    def __init__(
        self, state: dict[str, Any], old: Face, new: Face, pickled: Mapping[str, str]
    ) -> None:
        self._state = state
        self._old = old
        self._new = new
        self._pickled = pickled
        self._types = dict(zip(old.types, new.types, strict=True))
        self._all: list[_Resource] = _resources(state)
        self._ours = [one for one in self._all if one["type"] in old.types]

    def run(self, provider: _Resource) -> Moved:
        """Check all, then rewrite all."""
        for one in self._ours:
            _refuse_unlike(one)
        fleets = self._fleets()
        self._refuse_lonely(fleets)
        urns = self._new_urns()
        providers = self._own_providers()
        members = {fleet["urn"]: self._members(fleet) for fleet in fleets}
        reference, added = self._provide(provider, providers)
        for one in self._ours:
            self._rewrite(one, reference)
        for fleet in fleets:
            self._rewrite_fleet(fleet, members[fleet["urn"]])
        for one in self._all:
            self._refer(one)
        removed = self._remove_unused(providers)
        self._refuse_leftovers(urns)
        self._set_version()
        return Moved(self._state, urns, tuple(one["urn"] for one in fleets), added, removed)

    # ------------------------------------------------------------------------------ checks

    def _children(self, fleet: _Resource) -> list[_Resource]:
        return [one for one in self._all if one.get("parent") == fleet["urn"]]

    def _fleets(self) -> list[_Resource]:
        """Return the fleets of the old face; each must be whole."""
        fleets = []
        for fleet in self._all:
            if fleet["type"] != FLEET_TYPE:
                continue
            types = {one["type"] for one in self._children(fleet)}
            if types and types <= {*self._new.types}:
                continue
            if types - {*self._old.types} or self._old.readiness not in types:
                raise UnclearError(
                    f"the fleet '{name_of(fleet['urn'])}' has other resources than its models and "
                    "its readiness, or lacks its readiness",
                    "Run `pulumi up` until it succeeds, and migrate then",
                )
            _refuse_unlike(fleet)
            fleets.append(fleet)
        return fleets

    def _members(self, fleet: _Resource) -> dict[str, _Resource]:
        """Return the models of a fleet by their keys; they must be those that it waits for."""
        name, children = name_of(fleet["urn"]), self._children(fleet)
        models = [one for one in children if one["type"] == self._old.model]
        waits = [one for one in children if one["type"] == self._old.readiness]
        found = (waits[0].get("inputs") or {}).get("members")
        keys = list(found) if isinstance(found, dict) and SIGNATURE not in found else []
        by_key = {key: one for key in keys for one in models if _is_member(one, name, key)}
        if (
            len(waits) != 1
            or name_of(waits[0]["urn"]) != child_name(name, READY_KEY)
            or len(by_key) != len(keys)
            or len(by_key) != len(models)
        ):
            raise UnclearError(
                f"the models of the fleet '{name}' are not those that its readiness waits for",
                "Run `pulumi up` until it succeeds, and migrate then",
            )
        return by_key

    def _refuse_lonely(self, fleets: list[_Resource]) -> None:
        """Refuse what only a fleet may have, outside of one."""
        urns = {one["urn"] for one in fleets}
        for one in self._ours:
            is_member = "readiness" in (one.get("inputs") or {})
            if (is_member or one["type"] == self._old.readiness) and one.get("parent") not in urns:
                raise UnclearError(
                    f"'{name_of(one['urn'])}' belongs to a fleet that the state does not have",
                    "Run `pulumi up` until it succeeds, and migrate then",
                )

    def _new_urns(self) -> dict[str, str]:
        """Return what changes of the URNs; no two resources may get the same one."""
        urns = {one["urn"]: self._urn(one["urn"]) for one in self._all}
        (twin, count), *_ = Counter(urns.values()).most_common(1)
        if count > 1:
            raise UnclearError(
                f"it has a dynamic and a native resource named '{name_of(twin)}'",
                "Remove one of them from the program, run `pulumi up`, and migrate then",
            )
        return {before: after for before, after in urns.items() if before != after}

    def _own_providers(self) -> list[_Resource]:
        """Return the providers that the resources use: only those that Pulumi makes by itself."""
        references = {
            f"{one['urn']}::{one.get('id')}": one
            for one in self._all
            if one["type"] == self._old.provider
        }
        used = {}
        for one in self._ours:
            reference = one.get("provider")
            provider = references.get(reference) if isinstance(reference, str) else None
            if provider is None or not _is_default(provider["urn"]):
                raise UnclearError(
                    f"'{name_of(one['urn'])}' has an explicit provider",
                    "Remove the option `provider` in the program, run `pulumi up`, and migrate "
                    "then",
                )
            used[provider["urn"]] = provider
        return list(used.values())

    def _refuse_leftovers(self, urns: Mapping[str, str]) -> None:
        """Refuse a state that names an old URN where none was expected."""
        for one in self._all:
            known = [one[key] for key in one if key not in (*_VALUES, *_ORIGINS)]
            left = next((text for text in _texts(known) if text in urns), None)
            if left is not None:
                raise UnclearError(
                    f"'{name_of(one['urn'])}' refers to '{name_of(left)}' in a way that is not "
                    "understood",
                    "Remove what refers to it from the program, run `pulumi up`, and migrate then",
                )

    # ---------------------------------------------------------------------------- providers

    def _provide(self, new: _Resource, olds: list[_Resource]) -> tuple[str, tuple[str, ...]]:
        """Put the new provider before all that use it; return its reference, and what is added."""
        first = min(self._all.index(one) for one in olds)
        urn = "::".join([*olds[0]["urn"].split("::", 2)[:2], self._new.provider, "default"])
        found = next((one for one in self._all if one["urn"] == urn), None)
        if found is not None:
            # It depends on nothing.
            self._all.remove(found)
        provider = found or {"urn": urn, **new}
        self._all.insert(first, provider)
        return f"{urn}::{provider['id']}", () if found else (urn,)

    def _remove_unused(self, providers: list[_Resource]) -> tuple[str, ...]:
        removed = []
        for provider in providers:
            urn = provider["urn"]
            names = (urn, f"{urn}::{provider['id']}")
            others = [one for one in self._all if one is not provider]
            if not any(text in names for text in _texts(others)):
                self._all.remove(provider)
                removed.append(urn)
        return tuple(removed)

    # ---------------------------------------------------------------------------- resources

    def _rewrite(self, resource: _Resource, provider: str) -> None:
        kind = resource["type"] = self._types[resource["type"]]
        resource["provider"] = provider
        depends = resource.setdefault("propertyDependencies", {})
        bags = [resource.setdefault(bag, {}) for bag in _VALUES]
        for bag in (*bags, depends):
            bag.pop(PROVIDER_KEY, None)
        resource.pop(_REFRESH, None)
        if self._new.provider == DYNAMIC_PROVIDER_TYPE:
            for bag in bags:
                bag[PROVIDER_KEY] = self._pickled[kind]
            depends[PROVIDER_KEY] = []
        elif kind in MODEL_TYPES:
            resource[_REFRESH] = True

    def _rewrite_fleet(self, fleet: _Resource, members: Mapping[str, _Resource]) -> None:
        """Write what a program in the new face declares: only there, a fleet has inputs."""
        outputs = fleet.get("outputs")
        if outputs:
            outputs.pop("members", None)
        fleet.pop("inputs", None)
        fleet.pop("propertyDependencies", None)
        if self._new.provider == NATIVE_PROVIDER_TYPE:
            fleet["inputs"] = {
                # What a program declares if it leaves the defaults out.
                "models": {
                    key: without_defaults(one.get("inputs") or {}) for key, one in members.items()
                }
            }

    def _urn(self, urn: str) -> str:
        """Return a URN with the new types in it: its own, and those of its parents."""
        parts = urn.split("::", 3)
        if len(parts) < 4:
            return urn
        parts[2] = "$".join(self._types.get(kind, kind) for kind in parts[2].split("$"))
        return "::".join(parts)

    def _refer(self, resource: _Resource) -> None:
        """Rewrite a resource's own URN and all by which it refers to others."""
        for key in ("urn", "parent", "deletedWith"):
            if isinstance(resource.get(key), str):
                resource[key] = self._urn(resource[key])
        for key in ("dependencies", "aliases"):
            if resource.get(key):
                resource[key] = [self._urn(one) for one in resource[key]]
        depends = resource.get("propertyDependencies") or {}
        for name, urns in depends.items():
            depends[name] = [self._urn(one) for one in urns or []]
        for bag in _VALUES:
            for value in _references(resource.get(bag)):
                value["urn"] = self._urn(value["urn"])

    def _set_version(self) -> None:
        features = [one for one in self._state.get("features") or [] if one != _REFRESH]
        features += [_REFRESH] if any(one.get(_REFRESH) for one in self._all) else []
        self._state.pop("features", None)
        self._state["version"] = _FEATURES_VERSION if features else _PLAIN_VERSION
        if features:
            # Where Pulumi writes it.
            deployment = self._state.pop("deployment")
            self._state.update(features=sorted(features), deployment=deployment)


def _new_provider(face: Face, settings: Mapping[str, tuple[str, bool]], new_id: str) -> _Resource:
    """Return the provider of a face as Pulumi would make it, without its URN."""
    provider: _Resource = {"custom": True, "id": new_id, "type": face.provider}
    if settings:
        # The host of dynamic providers gets the config of the whole stack, by full names.
        prefix = "" if face.provider == NATIVE_PROVIDER_TYPE else "bytez:"
        bag = {
            prefix + name: secret(value) if is_secret else value
            for name, (value, is_secret) in settings.items()
        }
        provider |= {"inputs": bag, "outputs": copy.deepcopy(bag)}
    return provider


def _is_member(model: _Resource, fleet: str, key: str) -> bool:
    is_member = (model.get("inputs") or {}).get("readiness") == "fleet"
    return is_member and name_of(model["urn"]) == child_name(fleet, key)


def _texts(value: object) -> Iterator[str]:
    """Yield every text in a value, and the keys of its mappings."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, one in value.items():
            yield key
            yield from _texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)


def _references(value: object) -> Iterator[dict[str, Any]]:
    """Yield the values that refer to a resource."""
    if isinstance(value, dict):
        if value.get(SIGNATURE) == REFERENCE_KIND and isinstance(value.get("urn"), str):
            yield value
        for one in value.values():
            yield from _references(one)
    elif isinstance(value, list):
        for one in value:
            yield from _references(one)
