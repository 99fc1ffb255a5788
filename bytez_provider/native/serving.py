"""The gRPC server of the plugin, from its start until its engine is gone."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import grpc
from pulumi.runtime.proto import provider_pb2_grpc

from bytez_provider.engine import Engine
from bytez_provider.native.provider import Provider

_WORKERS: Final = 512
"""More than any sensible `--parallel`; a thread starts only when a call needs it."""
_OPTIONS: Final = [("grpc.max_receive_message_length", 400 << 20)]
_GRACE_SECONDS: Final = 3.0
"""How long an engine may be away: one that ends in order stops its own service before it ends its
plugins, and reports a plugin that has ended earlier as broken."""


def serve() -> None:
    """Serve the engine until it is gone."""
    # The engine ends its plugins with SIGINT. A Ctrl-C in a terminal does not reach them: they have
    # a process group of their own, and the engine calls `Cancel`. A signal that another thread
    # takes does not end a wait of this one, but it is written to the socket.
    ended, ending = socket.socketpair()
    ending.setblocking(False)
    signal.set_wakeup_fd(ending.fileno())
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    engine = Engine()
    provider = Provider(engine, lambda address: _watch(engine.attach(address), ending))
    server = grpc.server(ThreadPoolExecutor(_WORKERS), options=_OPTIONS)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(provider, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    os.write(sys.stdout.fileno(), f"{port}\n".encode())
    ended.recv(1)
    server.stop(grace=None)
    # Waits of operations whose engine is gone end by themselves; nobody waits for their threads.
    os._exit(0)


def _watch(channel: grpc.Channel, ending: socket.socket) -> None:
    """End this process when the engine does: one that is killed says nothing."""
    changed = threading.Event()

    def follow() -> None:
        while True:
            try:
                # A connection may also be closed because nothing was sent for long.
                grpc.channel_ready_future(channel).result(timeout=_GRACE_SECONDS)
            except grpc.FutureTimeoutError:
                ending.send(bytes(1))
                return
            changed.wait()
            changed.clear()

    channel.subscribe(
        lambda state: changed.set() if state is not grpc.ChannelConnectivity.READY else None
    )
    threading.Thread(target=follow, daemon=True).start()
