"""Waiting for a whole fleet: how it ends for each model, and what the user reads."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest
from inline_snapshot import snapshot

from bytez_provider.base.errors import (
    ApiError,
    AuthenticationError,
    FleetNotReadyError,
    InterruptedLoadError,
)
from bytez_provider.core.declared import ModelState
from bytez_provider.core.waiting import Stop
from bytez_provider.emulator import Emulator
from bytez_provider.service.schemas import Asked
from tests.fleet.crew import (
    GATEWAY,
    LISTS,
    MANY,
    OF_FLEET,
    OPT,
    STATUSES,
    Crew,
    FleetCaller,
    lag,
    of_model,
    waited_for,
)
from tests.lifecycle.machine import (
    BOOT_SECONDS,
    ELSEWHERE,
    GPT2,
    KEY,
    PHI,
    on,
    respond,
    unloading,
)

FAILS = on("load", {"boot": "failed", "error": "out of memory"})
NEVER = on("load", {"boot": "never"})
NO_LIST = on("instances", respond(501, "not here"))


def of(model_id: str, rule: dict[str, Any]) -> dict[str, Any]:
    """Return a fault rule for one model."""
    return {**rule, "model": model_id}


def refusal(crew: Crew, states: dict[str, ModelState], caller: FleetCaller | None = None) -> str:
    """Wait for a fleet that does not come up; return the one sentence."""
    with pytest.raises(FleetNotReadyError) as caught:
        crew.wait(states, caller)
    message = str(caught.value)
    assert "\n" not in message
    return message


def late(crew: Crew, act: Callable[[], object]) -> None:
    """Do something after the wait for the fleet, before what FAILED is unloaded."""
    unload_failed = crew.lifecycle.unload_failed

    def act_first(*given: Any) -> bool:
        act()
        return unload_failed(*given)

    crew.lifecycle.unload_failed = act_first  # type: ignore[method-assign, assignment]


class TestUp:
    @pytest.mark.parametrize("model_ids", [[], [GPT2], [GPT2, PHI, OPT]])
    def test_it_waits_until_all_are_running(self, crew: Crew, model_ids: list[str]) -> None:
        states = crew.load(*model_ids)
        began = crew.emulator.now()
        ready = crew.wait(states)
        assert ready.ready
        assert ready.statuses == dict.fromkeys(states, "RUNNING")
        assert (ready.fleet, ready.members) == ("chat", waited_for(states).members)
        waited = (crew.emulator.now() - began).total_seconds()
        assert waited < BOOT_SECONDS * 1.15
        assert crew.machine.changes() == ["/model/load"] * len(model_ids)

    def test_a_boot_of_minutes_takes_ever_fewer_requests(self, crew: Crew) -> None:
        """Each model's own status is asked once in a while, one a second for all of them."""
        crew.faults(of("many/*", NEVER))
        states = crew.load(*MANY)
        seen = len(crew.emulator.requests())
        refusal(crew, states, FleetCaller(timeout_seconds=300))
        paths = [record.path for record in crew.emulator.requests()[seen:]]
        assert paths.count(LISTS) < 100
        assert 0 < paths.count(STATUSES) <= 300

    def test_a_fleet_without_created_can_be_waited_for(self, crew: Crew) -> None:
        states = crew.load(GPT2, PHI)
        unnamed = {key: state.but(created=None) for key, state in states.items()}
        assert set(crew.wait(unnamed).statuses.values()) == {"RUNNING"}

    def test_trouble_that_passes_is_outlived(self, crew: Crew) -> None:
        states = crew.load(GPT2, PHI, OPT)
        crew.faults(
            on("instances", GATEWAY, first=2),
            on("instances", {"respond": {"status": 429}}, first=4),
            on("status", GATEWAY, first=5),
            on("status", {"respond": {"status": 200, "body": "?"}}, first=7),
        )
        assert set(crew.wait(states).statuses.values()) == {"RUNNING"}


class TestFailed:
    def test_it_is_unloaded_and_named_with_the_reason(self, crew: Crew) -> None:
        crew.faults(of(PHI, FAILS))
        states = crew.load(GPT2, PHI, OPT)
        assert refusal(crew, states) == snapshot(
            "could not bring up the fleet 'chat': 1 of 3 models did not come up: "
            "'microsoft/phi-1' reported FAILED: \"out of memory\", and was unloaded. "
            "The other 2 are left as before. Run `pulumi up --refresh`: it loads the "
            "missing models and waits for the others."
        )
        assert crew.machine.running() == {GPT2: 1, OPT: 1}
        assert crew.machine.changes().count("/model/delete") == 1

    def test_where_unloading_fails_too_it_says_how_to_stop_it(self, crew: Crew) -> None:
        crew.faults(of(PHI, FAILS), on("delete", respond(500)))
        said = refusal(crew, crew.load(GPT2, PHI))
        assert (
            f"'{PHI}' reported FAILED: \"out of memory\", and unloading it failed too (the service "
            "answered HTTP 500: no (5 tries)), so it may still cost money: "
            f"`bytez-fleet unload {PHI} --yes` stops it. The other one is left as before."
        ) in said

    def test_what_recovered_meanwhile_is_left_alone(self, crew: Crew) -> None:
        states = crew.load(GPT2, PHI)
        (phi,) = (one for one in crew.emulator.instances() if one["modelId"] == PHI)
        shown = {"respond": {"status": 200, "body": {**phi, "status": "FAILED"}}}
        crew.faults(NO_LIST, on("status", shown, model=PHI))
        late(crew, crew.faults)
        said = refusal(crew, states)
        assert f"'{PHI}' reported FAILED, and was left alone because it has changed since." in said
        assert crew.machine.running() == {GPT2: 1, PHI: 1}

    def test_what_another_stack_took_over_meanwhile_is_left_alone(self, crew: Crew) -> None:
        crew.faults(of(PHI, FAILS))
        states = crew.load(GPT2, PHI)
        others = crew.machine.process(stack=ELSEWHERE)

        def take_over() -> None:
            live = others.client.status(PHI)
            assert live is not None
            who = others.ledger.who(OF_FLEET)
            others.ledger.adopt(
                others.ledger.judge(PHI, live, who, None),
                live,
                who,
                now=crew.emulator.now(),
                asked=Asked(1),
            )

        late(crew, take_over)
        assert "and was left alone because it has changed since." in refusal(crew, states)
        assert crew.machine.running() == {GPT2: 1, PHI: 1}
        assert crew.machine.changes() == ["/model/load"] * 2

    def test_what_another_deployment_unloads_is_left_to_it(self, crew: Crew) -> None:
        crew.faults(of(PHI, FAILS))
        states = crew.load(GPT2, PHI)
        with ExitStack() as works:
            other = crew.machine.process()
            work = lambda: works.enter_context(unloading(other, of_model("phi-1"), PHI))  # noqa: E731
            late(crew, work)
            said = refusal(crew, states)
        assert "and unloading it failed too ('chat-phi-1' of stack 'dev'" in said
        assert "is unloading it" in said
        assert crew.machine.changes() == ["/model/load"] * 2

    def test_the_words_of_the_service_are_few_and_all_are_named(self, crew: Crew) -> None:
        """At most 300 characters of server text in one error."""
        hostile = "\x1b[31m" + "🔥" * 5000 + "\n"
        crew.faults(on("load", {"boot": "failed", "error": hostile}, model="many/*"))
        said = refusal(crew, crew.load(*MANY[:8]))
        assert said.count("🔥") <= 300
        assert "\x1b" not in said
        assert all(f"'{model_id}' reported FAILED" in said for model_id in MANY[:8])
        assert "No other model is in the fleet" in said


class TestLate:
    def test_it_is_left_to_boot_and_named(self, crew: Crew) -> None:
        crew.faults(of(PHI, NEVER))
        states = crew.load(GPT2, PHI)
        said = refusal(crew, states, FleetCaller(timeout_seconds=90))
        assert f"1 of 2 models did not come up: '{PHI}' was still DEPLOYING after 1m30s" in said
        assert said.endswith(f"If a boot never ends, end it with `bytez-fleet unload {PHI} --yes`.")
        assert crew.machine.running() == {GPT2: 1, PHI: 1}
        assert crew.machine.changes() == ["/model/load"] * 2

    def test_of_several_any_can_be_given_up(self, crew: Crew) -> None:
        crew.faults(NEVER)
        assert "`bytez-fleet unload <model> --yes`." in refusal(crew, crew.load(GPT2, PHI))

    def test_one_that_the_service_never_showed_is_named(self, crew: Crew) -> None:
        states = crew.load(GPT2, PHI)
        crew.faults({"do": GATEWAY})
        said = refusal(crew, states, FleetCaller(timeout_seconds=40))
        assert f"'{PHI}' was not shown by the service after 40s, and is left to boot" in said


class TestLost:
    @pytest.mark.parametrize(
        ("concurrency", "said"),
        [
            (0, "is no longer loaded. The other one is left as before."),
            (7, "was unloaded, and loaded by somebody else"),
        ],
    )
    def test_unloaded_and_perhaps_loaded_by_somebody_else(
        self, crew: Crew, concurrency: int, said: str
    ) -> None:
        def usurp() -> None:
            crew.emulator.unload_by_somebody_else(PHI)
            if concurrency:
                crew.emulator.load_by_somebody_else(PHI, concurrency=concurrency)

        states = crew.load(GPT2, PHI)
        crew.clock.after(10, usurp)
        assert f"'{PHI}' {said}" in refusal(crew, states)
        assert crew.machine.running() == {GPT2: 1, **({PHI: concurrency} if concurrency else {})}
        assert crew.machine.changes() == ["/model/load"] * 2

    def test_not_found_within_a_minute_of_its_acceptance_is_still_booting(self, crew: Crew) -> None:
        states = crew.load(GPT2, PHI)
        crew.faults(*lag(50))
        assert set(crew.wait(states).statuses.values()) == {"RUNNING"}


def slow(emulator: Emulator, model_id: str, looks: int) -> list[dict[str, Any]]:
    """Return faults that show a model as booting for so many looks, each at its own status."""
    (shown,) = (one for one in emulator.instances() if one["modelId"] == model_id)
    still = {"respond": {"status": 200, "body": {**shown, "status": "DEPLOYING"}}}
    return [NO_LIST, on("status", still, model=model_id, first=looks)]


class TestExpired:
    def test_it_has_been_running_so_the_fleet_is_ready_with_a_warning(self, crew: Crew) -> None:
        states = {**crew.load(GPT2, expiration_period_seconds=60), **crew.load(PHI, OPT)}
        crew.faults(*slow(crew.emulator, PHI, looks=45))
        caller = FleetCaller()
        ready = crew.wait(states, caller)
        assert ready.ready
        assert ready.statuses == {"gpt2": "NOT_LOADED", "phi-1": "RUNNING", "opt-1.3b": "RUNNING"}
        (warning,) = caller.warnings
        assert warning == snapshot(
            "'openai-community/gpt2' was RUNNING, and expired before the others were "
            "ready: a longer `expirationPeriodSeconds` keeps it loaded"
        )
        assert crew.machine.running() == {PHI: 1, OPT: 1}

    def test_after_ctrl_c_there_is_no_warning(self, crew: Crew) -> None:
        states = {**crew.load(GPT2, expiration_period_seconds=60), **crew.load(PHI)}
        crew.faults(*slow(crew.emulator, PHI, looks=45))
        caller = FleetCaller()
        crew.clock.after(100, lambda: caller.end(Stop.CANCELLED))
        assert not crew.wait(states, caller).ready
        assert caller.warnings == []


class TestIdle:
    def test_found_unloaded_is_ready_where_that_is_accepted(self, crew: Crew) -> None:
        states = {**crew.load(GPT2, on_expiry="accept"), **crew.load(PHI)}
        crew.clock.after(10, lambda: crew.emulator.unload_by_somebody_else(GPT2))
        caller = FleetCaller()
        ready = crew.wait(states, caller)
        assert ready.ready
        assert ready.statuses == {"gpt2": "NOT_LOADED", "phi-1": "RUNNING"}
        assert crew.machine.changes() == ["/model/load"] * 2


@pytest.fixture
def caller() -> FleetCaller:
    return FleetCaller()


class TestStopped:
    def test_ctrl_c_returns_as_not_ready(self, crew: Crew, caller: FleetCaller) -> None:
        states = crew.load(GPT2, PHI)
        crew.clock.after(5, lambda: caller.end(Stop.CANCELLED))
        ready = crew.wait(states, caller)
        assert not ready.ready
        assert ready.statuses == {"gpt2": "DEPLOYING", "phi-1": "DEPLOYING"}
        assert crew.machine.running() == {GPT2: 1, PHI: 1}

    def test_what_failed_so_far_is_for_the_next_up(self, crew: Crew, caller: FleetCaller) -> None:
        """Somebody who pressed Ctrl-C does not wait for an unload."""
        crew.faults(of(GPT2, FAILS), of(PHI, NEVER))
        states = crew.load(GPT2, PHI)
        crew.clock.after(BOOT_SECONDS * 2, lambda: caller.end(Stop.CANCELLED))
        ready = crew.wait(states, caller)
        assert ready.statuses == {"gpt2": "FAILED", "phi-1": "DEPLOYING"}
        assert crew.machine.changes() == ["/model/load"] * 2

    def test_an_engine_that_is_gone_takes_no_state(self, crew: Crew, caller: FleetCaller) -> None:
        states = crew.load(GPT2, PHI)
        crew.clock.after(5, lambda: caller.end(Stop.ENGINE_GONE))
        with pytest.raises(InterruptedLoadError) as caught:
            crew.wait(states, caller)
        assert str(caught.value) == snapshot(
            "could not bring up the fleet 'chat': the deployment was stopped. Its "
            "models continue to boot, and are in state. Run `pulumi up` again, which "
            "waits for them."
        )


class TestNoAnswer:
    def test_a_refused_key_ends_the_wait(self, crew: Crew) -> None:
        states = crew.load(GPT2, PHI)
        with pytest.raises(AuthenticationError) as caught:
            Crew(crew.machine, key="a-key-that-is-not-known").wait(states)
        assert str(caught.value) == snapshot(
            "could not bring up the fleet 'chat': the service answered HTTP 401: the "
            "API key is not valid. Its models are left as they are, and are in state. "
            "Set a key that is valid with `pulumi config set --secret bytez:key "
            "<key>` or as BYTEZ_KEY, then run `pulumi up` again, which waits for "
            "them."
        )
        assert crew.machine.running() == {GPT2: 1, PHI: 1}

    def test_a_refusal_of_one_model_ends_the_wait_too(self, crew: Crew) -> None:
        states = crew.load(GPT2, PHI)
        crew.faults(NO_LIST, on("status", respond(400, f"no such field, {KEY}"), model=PHI))
        with pytest.raises(ApiError, match="HTTP 400: no such field") as caught:
            crew.wait(states)
        assert KEY not in str(caught.value)
