"""The faults that are switched on and off, and how often each kind had an effect."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from bytez_provider.emulator import Emulator
from bytez_provider.emulator.faults import Effect, Verdict
from bytez_provider.service.settings import ApiVersion
from tests.asking import Ask, for_api
from tests.stateful.books import BOOT_SECONDS

Rule = dict[str, Any]

ASKED: tuple[Ask, ...] = ("load", "delete", "status", "instances", "rescale")

_HTML = {"content-type": "text/html"}


def _answer(status: int, body: Any, **headers: str) -> dict[str, Any]:
    return {"respond": {"status": status, "body": body, "headers": headers}}


def answers(key: str) -> list[dict[str, Any]]:
    """Return answers that may replace the service's own; some of them echo the key."""
    return [
        _answer(500, {"error": f"the key {key} broke it"}),
        {"respond": {"status": 502, "body": f"<h1>Bad {key}</h1>", "headers": _HTML}},
        _answer(503, "", **{"retry-after": "2"}),
        _answer(504, {"message": "upstream timed out"}),
        _answer(429, {"error": "rate limit exceeded"}, **{"retry-after": "1"}),
        _answer(429, {"error": "your account is out of credits"}),
        _answer(401, {"error": f"{key} is not a valid key"}),
        _answer(200, {"error": "something went wrong inside"}),
        {"respond": {"status": 200, "body": "<title>Sign in</title>", "headers": _HTML}},
        _answer(200, '{"modelId": "openai-comm'),
        _answer(200, ""),
        _answer(302, "", location="http://192.0.2.1/elsewhere"),
        # No evidence: not in the form of this API, or with a status of 500 and more.
        _answer(404, {"detail": "Not Found"}),
        _answer(404, {"message": "no route and no API found with those values"}),
        _answer(404, ""),
        {"respond": {"status": 404, "body": "<title>404 Not Found</title>", "headers": _HTML}},
        _answer(500, {"error": "model is not loaded"}),
        _answer(500, {"error": "status: unknown error"}),
        _answer(503, {"error": "instance not found"}),
        _answer(418, {"error": "\x1b[2J\u202egone"}),
    ]


def menu(key: str) -> list[Rule]:
    """Return every rule that may be switched on, without `first` and `probability`.

    Wrong times remain within what the design allows: a second for the `Date` header, and for the
    status as long as an accepted load may not show. A service never shows a load that does not
    exist: no client could detect that.
    """
    rules: list[Rule] = [{"do": answer} for answer in answers(key)]
    rules += [{"asks": ask, "do": answer} for ask in ASKED for answer in answers(key)]
    for ask in ASKED:
        rules += [
            {"asks": ask, "do": {"reset": "before"}},
            {"asks": ask, "do": {"reset": "after"}},
            {"asks": ask, "do": {"delaySeconds": 3}},
            {"asks": ask, "do": {"delaySeconds": 25}},
        ]
    rules += [{"do": {"rateLimitPerSecond": number}} for number in (1, 3)]
    rules += [{"do": {"clockSkewSeconds": seconds}} for seconds in (-1, 1)]
    rules += [{"do": {"boot": "failed", "error": f"out of memory for {key}"}}] * 3
    rules += [{"do": {"boot": "never"}}] * 3
    rules += [{"do": {"shutdownSeconds": seconds}} for seconds in (4, 4, 4, 150)]
    rules += [{"asks": "load", "do": {"statusLagSeconds": seconds}} for seconds in (3, 45)]
    # Shown once and hidden from the next request, but not after it was RUNNING.
    rules += [{"asks": "status", "do": {"statusLagSeconds": BOOT_SECONDS - 1}}] * 2
    rules += [{"asks": "instances", "do": {"statusLagSeconds": seconds}} for seconds in (3, 300)]
    return rules


def kind_of(rule: Rule) -> str:
    """Return the name of a kind of fault in the counts."""
    do = rule["do"]
    if "respond" in do:
        status, body = do["respond"]["status"], do["respond"]["body"]
        form = next(iter(body), "") if isinstance(body, dict) else "text" if body else "nothing"
        return f"respond {status} {form}"
    for name in ("reset", "boot"):
        if name in do:
            return f"{name} {do[name]}"
    return str(next(iter(do)))


def switch_on(
    emulator: Emulator, api: ApiVersion, given: Sequence[Rule], struck: Counter[str]
) -> None:
    """Replace the faults; count in `struck` each time that one changes an answer."""
    rules = for_api(api, given)
    emulator.set_faults(rules)
    for rule, made in zip(rules, emulator._faults._rules, strict=True):
        made.effect = _counted(made.effect, kind_of(rule), struck)


def _counted(effect: Effect, kind: str, struck: Counter[str]) -> Effect:
    def counted(verdict: Verdict, now: datetime) -> None:
        before = copy.copy(verdict)
        effect(verdict, now)
        if verdict != before:
            struck[kind] += 1

    return counted


def let_time_pass(emulator: Emulator) -> None:
    """Let a delayed request move the emulator's clock: nothing else does during it."""

    async def sleep_until(until: datetime) -> None:
        emulator.advance(max(0.0, (until - emulator.now()).total_seconds()))

    emulator.clock.sleep_until = sleep_until  # type: ignore[method-assign]
