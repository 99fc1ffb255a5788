"""What is shown while a fleet boots: one row a model, and the count in the fleet's own."""

from __future__ import annotations

import re

import pytest

from bytez_provider.base.errors import FleetNotReadyError
from bytez_provider.core.declared import ModelState
from bytez_provider.core.readiness import Readiness
from tests.fleet.crew import OF_FLEET, OPT, OWN, Crew, FleetCaller, of_model, waited_for
from tests.lifecycle.machine import BOOT_SECONDS, GPT2, PHI, Machine, on

NEVER = on("load", {"boot": "never"}, model=PHI)
# A boot of 30 s; by the whole seconds of the `Date` header it may be one less.
BOOTED = r"RUNNING after (29|3\d)s"
NESTED = "urn:pulumi:dev::shop::my:app:Site$bytez:index:Fleet"


@pytest.fixture
def caller() -> FleetCaller:
    return FleetCaller(timeout_seconds=900)


def late(crew: Crew, states: dict[str, ModelState], caller: FleetCaller) -> None:
    """Wait for a fleet that does not come up within the caller's limit."""
    with pytest.raises(FleetNotReadyError):
        crew.wait(states, caller)


class TestWhere:
    def test_each_models_row_and_the_fleets_and_its_own(
        self, crew: Crew, caller: FleetCaller
    ) -> None:
        crew.wait(crew.load(GPT2, PHI), caller)
        assert {row for row, _ in caller.rows} == {
            of_model("gpt2"),
            of_model("phi-1"),
            OF_FLEET,
            OWN,
        }
        assert caller.shown(OWN) == caller.shown(OF_FLEET)

    def test_also_of_a_fleet_within_another_component(self, crew: Crew) -> None:
        caller = FleetCaller(f"{NESTED}$pulumi-python:dynamic/bytez:Readiness::chat-ready")
        crew.wait(crew.load(GPT2), caller)
        assert {row for row, _ in caller.rows} == {
            f"{NESTED}$pulumi-python:dynamic/bytez:Model::chat-gpt2",
            f"{NESTED}::chat",
            caller.urn,
        }

    @pytest.mark.parametrize(
        "urn", [None, "urn:pulumi:dev::shop::pulumi-python:dynamic/bytez:Readiness::chat-ready"]
    )
    def test_in_its_own_row_only_where_the_others_are_not_known(
        self, crew: Crew, urn: str | None
    ) -> None:
        caller = FleetCaller(urn)
        crew.wait(crew.load(GPT2), caller)
        assert {row for row, _ in caller.rows} == {urn}
        assert caller.shown(urn)[-1] == "1 of 1 running"

    def test_a_name_with_colons_is_a_name(self, crew: Crew) -> None:
        inputs = waited_for(crew.load(GPT2)).but(fleet="a::b")
        caller = FleetCaller(OWN.replace("chat-ready", "a::b-ready"))
        crew.readiness.wait(inputs, caller)
        assert caller.shown(OF_FLEET.replace("chat", "a::b"))[-1] == "1 of 1 running"


class TestLive:
    def test_a_models_row_has_age_stage_and_limit(self, crew: Crew, caller: FleetCaller) -> None:
        crew.wait(crew.load(GPT2, PHI), caller)
        *going, last = caller.shown(of_model("gpt2"))
        assert going[0] == "0s DEPLOYING, limit 15m"
        assert all(re.fullmatch(r"\d+s DEPLOYING, limit 15m", line) for line in going)
        assert re.fullmatch(BOOTED, last)

    def test_the_count_and_the_age_of_the_oldest(self, crew: Crew, caller: FleetCaller) -> None:
        crew.faults(NEVER)
        first = crew.load(PHI)
        crew.emulator.advance(100)
        late(crew, {**first, **crew.load(GPT2, OPT)}, caller)
        counts = caller.shown(OF_FLEET)
        # A `Date` has whole seconds.
        assert counts[0] in {f"0 of 3 running, oldest 1m{age}s" for age in (39, 40)}
        assert re.fullmatch(r"2 of 3 running, oldest 16m\d\ds", counts[-1])

    def test_not_seen_yet_it_is_accepted(self, crew: Crew, caller: FleetCaller) -> None:
        states = crew.load(GPT2, PHI)
        crew.faults({"first": 2, "do": {"respond": {"status": 502, "body": ""}}})
        crew.wait(states, caller)
        assert caller.shown(of_model("gpt2"))[0] == "0s accepted, no answer now, limit 15m"

    def test_what_was_running_before_is_not_spoken_of(
        self, crew: Crew, caller: FleetCaller
    ) -> None:
        """One model is added to a fleet: a line of another would say that it was touched."""
        first = crew.load(GPT2, PHI)
        crew.emulator.advance(BOOT_SECONDS)
        crew.wait({**first, **crew.load(OPT)}, caller)
        assert caller.shown(of_model("gpt2")) == []
        assert re.fullmatch(BOOTED, caller.shown(of_model("opt-1.3b"))[-1])
        assert caller.shown(OF_FLEET)[0].startswith("2 of 3 running")

    def test_the_word_of_the_service_cannot_move_the_cursor(
        self, crew: Crew, caller: FleetCaller
    ) -> None:
        states = crew.load(GPT2)
        word = {**crew.emulator.instances()[0], "status": "warm\x1b[2Jing " + "x" * 500}
        odd = {"endpoint": "/model/status", "first": 3}
        crew.faults({**odd, "do": {"respond": {"status": 200, "body": word}}})
        crew.wait(states, caller)
        shown = caller.shown(of_model("gpt2"))[0]
        assert "WARM ING XXX" in shown
        assert len(shown) < 80


class TestWhereEachLineIsKept:
    """As where `CI` is set: a line on a change, else the count once a minute."""

    @pytest.fixture
    def quiet(self, machine: Machine) -> Readiness:
        return Crew(machine, quiet=True).readiness

    def test_a_models_line_on_a_change_only(
        self, crew: Crew, quiet: Readiness, caller: FleetCaller
    ) -> None:
        quiet.wait(waited_for(crew.load(GPT2, PHI)), caller)
        lines = caller.shown(of_model("gpt2"))
        assert [re.sub(r"\d+s", "_", line) for line in lines] == [
            "_ DEPLOYING, limit 15m",
            "RUNNING after _",
        ]

    def test_the_count_on_a_change_and_once_a_minute(
        self, crew: Crew, quiet: Readiness, caller: FleetCaller
    ) -> None:
        crew.faults(NEVER)
        inputs = waited_for(crew.load(GPT2, PHI))
        with pytest.raises(FleetNotReadyError):
            quiet.wait(inputs, caller)
        counts = [line.partition(",")[0] for line in caller.shown(OF_FLEET)]
        assert counts[:2] == ["0 of 2 running", "1 of 2 running"]
        assert set(counts[2:]) == {"1 of 2 running"}
        assert 13 <= len(counts[2:]) <= 15

    def test_it_is_one_line_and_not_two(
        self, crew: Crew, quiet: Readiness, caller: FleetCaller
    ) -> None:
        quiet.wait(waited_for(crew.load(GPT2)), caller)
        assert caller.shown(OWN) == []
