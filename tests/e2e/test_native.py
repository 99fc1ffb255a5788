"""The plugin, from programs in YAML, with the real engine."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bytez_provider.emulator import Emulator
from tests.e2e.conftest import KEY
from tests.e2e.helpers import (
    BOOT_SECONDS,
    DELETE,
    GPT2,
    LISTS,
    LOAD,
    OPT,
    PHI,
    SLOW,
    UP,
    Log,
    loads,
    mid_boot,
    process_arguments,
    running,
    sentence,
    until,
)
from tests.e2e.stack import YamlStack

OTHER_KEY = "second-key-0123456789"
ONE = """\
resources:
  gpt2:
    type: bytez:Model
    properties: {{modelId: {model_id}, concurrency: {concurrency}{more}}}
    options: {{{options}}}
"""
FLEET = """\
resources:
  chat:
    type: bytez:Fleet
    properties:
      defaults: {{onExpiry: reload}}
      models:
{models}
outputs:
  statuses: ${{chat.statuses}}
  ram: ${{chat.totalRequiredRamGb}}
  members: ${{chat.members}}
"""


def one(concurrency: int = 1, *, model_id: str = GPT2, more: str = "", options: str = "") -> str:
    """Return a program with one model."""
    return ONE.format(model_id=model_id, concurrency=concurrency, more=more, options=options)


def fleet(**models: str) -> str:
    """Return a program with a fleet."""
    lines = [f"        {key}: {{modelId: {model_id}}}" for key, model_id in models.items()]
    return FLEET.format(models="\n".join(lines))


@pytest.fixture
def stack(tmp_path: Path, emulator: Emulator) -> Iterator[YamlStack]:
    """A stack without any option."""
    env = {"BYTEZ_KEY": KEY, "BYTEZ_ENDPOINT": emulator.url}
    stack = YamlStack(tmp_path, env, refresh=False)
    yield stack
    stack.end()


class TestModel:
    def test_its_life(self, stack: YamlStack, emulator: Emulator) -> None:
        log = Log(emulator)
        stack.program(one())
        preview = stack.preview().ok()
        assert "warning" not in preview.output
        assert log.new() == []
        stack.up().ok()
        assert log.new() == [(LOAD, GPT2)]
        assert stack.models()["gpt2"]["status"] == "RUNNING"

        stack.up("--expect-no-changes").ok()
        assert log.new() == []

        stack.program(one(3))
        assert "~ concurrency: 1 => 3" in stack.preview("--diff").ok().output
        stack.up().ok()
        assert log.new() == [(DELETE, GPT2), (LOAD, GPT2)]
        assert running(emulator) == {GPT2: 3}

        stack.destroy().ok()
        assert log.new() == [(DELETE, GPT2)]
        assert running(emulator) == {}

    def test_what_expired_is_loaded_again_in_the_same_up(
        self, stack: YamlStack, emulator: Emulator
    ) -> None:
        stack.program(one())
        stack.up().ok()
        emulator.unload_by_somebody_else(GPT2)
        log = Log(emulator)
        stack.up().ok()
        assert log.new() == [(LOAD, GPT2)]

    def test_a_rename_with_an_alias_changes_nothing(
        self, stack: YamlStack, emulator: Emulator
    ) -> None:
        stack.program(one())
        stack.up().ok()
        log = Log(emulator)
        alias = "urn:pulumi:dev::fleet::bytez:index:Model::gpt2"
        stack.program(one(options=f"aliases: ['{alias}']").replace("  gpt2:", "  chat:"))
        stack.up("--expect-no-changes").ok()
        assert (log.new(), list(stack.models())) == ([], ["chat"])

    def test_somebody_elses_load_is_refused_and_may_be_adopted(
        self, stack: YamlStack, emulator: Emulator
    ) -> None:
        emulator.load_by_somebody_else(GPT2)
        log = Log(emulator)
        stack.program(one())
        assert "already loaded at concurrency 1" in sentence(stack.up())
        stack.program(one(more=", adopt: true"))
        stack.up().ok()
        assert log.new() == []
        stack.destroy().ok()
        assert log.new() == [(DELETE, GPT2)]

    @pytest.mark.parametrize(
        ("given", "reason"),
        [
            ("concurrency: 0", "must be a whole number of at least 1"),
            ("expirationPeriodSeconds: 5", "must be a whole number of seconds from 60 to 604800"),
            ("expectedHoursPerDay: 25", "must be a number of hours from 0 to 24"),
        ],
    )
    def test_a_wrong_input_is_named_in_the_preview(
        self, stack: YamlStack, emulator: Emulator, given: str, reason: str
    ) -> None:
        name = given.partition(":")[0]
        stack.program(one().replace("concurrency: 1", given))
        output = stack.preview().failed().output
        assert name in output
        assert reason in output
        assert running(emulator) == {}


class TestKilled:
    @SLOW
    def test_ctrl_c_keeps_the_load_in_state(self, stack: YamlStack, emulator: Emulator) -> None:
        stack.program(one())
        deployment = stack.start(*UP)
        until(lambda: mid_boot(emulator))
        deployment.interrupt()
        deployment.finish(timeout=20).failed()
        assert stack.models()["gpt2"]["status"] == "DEPLOYING"
        assert "pending_operations" not in stack.export()
        emulator.advance(BOOT_SECONDS)
        stack.up().ok()
        assert stack.models()["gpt2"]["status"] == "RUNNING"
        assert loads(emulator) == 1

    @SLOW
    @pytest.mark.parametrize("what", ["plugin", "engine", "both"])
    def test_the_next_up_goes_on_with_the_one_load(
        self, stack: YamlStack, emulator: Emulator, what: str
    ) -> None:
        stack.program(one())
        deployment = stack.start(*UP)
        until(lambda: mid_boot(emulator))
        if what == "plugin":
            stack.kill_host()
        elif what == "engine":
            deployment.kill_engine()
        else:
            stack.end()
        deployment.finish().failed()
        if what != "plugin":
            stack.run("cancel", "--yes").ok()
        emulator.advance(BOOT_SECONDS)
        stack.up().ok()
        assert stack.models()["gpt2"]["status"] == "RUNNING"
        assert loads(emulator) == 1
        stack.destroy().ok()
        assert running(emulator) == {}

    @SLOW
    def test_the_plugin_ends_when_its_engine_is_killed(
        self, stack: YamlStack, emulator: Emulator
    ) -> None:
        stack.program(one())
        deployment = stack.start(*UP)
        until(lambda: mid_boot(emulator))
        deployment.kill_engine()
        until(lambda: not stack.plugins())
        deployment.finish().failed()


class TestFleet:
    def test_its_models_boot_together_and_its_outputs_name_them(
        self, stack: YamlStack, emulator: Emulator
    ) -> None:
        log = Log(emulator)
        stack.program(fleet(gpt2=GPT2, phi=PHI))
        assert "[unknown]" in stack.preview().ok().output
        stack.up().ok()
        assert sorted(log.new(), key=str) == [(LOAD, PHI), (LOAD, GPT2)]
        outputs = stack.outputs()
        assert outputs["statuses"] == {"gpt2": "RUNNING", "phi": "RUNNING"}
        assert outputs["members"]["phi"]["modelId"] == PHI
        assert outputs["ram"] > 0
        assert sorted(stack.models()) == ["chat-gpt2", "chat-phi"]
        stack.up("--expect-no-changes").ok()
        assert log.new() == []

        stack.program(fleet(gpt2=GPT2, opt=OPT))
        stack.up().ok()
        assert sorted(log.new(), key=str) == [(DELETE, PHI), (LOAD, OPT)]
        stack.destroy().ok()
        assert running(emulator) == {}

    def test_its_options_are_those_of_its_models(
        self, stack: YamlStack, emulator: Emulator
    ) -> None:
        program = fleet(gpt2=GPT2)
        stack.program(program.replace("outputs:", "    options: {protect: true}\noutputs:"))
        stack.up().ok()
        protected = [one["type"] for one in stack.export()["resources"] if one.get("protect")]
        assert sorted(protected) == [
            "bytez:index:Fleet",
            "bytez:index:Model",
            "bytez:index:Readiness",
        ]
        stack.program(program.replace("outputs:", "    options: {retainOnDelete: true}\noutputs:"))
        stack.up().ok()
        assert not any(one.get("protect") for one in stack.export()["resources"])
        stack.destroy().ok()
        assert running(emulator) == {GPT2: 1}

    def test_one_that_fails_is_named_and_the_others_are_left_to_run(
        self, stack: YamlStack, emulator: Emulator
    ) -> None:
        emulator.load_by_somebody_else(PHI)
        stack.program(fleet(gpt2=GPT2, phi=PHI))
        assert f"could not load '{PHI}'" in sentence(stack.up())
        assert running(emulator) == {GPT2: 1, PHI: 1}

    @SLOW
    def test_ctrl_c_keeps_all_in_state(self, stack: YamlStack, emulator: Emulator) -> None:
        stack.program(fleet(gpt2=GPT2, phi=PHI))
        deployment = stack.start(*UP)
        until(lambda: len(emulator.requests(LOAD)) == 2 and len(emulator.requests(LISTS)) >= 2)
        deployment.interrupt()
        deployment.finish(timeout=20).failed()
        assert sorted(stack.models()) == ["chat-gpt2", "chat-phi"]
        emulator.advance(BOOT_SECONDS)
        stack.up().ok()
        assert stack.outputs()["statuses"] == {"gpt2": "RUNNING", "phi": "RUNNING"}
        assert len(emulator.requests(LOAD)) == 2

    @pytest.mark.parametrize(
        ("models", "observed"),
        [
            ({"a": GPT2, "b": GPT2}, "'a' and 'b' are both openai-community/gpt2"),
            ({"ready": GPT2}, "'ready' is reserved for its readiness"),
        ],
    )
    def test_what_it_cannot_have_is_refused(
        self, stack: YamlStack, models: dict[str, str], observed: str
    ) -> None:
        stack.program(fleet(**models))
        assert observed in stack.preview().failed().output


class TestImport:
    def test_a_load_that_others_made_is_ours_afterwards(
        self, stack: YamlStack, emulator: Emulator
    ) -> None:
        emulator.load_by_somebody_else(GPT2, concurrency=2)
        log = Log(emulator)
        done = stack.run("import", "bytez:index:Model", "gpt2", GPT2, "--yes", "--skip-preview")
        assert "concurrency: 2" in done.ok().output
        stack.program(one(2, options="protect: true"))
        stack.up("--expect-no-changes").ok()
        assert log.new() == []
        (record,) = (stack.folder / "journal").glob("record-*.json")
        assert json.loads(record.read_bytes())["owner"]["urn"].endswith("bytez:index:Model::gpt2")

        stack.program(one(2, options="protect: false"))
        stack.up().ok()
        stack.destroy().ok()
        assert (log.new(), running(emulator)) == ([(DELETE, GPT2)], {})

    def test_as_an_option_of_a_resource(self, stack: YamlStack, emulator: Emulator) -> None:
        emulator.load_by_somebody_else(GPT2, concurrency=2)
        log = Log(emulator)
        stack.program(one(2, options=f"import: {GPT2}"))
        stack.up().ok()
        stack.program(one(2))
        stack.up("--expect-no-changes").ok()
        assert log.new() == []

    def test_with_other_settings_the_load_is_left_as_it_is(
        self, stack: YamlStack, emulator: Emulator
    ) -> None:
        emulator.load_by_somebody_else(GPT2)
        log = Log(emulator)
        stack.program(one(3, options=f"import: {GPT2}"))
        assert "concurrency" in stack.up().failed().output
        assert log.new() == []
        assert running(emulator) == {GPT2: 1}

    def test_what_is_not_loaded_or_no_model_id_is_one_sentence(self, stack: YamlStack) -> None:
        for given, observed in ((GPT2, "it is not loaded"), ("gpt2", "it is no model id")):
            done = stack.run(
                "import", "bytez:index:Model", "gpt2", given, "--yes", "--skip-preview"
            )
            shown = done.failed().output.split("bytez:index:Model (gpt2):\n")[1]
            assert re.match(rf"\s*error: could not read '{given}': {observed}\. .*\.\n", shown)


class TestSettings:
    def test_two_providers_and_two_accounts(self, stack: YamlStack, emulator: Emulator) -> None:
        with Emulator(keys=(OTHER_KEY,), boot_seconds=0) as second:
            stack.run("config", "set", "--secret", "second", OTHER_KEY).ok()
            stack.program(
                "config: {second: {type: string, secret: true}}\nresources:\n"
                "  other:\n    type: pulumi:providers:bytez\n"
                f"    properties: {{key: '${{second}}', endpoint: '{second.url}'}}\n"
                f"  gpt2: {{type: bytez:Model, properties: {{modelId: {GPT2}}}}}\n"
                "  phi:\n    type: bytez:Model\n"
                f"    properties: {{modelId: {PHI}}}\n    options: {{provider: '${{other}}'}}\n"
                "  again:\n    type: bytez:Model\n"
                f"    properties: {{modelId: {GPT2}}}\n    options: {{provider: '${{other}}'}}\n"
            )
            stack.up().ok()
            assert running(emulator) == {GPT2: 1}
            assert running(second) == {GPT2: 1, PHI: 1}
            stack.up("--expect-no-changes").ok()
            text = json.dumps(stack.export())
            assert OTHER_KEY not in text
            assert KEY not in text
            stack.destroy().ok()
            assert (running(emulator), running(second)) == ({}, {})

    def test_from_the_config_of_the_stack(self, stack: YamlStack, emulator: Emulator) -> None:
        del stack.env["BYTEZ_KEY"], stack.env["BYTEZ_ENDPOINT"]
        stack.run("config", "set", "bytez:endpoint", emulator.url).ok()
        stack.program(one())
        assert "no API key is set" in stack.up().failed().output
        stack.run("config", "set", "--secret", "bytez:key", KEY).ok()
        stack.up().ok()
        assert running(emulator) == {GPT2: 1}
        assert KEY not in json.dumps(stack.export())

    def test_a_key_that_was_changed_and_revoked_needs_no_command(
        self, stack: YamlStack, emulator: Emulator
    ) -> None:
        """Each resource is refreshed before its update, with the new key."""
        stack.program(one())
        stack.up().ok()
        log = Log(emulator)
        emulator.keys = (OTHER_KEY,)
        stack.env["BYTEZ_KEY"] = OTHER_KEY
        stack.up().ok()
        assert (log.new(), stack.models()["gpt2"]["status"]) == ([], "RUNNING")
        stack.destroy().ok()
        assert running(emulator) == {}

    def test_a_key_that_was_changed_in_the_config_and_revoked_needs_one_command(
        self, stack: YamlStack, emulator: Emulator
    ) -> None:
        """The engine refreshes with the key that the state knows: the error names the command."""
        del stack.env["BYTEZ_KEY"]
        stack.run("config", "set", "--secret", "bytez:key", KEY).ok()
        stack.program(one())
        stack.up().ok()
        emulator.keys = (OTHER_KEY,)
        stack.run("config", "set", "--secret", "bytez:key", OTHER_KEY).ok()
        assert "run `pulumi refresh --run-program` first" in sentence(stack.up())
        stack.run("refresh", "--run-program", "--yes", "--skip-preview").ok()
        stack.up().ok()
        assert loads(emulator) == 1

    def test_a_key_in_plain_text_is_refused(self, stack: YamlStack, emulator: Emulator) -> None:
        stack.run("config", "set", "bytez:key", KEY).ok()
        stack.program(one())
        assert "bytez:key is set in plain text" in stack.preview().failed().output

    def test_one_that_does_not_exist_is_named_with_the_nearest(self, stack: YamlStack) -> None:
        stack.run("config", "set", "bytez:catalog", "off").ok()
        stack.program(one())
        output = stack.preview().failed().output
        assert "catalog" in output
        assert "did you mean 'catalogue'?" in output


class TestErrors:
    """Each is one sentence that says what to do, as in a Python program."""

    def test_without_a_key(self, stack: YamlStack) -> None:
        del stack.env["BYTEZ_KEY"]
        stack.program(one())
        assert "BYTEZ_KEY" in sentence(stack.up())

    def test_an_absent_service(self, stack: YamlStack) -> None:
        stack.env["BYTEZ_ENDPOINT"] = "http://127.0.0.1:9"
        stack.program(one())
        assert f"could not load '{GPT2}'" in sentence(stack.up())

    def test_a_failed_boot(self, stack: YamlStack, emulator: Emulator) -> None:
        emulator.set_faults([{"endpoint": "/model/load", "do": {"boot": "failed"}}])
        stack.program(one())
        said = sentence(stack.up())
        assert "the service reported FAILED" in said
        assert "nothing is left running" in said
        assert running(emulator) == {}


TWO = """\
config:
  first: {{type: string, secret: true}}
  second: {{type: string, secret: true}}
resources:
  one: {{type: "pulumi:providers:bytez", properties: {{key: "${{first}}", endpoint: {here}}}}}
  other: {{type: "pulumi:providers:bytez", properties: {{key: "${{second}}", endpoint: {there}}}}}
  gpt2:
    type: bytez:Model
    properties: {{modelId: {gpt2}}}
    options: {{provider: "${{one}}"}}
  again:
    type: bytez:Model
    properties: {{modelId: {gpt2}}}
    options: {{provider: "${{other}}"}}
"""


@pytest.mark.parametrize("source", ["stack config", "two providers"])
@SLOW
def test_no_key_is_in_anything_that_is_kept_or_shown(
    stack: YamlStack, emulator: Emulator, source: str
) -> None:
    """Plain state, backend, event log, preview, debug output, journal, arguments."""
    del stack.env["BYTEZ_KEY"]
    with Emulator(keys=(OTHER_KEY,), clock="manual", boot_seconds=BOOT_SECONDS) as second:
        if source == "stack config":
            stack.run("config", "set", "--secret", "bytez:key", KEY).ok()
            stack.program(one())
        else:
            for name, key in (("first", KEY), ("second", OTHER_KEY)):
                stack.run("config", "set", "--secret", name, key).ok()
            stack.program(TWO.format(here=emulator.url, there=second.url, gpt2=GPT2))
        services = [emulator] if source == "stack config" else [emulator, second]
        stack.env["PULUMI_DEBUG_COMMANDS"] = "true"
        outputs = [stack.run("preview", "--json").ok().output]
        deployment = stack.start(*UP, "--event-log", "events.json", "--debug", "--logflow")
        until(lambda: all(mid_boot(one) for one in services))
        arguments = process_arguments(stack)
        kept = [path.read_text() for path in (stack.folder / "journal").glob("*.json")]
        for one_ in services:
            one_.advance(BOOT_SECONDS)
        outputs.append(deployment.finish().ok().output)
        for one_, key in zip(services, (KEY, OTHER_KEY), strict=False):
            refusal = {"status": 400, "body": {"error": f"bad {key}"}}
            one_.set_faults([{"do": {"respond": refusal}}])
        outputs.append(stack.destroy().failed().output)
        files = [stack.project / "events.json", *stack.folder.glob("backend/**/*.json")]
        kept += [path.read_text() for path in files]

    assert any("bytez_provider.native.command" in line for line in arguments)
    assert len(kept) >= 3
    texts = arguments + outputs + kept
    assert [text for text in texts if KEY in text or OTHER_KEY in text] == []


def test_functions(stack: YamlStack, emulator: Emulator) -> None:
    emulator.load_by_somebody_else(GPT2, concurrency=2)
    stack.program(
        "variables:\n"
        f"  one: {{fn::invoke: {{function: bytez:getModel, arguments: {{modelId: {GPT2}}}}}}}\n"
        "  found: {fn::invoke: {function: bytez:getModels, arguments: {search: phi-1}}}\n"
        "  loaded: {fn::invoke: {function: bytez:getInstances, arguments: {}}}\n"
        "outputs:\n  one: ${one}\n  found: ${found.models}\n  loaded: ${loaded.instances}\n"
    )
    stack.up().ok()
    outputs = stack.outputs()
    assert (outputs["one"]["concurrency"], outputs["one"]["status"]) == (2, "RUNNING")
    assert {one["modelId"] for one in outputs["found"]} >= {PHI}
    assert [one["modelId"] for one in outputs["loaded"]] == [GPT2]
