"""One provider process for a fleet, with the real client and a clock that tests move."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from bytez_provider.core.declared import (
    MemberInputs,
    MemberOfFleet,
    ModelState,
    ReadinessInputs,
    ReadinessState,
)
from bytez_provider.core.lifecycle import Lifecycle
from bytez_provider.core.readiness import Readiness
from bytez_provider.emulator import Emulator
from tests.clocks import EmulatorClock
from tests.lifecycle.caller import FakeCaller
from tests.lifecycle.machine import KEY, Machine, Operations, on

OPT = "facebook/opt-1.3b"
MANY = [f"many/model-{number:02}" for number in range(64)]
FLEET = "chat"
OWN = "urn:pulumi:dev::shop::bytez:index:Fleet$pulumi-python:dynamic/bytez:Readiness::chat-ready"
OF_FLEET = "urn:pulumi:dev::shop::bytez:index:Fleet::chat"
LISTS, STATUSES = "/model/instances", "/model/status"
GATEWAY = {"respond": {"status": 502, "body": "<h1>Bad Gateway</h1>"}}


def lag(seconds: float) -> list[dict[str, Any]]:
    """Return faults by which list and statuses do not show a load for some time."""
    return [on(one, {"statusLagSeconds": seconds}) for one in ("instances", "status")]


def of_model(key: str) -> str:
    """Return the URN of a model of the fleet."""
    return f"urn:pulumi:dev::shop::bytez:index:Fleet$pulumi-python:dynamic/bytez:Model::chat-{key}"


class FleetCaller(FakeCaller):
    """A caller that remembers the lines of each row."""

    def __init__(self, urn: str | None = OWN, *, timeout_seconds: float | None = None) -> None:
        super().__init__(urn, timeout_seconds=timeout_seconds)
        self.rows: list[tuple[str | None, str]] = []

    def report(self, message: str, *, urn: str | None = None) -> None:
        """Remember a line and its row."""
        self.rows.append((urn or self.urn, message))
        super().report(message)

    def shown(self, urn: str | None) -> list[str]:
        """Return the lines of one row, in order."""
        return [message for row, message in self.rows if row == urn]


class PlannedClock(EmulatorClock):
    """A clock on which things happen while somebody waits."""

    def __init__(self, emulator: Emulator) -> None:
        super().__init__(emulator)
        self._plans: list[tuple[float, Callable[[], object]]] = []

    def after(self, seconds: float, action: Callable[[], object]) -> None:
        """Do something after some emulated time."""
        self._plans.append((self.monotonic() + seconds, action))

    def wait(self, seconds: float, wake: threading.Event | None = None) -> None:
        """Advance the emulator, and do what is due."""
        super().wait(seconds, wake)
        due = [plan for plan in self._plans if plan[0] <= self.monotonic()]
        self._plans = [plan for plan in self._plans if plan not in due]
        for _, action in due:
            action()


class Crew(Operations):
    """One provider process, and short ways to use it."""

    def __init__(self, machine: Machine, *, quiet: bool = False, key: str = KEY) -> None:
        self.machine = machine
        self.emulator = machine.emulator
        self.faults = machine.faults
        self.clock = PlannedClock(machine.emulator)
        self.process = machine.process(quiet=quiet, key=key, clock=self.clock)
        self.poller = self.process.waiter.poller
        self.readiness = Readiness(lifecycle=self.lifecycle, waiter=self.process.waiter)

    @property
    def lifecycle(self) -> Lifecycle:
        """The operations of the process."""
        return self.process.lifecycle

    def load(self, *model_ids: str, **given: Any) -> dict[str, ModelState]:
        """Create members of the fleet; return their states by key, the part after the slash."""
        states = {}
        for model_id in model_ids:
            key = key_of(model_id)
            inputs = MemberInputs(model_id=model_id, **given)
            states[key] = self.lifecycle.create(inputs, FakeCaller(of_model(key)))
        return states

    def wait(
        self, states: dict[str, ModelState], caller: FleetCaller | None = None
    ) -> ReadinessState:
        """Wait for members as the readiness does."""
        return self.readiness.wait(waited_for(states), caller or FleetCaller())


def key_of(model_id: str) -> str:
    """Return the key that a model has in the fleets of these tests."""
    return model_id.partition("/")[2]


def waited_for(states: dict[str, ModelState]) -> ReadinessInputs:
    """Return the inputs of the readiness."""
    members = {
        key: MemberOfFleet(
            model_id=state.model_id,
            created=state.created or "",
            accept_idle=state.on_expiry == "accept",
        )
        for key, state in states.items()
    }
    return ReadinessInputs(fleet=FLEET, members=members)
