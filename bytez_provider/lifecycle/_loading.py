"""Loading: from what is met before the first request to RUNNING, or to nothing left behind."""

from __future__ import annotations

from datetime import datetime, timedelta

from bytez_provider.catalogue import CatalogueSource
from bytez_provider.client import BytezClient
from bytez_provider.config import Settings
from bytez_provider.errors import (
    ApiError,
    BootFailedError,
    BootTimeoutError,
    BytezError,
    InterruptedLoadError,
    LoadLostError,
    printable,
)
from bytez_provider.journal import Holder, Journal, Note
from bytez_provider.lifecycle._compare import (
    DEPLOYING,
    asked_for,
    differences,
    granted_of,
    is_of,
)
from bytez_provider.lifecycle._consent import Consent
from bytez_provider.lifecycle._told import held_by_others, interrupted, not_shown, unsure
from bytez_provider.lifecycle._unloading import Unloading
from bytez_provider.schemas import (
    Instance,
    LoadOutcome,
    MemberInputs,
    ModelInputs,
    ModelState,
    Phase,
    iso,
    moment_of,
)
from bytez_provider.waiter import NOT_FOUND_GRACE_SECONDS, Caller, Claim, Ended, Stop, Wait, Waiter
from bytez_provider.words import duration

BOOT_LIMIT_SECONDS = 30 * 60.0


class Loading:
    """The loads of one account: begun, met, taken over, awaited, and rolled back."""

    def __init__(
        self,
        *,
        settings: Settings,
        client: BytezClient,
        catalogue: CatalogueSource,
        journal: Journal,
        waiter: Waiter,
        consent: Consent,
        unloading: Unloading,
    ) -> None:
        self._settings = settings
        self._client = client
        self._catalogue = catalogue
        self._journal = journal
        self._waiter = waiter
        self._consent = consent
        self._unloading = unloading

    def load(self, inputs: ModelInputs, caller: Caller, earlier: Note | None = None) -> ModelState:
        """Load what is not loaded, as far as the status tells.

        `earlier` is what an interrupted deployment began: a load that may not show yet.
        """
        model_id = inputs.model_id
        if caller.stop() is not None:
            raise interrupted(model_id)
        note = Note(
            urn=caller.urn or "",
            model_id=model_id,
            began=self._client.server_now(),
            concurrency=inputs.concurrency,
            expiration_period_seconds=inputs.expiration_period_seconds,
        )
        self._journal.write(note)
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
            self._journal.put_back(earlier, caller.urn)
            raise
        if answer.outcome is LoadOutcome.ACCEPTED:
            self._journal.release(model_id)
            self._journal.forget_earlier(note)
            now = self._client.server_now()
            return self.wait(inputs, Claim(not_before=note.began, accepted_at=now), caller)
        own = note if answer.answer_lost else None
        self._journal.put_back(own or earlier, caller.urn)
        return self._refused_load(inputs, caller, own, earlier)

    def _refused_load(
        self, inputs: ModelInputs, caller: Caller, own: Note | None, earlier: Note | None
    ) -> ModelState:
        """Deal with a load that the service has already, though the status did not show it.

        Made by this very call, one of whose answers was lost (`own`), by an interrupted
        deployment (`earlier`), or by others.
        """
        mine = own or earlier
        try:
            live = self._client.status(inputs.model_id, stop=caller.wake)
        except ApiError as error:
            raise (unsure(error) if mine else error) from None
        if live is None and mine is not None:
            return self.wait(inputs, Claim(mine.created, not_before=mine.began), caller)
        if live is None:
            raise not_shown(inputs.model_id)
        if own is not None and is_of(own, live):
            return self.wait(inputs, Claim(live.created), caller)
        return self.meet(live, inputs, caller, earlier)

    def meet(
        self, live: Instance, inputs: ModelInputs, caller: Caller, note: Note | None
    ) -> ModelState:
        """Deal with a model that is loaded before this resource loads it."""
        model_id = inputs.model_id
        has_failed = live.phase is Phase.FAILED
        holder = self._journal.holder_of(model_id, live.created)
        own = holder is None or (note is not None and holder.adopted_at == iso(note.began))
        if note is not None and is_of(note, live) and own:
            # Begun by this resource in a deployment that did not end: no second boot.
            if not has_failed and asked_for(note, inputs):
                adopted_at = holder.adopted_at if holder else None
                return self.wait(inputs, Claim(live.created), caller, adopted_at=adopted_at)
            why = "it had failed" if has_failed else "its declaration has changed since"
            caller.note(f"'{model_id}', begun by an interrupted deployment, is loaded again: {why}")
            return self.load_again(live, inputs, caller)
        self._journal.clear(caller.urn)
        if not (inputs.adopt or model_id in self._consent.adopt):
            raise held_by_others(live)
        reasons = ["it had failed"] if has_failed else differences(live, inputs)
        if reasons:
            caller.warn(f"'{model_id}' was taken over and is loaded again: {'; '.join(reasons)}")
            return self.load_again(live, inputs, caller)
        return self._adopt(live, inputs, caller)

    def _adopt(self, live: Instance, inputs: ModelInputs, caller: Caller) -> ModelState:
        """Take an instance over as it is."""
        model_id = inputs.model_id
        before = self._journal.holder(model_id)
        now = self._client.server_now()
        earlier = moment_of(before.adopted_at) if before else None
        if earlier is not None:
            # It tells the holders apart, also where the service's clock stands or is put back.
            now = max(now, earlier + timedelta(milliseconds=1))
        # First of all: the delete of an older resource may come while this one waits, and leaves
        # the load alone. So until a state names it, the journal must.
        self._journal.write(
            Note(
                urn=caller.urn or "",
                model_id=model_id,
                began=now,
                concurrency=inputs.concurrency,
                expiration_period_seconds=inputs.expiration_period_seconds,
                created=live.created,
            )
        )
        self._journal.hold(model_id, Holder(live.created, iso(now)))
        caller.note(f"'{model_id}' was taken over as it runs, without a load")
        try:
            return self.wait(inputs, Claim(live.created), caller, adopted_at=iso(now))
        except BytezError:
            # No state will say that this resource holds it.
            self._journal.forget(model_id, caller.urn)
            if before is None:
                self._journal.release(model_id)
            else:
                self._journal.hold(model_id, before)
            raise

    def load_again(self, live: Instance, inputs: ModelInputs, caller: Caller) -> ModelState:
        """Unload what is loaded, and load it as it is declared."""
        self._unloading.unload(inputs.model_id, Claim(live.created))
        self._unloading.tell(caller)
        return self.load(inputs, caller)

    def drop_leftover(self, note: Note, caller: Caller) -> None:
        """Unload what this resource began for another model before its declaration changed."""
        live = self._client.status(note.model_id, stop=caller.wake)
        since = (self._client.server_now() - note.began).total_seconds()
        if live is None and note.created is None and since < NOT_FOUND_GRACE_SECONDS:
            raise InterruptedLoadError(
                verb="load",
                subject=note.model_id,
                observed=f"a load of '{note.model_id}', begun by an interrupted deployment, may "
                "not show yet",
                action="Run `pulumi up` again in a minute",
            )
        if live is not None and is_of(note, live):
            caller.warn(f"'{note.model_id}', begun by an interrupted deployment, is unloaded")
            self._unloading.unload(note.model_id, Claim(live.created))
            self._unloading.tell(caller)
        self._journal.clear(caller.urn)

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

        def identified(created: datetime | None) -> None:
            self._journal.identify(model_id, caller.urn, created)

        if claim.created is not None:
            identified(claim.created)
        in_fleet = isinstance(inputs, MemberInputs)
        try:
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
            # Nobody takes a state any more, be it RUNNING: the note must stay.
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
        if claim.created is not None or wait.ended is not Ended.STOPPED:
            self._is_named(model_id, wait.instance if adopted_at else None, caller)
        return state

    def _is_named(self, model_id: str, taken_over: Instance | None, caller: Caller) -> None:
        """Let the journal forget what Pulumi's state is about to name.

        Of a load that was `taken_over` also what killed deployments noted for other resources.
        """
        self._journal.finish(model_id, caller.urn)
        if taken_over is None:
            return
        for note in self._journal.of_other_processes():
            if note.urn != caller.urn and is_of(note, taken_over):
                self._journal.finish(note.model_id, note.urn)

    def _not_running(
        self, wait: Wait, claim: Claim, inputs: ModelInputs, caller: Caller, limit: float
    ) -> BytezError:
        """Unload what did not come up and return the error that says so."""
        model_id, seen = inputs.model_id, wait.instance
        if seen is None and claim.accepted_at is None and claim.created is None:
            # Not known to be ours, so not ours to unload. The note stays: it may be all the same.
            return unsure(not_shown(model_id))
        if wait.ended is Ended.OTHER_LOAD or (wait.ended is Ended.GONE and claim.created):
            self._journal.forget(model_id, caller.urn)
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
