"""What a stack's program declares, and what the SDK registers with the engine."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bytez_provider.service.settings import ApiVersion

MODEL_TYPE = "pulumi-python:dynamic/bytez:Model"
READINESS_TYPE = "pulumi-python:dynamic/bytez:Readiness"
FLEET = "crew"
READY = f"{FLEET}-ready"

Bag = dict[str, Any]


@dataclass(frozen=True)
class Declared:
    """One model, as `Model` or `ModelArgs` takes it."""

    model_id: str
    concurrency: int = 1
    expiration_period_seconds: int | None = None
    adopt: bool = False
    on_expiry: str = "reload"
    max_concurrency: int | None = None

    def for_api(self, api: ApiVersion) -> Declared:
        """Return what a program of a version declares: those of 2024 have no range."""
        if api == "2025-04":
            most = self.max_concurrency
            return self if most is None or most >= self.concurrency else self.with_most(None)
        return dataclasses.replace(self.with_most(None), concurrency=max(self.concurrency, 1))

    def with_most(self, most: int | None) -> Declared:
        """Return it with another `max_concurrency`."""
        return dataclasses.replace(self, max_concurrency=most)

    def idle_seconds(self, api: ApiVersion) -> int:
        """Return after how many idle seconds the service unloads it."""
        return self.expiration_period_seconds or (600 if api == "2025-04" else 1800)

    def inputs(self, *, in_fleet: bool) -> Bag:
        """Return the properties that reach the provider."""
        given: Bag = {
            "modelId": self.model_id,
            "concurrency": self.concurrency,
            "adopt": self.adopt,
            "onExpiry": self.on_expiry,
        }
        if self.expiration_period_seconds is not None:
            given["expirationPeriodSeconds"] = self.expiration_period_seconds
        if self.max_concurrency is not None:
            given["maxConcurrency"] = self.max_concurrency
        return {**given, "readiness": "fleet"} if in_fleet else given


@dataclass(frozen=True)
class Goal:
    """A resource that the program registers."""

    name: str
    urn: str
    inputs: Callable[[Mapping[str, Bag]], Bag]
    """Returns its properties, given the outputs of its dependencies by URN."""
    depends_on: tuple[str, ...] = ()
    aliases: frozenset[str] = frozenset()


@dataclass
class Program:
    """The models of one stack by the names of their resources; a fleet's are `crew-<key>`."""

    stack: str
    models: dict[str, Declared] = field(default_factory=dict)
    aliases: dict[str, frozenset[str]] = field(default_factory=dict)

    def urn(self, name: str) -> str:
        """Return the URN of a model's resource."""
        return f"{self._prefix(name)}{MODEL_TYPE}::{name}"

    @property
    def root_urn(self) -> str:
        """The URN of the stack itself."""
        return f"urn:pulumi:{self.stack}::fleet::pulumi:pulumi:Stack::fleet-{self.stack}"

    @property
    def ready_urn(self) -> str:
        """The URN of the fleet's readiness."""
        return f"{self._prefix(READY)}{READINESS_TYPE}::{READY}"

    def _prefix(self, name: str) -> str:
        parent = "bytez:index:Fleet$" if is_member(name) else ""
        return f"urn:pulumi:{self.stack}::fleet::{parent}"

    @property
    def members(self) -> list[str]:
        """The names of the fleet's models."""
        return [name for name in self.models if is_member(name)]

    def adopts(self, model_id: str) -> bool:
        """Tell whether the program lets a load of the model be taken over."""
        return any(one.model_id == model_id and one.adopt for one in self.models.values())

    def declare(self, name: str, declared: Declared) -> None:
        """Add a resource or change it; not one for a model that another is for."""
        others = [one.model_id for other, one in self.models.items() if other != name]
        if declared.model_id not in others:
            self.models[name] = declared
            # The engine refuses an alias that is the name of another resource of the program.
            self.aliases = {k: v - {self.urn(name)} for k, v in self.aliases.items()}

    def drop(self, name: str) -> None:
        """Remove a resource, where there is one."""
        self.models.pop(name, None)
        self.aliases.pop(name, None)

    def rename(self, old: str, new: str, *, alias: bool) -> None:
        """Give a resource another name, with or without an alias."""
        if old not in self.models or new in self.models:
            return
        was = self.aliases.get(old, frozenset()) | {self.urn(old)}
        declared = self.models[old]
        self.drop(old)
        self.declare(new, declared)
        if alias:
            self.aliases[new] = was - {self.urn(new)}

    def swap(self, one: str, other: str, *, keep: bool) -> None:
        """Let a resource have the model of another, which gets the first one's or goes."""
        first, second = self.models[one], self.models[other]
        self.models[one] = dataclasses.replace(first, model_id=second.model_id)
        if keep:
            self.models[other] = dataclasses.replace(second, model_id=first.model_id)
        else:
            self.drop(other)

    def goals(self) -> list[Goal]:
        """Return the resources in the order in which a program registers them."""
        found = [
            Goal(
                name,
                self.urn(name),
                lambda _outputs, name=name: self.models[name].inputs(  # type: ignore[misc]
                    in_fleet=is_member(name)
                ),
                aliases=self.aliases.get(name, frozenset()),
            )
            for name in sorted(self.models, key=is_member)
        ]
        if self.members:
            depends_on = tuple(map(self.urn, self.members))
            found.append(Goal(READY, self.ready_urn, self._waited_for, depends_on))
        return found

    def _waited_for(self, outputs: Mapping[str, Bag]) -> Bag:
        """Return the properties of the fleet's readiness."""
        members: Bag = {}
        for name in self.members:
            member: Bag = {
                "modelId": self.models[name].model_id,
                "created": outputs[self.urn(name)].get("created", ""),
            }
            if self.models[name].on_expiry == "accept":
                member["acceptIdle"] = True
            members[name.removeprefix(f"{FLEET}-")] = member
        return {"fleet": FLEET, "members": members}


def is_member(name: str) -> bool:
    """Return whether a resource is the fleet's."""
    return name.startswith(f"{FLEET}-")
