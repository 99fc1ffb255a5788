"""Any answer whatsoever: it is read, or becomes one error on one line without the key."""

from __future__ import annotations

import html
import json
import math
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bytez_provider.base.errors import BytezError
from bytez_provider.service.apis import APIS
from bytez_provider.service.client._answers import Kind, Reading, kind_of
from bytez_provider.service.client._call import Call, retry_after_seconds
from bytez_provider.service.client._results import Answer, http_date
from bytez_provider.service.schemas import Instance, iso, moment_of
from bytez_provider.service.settings import ApiVersion, Key
from bytez_provider.service.wire import Verb, error_text
from tests.asking import API_VERSIONS
from tests.client.conftest import ECHOES, Wary, calls_of
from tests.client.hostile import GPT2, KEY, HostileServer, sends
from tests.clocks import FakeClock

SECRET = Key(KEY)
LONGEST_MESSAGE = 700
VERBS: tuple[Verb, ...] = tuple(APIS["2025-04"].routes)
"""Those of every version: each has all that one before it has."""
MANY = settings(max_examples=150, deadline=None)
OVER_A_SOCKET = settings(
    max_examples=50,
    deadline=None,
    # One server and one client serve all examples.
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

IN_HTML = ["".join(f"&#{ord(letter)}{end}" for letter in KEY) for end in (";", "")]
PIECES = st.sampled_from(
    [
        *(*ECHOES, *IN_HTML),
        *("error", "message", "detail", "status", "modelId", "model", "name", "requiredRAM"),
        *("created", "expiresAt", "concurrency", "RUNNING", "FAILED", "stopped", "DEPLOYING"),
        *("PAUSED", "NaN", "ü", GPT2),
        *("output", "cluster", "capacity", "min", "max", "timeout", "instances", "lastInference"),
        *("on", "off", "loading", "booting instance", "already exists"),
        *("not loaded", "already loaded", "in progress", "credits", "api key", "not found"),
        *("\x1b[2J", "\x1b]0;x\x07", "\r\n", "\x00", "\x9b31m", "\u202e", "\u2028", "\ud800"),
        *("\U0001f600", "\u200b", "\u061c", "\ufeff", "\U000e0041", "\u0300", "\xad"),
        *("<html>", "<title>", "</title>", "&amp;", "&#x1b;", "&lt;", "{", "[", '"', "\\"),
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
LAST_RUN = {"status": "on", "lastInference": "2025-04-22T17:57:40.036Z"}
ENVELOPES = st.builds(
    lambda name, inner, error: {"error": error, name: inner},
    st.sampled_from(["output", "cluster"]),
    PAYLOADS,
    st.none() | TEXTS,
)
BODIES = (
    (PAYLOADS | ENVELOPES).map(lambda payload: json.dumps(payload).encode())
    | TEXTS.map(lambda text: text.encode("utf-8", "surrogatepass"))
    | st.binary(max_size=40)
)
STATUSES = st.sampled_from([200, 201, 204, 209, 304, 400, 401, 402, 403, 404, 429, 500, 503, 599])
HEADER_TEXTS = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20) | (
    st.sampled_from(
        [
            *(KEY, "9" * 30, "/x", "//evil.example", "https:\\\\evil.example"),
            *("Mon, 01 Jan 0001 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT"),
            *("Fri, 31 Dec 9999 23:59:59 -2359", "Mon, 27 May 2024 23:35:35 +0200"),
        ]
    )
)
ADDRESSES = st.lists(
    st.sampled_from(
        [
            *("http:", "https:", "/", "\\", "@", "#", "?", ":80", ".", " ", "\t", "[::1]"),
            *("127.0.0.1", "localhost", "evil.example", "{other}", "{own}"),
        ]
    ),
    max_size=6,
).map("".join)


def assert_fit_to_show(error: BytezError) -> None:
    """Check that an error is one line of bounded length that shows no form of the key."""
    message = str(error)
    assert message.isprintable(), ascii(message)
    assert len(message) <= LONGEST_MESSAGE
    assert not SECRET.appears_in(message)
    assert not SECRET.appears_in(html.unescape(message))


@MANY
@given(
    body=BODIES, status=STATUSES, verb=st.sampled_from(VERBS), version=st.sampled_from(API_VERSIONS)
)
@example(json.dumps({"error": {KEY: 1}}).encode(), 500, "load", "2024-05")
@example(f"<title>{IN_HTML[-1]}</title>".encode(), 500, "load", "2024-05")
def test_any_answer_has_a_kind_and_its_error_is_one_line(
    body: bytes, status: int, verb: Verb, version: ApiVersion
) -> None:
    model_id = "" if verb.startswith("list") else GPT2
    reading = Reading.of(Answer(status, {}, body), SECRET, APIS[version].content)
    kind = kind_of(reading, verb, model_id, APIS[version].unit)
    assert (kind is Kind.DONE) <= (200 <= status < 300)
    if kind is not Kind.DONE:
        call = Call(verb, model_id, "https://api.bytez.com", 5)
        assert_fit_to_show(call.refused(kind, reading, FakeClock().now()).error)


@MANY
@given(payload=PAYLOADS | ENVELOPES)
@example(10**400)
@example(10**18)
@example(3_680_000_000)  # As minutes, it ends after the year 9000.
def test_any_json_reads_as_values_in_range_or_as_nothing(payload: object) -> None:
    odd = [{"modelId": "a/b", "created": payload, "concurrency": payload}]
    for api in APIS.values():
        found = [
            api.read_status(payload, GPT2),
            api.read_status(api.content(payload), GPT2),
            api.read_status({"status": "on", "capacity": {"min": payload, "max": payload}}, GPT2),
            api.read_status({**LAST_RUN, "timeout": payload}, GPT2),
            api.read_status({**LAST_RUN, "timeout": 1440, "lastInference": payload}, GPT2),
            api.read_status({"status": "x", "error": payload}, ""),
        ]
        found += [*(api.read_instances(payload) or []), *(api.read_instances(odd) or [])]
        for one in found:
            assert one is None or is_in_range(one)
        row = {api.entry_name: "a/b", api.entry_ram: payload, "benchmarked": payload}
        for entry in [*(api.read_entries(payload) or []), *(api.read_entries([row]) or [])]:
            assert entry.required_ram_gb is None or 0 < entry.required_ram_gb < math.inf
            entry.model_id.encode()
    assert isinstance(error_text(payload), str)


def is_in_range(one: Instance) -> bool:
    # Pulumi keeps numbers as doubles.
    counts = (
        *(one.concurrency, one.max_concurrency, one.instances),
        *(one.inferences, one.expiration_period_seconds),
    )
    moments = (one.created, one.expires_at, one.modified)
    return (
        all(count is None or 0 <= count <= 2**53 for count in counts)
        and all(moment is None or moment_of(iso(moment)) == moment for moment in moments)
        and bool(one.status.strip())
    )


@MANY
@given(text=HEADER_TEXTS | TEXTS, now=st.datetimes(timezones=st.just(timezone.utc)))
def test_any_header_gives_a_usable_date_and_wait(text: str, now: datetime) -> None:
    moment = http_date(text)
    if moment is not None:
        decade = timedelta(days=3660)
        assert iso(moment - decade) < iso(moment) < iso(moment + decade)
    assert 0 <= retry_after_seconds({"Retry-After": text}, now) < math.inf


# ---------------------------------------------------------------------------- over a socket


@OVER_A_SOCKET
@given(body=BODIES, status=STATUSES, date=HEADER_TEXTS, location=HEADER_TEXTS)
def test_any_answer_over_a_socket_is_read_or_refused(
    hostile: HostileServer, api: ApiVersion, body: bytes, status: int, date: str, location: str
) -> None:
    head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\nDate: {date}\r\n"
    head += f"Location: {location}\r\nRetry-After: {date}\r\nConnection: close\r\n\r\n"
    client = Wary(hostile, FakeClock(), api)
    for ask, call in calls_of(api).items():
        client.meets(ask, sends(head.encode() + body))
        try:
            call(client)
        except BytezError as error:  # Any other exception fails the test.
            assert_fit_to_show(error)
    assert iso(client.server_now() + timedelta(days=366))
    client.close()


@OVER_A_SOCKET
@given(location=HEADER_TEXTS | ADDRESSES, status=st.sampled_from([301, 302, 303, 307, 308]))
def test_no_redirect_takes_the_key_elsewhere(
    hostile: HostileServer, elsewhere: HostileServer, api: ApiVersion, location: str, status: int
) -> None:
    own, other = (server.url.removeprefix("http://") for server in (hostile, elsewhere))
    target = location.replace("{own}", own).replace("{other}", other)
    lines = [f"HTTP/1.1 {status} X", "Content-Length: 0", "Connection: close"]
    hostile.answers(sends("\r\n".join([*lines, f"Location: {target}", "", ""]).encode()))
    client = Wary(hostile, FakeClock(), api)
    with pytest.raises(BytezError) as caught:
        client.status(GPT2, tries=1)
    assert_fit_to_show(caught.value)
    assert elsewhere.requests == []
    client.close()
