"""The problems of a fleet file, and the error that reports them."""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from bytez_provider.base.errors import InvalidFileError, Problem
from bytez_provider.base.words import counted

MOST_PROBLEMS = 100
_COMPARED_LENGTH = 100


class Place(NamedTuple):
    """Where a key or a value starts."""

    file: str
    """The path, as it was given."""
    line: int
    """From 1."""
    column: int
    """In characters, from 1."""


class Problems:
    """The problems of a fleet file and its overlay, each once."""

    def __init__(self, path: Path, environment: str | None = None) -> None:
        self._path = path
        self._environment = environment
        self._found: dict[Problem, None] = {}

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, at: Place | Path, reason: str, meant: Iterable[str] = ()) -> None:
        """Add what is wrong at a place, or with a file as a whole.

        Raises:
            InvalidFileError: There are `MOST_PROBLEMS`.
        """
        file, line, column = (named(at), None, None) if isinstance(at, Path) else at
        self._found[Problem(file, line, column, reason, tuple(meant))] = None
        if len(self._found) >= MOST_PROBLEMS:
            raise self.error()

    def error(self) -> InvalidFileError:
        """Return the error that reports all problems; there must be one."""
        files = list(dict.fromkeys(problem.file for problem in self._found))
        problems = sorted(
            self._found, key=lambda one: (files.index(one.file), one.line or 0, one.column or 0)
        )
        first, *others = problems
        observed = f"{first.file}:{first.line}: {first.reason}" if first.line else first.reason
        if first.meant:
            observed += f" (did you mean '{first.meant[0]}'?)"
        if others:
            least = "at least " if len(problems) >= MOST_PROBLEMS else ""
            observed += f"; {least}{counted(len(others), 'more problem')}"
        action = "Check the name, and that the file can be read"
        if first.line:
            action = f"Correct it, then run `{self._command()}`"
        return InvalidFileError(
            verb="read",
            subject=named(self._path),
            observed=observed,
            action=action,
            problems=tuple(problems),
        )

    def _command(self) -> str:
        words = ["bytez-fleet", "validate", named(self._path)]
        if self._environment is not None:
            words += ["--environment", self._environment]
        return shlex.join(words)


def named(path: Path) -> str:
    """Return a path as messages show it."""
    return visible(str(path), limit=200)


def quoted(text: str) -> str:
    """Return text of a file as messages show it."""
    return f"'{visible(text)}'"


def visible(text: str, *, limit: int = 60) -> str:
    """Return text with each invisible character as <U+...>: it may be the whole mistake."""
    shown = "".join(one if one.isprintable() else f"<U+{ord(one):04X}>" for one in text[:limit])
    return shown if len(text) <= limit else shown + "…"


def nearest(name: str, names: Iterable[str]) -> list[str]:
    """Return the most similar name, if any is similar; model_id is modelId."""
    by_letters = {_letters(one): one for one in names}
    return [by_letters[one] for one in difflib.get_close_matches(_letters(name), by_letters, n=1)]


def _letters(name: str) -> str:
    return re.sub(r"[\W_]", "", name[:_COMPARED_LENGTH]).lower()
