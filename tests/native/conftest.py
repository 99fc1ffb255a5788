"""The plugin's own process, called over a socket as the engine calls it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.struct_pb2 import Struct
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, provider_pb2, provider_pb2_grpc

from bytez_provider.emulator import Emulator

KEY = "native-key-0123456789"
PATIENCE = 60


class Engine(engine_pb2_grpc.EngineServicer):
    """The engine's own service, which keeps the messages."""

    def __init__(self) -> None:
        self.logged: list[engine_pb2.LogRequest] = []
        self._server = grpc.server(futures.ThreadPoolExecutor(4))
        engine_pb2_grpc.add_EngineServicer_to_server(self, self._server)
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def Log(self, request: engine_pb2.LogRequest, _: Any) -> empty_pb2.Empty:  # noqa: N802
        """Keep a message."""
        self.logged.append(request)
        return empty_pb2.Empty()

    def stop(self) -> None:
        """Be gone, as an engine that was killed."""
        self._server.stop(None).wait()


class Plugin:
    """A plugin and the engine that started it."""

    def __init__(self, folder: Path, **env: str) -> None:
        self.engine = Engine()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bytez_provider.native.command", self.engine.address],
            cwd=folder,
            env={"PATH": os.environ["PATH"], "BYTEZ_JOURNAL": str(folder / "journal"), **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        port = int(self.process.stdout.readline())
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        self.calls = provider_pb2_grpc.ResourceProviderStub(self._channel)
        self.calls.Handshake(
            provider_pb2.ProviderHandshakeRequest(
                engine_address=self.engine.address, supports_refresh_before_update=True
            ),
            timeout=PATIENCE,
        )

    def configure(self, **config: Any) -> None:
        """Configure it; the key is marked as a secret."""
        self.calls.Configure(provider_pb2.ConfigureRequest(args=struct(**config)), timeout=PATIENCE)

    def close(self) -> str:
        """End it as the engine does; return what it wrote to stderr."""
        self._channel.close()
        self.process.terminate()
        _, errors = self.process.communicate(timeout=PATIENCE)
        self.engine.stop()
        return errors


def struct(**values: Any) -> Struct:
    """Return a struct."""
    return ParseDict(values, Struct())


def plain(message: Struct) -> dict[str, Any]:
    """Return a struct as Python's."""
    return dict(MessageToDict(message))


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """An emulator whose boots end at once."""
    with Emulator(keys=(KEY,), boot_seconds=0) as running:
        yield running


@pytest.fixture
def plugin(tmp_path: Path, emulator: Emulator) -> Iterator[Plugin]:
    """A configured plugin."""
    plugin = Plugin(tmp_path, BYTEZ_KEY=KEY, BYTEZ_ENDPOINT=emulator.url)
    plugin.configure()
    yield plugin
    errors = plugin.close()
    assert KEY not in errors
    # gRPC writes a line of its own about an engine that goes away.
    ours = [line for line in errors.splitlines() if "chttp2_transport" not in line]
    assert ours == []
