"""The dynamic providers: Pulumi's property bags on one side, `lifecycle` on the other.

A provider is pickled by the path of its class into every state that uses it. That path is a
storage format: it is `bytez_provider.provider`, wherever the code is. Nothing is kept on an
instance before `configure`.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

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
    from bytez_provider.core.declared import ModelState, ReadinessState
    from bytez_provider.core.lifecycle import Lifecycle
    from bytez_provider.core.readiness import Readiness

    _State = TypeVar("_State", ModelState, ReadinessState)

_CONFIG_NAMES = ("key", "endpoint", "apiVersion", "dialect", "catalogue", "pricePerGbSecond")
_PROVIDER_KEY = "__provider"
_PICKLED_PATH = "bytez_provider.provider"
_UNKNOWN_ID = "unknown/unknown"

PREVIEW = "isPreview"
"""What a program adds to the inputs of a model in a preview. The check takes it out again."""


class ModelProvider(ResourceProvider):
    """Loads, reads and unloads one model a resource."""

    __module__ = _PICKLED_PATH

    # The pickle holds no secret, and as a secret it would add hundreds of bytes to every state.
    serialize_as_secret_always = False

    def configure(self, req: ConfigureRequest) -> None:
        """Reach the host, read the config and make the rooms below; once a process.

        Raises:
            ConfigError: The config cannot be used. A missing key is not an error yet: a preview
                needs none.
        """
        self._lifecycle = _configured(req).lifecycle

    def check(self, olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Normalise the inputs, or say what is wrong with them."""
        from bytez_provider.dynamic.host import current_call

        known, unknown = _split(news)
        # It tells a preview from a deployment, and goes no further: no state or plan has it.
        self._lifecycle.deploys(is_preview=known.pop(PREVIEW, False) is True)
        if "modelId" in unknown:
            known["modelId"] = _UNKNOWN_ID
        old_model_id = _UNKNOWN_ID if "modelId" in unknown else olds.get("modelId")
        marker = {k: known.pop(k) for k in ("readiness",) if k in known}
        with current_call() as call:
            urn = None if "modelId" in unknown else call.urn
            checked = self._lifecycle.check(known, old_model_id, urn)
            if "modelId" not in unknown:
                for warning in checked.warnings:
                    call.warn(warning)
        if checked.inputs is None or checked.problems:
            failures = [CheckFailure(name, reason) for name, reason in checked.problems]
            return CheckResult(news, failures)
        return CheckResult({**checked.inputs.bag(), **unknown, **marker}, [])

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Say what a change of the inputs asks for."""
        from pydantic.alias_generators import to_camel, to_snake

        from bytez_provider.core.declared import ModelState, declared
        from bytez_provider.core.lifecycle import OUTAGE, diff
        from bytez_provider.dynamic.host import current_call

        known, unknown = _split(news)
        if "modelId" in unknown:
            known["modelId"] = olds["modelId"]
        old = _kept(ModelState, olds)
        change = diff(old, declared(known), frozenset(map(to_snake, unknown)))
        with current_call() as call:
            if change.replaces:
                call.warn(f"'{olds['modelId']}' {OUTAGE}")
            else:
                self._lifecycle.keeps(old, call.urn)
        return DiffResult(
            changes=change.needed,
            replaces=[to_camel(name) for name in change.replaces],
            # The service holds one instance a model: the new one cannot stand beside the old one.
            delete_before_replace=True,
        )

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Load the model and wait until it is RUNNING."""
        from bytez_provider.core.declared import declared
        from bytez_provider.dynamic.host import current_call

        inputs = declared(_split(props)[0])
        with current_call() as call:
            state = self._lifecycle.create(inputs, call)
        return CreateResult(inputs.model_id, state.bag())

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """Return the model as it is now, or nothing where its load is gone."""
        from bytez_provider.core.declared import ModelState
        from bytez_provider.dynamic.host import current_call

        known = _split(props)[0]
        if "endpoint" not in known:
            # A read by id (`Model.get`) has the program's inputs only, a refresh the outputs too.
            found = self._lifecycle.get(id_)
            return ReadResult(id_, found.bag())
        old = _kept(ModelState, known)
        with current_call() as call:
            if old.read_only:
                seen = self._lifecycle.look_again(old, call)
                return ReadResult(id_, seen.bag()) if seen else ReadResult("", {})
            state = self._lifecycle.read(old, call)
        if state is None:
            return ReadResult("", {})
        return ReadResult(id_, state.bag(), state.inputs().bag())

    def update(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Take over inputs that need no replacement, and finish a load that is not RUNNING."""
        from bytez_provider.core.declared import ModelState, declared
        from bytez_provider.dynamic.host import current_call

        old = _kept(ModelState, olds)
        with current_call() as call:
            new = declared(_split(news)[0])
            return UpdateResult(self._lifecycle.update(old, new, call).bag())

    def delete(self, _id: str, props: dict[str, Any]) -> None:
        """Unload the load that the state names."""
        from bytez_provider.core.declared import ModelState
        from bytez_provider.dynamic.host import current_call

        with current_call() as call:
            self._lifecycle.delete(_kept(ModelState, props), call)


class ReadinessProvider(ResourceProvider):
    """Waits for all models of a fleet; loads none of them."""

    __module__ = _PICKLED_PATH

    serialize_as_secret_always = False

    def configure(self, req: ConfigureRequest) -> None:
        """Reach the host, read the config and share the rooms below with the models.

        Raises:
            ConfigError: The config cannot be used.
        """
        self._readiness = _configured(req).readiness

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Say whether there is something to wait for; never a replacement."""
        from bytez_provider.core.declared import ReadinessInputs, ReadinessState

        old = _kept(ReadinessState, olds)
        known, unknown = _split(news)
        if unknown or _holds_unknown(known):
            return DiffResult(changes=True)
        new = ReadinessInputs.model_validate(known)
        same = (old.fleet, old.members) == (new.fleet, new.members)
        return DiffResult(changes=not (same and old.ready))

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Wait until all models are RUNNING."""
        outs = self._wait(props)
        return CreateResult(outs["fleet"], outs)

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """Return the readiness as it is now, or nothing where the fleet is not ready."""
        from bytez_provider.core.declared import ReadinessState

        state = self._readiness.read(_kept(ReadinessState, props))
        return ReadResult("", {}) if state is None else ReadResult(id_, state.bag())

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Wait until all models are RUNNING."""
        return UpdateResult(self._wait(news))

    def _wait(self, props: dict[str, Any]) -> dict[str, Any]:
        from bytez_provider.core.declared import ReadinessInputs
        from bytez_provider.dynamic.host import current_call

        inputs = ReadinessInputs.model_validate(_split(props)[0])
        with current_call() as call:
            return self._readiness.wait(inputs, call).bag()


def _split(bag: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split a property bag into what is known and what is not, less the provider itself."""
    known: dict[str, Any] = {}
    unknown: dict[str, Any] = {}
    for name, value in bag.items():
        if name != _PROVIDER_KEY:
            (unknown if isinstance(value, Unknown) else known)[name] = value
    return known, unknown


def _kept(kind: type[_State], bag: Mapping[str, Any]) -> _State:
    """Read what Pulumi's state holds of a resource.

    Raises:
        InvalidInputError: It is not what was written there: a state may be edited by hand.
    """
    from pydantic import ValidationError

    from bytez_provider.base.errors import InvalidInputError, printable
    from bytez_provider.core.declared import problems_of

    known = _split(bag)[0]
    try:
        return kind.model_validate(known)
    except ValidationError as error:
        name, reason = problems_of(error)[0]
        raise InvalidInputError(
            verb="read the state of",
            subject=printable(str(known.get("modelId") or known.get("fleet") or ""), limit=100),
            observed=f"its {name} {reason}",
            state="The state is as it was",
            action="Mend it with `pulumi stack export` and `pulumi stack import`, or take the "
            "resource out with `pulumi state delete`",
        ) from None


def _holds_unknown(value: object) -> bool:
    """Tell whether there is something unknown anywhere within a value."""
    if isinstance(value, Mapping):
        return any(map(_holds_unknown, value.values()))
    return isinstance(value, Unknown)


@dataclass(frozen=True)
class _Rooms:
    """What one process works with: the providers share what it knows and its one poller."""

    lifecycle: Lifecycle
    readiness: Readiness


def _configured(req: ConfigureRequest) -> _Rooms:
    from bytez_provider.dynamic import host

    host.prepare()
    names = (f"bytez:{name}" for name in _CONFIG_NAMES)
    config = [(name, req.config.get(name)) for name in names]
    environ = [(k, v) for k, v in os.environ.items() if k.startswith("BYTEZ_") or k == "CI"]
    return _rooms(tuple(item for item in config if item[1] is not None), tuple(environ))


_Items = tuple[tuple[str, str], ...]


@functools.cache
def _rooms(config: _Items, environment: _Items) -> _Rooms:
    """Make the rooms below, once for all that are configured alike."""
    from bytez_provider.base.clock import SystemClock
    from bytez_provider.core.lifecycle import Lifecycle
    from bytez_provider.core.ownership import Ledger, open_store, stack_identity
    from bytez_provider.core.readiness import Readiness
    from bytez_provider.core.waiter import Waiter
    from bytez_provider.dynamic.host import current_call
    from bytez_provider.service.catalogue import CatalogueSource
    from bytez_provider.service.client import BytezClient
    from bytez_provider.service.settings import read_settings

    def warn(message: str) -> None:
        with current_call() as call:
            call.warn(message)

    environ = dict(environment)
    settings = read_settings(dict(config), environ)
    clock = SystemClock()
    client = BytezClient(settings, clock=clock)
    waiter = Waiter(client, clock, quiet=bool(environ.get("CI")))
    store = open_store(environ, warn)
    folder = Path.cwd()
    ledger = Ledger(
        store,
        endpoint=settings.endpoint,
        account=settings.account,
        clock=clock,
        identity=lambda: stack_identity(os.environ, folder, is_shared=store.is_shared),
        warn=warn,
    )
    lifecycle = Lifecycle(
        settings=settings,
        client=client,
        catalogue=CatalogueSource(settings, client),
        ledger=ledger,
        waiter=waiter,
    )
    readiness = Readiness(
        lifecycle=lifecycle,
        poller=waiter.poller,
        clock=clock,
        server_now=client.server_now,
        quiet=waiter.quiet,
    )
    return _Rooms(lifecycle, readiness)
