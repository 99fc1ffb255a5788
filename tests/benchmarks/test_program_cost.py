"""What a program pays for a large fleet, in calls of Python's rather than in seconds."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any

import pulumi
import pytest

import bytez_provider as bytez


class Engine(pulumi.runtime.Mocks):
    """Answers as the engine does once all models run."""

    def new_resource(
        self, args: pulumi.runtime.MockResourceArgs
    ) -> tuple[str | None, dict[Any, Any]]:
        """Register a resource."""
        if args.typ.endswith(":Readiness"):
            statuses = dict.fromkeys(args.inputs["members"], "RUNNING")
            return "fleet", {**args.inputs, "ready": True, "statuses": statuses}
        created = {"created": "2024-05-27T23:35:35.863Z", "requiredRamGb": 0.5}
        return args.inputs.get("modelId", ""), {**args.inputs, **created}

    def call(self, args: pulumi.runtime.MockCallArgs) -> Any:
        """Answer no function call: there is none."""
        raise AssertionError(args.token)


@pytest.fixture
def _engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("PULUMI_CONFIG_SECRET_KEYS", raising=False)
    pulumi.runtime.set_mocks(Engine(), project="fleet", stack="dev", preview=False)
    pulumi.runtime.set_all_config({})
    yield
    pulumi.runtime.set_all_config({})


def calls(count: int) -> int:
    """Return how many calls a program makes that declares a fleet of so many models."""
    models = {f"m{n}": bytez.ModelArgs(model_id=f"owner/m{n}") for n in range(count)}
    made = 0

    def note(_frame: FrameType, event: str, _arg: object) -> None:
        nonlocal made
        made += event == "call"

    def program() -> pulumi.Output[None]:
        fleet = bytez.Fleet("fleet", models=models)
        return pulumi.Output.all(fleet.total_required_ram_gb, fleet["m1"].status).apply(seen.extend)

    seen: list[object] = []
    sys.setprofile(note)
    try:
        pulumi.runtime.test(program)()  # type: ignore[no-untyped-call]
    finally:
        sys.setprofile(None)
    assert seen == [count * 0.5, "RUNNING"]
    return made


@pytest.mark.usefixtures("_engine")
def test_a_program_pays_for_each_model_once() -> None:
    """Twice the models are about twice the work; four times if each waited for all on its own."""
    assert calls(80) < 2.5 * calls(40)
