"""Killed or not saved at every step: the next `up` loses nothing and leaves nothing running."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from bytez_provider.emulator import Emulator
from bytez_provider.emulator.service import RequestRecord
from bytez_provider.service.schemas import moment_of
from bytez_provider.service.settings import ApiVersion
from tests.asking import API_VERSIONS, Ask, ask_of, for_api
from tests.host.dynamic_host import ROOT, OperationError
from tests.stateful.books import in_words_of_2024
from tests.stateful.engine import NOT_SAVED
from tests.stateful.program import Declared
from tests.wire.conftest import KEY, started
from tests.wire.killed import (
    BOOT_SECONDS,
    GOES_ON,
    GPT2,
    HELD_SECONDS,
    LOADS_IT,
    OF_CREATE,
    OF_DELETE,
    OF_RESCALE,
    URN,
    Point,
    Process,
    Stack,
    Step,
    asked,
)
from tests.wire.moments import until, until_asked
from tests.wire.test_fleets import BOTH, READY, load, model, readiness


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """One for each test: a test may leave unfinished requests behind."""
    with Emulator(keys=[KEY], clock="manual", boot_seconds=BOOT_SECONDS) as running:
        yield running


@pytest.fixture
def api() -> ApiVersion:
    """The API version of tests that are not for several."""
    return "2024-05"


@pytest.fixture
def stack(emulator: Emulator, tmp_path: Path, api: ApiVersion) -> Stack:
    return Stack(emulator, tmp_path / "journal", api)


def each(points: Mapping[str, Point]) -> pytest.MarkDecorator:
    """Run a test for each point."""
    return pytest.mark.parametrize("point", points.values(), ids=points)


def each_of_all(points: Mapping[str, Point]) -> pytest.MarkDecorator:
    """Run a test for each point, with 2024-05 and 2025-04; for some of them with 2024-06.

    The two of 2024 differ only in the form of a request.
    """
    given = [
        pytest.param(api, point, id=f"{api}: {name}")
        for api in API_VERSIONS
        for number, (name, point) in enumerate(points.items())
        if api != "2024-06" or number % 5 == 4
    ]
    return pytest.mark.parametrize(("api", "point"), given)


CLUSTERS = pytest.mark.parametrize("api", ["2025-04"])
ONE, THREE = Declared(GPT2), Declared(GPT2, concurrency=3)
ADOPTING = Declared(GPT2, adopt=True)
IN_MID_BOOT = OF_CREATE["in mid-boot"]


def loads(emulator: Emulator) -> int:
    """Return how many loads there are in the books."""
    return int(emulator.ledger().get(GPT2, {"loads": 0})["loads"])


def killed(stack: Stack, step: Step, point: Point, *ups: Declared | None) -> None:
    """Deploy each declaration, and kill everything in the last deployment."""
    with stack.started() as host:
        for model in ups[:-1]:
            stack.up(host, model)
        stack.up(host, ups[-1], (step, point))
    assert stack.result.end == "killed"


def sent(emulator: Emulator, ask: Ask) -> list[RequestRecord]:
    """Return the requests of a kind."""
    return [record for record in emulator.requests() if ask_of(record) == ask]


def next_up(stack: Stack, model: Declared | None) -> tuple[Ask, ...]:
    """Deploy again with a new provider process; return what was sent."""
    with stack.host() as host:
        asks = tuple(stack.up(host, model))
    assert stack.result.succeeded, stack.result.errors
    return asks


def is_up(stack: Stack, model: Declared) -> None:
    """Assert that the state is true, and that a destroy leaves nothing behind."""
    (live,) = map(in_words_of_2024, stack.emulator.instances())
    assert (live["status"], live["concurrency"]) == ("RUNNING", model.concurrency)
    assert stack.kept is not None
    assert stack.kept.outputs.items() >= {"status": "RUNNING", "created": live["created"]}.items()
    (kept,) = stack.recorded().values()
    assert moment_of(kept[1]) == moment_of(live["created"])
    with stack.host() as host:
        assert stack.up(host, model) == []
        ((phase, _),) = stack.recorded().values()
        assert phase == "confirmed"
        stack.up(host, None)
    is_gone(stack)


def is_replaced(stack: Stack) -> bool:
    """Return whether a replacement is pending."""
    return stack.kept is not None and stack.kept.pending_replacement


def is_gone(stack: Stack) -> None:
    """Assert that nothing runs and nothing is unfinished.

    If a refresh found the load gone, no delete was called, and its record remains.
    """
    assert stack.emulator.instances() == []
    assert stack.kept is None
    assert {phase for phase, _ in stack.recorded().values()} <= {"unloading"}


@each_of_all(OF_CREATE)
def test_a_create(stack: Stack, emulator: Emulator, point: Point) -> None:
    killed(stack, "create", point, ONE)
    assert stack.kept is None
    assert next_up(stack, ONE) == point.then.sends
    assert loads(emulator) == point.then.loads
    is_up(stack, ONE)


@each_of_all(OF_DELETE)
def test_a_delete(stack: Stack, emulator: Emulator, point: Point) -> None:
    killed(stack, "delete", point, ONE, None)
    assert stack.kept is not None
    assert next_up(stack, None) == point.then.sends
    assert loads(emulator) == point.then.loads
    is_gone(stack)


@each(OF_DELETE)
def test_a_replacement_in_its_delete(stack: Stack, emulator: Emulator, point: Point) -> None:
    killed(stack, "delete", point, ONE, THREE)
    assert not is_replaced(stack)
    assert next_up(stack, THREE) == (*point.then.sends, "load")
    assert loads(emulator) == point.then.loads + 1
    is_up(stack, THREE)


@each(OF_CREATE)
def test_a_replacement_in_its_create(stack: Stack, emulator: Emulator, point: Point) -> None:
    killed(stack, "create", point, ONE, THREE)
    assert is_replaced(stack)
    assert next_up(stack, THREE) == point.then.sends
    assert loads(emulator) == point.then.loads + 1
    is_up(stack, THREE)


@CLUSTERS
@each(OF_RESCALE)
def test_a_change_of_settings(stack: Stack, emulator: Emulator, point: Point) -> None:
    """It is one load all along: nothing is loaded again and nothing is unloaded."""
    killed(stack, "update", point, ONE, THREE)
    assert not is_replaced(stack)
    assert next_up(stack, THREE) == point.then.sends
    assert loads(emulator) == 1
    assert sent(emulator, "delete") == []
    is_up(stack, THREE)


@CLUSTERS
def test_a_change_of_settings_that_is_undone(stack: Stack, emulator: Emulator) -> None:
    """The program is as before again, and the service has the change: the refresh shows it."""
    killed(stack, "update", OF_RESCALE["changed, and the answer is lost"], ONE, THREE)
    assert next_up(stack, ONE) == ("rescale",)
    assert loads(emulator) == 1
    is_up(stack, ONE)


@CLUSTERS
def test_a_load_with_other_settings_in_mid_boot(stack: Stack, emulator: Emulator) -> None:
    """What was begun is changed in place, not loaded again."""
    killed(stack, "create", IN_MID_BOOT, ONE)
    assert next_up(stack, THREE) == ("rescale",)
    assert loads(emulator) == 1
    is_up(stack, THREE)


def test_an_update_that_waits_on(stack: Stack, emulator: Emulator) -> None:
    """After a Ctrl-C in mid-boot, and killed as well: the state has named the load all along."""
    with stack.started() as host:
        waiting = host.create_async(ONE.inputs(in_fleet=False), name=URN)
        until_asked(emulator, "status", 3)
        host.cancel()
        stack.put(ONE, waiting.result().outputs)
    killed(stack, "update", Point(asked("status", 4), GOES_ON), ONE)
    assert next_up(stack, ONE) == ()
    assert loads(emulator) == 1
    is_up(stack, ONE)


def test_a_load_that_is_being_taken_over(stack: Stack, emulator: Emulator) -> None:
    """It is taken over again: nothing is loaded, and from then on it is the stack's to unload."""
    emulator.load_by_somebody_else(GPT2)
    killed(stack, "create", Point(asked("status", 3), GOES_ON), ADOPTING)
    assert next_up(stack, ADOPTING) == ()
    assert loads(emulator) == 1
    with stack.host() as host:
        stack.up(host, None)
    is_gone(stack)


@pytest.mark.parametrize("api", API_VERSIONS)
def test_a_request_that_is_taken_between_the_next_ups_status_and_its_load(
    stack: Stack, emulator: Emulator
) -> None:
    """The service refuses the second one, and the journal knows whose the first one was."""
    held = [{"asks": "load", "do": {"delaySeconds": HELD_SECONDS}}]
    killed(stack, "create", Point(asked("load"), LOADS_IT, held), ONE)
    later = [{"asks": "load", "do": {"delaySeconds": HELD_SECONDS + 1}}]
    emulator.set_faults(for_api(stack.api, later))
    with stack.host() as host:
        waiting = host.create_async(ONE.inputs(in_fleet=False), name=URN)
        until_asked(emulator, "load", 2)
        emulator.advance(HELD_SECONDS)
        until(emulator.instances)
        emulator.advance(1)
        until_asked(emulator, "status", 3)
        emulator.advance(BOOT_SECONDS)
        stack.put(ONE, waiting.result().outputs)
    assert [record.status for record in sent(emulator, "load")] == (
        [202, 409] if stack.api == "2025-04" else [200, 429]
    )
    assert loads(emulator) == 1
    is_up(stack, ONE)


class TestAFleet:
    """Its models are in state as soon as they are seen, and one resource waits for them."""

    @pytest.fixture
    def begun(self, stack: Stack, emulator: Emulator) -> Iterator[dict[str, dict[str, Any]]]:
        """Two models that were answered; the host is killed before either is RUNNING."""
        with started(emulator, stack.journal) as host:
            yield load(host)
            host.kill()

    @pytest.mark.parametrize("saved", [(), ("phi",), ("gpt2", "phi")])
    def test_each_model_is_gone_on_with_whatever_the_engine_has_saved(
        self,
        stack: Stack,
        emulator: Emulator,
        begun: dict[str, dict[str, Any]],
        saved: tuple[str, ...],
    ) -> None:
        with stack.host() as host:
            states = {key: begun[key] for key in saved}
            states |= load(host, {key: BOTH[key] for key in BOTH if key not in saved})
            assert states == begun
            ready = host.create_async(readiness(states), name=READY)
            until_asked(emulator, "instances", 1)
            emulator.advance(BOOT_SECONDS)
            assert ready.result().outputs["statuses"] == {"gpt2": "RUNNING", "phi": "RUNNING"}
            for key, state in states.items():
                host.delete(BOTH[key], state, name=model(key))
        assert {one["loads"] for one in emulator.ledger().values()} == {1}
        assert emulator.instances() == []
        assert stack.recorded() == {}

    def test_in_the_wait_for_all(self, stack: Stack, emulator: Emulator) -> None:
        with started(emulator, stack.journal) as host:
            states = load(host)
            waiting = host.create_async(readiness(states), name=READY)
            until_asked(emulator, "instances", 1)
            host.kill()
            with pytest.raises(OperationError):
                waiting.result()
        with stack.host() as host:
            for key, state in states.items():
                assert host.read(BOTH[key], state, name=model(key)).outputs == state
            ready = host.create_async(readiness(states), name=READY)
            until_asked(emulator, "instances", 2)
            emulator.advance(BOOT_SECONDS)
            assert ready.result().outputs["ready"] is True
        assert len(sent(emulator, "load")) == 2
        assert stack.recorded().keys() == {GPT2, BOTH["phi"]}


UNSAVED: dict[tuple[str, str, str], tuple[int, list[Declared | None], tuple[Ask, ...]]] = {
    ("a create is not saved", "the next `up` goes on with the load", "1"): (0, [ONE], ()),
    ("a delete is not saved", "the next `destroy` finds it gone", "1"): (0, [ONE, None], ()),
    (
        "a replacement is not saved after the old load was unloaded",
        "the next `up` loads the new one",
        "2",
    ): (0, [ONE, THREE], ("load",)),
    (
        "a replacement is not saved after the new load is RUNNING",
        "the next `up` goes on with the new load",
        "2",
    ): (1, [ONE, THREE], ()),
}
"""How many saves the backend takes in the last of some deployments, and what the next `up` sends.

The key is the row in the table of states that are older than the truth.
"""


@pytest.mark.parametrize("row", UNSAVED, ids=lambda row: row[0])
def test_a_state_that_is_not_saved(
    stack: Stack, emulator: Emulator, row: tuple[str, str, str]
) -> None:
    saves, ups, sends = UNSAVED[row]
    with stack.host() as host:
        for declared in ups[:-1]:
            stack.up(host, declared)
        before = stack.kept
        stack.engine.saves = saves
        stack.up(host, ups[-1])
    assert stack.result.errors == [NOT_SAVED]
    stack.engine.saves = None
    assert is_replaced(stack) is (saves == 1)
    assert saves == 1 or stack.kept == before
    assert next_up(stack, ups[-1]) == sends
    assert loads(emulator) == int(row[2])
    if ups[-1] is None:
        is_gone(stack)
    else:
        is_up(stack, ups[-1])


ROWS = list(UNSAVED)
"""What is in the table of states that are older than the truth."""


def row(what: str, then: str, count: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Hold a row of that table: what happened, what comes of it, and how many loads there are."""

    def held(test: Callable[..., None]) -> Callable[..., None]:
        ROWS.append((what, then, str(count)))

        @functools.wraps(test)
        def counted(*args: Any, emulator: Emulator, **given: Any) -> None:
            test(*args, emulator=emulator, **given)
            assert loads(emulator) == count

        return counted

    return held


class TestAnOlderState:
    """The state does not name the load: it was not saved, or restored, or is another's."""

    @row(
        "killed in mid-boot, and then a preview",
        "the preview writes nothing; the next `up` goes on with the load",
        1,
    )
    def test_a_preview(self, stack: Stack, emulator: Emulator) -> None:
        killed(stack, "create", IN_MID_BOOT, ONE)
        before = content_of(stack.journal)
        with stack.host() as host:
            stack.preview(host, ONE)
        assert content_of(stack.journal) == before
        assert next_up(stack, ONE) == ()
        is_up(stack, ONE)

    @row("an older state is restored, and then `up`", "the state names the later load again", 2)
    def test_a_restored_state(self, stack: Stack, emulator: Emulator) -> None:
        restored(stack)
        before = content_of(stack.journal)
        with stack.host() as host:
            stack.preview(host, THREE)
        assert content_of(stack.journal) == before
        assert next_up(stack, THREE) == ()
        is_up(stack, THREE)

    @row("an older state is restored, and then `destroy`", "it unloads the later load", 2)
    def test_a_restored_state_and_a_destroy(self, stack: Stack, emulator: Emulator) -> None:
        """Without a refresh, too: the journal alone says whose the load is."""
        restored(stack)
        with stack.host() as host:
            stack.engine.destroy(Process(host, emulator), refresh=False)
        assert emulator.instances() == []
        assert stack.recorded() == {}

    @row(
        "killed in mid-boot, and then `up` on another machine with the same journal",
        "that `up` goes on with the load",
        1,
    )
    def test_another_machine(self, stack: Stack, emulator: Emulator, elsewhere: str) -> None:
        killed(stack, "create", IN_MID_BOOT, ONE)
        stack.env = {"PYTHONPATH": elsewhere}
        assert next_up(stack, ONE) == ()
        is_up(stack, ONE)

    @row(
        "killed in mid-boot, and then `up` on another machine with a journal of its own",
        "that `up` is refused: the load is not by this resource. With `adopt` it takes it over",
        1,
    )
    def test_another_machine_and_journal(
        self, stack: Stack, emulator: Emulator, elsewhere: str, tmp_path: Path
    ) -> None:
        killed(stack, "create", IN_MID_BOOT, ONE)
        stack.env, stack.journal = {"PYTHONPATH": elsewhere}, tmp_path / "another"
        said = refused(stack)
        assert "it is already loaded at concurrency 1 since " in said
        assert "(DEPLOYING), not by this resource. Nothing was changed. Take it over with" in said
        assert next_up(stack, ADOPTING) == ()
        with stack.host() as host:
            stack.up(host, None)
        is_gone(stack)

    @row(
        "killed in mid-boot, and then `up` of a clone with a state of its own",
        "that `up` is refused, and names the stack; the next `up` of that stack goes on",
        1,
    )
    def test_two_clones(self, stack: Stack, emulator: Emulator) -> None:
        stack.env = {"PULUMI_BACKEND_URL": "file:///one"}
        killed(stack, "create", IN_MID_BOOT, ONE)
        clone = Stack(emulator, stack.journal, env={"PULUMI_BACKEND_URL": "file:///other"})
        assert "by 'gpt2' of stack 's', kept in file:///one on machine '" in refused(clone)
        assert next_up(clone, None) == ()
        assert next_up(stack, ONE) == ()
        is_up(stack, ONE)


@pytest.fixture
def elsewhere(tmp_path: Path) -> str:
    """A PYTHONPATH with which a process takes itself to be on another machine."""
    patch = "import platform\nplatform.node = lambda: 'elsewhere'\n"
    (tmp_path / "sitecustomize.py").write_text(patch)
    return f"{tmp_path}{os.pathsep}{ROOT}"


def restored(stack: Stack) -> None:
    """Deploy, change the declaration, deploy again, and restore the first state."""
    with stack.host() as host:
        stack.up(host, ONE)
        stack.up(host, THREE)
    stack.engine.restore(1)


def refused(stack: Stack) -> str:
    """Deploy, and return the error; nothing is sent that changes something."""
    with stack.host() as host:
        assert stack.up(host, ONE) == []
    (error,) = stack.result.errors
    return error


def content_of(journal: Path) -> dict[str, bytes]:
    """Return the records of a journal."""
    return {path.name: path.read_bytes() for path in journal.glob("*.json")}


def table(heading: str) -> list[tuple[str, str, str]]:
    """Return the first three columns of the table under a heading of the document."""
    text = (ROOT / "docs" / "when-killed.md").read_text(encoding="utf-8")
    section = text.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = [line.split(" | ") for line in section.splitlines() if line.startswith("| ")][1:]
    return [(one[0].removeprefix("| "), one[1], one[2]) for one in rows]


@pytest.mark.parametrize(("title", "points"), [("create", OF_CREATE), ("delete", OF_DELETE)])
def test_the_table_in_the_docs_has_every_point(title: str, points: dict[str, Point]) -> None:
    """The moment, what the next `up` does, and how many loads there are in the end."""
    held = [(when, point.then.words, str(point.then.loads)) for when, point in points.items()]
    assert table(f"In a {title}") == held


def test_the_table_of_older_states_has_every_row() -> None:
    assert table("When the state is older than the load") == ROWS
