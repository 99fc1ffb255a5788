"""What happens during a deployment: at one of its requests, or as it answers."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass


class Blow(enum.Enum):
    """What happens during a deployment."""

    CTRL_C = "Ctrl-C"
    ENGINE_KILLED = "engine killed"
    """By `kill -9` or a second Ctrl-C: the provider process continues to the end of the call, and
    its answer is not saved."""
    KILLED_BEFORE = "provider process killed before a request"
    KILLED_AFTER = "provider process killed after a request"
    """The service got it, and the process never saw the answer."""
    ENGINE_KILLED_SAVING = "engine killed before it saved an answer"
    KILLED_ANSWERING = "provider process killed before it answered"
    OTHERS_ACT = "somebody else acts"


@dataclass(frozen=True)
class Moment:
    """When it happens.

    Attributes:
        at: The request of the deployment, counted from 1; or the call, if it happens at its end.
        blow: What happens.
        act: What somebody else does then.
    """

    at: int
    blow: Blow
    act: Callable[[], object] | None = None

    def __repr__(self) -> str:
        return f"<{self.blow.value}: {self.at}>"
