"""The models that a stack's state names, read from what `pulumi stack export` prints.

A state may be older than this package, cut down, or written by hand: what cannot be read of a
resource is unknown, and never an error. Nothing here asks Pulumi or the service.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from bytez_provider.base.marks import PROVIDER_KEY, is_hidden, masked
from bytez_provider.base.properties import PropertiesError
from bytez_provider.base.urns import (
    MODEL_TYPES,
    NATIVE_MODEL_TYPE,
    name_of,
    project_of,
    stack_of,
    type_of,
)
from bytez_provider.core.declared import ModelState
from bytez_provider.core.ownership import Named
from bytez_provider.service.schemas import NOT_LOADED, moment_of


@dataclass(frozen=True)
class StackModel:
    """A model that a stack's state names.

    Attributes:
        urn: The resource; "" if the state does not say.
        model_id: The model, as `owner/name`.
        inputs: What the program declares: camelCase, without what cannot be read.
        outputs: What was found of it, in the same form.
        protect: Whether Pulumi refuses to delete it.
        external: Whether the program only reads it (`Model.get`), and another one manages it.
        pending_deletion: Whether it was replaced, and its own load is still to be unloaded.
        unreadable: The properties that are set, but that `inputs` or `outputs` leave out: a secret,
            or a value that was not known when the state was saved.
    """

    urn: str
    model_id: str
    inputs: Mapping[str, Any] = field(default_factory=dict)
    outputs: Mapping[str, Any] = field(default_factory=dict)
    protect: bool = False
    external: bool = False
    pending_deletion: bool = False
    unreadable: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """The name of the resource."""
        return name_of(self.urn)

    @property
    def stack(self) -> str:
        """The name of the stack."""
        return stack_of(self.urn)

    @property
    def project(self) -> str:
        """The name of the project."""
        return project_of(self.urn)

    @property
    def is_native(self) -> bool:
        """Whether the plugin manages it, so that each `up` refreshes it without being asked to."""
        return type_of(self.urn) == NATIVE_MODEL_TYPE

    @property
    def is_managed(self) -> bool:
        """Whether the stack means to keep this load."""
        return not self.external and not self.pending_deletion

    @property
    def readiness(self) -> str | None:
        """Who waits for it: "fleet" for a model of a Fleet, None for the resource itself."""
        found = self.inputs.get("readiness", self.outputs.get("readiness"))
        return found if isinstance(found, str) else None

    @property
    def created(self) -> datetime | None:
        """What identifies the load; None if the state does not know it."""
        return moment_of(self.outputs.get("created"))

    @cached_property
    def state(self) -> ModelState | None:
        """All of it as the provider reads it; None if a part of it cannot be read."""
        try:
            return ModelState.of({"modelId": self.model_id, **self.inputs, **self.outputs})
        except PropertiesError:
            return None

    def is_of(self, endpoint: str, account: str, api_version: str | None = None) -> bool:
        """Return whether it may be of this account: what cannot be read may be anything.

        Args:
            endpoint: The address of the service.
            account: A hash of the key, as a state keeps it.
            api_version: The version of the API, as a state keeps it: None for those of 2024.
        """
        has_place = isinstance(self.outputs.get("endpoint"), str)
        is_readable = "apiVersion" not in self.unreadable
        if has_place and is_readable and self.outputs.get("apiVersion") != api_version:
            return False
        return all(
            self.outputs.get(name) == value or not isinstance(self.outputs.get(name), str)
            for name, value in (("endpoint", endpoint), ("account", account))
        )


def named_load(outputs: Mapping[str, Any]) -> Named | None:
    """Return the load that the outputs in a state name; None if they name none."""
    if outputs.get("status") == NOT_LOADED:
        return None
    adopted_at = outputs.get("adoptedAt")
    return Named(
        moment_of(outputs.get("created")), adopted_at if isinstance(adopted_at, str) else None
    )


def models_of(document: object) -> list[StackModel]:
    """Return the models of a state, in its order, with those that are external or pending.

    Args:
        document: What `pulumi stack export` prints, parsed from JSON. Secrets remain hidden, also
            after an export with `--show-secrets`.

    Raises:
        ValueError: it is not the state of a stack.
    """
    deployment = document.get("deployment") if isinstance(document, dict) else None
    if not isinstance(deployment, dict):
        raise ValueError("it has no deployment, as what `pulumi stack export` prints has")
    resources = deployment.get("resources")
    if not isinstance(resources, list | None):
        raise ValueError("its resources are not a list")
    return list(_models_among(resources or []))


def _models_among(resources: list[object]) -> Iterator[StackModel]:
    for resource in resources:
        if not isinstance(resource, dict) or resource.get("type") not in MODEL_TYPES:
            continue
        bags = [_masked(resource.get(name)) for name in ("inputs", "outputs")]
        inputs, outputs = ({k: v for k, v in bag.items() if not is_hidden(v)} for bag in bags)
        ids = (resource.get("id"), outputs.get("modelId"), inputs.get("modelId"))
        model_id = next((one for one in ids if one and isinstance(one, str)), None)
        if model_id is None:
            continue
        urn = resource.get("urn")
        yield StackModel(
            urn=urn if isinstance(urn, str) else "",
            model_id=model_id,
            inputs=inputs,
            outputs=outputs,
            protect=resource.get("protect") is True,
            external=resource.get("external") is True,
            pending_deletion=resource.get("delete") is True,
            unreadable=frozenset(name for bag in bags for name in bag if is_hidden(bag[name])),
        )


def _masked(bag: object) -> dict[str, Any]:
    """Return the properties of a bag with its secrets masked, less the pickled provider."""
    if not isinstance(bag, dict):
        return {}
    return {name: masked(value) for name, value in bag.items() if name != PROVIDER_KEY}
