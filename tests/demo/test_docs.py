"""What the docs say: commands and settings exist, links lead somewhere.

tests/site runs the programs and commands, and builds the site.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import bytez_provider as bytez
from bytez_provider.emulator.command import main as emulator_command
from bytez_provider.service.settings import SETTINGS
from tests.workflows.workflow import help_of, options_in
from tools.schema.package import make_schema

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = [
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "bytez_provider/emulator/README.md",
    "examples/github-actions/README.md",
    *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")),
]
ALL = "\n".join((ROOT / name).read_text(encoding="utf-8") for name in DOCUMENTS)


def page(name: str) -> str:
    """Return a page of docs/."""
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def test_readme_can_be_read_in_one_sitting() -> None:
    assert len(README.split()) <= 1500


# ------------------------------------------------------------------------------- commands


def mentions(program: str) -> Iterator[tuple[str, set[str]]]:
    """Yield each subcommand that a document names, with the options it is given there."""
    word = "[a-z]+(?:-[a-z]+)*"
    for match in re.finditer(rf"(?:`|\$ |bin/){program} ({word}(?: {word})?)([^`\n]*)", ALL):
        yield match[1], options_in(match[2])


@pytest.mark.parametrize("program", ["bytez-fleet", "pulumi"])
def test_commands_exist(program: str) -> None:
    found: dict[str, set[str]] = {}
    for command, options in mentions(program):
        found.setdefault(command, set()).update(options)
    assert found
    for command, options in found.items():
        assert options <= options_in(help_of(program, *command.split())), f"{program} {command}"


def test_table_has_every_bytez_fleet_command() -> None:
    listed = set(re.findall(r"^\| `bytez-fleet ([a-z]+)", page("cli.md"), re.MULTILINE))
    text = help_of("bytez-fleet")
    assert listed == set(re.findall(r"^  ([a-z]+)  ", text.split("Commands:")[1], re.MULTILINE))


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    assert set(re.findall(r"(?:`|\$ )make ([a-z]+)", README)) <= targets


def test_emulator_options_are_all_in_its_readme(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        emulator_command(["--help"])
    assert ended.value.code == 0
    offered = options_in(capsys.readouterr().out) - {"--help"}
    text = (ROOT / "bytez_provider/emulator/README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(--[a-z-]+)", text, re.MULTILINE)) == offered


# --------------------------------------------------------------------- arguments, settings


def test_tables_have_every_argument_and_output() -> None:
    arguments = inspect.signature(bytez.Model).parameters.keys() - {"resource_name", "opts"}
    assert set(re.findall(r"^\| `([a-z_]+)`", page("inputs.md"), re.MULTILINE)) == (
        arguments | set(inspect.get_annotations(bytez.Model))
    )


def test_settings_are_those_that_the_code_reads() -> None:
    sources = "".join(
        path.read_text(encoding="utf-8")
        for path in (ROOT / "bytez_provider").rglob("*.py")
        if "emulator" not in path.parts
    )
    table = page("configuration.md")
    variables = r"\bBYTEZ_(?!EMULATOR)[A-Z_]+"
    mentioned = set(re.findall(variables, ALL))
    assert mentioned <= set(re.findall(variables, sources))
    assert mentioned <= set(re.findall(variables, table))
    assert set(re.findall(r"environ[^\n]*\"(BYTEZ_[A-Z_]+)\"", sources)) <= set(
        re.findall(r"\bBYTEZ_[A-Z_]+", table)
    )
    earlier = {"dialect"}
    tokens = {"index", *(one.rpartition(":")[2] for one in make_schema()["functions"])}
    settings = r"\bbytez:([a-z][A-Za-z]+)"
    assert set(re.findall(settings, ALL)) - tokens == {*SETTINGS, *earlier}
    assert set(re.findall(settings, table)) == {*SETTINGS, *earlier}


# ---------------------------------------------------------------------------------- links


@pytest.mark.parametrize("document", DOCUMENTS)
def test_relative_links_lead_somewhere(document: str) -> None:
    path = ROOT / document
    text = path.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if target.startswith("https://"):
            continue
        file, _, anchor = target.partition("#")
        led_to = path.parent / file if file else path
        assert led_to.exists(), f"{document}: {target}"
        if anchor:
            assert anchor in {slug(title) for title in headings(led_to)}, f"{document}: {target}"


def headings(path: Path) -> list[str]:
    """Return the titles of a document."""
    return re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)


def slug(title: str) -> str:
    """Return the anchor that a title gets."""
    return re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-")
