"""`Fleet` in a program, under Pulumi's mocks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pulumi
import pytest
from inline_snapshot import snapshot

import bytez_provider as bytez
from bytez_provider.dynamic.providers import ReadinessProvider
from tests import programs
from tests.fleet.crew import OPT
from tests.programs import CREATED, GPT2, MODEL, PHI, READINESS, Engine, Provider, failure

FLEET = "bytez:index:Fleet"


def run(
    program: Callable[[], bytez.Fleet],
    outputs: Callable[[bytez.Fleet], Mapping[str, Any]] = lambda _: {},
) -> dict[str, Any]:
    """Run a program that makes one fleet; return the values of some of its outputs."""

    def collect() -> dict[str, Any]:
        fleet = program()
        return {**outputs(fleet), "statuses": fleet.statuses}

    return programs.run(collect)


def two(
    opts: pulumi.ResourceOptions | None = None, defaults: bytez.ModelDefaults | None = None
) -> bytez.Fleet:
    """Declare a fleet of two, one of them at concurrency 2."""
    models = {
        "gpt2": bytez.ModelArgs(model_id=GPT2),
        "phi": bytez.ModelArgs(model_id=PHI, concurrency=2),
    }
    return bytez.Fleet("chat", models=models, defaults=defaults, opts=opts)


def totals(fleet: bytez.Fleet) -> dict[str, Any]:
    return {"ram": fleet.total_required_ram_gb, "unknown": fleet.unknown_ram}


def changed(
    monkeypatch: pytest.MonkeyPatch, change: Callable[[pulumi.runtime.MockResourceArgs, Any], None]
) -> None:
    """Let a test change the outputs of each resource."""
    plain = Provider.new_resource

    def answer(self: Provider, args: pulumi.runtime.MockResourceArgs) -> Any:
        id_, outs = plain(self, args)
        change(args, outs)
        return id_, outs

    monkeypatch.setattr(Provider, "new_resource", answer)


class Reader(pulumi.CustomResource):
    """Uses something of a fleet."""

    def __init__(self, value: Any = None, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("test:index:Reader", "reader", {"value": value}, opts)


def names(urns: Any) -> set[str]:
    return {urn.rpartition("::")[2] for urn in urns}


def test_arguments_are_given_by_name() -> None:
    with pytest.raises(TypeError):
        bytez.ModelArgs(GPT2)  # type: ignore[call-arg, arg-type]
    with pytest.raises(TypeError):
        bytez.Fleet("chat", {})  # type: ignore[call-arg]


class TestChildren:
    def test_their_names_types_and_inputs_are_storage_formats(self, engine: Engine) -> None:
        run(two)
        assert engine.types() == {
            "chat": FLEET,
            "chat-gpt2": MODEL,
            "chat-phi": MODEL,
            "chat-ready": READINESS,
        }
        for name in ("chat-gpt2", "chat-phi", "chat-ready"):
            assert engine.requests[name].parent.endswith(f"{FLEET}::chat")
        assert engine.inputs("chat-phi") == {
            "modelId": PHI,
            "concurrency": 2,
            "adopt": False,
            "onExpiry": "reload",
            "readiness": "fleet",
        }
        assert engine.requests["chat-phi"].deleteBeforeReplace is True
        ready = engine.requests["chat-ready"]
        assert engine.inputs("chat-ready") == {
            "fleet": "chat",
            "members": {
                "gpt2": {"modelId": GPT2, "created": CREATED},
                "phi": {"modelId": PHI, "created": CREATED},
            },
        }
        assert ready.deleteBeforeReplace is False
        assert ready.customTimeouts.create == ""
        assert names(ready.propertyDependencies["members"].urns) == {"chat-gpt2", "chat-phi"}
        # Pickled by reference.
        assert len(ready.object["__provider"]) < 90
        assert ReadinessProvider.__module__ == "bytez_provider.provider"

    @pytest.mark.parametrize("accept", ["accept", pulumi.Output.from_input("accept")])
    def test_the_readiness_knows_if_idle_is_accepted(self, engine: Engine, accept: Any) -> None:
        run(lambda: two(defaults=bytez.ModelDefaults(on_expiry=accept)))
        assert engine.inputs("chat-ready")["members"]["phi"]["acceptIdle"] is True

    def test_the_readiness_waits_for_what_a_transform_made(
        self, engine: Engine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def transform(args: pulumi.runtime.MockResourceArgs, outs: Any) -> None:
            if args.name == "chat-phi":
                outs.update(modelId=OPT, onExpiry="accept")

        changed(monkeypatch, transform)
        run(two)
        assert engine.inputs("chat-ready")["members"] == {
            "gpt2": {"modelId": GPT2, "created": CREATED},
            "phi": {"modelId": OPT, "created": CREATED, "acceptIdle": True},
        }

    def test_a_service_may_report_no_created(
        self, engine: Engine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        changed(monkeypatch, lambda _, outs: outs.pop("created", None))
        run(two)
        assert engine.inputs("chat-ready")["members"]["phi"] == {"modelId": PHI, "created": ""}

    def test_options_reach_the_models(self, engine: Engine) -> None:
        opts = pulumi.ResourceOptions(
            custom_timeouts=pulumi.CustomTimeouts(create="20m", update="10m", delete="1m"),
            ignore_changes=["model_id", "expirationPeriodSeconds"],
            additional_secret_outputs=["required_ram_gb"],
            hide_diffs=["adopted_at"],
            replacement_trigger="1",
        )
        run(lambda: two(opts))
        model, readiness = engine.requests["chat-gpt2"], engine.requests["chat-ready"]
        for given in (model.customTimeouts, readiness.customTimeouts):
            assert (given.create, given.update, given.delete) == ("20m", "10m", "1m")
        assert list(model.ignoreChanges) == ["modelId", "expirationPeriodSeconds"]
        assert list(model.additionalSecretOutputs) == ["requiredRamGb"]
        assert "adoptedAt" in model.hideDiffs
        assert model.replacement_trigger.string_value == "1"
        # The readiness must not ignore what it waits for.
        assert list(readiness.ignoreChanges) == []

    def test_a_fleet_may_be_within_another_component(self, engine: Engine) -> None:
        def program() -> bytez.Fleet:
            site = pulumi.ComponentResource("my:app:Site", "site")
            return two(pulumi.ResourceOptions(parent=site))

        run(program)
        assert engine.requests["chat"].parent.endswith("my:app:Site::site")
        assert engine.requests["chat-ready"].parent.endswith(f"{FLEET}::chat")

    def test_an_empty_fleet_is_ready(self, engine: Engine) -> None:
        seen = run(lambda: bytez.Fleet("chat", models={}), totals)
        assert seen == {"statuses": {}, "ram": 0, "unknown": []}
        assert engine.inputs("chat-ready") == {"fleet": "chat", "members": {}}


def test_defaults_apply_unless_the_model_sets_its_own(engine: Engine) -> None:
    defaults = bytez.ModelDefaults(
        concurrency=pulumi.Output.from_input(3),
        expiration_period_seconds=600,
        adopt=True,
        on_expiry="accept",
        expected_hours_per_day=8,
    )
    models = {
        "gpt2": bytez.ModelArgs(model_id=GPT2),
        # Also if the model's own value is falsy.
        "phi": bytez.ModelArgs(
            model_id=PHI,
            adopt=False,
            on_expiry="reload",
            expected_hours_per_day=0,
            concurrency=pulumi.Output.from_input(1),
        ),
    }
    run(lambda: bytez.Fleet("chat", models=models, defaults=defaults))
    assert engine.inputs("chat-gpt2") == {
        "modelId": GPT2,
        "concurrency": 3,
        "expirationPeriodSeconds": 600,
        "adopt": True,
        "onExpiry": "accept",
        "expectedHoursPerDay": 8,
        "readiness": "fleet",
    }
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


class TestOutputs:
    def test_of_the_fleet(self, engine: Engine) -> None:
        seen = run(two, totals)
        assert seen == {
            "statuses": {"gpt2": "RUNNING", "phi": "RUNNING"},
            "ram": pytest.approx(0.5 + 2 * 9.16),
            "unknown": [],
        }

    def test_unknown_ram_is_named_and_not_counted_as_zero(self, engine: Engine) -> None:
        models = {
            "gpt2": bytez.ModelArgs(model_id=GPT2, concurrency=3),
            "opt": bytez.ModelArgs(model_id=OPT),
        }
        seen = run(lambda: bytez.Fleet("chat", models=models), totals)
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
    def test_of_one_model_depend_on_it_and_on_the_readiness(
        self, engine: Engine, name: str
    ) -> None:
        """Not on the other models: the replacement of one must not affect what uses another."""

        def program() -> bytez.Fleet:
            fleet = two()
            Reader(getattr(fleet["gpt2"], name))
            return fleet

        run(program)
        urns = engine.requests["reader"].propertyDependencies["value"].urns
        assert names(urns) == {"chat-gpt2", "chat-ready"}

    def test_what_depends_on_the_fleet_waits_for_the_readiness(self, engine: Engine) -> None:
        def program() -> bytez.Fleet:
            fleet = two()
            Reader(opts=pulumi.ResourceOptions(depends_on=[fleet]))
            return fleet

        run(program)
        after = names(engine.requests["reader"].dependencies)
        assert {"chat-gpt2", "chat-phi", "chat-ready"} <= after

    def test_a_secret_input_does_not_make_the_statuses_secret(self, engine: Engine) -> None:
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
    """`up --target` may load a model and leave the readiness with an older load, or with none."""

    @pytest.fixture
    def readiness(self, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
        """Return the outputs that the readiness keeps, for a test to change."""
        members = {key: {"modelId": key, "created": CREATED} for key in ("gpt2", "phi")}
        kept = {"members": members, "statuses": dict.fromkeys(members, "RUNNING"), "ready": True}
        changed(monkeypatch, lambda args, outs: outs.update(kept if args.typ == READINESS else {}))
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

    @pytest.mark.parametrize("how", ["older load", "not a member", "no status", "no statuses"])
    def test_such_a_model_is_deploying(
        self, engine: Engine, readiness: dict[str, Any], warnings: list[Any], how: str
    ) -> None:
        if how == "older load":
            readiness["members"]["phi"]["created"] = "2024-05-20T00:00:00.000Z"
        elif how == "not a member":
            del readiness["members"]["phi"]
        elif how == "no status":
            del readiness["statuses"]["phi"]
        else:
            # A readiness that a first `up` excludes has its inputs, and no outputs.
            readiness["statuses"].clear()
        seen = self.seen()
        assert (seen["phi"], seen["statuses"]["phi"]) == ("DEPLOYING", "DEPLOYING")
        ((said, about),) = warnings
        assert "'phi'" in said
        assert isinstance(about, bytez.Fleet)

    def test_the_warning_counts_many_models(
        self, engine: Engine, readiness: dict[str, Any], warnings: list[Any]
    ) -> None:
        models = {f"m{n}": bytez.ModelArgs(model_id=f"owner/m{n}") for n in range(7)}
        run(lambda: bytez.Fleet("chat", models=models))
        assert warnings[0][0] == snapshot(
            "this `up` did not wait for 'm0', 'm1', 'm2', 'm3', 'm4' and 2 more, which may "
            "not be RUNNING: to wait, run `pulumi up` without `--target` and `--exclude`"
        )

    def test_mocks_without_outputs_do_not_fail(
        self, engine: Engine, warnings: list[Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Provider, "new_resource", lambda _, args: (args.name, args.inputs))
        assert self.seen()["statuses"] == {"gpt2": "DEPLOYING", "phi": "DEPLOYING"}

    def test_nothing_is_said_if_all_were_waited_for(
        self, engine: Engine, readiness: dict[str, Any], warnings: list[Any]
    ) -> None:
        assert self.seen()["statuses"] == {"gpt2": "RUNNING", "phi": "RUNNING"}
        assert warnings == []


class TestAsAMapping:
    def test_it_reads_like_one(self, engine: Engine) -> None:
        fleet = two()
        assert list(fleet) == list(fleet.keys()) == ["gpt2", "phi"]
        assert len(fleet) == 2
        assert "phi" in fleet
        assert 0 not in fleet
        assert dict(fleet) == {"gpt2": fleet["gpt2"], "phi": fleet["phi"]}
        assert list(fleet.items()) == list(zip(fleet, fleet.values(), strict=True))

    def test_it_remains_a_resource(self, engine: Engine) -> None:
        """Pulumi tests the truth of a parent, and puts resources into sets."""
        empty = bytez.Fleet("none", models={})
        assert empty
        assert len(empty) == 0
        assert len({empty, two()}) == 2
        assert empty != bytez.Fleet("other", models={})

    @pytest.mark.parametrize(("key", "hint"), [("phy", "did you mean 'phi'?"), (0, ""), (None, "")])
    def test_a_missing_key_names_similar_ones(self, engine: Engine, key: Any, hint: str) -> None:
        with pytest.raises(KeyError) as caught:
            two()[key]
        assert f"the fleet has no model {key!r}" in str(caught.value)
        assert hint in str(caught.value)


class TestRefused:
    """In one sentence, and before anything is registered."""

    @pytest.mark.parametrize(
        ("models", "said"),
        [
            (
                {"a": GPT2, "b": PHI, "c": GPT2},
                snapshot(
                    "could not declare the fleet 'chat': 'a' and 'c' are both "
                    "openai-community/gpt2, and the service loads a model only once. Nothing "
                    "was changed. Remove one of them, and raise the other's concurrency."
                ),
            ),
            (
                {"ready": GPT2},
                snapshot(
                    "could not declare the fleet 'chat': 'ready' is reserved for its "
                    "readiness and cannot be a model's key. Nothing was changed. Use another "
                    "key."
                ),
            ),
        ],
    )
    def test_unusable_models(self, engine: Engine, models: dict[str, str], said: str) -> None:
        args = {key: bytez.ModelArgs(model_id=model_id) for key, model_id in models.items()}
        assert failure(lambda: bytez.Fleet("chat", models=args)) == said
        assert engine.types() == {}

    @pytest.mark.parametrize("models", [{}, {"phi": bytez.ModelArgs(model_id=PHI)}])
    def test_a_key_in_plain_text(self, engine: Engine, models: dict[str, bytez.ModelArgs]) -> None:
        pulumi.runtime.set_all_config({"bytez:key": "plain-key-0123"})
        said = failure(lambda: bytez.Fleet("chat", models=models))
        assert "bytez:key" in said
        assert "plain-key-0123" not in said
        assert engine.types() == {}

    @pytest.mark.parametrize(
        ("option", "value"), [("id", "x"), ("deleted_with", "x"), ("delete_before_replace", False)]
    )
    def test_an_option_that_cannot_work(self, engine: Engine, option: str, value: Any) -> None:
        opts = pulumi.ResourceOptions(**{option: value})
        assert option in failure(lambda: two(opts))
        assert engine.types() == {}

    def test_its_own_provider(self, engine: Engine) -> None:
        def program() -> None:
            own = pulumi.ProviderResource("pulumi-python", "own", {})
            opts = pulumi.ResourceOptions(providers=[own])
            assert "own provider for pulumi-python" in failure(lambda: two(opts))

        pulumi.runtime.test(program)()  # type: ignore[no-untyped-call]
        assert engine.types().keys() == {"own"}


class TestFromYaml:
    FILE = (
        "defaults: {concurrency: 1, expectedHoursPerDay: 8}\n"
        "models:\n"
        f"  gpt2: {{modelId: {GPT2}, concurrency: 2}}\n"
        f"  phi: {{modelId: {PHI}, onExpiry: accept, expirationPeriodSeconds: 600, adopt: true}}\n"
    )
    OVERLAY = f"models:\n  gpt2: {{concurrency: 4}}\n  phi: ~\n  opt: {{modelId: {OPT}}}\n"

    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        (tmp_path / "fleet.prod.yaml").write_text(self.OVERLAY)
        file = tmp_path / "fleet.yaml"
        file.write_text(self.FILE)
        return file

    def test_each_property_and_option_arrives(self, engine: Engine, file: Path) -> None:
        opts = pulumi.ResourceOptions(custom_timeouts=pulumi.CustomTimeouts(create="20m"))
        run(lambda: bytez.Fleet.from_yaml("batch", str(file), opts=opts))
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
        assert engine.inputs("batch-ready")["members"]["phi"]["acceptIdle"] is True
        assert engine.requests["batch-ready"].customTimeouts.create == "20m"

    def test_an_environment_overrides_it(self, engine: Engine, file: Path) -> None:
        run(lambda: bytez.Fleet.from_yaml("batch", file, environment="prod"))
        assert engine.types().keys() == {"batch", "batch-gpt2", "batch-opt", "batch-ready"}
        assert engine.inputs("batch-gpt2")["concurrency"] == 4

    def test_a_mistake_is_reported_with_its_line(
        self, engine: Engine, file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file.write_text("models:\n  gpt2: {modelId: openai-community/gpt2, concurency: 2}\n")
        monkeypatch.chdir(file.parent)
        said = failure(lambda: bytez.Fleet.from_yaml("batch", "fleet.yaml"))
        assert said.startswith("could not read 'fleet.yaml': fleet.yaml:2: ")
        failure(lambda: bytez.Fleet.from_yaml("batch", "fleat.yaml"))
        assert engine.types() == {}
