"""What the command line shows if something is wrong: one sentence, and nothing was changed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bytez_provider.emulator import Emulator
from tests.e2e.conftest import KEY
from tests.e2e.helpers import GPT2, one, running, sentence
from tests.e2e.stack import Stack

PLAIN_KEY = "key-in-plain-text-0123"


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Emulator(keys=(KEY,), clock="manual", boot_seconds=0) as running:
        yield running


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, emulator: Emulator) -> Iterator[Stack]:
    """One stack for all: nothing here may leave anything in it."""
    env = {"BYTEZ_KEY": KEY, "BYTEZ_ENDPOINT": emulator.url}
    stack = Stack(tmp_path_factory.mktemp("stack"), env, refresh=True)
    yield stack
    stack.end()


@pytest.fixture
def stack(shared: Stack, emulator: Emulator) -> Iterator[Stack]:
    """The stack as it was made; afterwards no model may be loaded or in state."""
    emulator.reset()
    files = {file: file.read_text() for file in shared.project.glob("Pulumi*.yaml")}
    env = dict(shared.env)
    shared.program(one())
    yield shared
    shared.env.clear()
    shared.env.update(env)
    for file, text in files.items():
        file.write_text(text)
    assert (running(emulator), shared.models()) == ({}, {})


def configure(stack: Stack, name: str, value: str) -> None:
    """Set plain config, as `pulumi config set --plaintext` does."""
    with (stack.project / "Pulumi.dev.yaml").open("a") as file:
        file.write(f"config:\n  {name}: {value}\n")


def test_no_key(stack: Stack, emulator: Emulator) -> None:
    """Both ways to set one are named; a preview needs none."""
    stack.env.pop("BYTEZ_KEY")
    stack.preview().ok()
    error = sentence(stack.up())
    assert "pulumi config set --secret bytez:key" in error
    assert "BYTEZ_KEY" in error
    assert emulator.requests() == []


def test_plain_text_key(stack: Stack, emulator: Emulator) -> None:
    configure(stack, "bytez:key", PLAIN_KEY)
    error = sentence(stack.preview())
    assert "pulumi config set --secret bytez:key" in error
    assert PLAIN_KEY not in error
    assert emulator.requests() == []


@pytest.mark.parametrize("where", ["project", "command"])
def test_plain_text_key_of_the_project_or_the_command(
    stack: Stack, emulator: Emulator, where: str
) -> None:
    file = stack.project / "Pulumi.yaml"
    if where == "project":
        config = f"config: {{'bytez:key': {{value: {PLAIN_KEY}}}}}\n"
        file.write_text(file.read_text() + config)
    error = sentence(stack.up(*(["-c", f"bytez:key={PLAIN_KEY}"] if where == "command" else [])))
    assert "bytez:key is set in plain text" in error
    assert PLAIN_KEY not in error
    assert emulator.requests() == []


def test_endpoint_not_trusted(stack: Stack, emulator: Emulator) -> None:
    """A pull request cannot send the key of the environment elsewhere."""
    configure(stack, "bytez:endpoint", "https://elsewhere.example")
    error = sentence(stack.preview())
    assert "https://elsewhere.example" in error
    assert "BYTEZ_TRUSTED_ENDPOINTS" in error
    assert emulator.requests() == []


@pytest.mark.parametrize("disabled", [False, True])
def test_a_provider_of_its_own_gets_no_settings(
    stack: Stack, emulator: Emulator, *, disabled: bool
) -> None:
    """A key from the environment must not go to the default address."""
    configure(stack, "bytez:endpoint", stack.env.pop("BYTEZ_ENDPOINT"))
    if disabled:
        stack.run("config", "set", "--path", "pulumi:disable-default-providers[0]", "*").ok()
    stack.program(
        "own = pulumi.ProviderResource('pulumi-python', 'own', {})\n"
        f"bytez.Model('gpt2', model_id='{GPT2}', opts=pulumi.ResourceOptions(provider=own))"
    )
    error = sentence(stack.up())
    assert ("it has its own provider" in error) is not disabled
    assert "pulumi-python" in error
    assert emulator.requests() == []


def test_a_relative_journal(stack: Stack, emulator: Emulator) -> None:
    """It would be another folder for each command; `bytez-fleet doctor` refuses it as well."""
    stack.env["BYTEZ_JOURNAL"] = ".journal"
    assert "the journal is set to '.journal', which is a relative folder" in sentence(stack.up())
    assert emulator.requests("/model/load") == []


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ('model_id="openai-community/gpt-2"', f"did you mean '{GPT2}'"),
        (f'model_id="{GPT2}", concurrency=0', "must be a whole number of at least 1"),
    ],
)
def test_a_mistake_in_an_input_is_found_at_preview(
    stack: Stack, arguments: str, error: str
) -> None:
    stack.program(f'bytez.Model("m", {arguments})')
    failed = stack.preview().failed()
    assert error in failed.output
    assert "Traceback" not in failed.output


def test_a_mistake_in_a_fleet_file_is_found_at_preview(stack: Stack) -> None:
    file = stack.project / "fleet.yaml"
    file.write_text(f"models:\n  gpt2: {{modelId: {GPT2}, hours: 8}}\n")
    stack.program('bytez.Fleet.from_yaml("batch", "fleet.yaml")')
    error = sentence(stack.preview())
    assert error.startswith("could not read 'fleet.yaml': fleet.yaml:2: ")


def test_a_boot_that_fails(stack: Stack, emulator: Emulator) -> None:
    """The service's reason is shown, and nothing is left running."""
    boot = {"boot": "failed", "error": "out of GPU memory"}
    emulator.set_faults([{"endpoint": "/model/load", "do": boot}])
    error = sentence(stack.up())
    assert "out of GPU memory" in error
    assert "nothing is left running" in error


def test_a_boot_past_its_limit(stack: Stack, emulator: Emulator) -> None:
    """The engine passes on the user's own `customTimeouts`; then the model is unloaded."""
    emulator.set_faults([{"endpoint": "/model/load", "do": {"boot": "never"}}])
    timeouts = "custom_timeouts=pulumi.CustomTimeouts(create='2s')"
    stack.program(f'bytez.Model("m", model_id="{GPT2}", opts=pulumi.ResourceOptions({timeouts}))')
    error = sentence(stack.up())
    assert "not RUNNING within 2s" in error
    assert "nothing is left running" in error


def test_a_slip_in_the_name_of_a_setting(stack: Stack) -> None:
    """It would be ignored, and the key would go to another address."""
    stack.run("config", "set", "bytez:endpont", "http://127.0.0.1:9").ok()
    stack.program(one())
    assert "bytez:endpont is not a setting, and bytez:endpoint is" in sentence(stack.preview())


def test_each_request_is_in_pulumis_log_if_it_is_asked_for(stack: Stack) -> None:
    stack.program(one())
    stack.env["BYTEZ_LOG"] = "debug"
    shown = stack.run("up", "--yes", "--skip-preview", "--debug").ok()
    assert shown.lines("POST /model/load")
    assert stack.env["BYTEZ_KEY"] not in shown.output
    assert not stack.run("up", "--yes", "--skip-preview").ok().lines("POST /model/status")
    stack.destroy().ok()
