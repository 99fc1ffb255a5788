"""The journal: who may change a load, and what is kept of it at each step."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from bytez_provider.base.errors import JournalError
from bytez_provider.core.ownership import (
    Bucket,
    ChangedError,
    Claim,
    Folder,
    HeldError,
    Ledger,
    Named,
    Owner,
    Phase,
    Presence,
    Record,
    Request,
    StackIdentity,
    Store,
    Verdict,
    _ledger,
    _work,
)
from bytez_provider.service.schemas import Instance, iso
from tests.clocks import FakeClock

MODEL, PHI, OPT = "openai-community/gpt2", "microsoft/phi-1", "facebook/opt-1.3b"
BEGAN = datetime(2024, 5, 27, 23, 35, tzinfo=timezone.utc)
CREATED = BEGAN + timedelta(seconds=1)
LATER = CREATED + timedelta(hours=1)
HERE = StackIdentity("here", "file:///here")
THERE = StackIdentity("there", "file:///there")


def urn(name: str, stack: str = "dev") -> str:
    return f"urn:pulumi:{stack}::fleet::pulumi-python:dynamic/bytez:Model::{name}"


GPT2, CHAT = urn("gpt2"), urn("chat")


class Clock(FakeClock):
    """A clock that does something whenever it is waited for."""

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
    ) -> None:
        self.clock = Clock()
        self.presence = Presence(machine=machine, host=machine or "this-machine")
        self.store = store
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

    def who(self, name: str = GPT2) -> Owner:
        return self.ledger.who(name)

    def requesting(
        self, name: str | None = GPT2, *, began: datetime = BEGAN, model_id: str = MODEL
    ) -> AbstractContextManager[Request]:
        return self.ledger.requesting(
            model_id,
            self.ledger.who(name),
            began=began,
            concurrency=1,
            expiration_period_seconds=None,
        )

    def loads(
        self, name: str = GPT2, *, created: datetime = CREATED, model_id: str = MODEL
    ) -> None:
        """Load a model, as far as the journal is concerned."""
        with self.requesting(name, model_id=model_id) as request:
            request.accepted()
        self.ledger.identify(model_id, self.who(name), created)

    def confirms(
        self,
        name: str = GPT2,
        *,
        created: datetime | None = CREATED,
        adopted_at: str | None = None,
        is_kept: bool = True,
    ) -> None:
        self.ledger.confirm(
            MODEL,
            self.who(name),
            Named(created, adopted_at),
            concurrency=1,
            expiration_period_seconds=None,
            is_kept=is_kept,
        )

    def adopt(self, name: str = CHAT, *, now: datetime = LATER) -> Any:
        live = running()
        judged = self.ledger.judge(MODEL, live, self.who(name), None)
        return self.ledger.adopt(
            judged,
            live,
            self.who(name),
            now=now,
            concurrency=1,
            expiration_period_seconds=None,
        )

    def unloading(self, name: str = GPT2) -> AbstractContextManager[None]:
        judged = self.ledger.judge(MODEL, running(), self.who(name), Named(CREATED))
        return self.ledger.unloading(judged, running(), self.who(name))

    def kept(self) -> Record:
        record = self.ledger.record(MODEL)
        assert record is not None
        return record


def running(created: datetime | None = CREATED) -> Instance:
    return Instance(model_id=MODEL, status="RUNNING", created=created, concurrency=1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.fixture
def mine(folder: Path) -> Deployment:
    return Deployment(Folder(folder))


@pytest.fixture
def next_one(folder: Path) -> Deployment:
    """A later deployment of the same stack on this machine."""
    return Deployment(Folder(folder))


@pytest.fixture
def others(folder: Path) -> Deployment:
    """A deployment of a stack of the same name elsewhere."""
    return Deployment(Folder(folder), stack=THERE)


class Racing:
    """A store in which somebody else acts just before the next write.

    Attributes:
        durable: Of each write, whether it had to be on disk.
        loses: Whether the next write is stored, and its answer lost.
    """

    is_shared = False
    place = "here"

    def __init__(self, store: Store) -> None:
        self.store = store
        self.read = store.read
        self.read_all = store.read_all
        self.before: Callable[[], object] | None = None
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
            unwritable()
        return stored


def unwritable() -> None:
    raise JournalError(verb="write", observed="the disk is full", action="Mend it")


class TestRequesting:
    def test_who_asks_is_kept_before_the_request(self, mine: Deployment, folder: Path) -> None:
        with mine.requesting():
            record = Deployment(Folder(folder)).kept()
            assert record.phase is Phase.REQUESTED
            assert record.owner == Owner(urn=GPT2, stack="here", place="file:///here")
            assert record.host == "this-machine"
            assert record.holder is not None
            assert record.holder.token == mine.presence.token

    def test_it_is_on_disk_before_the_request(self, folder: Path) -> None:
        store = Racing(Folder(folder))
        with Deployment(store).requesting():
            assert store.durable == [True]

    def test_accepted(self, mine: Deployment) -> None:
        with mine.requesting() as request:
            request.accepted()
        record = mine.kept()
        assert (record.phase, record.holder, record.created) == (Phase.ACCEPTED, None, None)
        assert record.is_unfinished

    def test_accepted_stands_for_itself(self, mine: Deployment) -> None:
        mine.loads()
        with mine.requesting(began=LATER) as request:
            request.accepted()
        assert mine.kept().before is None

    def test_a_journal_that_fails_after_the_request_fails_nothing(self, folder: Path) -> None:
        store = Racing(Folder(folder))
        mine = Deployment(store)
        with mine.requesting() as request:
            store.before = unwritable
            request.accepted()
        assert store.durable == [True, False]
        assert mine.kept().phase is Phase.REQUESTED, "it still names the load"

    def test_refused_puts_back_what_stood_there(self, mine: Deployment) -> None:
        with mine.requesting() as request:
            request.refused()
        assert mine.ledger.record(MODEL) is None
        mine.loads()
        before = mine.kept()
        with mine.requesting(began=LATER) as request:
            assert request.earlier == before
            request.refused()
        assert mine.kept() == before

    def test_without_an_answer_it_stays_and_nobody_holds_it(self, mine: Deployment) -> None:
        mine.loads()
        before = mine.kept()
        with pytest.raises(RuntimeError), mine.requesting(began=LATER):
            raise RuntimeError
        record = mine.kept()
        assert (record.phase, record.holder, record.before) == (Phase.REQUESTED, None, before)
        with pytest.raises(RuntimeError), mine.requesting(began=LATER):
            raise RuntimeError
        assert mine.kept().before == record.model_copy(update={"before": None}), "it grows"

    def test_a_nameless_resource_leaves_nothing(self, mine: Deployment, folder: Path) -> None:
        with mine.requesting(None) as request:
            request.accepted()
        assert not folder.exists()

    def test_a_beat_whose_answer_was_lost_is_its_own(self, folder: Path) -> None:
        store = Racing(Folder(folder))
        mine = Deployment(store)
        with mine.requesting() as request:
            assert request.work is not None
            store.loses = True
            request.work.beat()
            request.accepted()
        assert (mine.kept().phase, mine.kept().holder) == (Phase.ACCEPTED, None)

    def test_what_was_let_go_is_not_held_again_by_a_late_beat(self, mine: Deployment) -> None:
        with mine.requesting() as request:
            request.accepted()
            assert request.work is not None
            request.work.beat()
            assert mine.kept().holder is None

    def test_no_heart_beats_for_nothing(
        self, mine: Deployment, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(_work, "_BEAT_SECONDS", 600.0)
        with mine.requesting(), mine.requesting(model_id=PHI):
            pass
        deadline = time.monotonic() + 30
        while any(isinstance(one, threading.Timer) for one in threading.enumerate()):
            assert time.monotonic() < deadline, "it waits for the next beat"
            time.sleep(0.01)

    def test_it_beats_for_as_long_as_it_works(
        self, mine: Deployment, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(_work, "_BEAT_SECONDS", 0.01)
        with mine.requesting() as request:
            deadline = time.monotonic() + 30
            while (holder := mine.kept().holder) is None or holder.beat < 2:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            request.accepted()
        assert mine.kept().phase is Phase.ACCEPTED
        assert mine.kept().holder is None
        while any(isinstance(one, threading.Timer) for one in threading.enumerate()):
            assert time.monotonic() < deadline, "it goes on beating"
            time.sleep(0.01)


class TestHeld:
    def test_another_deployment_is_refused_and_knows_by_whom(
        self, mine: Deployment, next_one: Deployment
    ) -> None:
        with mine.requesting():
            before = mine.kept()
            with pytest.raises(HeldError) as caught, next_one.requesting(began=LATER):
                pass
            assert caught.value.record.owner == mine.who()
            assert caught.value.record.host == "this-machine"
            assert mine.kept() == before

    def test_the_next_one_goes_on_when_it_has_died(
        self, mine: Deployment, next_one: Deployment
    ) -> None:
        with mine.requesting():
            mine.presence.leave()
            before = mine.kept()
            with next_one.requesting(began=LATER) as request:
                assert request.earlier == before
                request.accepted()
            accepted = next_one.kept()
        assert next_one.kept() == accepted, "whoever took it over has the say"

    def test_one_on_another_machine_lives_while_it_beats(
        self, folder: Path, mine: Deployment
    ) -> None:
        there = Deployment(Folder(folder), machine="there")
        with there.requesting():

            def beat() -> None:
                record = there.kept()
                assert record.holder is not None
                holder = record.holder.model_copy(update={"beat": record.holder.beat + 1})
                entry = there.ledger._entry(MODEL)
                there.ledger._put(MODEL, record.model_copy(update={"holder": holder}), entry)

            mine.clock.meanwhile = beat
            with pytest.raises(HeldError), mine.requesting(began=LATER):
                pass
            assert mine.clock.waits == [_ledger._LOOK_SECONDS], "one beat is enough"
            mine.clock.meanwhile = lambda: None
            waited = len(mine.clock.waits)
            with mine.requesting(began=LATER):
                pass
            silence = sum(mine.clock.waits[waited:])
            assert _ledger._SILENCE_SECONDS <= silence < 2 * _ledger._SILENCE_SECONDS
            assert silence > 2 * _work._BEAT_SECONDS, "one beat may be late"

    def test_another_resource_of_this_deployment_waits(self, mine: Deployment) -> None:
        with mine.requesting(CHAT) as first:
            mine.clock.meanwhile = first.refused
            with mine.requesting() as request:
                request.accepted()
        assert mine.kept().owner.urn == GPT2
        assert mine.clock.waits != []

    def test_it_does_not_wait_for_ever(self, mine: Deployment) -> None:
        with mine.requesting(CHAT):
            with pytest.raises(HeldError), mine.requesting():
                pass
            waited = sum(mine.clock.waits)
        assert 120 < waited < 180, "an unload may take two minutes"

    def test_what_another_stack_has_just_asked_for_may_not_show_yet(
        self, mine: Deployment, others: Deployment
    ) -> None:
        with mine.requesting() as request:
            request.accepted()
        soon, late = BEGAN + timedelta(seconds=59), BEGAN + timedelta(seconds=61)
        with pytest.raises(HeldError), others.requesting(began=soon):
            pass
        with mine.requesting(CHAT, began=soon) as request:
            request.refused()
        with others.requesting(began=late) as request:
            request.accepted()
        assert others.kept().owner.stack == "there"

    def test_what_another_stack_has_finished_is_not_waited_for(
        self, mine: Deployment, others: Deployment
    ) -> None:
        """A state names it, so that it showed; and now it is not loaded."""
        others.ledger.deploys(is_preview=False)
        others.confirms()
        with mine.requesting(began=CREATED + timedelta(seconds=10)) as request:
            request.accepted()
        assert mine.kept().owner == mine.who()

    def test_of_two_that_ask_at_once_one_does(self, folder: Path, others: Deployment) -> None:
        store = Racing(Folder(folder))
        store.before = lambda: others.loads(created=LATER)
        mine = Deployment(store)
        with pytest.raises(HeldError) as caught, mine.requesting():
            pass
        assert caught.value.record.owner == others.who()
        assert mine.kept().created == LATER


class TestAdopting:
    def test_takes_the_place_of_the_owner(self, mine: Deployment, others: Deployment) -> None:
        mine.loads()
        adoption = others.adopt()
        record = others.kept()
        assert record.owner == others.who(CHAT)
        assert (record.created, record.adopted_at) == (CREATED, adoption.adopted_at)
        assert record.phase is Phase.ACCEPTED
        judged = mine.ledger.judge(MODEL, running(), mine.who(), Named(CREATED))
        assert judged.verdict is Verdict.OTHER_STACK

    def test_is_on_disk_before_anything_follows_from_it(
        self, folder: Path, mine: Deployment
    ) -> None:
        mine.loads()
        store = Racing(Folder(folder))
        Deployment(store).adopt()
        assert store.durable == [True]

    def test_by_a_nameless_resource_leaves_the_record_alone(
        self, mine: Deployment, others: Deployment
    ) -> None:
        mine.loads()
        before = mine.kept()
        adoption = others.adopt("")
        assert mine.kept() == before
        adoption.undo()
        assert mine.kept() == before

    def test_comes_to_nothing_when_it_is_undone(self, mine: Deployment, others: Deployment) -> None:
        mine.loads()
        before = mine.kept()
        others.adopt().undo()
        assert mine.kept() == before

    def test_is_not_undone_under_the_next_who_took_it_over(
        self, mine: Deployment, others: Deployment
    ) -> None:
        mine.loads()
        adoption = others.adopt()
        mine.adopt(GPT2)
        after = mine.kept()
        adoption.undo()
        assert mine.kept() == after

    def test_is_later_than_the_one_before_it_whatever_the_clock_says(
        self, mine: Deployment, others: Deployment
    ) -> None:
        mine.loads()
        first = others.adopt()
        second = mine.adopt(GPT2, now=LATER - timedelta(minutes=1))
        assert second.adopted_at > first.adopted_at

    def test_waits_for_nobody_who_works_on_it(self, mine: Deployment, others: Deployment) -> None:
        mine.loads()
        with mine.unloading():
            with pytest.raises(HeldError):
                others.adopt()
            assert mine.kept().phase is Phase.UNLOADING

    def test_of_two_at_once_one_does(
        self, folder: Path, mine: Deployment, others: Deployment
    ) -> None:
        mine.loads()
        store = Racing(Folder(folder))
        store.before = others.adopt
        with pytest.raises(HeldError) as caught:
            Deployment(store).adopt(GPT2)
        assert caught.value.record.owner == others.who(CHAT)

    def test_what_changed_since_it_was_judged_is_judged_again(
        self, mine: Deployment, others: Deployment
    ) -> None:
        mine.loads()
        judged = others.ledger.judge(MODEL, running(), others.who(), None)
        mine.adopt(CHAT)
        with pytest.raises(HeldError):
            others.ledger.adopt(
                judged,
                running(),
                others.who(),
                now=LATER,
                concurrency=1,
                expiration_period_seconds=None,
            )


class TestUnloading:
    def test_is_kept_while_it_lasts_and_ends_the_record(self, mine: Deployment) -> None:
        mine.loads()
        with mine.unloading():
            assert mine.kept().phase is Phase.UNLOADING
            assert mine.kept().holder is not None
        assert mine.ledger.record(MODEL) is None

    def test_puts_back_what_stood_there_when_it_fails(self, mine: Deployment) -> None:
        mine.loads()
        before = mine.kept()
        with pytest.raises(RuntimeError), mine.unloading():
            raise RuntimeError
        assert mine.kept() == before

    def test_is_kept_of_a_load_that_the_journal_does_not_know(
        self, mine: Deployment, others: Deployment
    ) -> None:
        with mine.unloading(), pytest.raises(HeldError), others.requesting(began=LATER):
            pass
        assert mine.ledger.record(MODEL) is None

    def test_is_refused_while_another_works_on_it(
        self, mine: Deployment, next_one: Deployment
    ) -> None:
        mine.loads()
        with mine.unloading(), pytest.raises(HeldError), next_one.unloading():
            pass

    def test_is_refused_when_another_took_it_over_since_it_was_judged(
        self, mine: Deployment, others: Deployment
    ) -> None:
        mine.loads()
        judged = mine.ledger.judge(MODEL, running(), mine.who(), Named(CREATED))
        others.adopt()
        with pytest.raises(HeldError), mine.ledger.unloading(judged, running(), mine.who()):
            pass
        assert mine.kept().owner == others.who(CHAT)

    @pytest.mark.parametrize("is_seen", [True, False])
    def test_is_refused_when_another_loaded_it_again_since_it_was_judged(
        self, mine: Deployment, others: Deployment, is_seen: bool
    ) -> None:
        """An unload is of a model: it would end the load of the other one."""
        mine.loads()
        judged = mine.ledger.judge(MODEL, running(), mine.who(), Named(CREATED))
        with others.unloading():
            pass
        with others.requesting(began=LATER) as request:
            request.accepted()
        if is_seen:
            others.ledger.identify(MODEL, others.who(), LATER)
        with pytest.raises(HeldError), mine.ledger.unloading(judged, running(), mine.who()):
            pass
        assert mine.kept().owner == others.who()

    def test_is_refused_while_another_loads_it_again(
        self, mine: Deployment, others: Deployment
    ) -> None:
        """Whose status was asked for before that, it may still show the load before."""
        with others.requesting(began=LATER):
            judged = mine.ledger.judge(MODEL, running(), mine.who(), Named(CREATED))
            assert judged.is_ours
            with pytest.raises(HeldError), mine.ledger.unloading(judged, running(), mine.who()):
                pass

    def test_of_two_at_once_one_does(self, folder: Path, mine: Deployment) -> None:
        mine.loads()
        store = Racing(Folder(folder))
        store.before = mine.adopt
        with pytest.raises(HeldError), Deployment(store).unloading():
            pass
        assert mine.kept().owner.urn == CHAT


class TestWaiting:
    def test_a_load_is_held_while_its_owner_waits_and_named_as_soon_as_it_is_seen(
        self, mine: Deployment, others: Deployment
    ) -> None:
        with mine.requesting() as request:
            request.accepted()
        with mine.ledger.waiting(MODEL, mine.who(), None):
            assert others.ledger.is_held(mine.kept())
            mine.ledger.identify(MODEL, mine.who(), CREATED)
            assert mine.kept().created == CREATED
            assert others.ledger.is_held(mine.kept())
        assert (mine.kept().created, mine.kept().holder) == (CREATED, None)
        assert mine.kept().is_unfinished

    def test_what_another_deployment_works_on_is_not_held_too(
        self, mine: Deployment, next_one: Deployment
    ) -> None:
        with mine.requesting():
            before = mine.kept()
            with next_one.ledger.waiting(MODEL, next_one.who(), None):
                assert mine.kept() == before

    def test_what_is_in_a_state_or_anothers_is_not_held(
        self, mine: Deployment, next_one: Deployment, others: Deployment
    ) -> None:
        mine.loads()
        with others.ledger.waiting(MODEL, others.who(), None):
            assert mine.kept().holder is None
        next_one.ledger.deploys(is_preview=False)
        next_one.confirms()
        with next_one.ledger.waiting(MODEL, next_one.who(), None):
            assert mine.kept().holder is None


class TestIdentifying:
    def test_names_what_was_asked_for(self, mine: Deployment) -> None:
        with pytest.raises(RuntimeError), mine.requesting():
            raise RuntimeError
        mine.ledger.identify(MODEL, mine.who(), None)
        assert (mine.kept().created, mine.kept().phase) == (None, Phase.REQUESTED)
        mine.ledger.identify(MODEL, mine.who(), CREATED)
        record = mine.kept()
        assert (record.created, record.phase) == (CREATED, Phase.ACCEPTED)
        mine.ledger.identify(MODEL, mine.who(), LATER)
        assert mine.kept() == record, "a load has one identity"

    def test_names_what_one_that_died_has_asked_for(
        self, mine: Deployment, next_one: Deployment
    ) -> None:
        with mine.requesting():
            mine.presence.leave()
            next_one.ledger.identify(MODEL, next_one.who(), CREATED)
            assert (mine.kept().created, mine.kept().holder) == (CREATED, None)

    def test_of_another_it_does_not(self, mine: Deployment, others: Deployment) -> None:
        with mine.requesting() as request:
            request.accepted()
        others.ledger.identify(MODEL, others.who(), CREATED)
        mine.ledger.identify(MODEL, mine.who(CHAT), CREATED)
        assert mine.kept().created is None

    def test_a_resource_means_what_it_asked_for_and_not_what_others_did(
        self, mine: Deployment, others: Deployment
    ) -> None:
        with mine.requesting() as request:
            request.accepted()
        assert mine.ledger.claim(MODEL, mine.who(), Named(None)) == mine.kept().claim
        assert mine.ledger.claim(MODEL, mine.who(), Named(LATER)) == Claim(LATER)
        for other in (others.who(), mine.who(CHAT), mine.who("")):
            assert others.ledger.claim(MODEL, other, Named(None)) == Claim()


class TestHearing:
    def test_what_a_state_names_is_no_longer_unfinished(
        self, mine: Deployment, next_one: Deployment
    ) -> None:
        mine.loads()
        assert mine.kept().is_unfinished
        next_one.confirms()
        assert mine.kept().is_unfinished, "it is not yet known that this process changes anything"
        next_one.ledger.deploys(is_preview=False)
        assert next_one.kept().phase is Phase.CONFIRMED
        assert next_one.kept().host == "this-machine"

    def test_a_preview_writes_nothing(
        self, mine: Deployment, next_one: Deployment, folder: Path
    ) -> None:
        mine.loads()
        before = {path: path.read_bytes() for path in folder.iterdir()}
        next_one.ledger.deploys(is_preview=True)
        next_one.confirms()
        next_one.ledger.confirm_gone(MODEL, CREATED, next_one.who())
        next_one.ledger.deploys(is_preview=False)
        assert {path: path.read_bytes() for path in folder.iterdir()} == before

    def test_a_state_without_a_record_makes_one(self, mine: Deployment) -> None:
        mine.ledger.deploys(is_preview=False)
        mine.confirms(adopted_at="2024-05-27T23:40:00.000Z")
        record = mine.kept()
        assert (record.owner, record.phase) == (mine.who(), Phase.CONFIRMED)
        assert (record.created, record.adopted_at) == (CREATED, "2024-05-27T23:40:00.000Z")

    @pytest.mark.parametrize(("name", "created"), [(None, CREATED), (GPT2, None)])
    def test_what_names_no_load_proves_nothing(
        self, mine: Deployment, name: str | None, created: datetime | None
    ) -> None:
        mine.ledger.deploys(is_preview=False)
        mine.confirms(name or "", created=created)
        assert mine.ledger.record(MODEL) is None

    def test_a_state_that_this_process_made_is_no_proof(self, mine: Deployment) -> None:
        mine.loads()
        mine.ledger.deploys(is_preview=False)
        mine.ledger.mark_unsaved(MODEL, CREATED)
        mine.confirms()
        assert mine.kept().is_unfinished

    def test_what_is_confirmed_already_is_not_written_again(self, folder: Path) -> None:
        store = Racing(Folder(folder))
        mine = Deployment(store)
        mine.ledger.deploys(is_preview=False)
        for _ in range(2):
            mine.confirms()
            assert len(store.durable) == 1

    def test_a_state_is_held_against_what_is_there_by_now(
        self, mine: Deployment, next_one: Deployment, others: Deployment
    ) -> None:
        mine.loads()
        next_one.ledger.deploys(is_preview=False)
        assert next_one.ledger.leftovers(next_one.who(), PHI) != [], "it has looked"
        others.adopt()
        before = others.kept()
        next_one.confirms()
        assert others.kept() == before

    def test_a_state_is_no_proof_against_a_take_over_after_it(
        self, mine: Deployment, next_one: Deployment
    ) -> None:
        mine.loads()
        mine.adopt(CHAT)
        before = mine.kept()
        next_one.ledger.deploys(is_preview=False)
        next_one.confirms(created=CREATED + timedelta(minutes=1))
        assert next_one.kept() == before

    def test_an_older_state_is_no_proof_against_a_later_load(
        self, mine: Deployment, next_one: Deployment
    ) -> None:
        mine.loads(created=LATER)
        before = mine.kept()
        next_one.ledger.deploys(is_preview=False)
        next_one.confirms()
        assert next_one.kept() == before

    def test_a_later_state_is_against_an_older_load_of_its_stack(
        self, mine: Deployment, next_one: Deployment, others: Deployment
    ) -> None:
        mine.loads()
        others.ledger.deploys(is_preview=False)
        others.confirms(created=LATER)
        assert mine.kept().created == CREATED
        next_one.ledger.deploys(is_preview=False)
        next_one.confirms(created=LATER)
        assert mine.kept().created == LATER

    def test_a_state_names_what_no_answer_was_seen_of(
        self, mine: Deployment, next_one: Deployment
    ) -> None:
        with pytest.raises(RuntimeError), mine.requesting():
            raise RuntimeError
        next_one.ledger.deploys(is_preview=False)
        next_one.confirms(CHAT)
        assert mine.kept().is_unfinished, "it was asked for by another resource"
        next_one.confirms(created=LATER)
        assert mine.kept().created is None, "it was asked for an hour before"
        next_one.confirms()
        assert (mine.kept().phase, mine.kept().created) == (Phase.CONFIRMED, CREATED)

    def test_what_somebody_works_on_is_left_to_him(
        self, mine: Deployment, next_one: Deployment
    ) -> None:
        mine.loads()
        next_one.ledger.deploys(is_preview=False)
        with mine.unloading():
            before = mine.kept()
            next_one.confirms()
            assert mine.kept() == before

    def test_what_a_process_on_another_machine_may_work_on_too(
        self, mine: Deployment, folder: Path
    ) -> None:
        mine.loads()
        mine.ledger.deploys(is_preview=False)
        there = Deployment(Folder(folder), machine="there")
        with there.unloading():
            before = mine.kept()
            mine.confirms()
            assert mine.kept() == before

    def test_what_one_that_died_worked_on_is_not(
        self, mine: Deployment, next_one: Deployment
    ) -> None:
        mine.loads()
        next_one.ledger.deploys(is_preview=False)
        with mine.unloading():
            mine.presence.leave()
            next_one.confirms()
            assert (mine.kept().phase, mine.kept().holder) == (Phase.CONFIRMED, None)

    def test_a_renamed_resource_that_stays_has_it(
        self, mine: Deployment, next_one: Deployment
    ) -> None:
        mine.loads(CHAT)
        next_one.ledger.deploys(is_preview=False)
        next_one.confirms(GPT2)
        assert next_one.kept().owner.urn == GPT2

    @pytest.mark.parametrize("is_kept", [True, False])
    def test_an_older_owner_does_not_take_back_what_was_taken_over(
        self, mine: Deployment, next_one: Deployment, others: Deployment, is_kept: bool
    ) -> None:
        mine.loads()
        others.adopt()
        before = others.kept()
        next_one.ledger.deploys(is_preview=False)
        next_one.confirms(is_kept=is_kept)
        assert others.kept() == before

    def test_what_was_taken_over_with_another_journal_is_learnt_from_the_state(
        self, mine: Deployment, others: Deployment
    ) -> None:
        mine.loads()
        others.ledger.deploys(is_preview=False)
        others.confirms(adopted_at=iso(BEGAN), is_kept=False)
        assert mine.kept().owner == mine.who(), "the journal knows of a later moment"
        others.confirms(adopted_at=iso(LATER), is_kept=False)
        assert (mine.kept().owner, mine.kept().adopted_at) == (others.who(), iso(LATER))

    def test_of_two_resources_that_name_one_load_the_one_that_stays_has_it(
        self, mine: Deployment, next_one: Deployment
    ) -> None:
        mine.loads()
        adopted_at = mine.adopt(CHAT).adopted_at
        next_one.ledger.deploys(is_preview=False)
        next_one.confirms(GPT2, is_kept=False)
        assert mine.kept().owner.urn == CHAT
        next_one.confirms(GPT2, is_kept=True)
        assert mine.kept().owner.urn == GPT2
        next_one.confirms(CHAT, adopted_at=adopted_at, is_kept=False)
        assert mine.kept().owner.urn == GPT2

    def test_what_two_states_of_a_process_name_is_the_others(self, mine: Deployment) -> None:
        mine.confirms(CHAT)
        judged = mine.ledger.judge(MODEL, running(), mine.who(), None)
        assert (judged.verdict, judged.owner) == (Verdict.OTHER_RESOURCE, mine.who(CHAT))
        judged = mine.ledger.judge(MODEL, running(), mine.who(CHAT), None)
        assert judged.verdict is Verdict.FOREIGN

    def test_a_load_that_is_gone_ends_its_record(
        self, mine: Deployment, next_one: Deployment, others: Deployment
    ) -> None:
        mine.loads()
        for one in (next_one, others):
            one.ledger.deploys(is_preview=False)
        next_one.ledger.confirm_gone(MODEL, LATER, next_one.who())
        others.ledger.confirm_gone(MODEL, CREATED, others.who())
        assert mine.kept().created == CREATED
        next_one.ledger.confirm_gone(MODEL, CREATED, next_one.who())
        assert mine.ledger.record(MODEL) is None


class TestListing:
    def test_leftovers_are_what_a_resource_began_of_other_models(
        self, mine: Deployment, next_one: Deployment, others: Deployment
    ) -> None:
        for model_id in (MODEL, PHI, OPT):
            mine.loads(model_id=model_id)
        assert {one.model_id for one in next_one.ledger.leftovers(next_one.who(), MODEL)} == {
            PHI,
            OPT,
        }
        assert next_one.ledger.leftovers(next_one.who(CHAT), MODEL) == []
        assert next_one.ledger.leftovers(next_one.who(""), MODEL) == []
        assert others.ledger.leftovers(others.who(), MODEL) == []
        mine.ledger.end(OPT, mine.who())
        (left,) = next_one.ledger.leftovers(next_one.who(), MODEL)
        assert left.model_id == PHI

    def test_what_a_state_names_is_no_leftover(
        self, mine: Deployment, next_one: Deployment, folder: Path
    ) -> None:
        mine.loads()
        next_one.ledger.deploys(is_preview=False)
        next_one.confirms()
        assert Deployment(Folder(folder)).ledger.leftovers(mine.who(), PHI) == []

    def test_ended_by_its_owner_only(self, mine: Deployment, others: Deployment) -> None:
        mine.loads()
        others.ledger.end(MODEL, others.who())
        mine.ledger.end(MODEL, mine.who(), LATER)
        assert mine.kept().created == CREATED
        mine.ledger.end(MODEL, mine.who(), CREATED)
        assert mine.ledger.record(MODEL) is None

    def test_forgotten_if_it_is_still_what_it_was(
        self, mine: Deployment, others: Deployment
    ) -> None:
        mine.loads()
        listed = mine.kept()
        others.adopt()
        mine.ledger.forget(listed)
        assert mine.kept().owner == others.who(CHAT)
        mine.ledger.forget(mine.kept())
        assert mine.ledger.record(MODEL) is None

    def test_the_oldest_comes_first(self, mine: Deployment) -> None:
        with mine.requesting(began=LATER) as request:
            request.accepted()
        with mine.requesting(CHAT, model_id=PHI) as request:
            request.accepted()
        assert [one.model_id for one in mine.ledger.records()] == [PHI, MODEL]

    def test_held_while_its_process_lives(self, mine: Deployment, next_one: Deployment) -> None:
        with mine.requesting():
            assert next_one.ledger.is_held(mine.kept())
            mine.presence.leave()
            assert not next_one.ledger.is_held(mine.kept())

    def test_whoever_was_taken_over_by_another_is_gone(
        self, mine: Deployment, folder: Path
    ) -> None:
        there = Deployment(Folder(folder), machine="there")
        with there.requesting():
            record = there.kept()
            assert record.holder is not None
            another = record.holder.model_copy(update={"token": "another", "beat": 9})

            def take_over() -> None:
                entry = there.ledger._entry(MODEL)
                taken = record.model_copy(update={"holder": another})
                there.ledger._put(MODEL, taken, entry)

            mine.clock.meanwhile = take_over
            assert not mine.ledger.is_held(record)

    @pytest.mark.parametrize(
        "content", [b"", b"{", b"\xff\xfe", b"[]", b"null", b"[" * 100_000, b'{"modelId": 1}']
    )
    def test_what_is_no_record_is_none_and_is_replaced(
        self, mine: Deployment, folder: Path, content: bytes
    ) -> None:
        mine.loads()
        (path,) = folder.glob("*.json")
        path.write_bytes(content)
        assert mine.ledger.record(MODEL) is None
        assert mine.ledger.record(MODEL) is None
        assert mine.ledger.records() == []
        (warning,) = mine.warnings
        assert warning.startswith(f"what the journal in {folder} holds of '{MODEL}' cannot be read")
        mine.loads()
        assert mine.kept().created == CREATED

    def test_what_a_later_version_adds_is_passed_over(self, mine: Deployment, folder: Path) -> None:
        mine.loads()
        before = mine.kept()
        (path,) = folder.glob("*.json")
        path.write_text(json.dumps({**json.loads(path.read_text()), "added": {"later": 1}}))
        assert mine.kept() == before


class TestAnotherKey:
    def test_the_record_of_the_same_load_under_an_earlier_key_counts(
        self, mine: Deployment, folder: Path
    ) -> None:
        mine.loads()
        rotated = Deployment(Folder(folder), account="rotated")
        assert rotated.ledger.record(MODEL) is None
        assert rotated.ledger.records([running()]) == [mine.kept()]
        judged = rotated.ledger.judge(MODEL, running(), rotated.who(), None)
        assert judged.verdict is Verdict.OURS_LATER
        rotated.adopt(CHAT)
        assert rotated.kept().owner.urn == CHAT
        assert mine.kept().owner.urn == GPT2, "an earlier key's records are not changed"

    def test_that_of_another_load_does_not(self, mine: Deployment, folder: Path) -> None:
        """Another account may have a load of the same model."""
        mine.loads()
        rotated = Deployment(Folder(folder), account="rotated")
        judged = rotated.ledger.judge(MODEL, running(LATER), rotated.who(), None)
        assert judged.verdict is Verdict.FOREIGN
        assert rotated.ledger.records() == rotated.ledger.records([running(LATER)]) == []

    def test_that_of_another_service_does_not_either(self, mine: Deployment, folder: Path) -> None:
        mine.loads()
        elsewhere = Deployment(Folder(folder), endpoint="http://127.0.0.1:1")
        judged = elsewhere.ledger.judge(MODEL, running(), elsewhere.who(), None)
        assert judged.verdict is Verdict.FOREIGN


class TestInABucket:
    def test_of_two_machines_one_loads_and_the_other_knows_who(self, bucket: str) -> None:
        here = Deployment(Bucket(f"s3://{bucket}/journal"), machine="here")
        there = Deployment(Bucket(f"s3://{bucket}/journal"), stack=THERE, machine="there")
        with here.requesting() as request:
            request.accepted()
        with pytest.raises(HeldError) as caught, there.requesting():
            pass
        assert (caught.value.record.host, caught.value.record.owner) == ("here", here.who())
        here.ledger.identify(MODEL, here.who(), CREATED)
        with here.unloading():
            pass
        with there.requesting(began=LATER) as request:
            request.accepted()
        assert here.kept().owner == there.who()

    def test_one_that_is_not_there_is_not_an_empty_one(self, bucket: str) -> None:
        mine = Deployment(Bucket(f"s3://no-{bucket}"))
        with pytest.raises(JournalError, match="NoSuchBucket"):
            mine.ledger.record(MODEL)


@pytest.mark.parametrize("is_raced", [True, False], ids=["raced", "unwritable"])
def test_what_cannot_be_written_is_no_error_where_nothing_depends_on_it(
    folder: Path, mine: Deployment, is_raced: bool
) -> None:
    """Racing with another, these leave the record to him; the next deployment writes the rest."""
    failed: list[None] = []

    def fails() -> None:
        failed.append(None)
        if is_raced:
            raise ChangedError
        unwritable()

    mine.loads()
    store = Racing(Folder(folder))
    racing = Deployment(store)
    racing.ledger.deploys(is_preview=False)
    before = mine.kept()
    acts: list[Callable[[], None]] = [
        lambda: racing.ledger.confirm_gone(MODEL, CREATED, racing.who()),
        racing.confirms,
    ]
    if is_raced:
        acts += [
            lambda: racing.ledger.end(MODEL, racing.who()),
            lambda: racing.ledger.forget(before),
        ]
    for act in acts:
        store.before = fails
        act()
        assert mine.kept() == before
    assert len(failed) == len(acts)
