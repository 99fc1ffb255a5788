"""The API of 2025, whose loads are changed while they run."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bytez_provider.emulator import Emulator
from bytez_provider.emulator.rules import ClusterRules
from bytez_provider.service.client import BytezClient
from bytez_provider.service.settings import Key, Settings
from tests.e2e.conftest import KEY
from tests.e2e.helpers import GPT2, PHI, bytez_fleet
from tests.e2e.stack import Stack, YamlStack

BOOT_SECONDS = 2
EVERY_SECONDS = 0.1


def in_python(concurrency: int, model_id: str = GPT2) -> str:
    return f'bytez.Model("m", model_id="{model_id}", concurrency={concurrency})'


def in_yaml(concurrency: int, model_id: str = GPT2) -> str:
    properties = f"{{modelId: {model_id}, concurrency: {concurrency}}}"
    return f"resources:\n  m: {{type: bytez:Model, properties: {properties}}}"


FACES = [
    pytest.param((Stack, in_python), id="python"),
    pytest.param((YamlStack, in_yaml), id="yaml"),
]
Face = tuple[type[Stack], Callable[..., str]]


@pytest.fixture
def emulator(request: pytest.FixtureRequest) -> Iterator[Emulator]:
    """An emulator whose time passes; a test may give the rules of clusters."""
    rules = ClusterRules(**getattr(request, "param", {}))
    with Emulator(keys=(KEY,), boot_seconds=BOOT_SECONDS, clusters=rules) as running:
        yield running


@pytest.fixture(params=FACES)
def stack(request: pytest.FixtureRequest, tmp_path: Path, emulator: Emulator) -> Iterator[Stack]:
    """A stack of either face that uses the API of 2025."""
    kind, _ = request.param
    stack: Stack = kind(tmp_path, {"BYTEZ_KEY": KEY, "BYTEZ_ENDPOINT": emulator.url}, refresh=False)
    stack.run("config", "set", "bytez:apiVersion", "2025-04").ok()
    yield stack
    stack.end()


@pytest.fixture
def program(request: pytest.FixtureRequest) -> Callable[..., str]:
    """Write a program of that face."""
    written: Callable[..., str] = request.node.callspec.params["stack"][1]
    return written


def changes(emulator: Emulator) -> list[str]:
    """Return the method of each request that changed something."""
    return [one.method for one in emulator.requests() if one.method not in ("GET", "POST")]


@contextmanager
def used(emulator: Emulator) -> Iterator[list[str]]:
    """Run a model all the time; yield what failed."""
    client = BytezClient(Settings(emulator.url, "2025-04", Key(KEY)))
    failures: list[str] = []
    answers: list[str] = []
    ended = threading.Event()

    def use() -> None:
        while not ended.wait(EVERY_SECONDS):
            try:
                answers.append("".join(client.run(GPT2, "Hello", stream=False)))
            except Exception as error:  # noqa: BLE001 - any error is a failure to serve
                failures.append(str(error))

    thread = threading.Thread(target=use)
    thread.start()
    try:
        yield failures
    finally:
        ended.set()
        thread.join()
        client.close()
    assert len(answers) > 10


def test_concurrency_is_changed_in_place_while_the_model_serves(
    stack: Stack, program: Callable[..., str], emulator: Emulator
) -> None:
    stack.program(program(1))
    stack.up().ok()
    stack.program(program(3))
    preview = stack.preview().ok()
    assert "replace" not in preview.output
    shown = bytez_fleet(stack, "review", "--stack", "dev", "--json")
    assert shown.returncode == 0, shown.stderr
    review = json.loads(shown.stdout)
    (model,) = review["models"]
    assert (model["action"], model["unavailableMinutes"]) == ("rescale", 0)
    with used(emulator) as failures:
        stack.up().ok()
    assert failures == []
    assert changes(emulator) == ["PUT", "PATCH"]
    (instance,) = emulator.instances()
    assert instance["capacity"]["min"] == 3
    requests = len(emulator.requests())
    stack.up().ok()
    assert [one.method for one in emulator.requests()[requests:] if one.method != "GET"] == []
    stack.destroy().ok()
    assert emulator.instances() == []
    assert changes(emulator) == ["PUT", "PATCH", "DELETE"]


def test_another_model_is_a_replacement(
    stack: Stack, program: Callable[..., str], emulator: Emulator
) -> None:
    stack.program(program(1))
    stack.up().ok()
    stack.program(program(1, PHI))
    stack.up().ok()
    assert changes(emulator) == ["PUT", "DELETE", "PUT"]


def test_a_stack_that_changes_the_version_is_told_before_anything_is_sent(
    stack: Stack, program: Callable[..., str], emulator: Emulator
) -> None:
    stack.run("config", "set", "bytez:apiVersion", "2024-06").ok()
    stack.program(program(1))
    stack.up().ok()
    stack.run("config", "set", "bytez:apiVersion", "2025-04").ok()
    said = stack.preview().ok()
    assert said.lines("bytez:apiVersion has changed since")
    assert changes(emulator) == []
    stack.program(program(2))
    stack.up().ok()
    assert changes(emulator) == ["PATCH"]


def test_a_range_needs_the_version_that_has_one(
    stack: Stack, program: Callable[..., str], emulator: Emulator
) -> None:
    stack.run("config", "set", "bytez:apiVersion", "2024-06").ok()
    written = program(1).replace("concurrency=1", "max_concurrency=2")
    stack.program(written.replace("concurrency: 1", "maxConcurrency: 2"))
    assert "needs bytez:apiVersion 2025-04" in stack.preview().failed().output
    assert emulator.instances() == []


FLEET = """
fleet = bytez.Fleet("chat", models={{
    "gpt2": bytez.ModelArgs(model_id="openai-community/gpt2", concurrency={}),
    "phi": bytez.ModelArgs(model_id="microsoft/phi-1", concurrency=0, max_concurrency=4),
}})
pulumi.export("statuses", fleet.statuses)
"""


@pytest.mark.parametrize("emulator", [{"idle": "stops"}], indirect=True)
def test_a_fleet_is_rescaled_and_started_again_in_place(tmp_path: Path, emulator: Emulator) -> None:
    stack = Stack(tmp_path, {"BYTEZ_KEY": KEY, "BYTEZ_ENDPOINT": emulator.url}, refresh=True)
    try:
        stack.run("config", "set", "bytez:apiVersion", "2025-04").ok()
        stack.program(FLEET.format(1))
        stack.up().ok()
        stack.program(FLEET.format(2))
        stack.up().ok()
        emulator.advance(3600)
        assert {one["modelId"]: one["instances"] for one in emulator.instances()} == {
            GPT2: 0,
            PHI: 0,
        }
        assert "OFF" in stack.run("refresh", "--yes", "--skip-preview", "--diff").ok().output
        stack.up().ok()
        assert changes(emulator) == ["PUT", "PUT", "PATCH", "PATCH"]
        outputs = stack.run("stack", "output", "statuses", "--json").ok().stdout
        assert json.loads(outputs) == {"gpt2": "RUNNING", "phi": "RUNNING"}
        again = stack.preview().ok()
        assert "unchanged" in again.output
        assert not again.lines("to update")
        stack.destroy().ok()
        assert emulator.instances() == []
    finally:
        stack.end()
