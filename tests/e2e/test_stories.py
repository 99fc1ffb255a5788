"""A model, a fleet and an account from beginning to end, with every request counted."""

from __future__ import annotations

import json
import shlex

import pytest

from bytez_provider.emulator import Emulator
from tests.e2e.helpers import (
    DELETE,
    GPT2,
    LOAD,
    OPT,
    PHI,
    Log,
    bytez_fleet,
    fleet,
    one,
    running,
    sentence,
)
from tests.e2e.stack import Stack

ADOPTED = 'bytez.Fleet.from_yaml("adopted", "fleet.yaml", environment="prod")'


def test_the_life_of_a_model(stack: Stack, emulator: Emulator) -> None:
    """Up, unchanged, another concurrency, another name, idle expiry, destroy."""
    log = Log(emulator)
    stack.program(one(1))
    stack.up().ok()
    assert log.new() == [(LOAD, GPT2)]
    state = stack.models()["gpt2"]
    assert (state["status"], state["requiredRamGb"]) == ("RUNNING", 0.5)
    assert len(state["__provider"]) <= 80, "a provider is pickled by reference, and not encrypted"

    stack.program(one(3))
    shown = stack.preview().ok().output
    assert "replace" in shown
    assert f"'{GPT2}' cannot be changed in place" in shown
    assert log.new() == []
    emulator.advance(60)
    stack.up().ok()
    assert log.new() == [(DELETE, GPT2), (LOAD, GPT2)]
    assert running(emulator) == {GPT2: 3}

    alias = 'opts=pulumi.ResourceOptions(aliases=[pulumi.Alias(name="gpt2")])'
    stack.program(f'bytez.Model("chat", model_id="{GPT2}", concurrency=3, {alias})')
    stack.up().ok()
    assert log.new() == []
    assert list(stack.models()) == ["chat"]

    emulator.advance(1801)
    stack.refresh().ok()
    assert stack.models() == {}
    stack.up().ok()
    assert log.new() == [(LOAD, GPT2)]

    stack.destroy().ok()
    assert log.new() == [(DELETE, GPT2)]
    assert (running(emulator), stack.models()) == ({}, {})


def test_the_life_of_a_fleet(stack: Stack, emulator: Emulator) -> None:
    """Members are added, changed, removed, renamed and healed one by one."""
    log = Log(emulator)
    stack.program(fleet(gpt2=GPT2, phi=f"{PHI}, concurrency=2"))
    stack.up().ok()
    assert sorted(log.new(), key=str) == [(LOAD, PHI), (LOAD, GPT2)]
    assert "status" not in stack.models()["chat-phi"]
    assert stack.outputs()["statuses"] == {"gpt2": "RUNNING", "phi": "RUNNING"}
    assert stack.outputs()["ram"] == pytest.approx(0.5 + 2 * 9.16)
    stack.up("--expect-no-changes").ok()
    assert log.new() == []

    # One comes, one changes, one is idle and accepted as such.
    emulator.advance(60)
    emulator.unload_by_somebody_else(PHI)
    stack.program(fleet(gpt2=f"{GPT2}, concurrency=3", phi=f"{PHI}, concurrency=2", opt=OPT))
    stack.up().ok()
    changes = log.new()
    assert sorted(changes) == sorted([(DELETE, GPT2), *((LOAD, one) for one in (GPT2, PHI, OPT))])
    assert running(emulator) == {GPT2: 3, PHI: 2, OPT: 1}
    assert stack.outputs()["statuses"] == dict.fromkeys(("gpt2", "phi", "opt"), "RUNNING")

    # One goes, and one gets another key, which keeps its load.
    log.new()
    stack.program(fleet(chat=f"{GPT2}, concurrency=3", opt=f"{OPT}, on_expiry='accept'"))
    review = bytez_fleet(stack, "review", "--stack", "dev")
    assert "renamed from chat-gpt2" in review.stdout
    assert "takes over the load of 'chat-gpt2'" in review.stdout
    stack.up().ok()
    assert log.new() == [(DELETE, PHI)]
    assert sorted(stack.models()) == ["chat-chat", "chat-opt"]

    # An accepted idle member is not loaded; one that fails is named, and the next up loads it.
    emulator.unload_by_somebody_else(OPT)
    emulator.set_faults([{"model": PHI, "do": {"boot": "failed", "error": "out of memory"}}])
    idle = f"{OPT}, on_expiry='accept'"
    stack.program(fleet(chat=f"{GPT2}, concurrency=3", opt=idle, phi=PHI))
    assert f"1 of 3 models did not come up: '{PHI}' reported FAILED" in sentence(stack.up())
    assert running(emulator) == {GPT2: 3}
    emulator.set_faults([])
    log.new()
    stack.up().ok()
    assert log.new() == [(LOAD, PHI)]
    assert stack.outputs()["statuses"]["opt"] == "NOT_LOADED"

    stack.destroy().ok()
    assert running(emulator) == {}


def test_an_account_that_is_exported_adopted_and_audited(stack: Stack, emulator: Emulator) -> None:
    """The fleet file takes over what runs without a load; then the audit finds nothing."""
    stack.program(one())
    stack.up().ok()
    emulator.load_by_somebody_else(PHI, concurrency=3)
    emulator.load_by_somebody_else(OPT)
    before, log = emulator.instances(), Log(emulator)
    audit = bytez_fleet(stack, "audit", "--stack", "dev")
    assert audit.returncode == 3, audit.stderr
    assert "bytez-fleet export fleet.yaml --stack dev" in audit.stdout
    export = bytez_fleet(stack, "export", "fleet.yaml", "--stack", "dev")
    assert export.returncode == 0, export.stderr

    (stack.project / "fleet.prod.yaml").write_text("models: {}\n")
    stack.program(f"{one()}\n{ADOPTED}")
    assert f"'{PHI}' was taken over as it runs, without a load" in stack.up().ok().output
    assert (log.new(), emulator.instances()) == ([], before)
    assert sorted(stack.models()) == ["adopted-opt-1-3b", "adopted-phi-1", "gpt2"]
    audit = bytez_fleet(stack, "audit", "--stack", "dev")
    assert (audit.returncode, audit.stderr) == (0, ""), audit.stdout

    # What expired and what somebody else made again: the audit gives the command that helps.
    emulator.advance(1801)
    emulator.load_by_somebody_else(PHI, concurrency=3)
    audit = bytez_fleet(stack, "audit", "--all")
    assert audit.returncode == 3, audit.stderr
    assert f"BYTEZ_ADOPT={PHI} pulumi up --refresh --stack dev" in audit.stdout
    log.new()
    stack.env["BYTEZ_ADOPT"] = PHI
    stack.up("--refresh", "--stack", "dev").ok()
    assert sorted(log.new(), key=str) == [(LOAD, OPT), (LOAD, GPT2)]

    stack.destroy().ok()
    assert running(emulator) == {}


def test_a_model_declared_by_two_stacks_is_forgotten_where_it_is_not_held(
    stack: Stack, emulator: Emulator
) -> None:
    """The command beside the audit's finding removes a member of a fleet and keeps its load."""
    stack.program(fleet(gpt2=GPT2))
    stack.up().ok()
    stack.run("stack", "init", "prod").ok()
    stack.program(f'bytez.Model("talk", model_id="{GPT2}", adopt=True)')
    stack.up().ok()
    # The journal names the holder also if only the state of the other stack is given.
    commands = set()
    for given in (("--all",), ("--stack", "dev")):
        audit = bytez_fleet(stack, "audit", *given, "--json")
        (finding,) = json.loads(audit.stdout)["findings"]
        assert finding["kind"] == "duplicate"
        assert [one["stack"] for one in finding["declaredBy"]] == ["dev", "prod"]
        commands |= {mend["command"] for mend in finding["mends"]}
    (command,) = commands
    log = Log(emulator)
    stack.run(*shlex.split(command)[1:]).ok()
    assert bytez_fleet(stack, "audit", "--all").returncode == 0
    stack.program("")
    stack.up("--stack", "dev").ok()
    assert (log.new(), running(emulator)) == ([], {GPT2: 1})
