"""`review` of a saved plan: what it prints, what it asks, and how it ends."""

from __future__ import annotations

import json

import pytest
from inline_snapshot import snapshot
from jsonschema import Draft202012Validator

from bytez_provider.service.settings import Key, Settings
from tests.cli.fleet import GPT2, KEY, UNPRICED, Fleet
from tests.review.plans import (
    PHI,
    Step,
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

EVIL = "\x1b[31mred\r\n[bold]loud[/bold]\u202e"


def save(fleet: Fleet, *steps: Step, name: str = "plan.json", **more: object) -> str:
    text = json.dumps({"steps": steps, **more})
    (fleet.folder / name).write_text(text, encoding="utf-8")
    return name


class TestShown:
    def test_table_for_people(self, fleet: Fleet) -> None:
        plan = save(
            fleet,
            replaced("scaled", inputs(), inputs(concurrency=3)),
            *gone("expired", inputs(PHI)),
            unloaded("old", inputs("me/old"), protect=True),
            kept("stays", inputs(UNPRICED, expectedHoursPerDay="[secret]")),
        )
        done = fleet.run("review", "--plan", plan, BYTEZ_KEY="")
        assert done.code == 1
        assert "\n".join(line.rstrip() for line in done.out.splitlines()) == snapshot("""\
this up will fail: old: it is protected, and would be removed
NAME     STEP         WHY                               DOWN  $/MONTH  NOW
expired  load anyway  was unloaded since the last up       -  $401.21  -
old      unload       me/old                               -        ?  -
scaled   replace      concurrency 1 to 3              15 min   $65.70  -
this review is partial: the refresh left models out, and the plan does not show whether they expired: old, scaled, stays
3 steps, 1 unchanged
COST                 BEFORE        AFTER
hour              $0.58 + ?    $0.64 + ?
month at least    $0.36 + ?    $0.39 + ?
month at most   $423.11 + ?  $466.91 + ?
GB RAM             9.66 + ?    10.66 + ?
unknown cost, in no total: stays
hidden, because secret or not known yet: stays (expectedHoursPerDay)
it takes about 15 minutes\
""")  # noqa: E501 - as it is printed
        assert done.err == snapshot("""\
note: No key is set, so the service was not asked what runs now.
note: RAM and cost come from the catalogue in this package.
note: This form of a plan has no policy results.
""")

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
            *gone("expired", inputs(PHI)),
        )
        done = fleet.run("review", "--plan", plan, "--fail-on", "replace", "--json")
        assert done.code == 3
        Draft202012Validator(json.loads(schemas()["review.schema.json"])).validate(done.document)
        models = {one["name"]: one for one in done.document["models"]}
        assert models["scaled"]["reasonCodes"] == ["changed", "changed"]
        assert models["expired"]["driftCode"] == "unloaded"
        assert done.document["noteCodes"] == ["noPolicyResults"]
        assert [one["code"] for one in done.document["findings"]] == ["replace"]

    def test_text_of_a_plan_cannot_move_the_cursor(self, fleet: Fleet) -> None:
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
    def test_with_a_key_what_runs_is_shown(self, fleet: Fleet) -> None:
        there = state(inputs())
        account = Settings(endpoint=fleet.emulator.url, key=Key(KEY)).account
        there["outputs"] |= {
            "endpoint": fleet.emulator.url,
            "account": account,
            "created": fleet.boot(GPT2),
        }
        plan = save(fleet, step("same", "chat", there, there))
        document = fleet.run("review", "--plan", plan, "--json").ok().document
        (model,) = document["models"]
        assert model["live"]["status"] == "RUNNING"
        assert (model["live"]["isDeclaredLoad"], model["live"]["ageSeconds"]) == (True, 403)
        assert (document["catalogue"], document["hasLiveFacts"]) == ("live", True)

    def test_a_doubtful_list_is_checked_by_asking_for_the_model(self, fleet: Fleet) -> None:
        fleet.boot(GPT2)
        failed = {"created": "2024-05-28T00:00:00.000Z", "status": "FAILED"}
        listed = [{"modelId": GPT2, **failed}]
        fleet.answers(200, listed, "/model/instances")
        plan = save(fleet, loaded("chat", inputs()))
        done = fleet.run("review", "--plan", plan, "--json")
        assert done.code == 1
        assert [one["live"]["status"] for one in done.document["models"]] == ["RUNNING"]
        assert done.document["failureCodes"] == ["alreadyLoaded"]

    def test_without_a_key_nothing_is_asked_and_it_says_so(self, fleet: Fleet) -> None:
        plan = save(fleet, loaded("chat", inputs()))
        done = fleet.run("review", "--plan", plan, "--json", BYTEZ_KEY="").ok()
        assert fleet.emulator.requests() == []
        assert done.document["noteCodes"] == ["noKey", "bundledCatalogue", "noPolicyResults"]

    def test_no_answer_of_the_service_is_a_warning(self, fleet: Fleet) -> None:
        fleet.emulator.set_faults([{"do": {"respond": {"status": 401, "body": {"error": "no"}}}}])
        plan = save(fleet, loaded("chat", inputs()))
        done = fleet.run("review", "--plan", plan, "--json").ok()
        assert "warning: could not list the instances" in done.err
        assert "noAnswer" in done.document["noteCodes"]


class TestEnd:
    def test_findings_end_with_3_and_a_line_each(self, fleet: Fleet) -> None:
        plan = save(fleet, replaced("a", inputs(), inputs(concurrency=2)), *gone("b", inputs(PHI)))
        done = fleet.run(
            *("review", "--plan", plan, "--format", "md", "--max-increase", "20"),
            *("--fail-on", "replace", "--fail-on", "drift"),
            BYTEZ_KEY="",
        )
        assert done.code == 3
        codes = [line.partition(":")[0] for line in done.err.splitlines()]
        assert codes == ["increase", "replace", "drift"]

    def test_a_file_that_is_not_a_plan_ends_with_2(self, fleet: Fleet) -> None:
        (fleet.folder / "plan.json").write_text("Previewing update (dev):\n")
        assert fleet.run("review", "--plan", "plan.json").failed(2) == snapshot(
            "could not read the plan 'plan.json': line 1 is neither a plan nor an event of one. "
            "Nothing was changed. Save one with `pulumi preview --json`."
        )

    @pytest.mark.parametrize(
        ("arguments", "error"),
        [
            ((), "--stack"),
            (("--base", "a.json", "--stack", "dev"), "--base"),
            (("--plan", "a", "--policy-pack", "b"), "--policy-pack"),
            (("--plan", "a", "--policy-pack-config", "b"), "--policy-pack"),
            # Nothing is more than that, so it would never be a finding.
            (("--plan", "a", "--max-increase", "nan"), "--max-increase"),
            (("--plan", "a", "--max-monthly", "inf"), "--max-monthly"),
            (("--plan", "a", "--fail-on", "all"), "--fail-on"),
            (("--plan", "a", "--boot-minutes", "0"), "--boot-minutes"),
            (("--plan", "a", "--json", "--format", "md"), "--format"),
        ],
    )
    def test_wrong_usage_names_the_option(
        self, fleet: Fleet, arguments: tuple[str, ...], error: str
    ) -> None:
        line = fleet.run("review", *arguments).failed(2)
        assert "Invalid value for" in line
        assert error in line

    def test_without_pulumi_a_preview_is_an_error(self, fleet: Fleet) -> None:
        assert "`pulumi` is not on PATH" in fleet.run("review", "--stack", "dev").failed(2)


class TestBranches:
    def test_two_branches_are_compared_without_a_key(self, fleet: Fleet) -> None:
        head = save(fleet, loaded("a", inputs(concurrency=2)), loaded("b", inputs(PHI)))
        base = save(fleet, loaded("a", inputs()), name="base.json")
        done = fleet.run("review", "--plan", head, "--base", base, "--json").ok()
        assert done.document["compares"] == "branches"
        assert [one["action"] for one in done.document["models"]] == ["replace", "load"]
        # At most the catalogue is asked for: what runs has no part in it.
        assert {one.path for one in fleet.emulator.requests()} <= {"/model/list"}

    @pytest.mark.parametrize(
        ("more", "observed"),
        [
            (
                {"diagnostics": [{"severity": "error", "message": "error: preview failed"}]},
                "its preview failed",
            ),
            ({"changeSummary": {"same": 4}}, "not all of the stack is in it"),
        ],
    )
    def test_a_target_branch_with_a_partial_plan_is_refused(
        self, fleet: Fleet, more: dict[str, object], observed: str
    ) -> None:
        plan = save(fleet, loaded("a", inputs()))
        base = save(fleet, name="base.json", **more)
        error = fleet.run("review", "--plan", plan, "--base", base).failed(2)
        assert f"'base.json': {observed}. " in error
