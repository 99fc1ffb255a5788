"""The journal: one record of each load that an account may have, and who may change it.

A write stands only if the record is still the one that was read. So a record is a lock between
deployments, and what one of them decides on is what the others see. What the states of this
process prove is written only in a deployment that changes something: a preview writes nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from bytez_provider.base.clock import Clock
from bytez_provider.base.errors import JournalError
from bytez_provider.core.ownership._hearing import Hearing
from bytez_provider.core.ownership._judgement import Judgement, Named, judge
from bytez_provider.core.ownership._machine import Presence
from bytez_provider.core.ownership._record import Claim, Holder, Owner, Phase, Record
from bytez_provider.core.ownership._records import Entry
from bytez_provider.core.ownership._stack import StackIdentity
from bytez_provider.core.ownership._stores import ChangedError, Store
from bytez_provider.core.ownership._work import Adoption, Heart, HeldError, Request, Work
from bytez_provider.service.schemas import Instance, iso, moment_of

_SILENCE_SECONDS = 13.0
"""A process that has not said so for this long is gone."""
_LOOK_SECONDS = 0.5
_OWN_PATIENCE_SECONDS = 150.0
"""How long one resource waits for another of the same deployment to let go of a load."""
_YOUNG = timedelta(seconds=60)
"""A load that was asked for this recently may not show yet."""


class Ledger(Hearing):
    """The records of one account at one endpoint; for any number of threads.

    Raises:
        JournalError: Where a shared journal cannot be reached, by every method that reads or writes
            before anything is asked of the service. After that the record on disk names the load,
            and what cannot be written is of no harm: `waiting`, `identify`, `end`.
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
        """Make a journal; nothing is read yet.

        Args:
            store: Where the records are.
            endpoint: The service.
            account: The account; each has records of its own.
            clock: Measures waits.
            identity: Says which stack this process deploys; None where it deploys none.
            presence: This process.
            warn: Shows a warning.
        """
        super().__init__(
            store,
            endpoint=endpoint,
            account=account,
            presence=presence or Presence(),
            warn=warn,
        )
        self._clock = clock
        self._identity = identity
        self._heart = Heart()
        self._waits: dict[str, Work] = {}
        self._own_stack: StackIdentity | None = None
        self._declared: dict[str, str] = {}

    # ------------------------------------------------------------------------------ who asks

    def who(self, urn: str | None) -> Owner:
        """Return a resource of the stack that is deployed; nameless without a URN."""
        if not urn:
            return Owner(urn="")
        if self._identity is None:
            return Owner(urn=urn)
        if self._own_stack is None:
            self._own_stack = self._identity()
        return Owner(urn=urn, stack=self._own_stack.key, place=self._own_stack.place)

    def declare(self, model_id: str, urn: str | None) -> str | None:
        """Take note that the program declares a model; return who else in it does."""
        if not urn:
            return None
        with self._lock:
            first = self._declared.setdefault(model_id, urn)
        return first if first != urn else None

    # ------------------------------------------------------------------------------ judging

    def record(self, model_id: str) -> Record | None:
        """Return what is kept of a model."""
        return self._entry(model_id).record

    def judge(
        self,
        model_id: str,
        live: Instance | None,
        who: Owner,
        named: Named | None,
        *,
        only_if_unnamed: bool = False,
    ) -> Judgement:
        """Say whose a load is.

        Args:
            model_id: The model.
            live: What runs.
            who: The resource that asks.
            named: The load that its state names.
            only_if_unnamed: Ask the journal only if the state does not name this very load:
                for a look that changes nothing.
        """
        is_named = named is not None and live is not None and named.is_surely(live)
        record = None
        if live is not None and not (only_if_unnamed and is_named):
            record = self._entry(model_id, live.created).record
        judged = judge(
            live, who=who, named=named, record=record, sibling=self._sibling(model_id, live, who)
        )
        return replace(judged, kept=record)

    def began_another(self, model_id: str, who: Owner, named: Named) -> bool:
        """Return whether a resource began another load of a model than its state names."""
        record = self._entry(model_id).record
        is_own = record is not None and record.owner.is_same(who)
        return record is not None and is_own and record.created != named.created

    def is_declared(self, owner: Owner, model_id: str) -> bool:
        """Return whether the program still declares a model for a resource."""
        return self._declared.get(model_id) == owner.urn

    def claim(self, model_id: str, who: Owner, named: Named | None) -> Claim:
        """Return the load that a resource means: the one that its state names, or else began."""
        if named is not None and named.created is not None:
            return Claim(named.created)
        record = self._entry(model_id).record
        is_own = record is not None and record.owner.is_same(who)
        return record.claim if record is not None and is_own else Claim()

    def wait_for_own(self, record: Record | None) -> bool:
        """Wait for another resource of this deployment to let go of a load; say if there is one."""
        deadline = self._clock.monotonic() + _OWN_PATIENCE_SECONDS
        waited = False
        while record is not None and record.holder is not None:
            is_ours = record.holder.token == self._presence.token
            if not is_ours or self._clock.monotonic() >= deadline:
                break
            waited = True
            self._clock.wait(_LOOK_SECONDS)
            record = self._entry(record.model_id).record
        return waited

    def leftovers(self, who: Owner, model_id: str) -> list[Record]:
        """Return what earlier deployments began for a resource, of other models, unfinished."""
        if not who.urn:
            return []
        scan = self._scan()
        known = {**scan.earlier, **scan.own}
        return [
            one
            for one in known.values()
            if one.model_id != model_id and one.is_unfinished and one.owner.is_same(who)
            # It may have been taken over or ended since.
            if self._entry(one.model_id).record == one
        ]

    def _sibling(self, model_id: str, live: Instance | None, who: Owner) -> Owner | None:
        if live is None or live.created is None:
            return None
        others = self._states.get((model_id, live.created), {})
        return next((one for urn, one in others.items() if urn != who.urn), None)

    # ---------------------------------------------------------------------- what is changed

    @contextlib.contextmanager
    def requesting(
        self,
        model_id: str,
        who: Owner,
        *,
        began: datetime,
        concurrency: int,
        expiration_period_seconds: int | None,
    ) -> Iterator[Request]:
        """Keep, before a load is asked for, who asks for it; the record is on disk on entry.

        Raises:
            HeldError: Another deployment is about to load or unload the model, or has just asked
                for a load that may not show yet.
        """
        record = Record(
            model_id=model_id,
            owner=who,
            phase=Phase.REQUESTED,
            began=began,
            concurrency=concurrency,
            expiration_period_seconds=expiration_period_seconds,
            host=self._presence.host,
        )
        if not who.urn:
            # Nothing could find it again, or say whose it is.
            yield Request(record)
            return
        entry = self._free_entry(model_id, who, began)
        earlier = entry.record
        update = {
            "holder": self._presence.holder(),
            "before": earlier.model_copy(update={"before": None}) if earlier else None,
        }
        record = record.model_copy(update=update)
        try:
            with self._working(record, entry) as work:
                yield Request(record, work, earlier)
        except ChangedError:
            raise HeldError(self._entry(model_id).record or record) from None

    def adopt(
        self,
        judgement: Judgement,
        live: Instance,
        who: Owner,
        *,
        now: datetime,
        concurrency: int,
        expiration_period_seconds: int | None,
    ) -> Adoption:
        """Enter a resource as the owner of a load that runs, in one step.

        Raises:
            HeldError: Another deployment works on it, or was quicker.
        """
        entry = self._judged_entry(judgement, live)
        before = entry.record
        earlier = moment_of(before.adopted_at) if before else None
        if earlier is not None:
            # It tells owners apart, also where the service's clock stands or is put back.
            now = max(now, earlier + timedelta(milliseconds=1))
        adopted_at = iso(now)
        record = Record(
            model_id=live.model_id,
            owner=who,
            phase=Phase.ACCEPTED,
            began=now,
            concurrency=concurrency,
            expiration_period_seconds=expiration_period_seconds,
            created=live.created,
            adopted_at=adopted_at,
            host=self._presence.host,
        )
        if who.urn:
            try:
                self._put(live.model_id, record, entry, durable=True)
            except ChangedError:
                raise HeldError(self._entry(live.model_id).record or record) from None
        return Adoption(adopted_at, lambda: self._undo(record, before))

    @contextlib.contextmanager
    def unloading(self, judgement: Judgement, live: Instance, who: Owner) -> Iterator[None]:
        """Keep, while a load is unloaded, that it is; the record ends with the load.

        Raises:
            HeldError: Another deployment works on it, or was quicker.
        """
        entry = self._judged_entry(judgement, live)
        known = entry.record
        record = (known or _unknown(live, who)).model_copy(
            update={
                "phase": Phase.UNLOADING,
                "holder": self._presence.holder(),
                "created": live.created,
            }
        )
        try:
            with self._working(record, entry) as work:
                try:
                    yield
                except BaseException:
                    work.put(known)
                    raise
                work.put(None)
        except ChangedError:
            raise HeldError(self._entry(live.model_id).record or record) from None

    @contextlib.contextmanager
    def waiting(self, model_id: str, who: Owner, created: datetime | None) -> Iterator[None]:
        """Hold the record of a load for as long as its owner waits for it.

        The load is in no state until the wait is over, and is not unfinished until then.
        """
        work: Work | None = None
        with contextlib.suppress(ChangedError, JournalError):
            entry = self._entry(model_id, created)
            record = entry.record
            is_own = record is not None and record.is_unfinished and record.owner.is_same(who)
            if record is not None and is_own and not self.is_held(record):
                held = record.model_copy(update={"holder": self._presence.holder()})
                work = Work(self, held, self._put(model_id, held, entry))
        if work is None:
            yield
            return
        self._waits[model_id] = work
        try:
            with self._heart.beating(work):
                yield
        finally:
            del self._waits[model_id]
            work.put(work.record)

    def identify(self, model_id: str, who: Owner, created: datetime | None) -> None:
        """Enter what identifies a load, once it is seen."""
        if created is None:
            return
        work = self._waits.get(model_id)
        if work is not None:
            work.identify(created)
            return
        with contextlib.suppress(ChangedError, JournalError):
            entry = self._entry(model_id, created)
            record = entry.record
            is_open = record is not None and record.created is None and record.is_unfinished
            if record is not None and is_open and who.urn and record.owner.is_same(who):
                update = {
                    "created": created,
                    "phase": Phase.ACCEPTED,
                    "before": None,
                    "holder": None,
                }
                self._put(model_id, record.model_copy(update=update), entry)

    def end(self, model_id: str, who: Owner, created: datetime | None = None) -> None:
        """Remove the record of a load of this resource that is gone; of this `created` if given."""
        with contextlib.suppress(ChangedError, JournalError):
            entry = self._entry(model_id)
            record = entry.record
            if record is None or not record.owner.is_same(who):
                return
            if created is None or record.created in (None, created):
                self._put(model_id, None, entry)

    def forget(self, record: Record) -> None:
        """Remove a record that was listed, if it is still what it was."""
        entry = self._entry(record.model_id)
        if entry.record == record:
            with contextlib.suppress(ChangedError):
                self._put(record.model_id, None, entry)

    # ------------------------------------------------------------------------------- listing

    def is_held(self, record: Record) -> bool:
        """Return whether a process that lives works on a load."""
        return record.holder is not None and self._lives(record.model_id, record.holder)

    # ------------------------------------------------------------------------------- records

    def _free_entry(self, model_id: str, who: Owner, now: datetime) -> Entry:
        """Return the record of a model that is not loaded, once nobody else works on it.

        Raises:
            HeldError: Somebody does.
        """
        entry = self._entry(model_id)
        if self.wait_for_own(entry.record):
            entry = self._entry(model_id)
        record = entry.record
        if record is None:
            return entry
        is_young = record.is_unfinished and now - record.began < _YOUNG
        if self.is_held(record) or (is_young and not record.owner.is_of_stack(who)):
            raise HeldError(record)
        return entry

    def _judged_entry(self, judgement: Judgement, live: Instance) -> Entry:
        """Return the record on which a judgement was made, once nobody works on it.

        Raises:
            HeldError: Somebody does, or did since.
        """
        entry = self._entry(live.model_id, live.created)
        record = entry.record
        # Also of another load: it may be the one that replaces the load that was judged.
        if record is not None and (record != judgement.kept or self.is_held(record)):
            raise HeldError(record)
        if record is not None and not record.claim.covers(live):
            record = None
        return Entry(record, entry.version)

    def _lives(self, model_id: str, holder: Holder) -> bool:
        alive = self._presence.is_alive(holder)
        if alive is not None:
            return alive
        start = self._clock.monotonic()
        while self._clock.monotonic() - start < _SILENCE_SECONDS:
            self._clock.wait(_LOOK_SECONDS)
            record = self._entry(model_id).record
            now = record.holder if record is not None else None
            if now is None or now.token != holder.token:
                return False
            if now.beat > holder.beat:
                return True
        return False

    def _undo(self, record: Record, before: Record | None) -> None:
        """Put back what stood before a take-over that came to nothing."""
        with contextlib.suppress(ChangedError, JournalError):
            entry = self._entry(record.model_id)
            if entry.record is not None and entry.record.adopted_at == record.adopted_at:
                self._put(record.model_id, before, entry)

    @contextlib.contextmanager
    def _working(self, record: Record, entry: Entry) -> Iterator[Work]:
        """Hold a record for as long as this process works on its load.

        Raises:
            ChangedError: It was not there any more to begin with.
        """
        version = self._put(record.model_id, record, entry, durable=True)
        work = Work(self, record, version)
        try:
            with self._heart.beating(work):
                yield work
        finally:
            work.put(work.record)


def _unknown(live: Instance, who: Owner) -> Record:
    """Return a record of a load of which nothing is kept, for the time in which it is unloaded."""
    return Record(
        model_id=live.model_id,
        owner=who,
        phase=Phase.UNLOADING,
        began=live.created or datetime.fromtimestamp(0).astimezone(),
        concurrency=live.concurrency or 1,
    )
