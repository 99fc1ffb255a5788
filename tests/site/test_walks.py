"""The commands of the pages run, and print what the pages show."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from bytez_provider.emulator import Emulator
from tests.e2e.stack import pulumi_path
from tests.s3 import S3Server
from tests.site.walks import WALKS, steps

KEYS = ("walk-key-0123456789", "walk-key-9876543210")
SECONDS = 180
NEXT = "---- next step ----"


@pytest.fixture
def emulators(request: pytest.FixtureRequest) -> Iterator[list[Emulator]]:
    """An emulator for each account, and what somebody else has loaded in the first."""
    walk = WALKS[request.node.callspec.params["page"]]
    with contextlib.ExitStack() as stack:
        running = [
            stack.enter_context(Emulator(keys=(key,), boot_seconds=0))
            for key in KEYS[: walk.accounts]
        ]
        for model_id, concurrency in walk.somebody_loads.items():
            running[0].load_by_somebody_else(model_id, concurrency)
        yield running


@pytest.fixture
def s3(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of an S3 server with the bucket; empty if the page needs none."""
    walk = WALKS[request.node.callspec.params["page"]]
    if not walk.bucket:
        yield ""
        return
    server = S3Server()
    try:
        server.make(walk.bucket)
        yield server.url
    finally:
        server.stop()


@pytest.mark.parametrize("page", WALKS)
def test_a_page_is_followed(page: str, tmp_path: Path, emulators: list[Emulator], s3: str) -> None:
    values = {
        **WALKS[page].replace,
        "@PORT@": str(free_port()),
        "@KEY@": KEYS[0],
        "@KEY2@": KEYS[1],
        "@SECOND@": emulators[-1].url,
    }
    todo = steps(page)
    script = "set -e\n" + "".join(f"{step.script}echo '{NEXT}'\n" for step in todo)
    output = typed(replaced(script, values), environment(tmp_path, emulators[0], s3))
    shown = output.split(NEXT)
    assert len(shown) == len(todo) + 1, f"it ends in step {len(shown)}:\n{output}"
    for step, text in zip(todo, shown, strict=False):
        for line in step.shows:
            assert replaced(line, values) in text, output


def replaced(text: str, values: Mapping[str, str]) -> str:
    """Return a text of a page as a reader types it."""
    for written, meant in values.items():
        text = text.replace(written, meant)
    return text


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def environment(folder: Path, emulator: Emulator, s3: str) -> dict[str, str]:
    """Return the environment of a reader who has a key, with the project in the home folder."""
    (folder / ".venv").symlink_to(sys.prefix)
    (folder / "backend").mkdir()
    return {
        "PATH": f"{Path(sys.prefix) / 'bin'}{os.pathsep}{pulumi_path()}",
        "HOME": str(folder),
        "PULUMI_HOME": str(folder / "pulumi-home"),
        "PULUMI_BACKEND_URL": f"file://{folder / 'backend'}",  # not ~: the CLI ignores HOME there
        "PULUMI_CONFIG_PASSPHRASE": "only for tests",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_SKIP_CONFIRMATIONS": "true",
        "PULUMI_OPTION_SKIP_PREVIEW": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "BYTEZ_KEY": KEYS[0],
        "BYTEZ_ENDPOINT": emulator.url,
        **({"AWS_ENDPOINT_URL": s3, "AWS_ALLOW_HTTP": "true"} if s3 else {}),
    }


def typed(script: str, env: Mapping[str, str]) -> str:
    """Return what a shell prints for a script; nothing that it started outlives it."""
    printed = Path(env["HOME"]) / "printed.txt"
    with printed.open("wb") as output:
        shell = subprocess.Popen(
            ["bash", "-c", script],
            cwd=env["HOME"],
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            shell.wait(SECONDS)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)
            shell.wait()
    return printed.read_text(encoding="utf-8")
