"""One client, many threads."""

from __future__ import annotations

import logging
import re
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from bytez_provider.service.client import BytezClient
from bytez_provider.service.settings import Key, Settings
from tests.client.hostile import KEY, Form, HostileServer
from tests.clocks import FakeClock

THREADS = 64


def test_64_requests_are_under_way_at_once_and_each_gets_its_own_answer(
    hostile: HostileServer, fake_clock: FakeClock, form: Form
) -> None:
    # Nobody is answered before all have asked.
    all_here = threading.Barrier(THREADS, timeout=20)

    def wait_for_all(connection: socket.socket, request: bytes) -> None:
        all_here.wait()
        (number,) = re.findall(rb"owner/model-(\d+)", request)
        form.shows(model_id=f"owner/model-{int(number)}", concurrency=int(number))(
            connection, request
        )

    hostile.answers(wait_for_all)
    client = BytezClient(Settings(hostile.url, form.api, Key(KEY)), clock=fake_clock)
    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(client.status, [f"owner/model-{n}" for n in range(THREADS)]))
    assert [one.concurrency for one in found if one] == list(range(THREADS))
    assert len(hostile.requests) == THREADS


def test_connections_are_reused(client: BytezClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "urllib3"):
        for _ in range(20):
            client.status("owner/model")
            client.models()
    assert caplog.text.count("Starting new HTTP connection") == 1
