"""What is built on top of resources, with resources of the plugin: the real engine throughout."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import bytez_provider as bytez
from bytez_provider.emulator import Emulator
from bytez_provider.policies.testing import Pack, Resource, fleet, model
from tests.e2e.conftest import KEY
from tests.e2e.helpers import (
    BOOT_SECONDS,
    CHANGING,
    DELETE,
    GPT2,
    LOAD,
    OPT,
    PHI,
    ROOT,
    SLOW,
    UP,
    Log,
    bytez_fleet,
    mid_boot,
    running,
    until,
)
from tests.e2e.stack import YamlStack
from tests.e2e.test_policy_harness import masked, seen

FLEET = """\
resources:
  chat:
    type: bytez:Fleet
    properties:
      models:
        gpt2: {{modelId: {gpt2}, concurrency: {concurrency}}}
        phi: {{modelId: {phi}}}
{more}"""
ONE = """\
resources:
  {name}:
    type: bytez:Model
    properties: {{modelId: {model_id}{more}}}
    options: {{{options}}}
"""
OF_OPT = f"  opt: {{type: bytez:Model, properties: {{modelId: {OPT}}}}}\n"
SECOND_KEY = "second-key-0123456789"
PACK = ROOT / "examples" / "policy-pack"
SPY = ROOT / "tests" / "policies" / "spy"


def chat(concurrency: int = 1, more: str = OF_OPT) -> str:
    """Return a program with a fleet of two models, and by default a model of its own."""
    return FLEET.format(gpt2=GPT2, phi=PHI, concurrency=concurrency, more=more)


def one(name: str = "gpt2", model_id: str = GPT2, more: str = "", options: str = "") -> str:
    """Return a program with one model."""
    return ONE.format(name=name, model_id=model_id, more=more, options=options)


@pytest.fixture
def stack(tmp_path: Path, emulator: Emulator) -> Iterator[YamlStack]:
    """A stack without any option."""
    env = {"BYTEZ_KEY": KEY, "BYTEZ_ENDPOINT": emulator.url}
    stack = YamlStack(tmp_path, env, refresh=False)
    yield stack
    stack.end()


def document(done: subprocess.CompletedProcess[str], *codes: int) -> dict[str, Any]:
    """Return what a command printed with --json, after a look at its exit code."""
    assert done.returncode in (codes or (0,)), done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def exported(stack: YamlStack) -> str:
    """Save the state as people do; return the file's path."""
    file = stack.folder / "state.json"
    file.write_text(stack.run("stack", "export").ok().stdout, encoding="utf-8")
    return str(file)


def in_two_accounts(stack: YamlStack, second: Emulator) -> str:
    """Return a program with the same model here and, by an explicit provider, elsewhere."""
    stack.run("config", "set", "--secret", "second", SECOND_KEY).ok()
    return (
        "config: {second: {type: string, secret: true}}\n"
        f"{one('here')}"
        "  other:\n    type: pulumi:providers:bytez\n"
        f"    properties: {{key: '${{second}}', endpoint: '{second.url}'}}\n"
        "  there:\n    type: bytez:Model\n"
        f"    properties: {{modelId: {GPT2}}}\n    options: {{provider: '${{other}}'}}\n"
    )


@pytest.fixture
def second() -> Iterator[Emulator]:
    """The service for another account."""
    with Emulator(keys=(SECOND_KEY,), boot_seconds=0) as emulator:
        yield emulator


class TestReview:
    def test_a_fleet_that_is_scaled_and_has_expired(
        self, stack: YamlStack, emulator: Emulator
    ) -> None:
        stack.program(chat())
        new = document(bytez_fleet(stack, "review", "--stack", "dev", "--json"))
        assert {one["name"]: one["action"] for one in new["models"]} == {
            "chat-gpt2": "load",
            "chat-phi": "load",
            "opt": "load",
        }
        assert new["otherChanges"] == 0
        assert new["minutesToApply"] == 15, "all boot at the same time"

        stack.up().ok()
        emulator.unload_by_somebody_else(PHI)
        log = Log(emulator)
        stack.program(chat(3, more=""))
        # The models refresh themselves, also if the preview is asked not to refresh.
        saved = stack.folder / "plan.json"
        plan = stack.preview("--json", "--show-sames", "--refresh=false").ok().stdout
        saved.write_text(plan, encoding="utf-8")
        for given in (("--stack", "dev"), ("--plan", str(saved))):
            review = document(bytez_fleet(stack, "review", *given, "--json"))
            found = {one["name"]: one for one in review["models"]}
            assert {name: (one["action"], one["isAnyway"]) for name, one in found.items()} == {
                "chat-gpt2": ("replace", False),
                "chat-phi": ("load", True),
                "opt": ("unload", False),
            }
            scaled = found["chat-gpt2"]
            assert (scaled["unavailableMinutes"], scaled["reasons"]) == (15, ["concurrency 1 to 3"])
            before, after = (scaled[side]["dollarsPerHour"] for side in ("before", "after"))
            assert after == pytest.approx(3 * before)
            assert found["chat-phi"]["driftCode"] == "unloaded"
            assert (review["isRefreshed"], review["gaps"], review["failures"]) == (True, [], [])
            assert "withoutRefresh" not in review["noteCodes"]
        assert log.new() == []

    def test_a_digest_without_what_stays_is_partial(self, stack: YamlStack) -> None:
        stack.program(chat())
        stack.up().ok()
        saved = stack.folder / "plan.json"
        saved.write_text(stack.preview("--json").ok().stdout, encoding="utf-8")
        review = document(bytez_fleet(stack, "review", "--plan", str(saved), "--json"))
        unclear = next(one for one in review["gaps"] if one["code"] == "goneUnclear")
        assert unclear["models"] == ["chat-gpt2", "chat-phi", "opt"]
        assert review["models"] == []

    def test_an_alias_and_an_import_change_nothing(
        self, stack: YamlStack, emulator: Emulator
    ) -> None:
        emulator.load_by_somebody_else(PHI)
        stack.program(one())
        stack.up().ok()
        done = stack.run("import", "bytez:index:Model", "phi", PHI, "--yes", "--skip-preview")
        done.ok()
        alias = "urn:pulumi:dev::fleet::bytez:index:Model::gpt2"
        imported = one("phi", PHI, options="protect: true").removeprefix("resources:\n")
        stack.program(one("renamed", options=f"aliases: ['{alias}']") + imported)
        review = document(bytez_fleet(stack, "review", "--stack", "dev", "--json"))
        found = {one["name"]: (one["action"], one["reasonCodes"]) for one in review["models"]}
        assert found == {"phi": ("keep", []), "renamed": ("keep", [])}

    def test_a_rename_without_an_alias_takes_the_load_over(
        self, stack: YamlStack, emulator: Emulator
    ) -> None:
        """The refresh of the old name is enough: neither `adopt` nor a flag is asked for."""
        stack.program(one())
        stack.up().ok()
        shutil.rmtree(stack.folder / "journal")
        stack.program(one("renamed"))
        review = document(bytez_fleet(stack, "review", "--stack", "dev", "--json"))
        (found,) = review["models"]
        assert (found["action"], found["failure"]) == ("adopt", None)
        log = Log(emulator)
        stack.up().ok()
        assert log.new() == []

    def test_somebody_elses_load_is_seen_only_in_its_own_account(
        self, stack: YamlStack, second: Emulator, emulator: Emulator
    ) -> None:
        stack.program(in_two_accounts(stack, second))
        assert document(bytez_fleet(stack, "review", "--stack", "dev", "--json"))["failures"] == []
        emulator.load_by_somebody_else(GPT2)
        review = document(bytez_fleet(stack, "review", "--stack", "dev", "--json"), 1)
        found = {one["name"]: one["failureCode"] for one in review["models"]}
        assert found == {"here": "alreadyLoaded", "there": None}

    def test_without_a_key_the_review_says_so(self, stack: YamlStack) -> None:
        stack.program(one())
        stack.up().ok()
        del stack.env["BYTEZ_KEY"]
        review = document(bytez_fleet(stack, "review", "--stack", "dev", "--json"), 1)
        assert len(review["failures"]) == 1
        assert "no API key is set" in review["failures"][0]


def pack_of(folder: Path, stack: YamlStack, config: dict[str, Any]) -> tuple[str, ...]:
    """Return the options of a command that runs a pack with a config."""
    copy = Path(shutil.copytree(folder, stack.folder / folder.name))
    (copy / "PulumiPolicy.yaml").write_text(
        f"name: pack\nruntime: {{name: python, options: {{virtualenv: {sys.prefix}}}}}\n"
    )
    file = stack.folder / "policies.json"
    file.write_text(json.dumps(config))
    return ("--policy-pack", str(copy), "--policy-pack-config", str(file))


class TestPolicies:
    def test_a_model_is_refused_by_name_before_anything_is_loaded(
        self, stack: YamlStack, emulator: Emulator
    ) -> None:
        config = {
            "bytez-allowed-models": {"deny": ["microsoft/*"]},
            "bytez-stack-concurrency": {"maxConcurrency": 4},
        }
        given = pack_of(PACK, stack, config)
        stack.program(chat(3))
        for done in (stack.preview(*given), stack.run("up", "--yes", *given)):
            output = done.failed().output
            assert f"'chat-phi' ({PHI}) is denied" in output
            assert "bytez-allowed-models  (bytez:index:Model: chat-phi)" in output
            assert "have 5 instances" in output
        assert [one.path for one in emulator.requests() if one.path in CHANGING] == []

        review = bytez_fleet(stack, "review", "--stack", "dev", *given, "--json")
        rules = document(review, 1)["brokenRules"]
        assert {(one["policy"], one["name"]) for one in rules} == {
            ("bytez-allowed-models", "chat-phi"),
            ("bytez-stack-concurrency", None),
        }

    def test_what_keeps_the_rules_is_loaded(
        self, stack: YamlStack, second: Emulator, emulator: Emulator
    ) -> None:
        """The same model in another account is no duplicate."""
        given = pack_of(PACK, stack, {"bytez-stack-concurrency": {"maxConcurrency": 2}})
        stack.program(in_two_accounts(stack, second))
        stack.run("up", "--yes", *given).ok()
        assert (running(emulator), running(second)) == ({GPT2: 1}, {GPT2: 1})

    def test_the_harness_shows_a_pack_the_same(
        self, stack: YamlStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        given = pack_of(SPY, stack, {})
        stack.env["SPY_FILE"] = str(tmp_path / "engine")
        monkeypatch.setenv("SPY_FILE", str(tmp_path / "harness"))
        stack.program(chat(2))
        pack = Pack.from_folder(SPY)
        for command, harness in ((stack.preview, pack.preview), (stack.up, pack.up)):
            command(*given).ok()
            assert harness(the_same(), project="fleet") == []
            engine = seen(tmp_path / "engine")
            assert len(engine) == 2 * (5 + 1 + 1), "the program's, their provider and the stack"
            for ours, theirs in zip(seen(tmp_path / "harness"), engine, strict=True):
                assert ours == theirs


def the_same() -> list[Resource]:
    """Return the resources that `chat(2)` declares."""
    models = {
        "gpt2": bytez.ModelArgs(model_id=GPT2, concurrency=2),
        "phi": bytez.ModelArgs(model_id=PHI),
    }
    return [*fleet("chat", models, native=True), model("opt", model_id=OPT, native=True)]


class TestAudit:
    def test_nothing_is_found_when_all_is_well_and_an_orphan_when_not(
        self, stack: YamlStack, emulator: Emulator
    ) -> None:
        stack.program(chat())
        stack.up().ok()
        clean = document(bytez_fleet(stack, "audit", "--state", exported(stack), "--json"))
        assert clean["findings"] == []
        assert [one["declaredBy"][0]["name"] for one in clean["models"]] == [
            "opt",
            "chat-phi",
            "chat-gpt2",
        ]
        emulator.load_by_somebody_else("EleutherAI/pythia-1b")
        emulator.unload_by_somebody_else(OPT)
        audit = document(bytez_fleet(stack, "audit", "--stack", "dev", "--json"), 3)
        assert [(one["kind"], one["modelId"]) for one in audit["findings"]] == [
            ("orphan", "EleutherAI/pythia-1b"),
            ("notRunning", OPT),
        ]
        (mend,) = audit["findings"][1]["mends"]
        assert mend["command"] == "pulumi up --stack dev"
        log = Log(emulator)
        stack.run(*mend["command"].split()[1:], "--yes").ok()
        assert log.new() == [(LOAD, OPT)]

    def test_of_a_stack_with_two_accounts_only_the_asked_one_is_judged(
        self, stack: YamlStack, second: Emulator, emulator: Emulator
    ) -> None:
        stack.program(in_two_accounts(stack, second))
        stack.up().ok()
        second.unload_by_somebody_else(GPT2)
        state = exported(stack)
        assert document(bytez_fleet(stack, "audit", "--state", state, "--json"))["findings"] == []
        stack.env |= {"BYTEZ_KEY": SECOND_KEY, "BYTEZ_ENDPOINT": second.url}
        audit = document(bytez_fleet(stack, "audit", "--state", state, "--json"), 3)
        (finding,) = audit["findings"]
        assert (finding["kind"], finding["declaredBy"][0]["name"]) == ("notRunning", "there")

    def test_export_leaves_out_what_a_stack_declares_and_says_how_to_import(
        self, stack: YamlStack, emulator: Emulator
    ) -> None:
        emulator.load_by_somebody_else(PHI, concurrency=2)
        stack.program(one())
        stack.up().ok()
        done = bytez_fleet(stack, "export", "fleet.yaml", "--stack", "dev")
        assert done.returncode == 0, done.stderr
        assert GPT2 not in (stack.project / "fleet.yaml").read_text()
        assert "use --format pulumi-import" in " ".join(done.stderr.split())

        arguments = ("export", "import.json", "--format", "pulumi-import", "--stack", "dev")
        done = bytez_fleet(stack, *arguments)
        assert done.returncode == 0, done.stderr
        (line,) = (text for text in done.stderr.splitlines() if "pulumi import --file" in text)
        stack.run(*line.split()[1:], "--yes", "--skip-preview").ok()
        assert stack.models()["phi-1"]["concurrency"] == 2


class TestUnload:
    @SLOW
    def test_what_a_killed_up_left_behind(self, stack: YamlStack, emulator: Emulator) -> None:
        stack.program(one())
        deployment = stack.start(*UP)
        until(lambda: mid_boot(emulator))
        stack.end()
        deployment.finish().failed()
        until(lambda: not stack.plugins())
        stack.run("cancel", "--yes").ok()

        doctor = document(bytez_fleet(stack, "doctor", "--stack", "dev", "--json"), 3)
        (check,) = (one for one in doctor["checks"] if one["name"] == "unfinished")
        assert (check["verdict"], GPT2 in check["observed"]) == ("failed", True)
        command = "bytez-fleet unload --unfinished"
        assert command in check["action"]

        done = bytez_fleet(stack, "unload", "--unfinished", "--stack", "dev", "--json")
        (result,) = document(done)["models"]
        assert (result["modelId"], result["outcome"]) == (GPT2, "unloaded")
        assert running(emulator) == {}
        doctor = document(bytez_fleet(stack, "doctor", "--stack", "dev", "--json"))
        assert doctor["ok"]
        emulator.advance(BOOT_SECONDS)

    def test_what_a_state_names_is_finished_and_is_refused_by_name(
        self, stack: YamlStack, second: Emulator, emulator: Emulator
    ) -> None:
        stack.program(in_two_accounts(stack, second))
        stack.up().ok()
        done = bytez_fleet(stack, "unload", "--unfinished", "--stack", "dev", "--json")
        assert document(done)["models"] == []
        refused = bytez_fleet(stack, "unload", GPT2, "--state", exported(stack))
        assert (refused.returncode, "stack 'dev' declares it as 'here'" in refused.stderr) == (
            2,
            True,
        )
        log = Log(emulator)
        bytez_fleet(stack, "unload", GPT2, "--yes").check_returncode()
        assert log.new() == [(DELETE, GPT2)]
        assert running(second) == {GPT2: 1}


def test_masked_values_are_compared_by_whether_they_are_known() -> None:
    known, unknown = ("created", "2024"), ("created", "can't be known during preview")
    assert masked([known]) != masked([unknown])
