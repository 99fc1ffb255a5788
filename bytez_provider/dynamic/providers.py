"""The dynamic providers: Pulumi's property bags on one side, the core on the other.

A provider is pickled by the path of its class into every state that uses it. That path is a
storage format: it is `bytez_provider.provider`, wherever the code is. Nothing is kept on an
instance before `configure`.
"""

from __future__ import annotations

import functools
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
from pulumi.dynamic.dynamic import serialize_provider
from pulumi.output import Unknown

from bytez_provider.base.marks import PROVIDER_KEY
from bytez_provider.base.urns import MODEL_TYPE, READINESS_TYPE

if TYPE_CHECKING:
    # A program that declares models pickles a provider and runs none of it. What the operations
    # need is imported in the provider's own process, by the methods that use it.
    from bytez_provider.core.declared import ModelState, ReadinessState
    from bytez_provider.core.rooms import Rooms

_PICKLED_PATH = "bytez_provider.provider"

PREVIEW = "isPreview"
"""What a program adds to the inputs of a model in a preview. The check takes it out again."""


class ModelProvider(ResourceProvider):
    """Loads, reads and unloads one model per resource."""

    __module__ = _PICKLED_PATH

    # The pickle holds no secret, and as a secret it would add hundreds of bytes to every state.
    serialize_as_secret_always = False

    def configure(self, req: ConfigureRequest) -> None:
        """Read the config and make what the operations need; once per process.

        Raises:
            ConfigError: The config cannot be used. A missing key is not an error yet: a preview
                needs none.
        """
        self._lifecycle = _configured(req).lifecycle

    def check(self, olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Normalise the inputs, or say what is wrong with them."""
        from bytez_provider.dynamic.host import current_call

        known, unknown = _split(news)
        # It separates a preview from a deployment, and goes no further: it is in no state or plan.
        self._lifecycle.deploys(is_preview=known.pop(PREVIEW, False) is True)
        with current_call() as call:
            checked = self._lifecycle.check(known, olds.get("modelId"), call, frozenset(unknown))
        if checked.inputs is None or checked.problems:
            failures = [CheckFailure(name, reason) for name, reason in checked.problems]
            return CheckResult(news, failures)
        return CheckResult({**checked.inputs.bag(), **unknown}, [])

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Say what a change of the inputs asks for."""
        from bytez_provider.core.inputs import INPUTS
        from bytez_provider.dynamic.host import current_call

        known, unknown = _split(news)
        with current_call() as call:
            change = self._lifecycle.diff(_model(olds), known, frozenset(unknown), call)
        return DiffResult(
            changes=change.needed,
            replaces=[INPUTS[name].in_state for name in change.replaces],
            # The service holds one load of a model: the new one cannot exist beside the old one.
            delete_before_replace=True,
        )

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Load the model and wait until it is RUNNING."""
        from bytez_provider.core.declared import declared
        from bytez_provider.dynamic.host import current_call

        with current_call() as call:
            state = self._lifecycle.create(declared(_split(props)[0]), call)
        return CreateResult(state.model_id, state.bag())

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """Return the model as it is now, or nothing if its load is gone."""
        from bytez_provider.dynamic.host import current_call

        if "endpoint" not in props:
            # A read by id (`Model.get`) has the program's inputs only, a refresh the outputs too.
            return ReadResult(id_, self._lifecycle.get(id_).bag())
        with current_call() as call:
            state = self._lifecycle.read(_model(props), call)
        if state is None:
            return ReadResult("", {})
        return ReadResult(id_, state.bag(), None if state.read_only else state.inputs().bag())

    def update(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Apply inputs that need no replacement, and finish a load that is not RUNNING."""
        from bytez_provider.core.declared import declared
        from bytez_provider.dynamic.host import current_call

        with current_call() as call:
            new = declared(_split(news)[0])
            return UpdateResult(self._lifecycle.update(_model(olds), new, call).bag())

    def delete(self, _id: str, props: dict[str, Any]) -> None:
        """Unload the load that the state names."""
        from bytez_provider.dynamic.host import current_call

        with current_call() as call:
            self._lifecycle.delete(_model(props), call)


class ReadinessProvider(ResourceProvider):
    """Waits for all models of a fleet; loads none of them."""

    __module__ = _PICKLED_PATH

    serialize_as_secret_always = False

    def configure(self, req: ConfigureRequest) -> None:
        """Read the config and share with the models what the operations need.

        Raises:
            ConfigError: The config cannot be used.
        """
        self._readiness = _configured(req).readiness

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Say whether there is something to wait for; never a replacement."""
        is_known = not _holds_unknown(news)
        news_known = _split(news)[0] if is_known else None
        return DiffResult(changes=self._readiness.diff(_readiness(olds), news_known))

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Wait until all models are RUNNING."""
        outs = self._wait(props)
        return CreateResult(outs["fleet"], outs)

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """Return the readiness as it is now, or nothing if the fleet is not ready."""
        state = self._readiness.read(_readiness(props))
        return ReadResult("", {}) if state is None else ReadResult(id_, state.bag())

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Wait until all models are RUNNING."""
        return UpdateResult(self._wait(news))

    def _wait(self, props: dict[str, Any]) -> dict[str, Any]:
        from bytez_provider.core.declared import ReadinessInputs
        from bytez_provider.dynamic.host import current_call

        inputs = ReadinessInputs.of(_split(props)[0])
        with current_call() as call:
            return self._readiness.wait(inputs, call).bag()


def pickled() -> dict[str, str]:
    """Return what Pulumi writes into a state as the provider of a resource, by the type."""
    return {
        MODEL_TYPE: serialize_provider(ModelProvider()),
        READINESS_TYPE: serialize_provider(ReadinessProvider()),
    }


def _split(bag: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split a property bag into what is known and what is not, without the provider itself."""
    known: dict[str, Any] = {}
    unknown: dict[str, Any] = {}
    for name, value in bag.items():
        if name != PROVIDER_KEY:
            (unknown if isinstance(value, Unknown) else known)[name] = value
    return known, unknown


def _holds_unknown(value: object) -> bool:
    """Return whether something within a value is unknown."""
    if isinstance(value, Mapping):
        return any(map(_holds_unknown, value.values()))
    return isinstance(value, Unknown)


def _model(bag: Mapping[str, Any]) -> ModelState:
    from bytez_provider.core.rooms import model_state

    return model_state(_split(bag)[0])


def _readiness(bag: Mapping[str, Any]) -> ReadinessState:
    from bytez_provider.core.rooms import readiness_state

    return readiness_state(_split(bag)[0])


def _configured(req: ConfigureRequest) -> Rooms:
    from bytez_provider.core.rooms import own_environment
    from bytez_provider.dynamic import host
    from bytez_provider.service.settings import SETTINGS

    host.prepare()
    # Also those that do not exist, so that a slip in a name is found.
    names = {f"bytez:{name}" for name in SETTINGS} | host.names_in(req.config, "bytez:")
    config = [(n, value) for n in sorted(names) if (value := req.config.get(n)) is not None]
    return _rooms(tuple(config), tuple(own_environment().items()))


@functools.cache
def _rooms(config: tuple[tuple[str, str], ...], environ: tuple[tuple[str, str], ...]) -> Rooms:
    """Make what the operations need, once for all that are configured alike."""
    from bytez_provider.core.rooms import make_rooms
    from bytez_provider.dynamic.host import HostLog

    return make_rooms(dict(config), dict(environ), HostLog())
