"""What a command works with: the settings, and the parts that need them, made on first use."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path

from bytez_provider.audit import Source, States
from bytez_provider.base.clock import SystemClock
from bytez_provider.base.errors import InvalidInputError, UnknownModelError, printable
from bytez_provider.base.properties import PropertiesError
from bytez_provider.cli.screen import Screen
from bytez_provider.cli.stacks import stack_config
from bytez_provider.core.declared import ModelInputs
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
from bytez_provider.service.wire import believed

_TRIES = 3
"""A first question fails within seconds; whoever asked can ask again."""
_ASKED_AT_ONCE = 8

NOBODY = Owner(urn="")
"""The owner that asks for something by hand: no resource of a stack."""


def at_host(record: Record) -> str:
    """Return " on machine '...'" for the process that works on a load; "" if it is not known."""
    host = record.holder.host if record.holder else ""
    return f" on machine '{printable(host, limit=60)}'" if host else ""


class Session:
    """One run of a command."""

    def __init__(self, stack: str | None, screen: Screen) -> None:
        self.stack = stack
        self.screen = screen
        self.stack_config = stack_config(stack) if stack else {}
        self.settings = read_settings(self.stack_config, os.environ)
        self.clock = SystemClock()
        self.client = BytezClient(self.settings, clock=self.clock, log=screen.debug)
        self.catalogue = CatalogueSource(self.settings, self.client)

    @cached_property
    def ledger(self) -> Ledger:
        """The journal of this account."""
        return Ledger(
            open_store(self.settings, self.screen.warn),
            endpoint=self.settings.endpoint,
            account=self.settings.account,
            clock=self.clock,
        )

    @cached_property
    def identity(self) -> StackIdentity:
        """Where `pulumi` keeps the states of the project in this folder."""
        return stack_identity(os.environ, Path.cwd(), is_shared=self.ledger.store.is_shared)

    def held(self, records: Iterable[Record]) -> frozenset[str]:
        """Return the models on whose load a running process is working.

        It takes seconds to see whether a process on another machine is running.

        Raises:
            JournalError: A shared journal cannot be read.
        """
        worked_on = [record for record in records if record.holder is not None]
        with ThreadPoolExecutor(2 * _ASKED_AT_ONCE) as pool:
            held = pool.map(self.ledger.is_held, worked_on)
            return frozenset(
                one.model_id for one, is_held in zip(worked_on, held, strict=True) if is_held
            )

    def states(self, sources: Sequence[Source], held: Collection[str] = ()) -> States:
        """Return states as those of this account, with the models that are worked on."""
        settings = self.settings
        return States(sources, settings.endpoint, settings.account, settings.api_version, held)

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

    def live(self, model_id: str) -> Instance | None:
        """Return the instance of a model; None if it is not loaded."""
        return self.client.status(model_id, tries=_TRIES)

    def live_of(self, model_ids: Iterable[str], listed: Sequence[Instance]) -> dict[str, Instance]:
        """Return those of some models that are loaded, in the order of the models.

        Args:
            model_ids: The models; each counts once.
            listed: What `BytezClient.instances` returned. If it is not credible about a model,
                the model's own status is asked.

        Raises:
            ApiError: The status of a model could not be read.
        """
        known = believed(listed)
        wanted = list(dict.fromkeys(model_ids))
        with ThreadPoolExecutor(_ASKED_AT_ONCE) as pool:
            found = pool.map(lambda one: known.get(one) or self.live(one), wanted)
            return {name: one for name, one in zip(wanted, found, strict=True) if one is not None}

    def inputs(self, verb: str, model_id: str, **given: int | None) -> ModelInputs:
        """Return what the command line asks for, as a program would declare it."""
        try:
            inputs = ModelInputs.of({"modelId": model_id, **given})
        except PropertiesError as error:
            raise self._refusal(verb, model_id, *error.problems[0]) from None
        for problem in self.client.api.problems(inputs.asked):
            raise self._refusal(verb, model_id, *problem)
        self.settings.require_key(verb, model_id)
        return inputs

    def _refusal(self, verb: str, model_id: str, name: str, reason: str) -> InvalidInputError:
        is_name = name == "modelId"
        return InvalidInputError(
            verb=verb,
            subject=printable(model_id, limit=100),
            observed=f"the name {reason}" if is_name else f"{name} {reason}",
            action=self._nearest(model_id) if is_name else "Give another value",
        )

    def refuse_unknown(self, verb: str, model_id: str) -> None:
        """Refuse a model that does not exist; only warn if that is not certain."""
        unknown = self.catalogue.about(model_id).unknown(model_id)
        if unknown is None:
            return
        if not unknown.is_certain:
            self.screen.warn(str(unknown))
            return
        raise UnknownModelError(
            verb=verb,
            subject=printable(model_id, limit=100),
            observed="it is not in the Bytez catalogue",
            action=self._nearest(model_id),
        )

    def _nearest(self, model_id: str) -> str:
        names = self.catalogue.get().nearest(model_id)
        shown = ", ".join(f"'{printable(name, limit=100)}'" for name in names)
        return f"The nearest names are: {shown}" if shown else "Run `bytez-fleet models` for a list"
