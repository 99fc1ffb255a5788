"""What the journal keeps of a load: whose it is, and how far it has come."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime, timedelta

from bytez_provider.base.properties import Properties, optional, prop, text, whole
from bytez_provider.base.urns import name_of, project_of, stack_of
from bytez_provider.service.schemas import Asked, Instance, moment_of

CLOCK_TOLERANCE = timedelta(seconds=2)
"""The `Date` header is whole seconds, and two servers of one service may disagree by one more."""

ANSWER_WINDOW = timedelta(minutes=5)
"""A load that began within this time after a request without an answer may come from that request
(choice): all tries of one request end before that."""


def _moment(value: object) -> datetime:
    moment = value if isinstance(value, datetime) else moment_of(value)
    if moment is None:
        raise ValueError("must be a moment")
    return moment


class Phase(enum.Enum):
    """How far a load has come, as far as the journal knows."""

    REQUESTED = "requested"
    """The request was about to be sent; no answer was seen."""
    ACCEPTED = "accepted"
    """The service accepted it, or it was taken over; no state has been seen that names it."""
    CONFIRMED = "confirmed"
    """A later call brought a state that names it."""
    UNLOADING = "unloading"
    """Its owner is about to unload it."""


@dataclass(frozen=True, kw_only=True)
class Owner(Properties):
    """A resource that a load may belong to."""

    urn: str = prop(text)
    """The resource; "" if it is not known."""
    stack: str | None = prop(optional(text), None)
    """The key of its `StackIdentity`; None if it is not known."""
    place: str = prop(text, "")
    """Where the state of its stack is kept, for people."""

    @property
    def name(self) -> str:
        """The name of the resource."""
        return name_of(self.urn)

    @property
    def stack_name(self) -> str:
        """The name of the stack."""
        return stack_of(self.urn)

    def is_of_stack(self, other: Owner) -> bool:
        """Return whether two resources may be of one stack: an unknown identity equals any."""
        names = (project_of(self.urn), stack_of(self.urn))
        if not self.urn or names != (project_of(other.urn), stack_of(other.urn)):
            return False
        return None in (self.stack, other.stack) or self.stack == other.stack

    def is_same(self, other: Owner) -> bool:
        """Return whether this is the same resource of the same stack."""
        return self.urn == other.urn and self.is_of_stack(other)


@dataclass(frozen=True, kw_only=True)
class Holder(Properties):
    """The process that works on a load right now."""

    machine: str = prop(text)
    """Differs between machines."""
    host: str = prop(text)
    """The name of the machine, for people."""
    pid: int = prop(whole)
    started: str = prop(text)
    """When the process began, because a pid is used again; "" if the system does not say."""
    token: str = prop(text)
    """Differs between the journals of one process."""
    beat: int = prop(whole, 0)
    """Counts up as long as the process lives."""


@dataclass
class Claim:
    """Which load is meant: the one with this `created`, or one that began within a period.

    If a server sends no `created`, loads cannot be told apart, and any load is the one meant.
    All moments are server time.
    """

    created: datetime | None = None
    not_before: datetime | None = None
    not_after: datetime | None = None
    concurrency: int | None = None
    """The requested value, which must match if `created` is not known."""
    accepted_at: datetime | None = None
    """When the service accepted it; None if it is not known to have."""

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


def _earlier(value: object) -> Record:
    return Record.of(value)


@dataclass(frozen=True, kw_only=True)
class Record(Properties):
    """What the journal keeps of the one load that an account may have of a model."""

    model_id: str = prop(text)
    owner: Owner = prop(Owner.of)
    """The resource that began the load or took it over."""
    phase: Phase = prop(Phase)
    began: datetime = prop(_moment)
    """Server time just before the request, or of the take-over."""
    concurrency: int = prop(whole)
    """As requested; the service may have rounded it."""
    max_concurrency: int | None = prop(optional(whole), None)
    expiration_period_seconds: int | None = prop(optional(whole), None)
    created: datetime | None = prop(optional(_moment), None)
    """What identifies the load; None until it is known."""
    adopted_at: str | None = prop(optional(text), None)
    """When the load was taken over, as the state names it; None if the owner began it."""
    host: str = prop(text, "")
    """The name of the machine that began it, for people."""
    holder: Holder | None = prop(optional(Holder.of), None)
    before: Record | None = prop(optional(_earlier), None)
    """The record that a request replaced, until its answer is known."""

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

    @property
    def is_unfinished(self) -> bool:
        """Whether no state is known to name the load."""
        return self.phase in (Phase.REQUESTED, Phase.ACCEPTED)

    @property
    def asked(self) -> Asked:
        """The settings, as requested."""
        return Asked(self.concurrency, self.expiration_period_seconds, self.max_concurrency)

    def identified(self, created: datetime) -> Record:
        """Return the record of a load that was seen."""
        update = {"created": created, "phase": Phase.ACCEPTED, "before": None}
        return self.but(**update)

    def about(self, live: Instance) -> Record:
        """Return the record that a request replaced if it is the one that fits the load."""
        before = self.before
        if before is None or self.claim.covers(live) or not before.claim.covers(live):
            return self
        return before

    def is_later_than(self, live: Instance) -> bool:
        """Return whether the service accepted this load after a shown one, which is gone then.

        A status may be older than the journal: it was requested earlier, or it lags.
        """
        if live.created is None or self.phase is Phase.REQUESTED:
            return False
        if self.created is not None:
            return self.created > live.created
        return self.began + CLOCK_TOLERANCE >= live.created and not self.claim.covers(live)

    def is_before_take_over(self, adopted_at: str | None) -> bool:
        """Return whether a take-over is later than everything in this record."""
        taken_over, known = moment_of(adopted_at), moment_of(self.adopted_at)
        return taken_over is not None and taken_over > max(self.began, known or self.began)
