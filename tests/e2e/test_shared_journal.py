"""One journal in a bucket, and machines that come and go: the real CLI, an S3 server beside it."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bytez_provider.base.clock import SystemClock
from bytez_provider.core.ownership import Bucket, Ledger, Phase, Presence, StackIdentity
from bytez_provider.emulator import Emulator
from bytez_provider.service.settings import Key, Settings
from tests.e2e.conftest import KEY
from tests.e2e.stack import Run, Stack
from tests.e2e.test_interruption import BOOT, mid_boot, until
from tests.e2e.test_model import CHANGING, GPT2, ONE, loads, running
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
    """What stands before the bucket of the journal."""
    proxy = Proxy(s3.url)
    yield proxy
    proxy.close()


@pytest.fixture
def journal(s3: S3Server, tmp_path: Path) -> str:
    """A bucket of this test's own."""
    return s3.make(f"journal-{abs(hash(tmp_path))}")


@pytest.fixture
def machine(
    tmp_path: Path, emulator: Emulator, proxy: Proxy, journal: str
) -> Iterator[MakeMachine]:
    """Make a machine: a host name, a home, a disk and a working copy of its own."""
    made: list[Stack] = []

    def make(name: str, *, stack: str = "dev", backend: str = "", exists: bool = False) -> Stack:
        folder = tmp_path / name
        (folder / "tmp").mkdir(parents=True)
        # Python's own name for the machine, in each process that is started here.
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
        one = Stack(folder, env, refresh=True, name=stack, exists=exists)
        made.append(one)
        one.program(ONE.format(concurrency=1))
        return one

    yield make
    for one in made:
        one.end()


@pytest.fixture
def state(s3: S3Server, tmp_path: Path) -> str:
    """A backend in a bucket, as Pulumi spells it."""
    bucket = s3.make(f"state-{abs(hash(tmp_path))}")
    return f"s3://{bucket}?endpoint={s3.url}&s3ForcePathStyle=true&region=us-east-1"


def error(run: Run) -> str:
    """Return the one sentence with which a resource failed."""
    lines = run.failed().lines("error: could not")
    (sentence,) = {line for line in lines if line.startswith("error: ")}
    assert AWS["AWS_SECRET_ACCESS_KEY"] not in run.output
    assert "Traceback" not in run.output
    return sentence


def changes(emulator: Emulator) -> list[str]:
    """Return the requests that change something."""
    return [record.path for record in emulator.requests() if record.path in CHANGING]


@BOOT
def test_killed_on_one_machine_and_gone_on_with_on_another(
    machine: MakeMachine, state: str, emulator: Emulator
) -> None:
    one = machine("one", backend=state)
    deployment = one.start("up", "--yes", "--skip-preview")
    until(lambda: mid_boot(emulator))
    one.end()
    deployment.finish().failed()

    other = machine("other", backend=state, exists=True)
    other.run("cancel", "--yes").ok()
    emulator.advance(400)
    other.up().ok()
    assert loads(emulator) == 1
    assert other.models()["gpt2"]["status"] == "RUNNING"
    other.destroy().ok()
    assert running(emulator) == {}
    assert changes(emulator) == ["/model/load", "/model/delete"]


@BOOT
def test_killed_before_the_answer_is_gone_on_with_once_it_is_silent(
    machine: MakeMachine, state: str, emulator: Emulator
) -> None:
    """The record says that a process works on the load; on another machine only its beat tells."""
    emulator.set_faults([{"endpoint": "/model/load", "first": 1, "do": {"delaySeconds": 30}}])
    one = machine("one", backend=state)
    deployment = one.start("up", "--yes", "--skip-preview")
    until(lambda: bool(changes(emulator)))
    one.end()
    deployment.finish().failed()

    other = machine("other", backend=state, exists=True)
    other.run("cancel", "--yes").ok()
    emulator.advance(30)
    until(lambda: running(emulator) != {})
    emulator.advance(400)
    other.up().ok()
    assert loads(emulator) == 1
    assert other.models()["gpt2"]["status"] == "RUNNING"


@BOOT
def test_of_two_ups_at_once_one_loads_and_the_other_says_who_does(
    machine: MakeMachine, state: str, emulator: Emulator
) -> None:
    one = machine("one", stack="dev", backend=state)
    other = machine("other", stack="prod", backend=state)
    started = [each.start("up", "--yes", "--skip-preview") for each in (one, other)]
    until(lambda: any(each.process.poll() is not None for each in started))
    lost, won = sorted(started, key=lambda each: each.process.poll() is None)
    sentence = error(lost.finish())
    name, stack = ("one", "dev") if won is started[0] else ("other", "prod")
    assert f"'gpt2' of stack '{stack}', kept in {state.partition('?')[0]}" in sentence
    assert f"on machine '{name}'" in sentence
    assert re.search(SINCE, sentence)

    until(lambda: mid_boot(emulator))
    emulator.advance(400)
    won.finish().ok()
    assert (loads(emulator), running(emulator)) == (1, {GPT2: 1})


def test_the_same_stack_name_with_files_on_two_machines_is_another_stack(
    machine: MakeMachine, emulator: Emulator
) -> None:
    one, other = machine("one"), machine("other")
    one.up().ok()
    sentence = error(other.up())
    place = f"file://{one.folder}/backend"  # of which a sentence has no more than the start
    assert f"by 'gpt2' of stack 'dev', kept in {place[:70]}" in sentence
    assert re.search(SINCE, sentence)
    assert other.models() == {}
    other.destroy().ok()
    assert running(emulator) == {GPT2: 1}
    one.destroy().ok()
    assert changes(emulator) == ["/model/load", "/model/delete"]


def test_what_another_machine_took_over_is_left_to_it(
    machine: MakeMachine, emulator: Emulator
) -> None:
    one, other = machine("one"), machine("other", stack="prod")
    one.up().ok()
    other.env["BYTEZ_ADOPT"] = GPT2
    other.up().ok()
    destroyed = one.destroy().ok()
    lines = destroyed.lines("was left running")
    assert any("'gpt2' of stack 'prod'" in line for line in lines)
    assert running(emulator) == {GPT2: 1}
    other.destroy().ok()
    assert running(emulator) == {}
    assert loads(emulator) == 1


def test_a_bucket_that_answers_slowly_only_takes_longer(
    machine: MakeMachine, proxy: Proxy, emulator: Emulator
) -> None:
    proxy.act = lambda _method, _path: proxy.closing.wait(0.5) or None
    one = machine("one")
    one.up().ok()
    one.up().ok()
    one.destroy().ok()
    assert changes(emulator) == ["/model/load", "/model/delete"]
    assert proxy.seen != []


def test_a_bucket_that_refuses_stops_an_up_before_anything_is_sent(
    machine: MakeMachine, proxy: Proxy, journal: str, emulator: Emulator
) -> None:
    proxy.act = lambda _method, _path: 403
    one = machine("one")
    sentence = error(one.up())
    assert f"s3://{journal}/fleets, the bucket of BYTEZ_JOURNAL, answered HTTP 403" in sentence
    assert "BYTEZ_ACCEPT_NO_JOURNAL=1" in sentence
    assert changes(emulator) == []
    assert one.models() == {}

    one.env["BYTEZ_ACCEPT_NO_JOURNAL"] = "1"
    done = one.up().ok()
    warnings = [line for line in done.lines("could not") if line.startswith("warning: ")]
    assert len(warnings) == 1
    assert running(emulator) == {GPT2: 1}
    one.destroy().ok()
    assert running(emulator) == {}


def test_a_bucket_that_fails_later_unloads_nothing(
    machine: MakeMachine, proxy: Proxy, emulator: Emulator
) -> None:
    one = machine("one")
    one.up().ok()
    proxy.act = lambda _method, _path: 403
    error(one.destroy())
    assert running(emulator) == {GPT2: 1}
    assert list(one.models()) == ["gpt2"]
    proxy.act = lambda _method, _path: None
    one.destroy().ok()
    assert running(emulator) == {}


def test_who_loses_the_race_for_a_record_sends_nothing(
    machine: MakeMachine,
    proxy: Proxy,
    s3: S3Server,
    journal: str,
    emulator: Emulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Between the read and the write of one machine, another begins its load."""
    for name, value in {**AWS, "AWS_ENDPOINT_URL": s3.url}.items():
        monkeypatch.setenv(name, value)
    settings = Settings(endpoint=emulator.url, key=Key(KEY))
    ledger = Ledger(
        Bucket(f"s3://{journal}/fleets"),
        endpoint=settings.endpoint,
        account=settings.account,
        clock=SystemClock(),
        identity=lambda: StackIdentity("there", "s3://there"),
        presence=Presence(machine="there", host="runner-7"),
    )
    urn = "urn:pulumi:prod::fleet::pulumi-python:dynamic/bytez:Model::gpt2"
    with contextlib.ExitStack() as held:

        def race(method: str, _path: str) -> None:
            if method == "PUT" and ledger.record(GPT2) is None:
                held.enter_context(
                    ledger.requesting(
                        GPT2,
                        ledger.who(urn),
                        began=emulator.now(),
                        concurrency=1,
                        expiration_period_seconds=None,
                    )
                )

        proxy.act = race
        sentence = error(machine("one").up())
        assert "'gpt2' of stack 'prod', kept in s3://there is loading it, since" in sentence
        assert "on machine 'runner-7'" in sentence
        record = ledger.record(GPT2)
        assert record is not None
        assert (record.owner.urn, record.phase) == (urn, Phase.REQUESTED)
    assert changes(emulator) == []
