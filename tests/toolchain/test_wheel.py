"""The wheel that a user installs."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

import bytez_provider

HERE = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=HERE, check=True, capture_output=True)
    (built,) = folder.iterdir()
    return built


def test_the_wheel_has_the_package_its_types_and_its_data_only(wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    read = [*HERE.glob("bytez_provider/**/*.json"), *HERE.glob("bytez_provider/**/*.md")]
    tops = {name.split("/")[0] for name in held}
    assert tops == {"bytez_provider", f"bytez_provider-{bytez_provider.__version__}.dist-info"}
    assert "bytez_provider/py.typed" in held
    assert read
    assert {path.relative_to(HERE).as_posix() for path in read} <= held


def test_its_metadata_names_extras_and_commands(wheel: Path) -> None:
    info = f"bytez_provider-{bytez_provider.__version__}.dist-info"
    with zipfile.ZipFile(wheel) as opened:
        about = Parser().parsestr(opened.read(f"{info}/METADATA").decode())
        commands = opened.read(f"{info}/entry_points.txt").decode()
    assert about["Name"] == "bytez-provider"
    assert about["Version"] == bytez_provider.__version__
    assert about.get_all("Provides-Extra") == ["bucket", "cli", "dev", "docs", "emulator", "policy"]
    assert "bytez-fleet = bytez_provider.cli:main" in commands
    assert "bytez-emulator = bytez_provider.emulator.command:main" in commands
    assert "pulumi-resource-bytez = bytez_provider.native.command:main" in commands


def test_the_package_can_be_imported_from_the_wheel(wheel: Path) -> None:
    code = "import bytez_provider; print(bytez_provider.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(wheel)},
        cwd=wheel.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith(str(wheel))
