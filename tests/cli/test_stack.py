"""`--stack`: key, settings and state from the real `pulumi`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from bytez_provider.core.ownership import stack_identity
from bytez_provider.emulator import Emulator
from tests.cli.fleet import GPT2, KEY, PHI, UNPRICED, Fleet
from tests.cli.journal import Journal, resource
from tests.e2e.stack import Stack

READ_ONLY = "bigscience/bloom-560m"
OF_ANOTHER_ACCOUNT = "ai-forever/mGPT"


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    return Stack(tmp_path / "pulumi", {}, refresh=False)


@pytest.fixture
def fleet(tmp_path: Path, emulator: Emulator, stack: Stack) -> Fleet:
    """The command in the project's folder, without key and endpoint in the environment."""
    fleet = Fleet(tmp_path, emulator)
    fleet.folder = stack.project
    fleet.env = {**stack.env, "PYTHONPATH": fleet.env["PYTHONPATH"]}
    return fleet


def declare(stack: Stack, *resources: dict[str, Any]) -> None:
    """Set the state of the stack."""
    deployment = {"manifest": {"time": "2024-05-28T00:00:00Z"}, "resources": list(resources)}
    file = stack.folder / "state.json"
    file.write_text(json.dumps({"version": 3, "deployment": deployment}))
    stack.run("stack", "import", "--force", "--file", str(file)).ok()
    assert len(stack.export()["resources"]) == len(resources)


def test_key_and_settings_come_from_the_stack(fleet: Fleet, stack: Stack) -> None:
    fleet.boot(GPT2)
    stack.run("config", "set", "--secret", "bytez:key", KEY).ok()
    plain = {"bytez:endpoint": fleet.emulator.url, "bytez:apiVersion": "2024-06"}
    settings = [
        part for name, value in plain.items() for part in ("--plaintext", f"{name}={value}")
    ]
    stack.run("config", "set-all", *settings).ok()
    argv = record_arguments(fleet, stack)
    document = fleet.run("status", GPT2, "--stack", "dev", "--json").ok().document
    assert (document["modelId"], document["status"]) == (GPT2, "RUNNING")
    assert [request.method for request in fleet.emulator.requests("/model/list")] == ["GET"]
    assert KEY not in argv.read_text()
    assert "--stack=dev" in argv.read_text()
    doctor = fleet.run("doctor", "--stack", "dev")
    assert doctor.code == 0, doctor.out
    assert "set in bytez:key of stack 'dev'" in doctor.out
    assert "2024-06 (bytez:apiVersion of stack 'dev')" in doctor.out
    assert "$0.0000166667 per GB-second" in doctor.out
    assert KEY not in doctor.out
    stack.run("config", "set", "bytez:apiVersion", "2025-04").ok()
    doctor = fleet.run("doctor", "--stack", "dev")
    assert "that of each size of an instance (the vendor's of April 2025)" in doctor.out


def record_arguments(fleet: Fleet, stack: Stack) -> Path:
    """Put a `pulumi` on PATH that records its arguments and runs the real one."""
    folder, argv = stack.folder / "recorder", stack.folder / "argv"
    folder.mkdir()
    real = shutil.which("pulumi", path=stack.env["PATH"])
    recorder = folder / "pulumi"
    recorder.write_text(f'#!/bin/sh\necho "$@" >> {argv}\nexec {real} "$@"\n')
    recorder.chmod(0o755)
    fleet.env["PATH"] = f"{folder}:{stack.env['PATH']}"
    return argv


def test_a_key_in_plain_text_is_refused(fleet: Fleet, stack: Stack) -> None:
    stack.run("config", "set", "--plaintext", "bytez:key", KEY).ok()
    done = fleet.run("instances", "--stack", "dev", "--json")
    message = done.failed(2, "plain-text-key")
    assert "`pulumi config set --secret bytez:key <key>`" in message
    assert KEY not in done.out + done.err
    assert fleet.emulator.requests() == []


def test_a_missing_stack_and_a_missing_pulumi(fleet: Fleet) -> None:
    message = fleet.run("instances", "--stack", "nope", "--json").failed(2, "config")
    assert "no stack named 'nope' found" in message
    message = fleet.run("instances", "--stack", "dev", "--json", PATH="").failed(2, "config")
    assert "`pulumi` is not on PATH" in message


def test_a_model_that_the_selected_stack_declares_needs_yes(fleet: Fleet, stack: Stack) -> None:
    declare(
        stack,
        fleet.resource(PHI),
        {**fleet.resource(READ_ONLY), "external": True},
        fleet.resource(OF_ANOTHER_ACCOUNT, account="0123456789ab"),
    )
    fleet.env |= {"BYTEZ_KEY": KEY, "BYTEZ_ENDPOINT": fleet.emulator.url}
    for model_id in (PHI, READ_ONLY, OF_ANOTHER_ACCOUNT):
        fleet.boot(model_id)
    done = fleet.run("unload", READ_ONLY, PHI, OF_ANOTHER_ACCOUNT, "--json")
    assert "stack 'dev' declares it as 'phi-1'" in done.failed(2, "invalid-input")
    assert not fleet.emulator.requests("/model/delete")
    fleet.run("unload", READ_ONLY, OF_ANOTHER_ACCOUNT, UNPRICED).ok()
    fleet.run("unload", PHI, "--yes").ok()
    assert fleet.emulator.instances() == []


def test_without_a_selected_stack_it_unloads_and_says_what_was_not_checked(
    fleet: Fleet, stack: Stack
) -> None:
    fleet.boot(GPT2)
    stack.run("stack", "unselect").ok()
    fleet.env |= {"BYTEZ_KEY": KEY, "BYTEZ_ENDPOINT": fleet.emulator.url}
    done = fleet.run("unload", GPT2).ok()
    assert done.err.startswith("note: not checked whether a stack declares it: ")
    assert fleet.emulator.instances() == []


def test_only_the_state_of_its_own_stack_decides_whether_a_load_is_unfinished(
    fleet: Fleet, stack: Stack
) -> None:
    """Even if that state is empty; a stack of the same name in another backend does not count."""
    fleet.env |= {
        "BYTEZ_KEY": KEY,
        "BYTEZ_ENDPOINT": fleet.emulator.url,
        "BYTEZ_JOURNAL": str(fleet.journal),
    }
    here = stack_identity(fleet.env, fleet.folder, is_shared=False).key
    journal = Journal(fleet)
    journal.accepts(resource("left", kept_in=here), GPT2, fleet.boot(GPT2))
    journal.accepts(resource("theirs", kept_in="elsewhere"), UNPRICED, fleet.boot(UNPRICED))
    doctor = fleet.run("doctor")
    assert doctor.code == 3
    assert f"begun and not finished: {GPT2} by 'left'" in doctor.out
    assert "`bytez-fleet unload --unfinished --stack dev`" in doctor.out

    created = fleet.boot(PHI)
    journal.accepts(resource("phi-1", kept_in=here), PHI, created)
    declare(stack, fleet.resource(PHI, created=created))
    done = fleet.run("unload", "--unfinished", "--stack", "dev", "--json").ok()
    assert {one["modelId"]: one["outcome"] for one in done.document["models"]} == {
        GPT2: "unloaded",
        UNPRICED: "leftAlone",
    }
    assert "kept in file:///elsewhere" in done.err
    assert {one["modelId"] for one in fleet.emulator.instances()} == {PHI, UNPRICED}
    assert fleet.run("doctor").code == 0


def test_the_first_stack_gives_the_key_to_an_audit_and_to_its_commands(
    fleet: Fleet, stack: Stack
) -> None:
    created = fleet.boot(PHI)
    fleet.boot(GPT2)
    stack.run("config", "set", "--secret", "bytez:key", KEY).ok()
    stack.run("config", "set", "--plaintext", "bytez:endpoint", fleet.emulator.url).ok()
    declare(stack, fleet.resource(PHI, created=created))
    done = fleet.run("audit", "--stack", "dev", "--json")
    assert (done.code, done.err) == (3, "")
    (finding,) = done.document["findings"]
    unload, export = (mend["command"].split() for mend in finding["mends"])
    assert unload == ["bytez-fleet", "unload", GPT2, "--stack", "dev"]
    assert export == ["bytez-fleet", "export", "fleet.yaml", "--stack", "dev"]
    assert KEY not in done.out
    fleet.run(*export[1:]).ok()
    assert f"modelId: {GPT2}" in (fleet.folder / "fleet.yaml").read_text()
    assert PHI not in (fleet.folder / "fleet.yaml").read_text()
    fleet.run(*unload[1:]).ok()
    fleet.run("audit", "--stack", "dev").ok()


def test_all_reads_every_stack_of_the_project(fleet: Fleet, stack: Stack) -> None:
    created = fleet.boot(PHI)
    declare(stack, fleet.resource(PHI, created=created))
    stack.run("stack", "init", "prod").ok()
    declare(stack, fleet.resource(PHI, "prod", created=created))
    fleet.env |= {"BYTEZ_KEY": KEY, "BYTEZ_ENDPOINT": fleet.emulator.url}
    done = fleet.run("audit", "--all", "--json")
    assert (done.code, done.err) == (3, "")
    assert sorted(one["name"] for one in done.document["sources"]) == ["dev", "prod"]
    (finding,) = done.document["findings"]
    assert (finding["kind"], finding["modelId"]) == ("duplicate", PHI)
    # The command fixes the finding and unloads nothing.
    command = finding["mends"][0]["command"].split()
    assert command[:3] == ["pulumi", "state", "delete"]
    stack.run(*command[1:]).ok()
    fleet.run("audit", "--all").ok()
    assert [one["modelId"] for one in fleet.emulator.instances()] == [PHI]
