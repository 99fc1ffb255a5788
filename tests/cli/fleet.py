"""Runs `bytez-fleet` as a user does, in a process and a folder of its own."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from bytez_provider.base.urns import MODEL_TYPE, STACK_TYPE
from bytez_provider.emulator import Emulator
from bytez_provider.service.settings import Key

REPOSITORY = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "bytez_provider.cli"]
KEY = "cli-key-0123456789"
LONGEST_SECONDS = 30
"""After this time a command is killed, and its test fails."""

GPT2, PHI = "openai-community/gpt2", "microsoft/phi-1"
CODER = "deepseek-ai/deepseek-coder-1.3b-instruct"
UNPRICED = "openai-community/gpt2-medium"
"""A model whose RAM the catalogue does not know."""

BOOT_SECONDS = 403

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")


@dataclass(frozen=True)
class Finished:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """What it printed, as JSON."""
        return json.loads(self.out)

    def ok(self) -> Finished:
        """Assert that it succeeded."""
        assert self.code == 0, self.out + self.err
        return self

    def failed(self, code: int, error_code: str | None = None) -> str:
        """Assert that it failed with one line; return that line.

        Args:
            code: The exit code.
            error_code: The code that it prints with `--json`.
        """
        assert self.code == code, self.out + self.err
        (line,) = self.err.splitlines()
        if error_code is not None:
            assert self.document == {"error": {"code": error_code, "message": line}}
        return line


class Command:
    """Runs the command in `folder`, with a journal, a key and an endpoint in `env`.

    No pulumi is on its PATH.
    """

    def __init__(self, folder: Path, endpoint: str) -> None:
        self.folder = folder / "here"
        self.folder.mkdir()
        self.journal = folder / "journal"
        self.env = {
            "PATH": str(folder / "no-programs"),
            "HOME": str(folder),
            "PYTHONPATH": str(REPOSITORY),
            "BYTEZ_KEY": KEY,
            "BYTEZ_ENDPOINT": endpoint,
            "BYTEZ_JOURNAL": str(self.journal),
        }

    def run(self, *arguments: str, text: str = "", **env: str) -> Finished:
        """Run a command in a pipe, with a text as its stdin."""
        with self.started(*arguments, **env) as running:
            return running.finish(text)

    @contextmanager
    def started(self, *arguments: str, **env: str) -> Iterator[Started]:
        """Start a command in a pipe."""
        with self._process(arguments, env, subprocess.PIPE) as process:
            yield Started(process)

    @contextmanager
    def on_terminal(self, *arguments: str, **env: str) -> Iterator[Terminal]:
        """Start a command on a terminal of 80 columns."""
        ours, its = pty.openpty()
        fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        try:
            with self._process(arguments, {"TERM": "xterm-256color", **env}, its) as process:
                os.close(its)
                yield Terminal(process, ours)
        finally:
            os.close(ours)

    @contextmanager
    def _process(
        self, arguments: Iterable[str], env: Mapping[str, str], streams: int
    ) -> Iterator[subprocess.Popen[str]]:
        """Start a command; kill it at the end of the block, or after `LONGEST_SECONDS`."""
        process = subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=self.folder,
            env={**self.env, **env},
            stdin=streams,
            stdout=streams,
            stderr=streams,
            encoding="utf-8",
        )
        watchdog = threading.Timer(LONGEST_SECONDS, process.kill)
        watchdog.start()
        with process:
            try:
                yield process
            finally:
                watchdog.cancel()
                process.kill()


class Fleet(Command):
    """The command, and the account in an emulator that it works on."""

    def __init__(self, folder: Path, emulator: Emulator) -> None:
        super().__init__(folder, emulator.url)
        self.emulator = emulator

    def boot(self, model_id: str, concurrency: int = 1) -> str:
        """Load and boot a model; return its `created`."""
        created = self.emulator.load_by_somebody_else(model_id, concurrency)
        self.emulator.advance(BOOT_SECONDS)
        return created

    def answers(self, status: int, body: object, *endpoints: str) -> None:
        """Answer all requests to some endpoints in this way, and forget earlier faults."""
        answer = {"respond": {"status": status, "body": body}}
        self.emulator.set_faults([{"endpoint": one, "do": answer} for one in endpoints])

    def state(self, *models: tuple[str, str], stack: str = "dev", **more: Any) -> str:
        """Write the state of a stack, with the `created` of each model; return the file's name."""
        root = {"urn": f"urn:pulumi:{stack}::fleet::{STACK_TYPE}::fleet-{stack}"}
        resources = [
            self.resource(model_id, stack, created=created, **more) for model_id, created in models
        ]
        document = {"version": 3, "deployment": {"resources": [root, *resources]}}
        (self.folder / f"{stack}.json").write_text(json.dumps(document))
        return f"{stack}.json"

    def resource(self, model_id: str, stack: str = "dev", **outputs: Any) -> dict[str, Any]:
        """Return a model as the state of a stack of the project `fleet` has it."""
        there = {"endpoint": self.emulator.url, "account": Key(KEY).fingerprint()}
        found = {"modelId": model_id, "concurrency": 1, "status": "RUNNING"}
        return {
            "urn": f"urn:pulumi:{stack}::fleet::{MODEL_TYPE}::{model_id.rpartition('/')[2]}",
            "custom": True,
            "id": model_id,
            "type": MODEL_TYPE,
            "inputs": {"modelId": model_id},
            "outputs": {**found, **there, **outputs},
        }


class Started:
    """A running command."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def line(self) -> str:
        """Return the next line of stdout."""
        return _line(self.process.stdout)

    def aside(self) -> str:
        """Return the next line of stderr."""
        return _line(self.process.stderr)

    def finish(self, text: str | None = None) -> Finished:
        """Wait for its end; return the output that was not read yet."""
        out, err = self.process.communicate(text, timeout=LONGEST_SECONDS)
        return Finished(self.process.returncode, out, err)


class Terminal:
    """A command on a terminal, and its output so far."""

    def __init__(self, process: subprocess.Popen[str], ours: int) -> None:
        self.process = process
        self.drawn = ""
        self._ours = ours

    def read_until(self, text: str) -> None:
        """Read until the text appears."""
        while text not in self.drawn:
            assert self._read(), f"it never drew {text!r}: {self.drawn!r}"

    def finish(self) -> int:
        """Read to the end, and return the exit code."""
        while self._read():
            pass
        return self.process.wait(timeout=LONGEST_SECONDS)

    @property
    def lines(self) -> list[str]:
        """The output without colours, line by line."""
        return [line.rstrip() for line in _ESCAPES.sub("", self.drawn).splitlines()]

    def _read(self) -> bool:
        try:
            some = os.read(self._ours, 65536)
        except OSError:
            # On Linux: the other end is closed.
            return False
        self.drawn += some.decode()
        return bool(some)


def _line(stream: IO[str] | None) -> str:
    assert stream is not None
    line = stream.readline()
    assert line.endswith("\n"), f"it ended with {line!r}"
    return line.rstrip("\n")
