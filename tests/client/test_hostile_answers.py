"""What a server that is not the service can answer to each request, in every API version."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from bytez_provider.base.errors import BytezError
from bytez_provider.service.apis import APIS
from bytez_provider.service.client import BytezClient
from bytez_provider.service.schemas import Asked, LoadAnswer, LoadOutcome
from bytez_provider.service.settings import ApiVersion
from tests.client.conftest import Wary
from tests.client.hostile import GPT2, KEY, Handler, HostileServer, cut_off, says
from tests.clocks import FakeClock

CALLS: dict[str, Callable[[BytezClient], Any]] = {
    "models": lambda client: client.models(),
    "instances": lambda client: client.instances(),
    "load": lambda client: client.load(GPT2, Asked(1)),
    "status": lambda client: client.status(GPT2),
    "rescale": lambda client: client.rescale(GPT2, Asked(2)),
    "run": lambda client: list(client.run(GPT2, "x", stream=False)),
    "delete": lambda client: client.delete(GPT2),
}
CASES = [
    (version, name)
    for version, api in APIS.items()
    for name in CALLS
    if name != "rescale" or api.rescales
]
NO_EVIDENCE: dict[str, Handler] = {
    "a page": says(200, "<html><title>Sign in</title></html>"),
    "a page, not found": says(404, "<html><title>404</title></html>"),
    "a gateway": says(502, "<html><title>Bad gateway</title></html>"),
    "a text": says(404, "not found"),
    "of a framework": says(404, '{"detail": "Not Found"}'),
    "of a gateway": says(404, '{"message": "no Route matched with those values"}'),
    "nothing, not found": says(404, ""),
    "half of it": says(200, '{"error": null, "output": {"modelId":'),
    "a server's error": says(500, '{"error": "model is not loaded", "output": null}'),
    "of an address": says(404, '{"error": "route not found", "output": null}'),
    "about another model": says(404, '{"error": "model a/b is not loaded", "output": null}'),
    "the key": says(400, json.dumps({"error": f"bad key {KEY}\x1b[31m", "output": None})),
    "a cut": cut_off,
}


def result_of(server: HostileServer, version: ApiVersion, name: str) -> Any:
    """Return what a call makes of the answers: a result, or its error."""
    client = Wary(server, FakeClock(), version)
    try:
        return CALLS[name](client)
    except BytezError as error:
        return error
    finally:
        client.close()


@pytest.mark.parametrize("answer", NO_EVIDENCE)
@pytest.mark.parametrize(("version", "name"), CASES)
def test_no_answer_of_another_server_is_evidence(
    hostile: HostileServer, version: ApiVersion, name: str, answer: str
) -> None:
    hostile.answers(NO_EVIDENCE[answer])
    found = result_of(hostile, version, name)
    assert KEY not in repr(found)
    if isinstance(found, BytezError):
        assert str(found).isprintable()
        assert len(str(found)) <= 1000
        assert KEY not in str(found)
    elif isinstance(found, LoadAnswer):
        assert found.outcome is not LoadOutcome.ALREADY_LOADED
    elif name == "delete":
        # Any word will do: the status that follows is the proof.
        assert answer == "half of it"
    else:
        # A run passes on what it gets; all others refuse it.
        assert (name, version[:4]) == ("run", "2024")
