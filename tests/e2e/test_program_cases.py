"""What a program says of its models, where Pulumi alone would drop it without a word."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bytez_provider.emulator import Emulator
from tests.e2e.stack import MODEL_TYPE, Stack
from tests.e2e.test_errors import sentence
from tests.e2e.test_fleet import DELETE, GPT2, LOAD, PHI, Log, program
from tests.e2e.test_model import ONE, running

KEY = "key-in-plain-text-0123"
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"  # Pulumi's sign for it, in state.
OF_ONE = "pulumi.export('endpoint', fleet['gpt2'].endpoint)\n"


def test_an_up_that_does_not_wait_says_so(plain_stack: Stack, emulator: Emulator) -> None:
    """The readiness is left out, first before it exists, then while a model is replaced."""

    def warned(text: str) -> bool:
        _, _, diagnostics = text.partition("Diagnostics:")
        return diagnostics.count("warning: this `up` did not wait for ") == 1

    plain_stack.program(program(gpt2=GPT2, phi=PHI) + OF_ONE)
    assert warned(plain_stack.up("--exclude", "**chat-ready").ok().output)
    assert plain_stack.outputs()["statuses"] == {"gpt2": "DEPLOYING", "phi": "DEPLOYING"}
    assert UNKNOWN not in json.dumps(plain_stack.export())

    assert "did not wait" not in plain_stack.up().ok().output
    assert plain_stack.outputs()["statuses"] == {"gpt2": "RUNNING", "phi": "RUNNING"}

    plain_stack.program(program(gpt2=f"{GPT2}, concurrency=2", phi=PHI) + OF_ONE)
    assert "did not wait" not in plain_stack.preview("--target", "**chat-gpt2").ok().output
    targeted = plain_stack.up("--target", "**chat-gpt2").ok().output
    assert warned(targeted)
    assert "did not wait for 'gpt2', which" in targeted
    assert plain_stack.outputs()["statuses"] == {"gpt2": "DEPLOYING", "phi": "RUNNING"}

    assert "did not wait" not in plain_stack.up().ok().output
    assert plain_stack.outputs()["statuses"] == {"gpt2": "RUNNING", "phi": "RUNNING"}
    assert running(emulator) == {GPT2: 2, PHI: 1}


def test_a_subclass_is_a_model_and_keeps_its_load(plain_stack: Stack, emulator: Emulator) -> None:
    """The state of before knows it by the type that Pulumi gives to an unnamed class."""
    team = f"class Team(bytez.Model): pass\n{{}}Team('gpt2', model_id='{GPT2}')"
    log = Log(emulator)
    plain_stack.program(team.format("Team._resource_type_name = 'dynamic:Resource'\n"))
    plain_stack.up().ok()
    assert plain_stack.models() == {}
    plain_stack.program(team.format(""))
    plain_stack.up().ok()
    assert plain_stack.models().keys() == {"gpt2"}
    assert log.new() == [(LOAD, GPT2)]
    plain_stack.destroy().ok()
    assert log.new() == [(DELETE, GPT2)]


def test_a_fleets_options_hold_for_its_models(plain_stack: Stack) -> None:
    opts = ", opts=pulumi.ResourceOptions(ignore_changes=['concurrency'], protect=True{})"
    plain_stack.program(program(opts.format(", retain_on_delete=True"), gpt2=GPT2))
    plain_stack.up().ok()
    resources = {
        one["urn"].split("::")[-1]: one for one in plain_stack.export().get("resources", [])
    }
    for name in ("chat-gpt2", "chat-ready"):
        assert resources[name]["protect"] is True
        assert resources[name]["retainOnDelete"] is True
    assert resources["chat-gpt2"]["type"] == MODEL_TYPE

    plain_stack.program(program(opts.format(""), gpt2=f"{GPT2}, concurrency=3"))
    plain_stack.up("--expect-no-changes").ok()
    assert plain_stack.models()["chat-gpt2"]["concurrency"] == 1


def test_a_fleet_waits_for_what_a_transform_made_of_its_models(
    stack: Stack, emulator: Emulator
) -> None:
    """An idle model is accepted, and another model is the one that is waited for."""
    transform = f"""
def cheaper(args):
    if args.type_ == "{MODEL_TYPE}":
        props = {{**args.props, "onExpiry": "accept", "modelId": "{GPT2}"}}
        return pulumi.ResourceTransformResult(props=props, opts=args.opts)
pulumi.runtime.register_resource_transform(cheaper)
"""
    stack.program(transform + program(phi=PHI))
    stack.up().ok()
    assert running(emulator) == {GPT2: 1}
    emulator.advance(3000)
    stack.up().ok()
    assert running(emulator) == {}
    assert stack.outputs()["statuses"] == {"phi": "NOT_LOADED"}


@pytest.mark.parametrize("disabled", [False, True])
def test_a_provider_of_its_own_gets_no_settings(
    stack: Stack, emulator: Emulator, *, disabled: bool
) -> None:
    """A key from the environment must not go to the default address."""
    stack.run("config", "set", "bytez:endpoint", stack.env.pop("BYTEZ_ENDPOINT")).ok()
    if disabled:
        name = "pulumi:disable-default-providers[0]"
        stack.run("config", "set", "--path", name, "*").ok()
    stack.program(
        "own = pulumi.ProviderResource('pulumi-python', 'own', {})\n"
        f"bytez.Model('gpt2', model_id='{GPT2}', opts=pulumi.ResourceOptions(provider=own))"
    )
    said = sentence(stack.up())
    assert ("it has its own provider" in said) is not disabled
    assert "without pulumi-python" in said
    assert emulator.requests() == []
    assert stack.models() == {}


@pytest.mark.parametrize("where", ["project", "command"])
def test_a_key_in_plain_text_of_the_project_or_the_command(
    stack: Stack, emulator: Emulator, where: str
) -> None:
    stack.program(ONE.format(concurrency=1))
    file = stack.project / "Pulumi.yaml"
    if where == "project":
        file.write_text(f"{file.read_text()}config: {{'bytez:key': {{value: {KEY}}}}}\n")
    said = sentence(stack.up(*(["--config", f"bytez:key={KEY}"] if where == "command" else [])))
    assert "bytez:key is set in plain text" in said
    assert KEY not in said
    assert emulator.requests() == []


@pytest.mark.parametrize("secret", [False, True])
def test_a_key_of_an_inline_program(
    stack: Stack, emulator: Emulator, tmp_path: Path, *, secret: bool
) -> None:
    """Refused in plain text as with the command line, and taken as a secret."""
    key = stack.env.pop("BYTEZ_KEY")
    # The provider's process is the Python on PATH, as no project file names another.
    stack.env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{stack.env['PATH']}"
    file = tmp_path / "inline.py"
    file.write_text(f"""
import bytez_provider as bytez
from pulumi import automation as auto
def program(): bytez.Model("gpt2", model_id="{GPT2}")
stack = auto.create_or_select_stack(stack_name="dev", project_name="inline", program=program)
stack.set_all_config({{"bytez:key": auto.ConfigValue("{key}", secret={secret})}})
stack.up(on_output=print, color="never")
""")
    run = subprocess.run(
        [sys.executable, file], env=stack.env, capture_output=True, text=True, check=False
    )
    refused = "could not read the configuration: bytez:key is set in plain text. Nothing was"
    assert (refused in run.stdout, run.returncode) == ((False, 0) if secret else (True, 1)), run
    assert running(emulator) == ({GPT2: 1} if secret else {})
    kept = "".join(
        one.read_text() for one in tmp_path.glob("backend/.pulumi/stacks/inline/dev.json")
    )
    assert kept
    assert key not in kept
