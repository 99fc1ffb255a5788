"""How users get the plugin and its SDKs, with the real CLI."""

from __future__ import annotations

import json
import os
import re
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
PAGE = (ROOT / "docs" / "native.md").read_text(encoding="utf-8")
INSTALL = ("plugin", "install", "resource", "bytez", VERSION, "--file")
SECOND_KEY = "second-key-0123456789"
CODER = "deepseek-ai/deepseek-coder-1.3b-instruct"
STATUSES = {"small": "RUNNING", "phi": "RUNNING"}
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


def programs(language: str) -> list[str]:
    """Return the programs of docs/native.md in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


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
        assert f"pulumi {' '.join(INSTALL)}" in PAGE
        stack.run(*INSTALL, str(PLUGIN)).ok()
        write(stack, "")
        assert "warning" not in stack.up().ok().output
        assert running(emulator) == {GPT2: 1}
        write(stack, "", "version: 99.0.0")
        assert "no resource plugin" in stack.preview().failed().output

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
        (program,) = programs("python")
        stack.program(program)
        stack.up().ok()
        assert running(emulator) == {CODER: 1, GPT2: 2, PHI: 1}
        assert stack.outputs() == {"coder": "RUNNING", "statuses": STATUSES}
        stack.up("--expect-no-changes").ok()


class TestPage:
    """The programs in YAML of docs/native.md."""

    def test_example(self, stack: Stack, emulator: Emulator) -> None:
        up(stack, "models")
        assert running(emulator) == {CODER: 1, GPT2: 2, PHI: 1}
        assert stack.outputs() == {"coder": "RUNNING", "statuses": STATUSES}

    def test_functions(self, stack: Stack, emulator: Emulator) -> None:
        emulator.load_by_somebody_else(GPT2)
        up(stack, "look")
        outputs = stack.outputs()
        assert CODER in [one["modelId"] for one in outputs["found"]]
        assert [one["modelId"] for one in outputs["loaded"]] == [GPT2]

    def test_reading(self, stack: Stack, emulator: Emulator) -> None:
        emulator.load_by_somebody_else(GPT2)
        up(stack, "reader")
        assert stack.outputs() == {"shared": "RUNNING"}
        stack.destroy().ok()
        assert running(emulator) == {GPT2: 1}

    def test_two_accounts(self, stack: Stack, emulator: Emulator) -> None:
        with Emulator(keys=(SECOND_KEY,), boot_seconds=0) as second:
            up(stack, "accounts", second.url)
            assert running(emulator) == {GPT2: 1}
            assert running(second) == {GPT2: 1}
            assert SECOND_KEY not in json.dumps(stack.export())


def up(stack: Stack, name: str, second: str = "") -> None:
    """Bring up a program of the page, its second account at an endpoint."""
    stack.run(*INSTALL, str(PLUGIN)).ok()
    (program,) = (one for one in programs("yaml") if one.startswith(f"name: {name}\n"))
    key = '{key: "${secondKey}"'
    (stack.project / "Pulumi.yaml").write_text(program.replace(key, f"{key}, endpoint: {second}"))
    stack.run("stack", "init", "dev").ok()
    stack.run("config", "set", "--secret", "secondKey", SECOND_KEY).ok()
    stack.up().ok()


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
