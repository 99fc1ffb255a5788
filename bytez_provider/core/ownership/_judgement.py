"""Whose a load is, as a pure function of what is known. Nothing else decides it."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime

from bytez_provider.core.ownership._record import Owner, Phase, Record
from bytez_provider.service.schemas import Instance


class Verdict(enum.Enum):
    """Whose the running load of a model is."""

    NOT_LOADED = "not loaded"
    OURS = "ours"
    """The state of the resource names it."""
    OURS_LATER = "ours, begun later than the state knows"
    """The journal names the resource as its owner, and its state does not name the load."""
    OTHER_RESOURCE = "another resource of this stack"
    OTHER_STACK = "another stack of ours"
    FOREIGN = "somebody else's"
    UNSURE = "cannot tell"
    """The state names a load without an identity, and nothing says that it is this one."""


@dataclass(frozen=True)
class Named:
    """The load that the state of a resource names.

    Attributes:
        created: What identifies it; None if the state does not know.
        adopted_at: When the resource took it over, None if it began the load. If several resources
            name one load, this says which of them the journal means.
    """

    created: datetime | None
    adopted_at: str | None = None

    def is_surely(self, live: Instance) -> bool:
        """Return whether `created` proves that this is the load."""
        return live.created is not None and live.created == self.created


@dataclass(frozen=True)
class Judgement:
    """Whose a load is, and why.

    Attributes:
        verdict: Whose it is.
        owner: The other resource that it belongs to, if it is known.
        record: The journal's record of this very load; None if it has none.
        kept: The journal's record of the model when this was judged, whichever load it is of.
    """

    verdict: Verdict
    owner: Owner | None = None
    record: Record | None = None
    kept: Record | None = None

    @property
    def is_ours(self) -> bool:
        """Whether the load belongs to the resource that asks."""
        return self.verdict in (Verdict.OURS, Verdict.OURS_LATER)


def judge(  # noqa: PLR0911 - one line a case
    live: Instance | None,
    *,
    who: Owner,
    named: Named | None,
    record: Record | None,
    sibling: Owner | None = None,
) -> Judgement:
    """Return whose the load of a model is.

    Args:
        live: What runs; None only if the service says that the model is not loaded.
        who: The resource that asks.
        named: The load that its state names; None without a state, or if it names no load.
        record: The journal's record of the model.
        sibling: Another resource of the same stack whose state names this very load, as far as
            this process has seen.
    """
    if live is None:
        return Judgement(Verdict.NOT_LOADED)
    record = record.about(live) if record is not None else None
    if record is not None and not record.claim.covers(live):
        # The shown load is outdated if another owner has loaded the model since.
        if record.owner.urn and not record.owner.is_same(who) and record.is_later_than(live):
            return _of_another(record, who)
        record = None
    is_own_record = record is not None and record.owner.is_same(who)
    if named is not None and _names(named, live, record if is_own_record else None):
        # An equal claim of another owner: the resource or its stack was renamed or moved.
        if record is None or is_own_record or _is_claim(record, named.adopted_at, who):
            return Judgement(Verdict.OURS, record=record)
        return _of_another(record, who)
    if is_own_record:
        return Judgement(Verdict.OURS_LATER, record=record)
    if record is not None and record.owner.urn:
        return _of_another(record, who)
    if sibling is not None:
        return Judgement(Verdict.OTHER_RESOURCE, sibling)
    if named is not None and named.created is None:
        return Judgement(Verdict.UNSURE)
    return Judgement(Verdict.FOREIGN)


def confirmed(
    known: Record | None, stated: Record, *, is_kept: bool, may_be_held: bool
) -> Record | None:
    """Return the record to write when a state names a load; None to leave what is there.

    Args:
        known: The journal's record of the model.
        stated: What the state says, as a record.
        is_kept: Whether the program keeps the resource and its load.
        may_be_held: Whether a process may work on the load right now.
    """
    if known is None:
        return stated
    created, who = stated.created, stated.owner
    if may_be_held or created is None:
        return None
    if known.created is None:
        # Only `created` counts.
        seen = Instance(model_id=known.model_id, status="", created=created)  # pragma: no mutate
        is_it = known.owner.is_same(who) and known.claim.covers(seen)
        return stated.but(host=known.host) if is_it else None
    if known.created != created:
        # A state is no proof against a load that began after the one that it names.
        is_later = created > max(known.created, known.began)
        return stated if is_later and known.owner.is_of_stack(who) else None
    if not _is_claim(known, stated.adopted_at, who) and not (
        is_kept and known.owner.is_of_stack(who)
    ):
        return None
    update = {
        "owner": who,
        "phase": Phase.CONFIRMED,
        "adopted_at": stated.adopted_at,
        "before": None,
        "holder": None,
    }
    changed = known.but(**update)
    return changed if changed != known else None


def _is_claim(record: Record, adopted_at: str | None, who: Owner) -> bool:
    """Return whether a state makes the record's claim, or a later one.

    A later take-over by another stack was written in another journal. Within one stack the journal
    is right: of two resources that name one load, the one that the program keeps has it.
    """
    if record.adopted_at == adopted_at:
        return True
    return not record.owner.is_of_stack(who) and record.is_before_take_over(adopted_at)


def _names(named: Named, live: Instance, own: Record | None) -> bool:
    if live.created is None:
        return True  # Without `created`, any load counts as the one that the state names.
    if named.created is not None:
        return named.created == live.created
    return own is not None


def _of_another(record: Record, who: Owner) -> Judgement:
    owner = record.owner
    # A record of the earlier format may not know the resource.
    same = not owner.urn or owner.is_of_stack(who)
    return Judgement(Verdict.OTHER_RESOURCE if same else Verdict.OTHER_STACK, owner, record)
