"""What an audit looks at, and which load belongs to which resource."""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Literal

from bytez_provider.core.ownership import Judgement, Owner, Phase, Record, Verdict, judge
from bytez_provider.service.apis import APIS
from bytez_provider.service.catalogue import Catalogue
from bytez_provider.service.pricing import Prices
from bytez_provider.service.schemas import Instance, Scale
from bytez_provider.service.settings import ApiVersion
from bytez_provider.stack.states import StackModel, named_load

NO_STACK = Owner(urn="")
"""For a state that does not say which stack it belongs to."""

# A resource whose state does not identify its load gets the benefit of the doubt.
_NAMING = (Verdict.OURS, Verdict.UNSURE)
_BELONGING = (*_NAMING, Verdict.OURS_LATER)

_CREDIBLE = {
    "concurrency": 1_000_000,
    "inferences": 10**12,
    "expiration_period_seconds": 10**9,
}
"""The largest numbers that the service is believed; a larger one would spoil every sum."""


@dataclass(frozen=True)
class Source:
    """The state of one stack."""

    kind: Literal["stack", "state"]
    """Read through Pulumi, or from a file."""
    name: str
    """The stack or the file, as the command line named it."""
    models: Sequence[StackModel]
    stack: Owner = NO_STACK
    """Any resource of the stack: the state decides about the records of this stack."""


@dataclass(frozen=True)
class Declared:
    """A model in a state."""

    model: StackModel
    stack: str
    """The name by which Pulumi knows the stack here."""
    who: Owner

    def judged(self, live: Instance | None, record: Record | None) -> Judgement:
        """Judge a load from the view of this resource; without a record, by the state alone."""
        return judge(live, who=self.who, named=named_load(self.model.outputs), record=record)


class Standing(enum.Enum):
    """What a record in the journal means, given the states that were read."""

    HELD = "a running process is working on the load"
    FINISHED = "a state names the load, or did once"
    LEFT = "unfinished: no answer was seen, or the state of its stack does not name the load"
    UNDECIDED = "the state of its stack was not read, and may name the load"


@dataclass(frozen=True)
class States:
    """The states that were read, and the account they are compared with."""

    sources: Sequence[Source]
    endpoint: str
    account: str
    """A hash of the key, as it is kept in state."""
    api_version: ApiVersion
    held: Collection[str] = ()
    """Models on whose load a running process is working."""

    @cached_property
    def declared(self) -> Sequence[Declared]:
        """What the states name in this account, in a fixed order, without `Model.get`."""
        return [one for one in self._managed if self.is_here(one.model)]

    @cached_property
    def elsewhere(self) -> Sequence[Declared]:
        """What the states name in another account, endpoint or version of the API."""
        return [one for one in self._managed if not self.is_here(one.model)]

    def is_here(self, model: StackModel) -> bool:
        """Return whether a model may be of this account."""
        return model.is_of(self.endpoint, self.account, APIS[self.api_version].in_state)

    def naming(self, model_id: str) -> list[Declared]:
        """Return the resources that name a model, whether or not this load is theirs."""
        return list(self._by_id.get(model_id, ()))

    def claims(self, model_id: str) -> list[Declared]:
        """Return the resources that name a model and are to keep it."""
        return [one for one in self.naming(model_id) if one.model.is_managed]

    def source_of(self, owner: Owner) -> Source | None:
        """Return the state of a resource's stack; None if it was not read."""
        return next((one for one in self.sources if one.stack.is_of_stack(owner)), None)

    def standing(self, record: Record, live: Instance | None) -> Standing:
        """Return what a record means, given what runs of its model.

        If no state was read, only a request without an answer is certain to be in none.
        """
        if record.model_id in self.held:
            return Standing.HELD
        if not record.is_unfinished or self._names(record, live):
            return Standing.FINISHED
        is_unanswered = record.phase is Phase.REQUESTED and not self.sources
        is_read = self.source_of(record.owner) is not None
        return Standing.LEFT if is_read or is_unanswered else Standing.UNDECIDED

    def _names(self, record: Record, live: Instance | None) -> bool:
        """Return whether a state names the load of a record."""
        seen, candidates = live, self.naming(record.model_id)
        if record.created is not None:
            seen = Instance(model_id=record.model_id, status="", created=record.created)
            # `created` identifies the load, so a state under an earlier key counts too.
            candidates += [
                one
                for one in self.elsewhere
                if one.model.model_id == record.model_id and one.model.created == record.created
            ]
        # If the journal gives the load to another resource, a state that still names it can
        # unload it in the regular way: judge without the record too.
        return any(
            one.judged(seen, known).verdict in _NAMING
            for one in candidates
            for known in (record, None)
        )

    @cached_property
    def _by_id(self) -> Mapping[str, list[Declared]]:
        by_id: dict[str, list[Declared]] = {}
        for one in self.declared:
            by_id.setdefault(one.model.model_id, []).append(one)
        return by_id

    @cached_property
    def _managed(self) -> Sequence[Declared]:
        return sorted(
            (one for one in self._each_once() if not one.model.external),
            key=lambda one: (
                *(one.model.model_id, one.stack, one.model.urn),
                *(one.model.pending_deletion, str(one.model.outputs.get("created"))),
            ),
        )

    def _each_once(self) -> Iterator[Declared]:
        """Yield what the states name; of a stack that is given twice, the first state counts."""
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


@dataclass(frozen=True, kw_only=True)
class Facts(States):
    """All that an audit looks at; the same facts give the same audit."""

    now: datetime
    """Server time."""
    prices: Prices
    catalogue: Catalogue
    live: Sequence[Instance]
    """What is loaded in the account."""
    records: Sequence[Record]
    """What the journal has about the account's loads."""
    flags: Sequence[tuple[str, ...]] = ()
    """The flags that named the sources, each with its value; the commands of findings use them."""
    keyed_by: str | None = None
    """The stack that gives key and settings; None for the environment."""

    @cached_property
    def live_by_id(self) -> Mapping[str, Instance]:
        """What is loaded, by model, in the order of the names."""
        by_id: dict[str, Instance] = {}
        for one in sorted(self.live, key=lambda one: one.model_id):
            by_id.setdefault(one.model_id, _credible(one))
        return by_id

    @cached_property
    def record_by_id(self) -> Mapping[str, Record]:
        """What the journal has, by model."""
        return {one.model_id: one for one in self.records}

    def owners(self, live: Instance) -> list[Declared]:
        """Return the resources that own a load, including those that are to unload it."""
        return [one for one in self.naming(live.model_id) if self.belongs(one, live)]

    def belongs(self, declared: Declared, live: Instance) -> bool:
        """Return whether a resource owns a load."""
        return self.judged(declared, live).verdict in _BELONGING

    def judged(self, declared: Declared, live: Instance) -> Judgement:
        """Judge a load from the view of a resource, by its state and the journal."""
        return declared.judged(live, self.record_by_id.get(live.model_id))

    def record_of(self, live: Instance) -> Record | None:
        """Return what the journal has about this very load."""
        record = self.record_by_id.get(live.model_id)
        return record and judge(live, who=record.owner, named=None, record=record).record

    def standing_of(self, record: Record) -> Standing:
        """Return what a record means, given all facts."""
        return self.standing(record, self.live_by_id.get(record.model_id))


def _credible(live: Instance) -> Instance:
    """Return an instance without impossible numbers."""
    wrong = {name: None for name, most in _CREDIBLE.items() if (getattr(live, name) or 0) > most}
    # A load of 0 instances would cost nothing; only with a range is 0 the least number.
    none = {"concurrency": None} if live.concurrency == 0 and live.scale is None else {}
    return live.but(**wrong, **none, scale=_credible_scale(live.scale))


def _credible_scale(scale: Scale | None) -> Scale | None:
    if scale is None:
        return None
    most = _CREDIBLE["concurrency"]
    numbers = {
        name: value for name, value in vars(scale).items() if value is not None and value <= most
    }
    return Scale(**numbers)
