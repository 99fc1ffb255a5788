"""`tools/pulumi/install.py` as `make setup` runs it, in its own checkout and without network."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parents[2]

NO_GO = (
    "could not install 'pulumi': there is no pulumi and no go on PATH. "
    "Install Go 1.99.1 or newer (https://go.dev/dl/), "
    "or install Pulumi (https://www.pulumi.com/docs/install/).\n"
)

GO_MOD = """module checkout

go 1.99.1

require (
\tgithub.com/pulumi/pulumi/pkg/v3 v3.999.0 // indirect
)
"""

YAML_GO_MOD = """module checkout/yaml

go 1.99.1

require github.com/pulumi/pulumi-yaml v1.99.0
"""

GO = """#!/bin/sh
echo "$@" >>"{calls}"
case "$1" in
env) echo go1.26 ;;
list) echo "{sdk}" ;;
build)
  while [ "$1" != -o ]; do shift; done
  echo '#!/bin/sh' >"$2"
  /bin/chmod +x "$2"
  {ending}
  ;;
esac
"""
"""A fake go that notes its arguments."""


class Checkout:
    """The files that `install.py` needs, and a PATH that a test fills."""

    def __init__(self, folder: Path) -> None:
        self.tools = folder / "tools" / "pulumi"
        shutil.copytree(HERE / "tools" / "pulumi", self.tools)
        (self.tools / "go.mod").write_text(GO_MOD)
        (self.tools / "yaml" / "go.mod").write_text(YAML_GO_MOD)
        self.made = folder / ".tools" / "pulumi"
        self.programs = folder / "programs"
        self.programs.mkdir()
        self.go_calls = folder / "go calls"
        self._sdk = folder / "sdk"
        for part in ("cmd/pulumi-language-python-exec", "dist/pulumi-resource-pulumi-python"):
            source = self._sdk / "python" / part
            source.parent.mkdir(parents=True)
            source.write_text("#!/bin/sh\n")

    def program(self, name: str, text: str = "#!/bin/sh\n") -> Path:
        """Put a program on PATH."""
        path = self.programs / name
        path.write_text(text)
        path.chmod(0o755)
        return path

    def go(self, ending: str = "exit 0") -> None:
        """Put a go on PATH whose build ends with this command."""
        self.program("go", GO.format(calls=self.go_calls, sdk=self._sdk, ending=ending))

    def builds(self) -> int:
        """Return how many builds there were."""
        return self.go_calls.read_text().count("build ") if self.go_calls.exists() else 0

    def made_by_hand(self, stamp: str) -> None:
        """Put a CLI there, as an earlier set-up does."""
        (self.made / "bin").mkdir(parents=True)
        (self.made / "bin" / "pulumi").write_text("#!/bin/sh\n")
        (self.made / "bin" / "pulumi").chmod(0o755)
        (self.made / "installed").write_text(stamp)

    def install(self) -> subprocess.CompletedProcess[str]:
        """Run the script; get.pulumi.com is out of reach, as behind a firewall."""
        path = os.pathsep.join([str(self.made / "bin"), str(self.programs)])
        environment = {"PATH": path, "HTTPS_PROXY": "http://127.0.0.1:1"}
        return subprocess.run(
            [sys.executable, str(self.tools / "install.py")],
            capture_output=True,
            text=True,
            env=environment,
            check=False,
        )


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path / "a checkout")  # a path with a space


def test_the_pulumi_on_path_is_used_and_nothing_is_made(checkout: Checkout) -> None:
    found = checkout.program("pulumi")
    done = checkout.install()
    assert (done.returncode, done.stdout, done.stderr) == (0, f"pulumi: using {found}\n", "")
    assert not checkout.made.exists()


def test_a_second_run_does_nothing(checkout: Checkout) -> None:
    checkout.go()
    assert checkout.install().returncode == 0
    again = checkout.install()
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert checkout.builds() == 2


def test_without_go_one_line_says_what_to_install(checkout: Checkout) -> None:
    done = checkout.install()
    assert (done.returncode, done.stderr) == (1, NO_GO)
    assert done.stdout == "pulumi: none on PATH, and get.pulumi.com cannot be reached\n"


def test_a_go_that_is_too_old_is_quoted(checkout: Checkout) -> None:
    checkout.program("go", "#!/bin/sh\necho 'go.mod requires go >= 1.99.1' >&2\nexit 1\n")
    done = checkout.install()
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "go.mod requires go >= 1.99.1" in done.stderr
    assert "Install Go 1.99.1 or newer" in done.stderr


def test_a_build_gets_the_plugins_of_a_release(checkout: Checkout) -> None:
    checkout.go()
    done = checkout.install()
    assert done.returncode == 0
    building, ready = done.stdout.splitlines()[1:]
    assert building.startswith("pulumi: building the CLI v3.999.0 from its Go module: about 7 min")
    assert ready == (
        "pulumi: ready in .tools/pulumi/bin (built from source, v3.999.0, YAML v1.99.0)"
    )
    programs = sorted((checkout.made / "bin").iterdir())
    assert [path.name for path in programs] == [
        "pulumi",
        "pulumi-language-python",
        "pulumi-language-python-exec",
        "pulumi-language-yaml",
        "pulumi-resource-pulumi-python",
    ]
    assert all(os.access(path, os.X_OK) for path in programs)


def test_a_failed_build_is_quoted_and_built_again_next_time(checkout: Checkout) -> None:
    checkout.go(ending="echo first; echo 'no space left on device'; exit 1")
    done = checkout.install()
    assert done.returncode == 1
    assert done.stderr == (
        "could not install 'pulumi': the build failed (no space left on device). Mend that, "
        "or install Pulumi (https://www.pulumi.com/docs/install/).\n"
    )
    assert not checkout.made.exists()
    checkout.go()
    assert checkout.install().returncode == 0


def test_a_cli_of_another_version_is_built_again(checkout: Checkout) -> None:
    checkout.made_by_hand("built from source, v3.1.0\n")
    checkout.go()
    assert checkout.install().returncode == 0
    assert checkout.builds() == 2


def test_the_language_host_is_found_after_the_checkout_was_moved(
    checkout: Checkout,
) -> None:
    checkout.go()
    checkout.install()
    launcher = checkout.made / "bin" / "pulumi-language-python"
    launcher.write_text("#!/bin/sh\nexec /gone/python\n")
    checkout.install()
    with subprocess.Popen(
        [str(launcher), "127.0.0.1:9"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as host:
        assert host.stdout is not None
        assert int(host.stdout.readline())
        host.terminate()
        assert host.communicate(timeout=30) == ("", "")
