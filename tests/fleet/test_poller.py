"""One poller for all that wait: with the real client, and the emulator's log as the judge."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from bytez_provider.base.errors import ApiError, AuthenticationError, RateLimitedError
from bytez_provider.core.ownership import Claim
from bytez_provider.core.waiting import Poller
from bytez_provider.core.waiting._poller import Covers, Found
from bytez_provider.emulator import Emulator
from bytez_provider.service.schemas import Instance, Phase, moment_of
from tests.fleet.crew import GATEWAY, LISTS, MANY, STATUSES, Crew
from tests.lifecycle.machine import GPT2, OTHER_KEY, PHI, Machine, on, respond

PATIENCE_SECONDS = 30.0


@pytest.fixture
def poller(crew: Crew) -> Poller:
    return crew.poller


@pytest.fixture
def two_waiting(poller: Poller) -> Iterator[None]:
    """Let two callers wait, as far as the poller knows."""
    with poller.waiting(), poller.waiting():
        yield


two_wait = pytest.mark.usefixtures("two_waiting")


def load(emulator: Emulator, model_id: str) -> Callable[[Instance], bool]:
    """Load a model; return what tells that load from others."""
    return Claim(moment_of(emulator.load_by_somebody_else(model_id))).covers


def asked(emulator: Emulator, path: str) -> int:
    """Return how many requests of one kind there were."""
    return len(emulator.requests(path))


def answer_list_with(emulator: Emulator, body: Any, status: int = 200) -> None:
    """Let the list from now on be something else."""
    emulator.set_faults([on("instances", {"respond": {"status": status, "body": body}})])


def row(emulator: Emulator, model_id: str, **changed: Any) -> dict[str, Any]:
    """Return the list's element of a model as it is now, with other details; None leaves it out."""
    (shown,) = (one for one in emulator.instances() if one["modelId"] == model_id)
    return {name: value for name, value in {**shown, **changed}.items() if value is not None}


def look(poller: Poller, model_id: str, covers: Covers) -> Instance | None:
    """Look at one model; raise what went wrong."""
    found = poller.look({model_id: covers})[model_id]
    if isinstance(found, ApiError):
        raise found
    return found


def look_at(poller: Poller, loads: Mapping[str, Covers]) -> Mapping[str, Found]:
    """Look at models as one that waits for all of them."""
    with poller.waiting(len(loads)):
        return poller.look(loads)


def seen(found: Instance | ApiError | None) -> Instance:
    """Return an instance that has to be there."""
    assert isinstance(found, Instance)
    return found


class TestWhoIsAsked:
    def test_for_one_alone_the_status(self, poller: Poller, emulator: Emulator) -> None:
        covers = load(emulator, GPT2)
        with poller.waiting():
            assert seen(look(poller, GPT2, covers)).status == "DEPLOYING"
        assert (asked(emulator, LISTS), asked(emulator, STATUSES)) == (0, 1)

    @two_wait
    def test_for_several_the_list(self, poller: Poller, emulator: Emulator) -> None:
        covers = load(emulator, GPT2)
        assert seen(look(poller, GPT2, covers)).status == "DEPLOYING"
        assert (asked(emulator, LISTS), asked(emulator, STATUSES)) == (1, 0)


@two_wait
class TestWhatIsBelieved:
    def test_not_on_the_list_is_not_gone(self, poller: Poller, emulator: Emulator) -> None:
        covers = load(emulator, GPT2)
        answer_list_with(emulator, [])
        assert seen(look(poller, GPT2, covers)).status == "DEPLOYING"
        loads = {GPT2: covers, PHI: load(emulator, PHI)}
        assert seen(look_at(poller, loads)[PHI]).status == "DEPLOYING"

    def test_another_load_on_the_list_is_not_believed(
        self, poller: Poller, emulator: Emulator
    ) -> None:
        covers = load(emulator, GPT2)
        answer_list_with(emulator, [row(emulator, GPT2, created="2024-05-01T00:00:00.000Z")])
        assert covers(seen(look(poller, GPT2, covers)))
        both = {GPT2: covers, PHI: load(emulator, PHI)}
        assert covers(seen(look_at(poller, both)[GPT2]))

    def test_failed_on_the_list_is_asked_for_which_gives_the_reason(
        self, poller: Poller, emulator: Emulator
    ) -> None:
        covers = load(emulator, GPT2)
        answer_list_with(emulator, [row(emulator, GPT2, status="FAILED")])
        assert seen(look(poller, GPT2, covers)).phase is Phase.BOOTING

    @pytest.mark.parametrize("without", ["status", "created"])
    def test_an_element_that_tells_too_little_is_asked_for(
        self, poller: Poller, emulator: Emulator, without: str
    ) -> None:
        covers, whole = load(emulator, GPT2), load(emulator, PHI)
        rows = [row(emulator, GPT2, **{without: None}), row(emulator, PHI)]
        answer_list_with(emulator, rows)
        assert seen(look(poller, GPT2, covers)).created is not None
        assert asked(emulator, STATUSES) == 1
        assert seen(look(poller, PHI, whole)).created is not None
        assert asked(emulator, STATUSES) == 1

    def test_a_list_that_does_not_change_is_not_believed_for_more_than_a_minute(
        self, poller: Poller, emulator: Emulator
    ) -> None:
        covers = load(emulator, GPT2)
        answer_list_with(emulator, [row(emulator, GPT2)])
        assert seen(look(poller, GPT2, covers)).phase is Phase.BOOTING
        emulator.advance(59)
        assert seen(look(poller, GPT2, covers)).phase is Phase.BOOTING
        emulator.advance(2)
        assert seen(look(poller, GPT2, covers)).phase is Phase.RUNNING

    @pytest.mark.parametrize(("share", "believed_for"), [(0.0, 80), (0.5, 64), (1.0, 48)])
    def test_how_long_it_is_believed_is_spread_over_a_crowd(
        self,
        poller: Poller,
        emulator: Emulator,
        monkeypatch: pytest.MonkeyPatch,
        share: float,
        believed_for: float,
    ) -> None:
        monkeypatch.setattr("random.random", lambda: share)
        covers = load(emulator, GPT2)
        answer_list_with(emulator, [row(emulator, GPT2)])
        with poller.waiting(62):  # and two more
            look(poller, GPT2, covers)
            emulator.advance(believed_for - 1)
            assert seen(look(poller, GPT2, covers)).phase is Phase.BOOTING
            assert asked(emulator, STATUSES) == 0
            emulator.advance(1)
            assert seen(look(poller, GPT2, covers)).phase is Phase.RUNNING
            assert asked(emulator, STATUSES) == 1

    def test_a_list_is_used_for_as_long_as_it_may_be_old(
        self, poller: Poller, emulator: Emulator
    ) -> None:
        for seconds, lists in ((0, 1), (5, 1), (1, 2)):
            emulator.advance(seconds)
            poller.listed(5.0)
            assert asked(emulator, LISTS) == lists


@two_wait
class TestUnusableList:
    @pytest.mark.parametrize(
        ("status", "body"),
        [
            (200, "<html><title>Welcome</title></html>"),
            (200, {"instances": []}),
            (200, [{"modelId": GPT2}]),
            (200, [{"modelId": GPT2, "status": "DEPLOYING"}]),
            (404, {"error": "not found"}),
            (501, {"error": "not implemented"}),
            (500, ""),
        ],
    )
    def test_statuses_are_asked_and_the_list_is_left_alone_for_a_minute(
        self, poller: Poller, emulator: Emulator, status: int, body: object
    ) -> None:
        covers = load(emulator, GPT2)
        answer_list_with(emulator, body, status)
        for _ in range(3):
            assert seen(look(poller, GPT2, covers)).phase is Phase.BOOTING
            emulator.advance(5)
        assert (asked(emulator, LISTS), asked(emulator, STATUSES)) == (1, 3)
        emulator.set_faults([])
        emulator.advance(44)
        look(poller, GPT2, covers)
        assert asked(emulator, LISTS) == 1
        emulator.advance(1)
        look(poller, GPT2, covers)
        assert asked(emulator, LISTS) == 2

    @pytest.mark.parametrize("fault", [GATEWAY, {"reset": "before"}])
    def test_where_it_gets_no_answer_the_statuses_may(
        self, poller: Poller, emulator: Emulator, fault: dict[str, Any]
    ) -> None:
        covers = load(emulator, GPT2)
        emulator.set_faults([on("instances", fault, first=1)])
        assert seen(look(poller, GPT2, covers)).phase is Phase.BOOTING
        assert (asked(emulator, LISTS), asked(emulator, STATUSES)) == (1, 1)
        emulator.advance(5)
        look(poller, GPT2, covers)
        assert (asked(emulator, LISTS), asked(emulator, STATUSES)) == (1, 2)
        emulator.advance(6)
        look(poller, GPT2, covers)
        assert (asked(emulator, LISTS), asked(emulator, STATUSES)) == (2, 2)

    def test_at_a_rate_limit_not_even_the_statuses_are_asked(
        self, poller: Poller, emulator: Emulator
    ) -> None:
        covers = load(emulator, GPT2)
        emulator.set_faults([{"do": respond(429, "slow down")}])
        for _ in range(3):
            with pytest.raises(RateLimitedError):
                look(poller, GPT2, covers)
        assert (asked(emulator, LISTS), asked(emulator, STATUSES)) == (1, 0)
        assert poller.listed(5.0) == {}
        emulator.set_faults([])
        emulator.advance(0.4)
        assert poller.listed(0.0) == {}
        assert asked(emulator, LISTS) == 1
        emulator.advance(1)
        assert seen(look(poller, GPT2, covers)).phase is Phase.BOOTING

    def test_a_refused_key_is_an_error(self, machine: Machine, emulator: Emulator) -> None:
        covers = load(emulator, GPT2)
        poller = Crew(machine, key=OTHER_KEY + "-revoked").poller
        with poller.waiting(2), pytest.raises(AuthenticationError):
            look(poller, GPT2, covers)


class TestRounds:
    def test_sixteen_statuses_a_round_and_each_has_its_turn(
        self, poller: Poller, emulator: Emulator
    ) -> None:
        loads = {model_id: load(emulator, model_id) for model_id in MANY}
        answer_list_with(emulator, "<html>")
        for number in range(4):
            assert list(look_at(poller, loads)) == MANY[16 * number : 16 * (number + 1)]
            assert asked(emulator, STATUSES) == 16 * (number + 1)

    def test_a_status_is_one_request_even_without_an_answer(
        self, poller: Poller, emulator: Emulator
    ) -> None:
        emulator.set_faults([{"endpoint": STATUSES, "do": GATEWAY}])
        assert isinstance(poller.status(GPT2), ApiError)
        assert asked(emulator, STATUSES) == 1

    def test_one_without_an_answer_does_not_hold_up_the_others_for_ever(
        self, poller: Poller, emulator: Emulator
    ) -> None:
        loads = {model_id: load(emulator, model_id) for model_id in (GPT2, PHI)}
        emulator.set_faults(
            [on("instances", {"respond": {"status": 404}}), on("status", GATEWAY, model=GPT2)]
        )
        first = look_at(poller, loads)
        second = look_at(poller, loads)
        assert list(first) == [GPT2]
        assert isinstance(first[GPT2], ApiError)
        assert seen(second[PHI]).phase is Phase.BOOTING

    def test_who_is_stopped_asks_no_more(self, poller: Poller, emulator: Emulator) -> None:
        loads = {model_id: load(emulator, model_id) for model_id in (GPT2, PHI)}
        answer_list_with(emulator, "<html>")
        stopped = threading.Event()
        stopped.set()
        assert poller.look(loads, stop=stopped) == {}
        assert asked(emulator, STATUSES) == 0
        # One alone is always asked for: a single wait ends with what it sees.
        assert list(poller.look({GPT2: loads[GPT2]}, stop=stopped)) == [GPT2]


class TestManyThreads:
    def test_a_hundred_who_ask_while_a_list_is_on_its_way_are_one_request(
        self, poller: Poller, emulator: Emulator
    ) -> None:
        """Also where the answer takes longer than a list is fresh."""
        covers = load(emulator, GPT2)
        emulator.set_faults([on("instances", {"delaySeconds": 5})])
        ready = threading.Barrier(101, timeout=PATIENCE_SECONDS)

        def look_together() -> Instance | None:
            ready.wait()
            return look(poller, GPT2, covers)

        with poller.waiting(2), ThreadPoolExecutor(max_workers=100) as pool:
            looks = [pool.submit(look_together) for _ in range(100)]
            ready.wait()
            while not emulator.requests(LISTS):
                threading.Event().wait(0.001)
            emulator.advance(6)
            assert all(seen(one.result(PATIENCE_SECONDS)) for one in looks)
        assert (asked(emulator, LISTS), asked(emulator, STATUSES)) == (1, 0)
