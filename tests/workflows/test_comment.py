"""The comment on a pull request: made once, then updated, and only from a real review.

A fake `gh` gives the answers that a test prepares and notes the calls: this tests the script, not
GitHub.
"""

from __future__ import annotations

import io
import json
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.workflows.conftest import Runner
from tests.workflows.workflow import Done, steps

(STEP,) = steps("fleet-comment.yml")
MARKER = STEP.env["MARKER"]
BOT = "github-actions[bot]"
REVIEW = f"{MARKER}\n## Bytez models\n\n`$(touch pwned)` \"quoted\" \\n 'and' é & <b>\n"
EVENT = "github.event.workflow_run"
VALUES = {
    "github.token": "token",
    "github.repository": "example/fleet",
    f"{EVENT}.id": "42",
    f"{EVENT}.html_url": "https://github.com/example/fleet/actions/runs/42",
    f"{EVENT}.head_repository.full_name": "example/fleet",
    f"{EVENT}.head_repository.owner.login": "example",
    f"{EVENT}.head_branch": "more-models",
    f"{EVENT}.head_sha": "0a1b2c3",
}
FORK = VALUES | {
    f"{EVENT}.head_repository.full_name": "stranger/fleet",
    f"{EVENT}.head_repository.owner.login": "stranger",
}
GH = """\
#!{python}
import json, pathlib, sys

here = pathlib.Path(__file__).parent
assert sys.argv[1] == "api"
words, asked = sys.argv[2:], {{"method": "GET", "fields": []}}
while words:
    word = words.pop(0)
    if word == "--method":
        asked["method"] = words.pop(0)
    elif word == "-f":
        asked["fields"].append(words.pop(0))
    elif word == "--input":
        asked["body"] = json.loads(pathlib.Path(words.pop(0)).read_text(encoding="utf-8"))["body"]
    elif word not in ("--paginate", "--silent"):
        assert not word.startswith("-"), word
        asked["path"] = word
with (here / "asked.jsonl").open("a", encoding="utf-8") as log:
    log.write(json.dumps(asked) + "\\n")
if asked["method"] == "GET":
    name = asked["path"].split("?")[0].rsplit("/", 1)[1]
    sys.stdout.buffer.write((here / name).read_bytes())
"""


class GitHub:
    """The answers of the `gh` on PATH, and its calls."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        gh = folder / "gh"
        gh.write_text(GH.format(python=sys.executable), encoding="utf-8")
        gh.chmod(0o755)
        self.pull_requests({"number": 7, "sha": "0a1b2c3", "repository": "example/fleet"})
        self.comments()
        self.review(REVIEW)

    def review(self, text: str, name: str = "review.md") -> None:
        """Provide an artifact with a review in it."""
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(name, text)
        self.artifact(packed.getvalue())

    def artifact(self, content: bytes) -> None:
        """Provide an artifact, and an expired one of an earlier attempt."""
        (self.folder / "zip").write_bytes(content)
        old = {"id": 4, "size_in_bytes": 1, "expired": True}
        new = {"id": 5, "size_in_bytes": len(content), "expired": False}
        self._answer("artifacts", {"total_count": 2, "artifacts": [new, old]})

    def no_artifact(self) -> None:
        """Provide no artifact."""
        self._answer("artifacts", {"total_count": 0, "artifacts": []})

    def pull_requests(self, *those: dict[str, Any]) -> None:
        """Provide these open pull requests of the branch."""
        found = [
            {
                "number": one["number"],
                "head": {"sha": one["sha"], "repo": {"full_name": one["repository"]}},
            }
            for one in those
        ]
        self._answer("pulls", found)

    def comments(self, *those: tuple[int, str, str]) -> None:
        """Provide these comments (id, author, text), each on its own page."""
        pages = [[{"id": one, "user": {"login": by}, "body": text}] for one, by, text in those]
        text = "".join(json.dumps(page) for page in pages or [[]])
        (self.folder / "comments").write_text(text, encoding="utf-8")

    def asked(self) -> list[dict[str, Any]]:
        """Return every call so far."""
        lines = (self.folder / "asked.jsonl").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]

    def changes(self) -> list[tuple[str, str, str]]:
        """Return the calls that change something: method, path and body."""
        return [
            (one["method"], one["path"], one["body"])
            for one in self.asked()
            if one["method"] != "GET"
        ]

    def _answer(self, name: str, document: object) -> None:
        (self.folder / name).write_text(json.dumps(document), encoding="utf-8")


@pytest.fixture
def github(tmp_path: Path, runner: Runner) -> GitHub:
    """A pull request without a comment, and a review of it."""
    here = GitHub(tmp_path / "gh")
    runner.env["PATH"] = f"{here.folder}:{runner.env['PATH']}"
    return here


def comment(runner: Runner, values: dict[str, str] = VALUES) -> Done:
    """Run the step."""
    return STEP.run(runner.workspace, runner.env, values)


def test_the_first_review_makes_the_comment(github: GitHub, runner: Runner) -> None:
    github.comments((1, "somebody", "Looks good"))
    comment(runner).ok()
    assert github.changes() == [("POST", "repos/example/fleet/issues/7/comments", REVIEW)]
    assert not (runner.workspace / "pwned").exists()


def test_the_next_review_updates_it(github: GitHub, runner: Runner) -> None:
    """On whatever page it is; a comment with our marker by somebody else is not ours."""
    github.comments(
        (1, "somebody", f"{MARKER}\nmine"),
        (2, BOT, f"{MARKER.replace('prod', 'dev')}\nof another stack"),
        (3, BOT, f"{MARKER}\nthe last one"),
    )
    comment(runner).ok()
    assert github.changes() == [("PATCH", "repos/example/fleet/issues/comments/3", REVIEW)]


def test_a_review_of_a_fork_is_marked_as_made_by_its_author(github: GitHub, runner: Runner) -> None:
    github.pull_requests(
        {"number": 6, "sha": "0a1b2c3", "repository": "example/fleet"},
        {"number": 8, "sha": "0a1b2c3", "repository": "stranger/fleet"},
    )
    comment(runner, FORK).ok()
    ((method, path, body),) = github.changes()
    assert (method, path) == ("POST", "repos/example/fleet/issues/8/comments")
    first, note, blank, *rest = body.splitlines()
    assert (first, blank) == (MARKER, "")
    assert note.startswith("> Made by [a run](https://github.com/example/fleet/actions/runs/42) of")
    assert rest == REVIEW.splitlines()[1:]


def test_a_long_review_of_a_fork_still_fits(github: GitHub, runner: Runner) -> None:
    github.pull_requests({"number": 8, "sha": "0a1b2c3", "repository": "stranger/fleet"})
    github.review((REVIEW + "é" * 65_536)[:65_536])
    comment(runner, FORK).ok()
    ((_, _, body),) = github.changes()
    assert len(body) == 65_536


def test_the_pull_request_is_looked_up_by_its_head(github: GitHub, runner: Runner) -> None:
    """The name of a branch is untrusted: an argument, never a part of the script."""
    name = '"; touch pwned; $(touch pwned) `touch pwned`'
    github.pull_requests({"number": 8, "sha": "0a1b2c3", "repository": "stranger/fleet"})
    comment(runner, FORK | {f"{EVENT}.head_branch": name}).ok()
    asked = github.asked()[1]
    assert asked["path"] == "repos/example/fleet/pulls"
    assert asked["fields"] == ["state=open", "base=main", f"head=stranger:{name}"]
    assert not (runner.workspace / "pwned").exists()


@pytest.mark.parametrize(
    "other",
    [
        {"number": 7, "sha": "fffffff", "repository": "example/fleet"},
        {"number": 7, "sha": "0a1b2c3", "repository": "stranger/fleet"},
    ],
    ids=["moved-on", "of-another-repository"],
)
def test_another_pull_request_is_left_alone(
    github: GitHub, runner: Runner, other: dict[str, Any]
) -> None:
    github.pull_requests(other)
    assert "there is nothing to do" in comment(runner).ok().out
    assert github.changes() == []


def test_a_run_without_a_review_is_no_error(github: GitHub, runner: Runner) -> None:
    github.no_artifact()
    assert "there is nothing to comment" in comment(runner).ok().out
    assert len(github.asked()) == 1


@pytest.mark.parametrize(
    "text",
    [
        f"<!-- bytez-fleet review of bytez-fleet/dev -->\n{REVIEW}",
        f"\n{REVIEW}",
        f"{MARKER} and more\n",
        f"{MARKER}\0\n",
        "",
        REVIEW + "x" * 262_144,
        REVIEW + "x" * 50_000_000,
    ],
    ids=["other-stack", "not-first", "longer-line", "nul", "empty", "too-long", "bomb"],
)
def test_another_artifact_is_refused(github: GitHub, runner: Runner, text: str) -> None:
    github.review(text)
    done = comment(runner)
    assert (done.code, github.changes()) == (1, [])
    assert "::error::The artifact is no review of this stack. Nothing was commented." in done.out
    assert (runner.workspace / "review.md").stat().st_size <= 262_145


def test_an_archive_with_other_files_leaves_none_behind(github: GitHub, runner: Runner) -> None:
    github.review(REVIEW, "../review.md")
    assert comment(runner).code == 1
    assert github.changes() == []
    left = {path.name for path in runner.workspace.iterdir()}
    assert left <= {"review.zip", "review.md", "checked"}


def test_an_artifact_that_is_too_large_is_not_fetched(github: GitHub, runner: Runner) -> None:
    github.artifact(bytes(262_145))
    done = comment(runner)
    assert (done.code, github.changes()) == (1, [])
    assert "::error::The artifact is larger than any review." in done.out
    assert not any(one["path"].endswith("/zip") for one in github.asked())
