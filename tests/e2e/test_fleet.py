"""A `Fleet` end to end: up together, touched one by one, healed by the next `up`."""

from __future__ import annotations

import textwrap

import pytest

from bytez_provider.emulator import Emulator
from tests.e2e.stack import Running, Stack
from tests.e2e.test_errors import sentence
from tests.e2e.test_interruption import until
from tests.e2e.test_model import CHANGING, running

GPT2, PHI, OPT = "openai-community/gpt2", "microsoft/phi-1", "facebook/opt-1.3b"
BOOT_SECONDS = 400
SLOW = pytest.mark.parametrize("emulator", [BOOT_SECONDS], indirect=True)
LOAD, DELETE, LISTS = "/model/load", "/model/delete", "/model/instances"
FLEET = """\
fleet = bytez.Fleet("chat", models={{
{models}
}}{more})
pulumi.export("statuses", fleet.statuses)
pulumi.export("ram", fleet.total_required_ram_gb)
pulumi.export("unknown", fleet.unknown_ram)
"""


def program(more: str = "", **models: str) -> str:
    """Return a program with one fleet; a model is given as its id and its other arguments."""
    lines = []
    for key, text in models.items():
        model_id, _, given = text.partition(", ")
        lines.append(f'    "{key}": bytez.ModelArgs(model_id="{model_id}", {given}),')
    return FLEET.format(models="\n".join(lines), more=more)


def within(limit: str) -> str:
    """Return the fleet's argument for a limit of its own."""
    timeouts = f"pulumi.CustomTimeouts(create='{limit}', update='{limit}')"
    return f", opts=pulumi.ResourceOptions(custom_timeouts={timeouts})"


class Log:
    """The requests since the last look that change something, and which model they change."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._seen = len(emulator.requests())

    def new(self) -> list[tuple[str, str | None]]:
        """Return the changes since the last call, in order."""
        fresh = asked(self._emulator, self._seen)
        self._seen += len(fresh)
        return [one for one in fresh if one[0] in CHANGING]


def boot(stack: Stack, emulator: Emulator, *, loads: int) -> Running:
    """Start an `up`, and return when the readiness waits for what that loads, if it is many."""
    seen, lists = len(emulator.requests(LOAD)), len(emulator.requests(LISTS))
    deployment = stack.start("up", "--yes", "--skip-preview")
    until(lambda: len(emulator.requests(LOAD)) == seen + loads)
    if loads > 1:  # Where one alone is waited for, no list is asked.
        until_looked(emulator, lists)
    return deployment


def asked(emulator: Emulator, seen: int) -> list[tuple[str, str | None]]:
    """Return path and model of each request after the first `seen`."""
    return [(record.path, record.model) for record in emulator.requests()[seen:]]


def until_looked(emulator: Emulator, lists: int) -> None:
    """Return when somebody who waits has looked, twice, after so many lists."""
    until(lambda: len(emulator.requests(LISTS)) >= lists + 2)


def ready(stack: Stack) -> list[str]:
    """Return the names of the readiness resources in state."""
    resources = stack.export().get("resources", [])
    return [one["urn"].split("::")[-1] for one in resources if one["type"].endswith(":Readiness")]


def test_life_of_a_fleet(stack: Stack, emulator: Emulator) -> None:
    """Loaded at once, waited for, unchanged, destroyed."""
    log = Log(emulator)
    stack.program(program(gpt2=GPT2, phi=f"{PHI}, concurrency=2"))
    stack.preview().ok()
    assert log.new() == []
    stack.up().ok()
    assert sorted(log.new(), key=str) == [(LOAD, PHI), (LOAD, GPT2)]
    assert running(emulator) == {GPT2: 1, PHI: 2}
    models = stack.models()
    assert sorted(models) == ["chat-gpt2", "chat-phi"]
    assert "status" not in models["chat-phi"]
    outputs = stack.outputs()
    assert outputs["statuses"] == {"gpt2": "RUNNING", "phi": "RUNNING"}
    assert outputs["ram"] == pytest.approx(0.5 + 2 * 9.16)
    assert outputs["unknown"] == []

    assert "5 unchanged" in stack.up().ok().output
    assert log.new() == []

    stack.destroy().ok()
    assert sorted(log.new(), key=str) == [(DELETE, PHI), (DELETE, GPT2)]
    assert running(emulator) == {}


def test_one_added_and_one_removed_touch_that_alone(stack: Stack, emulator: Emulator) -> None:
    """The others are neither loaded nor unloaded, and are in the statuses all the same."""
    stack.program(program(gpt2=GPT2, phi=PHI))
    stack.up().ok()
    log = Log(emulator)
    stack.program(program(gpt2=GPT2, phi=PHI, opt=OPT))
    stack.up().ok()
    assert log.new() == [(LOAD, OPT)]
    stack.program(program(gpt2=GPT2, opt=OPT))
    stack.up().ok()
    assert log.new() == [(DELETE, PHI)]
    assert stack.outputs()["statuses"] == {"gpt2": "RUNNING", "opt": "RUNNING"}
    assert running(emulator) == {GPT2: 1, OPT: 1}


def test_one_changed_touches_that_alone(stack: Stack, emulator: Emulator) -> None:
    """The preview says that it is an outage, and sends nothing."""
    stack.program(program(gpt2=GPT2, phi=PHI))
    stack.up().ok()
    emulator.advance(60)
    log = Log(emulator)
    stack.program(program(gpt2=f"{GPT2}, concurrency=3", phi=PHI))
    shown = stack.preview().ok().output
    assert f"'{GPT2}' cannot be changed in place" in shown
    assert "nothing serves until the new load has booted" in shown
    assert log.new() == []
    stack.up().ok()
    assert log.new() == [(DELETE, GPT2), (LOAD, GPT2)]
    assert running(emulator) == {GPT2: 3, PHI: 1}


def test_a_fleet_from_a_file(stack: Stack, emulator: Emulator) -> None:
    """With its overlay; a mistake in it is one sentence at preview."""
    file = stack.project / "fleet.yaml"
    (stack.project / "fleet.prod.yaml").write_text("models:\n  phi: {concurrency: 3}\n")
    file.write_text(
        textwrap.dedent(
            f"""\
            defaults: {{concurrency: 2}}
            models:
              gpt2: {{modelId: {GPT2}}}
              phi: {{modelId: {PHI}}}
            """
        )
    )
    stack.program('bytez.Fleet.from_yaml("batch", "fleet.yaml", environment="prod")')
    stack.up().ok()
    assert running(emulator) == {GPT2: 2, PHI: 3}
    assert sorted(stack.models()) == ["batch-gpt2", "batch-phi"]
    assert ready(stack) == ["batch-ready"]

    file.write_text(file.read_text() + "  tales: {modelId: roneneldan/TinyStories-8M, hours: 8}\n")
    said = sentence(stack.preview())
    assert said.startswith("could not read 'fleet.yaml': fleet.yaml:5: ")


def test_one_that_fails_to_boot(stack: Stack, emulator: Emulator) -> None:
    """The others stay, it is named and unloaded, and the next `up` loads it alone."""
    emulator.set_faults([{"model": PHI, "do": {"boot": "failed", "error": "out of memory"}}])
    stack.program(program(gpt2=GPT2, phi=PHI, opt=OPT))
    assert sentence(stack.up()) == (
        f"could not bring up the fleet 'chat': 1 of 3 models did not come up: '{PHI}' reported "
        'FAILED: "out of memory", and was unloaded. The other 2 are left as before. Run '
        "`pulumi up --refresh`: it loads the missing models and waits for the others."
    )
    assert running(emulator) == {GPT2: 1, OPT: 1}
    emulator.set_faults([])
    log = Log(emulator)
    stack.up().ok()
    assert log.new() == [(LOAD, PHI)]
    assert stack.outputs()["statuses"] == dict.fromkeys(("gpt2", "phi", "opt"), "RUNNING")


@SLOW
def test_one_that_outlives_the_limit(stack: Stack, emulator: Emulator) -> None:
    """Named, in state, and picked up by the next `up` without a load."""
    stack.program(program(gpt2=GPT2))
    deployment = stack.start("up", "--yes", "--skip-preview")
    until(lambda: len(emulator.requests("/model/status")) > 2)
    emulator.advance(BOOT_SECONDS)
    deployment.finish().ok()

    stack.program(program(within("3s"), gpt2=GPT2, phi=PHI))
    said = sentence(stack.up())
    assert (
        f"1 of 2 models did not come up: '{PHI}' was still DEPLOYING after 3s, and is left to boot"
        in said
    )
    assert sorted(stack.models()) == ["chat-gpt2", "chat-phi"]
    assert running(emulator) == {GPT2: 1, PHI: 1}

    emulator.advance(BOOT_SECONDS)
    log = Log(emulator)
    stack.up().ok()
    assert log.new() == []
    assert stack.outputs()["statuses"] == {"gpt2": "RUNNING", "phi": "RUNNING"}


@SLOW
def test_one_expires_while_others_boot(stack: Stack, emulator: Emulator) -> None:
    """It has been up, so the fleet is ready, with a warning; the next `up` loads it alone."""
    late = {"endpoint": LOAD, "model": PHI, "first": 1, "do": {"delaySeconds": 300}}
    emulator.set_faults([late])
    stack.program(program(gpt2=f"{GPT2}, expiration_period_seconds=60", phi=PHI))
    deployment = stack.start("up", "--yes", "--skip-preview")
    until(lambda: len(emulator.requests(LOAD)) == 2 and running(emulator) == {GPT2: 1})
    emulator.advance(300)
    until_looked(emulator, 0)
    # The first is RUNNING now. Once that has been seen only the other is asked for.
    emulator.advance(100)
    seen = len(emulator.requests())
    until(lambda: ("/model/status", PHI) in asked(emulator, seen))
    emulator.advance(61)
    assert running(emulator) == {PHI: 1}
    emulator.advance(BOOT_SECONDS)
    done = deployment.finish().ok()
    assert f"'{GPT2}' was RUNNING, and expired before the others were ready" in done.output
    assert stack.outputs()["statuses"] == {"gpt2": "NOT_LOADED", "phi": "RUNNING"}

    log = Log(emulator)
    healing = boot(stack, emulator, loads=1)
    emulator.advance(BOOT_SECONDS)
    healing.finish().ok()
    assert log.new() == [(LOAD, GPT2)]
    assert running(emulator) == {GPT2: 1, PHI: 1}


@SLOW
def test_one_unloaded_by_somebody_else_in_mid_boot(stack: Stack, emulator: Emulator) -> None:
    """It is named, and the next `up` loads it alone."""
    stack.program(program(gpt2=GPT2, phi=PHI))
    deployment = boot(stack, emulator, loads=2)
    emulator.advance(100)
    emulator.unload_by_somebody_else(PHI)
    emulator.advance(300)
    said = sentence(deployment.finish())
    assert f"'{PHI}' is no longer loaded. The other one is left as before." in said

    log = Log(emulator)
    healing = boot(stack, emulator, loads=1)
    emulator.advance(BOOT_SECONDS)
    healing.finish().ok()
    assert log.new() == [(LOAD, PHI)]
    assert running(emulator) == {GPT2: 1, PHI: 1}


@SLOW
def test_ctrl_c_in_mid_boot(stack: Stack, emulator: Emulator) -> None:
    """All is in state, and the next `up` waits it out without a load."""
    stack.program(program(gpt2=GPT2, phi=PHI))
    deployment = boot(stack, emulator, loads=2)
    deployment.interrupt()
    deployment.finish().failed()
    assert sorted(stack.models()) == ["chat-gpt2", "chat-phi"]
    assert ready(stack) == ["chat-ready"]
    assert "pending_operations" not in stack.export()

    emulator.advance(BOOT_SECONDS)
    log = Log(emulator)
    stack.up().ok()
    assert log.new() == []
    assert stack.outputs()["statuses"] == {"gpt2": "RUNNING", "phi": "RUNNING"}


@SLOW
def test_destroy_in_mid_boot(stack: Stack, emulator: Emulator) -> None:
    """What still boots is unloaded."""
    stack.program(program(gpt2=GPT2, phi=PHI))
    deployment = boot(stack, emulator, loads=2)
    deployment.interrupt()
    deployment.finish().failed()
    stack.destroy().ok()
    assert running(emulator) == {}
    assert stack.models() == {}


@SLOW
def test_killed_engine_in_mid_boot(stack: Stack, emulator: Emulator) -> None:
    """The fleet was in state before it was up: the next `up` waits, and loads nothing."""
    stack.program(program(gpt2=GPT2, phi=PHI))
    deployment = boot(stack, emulator, loads=2)
    deployment.kill_engine()
    deployment.finish()
    stack.run("cancel", "--yes").ok()
    emulator.advance(BOOT_SECONDS)
    log = Log(emulator)
    stack.up().ok()
    assert log.new() == []
    assert stack.outputs()["statuses"] == {"gpt2": "RUNNING", "phi": "RUNNING"}


def test_one_found_unloaded_is_healed_alone(stack: Stack, emulator: Emulator) -> None:
    """As after its idle expiry."""
    stack.program(program(gpt2=GPT2, phi=PHI))
    stack.up().ok()
    emulator.unload_by_somebody_else(PHI)
    log = Log(emulator)
    stack.up().ok()
    assert log.new() == [(LOAD, PHI)]
    assert running(emulator) == {GPT2: 1, PHI: 1}


def test_a_removed_readiness_heals(stack: Stack, emulator: Emulator) -> None:
    """The next `up` waits again, and touches no model."""
    stack.program(program(gpt2=GPT2, phi=PHI))
    stack.up().ok()
    (urn,) = [one["urn"] for one in stack.export()["resources"] if one["urn"].endswith("-ready")]
    stack.run("state", "delete", urn, "--yes").ok()
    assert ready(stack) == []
    log = Log(emulator)
    stack.up().ok()
    assert log.new() == []
    assert ready(stack) == ["chat-ready"]


@SLOW
def test_a_half_applied_up_heals(stack: Stack, emulator: Emulator) -> None:
    """One is refused: the others are in state, and the next `up` waits for them."""
    emulator.load_by_somebody_else(PHI, concurrency=2)
    stack.program(program(gpt2=GPT2, phi=PHI))
    said = sentence(stack.up())
    assert f"could not load '{PHI}': it is already loaded at concurrency 2" in said
    assert list(stack.models()) == ["chat-gpt2"]
    assert ready(stack) == []

    emulator.unload_by_somebody_else(PHI)
    log = Log(emulator)
    healing = boot(stack, emulator, loads=1)
    emulator.advance(BOOT_SECONDS)
    healing.finish().ok()
    assert log.new() == [(LOAD, PHI)]
    assert stack.outputs()["statuses"] == {"gpt2": "RUNNING", "phi": "RUNNING"}


def test_accepted_idle_is_left_alone(stack: Stack, emulator: Emulator) -> None:
    """Until its declaration changes."""
    idle = f"{PHI}, on_expiry='accept'"
    stack.program(program(gpt2=GPT2, phi=idle))
    stack.up().ok()
    emulator.unload_by_somebody_else(PHI)
    log = Log(emulator)
    stack.up().ok()
    assert log.new() == []
    assert stack.outputs()["statuses"] == {"gpt2": "RUNNING", "phi": "NOT_LOADED"}
    assert "5 unchanged" in stack.up().ok().output
