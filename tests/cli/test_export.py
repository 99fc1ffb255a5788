"""`export`: a fleet file of what runs and no state names."""

from __future__ import annotations

import json

from bytez_provider.base.urns import NATIVE_MODEL_TYPE
from bytez_provider.core.declared import ModelInputs
from bytez_provider.fleetfile import read_fleet
from tests.cli.fleet import CODER, GPT2, PHI, UNPRICED, Fleet

WHEN = "2024-05-28T00:00:00Z"


def exported(fleet: Fleet) -> dict[str, ModelInputs]:
    return dict(read_fleet(fleet.folder / "fleet.yaml").models)


def lists(fleet: Fleet, *instances: dict[str, object]) -> None:
    listed = [{"status": "RUNNING", "created": WHEN, **one} for one in instances]
    fleet.answers(200, listed, "/model/instances")


def test_without_a_state_everything_that_runs(fleet: Fleet) -> None:
    fleet.boot(GPT2, 2)
    fleet.run("load", PHI, "--expiration-period-seconds", "3600", "--no-wait").ok()
    done = fleet.run("export", "fleet.yaml").ok()
    assert done.out == "fleet.yaml: 2 models\n"
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
    assert not fleet.emulator.requests("/model/delete")


def test_with_a_state_only_what_it_does_not_name(fleet: Fleet) -> None:
    saved = fleet.state((GPT2, fleet.boot(GPT2)), (CODER, WHEN))
    fleet.boot(PHI)
    fleet.boot(CODER)
    done = fleet.run("export", "fleet.yaml", "--state", saved, "--json").ok()
    assert list(exported(fleet)) == ["phi-1"]
    assert done.document == {
        "path": "fleet.yaml",
        "models": {
            "phi-1": {"modelId": PHI, "concurrency": 1, "adopt": True, "onExpiry": "reload"}
        },
    }
    # A stack declares the model, and somebody made this load of it.
    assert f"{CODER} is left out" in done.err


def test_a_failed_model_is_left_out(fleet: Fleet) -> None:
    fleet.emulator.set_faults([{"model": GPT2, "do": {"boot": "failed"}}])
    fleet.run("load", GPT2, "--no-wait").ok()
    fleet.emulator.advance(403)
    assert fleet.run("export", "fleet.yaml", "--json").ok().document["path"] is None
    assert not (fleet.folder / "fleet.yaml").exists()


def test_every_model_gets_a_key_of_its_own(fleet: Fleet) -> None:
    names = ["a/Chat.v1", "b/chat-v1", "a/ready", "c/chat--v1", "x/fleet_2", "a/b-chat-v1"]
    lists(fleet, *({"modelId": name, "concurrency": 1} for name in names))
    fleet.run("export", "fleet.yaml").ok()
    assert {key: one.model_id for key, one in exported(fleet).items()} == {
        "chat-v1": "a/Chat.v1",
        "b-chat-v1": "a/b-chat-v1",
        "a-ready": "a/ready",
        "b-chat-v1-2": "b/chat-v1",
        "chat--v1": "c/chat--v1",
        "fleet_2": "x/fleet_2",
    }


def test_names_and_settings_that_cannot_be_declared_are_left_out(fleet: Fleet) -> None:
    lists(fleet, {"modelId": "a/\x1b[2Jb"}, {"modelId": GPT2, "expirationPeriodSeconds": 5})
    done = fleet.run("export", "fleet.yaml").ok()
    assert "warning: a/ b is left out" in done.err
    assert exported(fleet) == {"gpt2": ModelInputs(model_id=GPT2, adopt=True)}


class TestExistingFile:
    def test_it_is_not_overwritten(self, fleet: Fleet) -> None:
        (fleet.folder / "fleet.yaml").write_text("mine")
        fleet.run("export", "fleet.yaml", "--json").failed(2, "invalid-input")
        assert (fleet.folder / "fleet.yaml").read_text() == "mine"
        assert fleet.emulator.requests() == []

    def test_add_appends_what_it_does_not_have(self, fleet: Fleet) -> None:
        for model_id in (GPT2, PHI, CODER):
            fleet.boot(model_id)
        mine = f"models:\n  gpt2: # mine\n    modelId: {PHI}\n    concurrency: 3\n"
        (fleet.folder / "fleet.yaml").write_text(mine)
        fleet.run("export", "fleet.yaml", "--add").ok()
        text = (fleet.folder / "fleet.yaml").read_text()
        assert text.startswith(mine)
        assert {key: one.model_id for key, one in exported(fleet).items()} == {
            "gpt2": PHI,
            "deepseek-coder-1-3b-instruct": CODER,
            "openai-community-gpt2": GPT2,
        }
        assert fleet.run("export", "fleet.yaml", "--add").ok().out == "nothing to export\n"
        assert (fleet.folder / "fleet.yaml").read_text() == text

    def test_add_needs_a_file(self, fleet: Fleet) -> None:
        fleet.run("export", "x.yaml", "--add", "--json").failed(2, "invalid-file")
        assert fleet.emulator.requests() == []


class TestImportFile:
    FORM = ("--format", "pulumi-import")

    def test_it_has_what_no_state_names_under_names_that_no_state_has(self, fleet: Fleet) -> None:
        other = "someone/gpt2"
        saved = fleet.state((GPT2, fleet.boot(GPT2)))
        lists(
            fleet,
            {"modelId": other, "concurrency": 1},
            {"modelId": PHI, "concurrency": 1},
        )
        done = fleet.run("export", "found.json", *self.FORM, "--state", saved, "--json").ok()
        resources = json.loads((fleet.folder / "found.json").read_text())["resources"]
        assert resources == done.document["resources"]
        assert {one["name"]: one["id"] for one in resources} == {
            "someone-gpt2": other,
            "phi-1": PHI,
        }
        assert {one["type"] for one in resources} == {NATIVE_MODEL_TYPE}

    def test_it_is_not_overwritten_and_cannot_be_added_to(self, fleet: Fleet) -> None:
        fleet.run("export", "x.json", *self.FORM, "--add", "--json").failed(2, "invalid-input")
        (fleet.folder / "x.json").write_text("mine")
        fleet.run("export", "x.json", *self.FORM, "--json").failed(2, "invalid-input")
        assert (fleet.folder / "x.json").read_text() == "mine"
        assert fleet.emulator.requests() == []

    def test_nothing_to_export_writes_nothing(self, fleet: Fleet) -> None:
        assert fleet.run("export", "x.json", *self.FORM).ok().out == "nothing to export\n"
        assert not (fleet.folder / "x.json").exists()

    def test_a_file_that_cannot_be_written(self, fleet: Fleet) -> None:
        fleet.boot(GPT2)
        fleet.run("export", "no/x.json", *self.FORM, "--json").failed(2, "invalid-file")


def test_a_file_that_cannot_be_written(fleet: Fleet) -> None:
    fleet.boot(UNPRICED)
    fleet.run("export", "no/such/folder.yaml", "--json").failed(2, "invalid-input")


def test_no_key_and_no_answer_write_nothing(fleet: Fleet) -> None:
    fleet.run("export", "fleet.yaml", "--json", BYTEZ_KEY="").failed(2, "missing-key")
    fleet.emulator.stop()
    fleet.run("export", "fleet.yaml", "--json").failed(1, "unreachable")
    assert not (fleet.folder / "fleet.yaml").exists()
