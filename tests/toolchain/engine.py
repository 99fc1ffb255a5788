"""The engine's side: starts the stand-in language host as a process and calls it over gRPC."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import grpc
from google.protobuf import struct_pb2
from pulumi.runtime.proto import language_pb2 as messages
from pulumi.runtime.proto import language_pb2_grpc as service

HOST = Path(__file__).parents[2] / "tools" / "pulumi" / "language_host.py"
ADDRESS = "127.0.0.1:9"
"""The address of the engine, which the host only passes on."""

PATIENCE = 30
"""Seconds to wait before a test fails."""


class Engine:
    """A running language host, and what the engine can do with it."""

    def __init__(self, executor: Path, env: Mapping[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(HOST), str(executor), ADDRESS],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **(env or {})},
        )
        self._channel = grpc.insecure_channel(f"127.0.0.1:{int(self.line())}")
        self.calls = service.LanguageRuntimeStub(self._channel)

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._channel.close()
        self.process.kill()
        self.process.communicate(timeout=PATIENCE)

    def line(self) -> str:
        """Return the next line of stdout of the host or a program."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n")

    def interrupt(self) -> tuple[int, str]:
        """Interrupt the host, as the engine does; return its exit code and stderr."""
        self.process.send_signal(signal.SIGINT)
        _, complaints = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, complaints


def project(root: Path, **options: str) -> messages.ProgramInfo:
    """Return a project with these runtime options, as the engine describes it."""
    described = struct_pb2.Struct()
    described.update(options)
    return messages.ProgramInfo(
        root_directory=str(root),
        program_directory=str(root),
        entry_point=".",
        options=described,
    )


class Lifeline:
    """A pipe that a child keeps open until it ends."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = path
        # Do not wait for the writer: the child opens it later.
        self._end = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    def close(self) -> None:
        """Close our end."""
        os.close(self._end)

    def read(self) -> bytes:
        """Return what the child wrote next; empty after its end."""
        ready, _, _ = select.select([self._end], [], [], PATIENCE)
        assert ready, "the child neither wrote nor ended"
        return os.read(self._end, 1024)
