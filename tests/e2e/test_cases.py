"""Failures that people reported of providers like this one, with the real command line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bytez_provider.emulator import Emulator
from tests.e2e.conftest import KEY
from tests.e2e.stack import MODEL_TYPE, Stack
from tests.e2e.test_errors import sentence
from tests.e2e.test_export import fleet
from tests.e2e.test_fleet import DELETE, GPT2, LOAD, OPT, PHI, Log, program
from tests.e2e.test_interruption import BOOT, mid_boot, until
from tests.e2e.test_model import ONE, loads, running

STATUS = "/model/status"
NEW_KEY = "e2e-new-key-0123456789"
SHARED = f"shared = bytez.Model.get('shared', '{GPT2}')\npulumi.export('n', shared.concurrency)"


@contextmanager
def refusing(stack: Stack) -> Iterator[None]:
    """Let the backend refuse to save."""
    folder = stack.folder / "backend" / ".pulumi" / "stacks" / "fleet"
    kept = folder.with_name("kept")
    folder.rename(kept)
    folder.touch()
    yield
    folder.unlink()
    kept.rename(folder)


def restore(stack: Stack, state: str) -> None:
    """Put an earlier state back, as `pulumi stack export` printed it."""
    file = stack.folder / "restored.json"
    file.write_text(state)
    stack.run("stack", "import", "--file", str(file)).ok()


def exported(stack: Stack) -> str:
    """Return the state as `pulumi stack export` prints it."""
    return stack.run("stack", "export").ok().stdout


@BOOT
def test_a_boot_whose_state_could_not_be_saved(stack: Stack, emulator: Emulator) -> None:
    """The next `up` goes on with the load; a load that no state names can be ended as such."""
    stack.program(ONE.format(concurrency=1))
    empty = exported(stack)
    deployment = stack.start("up", "--yes", "--skip-preview")
    until(lambda: mid_boot(emulator))
    with refusing(stack):
        emulator.advance(400)
        assert "failed to save snapshot" in deployment.finish().failed().output
    assert stack.models() == {}

    stack.up().ok()
    assert stack.models()["gpt2"]["status"] == "RUNNING"
    assert loads(emulator) == 1
    unfinished = fleet(stack, "unload", "--unfinished", "--stack", "dev")
    assert unfinished.stdout == "nothing is unfinished for this key and endpoint\n", unfinished

    restore(stack, empty)
    unfinished = fleet(stack, "unload", "--unfinished", "--stack", "dev")
    assert unfinished.stdout == f"{GPT2} is unloaded\n", unfinished
    assert running(emulator) == {}


@pytest.mark.parametrize("command", ["up", "destroy"])
def test_a_key_that_was_changed_and_revoked(stack: Stack, emulator: Emulator, command: str) -> None:
    """A refresh uses the key of the last `up`: the error names the command that helps."""
    del stack.env["BYTEZ_KEY"]
    stack.run("config", "set", "--secret", "bytez:key", KEY).ok()
    stack.program(ONE.format(concurrency=1))
    stack.up().ok()
    emulator.keys = (NEW_KEY,)
    stack.run("config", "set", "--secret", "bytez:key", NEW_KEY).ok()
    arguments = (command, "--yes", "--skip-preview")
    said = sentence(stack.run(*arguments))
    assert "HTTP 401" in said
    assert "since the last `up`, run `pulumi refresh --run-program` first" in said
    assert running(emulator) == {GPT2: 1}

    stack.run("refresh", "--run-program", "--yes", "--skip-preview").ok()
    stack.run(*arguments).ok()
    assert running(emulator) == ({GPT2: 1} if command == "up" else {})
    assert loads(emulator) == 1


@BOOT
def test_two_clones_with_states_of_their_own(
    stack: Stack, emulator: Emulator, tmp_path: Path
) -> None:
    """The second is refused while the first boots, and its `destroy` does not touch the load."""
    stack.program(ONE.format(concurrency=1))
    deployment = stack.start("up", "--yes", "--skip-preview")
    until(lambda: mid_boot(emulator))
    env = {name: stack.env[name] for name in ("BYTEZ_KEY", "BYTEZ_ENDPOINT", "BYTEZ_JOURNAL")}
    clone = Stack(tmp_path / "clone", env, refresh=True)
    clone.program(ONE.format(concurrency=1))
    said = sentence(clone.up())
    assert f"by 'gpt2' of stack 'dev', kept in file://{tmp_path}"[:80] in said
    clone.destroy().ok()
    clone.end()

    emulator.advance(400)
    deployment.finish().ok()
    assert running(emulator) == {GPT2: 1}
    assert len(emulator.requests(LOAD)) == 1
    stack.destroy().ok()
    assert running(emulator) == {}


@pytest.mark.parametrize("shared", [True, False])
def test_what_another_stack_has_taken_over(
    stack: Stack, emulator: Emulator, *, shared: bool
) -> None:
    """With one journal it is left to that stack; with two the taking `up` says what to do."""
    stack.program(ONE.format(concurrency=1))
    stack.up().ok()
    emulator.advance(60)
    stack.run("stack", "init", "prod", "--no-select").ok()
    own, stack.env["BYTEZ_ADOPT"] = stack.env["BYTEZ_JOURNAL"], GPT2
    if not shared:
        stack.env["BYTEZ_JOURNAL"] = str(stack.folder / "of-another-machine")
    taking = stack.up("--stack", "prod").ok()
    warnings = taking.lines("this journal is on this machine only")
    assert bool(warnings) is not shared
    audit = fleet(stack, "audit", "--all")
    assert audit.returncode == 3
    assert "declared more than once" in audit.stdout

    stack.env["BYTEZ_JOURNAL"] = own
    del stack.env["BYTEZ_ADOPT"]
    stack.program("")
    if shared:
        assert stack.up().ok().lines("was left running: 'gpt2' of stack 'prod', kept in file://")
    else:
        assert "take it out of that stack with `pulumi state delete`" in warnings[0]
        stack.run("state", "delete", f"urn:pulumi:dev::fleet::{MODEL_TYPE}::gpt2", "--yes").ok()
        stack.up().ok()
    assert stack.models() == {}
    assert running(emulator) == {GPT2: 1}
    assert fleet(stack, "audit", "--all").returncode == 0


def test_a_key_that_has_the_model_of_a_removed_one(stack: Stack, emulator: Emulator) -> None:
    """The load stays, with the resource that the program keeps."""
    stack.program(program(a=GPT2, b=PHI))
    stack.up().ok()
    log = Log(emulator)
    stack.program(program(a=PHI))
    stack.preview().ok()
    stack.up().ok()
    assert log.new() == [(DELETE, GPT2)]
    assert list(stack.models()) == ["chat-a"]
    stack.up("--expect-no-changes").ok()
    stack.destroy().ok()
    assert running(emulator) == {}


def test_a_promotion_while_the_canary_is_unloaded(stack: Stack, emulator: Emulator) -> None:
    """What takes the model of another waits until that one has let go of it."""
    stack.program(program(prod=GPT2, canary=PHI))
    stack.up().ok()
    log = Log(emulator)
    emulator.set_faults([{"endpoint": DELETE, "model": PHI, "do": {"shutdownSeconds": 60}}])
    stack.program(program(prod=PHI, canary=OPT))
    deployment = stack.start("up", "--yes", "--skip-preview")
    until(lambda: running(emulator) == {})
    looks = len(emulator.requests(STATUS))
    until(lambda: len(emulator.requests(STATUS)) > looks + 2)
    emulator.advance(60)
    deployment.finish().ok()
    assert running(emulator) == {PHI: 1, OPT: 1}
    changes = log.new()
    assert sorted(changes) == sorted([(DELETE, GPT2), (DELETE, PHI), (LOAD, PHI), (LOAD, OPT)])
    assert changes.index((DELETE, PHI)) < changes.index((LOAD, PHI))
    stack.up("--expect-no-changes").ok()


@pytest.mark.parametrize("command", ["up", "destroy"])
def test_a_restored_state(stack: Stack, emulator: Emulator, command: str) -> None:
    """The refresh finds the later load in the journal: it is this resource's, and stays so."""
    stack.program(ONE.format(concurrency=1))
    stack.up().ok()
    old = exported(stack)
    stack.program(ONE.format(concurrency=2))
    stack.up().ok()
    restore(stack, old)
    log = Log(emulator)
    if command == "up":
        healed = stack.up().ok()
        assert healed.lines("the state names that load from now on")
        assert log.new() == []
        assert stack.models()["gpt2"]["concurrency"] == 2
        stack.up("--expect-no-changes").ok()
    stack.destroy().ok()
    assert log.new() == [(DELETE, GPT2)]
    assert running(emulator) == {}


def test_a_restored_state_without_the_journal(stack: Stack, emulator: Emulator) -> None:
    """Nothing says whose the later load is: it is left alone, with the words for this case."""
    stack.program(ONE.format(concurrency=1))
    stack.up().ok()
    old = exported(stack)
    stack.program(ONE.format(concurrency=2))
    stack.up().ok()
    shutil.rmtree(stack.folder / "journal")
    for command in (stack.refresh, stack.destroy):
        restore(stack, old)
        assert command().ok().lines("or by this resource, if this state was restored")
    assert stack.models() == {}
    assert running(emulator) == {GPT2: 2}
    assert "not by this resource. Nothing was changed. Take it over with" in sentence(stack.up())

    stack.env["BYTEZ_ADOPT"] = GPT2
    stack.up().ok()
    stack.destroy().ok()
    assert running(emulator) == {}
    assert loads(emulator) == 2


def test_a_model_that_is_only_read(stack: Stack, emulator: Emulator) -> None:
    """Loaded again by its owner it is read again; gone it is said to be gone, and no more."""
    emulator.load_by_somebody_else(GPT2)
    stack.program(SHARED)
    stack.up().ok()
    emulator.unload_by_somebody_else(GPT2)
    emulator.advance(60)
    emulator.load_by_somebody_else(GPT2, concurrency=3)
    again = stack.up().ok()
    assert stack.outputs() == {"n": 3}
    assert "somebody else" not in again.output

    emulator.unload_by_somebody_else(GPT2)
    gone = stack.refresh().ok()
    assert gone.lines(f"'{GPT2}', which this stack only reads, is no longer loaded")
    assert "loads it again" not in gone.output
    assert "it is not loaded" in sentence(stack.up())

    emulator.load_by_somebody_else(GPT2)
    stack.up().ok()
    stack.destroy().ok()
    assert running(emulator) == {GPT2: 1}
    assert emulator.requests(LOAD) == []


def test_a_key_of_a_fleet_that_is_renamed(plain_stack: Stack, emulator: Emulator) -> None:
    """It keeps its load; the review says so."""
    plain_stack.program(program(small=GPT2))
    plain_stack.up().ok()
    log = Log(emulator)
    plain_stack.program(program(tiny=GPT2))
    review = fleet(plain_stack, "review", "--stack", "dev")
    assert review.returncode == 0, review
    assert "renamed from chat-small, taken over from 'chat-small', without a load" in review.stdout
    plain_stack.up().ok()
    assert log.new() == []
    assert list(plain_stack.models()) == ["chat-tiny"]
    plain_stack.up("--expect-no-changes").ok()
    plain_stack.destroy().ok()
    assert running(emulator) == {}


def test_a_relative_journal(stack: Stack, emulator: Emulator) -> None:
    """It would be another folder for each command: `up` and `doctor` refuse it alike."""
    stack.env["BYTEZ_JOURNAL"] = ".journal"
    stack.program(ONE.format(concurrency=1))
    said = sentence(stack.up())
    assert "BYTEZ_JOURNAL is '.journal', which is a relative folder. Nothing was changed" in said
    doctor = fleet(stack, "doctor", "--json")
    assert doctor.returncode != 0
    observed = said.partition(". Nothing")[0].partition(": ")[2]
    assert observed in json.dumps(json.loads(doctor.stdout))
    assert emulator.requests(LOAD) == []
