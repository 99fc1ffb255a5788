"""Declared, begun and running loads compared: pure functions, so every bound is here."""

from __future__ import annotations

from typing import Any

import pytest

from bytez_provider.core.declared import Granted, MemberInputs, ModelInputs, ModelState
from bytez_provider.core.inputs import EXPIRY_MAX_SECONDS, EXPIRY_MIN_SECONDS
from bytez_provider.core.lifecycle._diff import diff, drift_of, granted_of, needs_no_load
from bytez_provider.service.schemas import Instance

GPT2 = "openai-community/gpt2"


def state(**given: Any) -> ModelState:
    return ModelState(**{"model_id": GPT2, "endpoint": "e", "account": "a", **given})


def live(**given: Any) -> Instance:
    return Instance(**{"model_id": GPT2, "status": "RUNNING", **given})


@pytest.mark.parametrize(
    ("old", "new", "needed"),
    [
        (state(status="RUNNING"), ModelInputs(model_id=GPT2), False),
        (state(status="DEPLOYING"), ModelInputs(model_id=GPT2), True),
        (state(status=None), ModelInputs(model_id=GPT2), True),
        (state(status="NOT_LOADED"), ModelInputs(model_id=GPT2), False),
        (state(readiness="fleet"), MemberInputs(model_id=GPT2), False),
        (state(readiness="fleet", status="FAILED"), MemberInputs(model_id=GPT2), True),
        (state(readiness="fleet"), ModelInputs(model_id=GPT2), True),
        (state(status="RUNNING"), MemberInputs(model_id=GPT2), True),
    ],
)
def test_an_update_is_needed(old: ModelState, new: ModelInputs, *, needed: bool) -> None:
    found = diff(old, new, frozenset())
    assert (found.needed, found.replaces) == (needed, [])


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
    assert needs_no_load(state(status=status), kind(model_id=GPT2)) is expected


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
    assert drift_of(old, live(concurrency=concurrency)) == drift


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
    found = drift_of(old, live(expiration_period_seconds=period))
    assert found == ({"expiration_period_seconds": period} if drifts else {})


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (None, None),
        (live(concurrency=2, expiration_period_seconds=600), None),
        (live(), None),
        (live(concurrency=3, expiration_period_seconds=600), Granted(concurrency=3)),
        (live(concurrency=2, expiration_period_seconds=70), Granted(expiration_period_seconds=70)),
    ],
)
def test_what_the_service_granted_differs(seen: Instance | None, expected: Granted | None) -> None:
    inputs = ModelInputs(model_id=GPT2, concurrency=2, expiration_period_seconds=600)
    assert granted_of(inputs, seen) == expected
