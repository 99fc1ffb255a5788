"""`Fleet` in a program, under Pulumi's mocks."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi.runtime import mocks

import bytez_provider as bytez
from bytez_provider.dynamic.providers import ReadinessProvider
from tests.fleet.crew import OPT
from tests.lifecycle.machine import GPT2, PHI

MODEL, READINESS = "pulumi-python:dynamic/bytez:Model", "pulumi-python:dynamic/bytez:Readiness"
FLEET = "bytez:index:Fleet"
CREATED = "2024-05-27T23:35:35.863Z"
RAM = {GPT2: 0.5, PHI: 9.16}


class Engine(mocks.MockMonitor):
    """An engine that registers what it is told, and answers as the providers would."""

    def __init__(self) -> None:
        super().__init__(Provider())
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


class Provider(pulumi.runtime.Mocks):
    """What the providers would answer."""

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, Any]:
        """Return the outputs of a resource."""
        declared = {name: value for name, value in args.inputs.items() if name != "__provider"}
        outs: dict[str, Any] = {**args.inputs, "declared": declared}
        if args.typ == MODEL:
            outs.update(endpoint="https://api.bytez.com", account="0123456789ab", created=CREATED)
            if args.inputs.get("modelId") in RAM:
                outs["requiredRamGb"] = RAM[args.inputs["modelId"]]
        if args.typ == READINESS:
            outs.update(ready=True, statuses=dict.fromkeys(args.inputs["members"], "RUNNING"))
        return args.name, outs

    def call(self, args: pulumi.runtime.MockCallArgs) -> Any:
        """Answer no function call: there is none."""
        raise AssertionError(args.token)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    monkeypatch.delenv("PULUMI_CONFIG_SECRET_KEYS", raising=False)
    engine = Engine()
    pulumi.runtime.set_mocks(
        engine.mocks, project="shop", stack="dev", preview=False, monitor=engine
    )
    pulumi.runtime.set_all_config({}, [])
    yield engine
    pulumi.runtime.set_all_config({}, [])


def run(
    program: Callable[[], bytez.Fleet],
    outputs: Callable[[bytez.Fleet], Mapping[str, Any]] = lambda _: {},
) -> dict[str, Any]:
    """Run a program that makes one fleet; return what some of its outputs come to."""
    seen: dict[str, Any] = {}

    def collect() -> pulumi.Output[None]:
        fleet = program()
        wanted = {**outputs(fleet), "statuses": fleet.statuses}
        return pulumi.Output.all(**wanted).apply(seen.update)

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


def two(
    opts: pulumi.ResourceOptions | None = None, defaults: bytez.ModelDefaults | None = None
) -> bytez.Fleet:
    """Declare a fleet of two, one of them at concurrency 2."""
    models = {
        "gpt2": bytez.ModelArgs(model_id=GPT2),
        "phi": bytez.ModelArgs(model_id=PHI, concurrency=2),
    }
    return bytez.Fleet("chat", models=models, defaults=defaults, opts=opts)


class TestChildren:
    def test_their_names_and_tokens_are_storage_formats(self, engine: Engine) -> None:
        run(two)
        assert engine.types() == {
            "chat": FLEET,
            "chat-gpt2": MODEL,
            "chat-phi": MODEL,
            "chat-ready": READINESS,
        }

    def test_they_are_within_the_fleet(self, engine: Engine) -> None:
        run(two)
        for name in ("chat-gpt2", "chat-phi", "chat-ready"):
            assert engine.requests[name].parent.endswith(f"{FLEET}::chat")

    def test_a_model_is_declared_as_a_plain_one_but_waits_for_nothing(self, engine: Engine) -> None:
        run(two)
        assert engine.inputs("chat-phi") == {
            "modelId": PHI,
            "concurrency": 2,
            "adopt": False,
            "onExpiry": "reload",
            "readiness": "fleet",
        }
        assert engine.requests["chat-phi"].deleteBeforeReplace is True

    def test_the_readiness_is_told_which_loads_to_wait_for(self, engine: Engine) -> None:
        run(two)
        assert engine.inputs("chat-ready") == {
            "fleet": "chat",
            "members": {
                "gpt2": {"modelId": GPT2, "created": CREATED},
                "phi": {"modelId": PHI, "created": CREATED},
            },
        }
        assert engine.requests["chat-ready"].deleteBeforeReplace is False
        depends = engine.requests["chat-ready"].propertyDependencies["members"].urns
        assert {urn.rpartition("::")[2] for urn in depends} == {"chat-gpt2", "chat-phi"}

    def test_where_idle_is_accepted_the_readiness_knows(self, engine: Engine) -> None:
        run(lambda: two(defaults=bytez.ModelDefaults(on_expiry="accept")))
        assert engine.inputs("chat-ready")["members"]["phi"]["acceptIdle"] is True

    def test_the_readiness_waits_for_what_the_models_are(
        self, engine: Engine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A transform may come between what was declared and what was registered."""
        plain = Provider.new_resource

        def transformed(self: Provider, args: pulumi.runtime.MockResourceArgs) -> Any:
            if args.name == "chat-phi":
                args.inputs.update(modelId=OPT, onExpiry="accept")
            return plain(self, args)

        monkeypatch.setattr(Provider, "new_resource", transformed)
        run(two)
        assert engine.inputs("chat-ready")["members"] == {
            "gpt2": {"modelId": GPT2, "created": CREATED},
            "phi": {"modelId": OPT, "created": CREATED, "acceptIdle": True},
        }

    def test_what_to_do_on_expiry_may_be_an_output(self, engine: Engine) -> None:
        accept = pulumi.Output.from_input("accept")
        run(lambda: two(defaults=bytez.ModelDefaults(on_expiry=accept)))
        assert engine.inputs("chat-ready")["members"]["phi"]["acceptIdle"] is True

    def test_a_service_that_tells_no_created_is_no_obstacle(
        self, engine: Engine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        plain = Provider.new_resource

        def nameless(self: Provider, args: pulumi.runtime.MockResourceArgs) -> Any:
            id_, outs = plain(self, args)
            return id_, {name: value for name, value in outs.items() if name != "created"}

        monkeypatch.setattr(Provider, "new_resource", nameless)
        run(two)
        assert engine.inputs("chat-ready")["members"]["phi"] == {"modelId": PHI, "created": ""}

    def test_custom_timeouts_are_those_of_all(self, engine: Engine) -> None:
        timeouts = pulumi.CustomTimeouts(create="20m", update="10m", delete="1m")
        run(lambda: two(pulumi.ResourceOptions(custom_timeouts=timeouts)))
        for name in ("chat-gpt2", "chat-phi", "chat-ready"):
            given = engine.requests[name].customTimeouts
            assert (given.create, given.update, given.delete) == ("20m", "10m", "1m")

    def test_options_that_pulumi_does_not_hand_on_reach_the_models(self, engine: Engine) -> None:
        opts = pulumi.ResourceOptions(
            ignore_changes=["model_id", "expirationPeriodSeconds"],
            additional_secret_outputs=["required_ram_gb"],
            hide_diffs=["adopted_at"],
            replacement_trigger="1",
        )
        run(lambda: two(opts))
        model, readiness = engine.requests["chat-gpt2"], engine.requests["chat-ready"]
        assert list(model.ignoreChanges) == ["modelId", "expirationPeriodSeconds"]
        assert list(model.additionalSecretOutputs) == ["requiredRamGb"]
        assert "adoptedAt" in model.hideDiffs
        assert model.replacement_trigger.string_value == "1"
        # What it waits for must not be ignored.
        assert list(readiness.ignoreChanges) == []

    def test_unset_they_are_unset(self, engine: Engine) -> None:
        run(two)
        assert engine.requests["chat-ready"].customTimeouts.create == ""

    def test_a_fleet_may_be_within_another_component(self, engine: Engine) -> None:
        def program() -> bytez.Fleet:
            site = pulumi.ComponentResource("my:app:Site", "site")
            return two(pulumi.ResourceOptions(parent=site))

        run(program)
        assert engine.requests["chat"].parent.endswith("my:app:Site::site")
        assert engine.requests["chat-ready"].parent.endswith(f"{FLEET}::chat")

    def test_an_empty_fleet_is_ready(self, engine: Engine) -> None:
        seen = run(
            lambda: bytez.Fleet("chat", models={}),
            lambda fleet: {"ram": fleet.total_required_ram_gb, "unknown": fleet.unknown_ram},
        )
        assert seen == {"statuses": {}, "ram": 0, "unknown": []}
        assert engine.inputs("chat-ready") == {"fleet": "chat", "members": {}}


class TestDefaults:
    DEFAULTS = bytez.ModelDefaults(
        concurrency=3,
        expiration_period_seconds=600,
        adopt=True,
        on_expiry="accept",
        expected_hours_per_day=8,
    )

    def test_each_holds_for_a_model_that_does_not_say_otherwise(self, engine: Engine) -> None:
        run(lambda: two(defaults=self.DEFAULTS))
        assert engine.inputs("chat-gpt2") == {
            "modelId": GPT2,
            "concurrency": 3,
            "expirationPeriodSeconds": 600,
            "adopt": True,
            "onExpiry": "accept",
            "expectedHoursPerDay": 8,
            "readiness": "fleet",
        }
        assert engine.inputs("chat-phi")["concurrency"] == 2

    def test_what_a_model_says_comes_first_also_where_it_is_nothing_much(
        self, engine: Engine
    ) -> None:
        own = bytez.ModelArgs(
            model_id=PHI, adopt=False, on_expiry="reload", expected_hours_per_day=0, concurrency=1
        )
        run(lambda: bytez.Fleet("chat", models={"phi": own}, defaults=self.DEFAULTS))
        assert engine.inputs("chat-phi") == {
            "modelId": PHI,
            "concurrency": 1,
            "expirationPeriodSeconds": 600,
            "adopt": False,
            "onExpiry": "reload",
            "expectedHoursPerDay": 0,
            "readiness": "fleet",
        }
        assert "acceptIdle" not in engine.inputs("chat-ready")["members"]["phi"]

    def test_settings_may_be_outputs(self, engine: Engine) -> None:
        def program() -> bytez.Fleet:
            four = pulumi.Output.from_input(4)
            models = {
                "gpt2": bytez.ModelArgs(model_id=GPT2),
                "phi": bytez.ModelArgs(model_id=PHI, concurrency=pulumi.Output.from_input(2)),
            }
            defaults = bytez.ModelDefaults(concurrency=four)
            return bytez.Fleet("chat", models=models, defaults=defaults)

        run(program)
        assert engine.inputs("chat-gpt2")["concurrency"] == 4
        assert engine.inputs("chat-phi")["concurrency"] == 2


class TestOutputs:
    def test_of_the_whole(self, engine: Engine) -> None:
        seen = run(
            two,
            lambda fleet: {"ram": fleet.total_required_ram_gb, "unknown": fleet.unknown_ram},
        )
        assert seen["statuses"] == {"gpt2": "RUNNING", "phi": "RUNNING"}
        assert seen["ram"] == pytest.approx(0.5 + 2 * 9.16)
        assert seen["unknown"] == []

    def test_models_of_unknown_ram_are_named_and_not_counted_as_none(self, engine: Engine) -> None:
        models = {
            "gpt2": bytez.ModelArgs(model_id=GPT2, concurrency=3),
            "opt": bytez.ModelArgs(model_id=OPT),
        }
        seen = run(
            lambda: bytez.Fleet("chat", models=models),
            lambda fleet: {"ram": fleet.total_required_ram_gb, "unknown": fleet.unknown_ram},
        )
        assert (seen["ram"], seen["unknown"]) == (1.5, [OPT])

    def test_of_one_model(self, engine: Engine) -> None:
        seen = run(
            two,
            lambda fleet: {
                "status": fleet["phi"].status,
                "id": fleet["phi"].model_id,
                "concurrency": fleet["phi"].concurrency,
                "endpoint": fleet["phi"].endpoint,
                "ram": fleet["phi"].required_ram_gb,
                "created": fleet["phi"].model.created,
            },
        )
        del seen["statuses"]
        assert seen == {
            "status": "RUNNING",
            "id": PHI,
            "concurrency": 2,
            "endpoint": "https://api.bytez.com",
            "ram": 9.16,
            "created": CREATED,
        }
        assert isinstance(seen["concurrency"], int)

    @pytest.mark.parametrize(
        "name", ["status", "model_id", "concurrency", "endpoint", "required_ram_gb"]
    )
    def test_of_one_model_they_come_after_the_readiness(self, engine: Engine, name: str) -> None:
        """What uses the model must not begin before the fleet is up."""

        class Reader(pulumi.CustomResource):
            def __init__(self, value: pulumi.Output[Any]) -> None:
                super().__init__("test:index:Reader", "reader", {"value": value})

        def program() -> bytez.Fleet:
            fleet = two()
            Reader(getattr(fleet["gpt2"], name))
            return fleet

        run(program)
        urns = engine.requests["reader"].propertyDependencies["value"].urns
        # And not after the other model: its replacement is no matter of this one's reader.
        assert {urn.rpartition("::")[2] for urn in urns} == {"chat-gpt2", "chat-ready"}

    def test_what_depends_on_the_fleet_comes_after_the_readiness(self, engine: Engine) -> None:
        class Reader(pulumi.CustomResource):
            def __init__(self, fleet: bytez.Fleet) -> None:
                opts = pulumi.ResourceOptions(depends_on=[fleet])
                super().__init__("test:index:Reader", "reader", {}, opts)

        def program() -> bytez.Fleet:
            fleet = two()
            Reader(fleet)
            return fleet

        run(program)
        after = {urn.rpartition("::")[2] for urn in engine.requests["reader"].dependencies}
        assert {"chat-gpt2", "chat-phi", "chat-ready"} <= after

    def test_a_secret_setting_does_not_make_the_statuses_secret(self, engine: Engine) -> None:
        models = {"gpt2": bytez.ModelArgs(model_id=GPT2, concurrency=pulumi.Output.secret(2))}
        seen = run(
            lambda: bytez.Fleet("chat", models=models),
            lambda fleet: {
                "of_statuses": pulumi.Output.from_input(fleet.statuses.is_secret()),
                "of_ram": pulumi.Output.from_input(fleet.total_required_ram_gb.is_secret()),
            },
        )
        assert (seen["of_statuses"], seen["of_ram"]) == (False, True)


class TestNotWaitedFor:
    """`up --target` loads a model and leaves the readiness as it was, with an older load."""

    OLD = "2024-05-20T00:00:00.000Z"

    @pytest.fixture
    def readiness(self, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
        """Return the outputs that the readiness keeps, to be changed by a test."""
        members = {key: {"modelId": key, "created": CREATED} for key in ("gpt2", "phi")}
        kept = {"members": members, "statuses": dict.fromkeys(members, "RUNNING"), "ready": True}
        plain = Provider.new_resource

        def stale(self: Provider, args: pulumi.runtime.MockResourceArgs) -> Any:
            id_, outs = plain(self, args)
            return id_, {**outs, **kept} if args.typ == READINESS else outs

        monkeypatch.setattr(Provider, "new_resource", stale)
        return kept

    @pytest.fixture
    def warnings(self, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, pulumi.Resource | None]]:
        """Return the warnings of the program."""
        said: list[tuple[str, pulumi.Resource | None]] = []
        monkeypatch.setattr(
            pulumi.log, "warn", lambda text, resource=None: said.append((text, resource))
        )
        return said

    @staticmethod
    def seen() -> dict[str, Any]:
        return run(two, lambda fleet: {key: fleet[key].status for key in ("gpt2", "phi")})

    def test_it_is_not_said_to_be_running(
        self, engine: Engine, readiness: dict[str, Any], warnings: list[Any]
    ) -> None:
        readiness["members"]["phi"]["created"] = self.OLD
        seen = self.seen()
        assert seen["statuses"] == {"gpt2": "RUNNING", "phi": "DEPLOYING"}
        assert (seen["gpt2"], seen["phi"]) == ("RUNNING", "DEPLOYING")
        ((said, about),) = warnings
        assert said == (
            "this `up` did not wait for 'phi', which may not be RUNNING: run `pulumi up` without "
            "`--target` and `--exclude`, which waits"
        )
        assert isinstance(about, bytez.Fleet)

    def test_one_that_the_readiness_does_not_know_is_not_either(
        self, engine: Engine, readiness: dict[str, Any], warnings: list[Any]
    ) -> None:
        del readiness["members"]["phi"], readiness["statuses"]["phi"]
        readiness["members"]["gone"], readiness["statuses"]["gone"] = {"modelId": OPT}, "RUNNING"
        assert self.seen()["statuses"] == {"gpt2": "RUNNING", "phi": "DEPLOYING"}
        assert len(warnings) == 1

    @pytest.mark.parametrize("statuses", [{"gpt2": "RUNNING"}, {}])
    def test_one_whose_status_it_did_not_see_is_not_either(
        self,
        engine: Engine,
        readiness: dict[str, Any],
        warnings: list[Any],
        statuses: dict[str, str],
    ) -> None:
        """A readiness that a first `up` excludes has its inputs, and no outputs."""
        readiness["statuses"] = statuses
        assert self.seen()["phi"] == "DEPLOYING"
        assert len(warnings) == 1

    def test_mocks_without_outputs_are_no_obstacle(
        self, engine: Engine, warnings: list[Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Provider, "new_resource", lambda _, args: (args.name, args.inputs))
        assert self.seen() == {
            "statuses": {"gpt2": "DEPLOYING", "phi": "DEPLOYING"},
            "gpt2": "DEPLOYING",
            "phi": "DEPLOYING",
        }

    def test_nothing_is_said_where_all_were_waited_for(
        self, engine: Engine, readiness: dict[str, Any], warnings: list[Any]
    ) -> None:
        assert self.seen()["statuses"] == {"gpt2": "RUNNING", "phi": "RUNNING"}
        assert warnings == []

    def test_many_are_counted(
        self, engine: Engine, readiness: dict[str, Any], warnings: list[Any]
    ) -> None:
        models = {f"m{n}": bytez.ModelArgs(model_id=f"owner/m{n}") for n in range(7)}
        run(lambda: bytez.Fleet("chat", models=models))
        assert "wait for 'm0', 'm1', 'm2', 'm3', 'm4' and 2 more, which" in warnings[0][0]


class TestAsAMapping:
    def test_it_reads_as_one(self, engine: Engine) -> None:
        fleet = two()
        assert list(fleet) == list(fleet.keys()) == ["gpt2", "phi"]
        assert len(fleet) == 2
        assert "phi" in fleet
        assert "phy" not in fleet
        assert 0 not in fleet
        assert dict(fleet) == {"gpt2": fleet["gpt2"], "phi": fleet["phi"]}
        assert list(fleet.items()) == list(zip(fleet, fleet.values(), strict=True))
        assert fleet["phi"] is fleet["phi"]

    def test_it_stays_a_resource(self, engine: Engine) -> None:
        """Pulumi asks of a parent whether it is there by its truth."""
        empty = bytez.Fleet("none", models={})
        assert empty
        assert len(empty) == 0
        assert len({empty, two()}) == 2
        assert empty != bytez.Fleet("other", models={})

    def test_a_key_that_is_not_there_names_the_nearest(self, engine: Engine) -> None:
        fleet = two()
        with pytest.raises(KeyError, match=r"the fleet has no model 'phy'; did you mean 'phi'\?"):
            fleet["phy"]
        with pytest.raises(KeyError, match="the fleet has no model 'xyzzy'\""):
            fleet["xyzzy"]

    @pytest.mark.parametrize("key", [0, None, pulumi.Input])
    def test_a_key_that_is_no_text_is_said_so(self, engine: Engine, key: Any) -> None:
        with pytest.raises(KeyError, match="the keys of a fleet are texts, and this one is of"):
            two()[key]


class TestRefused:
    """In one sentence, and before anything is registered."""

    def test_two_keys_for_one_model(self, engine: Engine) -> None:
        models = {
            "a": bytez.ModelArgs(model_id=GPT2),
            "b": bytez.ModelArgs(model_id=PHI),
            "c": bytez.ModelArgs(model_id=GPT2),
        }
        assert failure(lambda: bytez.Fleet("chat", models=models)) == (
            f"could not declare the fleet 'chat': 'a' and 'c' are both {GPT2}, and the service "
            "holds one instance a model. Nothing was changed. Remove one of them, and raise the "
            "other's concurrency."
        )
        assert engine.types() == {}

    def test_the_name_of_the_readiness(self, engine: Engine) -> None:
        models = {"ready": bytez.ModelArgs(model_id=GPT2)}
        assert failure(lambda: bytez.Fleet("chat", models=models)) == (
            "could not declare the fleet 'chat': 'ready' is the name of its readiness and cannot "
            "be a model's key. Nothing was changed. Use another key."
        )
        assert engine.types() == {}

    @pytest.mark.parametrize("models", [{}, {"phi": bytez.ModelArgs(model_id=PHI)}])
    def test_a_key_in_plain_text(self, engine: Engine, models: dict[str, bytez.ModelArgs]) -> None:
        pulumi.runtime.set_all_config({"bytez:key": "plain-key-0123"})
        said = failure(lambda: bytez.Fleet("chat", models=models))
        assert "bytez:key is set in plain text" in said
        assert engine.types() == {}

    @pytest.mark.parametrize(
        ("option", "value"),
        [("id", "x"), ("import_", "x"), ("urn", "x"), ("version", "1"), ("deleted_with", "x")],
    )
    def test_an_option_that_cannot_work(self, engine: Engine, option: str, value: str) -> None:
        opts = pulumi.ResourceOptions(**{option: value})  # type: ignore[arg-type]
        said = failure(lambda: two(opts))
        assert said.startswith(f"could not declare the fleet 'chat': `{option}` is set, and ")
        assert engine.types() == {}

    def test_two_at_a_time(self, engine: Engine) -> None:
        said = failure(lambda: two(pulumi.ResourceOptions(delete_before_replace=False)))
        assert "the service holds one instance a model" in said
        assert engine.types() == {}

    def test_a_provider_of_its_own(self, engine: Engine) -> None:
        def program() -> None:
            own = pulumi.ProviderResource("pulumi-python", "own", {})
            site = pulumi.ComponentResource(
                "my:app:Site", "site", opts=pulumi.ResourceOptions(providers=[own])
            )
            for opts in (
                pulumi.ResourceOptions(providers=[own]),
                pulumi.ResourceOptions(parent=site),
            ):
                assert "a provider of its own for pulumi-python" in failure(partial(two, opts))

        pulumi.runtime.test(program)()  # type: ignore[no-untyped-call]
        assert engine.types().keys() == {"own", "site"}

    def test_arguments_are_named(self) -> None:
        with pytest.raises(TypeError):
            bytez.ModelArgs(GPT2)  # type: ignore[call-arg, arg-type]
        with pytest.raises(TypeError):
            bytez.Fleet("chat", {})  # type: ignore[call-arg]


class TestFromYaml:
    FILE = f"""\
        defaults: {{concurrency: 1, expectedHoursPerDay: 8}}
        models:
          gpt2: {{modelId: {GPT2}, concurrency: 2}}
          phi: {{modelId: {PHI}, onExpiry: accept, expirationPeriodSeconds: 600, adopt: true}}
        """
    OVERLAY = f"""\
        models:
          gpt2: {{concurrency: 4}}
          phi: ~
          opt: {{modelId: {OPT}}}
        """

    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        (tmp_path / "fleet.prod.yaml").write_text(textwrap.dedent(self.OVERLAY))
        file = tmp_path / "fleet.yaml"
        file.write_text(textwrap.dedent(self.FILE))
        return file

    def test_each_property_arrives(self, engine: Engine, file: Path) -> None:
        run(lambda: bytez.Fleet.from_yaml("batch", file))
        assert engine.types().keys() == {"batch", "batch-gpt2", "batch-phi", "batch-ready"}
        assert engine.inputs("batch-phi") == {
            "modelId": PHI,
            "concurrency": 1,
            "expirationPeriodSeconds": 600,
            "adopt": True,
            "onExpiry": "accept",
            "expectedHoursPerDay": 8,
            "readiness": "fleet",
        }
        assert engine.inputs("batch-gpt2")["concurrency"] == 2
        assert engine.inputs("batch-ready")["members"]["phi"]["acceptIdle"] is True

    def test_as_in_python(self, engine: Engine, file: Path) -> None:
        run(lambda: bytez.Fleet.from_yaml("batch", str(file)))
        written = engine.inputs("batch-gpt2")
        run(
            lambda: bytez.Fleet(
                "batch",
                models={
                    "gpt2": bytez.ModelArgs(model_id=GPT2, concurrency=2, expected_hours_per_day=8)
                },
            )
        )
        assert engine.inputs("batch-gpt2") == written

    def test_an_environment_is_laid_over_it(self, engine: Engine, file: Path) -> None:
        run(lambda: bytez.Fleet.from_yaml("batch", file, environment="prod"))
        assert engine.types().keys() == {"batch", "batch-gpt2", "batch-opt", "batch-ready"}
        assert engine.inputs("batch-gpt2")["concurrency"] == 4

    def test_the_options_are_those_of_the_fleet(self, engine: Engine, file: Path) -> None:
        timeouts = pulumi.ResourceOptions(custom_timeouts=pulumi.CustomTimeouts(create="20m"))
        run(lambda: bytez.Fleet.from_yaml("batch", file, opts=timeouts))
        assert engine.requests["batch-ready"].customTimeouts.create == "20m"

    def test_a_mistake_is_told_with_its_line(
        self, engine: Engine, file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file.write_text("models:\n  gpt2: {modelId: openai-community/gpt2, concurency: 2}\n")
        monkeypatch.chdir(file.parent)
        said = failure(lambda: bytez.Fleet.from_yaml("batch", "fleet.yaml"))
        assert said.startswith(
            "could not read 'fleet.yaml': fleet.yaml:2: 'concurency' is not a property of a model, "
            "perhaps 'concurrency' is meant. Nothing was changed."
        )
        assert engine.types() == {}

    def test_a_file_that_is_not_there_is_said_so(self, engine: Engine, file: Path) -> None:
        said = failure(lambda: bytez.Fleet.from_yaml("batch", file.with_name("fleat.yaml")))
        assert "fleat.yaml" in said
        failure(lambda: bytez.Fleet.from_yaml("batch", file, environment="stage"))
        assert engine.types() == {}


def test_the_readiness_is_pickled_by_reference(engine: Engine) -> None:
    run(two)
    pickled = engine.requests["chat-ready"].object["__provider"]
    assert isinstance(pickled, str)
    assert len(pickled) < 90
    assert ReadinessProvider.__module__ == "bytez_provider.provider"
