"""What a program declares, and what Pulumi alone would ignore silently."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bytez_provider.emulator import Emulator
from tests.e2e.helpers import DELETE, GPT2, LOAD, PHI, Log, fleet, running
from tests.e2e.stack import MODEL_TYPE, Stack

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"  # How Pulumi writes an unknown value in state.
OF_ONE = "pulumi.export('endpoint', fleet['gpt2'].endpoint)\n"


def test_an_up_that_does_not_wait_warns(plain_stack: Stack, emulator: Emulator) -> None:
    """The readiness is excluded, first before it exists, then while a model is replaced."""

    def warned(text: str) -> bool:
        _, _, diagnostics = text.partition("Diagnostics:")
        return diagnostics.count("warning: this `up` did not wait for ") == 1

    plain_stack.program(fleet(gpt2=GPT2, phi=PHI) + OF_ONE)
    assert warned(plain_stack.up("--exclude", "**chat-ready").ok().output)
    assert plain_stack.outputs()["statuses"] == {"gpt2": "DEPLOYING", "phi": "DEPLOYING"}
    assert UNKNOWN not in json.dumps(plain_stack.export())

    assert "did not wait" not in plain_stack.up().ok().output
    assert plain_stack.outputs()["statuses"] == {"gpt2": "RUNNING", "phi": "RUNNING"}

    plain_stack.program(fleet(gpt2=f"{GPT2}, concurrency=2", phi=PHI) + OF_ONE)
    targeted = plain_stack.up("--target", "**chat-gpt2").ok().output
    assert warned(targeted)
    assert "did not wait for 'gpt2', which" in targeted
    assert plain_stack.outputs()["statuses"] == {"gpt2": "DEPLOYING", "phi": "RUNNING"}
    assert running(emulator) == {GPT2: 2, PHI: 1}


def test_a_subclass_is_a_model_and_keeps_its_load(plain_stack: Stack, emulator: Emulator) -> None:
    """An earlier state has it under the type that Pulumi gives to an unnamed class."""
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


def test_the_options_of_a_fleet_apply_to_its_models(plain_stack: Stack) -> None:
    opts = ", opts=pulumi.ResourceOptions(ignore_changes=['concurrency'], protect=True{})"
    plain_stack.program(fleet(opts.format(", retain_on_delete=True"), gpt2=GPT2))
    plain_stack.up().ok()
    resources = {
        one["urn"].split("::")[-1]: one for one in plain_stack.export().get("resources", [])
    }
    for name in ("chat-gpt2", "chat-ready"):
        assert resources[name]["protect"] is True
        assert resources[name]["retainOnDelete"] is True
    assert resources["chat-gpt2"]["type"] == MODEL_TYPE

    plain_stack.program(fleet(opts.format(""), gpt2=f"{GPT2}, concurrency=3"))
    plain_stack.up("--expect-no-changes").ok()


def test_a_fleet_waits_for_the_models_that_a_transform_made(
    stack: Stack, emulator: Emulator
) -> None:
    """The transform changes the model and accepts its expiry."""
    transform = f"""
def cheaper(args):
    if args.type_ == "{MODEL_TYPE}":
        props = {{**args.props, "onExpiry": "accept", "modelId": "{GPT2}"}}
        return pulumi.ResourceTransformResult(props=props, opts=args.opts)
pulumi.runtime.register_resource_transform(cheaper)
"""
    stack.program(transform + fleet(phi=PHI))
    stack.up().ok()
    assert running(emulator) == {GPT2: 1}
    emulator.advance(3000)
    stack.up().ok()
    assert running(emulator) == {}
    assert stack.outputs()["statuses"] == {"phi": "NOT_LOADED"}


@pytest.mark.parametrize("secret", [False, True])
def test_a_key_of_an_inline_program(
    stack: Stack, emulator: Emulator, tmp_path: Path, *, secret: bool
) -> None:
    """In plain text it is refused, as with the command line; a secret is used."""
    key = stack.env.pop("BYTEZ_KEY")
    # Without a project file the provider process is the Python on PATH.
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
    refused = "bytez:key is set in plain text. Nothing was" in run.stdout
    assert (refused, run.returncode) == ((False, 0) if secret else (True, 1)), run
    assert running(emulator) == ({GPT2: 1} if secret else {})
    kept = (tmp_path / "backend/.pulumi/stacks/inline/dev.json").read_text()
    assert key not in kept
