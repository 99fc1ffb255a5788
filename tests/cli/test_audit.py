"""`audit`: what is loaded beside what states declare."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bytez_provider.emulator import Emulator
from tests.cli.fleet import CODER, GPT2, UNPRICED, Finished, Fleet
from tests.cli.journal import Journal, resource

PHI = "microsoft/phi-1"
Load = Callable[..., str]
State = Callable[..., str]


def kinds(done: Finished) -> list[tuple[str, str]]:
    return [(one["kind"], one["modelId"]) for one in done.document["findings"]]


def mends(done: Finished) -> list[str]:
    return [one["command"] for finding in done.document["findings"] for one in finding["mends"]]


def audit(fleet: Fleet, *arguments: str) -> Finished:
    done = fleet.run("audit", "--json", *arguments)
    assert done.err == ""
    assert done.code == (3 if done.document["findings"] else 0)
    return done


def test_what_is_in_order_is_exit_0(fleet: Fleet, running: Load, state: State) -> None:
    done = audit(fleet, "--state", state((GPT2, running(GPT2))))
    assert kinds(done) == []
    assert done.document["totals"]["models"] == 1
    (model,) = done.document["models"]
    # Loaded 403 s ago, that is seven minutes.
    assert model["dollarsSoFar"] == pytest.approx(0.5 * 420 * 0.0000166667, abs=1e-6)
    assert fleet.run("audit", "--state", "dev.json").ok().out.endswith("nothing is out of order\n")


def test_an_orphan_is_exit_3_and_its_command_mends_it(
    fleet: Fleet, emulator: Emulator, running: Load, state: State
) -> None:
    running(PHI)
    saved = state((GPT2, running(GPT2)))
    done = audit(fleet, "--state", saved)
    assert kinds(done) == [("orphan", PHI)]
    unload, export = mends(done)
    assert export == "bytez-fleet export fleet.yaml --state dev.json"
    fleet.run(*unload.split()[1:]).ok()
    assert [one["modelId"] for one in emulator.instances()] == [GPT2]
    assert kinds(audit(fleet, "--state", saved)) == []


def test_a_load_made_anew_is_not_the_stacks(
    fleet: Fleet, emulator: Emulator, running: Load, state: State
) -> None:
    saved = state((GPT2, running(GPT2)))
    emulator.unload_by_somebody_else(GPT2)
    running(GPT2)
    done = audit(fleet, "--state", saved)
    assert kinds(done) == [("orphan", GPT2), ("notRunning", GPT2)]


def test_what_expired_what_failed_and_what_boots(
    fleet: Fleet, emulator: Emulator, running: Load, state: State
) -> None:
    gone = running(GPT2)
    emulator.advance(1801)
    failing = {"model": CODER, "do": {"boot": "failed", "error": "CUDA out of memory"}}
    emulator.set_faults([failing])
    fleet.run("load", CODER, "--no-wait").ok()
    failed = str(emulator.instances()[0]["created"])
    emulator.advance(403)
    booting = emulator.load_by_somebody_else(PHI)
    done = audit(fleet, "--state", state((GPT2, gone), (CODER, failed), (PHI, booting)))
    assert kinds(done) == [("notRunning", CODER), ("notRunning", PHI), ("notRunning", GPT2)]
    assert [one["quoted"] for one in done.document["findings"]] == [
        "CUDA out of memory",
        None,
        None,
    ]
    assert set(mends(done)) == {"pulumi up --refresh --stack dev"}


def test_what_idles_says_how_long_it_has_left(
    fleet: Fleet, emulator: Emulator, running: Load, state: State
) -> None:
    saved = state((GPT2, running(GPT2)))
    emulator.advance(1700)
    done = audit(fleet, "--state", saved)
    assert kinds(done) == [("idle", GPT2)]
    assert "it is unloaded in 1m40s unless it is run" in done.document["findings"][0]["detail"]
    run = mends(done)[0].split()[1:]
    fleet.run(*run).ok()
    assert kinds(audit(fleet, "--state", saved)) == []


def test_an_unfinished_load_and_the_command_that_ends_it(
    fleet: Fleet, emulator: Emulator, state: State
) -> None:
    created = emulator.load_by_somebody_else(GPT2)
    Journal(fleet, emulator).accepts(resource("gpt2"), GPT2, created)
    done = audit(fleet, "--state", state())
    assert kinds(done) == [("unfinished", GPT2)]
    up, unload = mends(done)
    assert up == "pulumi up --refresh --stack dev"
    fleet.run(*unload.split()[1:]).ok()
    assert kinds(audit(fleet, "--state", "dev.json")) == []
    assert emulator.instances() == []


def test_a_load_that_the_journal_gives_to_a_stack_and_the_command_that_ends_it(
    fleet: Fleet, emulator: Emulator, running: Load, state: State
) -> None:
    Journal(fleet, emulator).accepts(resource("chat", "prod"), GPT2, running(GPT2))
    done = audit(fleet, "--state", state())
    assert kinds(done) == [("orphan", GPT2)]
    assert [one["stack"] for one in done.document["findings"][0]["declaredBy"]] == ["prod"]
    (unload,) = mends(done)
    fleet.run(*unload.split()[1:]).ok()
    assert emulator.instances() == []


def test_many_states_and_another_account(fleet: Fleet, running: Load, state: State) -> None:
    created = running(GPT2)
    first, second = state((GPT2, created)), state((GPT2, created), stack="prod")
    other = state((PHI, created), stack="other", account="another")
    done = audit(fleet, "--state", first, "--state", second, "--state", other)
    assert kinds(done) == [("duplicate", GPT2)]
    assert [one["name"] for one in done.document["sources"]] == [first, second, other]
    assert [one["declaredBy"]["stack"] for one in done.document["leftOut"]] == ["other"]
    assert "Left out, as of another account or endpoint: 1 resource: other/phi-1." in (
        fleet.run("audit", "--state", other).out
    )


def test_a_cost_that_is_unknown_is_listed_apart(fleet: Fleet, running: Load, state: State) -> None:
    saved = state((UNPRICED, running(UNPRICED)))
    assert audit(fleet, "--state", saved).document["totals"]["unknownCost"] == [UNPRICED]
    told = fleet.run("audit", "--state", saved).ok().out
    assert f"Of unknown cost, and not in these sums: {UNPRICED}." in told


def test_what_a_list_is_not_believed_in_is_asked_for(
    fleet: Fleet, emulator: Emulator, running: Load, state: State
) -> None:
    saved = state((GPT2, running(GPT2)))
    running(PHI)
    failed = {"modelId": PHI, "status": "FAILED", "created": "2024-05-28T00:00:00.000Z"}
    for listed in (
        [{"modelId": PHI}],
        [{"model": PHI, "status": "DEPLOYING", "concurrency": 1}],
        [failed],
        [{**failed, "status": "DEPLOYING"}, {**failed, "status": "DEPLOYING"}],
    ):
        body = {"endpoint": "/model/instances", "do": {"respond": {"body": listed}}}
        emulator.set_faults([body])
        # The one that is listed by its name alone, and the one that is left out.
        done = audit(fleet, "--state", saved)
        assert kinds(done) == [("orphan", PHI)]
        assert [one["status"] for one in done.document["models"]] == ["RUNNING", "RUNNING"]


def test_it_changes_nothing(fleet: Fleet, emulator: Emulator, running: Load, state: State) -> None:
    saved = state((GPT2, running(GPT2)), ("ai-forever/mGPT", "2024-05-28T00:00:00.000Z"))
    running(PHI)
    audit(fleet, "--state", saved)
    assert {request.path for request in emulator.requests()} == {
        *("/model/instances", "/model/status", "/model/list")
    }
    assert not fleet.journal.exists()


class TestForms:
    def test_each_says_the_same(self, fleet: Fleet, running: Load, state: State) -> None:
        running(PHI)
        saved = state()
        markdown = fleet.run("audit", "--state", saved, "--format", "md")
        page = fleet.run("audit", "--state", saved, "--format", "html")
        table = fleet.run("audit", "--state", saved)
        assert {done.code for done in (markdown, page, table)} == {3}
        assert markdown.out.startswith("## Bytez audit: 1 finding\n")
        assert page.out.startswith("<!doctype html>\n")
        assert page.out.endswith("</html>\n")
        assert table.out.endswith("\n1 finding\n")
        for done in (markdown, page, table):
            assert f"bytez-fleet unload {PHI}" in done.out
            assert done.err == ""

    def test_a_page_survives_any_encoding(self, fleet: Fleet, state: State) -> None:
        saved = state(("ünï/cödé", "x"))
        env = {"PYTHONIOENCODING": "ascii"}
        done = fleet.run("audit", "--state", saved, "--format", "html", **env)
        assert "&#252;n&#239;/c&#246;d&#233;" in done.out

    def test_a_document_is_not_a_page(self, fleet: Fleet, emulator: Emulator) -> None:
        told = fleet.run("audit", "--all", "--json", "--format", "html").failed(2)
        assert "it is either --json or --format" in told
        assert emulator.requests() == []


class TestWrong:
    def test_no_state_is_wrong_usage(self, fleet: Fleet, emulator: Emulator) -> None:
        told = fleet.run("audit").failed(2)
        assert "name a stack or a state, or give --all" in told
        assert emulator.requests() == []

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            (None, "the system says: No such file or directory"),
            ("nonsense", "it is not JSON"),
            ("\udcff", "it is not JSON"),
            ("[" * 100_000, "it is nested too deeply"),
            ("[]", "it has no deployment"),
            ('{"deployment": {"resources": 7}}', "its resources are not a list"),
        ],
    )
    def test_a_file_that_is_no_state_is_exit_2(
        self, fleet: Fleet, emulator: Emulator, text: str | None, told: str
    ) -> None:
        if text is not None:
            (fleet.folder / "x.json").write_bytes(text.encode(errors="surrogateescape"))
        said = fleet.run("audit", "--state", "x.json").failed(2)
        assert said.startswith(f"could not read the state in 'x.json': {told}")
        assert said.endswith("Give a file that holds what `pulumi stack export` prints.")
        assert emulator.requests() == []

    def test_a_folder_is_no_file(self, fleet: Fleet) -> None:
        assert "it is not a file" in fleet.run("audit", "--state", ".").failed(2)

    def test_no_key_is_exit_2_and_no_answer_exit_1(
        self, fleet: Fleet, emulator: Emulator, state: State
    ) -> None:
        saved = state()
        told = fleet.run("audit", "--state", saved, BYTEZ_KEY="").failed(2)
        assert told.startswith("could not look at what is loaded: no API key is set.")
        refused = {"respond": {"status": 400, "body": {"error": "\x1b[31mno\r\n"}}}
        emulator.set_faults([{"endpoint": "/model/instances", "do": refused}])
        told = fleet.run("audit", "--state", saved).failed(1)
        assert "the service answered HTTP 400: no" in told

    def test_a_stack_that_cannot_be_read_is_exit_2(self, fleet: Fleet) -> None:
        assert "`pulumi` is not on PATH" in fleet.run("audit", "--stack", "dev").failed(2)
        assert "`pulumi` is not on PATH" in fleet.run("audit", "--all").failed(2)


def test_text_of_others_is_text(fleet: Fleet, emulator: Emulator, state: State) -> None:
    evil = "a/\x1b[2J<script>alert(1)</script>`|\r\n\u202e## x"
    listed = [
        {"modelId": evil, "status": evil, "created": "2024-05-28T00:00:00Z", "error": evil},
        {"modelId": f"{evil}2", "status": "FAILED", "created": "2024-05-28T00:00:00Z"},
    ]
    body = {"endpoint": "/model/instances", "do": {"respond": {"body": listed}}}
    emulator.set_faults([body])
    saved = state((evil, "x"), (GPT2, evil))
    shown = {
        form: fleet.run("audit", "--state", saved, "--format", form)
        for form in ("table", "md", "html")
    }
    assert {done.code for done in shown.values()} == {3}
    for done in shown.values():
        assert all(line.isprintable() for line in done.out.split("\n"))
        assert not any(line.lstrip().startswith("## x") for line in done.out.splitlines())
    assert "<script>" not in shown["html"].out
    # In Markdown a code span, which no character of theirs ends.
    spans = [line.split("`")[1::2] for line in shown["md"].out.splitlines() if "<script>" in line]
    outside = [line.split("`")[::2] for line in shown["md"].out.splitlines()]
    assert len(spans) > 2
    assert not any("<script>" in part for line in outside for part in line)
