"""One client, many threads."""

from __future__ import annotations

import logging
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from bytez_provider.emulator import Emulator
from bytez_provider.service.client import BytezClient
from bytez_provider.service.settings import ApiVersion, Key, Settings
from tests.client.hostile import KEY, HostileServer, says
from tests.clocks import FakeClock

THREADS = 64


def test_sixty_four_threads_each_have_their_own_answer(
    client: BytezClient, emulator: Emulator
) -> None:
    names = [entry.model_id for entry in client.models()][:24]
    for concurrency, name in enumerate(dict.fromkeys(names), start=1):
        client.load(name, concurrency)
    expected = {one.model_id: one.concurrency for one in client.instances()}
    start = threading.Barrier(THREADS)

    def ask(turn: int) -> bool:
        start.wait()
        for step in range(5):
            name = names[(turn + step) % len(names)]
            live = client.status(name)
            if live is None or live.concurrency != expected[name]:
                return False
        return True

    with ThreadPoolExecutor(THREADS) as pool:
        assert all(pool.map(ask, range(THREADS)))
    statuses = [one for one in emulator.requests() if one.path == "/model/status"]
    assert len(statuses) == THREADS * 5
    assert {one.status for one in statuses} == {200}


def test_sixty_four_requests_are_under_way_at_once(
    hostile: HostileServer, fake_clock: FakeClock, api: ApiVersion
) -> None:
    # Nobody is answered before all have asked.
    all_here = threading.Barrier(THREADS, timeout=20)

    def wait_for_all(connection: socket.socket, request: bytes) -> None:
        all_here.wait()
        says(200, '{"status": "RUNNING"}')(connection, request)

    hostile.answers(wait_for_all)
    client = BytezClient(Settings(hostile.url, api, Key(KEY)), clock=fake_clock)
    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(client.status, [f"owner/model-{n}" for n in range(THREADS)]))
    assert [one.model_id for one in found if one] == [f"owner/model-{n}" for n in range(THREADS)]
    assert len(hostile.requests) == THREADS


def test_connections_are_used_again(client: BytezClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "urllib3"):
        for _ in range(20):
            client.status("owner/model")
            client.models()
    assert caplog.text.count("Starting new HTTP connection") == 1
