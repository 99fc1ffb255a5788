"""What `make` prints if the machine lacks something."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parents[2]

OLD = "#!/bin/sh\nexit 1\n"
WITHOUT_VENV = '#!/bin/sh\ncase "$2" in *venv*) exit 1 ;; esac\n'


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(HERE / name, folder)
    return subprocess.run(
        ["make", "--no-print-directory", *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"]},  # not of the make that runs the tests
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_a_target_make_lists_the_targets(tmp_path: Path) -> None:
    listed = make(tmp_path).stdout
    for target in ("setup", "demo", "test", "check", "clean"):
        assert f"make {target} " in listed


@pytest.mark.parametrize(
    ("python", "said"), [(OLD, "is not Python 3.10 or newer"), (WITHOUT_VENV, "has no venv module")]
)
def test_an_unsuitable_python_is_one_line(tmp_path: Path, python: str, said: str) -> None:
    interpreter = tmp_path / "python"
    interpreter.write_text(python)
    interpreter.chmod(0o755)
    done = make(tmp_path, "setup", f"PYTHON={interpreter}")
    ours, makes = done.stderr.splitlines()
    assert said in ours
    assert makes.startswith("make: ***")
    assert done.returncode == 2
    assert not (tmp_path / ".venv").exists()
