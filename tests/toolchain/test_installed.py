"""The wheel and the sdist, and the wheel in an environment that has nothing else of ours."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import bytez_provider
from bytez_provider.emulator import Emulator
from tests.e2e.conftest import KEY
from tests.e2e.helpers import GPT2, one, running
from tests.e2e.stack import Stack
from tests.workflows.workflow import BIN, ROOT

NAME = f"bytez_provider-{bytez_provider.__version__}"


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the sdist."""
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def installed(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtualenv with the wheel, the extra `cli` and what they need."""
    folder = tmp_path_factory.mktemp("empty") / "venv"
    uv, python = str(BIN / "uv"), str(folder / "bin" / "python")
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(folder)], check=True)
    constraints = ["--constraint", str(ROOT / "constraints.txt")]
    (wheel,) = dist.glob("*.whl")
    install = [uv, "pip", "install", "--quiet", "--python", python, *constraints, f"{wheel}[cli]"]
    subprocess.run(install, check=True)
    return folder


@pytest.fixture
def stack(tmp_path: Path, installed: Path) -> Iterator[tuple[Stack, Emulator]]:
    """A stack whose program runs in that virtualenv."""
    with Emulator(keys=(KEY,), clock="manual", boot_seconds=0) as emulator:
        stack = Stack(tmp_path, {"BYTEZ_KEY": KEY, "BYTEZ_ENDPOINT": emulator.url}, refresh=True)
        settings = stack.project / "Pulumi.yaml"
        settings.write_text(settings.read_text().replace(sys.prefix, str(installed)))
        yield stack, emulator
        stack.end()


def test_wheel_and_sdist_are_built_and_the_readme_renders(dist: Path) -> None:
    files = sorted(dist.glob("bytez_provider-*"))
    assert [path.name for path in files] == [f"{NAME}-py3-none-any.whl", f"{NAME}.tar.gz"]
    check = [str(BIN / "twine"), "check", "--strict", *map(str, files)]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_sdist_has_the_package_and_its_papers_only(dist: Path) -> None:
    with tarfile.open(dist / f"{NAME}.tar.gz") as packed:
        held = {name.removeprefix(f"{NAME}/") for name in packed.getnames()}
    tops = {name.split("/")[0] for name in held}
    assert tops == {
        *("bytez_provider", "CHANGELOG.md", "LICENSE", "README.md"),
        *("pyproject.toml", "PKG-INFO", ".gitignore"),
    }


def test_the_command_of_the_wheel_prints_its_version(installed: Path) -> None:
    command = [str(installed / "bin" / "bytez-fleet"), "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"bytez-fleet {bytez_provider.__version__}\n")


def test_the_package_of_the_wheel_is_not_that_of_the_checkout(
    installed: Path, tmp_path: Path
) -> None:
    code = "import bytez_provider; print(bytez_provider.__file__)"
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [str(installed / "bin" / "python"), "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith(str(installed))


def test_the_wheel_loads_and_unloads_a_model(stack: tuple[Stack, Emulator]) -> None:
    deployed, emulator = stack
    deployed.program(one())
    deployed.up().ok()
    assert running(emulator) == {GPT2: 1}
    deployed.destroy().ok()
    assert running(emulator) == {}
