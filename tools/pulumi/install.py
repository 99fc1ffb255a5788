"""Make sure that there is a Pulumi CLI: `make setup` runs this with the project's own Python.

A pulumi on PATH is used as it is. Where there is none, one is put into `.tools/pulumi`: by the
Automation API's own installer, or, where that cannot reach its host, by building the CLI from its
Go module (`go.mod` beside this file says which version) and adding the parts of a release that
programs in Python need. The second time there is nothing to do.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent / ".tools" / "pulumi"
BIN = ROOT / "bin"
STAMP = ROOT / "installed"

INSTALLER_HOST = "get.pulumi.com"
REACH_SECONDS = 20
"""How long to try the installer's host; a blocked network is often silent rather than refusing."""

DOWNLOAD_SECONDS = 600
"""How long the installer may take once its host has answered: it fetches about 150 MB."""

REPORT_SECONDS = 15
"""How often the long build says that it is still going."""

EXPECTED_BUILD = "about 5 minutes on 2 cores, and 4 GB in Go's caches"
DOCS = "https://www.pulumi.com/docs/install/"

CLI_MODULE = "github.com/pulumi/pulumi/pkg/v3"
SDK_MODULE = "github.com/pulumi/pulumi/sdk/v3"
RELEASE_PARTS = (
    "python/cmd/pulumi-language-python-exec",
    "python/dist/pulumi-resource-pulumi-python",
)
"""Files of the SDK's Go module that stand beside the CLI in a release."""


class CannotInstallError(Exception):
    """There is no CLI and none can be made; the message is one line and says what to install."""


def say(text: str) -> None:
    """Tell the user at once, in a pipe too."""
    print(f"pulumi: {text}", flush=True)  # noqa: T201 - a set-up script talks on stdout


def search_path() -> str:
    """PATH without our own folder: a CLI that we made is ours to look after."""
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join(folder for folder in folders if Path(folder) != BIN)


def go_version_wanted(go_mod: str) -> str:
    """The version in the `go` line of `go_mod`."""
    found = re.search(r"^go (\S+)$", go_mod, re.MULTILINE)
    assert found, "go.mod has no go line"
    return found[1]


def cli_version(go_mod: str) -> str:
    """The version of the CLI that `go_mod` requires, as in "v3.259.0"."""
    found = re.search(rf"^\s*{re.escape(CLI_MODULE)} (\S+)", go_mod, re.MULTILINE)
    assert found, f"go.mod does not require {CLI_MODULE}"
    return found[1]


def has_installer_host() -> bool:
    """Whether the Automation API's installer has a host to download from; says so if not."""
    script = f"import urllib.request as u; u.urlopen('https://{INSTALLER_HOST}/').close()"
    try:
        # In a process of its own, because a name look-up cannot be given a limit.
        answer = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, timeout=REACH_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        say(f"{INSTALLER_HOST} does not answer: building from source instead")
        return False
    if answer.returncode:
        say(f"{INSTALLER_HOST} cannot be reached: building from source instead")
        return False
    return True


def download(into: Path) -> bool:
    """Install the official release of the SDK's own version; whether that worked."""
    say(f"none on PATH; downloading the official release from {INSTALLER_HOST}")
    script = (
        "import sys; from pulumi.automation import PulumiCommand; "
        "PulumiCommand.install(root=sys.argv[1])"
    )
    try:
        done = subprocess.run(
            [sys.executable, "-c", script, str(into)],
            capture_output=True,
            timeout=DOWNLOAD_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        say("the download did not finish: building from source instead")
        return False
    if done.returncode:
        say("the download failed: building from source instead")
        return False
    return True


def find_go(wanted: str) -> str:
    """The go command, of a version that can build the CLI.

    Raises CannotInstallError where there is none.
    """
    advice = f"Install Go {wanted} or newer (https://go.dev/dl/), or install Pulumi ({DOCS})"
    go = shutil.which("go")
    if go is None:
        raise CannotInstallError(f"there is no pulumi and no go on PATH. {advice}")
    # Asked beside go.mod, an older go fetches the version named there, or says why it cannot.
    answer = subprocess.run(
        [go, "env", "GOVERSION"], cwd=HERE, capture_output=True, text=True, check=False
    )
    if answer.returncode:
        reason = " ".join(answer.stderr.split())
        raise CannotInstallError(f"go on PATH cannot build pulumi ({reason}). {advice}")
    return go


def build(go: str, version: str, into: Path) -> None:
    """Build the CLI into the folder `into`, with a line now and then while it lasts."""
    binary = into / "bin" / "pulumi"
    log = into / "build.log"
    command = [
        *(go, "build", "-trimpath", "-buildvcs=false"),
        # Without a version `pulumi version` prints nothing, and the Automation API refuses it.
        *("-ldflags", f"-s -w -X {SDK_MODULE}/go/common/version.Version={version}"),
        *("-o", str(binary), f"{CLI_MODULE}/cmd/pulumi"),
    ]
    say(f"building the CLI {version} from its Go module: {EXPECTED_BUILD}")
    started = time.monotonic()
    with log.open("w") as output:
        process = subprocess.Popen(command, cwd=HERE, stdout=output, stderr=output)
        try:
            while True:
                try:
                    code = process.wait(timeout=REPORT_SECONDS)
                    break
                except subprocess.TimeoutExpired:
                    spent = int(time.monotonic() - started)
                    say(f"still building, {spent // 60} min {spent % 60:02} s so far")
        finally:
            process.kill()
            process.wait()
    if code:
        reason = (log.read_text().strip().splitlines() or [f"exit code {code}"])[-1]
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
    launcher = into / "bin" / "pulumi-language-python"
    launcher.write_text(language_host_launcher())
    launcher.chmod(0o755)


def language_host_launcher() -> str:
    """The program that the engine starts: our stand-in, under the project's own Python."""
    # A shell script, because the line after #! can hold neither a space nor a long path.
    command = [sys.executable, HERE / "language_host.py", BIN / "pulumi-language-python-exec"]
    return (
        "#!/bin/sh\n"
        "# Stands in for the Python language host of a Pulumi release; see language_host.py.\n"
        f'exec {" ".join(shlex.quote(str(part)) for part in command)} "$@"\n'
    )


def install(version: str, go_wanted: str) -> None:
    """Fill `ROOT` by the first way that works; it appears under its name only when complete."""
    partial = ROOT.with_name("pulumi.partial")
    shutil.rmtree(partial, ignore_errors=True)
    (partial / "bin").mkdir(parents=True)
    if has_installer_host() and download(partial):
        source = "official release"
    else:
        go = find_go(go_wanted)
        build(go, version, partial)
        add_release_parts(go, partial)
        source = f"built from source, {version}"
    (partial / STAMP.name).write_text(f"{source}\n")
    shutil.rmtree(ROOT, ignore_errors=True)
    partial.rename(ROOT)
    say(f"ready in .tools/pulumi/bin ({source})")


def is_installed(version: str) -> bool:
    """Whether `ROOT` holds a complete CLI of the version wanted now."""
    try:
        stamp = STAMP.read_text().strip()
    except OSError:
        return False
    return stamp in {"official release", f"built from source, {version}"}


def main() -> int:
    """Find or make a CLI; 0 when there is one, 1 with one line on stderr when there is none."""
    on_path = shutil.which("pulumi", path=search_path())
    if on_path:
        say(f"using {on_path}")
        return 0
    go_mod = (HERE / "go.mod").read_text()
    version = cli_version(go_mod)
    if is_installed(version):
        return 0
    try:
        install(version, go_version_wanted(go_mod))
    except CannotInstallError as error:
        print(f"could not install 'pulumi': {error}.", file=sys.stderr)  # noqa: T201 - as above
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
