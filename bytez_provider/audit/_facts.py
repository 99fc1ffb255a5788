"""What an audit is made of, and which load is whose."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import Literal

from bytez_provider.catalogue import Catalogue
from bytez_provider.journal import Note
from bytez_provider.lifecycle import NOT_LOADED, is_of
from bytez_provider.schemas import Instance
from bytez_provider.stacks import StackModel


@dataclass(frozen=True)
class Source:
    """The state of one stack.

    Attributes:
        kind: Whether Pulumi was asked for it or a file holds it.
        name: The stack or the file, as it was named to us.
        models: The models that it names.
    """

    kind: Literal["stack", "state"]
    name: str
    models: Sequence[StackModel]


@dataclass(frozen=True)
class Declared:
    """A model of a state, and the name by which Pulumi knows its stack here."""

    model: StackModel
    stack: str


@dataclass(frozen=True)
class Facts:
    """All that an audit looks at; the same facts give the same audit.

    Attributes:
        now: Server time.
        endpoint: The address of the service.
        account: The account that was asked, as it is kept in state.
        price_per_gb_second: US dollars.
        catalogue: Says how much RAM a model takes.
        live: What is loaded in the account.
        notes: What the journal of this machine says is unfinished.
        sources: The states to compare with.
        flags: The flags that gave the sources, each with its value, for the commands that mend.
        keyed_by: The stack that key and settings come from; None for the environment.
    """

    now: datetime
    endpoint: str
    account: str
    price_per_gb_second: Decimal
    catalogue: Catalogue
    live: Sequence[Instance]
    notes: Sequence[Note]
    sources: Sequence[Source]
    flags: Sequence[tuple[str, ...]] = ()
    keyed_by: str | None = None

    @cached_property
    def live_by_id(self) -> Mapping[str, Instance]:
        """What is loaded, by model, in the order of the names."""
        by_id: dict[str, Instance] = {}
        for one in sorted(self.live, key=lambda one: one.model_id):
            by_id.setdefault(one.model_id, _credible(one))
        return by_id

    @cached_property
    def declared(self) -> Sequence[Declared]:
        """What the states name in this account, external ones left out, in a fixed order."""
        return [one for one in self._managed if self._is_here(one)]

    @cached_property
    def elsewhere(self) -> Sequence[Declared]:
        """What the states name in another account or at another endpoint."""
        return [one for one in self._managed if not self._is_here(one)]

    def owners(self, live: Instance) -> list[Declared]:
        """Return the resources whose load an instance is, those that are to unload it too."""
        return [one for one in self.declared_of(live.model_id) if self.belongs(one, live)]

    def declared_of(self, model_id: str) -> list[Declared]:
        """Return the resources that name a model, whichever load they mean."""
        return [*self._by_id.get(model_id, ())]

    def belongs(self, declared: Declared, live: Instance) -> bool:
        """Tell whether an instance is the load that a state names, and not one made anew."""
        model = declared.model
        if model.outputs.get("status") == NOT_LOADED:
            return False
        note = next((note for note in self.notes if note.urn == model.urn), None)
        if model.created is None and note is not None:
            return is_of(note, live)
        return live.created is None or model.created in (None, live.created)

    @cached_property
    def _by_id(self) -> Mapping[str, list[Declared]]:
        by_id: dict[str, list[Declared]] = {}
        for one in self.declared:
            by_id.setdefault(one.model.model_id, []).append(one)
        return by_id

    @cached_property
    def _managed(self) -> Sequence[Declared]:
        named = [one for one in self._each_once() if not one.model.external]
        return sorted(
            named,
            key=lambda one: (
                *(one.model.model_id, one.stack, one.model.urn),
                *(one.model.pending_deletion, str(one.model.outputs.get("created"))),
            ),
        )

    def _each_once(self) -> Iterator[Declared]:
        """Yield what the states name; a stack that is given twice counts once, as given first."""
        seen: set[str] = set()
        for source in self.sources:
            for model in source.models:
                if not model.urn or model.urn not in seen:
                    yield Declared(model, source.name if source.kind == "stack" else model.stack)
            seen.update(model.urn for model in source.models)

    def _is_here(self, declared: Declared) -> bool:
        return declared.model.is_of(self.endpoint, self.account)


_MOST_INSTANCES = 1_000_000
_MOST_RUNS = 10**12
_LONGEST_SECONDS = 10**9


def _credible(told: Instance) -> Instance:
    """Return an instance without the numbers that cannot be, which would make nonsense of a sum."""
    most = {
        "concurrency": _MOST_INSTANCES,
        "inferences": _MOST_RUNS,
        "expiration_period_seconds": _LONGEST_SECONDS,
    }
    wrong = {name: None for name, limit in most.items() if (getattr(told, name) or 0) > limit}
    # Nothing is loaded at no instances: it would cost nothing.
    nothing = {"concurrency": None} if told.concurrency == 0 else {}
    return told.model_copy(update={**wrong, **nothing})
