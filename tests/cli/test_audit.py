"""`audit`: the command, from states and service to exit code. tests/audit has every finding."""

from __future__ import annotations

import pytest
from inline_snapshot import snapshot

from tests.cli.fleet import GPT2, PHI, UNPRICED, Finished, Fleet
from tests.cli.journal import Journal, resource


def kinds(done: Finished) -> list[tuple[str, str]]:
    return [(one["kind"], one["modelId"]) for one in done.document["findings"]]


def mends(done: Finished) -> list[str]:
    return [one["command"] for finding in done.document["findings"] for one in finding["mends"]]


def audit(fleet: Fleet, *arguments: str) -> Finished:
    done = fleet.run("audit", "--json", *arguments)
    assert done.err == ""
    assert done.code == (3 if done.document["findings"] else 0)
    return done


def test_an_orphan_is_exit_3_and_its_command_fixes_it(fleet: Fleet) -> None:
    fleet.boot(PHI)
    saved = fleet.state((GPT2, fleet.boot(GPT2)))
    done = audit(fleet, "--state", saved)
    assert kinds(done) == [("orphan", PHI)]
    unload, export = mends(done)
    assert export == "bytez-fleet export fleet.yaml --state dev.json"
    fleet.run(*unload.split()[1:]).ok()
    assert [one["modelId"] for one in fleet.emulator.instances()] == [GPT2]
    assert kinds(audit(fleet, "--state", saved)) == []


def test_the_command_of_an_idle_model_postpones_its_expiry(fleet: Fleet) -> None:
    saved = fleet.state((GPT2, fleet.boot(GPT2)))
    fleet.emulator.advance(1700)
    done = audit(fleet, "--state", saved)
    assert kinds(done) == [("idle", GPT2)]
    fleet.run(*mends(done)[0].split()[1:]).ok()
    assert kinds(audit(fleet, "--state", saved)) == []


@pytest.mark.parametrize(("stack", "kind"), [("dev", "unfinished"), ("prod", "orphan")])
def test_the_command_of_a_load_in_the_journal_unloads_it(
    fleet: Fleet, stack: str, kind: str
) -> None:
    """Of the given stack, whose state does not name it, or of one that was not given."""
    Journal(fleet).accepts(resource("gpt2", stack), GPT2, fleet.boot(GPT2))
    done = audit(fleet, "--state", fleet.state())
    assert kinds(done) == [(kind, GPT2)]
    assert [one["stack"] for one in done.document["findings"][0]["declaredBy"]] == [stack]
    fleet.run(*mends(done)[-1].split()[1:]).ok()
    assert fleet.emulator.instances() == []
    assert kinds(audit(fleet, "--state", "dev.json")) == []


def test_several_states_and_another_account(fleet: Fleet) -> None:
    created = fleet.boot(GPT2)
    first, second = fleet.state((GPT2, created)), fleet.state((GPT2, created), stack="prod")
    other = fleet.state((PHI, created), stack="other", account="another")
    done = audit(fleet, "--state", first, "--state", second, "--state", other)
    assert kinds(done) == [("duplicate", GPT2)]
    assert [one["name"] for one in done.document["sources"]] == [first, second, other]
    assert [one["declaredBy"]["stack"] for one in done.document["leftOut"]] == ["other"]


def test_a_model_that_the_list_leaves_out_is_asked_for(fleet: Fleet) -> None:
    saved = fleet.state((GPT2, fleet.boot(GPT2)))
    fleet.boot(UNPRICED)
    fleet.answers(200, [{"modelId": UNPRICED}], "/model/instances")
    done = audit(fleet, "--state", saved)
    assert kinds(done) == [("orphan", UNPRICED)]
    assert [one["status"] for one in done.document["models"]] == ["RUNNING", "RUNNING"]


def test_it_changes_nothing(fleet: Fleet) -> None:
    saved = fleet.state((GPT2, fleet.boot(GPT2)), ("ai-forever/mGPT", "2024-05-28T00:00:00.000Z"))
    fleet.boot(PHI)
    audit(fleet, "--state", saved)
    assert {request.path for request in fleet.emulator.requests()} == {
        *("/model/instances", "/model/status", "/model/list")
    }
    assert not fleet.journal.exists()


def test_every_form_has_the_commands(fleet: Fleet) -> None:
    fleet.boot(PHI)
    saved = fleet.state(("ünï/cödé", "x"))
    for form, start in (("table", "MODEL"), ("md", "## Bytez audit"), ("html", "<!doctype html>")):
        env = {"PYTHONIOENCODING": "ascii"}
        done = fleet.run("audit", "--state", saved, "--format", form, **env)
        assert (done.code, done.err) == (3, "")
        assert done.out.startswith(start)
        assert f"bytez-fleet unload {PHI}" in done.out
    # A page survives any encoding.
    assert "&#252;n&#239;/c&#246;d&#233;" in done.out


class TestWrong:
    @pytest.mark.parametrize("arguments", [(), ("--all", "--json", "--format", "html")])
    def test_usage(self, fleet: Fleet, arguments: tuple[str, ...]) -> None:
        fleet.run("audit", *arguments).failed(2)
        assert fleet.emulator.requests() == []

    @pytest.mark.parametrize(
        ("text", "why"),
        [
            (None, snapshot("the system says: No such file or directory")),
            ("nonsense", snapshot("it is not JSON")),
            ("\udcff", snapshot("it is not JSON")),
            ("[" * 100_000, snapshot("it is nested too deeply")),
            ('{"deployment": {"resources": 7}}', snapshot("its resources are not a list")),
        ],
    )
    def test_a_file_that_is_no_state(self, fleet: Fleet, text: str | None, why: str) -> None:
        if text is not None:
            (fleet.folder / "x.json").write_bytes(text.encode(errors="surrogateescape"))
        done = fleet.run("audit", "--json", "--state", "x.json")
        message = done.failed(2, "invalid-file")
        assert message.startswith(f"could not read the state in 'x.json': {why}")
        assert fleet.emulator.requests() == []

    def test_a_folder_is_no_file(self, fleet: Fleet) -> None:
        fleet.run("audit", "--state", ".", "--json").failed(2, "invalid-file")

    def test_no_key_and_no_answer(self, fleet: Fleet) -> None:
        arguments = ("audit", "--json", "--state", fleet.state())
        fleet.run(*arguments, BYTEZ_KEY="").failed(2, "missing-key")
        fleet.answers(400, {"error": "\x1b[31mno\r\n"}, "/model/instances")
        message = fleet.run(*arguments).failed(1, "refused")
        assert "HTTP 400: no" in message

    @pytest.mark.parametrize("flag", ["--stack=dev", "--all"])
    def test_a_stack_that_cannot_be_read(self, fleet: Fleet, flag: str) -> None:
        for command in (("audit",), ("export", "fleet.yaml")):
            fleet.run(*command, flag, "--json").failed(2, "config")
