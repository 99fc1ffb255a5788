"""The states of stacks that were read, and what they say of loads and of the journal's records."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from bytez_provider.core.ownership import Judgement, Owner, Phase, Record, Verdict, judge
from bytez_provider.service.schemas import Instance
from bytez_provider.stack.states import StackModel, named_load

NO_STACK = Owner(urn="")
"""Of a state in which nothing says which stack it is of."""

_NAMING = (Verdict.OURS, Verdict.UNSURE)
"""A state that does not say which load is its own is not accused of naming none."""


@dataclass(frozen=True)
class Source:
    """The state of one stack.

    Attributes:
        kind: Whether Pulumi was asked for it or a file holds it.
        name: The stack or the file, as it was named to us.
        models: The models that it names.
        stack: Any resource of the stack, which tells whose records the state can decide on.
    """

    kind: Literal["stack", "state"]
    name: str
    models: Sequence[StackModel]
    stack: Owner = NO_STACK


@dataclass(frozen=True)
class Declared:
    """A model of a state.

    Attributes:
        model: The model.
        stack: The name by which Pulumi knows its stack here.
        who: The resource.
    """

    model: StackModel
    stack: str
    who: Owner

    def judged(self, live: Instance | None, record: Record | None) -> Judgement:
        """Say whose a load is, as this resource sees it.

        Args:
            live: What runs of the model.
            record: What the journal has of the model; None to go by the state alone.
        """
        return judge(live, who=self.who, named=named_load(self.model.outputs), record=record)


class Standing(enum.Enum):
    """What a record stands for beside the states that were read."""

    HELD = "a living process works on the load"
    FINISHED = "a state is known to name the load, or did once"
    LEFT = "unfinished: no answer was seen, or the state of its stack does not name the load"
    UNTOLD = "the state of its stack was not read, and may name the load"


@dataclass(frozen=True)
class States:
    """The states that were read, as far as they are of one account.

    Attributes:
        sources: The states.
        endpoint: The address of the service.
        account: The account, as it is kept in state.
    """

    sources: Sequence[Source]
    endpoint: str
    account: str

    @cached_property
    def declared(self) -> Sequence[Declared]:
        """What the states name in this account, external ones left out, in a fixed order."""
        return [one for one in self._managed if self._is_here(one)]

    @cached_property
    def elsewhere(self) -> Sequence[Declared]:
        """What the states name in another account or at another endpoint."""
        return [one for one in self._managed if not self._is_here(one)]

    def declared_of(self, model_id: str) -> list[Declared]:
        """Return the resources that name a model, whichever load they mean."""
        return [*self._by_id.get(model_id, ())]

    def source_of(self, owner: Owner) -> Source | None:
        """Return the state of the stack that a resource is of; None where it was not read."""
        return next((one for one in self.sources if one.stack.is_of_stack(owner)), None)

    def names(self, record: Record, live: Instance | None) -> bool:
        """Return whether a state names the load of a record.

        Args:
            record: The record.
            live: What runs of the model. It is needed for a load that is not identified yet.
        """
        seen, candidates = live, self.declared_of(record.model_id)
        if record.created is not None:
            seen = Instance(model_id=record.model_id, status="", created=record.created)
            # Under an earlier key too: that it is this very load says its `created`.
            candidates = [one for one in self._managed if one.model.model_id == record.model_id]
        # The journal may say that another resource has it since. Whose state names it still may
        # unload it in good order.
        return any(
            one.judged(seen, known).verdict in _NAMING
            for one in candidates
            for known in (record, None)
        )

    def standing(self, record: Record, live: Instance | None, *, is_held: bool) -> Standing:
        """Say what a record stands for.

        Where no state was read at all, only a request without an answer is sure to be in none.
        """
        if is_held:
            return Standing.HELD
        if not record.is_unfinished or self.names(record, live):
            return Standing.FINISHED
        if self.source_of(record.owner) is not None:
            return Standing.LEFT
        is_unanswered = record.phase is Phase.REQUESTED and not self.sources
        return Standing.LEFT if is_unanswered else Standing.UNTOLD

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
                    yield Declared(
                        model,
                        source.name if source.kind == "stack" else model.stack,
                        Owner(urn=model.urn, stack=source.stack.stack, place=source.stack.place),
                    )
            seen.update(model.urn for model in source.models)

    def _is_here(self, declared: Declared) -> bool:
        return declared.model.is_of(self.endpoint, self.account)
