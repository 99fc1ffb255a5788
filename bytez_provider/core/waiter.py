"""Waiting for an instance with a deadline, telling how it goes, and stopping when asked to."""

from __future__ import annotations

import enum
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from bytez_provider.base.clock import Clock
from bytez_provider.base.errors import ApiError, printable
from bytez_provider.base.words import duration
from bytez_provider.core.ownership import Claim
from bytez_provider.core.poller import FRESH_SECONDS, Poller
from bytez_provider.service.client import BytezClient
from bytez_provider.service.schemas import Instance, Phase

NOT_FOUND_GRACE_SECONDS = 60.0
"""After an acceptance the status may lag: so long "not found" means "still going" (choice)."""

SHOWN_GRACE_SECONDS = 5.0
"""So long a young load that was shown, and now is not, is looked for again (choice)."""

_POLL_SHARE = 0.1  # of the age, so that a boot is noticed within a tenth of the time it took
_POLL_MAX_SECONDS = 5.0
_UNLOAD_POLL_SECONDS = 0.5
_QUIET_REPORT_SECONDS = 60.0


class Stop(enum.Enum):
    """Why the deployment wants an operation to end before its time."""

    CANCELLED = "cancelled"
    """The first Ctrl-C: what is returned now is still written to state."""
    ENGINE_GONE = "engine gone"
    """The second Ctrl-C, or a kill: nobody is there to hear the answer."""


class Caller(Protocol):
    """Who asks for an operation, and how to talk to them while it runs."""

    @property
    def urn(self) -> str | None:
        """The resource, where the caller knows it."""

    @property
    def timeout_seconds(self) -> float | None:
        """The user's `customTimeouts` for this operation."""

    @property
    def wake(self) -> threading.Event:
        """Set as soon as `stop` has something to say."""

    def stop(self) -> Stop | None:
        """Say why to end now; None to go on."""

    def report(self, message: str) -> None:
        """Show a line of progress, in place of the last one."""

    def note(self, message: str) -> None:
        """Show a line that stays."""

    def warn(self, message: str) -> None:
        """Show a warning that stays."""

    def debug(self, message: str) -> None:
        """Show a line to those who asked for the debug log."""


class Ended(enum.Enum):
    """How a wait for RUNNING ended."""

    RUNNING = "running"
    SEEN = "seen"
    FAILED = "failed"
    GONE = "gone"
    OTHER_LOAD = "other load"
    LIMIT = "limit"
    STOPPED = "stopped"


@dataclass(frozen=True)
class Wait:
    """The end of a wait, and what was last seen of the instance."""

    ended: Ended
    instance: Instance | None
    trouble: ApiError | None = None
    """The last poll's failure, where the last poll failed."""


def progress(stage: str, age_seconds: float, limit_seconds: float) -> str:
    """Return a line of progress; a narrow row cuts its end, so the age comes first."""
    return f"{duration(age_seconds)} {stage}, limit {duration(limit_seconds)}"


def pause_seconds(waited_seconds: float) -> float:
    """Return how long to wait before the next look, longer the longer the wait has been.

    By our own clock: an emulator's runs faster, and the wait is in our seconds.
    """
    pause = min(max(waited_seconds * _POLL_SHARE, FRESH_SECONDS), _POLL_MAX_SECONDS)
    # Spread, so that a fleet loaded in one second does not ask in one second; and never shorter
    # than a list is fresh, or the next look would see the last one's.
    return pause * random.uniform(1.0, 1.1)  # noqa: S311  (spreads load, guards nothing)


class Waiter:
    """Waits for one instance at a time, in any number of threads, through one `poller`."""

    def __init__(self, client: BytezClient, clock: Clock, *, quiet: bool = False) -> None:
        """Make a waiter; `quiet` reports on a change and once a minute, for logs of lines."""
        self.poller = Poller(client, clock)
        self.quiet = quiet
        self._client = client
        self._clock = clock

    def until_running(
        self,
        model_id: str,
        claim: Claim,
        caller: Caller,
        *,
        limit_seconds: float,
        on_identified: Callable[[Instance], None],
        seen_is_enough: bool = False,
    ) -> Wait:
        """Wait until the claimed load is RUNNING, or cannot become so.

        Args:
            model_id: The model.
            claim: The load that is meant; its `created` is filled in once it is seen.
            caller: Told of progress; its wish to stop ends the wait.
            limit_seconds: How long to wait from now.
            on_identified: Called once, when `created` is first seen.
            seen_is_enough: End as soon as the load is seen, whatever its status.

        Raises:
            ApiError: An answer that waiting does not mend: a refused key, no credits.
        """
        with self.poller.waiting():
            return self._until_running(
                model_id, claim, caller, limit_seconds, on_identified, seen_is_enough
            )

    def _until_running(
        self,
        model_id: str,
        claim: Claim,
        caller: Caller,
        limit_seconds: float,
        on_identified: Callable[[Instance], None],
        seen_is_enough: bool,
    ) -> Wait:
        start = self._clock.monotonic()
        # From here on by our own clock: no wall clock or `Date` that jumps may end it.
        grace_seconds = NOT_FOUND_GRACE_SECONDS - self._age(claim, 0.0)
        report = self._reporter(caller, limit_seconds)
        seen: Instance | None = None
        pause = 0.0
        while True:
            elapsed = self._clock.monotonic() - start
            in_grace = elapsed < grace_seconds
            trouble: ApiError | None = None
            ended: Ended | None = None
            # Also once after a Ctrl-C where the load has no identity yet: state should have it.
            if caller.stop() is None or claim.created is None:
                live, trouble = self._look(model_id, claim, pause)
                if live is not None and self._is_meant(claim, live, in_grace, on_identified):
                    seen, ended = live, Ended.SEEN if seen_is_enough else _end_of(live)
                elif trouble is None and not in_grace:
                    ended = Ended.GONE if live is None else Ended.OTHER_LOAD
            elapsed = self._clock.monotonic() - start
            if ended is None and caller.stop() is not None:
                ended = Ended.STOPPED
            if ended is None and elapsed >= limit_seconds:
                ended = Ended.LIMIT
            report(seen, trouble, self._age(claim, elapsed), ended)
            if ended is not None:
                return Wait(ended, seen, trouble)
            pause = pause_seconds(elapsed)
            self._clock.wait(min(pause, max(limit_seconds - elapsed, 0.01)), caller.wake)

    def until_shown(
        self, model_id: str, claim: Claim, *, limit_seconds: float, caller: Caller | None = None
    ) -> Instance | None:
        """Look until the claimed load is shown; return it, or what there is at the limit.

        Where there is a `caller`, its stop ends it too, which proves nothing.

        Raises:
            ApiError: The status could not be read until the limit.
        """
        start = self._clock.monotonic()
        live: Instance | None = None
        trouble: ApiError | None = None
        while (elapsed := self._clock.monotonic() - start) < limit_seconds:
            if caller is not None and caller.stop() is not None:
                return None
            self._clock.wait(pause_seconds(elapsed), caller.wake if caller else None)
            live, trouble = self._look(model_id, claim, 0.0)
            if live is not None and claim.covers(live):
                return live
        if trouble is not None:
            raise trouble
        return live

    def until_sure(self, model_id: str, claim: Claim) -> Instance | None:
        """Look until the claimed load is shown, or so old that "not found" proves it gone.

        Returns what `until_shown` does. For who is to unload it: unseen, that may end one that
        somebody else has just made. Not ended by Ctrl-C.

        Raises:
            ApiError: The status could not be read until then.
        """
        limit = NOT_FOUND_GRACE_SECONDS - self._age(claim, 0.0)
        return self.until_shown(model_id, claim, limit_seconds=limit)

    def until_unloaded(
        self, model_id: str, claim: Claim, *, limit_seconds: float
    ) -> Instance | None:
        """Wait until the status agrees that the claimed load is gone.

        Not ended by Ctrl-C: the request is out, and a load right after it would be refused.

        Returns:
            None when it is gone, or the instance that is still there at the limit.

        Raises:
            ApiError: The status could not be read until the limit.
        """
        start = self._clock.monotonic()
        while True:
            live, trouble = self._look(model_id, claim, _UNLOAD_POLL_SECONDS)
            if trouble is None and (live is None or not claim.covers(live)):
                return None
            left = limit_seconds - (self._clock.monotonic() - start)
            if left <= 0:
                if trouble is not None:
                    raise trouble
                return live
            self._clock.wait(min(_UNLOAD_POLL_SECONDS, left))

    def _look(
        self, model_id: str, claim: Claim, pause: float
    ) -> tuple[Instance | None, ApiError | None]:
        """Ask once, and return what is loaded, or the trouble that a wait outlives."""
        try:
            if claim.created is None and pause == 0:
                # A load of a moment ago is on no list that another has seen.
                return self.poller.status(model_id), None
            # Those who have waited for long are content with what another has just seen.
            fresh = max(FRESH_SECONDS, pause / 2)
            return self.poller.look(model_id, claim.covers, max_age_seconds=fresh), None
        except ApiError as error:
            if error.is_passing:
                return None, error
            raise

    def _is_meant(
        self,
        claim: Claim,
        live: Instance,
        in_grace: bool,
        on_identified: Callable[[Instance], None],
    ) -> bool:
        """Tell whether `live` is the claimed load, learning its identity the first time."""
        is_sure = claim.created is not None or claim.accepted_at is None
        if not claim.covers(live) and (is_sure or in_grace):
            return False
        # Else the service took our load and goes on showing an older `created`: then it does not
        # renew it, or its clocks disagree, and this is the load.
        if claim.created is None and live.created is not None:
            claim.created = live.created
            on_identified(live)
        return True

    def _age(self, claim: Claim, elapsed: float) -> float:
        """Return the load's age in seconds of server time, at least what was waited for it."""
        since = claim.created or claim.accepted_at
        if since is None:
            return elapsed
        return max(elapsed, (self._client.server_now() - since).total_seconds())

    def _reporter(
        self, caller: Caller, limit_seconds: float
    ) -> Callable[[Instance | None, ApiError | None, float, Ended | None], None]:
        last: tuple[str, bool, float] | None = None

        def report(
            seen: Instance | None, trouble: ApiError | None, age: float, ended: Ended | None
        ) -> None:
            nonlocal last
            if ended is Ended.RUNNING:
                # A finished row keeps its last line.
                caller.report(f"RUNNING after {duration(age)}")
            if ended is not None:
                return
            stage = printable(seen.status, limit=40) if seen else "accepted"
            now = self._clock.monotonic()
            is_news = last is None or (stage, trouble is None) != last[:2]
            if self.quiet and last and not is_news and now - last[2] < _QUIET_REPORT_SECONDS:
                return
            last = (stage, trouble is None, now)
            silence = ", no answer now" if trouble else ""
            caller.report(progress(stage + silence, age, limit_seconds))

        return report


def _end_of(live: Instance) -> Ended | None:
    if live.phase is Phase.RUNNING:
        return Ended.RUNNING
    return Ended.FAILED if live.phase is Phase.FAILED else None
