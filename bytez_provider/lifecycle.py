"""What check, diff, create, read, update and delete do, free of Pulumi.

Schemas in, schemas out; whoever asks is a `Caller`. The rules that everything here keeps:

- A load is identified by its `created`. What somebody else loaded is not touched without `adopt`.
- From before the first request until the state names the load, a note stands in the journal.
- An operation that fails unloads what it began, or says that it could not.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import ValidationError

from bytez_provider.catalogue import CatalogueSource
from bytez_provider.client import BytezClient
from bytez_provider.clock import Clock
from bytez_provider.config import Settings
from bytez_provider.errors import (
    NOTHING_CHANGED,
    AccountChangedError,
    AlreadyLoadedError,
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
from bytez_provider.schemas import (
    Granted,
    Instance,
    LoadOutcome,
    ModelInputs,
    ModelState,
    Phase,
    iso,
    moment_of,
    phase_of,
    problems_of,
)
from bytez_provider.waiter import (
    CLOCK_TOLERANCE,
    NOT_FOUND_GRACE_SECONDS,
    Caller,
    Claim,
    Ended,
    Stop,
    Wait,
    Waiter,
    duration,
)

BOOT_LIMIT_SECONDS = 30 * 60.0
UNLOAD_LIMIT_SECONDS = 2 * 60.0

NOT_LOADED = "NOT_LOADED"
DEPLOYING = "DEPLOYING"

_REPLACING = ("model_id", "concurrency", "expiration_period_seconds")
_UPDATING = ("adopt", "on_expiry", "expected_hours_per_day")

_RESUME_WINDOW = timedelta(minutes=5)
"""A note whose load has no identity yet stands for a load made within so long after it: all the
tries of one request end before that. A later load is somebody else's."""


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


@dataclass(frozen=True)
class Change:
    """What a change of the declaration, or the state of the instance, asks for."""

    needed: bool
    replaces: list[str]


def diff(old: ModelState, new: ModelInputs, unknown: frozenset[str]) -> Change:
    """Compare what was declared with what is, property names in snake_case.

    An unknown value is a change but never a replacement: before a delete-before-replace the
    engine asks a dependent with every derived input unknown.
    """
    replaces = [
        name
        for name in _REPLACING
        if name not in unknown and getattr(old, name) != getattr(new, name)
    ]
    updates = any(
        name not in unknown and getattr(old, name) != getattr(new, name) for name in _UPDATING
    )
    # NOT_LOADED stands only where expiry was accepted: that is no reason to load by itself.
    unsettled = old.status != NOT_LOADED and phase_of(old.status) is not Phase.RUNNING
    return Change(
        needed=bool(replaces or updates or unknown or unsettled),
        replaces=replaces,
    )


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
        clock: Clock,
        consent: Consent,
    ) -> None:
        self._settings = settings
        self._client = client
        self._catalogue = catalogue
        self._journal = journal
        self._waiter = waiter
        self._clock = clock
        self._consent = consent
        # Resources unloaded by this deployment: a create that follows is a replacement's.
        self._unloaded: set[str] = set()

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
            raise self._interrupted(inputs.model_id, NOTHING_CHANGED)
        with self._told(caller, inputs.model_id):
            note = self._journal.note(caller.urn)
            if note is not None and note.model_id != inputs.model_id:
                self._drop_leftover(note, caller)
                note = None
            live = self._client.status(inputs.model_id, stop=caller.wake)
            if live is not None:
                return self._meet(live, inputs, caller, note)
            return self._load(inputs, caller)

    def _load(self, inputs: ModelInputs, caller: Caller) -> ModelState:
        model_id = inputs.model_id
        if caller.stop() is not None:
            raise self._interrupted(model_id, NOTHING_CHANGED)
        note = Note(urn=caller.urn or "", model_id=model_id, began=self._client.server_now())
        self._keep(note)
        try:
            answer = self._client.load(
                model_id,
                inputs.concurrency,
                inputs.expiration_period_seconds,
                stop=caller.wake,
            )
        except ApiError as error:
            if error.maybe_done:
                raise error.restated(
                    state="The load may have been accepted all the same",
                    action="Run `pulumi up` again: it goes on with the load if there is one",
                ) from None
            self._journal.clear(caller.urn)
            raise
        except BytezError:
            self._journal.clear(caller.urn)
            raise
        if answer.outcome is LoadOutcome.ACCEPTED:
            claim = Claim(not_before=note.began)
            return self._await(inputs, claim, caller, accepted_at=note.began)
        return self._refused_load(inputs, caller, answer.answer_lost, answer.first_attempt)

    def _refused_load(
        self, inputs: ModelInputs, caller: Caller, answer_lost: bool, first_attempt: datetime
    ) -> ModelState:
        """The service says that the model is loaded already: by this very call, or by others."""
        live = self._client.status(inputs.model_id, stop=caller.wake)
        own = Claim(not_before=first_attempt)
        if answer_lost and (live is None or (live.created is not None and own.covers(live))):
            return self._await(inputs, own, caller, accepted_at=first_attempt)
        self._journal.clear(caller.urn)
        if live is None:
            raise AlreadyLoadedError(
                verb="load",
                subject=inputs.model_id,
                observed="the service says that a load of it exists, and does not show it",
                action="Run `pulumi up` again in a minute",
            )
        return self._meet(live, inputs, caller, None)

    def _meet(
        self, live: Instance, inputs: ModelInputs, caller: Caller, note: Note | None
    ) -> ModelState:
        """Deal with a model that is loaded before this resource loads it."""
        if note is not None and _is_of(note, live):
            # Begun by this resource in a deployment that did not end: no second boot.
            if live.phase is Phase.FAILED or _differences(live, inputs):
                return self._load_again(live, inputs, caller)
            return self._await(inputs, Claim(created=live.created), caller)
        if not (inputs.adopt or inputs.model_id in self._consent.adopt):
            raise _held_by_others(live)
        differences = _differences(live, inputs)
        if live.phase is Phase.FAILED or differences:
            why = "it had failed" if live.phase is Phase.FAILED else "; ".join(differences)
            caller.warn(f"'{inputs.model_id}' was taken over and is loaded again: {why}")
            return self._load_again(live, inputs, caller)
        adopted_at = iso(self._client.server_now())
        self._journal.hold(inputs.model_id, Holder(live.created, adopted_at))
        self._journal.clear(caller.urn)
        caller.note(f"'{inputs.model_id}' was taken over as it runs, without a load")
        return self._await(inputs, Claim(created=live.created), caller, adopted_at=adopted_at)

    def _load_again(self, live: Instance, inputs: ModelInputs, caller: Caller) -> ModelState:
        self._unload(inputs.model_id, Claim(created=live.created), UNLOAD_LIMIT_SECONDS)
        if caller.urn is not None:
            self._unloaded.add(caller.urn)
        return self._load(inputs, caller)

    def _drop_leftover(self, note: Note, caller: Caller) -> None:
        """Unload what this resource began for another model before its declaration changed."""
        live = self._client.status(note.model_id, stop=caller.wake)
        if live is not None and _is_of(note, live):
            caller.warn(f"'{note.model_id}', begun by an interrupted deployment, is unloaded")
            self._unload(note.model_id, Claim(created=live.created), UNLOAD_LIMIT_SECONDS)
        self._journal.clear(note.urn)

    # --------------------------------------------------------------------- waiting for RUNNING

    def _await(
        self,
        inputs: ModelInputs,
        claim: Claim,
        caller: Caller,
        *,
        accepted_at: datetime | None = None,
        adopted_at: str | None = None,
    ) -> ModelState:
        """Wait for the claimed load and turn the end of the wait into a state or an error.

        `accepted_at` stands in for `created` where the load has not been seen yet.
        """
        model_id = inputs.model_id
        limit = caller.timeout_seconds or BOOT_LIMIT_SECONDS

        def identified(seen: Instance) -> None:
            note = self._journal.note(caller.urn)
            if note is not None:
                self._keep(dataclasses.replace(note, created=seen.created))

        try:
            wait = self._waiter.until_running(
                model_id,
                claim,
                caller,
                limit_seconds=limit,
                accepted_seconds_ago=self._seconds_since(claim.created or accepted_at),
                on_identified=identified,
            )
        except ApiError as error:
            raise error.restated(
                state="The load was accepted, may still be running and may cost money",
                action=f"{error.action}; then run `pulumi up` again, which goes on with it",
            ) from None
        seen = wait.instance
        if wait.ended is Ended.RUNNING:
            state = self._state(inputs, claim, seen, "RUNNING", adopted_at)
            self._tell_granted(state, caller)
        elif wait.ended is Ended.STOPPED:
            if caller.stop() is Stop.ENGINE_GONE:
                raise self._interrupted(
                    model_id, "The load goes on, and the journal names it for the next `up`"
                )
            state = self._state(inputs, claim, seen, DEPLOYING, adopted_at)
        else:
            raise self._not_running(wait, claim, inputs, caller, limit)
        if claim.created is not None or wait.ended is Ended.RUNNING:
            self._journal.clear(caller.urn)
        return state

    def _not_running(
        self, wait: Wait, claim: Claim, inputs: ModelInputs, caller: Caller, limit: float
    ) -> BytezError:
        """Unload what did not come up and return the error that says so."""
        model_id = inputs.model_id
        if wait.ended in (Ended.GONE, Ended.OTHER_LOAD):
            self._journal.clear(caller.urn)
            return LoadLostError(
                verb="load",
                subject=model_id,
                observed="it was unloaded while it was booting"
                + (", and loaded by somebody else" if wait.ended is Ended.OTHER_LOAD else ""),
                state=self._outcome("Nothing of this load is left running", caller),
                action="Find out who unloads it, then run `pulumi up` again",
            )
        state, mended = self._roll_back(model_id, claim, caller)
        again = "run `pulumi up` again"
        if wait.ended is Ended.FAILED:
            reason = wait.instance.error if wait.instance else None
            said = f': "{printable(reason)}"' if reason else ", and it gave no reason"
            return BootFailedError(
                verb="load",
                subject=model_id,
                observed=f"the service reported FAILED{said}",
                state=state,
                action=f"Mend what the reason names, or {again}" if mended is None else mended,
            )
        last = wait.instance.status if wait.instance else "not found"
        trouble = f", and the last answer was: {wait.trouble.observed}" if wait.trouble else ""
        return BootTimeoutError(
            verb="load",
            subject=model_id,
            observed=f"it was not RUNNING within {duration(limit)}"
            f" (last status: {printable(last, limit=40)}{trouble})",
            state=state,
            action="Allow more time with `customTimeouts` (create, and update), then " + again
            if mended is None
            else mended,
        )

    def _roll_back(self, model_id: str, claim: Claim, caller: Caller) -> tuple[str, str | None]:
        """Unload a load that came to nothing; return the state of things, and an action if due."""
        try:
            self._unload(model_id, claim, UNLOAD_LIMIT_SECONDS)
        except BytezError as error:
            return (
                self._outcome(
                    f"Unloading it failed too ({error.observed}), so it may still be running "
                    "and cost money",
                    caller,
                ),
                f"Stop it with `bytez-fleet unload {model_id}`",
            )
        self._journal.clear(caller.urn)
        return self._outcome("It was unloaded: nothing is left running", caller), None

    def _outcome(self, state: str, caller: Caller) -> str:
        replacing = caller.urn is not None and caller.urn in self._unloaded
        return f"{state}; the old one is already unloaded" if replacing else state

    # ---------------------------------------------------------------------------------- read

    def read(self, old: ModelState, caller: Caller) -> ModelState | None:
        """Return the state as it is now; None when the load is gone.

        Raises:
            AccountChangedError: Not found, but asked with another key or endpoint.
            ApiError: No answer: the state stays as it was.
        """
        live = self._status_for("read", old)
        claim = Claim(created=moment_of(old.created))
        if live is None and self._may_lag(old, caller):
            return old
        if live is None or not claim.covers(live):
            if live is None:
                self._refuse_other_account("read", old)
            return (
                old.model_copy(update={"status": NOT_LOADED}) if old.on_expiry == "accept" else None
            )
        seen = {
            "status": _status_word(live),
            "created": iso(live.created) if live.created else None,
        }
        drift = _drift(old, live)
        if drift:
            seen["granted"] = None
        return old.model_copy(update={**seen, **drift})

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
        return self._state(inputs, Claim(created=live.created), None, _status_word(live), None)

    # -------------------------------------------------------------------------------- update

    def update(self, old: ModelState, inputs: ModelInputs, caller: Caller) -> ModelState:
        """Apply what needs no replacement, and finish a load that is not RUNNING.

        Raises:
            BytezError: As for `create`.
        """
        if phase_of(old.status) is Phase.RUNNING:
            return old.model_copy(update=dict(inputs))
        if caller.stop() is not None:
            raise self._interrupted(inputs.model_id, NOTHING_CHANGED)
        with self._told(caller, inputs.model_id):
            live = self._client.status(inputs.model_id, stop=caller.wake)
            claim = Claim(created=moment_of(old.created))
            if live is None and self._may_lag(old, caller):
                accepted_at = self._accepted_at(old, caller)
                return self._await(inputs, claim, caller, accepted_at=accepted_at)
            if live is None:
                self._refuse_other_account("load", old)
                return self._load(inputs, caller)
            if old.status == NOT_LOADED or not claim.covers(live):
                return self._meet(live, inputs, caller, self._journal.note(caller.urn))
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
        claim = Claim(created=moment_of(old.created))
        if live is None:
            self._refuse_other_account("unload", old)
            if not self._may_lag(old, caller):
                self._forget(old, caller)
                return
        elif not claim.covers(live):
            caller.warn(
                f"'{model_id}' was left alone: the load that runs now, made "
                f"{_since(live)}, is not the one that this resource made"
            )
            self._journal.clear(caller.urn)
            return
        holder = self._journal.holder(model_id)
        if holder is not None and holder.created == claim.created:
            if holder.adopted_at != old.adopted_at:
                caller.note(f"'{model_id}' was left running: another resource has taken it over")
                self._journal.clear(caller.urn)
                return
        self._unload(model_id, claim, caller.timeout_seconds or UNLOAD_LIMIT_SECONDS)
        self._forget(old, caller)

    def _forget(self, old: ModelState, caller: Caller) -> None:
        self._journal.clear(caller.urn)
        if old.adopted_at is not None:
            self._journal.release(old.model_id)
        if caller.urn is not None:
            self._unloaded.add(caller.urn)

    def _unload(self, model_id: str, claim: Claim, limit_seconds: float) -> None:
        """Unload the claimed load, if it is there, and wait until the status agrees."""
        live = self._client.status(model_id)
        if live is not None and not claim.covers(live):
            return
        try:
            self._client.delete(model_id)
        except UnreachableError as error:
            if not error.maybe_done:
                raise
            # The request may have had its effect: the status will tell.
        left = self._waiter.until_unloaded(model_id, claim, limit_seconds=limit_seconds)
        if left is not None:
            raise UnloadError(
                verb="unload",
                subject=model_id,
                observed=f"it is still {printable(left.status, limit=40)} "
                f"{duration(limit_seconds)} after the service took the unload",
                state="It may go on costing money until it expires",
                action="Run the same command again in a minute",
            )

    # ------------------------------------------------------------------------------- helpers

    def _keep(self, note: Note) -> None:
        # Without a URN nothing could find the note again, or tell whose it is.
        if note.urn:
            self._journal.write(note)

    @contextmanager
    def _told(self, caller: Caller, model_id: str) -> Iterator[None]:
        """Tell every error as one of the load, and what this deployment unloaded before it."""
        try:
            yield
        except BytezError as error:
            is_part = isinstance(error, ApiError)
            unloaded = error.state == NOTHING_CHANGED and caller.urn in self._unloaded
            raise error.restated(
                verb="load" if is_part else None,
                subject=model_id if is_part else None,
                state="The old one is already unloaded" if unloaded else None,
            ) from None

    def _status_for(self, verb: str, old: ModelState) -> Instance | None:
        try:
            return self._client.status(old.model_id)
        except ApiError as error:
            raise error.restated(
                verb=verb,
                state="The state is as it was",
                action=f"{error.action} (refresh and destroy use the key and endpoint of the "
                "last `up`, where they are in stack config)",
            ) from None

    def _refuse_other_account(self, verb: str, old: ModelState) -> None:
        """Refuse to take "not found" for "gone" when it was asked of another account."""
        same = (old.endpoint, old.account) == (self._settings.endpoint, self._settings.account)
        if same or self._consent.account_change:
            return
        what = "endpoint" if old.endpoint != self._settings.endpoint else "key"
        was = f" ({printable(old.endpoint, limit=80)})" if what == "endpoint" else ""
        raise AccountChangedError(
            verb=verb,
            subject=old.model_id,
            observed=f"it is not loaded under the {what} in use, and it was loaded under "
            f"another{was}",
            state="The state is as it was, and the model may still run there",
            action=f"Use that {what} again, or set BYTEZ_ACCEPT_ACCOUNT_CHANGE=1 to give it up",
        )

    def _may_lag(self, old: ModelState, caller: Caller) -> bool:
        """Tell whether "not found" may only mean that the service does not show the load yet."""
        if phase_of(old.status) is Phase.RUNNING or old.status == NOT_LOADED:
            return False
        accepted_at = self._accepted_at(old, caller)
        return self._seconds_since(accepted_at) < NOT_FOUND_GRACE_SECONDS

    def _accepted_at(self, old: ModelState, caller: Caller) -> datetime | None:
        note = self._journal.note(caller.urn)
        return moment_of(old.created) or (note.began if note is not None else None)

    def _seconds_since(self, moment: datetime | None) -> float:
        if moment is None:
            return NOT_FOUND_GRACE_SECONDS
        return max(0.0, (self._client.server_now() - moment).total_seconds())

    def _interrupted(self, model_id: str, state: str) -> BytezError:
        return InterruptedLoadError(
            verb="load",
            subject=model_id,
            observed="the deployment was stopped",
            state=state,
            action="Run `pulumi up` again",
        )

    def _state(
        self,
        inputs: ModelInputs,
        claim: Claim,
        seen: Instance | None,
        status: str,
        adopted_at: str | None,
    ) -> ModelState:
        entry = self._catalogue.get().find(inputs.model_id)
        return ModelState(
            **dict(inputs),
            status=status,
            created=iso(claim.created) if claim.created else None,
            adopted_at=adopted_at,
            granted=_granted(inputs, seen),
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


def _is_of(note: Note, live: Instance) -> bool:
    """Tell whether an instance is the load that the note is about."""
    if live.created is None:
        return True
    if note.created is not None:
        return live.created == note.created
    return note.began - CLOCK_TOLERANCE <= live.created <= note.began + _RESUME_WINDOW


def _differences(live: Instance, inputs: ModelInputs) -> list[str]:
    """Say how an instance differs from what is declared."""
    found = []
    if live.concurrency and live.concurrency != inputs.concurrency:
        found.append(f"concurrency {live.concurrency} is to be {inputs.concurrency}")
    period, asked = live.expiration_period_seconds, inputs.expiration_period_seconds
    if asked is not None and period and period != asked:
        found.append(f"an idle period of {period} s is to be {asked} s")
    return found


def _drift(old: ModelState, live: Instance) -> dict[str, int]:
    """Return the declared settings that are no longer what was seen right after our load."""
    granted = old.granted or Granted()
    drift = {}
    if live.concurrency and live.concurrency != (granted.concurrency or old.concurrency):
        drift["concurrency"] = live.concurrency
    period, asked = live.expiration_period_seconds, old.expiration_period_seconds
    if asked is not None and period and period != (granted.expiration_period_seconds or asked):
        drift["expiration_period_seconds"] = period
    return drift


def _granted(inputs: ModelInputs, seen: Instance | None) -> Granted | None:
    if seen is None:
        return None
    concurrency = seen.concurrency if seen.concurrency != inputs.concurrency else None
    asked, period = inputs.expiration_period_seconds, seen.expiration_period_seconds
    expiry = period if asked is not None and period != asked else None
    if not concurrency and not expiry:
        return None
    return Granted(concurrency=concurrency or None, expiration_period_seconds=expiry or None)


def _status_word(live: Instance) -> str:
    return printable(live.status.strip().upper(), limit=40)


def _since(live: Instance) -> str:
    return f"at {iso(live.created)}" if live.created else "at a time that the service does not tell"


def _held_by_others(live: Instance) -> BytezError:
    at = f" at concurrency {live.concurrency}" if live.concurrency else ""
    since = f" since {iso(live.created)}" if live.created else ""
    return AlreadyLoadedError(
        verb="load",
        subject=live.model_id,
        observed=f"it is already loaded{at}{since} ({_status_word(live)}), not by this resource",
        action="Set `adopt=True` (or BYTEZ_ADOPT) to take it over, give the resource its old name "
        f"in `aliases` if it was renamed, or unload it with `bytez-fleet unload {live.model_id}`",
    )
