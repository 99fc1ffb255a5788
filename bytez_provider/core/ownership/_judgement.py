"""Whose a load is. The one place that decides it, as a function of what is known."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime

from bytez_provider.core.ownership._record import Owner, Record
from bytez_provider.service.schemas import Instance


class Verdict(enum.Enum):
    """Whose the load is that runs of a model."""

    NOT_LOADED = "not loaded"
    OURS = "ours"
    """The state of the resource names it."""
    OURS_LATER = "ours, begun later than the state knows"
    """The journal says that the resource began it or took it over, and its state does not."""
    OTHER_RESOURCE = "another resource of this stack"
    OTHER_STACK = "another stack of ours"
    FOREIGN = "somebody else's"
    UNSURE = "cannot tell"
    """The state names a load without an identity, and nothing says that it is this one."""


@dataclass(frozen=True)
class Named:
    """The load that the state of a resource names.

    Attributes:
        created: What identifies it; None where the state does not know.
        adopted_at: When the resource took it over, None for an own load. Of several resources
            that name one load, it tells which of them the journal speaks of.
    """

    created: datetime | None
    adopted_at: str | None = None

    def is_surely(self, live: Instance) -> bool:
        """Return whether this is the very load, which its `created` says."""
        return live.created is not None and live.created == self.created


@dataclass(frozen=True)
class Judgement:
    """Whose a load is, and what says so.

    Attributes:
        verdict: Whose it is.
        owner: The resource that it belongs to, where that is another one and known.
        record: What the journal keeps of this very load; None where it does not know it.
        kept: What it kept of the model when this was judged, of whatever load.
    """

    verdict: Verdict
    owner: Owner | None = None
    record: Record | None = None
    kept: Record | None = None

    @property
    def is_ours(self) -> bool:
        """Whether the load belongs to the resource that asks."""
        return self.verdict in (Verdict.OURS, Verdict.OURS_LATER)


def judge(  # noqa: C901, PLR0911 - one line a case
    live: Instance | None,
    *,
    who: Owner,
    named: Named | None,
    record: Record | None,
    sibling: Owner | None = None,
) -> Judgement:
    """Say whose the load of a model is.

    Args:
        live: What runs; None only where the service says that the model is not loaded.
        who: The resource that asks.
        named: The load that its state names; None for no state, or for one that names no load.
        record: What the journal keeps of the model.
        sibling: Another resource of the same stack whose state names this very load, as far as
            this process has seen.
    """
    if live is None:
        return Judgement(Verdict.NOT_LOADED)
    record = record.speaking_of(live) if record is not None else None
    if record is not None and not record.claim.covers(live):
        # What shows is outdated: it has made way for the load of another.
        if record.owner.urn and not record.owner.is_same(who) and record.is_later_than(live):
            return _of_another(record.owner, who, record)
        record = None
    owner = record.owner if record is not None else None
    is_own_record = owner is not None and owner.is_same(who)
    if named is not None and _names(named, live, record if is_own_record else None):
        if record is None or owner is None or is_own_record:
            return Judgement(Verdict.OURS, record=record)
        if record.adopted_at == named.adopted_at or is_overtaken(record, named, who):
            # The same claim under an older name: the resource or its stack was renamed or moved.
            return Judgement(Verdict.OURS, record=record)
        return _of_another(owner, who, record)
    if is_own_record:
        return Judgement(Verdict.OURS_LATER, record=record)
    if owner is not None and owner.urn:
        return _of_another(owner, who, record)
    if sibling is not None:
        return Judgement(Verdict.OTHER_RESOURCE, sibling)
    if named is not None and named.created is None:
        return Judgement(Verdict.UNSURE)
    return Judgement(Verdict.FOREIGN)


def is_overtaken(record: Record, named: Named, who: Owner) -> bool:
    """Return whether the state of another stack names a later take-over than the journal knows.

    It was entered in another journal. Within one stack the journal is right: of two resources
    that name one load, the one that the program keeps has it.
    """
    return not record.owner.is_of_stack(who) and record.is_before(named.adopted_at)


def _names(named: Named, live: Instance, own: Record | None) -> bool:
    if live.created is None:
        return True  # This service tells no load from another: whoever names one acts as owner.
    if named.created is not None:
        return named.created == live.created
    return own is not None


def _of_another(owner: Owner, who: Owner, record: Record | None) -> Judgement:
    # A record of the earlier format may not know the resource.
    same = not owner.urn or owner.is_of_stack(who)
    return Judgement(Verdict.OTHER_RESOURCE if same else Verdict.OTHER_STACK, owner, record)
