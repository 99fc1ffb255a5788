"""An S3 server for the whole run, and an environment that reaches it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from tests.s3 import Proxy, S3Server

SECRET = "a-secret-that-nobody-may-see"
_numbers = itertools.count()


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    """A server for the whole run."""
    server = S3Server()
    yield server
    server.stop()


@pytest.fixture
def bucket(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """A bucket of this test, which the environment reaches."""
    reach(s3.url, monkeypatch)
    return s3.make(f"journal-{next(_numbers)}")


@pytest.fixture
def proxy(s3: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """A proxy in front of the server, which the environment reaches instead."""
    assert bucket, "it sets the environment too, so it must come first"
    proxy = Proxy(s3.url)
    reach(proxy.url, monkeypatch)
    yield proxy
    proxy.close()


def reach(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the environment of a user of an S3 server."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
