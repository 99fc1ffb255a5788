"""The cost of a large fleet in a program, in Python calls instead of seconds."""

from __future__ import annotations

import sys
from types import FrameType

import pulumi
import pytest

import bytez_provider as bytez


def calls(count: int) -> int:
    """Return how many calls it takes to declare a fleet of so many models."""
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


@pytest.mark.usefixtures("engine")
def test_the_cost_is_linear_in_the_number_of_models() -> None:
    """Twice the models are about twice the work; it was four times when each waited for all."""
    assert calls(80) < 2.5 * calls(40)
