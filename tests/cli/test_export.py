"""`export`: a fleet file of what runs and no state names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bytez_provider.core.declared import ModelInputs
from bytez_provider.emulator import Emulator
from bytez_provider.fleetfile import read_fleet
from tests.cli.fleet import CODER, GPT2, UNPRICED, Fleet

PHI = "microsoft/phi-1"
Load = Callable[..., str]
State = Callable[..., str]


def exported(fleet: Fleet, name: str = "fleet.yaml") -> dict[str, ModelInputs]:
    return dict(read_fleet(fleet.folder / name).models)


def test_all_that_runs_where_no_state_is_given(
    fleet: Fleet, emulator: Emulator, running: Load
) -> None:
    running(GPT2, 2)
    fleet.run("load", PHI, "--expiration-period-seconds", "3600", "--no-wait").ok()
    done = fleet.run("export", "fleet.yaml").ok()
    assert done.out == "fleet.yaml: 2 models, to be taken over as they run\n"
    assert "bytez.Fleet.from_yaml('adopted', 'fleet.yaml')" in done.err
    assert (fleet.folder / "fleet.yaml").read_text() == (
        "models:\n"
        "  phi-1:\n"
        f"    modelId: {PHI}\n"
        "    expirationPeriodSeconds: 3600\n"
        "    adopt: true\n"
        "  gpt2:\n"
        f"    modelId: {GPT2}\n"
        "    concurrency: 2\n"
        "    adopt: true\n"
    )
    assert not emulator.requests("/model/delete")


def test_only_what_no_state_names(fleet: Fleet, running: Load, state: State) -> None:
    saved = state((GPT2, running(GPT2)))
    running(PHI)
    done = fleet.run("export", "fleet.yaml", "--state", saved, "--json").ok()
    assert list(exported(fleet)) == ["phi-1"]
    assert done.document == {
        "path": "fleet.yaml",
        "models": {
            "phi-1": {"modelId": PHI, "concurrency": 1, "adopt": True, "onExpiry": "reload"}
        },
    }


def test_a_load_made_anew_is_left_to_the_stack_that_declares_the_model(
    fleet: Fleet, running: Load, state: State
) -> None:
    running(GPT2)
    saved = state((GPT2, "2024-05-28T00:00:00.000Z"))
    done = fleet.run("export", "fleet.yaml", "--state", saved).ok()
    assert f"{GPT2} is left out: a stack declares it" in done.err
    assert not (fleet.folder / "fleet.yaml").exists()
    assert done.out == "nothing to export: all that runs is declared\n"


def test_what_failed_would_be_loaded_and_is_left_out(fleet: Fleet, emulator: Emulator) -> None:
    emulator.set_faults([{"model": GPT2, "do": {"boot": "failed"}}])
    fleet.run("load", GPT2, "--no-wait").ok()
    emulator.advance(403)
    done = fleet.run("export", "fleet.yaml").ok()
    assert f"{GPT2} is left out: it FAILED" in done.err


def test_keys_are_of_the_names_and_each_is_its_own(fleet: Fleet, emulator: Emulator) -> None:
    names = ["a/Chat.v1", "b/chat-v1", "a/ready", "c/chat--v1", "x/fleet_2", "a/b-chat-v1"]
    listed = [
        {"modelId": name, "status": "RUNNING", "created": "2024-05-28T00:00:00Z", "concurrency": 1}
        for name in names
    ]
    emulator.set_faults([{"endpoint": "/model/instances", "do": {"respond": {"body": listed}}}])
    fleet.run("export", "fleet.yaml").ok()
    assert {key: one.model_id for key, one in exported(fleet).items()} == {
        "chat-v1": "a/Chat.v1",
        "b-chat-v1": "a/b-chat-v1",
        "a-ready": "a/ready",
        "b-chat-v1-2": "b/chat-v1",
        "chat--v1": "c/chat--v1",
        "fleet_2": "x/fleet_2",
    }


def test_what_cannot_be_declared_is_left_out_or_left_to_the_service(
    fleet: Fleet, emulator: Emulator
) -> None:
    when = "2024-05-28T00:00:00Z"
    listed = [
        {"modelId": "a/\x1b[2Jb", "status": "RUNNING", "created": when},
        {"modelId": GPT2, "status": "RUNNING", "created": when, "expirationPeriodSeconds": 5},
    ]
    emulator.set_faults([{"endpoint": "/model/instances", "do": {"respond": {"body": listed}}}])
    done = fleet.run("export", "fleet.yaml").ok()
    assert "warning: a/ b is left out: its name cannot be that of a model" in done.err
    # Of what is not declared nothing is changed when it is taken over.
    assert exported(fleet) == {"gpt2": ModelInputs(model_id=GPT2, adopt=True)}


class TestAFileThatIsThere:
    def test_it_is_not_overwritten(self, fleet: Fleet, emulator: Emulator, running: Load) -> None:
        running(GPT2)
        (fleet.folder / "fleet.yaml").write_text("mine")
        told = fleet.run("export", "fleet.yaml").failed(2)
        assert told == (
            "could not export to 'fleet.yaml': there is a file of this name. Nothing was changed. "
            "Say --add to add to it what it does not have, or name another file."
        )
        assert (fleet.folder / "fleet.yaml").read_text() == "mine"
        assert emulator.requests() == []

    def test_it_gets_what_it_does_not_have(self, fleet: Fleet, running: Load) -> None:
        for model_id in (GPT2, PHI, CODER):
            running(model_id)
        mine = f"models:\n  gpt2: # mine\n    modelId: {PHI}\n    concurrency: 3\n"
        (fleet.folder / "fleet.yaml").write_text(mine)
        done = fleet.run("export", "fleet.yaml", "--add").ok()
        assert done.out == "fleet.yaml: 2 models, to be taken over as they run\n"
        text = (fleet.folder / "fleet.yaml").read_text()
        assert text.startswith(mine)
        assert {key: one.model_id for key, one in exported(fleet).items()} == {
            "gpt2": PHI,
            "deepseek-coder-1-3b-instruct": CODER,
            "openai-community-gpt2": GPT2,
        }
        assert "nothing to export" in fleet.run("export", "fleet.yaml", "--add").ok().out
        assert (fleet.folder / "fleet.yaml").read_text() == text

    def test_there_must_be_one_to_add_to(self, fleet: Fleet, emulator: Emulator) -> None:
        assert "there is no file 'x.yaml'" in fleet.run("export", "x.yaml", "--add").failed(2)
        assert emulator.requests() == []


def test_a_file_that_cannot_be_written_is_exit_2(fleet: Fleet, running: Load) -> None:
    running(UNPRICED)
    told = fleet.run("export", "no/such/folder.yaml").failed(2)
    assert "could not write 'no/such/folder.yaml': the system says: No such file" in told


def test_no_key_and_no_answer(fleet: Fleet, emulator: Emulator, tmp_path: Path) -> None:
    assert "no API key is set" in fleet.run("export", "fleet.yaml", BYTEZ_KEY="").failed(2)
    emulator.stop()
    assert "the connection was refused" in fleet.run("export", "fleet.yaml").failed(1)
    assert list(tmp_path.rglob("fleet.yaml")) == []


@pytest.mark.parametrize("flag", ["--stack=dev", "--all"])
def test_a_stack_that_cannot_be_read_is_exit_2(fleet: Fleet, flag: str) -> None:
    assert "`pulumi` is not on PATH" in fleet.run("export", "fleet.yaml", flag).failed(2)
