"""How users get the plugin and its SDKs, with the real CLI."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import bytez_provider
from bytez_provider.base.urns import FLEET_TYPE, NATIVE_MODEL_TYPE
from bytez_provider.emulator import Emulator
from tests.e2e.conftest import KEY
from tests.e2e.helpers import GPT2, PHI, ROOT, running
from tests.e2e.stack import Stack

SCHEMA = ROOT / "bytez_provider" / "data" / "schema.json"
BINARIES = Path(sys.prefix) / "bin"
PLUGIN = BINARIES / "pulumi-resource-bytez"
VERSION = bytez_provider.__version__
FROM_BINARIES = f"plugins: {{providers: [{{name: bytez, path: {BINARIES}}}]}}"
GENERATE = ("go", "run", "-trimpath", "-buildvcs=false", "./sdk")


@pytest.fixture
def stack(tmp_path: Path, emulator: Emulator) -> Iterator[Stack]:
    """A stack that has no plugin yet."""
    stack = Stack(tmp_path, {"BYTEZ_KEY": KEY, "BYTEZ_ENDPOINT": emulator.url}, refresh=False)
    yield stack
    stack.end()


def write(stack: Stack, head: str, options: str = "") -> None:
    """Write a project in YAML with one model."""
    (stack.project / "Pulumi.yaml").write_text(
        f"name: fleet\nruntime: yaml\n{head}\nresources:\n  gpt2:\n    type: bytez:Model\n"
        f"    properties: {{modelId: {GPT2}}}\n    options: {{{options}}}\n"
    )


def checkout(folder: Path) -> Path:
    """Return a folder as the repository is one to Pulumi after `make setup`."""
    copy = folder / "checkout"
    copy.mkdir()
    for name in ("PulumiPlugin.yaml", "__main__.py", "requirements.txt"):
        shutil.copy(ROOT / name, copy)
    (copy / ".venv").symlink_to(sys.prefix)
    return copy


def as_shown(stack: Stack, source: Path) -> dict[str, Any]:
    """Return the schema that the plugin at a path reports."""
    return dict(json.loads(stack.run("package", "get-schema", str(source)).ok().stdout))


class TestSchema:
    def test_pulumi_accepts_it(self, stack: Stack) -> None:
        done = stack.run("schema", "check", str(SCHEMA)).ok()
        assert "warning" not in done.output.lower()

    def test_the_command_and_the_folder_report_it_with_their_version(
        self, stack: Stack, tmp_path: Path
    ) -> None:
        for source in (PLUGIN, checkout(tmp_path)):
            shown = as_shown(stack, source)
            assert shown["version"] == VERSION
            assert shown["resources"].keys() == {NATIVE_MODEL_TYPE, FLEET_TYPE}


class TestInstall:
    def test_a_plugin_from_the_project_file_brings_no_warning(
        self, stack: Stack, emulator: Emulator, tmp_path: Path
    ) -> None:
        for head in (FROM_BINARIES, f"packages: {{bytez: {checkout(tmp_path)}}}"):
            write(stack, head)
            assert "warning" not in stack.up().ok().output
            assert running(emulator) == {GPT2: 1}
            stack.destroy().ok()

    def test_an_installed_one_is_there_for_every_project(
        self, stack: Stack, emulator: Emulator
    ) -> None:
        stack.run("plugin", "install", "resource", "bytez", VERSION, "--file", str(PLUGIN)).ok()
        write(stack, "")
        assert "warning" not in stack.up().ok().output
        assert running(emulator) == {GPT2: 1}

    def test_one_on_path_brings_a_warning(self, stack: Stack, emulator: Emulator) -> None:
        stack.env["PATH"] = f"{BINARIES}{os.pathsep}{stack.env['PATH']}"
        write(stack, "")
        assert "using pulumi-resource-bytez from $PATH" in stack.up().ok().output
        assert running(emulator) == {GPT2: 1}

    def test_without_one_pulumi_names_what_is_missing(self, stack: Stack) -> None:
        write(stack, "")
        assert "no resource plugin 'pulumi-resource-bytez'" in stack.preview().failed().output

    def test_a_program_that_asks_for_a_later_version_is_warned(self, stack: Stack) -> None:
        for version, is_warned in ((VERSION, False), ("99.0.0", True)):
            write(stack, FROM_BINARIES, f"version: {version}")
            output = stack.preview().ok().output
            expected = f"expected to have version >=99.0.0, but has {VERSION}"
            assert (expected in output) is is_warned


class TestSdk:
    """A release has a host for each language; a CLI that was built here has the generator."""

    @pytest.mark.parametrize(
        ("language", "files"),
        [
            ("nodejs", {"model.ts": "export class Model ", "fleet.ts": "export class Fleet "}),
            ("go", {"bytez/model.go": "type Model struct", "bytez/fleet.go": "type Fleet struct"}),
        ],
    )
    def test_it_has_the_resources(
        self, stack: Stack, tmp_path: Path, language: str, files: dict[str, str]
    ) -> None:
        sdk = generate(stack, tmp_path, language)
        for name, text in files.items():
            assert text in (sdk / name).read_text(encoding="utf-8")

    def test_a_program_in_python_with_its_own_sdk(
        self, stack: Stack, emulator: Emulator, tmp_path: Path
    ) -> None:
        sdk = generate(stack, tmp_path, "python")
        about = sdk / f"pulumi_bytez-{VERSION}.dist-info" / "METADATA"  # as pip writes it
        about.parent.mkdir()
        about.write_text(f"Metadata-Version: 2.1\nName: pulumi_bytez\nVersion: {VERSION}\n")
        stack.env["PYTHONPATH"] = str(sdk)
        settings = stack.project / "Pulumi.yaml"
        settings.write_text(f"{settings.read_text()}{FROM_BINARIES}\n")
        stack.program(
            "import pulumi_bytez as bytez\n"
            f"gpt2 = bytez.Model('gpt2', model_id='{GPT2}')\n"
            f"chat = bytez.Fleet('chat', models={{'phi': {{'model_id': '{PHI}'}}}})\n"
            f"pulumi.export('phi', bytez.get_models_output(search='phi-1').models[0].model_id)\n"
            "pulumi.export('statuses', chat.statuses)\n"
        )
        stack.up().ok()
        assert running(emulator) == {GPT2: 1, PHI: 1}
        assert stack.outputs() == {"phi": PHI, "statuses": {"phi": "RUNNING"}}
        stack.up("--expect-no-changes").ok()


def generate(stack: Stack, folder: Path, language: str) -> Path:
    """Generate an SDK from what the plugin reports, and return its folder."""
    sdk = folder / "sdk"
    is_release = shutil.which("pulumi-language-nodejs", path=stack.env["PATH"]) is not None
    if is_release:
        ask = ("package", "gen-sdk", str(PLUGIN), "--language", language, "--out", str(sdk))
        stack.run(*ask).ok()
        return sdk / language
    schema = folder / "schema.json"
    schema.write_text(json.dumps(as_shown(stack, PLUGIN)))
    done = subprocess.run(
        [*GENERATE, language, str(schema), str(sdk)],
        cwd=ROOT / "tools" / "pulumi",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return sdk
