"""What each answer means: "not loaded" and "already loaded" need the API's own words."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from bytez_provider.base.errors import ErrorCode, MalformedAnswerError
from bytez_provider.service.apis import APIS
from bytez_provider.service.client import BytezClient
from bytez_provider.service.client._answers import Kind, Reading, kind_of
from bytez_provider.service.client._call import Call
from bytez_provider.service.client._results import Answer
from bytez_provider.service.settings import ApiVersion, Key, Settings
from bytez_provider.service.wire import Request, Verb
from tests.asking import body_of
from tests.client.conftest import Wary
from tests.client.hostile import GPT2, KEY, PAGE, says
from tests.clocks import FakeClock

ABOUT_ONE: tuple[Verb, ...] = ("load", "read the status of", "rescale", "unload", "run")
LISTS: tuple[Verb, ...] = ("list the models", "list the instances")
NO_ANSWER = {Kind.GATEWAY_LOST, Kind.GATEWAY_BUSY, Kind.SERVER_ERROR}
RUNNING = '{"status": "RUNNING"}'


def reading(status: int, body: str, api: ApiVersion = "2024-05") -> Reading:
    answer = Answer(status, {}, in_form(api, body).encode())
    return Reading.of(answer, Key(KEY), APIS[api].content)


def in_form(api: ApiVersion, body: str) -> str:
    """Return an answer of 2024 as a version has it; what is none of this API stays as it is."""
    try:
        content = json.loads(body)
    except ValueError:
        return body
    if not isinstance(content, dict) or not content.keys() & {"error", "status"}:
        return body
    error = content.pop("error", None)
    return json.dumps(body_of(api, content or None, error))


class Kinds:
    """What answers mean in a version of the API."""

    def __init__(self, api: ApiVersion) -> None:
        self.api = api

    def __call__(
        self, status: int, body: str, verb: Verb = "read the status of", model_id: str = GPT2
    ) -> Kind:
        about = "" if verb in LISTS else model_id
        return kind_of(reading(status, body, self.api), verb, about, APIS[self.api].unit)


@pytest.fixture
def kind(api: ApiVersion) -> Kinds:
    """Says what an answer means, in each version."""
    return Kinds(api)


def says_of(error: object, **more: object) -> str:
    return json.dumps({"error": error, **more})


# ---------------------------------------------------------------------------- "not loaded"


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (404, f"unknown model '{GPT2}'"),
        (404, f'Model "{GPT2}" could not be found.'),
        (404, f"model with id {GPT2} was not found"),
        (404, "the model does not exist"),
        (404, "OpenAI-Community/GPT2: nothing there"),
        (404, "Model is not loaded. Load it with the /model/load endpoint."),
        (400, f"no instance of {GPT2}, like '{GPT2}-xl'"),
        (409, "The model isn't loaded"),
        (410, "No such instance"),
        (200, f"Model {GPT2} is not currently running"),
    ],
)
def test_not_loaded_in_the_words_of_the_api(kind: Kinds, status: int, error: str) -> None:
    for verb in ABOUT_ONE:
        assert kind(status, says_of(error), verb) is Kind.NOT_LOADED


@pytest.mark.parametrize(
    ("status", "body"),
    [
        # A gateway's, a framework's, a proxy's: none of them is from this API.
        *[(404, body) for body in ("", "null", "{}", "[]", '"model is not loaded"')],
        (404, "model is not loaded"),
        (404, '{"detail": "model is not loaded"}'),
        (404, '{"message": "model is not loaded"}'),
        (404, '{"statusCode": 404, "message": "No such model", "error": "Not Found"}'),
        (404, says_of("Not Found", path="/model/status")),
        (404, says_of({"code": 404, "message": "Requested model was not found."})),
        (404, says_of(["model is not loaded"])),
        (400, '{"detail": "model is not loaded"}'),
        # From this API perhaps, but about an address, or about nothing.
        (404, says_of("")),
        (404, says_of("Cannot POST /model/delete")),
        (404, says_of(f"Cannot POST /model/delete for {GPT2}")),
        (404, says_of(f"Cannot DELETE /models/v2/{GPT2}")),
        (404, says_of(f"Cannot DELETE /models/v2/{GPT2} for {GPT2}")),
        (404, says_of("no such endpoint")),
        (404, says_of("model route not found")),
        (404, says_of("there is no /model/status")),
        (404, says_of(f"there is no /models/v2/{GPT2}")),
        (404, says_of("Not found: POST http://127.0.0.1/model/delete")),
        (404, says_of(f"Not found: DELETE http://127.0.0.1/models/v2/{GPT2}")),
        # About another model, or a part of a model.
        (404, says_of(f"model '{GPT2}-xl' is not loaded")),
        (404, says_of("unknown model acme/gpt2")),
        (404, says_of("model is not loaded", modelId="acme/gpt2")),
        (400, says_of("model status: unknown error")),
        (400, says_of("unknown model type")),
        (400, says_of("the inference server is not running")),
        (400, says_of("the database cluster is not running")),
        (400, says_of("no model specified")),
        (400, says_of("model failed: CUDA device not found")),
        (409, says_of("model is DEPLOYING, not running")),
        (409, says_of("not loaded yet: a load is in progress")),
        (200, says_of("model acme/gpt2 is not loaded")),
        (200, '{"model": "acme/gpt2", "status": "RUNNING"}'),
        # Redirects and the like.
        (300, says_of("model is not loaded")),
        (304, ""),
    ],
)
def test_without_evidence_a_model_is_never_not_loaded(kind: Kinds, status: int, body: str) -> None:
    for verb in ABOUT_ONE:
        assert kind(status, body, verb) not in (Kind.NOT_LOADED, Kind.ALREADY_LOADED, Kind.DONE)


@pytest.mark.parametrize("status", [200, 400, 404])
@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        ("Cluster isn't deployed", Kind.NOT_LOADED),
        ("Cluster not found", Kind.NOT_LOADED),
        ("The cluster is not running", Kind.NOT_LOADED),
        ("Cluster already exists", Kind.ALREADY_LOADED),
    ],
)
def test_a_cluster_is_a_load_only_in_the_api_of_clusters(
    kind: Kinds, status: int, error: str, meaning: Kind
) -> None:
    """Of 2024, it is a part of the service."""
    for verb in ABOUT_ONE if meaning is Kind.NOT_LOADED else ABOUT_ONE[:1]:
        found = kind(status, says_of(error), verb)
        assert (found is meaning) is (kind.api == "2025-04")
        assert found in (meaning, Kind.REFUSED, Kind.NOT_THE_API)


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (401, says_of("model is not loaded"), Kind.BAD_KEY),
        (401, "Unauthorized", Kind.BAD_KEY),
        (403, '{"message": "Forbidden"}', Kind.BAD_KEY),
        (404, says_of("API key not found"), Kind.BAD_KEY),
        (200, says_of("Unauthorized"), Kind.BAD_KEY),
        (403, "error code: 1020", Kind.NOT_THE_API),
        (402, "", Kind.NO_CREDITS),
        (404, says_of("no credits left"), Kind.NO_CREDITS),
        (403, says_of("Credit exhausted"), Kind.NO_CREDITS),
        (429, says_of("You are out of credits"), Kind.NO_CREDITS),
        (429, says_of("slow down"), Kind.RATE_LIMITED),
        (429, PAGE, Kind.RATE_LIMITED),
        (400, says_of("modelId is required"), Kind.REFUSED),
        (200, says_of({"message": "database on fire"}), Kind.REFUSED),
        (418, '{"detail": "teapot"}', Kind.REFUSED),
        (304, "", Kind.REFUSED),
        *[(status, PAGE, Kind.NOT_THE_API) for status in (200, 400, 401, 403, 404, 405)],
        *[(404, body, Kind.NOT_THE_API) for body in ("Not Found", "no such page\n")],
    ],
)
def test_another_error_is_never_not_loaded(
    kind: Kinds, status: int, body: str, expected: Kind
) -> None:
    assert kind(status, body) is expected
    if body != PAGE:
        assert kind(status, body, "unload") is expected


@pytest.mark.parametrize(
    "error",
    [
        "model is not loaded",
        "No such instance",
        f"unknown model '{GPT2}'",
        "model is already loaded",
        "a load is in progress",
        "out of credits",
        "invalid api key",
    ],
)
def test_a_service_in_trouble_says_neither_yes_nor_no(kind: Kinds, error: str) -> None:
    """Whatever its words are: they are about something that broke."""
    statuses = (500, 501, 502, 503, 504, 507, 520, 522, 599)
    bodies = (says_of(error, status="stopped"), error, PAGE, "")
    for status, body, verb in itertools.product(statuses, bodies, (*ABOUT_ONE, *LISTS)):
        assert kind(status, body, verb) in NO_ANSWER


def test_a_list_cannot_be_not_loaded(kind: Kinds) -> None:
    for verb in LISTS:
        assert kind(404, says_of("not found"), verb) is Kind.NOT_THE_API


def test_a_name_of_a_model_is_no_word_of_the_service(kind: Kinds) -> None:
    name = "acme/credit-scorer-api-key"
    assert kind(404, says_of(f"unknown model '{name}'"), model_id=name) is Kind.NOT_LOADED


# ------------------------------------------------------------------------ "already loaded"


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (209, "", Kind.ALREADY_LOADED),
        (209, PAGE, Kind.ALREADY_LOADED),
        (400, says_of("Model already loaded"), Kind.ALREADY_LOADED),
        (200, says_of("already loaded", status="RUNNING"), Kind.ALREADY_LOADED),
        (429, says_of("Model is loading"), Kind.IN_PROGRESS),
        (429, says_of("DEPLOYING already, be patient"), Kind.IN_PROGRESS),
        (400, '{"message": "Model already loaded"}', Kind.REFUSED),
        (409, '{"detail": "already loaded"}', Kind.REFUSED),
        (400, "already loaded", Kind.REFUSED),
        (400, says_of("model acme/gpt2 is already loaded"), Kind.REFUSED),
        (200, '{"modelId": "acme/gpt2", "status": "started"}', Kind.NOT_THE_API),
        (429, '{"message": "a load is in progress"}', Kind.RATE_LIMITED),
        *[(200, body, Kind.NOT_THE_API) for body in (PAGE, "", "[]", "yes", '{"status": NaN}')],
        (200, '{"status": "started"}', Kind.DONE),
    ],
)
def test_what_the_answer_to_a_load_means(
    kind: Kinds, status: int, body: str, expected: Kind
) -> None:
    assert kind(status, body, "load") is expected


@pytest.mark.parametrize(("status", "body"), [(204, ""), (200, ""), (200, "OK"), (202, "{}")])
def test_any_success_unloads(kind: Kinds, status: int, body: str) -> None:
    assert kind(status, body, "unload") is Kind.DONE


# --------------------------------------------------------------- answers that hold no content


def answering(status: int, body: str, api: ApiVersion) -> BytezClient:
    """Return a client whose every request gets this answer."""

    def exchange(request: Request) -> Answer:
        assert request.path.startswith("/models/v2/" if api == "2025-04" else "/model/")
        return Answer(status, {}, body.encode())

    client = BytezClient(Settings(api_version=api, key=Key(KEY)), clock=FakeClock())
    client._transport.exchange = exchange  # type: ignore[method-assign]
    return client


@pytest.mark.parametrize(
    "body",
    [
        *("", "null", "[]", "{}", "7", '"RUNNING"', PAGE, "\x00\xff", '{"modelId": "a/b"}'),
        *('{"status": null}', '{"status": " "}', '{"status": 7}', '{"status": "RUNNING"'),
        *('{"status": "RUNNING", "x": NaN}', '{"status": "RUNNING", "x": -Infinity}'),
        *('{"a":' * 100_000, "[" * 5000 + "]" * 5000, "9" * 10_000),
        '{"message": "model is not loaded"}',
        '{"modelId": "acme/gpt2", "status": "stopped"}',
        *(f'{{"error": null, "output": {inner}}}' for inner in ("[]", "{}", "7", '"on"')),
        '{"error": null, "output": {"status": null}}',
        '{"error": null, "output": {"modelId": "acme/gpt2", "status": "on"}}',
        '{"error": null, "output": {"modelId": "acme/gpt2", "status": "stopped"}}',
    ],
)
def test_an_answer_without_a_status_is_neither_loaded_nor_gone(api: ApiVersion, body: str) -> None:
    with pytest.raises(MalformedAnswerError) as caught:
        answering(200, body, api).status(GPT2)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 700


@pytest.mark.parametrize("status", ["stopped", "STOPPED"])
def test_a_status_of_stopped_is_not_loaded(api: ApiVersion, status: str) -> None:
    body = body_of(api, {"status": status}, "expired")
    assert answering(200, json.dumps(body), api).status(GPT2) is None


def test_an_error_beside_a_status_is_a_part_of_it(api: ApiVersion) -> None:
    """Half a surrogate pair in it becomes something that can be printed."""
    body = body_of(api, {"status": "FAILED \ud800"}, "\udfff")
    live = answering(200, json.dumps(body), api).status(GPT2)
    assert live is not None
    assert (live.model_id, live.status, live.error) == (GPT2, "FAILED ?", "?")
    known = {"model_id", "status", "error", "scale"}
    assert all(value is None for name, value in vars(live).items() if name not in known)


@pytest.mark.parametrize(
    "rows", [{"models": []}, [{"foo": 1}], [None], None, 7, "the other version's"]
)
@pytest.mark.parametrize("is_enveloped", [False, True])
def test_an_answer_without_a_catalogue_is_no_empty_one(
    api: ApiVersion, rows: Any, is_enveloped: bool
) -> None:
    if isinstance(rows, str):
        rows = [{"modelId": "a/b"}] if api == "2024-05" else [{"name": "a/b"}]
    body = {"error": None, "output": rows} if is_enveloped else rows
    with pytest.raises(MalformedAnswerError) as caught:
        answering(200, json.dumps(body), api).models()
    assert f"which is no catalogue of the {api} API" in caught.value.observed
    assert "Check bytez:apiVersion" in caught.value.action


@pytest.mark.parametrize("body", ["{}", '{"error": null, "output": null}'])
def test_an_answer_without_a_list_is_no_empty_one(api: ApiVersion, body: str) -> None:
    with pytest.raises(MalformedAnswerError, match="which is no list of instances"):
        answering(200, body, api).instances()


# ------------------------------------------------------------------------------ for people


@pytest.mark.parametrize(
    ("status", "body", "shown"),
    [
        (404, PAGE, "HTTP 404 with an HTML page ('Sign in & go on')"),
        (502, "<html><title>\nBad\nGateway</title>", "HTTP 502 with an HTML page ('Bad Gateway')"),
        (400, "<html>", "HTTP 400 with an HTML page"),
        (500, "", "HTTP 500 with an empty body"),
        (400, says_of("no\x1b[2J\nyes"), "HTTP 400: no yes"),
        (400, '{"detail": "no"}', "HTTP 400: no"),
        (400, '"no"', "HTTP 400: no"),
        (400, "no", "HTTP 400: no"),
        (400, '{"x": 1}', 'HTTP 400: {"x": 1}'),
        (400, '{"message": "no"}', "HTTP 400: no"),
        (400, "\x1b[2J", "HTTP 400"),
        (400, f"<title>{'x' * 101}</title>", f"HTTP 400 with an HTML page ('{'x' * 99}…')"),
    ],
)
def test_an_answer_as_people_see_it(status: int, body: str, shown: str) -> None:
    assert str(reading(status, body)) == f"the service answered {shown}"


def test_bytes_that_are_no_text_are_replaced() -> None:
    assert Reading.of(Answer(400, {}, b"no \xff"), Key(KEY)).words == "no \ufffd"


def test_a_page_unloads_nothing(kind: Kinds) -> None:
    assert kind(200, PAGE, "unload") is Kind.NOT_THE_API


def test_an_error_has_the_code_of_its_kind() -> None:
    def code(of: Kind, verb: Verb = "read the status of") -> ErrorCode:
        call = Call(verb, GPT2, "https://api.bytez.com", 1)
        return call.refused(of, reading(400, ""), FakeClock().now()).error.code

    assert {one: code(one) for one in Kind if code(one) is not ErrorCode.REFUSED} == {
        Kind.BAD_KEY: ErrorCode.AUTHENTICATION,
        Kind.NO_CREDITS: ErrorCode.CREDITS,
        Kind.RATE_LIMITED: ErrorCode.RATE_LIMITED,
        Kind.GATEWAY_LOST: ErrorCode.UNREACHABLE,
        Kind.GATEWAY_BUSY: ErrorCode.UNREACHABLE,
        Kind.NOT_THE_API: ErrorCode.MALFORMED_ANSWER,
    }
    assert code(Kind.NOT_LOADED, "load") is ErrorCode.UNKNOWN_MODEL
    assert code(Kind.NOT_LOADED, "run") is ErrorCode.NOT_LOADED


# ------------------------------------------------------------------------------------- text


def test_an_error_in_a_success_is_no_text(wary: Wary, api: ApiVersion) -> None:
    output = ', "output": null' if api == "2025-04" else ""
    wary.meets("run", says(200, f'{{ "error":\n "model is not loaded"{output}}}'))
    with pytest.raises(Exception, match="is not loaded") as caught:
        list(wary.run(GPT2, "x"))
    assert caught.value.code is ErrorCode.NOT_LOADED  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "text",
    [
        '{"error": "x"} is what an error looks like',
        '{"errors": []}',
        '{"error": 1, "b": 2}',
        '{"error',
        "",
        " \n",
        "<html>",
        '{"error":' + "x" * 40_000,
    ],
)
def test_a_text_may_look_like_json(wary: Wary, text: str) -> None:
    wary.meets("run", says(200, text))
    assert "".join(wary.run(GPT2, "x")) == text
