"""A copy of the tree in which guards are taken out and tests are run; the tree itself stays."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tools.mutants.mutant import Mutant

ROOT = Path(__file__).resolve().parents[2]

_LEFT_OUT = shutil.ignore_patterns(".*", "__pycache__", "build", "dist", "*.egg-info")
_TESTS_FAILED = 1
_PATIENCE_SECONDS = 600
_KILLER = re.compile(r"^(?:FAILED|ERROR) (\S+(?:\[[^\]]*\])?)", re.MULTILINE)


@dataclass(frozen=True)
class Verdict:
    """What the tests made of one mutant.

    Attributes:
        killer: The test that noticed; None where none did.
        seconds: How long it took.
        trouble: The last lines of pytest, where it came to no verdict.
    """

    killer: str | None
    seconds: float
    trouble: str = ""


class Copy:
    """The tree in a folder that is thrown away.

    Args:
        folder: An empty folder.
    """

    def __init__(self, folder: Path) -> None:
        self._tree = folder / "tree"
        shutil.copytree(ROOT, self._tree, ignore=_LEFT_OUT)

    def imported_from(self) -> Path:
        """Return where the package comes from, in a process that a test here starts."""
        done = self._run("-c", "import bytez_provider; print(bytez_provider.__file__)", cwd="/")
        return Path(done.stdout.strip()).resolve()

    @property
    def tree(self) -> Path:
        """The copy's root."""
        return self._tree.resolve()

    def untouched(self, tests: Iterable[str]) -> Verdict:
        """Run tests on the tree as it is: nothing is known of a mutant where they fail anyway."""
        return self._verdict(sorted(set(tests)))

    def without(self, mutant: Mutant) -> Verdict:
        """Take a guard out, run the tests that are to notice, and put it back.

        Raises:
            MisfitError: The mutant does not fit the code.
        """
        path = self._tree / mutant.path
        whole = path.read_text(encoding="utf-8")
        path.write_text(mutant.applied(self._tree), encoding="utf-8")
        try:
            return self._verdict(mutant.tests)
        finally:
            path.write_text(whole, encoding="utf-8")

    def _verdict(self, tests: Iterable[str]) -> Verdict:
        began = time.monotonic()
        try:
            done = self._run("-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests)
        except subprocess.TimeoutExpired:
            return Verdict(None, time.monotonic() - began, "it did not come to an end")
        seconds = time.monotonic() - began
        if done.returncode == 0:
            return Verdict(None, seconds)
        killer = _KILLER.search(done.stdout)
        if done.returncode != _TESTS_FAILED or killer is None:
            # Not a test that failed: one that cannot be collected, or was not found.
            return Verdict(None, seconds, "\n".join(done.stdout.splitlines()[-20:]) + done.stderr)
        return Verdict(killer[1], seconds)

    def _run(self, *args: str, cwd: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *args],
            cwd=cwd or self._tree,
            # First on the path of every process that a test starts, before the tree itself. And
            # no compiled files: two versions of a file within a second would be taken for one.
            env={**os.environ, "PYTHONPATH": str(self._tree), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
            timeout=_PATIENCE_SECONDS,
        )
