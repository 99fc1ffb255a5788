"""The stand-in language host as a process, called as the engine calls it."""

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
"""A program that writes to a lifeline that it has started, and then never ends."""


def run(engine: Engine, root: Path, program: str, **options: str) -> messages.RunResponse:
    answer: messages.RunResponse = begin(engine, root, program, **options).result()
    return answer


def begin(engine: Engine, root: Path, program: str, **options: str) -> Any:
    (root / "__main__.py").write_text(program)
    request = messages.RunRequest(
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
    return engine.calls.Run.future(request)


def run_plugin(
    engine: Engine, root: Path, program: str, kind: str, **more: Any
) -> Iterator[messages.RunPluginResponse]:
    (root / "__main__.py").write_text(program)
    request = messages.RunPluginRequest(
        pwd=str(root), info=project(root), kind=kind, args=[ADDRESS], **more
    )
    stream: Iterator[messages.RunPluginResponse] = engine.calls.RunPlugin(request)
    return stream


def noted(tmp_path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((tmp_path / "noted.json").read_text())
    return found


def test_it_describes_itself_and_refuses_what_it_does_not_implement(
    engine: Engine, root: Path
) -> None:
    assert engine.calls.GetPluginInfo(empty_pb2.Empty()).version == metadata.version("pulumi")
    about = engine.calls.About(messages.AboutRequest(info=project(root)))
    assert (about.executable, about.version) == (sys.executable, platform.python_version())
    packages = messages.GetRequiredPackagesRequest(info=project(root))
    assert not engine.calls.GetRequiredPackages(packages).packages
    with pytest.raises(grpc.RpcError) as refused:
        engine.calls.Pack(messages.PackRequest(package_directory=str(root)))
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


class TestRun:
    def test_the_executor_gets_the_arguments_of_the_engine(
        self, engine: Engine, root: Path, tmp_path: Path
    ) -> None:
        answer = run(engine, root, "")
        assert (answer.error, answer.bail) == ("", False)
        assert noted(tmp_path)["arguments"] == [
            *("--monitor", "127.0.0.1:7", "--engine", ADDRESS),
            *("--project", "fleet", "--stack", "dev", "--pwd", str(root)),
            *("--dry_run", "true", "--parallel", "8", "--organization", "organization"),
            *("--root_directory", str(root), ".", "more"),
        ]

    def test_the_config_is_in_the_environment_and_not_in_the_arguments(
        self, engine: Engine, root: Path, tmp_path: Path
    ) -> None:
        run(engine, root, "")
        environment = noted(tmp_path)["environment"]
        assert json.loads(environment["PULUMI_CONFIG"])["bytez:key"] == "hidden"
        assert json.loads(environment["PULUMI_CONFIG_SECRET_KEYS"]) == ["bytez:key"]
        assert "hidden" not in str(noted(tmp_path)["arguments"])

    @pytest.mark.parametrize(
        ("program", "error", "bail"),
        [
            ("raise SystemExit(32)", "", True),  # The user has seen the error.
            ("raise SystemExit(3)", "program exited with non-zero exit code: 3", False),
            (
                "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
                "program exited with non-zero exit code: 137",
                False,
            ),
        ],
    )
    def test_the_exit_code_is_the_answer(
        self, engine: Engine, root: Path, program: str, error: str, *, bail: bool
    ) -> None:
        answer = run(engine, root, program)
        assert (answer.error, answer.bail) == (error, bail)

    def test_the_virtualenv_is_found_from_the_root_of_the_project(
        self, engine: Engine, root: Path, tmp_path: Path
    ) -> None:
        binaries = root / "env" / "bin"
        binaries.mkdir(parents=True)
        (binaries / "python").symlink_to(sys.executable)
        run(engine, root, "", virtualenv="env")
        environment = noted(tmp_path)["environment"]
        assert noted(tmp_path)["python"] == str(binaries / "python")
        assert environment["VIRTUAL_ENV"] == str(root / "env")
        assert environment["PATH"].startswith(f"{binaries}{os.pathsep}")

    def test_a_missing_virtualenv_is_named(self, engine: Engine, root: Path) -> None:
        missing = root / "env" / "bin" / "python"
        assert str(missing) in run(engine, root, "", virtualenv="env").error

    def test_a_toolchain_other_than_pip_is_refused(self, engine: Engine, root: Path) -> None:
        assert "toolchain 'uv'" in run(engine, root, "", toolchain="uv").error

    @pytest.mark.parametrize("is_plugin", [True, False])
    def test_cancelling_the_call_ends_the_program(
        self, engine: Engine, root: Path, lifeline: Lifeline, *, is_plugin: bool
    ) -> None:
        program = HELD.format(path=str(lifeline.path))
        if is_plugin:
            call: Any = run_plugin(engine, root, program, "resource")
        else:
            call = begin(engine, root, program)
        assert lifeline.read() == b"started"
        call.cancel()
        assert lifeline.read() == b""


class TestRunPlugin:
    def test_output_is_streamed_before_the_exit_code(
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
        gate.write_text("continue")
        *printed, last = stream
        assert b"".join(answer.stderr for answer in printed) == b"two\n"
        assert last.exitcode == 1

    def test_a_policy_pack_is_run_by_the_sdk_in_its_own_folder(
        self, engine: Engine, root: Path
    ) -> None:
        program = "import os, pulumi.runtime; print(os.getcwd(), __file__); raise SystemExit(3)"
        with_sdk = [f"PULUMI_PYTHON_CMD={sys.executable}"]
        answers = list(run_plugin(engine, root, program, "analyzer", env=with_sdk))
        printed = b"".join(answer.stdout for answer in answers).decode()
        assert printed == f"{root} {root / '__main__.py'}\n"
        assert answers[-1].exitcode == 3

    def test_a_missing_virtualenv_is_named(self, engine: Engine, root: Path) -> None:
        request = messages.RunPluginRequest(info=project(root, virtualenv="env"), kind="analyzer")
        with pytest.raises(grpc.RpcError) as refused:
            list(engine.calls.RunPlugin(request))
        assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert str(root / "env") in str(refused.value.details())


class TestEnd:
    def test_an_interrupt_ends_it_and_its_program_silently(
        self, engine: Engine, root: Path, lifeline: Lifeline
    ) -> None:
        call = begin(engine, root, HELD.format(path=str(lifeline.path)))
        assert lifeline.read() == b"started"
        assert engine.interrupt() == (0, "")
        assert lifeline.read() == b""
        # The end of the program may be answered just before the host ends.
        assert call.exception(PATIENCE) is not None or call.result().error

    def test_it_ends_if_the_engine_is_killed(self) -> None:
        start = f"import subprocess; subprocess.run({[sys.executable, str(HOST), 'x', ADDRESS]!r})"
        with subprocess.Popen(
            [sys.executable, "-c", start], stdout=subprocess.PIPE, text=True
        ) as killed:
            assert killed.stdout is not None
            assert int(killed.stdout.readline())
            killed.kill()
            # The host has the other end of this pipe: it closes when the host ends.
            rest, _ = killed.communicate(timeout=PATIENCE)
        assert rest == ""
