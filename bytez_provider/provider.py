"""The dynamic face: Pulumi's property bags on one side, `lifecycle` on the other.

The dotted path of a provider class is pickled, by reference, into every state that uses it. It is
a storage format: it never changes, and nothing is kept on an instance before `configure`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pulumi.dynamic import (
    CheckFailure,
    CheckResult,
    ConfigureRequest,
    CreateResult,
    DiffResult,
    ReadResult,
    ResourceProvider,
    UpdateResult,
)
from pulumi.output import Unknown

if TYPE_CHECKING:
    # A program that declares models pickles a provider and runs none of it. What the rooms below
    # need is loaded in the provider's own process, by the methods that use it.
    from bytez_provider.lifecycle import Lifecycle

_CONFIG_NAMES = ("key", "endpoint", "dialect", "catalogue", "pricePerGbSecond")
_PROVIDER_KEY = "__provider"
_UNKNOWN_ID = "unknown/unknown"


class ModelProvider(ResourceProvider):
    """Loads, reads and unloads one model a resource."""

    # The pickle holds no secret, and as a secret it would add hundreds of bytes to every state.
    serialize_as_secret_always = False

    def configure(self, req: ConfigureRequest) -> None:
        """Reach the host, read the config and make the rooms below; once a process.

        Raises:
            ConfigError: The config cannot be used. A missing key is not an error yet: a preview
                needs none.
        """
        from bytez_provider import host

        host.prepare()
        config = {f"bytez:{name}": req.config.get(f"bytez:{name}") for name in _CONFIG_NAMES}
        self._lifecycle = _lifecycle({k: v for k, v in config.items() if v is not None})

    def check(self, olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Normalise the inputs, or say what is wrong with them."""
        from bytez_provider.host import current_call

        known, unknown = _split(news)
        if "modelId" in unknown:
            known["modelId"] = _UNKNOWN_ID
        old_model_id = _UNKNOWN_ID if "modelId" in unknown else olds.get("modelId")
        with current_call() as call:
            checked = self._lifecycle.check(known, old_model_id)
            if "modelId" not in unknown:
                for warning in checked.warnings:
                    call.warn(warning)
        if checked.inputs is None or checked.problems:
            failures = [CheckFailure(name, reason) for name, reason in checked.problems]
            return CheckResult(news, failures)
        return CheckResult({**checked.inputs.bag(), **unknown}, [])

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Say what a change of the inputs asks for."""
        from pydantic.alias_generators import to_camel, to_snake

        from bytez_provider.lifecycle import diff
        from bytez_provider.schemas import ModelInputs, ModelState

        known, unknown = _split(news)
        if "modelId" in unknown:
            known["modelId"] = olds["modelId"]
        change = diff(
            ModelState.model_validate(_split(olds)[0]),
            ModelInputs.model_validate(known),
            frozenset(map(to_snake, unknown)),
        )
        return DiffResult(
            changes=change.needed,
            replaces=[to_camel(name) for name in change.replaces],
            # The service holds one instance a model: the new one cannot stand beside the old one.
            delete_before_replace=True,
        )

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Load the model and wait until it is RUNNING."""
        from bytez_provider.host import current_call
        from bytez_provider.schemas import ModelInputs

        inputs = ModelInputs.model_validate(_split(props)[0])
        with current_call() as call:
            state = self._lifecycle.create(inputs, call)
        return CreateResult(inputs.model_id, state.bag())

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """Return the model as it is now, or nothing where its load is gone."""
        from bytez_provider.host import current_call
        from bytez_provider.schemas import ModelState

        known = _split(props)[0]
        if "status" not in known:
            # A read by id (`Model.get`) has the program's inputs only, a refresh the outputs too.
            found = self._lifecycle.get(id_)
            return ReadResult(id_, found.bag())
        with current_call() as call:
            state = self._lifecycle.read(ModelState.model_validate(known), call)
        if state is None:
            return ReadResult("", {})
        return ReadResult(id_, state.bag(), state.inputs().bag())

    def update(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Take over inputs that need no replacement, and finish a load that is not RUNNING."""
        from bytez_provider.host import current_call
        from bytez_provider.schemas import ModelInputs, ModelState

        old = ModelState.model_validate(_split(olds)[0])
        with current_call() as call:
            new = ModelInputs.model_validate(_split(news)[0])
            return UpdateResult(self._lifecycle.update(old, new, call).bag())

    def delete(self, _id: str, props: dict[str, Any]) -> None:
        """Unload the load that the state names."""
        from bytez_provider.host import current_call
        from bytez_provider.schemas import ModelState

        with current_call() as call:
            self._lifecycle.delete(ModelState.model_validate(_split(props)[0]), call)


def _split(bag: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split a property bag into what is known and what is not, less the provider itself."""
    known: dict[str, Any] = {}
    unknown: dict[str, Any] = {}
    for name, value in bag.items():
        if name != _PROVIDER_KEY:
            (unknown if isinstance(value, Unknown) else known)[name] = value
    return known, unknown


def _lifecycle(config: Mapping[str, str]) -> Lifecycle:
    """Make the rooms below from the stack's config and the environment."""
    from bytez_provider.catalogue import CatalogueSource
    from bytez_provider.client import BytezClient
    from bytez_provider.clock import SystemClock
    from bytez_provider.config import read_settings
    from bytez_provider.host import current_call
    from bytez_provider.journal import Journal, journal_folder
    from bytez_provider.lifecycle import Consent, Lifecycle
    from bytez_provider.waiter import Waiter

    def warn(message: str) -> None:
        with current_call() as call:
            call.warn(message)

    settings = read_settings(config, os.environ)
    clock = SystemClock()
    client = BytezClient(settings, clock=clock)
    return Lifecycle(
        settings=settings,
        client=client,
        catalogue=CatalogueSource(settings, client),
        journal=Journal(
            journal_folder(os.environ),
            endpoint=settings.endpoint,
            account=settings.account,
            warn=warn,
        ),
        waiter=Waiter(client, clock, quiet=bool(os.environ.get("CI"))),
        consent=Consent.from_environ(os.environ),
    )
