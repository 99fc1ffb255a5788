"""Running the machine, in CI and for as long as wanted."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from bytez_provider.emulator import Emulator
from bytez_provider.emulator.fixtures import START
from tests.stateful import faults
from tests.stateful.books import BOOT_SECONDS
from tests.stateful.machine import KEY, Deployments, Tally


@contextmanager
def served() -> Iterator[Emulator]:
    """Start the service; its time moves only when somebody waits."""
    with Emulator(keys=[KEY], clock="manual", boot_seconds=BOOT_SECONDS, start=START) as emulator:
        faults.let_time_pass(emulator)
        yield emulator


def run(*, examples: int, steps: int, number: int, tally: Tally) -> None:
    """Run a number of examples of at most so many steps; a seed (`number`) repeats them.

    Raises:
        AssertionError: A promise was broken; its notes are the shortest story that breaks it.
    """
    with served() as emulator:

        @seed(number)
        class Seeded(Deployments):
            pass

        Seeded.emulator, Seeded.tally = emulator, tally
        run_state_machine_as_test(
            Seeded,
            settings=settings(
                max_examples=examples,
                stateful_step_count=steps,
                deadline=None,
                database=None,
                report_multiple_bugs=False,
                suppress_health_check=list(HealthCheck),
            ),
        )


def outcome(examples: int, steps: int, number: int) -> tuple[Tally, str | None]:
    """Run examples; return the counts, and the story if a promise was broken."""
    tally = Tally()
    try:
        run(examples=examples, steps=steps, number=number, tally=tally)
    except Exception as error:  # noqa: BLE001 - every error is a finding
        notes = "\n".join(getattr(error, "__notes__", []))
        where = "".join(traceback.format_tb(error.__traceback__)[-3:])
        return tally, f"{where}{type(error).__name__}: {error}\n{notes}"
    return tally, None
