"""`Model` in a program, under Pulumi's mocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pulumi
import pytest
from pulumi.runtime import mocks

import bytez_provider as bytez

GPT2 = "openai-community/gpt2"
PHI = "microsoft/phi-1"
STATE = {
    "status": "RUNNING",
    "created": "2024-05-27T23:35:35.863Z",
    "adoptedAt": "2024-05-27T23:40:00.000Z",
    "granted": {"concurrency": 4, "expirationPeriodSeconds": 1800},
    "requiredRamGb": 0.5,
    "benchmarked": True,
    "endpoint": "https://api.bytez.com",
    "account": "0123456789ab",
}


class Engine(pulumi.runtime.Mocks):
    """What the engine is asked, and the state it answers with."""

    def __init__(self) -> None:
        self.resources: list[pulumi.runtime.MockResourceArgs] = []

    def new_resource(
        self, args: pulumi.runtime.MockResourceArgs
    ) -> tuple[str | None, dict[Any, Any]]:
        """Register a resource, or read one by its id."""
        self.resources.append(args)
        read = {"modelId": args.resource_id, "concurrency": 3} if args.resource_id else {}
        return args.inputs.get("modelId", args.resource_id), {**args.inputs, **read, **STATE}

    def call(self, args: pulumi.runtime.MockCallArgs) -> Any:
        """Answer no function call: there is none."""
        raise AssertionError(args.token)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    monkeypatch.delenv("PULUMI_CONFIG_SECRET_KEYS", raising=False)
    engine = Engine()
    pulumi.runtime.set_mocks(engine, project="fleet", stack="dev", preview=False)
    pulumi.runtime.set_all_config({})
    yield engine
    pulumi.runtime.set_all_config({})


def run(program: Callable[[], bytez.Model]) -> dict[str, Any]:
    """Run a program that makes one model; return the model's attributes."""
    names = [*bytez.Model.__annotations__, "id"]
    seen: dict[str, Any] = {}

    def collect() -> pulumi.Output[None]:
        model = program()
        outputs = {name: getattr(model, name) for name in names}
        return pulumi.Output.all(**outputs).apply(seen.update)

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


class TestDeclared:
    def test_tokens_and_names_in_state_are_storage_formats(self, engine: Engine) -> None:
        run(
            lambda: bytez.Model(
                "chat",
                model_id=PHI,
                concurrency=2,
                expiration_period_seconds=600,
                adopt=True,
                on_expiry="accept",
                expected_hours_per_day=8,
            )
        )
        (resource,) = engine.resources
        assert (resource.typ, resource.name) == ("pulumi-python:dynamic/bytez:Model", "chat")
        inputs = dict(resource.inputs)
        assert len(inputs.pop("__provider")) <= 80
        assert inputs == {
            "modelId": PHI,
            "concurrency": 2,
            "expirationPeriodSeconds": 600,
            "adopt": True,
            "onExpiry": "accept",
            "expectedHoursPerDay": 8,
        }

    def test_what_is_not_given_is_the_default(self, engine: Engine) -> None:
        run(lambda: bytez.Model("gpt2", model_id=GPT2))
        inputs = dict(engine.resources[0].inputs)
        del inputs["__provider"]
        assert inputs == {"modelId": GPT2, "concurrency": 1, "adopt": False, "onExpiry": "reload"}

    def test_attributes_are_snake_case(self, engine: Engine) -> None:
        seen = run(lambda: bytez.Model("gpt2", model_id=GPT2, concurrency=2))
        assert seen["id"] == seen["model_id"] == GPT2
        assert seen["expiration_period_seconds"] is None
        assert (seen["status"], seen["created"]) == ("RUNNING", STATE["created"])
        assert seen["adopted_at"] == STATE["adoptedAt"]
        assert (seen["required_ram_gb"], seen["benchmarked"]) == (0.5, True)
        assert (seen["endpoint"], seen["account"]) == (STATE["endpoint"], STATE["account"])
        assert seen["granted"] == {"concurrency": 4, "expiration_period_seconds": 1800}

    def test_whole_numbers_come_out_whole(self, engine: Engine) -> None:
        """`range(model.concurrency)` in an apply works."""
        seen = run(
            lambda: bytez.Model("g", model_id=GPT2, concurrency=2, expiration_period_seconds=600)
        )
        assert isinstance(seen["concurrency"], int)
        assert isinstance(seen["expiration_period_seconds"], int)
        assert isinstance(seen["granted"]["concurrency"], int)

    def test_arguments_may_be_outputs(self, engine: Engine) -> None:
        seen = run(lambda: bytez.Model("gpt2", model_id=pulumi.Output.from_input(GPT2)))
        assert seen["model_id"] == GPT2

    def test_arguments_are_named(self) -> None:
        with pytest.raises(TypeError):
            bytez.Model("gpt2", GPT2)  # type: ignore[call-arg]


class TestDeleteBeforeReplace:
    @pytest.mark.parametrize("opts", [None, pulumi.ResourceOptions(protect=True)])
    def test_it_is_always_on(
        self,
        engine: Engine,
        monkeypatch: pytest.MonkeyPatch,
        opts: pulumi.ResourceOptions | None,
    ) -> None:
        asked = []
        register: Any = mocks.MockMonitor.RegisterResource

        def listen(monitor: mocks.MockMonitor, request: Any) -> Any:
            asked.append((request.deleteBeforeReplace, request.protect))
            return register(monitor, request)

        monkeypatch.setattr(mocks.MockMonitor, "RegisterResource", listen)
        run(lambda: bytez.Model("gpt2", model_id=GPT2, opts=opts))
        assert asked[-1] == (True, opts is not None)

    def test_false_is_refused_with_how_to_swap_without_a_gap(self, engine: Engine) -> None:
        opts = pulumi.ResourceOptions(delete_before_replace=False)
        message = failure(lambda: bytez.Model("gpt2", model_id=GPT2, opts=opts))
        assert message == (
            "could not declare 'gpt2': `delete_before_replace=False` is set, and the service "
            "holds one instance a model, so a new one cannot stand beside the old one. Nothing "
            "was changed. Leave the option out; to swap models without a gap, declare the new "
            "model beside the old one, and remove the old one in a later `up`."
        )
        assert engine.resources == []


class TestPlainTextKey:
    @pytest.mark.parametrize("make", ["declare", "get"])
    def test_it_is_refused_with_the_command_that_mends_it(
        self, engine: Engine, monkeypatch: pytest.MonkeyPatch, make: str
    ) -> None:
        pulumi.runtime.set_all_config({"bytez:key": "plain-key-0123"})
        monkeypatch.setenv("PULUMI_CONFIG_SECRET_KEYS", "[]")
        message = failure(
            (lambda: bytez.Model("gpt2", model_id=GPT2))
            if make == "declare"
            else (lambda: bytez.Model.get("gpt2", GPT2))
        )
        assert "bytez:key is set in plain text" in message
        assert "`pulumi config set --secret bytez:key <key>`" in message
        assert "plain-key-0123" not in message
        assert engine.resources == []

    def test_a_secret_one_is_fine(self, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
        pulumi.runtime.set_all_config({"bytez:key": "secret-key-0123"}, ["bytez:key"])
        monkeypatch.setenv("PULUMI_CONFIG_SECRET_KEYS", '["bytez:key"]')
        run(lambda: bytez.Model("gpt2", model_id=GPT2))
        assert len(engine.resources) == 1

    def test_where_nobody_says_what_is_secret_it_is_not_asked(self, engine: Engine) -> None:
        """As under the mocks of a user's own tests."""
        pulumi.runtime.set_all_config({"bytez:key": "a-key-of-a-test"})
        run(lambda: bytez.Model("gpt2", model_id=GPT2))
        assert len(engine.resources) == 1


class TestGet:
    def test_it_reads_by_id_and_declares_nothing(self, engine: Engine) -> None:
        seen = run(lambda: bytez.Model.get("shared", GPT2))
        (resource,) = engine.resources
        assert (resource.typ, resource.name) == ("pulumi-python:dynamic/bytez:Model", "shared")
        assert resource.resource_id == GPT2
        assert resource.inputs.keys() == {"__provider"}
        assert (seen["model_id"], seen["concurrency"], seen["status"]) == (GPT2, 3, "RUNNING")

    def test_the_id_may_be_an_output(self, engine: Engine) -> None:
        seen = run(lambda: bytez.Model.get("shared", pulumi.Output.from_input(GPT2)))
        assert seen["model_id"] == GPT2
