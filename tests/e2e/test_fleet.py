"""A `Fleet` end to end: up together, touched one by one, healed by the next `up`."""

from __future__ import annotations

import pytest

from bytez_provider.emulator import Emulator
from tests.e2e.stack import Stack
from tests.e2e.test_interruption import until
from tests.e2e.test_model import Log, running

GPT2, PHI, OPT = "openai-community/gpt2", "microsoft/phi-1", "facebook/opt-1.3b"
FLEET = """\
fleet = bytez.Fleet("chat", models={{
{models}
}}{more})
pulumi.export("statuses", fleet.statuses)
pulumi.export("ram", fleet.total_required_ram_gb)
pulumi.export("unknown", fleet.unknown_ram)
"""


def program(more: str = "", **models: str) -> str:
    """Return a program with one fleet; a model is given as `model_id` or `model_id*concurrency`."""
    lines = []
    for key, text in models.items():
        model_id, _, concurrency = text.partition("*")
        lines.append(
            f'    "{key}": bytez.ModelArgs(model_id="{model_id}", concurrency={concurrency or 1}),'
        )
    return FLEET.format(models="\n".join(lines), more=more)


def test_life_of_a_fleet(stack: Stack, emulator: Emulator) -> None:
    """One change touches one model; destroy leaves nothing."""
    log = Log(emulator)
    stack.program(program(gpt2=GPT2, phi=f"{PHI}*2"))
    stack.preview().ok()
    assert log.new() == []
    stack.up().ok()
    assert sorted(log.new()) == ["/model/load"] * 2
    assert running(emulator) == {GPT2: 1, PHI: 2}
    assert sorted(stack.models()) == ["chat-gpt2", "chat-phi"]
    assert "status" not in stack.models()["chat-phi"]
    outputs = stack.outputs()
    assert outputs["statuses"] == {"gpt2": "RUNNING", "phi": "RUNNING"}
    assert outputs["ram"] == pytest.approx(0.5 + 2 * 9.16)
    assert outputs["unknown"] == []

    assert "unchanged" in stack.up().ok().output
    assert log.new() == []

    emulator.advance(60)
    stack.program(program(gpt2=GPT2, phi=f"{PHI}*2", opt=OPT))
    stack.up().ok()
    assert log.new() == ["/model/load"]

    emulator.advance(60)
    stack.program(program(gpt2=f"{GPT2}*3", phi=f"{PHI}*2", opt=OPT))
    stack.up().ok()
    assert log.new() == ["/model/delete", "/model/load"]
    assert running(emulator) == {GPT2: 3, PHI: 2, OPT: 1}

    stack.program(program(gpt2=f"{GPT2}*3", opt=OPT))
    stack.up().ok()
    assert log.new() == ["/model/delete"]
    assert running(emulator) == {GPT2: 3, OPT: 1}

    stack.destroy().ok()
    assert running(emulator) == {}


def test_a_model_that_fails_to_boot(stack: Stack, emulator: Emulator) -> None:
    """The others stay, it is named and unloaded, and the next `up` loads it alone."""
    emulator.set_faults([{"model": PHI, "do": {"boot": "failed", "error": "out of memory"}}])
    stack.program(program(gpt2=GPT2, phi=PHI, opt=OPT))
    failed = stack.up().failed()
    assert "1 of 3 models did not come up" in failed.output
    assert f"'{PHI}' reported FAILED: \"out of memory\", and was unloaded" in failed.output
    assert "Traceback" not in failed.output
    assert running(emulator) == {GPT2: 1, OPT: 1}
    emulator.set_faults([])
    log = Log(emulator)
    log.new()
    stack.up().ok()
    assert log.new() == ["/model/load"]
    assert running(emulator) == {GPT2: 1, PHI: 1, OPT: 1}


def test_a_model_that_outlives_the_limit(stack: Stack, emulator: Emulator) -> None:
    """Named, in state, and waited for by the next `up`."""
    emulator.set_faults([{"model": PHI, "do": {"boot": "never"}}])
    timeouts = ", opts=pulumi.ResourceOptions(custom_timeouts=pulumi.CustomTimeouts(create='3s'))"
    stack.program(program(timeouts, gpt2=GPT2, phi=PHI))
    failed = stack.up().failed()
    assert f"'{PHI}' was still DEPLOYING after 3s, and stays" in failed.output
    assert sorted(stack.models()) == ["chat-gpt2", "chat-phi"]
    assert running(emulator) == {GPT2: 1, PHI: 1}
    emulator.set_faults([])
    log = Log(emulator)
    log.new()
    stack.up().failed()
    assert log.new() == []


@pytest.mark.parametrize("emulator", [400], indirect=True)
def test_ctrl_c_in_mid_boot(stack: Stack, emulator: Emulator) -> None:
    """All is in state, and the next `up` waits it out without a load."""
    stack.program(program(gpt2=GPT2, phi=PHI))
    deployment = stack.start("up", "--yes", "--skip-preview")
    until(lambda: any(r.path == "/model/instances" for r in emulator.requests()))
    deployment.interrupt()
    deployment.finish().failed()
    assert sorted(stack.models()) == ["chat-gpt2", "chat-phi"]
    emulator.advance(400)
    log = Log(emulator)
    log.new()
    stack.up().ok()
    assert log.new() == []
    assert stack.outputs()["statuses"] == {"gpt2": "RUNNING", "phi": "RUNNING"}


@pytest.mark.parametrize("emulator", [400], indirect=True)
def test_destroy_in_mid_boot(stack: Stack, emulator: Emulator) -> None:
    """What is still booting is unloaded."""
    stack.program(program(gpt2=GPT2, phi=PHI))
    deployment = stack.start("up", "--yes", "--skip-preview")
    until(lambda: any(r.path == "/model/instances" for r in emulator.requests()))
    deployment.interrupt()
    deployment.finish()
    stack.destroy().ok()
    assert running(emulator) == {}


@pytest.mark.parametrize("emulator", [400], indirect=True)
def test_unloaded_by_somebody_else_in_mid_boot(stack: Stack, emulator: Emulator) -> None:
    """It is named; the next `up` loads it alone."""
    stack.program(program(gpt2=GPT2, phi=PHI))
    deployment = stack.start("up", "--yes", "--skip-preview")
    until(lambda: any(r.path == "/model/instances" for r in emulator.requests()))
    emulator.advance(100)
    emulator.unload_by_somebody_else(PHI)
    emulator.advance(300)
    failed = deployment.finish().failed()
    assert f"'{PHI}' is not loaded any more" in failed.output
    log = Log(emulator)
    log.new()
    healing = stack.start("up", "--yes", "--skip-preview")
    until(lambda: log.new() == ["/model/load"])
    emulator.advance(400)
    healing.finish().ok()
    assert running(emulator) == {GPT2: 1, PHI: 1}


def test_expired_member_is_healed_alone(stack: Stack, emulator: Emulator) -> None:
    """Idle expiry of one, found and healed by the next `up`."""
    stack.program(program(gpt2=GPT2, phi=PHI))
    stack.up().ok()
    emulator.unload_by_somebody_else(PHI)
    log = Log(emulator)
    log.new()
    stack.up().ok()
    assert log.new() == ["/model/load"]
    assert running(emulator) == {GPT2: 1, PHI: 1}
