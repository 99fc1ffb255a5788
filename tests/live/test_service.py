"""The real service, asked for nothing that costs: `pytest -m live`, with a key in BYTEZ_KEY."""

from __future__ import annotations

import os

import pytest

from bytez_provider.service.client import BytezClient
from bytez_provider.service.settings import read_settings

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(not os.environ.get("BYTEZ_KEY"), reason="needs a key in BYTEZ_KEY"),
]


@pytest.fixture
def client() -> BytezClient:
    """A client of the service that the environment names, by BYTEZ_LIVE_API_VERSION."""
    api_version = os.environ.get("BYTEZ_LIVE_API_VERSION", "2024-05")
    return BytezClient(read_settings({"bytez:apiVersion": api_version}, os.environ))


def test_the_catalogue_has_models(client: BytezClient) -> None:
    """`/model/list` answers in this api_version."""
    assert len(client.models()) > 0


def test_the_instances_are_listed(client: BytezClient) -> None:
    """`/model/instances` answers with a list, of whatever is loaded."""
    assert all(instance.model_id for instance in client.instances())


def test_a_model_nobody_made_is_not_loaded(client: BytezClient) -> None:
    """`/model/status` of a name that cannot exist reads as "not loaded"."""
    assert client.status("bytez-provider/no-such-model") is None
