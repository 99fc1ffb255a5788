"""Whatever a server says: an answer, or one error of ours on one line without the key."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from urllib.parse import quote

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bytez_provider.base.errors import BytezError
from bytez_provider.service import wire
from bytez_provider.service.client import BytezClient
from bytez_provider.service.client._answers import Kind, Reading, Verb, kind_of
from bytez_provider.service.client._call import Call
from bytez_provider.service.client._patience import retry_after_seconds
from bytez_provider.service.client._transport import Answer, http_date
from bytez_provider.service.schemas import Instance, iso, moment_of
from bytez_provider.service.settings import Key, Settings
from tests.client.hostile import GPT2, KEY, HostileServer, sends
from tests.clocks import FakeClock

SECRET = Key(KEY)
LONGEST_MESSAGE = 700
VERBS: tuple[Verb, ...] = (
    "list the models",
    "list the instances",
    "load",
    "read the status of",
    "unload",
    "run",
)
MANY = settings(max_examples=150, deadline=None)
OVER_A_SOCKET = settings(
    max_examples=50,
    deadline=None,
    # One server and one client serve all examples.
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

# ------------------------------------------------------------------------------ what is said

ECHOES = [
    KEY,
    KEY.upper(),
    quote(KEY, safe=""),
    html.escape(KEY),
    json.dumps(KEY)[1:-1],
    "".join(f"&#{ord(letter)};" for letter in KEY),
    "".join(f"&#{ord(letter)}" for letter in KEY),
]
PIECES = st.sampled_from(
    [
        *ECHOES,
        *(
            "error",
            "message",
            "detail",
            "status",
            "modelId",
            "model",
            "name",
            "created",
            "expiresAt",
        ),
        *(
            "concurrency",
            "requiredRAM",
            "RUNNING",
            "FAILED",
            "stopped",
            "DEPLOYING",
            "PAUSED",
            GPT2,
        ),
        *("not loaded", "already loaded", "in progress", "credits", "api key", "not found"),
        *(
            "\x1b[2J",
            "\x1b]0;x\x07",
            "\r\n",
            "\x00",
            "\x9b31m",
            "\u202e",
            "\u2028",
            "\ud800",
            "ü",
            "\U0001f600",
        ),
        *("\u200b", "\u061c", "\ufeff", "\U000e0041", "\u0300", "\xad"),
        *("<html>", "<title>", "</title>", "&amp;", "&#x1b;", "&lt;", "{", "[", '"', "\\", "NaN"),
        *("2024-05-27T23:35:35.863Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999Z"),
        *("2024-05-28T01:35:35.863+02:00", "9999-12-31T23:59:59-23:59", "2024-13-40T99:99:99Z"),
    ]
)
TEXTS = st.lists(PIECES | st.text(max_size=4), max_size=5).map("".join)
NUMBERS = st.sampled_from([0, 1, -1, 2.5, 1e308, 1e400, -1e400, 10**18, 10**400, 2**53, True])
PAYLOADS = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS | PIECES, inner, max_size=4),
    max_leaves=8,
)
BODIES = (
    PAYLOADS.map(lambda payload: json.dumps(payload).encode())
    | TEXTS.map(lambda text: text.encode("utf-8", "surrogatepass"))
    | st.binary(max_size=40)
)
STATUSES = st.sampled_from([200, 201, 204, 209, 304, 400, 401, 402, 403, 404, 429, 500, 503, 599])
HEADER_TEXTS = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20) | (
    st.sampled_from(
        [
            KEY,
            "Mon, 01 Jan 0001 00:00:00 GMT",
            "Fri, 31 Dec 9999 23:59:59 GMT",
            "Fri, 31 Dec 9999 23:59:59 -2359",
            "Mon, 27 May 2024 23:35:35 +0200",
            "Mon, 27 May 24 23:35:35 -0000",
            "9" * 30,
            "/x",
            "//evil.example",
            "https:\\\\evil.example",
        ]
    )
)


def assert_told_well(error: BytezError) -> None:
    """Check that an error is one line of bounded length that shows no form of the key."""
    message = str(error)
    assert message.isprintable(), ascii(message)
    assert len(message) <= LONGEST_MESSAGE
    assert not SECRET.appears_in(message)
    assert not SECRET.appears_in(html.unescape(message))


# ------------------------------------------------------------------------------- one answer


@MANY
@given(body=BODIES, status=STATUSES, verb=st.sampled_from(VERBS))
@example(body=json.dumps({"error": {KEY: 1}}).encode(), status=500, verb="load")
@example(body=f"<title>{ECHOES[-1]}</title>".encode(), status=500, verb="load")
def test_any_answer_is_of_a_kind_and_can_be_told(body: bytes, status: int, verb: Verb) -> None:
    model_id = "" if verb.startswith("list") else GPT2
    reading = Reading.of(Answer(status, {}, body), SECRET)
    kind = kind_of(reading, verb, model_id)
    assert (kind is Kind.DONE) <= (200 <= status < 300)
    if kind is not Kind.DONE:
        assert_told_well(
            Call(verb, model_id, "https://api.bytez.com", 5).refused(kind, reading, 0.0)
        )


@MANY
@given(payload=PAYLOADS)
def test_any_json_is_read_as_what_it_holds_or_as_nothing(payload: object) -> None:
    """Nothing of it is too large, too far off or too odd for what is reckoned with it later."""
    found = [
        wire.read_status(payload, GPT2),
        wire.read_status({"status": "x", "error": payload}, ""),
    ]
    found += wire.read_instances(payload) or []
    found += (
        wire.read_instances([{"modelId": "a/b", "created": payload, "concurrency": payload}]) or []
    )
    for one in found:
        if one is not None:
            assert_can_be_reckoned_with(one)
    for api in wire.APIS.values():
        row = {api.entry_name: "a/b", api.entry_ram: payload, "benchmarked": payload}
        for entry in [
            *(wire.read_entries(api, payload) or []),
            *(wire.read_entries(api, [row]) or []),
        ]:
            assert entry.required_ram_gb is None or 0 < entry.required_ram_gb < math.inf
            entry.model_id.encode()
    assert isinstance(wire.error_text(payload), str)


def assert_can_be_reckoned_with(one: Instance) -> None:
    for count in (one.concurrency, one.inferences, one.expiration_period_seconds):
        # What Pulumi keeps of it is a double.
        assert count is None or 0 <= count <= 2**53
    for moment in (one.created, one.expires_at, one.modified):
        assert moment is None or moment_of(iso(moment)) == moment
    assert one.status.strip()
    assert isinstance(one.phase.value, str)


# ----------------------------------------------------------------------------------- headers


@MANY
@given(text=HEADER_TEXTS | TEXTS)
def test_any_date_is_one_that_can_be_reckoned_with_or_none(text: str) -> None:
    moment = http_date(text)
    if moment is not None:
        decade = timedelta(days=3660)
        assert iso(moment - decade) < iso(moment) < iso(moment + decade)


@MANY
@given(text=HEADER_TEXTS, now=st.datetimes(timezones=st.just(timezone.utc)))
def test_any_retry_after_is_a_wait_of_some_seconds(text: str, now: datetime) -> None:
    wait = retry_after_seconds({"Retry-After": text}, now)
    assert 0 <= wait < math.inf


# ---------------------------------------------------------------------------- over a socket

ADDRESS_PARTS = st.sampled_from(
    [
        *("http:", "https:", "/", "\\", "@", "#", "?", ":80", ".", " ", "\t", "[::1]"),
        *("127.0.0.1", "localhost", "evil.example", "{other}", "{own}"),
    ]
)
ADDRESSES = st.lists(ADDRESS_PARTS, max_size=6).map("".join)


def errors_of(*calls: Callable[[], object]) -> list[BytezError]:
    """Make calls; return the errors that they ended with, none of which is another's."""
    errors = []
    for call in calls:
        try:
            call()
        except BytezError as error:
            errors.append(error)
    return errors


@OVER_A_SOCKET
@given(body=BODIES, status=STATUSES, date=HEADER_TEXTS, location=HEADER_TEXTS)
def test_any_answer_over_a_socket_is_read_or_refused(
    hostile: HostileServer, body: bytes, status: int, date: str, location: str
) -> None:
    head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\nDate: {date}\r\n"
    head += f"Location: {location}\r\nRetry-After: {date}\r\nConnection: close\r\n\r\n"
    hostile.answers(sends(head.encode() + body))
    client = BytezClient(Settings(hostile.url, "2024-05", SECRET), clock=FakeClock())
    for error in errors_of(
        lambda: client.status(GPT2),
        lambda: client.load(GPT2, 1),
        lambda: client.delete(GPT2),
        lambda: list(client.run(GPT2, "x")),
        client.instances,
        client.models,
    ):
        assert_told_well(error)
    assert iso(client.server_now() + timedelta(days=366))
    client.close()


@OVER_A_SOCKET
@given(location=HEADER_TEXTS | ADDRESSES, status=st.sampled_from([301, 302, 303, 307, 308]))
def test_no_redirect_takes_the_key_elsewhere(
    hostile: HostileServer, elsewhere: HostileServer, location: str, status: int
) -> None:
    own, other = (server.url.removeprefix("http://") for server in (hostile, elsewhere))
    target = location.replace("{own}", own).replace("{other}", other)
    lines = [f"HTTP/1.1 {status} X", "Content-Length: 0", "Connection: close"]
    hostile.answers(sends("\r\n".join([*lines, f"Location: {target}", "", ""]).encode()))
    client = BytezClient(Settings(hostile.url, "2024-06", SECRET), clock=FakeClock())
    (error,) = errors_of(lambda: client.status(GPT2, tries=1))
    assert_told_well(error)
    assert elsewhere.requests == []
    client.close()
