"""What one process works with, made from the config and the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from bytez_provider.base.clock import SystemClock
from bytez_provider.base.properties import PropertiesError
from bytez_provider.core import messages
from bytez_provider.core.caller import Log
from bytez_provider.core.declared import ModelState, ReadinessState
from bytez_provider.core.lifecycle import Lifecycle
from bytez_provider.core.ownership import Ledger, open_store, stack_identity
from bytez_provider.core.readiness import Readiness
from bytez_provider.core.waiting import Waiter
from bytez_provider.service.catalogue import CatalogueSource
from bytez_provider.service.client import BytezClient
from bytez_provider.service.settings import read_settings

_State = TypeVar("_State", ModelState, ReadinessState)


@dataclass(frozen=True)
class Rooms:
    """The operations on models and fleets. They share what the process knows and its poller."""

    lifecycle: Lifecycle
    readiness: Readiness


def own_environment() -> dict[str, str]:
    """Return the variables of the environment that the operations depend on."""
    return {k: v for k, v in os.environ.items() if k.startswith("BYTEZ_") or k == "CI"}


def model_state(bag: Mapping[str, Any]) -> ModelState:
    """Read what Pulumi's state keeps of a model.

    Raises:
        InvalidInputError: It is not what was written there: a state may be edited by hand.
    """
    return _read(ModelState, bag, "modelId")


def readiness_state(bag: Mapping[str, Any]) -> ReadinessState:
    """Read what Pulumi's state keeps of a fleet's readiness; raises as `model_state`."""
    return _read(ReadinessState, bag, "fleet")


def _read(kind: type[_State], bag: Mapping[str, Any], name: str) -> _State:
    try:
        return kind.of(bag)
    except PropertiesError as error:
        subject = str(bag.get(name) or "")
        raise messages.unreadable_state(subject, *error.problems[0]) from None


def make_rooms(
    config: Mapping[str, str],
    environ: Mapping[str, str],
    log: Log,
    *,
    folder: Path | None = None,
) -> Rooms:
    """Make the operations for a deployment of the stack of this process.

    Args:
        config: The stack's `bytez:` config, by full name.
        environ: The BYTEZ_ variables, and CI.
        log: Shows warnings, and a line about each request if the environment asks for that.
        folder: The folder of the project, or below it; by default the working folder.

    Raises:
        ConfigError: The config cannot be used. A missing key is not an error yet: a preview needs
            none.
    """
    settings = read_settings(config, environ)
    clock = SystemClock()
    client = BytezClient(settings, clock=clock, log=log.debug)
    store = open_store(settings, log.warn)
    place = folder or Path.cwd()
    ledger = Ledger(
        store,
        endpoint=settings.endpoint,
        account=settings.account,
        clock=clock,
        identity=lambda: stack_identity(os.environ, place, is_shared=store.is_shared),
        warn=log.warn,
    )
    waiter = Waiter(client, clock, quiet=bool(environ.get("CI")))
    lifecycle = Lifecycle(
        settings=settings,
        client=client,
        catalogue=CatalogueSource(settings, client),
        ledger=ledger,
        waiter=waiter,
    )
    return Rooms(lifecycle, Readiness(lifecycle=lifecycle, waiter=waiter))
