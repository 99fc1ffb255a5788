"""The time that a whole answer may take, on sockets of our own."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from bytez_provider.service.client._watch import Watch
from tests.wire.moments import until

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Both ends of a connection; a test that would wait for ever ends."""
    ours, theirs = socket.socketpair()
    theirs.settimeout(60)
    with ours, theirs:
        yield ours, theirs


def test_when_the_time_is_over_the_socket_is_shut(pair: Pair) -> None:
    ours, theirs = pair
    watch = Watch(0.05)
    with watch.watching():
        Watch.request_is_out(ours)
        assert theirs.recv(1) == b""
    assert watch.fired


def test_a_request_that_is_out_only_when_the_time_is_over_is_ended_too(pair: Pair) -> None:
    ours, theirs = pair
    watch = Watch(0)
    with watch.watching():
        until(lambda: watch.fired)
        assert not watch.sent
        Watch.request_is_out(ours)
        assert theirs.recv(1) == b""
    assert watch.sent


def test_ended_before_its_time_it_shuts_nothing(pair: Pair) -> None:
    ours, theirs = pair
    watch = Watch(3600)
    with watch.watching():
        Watch.request_is_out(ours)
        watch.end()
    ours.sendall(b"x")
    assert theirs.recv(1) == b"x"
    assert not watch.fired


def test_a_request_of_a_thread_that_watches_nothing_is_left_alone(pair: Pair) -> None:
    ours, theirs = pair
    with Watch(0).watching():
        pass
    Watch.request_is_out(ours)
    ours.sendall(b"x")
    assert theirs.recv(1) == b"x"
