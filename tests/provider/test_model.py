"""`Model` in a program, under Pulumi's mocks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pulumi
import pytest
from inline_snapshot import snapshot

import bytez_provider as bytez
from tests import programs
from tests.programs import GPT2, MODEL, PHI, STATE, Engine, failure


def run(program: Callable[[], bytez.Model]) -> dict[str, Any]:
    """Run a program that makes one model; return the model's attributes."""

    def collect() -> dict[str, Any]:
        model = program()
        return {name: getattr(model, name) for name in (*bytez.Model.__annotations__, "id")}

    return programs.run(collect)


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
        (resource,) = engine.provider.resources
        assert (resource.typ, resource.name) == (MODEL, "chat")
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


class TestDeleteBeforeReplace:
    @pytest.mark.parametrize("opts", [None, pulumi.ResourceOptions(protect=True)])
    def test_it_is_always_on(self, engine: Engine, opts: pulumi.ResourceOptions | None) -> None:
        run(lambda: bytez.Model("gpt2", model_id=GPT2, opts=opts))
        request = engine.requests["gpt2"]
        assert (request.deleteBeforeReplace, request.protect) == (True, opts is not None)

    def test_false_is_refused_with_how_to_swap_without_a_gap(self, engine: Engine) -> None:
        opts = pulumi.ResourceOptions(delete_before_replace=False)
        message = failure(lambda: bytez.Model("gpt2", model_id=GPT2, opts=opts))
        assert message == snapshot(
            "could not declare 'gpt2': `delete_before_replace=False` is set, but the service "
            "loads a model only once, so a new load cannot exist beside the old one. Nothing "
            "was changed. Remove the option; to change models without a gap, declare the new "
            "model beside the old one, and remove the old one in a later `up`."
        )
        assert engine.provider.resources == []


class TestPlainTextKey:
    """In an inline program only the run itself says what is secret, no environment variable."""

    @pytest.mark.parametrize("make", ["declare", "get"])
    def test_it_is_refused_with_the_command_that_mends_it(self, engine: Engine, make: str) -> None:
        pulumi.runtime.set_all_config({"bytez:key": "plain-key-0123"}, ["bytez:other"])
        message = failure(
            (lambda: bytez.Model("gpt2", model_id=GPT2))
            if make == "declare"
            else (lambda: bytez.Model.get("gpt2", GPT2))
        )
        assert "bytez:key is set in plain text" in message
        assert "`pulumi config set --secret bytez:key <key>`" in message
        assert "plain-key-0123" not in message
        assert engine.provider.resources == []

    def test_a_secret_one_is_fine(self, engine: Engine) -> None:
        pulumi.runtime.set_all_config({"bytez:key": "secret-key-0123"}, ["bytez:key"])
        run(lambda: bytez.Model("gpt2", model_id=GPT2))
        assert len(engine.provider.resources) == 1


class TestProvider:
    """The stack's settings reach the default provider only, so models take no other."""

    MESSAGE = snapshot(
        "could not declare 'gpt2': it has its own provider for pulumi-python, but only the "
        "default provider gets the stack's `bytez:` settings, so the API key could go to "
        "another address than the one configured. Nothing was changed. Remove that provider; "
        "if `pulumi:disable-default-providers` contains '*', list the packages in it one by "
        "one, without pulumi-python."
    )

    @staticmethod
    def options(how: str) -> pulumi.ResourceOptions:
        """Return options that give a model the provider, in one of the ways there are."""
        own = pulumi.ProviderResource("pulumi-python", "own", {})
        if how == "provider":
            return pulumi.ResourceOptions(provider=own)
        if how == "list":
            return pulumi.ResourceOptions(providers=[own])
        if how == "mapping":
            return pulumi.ResourceOptions(providers={"pulumi-python": own})
        above = pulumi.ComponentResource(
            "my:app:Site", "site", opts=pulumi.ResourceOptions(providers=[own])
        )
        parent = pulumi.ComponentResource(
            "my:app:Page", "page", opts=pulumi.ResourceOptions(parent=above)
        )
        return pulumi.ResourceOptions(parent=parent)

    @pytest.mark.parametrize("how", ["provider", "list", "mapping", "inherited"])
    def test_one_of_its_own_is_refused(self, engine: Engine, how: str) -> None:
        def program() -> None:
            opts = self.options(how)
            assert failure(lambda: bytez.Model("gpt2", model_id=GPT2, opts=opts)) == self.MESSAGE
            assert "own provider for pulumi-python" in failure(
                lambda: bytez.Model.get("gpt2", GPT2, opts=opts)
            )

        pulumi.runtime.test(program)()  # type: ignore[no-untyped-call]
        assert not [one for one in engine.provider.resources if one.name == "gpt2"]

    def test_one_of_another_package_is_not(self, engine: Engine) -> None:
        def program() -> bytez.Model:
            cloud = pulumi.ProviderResource("cloud", "own", {})
            site = pulumi.ComponentResource(
                "my:app:Site", "site", opts=pulumi.ResourceOptions(providers=[cloud])
            )
            return bytez.Model("gpt2", model_id=GPT2, opts=pulumi.ResourceOptions(parent=site))

        run(program)
        assert [one.name for one in engine.provider.resources if one.typ.endswith(":Model")] == [
            "gpt2"
        ]

    @pytest.mark.parametrize("name", ["*", "pulumi-python"])
    def test_a_default_provider_that_is_disabled_is_named(self, engine: Engine, name: str) -> None:
        disabled = f'["aws", "{name}"]'
        pulumi.runtime.set_all_config({"pulumi:disable-default-providers": disabled})
        message = failure(lambda: bytez.Model("gpt2", model_id=GPT2))
        assert f"`pulumi:disable-default-providers` contains '{name}'" in message
        assert engine.provider.resources == []

    @pytest.mark.parametrize("disabled", ['["aws"]', "", "no list", '{"*": 1}'])
    def test_that_of_others_is_no_matter(self, engine: Engine, disabled: str) -> None:
        pulumi.runtime.set_all_config({"pulumi:disable-default-providers": disabled})
        run(lambda: bytez.Model("gpt2", model_id=GPT2))
        assert len(engine.provider.resources) == 1


class TeamModel(bytez.Model):
    """A model with the defaults of a team, and an output of its own."""

    team: pulumi.Output[str]

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, model_id=GPT2, concurrency=3, opts=opts)
        self.team = pulumi.Output.from_input("search")


class ChatModel(TeamModel):
    """A subclass of a subclass."""


class TestSubclass:
    """A subclass is a Model to all that knows models by their type."""

    @pytest.mark.parametrize("kind", [TeamModel, ChatModel])
    def test_it_has_the_type_and_the_outputs_of_model(
        self, engine: Engine, kind: type[TeamModel]
    ) -> None:
        seen = run(lambda: kind("chat"))
        (resource,) = engine.provider.resources
        assert (resource.typ, resource.name) == (MODEL, "chat")
        assert (seen["model_id"], seen["status"]) == (GPT2, "RUNNING")
        assert isinstance(seen["concurrency"], int)

    def test_it_reads_by_id_too(self, engine: Engine) -> None:
        made: list[bytez.Model] = []

        def program() -> bytez.Model:
            made.append(ChatModel.get("shared", GPT2))
            return made[0]

        seen = run(program)
        assert isinstance(made[0], ChatModel)
        assert engine.provider.resources[0].typ == MODEL
        assert isinstance(seen["concurrency"], int)

    @pytest.mark.parametrize("names", [{"module": "team"}, {"name": "TeamModel"}])
    def test_a_type_of_its_own_is_refused(self, names: dict[str, str]) -> None:
        def define() -> None:
            class Own(bytez.Model, **names):
                """A subclass that no policy would see."""

        assert failure(define) == snapshot(
            "could not define the class 'Own': it sets `module=` or `name=`, but a subclass "
            "of Model must have the type of Model, the only one that policies, review and "
            "audit know. Nothing was changed. Remove them."
        )


class TestGet:
    def test_it_reads_by_id_and_declares_nothing(self, engine: Engine) -> None:
        seen = run(lambda: bytez.Model.get("shared", GPT2))
        (resource,) = engine.provider.resources
        assert (resource.typ, resource.name) == (MODEL, "shared")
        assert resource.resource_id == GPT2
        assert resource.inputs.keys() == {"__provider"}
        assert (seen["model_id"], seen["concurrency"], seen["status"]) == (GPT2, 3, "RUNNING")

    def test_the_id_may_be_an_output(self, engine: Engine) -> None:
        seen = run(lambda: bytez.Model.get("shared", pulumi.Output.from_input(GPT2)))
        assert seen["model_id"] == GPT2
