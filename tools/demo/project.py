"""A copy of the repository's own Pulumi project, and the commands that are run in it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

_PROJECT = ("Pulumi.yaml", "program.py", "examples")
_PROGRAM = Path("examples", "quickstart", "__main__.py")

# A cancelled command saves its state and stops its processes first. The terminal usually sent it
# the Ctrl-C too; if only this process got the signal, it is passed on.
_PATIENCE_SECONDS = (3.0, 10.0, 20.0)


class CommandError(Exception):
    """A command failed."""


class Project:
    """The project in its own folder, with its state and journal beside it."""

    def __init__(self, root: Path, folder: Path, *, endpoint: str, key: str) -> None:
        """Copy the project.

        Args:
            root: The repository.
            folder: An empty folder, to be removed by the caller.
            endpoint: Where the commands find Bytez.
            key: The key that they use.
        """
        self._env = _environment(root, folder, endpoint, key)
        self._here = folder / "project"
        self._here.mkdir()
        (folder / "state").mkdir()
        for name in _PROJECT:
            copy = shutil.copytree if (root / name).is_dir() else shutil.copy
            copy(root / name, self._here / name)
        (self._here / ".venv").symlink_to(sys.prefix)

    def run(self, *command: str) -> None:
        """Run a command with this process's own output.

        Raises:
            CommandError: It failed or does not exist.
        """
        self._run(command, None)

    def run_unseen(self, *command: str) -> None:
        """Run a command, and show its output only if it fails.

        Raises:
            CommandError: It failed or does not exist.
        """
        with tempfile.TemporaryFile() as said:
            try:
                self._run(command, said)
            except CommandError:
                said.seek(0)
                sys.stderr.write(said.read().decode(errors="replace"))
                raise

    def _run(self, command: Sequence[str], output: IO[bytes] | None) -> None:
        program = shutil.which(command[0], path=self._env["PATH"])
        if program is None:
            raise CommandError(f"there is no `{command[0]}`. Run `make setup` first.")
        process = subprocess.Popen(
            command,
            executable=program,
            cwd=self._here,
            env=self._env,
            stdout=output,
            stderr=output,
        )
        try:
            code = process.wait()
        except BaseException:
            _end(process)
            raise
        if code:
            raise CommandError(f"`{' '.join(command)}` failed with exit code {code}.")

    def edit(self, before: str, after: str) -> None:
        """Replace the one occurrence of `before` in the program.

        Raises:
            CommandError: It does not occur exactly once.
        """
        program = self._here / _PROGRAM
        text = program.read_text(encoding="utf-8")
        if text.count(before) != 1:
            raise CommandError(f"{_PROGRAM} does not say `{before}` exactly once.")
        program.write_text(text.replace(before, after), encoding="utf-8")


def _end(process: subprocess.Popen[bytes]) -> None:
    for seconds in _PATIENCE_SECONDS:
        try:
            process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
        else:
            return
    process.kill()
    process.wait()


def _environment(root: Path, folder: Path, endpoint: str, key: str) -> Mapping[str, str]:
    """Return the environment of the commands, without the user's stacks, keys and proxies."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PULUMI_", "BYTEZ_")) and not name.lower().endswith("_proxy")
    }
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', os.defpath)}"
    if shutil.which("pulumi", path=path) is None:
        path = f"{path}{os.pathsep}{root / '.tools' / 'pulumi' / 'bin'}"
    # On a terminal a progress row is redrawn; elsewhere each update would be a line.
    quiet = {} if sys.stdout.isatty() else {"CI": "true"}
    return {
        **kept,
        **quiet,
        "PATH": path,
        "PULUMI_HOME": str(folder / "pulumi"),
        "PULUMI_BACKEND_URL": (folder / "state").as_uri(),
        "PULUMI_CONFIG_PASSPHRASE": "only for the demo",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "BYTEZ_JOURNAL": str(folder / "journal"),
        "BYTEZ_ENDPOINT": endpoint,
        "BYTEZ_KEY": key,
    }
