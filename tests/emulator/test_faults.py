"""Fault scripts: what is read, what is refused, what matches."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from bytez_provider.emulator.faults import FaultScript, FaultScriptError, Respond

NOW = datetime(2024, 6, 3, tzinfo=timezone.utc)
LOAD, STATUS, DELETE = "/model/load", "/model/status", "/model/delete"
RESET = {"reset": "before"}


def resets(script: FaultScript, path: str = LOAD, model: str | None = "a/b") -> bool:
    return script.judge(path, model, NOW).reset == "before"


def test_a_model_is_a_glob_and_needs_a_model() -> None:
    script = FaultScript([{"model": "micro*/phi-?", "do": RESET}])
    assert resets(script, model="microsoft/phi-1")
    for other in ("Microsoft/phi-1", "microsoft/phi-1.onnx", None):
        assert not resets(script, model=other)


def test_first_counts_only_requests_that_match() -> None:
    script = FaultScript([{"endpoint": LOAD, "first": 2, "do": RESET}])
    struck = [resets(script, path) for path in (LOAD, STATUS, LOAD, LOAD)]
    assert struck == [True, False, True, False]


def test_a_probability_strikes_the_same_requests_every_time() -> None:
    rule = {"probability": 0.3, "seed": 7, "do": RESET}
    runs = [[resets(script) for _ in range(1000)] for script in map(FaultScript, ([rule], [rule]))]
    assert runs[0] == runs[1]
    assert 250 < sum(runs[0]) < 350
    other = FaultScript([{**rule, "seed": 8}])
    assert [resets(other) for _ in range(1000)] != runs[0]
    for probability in (0, 1):
        script = FaultScript([{"probability": probability, "do": RESET}])
        assert {resets(script) for _ in range(100)} == {bool(probability)}


def test_rules_after_an_answer_do_not_count_the_request() -> None:
    script = FaultScript(
        [
            {"first": 1, "do": {"delaySeconds": 2}},
            {"first": 1, "do": {"respond": {"status": 502}}},
            {"first": 1, "do": {"respond": {"status": 503, "body": {"error": "busy"}}}},
            {"do": {"delaySeconds": 3}},
        ]
    )
    verdicts = [script.judge(LOAD, "a/b", NOW) for _ in range(3)]
    assert [verdict.respond for verdict in verdicts] == [
        Respond(502, "", {}),
        Respond(503, {"error": "busy"}, {}),
        None,
    ]
    delays = [timedelta(seconds=2), None, timedelta(seconds=3)]
    assert [one.delayed_until and one.delayed_until - NOW for one in verdicts] == delays


@pytest.mark.parametrize(
    ("rule", "path", "field", "value"),
    [
        ({"do": {"boot": "failed", "error": "no GPU"}}, LOAD, "boot_error", "no GPU"),
        ({"do": {"boot": "never"}}, LOAD, "boot", "never"),
        ({"do": {"shutdownSeconds": 20}}, DELETE, "shutdown_seconds", 20),
        ({"do": {"statusLagSeconds": 20}}, LOAD, "status_lag_seconds", 20),
        ({"endpoint": STATUS, "do": {"statusLagSeconds": 9}}, STATUS, "status_lag_seconds", 9),
    ],
)
def test_a_rule_applies_where_its_effect_makes_sense(
    rule: dict[str, Any], path: str, field: str, value: object
) -> None:
    script = FaultScript([{"first": 1, **rule}])
    for other in {LOAD, STATUS, DELETE, "/model/list"} - {path}:
        assert getattr(script.judge(other, "a/b", NOW), field) != value
    assert getattr(script.judge(path, "a/b", NOW), field) == value


def test_clock_skews_add_up() -> None:
    script = FaultScript([{"do": {"clockSkewSeconds": -90}}, {"do": {"clockSkewSeconds": 30.5}}])
    assert script.judge(STATUS, "a/b", NOW).clock_skew_seconds == -59.5


def test_a_rate_limit_is_a_sliding_second_of_emulated_time() -> None:
    script = FaultScript([{"endpoint": STATUS, "do": {"rateLimitPerSecond": 2}}])

    answers = {
        seconds: script.judge(STATUS, "a/b", NOW + timedelta(seconds=seconds)).respond
        for seconds in (0, 0.5, 0.9, 1.0, 1.1, 1.5, 9)
    }
    limited = Respond(429, {"error": "rate limit exceeded"}, {"retry-after": "1"})
    assert {seconds: answer for seconds, answer in answers.items() if answer} == {
        0.9: limited,
        1.1: limited,
    }
    assert script.judge(LOAD, "a/b", NOW).respond is None


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ({}, "a fault script is a list of rules"),
        ("[]", "a fault script is a list of rules"),
        ([{"do": RESET}, 3], "fault rule 2 is not an object"),
        ([{"do": RESET, "when": 1}], "fault rule 1 has no 'when'; it may have endpoint, model,"),
        ([{"do": RESET, "first": 0}], "'first' must be a whole number of at least 1"),
        ([{"do": RESET, "first": True}], "'first' must be a whole number of at least 1"),
        ([{"do": RESET, "probability": 1.5}], "'probability' must be from 0 to 1"),
        ([{"do": RESET, "probability": "0.5"}], "'probability' must be a number"),
        ([{"do": RESET, "seed": 1}], "has a 'seed' but no 'probability'"),
        ([{"do": RESET, "first": 1, "probability": 1}], "has 'first' and 'probability'"),
        ([{"do": RESET, "model": 3}], "'model' must be a model id or a glob"),
        ([{"do": RESET, "endpoint": ["/model/load"]}], "'endpoint' must be one of /model/list, "),
        ([{}], "'do' must be an object with an effect"),
        ([{"do": {}}], "'do' must have exactly one of respond, delaySeconds, "),
        ([{"do": {"reset": "after", "delaySeconds": 1}}], "'do' must have exactly one of"),
        ([{"do": {"reset": "after", "why": 1}}], "'do' has no 'why'; it may have reset"),
        ([{"do": {"reset": "during"}}], "'reset' must be 'before' or 'after'"),
        ([{"do": {"delaySeconds": -1}}], "'delaySeconds' must be from 0 to a year"),
        ([{"do": {"delaySeconds": float("nan")}}], "'delaySeconds' must be from 0 to a year"),
        ([{"do": {"clockSkewSeconds": 1e9}}], "'clockSkewSeconds' must be within a year"),
        ([{"do": {"rateLimitPerSecond": 0.5}}], "'rateLimitPerSecond' must be a whole number"),
        ([{"do": {"boot": "slow"}}], "'boot' must be 'failed' or 'never'"),
        ([{"do": {"boot": "never", "error": "x"}}], "'boot': only 'failed' may have an 'error'"),
        ([{"do": {"boot": "failed", "error": 5}}], "'boot': only 'failed' may have an 'error'"),
        (
            [{"endpoint": STATUS, "do": {"boot": "never"}}],
            "fault rule 1, 'endpoint' must be /model/load or PUT /models/v2 or POST /models/v2 or ",
        ),
        ([{"do": {"respond": 500}}], "'respond' must be an object with 'status', 'body' and"),
        ([{"do": {"respond": {"status": 99}}}], "'status' must be a whole number of at least 200"),
        ([{"do": {"respond": {"status": 600}}}], "'status' must be from 200 to 599"),
        ([{"do": {"respond": {"status": 200, "text": ""}}}], "'respond' has no 'text'"),
        ([{"do": {"respond": {"status": 200, "body": b""}}}], "'body' must be a text or JSON"),
        ([{"do": {"respond": {"headers": {"a": "b\r\nc: d"}}}}], "'headers' must map names to"),
        ([{"do": {"respond": {"headers": {"a b": "c"}}}}], "'headers' must map names to"),
    ],
)
def test_an_invalid_script_is_refused_with_one_sentence(script: Any, message: str) -> None:
    with pytest.raises(FaultScriptError) as caught:
        FaultScript(script)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
