"""The operations on one account.

Schemas in, schemas out; whoever asks is a `Caller`. The rules that everything here keeps:

- A load is identified by its `created`. What somebody else loaded is not touched without `adopt`.
- From before the first request until the state names the load, a note stands in the journal.
- An operation that fails unloads what it began, or says that it could not.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import ValidationError

from bytez_provider.catalogue import CatalogueSource
from bytez_provider.client import BytezClient
from bytez_provider.config import Settings
from bytez_provider.errors import (
    NOTHING_CHANGED,
    AccountChangedError,
    ApiError,
    BootFailedError,
    BootTimeoutError,
    BytezError,
    InterruptedLoadError,
    LoadLostError,
    NotLoadedError,
    UnloadError,
    UnreachableError,
    printable,
)
from bytez_provider.journal import Holder, Journal, Note
from bytez_provider.lifecycle._compare import (
    DEPLOYING,
    NOT_LOADED,
    asked_for,
    differences,
    drift_of,
    granted_of,
    is_of,
    stands,
)
from bytez_provider.lifecycle._told import (
    gone,
    held_by_others,
    interrupted,
    not_shown,
    since,
    status_word,
    unsure,
)
from bytez_provider.schemas import (
    Instance,
    LoadOutcome,
    MemberInputs,
    ModelInputs,
    ModelState,
    Phase,
    iso,
    moment_of,
    phase_of,
    problems_of,
)
from bytez_provider.waiter import (
    NOT_FOUND_GRACE_SECONDS,
    SHOWN_GRACE_SECONDS,
    Caller,
    Claim,
    Ended,
    Stop,
    Wait,
    Waiter,
)
from bytez_provider.words import duration

BOOT_LIMIT_SECONDS = 30 * 60.0
UNLOAD_LIMIT_SECONDS = 2 * 60.0

_GLANCE_SECONDS = 5.0
"""A refresh may show what was so for so long: all of a fleet is read from one list."""


@dataclass(frozen=True)
class Consent:
    """What the user allows for one deployment, through the environment."""

    adopt: frozenset[str] = frozenset()
    account_change: bool = False

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Consent:
        """Read `BYTEZ_ADOPT` (model ids, comma between) and `BYTEZ_ACCEPT_ACCOUNT_CHANGE`."""
        named = (part.strip() for part in environ.get("BYTEZ_ADOPT", "").split(","))
        return cls(
            adopt=frozenset(name for name in named if name),
            account_change=environ.get("BYTEZ_ACCEPT_ACCOUNT_CHANGE") == "1",
        )


@dataclass(frozen=True)
class Checked:
    """The inputs as they will be kept, or what is wrong with them."""

    inputs: ModelInputs | None
    problems: list[tuple[str, str]]
    warnings: list[str]


class Lifecycle:
    """The operations on one account; safe to use from many threads."""

    def __init__(
        self,
        *,
        settings: Settings,
        client: BytezClient,
        catalogue: CatalogueSource,
        journal: Journal,
        waiter: Waiter,
        consent: Consent,
    ) -> None:
        self._settings = settings
        self._client = client
        self._catalogue = catalogue
        self._journal = journal
        self._waiter = waiter
        self._consent = consent
        # Resources unloaded by this deployment: a create that follows is a replacement's.
        self._unloaded: set[str] = set()
        # The loads of the resources that this deployment keeps, and each one's `adopted_at`, which
        # differs where two resources name one load.
        self._staying: dict[tuple[str, datetime | None], set[str | None]] = {}

    # --------------------------------------------------------------------------------- check

    def check(self, news: Mapping[str, object], old_model_id: str | None) -> Checked:
        """Normalise a declaration, or say what is wrong with it.

        Args:
            news: The declaration, camelCase.
            old_model_id: The model id of the resource as it stands, None for a new one.
        """
        try:
            inputs = ModelInputs.model_validate(dict(news))
        except ValidationError as error:
            return Checked(None, problems_of(error), [])
        problem = self._stranger(inputs.model_id)
        if problem is None:
            return Checked(inputs, [], [])
        if inputs.model_id == old_model_id or not self._catalogue.get().is_live:
            return Checked(inputs, [], [f"'{inputs.model_id}' {problem}"])
        return Checked(inputs, [("modelId", f"'{inputs.model_id}' {problem}")], [])

    def _stranger(self, model_id: str) -> str | None:
        """Say that the catalogue does not have the model, and what it has that is near."""
        catalogue = self._catalogue.get()
        if self._settings.catalogue == "off" or catalogue.find(model_id) is not None:
            return None
        nearest = catalogue.nearest(model_id)
        hint = f"; did you mean {' or '.join(map(repr, nearest))}?" if nearest else ""
        kind = "Bytez catalogue" if catalogue.is_live else "catalogue that came with this package"
        return f"is not in the {kind}{hint or '; `bytez-fleet models` lists it'}"

    # -------------------------------------------------------------------------------- create

    def create(self, inputs: ModelInputs, caller: Caller) -> ModelState:
        """Load a model and wait until it is RUNNING.

        Returns:
            The state; with status DEPLOYING when the deployment was cancelled in mid-boot.

        Raises:
            BytezError: It is not RUNNING; the sentence says what state things are in.
        """
        if caller.stop() is not None:
            raise interrupted(inputs.model_id)
        with self._told(caller, inputs.model_id):
            note = self._journal.note(caller.urn)
            if note is not None and note.model_id != inputs.model_id:
                self._drop_leftover(note, caller)
                note = None
            live = self._client.status(inputs.model_id, stop=caller.wake)
            if live is not None:
                return self._meet(live, inputs, caller, note)
            return self._load(inputs, caller, note)

    def _load(self, inputs: ModelInputs, caller: Caller, earlier: Note | None = None) -> ModelState:
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
        self._keep(note)
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
            self._put_back(earlier, caller)
            raise
        if answer.outcome is LoadOutcome.ACCEPTED:
            self._journal.release(model_id)
            self._forget_earlier_loads(note)
            now = self._client.server_now()
            return self._await(inputs, Claim(not_before=note.began, accepted_at=now), caller)
        own = note if answer.answer_lost else None
        self._put_back(own or earlier, caller)
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
            return self._await(inputs, Claim(mine.created, not_before=mine.began), caller)
        if live is None:
            raise not_shown(inputs.model_id)
        if own is not None and is_of(own, live):
            return self._await(inputs, Claim(live.created), caller)
        return self._meet(live, inputs, caller, earlier)

    def _meet(
        self, live: Instance, inputs: ModelInputs, caller: Caller, note: Note | None
    ) -> ModelState:
        """Deal with a model that is loaded before this resource loads it."""
        model_id = inputs.model_id
        has_failed = live.phase is Phase.FAILED
        holder = self._holder_of(live)
        own = holder is None or (note is not None and holder.adopted_at == iso(note.began))
        if note is not None and is_of(note, live) and own:
            # Begun by this resource in a deployment that did not end: no second boot.
            if not has_failed and asked_for(note, inputs):
                adopted_at = holder.adopted_at if holder else None
                return self._await(inputs, Claim(live.created), caller, adopted_at=adopted_at)
            why = "it had failed" if has_failed else "its declaration has changed since"
            caller.note(f"'{model_id}', begun by an interrupted deployment, is loaded again: {why}")
            return self._load_again(live, inputs, caller)
        self._journal.clear(caller.urn)
        if not (inputs.adopt or model_id in self._consent.adopt):
            raise held_by_others(live)
        reasons = ["it had failed"] if has_failed else differences(live, inputs)
        if reasons:
            caller.warn(f"'{model_id}' was taken over and is loaded again: {'; '.join(reasons)}")
            return self._load_again(live, inputs, caller)
        return self._adopt(live, inputs, caller)

    def _holder_of(self, live: Instance) -> Holder | None:
        """Return who took an instance over."""
        holder = self._journal.holder(live.model_id)
        return holder if holder is not None and holder.created == live.created else None

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
        self._keep(
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
            return self._await(inputs, Claim(live.created), caller, adopted_at=iso(now))
        except BytezError:
            # No state will say that this resource holds it.
            self._forget(model_id, caller)
            if before is None:
                self._journal.release(model_id)
            else:
                self._journal.hold(model_id, before)
            raise

    def _load_again(self, live: Instance, inputs: ModelInputs, caller: Caller) -> ModelState:
        self._unload(inputs.model_id, Claim(live.created), UNLOAD_LIMIT_SECONDS)
        self._tell_unloaded(caller)
        return self._load(inputs, caller)

    def _drop_leftover(self, note: Note, caller: Caller) -> None:
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
            self._unload(note.model_id, Claim(live.created), UNLOAD_LIMIT_SECONDS)
            self._tell_unloaded(caller)
        self._journal.clear(caller.urn)

    # --------------------------------------------------------------------- waiting for RUNNING

    def _await(
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
            # From here on the note stands for this load, and for no later one.
            note = self._noted(model_id, caller)
            if note is not None:
                self._keep(dataclasses.replace(note, created=created))

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
        state = self._state(inputs, claim, wait.instance, None if in_fleet else status, adopted_at)
        if wait.ended is not Ended.STOPPED:
            self._tell_granted(state, caller)
        if claim.created is None and wait.instance is not None:
            caller.debug(
                f"'{model_id}': the service tells no `created`, so any load of it is taken for "
                "that of this resource"
            )
        is_named = claim.created is not None or wait.ended is not Ended.STOPPED
        if is_named and self._noted(model_id, caller) is not None:
            self._journal.finish(caller.urn)
        return state

    def _not_running(
        self, wait: Wait, claim: Claim, inputs: ModelInputs, caller: Caller, limit: float
    ) -> BytezError:
        """Unload what did not come up and return the error that says so."""
        model_id, seen = inputs.model_id, wait.instance
        if seen is None and claim.accepted_at is None and claim.created is None:
            # Not known to be ours, so not ours to unload. The note stays: it may be all the same.
            return unsure(not_shown(model_id))
        if wait.ended is Ended.OTHER_LOAD or (wait.ended is Ended.GONE and claim.created):
            self._forget(model_id, caller)
            other = ", and loaded by somebody else" if wait.ended is Ended.OTHER_LOAD else ""
            return LoadLostError(
                verb="load",
                subject=model_id,
                observed=f"it was unloaded while it was booting{other}",
                state="Nothing of this load is left running",
                action="Find out who unloads it, then run `pulumi up` again",
            )
        state, way_out = self._roll_back(model_id, claim, caller)
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

    def unload_failed(self, model_id: str, claim: Claim) -> None:
        """Unload a fleet's model that FAILED, where it still does and is the load that is meant.

        Raises:
            BytezError: It may still be there.
        """
        live = self._client.status(model_id)
        if live is not None and live.phase is Phase.FAILED and claim.covers(live):
            self._unload(model_id, claim, UNLOAD_LIMIT_SECONDS)

    def _roll_back(self, model_id: str, claim: Claim, caller: Caller) -> tuple[str, str | None]:
        """Unload a load that came to nothing; return the state of things, and an action if due."""
        try:
            live = self._client.status(model_id)
            # Not found is no reason to leave it: what was accepted may not show yet.
            if live is None or claim.covers(live):
                self._unload(model_id, claim, UNLOAD_LIMIT_SECONDS)
        except BytezError as error:
            state = f"Unloading it failed too ({error.observed}), so it may still be running"
            return f"{state} and cost money", f"Stop it with `bytez-fleet unload {model_id}`"
        self._forget(model_id, caller)
        return "It was unloaded: nothing is left running", None

    # ---------------------------------------------------------------------------------- read

    def read(self, old: ModelState, caller: Caller) -> ModelState | None:
        """Return the state as it is now; None when the load is gone.

        Raises:
            AccountChangedError: Not found, but asked with another key or endpoint.
            ApiError: No answer: the state stays as it was.
        """
        self._forget_what_is_named(old, caller)
        live = self._status_for("read", old)
        claim = self._claim_of(old, caller)
        if live is None:
            live = self._look_again(old, claim, caller)
        if live is None or not self._is_ours("read", old, claim, live):
            if live is None and (self._may_lag(old, claim) or caller.stop() is not None):
                return old
            self._refuse_other_account("read", old)
            accepts = old.on_expiry == "accept"
            if old.status != NOT_LOADED:
                caller.note(gone(old, live, accepts))
            return old.model_copy(update={"status": NOT_LOADED}) if accepts else None
        if old.created is None:
            self._identify(live, caller)
        in_fleet = old.readiness == "fleet"
        seen = {
            "status": None if in_fleet and live.phase is not Phase.FAILED else status_word(live),
            "created": iso(live.created) if live.created else None,
            # Found under a new key or address, it is theirs from now on: keys are changed.
            "endpoint": self._settings.endpoint,
            "account": self._settings.account,
        }
        drift = drift_of(old, live)
        if drift:
            seen["granted"] = None
        return old.model_copy(update={**seen, **drift})

    def glance(self, model_id: str, created: datetime | None) -> Instance | None:
        """Return the instance of a fleet's model, for all of them with few requests.

        The list answers where it shows the very load; for all else the model's own status does.

        Raises:
            ApiError: No answer.
        """
        listed = self._waiter.poller.listed(_GLANCE_SECONDS).get(model_id)
        if listed is not None and listed.created == created:
            return listed
        return self._client.status(model_id)

    def get(self, model_id: str) -> ModelState:
        """Return the state of a model that no resource of this stack manages (`Model.get`).

        Raises:
            NotLoadedError: It is not loaded.
        """
        live = self._client.status(model_id)
        if live is None:
            raise NotLoadedError(
                verb="read",
                subject=model_id,
                observed="it is not loaded",
                action="Declare it with `bytez.Model(...)`, or load it with "
                f"`bytez-fleet load {model_id}`",
            )
        inputs = ModelInputs(model_id=model_id, concurrency=live.concurrency or 1)
        return self._state(inputs, Claim(created=live.created), None, status_word(live), None)

    # --------------------------------------------------------------------------------- stays

    def stays(self, old: ModelState) -> None:
        """Take note that a resource keeps its load: no other's delete may end it from now on.

        Two resources name one load where a deployment was killed between a take-over and the
        delete of the older one. Whichever of them the next program keeps, it keeps the load.
        """
        load = (old.model_id, moment_of(old.created))
        self._staying.setdefault(load, set()).add(old.adopted_at)

    # -------------------------------------------------------------------------------- update

    def update(self, old: ModelState, inputs: ModelInputs, caller: Caller) -> ModelState:
        """Apply what needs no replacement, and finish a load that is not RUNNING.

        Raises:
            BytezError: As for `create`.
        """
        if stands(old, inputs):
            status = None if isinstance(inputs, MemberInputs) else old.status
            return old.model_copy(update={"readiness": None, **dict(inputs), "status": status})
        if caller.stop() is not None:
            raise interrupted(inputs.model_id)
        with self._told(caller, inputs.model_id):
            live = self._client.status(inputs.model_id, stop=caller.wake)
            claim = self._claim_of(old, caller)
            if live is None:
                live = self._look_again(old, claim, caller)
            if live is None and self._may_lag(old, claim):
                # Where it was no lag after all, it is gone: as if found so.
                with suppress(LoadLostError):
                    return self._await(inputs, claim, caller, adopted_at=old.adopted_at)
            if live is None:
                self._refuse_other_account("load", old)
                return self._load(inputs, caller)
            if not self._is_ours("load", old, claim, live):
                return self._meet(live, inputs, caller, self._noted(inputs.model_id, caller))
            if live.phase is Phase.FAILED:
                return self._load_again(live, inputs, caller)
            return self._await(inputs, claim, caller, adopted_at=old.adopted_at)

    # -------------------------------------------------------------------------------- delete

    def delete(self, old: ModelState, caller: Caller) -> None:
        """Unload the load that the state names, and wait until the status agrees.

        Already gone is success; somebody else's load, or one that another resource holds, is
        left alone.

        Raises:
            UnloadError: It is still loaded at the limit.
            AccountChangedError: Not found, but asked with another key or endpoint.
            ApiError: No answer.
        """
        model_id = old.model_id
        live = self._status_for("unload", old)
        claim = self._claim_of(old, caller)
        if live is None and not self._is_young(old, claim):
            self._refuse_other_account("unload", old)
        elif live is not None and not self._is_ours("unload", old, claim, live):
            caller.warn(
                f"'{model_id}' was left alone: the load that runs now, made "
                f"{since(live)}, is not the one that this resource made"
            )
        elif self._is_held_by_another(old, live):
            caller.note(f"'{model_id}' was left running: another resource has taken it over")
        elif self._stays_with_another(old, live.created if live else claim.created):
            caller.note(f"'{model_id}' was left running: another resource keeps it")
            # Where this one held it, nobody does: the delete of the other one is to unload it.
            self._journal.release(model_id)
        else:
            self._unload(model_id, claim, caller.timeout_seconds or UNLOAD_LIMIT_SECONDS)
            self._tell_unloaded(caller)
        self._forget(model_id, caller)

    def _is_held_by_another(self, old: ModelState, live: Instance | None) -> bool:
        holder = self._journal.holder(old.model_id)
        if holder is None or holder.adopted_at == old.adopted_at:
            return False
        return holder.created == (live.created if live else moment_of(old.created))

    def _stays_with_another(self, old: ModelState, created: datetime | None) -> bool:
        return bool(self._staying.get((old.model_id, created), set()) - {old.adopted_at})

    def _unload(self, model_id: str, claim: Claim, limit_seconds: float) -> None:
        """Unload what the status just showed to be the claimed load; wait until it agrees."""
        try:
            self._client.delete(model_id)
        except UnreachableError as error:
            if not error.maybe_done:
                raise
            # The request may have had its effect: the status will tell.
        try:
            left = self._waiter.until_unloaded(model_id, claim, limit_seconds=limit_seconds)
        except ApiError as error:
            raise error.restated(
                verb="unload", state="It was told to unload, and may still be running"
            ) from None
        if left is not None:
            raise UnloadError(
                verb="unload",
                subject=model_id,
                observed=f"it is still {printable(left.status, limit=40)} "
                f"{duration(limit_seconds)} after it was told to unload",
                state="It may go on costing money until it expires",
                action="Run the same command again in a minute",
            )
        self._journal.release(model_id)

    # ------------------------------------------------------------------------------- helpers

    def _keep(self, note: Note) -> None:
        # Without a URN nothing could find the note again, or tell whose it is.
        if note.urn:
            self._journal.write(note)

    def _noted(self, model_id: str, caller: Caller) -> Note | None:
        """Return the note of this resource, where it is about this model.

        A killed deployment may have noted another under this URN, before a resource was renamed.
        """
        note = self._journal.note(caller.urn)
        return note if note is not None and note.model_id == model_id else None

    def _forget(self, model_id: str, caller: Caller) -> None:
        """Clear the note of this resource, where it is about this model."""
        if self._noted(model_id, caller) is not None:
            self._journal.clear(caller.urn)

    def _put_back(self, note: Note | None, caller: Caller) -> None:
        """Let the journal say what it said before this call, or nothing."""
        if note is None:
            self._journal.clear(caller.urn)
        else:
            self._keep(note)

    def _forget_what_is_named(self, old: ModelState, caller: Caller) -> None:
        """Clear a note of the very load that the state names: who was killed could not do it."""
        note = self._journal.note(caller.urn)
        if note is not None and note.created is not None and note.created == moment_of(old.created):
            self._journal.clear(caller.urn)

    def _forget_earlier_loads(self, accepted: Note) -> None:
        """Clear what killed deployments noted of the same model for other resources.

        It was not loaded, so their loads are gone; and they would take this one for their own,
        where it is made soon after theirs.
        """
        for note in self._journal.of_other_processes():
            if note.model_id == accepted.model_id and note.urn != accepted.urn:
                self._journal.clear(note.urn)

    def _identify(self, live: Instance, caller: Caller) -> None:
        """Let a note stand for the load that it turned out to be about, until the state does."""
        note = self._noted(live.model_id, caller)
        if note is not None and live.created is not None:
            self._keep(dataclasses.replace(note, created=live.created))
            self._journal.finish(caller.urn)

    def _tell_unloaded(self, caller: Caller) -> None:
        if caller.urn is not None:
            self._unloaded.add(caller.urn)

    @contextmanager
    def _told(self, caller: Caller, model_id: str) -> Iterator[None]:
        """Tell every error as one of the load, and what this deployment unloaded before it."""
        try:
            yield
        except BytezError as error:
            state = error.state
            if caller.urn in self._unloaded:
                gone = "the old one is already unloaded"
                state = gone.capitalize() if state == NOTHING_CHANGED else f"{state}; {gone}"
            if error.verb == "unload":
                raise error.restated(state=state) from None
            raise error.restated(verb="load", subject=model_id, state=state) from None

    def _status_for(self, verb: str, old: ModelState) -> Instance | None:
        try:
            if verb == "read" and old.readiness == "fleet":
                return self.glance(old.model_id, moment_of(old.created))
            return self._client.status(old.model_id)
        except BytezError as error:
            raise error.restated(
                verb=verb,
                subject=old.model_id,
                state="The state is as it was",
                action=f"{error.action} (refresh and destroy use the key and endpoint of the "
                "last `up`, where they are in stack config)",
            ) from None

    def _claim_of(self, old: ModelState, caller: Caller) -> Claim:
        """Return the claim on the load that the state names.

        After a Ctrl-C before the load showed, the state knows no `created`, and the note does.
        """
        created = moment_of(old.created)
        note = self._noted(old.model_id, caller) if created is None else None
        if note is None:
            return Claim(created)
        return Claim(note.created, not_before=note.began, accepted_at=note.began)

    def _is_ours(self, verb: str, old: ModelState, claim: Claim, live: Instance) -> bool:
        """Tell whether what is loaded is the load that the state names."""
        if old.status == NOT_LOADED:
            return False
        if live.created is None or live.created != claim.created:
            self._refuse_other_account(verb, old)
        return claim.covers(live)

    def _refuse_other_account(self, verb: str, old: ModelState) -> None:
        """Refuse to take "not found" for "gone" when it was asked of another account."""
        same = (old.endpoint, old.account) == (self._settings.endpoint, self._settings.account)
        if same or self._consent.account_change or old.status == NOT_LOADED:
            return
        what = "endpoint" if old.endpoint != self._settings.endpoint else "key"
        was = f" ({printable(old.endpoint, limit=80)})" if what == "endpoint" else ""
        raise AccountChangedError(
            verb=verb,
            subject=old.model_id,
            observed=f"this load of it is not found under the {what} in use, and it was made "
            f"under another{was}",
            state="The state is as it was, and the model may still run there",
            action=f"Use that {what} again, or set BYTEZ_ACCEPT_ACCOUNT_CHANGE=1 to give it up",
        )

    def _look_again(self, old: ModelState, claim: Claim, caller: Caller) -> Instance | None:
        """Look for a young load that was shown already, and now is not; None where it is gone.

        Of two servers of one service one may be behind, for a moment.
        """
        if not self._is_young(old, claim) or self._may_lag(old, claim):
            return None
        return self._waiter.until_shown(
            old.model_id, claim, caller, limit_seconds=SHOWN_GRACE_SECONDS
        )

    def _may_lag(self, old: ModelState, claim: Claim) -> bool:
        """Tell whether "not found" may only mean that the service does not show the load yet."""
        # A fleet's load was not in state before it was shown.
        was_shown = old.readiness == "fleet" and claim.created is not None
        return self._is_young(old, claim) and not was_shown

    def _is_young(self, old: ModelState, claim: Claim) -> bool:
        """Tell whether "not found" proves nothing: it was accepted a moment ago, and may boot."""
        since = claim.created or claim.accepted_at
        if (
            since is None
            or old.status == NOT_LOADED
            or phase_of(old.status or "") is not Phase.BOOTING
        ):
            return False
        return (self._client.server_now() - since).total_seconds() < NOT_FOUND_GRACE_SECONDS

    def _state(
        self,
        inputs: ModelInputs,
        claim: Claim,
        seen: Instance | None,
        status: str | None,
        adopted_at: str | None,
    ) -> ModelState:
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
