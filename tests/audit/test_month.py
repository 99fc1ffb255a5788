"""The costs of an audit are those of the emulator's ledger, over a month of loads and runs."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timezone

import pytest

from bytez_provider.audit import Audit, Source, assess
from bytez_provider.emulator import Emulator
from bytez_provider.service.catalogue import Catalogue
from bytez_provider.service.client import BytezClient
from bytez_provider.service.pricing import MONTH_HOURS, PRICES
from bytez_provider.service.schemas import Asked
from bytez_provider.service.settings import Key, Settings
from tests.audit.account import CODER, GPT2, PHI, UNPRICED, facts

PRICES_OF_2024 = PRICES["2024-05"]
KEY = "month-key-0123456789"
START = datetime(2024, 5, 1, tzinfo=timezone.utc)
HOUR = 3600
DAY = 24 * HOUR
SHORT_BOOT = 400


@pytest.fixture
def emulator(request: pytest.FixtureRequest) -> Iterator[Emulator]:
    boot = getattr(request, "param", PRICES_OF_2024.boot_seconds)
    with Emulator(keys=[KEY], clock="manual", boot_seconds=boot, start=START) as emulator:
        yield emulator


class Auditor:
    """Audits the account over the socket, and keeps the last cost of each load."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self.client = BytezClient(Settings(endpoint=emulator.url, key=Key(KEY)))
        self.catalogue = Catalogue(self.client.models(), is_live=True)
        self.seen: dict[tuple[str, str], float | None] = {}

    def look(self) -> Audit:
        live = self.client.instances()
        now = self.client.server_now().replace(microsecond=0)
        audit = assess(
            facts(
                live,
                now=now,
                endpoint=self.emulator.url,
                catalogue=self.catalogue,
                sources=[Source("stack", "dev", [])],
            )
        )
        for model in audit.models:
            assert model.created is not None
            self.seen[(model.model_id, model.created)] = model.dollars_so_far
        return audit

    def advance(self, seconds: int) -> None:
        """Let time pass, and look just before each expiry."""
        while True:
            models = self.look().models
            expire = [one.idle_seconds_left for one in models if one.idle_seconds_left is not None]
            # A boot has no expiry yet: look again when it is done.
            up = [SHORT_BOOT - (one.age_seconds or 0) for one in models if not one.idle_since]
            step = min([*expire, *up, seconds])
            if step in expire:
                self.emulator.advance(step - 1)
                self.look()
                self.emulator.advance(1)
            else:
                self.emulator.advance(step)
            seconds -= step
            if not seconds:
                return

    def total(self, model_id: str) -> float | None:
        """Return what all loads of a model have cost; None if one is unknown."""
        costs = [cost for (name, _), cost in self.seen.items() if name == model_id]
        return None if None in costs else sum(filter(None, costs))


# Everything happens at tens of seconds. So no load ends in the first second of a minute, and its
# cost one second before its end is its final cost.
@pytest.mark.parametrize("emulator", [SHORT_BOOT], indirect=True)
def test_costs_are_those_of_the_ledger(emulator: Emulator) -> None:
    chance = random.Random(5)  # noqa: S311 - a schedule, not a secret
    auditor = Auditor(emulator)
    models = (GPT2, PHI, CODER, UNPRICED)
    passed = 0
    while passed < MONTH_HOURS * HOUR:
        live = {one["modelId"]: one["status"] for one in emulator.instances()}
        model_id = chance.choice(models)
        auditor.look()
        if model_id not in live:
            period = chance.choice([None, 300, 3600, 86400])
            auditor.client.load(model_id, Asked(chance.randint(1, 5), period))
        elif chance.random() < 0.3:
            auditor.client.delete(model_id)
        elif live[model_id] == "RUNNING":
            assert "".join(auditor.client.run(model_id, "go on"))
        pause = 10 * chance.randint(1, 720)
        auditor.advance(pause)
        passed += pause

    at_the_end = auditor.look()
    ledger = emulator.ledger()
    assert set(ledger) == set(models)
    for model_id, account in ledger.items():
        loads = [name for name, _ in auditor.seen if name == model_id]
        assert len(loads) == account["loads"] > 5
        if model_id == UNPRICED:
            assert (auditor.total(model_id), account["dollars"]) == (None, None)
        else:
            assert auditor.total(model_id) == pytest.approx(account["dollars"], abs=1e-4)
            assert account["dollars"] > 1
    known = [model.dollars_so_far or 0 for model in at_the_end.models]
    assert at_the_end.totals.dollars_so_far == pytest.approx(sum(known), abs=1e-5)


MONTHS: dict[str, tuple[int | None, float | None, Sequence[tuple[str, float]]]] = {
    "floor": (None, None, [("load", MONTH_HOURS)]),
    "ceiling": (7 * DAY, None, [("load", 1), *[("run", 81)] * 9]),
    # 30 days, and the share of the ten hours that are left of 730.
    "expected": (
        DAY,
        8,
        [step for up in (*[8.0] * 30, 10 / 3) for step in (("load", up), ("delete", 24 - up))],
    ),
}
"""Idle period, declared hours a day, and what is done, each with the hours that pass after it."""


@pytest.mark.parametrize("kind", MONTHS)
def test_a_month_costs_what_was_estimated(emulator: Emulator, kind: str) -> None:
    """Two instances: loaded once and never run; run before each expiry; eight hours a day."""
    period, hours_a_day, steps = MONTHS[kind]
    client = BytezClient(Settings(endpoint=emulator.url, key=Key(KEY)))
    acts: dict[str, Callable[[], object]] = {
        "load": lambda: client.load(PHI, Asked(2, period)),
        "run": lambda: "".join(client.run(PHI, "go on")),
        "delete": lambda: client.delete(PHI),
    }
    for act, hours in steps:
        acts[act]()
        emulator.advance(round(hours * HOUR))
    estimate = PRICES_OF_2024.monthly(
        PRICES_OF_2024.per_second(9.16),
        2,
        expiration_period_seconds=period,
        expected_hours_per_day=hours_a_day,
    )
    spent = emulator.ledger()[PHI]["dollars"]
    # To the cent, up to rounding.
    assert spent == pytest.approx(float(getattr(estimate, kind)), abs=0.005)
