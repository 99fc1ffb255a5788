"""The ledger: who may change a load, and what the journal keeps of it at each step.

A write succeeds only if the record is still the one that was read. So a record is a lock between
deployments, and each of them sees what another decided. What the states of this process prove is
written only by a deployment that changes something: a preview writes nothing.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from bytez_provider.base.clock import Clock
from bytez_provider.base.errors import JournalError
from bytez_provider.core.ownership._hold import Heart, HeldError, Hold
from bytez_provider.core.ownership._identity import Presence, StackIdentity
from bytez_provider.core.ownership._journal import Entry, Journal
from bytez_provider.core.ownership._judgement import Judgement, Named, Verdict, confirmed, judge
from bytez_provider.core.ownership._record import Claim, Holder, Owner, Phase, Record
from bytez_provider.core.ownership._stores import ChangedError, Store
from bytez_provider.service.schemas import Asked, Instance, iso, moment_of

_SILENCE_SECONDS = 13.0
"""A process on another machine that has not beaten for this long is gone."""
_LOOK_SECONDS = 0.5
_OWN_PATIENCE_SECONDS = 150.0
"""How long one resource waits until another of the same deployment releases a load."""
_YOUNG = timedelta(seconds=60)
"""A load that was requested this recently may not show yet."""


@dataclass(frozen=True)
class Adoption:
    """A take-over that the journal has; `undo` puts back what it replaced."""

    adopted_at: str
    undo: Callable[[], None]


class Ledger:
    """The ownership of one account's loads at one endpoint; for any number of threads.

    Raises:
        JournalError: By every method that must read or write before a request to the service, if
            a journal that must work does not. Later writes are tried only: the record names the
            load by then (`confirm`, `waiting`, `identify`, `end`).
    """

    def __init__(
        self,
        store: Store,
        *,
        endpoint: str,
        account: str,
        clock: Clock,
        identity: Callable[[], StackIdentity] | None = None,
        presence: Presence | None = None,
        warn: Callable[[str], None] | None = None,
    ) -> None:
        """Make a ledger; nothing is read yet.

        Args:
            store: Where the records are.
            endpoint: The service.
            account: The account; each has records of its own.
            clock: Measures waits.
            identity: Returns the stack that this process deploys; None if it deploys none.
            presence: This process.
            warn: Shows a warning.
        """
        self.journal = Journal(store, endpoint=endpoint, account=account, warn=warn)
        self.records = self.journal.records
        self._clock = clock
        self._identity = functools.cache(identity) if identity is not None else None
        self._presence = presence or Presence()
        self._heart = Heart()
        self._lock = threading.Lock()
        self._proving = threading.Lock()
        self._declared: dict[str, str] = {}
        self._waits: dict[str, Hold] = {}
        # None until it is known whether this process only previews.
        self._writes: bool | None = None
        self._stated: list[tuple[Record, bool]] = []
        # Those of them of which nothing is written yet.
        self._certain: list[Record] = []
        self._gone: list[tuple[str, datetime | None, Owner]] = []
        self._states: dict[tuple[str, datetime | None], dict[str, Owner]] = {}
        self._unsaved: set[tuple[str, datetime]] = set()

    @property
    def store(self) -> Store:
        """Where the records are."""
        return self.journal.store

    # ------------------------------------------------------------------------------ resources

    def who(self, urn: str | None) -> Owner:
        """Return a resource of the deployed stack; nameless without a URN."""
        if not urn:
            return Owner(urn="")
        if self._identity is None:
            return Owner(urn=urn)
        stack = self._identity()
        return Owner(urn=urn, stack=stack.key, place=stack.place)

    def declare(self, model_id: str, urn: str | None) -> str | None:
        """Note that the program declares a model; return the URN that also declares it, if any."""
        if not urn:
            return None
        with self._lock:
            first = self._declared.setdefault(model_id, urn)
        return first if first != urn else None

    def is_declared(self, owner: Owner, model_id: str) -> bool:
        """Return whether the program still declares a model for a resource."""
        return self._declared.get(model_id) == owner.urn

    # ------------------------------------------------------------------------------ judging

    def record(self, model_id: str) -> Record | None:
        """Return the record of a model."""
        return self.journal.entry(model_id).record

    def judge(
        self,
        model_id: str,
        live: Instance | None,
        who: Owner,
        named: Named | None,
        *,
        only_if_unnamed: bool = False,
    ) -> Judgement:
        """Return whose a load is; see `judge` in `_judgement`.

        Args:
            model_id: The model.
            live: What runs.
            who: The resource that asks.
            named: The load that its state names.
            only_if_unnamed: Read the journal only if the state does not name this very load:
                for a read that changes nothing.
        """
        is_named = named is not None and live is not None and named.is_surely(live)
        record = sibling = None
        if live is not None and not (only_if_unnamed and is_named):
            record = self.journal.entry(model_id, live.created).record
        if live is not None and live.created is not None:
            others = self._states.get((model_id, live.created), {})
            sibling = next((one for urn, one in others.items() if urn != who.urn), None)
        judged = judge(live, who=who, named=named, record=record, sibling=sibling)
        return replace(judged, kept=record)

    def claim(self, model_id: str, who: Owner, named: Named | None) -> Claim:
        """Return the load that a resource means: the one in its state, or else what it began."""
        if named is not None and named.created is not None:
            return Claim(named.created)
        record = self._own(self.record(model_id), who)
        return record.claim if record is not None else Claim()

    def began_another(self, model_id: str, who: Owner, named: Named) -> bool:
        """Return whether a resource began another load of a model than its state names."""
        record = self._own(self.record(model_id), who)
        return record is not None and record.created != named.created

    def leftovers(self, who: Owner, model_id: str) -> list[Record]:
        """Return unfinished loads of other models that earlier deployments of a resource began."""
        if not who.urn:
            return []
        return [
            one
            for one in self.journal.scan().known.values()
            if one.model_id != model_id and one.is_unfinished and one.owner.is_same(who)
            # It may have been taken over or ended since.
            if self.record(one.model_id) == one
        ]

    # ---------------------------------------------------------------- what the states prove

    def deploys(self, *, is_preview: bool | None) -> None:
        """Say whether this process only previews: then it writes nothing. The first answer counts.

        None if it is not known yet. Until then, only that a saved state names a load is written,
        which is as true in a preview.
        """
        if self._writes is None and is_preview is not None:
            self._writes = not is_preview
        elif self._writes is None:
            with self._proving:
                with self._lock:
                    certain, self._certain = self._certain, []
                for one in certain:
                    with self._tried():
                        self._confirm(one, is_kept=False)
        self._write_proofs()

    def confirm(
        self,
        model_id: str,
        who: Owner,
        named: Named,
        *,
        asked: Asked,
        is_kept: bool,
    ) -> None:
        """Enter that the state of a resource names a load, so that it is not unfinished.

        Args:
            model_id: The model.
            who: The resource.
            named: The load.
            asked: Its settings, as its state has them.
            is_kept: Whether the program keeps the resource and its load. If several resources
                name one load, it belongs to this one.
        """
        created = named.created
        if not who.urn or created is None or (model_id, created) in self._unsaved:
            return
        stated = Record(
            model_id=model_id,
            owner=who,
            phase=Phase.CONFIRMED,
            began=created,
            **vars(asked),
            created=created,
            adopted_at=named.adopted_at,
        )
        with self._lock:
            self._states.setdefault((model_id, created), {})[who.urn] = who
            self._stated.append((stated, is_kept))
            self._certain.append(stated)
        self._write_proofs()

    def confirm_gone(self, model_id: str, created: datetime | None, who: Owner) -> None:
        """Enter that the load in the state of a resource is gone."""
        with self._lock:
            self._gone.append((model_id, created, who))
        self._write_proofs()

    def mark_unsaved(self, model_id: str, created: datetime | None) -> None:
        """Note that this process put a load into a state: later calls do not prove it is saved."""
        if created is not None:
            self._unsaved.add((model_id, created))

    def doubt(self, judged: Judgement) -> None:
        """Count a load that was left to another resource of the stack as unfinished again.

        If an older state was restored, it may lack that resource, and then only this record names
        the load. A later call with a state that names it confirms it.
        """
        record, owner = judged.record, judged.owner
        if judged.verdict is not Verdict.OTHER_RESOURCE or record is None or owner is None:
            return
        model_id = record.model_id
        in_state = self._states.get((model_id, record.created), {})
        if self.is_declared(owner, model_id) or owner.urn in in_state:
            return
        with self._tried():
            entry = self.journal.entry(model_id)
            if owner.urn and entry.record == record and record.phase is Phase.CONFIRMED:
                update = {"phase": Phase.ACCEPTED}
                self.journal.put(model_id, record.but(**update), entry)

    def _write_proofs(self) -> None:
        # An operation begins when all is written: a record that changes while it judges would look
        # like another deployment's work.
        with self._proving:
            self._write_all_proofs()

    def _write_all_proofs(self) -> None:
        if not self._writes:
            return
        with self._lock:
            stated, self._stated = self._stated, []
            gone, self._gone = self._gone, []
        # What cannot be written now is written by the next deployment.
        for model_id, created, who in gone:
            with self._tried():
                entry = self.journal.entry(model_id)
                record = entry.record
                if record and record.created == created and record.owner.is_of_stack(who):
                    self.journal.put(model_id, None, entry)
        for one, is_kept in stated:
            with self._tried():
                self._confirm(one, is_kept=is_kept)

    def _confirm(self, stated: Record, *, is_kept: bool) -> None:
        """Write what a state proves; what was confirmed before costs no request."""
        scan, model_id, created = self.journal.scan(), stated.model_id, stated.created

        def changed(known: Record | None) -> Record | None:
            holder = known.holder if known is not None else None
            may_be_held = holder is not None and self._presence.is_alive(holder) is not False
            return confirmed(known, stated, is_kept=is_kept, may_be_held=may_be_held)

        if changed(scan.own.get(model_id) or scan.carried_over(model_id, created)) is None:
            return
        entry = self.journal.entry(model_id, created)
        record = changed(entry.record)
        if record is not None:
            self.journal.put(model_id, record, entry)
            scan.own[model_id] = record

    # ---------------------------------------------------------------------- changing a load

    @contextlib.contextmanager
    def requesting(
        self,
        model_id: str,
        who: Owner,
        *,
        began: datetime,
        asked: Asked,
    ) -> Iterator[Hold]:
        """Hold the record of a load while it is requested; it is on disk on entry.

        Raises:
            HeldError: Another deployment is about to load or unload the model, or has just
                requested a load that may not show yet.
        """
        record = Record(
            model_id=model_id,
            owner=who,
            phase=Phase.REQUESTED,
            began=began,
            **vars(asked),
            host=self._presence.host,
        )
        if not who.urn:
            # A record without a URN could never be found again.
            yield Hold(self.journal, record)
            return
        entry = self._free_entry(model_id, who, began)
        earlier = entry.record
        before = earlier.but(before=None) if earlier else None
        record = record.but(before=before)
        with self._holding(record, entry) as hold:
            yield hold

    def adopt(
        self,
        judgement: Judgement,
        live: Instance,
        who: Owner,
        *,
        now: datetime,
        asked: Asked,
    ) -> Adoption:
        """Make a resource the owner of a running load, in one step.

        Raises:
            HeldError: Another deployment works on it, or has changed the record since.
        """
        entry = self._judged_entry(judgement, live)
        before = entry.record
        earlier = moment_of(before.adopted_at) if before else None
        if earlier is not None:
            # It tells owners apart, also if the service's clock stands still or goes back.
            now = max(now, earlier + timedelta(milliseconds=1))
        record = Record(
            model_id=live.model_id,
            owner=who,
            phase=Phase.ACCEPTED,
            began=now,
            **vars(asked),
            created=live.created,
            adopted_at=iso(now),
            host=self._presence.host,
        )
        if who.urn:
            with self._raced(record):
                self.journal.put(live.model_id, record, entry, durable=True)

        def undo() -> None:
            with self._tried():
                entry = self.journal.entry(live.model_id)
                if entry.record is not None and entry.record.adopted_at == record.adopted_at:
                    self.journal.put(live.model_id, before, entry)

        return Adoption(iso(now), undo)

    @contextlib.contextmanager
    def unloading(self, judgement: Judgement, live: Instance, who: Owner) -> Iterator[None]:
        """Hold the record of a load while it is unloaded; the record ends with the load.

        Raises:
            HeldError: Another deployment works on it, or has changed the record since.
        """
        update = {"phase": Phase.UNLOADING, "created": live.created}
        with self._changing(judgement, live, who, update) as hold:
            yield
            hold.release(None)

    @contextlib.contextmanager
    def rescaling(
        self, judgement: Judgement, live: Instance, who: Owner, asked: Asked
    ) -> Iterator[None]:
        """Hold the record of a load while its settings are changed; it has the new ones then.

        Raises:
            HeldError: Another deployment works on it, or has changed the record since.
        """
        with self._changing(judgement, live, who, vars(asked)):
            yield

    @contextlib.contextmanager
    def waiting(self, model_id: str, who: Owner, created: datetime | None) -> Iterator[None]:
        """Hold the record of a load while its owner waits for it: no state names it until then."""
        hold: Hold | None = None
        with self._tried():
            entry = self.journal.entry(model_id, created)
            record = self._own(entry.record, who)
            if record is not None and record.is_unfinished and not self.is_held(record):
                held = record.but(holder=self._presence.holder())
                opened = Hold(self.journal, held)
                opened.open(entry, durable=False)
                hold = opened
        if hold is None:
            yield
            return
        self._waits[model_id] = hold
        try:
            with self._heart.beating(hold):
                yield
        finally:
            del self._waits[model_id]
            hold.release(hold.record)

    def identify(self, model_id: str, who: Owner, created: datetime | None) -> None:
        """Enter what identifies a load, once it is seen."""
        if created is None:
            return
        if (hold := self._waits.get(model_id)) is not None:
            hold.identify(created)
            return
        with self._tried():
            entry = self.journal.entry(model_id, created)
            record = self._own(entry.record, who)
            if record is not None and record.created is None and record.is_unfinished:
                seen = record.identified(created).but(holder=None)
                self.journal.put(model_id, seen, entry)

    def end(self, model_id: str, who: Owner, created: datetime | None = None) -> None:
        """Remove a resource's record of a load that is gone; only of this `created` if given."""
        with self._tried():
            entry = self.journal.entry(model_id)
            record = self._own(entry.record, who)
            if record is not None and (created is None or record.created in (None, created)):
                self.journal.put(model_id, None, entry)

    def forget(self, record: Record) -> None:
        """Remove a record that was listed, unless it has changed since."""
        entry = self.journal.entry(record.model_id)
        if entry.record == record:
            with contextlib.suppress(ChangedError):
                self.journal.put(record.model_id, None, entry)

    # -------------------------------------------------------------------------------- holders

    def is_held(self, record: Record) -> bool:
        """Return whether a live process works on a load; may wait for a beat."""
        return record.holder is not None and self._is_alive(record.model_id, record.holder)

    def wait_for_own(self, record: Record | None) -> bool:
        """Wait until another resource of this deployment releases a load; return if one held it."""
        deadline = self._clock.monotonic() + _OWN_PATIENCE_SECONDS
        waited = False
        while record is not None and record.holder is not None:
            is_ours = record.holder.token == self._presence.token
            if not is_ours or self._clock.monotonic() >= deadline:
                break
            waited = True
            self._clock.wait(_LOOK_SECONDS)
            record = self.record(record.model_id)
        return waited

    def _is_alive(self, model_id: str, holder: Holder) -> bool:
        alive = self._presence.is_alive(holder)
        if alive is not None:
            return alive
        start = self._clock.monotonic()
        while self._clock.monotonic() - start < _SILENCE_SECONDS:
            self._clock.wait(_LOOK_SECONDS)
            record = self.record(model_id)
            now = record.holder if record is not None else None
            if now is None or now.token != holder.token:
                return False
            if now.beat > holder.beat:
                return True
        return False

    def _free_entry(self, model_id: str, who: Owner, now: datetime) -> Entry:
        """Return the record of a model that is not loaded, if nobody else works on it."""
        entry = self.journal.entry(model_id)
        if self.wait_for_own(entry.record):
            entry = self.journal.entry(model_id)
        record = entry.record
        if record is not None:
            is_young = record.is_unfinished and now - record.began < _YOUNG
            if self.is_held(record) or (is_young and not record.owner.is_of_stack(who)):
                raise HeldError(record)
        return entry

    def _judged_entry(self, judgement: Judgement, live: Instance) -> Entry:
        """Return the record that a judgement was based on, if nobody works on it or has since."""
        entry = self.journal.entry(live.model_id, live.created)
        record = entry.record
        # A record of another load counts too: that load may replace the one that was judged.
        if record is not None and (record != judgement.kept or self.is_held(record)):
            raise HeldError(record)
        if record is not None and not record.claim.covers(live):
            record = None
        return Entry(record, entry.version)

    @contextlib.contextmanager
    def _changing(
        self, judgement: Judgement, live: Instance, who: Owner, update: Mapping[str, Any]
    ) -> Iterator[Hold]:
        """Hold the updated record of a load that runs; put the old one back if that fails."""
        entry = self._judged_entry(judgement, live)
        known = entry.record or Record(
            model_id=live.model_id,
            owner=who,
            phase=Phase.CONFIRMED,
            began=live.created or datetime.fromtimestamp(0).astimezone(),
            concurrency=live.concurrency or 1,
            created=live.created,
        )
        with self._holding(known.but(**update), entry) as hold:
            try:
                yield hold
            except BaseException:
                hold.refused()
                raise

    @contextlib.contextmanager
    def _holding(self, record: Record, entry: Entry) -> Iterator[Hold]:
        """Hold a record while this process works on its load.

        Raises:
            HeldError: Somebody else has written it since it was read.
        """
        held = record.but(holder=self._presence.holder())
        hold = Hold(self.journal, held, entry.record)
        with self._raced(held):
            hold.open(entry, durable=True)
        try:
            with self._heart.beating(hold):
                yield hold
        finally:
            hold.release(hold.record)

    @contextlib.contextmanager
    def _raced(self, record: Record) -> Iterator[None]:
        """Report a lost race as what the winner wrote."""
        try:
            yield
        except ChangedError:
            raise HeldError(self.record(record.model_id) or record) from None

    @staticmethod
    @contextlib.contextmanager
    def _tried() -> Iterator[None]:
        """Try a write that nothing depends on."""
        with contextlib.suppress(ChangedError, JournalError):
            yield

    @staticmethod
    def _own(record: Record | None, who: Owner) -> Record | None:
        """Return a record if it is this resource's."""
        return record if record is not None and record.owner.is_same(who) else None
