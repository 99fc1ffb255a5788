"""One machine that deploys: each process is new, and the journal folder remains."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from bytez_provider.base.clock import Clock
from bytez_provider.base.errors import BytezError
from bytez_provider.core.declared import ModelInputs, ModelState
from bytez_provider.core.lifecycle import Lifecycle
from bytez_provider.core.ownership import (
    Folder,
    Ledger,
    Named,
    Owner,
    Phase,
    Presence,
    Record,
    StackIdentity,
)
from bytez_provider.core.ownership._stores import Tolerant
from bytez_provider.core.waiting import Waiter
from bytez_provider.emulator import Emulator
from bytez_provider.service.catalogue import CatalogueSource
from bytez_provider.service.client import BytezClient
from bytez_provider.service.schemas import iso
from bytez_provider.service.settings import ApiVersion, CatalogueMode, Key, Settings
from tests.clocks import EmulatorClock
from tests.lifecycle.caller import URN, FakeCaller

GPT2 = "openai-community/gpt2"
PHI = "microsoft/phi-1"
KEY = "lifecycle-key-0123456789"
OTHER_KEY = "another-key-9876543210"
BOOT_SECONDS = 30.0
CHANGING = ("/model/load", "/model/delete")
HERE = StackIdentity("here", "file:///here")
ELSEWHERE = StackIdentity("elsewhere", "file:///elsewhere")


class Operations(ABC):
    """The operations, by default on GPT2 by a caller that nothing stops."""

    @property
    @abstractmethod
    def lifecycle(self) -> Lifecycle:
        """What does them."""

    def create(
        self, declared: ModelInputs | None = None, caller: FakeCaller | None = None
    ) -> ModelState:
        """Load a model."""
        return self.lifecycle.create(declared or inputs(), caller or FakeCaller())

    def refused(
        self,
        kind: type[BytezError],
        declared: ModelInputs | None = None,
        caller: FakeCaller | None = None,
    ) -> str:
        """Fail to load a model; return the sentence."""
        with pytest.raises(kind) as caught:
            self.create(declared, caller)
        return str(caught.value)

    def read(self, state: ModelState, caller: FakeCaller | None = None) -> ModelState | None:
        """Refresh a state."""
        return self.lifecycle.read(state, caller or FakeCaller())

    def seen(self, state: ModelState, caller: FakeCaller | None = None) -> ModelState:
        """Refresh a state whose load is still there."""
        found = self.read(state, caller)
        assert found is not None
        return found

    def update(
        self,
        state: ModelState,
        declared: ModelInputs | None = None,
        caller: FakeCaller | None = None,
    ) -> ModelState:
        """Apply a declaration to a state."""
        return self.lifecycle.update(state, declared or inputs(), caller or FakeCaller())

    def delete(self, state: ModelState, caller: FakeCaller | None = None) -> None:
        """Unload the load of a state."""
        self.lifecycle.delete(state, caller or FakeCaller())

    def keeps(self, state: ModelState, urn: str) -> None:
        """Compare a state with an unchanged declaration, as an `up` does."""
        bag = state.inputs().bag()
        assert not self.lifecycle.diff(state, bag, frozenset(), FakeCaller(urn)).replaces


class Process(Operations):
    """The rooms of one provider process, with the real client and a clock that is moved."""

    def __init__(
        self,
        emulator: Emulator,
        folder: Path,
        *,
        key: str | None = KEY,
        catalogue: CatalogueMode = "bundled",
        endpoint: str | None = None,
        adopt: Iterable[str] = (),
        account_change: bool = False,
        quiet: bool = False,
        clock: Clock | None = None,
        stack: StackIdentity = HERE,
        api_version: ApiVersion = "2024-05",
    ) -> None:
        settings = Settings(
            endpoint=endpoint or emulator.url,
            api_version=api_version,
            key=Key(key) if key else None,
            catalogue=catalogue,
            adopt=frozenset(adopt),
            accept_account_change=account_change,
        )
        clock = clock or EmulatorClock(emulator)
        self.settings = settings
        self.client = BytezClient(settings, clock=clock)
        self.journal_warnings: list[str] = []
        self.presence = Presence()
        self.ledger = Ledger(
            Tolerant(Folder(folder), self.journal_warnings.append),
            endpoint=settings.endpoint,
            account=settings.account,
            clock=clock,
            identity=lambda: stack,
            presence=self.presence,
            warn=self.journal_warnings.append,
        )
        self.waiter = Waiter(self.client, clock, quiet=quiet)
        self._lifecycle = Lifecycle(
            settings=settings,
            client=self.client,
            catalogue=CatalogueSource(settings, self.client),
            ledger=self.ledger,
            waiter=self.waiter,
        )

    @property
    def lifecycle(self) -> Lifecycle:
        """The operations of this process."""
        return self._lifecycle

    def around(
        self,
        request: str,
        *,
        before: Callable[[], object] = lambda: None,
        after: Callable[[], object] = lambda: None,
    ) -> None:
        """Let something happen around each request of a kind, a method of the client."""
        ask = getattr(self.client, request)

        def asked(*given: Any, **named: Any) -> Any:
            before()
            answer = ask(*given, **named)
            after()
            return answer

        setattr(self.client, request, asked)

    def die(self) -> None:
        """End as by `kill -9`: what this process works on is not worked on any more."""
        self.presence.leave()

    def keep(self, record: Record) -> None:
        """Write what an earlier deployment left in the journal."""
        journal = self.ledger.journal
        journal.put(record.model_id, record, journal.entry(record.model_id))


class Machine(Operations):
    """Where deployments run, one after the other: each operation in a process of its own."""

    def __init__(self, emulator: Emulator, folder: Path) -> None:
        self.emulator = emulator
        self.folder = folder
        self._processes: list[Process] = []

    @property
    def lifecycle(self) -> Lifecycle:
        """The operations of a new process."""
        return self.process().lifecycle

    def process(self, **given: Any) -> Process:
        """Start a process; it knows nothing but what the journal's folder holds."""
        process = Process(self.emulator, self.folder, **given)
        self._processes.append(process)
        return process

    def faults(self, *rules: dict[str, Any]) -> None:
        """Let the service misbehave from now on by these rules only; by none, behave."""
        self.emulator.set_faults(list(rules))

    def usurp(self, *, after: float = 100, concurrency: int = 1) -> str:
        """Let somebody else unload ours and load theirs; return its `created`."""
        self.emulator.unload_by_somebody_else(GPT2)
        self.emulator.advance(after)
        return self.emulator.load_by_somebody_else(GPT2, concurrency=concurrency)

    def close(self) -> None:
        """Close the connections of all processes."""
        for process in self._processes:
            process.client.close()

    # ------------------------------------------------------------------ what is observed

    def records(self) -> list[Record]:
        """Return what the journal holds, as a process reads it that has just begun."""
        return self.process().ledger.records()

    def recorded(self) -> dict[str, str | None]:
        """Return the `created` of each load that the journal names."""
        return {r.model_id: iso(r.created) if r.created else None for r in self.records()}

    def changes(self) -> list[str]:
        """Return the path of each request so far that can change something, in order."""
        return [r.path for r in self.emulator.requests() if r.path in CHANGING]

    def loads(self, model_id: str = GPT2) -> int:
        """Return how many loads of a model the emulator's books hold."""
        charge = self.emulator.ledger().get(model_id)
        return 0 if charge is None else int(charge["loads"])

    def running(self) -> dict[str, int]:
        """Return what is really loaded, and at what concurrency."""
        return {one["modelId"]: one["concurrency"] for one in self.emulator.instances()}

    def loaded(self) -> dict[str, str | None]:
        """Return the `created` of each load that there really is."""
        return {one["modelId"]: one["created"] for one in self.emulator.instances()}

    def created(self) -> str:
        """Return the `created` of the one load there is."""
        (instance,) = self.emulator.instances()
        return str(instance["created"])

    def answer_status_with(self, **changed: Any) -> None:
        """Let every status from now on be that of the load there is, with other details.

        A detail that is None is left out.
        """
        (instance,) = self.emulator.instances()
        shown = {k: v for k, v in {**instance, **changed}.items() if v is not None}
        self.faults(on("status", {"respond": {"status": 200, "body": shown}}))


def inputs(model_id: str = GPT2, **given: Any) -> ModelInputs:
    """Return a declaration."""
    return ModelInputs(model_id=model_id, **given)


def on(endpoint: str, do: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return a fault of one endpoint."""
    return {"endpoint": f"/model/{endpoint}", "do": do, **more}


def always(**do: Any) -> dict[str, Any]:
    """Return a fault of every endpoint."""
    return {"do": do}


def respond(status: int, error: str = "no", **more: Any) -> dict[str, Any]:
    """Return what answers a request with an error."""
    return {"respond": {"status": status, "body": {"error": error}, **more}}


def record(
    urn: str, model_id: str, began: datetime, *, created: datetime | None = None, **more: Any
) -> Record:
    """Return what a deployment that was killed leaves in the journal."""
    kept = {"concurrency": 1, "phase": Phase.ACCEPTED if created else Phase.REQUESTED, **more}
    owner = Owner(urn=urn, stack=HERE.key, place=HERE.place)
    return Record(model_id=model_id, owner=owner, began=began, created=created, **kept)


def unloading(
    process: Process, urn: str = URN, model_id: str = GPT2
) -> AbstractContextManager[None]:
    """Let a process be in the middle of an unload of the load that there is."""
    live = process.client.status(model_id)
    assert live is not None
    who = process.ledger.who(urn)
    judged = process.ledger.judge(model_id, live, who, Named(live.created))
    return process.ledger.unloading(judged, live, who)
