"""Programs under Pulumi's mocks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pulumi
import pytest
from pulumi.runtime import mocks

MODEL, READINESS = "pulumi-python:dynamic/bytez:Model", "pulumi-python:dynamic/bytez:Readiness"
GPT2, PHI = "openai-community/gpt2", "microsoft/phi-1"
CREATED = "2024-05-27T23:35:35.863Z"
RAM = {GPT2: 0.5, PHI: 9.16}
STATE = {
    "status": "RUNNING",
    "created": CREATED,
    "adoptedAt": "2024-05-27T23:40:00.000Z",
    "granted": {"concurrency": 4, "expirationPeriodSeconds": 1800},
    "benchmarked": True,
    "endpoint": "https://api.bytez.com",
    "account": "0123456789ab",
}

LOOP = asyncio.new_event_loop()
"""For Pulumi's mocks: from Python 3.12 on, asyncio makes none by itself."""


class Provider(pulumi.runtime.Mocks):
    """What the providers would answer.

    Attributes:
        resources: Each resource that was registered or read, in order.
    """

    def __init__(self) -> None:
        self.resources: list[pulumi.runtime.MockResourceArgs] = []

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, Any]:
        """Return the outputs of a resource."""
        self.resources.append(args)
        declared = {name: value for name, value in args.inputs.items() if name != "__provider"}
        outs: dict[str, Any] = {**args.inputs, "declared": declared}
        if args.typ == MODEL:
            if args.resource_id:
                outs.update(modelId=args.resource_id, concurrency=3)
            outs.update(STATE)
            if outs.get("readiness") == "fleet":
                del outs["status"]
            if outs.get("modelId") in RAM:
                outs["requiredRamGb"] = RAM[outs["modelId"]]
        if args.typ == READINESS:
            outs.update(ready=True, statuses=dict.fromkeys(args.inputs["members"], "RUNNING"))
        return outs["modelId"] if args.typ == MODEL else args.name, outs

    def call(self, args: pulumi.runtime.MockCallArgs) -> Any:
        """Answer no function call: there is none."""
        raise AssertionError(args.token)


class Engine(mocks.MockMonitor):
    """An engine that remembers registrations, and answers as the providers would."""

    def __init__(self) -> None:
        self.provider = Provider()
        super().__init__(self.provider)
        self.requests: dict[str, Any] = {}

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - Pulumi's own name
        """Remember a registration by the resource's name."""
        self.requests[request.name] = request
        return super().RegisterResource(request)  # type: ignore[no-untyped-call]

    def inputs(self, name: str) -> dict[str, Any]:
        """Return what a resource was declared with, less its provider."""
        state = next(one.state for urn, one in self.resources.items() if urn.endswith(f"::{name}"))
        return dict(state["declared"])

    def types(self) -> dict[str, str]:
        """Return the type of each resource by its name."""
        return {
            name: request.type
            for name, request in self.requests.items()
            if request.type != "pulumi:pulumi:Stack"
        }


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """The engine that a program of this test runs under."""
    monkeypatch.delenv("PULUMI_CONFIG_SECRET_KEYS", raising=False)
    engine = Engine()
    asyncio.set_event_loop(LOOP)
    pulumi.runtime.set_mocks(
        engine.provider, project="shop", stack="dev", preview=False, monitor=engine
    )
    pulumi.runtime.set_all_config({}, [])
    yield engine
    pulumi.runtime.set_all_config({}, [])


def run(program: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Run a program that returns outputs; return their values."""
    seen: dict[str, Any] = {}

    def collect() -> pulumi.Output[None]:
        return pulumi.Output.all(**program()).apply(seen.update)

    pulumi.runtime.test(collect)()  # type: ignore[no-untyped-call]
    return seen


def failure(program: Callable[[], object]) -> str:
    """Run a program that is refused; return the one message that Pulumi shows."""
    with pytest.raises(pulumi.RunError) as caught:
        program()
    assert caught.value.__suppress_context__
    message = str(caught.value)
    assert "\n" not in message
    return message
