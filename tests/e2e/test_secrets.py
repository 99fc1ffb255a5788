"""The key is where it must be and nowhere else, and secret inputs appear in no document."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bytez_provider.emulator import Emulator
from tests.e2e.conftest import KEY
from tests.e2e.helpers import (
    BOOT_SECONDS,
    SLOW,
    UP,
    bytez_fleet,
    mid_boot,
    one,
    process_arguments,
    until,
)
from tests.e2e.stack import Stack

HIDDEN = """
given = pulumi.Config()
bytez.Model("many", model_id="microsoft/phi-1", concurrency=given.require_secret_int("many"))
bytez.Model("idle", model_id="openai-community/gpt2",
    expiration_period_seconds=given.require_secret_int("idle"))
bytez.Model("away", model_id="facebook/opt-1.3b", expiration_period_seconds=60,
    on_expiry=given.require_secret("away"))
bytez.Model("which", model_id=given.require_secret("which"))
"""


@pytest.mark.parametrize("source", ["environment", "stack config"])
@SLOW
def test_key_is_in_nothing_that_is_kept_or_shown(
    stack: Stack, emulator: Emulator, source: str
) -> None:
    """Plain state, backend, event log, preview, debug output, journal, arguments."""
    if source == "stack config":
        stack.env.pop("BYTEZ_KEY")
        stack.run("config", "set", "--secret", "bytez:key", KEY).ok()
    stack.env["PULUMI_DEBUG_COMMANDS"] = "true"
    stack.program(one())
    outputs = [stack.run("preview", "--json").ok().output]
    deployment = stack.start(*UP, "--event-log", "events.json", "--debug", "--logflow")
    until(lambda: mid_boot(emulator))
    arguments = process_arguments(stack)
    journal = [path for path in (stack.folder / "journal").iterdir() if path.is_file()]
    kept = [path.read_text() for path in journal]
    emulator.advance(BOOT_SECONDS)
    outputs.append(deployment.finish().ok().output)
    emulator.set_faults([{"do": {"respond": {"status": 400, "body": {"error": f"bad {KEY}"}}}}])
    outputs.append(stack.destroy().failed().output)
    files = [stack.project / "events.json", *stack.folder.glob("backend/**/*.json")]
    kept += [path.read_text() for path in files]

    assert any("pulumi.dynamic" in line for line in arguments)
    assert "/model/load" not in outputs[0]
    assert sum(path.suffix == ".json" for path in journal) == 1
    assert len(files) >= 2
    assert [text for text in arguments + outputs + kept if KEY in text] == []


def test_secret_inputs_are_judged_by_no_document_and_shown_in_none(
    stack: Stack, emulator: Emulator
) -> None:
    """Concurrency, idle period, what happens on expiry, and the model itself."""
    which = "databricks/dolly-v2-3b"
    values = {"many": "4", "idle": "4321", "away": "accept", "which": which}
    secrets = [part for pair in values.items() for part in ("--secret", "=".join(pair))]
    stack.run("config", "set-all", *secrets).ok()
    stack.program(HIDDEN)
    stack.up().ok()
    emulator.advance(100)

    def document(*arguments: str) -> Any:
        done = bytez_fleet(stack, *arguments, "--json")
        assert (done.returncode, done.stderr) == (0, ""), done.stdout
        assert "4321" not in done.stdout
        return json.loads(done.stdout)

    state = stack.run("stack", "export", "--show-secrets").ok().stdout
    assert "4321" in state
    (stack.project / "state.json").write_text(state)
    for source in (("--stack", "dev"), ("--state", "state.json")):
        audit = document("audit", *source)
        hidden = {one["declaredBy"]["name"]: one["properties"] for one in audit["notJudged"]}
        assert hidden == {
            "many": ["concurrency"],
            "idle": ["expirationPeriodSeconds"],
            "away": ["onExpiry"],
        }
        assert audit["findings"] == []

    stack.run("config", "set", "--secret", "many", "5").ok()
    plan = stack.project / "plan.json"
    for form in ("", "true"):
        stack.env["PULUMI_ENABLE_STREAMING_JSON_PREVIEW"] = form
        plan.write_text(stack.run("preview", "--json", "--show-sames").ok().stdout)
        review = document("review", "--plan", plan.name)
        assert which not in json.dumps(review)
        models = {one["name"]: one for one in review["models"]}
        assert {name: one["action"] for name, one in models.items()} == {
            "many": "replace",
            "idle": "keep",
            "away": "keep",
            "which": "keep",
        }
        assert models["many"]["reasons"] == ["concurrency changes, but is a secret"]
        assert not any(one["isAnyway"] for one in models.values())
        assert review["unknownCost"] == ["idle", "many", "which"]
        assert [one["drift"] for one in models.values()] == [None] * 4
