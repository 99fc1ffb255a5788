"""The ledger: who may change a load, and what the journal keeps of it at each step."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from bytez_provider.base.errors import JournalError
from bytez_provider.core.ownership import (
    ChangedError,
    Claim,
    Folder,
    HeldError,
    Hold,
    Judgement,
    Ledger,
    Named,
    Owner,
    Phase,
    Presence,
    Record,
    StackIdentity,
    Store,
    Verdict,
    _hold,
    _ledger,
)
from bytez_provider.service.schemas import Asked, Instance, iso
from tests.clocks import FakeClock

MODEL, PHI, OPT = "openai-community/gpt2", "microsoft/phi-1", "facebook/opt-1.3b"
BEGAN = datetime(2024, 5, 27, 23, 35, tzinfo=timezone.utc)
CREATED = BEGAN + timedelta(seconds=1)
LATER = CREATED + timedelta(hours=1)
HERE = StackIdentity("here", "file:///here")
THERE = StackIdentity("there", "file:///there")
GPT2, CHAT = (
    f"urn:pulumi:dev::fleet::pulumi-python:dynamic/bytez:Model::{name}" for name in ("gpt2", "chat")
)
SETTINGS: dict[str, Any] = {"asked": Asked(1)}


def running(created: datetime | None = CREATED) -> Instance:
    return Instance(model_id=MODEL, status="RUNNING", created=created, concurrency=1)


class Clock(FakeClock):
    """A clock that runs `meanwhile` during each wait."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: Callable[[], object] = lambda: None

    def wait(self, seconds: float, wake: threading.Event | None = None) -> None:
        super().wait(seconds, wake)
        self.meanwhile()


class Deployment:
    """A process that deploys one stack."""

    def __init__(
        self,
        store: Store,
        *,
        stack: StackIdentity = HERE,
        account: str = "account",
        endpoint: str = "https://api.bytez.com",
        machine: str | None = None,
        writes: bool | None = None,
    ) -> None:
        self.clock = Clock()
        self.presence = Presence(machine=machine, host=machine or "this-machine")
        self.warnings: list[str] = []
        self.ledger = Ledger(
            store,
            endpoint=endpoint,
            account=account,
            clock=self.clock,
            identity=lambda: stack,
            presence=self.presence,
            warn=self.warnings.append,
        )
        if writes is not None:
            self.ledger.deploys(is_preview=not writes)

    def who(self, name: str = GPT2) -> Owner:
        return self.ledger.who(name)

    def requesting(
        self, name: str | None = GPT2, *, began: datetime = BEGAN, model_id: str = MODEL
    ) -> AbstractContextManager[Hold]:
        return self.ledger.requesting(model_id, self.ledger.who(name), began=began, **SETTINGS)

    def requests(self, name: str = GPT2, *, began: datetime = BEGAN, model_id: str = MODEL) -> None:
        """Request a load, and get it accepted."""
        with self.requesting(name, began=began, model_id=model_id) as hold:
            hold.accepted()

    def loads(
        self, name: str = GPT2, *, created: datetime = CREATED, model_id: str = MODEL
    ) -> Record:
        """Load a model and see it; return its record."""
        self.requests(name, model_id=model_id)
        self.ledger.identify(model_id, self.who(name), created)
        record = self.ledger.record(model_id)
        assert record is not None
        return record

    def confirms(
        self,
        name: str = GPT2,
        *,
        created: datetime | None = CREATED,
        adopted_at: str | None = None,
        is_kept: bool = True,
    ) -> None:
        """Be called with a state that names a load."""
        named = Named(created, adopted_at)
        self.ledger.confirm(MODEL, self.who(name), named, is_kept=is_kept, **SETTINGS)

    def judge(
        self, name: str = GPT2, named: Named | None = None, created: datetime = CREATED
    ) -> Judgement:
        return self.ledger.judge(MODEL, running(created), self.who(name), named)

    def adopt(self, name: str = CHAT, *, now: datetime = LATER) -> Any:
        return self.ledger.adopt(self.judge(name), running(), self.who(name), now=now, **SETTINGS)

    def unloading(self, judged: Judgement | None = None) -> AbstractContextManager[None]:
        judged = judged or self.judge(named=Named(CREATED))
        return self.ledger.unloading(judged, running(), self.who())

    @property
    def kept(self) -> Any:  # None after its end
        return self.ledger.record(MODEL)


class Racing:
    """A store that runs `before` just before the next write, or stores it and loses the answer."""

    is_shared = False
    place = "here"

    def __init__(self, store: Store, before: Callable[[], object] | None = None) -> None:
        self.store = store
        self.read = store.read
        self.read_all = store.read_all
        self.before = before
        self.durable: list[bool] = []
        self.loses = False

    def write(self, name: str, content: bytes | None, version: object, *, durable: bool) -> Any:
        self.durable.append(durable)
        before, self.before = self.before, None
        if before is not None:
            before()
        loses, self.loses = self.loses, False
        stored = self.store.write(name, content, version, durable=durable)
        if loses:
            fail()
        return stored


def fail() -> None:
    raise JournalError(verb="write", observed="the disk is full", action="Free some space")


class World:
    """Deployments that share a journal in a folder.

    Attributes:
        mine: An `up` of a stack.
        next_one: A later `up` of the same stack on this machine.
        others: An `up` of a stack of the same name elsewhere.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mine = self.deployment()
        self.next_one = self.deployment(writes=True)
        self.others = self.deployment(stack=THERE, writes=True)

    def deployment(self, **given: Any) -> Deployment:
        return Deployment(Folder(self.folder), **given)

    def racing(self, before: Callable[[], object] | None = None) -> Deployment:
        """Return an `up` before whose next write something happens."""
        return Deployment(Racing(Folder(self.folder), before))

    @property
    def kept(self) -> Any:  # None after its end
        return self.mine.ledger.record(MODEL)


@pytest.fixture
def it(tmp_path: Path) -> World:
    return World(tmp_path / "journal")


class TestRequesting:
    def test_the_record_is_on_disk_before_the_request(self, it: World) -> None:
        store = Racing(Folder(it.folder))
        mine = Deployment(store)
        with mine.requesting():
            record = it.deployment().kept
            assert store.durable == [True]
        assert record.owner == Owner(urn=GPT2, stack="here", place="file:///here")
        assert (record.phase, record.host) == (Phase.REQUESTED, "this-machine")
        assert record.holder.token == mine.presence.token

    def test_an_accepted_request_is_unfinished_and_no_longer_held(self, it: World) -> None:
        it.mine.loads()
        it.mine.requests(began=LATER)
        record = it.kept
        assert (record.phase, record.holder, record.before) == (Phase.ACCEPTED, None, None)
        assert (record.created, record.is_unfinished) == (None, True)

    def test_a_journal_that_fails_after_the_request_is_no_error(self, it: World) -> None:
        store = Racing(Folder(it.folder))
        mine = Deployment(store)
        with mine.requesting() as hold:
            store.before = fail
            hold.accepted()
        assert mine.kept.phase is Phase.REQUESTED, "it still names the load"

    def test_a_refused_request_restores_the_record_before_it(self, it: World) -> None:
        with it.mine.requesting() as hold:
            hold.refused()
        assert it.kept is None
        before = it.mine.loads()
        with it.mine.requesting(began=LATER) as hold:
            assert hold.earlier == before
            hold.refused()
        assert it.kept == before

    def test_a_request_without_an_answer_keeps_the_record_before_it(self, it: World) -> None:
        before: Record | None = it.mine.loads()
        for _ in range(2):
            with pytest.raises(RuntimeError), it.mine.requesting(began=LATER):
                raise RuntimeError
            record = it.kept
            assert (record.phase, record.holder) == (Phase.REQUESTED, None)
            assert record.before == before
            before = record.but(before=None)  # It must not grow.

    def test_a_nameless_resource_writes_nothing(self, it: World) -> None:
        with it.mine.requesting(None) as hold:
            hold.accepted()
        assert not it.folder.exists()


class TestBeats:
    def test_a_lost_answer_to_a_beat_loses_no_record(self, it: World) -> None:
        store = Racing(Folder(it.folder))
        mine = Deployment(store)
        with mine.requesting() as hold:
            store.loses = True
            hold.beat()
            hold.accepted()
        assert (mine.kept.phase, mine.kept.holder) == (Phase.ACCEPTED, None)

    def test_a_late_beat_does_not_hold_a_released_record(self, it: World) -> None:
        with it.mine.requesting() as hold:
            hold.accepted()
            hold.beat()
            assert it.kept.holder is None

    @pytest.mark.parametrize("seconds", [0.01, 600.0], ids=["while it works", "at once idle"])
    def test_it_beats_only_while_it_works(
        self, it: World, monkeypatch: pytest.MonkeyPatch, seconds: float
    ) -> None:
        monkeypatch.setattr(_hold, "_BEAT_SECONDS", seconds)
        deadline = time.monotonic() + 30
        with it.mine.requesting(), it.mine.requesting(model_id=PHI):
            while seconds < 1 and it.kept.holder.beat < 2:
                assert time.monotonic() < deadline
                time.sleep(0.01)
        while any(isinstance(one, threading.Timer) for one in threading.enumerate()):
            assert time.monotonic() < deadline, "it waits for another beat"
            time.sleep(0.01)


class TestHeld:
    def test_another_deployment_is_refused_and_learns_who_holds(self, it: World) -> None:
        with it.mine.requesting():
            before = it.kept
            with pytest.raises(HeldError) as caught, it.next_one.requesting(began=LATER):
                pass
            assert caught.value.record == before == it.kept

    def test_the_next_one_continues_when_the_holder_has_died(self, it: World) -> None:
        with it.mine.requesting():
            it.mine.presence.leave()
            before = it.kept
            with it.next_one.requesting(began=LATER) as hold:
                assert hold.earlier == before
                hold.accepted()
            accepted = it.kept
        assert it.kept == accepted, "the dead one must not write over it"

    def test_a_holder_on_another_machine_lives_while_it_beats(self, it: World) -> None:
        there = it.deployment(machine="there")
        with there.requesting() as hold:
            it.mine.clock.meanwhile = hold.beat
            with pytest.raises(HeldError), it.mine.requesting(began=LATER):
                pass
            assert it.mine.clock.waits == [_ledger._LOOK_SECONDS], "one beat is enough"
            it.mine.clock.meanwhile = lambda: None
            with it.mine.requesting(began=LATER):
                pass
        silence = sum(it.mine.clock.waits[1:])
        assert _ledger._SILENCE_SECONDS <= silence < 2 * _ledger._SILENCE_SECONDS
        assert silence > 2 * _hold._BEAT_SECONDS, "one beat may be late"

    def test_a_holder_that_another_has_replaced_is_gone(self, it: World) -> None:
        there, elsewhere = (it.deployment(machine=name) for name in ("b", "c"))
        with there.requesting():
            record = there.kept
            another = record.holder.but(token="another", beat=9)
            journal = elsewhere.ledger.journal
            it.mine.clock.meanwhile = lambda: journal.put(
                MODEL, record.but(holder=another), journal.entry(MODEL)
            )
            assert not it.mine.ledger.is_held(record)

    def test_another_resource_of_this_deployment_waits(self, it: World) -> None:
        with it.mine.requesting(CHAT) as first:
            it.mine.clock.meanwhile = first.refused
            it.mine.requests()
        assert it.kept.owner == it.mine.who()
        assert it.mine.clock.waits != []

    def test_it_does_not_wait_for_ever(self, it: World) -> None:
        with it.mine.requesting(CHAT), pytest.raises(HeldError), it.mine.requesting():
            pass
        assert 120 < sum(it.mine.clock.waits) < 180, "an unload may take two minutes"

    def test_a_recent_request_of_another_stack_may_not_show_yet(self, it: World) -> None:
        it.mine.requests()
        soon, late = BEGAN + timedelta(seconds=59), BEGAN + timedelta(seconds=61)
        with pytest.raises(HeldError), it.others.requesting(began=soon):
            pass
        with it.mine.requesting(CHAT, began=soon) as hold:
            hold.refused()
        it.others.requests(began=late)
        assert it.kept.owner == it.others.who()

    def test_a_confirmed_load_of_another_stack_that_is_gone_is_not_waited_for(
        self, it: World
    ) -> None:
        it.others.confirms()
        it.mine.requests(began=CREATED + timedelta(seconds=10))
        assert it.kept.owner == it.mine.who()

    @pytest.mark.parametrize("act", ["request", "adopt", "unload"])
    @pytest.mark.parametrize("is_held", [True, False], ids=["held", "at once"])
    def test_of_two_deployments_one_changes_a_load(
        self, it: World, act: str, is_held: bool
    ) -> None:
        """The other one is refused, if it holds the record or has just changed it."""
        it.others.loads(created=CREATED)
        winner: AbstractContextManager[object] = it.others.unloading() if is_held else nullcontext()
        with winner:
            racing = it.deployment() if is_held else it.racing(lambda: it.others.adopt(GPT2))
            before = it.kept
            acts: dict[str, Callable[[], object]] = {
                "request": racing.requesting(began=LATER).__enter__,
                "adopt": racing.adopt,
                "unload": racing.unloading().__enter__,
            }
            with pytest.raises(HeldError) as caught:
                acts[act]()
            assert caught.value.record == it.kept
            assert it.kept.owner == it.others.who()
            assert (it.kept == before) is is_held


class TestAdopting:
    def test_replaces_the_owner_in_one_step_on_disk(self, it: World) -> None:
        it.mine.loads()
        store = Racing(Folder(it.folder))
        it.others.ledger.journal.store = store
        adopted_at = it.others.adopt().adopted_at
        record = it.kept
        assert (record.owner, record.adopted_at) == (it.others.who(CHAT), adopted_at)
        assert (record.created, record.phase) == (CREATED, Phase.ACCEPTED)
        assert store.durable == [True]
        assert it.mine.judge(named=Named(CREATED)).verdict is Verdict.OTHER_STACK

    @pytest.mark.parametrize("name", [CHAT, ""])
    def test_an_undone_adoption_restores_the_record(self, it: World, name: str) -> None:
        before = it.mine.loads()
        adoption = it.others.adopt(name)
        assert (it.kept == before) is (name == ""), "a nameless resource changes nothing"
        adoption.undo()
        assert it.kept == before

    def test_undo_leaves_a_later_adoption_alone(self, it: World) -> None:
        it.mine.loads()
        adoption = it.others.adopt()
        it.mine.adopt(GPT2)
        after = it.kept
        adoption.undo()
        assert it.kept == after

    def test_is_later_than_the_one_before_it_by_any_clock(self, it: World) -> None:
        it.mine.loads()
        first = it.others.adopt()
        second = it.mine.adopt(GPT2, now=LATER - timedelta(minutes=1))
        assert second.adopted_at > first.adopted_at

    def test_is_refused_if_the_record_has_changed_since_it_was_judged(self, it: World) -> None:
        it.mine.loads()
        judged = it.others.judge()
        it.mine.adopt()
        with pytest.raises(HeldError):
            it.others.ledger.adopt(judged, running(), it.others.who(), now=LATER, **SETTINGS)


class TestUnloading:
    def test_is_recorded_while_it_lasts_and_ends_the_record(self, it: World) -> None:
        it.mine.loads()
        with it.mine.unloading():
            assert it.kept.phase is Phase.UNLOADING
            assert it.kept.holder is not None
        assert it.kept is None

    def test_a_failed_unload_restores_the_record(self, it: World) -> None:
        before = it.mine.loads()
        with pytest.raises(RuntimeError), it.mine.unloading():
            raise RuntimeError
        assert it.kept == before

    def test_a_load_without_a_record_is_held_too(self, it: World) -> None:
        with it.mine.unloading(), pytest.raises(HeldError), it.others.requesting(began=LATER):
            pass
        assert it.kept is None

    @pytest.mark.parametrize("change", ["adopted", "requested", "accepted", "seen"])
    def test_is_refused_if_another_has_the_model_since_it_was_judged(
        self, it: World, change: str
    ) -> None:
        """An unload names a model only: it would end the other one's load."""
        it.mine.loads()
        judged = it.mine.judge(named=Named(CREATED))
        if change == "adopted":
            it.others.adopt(GPT2)
        else:
            with it.others.unloading():
                pass
            with it.others.requesting(began=LATER) as hold:
                if change != "requested":
                    hold.accepted()
            if change == "seen":
                it.others.ledger.identify(MODEL, it.others.who(), LATER)
        with pytest.raises(HeldError), it.mine.unloading(judged):
            pass
        assert it.kept.owner == it.others.who()

    def test_is_refused_while_another_loads_it_again(self, it: World) -> None:
        """A status that was requested before that may still show the old load."""
        with it.others.requesting(began=LATER):
            judged = it.mine.judge(named=Named(CREATED))
            assert judged.is_ours
            with pytest.raises(HeldError), it.mine.unloading(judged):
                pass


class TestWaiting:
    def test_a_load_is_held_while_its_owner_waits_and_identified_when_it_is_seen(
        self, it: World
    ) -> None:
        it.mine.requests()
        with it.mine.ledger.waiting(MODEL, it.mine.who(), None):
            for created in (None, CREATED):
                it.mine.ledger.identify(MODEL, it.mine.who(), created)
                record = it.kept
                assert record.created == created
                assert it.others.ledger.is_held(record)
        record = it.kept
        assert (record.created, record.holder, record.is_unfinished) == (CREATED, None, True)

    def test_a_load_that_another_deployment_works_on_is_not_held(self, it: World) -> None:
        with it.mine.requesting():
            before = it.kept
            with it.next_one.ledger.waiting(MODEL, it.next_one.who(), None):
                assert it.kept == before

    def test_a_load_of_another_or_in_a_state_is_not_held(self, it: World) -> None:
        it.mine.loads()
        with it.others.ledger.waiting(MODEL, it.others.who(), None):
            assert it.kept.holder is None
        it.next_one.confirms()
        with it.next_one.ledger.waiting(MODEL, it.next_one.who(), None):
            assert it.kept.holder is None


class TestIdentifying:
    def test_a_request_gets_the_identity_of_the_first_load_seen(self, it: World) -> None:
        with it.mine.requesting():
            it.mine.presence.leave()
        it.mine.ledger.identify(MODEL, it.mine.who(), None)
        assert it.kept.phase is Phase.REQUESTED
        it.next_one.ledger.identify(MODEL, it.next_one.who(), CREATED)
        it.next_one.ledger.identify(MODEL, it.next_one.who(), LATER)
        record = it.kept
        assert (record.created, record.phase, record.holder) == (CREATED, Phase.ACCEPTED, None)

    def test_only_by_its_owner(self, it: World) -> None:
        it.mine.requests()
        it.others.ledger.identify(MODEL, it.others.who(), CREATED)
        it.mine.ledger.identify(MODEL, it.mine.who(CHAT), CREATED)
        assert it.kept.created is None

    def test_a_resource_claims_its_own_request_only(self, it: World) -> None:
        it.mine.requests()
        assert it.mine.ledger.claim(MODEL, it.mine.who(), Named(None)) == it.kept.claim
        assert it.mine.ledger.claim(MODEL, it.mine.who(), Named(LATER)) == Claim(LATER)
        for other in (it.others.who(), it.mine.who(CHAT), it.mine.who("")):
            assert it.others.ledger.claim(MODEL, other, Named(None)) == Claim()


class TestConfirming:
    def test_a_load_that_a_state_names_is_finished(self, it: World) -> None:
        it.mine.loads()
        later = it.deployment()
        later.confirms()
        assert it.kept.phase is Phase.ACCEPTED, "this may be a preview"
        later.ledger.deploys(is_preview=False)
        assert (it.kept.phase, it.kept.host) == (Phase.CONFIRMED, "this-machine")

    def test_a_preview_writes_nothing(self, it: World) -> None:
        it.mine.loads()
        before = {path: path.read_bytes() for path in it.folder.iterdir()}
        preview = it.deployment(writes=False)
        preview.confirms()
        preview.ledger.confirm_gone(MODEL, CREATED, preview.who())
        preview.ledger.deploys(is_preview=False)
        assert {path: path.read_bytes() for path in it.folder.iterdir()} == before

    def test_a_state_without_a_record_makes_one_once(self, it: World) -> None:
        store = Racing(Folder(it.folder))
        mine = Deployment(store, writes=True)
        for _ in range(2):
            mine.confirms(adopted_at=iso(LATER))
            record = mine.kept
            assert (record.owner, record.phase) == (mine.who(), Phase.CONFIRMED)
            assert (record.created, record.adopted_at) == (CREATED, iso(LATER))
            assert len(store.durable) == 1

    @pytest.mark.parametrize(("name", "created"), [("", CREATED), (GPT2, None)])
    def test_a_state_that_names_no_load_proves_nothing(
        self, it: World, name: str, created: datetime | None
    ) -> None:
        it.next_one.confirms(name, created=created)
        assert it.kept is None

    def test_a_state_that_this_process_wrote_is_no_proof(self, it: World) -> None:
        before = it.next_one.loads()
        it.next_one.ledger.mark_unsaved(MODEL, CREATED)
        it.next_one.confirms()
        assert it.kept == before

    def test_the_record_is_read_again_before_it_is_changed(self, it: World) -> None:
        it.mine.loads()
        assert it.next_one.ledger.leftovers(it.next_one.who(), PHI) != [], "it has looked"
        it.others.adopt()
        before = it.kept
        it.next_one.confirms()
        assert it.kept == before

    @pytest.mark.parametrize("machine", [None, "there"])
    def test_a_record_that_a_process_may_hold_is_left_alone(
        self, it: World, machine: str | None
    ) -> None:
        it.next_one.loads()
        holder = it.deployment(machine=machine)
        with holder.unloading():
            before = holder.kept
            it.next_one.confirms()
            assert holder.kept == before
            if machine is None:
                holder.presence.leave()
                it.next_one.confirms()
                assert (it.kept.phase, it.kept.holder) == (
                    Phase.CONFIRMED,
                    None,
                )

    def test_of_two_resources_that_name_one_load_the_one_in_the_program_has_it(
        self, it: World
    ) -> None:
        it.mine.loads()
        adopted_at = it.mine.adopt(CHAT).adopted_at
        for name, moment, is_kept, owner in (
            (GPT2, None, False, CHAT),
            (GPT2, None, True, GPT2),
            (CHAT, adopted_at, False, GPT2),
        ):
            it.next_one.confirms(name, adopted_at=moment, is_kept=is_kept)
            assert it.kept.owner.urn == owner

    def test_a_load_in_the_state_of_a_sibling_is_the_siblings(self, it: World) -> None:
        it.mine.confirms(CHAT)
        judged = it.mine.judge()
        assert (judged.verdict, judged.owner) == (Verdict.OTHER_RESOURCE, it.mine.who(CHAT))
        assert it.mine.judge(CHAT).verdict is Verdict.FOREIGN

    @pytest.mark.parametrize("seen", ["not at all", "declared", "in a state"])
    def test_a_load_left_to_a_resource_that_nothing_shows_is_unfinished(
        self, it: World, seen: str
    ) -> None:
        """A restored state may lack that resource: then only the record names the load."""
        it.mine.loads()
        adopted_at = it.mine.adopt(CHAT).adopted_at
        it.next_one.confirms(CHAT, adopted_at=adopted_at)
        later = it.deployment(writes=True)
        if seen == "declared":
            later.ledger.declare(MODEL, CHAT)
        elif seen == "in a state":
            later.confirms(CHAT, adopted_at=adopted_at)
        later.ledger.doubt(later.judge(named=Named(CREATED)))
        assert it.kept.is_unfinished is (seen == "not at all")
        it.deployment(writes=True).confirms(CHAT, adopted_at=adopted_at)
        assert it.kept.phase is Phase.CONFIRMED

    def test_a_load_that_is_gone_ends_its_record(self, it: World) -> None:
        before = it.mine.loads()
        it.next_one.ledger.confirm_gone(MODEL, LATER, it.next_one.who())
        it.others.ledger.confirm_gone(MODEL, CREATED, it.others.who())
        assert it.kept == before
        it.next_one.ledger.confirm_gone(MODEL, CREATED, it.next_one.who())
        assert it.kept is None

    def test_no_operation_begins_before_they_are_all_written(
        self, it: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Else its record changes while it judges, as by another deployment."""
        deployment = it.deployment()
        for model_id, name in ((MODEL, GPT2), (PHI, CHAT)):
            named, who = Named(CREATED), deployment.who(name)
            deployment.ledger.confirm(model_id, who, named, is_kept=False, **SETTINGS)
        order: list[str] = []
        first, second = threading.Event(), threading.Event()
        confirm = deployment.ledger._confirm

        def confirm_slowly(stated: Record, *, is_kept: bool) -> None:
            first.set()
            second.wait(0.2)
            confirm(stated, is_kept=is_kept)
            order.append(stated.model_id)

        def begin(name: str) -> None:
            deployment.ledger.deploys(is_preview=False)
            order.append(name)
            second.set()

        monkeypatch.setattr(deployment.ledger, "_confirm", confirm_slowly)
        threads = [threading.Thread(target=begin, args=(name,)) for name in ("a", "b")]
        threads[0].start()
        assert first.wait(10)
        threads[1].start()
        for thread in threads:
            thread.join()
        assert order[:2] == [MODEL, PHI]


class TestListing:
    def test_leftovers_are_unfinished_loads_of_other_models_of_one_resource(
        self, it: World
    ) -> None:
        def leftovers(one: Deployment, name: str = GPT2, model_id: str = MODEL) -> set[str]:
            return {left.model_id for left in one.ledger.leftovers(one.who(name), model_id)}

        for model_id in (MODEL, PHI, OPT):
            it.mine.loads(model_id=model_id)
        assert leftovers(it.next_one) == {PHI, OPT}
        assert (
            leftovers(it.next_one, CHAT)
            == leftovers(it.next_one, "")
            == leftovers(it.others)
            == set()
        )
        it.mine.ledger.end(OPT, it.mine.who())
        assert leftovers(it.next_one) == {PHI}
        it.next_one.confirms()
        assert leftovers(it.deployment(), model_id=PHI) == set()

    def test_a_record_is_ended_by_its_owner_only(self, it: World) -> None:
        before = it.mine.loads()
        it.others.ledger.end(MODEL, it.others.who())
        it.mine.ledger.end(MODEL, it.mine.who(), LATER)
        assert it.kept == before
        it.mine.ledger.end(MODEL, it.mine.who(), CREATED)
        assert it.kept is None

    def test_a_record_is_forgotten_only_as_it_was_listed(self, it: World) -> None:
        listed = it.mine.loads()
        it.others.adopt()
        after = it.kept
        it.mine.ledger.forget(listed)
        assert it.kept == after
        it.mine.ledger.forget(after)
        assert it.kept is None

    def test_the_oldest_comes_first(self, it: World) -> None:
        it.mine.requests(began=LATER)
        it.mine.requests(CHAT, model_id=PHI)
        assert [one.model_id for one in it.mine.ledger.records()] == [PHI, MODEL]

    @pytest.mark.parametrize(
        "content", [b"", b"{", b"\xff\xfe", b"[]", b"[" * 100_000, b'{"modelId": 1}']
    )
    def test_an_unreadable_record_is_one_warning_and_is_replaced(
        self, it: World, content: bytes
    ) -> None:
        it.mine.loads()
        (path,) = it.folder.glob("*.json")
        path.write_bytes(content)
        assert it.kept is it.kept is None
        assert it.mine.ledger.records() == []
        (warning,) = it.mine.warnings
        assert warning.startswith(
            f"The record of '{MODEL}' in the journal {it.folder} cannot be read"
        )
        it.mine.loads()

    def test_fields_of_a_later_version_are_ignored(self, it: World) -> None:
        before = it.mine.loads()
        (path,) = it.folder.glob("*.json")
        path.write_text(json.dumps({**json.loads(path.read_text()), "added": {"later": 1}}))
        assert it.kept == before


class TestAnotherKey:
    def test_the_record_of_the_same_load_under_an_earlier_key_counts(self, it: World) -> None:
        before = it.mine.loads()
        rotated = it.deployment(account="rotated")
        assert not rotated.kept
        assert rotated.ledger.records([running()]) == [before]
        assert rotated.judge().verdict is Verdict.OURS_LATER
        rotated.adopt(CHAT)
        assert rotated.kept.owner.urn == CHAT
        assert it.kept == before, "an earlier key's records are not changed"

    @pytest.mark.parametrize(
        ("given", "created"),
        [({"account": "rotated"}, LATER), ({"endpoint": "http://127.0.0.1:1"}, CREATED)],
        ids=["another load", "another service"],
    )
    def test_no_other_record_of_another_key_counts(
        self, it: World, given: dict[str, str], created: datetime
    ) -> None:
        """Another account may have a load of the same model."""
        it.mine.loads()
        other = it.deployment(**given)
        assert other.judge(created=created).verdict is Verdict.FOREIGN
        assert other.ledger.records() == other.ledger.records([running(created)]) == []


@pytest.mark.parametrize("error", [ChangedError(), JournalError(verb="", observed="", action="")])
def test_a_failed_write_is_no_error_if_nothing_depends_on_it(it: World, error: Exception) -> None:
    """After a lost race the record is the winner's; the next deployment writes the rest."""
    before = it.mine.loads()
    store = Racing(Folder(it.folder))
    racing = Deployment(store, writes=True)
    failed: list[None] = []

    def fails() -> None:
        failed.append(None)
        raise error

    acts: list[Callable[[], None]] = [
        lambda: racing.ledger.confirm_gone(MODEL, CREATED, racing.who()),
        lambda: racing.ledger.end(MODEL, racing.who()),
        racing.confirms,
    ]
    if isinstance(error, ChangedError):
        acts.append(lambda: racing.ledger.forget(before))
    for act in acts:
        store.before = fails
        act()
        assert it.kept == before
    assert len(failed) == len(acts)
