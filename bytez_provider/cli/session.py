"""What a command works with: the settings, and the rooms above them, each made on first use."""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from bytez_provider.base.clock import SystemClock
from bytez_provider.base.errors import InvalidInputError, UnknownModelError, printable
from bytez_provider.cli.stack import stack_config
from bytez_provider.core.declared import ModelInputs, problems_of
from bytez_provider.core.lifecycle import Lifecycle
from bytez_provider.core.ownership import (
    Ledger,
    Owner,
    Record,
    StackIdentity,
    open_store,
    stack_identity,
)
from bytez_provider.core.waiting import Waiter
from bytez_provider.service.catalogue import CatalogueSource
from bytez_provider.service.client import BytezClient
from bytez_provider.service.schemas import Instance
from bytez_provider.service.settings import read_settings

if TYPE_CHECKING:
    from bytez_provider.cli.screen import Screen

_TRIES = 3
"""Of a first question: it ends within seconds, and who asked can ask again."""
_ASKED_AT_ONCE = 16

NOBODY = Owner(urn="")
"""Who asks for something by hand: no stack's resource."""


class Session:
    """One run of a command.

    Raises:
        ConfigError: the stack or a setting cannot be used. A missing key is not an error yet.
    """

    def __init__(self, stack: str | None, screen: Screen) -> None:
        self.stack = stack
        self.screen = screen
        self.stack_config = stack_config(stack) if stack else {}
        self.settings = read_settings(self.stack_config, os.environ)
        self.clock = SystemClock()
        self.client = BytezClient(self.settings, clock=self.clock)
        self.catalogue = CatalogueSource(self.settings, self.client)

    @cached_property
    def ledger(self) -> Ledger:
        """The journal of this account. A command deploys no stack, and owns no load.

        Raises:
            ConfigError: BYTEZ_JOURNAL names no place for it.
        """
        return Ledger(
            open_store(os.environ, self.screen.warn),
            endpoint=self.settings.endpoint,
            account=self.settings.account,
            clock=self.clock,
        )

    @cached_property
    def identity(self) -> StackIdentity:
        """Where `pulumi` keeps the states of the project in this folder.

        Raises:
            ConfigError: See `ledger`.
        """
        return stack_identity(os.environ, Path.cwd(), is_shared=self.ledger.store.is_shared)

    def held(self, records: Iterable[Record]) -> frozenset[str]:
        """Return the models on whose load a living process works right now.

        Of a process on another machine it takes seconds to see whether it lives.

        Raises:
            JournalError: A shared journal cannot be read.
        """
        worked_on = [record for record in records if record.holder is not None]
        with ThreadPoolExecutor(_ASKED_AT_ONCE) as pool:
            lives = list(pool.map(self.ledger.is_held, worked_on))
        return frozenset(
            one.model_id for one, is_held in zip(worked_on, lives, strict=True) if is_held
        )

    @cached_property
    def lifecycle(self) -> Lifecycle:
        """Loading and unloading, as the provider does it."""
        return Lifecycle(
            settings=self.settings,
            client=self.client,
            catalogue=self.catalogue,
            ledger=self.ledger,
            waiter=Waiter(self.client, self.clock, quiet=not self.screen.redraws_progress),
        )

    def inputs(self, verb: str, model_id: str, **given: int | None) -> ModelInputs:
        """Return what was asked for on the command line, in the form that a program declares it.

        Raises:
            InvalidInputError: it cannot be.
            MissingKeyError: there is no key to ask with.
        """
        try:
            inputs = ModelInputs.model_validate({"modelId": model_id, **given})
        except ValidationError as error:
            name, reason = problems_of(error)[0]
            observed = reason if name == "modelId" else f"{name} {reason}"
            raise InvalidInputError(
                verb=verb,
                subject=printable(model_id, limit=100),
                observed=f"the name {observed}" if name == "modelId" else observed,
                action=self._nearest(model_id) if name == "modelId" else "Give another value",
            ) from None
        self.settings.require_key(verb, model_id)
        return inputs

    def live(self, model_id: str) -> Instance | None:
        """Return the instance of a model; None when it is not loaded.

        Raises:
            ApiError: see `BytezClient`.
        """
        return self.client.status(model_id, tries=_TRIES)

    def refuse_unknown(self, verb: str, model_id: str) -> None:
        """Refuse a model that does not exist, and only warn where that is not sure.

        Raises:
            UnknownModelError: the service's catalogue does not have it.
        """
        catalogue = self.catalogue.get()
        if self.settings.catalogue == "off" or catalogue.find(model_id) is not None:
            return
        if not catalogue.is_live:
            self.screen.warn(
                f"'{model_id}' is not in the catalogue that came with this package. "
                f"{self._nearest(model_id)}."
            )
            return
        raise UnknownModelError(
            verb=verb,
            subject=model_id,
            observed="the Bytez catalogue has no such model",
            action=self._nearest(model_id),
        )

    def _nearest(self, model_id: str) -> str:
        names = [
            f"'{printable(name, limit=100)}'" for name in self.catalogue.get().nearest(model_id)
        ]
        if not names:
            return "See `bytez-fleet models` for the names"
        return f"The nearest names are {', '.join(names)}" if names[1:] else f"Perhaps {names[0]}"
