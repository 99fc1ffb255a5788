"""What is kept of a load: whose it is, and how far it has come."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from bytez_provider.base.urns import name_of, project_of, stack_of
from bytez_provider.service.schemas import Instance, moment_of

CLOCK_TOLERANCE = timedelta(seconds=2)
"""The `Date` header is whole seconds, and two servers of one service may disagree by one more."""

ANSWER_WINDOW = timedelta(minutes=5)
"""A request without an answer stands for a load made within this time after it (choice): all
tries of one request end before that."""


class _Kept(BaseModel):
    # What a later version adds must not make a record unreadable.
    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        frozen=True,
        extra="ignore",
        protected_namespaces=(),
    )


class Phase(enum.Enum):
    """How far a load has come, as far as the journal knows."""

    REQUESTED = "requested"
    """The request was about to be sent; no answer was seen."""
    ACCEPTED = "accepted"
    """The service took it, or it was taken over; no state has been seen that names it."""
    CONFIRMED = "confirmed"
    """A later call brought a state that names it."""
    UNLOADING = "unloading"
    """Its owner is about to unload it."""


class Owner(_Kept):
    """A resource that a load may belong to.

    Attributes:
        urn: The resource; "" where it is not known.
        stack: Tells two stacks of one name apart, see `StackIdentity`; None where not known.
        place: Where the state of that stack is kept, for people.
    """

    urn: str
    stack: str | None = None
    place: str = ""

    @property
    def name(self) -> str:
        """The name of the resource."""
        return name_of(self.urn)

    @property
    def stack_name(self) -> str:
        """The name of the stack."""
        return stack_of(self.urn)

    def is_of_stack(self, other: Owner) -> bool:
        """Return whether two resources are of one stack; what is not known may be the same."""
        names = (project_of(self.urn), stack_of(self.urn))
        if not self.urn or names != (project_of(other.urn), stack_of(other.urn)):
            return False
        return None in (self.stack, other.stack) or self.stack == other.stack

    def is_same(self, other: Owner) -> bool:
        """Return whether this is the same resource of the same stack."""
        return self.urn == other.urn and self.is_of_stack(other)


class Holder(_Kept):
    """The process that works on a load right now.

    Attributes:
        machine: Tells machines apart.
        host: The name of the machine, for people.
        pid: The process.
        started: Tells two processes with one number apart; "" where the system does not say.
        token: Tells two journals of one process apart.
        beat: Counts up for as long as the process lives.
    """

    machine: str
    host: str
    pid: int
    started: str
    token: str
    beat: int = 0


@dataclass
class Claim:
    """Which load is meant: the one with this `created`, or one made within a time.

    A server that gives no `created` cannot tell loads apart; any load is then the one meant.

    Attributes:
        created: What identifies the load; None as long as it is not known.
        not_before: Server time before which it cannot have been made.
        not_after: Server time after which it cannot have been made.
        concurrency: What was asked for, where nothing but the time speaks for it.
        accepted_at: Server time of its acceptance; None where it is not known to be accepted.
    """

    created: datetime | None = None
    not_before: datetime | None = None
    not_after: datetime | None = None
    concurrency: int | None = None
    accepted_at: datetime | None = None

    def covers(self, live: Instance) -> bool:
        """Return whether an instance is the load that is meant."""
        if live.created is None:
            return True
        if self.created is not None:
            return live.created == self.created
        if self.concurrency is not None and live.concurrency not in (None, self.concurrency):
            return False
        if self.not_before is not None and live.created < self.not_before - CLOCK_TOLERANCE:
            return False
        return self.not_after is None or live.created <= self.not_after


class Record(_Kept):
    """What the journal keeps of the one load that an account may have of a model.

    Attributes:
        model_id: The model.
        owner: The resource that began the load or took it over.
        phase: How far it has come.
        began: Server time just before the request, or of the take-over.
        concurrency: What was asked for; what runs may differ, where the service rounds.
        expiration_period_seconds: What was asked for; None for nothing.
        created: What identifies the load; None as long as it is not known.
        adopted_at: When it was taken over, as the state names it; None for an own load.
        host: The name of the machine that began it, for people.
        holder: The process that works on it right now.
        before: The record that stood here before a request whose answer is not known.
    """

    model_id: str
    owner: Owner
    phase: Phase
    began: datetime
    concurrency: int
    expiration_period_seconds: int | None = None
    created: datetime | None = None
    adopted_at: str | None = None
    host: str = ""
    holder: Holder | None = None
    before: Record | None = None

    @property
    def claim(self) -> Claim:
        """The load that is meant."""
        if self.created is not None:
            return Claim(self.created)
        return Claim(
            not_before=self.began,
            not_after=self.began + ANSWER_WINDOW,
            concurrency=self.concurrency,
            accepted_at=self.began,
        )

    def is_later_than(self, live: Instance) -> bool:
        """Return whether the service took this load after another one, which is gone since then.

        A status may be older than what the journal says: it was asked for before, or lags.
        """
        if live.created is None or self.phase is Phase.REQUESTED:
            return False
        if self.created is not None:
            return self.created > live.created
        return self.began + CLOCK_TOLERANCE >= live.created and not self.claim.covers(live)

    @property
    def is_unfinished(self) -> bool:
        """Whether no state is known to name the load."""
        return self.phase in (Phase.REQUESTED, Phase.ACCEPTED)

    def asks_for(self, concurrency: int, expiration_period_seconds: int | None) -> bool:
        """Return whether the load was asked for with these settings."""
        asked = (self.concurrency, self.expiration_period_seconds)
        return asked == (concurrency, expiration_period_seconds)

    def speaking_of(self, live: Instance) -> Record:
        """Return what stood here before, if a load is that one's: nothing came of this request."""
        before = self.before
        if before is None or self.claim.covers(live) or not before.claim.covers(live):
            return self
        return before

    def is_before(self, adopted_at: str | None) -> bool:
        """Return whether a take-over is later than all that is kept here."""
        taken_over, known = moment_of(adopted_at), moment_of(self.adopted_at)
        return taken_over is not None and taken_over > max(self.began, known or self.began)

    def released(self) -> Record:
        """Return the record as it is when nobody works on the load."""
        return self.model_copy(update={"holder": None})
