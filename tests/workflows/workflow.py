"""The workflows of the example: read, and run with the shell that a runner uses."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tests.e2e.stack import COMMAND_SECONDS, pulumi_path

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "github-actions"
FOLDER = EXAMPLE / ".github" / "workflows"
NAMES = sorted(path.name for path in FOLDER.glob("*.yml"))

BASH = ("bash", "--noprofile", "--norc", "-eo", "pipefail")
"""How a runner starts a script with `shell: bash`."""

BIN = Path(sys.executable).parent

VALUES = {
    "github.event.pull_request.head.sha": "0a1b2c3d4e5f",
    "github.server_url": "https://github.com",
    "github.repository": "example/fleet",
    "github.run_id": "42",
}
"""The values that any job may use: no secret."""

EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")


@dataclass(frozen=True)
class Done:
    """A finished step."""

    code: int
    out: str
    err: str

    def ok(self) -> Done:
        """Assert that the step succeeded."""
        assert self.code == 0, f"exited {self.code}:\n{self.out}{self.err}"
        return self


@dataclass(frozen=True)
class Step:
    """A step that runs a script.

    Attributes:
        where: File, job and step, for messages.
        script: The script.
        env: Its environment as written, with the expressions.
    """

    where: str
    script: str
    env: Mapping[str, str]

    def run(
        self, folder: Path, environment: Mapping[str, str], values: Mapping[str, str] | None = None
    ) -> Done:
        """Run it in a workspace, as a runner does.

        Args:
            folder: The workspace.
            environment: The environment of the machine.
            values: The values of its expressions; a missing one fails the test.
        """
        done = subprocess.run(
            self.command(folder),
            cwd=folder,
            env={**environment, **self.evaluated(values or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=2 * COMMAND_SECONDS,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def command(self, folder: Path) -> list[str]:
        """Write the script beside the workspace; return the command that runs it."""
        script = folder.parent / "step.sh"
        script.write_text(self.script, encoding="utf-8")
        return [*BASH, str(script)]

    def evaluated(self, values: Mapping[str, str]) -> dict[str, str]:
        """Return its environment with the values of the expressions."""
        return {
            name: EXPRESSION.sub(lambda found: values[found[1]], text)
            for name, text in self.env.items()
        }


def read(name: str) -> dict[str, Any]:
    """Return a workflow as it is written."""
    document: dict[str, Any] = YAML(typ="safe", pure=True).load(
        (FOLDER / name).read_text(encoding="utf-8")
    )
    return document


def steps(name: str) -> Iterator[Step]:
    """Yield every step of a workflow that runs a script."""
    document = read(name)
    for job_name, job in document["jobs"].items():
        for step in job["steps"]:
            if "run" in step:
                env = {**document.get("env", {}), **job.get("env", {}), **step.get("env", {})}
                yield Step(f"{name}: {job_name}: {step['name']}", step["run"], env)


def step(name: str, job: str, title: str) -> Step:
    """Return one step."""
    (found,) = (one for one in steps(name) if one.where == f"{name}: {job}: {title}")
    return found


def help_of(*command: str) -> str:
    """Return the help of a command, which must exist."""
    done = subprocess.run(
        [*command, "--help"],
        env={
            **os.environ,
            "PATH": f"{BIN}{os.pathsep}{pulumi_path()}",
            "NO_COLOR": "1",
            "COLUMNS": "200",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout


def options_in(text: str) -> set[str]:
    """Return the long options that a text names."""
    return set(re.findall(r"--[a-z][a-z-]*", text))
