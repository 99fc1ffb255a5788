"""A Pulumi stack, by default with its state in files, driven by the real command line."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bytez_provider.base.urns import MODEL_TYPES

TOOLS = Path(__file__).resolve().parents[2] / ".tools" / "pulumi" / "bin"
MODEL_TYPE = "pulumi-python:dynamic/bytez:Model"
COMMAND_SECONDS = 120


def pulumi_path() -> str:
    """Return a PATH with a pulumi on it; without one the run fails, it does not skip."""
    path = os.environ["PATH"]
    if shutil.which("pulumi") is None:
        path = f"{TOOLS}{os.pathsep}{path}"
    if shutil.which("pulumi", path=path) is None:
        raise RuntimeError("no pulumi on PATH and none in .tools: run `make setup`")
    return path


@dataclass(frozen=True)
class Run:
    """One finished command."""

    args: Sequence[str]
    code: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        """All that a person would see."""
        return self.stdout + self.stderr

    def lines(self, text: str) -> list[str]:
        """Return the stripped lines of the output that contain the text."""
        return [line.strip() for line in self.output.splitlines() if text in line]

    def ok(self) -> Run:
        """Assert that the command succeeded."""
        assert self.code == 0, f"pulumi {' '.join(self.args)} exited {self.code}:\n{self.output}"
        return self

    def failed(self) -> Run:
        """Assert that the command failed."""
        assert self.code != 0, f"pulumi {' '.join(self.args)} succeeded:\n{self.output}"
        return self


class Running:
    """A running command, in its own process group as in a terminal."""

    def __init__(self, args: Sequence[str], process: subprocess.Popen[str]) -> None:
        self.args = args
        self.process = process

    def interrupt(self) -> None:
        """Send SIGINT to the whole process group, as Ctrl-C does."""
        os.killpg(self.process.pid, signal.SIGINT)

    def kill_engine(self) -> None:
        """Kill only the CLI, which is the engine."""
        self.process.kill()

    def finish(self, timeout: float = COMMAND_SECONDS) -> Run:
        """Wait for the end."""
        try:
            out, err = self.process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            out, err = self.process.communicate()
            raise AssertionError(f"pulumi {' '.join(self.args)} hangs:\n{out}{err}") from None
        return Run(self.args, self.process.returncode, out, err)


class Stack:
    """A stack of a project in its own folder.

    Attributes:
        env: The environment of every command; a test may change it.
        folder: Holds the project, the backend and the journal.
    """

    def __init__(
        self,
        folder: Path,
        env: Mapping[str, str],
        *,
        refresh: bool,
        name: str = "dev",
        exists: bool = False,
    ) -> None:
        self.folder = folder
        self._name = name
        self.env = {
            "PATH": pulumi_path(),
            "HOME": str(folder),
            "PULUMI_HOME": str(folder / "pulumi-home"),
            "PULUMI_BACKEND_URL": f"file://{folder / 'backend'}",
            "PULUMI_CONFIG_PASSPHRASE": "only for tests",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PULUMI_DIY_BACKEND_DISABLE_CHECKPOINT_BACKUPS": "true",
            "BYTEZ_JOURNAL": str(folder / "journal"),
            **env,
        }
        self.project = folder / "project"
        self.project.mkdir(parents=True)
        (folder / "backend").mkdir()
        options = "options: {refresh: always}\n" if refresh else ""
        (self.project / "Pulumi.yaml").write_text(
            f"name: fleet\nruntime: {{name: python, options: {{virtualenv: {sys.prefix}}}}}\n"
            + options
        )
        self.program("")
        self.run("stack", "select" if exists else "init", name).ok()

    def program(self, body: str) -> None:
        """Replace the program; `pulumi` and `bytez` are already imported in it."""
        (self.project / "__main__.py").write_text(
            f"import pulumi\nimport bytez_provider as bytez\n{body}\n"
        )

    def start(self, *args: str) -> Running:
        """Start a command."""
        process = subprocess.Popen(
            ["pulumi", *args, "--non-interactive", "--color=never"],
            executable=shutil.which("pulumi", path=self.env["PATH"]),
            cwd=self.project,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        return Running(args, process)

    def run(self, *args: str) -> Run:
        """Run a command until it ends."""
        return self.start(*args).finish()

    def up(self, *args: str) -> Run:
        """Run `pulumi up` without its preview."""
        return self.run("up", "--yes", "--skip-preview", *args)

    def preview(self, *args: str) -> Run:
        """Run `pulumi preview`."""
        return self.run("preview", *args)

    def refresh(self) -> Run:
        """Run `pulumi refresh`."""
        return self.run("refresh", "--yes", "--skip-preview")

    def destroy(self) -> Run:
        """Run `pulumi destroy`."""
        return self.run("destroy", "--yes", "--skip-preview")

    def end(self) -> None:
        """Kill every process of this stack: a provider process outlives a killed engine."""
        self._kill(lambda _command: True)

    def kill_host(self) -> None:
        """Kill only the process that the providers run in."""
        assert self._kill(lambda command: b"pulumi.dynamic" in command) == 1

    def _kill(self, is_meant: Callable[[bytes], bool]) -> int:
        """Kill the processes of this stack whose command line matches; return how many."""
        found = self._processes(is_meant)
        for number in found:
            with contextlib.suppress(OSError):
                os.kill(number, signal.SIGKILL)
        return len(found)

    def _processes(self, is_meant: Callable[[bytes], bool]) -> list[int]:
        """Return the numbers of this stack's processes whose command line matches."""
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                is_ours = f"PULUMI_HOME={self.env['PULUMI_HOME']}\0".encode()
                environment = (path / "environ").read_bytes()
                if is_ours in environment and is_meant((path / "cmdline").read_bytes()):
                    found.append(int(path.name))
        return found

    def export(self) -> dict[str, Any]:
        """Return the state, secrets still encrypted, from its file if it is in one."""
        if self.env["PULUMI_BACKEND_URL"] != f"file://{self.folder / 'backend'}":
            return dict(json.loads(self.run("stack", "export").ok().stdout)["deployment"])
        settings = (self.project / "Pulumi.yaml").read_text(encoding="utf-8")
        (project,) = re.findall(r"^name: (\S+)", settings, re.MULTILINE)
        file = self.folder / "backend/.pulumi/stacks" / project / f"{self._name}.json"
        return dict(json.loads(file.read_bytes())["checkpoint"].get("latest") or {})

    def outputs(self) -> dict[str, Any]:
        """Return the outputs of the stack."""
        (root,) = (one for one in self._resources() if one["type"] == "pulumi:pulumi:Stack")
        return dict(root.get("outputs", {}))

    def models(self) -> dict[str, dict[str, Any]]:
        """Return the outputs of every Model in state, by the name of its resource."""
        return {
            resource["urn"].split("::")[-1]: resource["outputs"]
            for resource in self._resources()
            if resource["type"] in MODEL_TYPES and not resource.get("external")
        }

    def _resources(self) -> list[dict[str, Any]]:
        return list(self.export().get("resources", []))


class YamlStack(Stack):
    """A stack with a program in YAML, and the plugin from a folder. It has no option to refresh."""

    def program(self, body: str) -> None:
        """Replace the program: resources, outputs and more, as YAML."""
        plugin = self.folder / "plugin"
        plugin.mkdir(exist_ok=True)
        program = plugin / "pulumi-resource-bytez"
        command = f'exec {sys.executable} -m bytez_provider.native.command "$@"'
        program.write_text(f"#!/bin/sh\n{command}\n")
        program.chmod(0o755)
        (self.project / "Pulumi.yaml").write_text(
            "name: fleet\nruntime: yaml\n"
            f"plugins: {{providers: [{{name: bytez, path: {plugin}}}]}}\n{body}\n"
        )

    def kill_host(self) -> None:
        """Kill the plugins."""
        for number in self.plugins():
            os.kill(number, signal.SIGKILL)

    def plugins(self) -> list[int]:
        """Return the numbers of the plugins that run."""
        return self._processes(lambda command: b"bytez_provider.native.command" in command)
