"""Mocks of Pulumi for programs that declare a fleet."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pulumi
import pytest

from tests.programs import LOOP


class Engine(pulumi.runtime.Mocks):
    """Answers as the engine does when all models run; `names` are the registered resources."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def new_resource(
        self, args: pulumi.runtime.MockResourceArgs
    ) -> tuple[str | None, dict[Any, Any]]:
        """Register a resource."""
        self.names.append(args.name)
        if args.typ.endswith(":Readiness"):
            statuses = dict.fromkeys(args.inputs["members"], "RUNNING")
            return "fleet", {**args.inputs, "ready": True, "statuses": statuses}
        created = {"created": "2024-05-27T23:35:35.863Z", "requiredRamGb": 0.5}
        return args.inputs.get("modelId", ""), {**args.inputs, **created}

    def call(self, args: pulumi.runtime.MockCallArgs) -> Any:
        """Fail: no program calls a function."""
        raise AssertionError(args.token)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    monkeypatch.delenv("PULUMI_CONFIG_SECRET_KEYS", raising=False)
    engine = Engine()
    asyncio.set_event_loop(LOOP)
    pulumi.runtime.set_mocks(engine, project="fleet", stack="dev", preview=False)
    pulumi.runtime.set_all_config({})
    yield engine
    pulumi.runtime.set_all_config({})
