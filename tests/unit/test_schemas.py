"""What the API answers is read tolerantly: statuses, moments, odd values."""

from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta, timezone

import pytest

from bytez_provider.service.schemas import (
    DEPLOYING,
    FAILED,
    RUNNING,
    CatalogueEntry,
    Instance,
    Phase,
    iso,
    moment_of,
    phase_of,
    seconds_between,
)

GPT2 = "openai-community/gpt2"
MOMENT = datetime(2024, 5, 27, 23, 35, 35, 863000, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("status", "phase", "word"),
    [
        ("started", Phase.BOOTING, "STARTED"),
        (DEPLOYING, Phase.BOOTING, "DEPLOYING"),
        (RUNNING, Phase.RUNNING, "RUNNING"),
        (" running ", Phase.RUNNING, "RUNNING"),
        ("Failed", Phase.FAILED, FAILED),
        ("stopped", Phase.STOPPED, "STOPPED"),
        ("WARMING_UP\x1b[2J", Phase.BOOTING, "WARMING_UP"),
        ("x" * 100, Phase.BOOTING, "X" * 39 + "…"),
    ],
)
def test_a_status_is_compared_in_any_case_and_an_unknown_one_is_booting(
    status: str, phase: Phase, word: str
) -> None:
    assert phase_of(status) is phase
    instance = Instance(model_id=GPT2, status=status)
    assert (instance.phase, instance.word) == (phase, word)


# ------------------------------------------------------------------------------------ times


@pytest.mark.parametrize(
    "text",
    [
        "2024-05-27T23:35:35.863Z",
        " 2024-05-27T23:35:35.863z ",
        "2024-05-27T23:35:35.863",
        "2024-05-27 23:35:35.863+00:00",
        "2024-05-28T01:35:35.863+02:00",
        "2024-05-27T23:35:35.863000000Z",
    ],
)
def test_a_moment_is_read_in_any_zone(text: str) -> None:
    assert moment_of(text) == MOMENT


def test_fractions_of_any_length_are_read() -> None:
    assert moment_of("2024-05-27T23:35:35.8Z") == MOMENT.replace(microsecond=800000)
    assert moment_of("2024-05-27T23:35:35Z") == MOMENT.replace(microsecond=0)


@pytest.mark.parametrize(
    "text",
    [
        *(None, "", "yesterday", 1716852935, "2024-13-01T00:00:00Z", []),
        "Mon, 27 May 2024 12:00:00 GMT",
        # The ends of a calendar: how Go and others write that there is no moment.
        *("0001-01-01T00:00:00Z", "0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-12:00"),
    ],
)
def test_other_values_are_no_moment(text: object) -> None:
    assert moment_of(text) is None


def test_a_moment_is_written_as_the_api_writes_it_without_loss() -> None:
    assert iso(MOMENT.astimezone(timezone(timedelta(hours=2)))) == "2024-05-27T23:35:35.863Z"
    assert iso(MOMENT.replace(microsecond=0)) == "2024-05-27T23:35:35.000Z"
    fine = MOMENT.replace(microsecond=863001)
    assert moment_of(iso(fine)) == fine


def test_seconds_between_two_moments() -> None:
    later = MOMENT + timedelta(seconds=90.6)
    assert seconds_between(MOMENT, later) == 91
    assert seconds_between(later, MOMENT) == 0
    assert seconds_between(None, later) is None
    assert seconds_between(MOMENT, None) is None


# ---------------------------------------------------------------------- what the API answers


def test_the_status_in_the_vendors_document_is_read() -> None:
    answer = {
        "modelId": GPT2,
        "status": "RUNNING",
        "concurrency": 1,
        "inferences": 0,
        "expirationPeriodSeconds": 1800,
        "expirationPeriodMinutes": 30,
        "expiresAt": "2024-05-28T00:12:18.738Z",
        "created": "2024-05-27T23:35:35.863Z",
        "modified": "2024-05-27T23:42:19.239Z",
    }
    read = Instance.of(answer)
    assert read == Instance(
        model_id=GPT2,
        status="RUNNING",
        concurrency=1,
        inferences=0,
        expiration_period_seconds=1800,
        expires_at=datetime(2024, 5, 28, 0, 12, 18, 738000, tzinfo=timezone.utc),
        created=MOMENT,
        modified=datetime(2024, 5, 27, 23, 42, 19, 239000, tzinfo=timezone.utc),
    )
    with pytest.raises(dataclasses.FrozenInstanceError):
        read.status = "FAILED"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("given", "read"),
    [
        *((2, 2), (2.0, 2), ("2", 2), (0, 0), (2**53, 2**53)),
        *((-1, None), (True, None), (None, None), ("x", None), ([], None), (float("nan"), None)),
        *((10**400, None), ("1e999", None), (1e300, None)),
    ],
)
def test_an_odd_count_reads_as_none(given: object, read: int | None) -> None:
    answer = {"modelId": GPT2, "status": "RUNNING", "concurrency": given}
    assert Instance.of(answer).concurrency == read


def test_other_odd_details_read_as_none() -> None:
    odd_texts: list[object] = [7, None, "", [], {"message": "x"}]
    for odd in odd_texts:
        answer = {"modelId": GPT2, "status": "FAILED", "error": odd, "gpu": odd}
        assert Instance.of(answer) == Instance(model_id=GPT2, status="FAILED")
    for odd in ("yes", 1, None):
        entry = CatalogueEntry.of({"modelId": GPT2, "benchmarked": odd})
        assert entry.benchmarked is None
