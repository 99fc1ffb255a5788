"""The operations on one account.

Schemas in, schemas out; whoever asks is a `Caller`. The rules that everything here keeps:

- A load is identified by its `created`. What somebody else loaded is not touched without `adopt`.
- From before the first request until the state names the load, a note stands in the journal.
- An operation that fails unloads what it began, or says that it could not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime

from pydantic import ValidationError

from bytez_provider.catalogue import CatalogueSource
from bytez_provider.client import BytezClient
from bytez_provider.config import Settings
from bytez_provider.errors import (
    AccountChangedError,
    BytezError,
    LoadLostError,
    NotLoadedError,
    printable,
)
from bytez_provider.journal import Journal
from bytez_provider.lifecycle._compare import NOT_LOADED, drift_of, is_of, stands
from bytez_provider.lifecycle._consent import Consent
from bytez_provider.lifecycle._loading import Loading
from bytez_provider.lifecycle._told import gone, interrupted, since, status_word
from bytez_provider.lifecycle._unloading import UNLOAD_LIMIT_SECONDS, Unloading
from bytez_provider.schemas import (
    Instance,
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
    Waiter,
)

_GLANCE_SECONDS = 5.0
"""A refresh may show what was so for so long: all of a fleet is read from one list."""


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
        self._unloading = Unloading(client=client, journal=journal, waiter=waiter)
        self._loading = Loading(
            settings=settings,
            client=client,
            catalogue=catalogue,
            journal=journal,
            waiter=waiter,
            consent=consent,
            unloading=self._unloading,
        )
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
        with self._unloading.told(caller, inputs.model_id):
            note = self._journal.note(caller.urn)
            if note is not None and note.model_id != inputs.model_id:
                self._loading.drop_leftover(note, caller)
                note = None
            live = self._client.status(inputs.model_id, stop=caller.wake)
            if live is not None:
                return self._loading.meet(live, inputs, caller, note)
            return self._loading.load(inputs, caller, note)

    # ---------------------------------------------------------------------------------- read

    def read(self, old: ModelState, caller: Caller) -> ModelState | None:
        """Return the state as it is now; None when the load is gone.

        Raises:
            AccountChangedError: Not found, but asked with another key or endpoint.
            ApiError: No answer: the state stays as it was.
        """
        self._forget_what_is_named(old, caller)
        claim = self._claim_of(old, caller)
        with self._told_of_state("read", old):
            live = self._seen(old) or self._look_again(old, claim, caller)
        if live is None or not self._is_ours("read", old, claim, live):
            if live is None and (self._may_lag(old, claim) or caller.stop() is not None):
                return old
            self._refuse_other_account("read", old)
            # A note that is still there is of a later load, which an `up` began that failed or was
            # killed: it is to be settled by the next one, and is no expiry to be accepted.
            note = self._journal.note_about(old.model_id, caller.urn)
            accepts = old.on_expiry == "accept" and note is None
            if old.status != NOT_LOADED:
                anew = note is not None and live is not None and is_of(note, live)
                caller.note(gone(old, live, accepts=accepts, anew=anew))
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
        return self._loading.state(
            inputs, Claim(created=live.created), None, status_word(live), None
        )

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
        with self._unloading.told(caller, inputs.model_id):
            live = self._client.status(inputs.model_id, stop=caller.wake)
            claim = self._claim_of(old, caller)
            if live is None:
                live = self._look_again(old, claim, caller)
            if live is None and self._may_lag(old, claim):
                # Where it was no lag after all, it is gone: as if found so.
                with suppress(LoadLostError):
                    return self._loading.wait(inputs, claim, caller, adopted_at=old.adopted_at)
            if live is None:
                self._refuse_other_account("load", old)
                return self._loading.load(inputs, caller)
            if not self._is_ours("load", old, claim, live):
                return self._loading.meet(
                    live, inputs, caller, self._journal.note_about(inputs.model_id, caller.urn)
                )
            if live.phase is Phase.FAILED:
                return self._loading.load_again(live, inputs, caller)
            return self._loading.wait(inputs, claim, caller, adopted_at=old.adopted_at)

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
        claim = self._claim_of(old, caller)
        with self._told_of_state("unload", old):
            live = self._client.status(model_id)
            if live is None and self._is_young(old, claim):
                live = self._waiter.until_sure(model_id, claim)
        if live is None:
            self._refuse_other_account("unload", old)
        elif not self._is_ours("unload", old, claim, live):
            caller.warn(
                f"'{model_id}' was left alone: the load that runs now, made "
                f"{since(live)}, is not the one that this resource made"
            )
        elif self._is_held_by_another(old, live.created):
            caller.note(f"'{model_id}' was left running: another resource has taken it over")
        elif self._stays_with_another(old, live.created):
            caller.note(f"'{model_id}' was left running: another resource keeps it")
            # Where this one held it, nobody does: the delete of the other one is to unload it.
            self._journal.release(model_id)
        else:
            self._unloading.unload(model_id, claim, caller.timeout_seconds or UNLOAD_LIMIT_SECONDS)
            self._unloading.tell(caller)
        self._journal.forget(model_id, caller.urn)

    def unload_failed(self, model_id: str, claim: Claim) -> None:
        """Unload a fleet's model that FAILED, where it still does and is the load that is meant.

        Raises:
            BytezError: It may still be there.
        """
        live = self._client.status(model_id)
        if live is not None and live.phase is Phase.FAILED and claim.covers(live):
            self._unloading.unload(model_id, claim)

    def _is_held_by_another(self, old: ModelState, created: datetime | None) -> bool:
        holder = self._journal.holder_of(old.model_id, created)
        return holder is not None and holder.adopted_at != old.adopted_at

    def _stays_with_another(self, old: ModelState, created: datetime | None) -> bool:
        return bool(self._staying.get((old.model_id, created), set()) - {old.adopted_at})

    # ---------------------------------------------------------------------- whose load it is

    def _identify(self, live: Instance, caller: Caller) -> None:
        """Let a note stand for the load that it turned out to be about, until the state does."""
        if live.created is not None:
            self._journal.identify(live.model_id, caller.urn, live.created)
            self._journal.finish(live.model_id, caller.urn)

    def _forget_what_is_named(self, old: ModelState, caller: Caller) -> None:
        # Of one that another has taken over, the note of that one may be all that names it.
        created = moment_of(old.created)
        of_stack = not self._is_held_by_another(old, created)
        self._journal.forget_named(old.model_id, created, caller.urn, of_stack=of_stack)

    def _seen(self, old: ModelState) -> Instance | None:
        if old.readiness == "fleet":
            return self.glance(old.model_id, moment_of(old.created))
        return self._client.status(old.model_id)

    @contextmanager
    def _told_of_state(self, verb: str, old: ModelState) -> Iterator[None]:
        """Tell an error of asking as one of the operation, which leaves the state alone."""
        try:
            yield
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
        note = self._journal.note_about(old.model_id, caller.urn) if created is None else None
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
            old.model_id, claim, limit_seconds=SHOWN_GRACE_SECONDS, caller=caller
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
