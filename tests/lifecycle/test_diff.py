"""Declared, begun and running loads compared: pure functions, so every bound is here."""

from __future__ import annotations

from typing import Any

import pytest

from bytez_provider.core.declared import Granted, MemberInputs, ModelInputs, ModelState
from bytez_provider.core.inputs import EXPIRY_MAX_SECONDS, EXPIRY_MIN_SECONDS
from bytez_provider.core.lifecycle._diff import diff, drift_of, granted_of, needs_no_request
from bytez_provider.service.apis import APIS
from bytez_provider.service.schemas import Asked, Instance, Scale
from tests.lifecycle.machine import GPT2, inputs

MEMBER = MemberInputs(model_id=GPT2)

MAY_2024 = APIS["2024-05"]


def state(**given: Any) -> ModelState:
    known = {"model_id": GPT2, "status": "RUNNING", "endpoint": "e", "account": "a"}
    return ModelState(**{**known, **given})


def live(**given: Any) -> Instance:
    return Instance(**{"model_id": GPT2, "status": "RUNNING", **given})


IDLE = state(status="NOT_LOADED", on_expiry="accept")


@pytest.mark.parametrize(
    ("old", "new", "replaces", "updates"),
    [
        (state(), inputs(), [], []),
        (state(), inputs("microsoft/phi-1"), ["model_id"], []),
        (state(), inputs(concurrency=2), ["concurrency"], []),
        (state(), inputs(expiration_period_seconds=600), ["expiration_period_seconds"], []),
        (state(expiration_period_seconds=600), inputs(), ["expiration_period_seconds"], []),
        (state(), inputs(adopt=True), [], ["adopt"]),
        (state(), inputs(on_expiry="accept"), [], ["on_expiry"]),
        (state(), inputs(expected_hours_per_day=8.0), [], ["expected_hours_per_day"]),
        *[
            (state(status=one), inputs(), [], ["status"])
            for one in ("DEPLOYING", "FAILED", "ODD", None)
        ],
        (state(status="NOT_LOADED"), inputs(), [], []),
        (IDLE, inputs(on_expiry="accept"), [], []),
        (IDLE, inputs(), [], ["on_expiry"]),
        (state(concurrency=3, granted=Granted(concurrency=4)), inputs(concurrency=3), [], []),
        # A fleet's readiness says whether its models are RUNNING.
        (state(readiness="fleet", status=None), MEMBER, [], []),
        (state(readiness="fleet", status="FAILED"), MEMBER, [], ["status"]),
        (state(readiness="fleet", status="RUNNING"), inputs(), [], ["readiness", "status"]),
        (state(), MEMBER, [], ["readiness"]),
    ],
)
def test_what_a_change_asks_for(
    old: ModelState, new: ModelInputs, replaces: list[str], updates: list[str]
) -> None:
    found = diff(old, new, frozenset())
    assert (found.replaces, found.updates) == (replaces, updates)
    assert found.needed is bool(replaces or updates)


@pytest.mark.parametrize("name", ["model_id", "concurrency", "adopt"])
def test_an_unknown_value_is_a_change_and_never_a_replacement(name: str) -> None:
    """The value in its place is a default."""
    defaults: dict[str, Any] = {"model_id": "a/b", "concurrency": 1, "adopt": True}
    new = ModelInputs(**{"model_id": GPT2, "concurrency": 4, name: defaults[name]})
    change = diff(state(concurrency=4), new, frozenset([name]))
    assert (change.needed, change.replaces) == (True, [])


@pytest.mark.parametrize(
    ("status", "in_fleet", "expected"),
    [
        ("RUNNING", False, True),
        ("DEPLOYING", False, False),
        ("DEPLOYING", True, True),
        ("FAILED", True, False),
        ("NOT_LOADED", True, False),
    ],
)
def test_a_load_needs_nothing(status: str, *, in_fleet: bool, expected: bool) -> None:
    kind = MemberInputs if in_fleet else ModelInputs
    assert needs_no_request(state(status=status), kind(model_id=GPT2), rescales=False) is expected


@pytest.mark.parametrize(
    ("granted", "concurrency", "drift"),
    [
        (None, 2, {}),
        (None, 3, {"concurrency": 3}),
        (None, None, {}),
        (Granted(concurrency=3), 3, {}),
        (Granted(concurrency=3), 2, {"concurrency": 2}),
    ],
)
def test_drift_of_concurrency(
    granted: Granted | None, concurrency: int | None, drift: dict[str, int]
) -> None:
    old = state(concurrency=2, granted=granted)
    assert drift_of(old, live(concurrency=concurrency), MAY_2024) == drift


@pytest.mark.parametrize(
    ("asked", "granted", "period", "drifts"),
    [
        (600, None, 600, False),
        (600, None, 700, True),
        (600, Granted(expiration_period_seconds=700), 700, False),
        (600, Granted(expiration_period_seconds=700), 600, True),
        (None, None, 700, False),
        (600, None, EXPIRY_MIN_SECONDS, True),
        (600, None, EXPIRY_MIN_SECONDS - 1, False),
        (600, None, EXPIRY_MAX_SECONDS, True),
        (600, None, EXPIRY_MAX_SECONDS + 1, False),
    ],
)
def test_drift_of_the_idle_period(
    asked: int | None, granted: Granted | None, period: int, *, drifts: bool
) -> None:
    """Only a value that an input can have is drift: the state must remain readable."""
    old = state(expiration_period_seconds=asked, granted=granted)
    found = drift_of(old, live(expiration_period_seconds=period), MAY_2024)
    assert found == ({"expiration_period_seconds": period} if drifts else {})


def test_a_maximum_that_cannot_be_declared_is_no_drift() -> None:
    seen = live(concurrency=2, scale=Scale(max_concurrency=0))
    assert drift_of(state(), seen, APIS["2025-04"]) == {"concurrency": 2}


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (live(concurrency=2, expiration_period_seconds=600), None),
        (live(), None),
        (live(concurrency=3, expiration_period_seconds=600), Granted(concurrency=3)),
        (live(concurrency=2, expiration_period_seconds=70), Granted(expiration_period_seconds=70)),
    ],
)
def test_what_the_service_granted_differs(seen: Instance, expected: Granted | None) -> None:
    assert granted_of(MAY_2024, Asked(2, 600), seen) == expected
    # There, somebody else may have changed it since.
    assert granted_of(APIS["2025-04"], Asked(2, 600), seen) is None
