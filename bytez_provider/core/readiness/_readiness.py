"""The wait itself, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime

from bytez_provider.base.clock import Clock
from bytez_provider.base.errors import (
    ApiError,
    BytezError,
    FleetNotReadyError,
    InterruptedLoadError,
    printable,
)
from bytez_provider.base.words import duration
from bytez_provider.core.declared import MemberOfFleet, ReadinessInputs, ReadinessState
from bytez_provider.core.inputs import EXPIRY_MIN_SECONDS
from bytez_provider.core.lifecycle import BOOT_LIMIT_SECONDS, NOT_LOADED, Lifecycle, of_state
from bytez_provider.core.poller import Poller
from bytez_provider.core.readiness._members import (
    End,
    FleetCaller,
    Member,
    claim_of,
    members_of,
    word_of,
)
from bytez_provider.core.readiness._rows import Rows, Urns
from bytez_provider.core.waiter import Stop, pause_seconds
from bytez_provider.service.schemas import Instance, Phase

_REASON_LIMIT = 120
_REASONS_LIMIT = 300
"""Characters of what the service said of one model, and of all of them in one error."""


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
            InterruptedLoadError: Nobody is there any more to take the state.
            ApiError: An answer that waiting does not mend: a refused key.
        """
        members = members_of(inputs)
        limit = caller.timeout_seconds or BOOT_LIMIT_SECONDS
        try:
            self._watch(inputs.fleet, members, caller, limit)
        except BytezError as error:
            raise error.restated(
                verb="bring up the fleet",
                subject=inputs.fleet,
                state="Its models stay as they are, and are in state",
                action=f"{error.action}, then run `pulumi up` again, which waits for them",
            ) from None
        if caller.stop() is Stop.ENGINE_GONE:
            raise _interrupted(inputs.fleet)
        is_cancelled = caller.stop() is not None and any(one.end is None for one in members)
        if not is_cancelled:
            self._refuse_unready(inputs.fleet, members, caller, limit)
        return ReadinessState(
            **dict(inputs),
            ready=not is_cancelled,
            statuses={member.key: member.status for member in members},
        )

    def read(self, old: ReadinessState) -> ReadinessState | None:
        """Return the state as it is now; None unless all models are RUNNING or accepted as idle.

        Raises:
            ApiError: No answer: the state stays as it was.
        """
        if not old.ready:
            return None
        statuses = {}
        for key, one in old.members.items():
            live = self._glance(old.fleet, one)
            if live is not None and live.phase is Phase.RUNNING:
                statuses[key] = word_of(live)
            elif live is None and one.accept_idle:
                statuses[key] = NOT_LOADED
            else:
                return None
        return old.model_copy(update={"statuses": statuses})

    def _glance(self, fleet: str, member: MemberOfFleet) -> Instance | None:
        """Return the instance that a member stands for, None where it is gone."""
        claim = claim_of(member)
        try:
            live = self._lifecycle.glance(member.model_id, claim.created)
        except BytezError as error:
            raise of_state(error, "read the fleet", fleet) from None
        return live if live is not None and claim.covers(live) else None

    # ------------------------------------------------------------------------------- the wait

    def _watch(
        self, fleet: str, members: Sequence[Member], caller: FleetCaller, limit: float
    ) -> None:
        """Look until all have ended, the limit has passed or a stop is asked for."""
        start = self._clock.monotonic()
        rows = Rows(fleet, caller, self._clock, quiet=self._quiet)
        waited = 0.0
        began: datetime | None = None
        while caller.stop() is None:
            waiting = [member for member in members if member.end is None]
            for member, live in self._look(waiting, caller):
                # By a `Date` that is late every load is young; it is as old as the wait at least.
                member.judge(live, max(waited, self._age(member)))
            waited = self._clock.monotonic() - start
            # By the service's time, in which models expire; it is known from the first answer on.
            began = began or self._server_now()
            passed = (self._server_now() - began).total_seconds()
            is_over = all(member.end for member in members)
            if is_over and passed >= EXPIRY_MIN_SECONDS:
                self._look_for_expired(members, caller)
            rows.show(members, limit, self._age)
            if is_over or waited >= limit:
                return
            pause = min(pause_seconds(waited), max(limit - waited, 0.01))
            self._clock.wait(pause, caller.wake)
            waited = self._clock.monotonic() - start

    def _look(
        self, members: Collection[Member], caller: FleetCaller
    ) -> list[tuple[Member, Instance | None]]:
        """Look once at models; those of which there was no answer are left out."""
        by_id = {member.model_id: member for member in members}
        loads = {model_id: member.claim.covers for model_id, member in by_id.items()}
        try:
            seen = self._poller.look_at(loads, caller.wake)
        except ApiError as error:
            if error.is_passing:
                return []
            raise
        answered = []
        for model_id, found in seen.items():
            if not isinstance(found, ApiError):
                answered.append((by_id[model_id], found))
            elif not found.is_passing:
                raise found
        return answered

    def _look_for_expired(self, members: Sequence[Member], caller: FleetCaller) -> None:
        """Warn of models that were RUNNING, and idle for so long that they are gone again."""
        unsure = {member.key: member for member in members if member.end is End.RUNNING}
        while unsure and caller.stop() is None:
            answered = self._look(unsure.values(), caller)
            for member, live in answered:
                del unsure[member.key]
                if live is None or not member.claim.covers(live):
                    member.end = End.EXPIRED
                    caller.warn(
                        f"'{member.model_id}' was RUNNING, and expired before the others were "
                        "ready: a longer `expirationPeriodSeconds` keeps it loaded"
                    )
            if not answered:
                return

    def _age(self, member: Member) -> float:
        """Return the age of a load in seconds of server time; 0 where it is not known."""
        if member.claim.created is None:
            return 0.0
        return max(0.0, (self._server_now() - member.claim.created).total_seconds())

    # ---------------------------------------------------------------------------- the outcome

    def _refuse_unready(
        self, fleet: str, members: Sequence[Member], caller: FleetCaller, limit: float
    ) -> None:
        """Unload what FAILED, and raise one error that names all that did not come up."""
        urns = Urns(fleet, caller.urn)
        problems = []
        room = _REASONS_LIMIT
        for member in members:
            if member.end is End.FAILED:
                said = (member.seen.error if member.seen else None) or ""
                reason = printable(said, limit=min(_REASON_LIMIT, room)) if room > 0 else ""
                room -= len(reason)
                told = f': "{reason}"' if reason else ""
                end = self._drop(member, urns.of(member.key))
                problems.append(f"'{member.model_id}' reported FAILED{told}, {end}")
            elif member.end in (End.GONE, End.OTHER_LOAD):
                problems.append(f"'{member.model_id}' {member.end.value}")
            elif member.end is None:
                last = f"still {member.status}" if member.seen else "not shown by the service"
                problems.append(
                    f"'{member.model_id}' was {last} after {duration(limit)}, and stays"
                )
        if problems:
            others = len(members) - len(problems)
            state = f"The other {others} stay as they are" if others != 1 else "The other one stays"
            raise FleetNotReadyError(
                verb="bring up the fleet",
                subject=fleet,
                observed=f"{len(problems)} of {len(members)} models did not come up: "
                + "; ".join(problems),
                state=state if others else "No other model is in the fleet",
                action="Run `pulumi up --refresh`: it loads what is gone and waits for what stays"
                + _way_out([one.model_id for one in members if one.end is None]),
            )

    def _drop(self, member: Member, urn: str | None) -> str:
        """Unload a model that FAILED; return what became of it."""
        model_id = member.model_id
        try:
            is_gone = self._lifecycle.unload_failed(model_id, member.claim, urn)
        except BytezError as error:
            observed = printable(error.observed, limit=_REASON_LIMIT)
            return (
                f"and unloading it failed too ({observed}), so it may still cost money: "
                f"`bytez-fleet unload {model_id} --yes` stops it"
            )
        return "and was unloaded" if is_gone else "and was left alone, as it has changed since"


def _way_out(booting: Sequence[str]) -> str:
    """Say what to do about boots that were not over at the limit, and may never be."""
    if not booting:
        return ""
    what = booting[0] if len(booting) == 1 else "<model>"
    return f"; if a boot never ends, end it with `bytez-fleet unload {what} --yes`"


def _interrupted(fleet: str) -> BytezError:
    return InterruptedLoadError(
        verb="bring up the fleet",
        subject=fleet,
        observed="the deployment was stopped",
        state="Its models go on booting, and are in state",
        action="Run `pulumi up` again, which waits for them",
    )
