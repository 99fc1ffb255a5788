"""What one process works with, made from the config and the environment."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bytez_provider.base.clock import SystemClock
from bytez_provider.core.lifecycle import Lifecycle
from bytez_provider.core.ownership import Ledger, open_store, stack_identity
from bytez_provider.core.readiness import Readiness
from bytez_provider.core.waiting import Waiter
from bytez_provider.service.catalogue import CatalogueSource
from bytez_provider.service.client import BytezClient
from bytez_provider.service.settings import read_settings


@dataclass(frozen=True)
class Rooms:
    """The operations on models and fleets. They share what the process knows and its poller."""

    lifecycle: Lifecycle
    readiness: Readiness


def make_rooms(
    config: Mapping[str, str], environ: Mapping[str, str], warn: Callable[[str], None]
) -> Rooms:
    """Make the operations for a deployment of the stack of this process.

    Args:
        config: The stack's `bytez:` config, by full name.
        environ: The BYTEZ_ variables, and CI.
        warn: Shows a warning.

    Raises:
        ConfigError: The config cannot be used. A missing key is not an error yet: a preview needs
            none.
    """
    settings = read_settings(config, environ)
    clock = SystemClock()
    client = BytezClient(settings, clock=clock)
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
    waiter = Waiter(client, clock, quiet=bool(environ.get("CI")))
    lifecycle = Lifecycle(
        settings=settings,
        client=client,
        catalogue=CatalogueSource(settings, client),
        ledger=ledger,
        waiter=waiter,
    )
    return Rooms(lifecycle, Readiness(lifecycle=lifecycle, waiter=waiter))
