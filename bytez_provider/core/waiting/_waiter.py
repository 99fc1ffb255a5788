"""The one loop that waits for loads, and the short waits around a load or an unload."""

from __future__ import annotations

import enum
import random
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from bytez_provider.base.clock import Clock
from bytez_provider.base.errors import ApiError, RateLimitedError
from bytez_provider.base.words import duration
from bytez_provider.core.caller import Caller
from bytez_provider.core.ownership import Claim
from bytez_provider.core.waiting._poller import FRESH_SECONDS, Found, Poller
from bytez_provider.service.client import BytezClient
from bytez_provider.service.schemas import DEPLOYING, NOT_LOADED, RUNNING, Instance, Phase

BOOT_LIMIT_SECONDS = 30 * 60.0
"""How long a boot may take unless `customTimeouts` says otherwise (choice)."""
NOT_FOUND_GRACE_SECONDS = 60.0
"""For this long after an acceptance "not found" means "still going": a status may lag (choice)."""
SHOWN_GRACE_SECONDS = 5.0
"""How long to look again for a young load that was shown before: of two servers one may be behind
(choice)."""
_POLL_SHARE = 0.1  # of the time waited, so that the end of a boot is noticed within a tenth of it
_POLL_MAX_SECONDS = 5.0
_UNLOAD_POLL_SECONDS = 0.5
_QUIET_REPORT_SECONDS = 60.0


class End(enum.Enum):
    """How the wait for one load ended."""

    RUNNING = "running"
    SEEN = "seen"
    """Only if that is enough: a model of a fleet is waited for by the fleet's readiness."""
    FAILED = "failed"
    GONE = "gone"
    OTHER_LOAD = "other load"
    EXPIRED = "expired"
    """It was RUNNING, and was gone before the rest of its fleet was ready."""


@dataclass
class Watched:
    """One load that is waited for, and what is known of it."""

    model_id: str
    claim: Claim
    """Its `created` is filled in once the load is seen."""
    may_rest: bool = False
    """Whether it is ready although no instance of it runs."""
    was_shown: bool = False
    """Whether "not found" means gone at once, without the grace after an acceptance."""
    seen: Instance | None = None
    trouble: ApiError | None = None
    """Why the last poll got no answer."""
    end: End | None = None

    @property
    def word(self) -> str:
        """The status as it is shown and kept in state."""
        if self.end in (End.GONE, End.OTHER_LOAD, End.EXPIRED):
            return NOT_LOADED
        if self.seen is None:
            return DEPLOYING
        return RUNNING if self.seen.serves else self.seen.word

    def judge(self, found: Found, *, in_grace: bool, seen_is_enough: bool = False) -> bool:
        """Update from one answer of the service; return whether `created` became known."""
        self.trouble = found if isinstance(found, ApiError) else None
        if isinstance(found, ApiError):
            return False
        if found is None or not self._is_meant(found, in_grace=in_grace):
            if not in_grace:
                self.end = End.GONE if found is None else End.OTHER_LOAD
            return False
        self.seen = found
        if seen_is_enough:
            self.end = End.SEEN
        elif found.serves or (found.phase is Phase.OFF and self.may_rest):
            self.end = End.RUNNING
        elif found.phase is Phase.FAILED:
            self.end = End.FAILED
        is_new = self.claim.created is None and found.created is not None
        self.claim.created = self.claim.created or found.created
        return is_new

    def _is_meant(self, live: Instance, *, in_grace: bool) -> bool:
        # If the service accepted our load and after the grace still shows an older `created`, it
        # does not renew `created`, or its clocks disagree: this is the load.
        is_accepted = self.claim.created is None and self.claim.accepted_at is not None
        return self.claim.covers(live) or (is_accepted and not in_grace)


class Row:
    """The lines of progress of one load: one for each change, and one every few seconds."""

    def __init__(self, every_seconds: float) -> None:
        self._every_seconds = every_seconds
        self._last: tuple[str, bool] | None = None
        self._due_at = float("-inf")

    def line(
        self, load: Watched, now: float, age_seconds: float, limit_seconds: float
    ) -> str | None:
        """Return the line to show now; None for no new one."""
        stage = load.word if load.seen or load.end else "accepted"
        news = (f"{stage} {load.end}", load.trouble is None)
        if news == self._last and (load.end or now < self._due_at):
            return None
        self._last, self._due_at = news, now + self._every_seconds
        if load.end is None:
            # A narrow row cuts off the end, so the age comes first.
            silence = ", no answer now" if load.trouble else ""
            limit = duration(limit_seconds)
            return f"{duration(age_seconds)} {stage}{silence}, limit {limit}"
        return f"{stage} after {duration(age_seconds)}" if load.end is End.RUNNING else stage


def pause_seconds(waited_seconds: float) -> float:
    """Return how long to wait before the next look: the longer the wait, the longer the pause.

    By our own clock: an emulator's may run faster, and the wait is in our seconds.
    """
    pause = min(max(waited_seconds * _POLL_SHARE, FRESH_SECONDS), _POLL_MAX_SECONDS)
    # Random jitter, so that a fleet loaded in one second is not polled in one second. Never
    # shorter than a list is fresh, or the next look would get the last one's list.
    return pause * random.uniform(1.0, 1.1)  # noqa: S311  (spreads load, guards nothing)


class Waiter:
    """Waits for loads of one account, in any number of threads, through one `poller`."""

    def __init__(self, client: BytezClient, clock: Clock, *, quiet: bool = False) -> None:
        """Make a waiter; `quiet` shows changes and one line a minute, for logs of lines."""
        self.poller = Poller(client, clock)
        self.clock = clock
        self.quiet = quiet
        self._client = client

    def server_now(self) -> datetime:
        """Return the time of the service."""
        return self._client.server_now()

    def age(self, claim: Claim, at_least: float = 0.0) -> float:
        """Return the age of a load in seconds of server time, at least what was waited for it."""
        since = claim.created or claim.accepted_at
        if since is None:
            return at_least
        return max(at_least, (self.server_now() - since).total_seconds())

    def watch(
        self,
        loads: Sequence[Watched],
        caller: Caller,
        *,
        limit_seconds: float,
        show: Callable[[float], None] = lambda _: None,
        on_identified: Callable[[Watched], None] | None = None,
        seen_is_enough: bool = False,
    ) -> None:
        """Wait until each load has ended, the limit has passed or the caller stops.

        Args:
            loads: The loads, which are updated.
            caller: Their wish to stop ends the wait.
            limit_seconds: How long to wait from now.
            show: Called after each look with the seconds waited so far.
            on_identified: Called when the `created` of a load is first seen.
            seen_is_enough: Whether a load has ended as soon as it is seen, whatever its status.

        Raises:
            ApiError: An answer that waiting does not mend: a refused key, no credits.
        """
        start = self.clock.monotonic()
        # From here on by our own clock: no wall clock and no `Date` that jumps may end a grace.
        grace = {
            one.model_id: 0.0 if one.was_shown else NOT_FOUND_GRACE_SECONDS - self.age(one.claim)
            for one in loads
        }
        waited = pause = 0.0
        with self.poller.waiting(len(loads)):
            while True:
                pending = {one.model_id: one for one in loads if one.end is None}
                # Also once after a Ctrl-C if a load has no identity yet: state should have it.
                if caller.stop() is None or any(not one.claim.created for one in pending.values()):
                    for model_id, found in self._look(pending, pause, caller.wake).items():
                        one, in_grace = pending[model_id], waited < grace[model_id]
                        is_new = one.judge(found, in_grace=in_grace, seen_is_enough=seen_is_enough)
                        if is_new and on_identified:
                            on_identified(one)
                waited = self.clock.monotonic() - start
                is_over = all(one.end for one in loads) or waited >= limit_seconds
                is_over = is_over or caller.stop() is not None
                show(waited)
                if is_over:
                    return
                pause = pause_seconds(waited)
                self.clock.wait(min(pause, max(limit_seconds - waited, 0.01)), caller.wake)
                waited = self.clock.monotonic() - start

    def until_running(
        self,
        load: Watched,
        caller: Caller,
        *,
        limit_seconds: float,
        on_identified: Callable[[Watched], None] | None = None,
        seen_is_enough: bool = False,
    ) -> None:
        """Wait for one load and show its progress; see `watch`."""
        row = Row(_QUIET_REPORT_SECONDS if self.quiet else 0.0)

        def show(waited: float) -> None:
            is_over = load.end or caller.stop() is not None or waited >= limit_seconds
            if is_over and load.end is not End.RUNNING:
                return  # The state or the error says how it ended.
            now, age = self.clock.monotonic(), self.age(load.claim, waited)
            line = row.line(load, now, age, limit_seconds)
            if line is not None:
                caller.report(line)

        self.watch(
            [load],
            caller,
            limit_seconds=limit_seconds,
            show=show,
            on_identified=on_identified,
            seen_is_enough=seen_is_enough,
        )

    def until_shown(
        self,
        model_id: str,
        claim: Claim,
        *,
        limit_seconds: float | None = None,
        caller: Caller | None = None,
    ) -> Instance | None:
        """Look until a load is shown, or until the limit; return what there is then.

        Without a limit: until the load is so old that "not found" proves it gone. An unload that
        is sent earlier, for a load that is not shown, may end one that somebody else just made.
        Returns None if the caller stops, which proves nothing.

        Raises:
            ApiError: There was no answer.
        """
        limit = NOT_FOUND_GRACE_SECONDS - self.age(claim)
        limit = limit if limit_seconds is None else limit_seconds
        load = Watched(model_id, claim)
        return self._until(load, limit, lambda: load.seen is not None, caller=caller)

    def until_unloaded(
        self, model_id: str, claim: Claim, *, limit_seconds: float
    ) -> Instance | None:
        """Wait until a load is gone; return the instance that is still there at the limit.

        Not ended by Ctrl-C: the request is out, and a load right after it would be refused.

        Raises:
            ApiError: There was no answer.
        """
        load = Watched(model_id, claim)
        self._look_once(load)
        if load.trouble is None and not load.seen:
            return None
        self._until(load, limit_seconds, lambda: load.seen is None, pause=_UNLOAD_POLL_SECONDS)
        return load.seen

    def until_set(
        self,
        model_id: str,
        claim: Claim,
        is_set: Callable[[Instance], bool],
        *,
        limit_seconds: float,
        caller: Caller,
    ) -> Instance | None:
        """Look until a load is shown with its new settings, is gone, or until the limit.

        Returns the load as it is then; None if it is gone, or if the caller stops.

        Raises:
            ApiError: There was no answer.
        """
        load = Watched(model_id, claim)
        self._until(
            load, limit_seconds, lambda: load.seen is None or is_set(load.seen), caller=caller
        )
        return load.seen

    def _until(
        self,
        load: Watched,
        limit_seconds: float,
        is_done: Callable[[], bool],
        *,
        pause: float | None = None,
        caller: Caller | None = None,
    ) -> Instance | None:
        """Look until an answer is the one that is waited for; return what there is then."""
        start = self.clock.monotonic()
        live: Instance | None = None
        while (elapsed := self.clock.monotonic() - start) < limit_seconds:
            if caller is not None and caller.stop() is not None:
                return None
            next_pause = pause_seconds(elapsed) if pause is None else pause
            left = limit_seconds - elapsed
            self.clock.wait(min(next_pause, max(left, 0.01)), caller.wake if caller else None)
            live = self._look_once(load)
            if load.trouble is None and is_done():
                break
        if load.trouble is not None:
            raise load.trouble
        return live

    def _look_once(self, load: Watched) -> Instance | None:
        """Return what is loaded of a model; `load.seen` is it only if it is the load."""
        found = self._look({load.model_id: load}, FRESH_SECONDS)[load.model_id]
        load.trouble = found if isinstance(found, ApiError) else None
        live = None if isinstance(found, ApiError) else found
        load.seen = live if live is not None and load.claim.covers(live) else None
        return live

    def _look(
        self, loads: Mapping[str, Watched], pause: float, stop: threading.Event | None = None
    ) -> dict[str, Found]:
        """Ask once; the answers include errors that a wait outlives."""
        first = next(iter(loads.values()), None)
        if first and len(loads) == 1 and pause == 0 and first.claim.created is None:
            # A load of a moment ago is on no list that another wait has seen.
            seen = {first.model_id: self.poller.status(first.model_id)}
        else:
            covers = {model_id: one.claim.covers for model_id, one in loads.items()}
            # After a long wait, what another wait has just seen is new enough.
            fresh = max(FRESH_SECONDS, pause / 2)
            try:
                seen = self.poller.look(covers, stop=stop, max_age_seconds=fresh)
            except RateLimitedError as error:
                seen = dict.fromkeys(loads, error)
        for found in seen.values():
            if isinstance(found, ApiError) and not found.is_passing:
                raise found
        return seen
