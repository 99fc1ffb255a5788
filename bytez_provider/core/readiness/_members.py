"""The models that a readiness waits for, and who asked for it."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Protocol

from bytez_provider.base.errors import printable
from bytez_provider.core.declared import MemberOfFleet, ReadinessInputs
from bytez_provider.core.lifecycle import DEPLOYING, NOT_LOADED
from bytez_provider.core.ownership import Claim
from bytez_provider.core.waiter import NOT_FOUND_GRACE_SECONDS, Caller
from bytez_provider.service.schemas import Instance, Phase, moment_of


class FleetCaller(Caller, Protocol):
    """A caller who can show progress in the rows of other resources too."""

    def report(self, message: str, *, urn: str | None = None) -> None:
        """Show a line of progress of a resource, in place of its last one."""


class End(enum.Enum):
    """How the wait for one model ended."""

    RUNNING = "is RUNNING"
    IDLE = "was found unloaded, which is accepted"
    EXPIRED = "was RUNNING, and was gone before the others were ready"
    FAILED = "reported FAILED"
    GONE = "is not loaded any more"
    OTHER_LOAD = "was unloaded, and loaded by somebody else"


@dataclass
class Member:
    """One model that is waited for."""

    key: str
    model_id: str
    claim: Claim
    accept_idle: bool
    seen: Instance | None = None
    end: End | None = None

    @property
    def status(self) -> str:
        """The word for it in state and in its row."""
        if self.end in (None, End.RUNNING, End.FAILED):
            return word_of(self.seen) if self.seen else DEPLOYING
        return NOT_LOADED

    def judge(self, live: Instance | None, age_seconds: float) -> None:
        """Take note of what there is to be seen of it, which may end the wait.

        Args:
            live: The instance of the model, None where the service shows none.
            age_seconds: How old the load is; at first it may not show yet.
        """
        if live is None and age_seconds < NOT_FOUND_GRACE_SECONDS:
            return
        if live is None or not self.claim.covers(live):
            lost = End.GONE if live is None else End.OTHER_LOAD
            self.end = End.IDLE if self.accept_idle else lost
            return
        self.seen = live
        if live.phase is Phase.RUNNING:
            self.end = End.RUNNING
        elif live.phase is Phase.FAILED:
            self.end = End.FAILED


def members_of(inputs: ReadinessInputs) -> list[Member]:
    """Return the models of a fleet, of each of which nothing is known yet."""
    return [
        Member(key, one.model_id, claim_of(one), one.accept_idle)
        for key, one in inputs.members.items()
    ]


def claim_of(member: MemberOfFleet) -> Claim:
    """Return which load a fleet's model stands for."""
    return Claim(moment_of(member.created))


def word_of(live: Instance) -> str:
    """Return the status of an instance as it is shown and kept."""
    return printable(live.status.strip().upper(), limit=40)
