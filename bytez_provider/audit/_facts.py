"""What an audit is made of, and which load is whose."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cached_property

from bytez_provider.audit._states import Declared, Source, States
from bytez_provider.core.ownership import Judgement, Record, Verdict, judge
from bytez_provider.service.catalogue import Catalogue
from bytez_provider.service.schemas import Instance

_BELONGING = (Verdict.OURS, Verdict.OURS_LATER, Verdict.UNSURE)
"""A resource whose state does not say which load is its own is not accused of having none."""


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
        records: What the journal has of the account's loads.
        held: The models on whose load a living process works right now.
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
    records: Sequence[Record]
    sources: Sequence[Source]
    held: Collection[str] = ()
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
    def states(self) -> States:
        """The states, as far as they are of this account."""
        return States(self.sources, self.endpoint, self.account)

    @property
    def declared(self) -> Sequence[Declared]:
        """What the states name in this account, external ones left out, in a fixed order."""
        return self.states.declared

    @property
    def elsewhere(self) -> Sequence[Declared]:
        """What the states name in another account or at another endpoint."""
        return self.states.elsewhere

    def declared_of(self, model_id: str) -> list[Declared]:
        """Return the resources that name a model, whichever load they mean."""
        return self.states.declared_of(model_id)

    def owners(self, live: Instance) -> list[Declared]:
        """Return the resources whose load an instance is, those that are to unload it too."""
        return [one for one in self.declared_of(live.model_id) if self.belongs(one, live)]

    def belongs(self, declared: Declared, live: Instance) -> bool:
        """Tell whether an instance is the load of a resource, and not one made anew."""
        return self.judged(declared, live).verdict in _BELONGING

    def judged(self, declared: Declared, live: Instance) -> Judgement:
        """Say whose an instance is, as the resource of a state sees it."""
        return declared.judged(live, self._record_of.get(live.model_id))

    def record_of(self, live: Instance) -> Record | None:
        """Return what the journal has of this very instance."""
        record = self._record_of.get(live.model_id)
        if record is None:
            return None
        return judge(live, who=record.owner, named=None, record=record).record

    @cached_property
    def _record_of(self) -> Mapping[str, Record]:
        return {one.model_id: one for one in self.records}


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
