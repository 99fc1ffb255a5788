"""Make sure that there is a Pulumi CLI: `make setup` runs this with the Python of the project.

If there is a pulumi on PATH, it is used. Otherwise one is put into `.tools/pulumi`: by the
installer of the Automation API, or, if that cannot reach its host, by building the CLI and the
language host for YAML from their Go modules (in the versions that the two `go.mod` name) and adding
the parts of a release that Python programs need. A second run does nothing.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent / ".tools" / "pulumi"
BIN = ROOT / "bin"
STAMP = ROOT / "installed"

INSTALLER_HOST = "get.pulumi.com"
REACH_SECONDS = 20
"""How long to try the host of the installer; a blocked network often does not answer at all."""

DOWNLOAD_SECONDS = 600
"""How long the installer may take: it downloads about 150 MB."""

BUILD_SECONDS = 3600
"""How long the build may take."""

REPORT_SECONDS = 15
"""How often a long step reports that it is still running."""

EXPECTED_BUILD = "about 7 minutes on 2 cores, and 5 GB in Go's caches"
DOCS = "https://www.pulumi.com/docs/install/"

OFFICIAL = "official release"
"""The stamp of a CLI that Pulumi's installer downloaded."""

SDK_MODULE = "github.com/pulumi/pulumi/sdk/v3"


@dataclass(frozen=True)
class Program:
    """A program that is built from its Go module."""

    name: str
    module: str
    sets_version: str
    """The variable that holds its version. Without one, `pulumi version` prints nothing, and the
    Automation API refuses it."""
    folder: Path
    """Where its `go.mod` is."""

    @property
    def version(self) -> str:
        """The version that `go.mod` requires, as in "v3.259.0"."""
        return self._required(rf"^\s*(?:require )?{re.escape(self.module)} (\S+)")

    @property
    def go(self) -> str:
        """The version of Go that builds it."""
        return self._required(r"^go (\S+)$")

    def _required(self, pattern: str) -> str:
        file = self.folder / "go.mod"
        found = re.search(pattern, file.read_text(), re.MULTILINE)
        if found is None:
            raise CannotInstallError(f"{file} names no version. Restore it from git")
        return found[1]


CLI = Program(
    "pulumi",
    "github.com/pulumi/pulumi/pkg/v3",
    f"{SDK_MODULE}/go/common/version.Version",
    HERE,
)
YAML = Program(
    "pulumi-language-yaml",
    "github.com/pulumi/pulumi-yaml",
    "github.com/pulumi/pulumi-yaml/pkg/version.Version",
    HERE / "yaml",
)
RELEASE_PARTS = (
    "python/cmd/pulumi-language-python-exec",
    "python/dist/pulumi-resource-pulumi-python",
)
"""Files of the SDK's Go module that a release has beside the CLI."""


class CannotInstallError(Exception):
    """There is no CLI and none can be built; the message is one line and says what to install."""


def say(text: str) -> None:
    """Print without buffering, also in a pipe."""
    print(f"pulumi: {text}", flush=True)


def search_path() -> str:
    """PATH without our own folder: a CLI that we made is ours to look after."""
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join(folder for folder in folders if Path(folder) != BIN)


def run_long(command: list[str], doing: str, log: Path, limit: int, folder: Path = HERE) -> int:
    """Run `command` with its output in `log`, and say now and then that it is still going.

    Returns its exit code, or -1 when it was ended because `limit` seconds had passed.
    """
    started = time.monotonic()
    with log.open("w") as output:
        process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=output)
        try:
            while time.monotonic() < started + limit:
                try:
                    return process.wait(timeout=REPORT_SECONDS)
                except subprocess.TimeoutExpired:
                    minutes, seconds = divmod(int(time.monotonic() - started), 60)
                    say(f"still {doing}, {minutes} min {seconds:02} s so far")
            return -1
        finally:
            process.kill()
            process.wait()


def is_installer_reachable() -> bool:
    """Whether the Automation API's installer can be fetched; says so if not."""
    script = f"import urllib.request as u; u.urlopen('https://{INSTALLER_HOST}/install.sh').close()"
    try:
        # In a process of its own, because a name look-up cannot be given a limit.
        answer = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, timeout=REACH_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        say(f"none on PATH, and {INSTALLER_HOST} does not answer")
        return False
    if answer.returncode:
        say(f"none on PATH, and {INSTALLER_HOST} cannot be reached")
        return False
    return True


def download(into: Path) -> bool:
    """Install the official release of the SDK's own version; whether that worked."""
    say(f"none on PATH; downloading the official release from {INSTALLER_HOST}")
    script = (
        "import sys; from pulumi.automation import PulumiCommand; "
        "PulumiCommand.install(root=sys.argv[1])"
    )
    log = into / "download.log"
    command = [sys.executable, "-c", script, str(into)]
    if run_long(command, "downloading", log, DOWNLOAD_SECONDS):
        say("the download failed")
        return False
    log.unlink()
    return True


def find_go(wanted: str) -> str:
    """The go command, of a version that can build the CLI.

    Raises CannotInstallError if there is none.
    """
    advice = f"Install Go {wanted} or newer (https://go.dev/dl/), or install Pulumi ({DOCS})"
    go = shutil.which("go")
    if go is None:
        raise CannotInstallError(f"there is no pulumi and no go on PATH. {advice}")
    # Beside go.mod, an older go downloads the version named there, or reports why it cannot.
    answer = subprocess.run(
        [go, "env", "GOVERSION"], cwd=HERE, capture_output=True, text=True, check=False
    )
    if answer.returncode:
        reason = " ".join(answer.stderr.split())
        raise CannotInstallError(f"go on PATH cannot build pulumi ({reason}). {advice}")
    return go


def build(go: str, program: Program, into: Path) -> None:
    """Build a program into the folder `into`, with a line now and then while it lasts."""
    log = into / "build.log"
    command = [
        *(go, "build", "-trimpath", "-buildvcs=false"),
        *("-ldflags", f"-s -w -X {program.sets_version}={program.version}"),
        *("-o", str(into / "bin" / program.name), f"{program.module}/cmd/{program.name}"),
    ]
    if run_long(command, f"building {program.name}", log, BUILD_SECONDS, program.folder):
        reason = (log.read_text().strip().splitlines() or ["it did not finish"])[-1]
        raise CannotInstallError(
            f"the build failed ({reason}). Mend that, or install Pulumi ({DOCS})"
        )
    log.unlink()


def add_release_parts(go: str, into: Path) -> None:
    """Put beside the CLI what a release has there for Python, and our language host."""
    answer = subprocess.run(
        [go, "list", "-m", "-f", "{{.Dir}}", SDK_MODULE],
        cwd=HERE,
        capture_output=True,
        text=True,
        check=False,
    )
    if answer.returncode:
        reason = " ".join(answer.stderr.split())
        raise CannotInstallError(f"go cannot find {SDK_MODULE} ({reason}). Run make setup again")
    for part in RELEASE_PARTS:
        source = Path(answer.stdout.strip(), part)
        target = into / "bin" / source.name
        target.write_bytes(source.read_bytes())
        target.chmod(0o755)
    write_launcher(into)


def write_launcher(into: Path) -> None:
    """Write the program that the engine starts: our stand-in, under the project's own Python."""
    # A shell script, because the line after #! can hold neither a space nor a long path.
    command = [sys.executable, HERE / "language_host.py", BIN / "pulumi-language-python-exec"]
    text = (
        "#!/bin/sh\n"
        "# Stands in for the Python language host of a Pulumi release; see language_host.py.\n"
        f'exec {" ".join(shlex.quote(str(part)) for part in command)} "$@"\n'
    )
    launcher = into / "bin" / "pulumi-language-python"
    if not launcher.exists() or launcher.read_text() != text:
        launcher.write_text(text)
        launcher.chmod(0o755)


def install() -> None:
    """Fill `ROOT` by the first way that works; it appears under its name only when complete."""
    partial = ROOT.with_name("pulumi.partial")
    empty(partial)
    if is_installer_reachable() and download(partial):
        source = OFFICIAL
    else:
        go = find_go(CLI.go)
        empty(partial)
        say(f"building the CLI {CLI.version} from its Go module: {EXPECTED_BUILD}")
        for program in (CLI, YAML):
            build(go, program, partial)
        add_release_parts(go, partial)
        source = built()
    (partial / STAMP.name).write_text(f"{source}\n")
    shutil.rmtree(ROOT, ignore_errors=True)
    partial.rename(ROOT)
    say(f"ready in .tools/pulumi/bin ({source})")


def empty(folder: Path) -> None:
    """Make `folder` hold an empty bin and nothing else."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "bin").mkdir(parents=True)


def built() -> str:
    """What the stamp says about a CLI that was built here."""
    return f"built from source, {CLI.version}, YAML {YAML.version}"


def ensure() -> None:
    """Leave a complete CLI of the version wanted now in `ROOT`."""
    stamp = STAMP.read_text().strip() if STAMP.exists() else ""
    if stamp == built():
        write_launcher(ROOT)  # the checkout or its Python may have moved since
    elif stamp != OFFICIAL:
        install()


def main() -> int:
    """Find or make a CLI; 0 when there is one, 1 with one line on stderr when there is none."""
    on_path = shutil.which("pulumi", path=search_path())
    if on_path:
        say(f"using {on_path}")
        return 0
    try:
        ensure()
    except CannotInstallError as error:
        print(f"could not install 'pulumi': {error}.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
