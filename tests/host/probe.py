"""A provider that shows what `bytez_provider.dynamic.host` gives it; it runs in the host's process.

The property `do` says what an operation does. `PROBE_DOCTOR` in the environment removes one thing
before `prepare` looks for it, as a new release of the SDK might.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

from pulumi.dynamic import (
    CheckResult,
    ConfigureRequest,
    CreateResult,
    DiffResult,
    ReadResult,
    ResourceProvider,
    UpdateResult,
)

from bytez_provider import engine
from bytez_provider.base import errors
from bytez_provider.base.urns import name_of
from bytez_provider.dynamic import host
from tests.host.rendezvous import meet

SENTENCE = "could not load 'a/b': it is a probe. Nothing was changed. Do nothing."
LONE_SURROGATE = "\ud800"


class ProbeProvider(ResourceProvider):
    """Does what the property `do` says."""

    serialize_as_secret_always = False

    def configure(self, req: ConfigureRequest) -> None:
        """Prepare the host, twice."""
        _doctor(os.environ.get("PROBE_DOCTOR", ""))
        host.prepare()
        host.prepare()

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Show the call."""
        return CheckResult({**news, **_seen()}, [])

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        """Return the name of the resource as what to replace."""
        return DiffResult(changes=True, replaces=[str(_seen()["name"])])

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Act, and show the call."""
        return CreateResult("probe", {**props, **_act(props)})

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """Show the call."""
        return ReadResult(id_, {**props, **_seen()})

    def update(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Act, and show the call."""
        return UpdateResult({**olds, **news, **_act(news)})

    def delete(self, _id: str, props: dict[str, Any]) -> None:
        """Act."""
        _act(props)


def _seen() -> dict[str, Any]:
    with host.current_call() as call:
        return _shown(call)


def _shown(call: engine.Call) -> dict[str, Any]:
    """Return the call as properties, with "" for None, which Pulumi drops."""
    stop = call.stop()
    return {
        "urn": call.urn or "",
        "name": name_of(call.urn) if call.urn else "",
        "timeoutSeconds": "" if call.timeout_seconds is None else call.timeout_seconds,
        "stop": stop.name if stop else "",
        "awake": call.wake.is_set(),
    }


def _act(props: dict[str, Any]) -> dict[str, Any]:
    with host.current_call() as call:
        _ACTS[props.get("do", "nothing")](call, props)
        return _shown(call)


def _hold(_call: engine.Call, props: dict[str, Any]) -> None:
    """Wait for the test only."""
    test = meet(props["at"])
    test.hear()


def _wait(call: engine.Call, props: dict[str, Any]) -> None:
    """Wait as the waiter does, perhaps several `times`, and report why each wait ended."""
    test = meet(props["at"])
    for _ in range(int(props.get("times", 1))):
        call.wake.wait()
        call.wake.clear()
        test.say(str(_shown(call)["stop"]))


def _speak(call: engine.Call, _props: dict[str, Any]) -> None:
    call.report("live")
    call.note("noted")
    call.warn(f"first\nsecond {LONE_SURROGATE}")
    call.debug("debugged")


def _come_late(call: engine.Call, props: dict[str, Any]) -> None:
    """Ask for the call after its engine has dropped it."""
    test = meet(props["at"])
    call.wake.wait()
    with host.current_call() as again:
        test.say(f"{_shown(again)['stop']} {again.wake.is_set()}")


def _fail(_call: engine.Call, props: dict[str, Any]) -> None:
    try:
        raise KeyError("the cause")
    except KeyError as error:
        raise errors.BootFailedError(
            verb="load",
            subject="a/b",
            observed=f"it is a probe{props.get('more', '')}",
            action="Do nothing",
        ) from error


def _crash(_call: engine.Call, _props: dict[str, Any]) -> None:
    raise ZeroDivisionError("a bug of ours")


_ACTS: dict[str, Callable[[engine.Call, dict[str, Any]], None]] = {
    "nothing": lambda _call, _props: None,
    "hold": _hold,
    "wait": _wait,
    "speak": _speak,
    "come late": _come_late,
    "fail": _fail,
    "fail with what cannot be sent": lambda call, _: _fail(call, {"more": LONE_SURROGATE}),
    "crash": _crash,
}


def _doctor(what: str) -> None:
    if what == "pool stays small":
        host._WORKERS = 4
    elif what == "pool not found":
        bare = SimpleNamespace(thread=None, ThreadPoolExecutor=ThreadPoolExecutor)
        host.concurrent = SimpleNamespace(futures=bare)  # type: ignore[assignment, attr-defined]
    elif what == "table not found":
        host._CANCEL = "/pulumirpc.Elsewhere/Cancel"
    elif what == "frame not found":
        host._servicer_frame = lambda: None
    elif what == "address not found":
        sys.argv = sys.argv[:1]
    elif what == "little patience":
        engine._LOG_DEADLINE_SECONDS = 0.05
    elif what:
        raise ValueError(what)
