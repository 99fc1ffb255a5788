"""A fleet's wait by clocks that stand still, leap and disagree."""

from __future__ import annotations

import pytest

from bytez_provider.base.errors import FleetNotReadyError
from bytez_provider.core.declared import MemberInputs, ModelState, ReadinessState
from bytez_provider.core.readiness import Readiness
from bytez_provider.emulator import Emulator
from tests.clocks import LaptopClock
from tests.fleet.crew import FleetCaller, key_of, of_model, waited_for
from tests.lifecycle.caller import FakeCaller
from tests.lifecycle.machine import BOOT_SECONDS, GPT2, PHI, Machine

HOUR = 3600.0
IDLE_SECONDS = 1800.0

counted = pytest.mark.parametrize("is_counted", [False, True], ids=["stands still", "leaps"])


class Laptop:
    """A process on a laptop that deploys a fleet of two."""

    def __init__(self, machine: Machine) -> None:
        self.clock = LaptopClock(machine.emulator)
        self._process = machine.process(clock=self.clock)
        waiter = self._process.waiter
        self._readiness = Readiness(lifecycle=self._process.lifecycle, waiter=waiter)

    def load(self) -> dict[str, ModelState]:
        """Have both models accepted."""
        return {
            key_of(model_id): self._process.lifecycle.create(
                MemberInputs(model_id=model_id), FakeCaller(of_model(key_of(model_id)))
            )
            for model_id in (GPT2, PHI)
        }

    def wait(self, caller: FleetCaller) -> ReadinessState:
        """Wait for both."""
        return self._readiness.wait(waited_for(self.load()), caller)


@pytest.fixture
def laptop(machine: Machine) -> Laptop:
    return Laptop(machine)


@counted
def test_what_expired_in_a_sleep_is_named(
    laptop: Laptop, emulator: Emulator, is_counted: bool
) -> None:
    caller = FleetCaller(timeout_seconds=600)
    caller.at_report(4, lambda: laptop.clock.sleep(2 * IDLE_SECONDS, is_counted=is_counted))
    with pytest.raises(FleetNotReadyError, match="2 of 2 models did not come up") as caught:
        laptop.wait(caller)
    assert str(caught.value).count("is no longer loaded") == 2
    assert emulator.instances() == []


@pytest.mark.parametrize("ahead", [-HOUR, HOUR])
def test_a_wall_clock_that_jumps_changes_nothing(laptop: Laptop, ahead: float) -> None:
    caller = FleetCaller(timeout_seconds=60)
    caller.at_report(4, lambda: laptop.clock.set_wall(ahead))
    assert laptop.wait(caller).ready
    assert laptop.clock.monotonic() <= BOOT_SECONDS * 1.5


@pytest.mark.parametrize("skew", [-HOUR, HOUR])
def test_one_that_is_gone_is_noticed_by_any_date(
    laptop: Laptop, emulator: Emulator, skew: float
) -> None:
    """By a `Date` an hour late every load was young, and "not found" was "not yet" to the limit."""
    emulator.set_faults([{"do": {"clockSkewSeconds": skew}}, {"do": {"boot": "never"}}])
    caller = FleetCaller(timeout_seconds=1200)
    caller.at_report(4, lambda: emulator.unload_by_somebody_else(PHI))
    caller.at_report(5, lambda: emulator.unload_by_somebody_else(GPT2))
    with pytest.raises(FleetNotReadyError, match="2 of 2 models did not come up"):
        laptop.wait(caller)
    assert laptop.clock.monotonic() <= 130
