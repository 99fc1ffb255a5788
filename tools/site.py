"""The pages of the docs site, made from the Markdown that GitHub shows as it is.

`make docs` writes them into build/docs and has the generator build build/site from there. A link to
a file outside docs/ leads to a page that shows the file: the site needs no address of a repository.
"""

from __future__ import annotations

import os
import posixpath
import re
import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = ROOT / "build" / "docs"

ELSEWHERE: Mapping[str, str] = {
    "README.md": "overview.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "bytez_provider/emulator/README.md": "emulator.md",
    "examples/github-actions/README.md": "github-actions.md",
}
"""Pages that are not in docs/, with their names on the site."""

PYTHON = """\
# Python

What `import bytez_provider as bytez` offers a program, from its docstrings. The meaning of each
input and output is in [inputs and outputs](inputs.md).

::: bytez_provider.Model

::: bytez_provider.Fleet

::: bytez_provider.FleetMember

::: bytez_provider.ModelArgs

::: bytez_provider.ModelDefaults

## Policies and their tests

Rules and messages are in [policies](policies.md).

::: bytez_provider.policies.policies

::: bytez_provider.policies.testing.Pack

::: bytez_provider.policies.testing.PolicyViolation

::: bytez_provider.policies.testing.Resource

::: bytez_provider.policies.testing.Later

::: bytez_provider.policies.testing.model

::: bytez_provider.policies.testing.fleet
"""
"""Only the site has this page: the docstrings are read by the generator."""

_LINK = re.compile(r"\]\(([^)\s]+)\)")
_ITEM = re.compile(r"( *)(?:[-*]|\d+\.) ")
_FENCE = re.compile(r"( *)(`{3,})")
_LANGUAGES = {".py": "python", ".json": "json", ".yaml": "yaml", ".yml": "yaml", ".md": "markdown"}


def sources() -> dict[str, str]:
    """Return the source of each page, by its name on the site, both with slashes."""
    names = sorted(path.name for path in (ROOT / "docs").glob("*.md"))
    return {**{name: f"docs/{name}" for name in names}, **{v: k for k, v in ELSEWHERE.items()}}


def write(folder: Path = PAGES) -> None:
    """Write everything that the generator reads.

    Raises:
        ValueError: A link leads to something that is not a file.
    """
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT / "docs", folder, ignore=shutil.ignore_patterns("*.md"))
    shown: set[str] = set()
    for name, source in sources().items():
        text = (ROOT / source).read_text(encoding="utf-8")
        text = _outside_code(text, partial(_relinked, source=source, shown=shown))
        (folder / name).write_text(_indented(text), encoding="utf-8")
    for file in sorted(shown):
        page = folder / _page_of_file(file)
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(_file(file), encoding="utf-8")
    (folder / "python.md").write_text(PYTHON, encoding="utf-8")


def _relinked(line: str, source: str, shown: set[str]) -> str:
    """Return a line of a source with its links as they are on the site."""

    def link(match: re.Match[str]) -> str:
        target, _, anchor = match[1].partition("#")
        if not target or "://" in target:
            return match[0]
        file = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        if not (ROOT / file).is_file():
            raise ValueError(f"{source}: the link to {target} does not lead to a file")
        return f"]({_on_site(file, shown)}{'#' if anchor else ''}{anchor})"

    return _LINK.sub(link, line)


def _on_site(file: str, shown: set[str]) -> str:
    """Return the address of a file from a page at the top of the site."""
    if file in ELSEWHERE:
        return ELSEWHERE[file]
    if file.startswith("docs/"):
        return file.removeprefix("docs/")
    shown.add(file)
    return _page_of_file(file)


def _page_of_file(file: str) -> str:
    return f"files/{file.removeprefix('.')}.md"  # the generator skips hidden folders


def _file(file: str) -> str:
    """Return the page that shows a file."""
    text = (ROOT / file).read_text(encoding="utf-8")
    fence = "`" * (max([2, *map(len, re.findall(r"`+", text))]) + 1)
    language = _LANGUAGES.get(Path(file).suffix, "text")
    return f"# {Path(file).name}\n\n`{file}`\n\n{fence}{language}\n{text.rstrip()}\n{fence}\n"


def _outside_code(text: str, change: Callable[[str], str]) -> str:
    """Change each line that is not in a block of code."""
    lines, fence = [], ""
    for line in text.splitlines():
        if match := _FENCE.match(line):
            fence = "" if fence == match[2] else fence or match[2]
            lines.append(line)
        else:
            lines.append(line if fence else change(line))
    return "\n".join(lines) + "\n"


def _begins(line: str, before: str) -> bool:
    """Return whether a list or a table begins without the empty line that the generator needs."""
    if _ITEM.match(line):
        return not before.startswith((" ", "- ", "* ")) and not _ITEM.match(before)
    return line.lstrip().startswith("|") and not before.lstrip().startswith("|")


def _indented(text: str) -> str:
    """Indent what belongs to an item of a list by four spaces, as the generator reads Markdown.

    GitHub takes two or three, the width of the item's mark.
    """
    lines: list[str] = []
    widths: list[int] = []  # the indents of the contents of the open items
    inside = ""
    for line in text.splitlines():
        indent = len(line) - len(line.lstrip())
        if line.strip() and not inside:
            while widths and indent < widths[-1]:
                widths.pop()
        item = None if inside else _ITEM.match(line)
        old = widths[-1] if widths else 0
        if not inside and lines and lines[-1] and _begins(line, lines[-1]):
            lines.append("")
        lines.append(" " * 4 * len(widths) + line[old:] if line.strip() else "")
        if item:
            widths.append(len(item[0]))
        if fence := _FENCE.match(line):
            inside = "" if inside == fence[2] else inside or fence[2]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    write()
    print(f"written: {os.path.relpath(PAGES)}")
