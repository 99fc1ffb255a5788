"""The demo in a pipe: to its end, interrupted, and with a command that fails."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

# It takes a minute on an idle machine; this is for one that runs all tests.
DEMO_SECONDS = 600
KEY = "demo-key-of-the-emulator"


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """The folder in which the demo makes its own."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


def start(root: Path, scratch: Path, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    """Start the demo in its own process group, as a terminal does."""
    return subprocess.Popen(
        [sys.executable, str(root / "tools" / "demo" / "run.py")],
        env={**os.environ, "TMPDIR": str(scratch), **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def left_behind(scratch: Path) -> list[str]:
    """Return the files and the commands of processes that the demo left behind."""
    found = [path.name for path in scratch.iterdir()]
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if str(scratch).encode() in path.read_bytes():
                found.append((path.parent / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue  # It has ended, or belongs to another user.
    return found


def test_the_demo_shows_every_step_and_leaves_nothing_behind(root: Path, scratch: Path) -> None:
    demo = start(root, scratch)
    shown, _ = demo.communicate(timeout=DEMO_SECONDS)
    assert demo.returncode == 0, shown
    assert left_behind(scratch) == []
    assert KEY not in shown
    assert "Traceback" not in shown

    opening, *steps = re.split(r"^(?=\[\d/9\] )", shown, flags=re.MULTILINE)
    assert "no key, no account" in opening
    assert [step[:5] for step in steps] == [f"[{n}/9]" for n in range(1, 10)]
    preview, up, look, ask, change, expiry, unchanged, destroy, end = steps
    assert "+ 4 to create" in preview
    assert " DEPLOYING, limit" in up
    assert "+ 4 created" in up
    assert look.count("RUNNING") == 3
    assert "Once upon a time there was a" in ask.split("\n", 2)[2]
    assert "concurrency: 1 => 2" in change
    assert "+-1 replaced" in change
    assert "nothing is loaded" in expiry
    assert "+ 3 created" in expiry
    assert "4 unchanged" in unchanged
    assert "- 4 deleted" in destroy
    assert "nothing is loaded" in end
    assert re.search(r"^together +7 +0\.\d{4}$", end, re.MULTILINE)
    last_lines = end.rstrip().splitlines()[-3:]
    assert "BYTEZ_KEY=" in last_lines[0]
    assert [line.strip() for line in last_lines[1:]] == ["pulumi stack init dev", "pulumi up"]


def test_ctrl_c_in_mid_boot_leaves_nothing_behind(root: Path, scratch: Path) -> None:
    """Until then, progress in a pipe is one line per stage."""
    demo = start(root, scratch)
    assert demo.stdout is not None
    shown = []
    for line in demo.stdout:
        shown.append(line)
        if " DEPLOYING, limit" in line:
            os.killpg(demo.pid, signal.SIGINT)
            break
    rest, _ = demo.communicate(timeout=DEMO_SECONDS)
    assert demo.returncode == 130, "".join(shown) + rest
    assert rest.rstrip().endswith("demo: stopped. Nothing is left behind.")
    assert left_behind(scratch) == []
    assert sum(" DEPLOYING, limit" in line and "chat creating" in line for line in shown) <= 1


def test_a_failing_command_fails_the_demo_with_one_line(
    root: Path, scratch: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "bin" / "pulumi"
    broken.parent.mkdir()
    broken.write_text("#!/bin/sh\necho 'no disk'\nexit 3\n")
    broken.chmod(0o755)
    demo = start(root, scratch, {"PATH": f"{broken.parent}{os.pathsep}{os.environ['PATH']}"})
    shown, _ = demo.communicate(timeout=DEMO_SECONDS)
    assert demo.returncode == 1
    assert shown.splitlines()[-3:] == [
        "no disk",
        "",
        "demo: `pulumi stack init dev` failed with exit code 3.",
    ]
    assert left_behind(scratch) == []
