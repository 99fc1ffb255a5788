"""Waiting for a whole fleet at once: what its one readiness resource does, free of Pulumi.

It loads nothing, and unloads nothing that works: only a model that FAILED. A model that is still
booting at the limit stays, is named, and is waited for by the next `up`.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from bytez_provider.clock import Clock
from bytez_provider.errors import (
    ApiError,
    BytezError,
    FleetNotReadyError,
    InterruptedLoadError,
    printable,
)
from bytez_provider.lifecycle import BOOT_LIMIT_SECONDS, DEPLOYING, NOT_LOADED, Lifecycle
from bytez_provider.poller import Poller
from bytez_provider.schemas import (
    EXPIRY_MIN_SECONDS,
    Instance,
    Phase,
    ReadinessInputs,
    ReadinessState,
    moment_of,
)
from bytez_provider.waiter import (
    NOT_FOUND_GRACE_SECONDS,
    Caller,
    Claim,
    Stop,
    duration,
    is_passing,
    pause_seconds,
    progress,
)

_QUIET_COUNT_SECONDS = 60.0
_REASON_LIMIT = 120


class FleetCaller(Caller, Protocol):
    """A caller who can show progress in the rows of other resources too."""

    def report(self, message: str, *, urn: str | None = None) -> None:
        """Show a line of progress of a resource, in place of its last one."""


class _End(enum.Enum):
    """How the wait for one model ended."""

    RUNNING = "running"
    IDLE = "found unloaded, which is accepted"
    EXPIRED = "it was RUNNING, and expired before the others were ready"
    FAILED = "failed"
    LOST = "lost"


@dataclass
class _Member:
    """One model that is waited for."""

    key: str
    model_id: str
    claim: Claim
    accept_idle: bool
    seen: Instance | None = None
    end: _End | None = None
    problem: str = ""
    shown: str = ""

    @property
    def status(self) -> str:
        """The word for it in state and in its row."""
        if self.end in (_End.IDLE, _End.EXPIRED, _End.LOST):
            return NOT_LOADED
        return printable(self.seen.status.upper(), limit=40) if self.seen else DEPLOYING


class Readiness:
    """The operations of the readiness resources of one account; for any number of threads."""

    def __init__(
        self,
        *,
        lifecycle: Lifecycle,
        poller: Poller,
        clock: Clock,
        server_now: Callable[[], datetime],
        quiet: bool,
    ) -> None:
        self._lifecycle = lifecycle
        self._poller = poller
        self._clock = clock
        self._server_now = server_now
        self._quiet = quiet

    def wait(self, inputs: ReadinessInputs, caller: FleetCaller) -> ReadinessState:
        """Wait until every model of the fleet is RUNNING, or accepted as idle.

        Returns:
            The state; not ready when the deployment was cancelled in mid-boot.

        Raises:
            FleetNotReadyError: Names each model that did not come up, and why.
            ApiError: An answer that waiting does not mend: a refused key.
        """
        members = [
            _Member(key, one.model_id, Claim(moment_of(one.created)), one.accept_idle)
            for key, one in inputs.members.items()
        ]
        limit = caller.timeout_seconds or BOOT_LIMIT_SECONDS
        try:
            waited = self._watch(inputs.fleet, members, caller, limit)
            if waited >= EXPIRY_MIN_SECONDS:
                self._look_for_expired(members, caller)
        except ApiError as error:
            raise error.restated(
                verb="bring up the fleet",
                subject=inputs.fleet,
                state="Its models stay as they are, and are in state",
                action=f"{error.action}, then run `pulumi up` again, which waits for them",
            ) from None
        if caller.stop() is Stop.ENGINE_GONE:
            raise _interrupted(inputs.fleet)
        is_cancelled = caller.stop() is not None and any(m.end is None for m in members)
        if not is_cancelled:
            self._refuse_unready(inputs.fleet, members, limit)
        return ReadinessState(
            **dict(inputs),
            ready=not is_cancelled,
            statuses={member.key: member.status for member in members},
        )

    def read(self, old: ReadinessState) -> ReadinessState | None:
        """Return the state as it is now; None unless all models are RUNNING or accepted as idle.

        Raises:
            ApiError: No answer.
        """
        statuses = {}
        for key, one in old.members.items():
            live = self._lifecycle.glance(one.model_id, moment_of(one.created))
            is_ours = live is not None and Claim(moment_of(one.created)).covers(live)
            if live is not None and is_ours and live.phase is Phase.RUNNING:
                statuses[key] = "RUNNING"
            elif one.accept_idle and not is_ours:
                statuses[key] = NOT_LOADED
            else:
                return None
        return old.model_copy(update={"statuses": statuses}) if old.ready else None

    # ------------------------------------------------------------------------------- the wait

    def _watch(
        self, fleet: str, members: Sequence[_Member], caller: FleetCaller, limit: float
    ) -> float:
        """Look until all have ended, the limit has passed or a stop is asked for.

        Returns:
            Seconds waited.
        """
        start = self._clock.monotonic()
        rows = _Rows(fleet, caller, self._clock, quiet=self._quiet)
        while True:
            waited = self._clock.monotonic() - start
            if caller.stop() is None:
                self._look([member for member in members if member.end is None], waited)
            rows.show(members, limit, self._age)
            if all(member.end for member in members) or caller.stop() is not None:
                return waited
            waited = self._clock.monotonic() - start
            if waited >= limit:
                return waited
            pause = min(pause_seconds(waited), max(limit - waited, 0.01))
            self._clock.wait(pause, caller.wake)

    def _look(self, members: Sequence[_Member], waited: float) -> None:
        try:
            seen = self._poller.look_at([member.model_id for member in members])
        except ApiError as error:
            if is_passing(error):
                return
            raise
        for member in members:
            found = seen.get(member.model_id, member.seen)
            if isinstance(found, ApiError):
                if not is_passing(found):
                    raise found
            elif member.model_id in seen:
                self._judge(member, found, waited)

    def _judge(self, member: _Member, live: Instance | None, waited: float) -> None:
        """Say of one model how its wait has ended, if it has."""
        if live is None:
            age = waited if member.claim.created is None else self._age(member)
            if age >= NOT_FOUND_GRACE_SECONDS:
                member.end = _End.IDLE if member.accept_idle else _End.LOST
                member.problem = "is not loaded any more"
        elif not member.claim.covers(live):
            member.end = _End.IDLE if member.accept_idle else _End.LOST
            member.problem = "was unloaded, and loaded by somebody else"
        else:
            member.seen = live
            if live.phase is Phase.RUNNING:
                member.end = _End.RUNNING
            elif live.phase is Phase.FAILED:
                member.end = _End.FAILED
                said = printable(live.error, limit=_REASON_LIMIT) if live.error else ""
                member.problem = f'reported FAILED: "{said}"' if said else "reported FAILED"

    def _look_for_expired(self, members: Sequence[_Member], caller: FleetCaller) -> None:
        """Warn of models that were RUNNING, and idle for so long that they are gone again."""
        done = [member for member in members if member.end is _End.RUNNING]
        try:
            seen = self._poller.look_at([member.model_id for member in done])
        except ApiError as error:
            if is_passing(error):
                return
            raise
        for member in done:
            if seen.get(member.model_id, member.seen) is None:
                member.end = _End.EXPIRED
                caller.warn(
                    f"'{member.model_id}' was RUNNING, and expired before the others were ready: "
                    "a longer `expirationPeriodSeconds` keeps it loaded"
                )

    def _age(self, member: _Member) -> float:
        """Return the age of a load in seconds of server time; 0 where it is not known."""
        if member.claim.created is None:
            return 0.0
        return max(0.0, (self._server_now() - member.claim.created).total_seconds())

    # ---------------------------------------------------------------------------- the outcome

    def _refuse_unready(self, fleet: str, members: Sequence[_Member], limit: float) -> None:
        """Unload what FAILED, and raise one error that names all that did not come up."""
        problems = []
        for member in members:
            if member.end is _End.FAILED:
                problems.append(f"'{member.model_id}' {member.problem}, and {self._drop(member)}")
            elif member.end is _End.LOST:
                problems.append(f"'{member.model_id}' {member.problem}")
            elif member.end is None:
                late = f"was still {member.status} after {duration(limit)}, and stays"
                problems.append(f"'{member.model_id}' {late}")
        if not problems:
            return
        others = len(members) - len(problems)
        raise FleetNotReadyError(
            verb="bring up the fleet",
            subject=fleet,
            observed=f"{len(problems)} of {len(members)} models did not come up: "
            + "; ".join(problems),
            state=f"The other {others} stay loaded" if others else "No other model is in the fleet",
            action="Run `pulumi up --refresh`: it loads what is gone and waits for what stays",
        )

    def _drop(self, member: _Member) -> str:
        try:
            self._lifecycle.unload_failed(member.model_id, member.claim)
        except BytezError as error:
            return f"unloading it failed too ({error.observed}), so it may still cost money"
        return "was unloaded"


class _Rows:
    """The live rows of a fleet: one a model, and the count in the fleet's and the readiness's."""

    def __init__(self, fleet: str, caller: FleetCaller, clock: Clock, *, quiet: bool) -> None:
        self._fleet = fleet
        self._caller = caller
        self._clock = clock
        self._quiet = quiet
        self._count = ""
        self._counted_at = float("-inf")

    def show(
        self, members: Sequence[_Member], limit: float, age_of: Callable[[_Member], float]
    ) -> None:
        """Show how things stand; where lines are kept, what has changed or is a minute old."""
        for member in members:
            age = age_of(member)
            stage = member.status if member.seen or member.end else "accepted"
            if member.shown == stage and (self._quiet or member.end):
                continue
            member.shown = stage
            if member.end is None:
                text = progress(stage, age, limit)
            else:
                ran = member.end is _End.RUNNING
                text = f"RUNNING after {duration(age)}" if ran else member.status
            self._caller.report(text, urn=self._urn("Model", f"{self._fleet}-{member.key}"))
        self._show_count(members, age_of)

    def _show_count(self, members: Sequence[_Member], age_of: Callable[[_Member], float]) -> None:
        running = sum(member.end is _End.RUNNING for member in members)
        pending = [age_of(member) for member in members if member.end is None]
        count = f"{running} of {len(members)} running"
        now = self._clock.monotonic()
        if self._quiet and count == self._count and now - self._counted_at < _QUIET_COUNT_SECONDS:
            return
        self._count, self._counted_at = count, now
        text = f"{count}, oldest {duration(max(pending))}" if pending else count
        self._caller.report(text)
        fleet = self._urn(None, self._fleet)
        if fleet is not None:
            self._caller.report(text, urn=fleet)

    def _urn(self, kind: str | None, name: str) -> str | None:
        """Return the URN of a sibling, or of the fleet itself, built from the readiness's own.

        It cannot be an input: what takes its parent's `urn` output never gets it.
        """
        if self._caller.urn is None:
            return None
        head, project, types, _ = self._caller.urn.split("::", 3)
        parents, _, own = types.rpartition("$")
        if kind is not None:
            own = own.rpartition(":")[0] + f":{kind}"
        return "::".join((head, project, f"{parents}${own}" if kind else parents, name))


def _interrupted(fleet: str) -> BytezError:
    return InterruptedLoadError(
        verb="bring up the fleet",
        subject=fleet,
        observed="the deployment was stopped",
        state="Its models go on booting, and are in state",
        action="Run `pulumi up` again, which waits for them",
    )
