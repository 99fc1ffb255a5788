"""A stand-in for `pulumi-language-python`, the Python language host of a Pulumi release.

Pulumi's engine runs Python programs and policy packs through that one file. It comes with every
Pulumi installation, and wherever Pulumi is installed it is used. `install.py` puts this stand-in
beside a CLI that it had to build from source, because the file is not in that source. It knows
pip virtualenvs and nothing else: no other toolchain, no debugger, no code generation.

The engine starts it with its own address as the last argument, reads the port from the first line
of stdout, and then calls the `LanguageRuntime` service, which is served here with the SDK's
generated stubs. Calls that are not implemented answer so, and the engine does without them.
"""

from __future__ import annotations

import signal

if __name__ == "__main__":
    # The imports below take half a second. An interrupt meanwhile ends the process without a
    # traceback, which the engine would show to the user; `main` takes the signal over.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import contextlib
import json
import os
import platform
import queue
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from typing import IO

import grpc
from google.protobuf import empty_pb2, json_format
from pulumi.runtime.proto import language_pb2 as messages
from pulumi.runtime.proto import language_pb2_grpc as service
from pulumi.runtime.proto import plugin_pb2

ALREADY_TOLD = 32
"""The exit code of `pulumi-language-python-exec` when the user has been shown the error."""

MAX_CALLS = 64
"""Calls served at once: a program and each policy pack hold one while they run."""

WATCH_SECONDS = 0.5
"""How often to check that the engine still runs."""


class UnknownRuntimeError(Exception):
    """The project names an interpreter that does not exist or that this stand-in cannot find."""


class Children:
    """The processes started for the engine; each ends with its call and with this host."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._closed = False

    def start(
        self,
        command: Sequence[str],
        directory: str,
        environment: Mapping[str, str],
        output: int | None,
    ) -> subprocess.Popen[bytes]:
        """Start `command`; `output` is what subprocess takes for stdout and stderr.

        A child leads a process group of its own: the engine interrupts the group of this host at
        the end, and a program that is about to be ended would answer that with a traceback.

        Raises RuntimeError when the host is already closing, OSError when it cannot be started.
        """
        with self._lock:
            if self._closed:
                raise RuntimeError("the language host is closing")
            child = subprocess.Popen(
                command,
                cwd=directory,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
            self._running.add(child)
            return child

    def wait(self, child: subprocess.Popen[bytes]) -> int:
        """Wait for the end of `child`; its exit code, as a shell gives it."""
        code = child.wait()
        with self._lock:
            self._running.discard(child)
        return code if code >= 0 else 128 - code

    def end(self, child: subprocess.Popen[bytes]) -> None:
        """End `child` and all that it started; nothing to do when it is already gone."""
        if child.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)

    def close(self) -> None:
        """End every child, and start no more."""
        with self._lock:
            self._closed = True
            running = list(self._running)
        for child in running:
            self.end(child)


def find_python(
    info: messages.ProgramInfo, environment: Mapping[str, str]
) -> tuple[str, dict[str, str]]:
    """The interpreter that a project asks for, and `environment` made ready for it.

    The option `virtualenv` of Pulumi.yaml names a folder, relative to the project's root. Without
    it, `PULUMI_PYTHON_CMD` or the first python3 on PATH is used.
    """
    options = json_format.MessageToDict(info.options)
    toolchain = options.get("toolchain", "pip")
    if toolchain != "pip":
        raise UnknownRuntimeError(
            f"the stand-in Python language host does not know the toolchain '{toolchain}'. "
            "Install Pulumi: https://www.pulumi.com/docs/install/"
        )
    ready = dict(environment)
    virtualenv = options.get("virtualenv", "")
    if not virtualenv:
        name = ready.get("PULUMI_PYTHON_CMD", "python3")
        python = shutil.which(name, path=ready.get("PATH"))
        if python is None:
            raise UnknownRuntimeError(f"there is no '{name}' on PATH")
        return python, ready
    folder = Path(info.root_directory, virtualenv)
    found = folder / "bin" / "python"
    if not found.exists():
        raise UnknownRuntimeError(
            f"the virtualenv of Pulumi.yaml has no interpreter: {found} is not there"
        )
    ready["VIRTUAL_ENV"] = str(folder)
    ready["PATH"] = os.pathsep.join([str(found.parent), ready.get("PATH", "")])
    ready.pop("PYTHONHOME", None)
    return str(found), ready


def program_arguments(request: messages.RunRequest, engine: str) -> list[str]:
    """The arguments of `pulumi-language-python-exec`; one without a value is left out."""
    named = {
        "monitor": request.monitor_address,
        "engine": engine,
        "project": request.project,
        "stack": request.stack,
        "pwd": request.pwd,
        "dry_run": "true" if request.dryRun else "false",
        "parallel": str(request.parallel),
        "organization": request.organization,
        "root_directory": request.info.root_directory,
    }
    flags = [part for name, value in named.items() if value for part in (f"--{name}", value)]
    return [*flags, request.info.entry_point or ".", *request.args]


def pump(stream: IO[bytes], name: str, into: queue.SimpleQueue[tuple[str, bytes]]) -> None:
    """Move what arrives on `stream` to the queue as it comes; empty bytes mark its end."""
    while True:
        data = os.read(stream.fileno(), 65536)
        into.put((name, data))
        if not data:
            return


class LanguageHost(service.LanguageRuntimeServicer):
    """What the engine calls; each method is one call of the `LanguageRuntime` service."""

    def __init__(self, executor: str, engine: str) -> None:
        self._executor = executor
        self._engine = engine
        self.children = Children()

    def Handshake(
        self, request: messages.LanguageHandshakeRequest, context: grpc.ServicerContext
    ) -> messages.LanguageHandshakeResponse:
        """Only sent to a host that the engine did not start itself: learn its address."""
        self._engine = request.engine_address
        return messages.LanguageHandshakeResponse()

    def GetPluginInfo(
        self, request: empty_pb2.Empty, context: grpc.ServicerContext
    ) -> plugin_pb2.PluginInfo:
        """The version shown by `pulumi about`: that of the SDK whose stubs are served."""
        return plugin_pb2.PluginInfo(version=metadata.version("pulumi"))

    def GetRequiredPackages(
        self, request: messages.GetRequiredPackagesRequest, context: grpc.ServicerContext
    ) -> messages.GetRequiredPackagesResponse:
        """None: what is run here comes with its dynamic provider, and needs no plugin."""
        return messages.GetRequiredPackagesResponse()

    def GetRequiredPlugins(
        self, request: messages.GetRequiredPluginsRequest, context: grpc.ServicerContext
    ) -> messages.GetRequiredPluginsResponse:
        """None, as above; older engines ask this way."""
        return messages.GetRequiredPluginsResponse()

    def InstallDependencies(
        self, request: messages.InstallDependenciesRequest, context: grpc.ServicerContext
    ) -> Iterator[messages.InstallDependenciesResponse]:
        """Nothing: `make setup` has installed what the programs here need."""
        return iter(())

    def About(
        self, request: messages.AboutRequest, context: grpc.ServicerContext
    ) -> messages.AboutResponse:
        """The interpreter that runs this host, for `pulumi about`."""
        return messages.AboutResponse(executable=sys.executable, version=platform.python_version())

    def Run(
        self, request: messages.RunRequest, context: grpc.ServicerContext
    ) -> messages.RunResponse:
        """Run a program to its end; what it prints goes straight to the engine."""
        try:
            python, environment = find_python(request.info, os.environ)
        except UnknownRuntimeError as error:
            return messages.RunResponse(error=str(error))
        environment["PULUMI_CONFIG"] = json.dumps(dict(request.config))
        environment["PULUMI_CONFIG_SECRET_KEYS"] = json.dumps(list(request.configSecretKeys))
        command = [python, "-u", self._executor, *program_arguments(request, self._engine)]
        child = self._start(command, request.pwd, environment, None, context)
        code = self.children.wait(child)
        if code == ALREADY_TOLD:
            return messages.RunResponse(bail=True)
        if code:
            return messages.RunResponse(error=f"program exited with non-zero exit code: {code}")
        return messages.RunResponse()

    def RunPlugin(
        self, request: messages.RunPluginRequest, context: grpc.ServicerContext
    ) -> Iterator[messages.RunPluginResponse]:
        """Run a policy pack, or another plugin written in Python; stream what it prints."""
        given = dict(entry.split("=", 1) for entry in request.env)
        try:
            python, environment = find_python(request.info, {**os.environ, **given})
        except UnknownRuntimeError as error:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))
        directory = request.info.program_directory
        if request.kind == "analyzer":
            command = [python, "-u", "-m", "pulumi.policy", *request.args, directory]
            where = directory
        else:
            command = [python, "-u", directory, *request.args]
            where = request.pwd
        child = self._start(command, where, environment, subprocess.PIPE, context)
        yield from stream_output(child)
        yield messages.RunPluginResponse(exitcode=self.children.wait(child))

    def _start(
        self,
        command: Sequence[str],
        directory: str,
        environment: Mapping[str, str],
        output: int | None,
        context: grpc.ServicerContext,
    ) -> subprocess.Popen[bytes]:
        """Start a child that ends when its call does."""
        child = self.children.start(command, directory, environment, output)
        if not context.add_callback(lambda: self.children.end(child)):
            self.children.end(child)  # the call was cancelled before the callback was added
        return child


def stream_output(child: subprocess.Popen[bytes]) -> Iterator[messages.RunPluginResponse]:
    """Yield what `child` writes to stdout and stderr, until it has closed both."""
    arrived: queue.SimpleQueue[tuple[str, bytes]] = queue.SimpleQueue()
    still_open = 0
    for name, stream in (("stdout", child.stdout), ("stderr", child.stderr)):
        threading.Thread(target=pump, args=(stream, name, arrived), daemon=True).start()
        still_open += 1
    while still_open:
        name, data = arrived.get()
        if not data:
            still_open -= 1
        elif name == "stdout":
            yield messages.RunPluginResponse(stdout=data)
        else:
            yield messages.RunPluginResponse(stderr=data)


def main(arguments: Sequence[str]) -> int:
    """Serve until a signal comes or the engine is gone."""
    executor, engine = arguments[0], arguments[-1]
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    started_by = os.getppid()
    host = LanguageHost(executor, engine)
    server = grpc.server(ThreadPoolExecutor(max_workers=MAX_CALLS))
    service.add_LanguageRuntimeServicer_to_server(host, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    # A killed engine sends no signal, but then this process has another parent.
    while os.getppid() == started_by and not stop.wait(WATCH_SECONDS):
        pass
    host.children.close()
    server.stop(grace=None).wait()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
