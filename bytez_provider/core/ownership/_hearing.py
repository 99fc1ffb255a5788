"""What the states that a process is shown prove of the records."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from bytez_provider.base.errors import JournalError
from bytez_provider.core.ownership._judgement import Named, is_overtaken
from bytez_provider.core.ownership._machine import Presence
from bytez_provider.core.ownership._record import Owner, Phase, Record
from bytez_provider.core.ownership._records import Records
from bytez_provider.core.ownership._stores import ChangedError, Store
from bytez_provider.service.schemas import Instance


@dataclass(frozen=True)
class _Heard:
    """What the state of a resource says of its load."""

    who: Owner
    model_id: str
    named: Named
    concurrency: int
    expiration_period_seconds: int | None
    is_kept: bool


class Hearing(Records):
    """Records, and what calls say of them that bring a state.

    That a state names a load is written only in a deployment that changes something: a preview
    writes nothing.
    """

    def __init__(
        self,
        store: Store,
        *,
        endpoint: str,
        account: str,
        presence: Presence,
        warn: Callable[[str], None] | None,
    ) -> None:
        super().__init__(store, endpoint=endpoint, account=account, warn=warn)
        self._presence = presence
        # None until it is known whether this process only previews.
        self._changes: bool | None = None
        self._heard: list[_Heard] = []
        self._gone: list[tuple[str, datetime | None, Owner]] = []
        self._states: dict[tuple[str, datetime], dict[str, Owner]] = {}
        self._unproven: set[tuple[str, datetime]] = set()

    def confirm(
        self,
        model_id: str,
        who: Owner,
        named: Named,
        *,
        concurrency: int,
        expiration_period_seconds: int | None,
        is_kept: bool,
    ) -> None:
        """Take note that the state of a resource names a load, so that it is not unfinished.

        Args:
            model_id: The model.
            who: The resource.
            named: The load.
            concurrency: What its state says was asked for.
            expiration_period_seconds: As above.
            is_kept: Whether the program keeps the resource and its load. Of several resources
                that name one load it is then this one's.
        """
        if not who.urn or named.created is None:
            return
        if (model_id, named.created) in self._unproven:
            return
        with self._lock:
            self._states.setdefault((model_id, named.created), {})[who.urn] = who
            self._heard.append(
                _Heard(who, model_id, named, concurrency, expiration_period_seconds, is_kept)
            )
        if self._changes:
            self._write_what_was_heard()

    def mark_unsaved(self, model_id: str, created: datetime | None) -> None:
        """Take note that this process itself gave a state the name of a load.

        That it is saved is not known, so that the same state is no proof in this process.
        """
        if created is not None:
            self._unproven.add((model_id, created))

    def confirm_gone(self, model_id: str, created: datetime | None, who: Owner) -> None:
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
        scan, created = self._scan(), one.named.created
        known = scan.own.get(one.model_id) or scan.carried_over(one.model_id, created)
        confirmed = self._confirmed(one, known)
        if confirmed is None:
            return
        entry = self._entry(one.model_id, created)
        confirmed = self._confirmed(one, entry.record)
        if confirmed is not None:
            self._put(one.model_id, confirmed, entry)
            scan.own[one.model_id] = confirmed

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
        if not is_claim and not (one.is_kept and known.owner.is_of_stack(who)):
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
