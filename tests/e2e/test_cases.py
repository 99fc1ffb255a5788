"""Failures that people reported of providers like this one, with the real command line."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bytez_provider.emulator import Emulator
from tests.e2e.conftest import KEY
from tests.e2e.helpers import (
    BOOT_SECONDS,
    DELETE,
    GPT2,
    LOAD,
    OPT,
    PHI,
    SLOW,
    STATUS,
    UP,
    Log,
    bytez_fleet,
    fleet,
    loads,
    mid_boot,
    one,
    running,
    sentence,
    until,
)
from tests.e2e.stack import MODEL_TYPE, Stack

NEW_KEY = "e2e-new-key-0123456789"
SHARED = f"shared = bytez.Model.get('shared', '{GPT2}')\npulumi.export('n', shared.concurrency)"


@contextmanager
def refusing(stack: Stack) -> Iterator[None]:
    """Make the backend refuse to save."""
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


@SLOW
def test_a_boot_whose_state_could_not_be_saved(stack: Stack, emulator: Emulator) -> None:
    """The next `up` goes on with the load; `unload --unfinished` ends one that no state names."""
    stack.program(one())
    empty = exported(stack)
    deployment = stack.start(*UP)
    until(lambda: mid_boot(emulator))
    with refusing(stack):
        emulator.advance(BOOT_SECONDS)
        assert "failed to save snapshot" in deployment.finish().failed().output
    assert stack.models() == {}

    stack.up().ok()
    assert stack.models()["gpt2"]["status"] == "RUNNING"
    assert loads(emulator) == 1
    unfinished = bytez_fleet(stack, "unload", "--unfinished", "--stack", "dev")
    assert unfinished.stdout == "nothing is unfinished for this key and endpoint\n", unfinished

    restore(stack, empty)
    unfinished = bytez_fleet(stack, "unload", "--unfinished", "--stack", "dev")
    assert unfinished.stdout == f"{GPT2} is unloaded\n", unfinished
    assert running(emulator) == {}


def test_a_key_that_was_changed_and_revoked(stack: Stack, emulator: Emulator) -> None:
    """A refresh uses the key of the last `up`: the error names the command that helps."""
    del stack.env["BYTEZ_KEY"]
    stack.run("config", "set", "--secret", "bytez:key", KEY).ok()
    stack.program(one())
    stack.up().ok()
    emulator.keys = (NEW_KEY,)
    stack.run("config", "set", "--secret", "bytez:key", NEW_KEY).ok()
    error = sentence(stack.destroy())
    assert "HTTP 401" in error
    assert "run `pulumi refresh --run-program` first" in error
    assert running(emulator) == {GPT2: 1}

    stack.run("refresh", "--run-program", "--yes", "--skip-preview").ok()
    stack.destroy().ok()
    assert running(emulator) == {}
    assert loads(emulator) == 1


@SLOW
def test_two_clones_with_states_of_their_own(
    stack: Stack, emulator: Emulator, tmp_path: Path
) -> None:
    """The second is refused while the first boots, and its `destroy` does not touch the load."""
    stack.program(one())
    deployment = stack.start(*UP)
    until(lambda: mid_boot(emulator))
    env = {name: stack.env[name] for name in ("BYTEZ_KEY", "BYTEZ_ENDPOINT", "BYTEZ_JOURNAL")}
    clone = Stack(tmp_path / "clone", env, refresh=True)
    clone.program(one())
    error = sentence(clone.up())
    assert f"by 'gpt2' of stack 'dev', kept in file://{tmp_path}"[:80] in error
    clone.destroy().ok()
    clone.end()
    emulator.advance(BOOT_SECONDS)
    deployment.finish().ok()
    assert running(emulator) == {GPT2: 1}
    assert len(emulator.requests(LOAD)) == 1


@pytest.mark.parametrize("shared", [True, False])
def test_a_load_that_another_stack_took_over(
    stack: Stack, emulator: Emulator, *, shared: bool
) -> None:
    """With a shared journal it is left alone; with two journals the `up` says what to do."""
    stack.program(one())
    stack.up().ok()
    emulator.advance(60)
    stack.run("stack", "init", "prod", "--no-select").ok()
    own, stack.env["BYTEZ_ADOPT"] = stack.env["BYTEZ_JOURNAL"], GPT2
    if not shared:
        stack.env["BYTEZ_JOURNAL"] = str(stack.folder / "of-another-machine")
    adopting = stack.up("--stack", "prod").ok()
    warnings = adopting.lines("this journal is on this machine only")
    assert bool(warnings) is not shared

    stack.env["BYTEZ_JOURNAL"] = own
    del stack.env["BYTEZ_ADOPT"]
    stack.program("")
    if not shared:
        assert "`pulumi state delete`" in warnings[0]
        stack.run("state", "delete", f"urn:pulumi:dev::fleet::{MODEL_TYPE}::gpt2", "--yes").ok()
    removed = stack.up().ok()
    left = removed.lines("was left running: 'gpt2' of stack 'prod', kept in file://")
    assert bool(left) is shared
    assert stack.models() == {}
    assert running(emulator) == {GPT2: 1}


def test_fleet_keys_that_exchange_their_models(stack: Stack, emulator: Emulator) -> None:
    """A load stays with the key that keeps its model; a taken model waits for its unload."""
    stack.program(fleet(prod=GPT2, canary=PHI))
    stack.up().ok()
    log = Log(emulator)
    emulator.set_faults([{"endpoint": DELETE, "model": PHI, "do": {"shutdownSeconds": 60}}])
    stack.program(fleet(prod=PHI, canary=OPT))
    deployment = stack.start(*UP)
    until(lambda: running(emulator) == {})
    looks = len(emulator.requests(STATUS))
    until(lambda: len(emulator.requests(STATUS)) > looks + 2)
    emulator.advance(60)
    deployment.finish().ok()
    assert running(emulator) == {PHI: 1, OPT: 1}
    changes = log.new()
    assert sorted(changes) == sorted([(DELETE, GPT2), (DELETE, PHI), (LOAD, PHI), (LOAD, OPT)])
    assert changes.index((DELETE, PHI)) < changes.index((LOAD, PHI))

    # One key is removed, and the other gets its model.
    emulator.set_faults([])
    stack.program(fleet(prod=OPT))
    stack.up().ok()
    assert log.new() == [(DELETE, PHI)]
    assert list(stack.models()) == ["chat-prod"]
    stack.up("--expect-no-changes").ok()


def test_a_restored_state(stack: Stack, emulator: Emulator) -> None:
    """The journal says that the later load is this resource's; without it nothing does."""
    stack.program(one())
    stack.up().ok()
    old = exported(stack)
    stack.program(one(2))
    stack.up().ok()
    restore(stack, old)
    log = Log(emulator)
    assert stack.up().ok().lines("from now on the state names that load")
    assert log.new() == []
    assert stack.models()["gpt2"]["concurrency"] == 2

    shutil.rmtree(stack.folder / "journal")
    restore(stack, old)
    assert stack.destroy().ok().lines("if the state was restored and the load is yours")
    assert stack.models() == {}
    assert running(emulator) == {GPT2: 2}
    assert "not by this resource. Nothing was changed. Take it over with" in sentence(stack.up())

    stack.env["BYTEZ_ADOPT"] = GPT2
    stack.up().ok()
    stack.destroy().ok()
    assert running(emulator) == {}
    assert loads(emulator) == 2


def test_a_model_that_is_only_read(stack: Stack, emulator: Emulator) -> None:
    """It is read again if its owner loads it again; once it is gone, that is all we say."""
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
    assert emulator.requests(LOAD) == emulator.requests(DELETE) == []
