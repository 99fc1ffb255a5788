"""One journal in a bucket that several machines share: the real CLI and an S3 server."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bytez_provider.emulator import Emulator
from tests.e2e.conftest import KEY
from tests.e2e.helpers import (
    BOOT_SECONDS,
    CHANGING,
    GPT2,
    SLOW,
    UP,
    loads,
    mid_boot,
    one,
    running,
    until,
)
from tests.e2e.stack import Run, Stack
from tests.s3 import Proxy, S3Server

AWS = {
    "AWS_ACCESS_KEY_ID": "somebody",
    "AWS_SECRET_ACCESS_KEY": "a-secret-that-nobody-may-see",
    "AWS_REGION": "us-east-1",
    "AWS_ALLOW_HTTP": "true",
    "AWS_EC2_METADATA_DISABLED": "true",
}
SINCE = r"since \d{4}-\d\d-\d\dT\d\d:\d\d:[\d.]+Z"

MakeMachine = Callable[..., Stack]


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    server = S3Server()
    yield server
    server.stop()


@pytest.fixture
def proxy(s3: S3Server) -> Iterator[Proxy]:
    """A proxy in front of the bucket of the journal."""
    proxy = Proxy(s3.url)
    yield proxy
    proxy.close()


@pytest.fixture
def journal(s3: S3Server, tmp_path: Path) -> str:
    """A bucket for this test."""
    return s3.make(f"journal-{abs(hash(tmp_path))}")


@pytest.fixture
def machine(
    tmp_path: Path, emulator: Emulator, proxy: Proxy, journal: str
) -> Iterator[MakeMachine]:
    """Make a machine with its own host name, home, disk and working copy."""
    made: list[Stack] = []

    def make(name: str, *, stack: str = "dev", backend: str = "", exists: bool = False) -> Stack:
        folder = tmp_path / name
        (folder / "tmp").mkdir(parents=True)
        # Python reads this in every process that starts here.
        patch = f"import platform\nplatform.node = lambda: {name!r}\n"
        (folder / "sitecustomize.py").write_text(patch)
        env = {
            **AWS,
            "AWS_ENDPOINT_URL": proxy.url,
            "BYTEZ_JOURNAL": f"s3://{journal}/fleets",
            "BYTEZ_KEY": KEY,
            "BYTEZ_ENDPOINT": emulator.url,
            "PYTHONPATH": str(folder),
            "TMPDIR": str(folder / "tmp"),
            **({"PULUMI_BACKEND_URL": backend} if backend else {}),
        }
        new = Stack(folder, env, refresh=True, name=stack, exists=exists)
        made.append(new)
        new.program(one())
        return new

    yield make
    for each in made:
        each.end()


@pytest.fixture
def state(s3: S3Server, tmp_path: Path) -> str:
    """The URL of a backend in a bucket."""
    bucket = s3.make(f"state-{abs(hash(tmp_path))}")
    return f"s3://{bucket}?endpoint={s3.url}&s3ForcePathStyle=true&region=us-east-1"


def error(run: Run) -> str:
    """Return the error of the one resource that failed."""
    lines = run.failed().lines("error: could not")
    (sentence,) = {line for line in lines if line.startswith("error: ")}
    assert AWS["AWS_SECRET_ACCESS_KEY"] not in run.output
    assert "Traceback" not in run.output
    return sentence


def changes(emulator: Emulator) -> list[str]:
    """Return the paths of the requests that change something."""
    return [record.path for record in emulator.requests() if record.path in CHANGING]


@SLOW
def test_an_up_that_was_killed_continues_on_another_machine(
    machine: MakeMachine, state: str, emulator: Emulator
) -> None:
    first = machine("one", backend=state)
    deployment = first.start(*UP)
    until(lambda: mid_boot(emulator))
    first.end()
    deployment.finish().failed()

    other = machine("other", backend=state, exists=True)
    other.run("cancel", "--yes").ok()
    emulator.advance(BOOT_SECONDS)
    other.up().ok()
    assert loads(emulator) == 1
    assert other.models()["gpt2"]["status"] == "RUNNING"
    other.destroy().ok()
    assert running(emulator) == {}
    assert changes(emulator) == ["/model/load", "/model/delete"]


@SLOW
def test_one_of_two_simultaneous_ups_loads_and_the_other_names_it(
    machine: MakeMachine, state: str, emulator: Emulator
) -> None:
    first = machine("one", stack="dev", backend=state)
    other = machine("other", stack="prod", backend=state)
    started = [each.start(*UP) for each in (first, other)]
    until(lambda: any(each.process.poll() is not None for each in started))
    lost, won = sorted(started, key=lambda each: each.process.poll() is None)
    sentence = error(lost.finish())
    name, stack = ("one", "dev") if won is started[0] else ("other", "prod")
    assert f"'gpt2' of stack '{stack}', kept in {state.partition('?')[0]}" in sentence
    assert f"on machine '{name}'" in sentence
    assert re.search(SINCE, sentence)

    until(lambda: mid_boot(emulator))
    emulator.advance(BOOT_SECONDS)
    won.finish().ok()
    assert (loads(emulator), running(emulator)) == (1, {GPT2: 1})


def test_the_same_stack_name_on_two_machines_is_two_stacks_and_adopt_moves_the_load(
    machine: MakeMachine, emulator: Emulator
) -> None:
    first, other = machine("one"), machine("other")
    first.up().ok()
    sentence = error(other.up())
    place = f"file://{first.folder}/backend"  # A sentence shows only its beginning.
    assert f"by 'gpt2' of stack 'dev', kept in {place[:70]}" in sentence
    assert re.search(SINCE, sentence)
    assert other.models() == {}

    other.env["BYTEZ_ADOPT"] = GPT2
    other.up().ok()
    left = first.destroy().ok().lines("was left running")
    assert any("'gpt2' of stack 'dev'" in line for line in left)
    assert running(emulator) == {GPT2: 1}
    other.destroy().ok()
    assert changes(emulator) == ["/model/load", "/model/delete"]


def test_a_bucket_that_refuses_stops_an_up_before_anything_is_sent(
    machine: MakeMachine, proxy: Proxy, journal: str, emulator: Emulator
) -> None:
    """And a destroy before it unloads; `BYTEZ_ACCEPT_NO_JOURNAL` goes on without the journal."""
    proxy.act = lambda _method, _path: 403
    only = machine("one")
    sentence = error(only.up())
    assert f"s3://{journal}/fleets, the bucket of the journal, answered HTTP 403" in sentence
    assert "BYTEZ_ACCEPT_NO_JOURNAL=1" in sentence
    assert changes(emulator) == []
    assert only.models() == {}

    only.env["BYTEZ_ACCEPT_NO_JOURNAL"] = "1"
    done = only.up().ok()
    warnings = [line for line in done.lines("could not") if line.startswith("warning: ")]
    assert len(warnings) == 1
    assert running(emulator) == {GPT2: 1}

    del only.env["BYTEZ_ACCEPT_NO_JOURNAL"]
    error(only.destroy())
    assert running(emulator) == {GPT2: 1}
    assert list(only.models()) == ["gpt2"]
    proxy.act = lambda _method, _path: None
    only.destroy().ok()
    assert running(emulator) == {}
