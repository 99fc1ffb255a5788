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
from bytez_provider.service.apis import APIS
from bytez_provider.service.settings import ApiVersion
from tests.asking import API_VERSIONS
from tests.client.hostile import (
    ESCAPES,
    REFUSED,
    Form,
    Handler,
    HostileServer,
    by_ask,
    says,
)
from tests.lifecycle.caller import FakeCaller
from tests.lifecycle.machine import GPT2, KEY, Machine, Process, inputs

LONGEST_MESSAGE = 1000
CREATED = "2024-05-27T23:35:36.000Z"

Operation = Callable[[Process, FakeCaller], object]


class Loaded(Form):
    """Answers about a load that was made before the server turned hostile."""

    def shows(self, status: str = "RUNNING", error: object = None, **more: Any) -> Handler:
        """Answer with the load; `status` is the word of 2024."""
        return super().shows(status, error, **{"created": CREATED, **more})


@pytest.fixture
def form(api: ApiVersion) -> Loaded:
    """The form of the service's answers."""
    return Loaded(api)


@pytest.fixture
def wary(machine: Machine, hostile: HostileServer, api: ApiVersion) -> Process:
    """A process that deploys to the hostile server; its clock moves by being waited for."""
    return machine.process(endpoint=hostile.url, api_version=api)


def state(process: Process, **given: Any) -> ModelState:
    """Return the state of a load that was made before the server turned hostile."""
    return ModelState(
        **vars(inputs()),
        **{
            "status": "RUNNING",
            "created": CREATED,
            "endpoint": process.settings.endpoint,
            "account": process.settings.account,
            "api_version": APIS[process.settings.api_version].in_state,
            **given,
        },
    )


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
    "rescale": lambda process, caller: process.update(
        state(process), inputs(concurrency=2), caller
    ),
    "delete": lambda process, caller: process.delete(state(process), caller),
    "get": lambda process, _caller: process.lifecycle.get(GPT2),
}
RESCALING = [version for version, api in APIS.items() if api.rescales]
every_operation = pytest.mark.parametrize(
    ("api", "operation"),
    [
        pytest.param(version, operation, id=f"{version}-{name}")
        for version in API_VERSIONS
        for name, operation in OPERATIONS.items()
        # A changed concurrency is a replacement where nothing can be rescaled.
        if name != "rescale" or version in RESCALING
    ],
)
every_refusal = pytest.mark.parametrize("answer", REFUSED.values(), ids=REFUSED.keys())


@every_operation
@every_refusal
def test_an_answer_that_cannot_be_used_changes_nothing(
    wary: Process, hostile: HostileServer, operation: Operation, answer: Handler
) -> None:
    """Not one of them is taken for "gone" or "not loaded": nothing is loaded or unloaded."""
    hostile.answers(answer)
    refused(operation, wary, FakeCaller())
    assert set(hostile.asked()) <= {"status", "/again"}
    assert wary.ledger.records() == []


@every_operation
@pytest.mark.parametrize(
    "words", ["could not read the status: unknown error", "model is not loaded", "already loaded"]
)
def test_a_service_that_broke_down_changes_nothing(
    wary: Process, hostile: HostileServer, form: Loaded, operation: Operation, words: str
) -> None:
    """Once `destroy` ended well after such an answer, and the model ran on."""
    hostile.answers(form.says(error=words, status=500))
    error = refused(operation, wary, FakeCaller())
    assert f"the service answered HTTP 500: {words} (5 tries). " in str(error)
    assert set(hostile.asked()) == {"status"}


@pytest.mark.parametrize("status", [500, 501, 404, 410, 403])
def test_an_unload_that_is_answered_so_has_not_been_shown_to_have_worked(
    wary: Process, hostile: HostileServer, form: Loaded, status: int
) -> None:
    answer = says(status, '{"message": "model is not loaded: unknown error"}')
    hostile.answers(by_ask({"status": [form.shows()], "delete": [answer]}))
    error = refused(OPERATIONS["delete"], wary, FakeCaller())
    assert str(error).startswith(f"could not unload '{GPT2}': the service answered HTTP {status}: ")


@every_refusal
def test_a_load_that_is_answered_so_is_refused_or_may_be_accepted(
    wary: Process, hostile: HostileServer, form: Loaded, answer: Handler
) -> None:
    """If it may be accepted, the journal keeps its record for the next `up`."""
    hostile.answers(by_ask({"status": [form.not_loaded], "load": [answer], "/again": [answer]}))
    error = refused(OPERATIONS["create"], wary, FakeCaller())
    is_unsure = error.state != NOTHING_CHANGED
    assert bool(wary.ledger.record(GPT2)) is is_unsure


@every_refusal
@pytest.mark.parametrize("api", RESCALING)
def test_a_rescale_that_is_answered_so_keeps_the_load(
    wary: Process, hostile: HostileServer, form: Loaded, answer: Handler
) -> None:
    """It is neither taken for done nor for a load that is gone."""
    shows = form.shows(concurrency=1)
    hostile.answers(by_ask({"status": [shows], "rescale": [answer], "/again": [answer]}))
    error = refused(OPERATIONS["rescale"], wary, FakeCaller())
    assert error.verb == "rescale"
    assert {"rescale"} < set(hostile.asked()) <= {"status", "rescale", "/again"}


@every_refusal
def test_in_mid_boot_it_is_waited_out_or_kept_in_the_journal(
    wary: Process, hostile: HostileServer, form: Loaded, answer: Handler
) -> None:
    """What the service says may pass; what cannot does not lose the load."""
    statuses = [form.not_loaded, form.shows("DEPLOYING"), answer, answer, form.shows()]
    hostile.answers(by_ask({"status": statuses, "load": [form.started], "/again": [answer]}))
    caller = FakeCaller()
    try:
        assert wary.create(caller=caller).status == "RUNNING"
    except BytezError as error:
        assert_readable(str(error))
        assert wary.ledger.record(GPT2) is not None
    assert_readable(*caller.reports, *caller.notes, *caller.warnings)


# --------------------------------------------------------------------------------- the words


def test_a_status_nobody_has_seen_ends_at_the_limit(
    wary: Process, hostile: HostileServer, form: Loaded
) -> None:
    hostile.answers(
        by_ask(
            {
                "status": [form.not_loaded, *[form.shows(f"ÜBER-{ESCAPES}")] * 20],
                "load": [form.started],
                "delete": [says(200, f'"{ESCAPES}"')],
            }
        )
    )
    error = refused(OPERATIONS["create"], wary, FakeCaller(timeout_seconds=5))
    assert isinstance(error, BootTimeoutError)
    assert "(last status: ÜBER-" in str(error)


def test_a_reason_full_of_escapes_is_one_line(
    wary: Process, hostile: HostileServer, form: Loaded
) -> None:
    failed = form.shows("FAILED", error=f"out of {ESCAPES} {KEY}")
    hostile.answers(
        by_ask(
            {
                "status": [
                    form.not_loaded,
                    form.shows("DEPLOYING"),
                    failed,
                    failed,
                    form.not_loaded,
                ],
                "load": [form.started],
                "delete": [says(204)],
            }
        )
    )
    error = refused(OPERATIONS["create"], wary, FakeCaller())
    assert isinstance(error, BootFailedError)
    assert str(error).startswith(
        f"could not load '{GPT2}': the service reported FAILED: \"out of ]0;owned one two three"
    )
    assert "nothing is left running" in str(error)


def test_a_state_takes_no_escapes_from_a_server(
    wary: Process, hostile: HostileServer, form: Loaded
) -> None:
    """What is in state is shown by every `pulumi stack`, and read by policies."""
    hostile.answers(
        form.shows(f"{ESCAPES}", error=ESCAPES, concurrency=10**300, owner={ESCAPES: KEY})
    )
    found = wary.read(state(wary))
    assert found is not None
    text = json.dumps(found.bag(), ensure_ascii=False)
    assert_readable(text)
    assert ModelState.of(found.bag()) == found


# ------------------------------------------------------------------------------ several at once


def test_a_list_that_lies_about_names_harms_none_of_them(
    wary: Process, hostile: HostileServer, form: Loaded
) -> None:
    """Names in other letters, doubles, and names that are no names: none of them is ours."""
    rows = [
        {"modelId": name, "status": "FAILED", "created": CREATED}
        for name in ("Openai-community/gpt2", f"{GPT2}\u200b", f"{GPT2} ", "\u202e", "", ESCAPES)
    ]
    listed = form.says([*rows, *rows])
    hostile.answers(by_ask({"instances": [listed], "status": [form.shows()]}))
    old = state(wary, readiness="fleet", status=None)
    assert wary.read(old) == old


def test_an_answer_of_100_mb_for_each_look_ends_at_the_limit(
    wary: Process, hostile: HostileServer, form: Loaded
) -> None:
    """Each is cut where it grows too long, and the wait goes on to its deadline."""
    hostile.answers(
        by_ask(
            {
                "status": [form.not_loaded, form.shows("DEPLOYING"), REFUSED["100 MB of JSON"]],
                "load": [form.started],
                "delete": [REFUSED["100 MB of JSON"]],
            }
        )
    )
    error = refused(OPERATIONS["create"], wary, FakeCaller(timeout_seconds=30))
    assert isinstance(error, BootTimeoutError)
    assert "answers with more than 262144 bytes" in str(error)
    assert "so it may still be running and cost money" in str(error)
    assert wary.ledger.record(GPT2) is not None
