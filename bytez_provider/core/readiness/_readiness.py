"""The operations of a fleet's readiness."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bytez_provider.base.errors import BytezError
from bytez_provider.core import messages
from bytez_provider.core.declared import MemberOfFleet, ReadinessInputs, ReadinessState
from bytez_provider.core.inputs import EXPIRY_MIN_SECONDS
from bytez_provider.core.lifecycle import Lifecycle
from bytez_provider.core.ownership import Claim
from bytez_provider.core.readiness._rows import Rows, urn_of
from bytez_provider.core.waiting import (
    BOOT_LIMIT_SECONDS,
    End,
    FleetCaller,
    Stop,
    Waiter,
    Watched,
)
from bytez_provider.service.schemas import NOT_LOADED, RUNNING, Phase, moment_of, seconds_between

_LOST = (End.GONE, End.OTHER_LOAD)
_LOOK_LIMIT_SECONDS = 30.0


class Readiness:
    """The operations of the readiness resources of one account; safe to use from many threads."""

    def __init__(self, *, lifecycle: Lifecycle, waiter: Waiter) -> None:
        self._lifecycle = lifecycle
        self._waiter = waiter

    def diff(self, old: ReadinessState, news: Mapping[str, Any] | None) -> bool:
        """Return whether there is something to wait for; `news` is None if not all is known."""
        if news is None:
            return True
        new = ReadinessInputs.of(news)
        return not old.ready or (old.fleet, old.members) != (new.fleet, new.members)

    def wait(self, inputs: ReadinessInputs, caller: FleetCaller) -> ReadinessState:
        """Wait until every model of the fleet is RUNNING, or accepted as idle.

        Returns:
            The state; not ready if the deployment was cancelled in mid-boot.

        Raises:
            FleetNotReadyError: Names each model that did not come up, and why.
            InterruptedLoadError: Nobody is left to receive the state.
            ApiError: An answer that waiting does not mend: a refused key.
        """
        fleet, limit = inputs.fleet, caller.timeout_seconds or BOOT_LIMIT_SECONDS
        loads = {
            key: Watched(one.model_id, _claim(one), may_rest=one.accept_idle)
            for key, one in inputs.members.items()
        }
        rows = Rows(fleet, caller, self._waiter)

        def show(waited: float) -> None:
            rows.show(loads, waited, limit)

        try:
            began = self._waiter.server_now()
            self._waiter.watch(list(loads.values()), caller, limit_seconds=limit, show=show)
            passed = seconds_between(began, self._waiter.server_now()) or 0
            if passed >= EXPIRY_MIN_SECONDS and all(one.end for one in loads.values()):
                self._mark_expired(loads, caller)
                show(0.0)
        except BytezError as error:
            raise messages.of_fleet(error, fleet) from None
        if caller.stop() is Stop.ENGINE_GONE:
            raise messages.fleet_interrupted(fleet)
        is_cancelled = caller.stop() is not None and any(not one.end for one in loads.values())
        if not is_cancelled:
            self._refuse_unready(inputs, loads, caller, limit)
        statuses = {key: one.word for key, one in loads.items()}
        return ReadinessState(**vars(inputs), ready=not is_cancelled, statuses=statuses)

    def read(self, old: ReadinessState) -> ReadinessState | None:
        """Return the state as it is now; None unless all models are RUNNING or accepted as idle.

        Raises:
            ApiError: No answer: the state is left as it was.
        """
        if not old.ready:
            return None
        statuses = {}
        for key, one in old.members.items():
            claim = _claim(one)
            try:
                live = self._lifecycle.glance(one.model_id, claim.created)
            except BytezError as error:
                raise messages.of_state(error, "read the fleet", old.fleet) from None
            is_there = live is not None and claim.covers(live)
            if live is not None and is_there and live.serves:
                statuses[key] = RUNNING
            elif live is not None and is_there and live.phase is Phase.OFF and one.accept_idle:
                statuses[key] = live.word
            elif not is_there and one.accept_idle:
                statuses[key] = NOT_LOADED
            else:
                return None
        return old.but(statuses=statuses)

    def _mark_expired(self, loads: Mapping[str, Watched], caller: FleetCaller) -> None:
        """Warn of models that were RUNNING, and idle for so long that they are gone again."""
        running = {one.model_id: one for one in loads.values() if one.end is End.RUNNING}
        again = [Watched(one.model_id, one.claim, was_shown=True) for one in running.values()]
        self._waiter.watch(
            again,
            caller,
            limit_seconds=_LOOK_LIMIT_SECONDS,
            show=lambda _: None,
            seen_is_enough=True,
        )
        for one in again:
            if one.end in _LOST:
                running[one.model_id].end = End.EXPIRED
                caller.warn(messages.EXPIRED.format(one.model_id))

    def _refuse_unready(
        self,
        inputs: ReadinessInputs,
        loads: Mapping[str, Watched],
        caller: FleetCaller,
        limit: float,
    ) -> None:
        """Unload what FAILED, and raise one error that names all that did not come up."""
        problems = []
        for key, one in loads.items():
            if one.end is End.FAILED:
                problems.append(self._unload(one, urn_of(caller.urn, inputs.fleet, key), caller))
            elif not one.end or (one.end in _LOST and not inputs.members[key].accept_idle):
                problems.append(messages.NotUp(one))
        if problems:
            others = len(loads) - len(problems)
            raise messages.fleet_not_ready(inputs.fleet, problems, others, limit)

    def _unload(self, load: Watched, urn: str | None, caller: FleetCaller) -> messages.NotUp:
        """Unload a model that FAILED; return what became of it."""
        try:
            was_unloaded = self._lifecycle.unload_failed(load.model_id, load.claim, urn, caller)
        except BytezError as error:
            return messages.NotUp(load, trouble=error)
        return messages.NotUp(load, was_unloaded=was_unloaded)


def _claim(member: MemberOfFleet) -> Claim:
    return Claim(moment_of(member.created))
