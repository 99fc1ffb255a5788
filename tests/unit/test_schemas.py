"""What the API answers is read tolerantly; what users declare is held strictly."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from pydantic import ValidationError

from bytez_provider.core.declared import Granted, ModelInputs, ModelState, problems_of
from bytez_provider.service.schemas import CatalogueEntry, Instance, Phase, iso, moment_of, phase_of

GPT2 = "openai-community/gpt2"
MOMENT = datetime(2024, 5, 27, 23, 35, 35, 863000, tzinfo=timezone.utc)

# --------------------------------------------------------------------------------- statuses


@pytest.mark.parametrize(
    ("status", "phase"),
    [
        ("started", Phase.BOOTING),
        ("DEPLOYING", Phase.BOOTING),
        ("RUNNING", Phase.RUNNING),
        (" running ", Phase.RUNNING),
        ("Failed", Phase.FAILED),
        ("stopped", Phase.STOPPED),
        ("WARMING_UP", Phase.BOOTING),
        ("", Phase.BOOTING),
    ],
)
def test_a_status_is_compared_in_any_case_and_an_unknown_one_is_still_going(
    status: str, phase: Phase
) -> None:
    assert phase_of(status) is phase
    assert Instance(model_id=GPT2, status=status).phase is phase


# ------------------------------------------------------------------------------------ times


@pytest.mark.parametrize(
    "text",
    [
        "2024-05-27T23:35:35.863Z",
        " 2024-05-27T23:35:35.863z ",
        "2024-05-27T23:35:35.863",
        "2024-05-27 23:35:35.863+00:00",
        "2024-05-28T01:35:35.863+02:00",
        "2024-05-27T23:35:35.863000Z",
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
        # The first and the last of a calendar: how Go and others write that there is none.
        *("0001-01-01T00:00:00Z", "0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59.999Z"),
    ],
)
def test_what_is_no_moment_is_none(text: object) -> None:
    assert moment_of(text) is None


def test_a_moment_is_written_as_the_api_writes_it() -> None:
    assert iso(MOMENT) == "2024-05-27T23:35:35.863Z"
    assert iso(MOMENT.astimezone(timezone(timedelta(hours=2)))) == "2024-05-27T23:35:35.863Z"
    assert iso(MOMENT.replace(microsecond=0)) == "2024-05-27T23:35:35.000Z"


def test_a_finer_moment_survives_the_round_trip() -> None:
    fine = MOMENT.replace(microsecond=863001)
    assert moment_of(iso(fine)) == fine


# ---------------------------------------------------------------------- what the API answers


def test_the_seeds_own_status_is_read() -> None:
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
    assert Instance.model_validate(answer) == Instance(
        model_id=GPT2,
        status="RUNNING",
        concurrency=1,
        inferences=0,
        expiration_period_seconds=1800,
        expires_at=datetime(2024, 5, 28, 0, 12, 18, 738000, tzinfo=timezone.utc),
        created=MOMENT,
        modified=datetime(2024, 5, 27, 23, 42, 19, 239000, tzinfo=timezone.utc),
    )


@pytest.mark.parametrize(
    ("told", "read"),
    [
        (2, 2),
        (2.0, 2),
        ("2", 2),
        (0, 0),
        (-1, None),
        (True, None),
        (None, None),
        ("x", None),
        ([], None),
        (float("nan"), None),
        (float("inf"), None),
        (10**400, None),
        ("1e999", None),
        (2**53, 2**53),
        (1e300, None),
    ],
)
def test_a_count_that_is_none_reads_as_none(told: object, read: int | None) -> None:
    answer = {"modelId": GPT2, "status": "RUNNING", "concurrency": told}
    assert Instance.model_validate(answer).concurrency == read


@pytest.mark.parametrize("told", [7, None, "", [], {"message": "x"}])
def test_an_error_that_is_no_text_reads_as_none(told: object) -> None:
    answer = {"modelId": GPT2, "status": "FAILED", "error": told}
    assert Instance.model_validate(answer).error is None


def test_what_nobody_asked_about_is_ignored() -> None:
    answer = {"modelId": GPT2, "status": "RUNNING", "gpu": {"kind": "A100"}}
    assert Instance.model_validate(answer) == Instance(model_id=GPT2, status="RUNNING")


@pytest.mark.parametrize("told", ["yes", 1, None])
def test_a_flag_that_is_none_reads_as_none(told: object) -> None:
    entry = CatalogueEntry.model_validate({"modelId": GPT2, "benchmarked": told})
    assert entry.benchmarked is None


def test_an_answer_does_not_change() -> None:
    with pytest.raises(ValidationError):
        Instance(model_id=GPT2, status="RUNNING").status = "FAILED"  # type: ignore[misc]


# ------------------------------------------------------------------------ what users declare


def declare(**given: Any) -> ModelInputs:
    return ModelInputs.model_validate({"modelId": GPT2, **given})


def problem(**given: Any) -> tuple[str, str]:
    with pytest.raises(ValidationError) as caught:
        declare(**given)
    [only] = problems_of(caught.value)
    return only


def test_the_defaults() -> None:
    assert declare().bag() == {
        "modelId": GPT2,
        "concurrency": 1,
        "adopt": False,
        "onExpiry": "reload",
    }


def test_numbers_come_as_floats() -> None:
    inputs = declare(concurrency=2.0, expirationPeriodSeconds=600.0, expectedHoursPerDay=8)
    assert inputs.bag() == {
        "modelId": GPT2,
        "concurrency": 2,
        "expirationPeriodSeconds": 600,
        "adopt": False,
        "onExpiry": "reload",
        "expectedHoursPerDay": 8.0,
    }
    assert isinstance(inputs.concurrency, int)
    assert isinstance(inputs.expiration_period_seconds, int)


@pytest.mark.parametrize(
    "value", [True, False, 0, -1, 1.5, "2", None, [], float("nan"), float("inf")]
)
def test_concurrency_is_a_whole_number_of_at_least_one(value: object) -> None:
    name, reason = problem(concurrency=value)
    assert name == "concurrency"
    assert reason.startswith("must be a whole number of at least 1, not ")


@pytest.mark.parametrize("value", [60, 604800])
def test_an_expiry_from_a_minute_to_a_week(value: int) -> None:
    assert declare(expirationPeriodSeconds=value).expiration_period_seconds == value


@pytest.mark.parametrize("value", [59, 604801, 0, True, "600", 600.5])
def test_any_other_expiry_is_refused(value: object) -> None:
    name, reason = problem(expirationPeriodSeconds=value)
    assert name == "expirationPeriodSeconds"
    assert reason.startswith("must be a whole number of seconds from 60 to 604800, not ")


@pytest.mark.parametrize("value", [GPT2, "a/b", "01-ai/Yi-1.5_x"])
def test_a_model_id_has_an_owner_and_a_name(value: str) -> None:
    assert declare(modelId=value).model_id == value


@pytest.mark.parametrize(
    "value",
    ["gpt2", "a/b/c", "/b", "a/", "a b/c", "a/b\n", "a/.b", "a/b?", "", 7, None, "ä/b", "a\x00/b"],
)
def test_any_other_model_id_is_refused(value: object) -> None:
    assert problem(modelId=value) == (
        "modelId",
        "must be a model id of the form 'owner/name', as 'openai-community/gpt2'",
    )


@pytest.mark.parametrize("value", [0, 24, 7.5])
def test_hours_of_a_day(value: float) -> None:
    assert declare(expectedHoursPerDay=value).expected_hours_per_day == value


@pytest.mark.parametrize("value", [-1, 24.1, True, "8", float("nan")])
def test_any_other_hours_are_refused(value: object) -> None:
    name, reason = problem(expectedHoursPerDay=value)
    assert name == "expectedHoursPerDay"
    assert reason.startswith("must be a number of hours from 0 to 24, not ")


@pytest.mark.parametrize(
    ("given", "name", "reason"),
    [
        ({"adopt": "yes"}, "adopt", "must be true or false, not 'yes'"),
        ({"adopt": 1}, "adopt", "must be true or false, not 1"),
        ({"onExpiry": "stop"}, "onExpiry", "must be 'reload' or 'accept', not 'stop'"),
        ({"onExpiry": []}, "onExpiry", "must be 'reload' or 'accept', not []"),
        (
            {"concurency": 2},
            "concurency",
            (
                "is not an argument; the arguments are modelId, concurrency,"
                " expirationPeriodSeconds, adopt, onExpiry, expectedHoursPerDay"
            ),
        ),
    ],
)
def test_what_is_wrong_is_named_as_in_state(
    given: dict[str, object], name: str, reason: str
) -> None:
    assert problem(**given) == (name, reason)


def test_everything_that_is_wrong_is_named() -> None:
    with pytest.raises(ValidationError) as caught:
        ModelInputs.model_validate({"concurrency": 0, "adopt": 7})
    assert [name for name, _ in problems_of(caught.value)] == ["modelId", "concurrency", "adopt"]


def test_what_is_wrong_is_told_on_one_short_line() -> None:
    for name, reason in (problem(adopt="y" * 10_000), problem(**{"\x1b[31m\n\u202ex": 1})):
        assert name.isprintable()
        assert reason.isprintable()
        assert len(name) + len(reason) <= 400


def test_python_names_are_arguments_too() -> None:
    assert ModelInputs(model_id=GPT2, on_expiry="accept") == declare(onExpiry="accept")


# ------------------------------------------------------------------------------------ state


def test_state_holds_inputs_and_what_was_learned() -> None:
    state = ModelState(
        **declare(concurrency=2).model_dump(),
        status="RUNNING",
        created="2024-05-27T23:35:35.863Z",
        granted=Granted(concurrency=1),
        required_ram_gb=0.5,
        endpoint="https://api.bytez.com",
        account="0123456789ab",
    )
    bag = state.bag()
    assert bag == {
        "modelId": GPT2,
        "concurrency": 2,
        "adopt": False,
        "onExpiry": "reload",
        "status": "RUNNING",
        "created": "2024-05-27T23:35:35.863Z",
        "granted": {"concurrency": 1},
        "requiredRamGb": 0.5,
        "endpoint": "https://api.bytez.com",
        "account": "0123456789ab",
    }
    assert ModelState.model_validate(bag) == state
    assert state.inputs() == declare(concurrency=2)
