"""The API of 2025: a load is a cluster, which is changed while it runs, scales and may be off."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from bytez_provider.base.errors import (
    AccountChangedError,
    AlreadyLoadedError,
    NotLoadedError,
    RescaleError,
)
from bytez_provider.core.declared import Granted, MemberInputs, ModelInputs, ModelState
from bytez_provider.core.waiting import Stop
from bytez_provider.emulator import Emulator
from bytez_provider.emulator.fixtures import START
from bytez_provider.emulator.rules import ClusterRules
from bytez_provider.service.wire import Request
from tests.lifecycle.caller import OTHER_URN, FakeCaller
from tests.lifecycle.machine import (
    BOOT_SECONDS,
    ELSEWHERE,
    GPT2,
    KEY,
    OTHER_KEY,
    Machine,
    Process,
    inputs,
    unloading,
)

TEN_MINUTES = 600


class Clusters(Machine):
    """A machine whose deployments use the API of 2025."""

    def process(self, **given: Any) -> Process:
        return super().process(**{"api_version": "2025-04", **given})

    def sent(self) -> list[str]:
        """Return the method of each request so far that can change something."""
        return [r.method for r in self.emulator.requests() if r.method != "GET"]

    def shown(self, model_id: str = GPT2) -> tuple[int | None, int | None, int | None]:
        """Return the settings that the service shows of a model."""
        live = self.process().client.status(model_id)
        assert live is not None
        return live.concurrency, live.max_concurrency, live.expiration_period_seconds

    def run_by_somebody_else(self) -> None:
        """Run a model: without a cluster, the service makes one with its own settings."""
        client = self.process().client
        client.api = type(client.api)(**{**vars(client.api), "run_loads": False})
        assert "".join(client.run(GPT2, "Hello", stream=False))


def cluster_machine(folder: Path, **rules: Any) -> Iterator[Clusters]:
    """Yield a machine at a service whose clusters behave by these rules."""
    with Emulator(
        keys=[KEY, OTHER_KEY],
        clock="manual",
        boot_seconds=rules.pop("boot_seconds", BOOT_SECONDS),
        start=START,
        clusters=ClusterRules(**rules),
    ) as emulator:
        machine = Clusters(emulator, folder / "journal")
        yield machine
        machine.close()


@pytest.fixture
def machine(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Clusters]:
    """A machine; a test may give the rules of clusters."""
    yield from cluster_machine(tmp_path, **getattr(request, "param", {}))


def rules(*either: dict[str, Any]) -> pytest.MarkDecorator:
    """Run a test with each of these rules."""
    return pytest.mark.parametrize("machine", either, indirect=True, ids=str)


def on_patch(status: int, *, error: str | None = None) -> dict[str, Any]:
    """Return a fault that answers each request for other settings, and does nothing."""
    body = {"error": error, "output": None}
    return {"endpoint": "PATCH /models/v2", "do": {"respond": {"status": status, "body": body}}}


class TestCreate:
    @rules({}, {"ready_word": "running"}, {"created_status": 200}, {"envelope": "cluster"})
    def test_it_is_asked_for_once_and_waited_for(self, machine: Clusters) -> None:
        state = machine.create(inputs(concurrency=2, max_concurrency=4))
        assert (state.status, state.created) == ("RUNNING", machine.created())
        assert (state.api_version, state.granted) == ("2025-04", None)
        assert machine.sent() == ["PUT"]
        assert machine.shown() == (2, 4, TEN_MINUTES)

    @rules({"default_timeout": 10}, {"default_timeout": 5}, {"default_max": 10})
    def test_all_settings_are_sent_because_the_defaults_are_in_doubt(
        self, machine: Clusters
    ) -> None:
        machine.create()
        assert machine.shown() == (1, 1, TEN_MINUTES)

    def test_one_that_scales_to_zero_begins_with_one_instance(self, machine: Clusters) -> None:
        state = machine.create(inputs(concurrency=0, max_concurrency=3))
        assert state.status == "RUNNING"
        machine.emulator.advance(300)
        live = machine.process().client.status(GPT2)
        assert live is not None
        assert (live.instances, live.word) == (0, "RUNNING")
        assert machine.seen(state) == state

    def test_whole_minutes_are_said_before_anything_is_sent(self, machine: Clusters) -> None:
        caller = FakeCaller()
        given = {"modelId": GPT2, "expirationPeriodSeconds": 90}
        assert machine.lifecycle.check(given, None, caller).problems == []
        (note,) = caller.notes
        assert "after 120 s idle, not 90" in note
        state = machine.create(inputs(expiration_period_seconds=90))
        assert machine.shown()[2] == 120
        assert machine.seen(state) == state
        assert state.granted is None

    @pytest.mark.parametrize(
        ("given", "name"),
        [
            ({"concurrency": 3, "maxConcurrency": 2}, "maxConcurrency"),
            ({"expirationPeriodSeconds": 86460}, "expirationPeriodSeconds"),
        ],
    )
    def test_what_the_api_cannot_have_is_refused(
        self, machine: Clusters, given: dict[str, int], name: str
    ) -> None:
        found = machine.lifecycle.check({"modelId": GPT2, **given}, None, FakeCaller())
        assert [problem for problem, _ in found.problems] == [name]

    def test_a_range_is_refused_by_the_apis_of_2024(self, machine: Clusters) -> None:
        given = {"modelId": GPT2, "maxConcurrency": 2}
        lifecycle = machine.process(api_version="2024-06").lifecycle
        ((name, reason),) = lifecycle.check(given, None, FakeCaller()).problems
        assert (name, reason) == ("maxConcurrency", "needs bytez:apiVersion 2025-04: leave it out")
        assert machine.emulator.requests() == []


class TestOtherSettingsAtOnce:
    """A new load shows other settings than it was asked for."""

    def changed(self, machine: Clusters, *faults: dict[str, Any]) -> Process:
        """Return a process whose load somebody else changes as soon as it is made."""
        process = machine.process()
        other = machine.process(stack=ELSEWHERE).client

        def change() -> None:
            other.rescale(GPT2, inputs(concurrency=1, expiration_period_seconds=300).asked)
            machine.faults(*faults)

        process.around("load", after=change)
        return process

    @pytest.mark.parametrize("kind", [ModelInputs, MemberInputs])
    def test_what_somebody_else_changed_is_changed_back(
        self, machine: Clusters, kind: type[ModelInputs]
    ) -> None:
        caller = FakeCaller()
        state = self.changed(machine).create(kind(model_id=GPT2, concurrency=3), caller)
        assert (machine.shown(), state.granted, caller.warnings) == ((3, 3, 600), None, [])
        assert machine.sent() == ["PUT", "PATCH", "PATCH"]
        assert machine.seen(state) == state

    @rules({"plan_max": 2})
    def test_less_than_was_asked_for_is_said(self, machine: Clusters) -> None:
        caller, declared = FakeCaller(), inputs(concurrency=3, max_concurrency=4)
        state = machine.create(declared, caller)
        assert state.granted == Granted(concurrency=2, max_concurrency=2)
        assert "runs at concurrency 2, not 3" in caller.warnings[0]
        assert "scales up to 2, not 4" in caller.warnings[1]
        assert (machine.seen(state), machine.update(state, declared)) == (state, state)
        assert machine.sent() == ["PUT", "PATCH"]

    @rules({"plan_max": 2})
    def test_less_than_was_asked_for_of_what_somebody_else_changed(self, machine: Clusters) -> None:
        state = self.changed(machine).create(inputs(concurrency=3))
        assert state.granted == Granted(concurrency=2, max_concurrency=2)
        assert machine.shown() == (2, 2, 600)

    def test_if_that_fails_it_is_a_warning_and_a_refresh_shows_the_difference(
        self, machine: Clusters
    ) -> None:
        caller, declared = FakeCaller(), inputs(concurrency=3)
        refusing = self.changed(machine, on_patch(400, error="no more changes"))
        state = refusing.create(declared, caller)
        assert (state.granted, state.status) == (None, "RUNNING")
        (warning,) = caller.warnings
        assert warning.startswith(f"could not rescale '{GPT2}': the service answered HTTP 400")
        machine.faults()
        found = machine.seen(state)
        assert (found.concurrency, found.expiration_period_seconds) == (1, 300)
        machine.update(found, declared)
        assert machine.shown() == (3, 3, 600)

    def test_one_that_another_deployment_works_on_is_left_to_it(
        self, machine: Clusters, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        caller, process = FakeCaller(), self.changed(machine)
        rescaling = process.ledger.rescaling
        with ExitStack() as others:

            def worked_on(*given: Any) -> Any:
                others.enter_context(unloading(machine.process(), OTHER_URN))
                return rescaling(*given)

            monkeypatch.setattr(process.ledger, "rescaling", worked_on)
            state = process.create(inputs(concurrency=3), caller)
        assert (state.granted, machine.sent()) == (None, ["PUT", "PATCH"])
        (warning,) = caller.warnings
        assert "is unloading it" in warning


class TestRescale:
    @pytest.fixture
    def state(self, machine: Clusters) -> ModelState:
        """A model that runs."""
        return machine.create()

    @pytest.mark.parametrize(
        ("asked", "shown"),
        [
            ({"concurrency": 3}, (3, 3, 600)),
            ({"max_concurrency": 5}, (1, 5, 600)),
            ({"concurrency": 0}, (0, 1, 600)),
            ({"expiration_period_seconds": 60}, (1, 1, 60)),
        ],
    )
    @rules({"patch": "keeps"}, {"patch": "resets"})
    def test_each_setting_is_changed_in_place_by_one_request(
        self, machine: Clusters, state: ModelState, asked: dict[str, Any], shown: tuple[int, ...]
    ) -> None:
        declared = inputs(**asked)
        diff = machine.lifecycle.diff(state, declared.bag(), frozenset(), FakeCaller())
        assert (diff.replaces, diff.updates) == ([], list(asked))
        later = machine.update(state, declared)
        assert machine.sent() == ["PUT", "PATCH"]
        assert machine.shown() == shown
        assert (later.inputs(), later.created) == (declared, state.created)
        assert later.granted is None
        assert machine.seen(later) == later
        # What is left out later gets the defaults again.
        assert machine.update(later).inputs() == state.inputs()
        assert machine.shown() == (1, 1, 600)

    def test_nothing_is_sent_for_an_input_of_our_own(
        self, machine: Clusters, state: ModelState
    ) -> None:
        asked = len(machine.emulator.requests())
        machine.update(state, inputs(on_expiry="accept"))
        assert len(machine.emulator.requests()) == asked

    def test_a_refusal_is_one_sentence_and_the_load_runs_on(
        self, machine: Clusters, state: ModelState
    ) -> None:
        machine.faults(on_patch(400, error="capacity.max must be at most 2"))
        with pytest.raises(RescaleError) as caught:
            machine.update(state, inputs(concurrency=3))
        assert str(caught.value) == (
            f"could not rescale '{GPT2}': the service answered HTTP 400: capacity.max must be at "
            "most 2. It runs on with the settings that it had. Correct what the service names."
        )
        assert machine.shown() == (1, 1, 600)
        machine.faults()
        assert machine.update(state, inputs(concurrency=3)).concurrency == 3

    def test_a_lost_answer_is_asked_for_again(self, machine: Clusters, state: ModelState) -> None:
        machine.faults({"endpoint": "PATCH /models/v2", "first": 1, "do": {"reset": "after"}})
        assert machine.update(state, inputs(concurrency=3)).granted is None
        assert machine.shown() == (3, 3, 600)
        assert machine.sent() == ["PUT", "PATCH", "PATCH"]

    def test_no_answer_at_all(self, machine: Clusters, state: ModelState) -> None:
        machine.faults({"endpoint": "PATCH /models/v2", "do": {"reset": "after"}})
        with pytest.raises(RescaleError, match="with the old settings or the new ones"):
            machine.update(state, inputs(concurrency=3))
        machine.faults()
        later = machine.seen(state)
        assert later.concurrency == 3
        assert machine.update(later, inputs(concurrency=3)).concurrency == 3

    def test_what_the_load_has_scaled_to_is_kept(
        self, machine: Clusters, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        state = machine.create(inputs(concurrency=4))
        process, sent = machine.process(), []
        exchange = process.client._transport.exchange

        def sending(request: Request) -> Any:
            sent.append((request.method, json.loads(request.data or b"{}")))
            return exchange(request)

        monkeypatch.setattr(process.client._transport, "exchange", sending)
        process.update(state, inputs(concurrency=1, max_concurrency=5))
        (changed,) = [body for method, body in sent if method == "PATCH"]
        assert changed["capacity"] == {"min": 1, "desired": 4, "max": 5}

    def test_a_change_that_the_service_takes_and_does_not_make_is_an_error(
        self, machine: Clusters, state: ModelState
    ) -> None:
        machine.faults(on_patch(200))
        with pytest.raises(RescaleError, match="shows concurrency 1, maxConcurrency 1 after"):
            machine.update(state, inputs(concurrency=3))
        machine.faults()
        assert machine.update(state, inputs(concurrency=3)).granted is None

    @rules({"plan_max": 2})
    def test_what_the_service_grants_less_is_said(
        self, machine: Clusters, state: ModelState
    ) -> None:
        caller = FakeCaller()
        later = machine.update(state, inputs(concurrency=3), caller)
        assert later.granted is not None
        assert (later.granted.concurrency, later.granted.max_concurrency) == (2, 2)
        assert "runs at concurrency 2, not 3" in caller.warnings[0]
        assert machine.seen(later) == later
        assert machine.update(later, inputs(concurrency=3)) == later
        assert machine.sent() == ["PUT", "PATCH"]

    def test_settings_of_somebody_else_are_not_taken_for_what_was_granted(
        self, machine: Clusters, state: ModelState
    ) -> None:
        process = machine.process()
        other = machine.process(stack=ELSEWHERE).client
        process.around("rescale", after=lambda: other.rescale(GPT2, inputs(concurrency=2).asked))
        with pytest.raises(RescaleError, match="shows concurrency 2, maxConcurrency 2 after 60 s"):
            process.update(state, inputs(concurrency=3))
        later = machine.update(machine.seen(state), inputs(concurrency=3))
        assert (machine.shown(), later.granted) == ((3, 3, 600), None)

    def test_ctrl_c_keeps_the_new_settings_in_state(
        self, machine: Clusters, state: ModelState
    ) -> None:
        caller = FakeCaller()
        caller.end_at_report(1, Stop.CANCELLED)
        later = machine.update(state, inputs(concurrency=3), caller)
        assert (later.concurrency, later.created) == (3, state.created)
        assert machine.update(machine.seen(later), inputs(concurrency=3)).status == "RUNNING"

    def test_a_load_that_is_gone_is_loaded_with_the_new_settings(
        self, machine: Clusters, state: ModelState
    ) -> None:
        machine.emulator.unload_by_somebody_else(GPT2)
        machine.emulator.advance(100)
        assert machine.update(state, inputs(concurrency=3)).created != state.created
        assert machine.sent() == ["PUT", "PUT"]

    def test_somebody_elses_load_is_left_as_it_is(
        self, machine: Clusters, state: ModelState
    ) -> None:
        machine.usurp()
        with pytest.raises(AlreadyLoadedError):
            machine.update(state, inputs(concurrency=3))
        assert machine.sent() == ["PUT"]

    def test_another_deployment_works_on_it(self, machine: Clusters, state: ModelState) -> None:
        with unloading(machine.process(), OTHER_URN), pytest.raises(AlreadyLoadedError):
            machine.update(state, inputs(concurrency=3))
        assert machine.sent() == ["PUT"]

    def test_the_journal_has_the_settings_that_are_in_force(
        self, machine: Clusters, state: ModelState
    ) -> None:
        machine.update(state, inputs(concurrency=2, max_concurrency=5))
        (record,) = machine.records()
        assert (record.concurrency, record.max_concurrency, record.holder) == (2, 5, None)


class TestTakeOver:
    def test_one_with_other_settings_is_rescaled_and_not_loaded_again(
        self, machine: Clusters
    ) -> None:
        created = machine.emulator.load_by_somebody_else(GPT2)
        state = machine.create(inputs(concurrency=2, adopt=True))
        assert machine.sent() == ["PATCH"]
        assert (state.created, state.adopted_at is not None) == (created, True)
        assert machine.shown()[:2] == (2, 2)
        machine.delete(state)
        assert machine.running() == {}

    def test_one_that_cannot_be_rescaled_remains_somebody_elses(self, machine: Clusters) -> None:
        machine.emulator.load_by_somebody_else(GPT2)
        machine.faults(on_patch(400))
        machine.refused(RescaleError, inputs(concurrency=2, adopt=True))
        assert machine.records() == []

    def test_without_adopt_it_is_refused(self, machine: Clusters) -> None:
        machine.emulator.load_by_somebody_else(GPT2)
        machine.refused(AlreadyLoadedError, inputs(concurrency=2))
        assert machine.sent() == []


class TestExpired:
    @rules({"missing": "404"}, {"missing": "400"}, {"missing": "null"})
    def test_a_cluster_that_deleted_itself_is_loaded_again(self, machine: Clusters) -> None:
        state = machine.create()
        machine.emulator.advance(TEN_MINUTES + BOOT_SECONDS + 1)
        assert machine.read(state) is None
        assert machine.create().created != state.created
        assert machine.sent() == ["PUT", "PUT"]

    @rules({"boot_seconds": 0})
    def test_one_that_a_request_brought_back_is_refused(self, machine: Clusters) -> None:
        state = machine.create(inputs(concurrency=2))
        machine.emulator.advance(TEN_MINUTES + 1)
        machine.run_by_somebody_else()
        assert machine.read(state) is None
        assert "already loaded" in machine.refused(AlreadyLoadedError, inputs(concurrency=2))
        assert machine.sent() == ["PUT", "POST"]

    @rules({"boot_seconds": 0})
    def test_with_adopt_it_is_shown_as_what_it_is_and_healed_in_place(
        self, machine: Clusters
    ) -> None:
        declared = inputs(concurrency=2, expiration_period_seconds=300, adopt=True)
        state = machine.create(declared)
        machine.emulator.advance(301)
        machine.run_by_somebody_else()
        caller = FakeCaller()
        found = machine.seen(state, caller)
        assert "`adopt` takes that load over" in caller.notes[0]
        assert (found.concurrency, found.max_concurrency) == (0, 1)
        assert (found.expiration_period_seconds, found.created) == (600, machine.created())
        diff = machine.lifecycle.diff(found, declared.bag(), frozenset(), FakeCaller())
        assert (diff.replaces, len(diff.updates)) == ([], 3)
        healed = machine.update(found, declared)
        assert machine.sent() == ["PUT", "POST", "PATCH"]
        assert machine.shown() == (2, 2, 300)
        machine.delete(healed)
        assert machine.running() == {}


@rules({"idle": "stops"})
class TestOff:
    def off(self, machine: Clusters, **given: Any) -> tuple[ModelState, ModelState]:
        """Return the state of a model before and after its instances stopped."""
        state = machine.create(inputs(**given))
        machine.emulator.advance(TEN_MINUTES + BOOT_SECONDS + 1)
        return state, machine.seen(state)

    def test_it_is_not_expired_and_the_next_up_starts_it(self, machine: Clusters) -> None:
        state, found = self.off(machine)
        assert (found.status, found.created) == ("OFF", state.created)
        diff = machine.lifecycle.diff(found, inputs().bag(), frozenset(), FakeCaller())
        assert (diff.replaces, diff.updates) == ([], ["status"])
        assert machine.update(found).status == "RUNNING"
        assert machine.sent() == ["PUT", "PATCH"]

    @pytest.mark.parametrize(
        ("given", "status"),
        [({"on_expiry": "accept"}, "OFF"), ({"concurrency": 0}, "RUNNING")],
        ids=str,
    )
    def test_it_may_be_as_it_should_be(
        self, machine: Clusters, given: dict[str, Any], status: str
    ) -> None:
        _, found = self.off(machine, **given)
        assert found.status == status
        declared = inputs(**given)
        assert not machine.lifecycle.diff(found, declared.bag(), frozenset(), FakeCaller()).needed
        assert machine.sent() == ["PUT"]


class TestOtherVersion:
    def test_the_same_load_is_kept_and_rescaled_in_place(self, machine: Clusters) -> None:
        state = machine.process(api_version="2024-05").create()
        caller = FakeCaller()
        diff = machine.lifecycle.diff(state, inputs(concurrency=3).bag(), frozenset(), caller)
        assert (diff.replaces, diff.updates) == ([], ["concurrency"])
        assert "bytez:apiVersion has changed" in caller.warnings[0]
        later = machine.update(state, inputs(concurrency=3))
        assert (later.created, later.api_version) == (state.created, "2025-04")
        caller = FakeCaller()
        machine.lifecycle.diff(later, inputs(concurrency=3).bag(), frozenset(), caller)
        assert caller.warnings == []

    @pytest.mark.parametrize(("was", "now"), [("2024-05", "2025-04"), ("2025-04", "2024-06")])
    def test_not_found_by_the_other_is_no_proof_that_it_is_gone(
        self, machine: Clusters, was: str, now: str
    ) -> None:
        state = machine.process(api_version=was).create()
        machine.emulator.unload_by_somebody_else(GPT2)
        machine.emulator.advance(100)
        changed = machine.process(api_version=now)
        for operation in (changed.read, changed.delete):
            with pytest.raises(AccountChangedError, match="API version"):
                operation(state)
        allowed = machine.process(api_version=now, account_change=True)
        assert allowed.read(state) is None


class TestRead:
    def test_a_model_that_only_a_run_would_load_is_not_run(self, machine: Clusters) -> None:
        with pytest.raises(NotLoadedError):
            list(machine.process().client.run(GPT2, "Hello"))
        assert machine.sent() == []

    def test_drift_of_each_setting(self, machine: Clusters) -> None:
        state = machine.create(inputs(concurrency=2))
        other = machine.process(stack=ELSEWHERE).client
        other.rescale(GPT2, inputs(max_concurrency=4, expiration_period_seconds=300).asked)
        found = machine.seen(state)
        assert (found.concurrency, found.max_concurrency) == (1, 4)
        assert found.expiration_period_seconds == 300

    def test_an_import_has_what_a_program_would_say(self, machine: Clusters) -> None:
        machine.process(stack=ELSEWHERE).create(inputs(concurrency=0, max_concurrency=4))
        found = machine.lifecycle.find(GPT2, FakeCaller())
        assert (found.concurrency, found.max_concurrency) == (0, 4)
        assert found.expiration_period_seconds is None
