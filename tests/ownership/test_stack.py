"""Where the CLI keeps a stack's state, as the CLI itself resolves it."""

from __future__ import annotations

import json
import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from bytez_provider.core.ownership import StackIdentity, _identity, stack_identity
from tests.e2e.stack import pulumi_path

PROJECT = "name: fleet\nruntime: yaml\n"
USER_FOLDER = pwd.getpwuid(os.getuid()).pw_dir


class Project:
    """A project in a folder, with a backend in the same folder's `state`, or in others."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "project"
        self.state = folder / "state"
        self.home = folder / "pulumi-home"
        for one in (self.folder / "relative", self.state, self.home):
            one.mkdir(parents=True)
        self.write(PROJECT)
        self.environ = {
            "PATH": pulumi_path(),
            "HOME": str(folder / "not-the-home-of-the-account"),
            "PULUMI_HOME": str(self.home),
            "PULUMI_CONFIG_PASSPHRASE": "only for tests",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
        }

    def write(self, text: str, name: str = "Pulumi.yaml") -> None:
        (self.folder / name).write_text(text)

    def log_in(self, url: str, home: Path) -> None:
        home.mkdir(exist_ok=True)
        (home / "credentials.json").write_text(json.dumps({"current": url}))

    def identity(self, **environ: str) -> StackIdentity:
        return stack_identity({**self.environ, **environ}, self.folder, is_shared=False)

    def shared(self, **environ: str) -> StackIdentity:
        return stack_identity({**self.environ, **environ}, self.folder, is_shared=True)

    def pulumi(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        known = {**self.environ, **environ}
        return subprocess.run(
            ["pulumi", *arguments, "--non-interactive"],
            executable=shutil.which("pulumi", path=known["PATH"]),
            cwd=self.folder,
            env=known,
            capture_output=True,
            text=True,
            check=False,
        )

    def is_where_the_cli_is(self, **environ: str) -> Path:
        """Let the CLI make a stack, assert that it is where we say, and return that folder."""
        done = self.pulumi("stack", "init", "dev", **environ)
        assert done.returncode == 0, done.stderr
        place = self.identity(**environ).place
        folder = Path(place.removeprefix("file://"))
        assert (folder / ".pulumi" / "stacks" / "fleet" / "dev.json").is_file(), place
        return folder


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


class TestAsTheCliResolvesIt:
    @pytest.mark.parametrize(
        ("url", "folder"),
        [
            ("file://{state}", "state"),
            ("file://{state}/", "state"),
            ("file://{state}?no_tmp_dir=true", "state"),
            ("file://{state}/../state/./", "state"),
            ("file://{folder}/a%20b", "a b"),
            ("file://relative", "project/relative"),
            ("file://./relative", "project/relative"),
            ("file://", "project"),
        ],
    )
    def test_the_environment_says_it(
        self, project: Project, tmp_path: Path, url: str, folder: str
    ) -> None:
        (tmp_path / "a b").mkdir()
        url = url.format(state=project.state, folder=tmp_path)
        assert project.is_where_the_cli_is(PULUMI_BACKEND_URL=url) == tmp_path / folder

    @pytest.mark.parametrize("name", ["Pulumi.yaml", "Pulumi.yml", "Pulumi.json"])
    def test_the_project_says_it(self, project: Project, name: str) -> None:
        (project.folder / "Pulumi.yaml").unlink()
        backend = {"url": f"file://{project.state}"}
        project.write(json.dumps({"name": "fleet", "runtime": "yaml", "backend": backend}), name)
        project.log_in(f"file://{project.home}", project.home)
        assert project.is_where_the_cli_is() == project.state

    def test_the_login_says_it(self, project: Project) -> None:
        project.log_in(f"file://{project.state}", project.home)
        assert project.is_where_the_cli_is() == project.state

    def test_the_login_is_in_a_folder_of_its_own(self, project: Project, tmp_path: Path) -> None:
        project.log_in(f"file://{project.home}", project.home)
        project.log_in(f"file://{project.state}", tmp_path / "credentials")
        elsewhere = str(tmp_path / "credentials")
        assert project.is_where_the_cli_is(PULUMI_CREDENTIALS_PATH=elsewhere) == project.state

    def test_the_environment_wins_over_the_project_and_that_over_the_login(
        self, project: Project
    ) -> None:
        project.write(PROJECT + "backend: {url: 'file://relative'}\n")
        project.log_in(f"file://{project.home}", project.home)
        assert project.is_where_the_cli_is() == project.folder / "relative"
        url = f"file://{project.state}"
        assert project.is_where_the_cli_is(PULUMI_BACKEND_URL=url) == project.state

    @pytest.mark.parametrize("rest", ["/no-such-folder-of-a-test", "-no-such-folder-of-a-test"])
    def test_the_home_is_that_of_the_account_whatever_home_says(
        self, project: Project, rest: str
    ) -> None:
        url = f"file://~{rest}"
        said = project.pulumi("whoami", PULUMI_BACKEND_URL=url).stderr
        resolved = re.findall(r'resolved to "(.+?)"', said)
        assert resolved == [project.identity(PULUMI_BACKEND_URL=url).place]
        assert resolved[0].startswith(f"file://{USER_FOLDER}/")

    def test_a_folder_below_the_project_is_of_it(self, project: Project) -> None:
        project.write(PROJECT + f"backend: {{url: 'file://{project.state}'}}\n")
        below = project.folder / "relative"
        assert stack_identity(project.environ, below, is_shared=False) == project.identity()

    def test_a_login_without_a_home_is_in_that_of_the_account(
        self, project: Project, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The real one is nobody's to write to in a test."""
        home = project.folder / "home"
        project.log_in(f"file://{project.state}", home)
        (home / "credentials.json").rename(project.folder / "relative" / "credentials.json")
        (project.folder / "relative").rename(home / ".pulumi")
        monkeypatch.setattr(_identity, "_home", lambda _environ: home)
        environ = {k: v for k, v in project.environ.items() if k != "PULUMI_HOME"}
        found = stack_identity(environ, project.folder, is_shared=False)
        assert found.place == f"file://{project.state}"


class TestTellingApart:
    @pytest.mark.parametrize(
        "text",
        [
            "backend:\n",
            "backend: {url: }\n",
            "backend: words\n",
            "- backend\n",
            "backend: {url: [\n",
            "# backend\n",
        ],
    )
    def test_what_says_nothing_is_the_cloud(self, project: Project, text: str) -> None:
        project.write(text)
        (project.home / "credentials.json").write_text('{"current": ')
        assert project.identity().place == "https://api.pulumi.com"
        cloud = project.identity(PULUMI_BACKEND_URL="https://api.pulumi.com/")
        assert cloud == project.identity()

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("s3://state", "s3://other"),
            ("s3://state/a", "s3://state/b"),
            ("s3://state?endpoint=http://a", "s3://state?endpoint=http://b"),
            ("azblob://state?storage_account=a", "azblob://state?storage_account=b"),
            ("postgres://host/db?table=a", "postgres://host/db?table=b"),
            ("s3://state", "gs://state"),
            ("https://api.pulumi.com", "https://pulumi.example.org"),
        ],
    )
    def test_two_places(self, project: Project, one: str, other: str) -> None:
        keys = {project.identity(PULUMI_BACKEND_URL=url).key for url in (one, other)}
        assert len(keys) == 2

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("s3://state", "s3://state/"),
            ("s3://state/a", "s3://state/a?region=eu-west-1&profile=ops"),
            ("s3://state?endpoint=http://a&region=x", "s3://state?awssdk=v2&endpoint=http://a"),
            ("postgres://me:SECRET@host/db", "postgres://you:OTHER@host/db?sslmode=require"),
        ],
    )
    def test_two_ways_to_reach_one_place(self, project: Project, one: str, other: str) -> None:
        found = {project.identity(PULUMI_BACKEND_URL=url) for url in (one, other)}
        assert len(found) == 1
        assert "SECRET" not in repr(found)

    @pytest.mark.parametrize(
        ("url", "name"),
        [
            ("s3://state", "AWS_ENDPOINT_URL"),
            ("s3://state", "AWS_ENDPOINT_URL_S3"),
            ("azblob://state", "AZURE_STORAGE_ACCOUNT"),
            ("postgres://", "PGHOST"),
        ],
    )
    def test_what_the_cli_takes_from_the_environment(
        self, project: Project, url: str, name: str
    ) -> None:
        def key(environ: Mapping[str, str]) -> str:
            return project.identity(PULUMI_BACKEND_URL=url, **environ).key

        assert len({key({}), key({name: "a"}), key({name: "b"})}) == 3

    def test_what_the_address_says_wins_over_the_environment(self, project: Project) -> None:
        url = "s3://state?endpoint=http://a"
        here = project.identity(PULUMI_BACKEND_URL=url)
        there = project.identity(PULUMI_BACKEND_URL=url, AWS_ENDPOINT_URL="http://b")
        assert here == there

    def test_files_of_two_machines_are_two_places_to_a_shared_journal(
        self, project: Project, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        url = f"file://{project.state}"
        here = project.shared(PULUMI_BACKEND_URL=url)
        alone = project.identity(PULUMI_BACKEND_URL=url)
        cloud = project.shared()
        monkeypatch.setattr(_identity, "_content", lambda _path: "another")
        there = project.shared(PULUMI_BACKEND_URL=url)
        assert here.place == there.place
        assert here.key != there.key
        assert project.identity(PULUMI_BACKEND_URL=url) == alone
        assert project.shared() == cloud
