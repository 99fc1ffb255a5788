"""Fault scripts: what goes wrong, on which requests.

Every rule that matches a request applies, in the order of the script, until one of them answers the
request or cuts it off. The rules after that one neither match nor count the request.
"""

from __future__ import annotations

import json
import random
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any, Literal

ENDPOINTS = (
    "/model/list",
    "/model/load",
    "/model/status",
    "/model/run",
    "/model/instances",
    "/model/delete",
    "PUT /models/v2",
    "GET /models/v2",
    "PATCH /models/v2",
    "DELETE /models/v2",
    "POST /models/v2",
    "/models/v2/list/clusters",
    "/models/v2/list/models",
    "/models/v2/list/tasks",
)
"""Every endpoint: its path, or for a path with a model the method before it."""
_MOST_SECONDS = 366 * 24 * 3600


class FaultScriptError(ValueError):
    """A fault script is invalid; the message names the rule, counted from 1."""


@dataclass(frozen=True)
class Respond:
    """An answer instead of the service's own."""

    status: int
    body: Any
    """A string is sent as it is, anything else as JSON."""
    headers: Mapping[str, str]


RATE_LIMITED = Respond(429, {"error": "rate limit exceeded"}, {"retry-after": "1"})
RATE_LIMITED_2025 = Respond(
    429, {"error": "Rate limit exceeded", "output": None}, {"retry-after": "1"}
)


@dataclass
class Verdict:
    """What the script does to one request. Times are in seconds of emulated time."""

    respond: Respond | None = None
    reset: Literal["before", "after"] | None = None
    delayed_until: datetime | None = None
    boot: Literal["running", "failed", "never"] = "running"
    boot_error: str | None = None
    shutdown_seconds: float = 0
    status_lag_seconds: float = 0
    clock_skew_seconds: float = 0

    @property
    def is_final(self) -> bool:
        """Whether the service itself never sees the request."""
        return self.respond is not None or self.reset == "before"


Effect = Callable[[Verdict, datetime], None]
"""Writes into the verdict what a rule does to a request that arrived at a moment."""


@dataclass
class Rule:
    """One rule of a script, and how often it has matched."""

    effect: Effect
    endpoints: Sequence[str]
    """Empty matches every endpoint."""
    model: str | None
    first: int | None
    probability: float | None
    random: random.Random = field(repr=False)
    matched: int = 0

    def matches(self, endpoint: str, model: str | None) -> bool:
        """Return whether the rule applies to a request, and count the match."""
        if self.endpoints and endpoint not in self.endpoints:
            return False
        if self.model is not None and (model is None or not fnmatchcase(model, self.model)):
            return False
        if self.probability is not None and self.random.random() >= self.probability:
            return False
        self.matched += 1
        return self.first is None or self.matched <= self.first


class FaultScript:
    """The rules in force.

    Raises:
        FaultScriptError: one sentence about the first mistake.
    """

    def __init__(self, rules: object) -> None:
        if not isinstance(rules, Sequence) or isinstance(rules, (str, bytes)):
            raise FaultScriptError("a fault script is a list of rules")
        self._rules = [_rule(rule, f"fault rule {n}") for n, rule in enumerate(rules, start=1)]

    def judge(self, endpoint: str, model: str | None, now: datetime) -> Verdict:
        """Return what happens to a request. Call it once for each request, on arrival."""
        verdict = Verdict()
        for rule in self._rules:
            if verdict.is_final:
                break
            if rule.matches(endpoint, model):
                rule.effect(verdict, now)
        if verdict.respond is RATE_LIMITED and "/models/v2" in endpoint:
            verdict.respond = RATE_LIMITED_2025
        return verdict


# ---------------------------------------------------------------------------------- rules


def _rule(rule: object, where: str) -> Rule:
    if not isinstance(rule, Mapping):
        raise FaultScriptError(f"{where} is not an object")
    _only(rule, ("endpoint", "model", "first", "probability", "seed", "do"), where)
    if "first" in rule and "probability" in rule:
        raise FaultScriptError(f"{where} has 'first' and 'probability'; it may have one of them")
    if "seed" in rule and "probability" not in rule:
        raise FaultScriptError(f"{where} has a 'seed' but no 'probability'")
    first = _whole(rule["first"], 1, f"{where}, 'first'") if "first" in rule else None
    probability = None
    if "probability" in rule:
        probability = _number(rule["probability"], f"{where}, 'probability'")
        if probability > 1:
            raise FaultScriptError(f"{where}, 'probability' must be from 0 to 1")
    if "model" in rule and not isinstance(rule["model"], str):
        raise FaultScriptError(f"{where}, 'model' must be a model id or a glob")
    effect, applicable, usual = _effect(rule.get("do"), f"{where}, 'do'")
    return Rule(
        effect,
        usual
        if rule.get("endpoint") is None
        else (_endpoint(rule["endpoint"], applicable, where),),
        rule.get("model"),
        first,
        probability,
        random.Random(_whole(rule.get("seed", 0), 0, f"{where}, 'seed'")),  # noqa: S311 - repeatable
    )


def _endpoint(endpoint: object, applicable: Sequence[str], where: str) -> str:
    """Return the endpoint that a rule names."""
    if not isinstance(endpoint, str) or endpoint not in ENDPOINTS:
        raise FaultScriptError(f"{where}, 'endpoint' must be one of {', '.join(ENDPOINTS)}")
    if applicable and endpoint not in applicable:
        raise FaultScriptError(
            f"{where}, 'endpoint' must be {' or '.join(applicable)} for this effect"
        )
    return endpoint


def _effect(do: object, where: str) -> tuple[Effect, Sequence[str], Sequence[str]]:
    """Return the effect of a rule, and the endpoints as in `_EFFECTS`."""
    if not isinstance(do, Mapping):
        raise FaultScriptError(f"{where} must be an object with an effect")
    kinds = [kind for kind in _EFFECTS if kind in do]
    if len(kinds) != 1:
        raise FaultScriptError(f"{where} must have exactly one of {', '.join(_EFFECTS)}")
    kind = kinds[0]
    _only(do, (kind, "error") if kind == "boot" else (kind,), where)
    read, applicable, usual = _EFFECTS[kind]
    return read(do, f"{where}, '{kind}'"), applicable, usual


# -------------------------------------------------------------------------------- effects


def _set(**fields: Any) -> Effect:
    """Return an effect that sets fields of the verdict."""

    def effect(verdict: Verdict, _now: datetime) -> None:
        for name, value in fields.items():
            setattr(verdict, name, value)

    return effect


def _respond(do: Mapping[str, Any], where: str) -> Effect:
    answer = do["respond"]
    if not isinstance(answer, Mapping):
        raise FaultScriptError(f"{where} must be an object with 'status', 'body' and 'headers'")
    _only(answer, ("status", "body", "headers"), where)
    status = _whole(answer.get("status", 200), 200, f"{where}, 'status'")
    if status > 599:
        raise FaultScriptError(f"{where}, 'status' must be from 200 to 599")
    try:
        json.dumps(answer.get("body"), ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError):
        raise FaultScriptError(f"{where}, 'body' must be a text or JSON") from None
    headers = answer.get("headers", {})
    if not isinstance(headers, Mapping) or not all(map(_is_header, headers.items())):
        raise FaultScriptError(f"{where}, 'headers' must map names to one-line texts")
    return _set(respond=Respond(status, answer.get("body", ""), dict(headers)))


def _is_header(item: tuple[object, object]) -> bool:
    name, value = item
    return (
        isinstance(name, str)
        and name.isascii()
        and name.replace("-", "").replace("_", "").isalnum()
        and isinstance(value, str)
        and value.isascii()
        and (value.isprintable() or not value)
    )


def _reset(do: Mapping[str, Any], where: str) -> Effect:
    if do["reset"] not in ("before", "after"):
        raise FaultScriptError(f"{where} must be 'before' or 'after' (the effect)")
    return _set(reset=do["reset"])


def _boot(do: Mapping[str, Any], where: str) -> Effect:
    outcome = do["boot"]
    if outcome not in ("failed", "never"):
        raise FaultScriptError(f"{where} must be 'failed' or 'never'")
    error = do.get("error", "the boot failed" if outcome == "failed" else None)
    if "error" in do and (outcome == "never" or not isinstance(error, str)):
        raise FaultScriptError(f"{where}: only 'failed' may have an 'error', which is a text")
    return _set(boot=outcome, boot_error=error)


def _shutdown(do: Mapping[str, Any], where: str) -> Effect:
    return _set(shutdown_seconds=_number(do["shutdownSeconds"], where))


def _status_lag(do: Mapping[str, Any], where: str) -> Effect:
    return _set(status_lag_seconds=_number(do["statusLagSeconds"], where))


def _delay(do: Mapping[str, Any], where: str) -> Effect:
    seconds = _number(do["delaySeconds"], where)

    def effect(verdict: Verdict, now: datetime) -> None:
        verdict.delayed_until = (verdict.delayed_until or now) + timedelta(seconds=seconds)

    return effect


def _rate_limit(do: Mapping[str, Any], where: str) -> Effect:
    per_second = _whole(do["rateLimitPerSecond"], 1, where)
    passed: deque[datetime] = deque(maxlen=per_second)

    def effect(verdict: Verdict, now: datetime) -> None:
        if len(passed) == per_second and now - passed[0] < timedelta(seconds=1):
            verdict.respond = RATE_LIMITED
        else:
            passed.append(now)

    return effect


def _clock_skew(do: Mapping[str, Any], where: str) -> Effect:
    seconds = _number(do["clockSkewSeconds"], where, least=-_MOST_SECONDS)

    def effect(verdict: Verdict, _now: datetime) -> None:
        verdict.clock_skew_seconds += seconds

    return effect


_LOADS = ("/model/load", "PUT /models/v2", "POST /models/v2")
"""What makes a load. A POST does if the model has no cluster."""
_DELETES = ("/model/delete", "DELETE /models/v2")
_READS = ("/model/status", "/model/instances", "GET /models/v2", "/models/v2/list/clusters")

_Reader = Callable[[Mapping[str, Any], str], Effect]
_EFFECTS: Mapping[str, tuple[_Reader, Sequence[str], Sequence[str]]] = {
    "respond": (_respond, (), ()),
    "delaySeconds": (_delay, (), ()),
    "reset": (_reset, (), ()),
    "boot": (_boot, (*_LOADS, "PATCH /models/v2"), _LOADS),
    "shutdownSeconds": (_shutdown, _DELETES, _DELETES),
    "statusLagSeconds": (_status_lag, (*_LOADS, *_READS), _LOADS),
    "rateLimitPerSecond": (_rate_limit, (), ()),
    "clockSkewSeconds": (_clock_skew, (), ()),
}
"""What reads each effect, the endpoints to which it may apply (empty: all), and those to which it
applies if a rule names none."""


def _only(given: Mapping[Any, Any], allowed: Sequence[str], where: str) -> None:
    for name in given:
        if name not in allowed:
            raise FaultScriptError(f"{where} has no '{name}'; it may have {', '.join(allowed)}")


def _whole(value: object, least: int, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise FaultScriptError(f"{where} must be a whole number of at least {least}")
    return value


def _number(value: object, where: str, *, least: float = 0) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise FaultScriptError(f"{where} must be a number")
    if not least <= value <= _MOST_SECONDS:
        raise FaultScriptError(f"{where} must be {'within' if least else 'from 0 to'} a year")
    return value
