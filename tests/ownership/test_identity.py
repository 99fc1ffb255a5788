"""Who acts: where the CLI keeps a stack's state, and which process holds a record."""

from __future__ import annotations

import json
import os
import pwd
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bytez_provider.core.ownership import Presence, StackIdentity, _identity, stack_identity
from tests.e2e.stack import pulumi_path

PROJECT = "name: fleet\nruntime: yaml\n"
USER_FOLDER = pwd.getpwuid(os.getuid()).pw_dir
PRINT_HOLDER = (
    "import json\n"
    "from bytez_provider.core.ownership import Presence\n"
    "print(json.dumps(Presence().holder().bag()), flush=True)\n"
    "input()\n"
)


class Project:
    """A project in a folder, with folders beside it that may hold its state."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "project"
        self.state = folder / "state"
        self.home = folder / "pulumi-home"
        for one in (self.folder / "relative", self.state, self.home, folder / "a b"):
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

    def log_in(self, folder: Path, home: Path | None = None) -> None:
        home = home or self.home
        home.mkdir(exist_ok=True)
        (home / "credentials.json").write_text(json.dumps({"current": f"file://{folder}"}))

    def identity(self, url: str = "", **environ: str) -> StackIdentity:
        environ = {**self.environ, "PULUMI_BACKEND_URL": url, **environ}
        return stack_identity(environ, self.folder, is_shared=False)

    def identities(self) -> list[StackIdentity]:
        """Return those of a folder and the cloud, with a shared journal and one that is not."""
        environs = [{**self.environ, "PULUMI_BACKEND_URL": f"file://{self.state}"}, self.environ]
        return [
            stack_identity(environ, self.folder, is_shared=is_shared)
            for environ in environs
            for is_shared in (True, False)
        ]

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

    def place(self, **environ: str) -> Path:
        """Let the CLI make a stack; return the folder of our identity, which must hold it."""
        done = self.pulumi("stack", "init", "dev", **environ)
        assert done.returncode == 0, done.stderr
        place = self.identity(**environ).place
        folder = Path(place.removeprefix("file://"))
        assert (folder / ".pulumi" / "stacks" / "fleet" / "dev.json").is_file(), place
        return folder


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


class TestSameAsTheCli:
    @pytest.mark.parametrize(
        ("url", "folder"),
        [
            ("file://{folder}/state", "state"),
            ("file://{folder}/state/../state/./?no_tmp_dir=true", "state"),
            ("file://{folder}/a%20b", "a b"),
            ("file://./relative", "project/relative"),
            ("file://", "project"),
        ],
    )
    def test_the_environment(self, project: Project, tmp_path: Path, url: str, folder: str) -> None:
        assert project.place(PULUMI_BACKEND_URL=url.format(folder=tmp_path)) == tmp_path / folder

    @pytest.mark.parametrize("name", ["Pulumi.yaml", "Pulumi.yml", "Pulumi.json"])
    def test_the_project_before_the_login(self, project: Project, name: str) -> None:
        (project.folder / "Pulumi.yaml").unlink()
        backend = {"url": f"file://{project.state}"}
        project.write(json.dumps({"name": "fleet", "runtime": "yaml", "backend": backend}), name)
        project.log_in(project.home)
        assert project.place() == project.state

    def test_the_environment_before_the_project(self, project: Project) -> None:
        project.write(PROJECT + "backend: {url: 'file://relative'}\n")
        url = f"file://{project.state}"
        assert project.place(PULUMI_BACKEND_URL=url) == project.state

    def test_the_login(self, project: Project) -> None:
        project.log_in(project.state)
        assert project.place() == project.state

    def test_the_login_in_a_folder_of_its_own(self, project: Project, tmp_path: Path) -> None:
        project.log_in(project.home)
        elsewhere = tmp_path / "credentials"
        project.log_in(project.state, elsewhere)
        assert project.place(PULUMI_CREDENTIALS_PATH=str(elsewhere)) == project.state

    def test_the_login_in_the_home_of_the_account(
        self, project: Project, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A test must not write to the real one."""
        project.log_in(project.state, project.home / ".pulumi")
        monkeypatch.setattr(_identity, "_home", lambda _environ: project.home)
        assert project.identity(PULUMI_HOME="").place == f"file://{project.state}"

    @pytest.mark.parametrize("rest", ["/no-such-folder-of-a-test", "-no-such-folder-of-a-test"])
    def test_the_home_is_that_of_the_account_whatever_home_says(
        self, project: Project, rest: str
    ) -> None:
        url = f"file://~{rest}"
        said = project.pulumi("whoami", PULUMI_BACKEND_URL=url).stderr
        resolved = re.findall(r'resolved to "(.+?)"', said)
        assert resolved == [project.identity(url).place]
        assert resolved[0].startswith(f"file://{USER_FOLDER}/")

    def test_a_folder_below_the_project(self, project: Project) -> None:
        project.write(PROJECT + f"backend: {{url: 'file://{project.state}'}}\n")
        below = project.folder / "relative"
        assert stack_identity(project.environ, below, is_shared=False) == project.identity()


class TestStacks:
    @pytest.mark.parametrize(
        "text",
        [
            "backend:\n",
            "backend: {url: }\n",
            "backend: text\n",
            "- backend\n",
            "backend: {url: [\n",
        ],
    )
    def test_without_a_backend_it_is_the_cloud(self, project: Project, text: str) -> None:
        project.write(text)
        (project.home / "credentials.json").write_text('{"current": ')
        assert project.identity().place == "https://api.pulumi.com"
        assert project.identity() == project.identity("https://api.pulumi.com/")

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("s3://state", "s3://other"),
            ("s3://state/a", "s3://state/b"),
            ("s3://state?endpoint=http://a", "s3://state?endpoint=http://b"),
            ("azblob://state?storage_account=a", "azblob://state?storage_account=b"),
            ("postgres://host/db?table=a", "postgres://host/db?table=b"),
            ("s3://state", "gs://state"),
        ],
    )
    def test_two_places(self, project: Project, one: str, other: str) -> None:
        assert project.identity(one).key != project.identity(other).key

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
        assert project.identity(one) == project.identity(other)
        assert "SECRET" not in repr(project.identity(one))

    @pytest.mark.parametrize(
        ("url", "name"),
        [
            ("s3://state", "AWS_ENDPOINT_URL"),
            ("s3://state", "AWS_ENDPOINT_URL_S3"),
            ("azblob://state", "AZURE_STORAGE_ACCOUNT"),
            ("postgres://", "PGHOST"),
        ],
    )
    def test_the_environment_completes_an_address(
        self, project: Project, url: str, name: str
    ) -> None:
        places = [project.identity(url, **environ) for environ in ({}, {name: "a"}, {name: "b"})]
        assert len({one.key for one in places}) == 3

    def test_the_address_wins_over_the_environment(self, project: Project) -> None:
        url = "s3://state?endpoint=http://a"
        assert project.identity(url) == project.identity(url, AWS_ENDPOINT_URL="http://b")

    def test_files_of_two_machines_are_two_places_to_a_shared_journal(
        self, project: Project, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = project.identities()
        monkeypatch.setattr(_identity, "_content", lambda _path: "another machine")
        after = project.identities()
        assert before[0].place == after[0].place
        assert before[0].key != after[0].key
        assert before[1:] == after[1:]

    def test_keys_stay_the_same_because_records_hold_them(self, project: Project) -> None:
        assert project.identity("s3://state?endpoint=http://a").key == "be2889f7fa889e68"
        elsewhere = stack_identity({"PULUMI_BACKEND_URL": "file:///a"}, Path("/"), is_shared=False)
        assert elsewhere.key == "d466326aab75d75e"


@pytest.fixture
def other() -> Iterator[subprocess.Popen[str]]:
    """Another process, which prints its holder and waits."""
    with subprocess.Popen(
        [sys.executable, "-c", PRINT_HOLDER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        process.kill()


class TestProcesses:
    def test_this_process_lives_until_it_leaves(self) -> None:
        me, again = Presence(), Presence()
        assert me.token != again.token
        assert again.is_alive(me.holder()) is True
        me.leave()
        assert again.is_alive(me.holder()) is False
        assert again.is_alive(again.holder()) is True

    def test_another_process_lives_until_it_ends(self, other: subprocess.Popen[str]) -> None:
        assert other.stdout is not None
        me = Presence()
        holder = type(me.holder()).of(json.loads(other.stdout.readline()))
        assert (holder.machine, holder.pid) == (me.machine, other.pid)
        assert me.is_alive(holder) is True
        other.kill()
        # It has ended, and its parent has not looked yet.
        os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
        assert me.is_alive(holder) is False
        other.wait()
        assert me.is_alive(holder) is False

    def test_a_reused_process_number_is_not_the_holder(self) -> None:
        me = Presence()
        for pid, started in ((os.getppid(), me.holder().started), (os.getpid(), "1")):
            update = {"pid": pid, "started": started, "token": "another"}
            assert me.is_alive(me.holder().but(**update)) is False

    def test_only_a_beat_shows_that_another_machine_lives(self) -> None:
        assert Presence().is_alive(Presence(machine="another").holder()) is None
