"""Loading: from what is met before the first request to RUNNING, or to nothing left behind."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import datetime

from bytez_provider.base.errors import (
    ApiError,
    BootFailedError,
    BootTimeoutError,
    BytezError,
    InterruptedLoadError,
    LoadLostError,
    printable,
)
from bytez_provider.base.words import duration
from bytez_provider.core.declared import MemberInputs, ModelInputs, ModelState
from bytez_provider.core.lifecycle._compare import DEPLOYING, differences, granted_of
from bytez_provider.core.lifecycle._told import (
    held_by_others,
    interrupted,
    not_shown,
    unsure,
    worked_on,
)
from bytez_provider.core.lifecycle._unloading import Unloading
from bytez_provider.core.ownership import (
    Claim,
    HeldError,
    Hold,
    Judgement,
    Ledger,
    Record,
    Verdict,
)
from bytez_provider.core.waiter import NOT_FOUND_GRACE_SECONDS, Caller, Ended, Stop, Wait, Waiter
from bytez_provider.service.catalogue import CatalogueSource
from bytez_provider.service.client import BytezClient
from bytez_provider.service.schemas import Instance, LoadOutcome, Phase, iso
from bytez_provider.service.settings import Settings

BOOT_LIMIT_SECONDS = 30 * 60.0


class Loading:
    """The loads of one account: begun, met, taken over, awaited, and rolled back."""

    def __init__(
        self,
        *,
        settings: Settings,
        client: BytezClient,
        catalogue: CatalogueSource,
        ledger: Ledger,
        waiter: Waiter,
        unloading: Unloading,
    ) -> None:
        self._settings = settings
        self._client = client
        self._catalogue = catalogue
        self._ledger = ledger
        self._waiter = waiter
        self._unloading = unloading

    def meet(self, live: Instance | None, inputs: ModelInputs, caller: Caller) -> ModelState:
        """Load a model, whatever runs of it before: whose that is decides what is done."""
        try:
            return self._meet(live, inputs, caller)
        except HeldError as held:
            raise worked_on("load", held.record) from None

    def _meet(self, live: Instance | None, inputs: ModelInputs, caller: Caller) -> ModelState:
        model_id, who = inputs.model_id, self._ledger.who(caller.urn)
        judged = self._ledger.judge(model_id, live, who, None)
        if self._ledger.wait_for_own(judged.record):
            live = self._client.status(model_id, stop=caller.wake)
            judged = self._ledger.judge(model_id, live, who, None)
        if live is None:
            return self._load(inputs, caller)
        if judged.verdict is Verdict.OURS_LATER and judged.record is not None:
            return self._resume(live, judged, judged.record, inputs, caller)
        owner = judged.owner
        is_let_go = (
            judged.verdict is Verdict.OTHER_RESOURCE
            and owner is not None
            and not self._ledger.is_declared(owner, model_id)
        )
        if judged.verdict is Verdict.FOREIGN:
            # The service holds one load of a model: one that this resource asked for is gone.
            self._ledger.end(model_id, who)
        if not (is_let_go or inputs.adopt or model_id in self._settings.adopt):
            raise held_by_others(live, judged, in_fleet=isinstance(inputs, MemberInputs))
        reasons = ["it had failed"] if live.phase is Phase.FAILED else differences(live, inputs)
        if reasons:
            caller.warn(f"'{model_id}' was taken over and is loaded again: {'; '.join(reasons)}")
            return self.load_again(live, judged, inputs, caller)
        return self._adopt(live, judged, inputs, caller)

    def _resume(
        self,
        live: Instance,
        judged: Judgement,
        record: Record,
        inputs: ModelInputs,
        caller: Caller,
    ) -> ModelState:
        """Go on with a load that this resource began, and that its state does not name."""
        asked = (inputs.concurrency, inputs.expiration_period_seconds)
        has_failed = live.phase is Phase.FAILED
        if not has_failed and record.asks_for(*asked):
            return self.wait(inputs, Claim(live.created), caller, adopted_at=record.adopted_at)
        why = "it had failed" if has_failed else "its declaration has changed since"
        caller.note(
            f"'{inputs.model_id}', begun by an interrupted deployment, is loaded again: {why}"
        )
        return self.load_again(live, judged, inputs, caller)

    def _load(self, inputs: ModelInputs, caller: Caller) -> ModelState:
        """Load what is not loaded, as far as the status shows."""
        model_id = inputs.model_id
        if caller.stop() is not None:
            raise interrupted(model_id)
        began = self._client.server_now()
        with self._ledger.requesting(
            model_id,
            self._ledger.who(caller.urn),
            began=began,
            concurrency=inputs.concurrency,
            expiration_period_seconds=inputs.expiration_period_seconds,
        ) as request:
            try:
                answer = self._client.load(
                    model_id,
                    inputs.concurrency,
                    inputs.expiration_period_seconds,
                    stop=caller.wake,
                )
            except BytezError as error:
                if isinstance(error, ApiError) and error.maybe_done:
                    raise unsure(error) from None
                request.refused()
                raise
            is_accepted = answer.outcome is LoadOutcome.ACCEPTED
            if is_accepted:
                request.accepted()
            elif not answer.answer_lost:
                request.refused()
        if is_accepted:
            now = self._client.server_now()
            return self.wait(inputs, Claim(not_before=began, accepted_at=now), caller)
        return self._refused_load(inputs, caller, request, answer_lost=answer.answer_lost)

    def _refused_load(
        self, inputs: ModelInputs, caller: Caller, request: Hold, *, answer_lost: bool
    ) -> ModelState:
        """Deal with a load that the service has already, though the status did not show it.

        Made by this very call, one of whose answers was lost, by an interrupted deployment of
        this resource, or by others.
        """
        who = self._ledger.who(caller.urn)
        earlier = request.earlier
        own = request.record if answer_lost else None
        if own is None and earlier is not None and earlier.owner.is_same(who):
            own = earlier
        try:
            live = self._client.status(inputs.model_id, stop=caller.wake)
        except ApiError as error:
            raise (unsure(error) if own else error) from None
        if live is None and own is not None:
            return self.wait(inputs, Claim(own.created, not_before=own.began), caller)
        if live is None:
            raise not_shown(inputs.model_id)
        if answer_lost and request.record.claim.covers(live):
            return self.wait(inputs, Claim(live.created), caller)
        return self._meet(live, inputs, caller)

    def _adopt(
        self, live: Instance, judged: Judgement, inputs: ModelInputs, caller: Caller
    ) -> ModelState:
        """Take an instance over as it is."""
        model_id = inputs.model_id
        # First of all: the delete of an older resource may come while this one waits, and leaves
        # the load alone.
        adoption = self._ledger.adopt(
            judged,
            live,
            self._ledger.who(caller.urn),
            now=self._client.server_now(),
            concurrency=inputs.concurrency,
            expiration_period_seconds=inputs.expiration_period_seconds,
        )
        caller.note(f"'{model_id}' was taken over as it runs, without a load")
        if judged.verdict is Verdict.FOREIGN and not self._ledger.store.is_shared:
            caller.warn(
                f"'{model_id}' may be in the state of another stack, and this journal is on this "
                "machine only: take it out of that stack with `pulumi state delete` or "
                "`retain_on_delete`, or that stack unloads it when it is deployed from another "
                "machine"
            )
        try:
            claim = Claim(live.created)
            return self.wait(inputs, claim, caller, adopted_at=adoption.adopted_at)
        except BytezError:
            # No state will say that this resource has it.
            adoption.undo()
            raise

    def load_again(
        self, live: Instance, judged: Judgement, inputs: ModelInputs, caller: Caller
    ) -> ModelState:
        """Unload what is loaded, and load it as it is declared."""
        try:
            self._unloading.unload(live, judged, self._ledger.who(caller.urn))
            self._unloading.tell(caller)
            return self._load(inputs, caller)
        except HeldError as held:
            raise worked_on("load", held.record) from None

    def drop_leftover(self, left: Record, caller: Caller) -> None:
        """Unload what this resource began for another model before its declaration changed."""
        live = self._client.status(left.model_id, stop=caller.wake)
        who = self._ledger.who(caller.urn)
        since = (self._client.server_now() - left.began).total_seconds()
        if live is None and left.created is None and since < NOT_FOUND_GRACE_SECONDS:
            raise InterruptedLoadError(
                verb="load",
                subject=left.model_id,
                observed=f"a load of '{left.model_id}', begun by an interrupted deployment, may "
                "not show yet",
                action="Run `pulumi up` again in a minute",
            )
        judged = self._ledger.judge(left.model_id, live, who, None)
        if live is None or not judged.is_ours:
            self._ledger.forget(left)
            return
        caller.warn(f"'{left.model_id}', begun by an interrupted deployment, is unloaded")
        try:
            self._unloading.unload(live, judged, who)
        except HeldError as held:
            raise worked_on("unload", held.record) from None
        self._unloading.tell(caller)

    # ------------------------------------------------------------------- waiting for RUNNING

    def wait(
        self,
        inputs: ModelInputs,
        claim: Claim,
        caller: Caller,
        *,
        adopted_at: str | None = None,
    ) -> ModelState:
        """Wait for the claimed load and turn the end of the wait into a state or an error."""
        model_id = inputs.model_id
        limit = caller.timeout_seconds or BOOT_LIMIT_SECONDS
        who = self._ledger.who(caller.urn)

        def identified(created: datetime | None) -> None:
            self._ledger.identify(model_id, who, created)

        if claim.created is not None:
            identified(claim.created)
        in_fleet = isinstance(inputs, MemberInputs)
        try:
            with nullcontext() if in_fleet else self._ledger.waiting(model_id, who, claim.created):
                wait = self._waiter.until_running(
                    model_id,
                    claim,
                    caller,
                    limit_seconds=limit,
                    on_identified=lambda seen: identified(seen.created),
                    seen_is_enough=in_fleet,
                )
        except ApiError as error:
            raise error.restated(
                state="The load was accepted, and may be running and cost money",
                action=f"{error.action}, then run `pulumi up` again, which goes on with it",
            ) from None
        if wait.ended not in (Ended.RUNNING, Ended.SEEN, Ended.STOPPED):
            raise self._not_running(wait, claim, inputs, caller, limit)
        if caller.stop() is Stop.ENGINE_GONE:
            # Nobody takes a state any more, be it RUNNING.
            raise interrupted(
                model_id, "The load goes on, and the journal names it for the next `up`"
            )
        status = "RUNNING" if wait.ended is Ended.RUNNING else DEPLOYING
        state = self.state(inputs, claim, wait.instance, None if in_fleet else status, adopted_at)
        if wait.ended is not Ended.STOPPED:
            self._tell_granted(state, caller)
        if claim.created is None and wait.instance is not None:
            caller.debug(
                f"'{model_id}': the service tells no `created`, so any load of it is taken for "
                "that of this resource"
            )
        return state

    def _not_running(
        self, wait: Wait, claim: Claim, inputs: ModelInputs, caller: Caller, limit: float
    ) -> BytezError:
        """Unload what did not come up and return the error that says so."""
        model_id, seen = inputs.model_id, wait.instance
        if seen is None and claim.accepted_at is None and claim.created is None:
            # Not known to be ours, so not ours to unload. The record stays: it may be.
            return unsure(not_shown(model_id))
        if wait.ended is Ended.OTHER_LOAD or (wait.ended is Ended.GONE and claim.created):
            self._ledger.end(model_id, self._ledger.who(caller.urn), claim.created)
            other = ", and loaded by somebody else" if wait.ended is Ended.OTHER_LOAD else ""
            return LoadLostError(
                verb="load",
                subject=model_id,
                observed=f"it was unloaded while it was booting{other}",
                state="Nothing of this load is left running",
                action="Find out who unloads it, then run `pulumi up` again",
            )
        state, way_out = self._unloading.roll_back(model_id, claim, caller)
        if wait.ended is Ended.GONE:
            return LoadLostError(
                verb="load",
                subject=model_id,
                observed="the service took the load and then showed none",
                state=state,
                action=way_out or "Run `pulumi up` again",
            )
        if wait.ended is Ended.FAILED:
            reason = printable(seen.error) if seen and seen.error else None
            said = f': "{reason}"' if reason else ", and gave no reason"
            again = "Mend what the reason names, then run" if reason else "Run"
            return BootFailedError(
                verb="load",
                subject=model_id,
                observed=f"the service reported FAILED{said}",
                state=state,
                action=way_out or f"{again} `pulumi up` again",
            )
        last = printable(seen.status, limit=40) if seen else "not found"
        trouble = f", and the last answer was: {wait.trouble.observed}" if wait.trouble else ""
        return BootTimeoutError(
            verb="load",
            subject=model_id,
            observed=f"it was not RUNNING within {duration(limit)} (last status: {last}{trouble})",
            state=state,
            action=way_out
            or "Allow more time with `customTimeouts` (create, and update), then run `pulumi up` "
            "again",
        )

    # ------------------------------------------------------------------------ what is so now

    def state(
        self,
        inputs: ModelInputs,
        claim: Claim,
        seen: Instance | None,
        status: str | None,
        adopted_at: str | None,
    ) -> ModelState:
        """Return the state of a load as it was seen, under the key and endpoint in use."""
        entry = self._catalogue.get().find(inputs.model_id)
        return ModelState(
            **dict(inputs),
            status=status,
            created=iso(claim.created) if claim.created else None,
            adopted_at=adopted_at,
            granted=granted_of(inputs, seen),
            required_ram_gb=entry.required_ram_gb if entry else None,
            benchmarked=entry.benchmarked if entry else None,
            endpoint=self._settings.endpoint,
            account=self._settings.account,
        )

    def _tell_granted(self, state: ModelState, caller: Caller) -> None:
        granted = state.granted
        if granted is None:
            return
        if granted.concurrency is not None:
            caller.warn(
                f"'{state.model_id}' runs at concurrency {granted.concurrency}, "
                f"not {state.concurrency}: the service did not grant what was asked"
            )
        if granted.expiration_period_seconds is not None:
            caller.warn(
                f"'{state.model_id}' unloads after {granted.expiration_period_seconds} s idle, "
                f"not {state.expiration_period_seconds} s: the service did not grant what was asked"
            )
