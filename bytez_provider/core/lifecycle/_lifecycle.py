"""The operations on one account.

Schemas in, schemas out; whoever asks is a `Caller`. The rules that everything here keeps:

- Whose a load is, `ownership` says. What is somebody else's is not touched without `adopt`.
- From before the first request until the load is gone, a record of it stands in the journal.
- An operation that fails unloads what it began, or says that it could not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime

from pydantic import ValidationError

from bytez_provider.base.errors import (
    AccountChangedError,
    BytezError,
    LoadLostError,
    NotLoadedError,
    printable,
)
from bytez_provider.base.urns import name_of
from bytez_provider.core.declared import MemberInputs, ModelInputs, ModelState, problems_of
from bytez_provider.core.lifecycle._compare import NOT_LOADED, drift_of, granted_of, stands
from bytez_provider.core.lifecycle._loading import Loading
from bytez_provider.core.lifecycle._told import (
    gone,
    interrupted,
    left_alone,
    of_state,
    since,
    status_word,
    worked_on,
)
from bytez_provider.core.lifecycle._unloading import UNLOAD_LIMIT_SECONDS, Unloading
from bytez_provider.core.ownership import (
    Claim,
    HeldError,
    Judgement,
    Ledger,
    Named,
    Owner,
    Verdict,
)
from bytez_provider.core.waiter import (
    NOT_FOUND_GRACE_SECONDS,
    SHOWN_GRACE_SECONDS,
    Caller,
    Waiter,
)
from bytez_provider.service.catalogue import CatalogueSource
from bytez_provider.service.client import BytezClient
from bytez_provider.service.schemas import Instance, Phase, iso, moment_of, phase_of
from bytez_provider.service.settings import Settings

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
        ledger: Ledger,
        waiter: Waiter,
    ) -> None:
        self._settings = settings
        self._client = client
        self._catalogue = catalogue
        self._ledger = ledger
        self._waiter = waiter
        self._unloading = Unloading(client=client, ledger=ledger, waiter=waiter)
        self._loading = Loading(
            settings=settings,
            client=client,
            catalogue=catalogue,
            ledger=ledger,
            waiter=waiter,
            unloading=self._unloading,
        )

    def deploys(self, *, is_preview: bool) -> None:
        """Say whether this process only previews: then nothing is written in the journal."""
        self._ledger.deploys(is_preview=is_preview)

    # --------------------------------------------------------------------------------- check

    def check(
        self, news: Mapping[str, object], old_model_id: str | None, urn: str | None = None
    ) -> Checked:
        """Normalise a declaration, or say what is wrong with it.

        Args:
            news: The declaration, camelCase.
            old_model_id: The model id of the resource as it stands, None for a new one.
            urn: The resource; None where it is not known, or its model is not.
        """
        try:
            inputs = ModelInputs.model_validate(dict(news))
        except ValidationError as error:
            return Checked(None, problems_of(error), [])
        twin = self._ledger.declare(inputs.model_id, urn)
        if twin is not None:
            declared = f"'{inputs.model_id}' is declared by '{name_of(twin)}' too, and the service"
            reason = f"{declared} holds one load of a model: remove one of the two"
            return Checked(inputs, [("modelId", reason)], [])
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
            self._ledger.deploys(is_preview=False)
            who = self._ledger.who(caller.urn)
            for left in self._ledger.leftovers(who, inputs.model_id):
                self._loading.drop_leftover(left, caller)
            live = self._client.status(inputs.model_id, stop=caller.wake)
            return self._loading.meet(live, inputs, caller)

    # ---------------------------------------------------------------------------------- read

    def read(self, old: ModelState, caller: Caller) -> ModelState | None:
        """Return the state as it is now; None when the load is gone.

        Raises:
            AccountChangedError: Not found, but asked with another key or endpoint.
            ApiError: No answer: the state stays as it was.
        """
        who, named = self._ledger.who(caller.urn), _named_by(old)
        claim = self._ledger.claim(old.model_id, who, named)
        with self._told_of_state("read", old):
            live = self._seen(old) or self._look_again(old, claim, caller)
            judged = self._judge("read", old, live, who, only_if_unnamed=True)
        if live is None or not judged.is_ours:
            if judged.verdict is Verdict.UNSURE:
                return old
            if live is None and (self._may_lag(old, claim) or caller.stop() is not None):
                return old
            self._refuse_other_account("read", old)
            return self._gone(old, live, judged, who, caller)
        if judged.verdict is Verdict.OURS_LATER:
            old = self._healed(old, live, judged, caller)
        elif named is not None and named.created is not None:
            self._confirm(old, who, named, is_kept=False)
        else:
            self._ledger.identify(old.model_id, who, live.created)
            self._ledger.mark_unsaved(old.model_id, live.created)
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

    def _gone(
        self,
        old: ModelState,
        live: Instance | None,
        judged: Judgement,
        who: Owner,
        caller: Caller,
    ) -> ModelState | None:
        """Return what is left of a state whose load is gone."""
        created = moment_of(old.created)
        # A later load, which an `up` began that failed or was killed, is to be settled by the
        # next one: its end is no expiry to be accepted.
        is_later = self._ledger.began_another(old.model_id, who, Named(created))
        accepts = old.on_expiry == "accept" and not is_later
        if old.status != NOT_LOADED:
            caller.note(gone(old, live, judged, accepts=accepts))
            self._ledger.confirm_gone(old.model_id, created, who)
        return old.model_copy(update={"status": NOT_LOADED}) if accepts else None

    def _healed(
        self, old: ModelState, live: Instance, judged: Judgement, caller: Caller
    ) -> ModelState:
        """Return the state of a load that the resource began after this state was saved."""
        record = judged.record
        if record is None:
            return old
        caller.note(
            f"'{old.model_id}' is loaded by this resource, {since(live)}, after this state was "
            "saved: the state names that load from now on"
        )
        self._ledger.mark_unsaved(old.model_id, live.created)
        asked = {
            "concurrency": record.concurrency,
            "expiration_period_seconds": record.expiration_period_seconds,
        }
        begun = old.model_copy(update={**asked, "adopted_at": record.adopted_at})
        return begun.model_copy(update={"granted": granted_of(begun, live)})

    def glance(self, model_id: str, created: datetime | None) -> Instance | None:
        """Return the instance of a fleet's model, for all of them with few requests.

        The list answers where it shows the very load; for all else the model's own status does.

        Raises:
            ApiError: No answer.
        """
        listed = self._waiter.poller.listed(_GLANCE_SECONDS).get(model_id)
        if listed is not None and Named(created).is_surely(listed):
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
        return self._read_only(live)

    def look_again(self, old: ModelState, caller: Caller) -> ModelState | None:
        """Return the state of a model that this stack only reads; None where it is not loaded.

        Raises:
            ApiError: No answer: the state stays as it was.
        """
        with self._told_of_state("read", old):
            live = self._client.status(old.model_id)
        if live is None:
            caller.note(f"'{old.model_id}', which this stack only reads, is no longer loaded")
            return None
        return self._read_only(live)

    def _read_only(self, live: Instance) -> ModelState:
        inputs = ModelInputs(model_id=live.model_id, concurrency=live.concurrency or 1)
        claim = Claim(created=live.created)
        state = self._loading.state(inputs, claim, None, status_word(live), None)
        return state.model_copy(update={"read_only": True})

    # --------------------------------------------------------------------------------- stays

    def keeps(self, old: ModelState, urn: str | None) -> None:
        """Take note that a resource keeps its load: no other's delete ends it from now on.

        Two resources name one load where a deployment was killed between a take-over and the
        delete of the older one. Whichever of them the next program keeps, it keeps the load.
        """
        named = _named_by(old)
        if named is not None:
            self._confirm(old, self._ledger.who(urn), named, is_kept=True)

    def _confirm(self, old: ModelState, who: Owner, named: Named, *, is_kept: bool) -> None:
        self._ledger.confirm(
            old.model_id,
            who,
            named,
            concurrency=old.concurrency,
            expiration_period_seconds=old.expiration_period_seconds,
            is_kept=is_kept,
        )

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
            self._ledger.deploys(is_preview=False)
            who, named = self._ledger.who(caller.urn), _named_by(old)
            live = self._client.status(inputs.model_id, stop=caller.wake)
            claim = self._ledger.claim(old.model_id, who, named)
            if live is None:
                live = self._look_again(old, claim, caller)
            if live is None and self._may_lag(old, claim):
                # Where it was no lag after all, it is gone: as if found so.
                with suppress(LoadLostError):
                    return self._loading.wait(inputs, claim, caller, adopted_at=old.adopted_at)
            judged = self._judge("load", old, live, who)
            if live is None:
                self._refuse_other_account("load", old)
            if live is None or not judged.is_ours:
                return self._loading.meet(live, inputs, caller)
            adopted_at = old.adopted_at
            if judged.verdict is Verdict.OURS_LATER and judged.record is not None:
                claim, adopted_at = judged.record.claim, judged.record.adopted_at
            if live.phase is Phase.FAILED:
                return self._loading.load_again(live, judged, inputs, caller)
            return self._loading.wait(inputs, claim, caller, adopted_at=adopted_at)

    # -------------------------------------------------------------------------------- delete

    def delete(self, old: ModelState, caller: Caller) -> bool:
        """Unload the load that the state names, and wait until the status agrees.

        Already gone is success; somebody else's load, or one that another resource holds, is
        left alone.

        Returns:
            Whether the load is gone; False if it was left alone.

        Raises:
            UnloadError: It is still loaded at the limit.
            AccountChangedError: Not found, but asked with another key or endpoint.
            ApiError: No answer.
        """
        self._ledger.deploys(is_preview=False)
        model_id, who = old.model_id, self._ledger.who(caller.urn)
        claim = self._ledger.claim(model_id, who, _named_by(old))
        with self._told_of_state("unload", old):
            live = self._client.status(model_id)
            if live is None and self._is_young(old, claim):
                live = self._waiter.until_sure(model_id, claim)
            judged = self._judge("unload", old, live, who)
        if live is None:
            self._refuse_other_account("unload", old)
            self._ledger.end(model_id, who)
            return True
        if judged.is_ours:
            limit = caller.timeout_seconds or UNLOAD_LIMIT_SECONDS
            try:
                self._unloading.unload(live, judged, who, limit)
            except HeldError as held:
                # Another deployment was quicker. What it took over is not ours any more.
                judged = self._judge("unload", old, live, who)
                if judged.is_ours:
                    raise worked_on("unload", held.record) from None
                caller.note(left_alone(live, judged))
            else:
                self._unloading.tell(caller)
                return True
        elif judged.verdict in (Verdict.OTHER_RESOURCE, Verdict.OTHER_STACK):
            self._ledger.doubt(judged)
            caller.note(left_alone(live, judged))
        else:
            caller.warn(left_alone(live, judged))
        return False

    def unload_failed(self, model_id: str, claim: Claim, urn: str | None) -> bool:
        """Unload a fleet's model that FAILED, where it still does and is the load that is meant.

        Returns:
            Whether it was unloaded.

        Raises:
            BytezError: It may still be there.
        """
        live = self._client.status(model_id)
        who = self._ledger.who(urn)
        judged = self._ledger.judge(model_id, live, who, Named(claim.created))
        if live is None or live.phase is not Phase.FAILED or not judged.is_ours:
            return False
        try:
            self._unloading.unload(live, judged, who)
        except HeldError as held:
            raise worked_on("unload", held.record) from None
        return True

    # ---------------------------------------------------------------------- whose load it is

    def _judge(
        self,
        verb: str,
        old: ModelState,
        live: Instance | None,
        who: Owner,
        *,
        only_if_unnamed: bool = False,
    ) -> Judgement:
        """Say whose the load is that runs, refusing where it was looked for elsewhere."""
        named = _named_by(old)
        judged = self._ledger.judge(old.model_id, live, who, named, only_if_unnamed=only_if_unnamed)
        if live is not None and named is not None and not named.is_surely(live):
            self._refuse_other_account(verb, old)
        return judged

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
            raise of_state(error, verb, old.model_id) from None

    def _refuse_other_account(self, verb: str, old: ModelState) -> None:
        """Refuse to take "not found" for "gone" when it was asked of another account."""
        same = (old.endpoint, old.account) == (self._settings.endpoint, self._settings.account)
        if same or self._settings.accept_account_change or old.status == NOT_LOADED:
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


def _named_by(old: ModelState) -> Named | None:
    """Return the load that a state names; None where it names none."""
    if old.status == NOT_LOADED:
        return None
    return Named(moment_of(old.created), old.adopted_at)
