"""What a person sees on the command line when something is wrong: one sentence of ours."""

from __future__ import annotations

import re

import pytest

from bytez_provider.emulator import Emulator
from tests.e2e.stack import Run, Stack
from tests.e2e.test_model import GPT2, ONE, running

FORM = re.compile(r"error: could not [a-z ]+( '[^']+')?: .+\. .+\. .+\.$")
TIMEOUTS = (
    "pulumi.ResourceOptions(custom_timeouts="
    "pulumi.CustomTimeouts(create='2s', update='2s', delete='2s'))"
)


def sentence(run: Run) -> str:
    """Return our one line under Diagnostics, after the checks that hold for every error."""
    run.failed()
    diagnostics = run.stdout.split("Diagnostics:")[1]
    ours = [line.strip() for line in diagnostics.splitlines() if "could not" in line]
    assert len(ours) == 1, diagnostics
    assert "bytez_provider" not in run.output, "a frame of ours is shown"
    assert "Traceback" not in "".join(run.lines("bytez")), run.output
    assert FORM.match(ours[0]), ours[0]
    return ours[0].removeprefix("error: ")


def test_no_key(stack: Stack, emulator: Emulator) -> None:
    """Both ways to set one are named."""
    stack.env.pop("BYTEZ_KEY")
    stack.program(ONE.format(concurrency=1))
    stack.preview().ok()
    said = sentence(stack.up())
    assert "no API key is set" in said
    assert "pulumi config set --secret bytez:key" in said
    assert "BYTEZ_KEY" in said
    assert emulator.requests() == []


def test_bad_key(stack: Stack, emulator: Emulator) -> None:
    """The server's word is shown, the key is not."""
    stack.env["BYTEZ_KEY"] = "not-the-key-of-this-server"
    stack.program(ONE.format(concurrency=1))
    said = sentence(stack.up())
    assert "401" in said
    assert "not-the-key" not in said
    assert running(emulator) == {}


def test_plain_text_key(stack: Stack, emulator: Emulator) -> None:
    """Refused by the program, with the command that mends it."""
    stack.run("config", "set", "--plaintext", "bytez:key", "some-key-in-plain-text").ok()
    stack.program(ONE.format(concurrency=1))
    said = sentence(stack.preview())
    assert "plain text" in said
    assert "pulumi config set --secret bytez:key" in said
    assert "some-key-in-plain-text" not in said
    assert emulator.requests() == []


def test_endpoint_not_trusted(stack: Stack, emulator: Emulator) -> None:
    """A pull request cannot send the key of the environment elsewhere."""
    stack.run("config", "set", "bytez:endpoint", "https://elsewhere.example").ok()
    stack.program(ONE.format(concurrency=1))
    said = sentence(stack.preview())
    assert "https://elsewhere.example" in said
    assert "BYTEZ_TRUSTED_ENDPOINTS" in said
    assert emulator.requests() == []


def test_unreachable_endpoint(stack: Stack, emulator: Emulator) -> None:
    """Nothing listens there."""
    stack.program(ONE.format(concurrency=1))
    emulator.stop()
    said = sentence(stack.up())
    assert said.startswith(f"could not load '{GPT2}': ")
    assert "Nothing was changed" in said


def test_unknown_model_is_found_at_preview(stack: Stack, emulator: Emulator) -> None:
    """With the nearest names."""
    stack.program('bytez.Model("m", model_id="openai-community/gpt-2")')
    failed = stack.preview().failed()
    assert "'openai-community/gpt-2' is not in the Bytez catalogue" in failed.output
    assert f"'{GPT2}'" in failed.output
    assert "Traceback" not in failed.output
    assert running(emulator) == {}


@pytest.mark.parametrize("concurrency", ["0", "2.5", "True", "'2'"])
def test_bad_concurrency_is_found_at_preview(
    stack: Stack, emulator: Emulator, concurrency: str
) -> None:
    """With what it should be."""
    stack.program(ONE.format(concurrency=concurrency))
    failed = stack.preview().failed()
    assert "must be a whole number of at least 1" in failed.output
    assert "Traceback" not in failed.output
    assert running(emulator) == {}


def test_boot_that_fails(stack: Stack, emulator: Emulator) -> None:
    """The server's reason is shown, and nothing is left running."""
    emulator.set_faults(
        [{"endpoint": "/model/load", "do": {"boot": "failed", "error": "out of GPU memory"}}]
    )
    stack.program(ONE.format(concurrency=1))
    said = sentence(stack.up())
    assert "out of GPU memory" in said
    assert "nothing is left running" in said
    assert running(emulator) == {}


def test_boot_past_its_limit(stack: Stack, emulator: Emulator) -> None:
    """The user's own `customTimeouts`; then it is unloaded."""
    emulator.set_faults([{"endpoint": "/model/load", "do": {"boot": "never"}}])
    stack.program(f'bytez.Model("m", model_id="{GPT2}", opts={TIMEOUTS})')
    said = sentence(stack.up())
    assert "not RUNNING within 2s" in said
    assert "customTimeouts" in said
    assert "nothing is left running" in said
    assert running(emulator) == {}


def test_failed_replacement_says_that_the_old_one_is_gone(stack: Stack, emulator: Emulator) -> None:
    """The reader must know that nothing serves now."""
    stack.program(ONE.format(concurrency=1))
    stack.up().ok()
    emulator.advance(60)
    emulator.set_faults([{"endpoint": "/model/load", "do": {"boot": "failed", "error": "no"}}])
    stack.program(ONE.format(concurrency=2))
    assert "The old one is already unloaded" in sentence(stack.up())
    assert running(emulator) == {}


def test_html_from_a_gateway(stack: Stack, emulator: Emulator) -> None:
    """Only the page's title is shown."""
    page = "<html><head><title>Bad Gateway\x1b[31m</title></head><body>nginx</body></html>"
    emulator.set_faults(
        [{"endpoint": "/model/status", "do": {"respond": {"status": 418, "body": page}}}]
    )
    stack.program(ONE.format(concurrency=1))
    said = sentence(stack.up())
    assert "HTML" in said
    assert "<" not in said
    assert "\x1b" not in said
