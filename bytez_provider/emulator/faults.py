"""Fault scripts: what goes wrong, on which requests.

Every rule that matches a request has its say, in the order of the script, until one of them
answers the request or cuts it off; the rules after that one neither match nor count it.
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
)


class FaultScriptError(ValueError):
    """A fault script that cannot be read; the message names the rule, counted from 1."""


@dataclass(frozen=True)
class Respond:
    """An answer in place of the service's own."""

    status: int
    body: Any
    """A string is sent as it is, anything else as JSON."""
    headers: Mapping[str, str]


RATE_LIMITED = Respond(429, {"error": "rate limit exceeded"}, {"retry-after": "1"})


@dataclass
class Verdict:
    """What the script makes of one request. Times in seconds of emulated time."""

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
        """Tell whether the service itself never sees the request."""
        return self.respond is not None or self.reset == "before"


Effect = Callable[[Verdict, datetime], None]
"""Writes into the verdict what a rule does to a request that arrived at a moment."""


@dataclass
class Rule:
    """One rule of a script, and how often it has matched."""

    effect: Effect
    endpoints: frozenset[str] | None
    """None matches every path."""
    model: str | None
    first: int | None
    probability: float | None
    dice: random.Random = field(repr=False)
    matched: int = 0

    def matches(self, path: str, model: str | None) -> bool:
        """Tell whether the rule has its say on a request, and count it."""
        if self.endpoints is not None and path not in self.endpoints:
            return False
        if self.model is not None and (model is None or not fnmatchcase(model, self.model)):
            return False
        if self.probability is not None and self.dice.random() >= self.probability:
            return False
        self.matched += 1
        return self.first is None or self.matched <= self.first


class FaultScript:
    """The rules in force.

    Raises:
        FaultScriptError: one sentence on the first thing that is wrong.
    """

    def __init__(self, rules: object) -> None:
        if not isinstance(rules, Sequence) or isinstance(rules, (str, bytes)):
            raise FaultScriptError("a fault script is a list of rules")
        self._rules = [_rule(rule, f"fault rule {n}") for n, rule in enumerate(rules, start=1)]

    def judge(self, path: str, model: str | None, now: datetime) -> Verdict:
        """Return what becomes of a request; each request is to be judged once, on arrival."""
        verdict = Verdict()
        for rule in self._rules:
            if verdict.is_final:
                break
            if rule.matches(path, model):
                rule.effect(verdict, now)
        return verdict


# -------------------------------------------------------------------------------- reading


def _rule(rule: object, where: str) -> Rule:
    if not isinstance(rule, Mapping):
        raise FaultScriptError(f"{where} is not an object")
    _only(rule, ("endpoint", "model", "first", "probability", "seed", "do"), where)
    if "first" in rule and "probability" in rule:
        raise FaultScriptError(f"{where} has both 'first' and 'probability', which exclude another")
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
    effect, natural = _effect(rule.get("do"), f"{where}, 'do'")
    return Rule(
        effect,
        _endpoints(rule.get("endpoint"), natural, where),
        rule.get("model"),
        first,
        probability,
        # Its whole point is to be predictable.
        random.Random(_whole(rule.get("seed", 0), 0, f"{where}, 'seed'")),  # noqa: S311
    )


def _endpoints(
    endpoint: object, natural: Sequence[str] | None, where: str
) -> frozenset[str] | None:
    """Return the paths a rule is for: the one it names, else the first its effect is for."""
    if endpoint is None:
        return None if natural is None else frozenset(natural[:1])
    if endpoint not in ENDPOINTS:
        raise FaultScriptError(f"{where}, 'endpoint' must be one of {', '.join(ENDPOINTS)}")
    if natural is not None and endpoint not in natural:
        raise FaultScriptError(
            f"{where}, 'endpoint' must be {' or '.join(natural)} for what the rule does"
        )
    return frozenset([endpoint])


def _effect(do: object, where: str) -> tuple[Effect, Sequence[str] | None]:
    """Return what a rule does, and the endpoints where that means something (None: all)."""
    if not isinstance(do, Mapping):
        raise FaultScriptError(f"{where} must be an object that says what goes wrong")
    kinds = [kind for kind in _EFFECTS if kind in do]
    if len(kinds) != 1:
        raise FaultScriptError(f"{where} must have exactly one of {', '.join(_EFFECTS)}")
    kind = kinds[0]
    _only(do, (kind, "error") if kind == "boot" else (kind,), where)
    read, natural = _EFFECTS[kind]
    return read(do, f"{where}, '{kind}'"), natural


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
    respond = Respond(status, answer.get("body", ""), dict(headers))

    def effect(verdict: Verdict, _now: datetime) -> None:
        verdict.respond = respond

    return effect


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
    when = do["reset"]
    if when not in ("before", "after"):
        raise FaultScriptError(f"{where} must be 'before' or 'after' (the effect)")

    def effect(verdict: Verdict, _now: datetime) -> None:
        verdict.reset = when

    return effect


def _delay(do: Mapping[str, Any], where: str) -> Effect:
    seconds = _number(do["delaySeconds"], where)

    def effect(verdict: Verdict, now: datetime) -> None:
        verdict.delayed_until = (verdict.delayed_until or now) + timedelta(seconds=seconds)

    return effect


def _boot(do: Mapping[str, Any], where: str) -> Effect:
    outcome = do["boot"]
    if outcome not in ("failed", "never"):
        raise FaultScriptError(f"{where} must be 'failed' or 'never'")
    error = do.get("error", "the boot failed" if outcome == "failed" else None)
    if "error" in do and (outcome == "never" or not isinstance(error, str)):
        raise FaultScriptError(f"{where} 'failed' may have a text as 'error', and nothing else may")

    def effect(verdict: Verdict, _now: datetime) -> None:
        verdict.boot = outcome
        verdict.boot_error = error

    return effect


def _shutdown(do: Mapping[str, Any], where: str) -> Effect:
    seconds = _number(do["shutdownSeconds"], where)

    def effect(verdict: Verdict, _now: datetime) -> None:
        verdict.shutdown_seconds = seconds

    return effect


def _status_lag(do: Mapping[str, Any], where: str) -> Effect:
    seconds = _number(do["statusLagSeconds"], where)

    def effect(verdict: Verdict, _now: datetime) -> None:
        verdict.status_lag_seconds = seconds

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
    seconds = _number(do["clockSkewSeconds"], where, negative=True)

    def effect(verdict: Verdict, _now: datetime) -> None:
        verdict.clock_skew_seconds += seconds

    return effect


_EFFECTS: Mapping[str, tuple[Callable[[Mapping[str, Any], str], Effect], Sequence[str] | None]] = {
    "respond": (_respond, None),
    "delaySeconds": (_delay, None),
    "reset": (_reset, None),
    "boot": (_boot, ("/model/load",)),
    "shutdownSeconds": (_shutdown, ("/model/delete",)),
    "statusLagSeconds": (_status_lag, ("/model/load", "/model/status", "/model/instances")),
    "rateLimitPerSecond": (_rate_limit, None),
    "clockSkewSeconds": (_clock_skew, None),
}


def _only(given: Mapping[Any, Any], allowed: Sequence[str], where: str) -> None:
    for name in given:
        if name not in allowed:
            raise FaultScriptError(f"{where} has no '{name}'; it may have {', '.join(allowed)}")


def _whole(value: object, least: int, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise FaultScriptError(f"{where} must be a whole number of at least {least}")
    return value


_MOST_SECONDS = 366 * 24 * 3600


def _number(value: object, where: str, *, negative: bool = False) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise FaultScriptError(f"{where} must be a number")
    if not (-_MOST_SECONDS if negative else 0) <= value <= _MOST_SECONDS:
        raise FaultScriptError(f"{where} must be {'within' if negative else 'from 0 to'} a year")
    return value
