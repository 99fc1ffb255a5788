"""`bytez-fleet export` end to end: what runs is taken over by an `up` that loads nothing."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

from bytez_provider.emulator import Emulator
from tests.e2e.stack import Stack
from tests.e2e.test_fleet import GPT2, OPT, PHI, Log
from tests.e2e.test_model import ONE, running

REPOSITORY = Path(__file__).resolve().parents[2]
ADOPTED = 'bytez.Fleet.from_yaml("adopted", "fleet.yaml")'


def fleet(stack: Stack, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `bytez-fleet` in the folder of the project."""
    return subprocess.run(
        [sys.executable, "-m", "bytez_provider.cli", *arguments],
        cwd=stack.project,
        env={**stack.env, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_what_is_exported_is_adopted_without_a_load(stack: Stack, emulator: Emulator) -> None:
    """Beside what the stack has: no load, no delete, and then nothing is out of order."""
    stack.program(ONE.format(concurrency=1))
    stack.up().ok()
    emulator.load_by_somebody_else(PHI, concurrency=3)
    assert fleet(stack, "load", OPT, "--expiration-period-seconds", "7200").returncode == 0
    before = emulator.instances()
    log = Log(emulator)
    log.new()

    audit = fleet(stack, "audit", "--stack", "dev")
    assert audit.returncode == 3, audit.stderr
    assert audit.stdout.endswith("\n2 findings\n")
    assert "bytez-fleet export fleet.yaml --stack dev" in audit.stdout
    export = fleet(stack, "export", "fleet.yaml", "--stack", "dev")
    assert export.returncode == 0, export.stderr

    stack.program(f"{ONE.format(concurrency=1)}\n{ADOPTED}")
    assert "was taken over" not in stack.preview().ok().output
    done = stack.up().ok()
    assert f"'{PHI}' was taken over as it runs, without a load" in done.output
    assert log.new() == []
    assert emulator.instances() == before
    assert sorted(stack.models()) == ["adopted-opt-1-3b", "adopted-phi-1", "gpt2"]
    assert "was taken over" not in stack.up().ok().output

    audit = fleet(stack, "audit", "--stack", "dev")
    assert (audit.returncode, audit.stderr) == (0, ""), audit.stdout
    assert audit.stdout.endswith("\neverything is in order\n")

    # From now on they are the stack's: it unloads them.
    stack.destroy().ok()
    assert running(emulator) == {}


def test_what_expired_is_found_and_the_command_beside_it_mends_it(
    stack: Stack, emulator: Emulator
) -> None:
    """As is what somebody made anew: the stack takes it over, where it is told to."""
    stack.program(f'{ONE.format(concurrency=1)}\nbytez.Model("phi", model_id="{PHI}")')
    stack.up().ok()
    emulator.advance(1801)
    emulator.load_by_somebody_else(PHI)
    audit = fleet(stack, "audit", "--all")
    assert audit.returncode == 3, audit.stderr
    command = f"BYTEZ_ADOPT={PHI} pulumi up --refresh --stack dev"
    assert command in audit.stdout
    log = Log(emulator)
    stack.env["BYTEZ_ADOPT"] = PHI
    stack.up("--refresh", "--stack", "dev").ok()
    assert log.new() == [("/model/load", GPT2)]
    assert fleet(stack, "audit", "--all").returncode == 0


def test_a_model_declared_twice_is_forgotten_where_it_is_not_held(
    stack: Stack, emulator: Emulator
) -> None:
    """By the command beside the finding: a member of a fleet goes, its load stays."""
    stack.program(f'bytez.Fleet("chat", models={{"gpt2": bytez.ModelArgs(model_id="{GPT2}")}})')
    stack.up().ok()
    stack.run("stack", "init", "prod").ok()
    stack.program(f'bytez.Model("talk", model_id="{GPT2}", adopt=True)')
    stack.up().ok()
    commands = set()
    # The journal names the one that has it, also where only the other one's state is given.
    for given in (("--all",), ("--stack", "dev")):
        audit = fleet(stack, "audit", *given, "--json")
        (finding,) = json.loads(audit.stdout)["findings"]
        assert finding["kind"] == "duplicate"
        assert [one["stack"] for one in finding["declaredBy"]] == ["dev", "prod"]
        commands |= {mend["command"] for mend in finding["mends"]}
    (command,) = commands
    log = Log(emulator)
    stack.run(*shlex.split(command)[1:]).ok()
    assert fleet(stack, "audit", "--all").returncode == 0
    stack.program("")
    stack.up("--stack", "dev").ok()
    assert log.new() == []
    assert running(emulator) == {GPT2: 1}
