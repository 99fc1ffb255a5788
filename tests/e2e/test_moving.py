"""Moving a stack from dynamic resources to native ones and back, with the real engine."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bytez_provider.emulator import Emulator
from tests.e2e.conftest import KEY
from tests.e2e.helpers import DELETE, GPT2, OPT, PHI, Log, bytez_fleet, running
from tests.e2e.stack import Stack, YamlStack

PYTHON = f"""\
first = bytez.Model("gpt2", model_id="{GPT2}", concurrency=2)
bytez.Fleet(
    "chat",
    models={{
        "phi": bytez.ModelArgs(model_id="{PHI}", expiration_period_seconds=3600),
        "opt": bytez.ModelArgs(model_id="{OPT}"),
    }},
    opts=pulumi.ResourceOptions(depends_on=[first]),
)
"""
NATIVE = f"""\
resources:
  gpt2:
    type: bytez:Model
    properties: {{modelId: {GPT2}, concurrency: 2}}
  chat:
    type: bytez:Fleet
    properties:
      models:
        phi: {{modelId: {PHI}, expirationPeriodSeconds: 3600}}
        opt: {{modelId: {OPT}}}
    options: {{dependsOn: ["${{gpt2}}"]}}
"""
ALL = {GPT2: 2, PHI: 1, OPT: 1}


class Project(YamlStack):
    """A project whose program may be in Python or in YAML."""

    def python(self, body: str) -> None:
        """Replace the program by one in Python."""
        (self.project / "Pulumi.yaml").write_text(
            f"name: fleet\nruntime: {{name: python, options: {{virtualenv: {sys.prefix}}}}}\n"
            "options: {refresh: always}\n"
        )
        Stack.program(self, body)

    def migrate(self, to: str, *more: str) -> dict[str, Any]:
        """Migrate the stack, and return what that prints."""
        done = bytez_fleet(self, "migrate", "--stack", "dev", "--to", to, "--json", *more)
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout))

    def types(self) -> set[str]:
        """Return the types of the resources in state."""
        return {str(one["type"]) for one in self.export()["resources"]}

    def owners(self) -> set[str]:
        """Return the types of the resources that the journal names."""
        records = (self.folder / "journal").glob("record-*.json")
        urns = [json.loads(one.read_bytes())["owner"]["urn"] for one in records]
        return {urn.split("::")[2].rpartition("$")[2] for urn in urns}


@pytest.fixture
def project(tmp_path: Path, emulator: Emulator) -> Iterator[Project]:
    env = {"BYTEZ_KEY": KEY, "BYTEZ_ENDPOINT": emulator.url}
    project = Project(tmp_path, env, refresh=False)
    yield project
    project.end()


DYNAMIC_TYPES = {
    "pulumi:pulumi:Stack",
    "pulumi:providers:pulumi-python",
    "pulumi-python:dynamic/bytez:Model",
    "bytez:index:Fleet",
    "pulumi-python:dynamic/bytez:Readiness",
}
NATIVE_TYPES = {
    "pulumi:pulumi:Stack",
    "pulumi:providers:bytez",
    "bytez:index:Model",
    "bytez:index:Fleet",
    "bytez:index:Readiness",
}


def test_there_and_back_without_a_load_or_an_unload(project: Project, emulator: Emulator) -> None:
    project.python(PYTHON)
    project.up().ok()
    log = Log(emulator)

    before = project.export()
    plan = project.migrate("native")
    assert (plan["written"], len(plan["resources"])) == (False, 4)
    assert project.export() == before

    assert project.migrate("native", "--yes")["backup"] == "dev-before-native.json"
    assert project.types() == NATIVE_TYPES
    project.program(NATIVE)
    project.preview("--expect-no-changes").ok()
    project.up("--expect-no-changes").ok()
    assert project.owners() == {"bytez:index:Model"}

    project.migrate("dynamic", "--yes")
    assert project.types() == DYNAMIC_TYPES
    project.python(PYTHON)
    project.preview("--expect-no-changes").ok()
    project.up("--expect-no-changes").ok()
    assert project.owners() == {"pulumi-python:dynamic/bytez:Model"}
    assert (log.new(), running(emulator)) == ([], ALL)

    project.destroy().ok()
    assert {path for path, _ in log.new()} == {DELETE}
    assert running(emulator) == {}


def test_a_migrated_stack_unloads_what_it_loaded_before(
    project: Project, emulator: Emulator
) -> None:
    """Also without an `up` in between: the state proves whose the loads are."""
    project.python(PYTHON)
    project.up().ok()
    project.migrate("native", "--yes")
    project.program(NATIVE)
    project.destroy().ok()
    assert running(emulator) == {}


def test_settings_of_the_stack_change_nothing(project: Project, emulator: Emulator) -> None:
    """A provider has its settings in state: a refresh works with these."""
    del project.env["BYTEZ_KEY"], project.env["BYTEZ_ENDPOINT"]
    project.run("config", "set", "--secret", "bytez:key", KEY).ok()
    project.run("config", "set", "bytez:endpoint", emulator.url).ok()
    project.python(PYTHON)
    project.up().ok()
    log = Log(emulator)
    shown = project.migrate("native", "--yes")
    texts = [json.dumps([shown, project.export()])]
    project.program(NATIVE)
    project.up("--expect-no-changes").ok()
    project.migrate("dynamic", "--yes")
    project.python(PYTHON)
    project.up("--expect-no-changes").ok()
    assert log.new() == []
    texts += [path.read_text() for path in project.project.glob("*.json")]
    assert len(texts) == 3
    assert not [text for text in texts if KEY in text]


def test_an_undone_migration_changes_nothing(project: Project, emulator: Emulator) -> None:
    project.python(PYTHON)
    project.up().ok()
    log = Log(emulator)
    project.migrate("native", "--yes")
    done = bytez_fleet(project, "migrate", "--stack", "dev", "--to", "dynamic", "--yes")
    undo = [line.split() for line in done.stderr.splitlines() if "stack import" in line]
    assert undo, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    assert rows[0] == ["RESOURCE", "BEFORE", "AFTER"]
    assert ["gpt2", "bytez:index:Model", "pulumi-python:dynamic/bytez:Model"] in rows
    assert ["default", "pulumi:providers:bytez", "removed"] in rows
    assert done.stdout.endswith("nothing was loaded or unloaded\n")
    assert project.types() == DYNAMIC_TYPES
    again = bytez_fleet(project, "migrate", "--stack", "dev", "--to", "dynamic", "--yes")
    assert again.stdout.startswith("nothing to migrate")
    project.run(*undo[-1][1:]).ok()
    assert project.types() == NATIVE_TYPES
    project.run("stack", "import", "--file", "dev-before-native.json").ok()
    project.up("--expect-no-changes").ok()
    assert log.new() == []


def test_an_imported_and_an_adopted_load_stay_ours(project: Project, emulator: Emulator) -> None:
    for model_id in (GPT2, PHI):
        emulator.load_by_somebody_else(model_id)
    log = Log(emulator)
    project.program("")
    found = ("import", "bytez:index:Model", "gpt2", GPT2, "--yes", "--skip-preview")
    project.run(*found, "--protect=false").ok()
    gpt2 = f"  gpt2: {{type: bytez:Model, properties: {{modelId: {GPT2}}}}}\n"
    phi = f"  phi: {{type: bytez:Model, properties: {{modelId: {PHI}, adopt: true}}}}\n"
    project.program(f"resources:\n{gpt2}{phi}")
    project.up().ok()

    project.migrate("dynamic", "--yes")
    project.python(
        f'bytez.Model("gpt2", model_id="{GPT2}")\nbytez.Model("phi", model_id="{PHI}", adopt=True)'
    )
    project.up("--expect-no-changes").ok()
    assert log.new() == []
    project.destroy().ok()
    assert running(emulator) == {}


class TestRefused:
    """One sentence, and nothing is changed."""

    BACKUP = "dev-before-native.json"

    @pytest.fixture
    def one(self, project: Project) -> Project:
        """A project with one model."""
        project.python(f'bytez.Model("gpt2", model_id="{GPT2}")')
        project.up().ok()
        return project

    def refused(self, project: Project) -> str:
        before = project.export()
        done = bytez_fleet(project, "migrate", "--stack", "dev", "--to", "native", "--yes")
        assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
        assert project.export() == before
        return done.stderr

    def test_a_backup_is_not_overwritten(self, one: Project) -> None:
        kept = one.project / self.BACKUP
        kept.write_text("mine")
        message = self.refused(one)
        assert f"'{self.BACKUP}', which would keep the state, exists already" in message
        assert kept.read_text() == "mine"

    def test_a_pending_operation(self, one: Project) -> None:
        file = one.folder / "backend/.pulumi/stacks/fleet/dev.json"
        saved = json.loads(file.read_bytes())
        pending = {"resource": one.export()["resources"][-1], "type": "updating"}
        saved["checkpoint"]["latest"]["pending_operations"] = [pending]
        file.write_text(json.dumps(saved))
        assert "was stopped in the middle of an operation" in self.refused(one)
        assert not (one.project / self.BACKUP).exists()

    def test_another_deployment_is_running(self, one: Project) -> None:
        locks = one.folder / "backend/.pulumi/locks/organization/fleet/dev"
        locks.mkdir(parents=True, exist_ok=True)
        (locks / "0f5c1a8e-0000-4000-8000-000000000000.json").write_text(
            '{"pid": 1, "username": "x", "hostname": "y", "timestamp": "2024-05-28T00:00:00Z"}'
        )
        message = self.refused(one)
        assert "could not write the state of stack 'dev': `pulumi` says: " in message
        assert f"move {self.BACKUP} away" in message

    def test_a_stack_that_does_not_exist(self, one: Project) -> None:
        done = bytez_fleet(one, "migrate", "--stack", "nope", "--to", "native", "--json")
        assert json.loads(done.stdout)["error"]["code"] == "config"


def test_an_up_of_the_old_program_takes_the_loads_over(
    project: Project, emulator: Emulator
) -> None:
    """The other way to move, which replaces all resources and needs both providers."""
    project.env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{project.env['PATH']}"
    project.python(PYTHON)
    project.up().ok()
    log = Log(emulator)
    project.migrate("native", "--yes")
    project.up().ok()
    assert project.types() == DYNAMIC_TYPES
    assert (log.new(), running(emulator)) == ([], ALL)


def test_what_was_loaded_by_hand_is_exported_and_imported(
    project: Project, emulator: Emulator
) -> None:
    project.program("")
    emulator.load_by_somebody_else(GPT2, concurrency=2)
    emulator.load_by_somebody_else(PHI)
    log = Log(emulator)
    done = bytez_fleet(project, "export", "--format", "pulumi-import", "found.json")
    assert (done.returncode, done.stdout) == (0, "found.json: 2 models\n"), done.stderr
    assert json.loads((project.project / "found.json").read_text()) == {
        "resources": [
            {"type": "bytez:index:Model", "name": "phi-1", "id": PHI},
            {"type": "bytez:index:Model", "name": "gpt2", "id": GPT2},
        ]
    }
    (hint,) = (line.split() for line in done.stderr.splitlines() if "pulumi import --file" in line)
    project.run(*hint[1:], "--yes", "--skip-preview", "--out", "program.yaml").ok()
    program = (project.project / "program.yaml").read_text()
    assert re.findall(r"^  (\S+):$", program, re.MULTILINE) == ["phi-1", "gpt2"]
    project.program(program)
    project.up("--expect-no-changes").ok()
    assert (log.new(), running(emulator)) == ([], {GPT2: 2, PHI: 1})
    again = bytez_fleet(project, "export", "--format", "pulumi-import", "found.json")
    assert "this file exists" in again.stderr
