"""The journal: one record of each load that an account may have, and who may change it.

A write stands only if the record is still the one that was read. So a record is a lock between
deployments, and what one of them decides on is what the others see. What the states of this
process prove is written only in a deployment that changes something: a preview writes nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pydantic import ValidationError

from bytez_provider.clock import Clock
from bytez_provider.errors import JournalError
from bytez_provider.ownership._earlier import carried_over
from bytez_provider.ownership._judgement import Judgement, Named, is_overtaken, judge
from bytez_provider.ownership._machine import Presence
from bytez_provider.ownership._record import Claim, Holder, Owner, Phase, Record
from bytez_provider.ownership._stack import StackIdentity
from bytez_provider.ownership._stores import ChangedError, Store
from bytez_provider.schemas import Instance, iso, moment_of

_BEAT_SECONDS = 5.0
"""How often a process says that it still works on a load, to machines that cannot see it."""
_SILENCE_SECONDS = 13.0
"""A process that has not said so for this long is gone."""
_LOOK_SECONDS = 0.5
_OWN_PATIENCE_SECONDS = 150.0
"""How long one resource waits for another of the same deployment to let go of a load."""
_YOUNG = timedelta(seconds=60)
"""A load that was asked for this recently may not show yet."""


class HeldError(Exception):
    """Another deployment works on the load right now, or has just asked for it.

    Attributes:
        record: What it wrote.
    """

    def __init__(self, record: Record) -> None:
        super().__init__(record.model_id)
        self.record = record


@dataclass(frozen=True)
class _Entry:
    """A record as it was read, and what a write must give to replace it."""

    record: Record | None
    version: object


@dataclass(frozen=True)
class _Heard:
    """What the state of a resource says of its load."""

    who: Owner
    model_id: str
    named: Named
    concurrency: int
    expiration_period_seconds: int | None
    stays: bool


@dataclass
class _Scan:
    """All that was kept when this process first looked."""

    own: dict[str, Record] = field(default_factory=dict)
    elsewhere: dict[str, list[tuple[str, Record]]] = field(default_factory=dict)
    """Of other keys of the same endpoint, with the name it is kept under."""
    earlier: dict[str, Record] = field(default_factory=dict)
    """Of the format before this one."""


class Ledger:
    """The records of one account at one endpoint; for any number of threads.

    Raises:
        JournalError: By every method that reads or writes, where a shared journal cannot be
            reached.
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
        self.store = store
        self._warn = warn
        self._account = {"endpoint": endpoint, "account": account}
        self._clock = clock
        self._identity = identity
        self._presence = presence or Presence()
        self._heart = _Heart()
        self._waits: dict[str, _Work] = {}
        self._lock = threading.Lock()
        self._own_stack: StackIdentity | None = None
        self._scanned: _Scan | None = None
        # None until it is known whether this process only previews.
        self._changes: bool | None = None
        self._heard: list[_Heard] = []
        self._gone: list[tuple[str, datetime | None, Owner]] = []
        self._states: dict[tuple[str, datetime], dict[str, Owner]] = {}
        self._unproven: set[tuple[str, datetime]] = set()
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

    def declares(self, model_id: str, urn: str | None) -> str | None:
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
        is_named = named is not None and live is not None and named.created == live.created
        record = None
        if live is not None and not (only_if_unnamed and is_named):
            record = self._entry(model_id, live.created).record
        return judge(
            live, who=who, named=named, record=record, sibling=self._sibling(model_id, live, who)
        )

    def keeps(self, owner: Owner, model_id: str) -> bool:
        """Return whether the program still declares a model for a resource."""
        return self._declared.get(model_id) == owner.urn

    def claim(self, model_id: str, who: Owner, named: Named | None) -> Claim:
        """Return the load that a resource means: the one that its state names, or else began."""
        if named is not None and named.created is not None:
            return Claim(named.created)
        record = self._entry(model_id).record
        is_own = record is not None and who.urn != "" and record.owner.is_same(who)
        return record.claim if record is not None and is_own else Claim()

    def waits_for_own(self, record: Record | None) -> bool:
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

    # ------------------------------------------------------------------- what the states prove

    def hears(
        self,
        model_id: str,
        who: Owner,
        named: Named,
        *,
        concurrency: int,
        expiration_period_seconds: int | None,
        stays: bool,
    ) -> None:
        """Take note that the state of a resource names a load, so that it is not unfinished.

        Args:
            model_id: The model.
            who: The resource.
            named: The load.
            concurrency: What its state says was asked for.
            expiration_period_seconds: As above.
            stays: Whether the program keeps the resource and its load. Of several resources
                that name one load it is then this one's.
        """
        if not who.urn or named.created is None:
            return
        if (model_id, named.created) in self._unproven:
            return
        with self._lock:
            self._states.setdefault((model_id, named.created), {})[who.urn] = who
            self._heard.append(
                _Heard(who, model_id, named, concurrency, expiration_period_seconds, stays)
            )
        if self._changes:
            self._write_what_was_heard()

    def finds(self, model_id: str, created: datetime | None) -> None:
        """Take note that this process itself gave a state the name of a load.

        That it is saved is not known, so that the same state is no proof in this process.
        """
        if created is not None:
            self._unproven.add((model_id, created))

    def hears_gone(self, model_id: str, created: datetime | None, who: Owner) -> None:
        """Take note that a load which the state of a resource names is gone."""
        with self._lock:
            self._gone.append((model_id, created, who))
        if self._changes:
            self._write_what_was_heard()

    def deploys(self, *, is_preview: bool) -> None:
        """Say whether this process only previews; the first who says so is right."""
        if self._changes is None:
            self._changes = not is_preview
        if self._changes:
            self._write_what_was_heard()

    def _write_what_was_heard(self) -> None:
        with self._lock:
            heard, self._heard = self._heard, []
            gone, self._gone = self._gone, []
        for model_id, created, who in gone:
            with contextlib.suppress(ChangedError, JournalError):
                self._end_gone(model_id, created, who)
        for one in heard:
            # That it could not be written changes nothing: it is written by the next deployment.
            with contextlib.suppress(ChangedError, JournalError):
                self._confirm(one)

    def _end_gone(self, model_id: str, created: datetime | None, who: Owner) -> None:
        entry = self._entry(model_id)
        record = entry.record
        if record is not None and record.created == created and record.owner.is_of_stack(who):
            self._put(model_id, None, entry)

    def _confirm(self, one: _Heard) -> None:
        known = self._scan().own.get(one.model_id)
        confirmed = self._confirmed(one, known)
        if confirmed is None:
            return
        entry = self._entry(one.model_id)
        confirmed = self._confirmed(one, entry.record)
        if confirmed is not None:
            self._put(one.model_id, confirmed, entry)
            self._scan().own[one.model_id] = confirmed

    def _confirmed(  # noqa: PLR0911 - one line a case
        self, one: _Heard, known: Record | None
    ) -> Record | None:
        """Return what is to be kept of a load that a state names; None for what is there."""
        named, who = one.named, one.who
        if named.created is None:
            return None
        mine = Record(
            model_id=one.model_id,
            owner=who,
            phase=Phase.CONFIRMED,
            began=named.created,
            concurrency=one.concurrency,
            expiration_period_seconds=one.expiration_period_seconds,
            created=named.created,
            adopted_at=named.adopted_at,
        )
        if known is None:
            return mine
        if known.holder is not None and self._presence.is_alive(known.holder) is not False:
            return None
        if known.created is None:
            seen = Instance(model_id=one.model_id, status="", created=named.created)
            is_it = known.owner.is_same(who) and known.claim.covers(seen)
            return mine.model_copy(update={"host": known.host}) if is_it else None
        if known.created != named.created:
            # A state is no proof against a load that was begun after the one that it names.
            is_later = named.created > max(known.created, known.began)
            return mine if is_later and known.owner.is_of_stack(who) else None
        is_claim = known.adopted_at == named.adopted_at or is_overtaken(known, named, who)
        if not is_claim and not (one.stays and known.owner.is_of_stack(who)):
            return None
        kept = known.model_copy(
            update={
                "owner": who,
                "phase": Phase.CONFIRMED,
                "adopted_at": named.adopted_at,
                "before": None,
                "holder": None,
            }
        )
        return None if kept == known else kept

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
    def waiting(self, model_id: str, who: Owner) -> Iterator[None]:
        """Hold the record of a load for as long as its owner waits for it.

        The load is in no state until the wait is over, and is not unfinished until then.
        """
        entry = self._entry(model_id)
        record = entry.record
        work: _Work | None = None
        is_own = record is not None and record.is_unfinished and record.owner.is_same(who)
        if record is not None and is_own and not self.is_held(record):
            held = record.model_copy(update={"holder": self._presence.holder()})
            with contextlib.suppress(ChangedError):
                work = _Work(self, held, self._put(model_id, held, entry))
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
        entry = self._entry(model_id)
        record = entry.record
        is_open = record is not None and record.created is None and record.is_unfinished
        if record is not None and is_open and who.urn and record.owner.is_same(who):
            update = {
                "created": created,
                "phase": Phase.ACCEPTED,
                "before": None,
                "holder": None,
            }
            with contextlib.suppress(ChangedError):
                self._put(model_id, record.model_copy(update=update), entry)

    def end(self, model_id: str, who: Owner, created: datetime | None = None) -> None:
        """Remove the record of a load of this resource that is gone; of this `created` if given."""
        entry = self._entry(model_id)
        record = entry.record
        if record is None or not record.owner.is_same(who):
            return
        if created is None or record.created in (None, created):
            with contextlib.suppress(ChangedError):
                self._put(model_id, None, entry)

    def forget(self, record: Record) -> None:
        """Remove a record that was listed, if it is still what it was."""
        entry = self._entry(record.model_id)
        if entry.record == record:
            with contextlib.suppress(ChangedError):
                self._put(record.model_id, None, entry)

    # ------------------------------------------------------------------------------- listing

    def records(self, live: Iterable[Instance] = ()) -> list[Record]:
        """Return all records of the account, oldest first.

        Args:
            live: What runs. The record of one of these counts under an earlier key too.
        """
        scan = self._read_all()
        known = {**scan.earlier, **scan.own}
        for one in live:
            for _, record in scan.elsewhere.get(one.model_id, ()):
                if one.created is not None and record.created == one.created:
                    known.setdefault(one.model_id, record)
        return sorted(known.values(), key=lambda one: (one.began, one.model_id))

    def is_held(self, record: Record) -> bool:
        """Return whether a process that lives works on a load."""
        return record.holder is not None and self._lives(record.model_id, record.holder)

    # ------------------------------------------------------------------------------- records

    def _name(self, model_id: str) -> str:
        parts = "\n".join((*self._account.values(), model_id))
        return f"record-{hashlib.sha256(parts.encode()).hexdigest()[:32]}.json"

    def _entry(self, model_id: str, created: datetime | None = None) -> _Entry:
        """Read a record; that of an earlier key or format where there is none of its own.

        Args:
            model_id: The model.
            created: The load that runs: under an earlier key only its record is looked for.
        """
        stored = self.store.read(self._name(model_id))
        record = _parsed(stored.content, self._account)
        if record is None and stored.content is not None and self._warn is not None:
            self._warn(
                f"what the journal in {self.store.place} holds of '{model_id}' cannot be read: a "
                "load that a killed deployment left is not known any more"
            )
            self._warn = None
        if record is None and stored.content is None:
            scan = self._scan()
            record = scan.earlier.get(model_id)
            for _, one in scan.elsewhere.get(model_id, ()) if record is None else ():
                if created is not None and one.created == created:
                    record = one
        return _Entry(record, stored.version)

    def _free_entry(self, model_id: str, who: Owner, now: datetime) -> _Entry:
        """Return the record of a model that is not loaded, once nobody else works on it.

        Raises:
            HeldError: Somebody does.
        """
        entry = self._entry(model_id)
        if self.waits_for_own(entry.record):
            entry = self._entry(model_id)
        record = entry.record
        if record is None:
            return entry
        is_young = record.is_unfinished and now - record.began < _YOUNG
        if self.is_held(record) or (is_young and not record.owner.is_of_stack(who)):
            raise HeldError(record)
        return entry

    def _judged_entry(self, judgement: Judgement, live: Instance) -> _Entry:
        """Return the record on which a judgement was made, once nobody works on it.

        Raises:
            HeldError: Somebody does, or did since.
        """
        entry = self._entry(live.model_id, live.created)
        record = entry.record
        if record is not None and not record.claim.covers(live):
            record = None
        if record is not None and self.is_held(record):
            raise HeldError(record)
        if record is not None and record != judgement.record:
            raise HeldError(record)
        return _Entry(record, entry.version)

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

    def _put(
        self, model_id: str, record: Record | None, entry: _Entry, *, durable: bool = False
    ) -> object:
        name = self._name(model_id)
        content = None if record is None else _written(record, self._account)
        if content is None and entry.version is None:
            version: object = None
        else:
            version = self.store.write(name, content, entry.version, durable=durable).version
        self._drop_earlier(model_id)
        return version

    def _drop_earlier(self, model_id: str) -> None:
        """Remove what was kept of a model in the earlier format, which is carried over now."""
        scan = self._scanned
        if scan is not None and scan.earlier.pop(model_id, None) is not None:
            for name, stored in self.store.read_all().items():
                if model_id in carried_over({name: stored.content}, self._account):
                    with contextlib.suppress(ChangedError):
                        self.store.write(name, None, stored.version, durable=False)

    def _undo(self, record: Record, before: Record | None) -> None:
        """Put back what stood before a take-over that came to nothing."""
        entry = self._entry(record.model_id)
        if entry.record is not None and entry.record.adopted_at == record.adopted_at:
            with contextlib.suppress(ChangedError):
                self._put(record.model_id, before, entry)

    @contextlib.contextmanager
    def _working(self, record: Record, entry: _Entry) -> Iterator[_Work]:
        """Hold a record for as long as this process works on its load.

        Raises:
            ChangedError: It was not there any more to begin with.
        """
        version = self._put(record.model_id, record, entry, durable=True)
        work = _Work(self, record, version)
        try:
            with self._heart.beating(work):
                yield work
        finally:
            work.put(work.record)

    # ---------------------------------------------------------------------------------- scan

    def _scan(self) -> _Scan:
        with self._lock:
            if self._scanned is None:
                self._scanned = self._read_all()
            return self._scanned

    def _read_all(self) -> _Scan:
        scan = _Scan()
        contents = {name: one.content for name, one in self.store.read_all().items()}
        for name, content in contents.items():
            if not name.startswith("record-") or content is None:
                continue
            record = _parsed(content, self._account)
            if record is not None:
                scan.own[record.model_id] = record
                continue
            other = _parsed(content, {"endpoint": self._account["endpoint"]})
            if other is not None:
                scan.elsewhere.setdefault(other.model_id, []).append((name, other))
        scan.earlier = {
            model_id: record
            for model_id, record in carried_over(contents, self._account).items()
            if model_id not in scan.own
        }
        return scan


@dataclass(frozen=True)
class Request:
    """A load that is about to be asked for.

    Attributes:
        record: What is kept of it.
        work: Holds the record; None for a nameless resource, of which nothing is kept.
        earlier: The record that stood in its place.
    """

    record: Record
    work: _Work | None = None
    earlier: Record | None = None

    def accepted(self) -> None:
        """Keep that the service took the load: whatever stood here is gone."""
        if self.work is not None:
            update = {"phase": Phase.ACCEPTED, "before": None}
            self.work.put(self.record.model_copy(update=update))

    def refused(self) -> None:
        """Put back what stood here: nothing came of the request."""
        if self.work is not None:
            self.work.put(self.earlier)


@dataclass(frozen=True)
class Adoption:
    """A take-over that is entered.

    Attributes:
        adopted_at: Server time of it, as a state names it.
        undo: Puts back what stood before it.
    """

    adopted_at: str
    undo: Callable[[], None]


class _Work:
    """A record that this process holds."""

    def __init__(self, ledger: Ledger, record: Record, version: object) -> None:
        self._ledger = ledger
        self.record = record
        self._version = version
        self._lock = threading.Lock()
        self._is_over = False

    def put(self, record: Record | None) -> None:
        """Let go of the record, as what has become of it."""
        with self._lock:
            if not self._is_over:
                self._is_over = True
                self._write(record.released() if record is not None else None)

    def identify(self, created: datetime) -> None:
        """Enter what identifies the load, and go on holding the record."""
        with self._lock:
            if not self._is_over and self.record.created is None:
                update = {"created": created, "phase": Phase.ACCEPTED, "before": None}
                seen = self.record.model_copy(update=update)
                self._write(seen)
                self.record = seen

    def beat(self) -> None:
        """Say that this process still works on it."""
        with self._lock:
            holder = self.record.holder
            if not self._is_over and holder is not None:
                again = holder.model_copy(update={"beat": holder.beat + 1})
                held = self.record.model_copy(update={"holder": again})
                self._write(held)
                self.record = held

    def _write(self, record: Record | None) -> None:
        model_id = self.record.model_id
        # What cannot be written now is of no harm: the record names the load, and its holder will
        # be seen to be gone.
        with contextlib.suppress(JournalError):
            entry = _Entry(self.record, self._version)
            try:
                self._version = self._ledger._put(model_id, record, entry)
            except ChangedError:
                self._write_over_own(model_id, record)

    def _write_over_own(self, model_id: str, record: Record | None) -> None:
        """Write where an earlier write of this process was stored and its answer was lost.

        Whoever else has written has the say from then on.
        """
        now = self._ledger._entry(model_id)
        own, kept = self.record.holder, now.record.holder if now.record else None
        if own is not None and kept is not None and own.token == kept.token:
            with contextlib.suppress(ChangedError):
                self._version = self._ledger._put(model_id, record, now)


class _Heart:
    """Says again and again, for machines that cannot see this process, that it lives."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._works: list[_Work] = []
        self._timer: threading.Timer | None = None

    @contextlib.contextmanager
    def beating(self, work: _Work) -> Iterator[None]:
        """Beat for a record."""
        with self._lock:
            self._works.append(work)
            self._wind()
        try:
            yield
        finally:
            with self._lock:
                self._works.remove(work)
                if not self._works and self._timer is not None:
                    self._timer.cancel()
                    self._timer = None

    def _wind(self) -> None:
        if self._timer is None:
            self._timer = threading.Timer(_BEAT_SECONDS, self._beat)
            self._timer.daemon = True
            self._timer.start()

    def _beat(self) -> None:
        with self._lock:
            works = list(self._works)
            self._timer = None
            if works:
                self._wind()
        for work in works:
            work.beat()


def _unknown(live: Instance, who: Owner) -> Record:
    """Return a record of a load of which nothing is kept, for the time in which it is unloaded."""
    return Record(
        model_id=live.model_id,
        owner=who,
        phase=Phase.UNLOADING,
        began=live.created or datetime.fromtimestamp(0).astimezone(),
        concurrency=live.concurrency or 1,
    )


def _written(record: Record, account: Mapping[str, str]) -> bytes:
    kept: dict[str, Any] = record.model_dump(mode="json", by_alias=True, exclude_none=True)
    return json.dumps({**account, **kept}).encode()


def _parsed(content: bytes | None, account: Mapping[str, str]) -> Record | None:
    """Read a record of an account; None for another's, and for what is not a record."""
    if content is None:
        return None
    try:
        kept = json.loads(content)
        if not isinstance(kept, dict) or any(kept.get(k) != v for k, v in account.items()):
            return None
        return Record.model_validate(kept)
    except (ValueError, RecursionError, ValidationError):
        return None
