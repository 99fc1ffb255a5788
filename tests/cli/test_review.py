"""`review` of a saved plan: what it prints, what it asks, and how it ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from bytez_provider.emulator import Emulator
from bytez_provider.service.settings import Key, Settings
from tests.cli.fleet import GPT2, KEY, UNPRICED, Fleet
from tests.review.plans import (
    PHI,
    Step,
    events,
    gone,
    inputs,
    kept,
    loaded,
    replaced,
    state,
    step,
    unloaded,
)
from tools.schema.generate import schemas

Load = Callable[..., str]
EVIL = "\x1b[31mred\r\n[bold]loud[/bold]\u202e"


def save(fleet: Fleet, *steps: Step, name: str = "plan.json") -> str:
    (fleet.folder / name).write_text(json.dumps({"steps": steps}), encoding="utf-8")
    return name


def in_account(created: str, emulator: Emulator) -> dict[str, object]:
    """Return what a state says of a load of this emulator and key."""
    account = Settings(endpoint=emulator.url, key=Key(KEY)).account
    return {"endpoint": emulator.url, "account": account, "created": created}


class TestShown:
    def test_table_for_people(self, fleet: Fleet) -> None:
        plan = save(
            fleet,
            replaced("scaled", inputs(), inputs(concurrency=3)),
            *gone("expired", inputs(PHI)),
            kept("stays", inputs(UNPRICED)),
        )
        done = fleet.run("review", "--plan", plan, BYTEZ_KEY="").ok()
        lines = [line.split() for line in done.out.splitlines()]
        assert lines[0] == ["NAME", "STEP", "WHY", "DOWN", "$/MONTH", "NOW"]
        assert lines[1][:3] == ["expired", "load", "anyway"]
        assert " ".join(lines[2]) == "scaled replace concurrency 1 to 3 15 min $65.70 -"
        assert "2 steps, 1 unchanged" in done.out
        assert "it takes about 15 minutes" in done.out

    def test_comment(self, fleet: Fleet) -> None:
        plan = save(fleet, loaded("chat", inputs()))
        done = fleet.run("review", "--plan", plan, "--format", "md", "--commit", "abc").ok()
        assert done.out.startswith("<!-- bytez-fleet review of fleet/dev -->\n## ")
        assert "Commit `abc`" in done.out
        assert done.err == ""

    def test_document_has_the_published_schema(self, fleet: Fleet) -> None:
        plan = save(
            fleet,
            loaded("chat", inputs(UNPRICED)),
            replaced("scaled", inputs(expectedHoursPerDay=2), inputs(concurrency=3)),
            unloaded("old", inputs(PHI)),
        )
        document = fleet.run("review", "--plan", plan, "--json").ok().document
        schema = json.loads(schemas()["review.schema.json"])
        Draft202012Validator(schema).validate(document)
        assert document["counts"]["replacements"] == 1
        assert document["unknownCost"] == ["chat"]

    def test_the_same_plan_gives_the_same_bytes(self, fleet: Fleet) -> None:
        plan = save(fleet, loaded("chat", inputs()), *gone("a", inputs(PHI)))
        one = fleet.run("review", "--plan", plan, "--format", "md").ok()
        assert fleet.run("review", "--plan", plan, "--format", "md").ok() == one

    def test_text_of_a_plan_cannot_spoil_the_terminal(self, fleet: Fleet) -> None:
        old, new = state(inputs()), state(inputs(onExpiry=EVIL))
        plan = save(fleet, step("update", f"chat{EVIL}", old, new))
        for form in ("table", "md"):
            done = fleet.run("review", "--plan", plan, "--format", form).ok()
            assert all(line.isprintable() for line in done.out.splitlines())
            assert "[bold]loud[/bold]" in done.out

    def test_on_a_terminal_of_80_columns_no_line_is_wider(self, fleet: Fleet) -> None:
        plan = save(fleet, replaced("a-model-with-a-name", inputs(), inputs(PHI, concurrency=3)))
        with fleet.on_terminal("review", "--plan", plan) as terminal:
            assert terminal.finish() == 0
        assert all(len(line) <= 80 for line in terminal.lines if not line.startswith("note:"))


class TestService:
    def test_with_a_key_what_runs_is_told(
        self, fleet: Fleet, emulator: Emulator, running: Load
    ) -> None:
        there = state(inputs())
        there["outputs"] |= in_account(running(GPT2), emulator)
        plan = save(fleet, step("same", "chat", there, there))
        document = fleet.run("review", "--plan", plan, "--json").ok().document
        (model,) = document["models"]
        assert model["live"]["status"] == "RUNNING"
        assert (model["live"]["isDeclaredLoad"], model["live"]["ageSeconds"]) == (True, 403)
        assert document["catalogue"] == "live"
        assert document["hasLiveFacts"]

    @pytest.mark.parametrize(
        "listed",
        [
            [],
            [{"modelId": GPT2, "created": "2024-05-28T00:00:00.000Z"}],
            [{"modelId": GPT2, "created": "2024-05-28T00:00:00.000Z", "status": "FAILED"}],
        ],
        ids=["left out", "without a status", "FAILED"],
    )
    def test_a_model_that_the_list_is_not_believed_about_is_asked_for_by_itself(
        self, fleet: Fleet, emulator: Emulator, running: Load, listed: list[dict[str, str]]
    ) -> None:
        running(GPT2)
        emulator.set_faults(
            [{"endpoint": "/model/instances", "do": {"respond": {"status": 200, "body": listed}}}]
        )
        plan = save(fleet, loaded("chat", inputs()))
        done = fleet.run("review", "--plan", plan, "--json")
        assert done.code == 1
        assert [one["live"]["status"] for one in done.document["models"]] == ["RUNNING"]
        assert done.document["failures"] == [
            "chat: it is loaded already, not by this stack: adopt it, or unload it first"
        ]

    def test_without_a_key_nothing_is_asked_and_it_says_so(
        self, fleet: Fleet, emulator: Emulator
    ) -> None:
        plan = save(fleet, loaded("chat", inputs()))
        done = fleet.run("review", "--plan", plan, BYTEZ_KEY="").ok()
        assert emulator.requests() == []
        assert "note: No key was at hand" in done.err
        assert "note: RAM and cost are by the catalogue that came with the package" in done.err

    def test_a_service_that_gives_no_answer_is_a_warning(
        self, fleet: Fleet, emulator: Emulator
    ) -> None:
        emulator.set_faults([{"do": {"respond": {"status": 401, "body": {"error": "no"}}}}])
        plan = save(fleet, loaded("chat", inputs()))
        done = fleet.run("review", "--plan", plan).ok()
        assert "warning: could not list the instances" in done.err
        assert "it is not known what runs now" in done.err


class TestEnd:
    def test_findings_end_with_3_and_a_line_each(self, fleet: Fleet) -> None:
        plan = save(fleet, replaced("a", inputs(), inputs(concurrency=2)), *gone("b", inputs(PHI)))
        done = fleet.run(
            *("review", "--plan", plan, "--format", "md", "--max-increase", "20"),
            *("--fail-on", "replace", "--fail-on", "drift"),
            BYTEZ_KEY="",
        )
        assert done.code == 3
        assert done.err.splitlines() == [
            "increase: $21.90 a month more when always loaded, at most $20.00",
            "replace: a is unavailable about 15 minutes (concurrency 1 to 2)",
            "drift: b was unloaded since the last up",
        ]

    def test_an_up_that_would_fail_ends_with_1(self, fleet: Fleet) -> None:
        plan = save(fleet, unloaded("a", inputs(), protect=True))
        done = fleet.run("review", "--plan", plan)
        assert done.code == 1
        assert "this up will fail: a: it is protected, and would be removed" in done.out

    def test_a_plan_that_is_none_ends_with_2(self, fleet: Fleet) -> None:
        (fleet.folder / "plan.json").write_text("Previewing update (dev):\n")
        told = fleet.run("review", "--plan", "plan.json").failed(2)
        assert told == (
            "could not read the plan 'plan.json': line 1 is neither a plan nor an event of one. "
            "Nothing was changed. Save one with `pulumi preview --json`."
        )

    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            ((), "name the stack, or give a saved plan"),
            (("--base", "a.json", "--stack", "dev"), "goes with --plan"),
            (("--plan", "a", "--policy-pack", "b"), "a saved plan has been made already"),
            (("--plan", "a", "--policy-pack-config", "b"), "a saved plan has been made already"),
            # Nothing is more than that, so that it would never be a finding.
            (("--plan", "a", "--max-increase", "nan"), "it is no amount of money"),
            (("--plan", "a", "--max-monthly", "inf"), "it is no amount of money"),
            (("--plan", "a", "--fail-on", "all"), "'all' is not one of"),
            (("--plan", "a", "--boot-minutes", "0"), "should be greater than or equal to 1"),
            (("--plan", "a", "--json", "--format", "md"), "either --json or --format"),
        ],
    )
    def test_wrong_usage_is_one_line(
        self, fleet: Fleet, arguments: tuple[str, ...], told: str
    ) -> None:
        assert told in fleet.run("review", *arguments).failed(2)

    def test_without_pulumi_a_preview_is_an_error(self, fleet: Fleet) -> None:
        told = fleet.run("review", "--stack", "dev").failed(2)
        assert "`pulumi` is not on PATH" in told


def test_two_branches_are_compared_without_a_key(fleet: Fleet, emulator: Emulator) -> None:
    head = save(fleet, loaded("a", inputs(concurrency=2)), loaded("b", inputs(PHI)))
    base = save(fleet, loaded("a", inputs()), name="base.json")
    done = fleet.run("review", "--plan", head, "--base", base, "--json").ok()
    assert done.document["compares"] == "branches"
    assert [one["action"] for one in done.document["models"]] == ["replace", "load"]
    # Asked at most which models there are: what runs has no part in it.
    assert {one.path for one in emulator.requests()} <= {"/model/list"}


def test_a_target_branch_whose_preview_failed_is_not_compared_with(fleet: Fleet) -> None:
    plan = save(fleet, loaded("a", inputs()))
    failed = {
        "steps": [],
        "diagnostics": [{"severity": "error", "message": "error: preview failed"}],
    }
    (fleet.folder / "base.json").write_text(json.dumps(failed))
    told = fleet.run("review", "--plan", plan, "--base", "base.json").failed(2)
    assert told == (
        "could not compare with the plan 'base.json': its preview failed. Nothing was changed. "
        "Mend the target branch, and make its plan again."
    )


def test_a_partial_plan_is_said_to_be_one_and_not_compared_with(fleet: Fleet) -> None:
    partial = {"steps": [loaded("a", inputs(concurrency="[secret]"))], "changeSummary": {"same": 4}}
    (fleet.folder / "base.json").write_text(json.dumps(partial))
    shown = fleet.run("review", "--plan", "base.json").ok().out
    assert "this review is partial: the plan leaves out what stays as it is" in shown
    assert "in a plan that is partial" in shown
    assert "hidden, as a secret or a value not known yet: a (concurrency)" in shown
    told = fleet.run("review", "--plan", "base.json", "--base", "base.json").failed(2)
    assert told.startswith(
        "could not compare with the plan 'base.json': not all of the stack is in it. "
    )


def test_events_are_read_too(fleet: Fleet) -> None:
    path = Path(fleet.folder / "events.jsonl")
    path.write_text(events([loaded("chat", inputs())]), encoding="utf-8")
    document = fleet.run("review", "--plan", path.name, "--json").ok().document
    assert document["plannedAt"] == "2024-05-27T23:36:40.000Z"
    assert document["hasPolicyResults"]
