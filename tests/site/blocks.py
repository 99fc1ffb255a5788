"""The blocks of code on the pages, and what each page says about running them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tools.site import sources

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(sources().values())
PROGRAMS = {"python", "yaml", "json", "typescript"}
COMMANDS = {"console", "bash", "sh"}
SHOWN = {"text"}
"""Languages of output and other text, which nobody can run."""

_BLOCK = re.compile(
    r"(?:^ *<!--(?P<note>[^\n]*?)-->\n)?"
    r"^(?P<indent> *)```(?P<language>\w*)(?: title=\"(?P<title>[^\"\n]+)\")?\n"
    r"(?P<code>.*?)^ *```$",
    re.MULTILINE | re.DOTALL,
)
_NOTE = re.compile(r"^\s*(not|run)[ -](run|by):\s*(.*?)\s*$")
_NAME = re.compile(r"^# (\S+\.(?:py|ya?ml))")


@dataclass(frozen=True)
class Block:
    """A block of code.

    Attributes:
        page: The file that has it.
        language: As the page names it.
        code: Its text, without the indent of a list.
        name: The file that it is, from its first line or its title; empty if it has none.
        reason: Why it is not run; empty if it is.
        test: The test that runs it, if that is not one of this folder.
    """

    page: str
    language: str
    code: str
    name: str
    reason: str
    test: str

    @property
    def is_run_here(self) -> bool:
        """Whether this folder has to run it."""
        return not (self.language in SHOWN or self.reason or self.test)


def blocks(page: str) -> Iterator[Block]:
    """Yield the blocks of a page, in order."""
    for found in _BLOCK.finditer((ROOT / page).read_text(encoding="utf-8")):
        code = re.sub(f"^{found['indent']}", "", found["code"], flags=re.MULTILINE)
        note = _NOTE.match(found["note"] or "")
        named = _NAME.match(code)
        yield Block(
            page,
            found["language"],
            code,
            found["title"] or (named[1] if named else ""),
            note[3] if note and note[1] == "not" else "",
            note[3] if note and note[1] == "run" else "",
        )


def all_blocks() -> list[Block]:
    """Return the blocks of all pages."""
    return [block for page in PAGES for block in blocks(page)]
