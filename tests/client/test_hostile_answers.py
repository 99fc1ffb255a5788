"""What a server that is not the service can answer to each request, in every API version."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bytez_provider.base.errors import BytezError
from bytez_provider.service.client import BytezClient
from bytez_provider.service.schemas import LoadAnswer, LoadOutcome
from bytez_provider.service.settings import ApiVersion
from tests.asking import Ask
from tests.client.conftest import CALLS, Wary, every_call
from tests.client.hostile import GPT2, KEY, Handler, cut_off, says

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


def result_of(client: BytezClient, ask: Ask) -> Any:
    """Return what a call makes of the answers: a result, or its error."""
    try:
        return "".join(client.run(GPT2, "x", stream=False)) if ask == "run" else CALLS[ask](client)
    except BytezError as error:
        return error


@pytest.mark.parametrize("answer", NO_EVIDENCE)
@every_call
def test_no_answer_of_another_server_is_evidence(
    wary: Wary, api: ApiVersion, ask: Ask, answer: str
) -> None:
    wary.server.answers(NO_EVIDENCE[answer])
    found = result_of(wary, ask)
    assert KEY not in repr(found)
    if isinstance(found, BytezError):
        assert str(found).isprintable()
        assert len(str(found)) <= 1000
        assert KEY not in str(found)
    elif isinstance(found, LoadAnswer):
        assert found.outcome is not LoadOutcome.ALREADY_LOADED
    elif ask == "delete":
        # Any word will do: the status that follows is the proof.
        assert answer == "half of it"
    else:
        # A run passes on what it gets; all others refuse it.
        assert (ask, api[:4]) == ("run", "2024")
