"""The stand-in language host, served for real and called as the engine calls it."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2
from pulumi.runtime.proto import language_pb2 as messages

from tests.toolchain.engine import ADDRESS, HOST, PATIENCE, Engine, Lifeline, project

HELD = """
import os, signal, sys
line = os.open({path!r}, os.O_WRONLY)
os.write(line, b"started")
signal.pause()
"""
"""A program that says over a lifeline that it has started, and then lasts for ever."""


def run(engine: Engine, root: Path, program: str, **options: str) -> messages.RunResponse:
    (root / "__main__.py").write_text(program)
    answer: messages.RunResponse = engine.calls.Run(run_request(root, **options))
    return answer


def run_request(root: Path, **options: str) -> messages.RunRequest:
    return messages.RunRequest(
        project="fleet",
        stack="dev",
        pwd=str(root),
        dryRun=True,
        parallel=8,
        monitor_address="127.0.0.1:7",
        organization="organization",
        config={"bytez:endpoint": "http://127.0.0.1:1", "bytez:key": "hidden"},
        configSecretKeys=["bytez:key"],
        args=["more"],
        info=project(root, **options),
    )


def run_plugin(
    engine: Engine, root: Path, program: str, kind: str, **more: Any
) -> Iterator[messages.RunPluginResponse]:
    (root / "__main__.py").write_text(program)
    request = messages.RunPluginRequest(
        pwd=str(root), info=project(root), kind=kind, args=[ADDRESS], **more
    )
    stream: Iterator[messages.RunPluginResponse] = engine.calls.RunPlugin(request)
    return stream


def told(tmp_path: Path) -> dict[str, Any]:
    noted: dict[str, Any] = json.loads((tmp_path / "told.json").read_text())
    return noted


class TestAnswers:
    def test_its_version_is_that_of_the_sdk(self, engine: Engine) -> None:
        assert engine.calls.GetPluginInfo(empty_pb2.Empty()).version == metadata.version("pulumi")

    def test_about_names_its_interpreter(self, engine: Engine, root: Path) -> None:
        about = engine.calls.About(messages.AboutRequest(info=project(root)))
        assert (about.executable, about.version) == (sys.executable, platform.python_version())

    def test_a_program_needs_no_plugins(self, engine: Engine, root: Path) -> None:
        packages = messages.GetRequiredPackagesRequest(info=project(root))
        plugins = messages.GetRequiredPluginsRequest(info=project(root))
        assert not engine.calls.GetRequiredPackages(packages).packages
        assert not engine.calls.GetRequiredPlugins(plugins).plugins

    def test_there_is_nothing_to_install(self, engine: Engine, root: Path) -> None:
        request = messages.InstallDependenciesRequest(directory=str(root), info=project(root))
        assert list(engine.calls.InstallDependencies(request)) == []

    def test_what_it_does_not_know_it_says_is_not_implemented(
        self, engine: Engine, root: Path
    ) -> None:
        with pytest.raises(grpc.RpcError) as refused:
            engine.calls.Pack(messages.PackRequest(package_directory=str(root)))
        assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


class TestRun:
    def test_the_executor_is_told_what_the_engine_asked_for(
        self, engine: Engine, root: Path, tmp_path: Path
    ) -> None:
        answer = run(engine, root, "")
        assert (answer.error, answer.bail) == ("", False)
        assert told(tmp_path)["arguments"] == [
            *("--monitor", "127.0.0.1:7", "--engine", ADDRESS),
            *("--project", "fleet", "--stack", "dev", "--pwd", str(root)),
            *("--dry_run", "true", "--parallel", "8", "--organization", "organization"),
            *("--root_directory", str(root), ".", "more"),
        ]

    def test_the_config_is_in_the_environment_and_not_among_the_arguments(
        self, engine: Engine, root: Path, tmp_path: Path
    ) -> None:
        run(engine, root, "")
        environment = told(tmp_path)["environment"]
        assert json.loads(environment["PULUMI_CONFIG"])["bytez:key"] == "hidden"
        assert json.loads(environment["PULUMI_CONFIG_SECRET_KEYS"]) == ["bytez:key"]
        assert "hidden" not in str(told(tmp_path)["arguments"])

    def test_a_handshake_names_another_engine(
        self, engine: Engine, root: Path, tmp_path: Path
    ) -> None:
        engine.calls.Handshake(messages.LanguageHandshakeRequest(engine_address="127.0.0.1:8"))
        run(engine, root, "")
        assert "127.0.0.1:8" in told(tmp_path)["arguments"]

    def test_exit_code_32_means_that_the_user_has_been_told(
        self, engine: Engine, root: Path
    ) -> None:
        answer = run(engine, root, "raise SystemExit(32)")
        assert (answer.error, answer.bail) == ("", True)

    def test_another_exit_code_is_an_error(self, engine: Engine, root: Path) -> None:
        answer = run(engine, root, "raise SystemExit(3)")
        assert answer.error == "program exited with non-zero exit code: 3"
        assert not answer.bail

    def test_a_signal_is_an_error_too(self, engine: Engine, root: Path) -> None:
        answer = run(engine, root, "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
        assert answer.error == "program exited with non-zero exit code: 137"

    def test_what_the_program_prints_goes_to_the_engine(self, engine: Engine, root: Path) -> None:
        run(engine, root, "print('from the program')")
        assert engine.line() == "from the program"

    def test_the_virtualenv_is_found_from_the_root_of_the_project(
        self, engine: Engine, root: Path, tmp_path: Path
    ) -> None:
        binaries = root / "env" / "bin"
        binaries.mkdir(parents=True)
        (binaries / "python").symlink_to(sys.executable)
        run(engine, root, "", virtualenv="env")
        environment = told(tmp_path)["environment"]
        assert told(tmp_path)["python"] == str(binaries / "python")
        assert environment["VIRTUAL_ENV"] == str(root / "env")
        assert environment["PATH"].startswith(f"{binaries}{os.pathsep}")

    def test_a_virtualenv_that_is_not_there_is_named(self, engine: Engine, root: Path) -> None:
        missing = root / "env" / "bin" / "python"
        assert str(missing) in run(engine, root, "", virtualenv="env").error

    def test_a_toolchain_other_than_pip_is_refused(self, engine: Engine, root: Path) -> None:
        assert "toolchain 'uv'" in run(engine, root, "", toolchain="uv").error

    def test_cancelling_the_call_ends_the_program(
        self, engine: Engine, root: Path, lifeline: Lifeline
    ) -> None:
        (root / "__main__.py").write_text(HELD.format(path=str(lifeline.path)))
        call = engine.calls.Run.future(run_request(root))
        assert lifeline.read() == b"started"
        call.cancel()
        assert lifeline.read() == b""


class TestRunPlugin:
    def test_output_arrives_as_it_comes_and_then_the_exit_code(
        self, engine: Engine, root: Path, tmp_path: Path
    ) -> None:
        gate = tmp_path / "gate"
        os.mkfifo(gate)
        stream = run_plugin(
            engine,
            root,
            f"print('one'); open({str(gate)!r}).read(); import sys; sys.exit('two')",
            "resource",
        )
        assert next(stream).stdout.startswith(b"one")
        gate.write_text("go on")
        *printed, last = stream
        assert b"".join(answer.stderr for answer in printed) == b"two\n"
        assert last.exitcode == 1

    def test_a_plugin_gets_its_arguments_and_environment(self, engine: Engine, root: Path) -> None:
        program = "import os, sys; print(sys.argv[1:], os.environ['GIVEN'])"
        stream = run_plugin(engine, root, program, "resource", env=["GIVEN=a=b"])
        assert b"".join(answer.stdout for answer in stream) == f"['{ADDRESS}'] a=b\n".encode()

    def test_a_policy_pack_is_run_by_the_sdk_in_its_own_folder(
        self, engine: Engine, root: Path
    ) -> None:
        program = "import os, pulumi.runtime; print(os.getcwd(), __file__); raise SystemExit(3)"
        with_sdk = [f"PULUMI_PYTHON_CMD={sys.executable}"]
        answers = list(run_plugin(engine, root, program, "analyzer", env=with_sdk))
        printed = b"".join(answer.stdout for answer in answers).decode()
        assert printed == f"{root} {root / '__main__.py'}\n"
        assert answers[-1].exitcode == 3

    def test_a_virtualenv_that_is_not_there_is_named(self, engine: Engine, root: Path) -> None:
        request = messages.RunPluginRequest(info=project(root, virtualenv="env"), kind="analyzer")
        with pytest.raises(grpc.RpcError) as refused:
            list(engine.calls.RunPlugin(request))
        assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert str(root / "env") in str(refused.value.details())

    def test_cancelling_the_call_ends_the_plugin(
        self, engine: Engine, root: Path, lifeline: Lifeline
    ) -> None:
        program = HELD.format(path=str(lifeline.path))
        (root / "__main__.py").write_text(program)
        request = messages.RunPluginRequest(pwd=str(root), info=project(root), kind="resource")
        call = engine.calls.RunPlugin(request)
        assert lifeline.read() == b"started"
        call.cancel()
        assert lifeline.read() == b""


class TestEnd:
    def test_an_interrupt_ends_it_and_its_program_without_a_word(
        self, engine: Engine, root: Path, lifeline: Lifeline
    ) -> None:
        (root / "__main__.py").write_text(HELD.format(path=str(lifeline.path)))
        call = engine.calls.Run.future(run_request(root))
        assert lifeline.read() == b"started"
        assert engine.interrupt() == (0, "")
        assert lifeline.read() == b""
        assert call.exception(PATIENCE) is not None

    def test_it_does_not_outlive_an_engine_that_is_killed(self) -> None:
        start = f"import subprocess; subprocess.run({[sys.executable, str(HOST), 'x', ADDRESS]!r})"
        with subprocess.Popen(
            [sys.executable, "-c", start], stdout=subprocess.PIPE, text=True
        ) as killed:
            assert killed.stdout is not None
            assert int(killed.stdout.readline())
            killed.kill()
            # The host holds the other end of this pipe, so it ends when the host does.
            rest, _ = killed.communicate(timeout=PATIENCE)
        assert rest == ""
