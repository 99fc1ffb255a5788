"""What a server can cost us at most: in memory, measured; in time, by the limits in force."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bytez_provider.base.errors import MalformedAnswerError, UnreachableError
from bytez_provider.service.client import BytezClient
from bytez_provider.service.client._answers import Kind, Reading, kind_of
from bytez_provider.service.client._patience import TRIES
from bytez_provider.service.client._transport import LIMITS, Answer, Limits, Transport
from bytez_provider.service.settings import ApiVersion, Key, Settings
from tests.client.hostile import (
    GPT2,
    KEY,
    MEBIBYTE,
    OK_HEAD,
    Handler,
    HostileServer,
    drips,
    floods,
    is_silent,
    pours,
    says,
)
from tests.clocks import FakeClock

ROOT = Path(__file__).resolve().parents[2]
CHILD_SECONDS = 120

# ------------------------------------------------------------------------------------ memory

MEASURED = """
import json, sys
from bytez_provider.service.client import BytezClient
from bytez_provider.service.settings import Key, Settings
from bytez_provider.base.errors import BytezError
from tests.clocks import FakeClock

def peak():
    # Not `ru_maxrss`, in which counts what this process was before it ran this program.
    with open("/proc/self/status") as told:
        (line,) = (one for one in told if one.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024

url, key, call = sys.argv[1:]
client = BytezClient(Settings(url, key=Key(key)), clock=FakeClock())
calls = {
    "status": lambda: client.status("a/b", tries=1),
    "instances": lambda: client.instances(tries=1),
    "models": client.models,
}
before = peak()
try:
    said = repr(calls[call]())[:100]
except BytezError as error:
    said = str(error)
print(json.dumps([said, peak() - before]))
"""


def measured(url: str, call: str) -> tuple[str, int]:
    """Make a call in a process of its own; return what came of it and the bytes it took."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, url, KEY, call],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=CHILD_SECONDS,
        check=True,
    )
    assert done.stderr == ""
    said, growth = json.loads(done.stdout)
    return said, growth


SMALL_OBJECTS = b'{"":0},'
"""Of all JSON it takes most memory for its length, once it is read."""


@pytest.mark.parametrize("wave", [SMALL_OBJECTS, b"x"], ids=["objects", "text"])
def test_a_status_of_100_mb_takes_a_few(hostile: HostileServer, wave: bytes) -> None:
    hostile.answers(pours(OK_HEAD + b"\r\n[", wave * 4096, 100_000_000))
    said, growth = measured(hostile.url, "status")
    assert said.startswith("could not read the status of 'a/b': ")
    assert f"answers with more than {LIMITS.body_bytes} bytes" in said
    assert growth < 16 * MEBIBYTE


@pytest.mark.parametrize("call", ["instances", "models"])
def test_a_list_of_100_mb_is_cut_before_it_is_read(hostile: HostileServer, call: str) -> None:
    hostile.answers(pours(OK_HEAD + b"\r\n[", SMALL_OBJECTS * 4096, 100_000_000))
    said, growth = measured(hostile.url, call)
    assert f"answers with more than {LIMITS.list_bytes} bytes" in said
    assert growth < 32 * MEBIBYTE


@pytest.mark.parametrize(
    ("call", "element"),
    [
        ("instances", b'{"modelId":"a/b"},'),
        ("models", b'{"name":"a/b"},'),
        ("models", SMALL_OBJECTS),
        ("models", b"[],"),
    ],
)
def test_the_longest_list_that_is_read_takes_a_third_of_a_gibibyte(
    hostile: HostileServer, call: str, element: bytes
) -> None:
    """It was 923 MiB, when 16 MiB were read, and copied to hide the key in them."""
    hostile.answers(says(200, b"[" + element * (LIMITS.list_bytes // len(element) - 1) + b"{}]"))
    said, growth = measured(hostile.url, call)
    assert said.startswith(("[", "could not list the models: the service answered HTTP 200"))
    assert growth < 320 * MEBIBYTE


def test_the_longest_status_that_is_read_takes_24_mebibytes(hostile: HostileServer) -> None:
    """There may be hundreds under way."""
    objects = SMALL_OBJECTS * (LIMITS.body_bytes // len(SMALL_OBJECTS) - 10)
    hostile.answers(says(200, b'{"status": "RUNNING", "x": [' + objects + b"{}]}"))
    said, growth = measured(hostile.url, "status")
    assert said.startswith("Instance(")
    assert growth < 24 * MEBIBYTE


def test_megabytes_of_words_are_not_searched() -> None:
    """Patterns over 16 MiB took seconds for each answer; now the start of a text is looked at."""
    words = "model " * 40_000
    reading = Reading.of(Answer(400, {}, json.dumps({"error": words}).encode()), Key(KEY))
    assert len(reading.words) <= 32 * 1024
    assert kind_of(reading, "load", GPT2) is Kind.REFUSED


@pytest.mark.parametrize(
    "wave",
    [
        *("model ", "model/", "model.", "model 'a/", "model a/-", "not been ", "'", "a/b ", "/a"),
        *("model of of ", "model is ", "x", "-model", "n't ", "https://", "no model ", GPT2),
    ],
)
def test_words_are_searched_in_one_pass(wave: str) -> None:
    """No pattern goes over a text again and again: 32 KiB would then take seconds."""
    for start in ("", "model "):
        body = json.dumps({"error": start + wave * (32 * 1024 // len(wave))}).encode()
        reading = Reading.of(Answer(404, {}, body), Key(KEY))
        began = time.process_time()
        kind_of(reading, "read the status of", GPT2)
        assert time.process_time() - began < 0.5


# -------------------------------------------------------------------------------------- time

SLOW: dict[str, Handler] = {
    "bytes that drip": drips(OK_HEAD + b"\r\n", b" "),
    "headers that drip": drips(OK_HEAD + b"X-Slow: ", b"x"),
    "chunks that drip": drips(OK_HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "silence": is_silent,
}


@pytest.fixture
def impatient(
    hostile: HostileServer,
    fake_clock: FakeClock,
    api: ApiVersion,
    monkeypatch: pytest.MonkeyPatch,
) -> BytezClient:
    """A client whose real seconds are hundredths, so that the whole patience can be seen."""
    limits = Limits(read_seconds=0.05, whole_seconds=0.1)
    monkeypatch.setattr(
        "bytez_provider.service.client._client.Transport",
        lambda settings, clock: Transport(settings, clock, limits),
    )
    return BytezClient(Settings(hostile.url, api, Key(KEY)), clock=fake_clock)


@pytest.mark.parametrize("slow", SLOW.values(), ids=SLOW.keys())
def test_a_slow_server_costs_five_answers_and_a_minute_of_waits(
    impatient: BytezClient, hostile: HostileServer, fake_clock: FakeClock, slow: Handler
) -> None:
    hostile.answers(slow)
    calls: list[Callable[[], object]] = [
        lambda: impatient.status(GPT2),
        lambda: impatient.load(GPT2, 1),
        impatient.instances,
    ]
    for call in calls:
        hostile.requests.clear()
        fake_clock.waits.clear()
        with pytest.raises(UnreachableError) as caught:
            call()
        assert str(caught.value).isprintable()
        assert len(hostile.requests) == TRIES
        assert sum(fake_clock.waits) <= 60
    # In the seconds of every day: a server that does its worst holds a call for eleven minutes.
    assert TRIES * (LIMITS.connect_seconds + LIMITS.whole_seconds) + 60 <= 12 * 60


def test_who_asks_again_anyway_is_held_for_one_answer(
    impatient: BytezClient, hostile: HostileServer, fake_clock: FakeClock
) -> None:
    """So a wait for a boot looks at its deadline every two minutes at least."""
    hostile.answers(SLOW["bytes that drip"])
    with pytest.raises(UnreachableError):
        impatient.status(GPT2, tries=1)
    assert len(hostile.requests) == 1
    assert fake_clock.waits == []


def test_a_flood_is_left_while_it_flows(hostile: HostileServer, wary: BytezClient) -> None:
    """Not read to an end that never comes."""
    hostile.answers(floods(OK_HEAD + b"\r\n[", b'"x",' * 4096))
    for _ in range(3):
        with pytest.raises(MalformedAnswerError, match="answers with more than"):
            wary.status(GPT2)
    assert len(hostile.requests) == 3
