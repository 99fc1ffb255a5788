"""What a server can make of an operation, and of what its user reads: one line, and no harm."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from bytez_provider.base.errors import (
    NOTHING_CHANGED,
    BootFailedError,
    BootTimeoutError,
    BytezError,
)
from bytez_provider.core.declared import ModelState
from tests.client.hostile import (
    ESCAPES,
    REFUSED,
    Handler,
    HostileServer,
    by_path,
    says,
)
from tests.lifecycle.caller import FakeCaller
from tests.lifecycle.machine import GPT2, KEY, Machine, Process, inputs

LONGEST_MESSAGE = 1000
NOT_LOADED = says(404, '{"error": "model is not loaded"}')
STARTED = says(200, f'{{"modelId": "{GPT2}", "status": "started", "concurrency": 1}}')
CREATED = "2024-05-27T23:35:36.000Z"
STATUS, LOAD, DELETE = "/model/status", "/model/load", "/model/delete"

Operation = Callable[[Process, FakeCaller], object]


@pytest.fixture
def wary(machine: Machine, hostile: HostileServer) -> Process:
    """A process that deploys to the hostile server; its clock moves by being waited for."""
    return machine.process(endpoint=hostile.url)


def state(process: Process, **given: Any) -> ModelState:
    """Return the state of a load that was made before the server turned hostile."""
    return ModelState(
        **inputs().model_dump(),
        **{
            "status": "RUNNING",
            "created": CREATED,
            "endpoint": process.settings.endpoint,
            "account": process.settings.account,
            **given,
        },
    )


def shows(status: str = "RUNNING", **given: Any) -> Handler:
    return says(200, json.dumps({"modelId": GPT2, "status": status, "created": CREATED, **given}))


def assert_readable(*lines: str) -> None:
    for line in lines:
        assert line.isprintable(), ascii(line)
        assert len(line) <= LONGEST_MESSAGE
        assert KEY not in line


def refused(operation: Operation, process: Process, caller: FakeCaller) -> BytezError:
    """Return the error of an operation, all of whose lines a person can read."""
    with pytest.raises(BytezError) as caught:
        operation(process, caller)
    assert_readable(str(caught.value), *caller.reports, *caller.notes, *caller.warnings)
    return caught.value


OPERATIONS: dict[str, Operation] = {
    "create": lambda process, caller: process.create(caller=caller),
    "read": lambda process, caller: process.read(state(process), caller),
    "update": lambda process, caller: process.update(
        state(process, status="DEPLOYING"), caller=caller
    ),
    "delete": lambda process, caller: process.delete(state(process), caller),
    "get": lambda process, _caller: process.lifecycle.get(GPT2),
}
every_operation = pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS.keys())
every_refusal = pytest.mark.parametrize("answer", REFUSED.values(), ids=REFUSED.keys())


@every_operation
@every_refusal
def test_an_answer_that_cannot_be_used_changes_nothing(
    wary: Process, hostile: HostileServer, operation: Operation, answer: Handler
) -> None:
    """Not one of them is taken for "gone" or "not loaded": nothing is loaded or unloaded."""
    hostile.answers(answer)
    refused(operation, wary, FakeCaller())
    assert {request.split()[1] for request in hostile.requests} <= {b"/model/status", b"/again"}
    assert wary.ledger.records() == []


@every_operation
@pytest.mark.parametrize(
    "words", ["could not read the status: unknown error", "model is not loaded", "already loaded"]
)
def test_a_service_that_broke_down_changes_nothing(
    wary: Process, hostile: HostileServer, operation: Operation, words: str
) -> None:
    """Once `destroy` ended well after such an answer, and the model ran on."""
    hostile.answers(says(500, json.dumps({"error": words})))
    error = refused(operation, wary, FakeCaller())
    assert f"the service answered HTTP 500: {words} (5 tries). " in str(error)
    assert {request.split()[1] for request in hostile.requests} == {b"/model/status"}


@pytest.mark.parametrize("status", [500, 501, 404, 410, 403])
def test_an_unload_that_is_answered_so_has_not_been_shown_to_have_worked(
    wary: Process, hostile: HostileServer, status: int
) -> None:
    answer = says(status, '{"message": "model is not loaded: unknown error"}')
    hostile.answers(by_path({STATUS: [shows()], DELETE: [answer]}))
    error = refused(OPERATIONS["delete"], wary, FakeCaller())
    assert str(error).startswith(f"could not unload '{GPT2}': the service answered HTTP {status}: ")


@every_refusal
def test_a_load_that_is_answered_so_is_refused_or_may_be_accepted(
    wary: Process, hostile: HostileServer, answer: Handler
) -> None:
    """If it may be accepted, the journal keeps its record for the next `up`."""
    hostile.answers(by_path({STATUS: [NOT_LOADED], LOAD: [answer], "/again": [answer]}))
    error = refused(OPERATIONS["create"], wary, FakeCaller())
    is_unsure = error.state != NOTHING_CHANGED
    assert bool(wary.ledger.record(GPT2)) is is_unsure


@every_refusal
def test_in_mid_boot_it_is_waited_out_or_kept_in_the_journal(
    wary: Process, hostile: HostileServer, answer: Handler
) -> None:
    """What the service says may pass; what cannot does not lose the load."""
    statuses = [NOT_LOADED, shows("DEPLOYING"), answer, answer, shows()]
    hostile.answers(by_path({STATUS: statuses, LOAD: [STARTED], "/again": [answer]}))
    caller = FakeCaller()
    try:
        assert wary.create(caller=caller).status == "RUNNING"
    except BytezError as error:
        assert_readable(str(error))
        assert wary.ledger.record(GPT2) is not None
    assert_readable(*caller.reports, *caller.notes, *caller.warnings)


# --------------------------------------------------------------------------------- the words


def test_a_status_nobody_has_seen_ends_at_the_limit(wary: Process, hostile: HostileServer) -> None:
    hostile.answers(
        by_path(
            {
                STATUS: [NOT_LOADED, *[shows(f"ÜBER-{ESCAPES}")] * 20],
                LOAD: [STARTED],
                DELETE: [says(200, f'"{ESCAPES}"')],
            }
        )
    )
    error = refused(OPERATIONS["create"], wary, FakeCaller(timeout_seconds=5))
    assert isinstance(error, BootTimeoutError)
    assert "(last status: ÜBER-" in str(error)


def test_a_reason_full_of_escapes_is_one_line(wary: Process, hostile: HostileServer) -> None:
    failed = shows("FAILED", error=f"out of {ESCAPES} {KEY}")
    hostile.answers(
        by_path(
            {
                STATUS: [NOT_LOADED, shows("DEPLOYING"), failed, failed, NOT_LOADED],
                LOAD: [STARTED],
                DELETE: [says(204)],
            }
        )
    )
    error = refused(OPERATIONS["create"], wary, FakeCaller())
    assert isinstance(error, BootFailedError)
    assert str(error).startswith(
        f"could not load '{GPT2}': the service reported FAILED: \"out of ]0;owned one two three"
    )
    assert "nothing is left running" in str(error)


def test_a_state_takes_no_escapes_from_a_server(wary: Process, hostile: HostileServer) -> None:
    """What is in state is shown by every `pulumi stack`, and read by policies."""
    hostile.answers(shows(f"{ESCAPES}", error=ESCAPES, concurrency=10**300, owner={ESCAPES: KEY}))
    found = wary.read(state(wary))
    assert found is not None
    text = json.dumps(found.bag(), ensure_ascii=False)
    assert_readable(text)
    assert ModelState.model_validate(found.bag()) == found


# ------------------------------------------------------------------------------ several at once


def test_a_list_that_lies_about_names_harms_none_of_them(
    wary: Process, hostile: HostileServer
) -> None:
    """Names in other letters, doubles, and names that are no names: none of them is ours."""
    rows = [
        {"modelId": name, "status": "FAILED", "created": CREATED}
        for name in ("Openai-community/gpt2", f"{GPT2}\u200b", f"{GPT2} ", "\u202e", "", ESCAPES)
    ]
    listed = says(200, json.dumps([*rows, *rows]))
    hostile.answers(by_path({"/model/instances": [listed], STATUS: [shows()]}))
    old = state(wary, readiness="fleet", status=None)
    assert wary.read(old) == old


def test_an_answer_of_100_mb_for_each_look_ends_at_the_limit(
    wary: Process, hostile: HostileServer
) -> None:
    """Each is cut where it grows too long, and the wait goes on to its deadline."""
    hostile.answers(
        by_path(
            {
                STATUS: [NOT_LOADED, shows("DEPLOYING"), REFUSED["100 MB of JSON"]],
                LOAD: [STARTED],
                DELETE: [REFUSED["100 MB of JSON"]],
            }
        )
    )
    error = refused(OPERATIONS["create"], wary, FakeCaller(timeout_seconds=30))
    assert isinstance(error, BootTimeoutError)
    assert "answers with more than 262144 bytes" in str(error)
    assert "so it may still be running and cost money" in str(error)
    assert wary.ledger.record(GPT2) is not None
